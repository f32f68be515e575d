"""A run as server-sent events: what a browser reads, and what happens when it is slow or leaves."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, get_args

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr
from virtual_time import VIRTUAL

from agentkit import (
    Agent,
    AssistantMessage,
    ConfigError,
    Context,
    LimitExceeded,
    Limits,
    ModelAnswered,
    RunFinished,
    Secret,
    TextDelta,
    ToolCall,
    ToolFinished,
    ToolResult,
    ToolStarted,
    Usage,
    tool,
)
from agentkit.errors import RateLimited
from agentkit.events import (
    ApprovalNeeded,
    Event,
    HostedToolFinished,
    LimitReached,
    PartialOutput,
    ReasoningDelta,
    Retrying,
    RunResult,
    ToolCallDelta,
    ToolProgress,
)
from agentkit.messages import HostedCall, ImagePart, SearchHit
from agentkit.models.base import ModelResponse
from agentkit.models.sse import EventSplitter
from agentkit.sse import EVENTS, HEARTBEAT, error_to_json, event_to_json, send_sse, sse
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio


@tool
def log_in(user: str, password: SecretStr) -> str:
    """Log in."""
    return "in"


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


LOG_IN = ToolCall(id="c1", name="log_in", arguments='{"user": "ada", "password": "hunter2"}')
ADD = ToolCall(id="c2", name="add", arguments='{"a": 1, "b": 2}')
RESULT = ToolResult(call_id="c2", name="add", content="3")
ADD_SHOWN = {"id": "c2", "name": "add", "arguments": {"a": 1, "b": 2}}
NO_USAGE = {
    "input_tokens": None,
    "output_tokens": None,
    "cache_read_tokens": None,
    "cache_write_tokens": None,
    "reasoning_tokens": None,
}
FINISHED: RunResult[Any] = RunResult(
    value={"sum": 3}, messages=(), usage=Usage(), iterations=2, tool_calls=1, finish_reason="stop", run_id="r1"
)

SHOWN: list[tuple[Event, dict[str, Any]]] = [
    (TextDelta(text="Hi"), {"event": "text_delta", "text": "Hi"}),
    (ReasoningDelta(text="Hm"), {"event": "reasoning_delta", "text": "Hm"}),
    (
        ToolCallDelta(index=0, name="add", arguments='{"a"'),
        {"event": "tool_call_delta", "index": 0, "name": "add", "arguments": '{"a"'},
    ),
    (
        HostedToolFinished(
            call=HostedCall(
                id="h", tool="file_search", hits=(SearchHit(file_id="f", filename="a.md", score=0.5, text="x"),)
            )
        ),
        {
            "event": "hosted_tool_finished",
            "call": {
                "id": "h",
                "tool": "file_search",
                "input": "",
                "output": "",
                "files": [],
                "hits": [{"file_id": "f", "filename": "a.md", "score": 0.5, "text": "x"}],
            },
        },
    ),
    (
        Retrying(error="RateLimited", attempt=1, seconds=0.5),
        {"event": "retrying", "error": "RateLimited", "attempt": 1, "seconds": 0.5},
    ),
    (PartialOutput(value={"sum": 3}), {"event": "partial_output", "value": {"sum": 3}}),
    (
        ModelAnswered(
            response=ModelResponse(
                message=AssistantMessage(text="Hi", tool_calls=(ADD,)), finish_reason="tool_calls", model="m"
            ),
            iteration=1,
        ),
        {
            "event": "model_answered",
            "iteration": 1,
            "text": "Hi",
            "refusal": None,
            "tool_calls": [ADD_SHOWN],
            "finish_reason": "tool_calls",
            "usage": NO_USAGE,
            "model": "m",
        },
    ),
    (ToolStarted(call=ADD), {"event": "tool_started", "call": ADD_SHOWN}),
    (
        ToolProgress(call=ADD, value=[0.5, "half"]),
        {"event": "tool_progress", "call": ADD_SHOWN, "value": [0.5, "half"]},
    ),
    (
        ToolFinished(call=ADD, result=RESULT, seconds=0.25),
        {
            "event": "tool_finished",
            "call": ADD_SHOWN,
            "result": {"content": "3", "parts": [], "is_error": False, "untrusted": False},
            "seconds": 0.25,
        },
    ),
    (ApprovalNeeded(call=ADD), {"event": "approval_needed", "call": ADD_SHOWN}),
    (
        LimitReached(which="cost", limit=float("inf")),
        {"event": "limit_reached", "which": "cost", "limit": "Infinity"},
    ),
    (
        RunFinished(result=FINISHED),
        {
            "event": "run_finished",
            "output": {"sum": 3},
            "stopped_by": None,
            "waiting": [],
            "usage": NO_USAGE,
            "iterations": 2,
            "tool_calls": 1,
            "finish_reason": "stop",
            "run_id": "r1",
            "agent": "",
            "cost": None,
            "conversation": None,
            "trace_id": None,
        },
    ),
]


async def source(events: Iterable[Event]) -> AsyncIterator[Event]:
    for event in events:
        yield event


async def written(events: Iterable[Event], tools: Iterable[Any] = (add,)) -> bytes:
    return b"".join([chunk async for chunk in sse(source(events), tools=tools)])


def read(data: bytes) -> list[dict[str, Any]]:
    """What a browser's EventSource gets, by the rules of the HTML standard."""
    events, fields = list[dict[str, Any]](), dict[str, list[str]]()
    for line in re.split("\r\n|\n|\r", data.decode("utf-8", "strict")):
        if not line:
            if "data" in fields:
                told = json.loads("\n".join(fields["data"]))
                assert fields["event"] == [told["event"]]
                events.append(told | {"id": int(fields["id"][-1])})
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
    return events


