"""The one door to HTTP model servers: the openai SDK's client, used for bytes.

The SDK gives keys, base URL, Azure, time limits, proxies and retries; its typed methods, which re-encode the whole
history on every call, are not used (`benchmarks/` shows what that saves).
"""

import importlib.util
import os
import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

import anyio
from anyio.lowlevel import RunVar, current_token

from agentkit.errors import BadResponse, ConfigError, ModelError
from agentkit.turns import Places

from .base import ModelInfo
from .reading import CLOSE_SECONDS, Watch, bounded, close, leave, pieces, whole
from .secrets import guard_logs, strike
from .sse import Event, EventSplitter

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")

CONCURRENCY = 200
"""Requests to one server at the same time; further ones wait."""
LANE = 25
"""Requests that share one connection pool: a pool looks through all its connections for each of them."""
DRAIN_SECONDS = 0.5
CONNECT_SECONDS = 5.0
HEAD_SECONDS = IDLE_SECONDS = 600.0
"""Until an answer begins, and from one sign of life to the next: models that think say nothing for minutes."""
REQUEST_SECONDS = 3600.0
LARGEST = 16_000_000
"""Bytes of one answer, counted when they are decompressed."""

_OPENAI = "https://api.openai.com/v1"
_LOOPBACK = re.compile(r"^(localhost|127(\.\d+){3}|::1)$")
_PROVIDERS = {
    "openai.com": "openai",
    "azure.com": "azure.ai.openai",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "deepseek.com": "deepseek",
    "x.ai": "x_ai",
    "perplexity.ai": "perplexity",
    "googleapis.com": "gcp.gemini",
}
_doors: RunVar["dict[Server, Door]"] = RunVar("agentkit_http_doors")
_UNPRINTABLE = re.compile("[\x00-\x20\x7f\ud800-\udfff]")
_NO_URL = "is not one: write http://HOST:PORT/v1, in base_url= or OPENAI_BASE_URL"
_loopback_only = False


def loopback_only(on: bool) -> bool:
    """Refuse requests that would leave this machine, as a test suite wants; returns what was set before."""
    global _loopback_only
    before, _loopback_only = _loopback_only, on
    return before


def masked(url: str) -> str:
    """A URL without what may be secret in it: user, password, query and fragment."""
    told = re.sub(r"(?is)^([a-z0-9+.-]*://)?(.*[?#].*@.*|.*@)", r"\1***@", url)
    return re.sub(r"(?s)([?#]).*", r"\1***", told)


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where a model is served. What is not given, the SDK takes from OPENAI_BASE_URL and OPENAI_API_KEY."""

    base_url: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    client: "AsyncOpenAI | None" = field(default=None, repr=False)
    """A client of the caller's own, Azure's for example; it belongs to one event loop, and the caller closes it."""
    concurrency: int = CONCURRENCY

    def door(self) -> "Door":
        """The door to this server in the current event loop; it closes when the loop ends."""
        try:
            doors = _doors.get()
        except LookupError:
            doors = {}
            _doors.set(doors)
        if self not in doors:
            doors[self] = Door(self)
        return doors[self]

    def url(self) -> SplitResult:
        """Where requests go.

        Raises:
            ConfigError: it is not a URL, or it has what a base URL cannot have.
        """
        own = str(self.client.base_url) if self.client else None
        told = own or self.base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI
        if not _is_url(told):
            raise _unusable(told, _NO_URL)
        url = urlsplit(told)
        if not own and "@" in url.netloc:
            raise _unusable(told, "has a user or a password in it: use api_key=, or a client= of your own")
        if not own and (url.query or url.fragment):
            raise _unusable(told, "has a query or a fragment: leave it out, or use a client= of your own")
        return url

    def info(self, model: str) -> ModelInfo:
        """Who answers there."""
        url = self.url()
        host = url.hostname or ""
        provider = next((name for domain, name in _PROVIDERS.items() if f".{host}".endswith(f".{domain}")), "openai")
        return ModelInfo(
            provider=provider, model=model, address=host, port=url.port or (80 if url.scheme == "http" else 443)
        )

    def connect(self) -> "AsyncOpenAI":
        """A client for this server.

        Raises:
            ConfigError: there is no API key, or it is none, or the base URL is not one.
        """
        if self.client is not None:
            if not hasattr(self.client, "__aenter__"):
                raise ConfigError(f"client= is an {type(self.client).__name__}, which is sync: give an AsyncOpenAI")
            return self.client
        import httpx2  # on first use: they cost many times what `import agentkit` does
        import openai

        url = self.url().geturl()
        try:
            client = openai.AsyncOpenAI(base_url=url, api_key=self.api_key, http_client=_http_client())
        except httpx2.InvalidURL:
            raise _unusable(url, _NO_URL) from None
        except openai.OpenAIError:
            raise ConfigError(
                "there is no API key: set OPENAI_API_KEY or pass api_key= (any text, for a server that needs none); "
                'the model "local:needle" needs neither key nor server'
            ) from None
        if not (client.api_key.isascii() and client.api_key.isprintable()):
            raise ConfigError("the API key has characters that no key has; copy it once more")
        return client


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        host = (url.hostname or "").encode("idna")
        return url.scheme in ("http", "https") and bool(host) and url.port != 0 and not _UNPRINTABLE.search(text)
    except ValueError:  # brackets, a port or a name that is none
        return False


def _unusable(url: str, why: str) -> ConfigError:
    return ConfigError(f"the base URL {masked(url)!r} {why}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One HTTP request."""

    path: str
    """What follows the base URL, `/chat/completions` for example, with the query."""
    method: Literal["get", "post", "delete"] = "post"
    body: bytes | AsyncIterable[bytes] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """On top of those that every request has; `Content-Type` is `application/json` unless it stands here."""
    timeout: float | None = None
    """Seconds until the answer begins; not given, ten minutes, or what a client of the caller's own says."""
    idle_timeout: float | None = None
    """Seconds from one event, or one piece of a body, to the next; not given, as `timeout`."""
    until: float = inf
    """When all must be done, by the event loop's clock."""
    largest: int = LARGEST
    """Bytes of the answer, decompressed."""
    retries: int = 0
    """How often the SDK sends it again if it fails."""


