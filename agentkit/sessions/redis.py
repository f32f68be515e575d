"""Conversations in Redis or Valkey."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from agentkit.errors import ConfigError, SessionCorrupt, SessionError
from agentkit.messages import Message

from .base import Stored, check_id, conflict, next_revision
from .form import FORMAT, corrupt, decode, encode
from .place import shown, without_secrets
from .threads import Threads, Ticket

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")

_INSTALL = "RedisStore needs redis-py: pip install redis"
_AT_ONCE = 8
_GRACE = 1.0  # seconds after which a database that has not kept to its time limit is left

# One hash for each conversation: `format`, `revision`, `steps`, and each step under its revision.
# A script is whole or nothing: what may fail in it comes before the first write.
_CHANGE = """
local now = redis.call('HGET', KEYS[1], 'revision') or '0'
local old, new, id, step, format, whole = unpack(ARGV)
if now == new then return 'done' end
if now ~= old then return 'conflict' end
local steps = 0
if now == '0' then
    if redis.call('EXISTS', KEYS[1]) == 1 then return 'format' end
else
    if redis.call('HGET', KEYS[1], 'format') ~= format then return 'format' end
    if whole ~= 'whole' then steps = tonumber(redis.call('HGET', KEYS[1], 'steps')) end
end
redis.call('ZADD', KEYS[2], 0, id)
if whole == 'whole' then redis.call('DEL', KEYS[1]) end
if step ~= '' then
    steps = steps + 1
    redis.call('HSET', KEYS[1], new, step)
end
redis.call('HSET', KEYS[1], 'format', format, 'revision', new, 'steps', steps)
return 'done'
"""
_FORGET = """
local known = redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return known
"""


class RedisStore:
    """Keeps conversations in Redis or Valkey, as safely as that keeps anything: see its `appendonly`.

    Args:
        url: `redis://user:password@host:6379/0`, `rediss://...` with TLS, or `unix:///path`.
        prefix: What all its keys begin with: letters, digits, `-` and `_`.
        timeout: Seconds that anything may take.

    Raises:
        ConfigError: the URL or the prefix is none, or redis-py is not installed.
    """

    def __init__(self, url: str, *, prefix: str = "agentkit", timeout: float = 30.0) -> None:
        if not re.fullmatch(r"[\w-]+", prefix, re.ASCII):
            raise ConfigError(f"RedisStore(prefix={prefix[:80]!r}): letters, digits, '-' and '_' only")
        self._where = url
        self._prefix = prefix
        self._threads = Threads(_AT_ONCE, timeout + _GRACE)
        self._client = _client(url, timeout)

    def __repr__(self) -> str:
        return f"RedisStore({shown(self._where)!r}, prefix={self._prefix!r})"

    async def load(self, session_id: str) -> Stored:
        """The conversation; see `SessionStore`."""
        key = self._key(check_id(session_id))
        return _stored(session_id, await self._run(lambda client: client.hgetall(key)))

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        """Add messages to the end; see `SessionStore`.

        A cancellation leaves it made whole or not at all, and that is decided when the cancellation arrives.
        """
        return await self._change(session_id, messages, revision, whole=False)

    async def replace(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        """Put messages in the place of all that there are; see `SessionStore`."""
        return await self._change(session_id, messages, revision, whole=True)

    async def list(self, *, after: str = "", limit: int = 100) -> Sequence[str]:
        """The ids, in order; see `SessionStore`."""
        start = b"(" + after.encode() if after else b"-"
        found: list[Any] = await self._run(lambda client: client.zrangebylex(self._ids, start, b"+", 0, limit))
        return [id.decode() for id in found]

    async def delete(self, session_id: str) -> bool:
        """Forget a conversation; see `SessionStore`."""
        key = self._key(check_id(session_id))
        return bool(await self._run(lambda client: client.eval(_FORGET, 2, key, self._ids, session_id), write=True))

    def close(self) -> None:
        """Close all connections that are idle; they are made again where they are needed."""
        self._client.connection_pool.disconnect()

    @property
    def _ids(self) -> str:
        return f"{self._prefix}:ids"

    def _key(self, session_id: str) -> str:
        return f"{self._prefix}:session:{session_id}"

    async def _change(self, session_id: str, messages: Sequence[Message], revision: int, *, whole: bool) -> int:
        key, new = self._key(check_id(session_id)), next_revision(revision)
        step = encode(messages) if messages else ""
        values = (str(revision), str(new), session_id, step, str(FORMAT), "whole" if whole else "")
        came = await self._run(lambda client: client.eval(_CHANGE, 2, key, self._ids, *values), write=True)
        if came == b"conflict":
            raise conflict(session_id)
        if came == b"format":
            raise corrupt(session_id, "is damaged, or of a newer format")
        return new

    async def _run(self, work: "Callable[[Redis], T]", *, write: bool = False) -> T:
        def attempt(ticket: Ticket[T]) -> T:
            from redis.exceptions import RedisError

            try:
                if write:
                    ticket.last_step()
                return work(self._client)
            except (RedisError, OSError, ValueError) as error:
                failed = error
            raise self._told(failed)

        return await self._threads.run(attempt)

    def _told(self, error: Exception) -> SessionError:
        said = without_secrets(str(error).partition("\n")[0], self._where)
        if said.startswith("WRONGTYPE"):
            return SessionCorrupt(f"{self!r}: something else is kept under the session's key; it was left as it is")
        return SessionError(f"{self!r} failed: {type(error).__name__}: {said}")


def _client(url: str, timeout: float) -> "Redis":
    try:
        from redis import BlockingConnectionPool, Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ConfigError(_INSTALL) from error
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_AT_ONCE + 1,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1),  # a change that was made, but whose end was not seen, is known again
        )
        return Redis(connection_pool=pool)
    except (ValueError, TypeError, AttributeError):
        pass  # their words would tell the password
    raise ConfigError(f"RedisStore cannot use {shown(url)!r}; give it 'redis://user:password@host:6379/0'")


def _stored(session_id: str, found: dict[Any, Any]) -> Stored:
    if not found:
        return Stored()
    try:
        form, revision, count = (int(found.pop(name)) for name in (b"format", b"revision", b"steps"))
        steps = [found[name] for name in sorted(found, key=int)]
    except (KeyError, ValueError):
        raise corrupt(session_id, "is damaged: its hash has fields missing, or others") from None
    if form > FORMAT:
        raise corrupt(session_id, f"is of format {form}; this version of agentkit reads {FORMAT} at most")
    if len(steps) != count:
        raise corrupt(session_id, f"is damaged: {len(steps)} of its {count} steps are there")
    return Stored(messages=tuple(m for step in steps for m in decode(step, session_id)), revision=revision)