# what is written


def test_every_event_has_a_name_and_a_form() -> None:
    """Whoever writes a client finds all that can come; a new event is not forgotten here."""
    kinds = set(get_args(Event))
    assert set(EVENTS) == kinds == {type(event) for event, _ in SHOWN}
    assert len(set(EVENTS.values())) == len(EVENTS)


def test_every_event_is_in_the_table_of_the_page() -> None:
    """Whoever writes a client reads there what can come, in the order of `events.py`."""
    page = (Path(__file__).parents[1] / "docs" / "streaming.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, re.MULTILINE)
    assert rows == [(kind.__name__, EVENTS[kind]) for kind in get_args(Event)]


@pytest.mark.parametrize(("event", "shown"), SHOWN, ids=[shown["event"] for _, shown in SHOWN])
def test_an_event_as_json(event: Event, shown: dict[str, Any]) -> None:
    """Our promise to clients: these fields, by these names."""
    assert event_to_json(event, [add]) == shown
    nested = event_to_json(ToolProgress(call=ADD, value=event), [add])
    assert nested["value"] == shown


async def test_the_bytes_of_an_event() -> None:
    """One id, one name, one line of data."""
    assert (
        await written([TextDelta(text="a\nb\r\n\u2028é")])
        == 'id: 1\nevent: text_delta\ndata: {"event":"text_delta","text":"a\\nb\\r\\n\u2028é"}\n\n'.encode()
    )


async def test_all_events_are_read_back_at_every_chunking() -> None:
    """Wherever the network cuts the bytes, a client reads what was written, and in that order."""
    data = await written([event for event, _ in SHOWN])
    assert read(data) == [{**shown, "id": number} for number, (_, shown) in enumerate(SHOWN, 1)]
    whole = EventSplitter().feed(data)
    assert [(each.name, json.loads(each.data)) for each in whole] == [(shown["event"], shown) for _, shown in SHOWN]
    for cut in range(len(data) + 1):
        splitter = EventSplitter()
        assert splitter.feed(data[:cut]) + splitter.feed(data[cut:]) == whole
    byte_by_byte = EventSplitter()
    assert [event for i in range(len(data)) for event in byte_by_byte.feed(data[i : i + 1])] == whole


ANY_TEXT = st.text(st.characters() | st.sampled_from("\r\n\x00\ud800\udfff\ufeff\u2028:"))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
)


ANY_EVENT = st.builds(TextDelta, text=ANY_TEXT) | st.builds(PartialOutput, value=ANY_JSON)