@dataclass(slots=True)
class _Lane:
    client: "AsyncOpenAI"
    busy: int = 0


class Door:
    """One server in one event loop: a limit on requests, and as many connection pools as these need."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.places = Places(server.concurrency)
        self._lanes: list[_Lane] = []
        self._closer = self._close_when_the_loop_ends()

    async def send(self, call: Call, read: Callable[[bytes, Mapping[str, str]], T]) -> T:
        """Send a request, and read the body and the headers of the answer.

        Raises:
            ModelError: the request failed, or `read` raised it; which one says how, and no key stands in it.
        """
        from .http_errors import mapped

        async with self.places, self._lane() as client:
            watch = self._watch(client, call)
            response = await self._send(client, call, watch)
            try:
                with mapped(client):
                    body = await whole(response, watch)
                return read(body, response.headers)
            except ModelError as error:
                _complete(error, client, response)
                raise

    @asynccontextmanager
    async def events(self, call: Call) -> AsyncGenerator[AsyncGenerator[Event]]:
        """Send a request and read the answer as server-sent events, until the block is left.

        An answer that is a JSON object, from a server that does not stream, is one event without a name.
        Leave the block once the last event that matters has come: the little that may follow is read here, so that
        the connection can be used again.

        Raises:
            ModelError: the request failed, the connection broke in the middle, or the block raised it; no key stands
                in it.
        """
        async with self.places, self._lane() as client:
            watch = self._watch(client, call)
            response = await self._send(client, call, watch)
            chunks = pieces(response)
            patience = 0.0
            try:
                async with aclosing(_events(chunks, response, client, watch)) as events:
                    yield events
                    patience = DRAIN_SECONDS
            except ModelError as error:
                _complete(error, client, response)
                raise
            finally:
                await leave(chunks, patience)
                await close(response)

    def strike(self, error: ModelError) -> None:
        """Strike this server's keys out of an error that was raised outside of a request."""
        for lane in self._lanes:
            strike(error, lane.client, None)

    def _watch(self, client: "AsyncOpenAI", call: Call) -> Watch:
        timeout = HEAD_SECONDS if call.timeout is None and self._server.client is None else call.timeout
        idle = timeout if call.idle_timeout is None else call.idle_timeout
        alone = self._server.client is None and idle == timeout
        return Watch(client.base_url.host, timeout, idle, call.until, call.largest, connection_watches=alone)

    async def _send(self, client: "AsyncOpenAI", call: Call, watch: Watch) -> Any:
        import httpx2
        import openai

        from .http_errors import mapped

        if _loopback_only and not _LOOPBACK.match(client.base_url.host):
            raise ConfigError(f"a request to {client.base_url.host!r} was made where real models are forbidden")
        more: Any = {} if call.method == "delete" else {"stream": True, "stream_cls": openai.AsyncStream[Any]}
        if call.method == "post":
            more["content"] = call.body
        with mapped(client), watch.head():
            return await getattr(client, call.method)(
                call.path if self._server.client else f"{str(client.base_url).rstrip('/')}{call.path}",  # it is cheaper
                cast_to=httpx2.Response,
                options=_options_of(call, own=self._server.client is not None),
                **more,
            )

    @asynccontextmanager
    async def _lane(self) -> AsyncGenerator["AsyncOpenAI"]:
        lane = next((lane for lane in self._lanes if lane.busy < LANE or self._server.client), None)
        if lane is None:
            lane = _Lane(self._server.connect())
            if not self._lanes and self._server.client is None:
                await anext(self._closer)
            guard_logs(lane.client)
            self._lanes.append(lane)
        lane.busy += 1
        try:
            yield lane.client
        finally:
            lane.busy -= 1

    async def _close_when_the_loop_ends(self) -> AsyncGenerator[None]:
        """Started, never finished: asyncio and trio both close open async generators when an event loop ends."""
        try:
            yield
        finally:
            with anyio.move_on_after(CLOSE_SECONDS, shield=True):
                for lane in self._lanes:
                    await lane.client.close()


