"""Where a conversation stands on the server, as `AssistantMessage.state` tells it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from hashlib import blake2b
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from agentkit.messages import AssistantMessage, Message, ToolCall, ToolResult, Usage, UserMessage, unanswered

from .ids import is_id

WIRE = "assistants"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """An answer, as the server holds it."""

    server: str
    """Host, port and path of its base URL."""
    thread: str
    run: str
    waiting: bool = False
    """Whether the run waits for the results of the answer's tool calls."""
    expires: float | None = None
    """When the run expires, in seconds of this machine's clock."""
    rounds: int = 0
    """How often the run has asked for tool results."""
    seen: tuple[str, ...] = ()
    """Ids of the run's messages and steps that this answer and earlier ones have told of."""
    ids: Mapping[str, str] = field(default_factory=dict)
    """The server's ids of the answer's tool calls, where they are not those of the `ToolCall`s."""
    usage: Usage = Usage()
    """What of the run's usage the answers so far have told."""
    digest: str = ""
    """A fingerprint of the conversation up to this answer."""
    resources: str = ""
    """A fingerprint of the files that the thread keeps for the server's tools."""

    def state(self) -> dict[str, Any]:
        """The place as JSON, as short as can be: of an answer that nothing waits for, little is still needed."""
        told = {name: value for name in (_ALL if self.waiting else _LASTING) if (value := getattr(self, name))}
        if self.waiting:
            told |= {"seen": list(self.seen), "ids": dict(self.ids), "usage": _known(self.usage)}
        return {"wire": WIRE, **told}

    def their_id(self, call: ToolCall) -> str:
        """What the server calls a tool call."""
        return self.ids.get(call.id, call.id)


_ALL = tuple(f.name for f in fields(Place))
_LASTING = ("server", "thread", "run", "digest", "resources")
_COUNTS = tuple(f.name for f in fields(Usage))


def _known(usage: Usage) -> dict[str, int]:
    return {name: count for name in _COUNTS if (count := getattr(usage, name)) is not None}


def place_of(message: Message, server: str) -> Place | None:
    """What a message says of this server; None if it was not made there."""
    state = message.state if isinstance(message, AssistantMessage) else None
    if not isinstance(state, Mapping) or state.get("wire") != WIRE or state.get("server") != server:
        return None
    told_of = _LASTING if state.get("waiting", False) is False else _ALL
    told = {name: state[name] for name in told_of if name in state}
    try:
        place = _adapter().validate_json(to_json(told), strict=True)
    except ValueError:  # another version's, or nobody's: the conversation gets a new thread
        return None
    return place if is_id(place.thread) and is_id(place.run) else None


@cache
def _adapter() -> TypeAdapter[Place]:
    return TypeAdapter(Place)


def digest_of(messages: Iterable[Message], server: str) -> str:
    """A fingerprint of a conversation: it changes with every word that is changed, left out or added.

    It is taken piece by piece, so that a conversation that goes on need not be read again from its beginning.
    """
    digest, fresh = "", list[Message]()
    for message in messages:
        fresh.append(message)
        if place_of(message, server) is not None:
            digest, fresh = extended(digest, fresh), []
    return extended(digest, fresh) if fresh else digest


def fingerprint(value: Any) -> str:
    """A fingerprint of JSON; none of nothing."""
    return blake2b(to_json(value), digest_size=12).hexdigest() if value else ""


def digest_with(messages: Sequence[Message], answer: AssistantMessage, server: str) -> str:
    """The fingerprint of a conversation with one more answer, given that of the last one."""
    at, place = _last_place(messages, server, None)
    return extended(place.digest if place else "", [*messages[at + 1 :], answer])


def extended(digest: str, fresh: Sequence[Message]) -> str:
    """The fingerprint of a conversation that has gone on."""
    hashed = blake2b(digest.encode(), digest_size=12)
    for message in fresh:
        hashed.update(message.encoded("assistants-digest", _essence))
    return hashed.hexdigest()


def _essence(message: Message) -> bytes:
    match message:
        case UserMessage(content=content):
            return to_json(["user", content])
        case AssistantMessage(text=text, tool_calls=calls):
            called = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in calls]
            return to_json(["assistant", text, called])
        case ToolResult(call_id=id, content=content):
            return to_json(["tool", id, content])


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Next, a run that waits is told the results of its tool calls."""

    place: Place
    outputs: tuple[tuple[str, str], ...]
    """The server's id of each call, and its result."""
    otherwise: "Words"
    """What to say in a new run, should this one wait no longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """Next, something is said in a new run."""

    place: Place | None
    """Where the conversation stood before; None if it is not on the server."""
    known: tuple[Message, ...]
    """What the thread should have already."""
    messages: tuple[Message, ...]
    """What the thread does not have yet."""


def next_move(messages: Sequence[Message], server: str, thread: str | None) -> Results | Words:
    """What comes next in a conversation.

    Args:
        thread: The one thread to look at; None for whichever the conversation is on.
    """
    at, place = _last_place(messages, server, thread)
    if place is None:
        return Words(place=None, known=(), messages=tuple(messages))
    known, rest = tuple(messages[: at + 1]), messages[at + 1 :]
    if not place.waiting:
        return Words(place=place, known=known, messages=tuple(rest))
    since_it_began = _since(known, server, place.run)
    carried = Words(place=place, known=known, messages=(*since_it_began, *rest))
    results = {message.call_id: message.as_text for message in rest if isinstance(message, ToolResult)}
    if len(results) < len(rest) or unanswered(messages):
        return carried
    answer = messages[at]
    assert isinstance(answer, AssistantMessage)
    outputs = tuple((place.their_id(call), results[call.id]) for call in answer.tool_calls)
    return Results(place=place, outputs=outputs, otherwise=carried)


def _last_place(messages: Sequence[Message], server: str, thread: str | None) -> tuple[int, Place | None]:
    for at in range(len(messages) - 1, -1, -1):
        place = place_of(messages[at], server)
        if place is not None and thread in (None, place.thread):
            return at, place
    return -1, None


def _since(messages: Sequence[Message], server: str, run: str) -> list[Message]:
    """What a run did, without its texts, which are on the thread whatever becomes of the run."""
    done: list[Message] = []
    for message in reversed(messages):
        place = place_of(message, server)
        if isinstance(message, AssistantMessage):
            if place is None or place.run != run:
                break
            done.append(AssistantMessage(tool_calls=message.tool_calls))
        elif isinstance(message, ToolResult):
            done.append(message)
        else:
            break
    return done[::-1]


def runs_in(messages: Iterable[Message], place: Place) -> set[str]:
    """The runs that a conversation knows on its thread."""
    places = (place_of(message, place.server) for message in messages)
    return {known.run for known in places if known is not None and known.thread == place.thread}