@given(st.lists(ANY_EVENT))
@example([TextDelta(text="\ud800 a\r\nid: 7\n\n\x00"), PartialOutput(value={"\udfff": "\n"})])
def test_any_text_and_any_json_arrives_as_it_is(events: list[TextDelta | PartialOutput]) -> None:
    """Line ends, NUL, half surrogate pairs: nothing that is said can end an event, or forge one."""
    data = anyio.run(written, events)
    assert [each.get("text", each.get("value")) for each in read(data)] == [
        each.text if isinstance(each, TextDelta) else each.value for each in events
    ]


class Odd:
    """Nothing that JSON has a form for."""

    def __repr__(self) -> str:
        return "hunter2"


class Hostile(Odd):
    """It breaks whoever looks at it."""

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        raise RuntimeError("hunter2")


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Odd(), "<Odd>"),
        ({"a": [Odd()]}, {"a": ["<Odd>"]}),
        (Hostile(), "<Hostile>"),
        (CYCLE, "<list>"),
        (float("nan"), "NaN"),
        ((1, {2: b"ab"}), [1, {"2": "YWI="}]),
        (SecretStr("hunter2"), "**********"),
    ],
    ids=["odd", "odd_inside", "hostile", "cycle", "nan", "bytes", "secret"],
)
def test_what_json_has_no_form_for_is_told_by_its_type(value: Any, shown: Any) -> None:
    """No `repr` reaches a client: it may hold anything."""
    assert event_to_json(ToolProgress(call=ADD, value=value), [add])["value"] == shown


# what is secret


@pytest.mark.parametrize("event", [ToolStarted(call=LOG_IN), ApprovalNeeded(call=LOG_IN)], ids=["started", "approval"])
def test_a_secret_argument_is_hidden(event: Event) -> None:
    """The others are shown."""
    assert event_to_json(event, [log_in])["call"]["arguments"] == {"user": "ada", "password": "***"}


def test_the_arguments_of_a_tool_that_is_not_given_are_hidden() -> None:
    """Nobody can tell what of them is secret."""
    assert event_to_json(ToolStarted(call=ADD))["call"]["arguments"] == "***"
    assert event_to_json(ToolCallDelta(index=0, name="add", arguments="{"))["arguments"] == "***"


def test_two_tools_of_one_name_are_not_taken_for_each_other() -> None:
    """A sub-agent may have a tool of the same name, with a secret where this one has none."""

    @tool(name="log_in")
    def other(user: str, password: str) -> str:
        """Log in elsewhere."""
        return "in"

    started = ToolStarted(call=LOG_IN)
    assert event_to_json(started, [log_in, other])["call"]["arguments"] == "***"
    assert event_to_json(started, [log_in, log_in])["call"]["arguments"] == {"user": "ada", "password": "***"}


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"user": "ada", "passwort": "hunter2"}', {"user": "ada", "passwort": "***"}),
        ('{"user": "ada", "password": "hunter2"', "***"),
        ('["hunter2"]', "***"),
    ],
    ids=["misspelt", "cut", "a_list"],
)
def test_arguments_that_do_not_fit_show_no_secret(arguments: str, shown: Any) -> None:
    """A model that misspells `password` has still written one."""
    event = ToolStarted(call=ToolCall(id="c", name="log_in", arguments=arguments))
    assert event_to_json(event, [log_in])["call"]["arguments"] == shown


def test_a_tool_without_secrets_shows_what_the_model_wrote() -> None:
    """Also where it is no JSON."""
    event = ToolStarted(call=ToolCall(id="c", name="add", arguments='{"a": '))
    assert event_to_json(event, [add])["call"]["arguments"] == '{"a": '


def test_a_secret_result_is_hidden() -> None:
    """Its text and its pictures."""
    result = ToolResult(
        call_id="c2", name="add", content="hunter2", parts=(ImagePart(url="https://x/hunter2"),), secret=True
    )
    shown = event_to_json(ToolFinished(call=ADD, result=result, seconds=1), [add])
    assert shown["result"] == {"content": "***", "parts": ["***"], "is_error": False, "untrusted": False}