def _http_client() -> Any:
    """The SDK's aiohttp client where it can be had, which is much faster under load; else its usual one."""
    from openai import DefaultAioHttpClient, DefaultAsyncHttpxClient

    on_asyncio = "trio" not in type(current_token().native_token).__module__
    fast = on_asyncio and importlib.util.find_spec("aiohttp") is not None
    trust = _trust(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return bounded(DefaultAioHttpClient if fast else DefaultAsyncHttpxClient)(verify=trust)


@cache
def _trust(file: str | None, folder: str | None) -> Any:
    """Whose certificates are good, which takes long to read; httpx2 looks into the same two variables."""
    import httpx2

    return httpx2.create_ssl_context()


@cache
def _options() -> Any:
    """What each request has in common. Its headers do without those in which the SDK describes this machine."""
    from openai import Omit, not_given

    told = (
        "lang",
        "package-version",
        "os",
        "arch",
        "runtime",
        "runtime-version",
        "async",
        "retry-count",
        "read-timeout",
    )
    headers = {
        "Content-Type": "application/json",
        "Accept-Encoding": "gzip, deflate",
        **{f"X-Stainless-{name}": Omit() for name in told},
    }
    defaults = dict.fromkeys(("timeout", "post_parser"), not_given)  # else each request copies them
    return {"headers": headers, "security": {"bearer_auth": True}, "params": {}, "follow_redirects": False, **defaults}


@cache
def _timeout(head: float | None, idle: float | None) -> Any:
    """The connection's own time limits: it can watch over silences where these are all the same, else `Watch` does."""
    import httpx2

    connect, read = (CONNECT_SECONDS, HEAD_SECONDS) if head is None else (head, head)
    return httpx2.Timeout(None, connect=connect, read=read if idle in (None, read) else None)


def _options_of(call: Call, *, own: bool) -> Any:
    """The options of a request; a client of the caller's own keeps its time limits where the call has none."""
    options = {**_options(), "max_retries": call.retries}
    if not own:
        options["timeout"] = _timeout(call.timeout, call.idle_timeout)
    elif call.timeout is not None:
        options["timeout"] = max(call.timeout, call.idle_timeout or 0.0)
    if call.headers:
        options["headers"] = {**options["headers"], **call.headers}
    return options


async def _events(
    chunks: AsyncGenerator[bytes], response: Any, client: "AsyncOpenAI", watch: Watch
) -> AsyncGenerator[Event]:
    from .http_errors import bad_response, mapped

    splitter, body, start = EventSplitter(), list[bytes](), b""
    with mapped(client):
        while (chunk := await watch.next(chunks)) is not None:
            if body or (splitter.untouched and chunk.lstrip()[:1] == b"{"):
                body.append(chunk)
                watch.moved()
                continue
            events = splitter.feed(chunk)
            for event in events:
                yield event
            if any(event.name != "ping" for event in events):
                watch.moved()
            if not splitter.any and len(start) < 2000:
                start += chunk
    if body:
        yield Event("", b"".join(body))
    elif not splitter.any and start.strip() and "event-stream" not in response.headers.get("content-type", ""):
        raise bad_response("it is not a stream of events", start)


def _complete(error: ModelError, client: "AsyncOpenAI", response: Any) -> None:
    """Add to an error what is known of its answer, and strike the secrets out of it."""
    if isinstance(error, BadResponse):
        error.status = error.status or response.status_code
        kind = response.headers.get("content-type") or "none"
        error.args = (f"{error} (HTTP {response.status_code}, content type {kind[:100]!r})", *error.args[1:])
    error.request_id = error.request_id or response.headers.get("x-request-id")
    strike(error, client, response.request)