async def test_no_secret_of_a_run_is_in_its_bytes() -> None:
    """What the model writes piece by piece, what the call holds, what comes back, and what a tool tells on its way."""

    @tool
    async def look(ctx: Context, user: str, password: SecretStr) -> Annotated[str, Secret]:
        """Look up the key of a user."""
        await ctx.progress("canary-3")
        return "canary-2"

    model = ScriptedModel([[call("look", user="ada", password="canary-1")], "Done."])
    async with Agent(model, tools=[look]).stream("go") as run:
        data = b"".join([chunk async for chunk in sse(run, tools=[look])])
    assert [each["event"] for each in read(data)][-1] == "run_finished"
    assert b'"ada"' in data
    assert b"canary" not in data


# how a run ends


class Own(Exception):
    """An error of somebody's own."""


@pytest.mark.parametrize(
    ("error", "message"),
    [(RateLimited("slow\ndown"), "slow\ndown"), (Own("hunter2"), "the run failed")],
    ids=["agentkit", "own"],
)
async def test_a_run_that_fails_says_so_to_the_client_and_to_the_server(error: Exception, message: str) -> None:
    """The client gets the class and agentkit's own words; the server's log gets the error itself."""

    async def failing() -> AsyncIterator[Event]:
        yield TextDelta(text="Hi")
        raise error

    chunks = list[bytes]()
    with pytest.raises(type(error)) as caught:
        async for chunk in sse(failing()):
            chunks.append(chunk)
    assert caught.value is error
    assert read(b"".join(chunks))[1:] == [
        {"event": "error", "error": type(error).__name__, "message": message, "run_id": None, "id": 2}
    ]


async def test_a_limit_is_told_in_its_own_words() -> None:
    """With the run's id, by which it is found in the log."""
    model = ScriptedModel([[call("add", a=1, b=2)]] * 3)
    chunks = list[bytes]()
    with pytest.raises(LimitExceeded) as caught:
        async with Agent(model, tools=[add], limits=Limits(iterations=1)).stream("go") as run:
            async for chunk in sse(run):
                chunks.append(chunk)
    assert read(b"".join(chunks))[-1] | {"id": 0} == {**error_to_json(caught.value), "id": 0}
    assert caught.value.run_id


async def test_a_run_that_waits_says_for_what() -> None:
    """The client can show what is to be approved, without the secrets."""

    @tool(approval=True)
    def pay(amount: int, pin: SecretStr) -> str:
        """Pay."""
        return "paid"

    model = ScriptedModel([[call("pay", amount=5, pin="hunter2")]])
    async with Agent(model, tools=[pay]).stream("go", approve="pause") as run:
        data = b"".join([chunk async for chunk in sse(run, tools=[pay])])
    finished = read(data)[-1]
    assert (finished["event"], finished["stopped_by"], finished["output"]) == ("run_finished", "paused", None)
    [waiting] = finished["waiting"]
    assert run.result.paused is not None
    assert (waiting["tool"], waiting["kind"], waiting["arguments"]) == ("pay", "approval", {"amount": 5, "pin": "***"})
    assert waiting["digest"] == run.result.paused.waiting[0].digest
    assert b"hunter2" not in data


# heartbeats


@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_a_heartbeat_is_sent_while_nothing_happens() -> None:
    """And no event is lost by it, nor counted."""
    seen, go_on = list[bytes](), anyio.Event()

    @tool
    async def think() -> str:
        """Think."""
        await go_on.wait()
        return "so"

    with anyio.fail_after(1000):
        async with Agent(ScriptedModel([[call("think")], "Hi"]), tools=[think]).stream("go") as run:
            async for chunk in sse(run, heartbeat=15):
                seen.append(chunk)
                if seen.count(HEARTBEAT) == 3:
                    go_on.set()
    assert seen.count(HEARTBEAT) == 3
    assert [each["id"] for each in read(b"".join(seen))] == list(range(1, len(seen) - 2))
    assert read(b"".join(seen))[-1]["event"] == "run_finished"


@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_no_event_is_lost_to_a_heartbeat_that_is_due_at_the_same_time() -> None:
    """Whichever of the two comes first."""
    send, receive = anyio.create_memory_object_stream[Event]()

    async def speak() -> None:
        async with send:
            for number in range(200):
                with anyio.move_on_after(0.5 if number % 2 else 1):
                    await anyio.sleep_forever()
                await send.send(TextDelta(text=str(number)))

    async with anyio.create_task_group() as group, receive:
        group.start_soon(speak)
        chunks = [chunk async for chunk in sse(receive, heartbeat=0.5)]
    assert HEARTBEAT in chunks
    assert [each["text"] for each in read(b"".join(chunks))] == list(map(str, range(200)))


@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_a_source_of_somebodys_own_is_never_interrupted() -> None:
    """A cancelled generator would be at its end."""

    async def slow() -> AsyncIterator[Event]:
        with anyio.move_on_after(60):
            await anyio.sleep_forever()
        yield TextDelta(text="at last")

    chunks = [chunk async for chunk in sse(slow(), heartbeat=1)]
    assert [each["text"] for each in read(b"".join(chunks))] == ["at last"]


@pytest.mark.parametrize("heartbeat", [0, -1, float("nan")])
async def test_a_heartbeat_without_a_pause_is_refused(heartbeat: float) -> None:
    """It would leave no time for events."""
    with pytest.raises(ConfigError, match="heartbeat"):
        await anext(sse(source([]), heartbeat=heartbeat))


# over HTTP

App = Callable[[Any, Any], Awaitable[None]]


async def serve(stream: ByteStream, app: App) -> None:
    """The smallest ASGI server: one request on one connection."""
    request, gone = b"", anyio.Event()
    while b"\r\n\r\n" not in request:
        request += await stream.receive()
    bodies = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if bodies:
            return bodies.pop()
        try:
            await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            gone.set()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        data = message.get("body", b"")
        if message["type"] == "http.response.start":
            lines = b"".join(b"%b: %b\r\n" % header for header in message["headers"])
            data = b"HTTP/1.1 %d OK\r\n%bconnection: close\r\n\r\n" % (message["status"], lines)
        try:
            await stream.send(data)
        except anyio.BrokenResourceError:
            raise ConnectionResetError from None

    async with stream:
        await app(receive, send)


@asynccontextmanager
async def server(app: App) -> AsyncIterator[Callable[[], Awaitable[ByteStream]]]:
    """A server on loopback; gives what connects to it, with a request that is sent."""

    async def connect() -> ByteStream:
        stream = await anyio.connect_tcp("127.0.0.1", port)
        await stream.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        return stream

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        port = listener.extra(SocketAttribute.local_port)
        group.start_soon(listener.serve, lambda stream: serve(stream, app))
        yield connect
        group.cancel_scope.cancel()


async def everything(stream: ByteStream) -> bytes:
    """The response, to its end."""
    async with stream:
        return b"".join([chunk async for chunk in stream])


async def test_a_client_reads_a_run_over_http() -> None:
    """The response is an event stream that nothing on the way keeps, and ends when the run has."""

    async def app(receive: Any, send: Any) -> None:
        agent = Agent(ScriptedModel([[call("add", a=1, b=2)], "It is 3."]), tools=[add])
        await send_sse(agent.stream("1+2?"), receive, send, tools=[add])

    with anyio.fail_after(10):
        async with server(app) as connect:
            head, _, body = (await everything(await connect())).partition(b"\r\n\r\n")
    assert head.splitlines()[:3] == [
        b"HTTP/1.1 200 OK",
        b"content-type: text/event-stream; charset=utf-8",
        b"cache-control: no-store",
    ]
    events = read(body)
    assert "".join(each["text"] for each in events if each["event"] == "text_delta") == "It is 3."
    assert [each["id"] for each in events] == list(range(1, len(events) + 1))
    assert events[-1]["output"] == "It is 3."


async def test_a_client_that_leaves_cancels_the_run() -> None:
    """Nobody pays for what nobody reads: the tool that runs is cancelled, and the app has ended."""
    started, ended = anyio.Event(), anyio.Event()
    tidied = list[str]()

    @tool
    async def wait() -> None:
        """Wait."""
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            tidied.append("tool")

    model = ScriptedModel([[call("wait")], "never"])

    async def app(receive: Any, send: Any) -> None:
        await send_sse(Agent(model, tools=[wait]).stream("go"), receive, send, heartbeat=None)
        tidied.append("app")
        ended.set()

    with anyio.fail_after(10):
        async with server(app) as connect:
            client = await connect()
            await started.wait()
            await client.aclose()
            await ended.wait()
    assert (tidied, len(model.requests)) == (["tool", "app"], 1)


async def test_a_slow_reader_sets_the_pace() -> None:
    """What a client does not read is not made: no queue grows in the server. When it reads on, nothing is missing."""
    made, total = 0, 300

    async def talk() -> AsyncIterator[Event]:
        nonlocal made
        for _ in range(total):
            made += 1
            yield TextDelta(text="x" * 100_000)

    async def app(receive: Any, send: Any) -> None:
        await send_sse(nullcontext(talk()), receive, send)

    with anyio.fail_after(30):
        async with server(app) as connect:
            client = await connect()
            body = await client.receive()
            await anyio.wait_all_tasks_blocked()
            assert made < total
            body += await everything(client)
    assert made == body.count(b"event: text_delta") == total


async def test_an_event_is_taken_when_the_one_before_is_sent() -> None:
    """Not one ahead."""
    made, sent = list[int](), list[int]()

    async def talk() -> AsyncIterator[Event]:
        for number in range(5):
            made.append(number)
            assert len(sent) == number
            yield TextDelta(text="x")

    async def receive() -> dict[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Any) -> None:
        await anyio.wait_all_tasks_blocked()
        if message.get("body"):
            sent.append(len(made))

    await send_sse(nullcontext(talk()), receive, send)
    assert sent == [1, 2, 3, 4, 5]


async def test_a_server_that_finds_the_client_gone_while_sending_ends_the_run() -> None:
    """It says so by an OSError; that is no failure. An OSError of the run is one."""

    async def receive() -> dict[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Any) -> None:
        if message.get("body"):
            raise ConnectionResetError

    async def take(message: Any) -> None:
        pass

    async def failing() -> AsyncIterator[Event]:
        yield TextDelta(text="x")
        raise OSError("the disk is full")

    with anyio.fail_after(10):
        async with Agent(ScriptedModel(["Hello there"])).stream("go") as run:
            await send_sse(nullcontext(run), receive, send)
        with pytest.raises(OSError, match="the disk is full"):
            await send_sse(nullcontext(failing()), receive, take)


async def test_a_failure_is_raised_when_the_response_is_complete() -> None:
    """The client's response is whole, with the error as its last event; the server logs the error, bare."""
    messages = list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Any) -> None:
        messages.append(message)

    with pytest.raises(RateLimited, match="slow down"):
        await send_sse(Agent(ScriptedModel([RateLimited("slow down")])).stream("go"), receive, send)
    assert read(messages[-2]["body"])[-1]["error"] == "RateLimited"
    assert messages[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_leaving_the_chunks_leaves_the_run_to_its_block() -> None:
    """The generator holds nothing open: closing it is safe in any task, and the block cancels the run."""
    model = ScriptedModel(["Hello there, you"])
    with anyio.fail_after(10):
        async with Agent(model).stream("go") as run:
            chunks = sse(run)
            await anext(chunks)
            async with anyio.create_task_group() as group:
                group.start_soon(chunks.aclose)
    with pytest.raises(ConfigError, match="no result yet"):
        _ = run.result


async def test_a_thousand_streams_at_once() -> None:
    """Each client gets its own run, whole."""

    async def receive() -> dict[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError

    bodies = [list[bytes]() for _ in range(1000)]

    async def one(number: int) -> None:
        async def send(message: Any) -> None:
            await anyio.lowlevel.checkpoint()
            bodies[number].append(message.get("body", b""))

        await send_sse(Agent(ScriptedModel([f"I am {number}."])).stream("who?"), receive, send)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for number in range(1000):
                group.start_soon(one, number)
    assert [read(b"".join(body))[-1]["output"] for body in bodies] == [f"I am {number}." for number in range(1000)]
