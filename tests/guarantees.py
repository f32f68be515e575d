"""The promises of a run as a table: what goes wrong, and what comes of it. `test_guarantees.py` makes each come true.

The numbers are those of the behaviours that agentkit promises; docs/guarantees.md shows the table to users.
"""

import asyncio
import gzip
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import anyio

from agentkit import Context, Limits, MemoryStore, Message, Session, ToolFailed, tool
from agentkit.errors import (
    AuthFailed,
    BadResponse,
    ConfigError,
    ConnectionFailed,
    ContentFiltered,
    ContextTooLong,
    LimitExceeded,
    ModelTimeout,
    QuotaExceeded,
    RateLimited,
    Refused,
    RequestRejected,
    RunTimeout,
    ServerFailed,
    SessionConflict,
    SessionCorrupt,
    SessionError,
    StreamBroken,
    Truncated,
)
from agentkit.journal import Effect, MemoryJournal
from agentkit.messages import AssistantMessage, ToolCall, ToolResult, UserMessage
from agentkit.models.base import ModelSettings
from agentkit.models.retry import Retry
from agentkit.sessions import Stored
from agentkit.sessions.form import decode
from agentkit.testing import Reply, call
from agentkit.testing.http_server import sse
from agentkit.testing.reply import Says

KEY = 'sk-canary/7+"x=Zq9'
"""What must be seen nowhere."""
PROMPT = "What is the secret of the pyramids?"

Answer: TypeAlias = Says | Reply | Callable[[bool], Reply]
"""What the server says; a function is told whether it is asked for a stream."""
State: TypeAlias = Literal["U", "S", "S+i", "none"]
"""What the history is: the user's message, all complete steps, or these and one that was interrupted."""


class Scene:
    """One run of one row: the tools, and a note of what they have done."""

    def __init__(self, store: Any = None) -> None:
        self.session = Session("s", store or MemoryStore())
        self.ran: Counter[str] = Counter()
        self.going_on = 0
        self.reached = anyio.Event()
        """The fault is there: who is to act from outside, acts now."""
        self.release = threading.Event()
        """Lets go of threads that tools hold."""

    def began(self, context: Context[Any]) -> None:
        """A tool has been called."""
        self.ran[context.call_id] += 1

    def tools(self) -> list[Any]:
        """All that rows call by name."""

        @tool
        async def add(a: int, b: int, ctx: Context[Any]) -> int:
            self.began(ctx)
            return a + b

        @tool
        async def give(what: str, ctx: Context[Any]) -> Any:
            self.began(ctx)
            return GIVEN[what]()

        @tool
        async def fail(how: str, ctx: Context[Any]) -> str:
            self.began(ctx)
            raise RAISED[how]()

        @tool
        def fail_in_a_thread(how: str, ctx: Context[Any]) -> str:
            self.began(ctx)
            raise RAISED[how]()

        @tool(errors="raise")
        async def fail_for_good(ctx: Context[Any]) -> str:
            self.began(ctx)
            raise RuntimeError("broken")

        @tool(errors="hide")
        async def fail_in_private(ctx: Context[Any]) -> str:
            self.began(ctx)
            raise RuntimeError("the password is swordfish")

        @tool
        async def hang(ctx: Context[Any]) -> str:
            self.began(ctx)
            self.going_on += 1
            try:
                self.reached.set()
                await anyio.sleep_forever()
            finally:
                self.going_on -= 1
            return "never"

        @tool
        async def swallow(ctx: Context[Any]) -> str:
            self.began(ctx)
            self.reached.set()
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                return "swallowed"
            return "never"

        @tool
        async def cancel_itself(ctx: Context[Any]) -> None:
            self.began(ctx)
            task = asyncio.ensure_future(asyncio.Event().wait())
            task.cancel()
            await task

        @tool
        def block(ctx: Context[Any]) -> str:
            self.began(ctx)
            self.release.wait(20)
            return "late"

        @tool
        async def hold_the_loop(ctx: Context[Any]) -> str:
            self.began(ctx)
            until = time.perf_counter() + 0.3
            while time.perf_counter() < until:
                pass
            return "held"

        @tool
        def where(ctx: Context[Any]) -> str:
            self.began(ctx)
            return "a worker thread" if threading.current_thread() is not threading.main_thread() else "the loop"

        @tool
        async def rival(ctx: Context[Any]) -> str:
            self.began(ctx)
            now = await self.session.store.load("s")
            message = UserMessage(content="I was first.")
            await self.session.store.append("s", [message], revision=now.revision)
            return "done"

        return [
            *(add, give, fail, fail_in_a_thread, fail_for_good, fail_in_private),
            *(hang, swallow, cancel_itself, block, hold_the_loop, where, rival),
        ]


class Unspeakable(Exception):
    """Does not say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


RAISED: Mapping[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError("no such city"),
    "long": lambda: ValueError("x" * 5000),
    "words": lambda: ToolFailed("try again tomorrow"),
    "unspeakable": Unspeakable,
    "interrupt": KeyboardInterrupt,
    "exit": lambda: SystemExit(3),
    "generator": GeneratorExit,
}
GIVEN: Mapping[str, Callable[[], Any]] = {
    "set": lambda: {3},
    "nan": lambda: [float("nan")],
    "bytes": lambda: b"\xff\x00",
    "object": object,
    "cycle": lambda: (a := [], a.append(a), a)[2],  # type: ignore[func-returns-value, var-annotated]
    "surrogate": lambda: "half \ud800 and \x00",
    "long": lambda: "a" * 150_000 + "z",
}


class FullStore(MemoryStore):
    """Takes one write, and then its disk is full."""

    writes = 0

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        self.writes += 1
        if self.writes > 1:
            raise OSError(28, "No space left on device")
        return await super().append(session_id, messages, revision=revision)


class DamagedStore(MemoryStore):
    """What it has is of a newer format."""

    async def load(self, session_id: str) -> Stored:
        return Stored(messages=decode('{"format": 99, "messages": []}', session_id), revision=1)


class CrashedJournal(MemoryJournal):
    """Another process had begun every effect, and was killed."""

    async def begin(self, effect: Effect) -> Effect | None:
        await super().begin(effect)
        return await super().begin(effect)


QUICK = Retry(first_pause=0.001, longest_pause=0.002)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One way in which something goes wrong, and what is promised."""

    lines: tuple[int, ...]
    wrong: str
    promise: str
    replies: Sequence[Answer] = ()
    error: type[BaseException] | None = None
    """What the run raises; with None it comes to an output."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Of the error, or of the result."""
    output: str | None = "Done."
    requests: int = 1
    """How many the server gets."""
    state: State = "S"
    shape: str | None = None
    """Who speaks in the history: u, a, t."""
    told: tuple[str, ...] = ()
    """What the model reads of its calls, in order: a part of each result."""
    ran: int | None = None
    """How many tool calls began."""
    failed: frozenset[str] = frozenset()
    """The spans with an error: R a run, M a model call, T a tool call."""
    warns: str = ""
    """What the log says."""
    limits: Limits = field(default_factory=Limits)
    settings: ModelSettings = field(default_factory=ModelSettings)
    retry: Retry = QUICK
    answers_with: type[Any] = str
    """The output type."""
    history: tuple[Message, ...] = ()
    store: Callable[[], Any] = MemoryStore
    journal: Callable[[], Any] = MemoryJournal
    cancel: Literal["asked", "reached", "pause", "leave", None] = None
    """Who leaves from outside, and when."""
    only: Literal["plain", "streamed", None] = None
    asyncio_only: bool = False
    """Whether it cannot happen on trio."""
    gone: bool = False
    """Whether nobody listens where the server should be."""

    @property
    def name(self) -> str:
        """For the test's id."""
        words = re.sub("[^a-z0-9]+", "-", self.wrong.lower()).strip("-")
        return f"line-{'-'.join(map(str, self.lines))}-{words}"


def said(message: Mapping[str, Any], finish: str | None = "stop", *, done: bool = True, **top: Any) -> Answer:
    """An answer as a server spells it, whole or as one event of a stream."""

    def reply(streamed: bool) -> Reply:
        usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
        about = {"id": "c1", "created": 1, "model": "m", **top}
        if not streamed:
            choices = [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}]
            body = {"object": "chat.completion", "usage": usage, "choices": choices, **about}
            return Reply(body=json.dumps(body).encode())
        delta = dict(message)
        if isinstance(message.get("tool_calls"), list):
            delta["tool_calls"] = [{"index": n, **each} for n, each in enumerate(message["tool_calls"])]
        choices = [{"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish}]
        events = sse(json.dumps({"object": "chat.completion.chunk", "choices": choices, **about}))
        return Reply(body=events + (sse("[DONE]") if done else b""), headers=STREAM)

    return reply


def calls(*written: tuple[str, Any], finish: str = "tool_calls", ids: Sequence[Any] = (), **more: Any) -> Answer:
    """An answer that calls tools, the arguments as they stand."""
    made = [
        {
            **({"id": ids[n]} if n < len(ids) else {"id": f"c{n}"}),
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for n, (name, arguments) in enumerate(written)
    ]
    return said({"content": None, "tool_calls": made, **more}, finish)


def body(text: bytes, kind: str = "application/json", **headers: str) -> Answer:
    """Bytes instead of an answer; in a stream, the data of an event."""
    return lambda streamed: Reply(body=text, headers={"content-type": kind, **headers})


def event(text: bytes) -> Answer:
    """The same, where a stream has it as the data of an event."""
    return lambda streamed: (
        Reply(body=b"data: " + text + b"\n\ndata: [DONE]\n\n", headers=STREAM)
        if streamed
        else Reply(body=text, headers={"content-type": "application/json"})
    )


STREAM = {"content-type": "text/event-stream"}
ADD = [call("add", a=1, b=2)]
HELD = b'data: {"choices":[{"index":0,"delta":{"content":"Do"},"finish_reason":null}]}\n\n'
RM, RT, M, T, R = frozenset("RM"), frozenset("RT"), frozenset("M"), frozenset("T"), frozenset("R")
ONCE = Retry(times=0)


def fed_back(lines: tuple[int, ...], wrong: str, promise: str, answer: Answer, *told: str, **more: Any) -> Row:
    """A row whose fault is told to the model, which then answers."""
    given: dict[str, Any] = {"requests": 2, "shape": "ua" + "t" * len(told) + "a", "failed": T, "ran": 0, **more}
    return Row(lines=lines, wrong=wrong, promise=promise, replies=[answer, "Done."], told=told, **given)


def ends(
    lines: tuple[int, ...], wrong: str, promise: str, error: type[BaseException], *replies: Answer, **more: Any
) -> Row:
    """A row whose only model call fails."""
    given: dict[str, Any] = {"state": "U", "shape": "u", "failed": RM, "output": None, **more}
    return Row(lines=lines, wrong=wrong, promise=promise, error=error, replies=replies, **given)


def _http() -> tuple[Row, ...]:
    echo = f"the key {KEY} is not right"
    slow = Reply(status=429, headers={"retry-after-ms": "20"})
    return (
        Row(
            lines=(1,),
            wrong="429 with a short Retry-After",
            promise="waits as long, and asks again",
            replies=[slow, "Done."],
            requests=2,
            shape="ua",
            warns="RateLimited",
        ),
        ends(
            (2,),
            "429 with a Retry-After above `Retry.max_wait`",
            "`RateLimited` at once",
            RateLimited,
            Reply(status=429, headers={"retry-after": "3600"}),
            attributes={"retry_after": 3600},
        ),
        ends(
            (3,),
            "429, the account has run out",
            "`QuotaExceeded` at once",
            QuotaExceeded,
            Reply(status=429, error_code="insufficient_quota"),
        ),
        Row(
            lines=(4,),
            wrong="5xx, then it is well again",
            promise="asks again",
            replies=[Reply(status=503), Reply(status=500), "Done."],
            requests=3,
            shape="ua",
            warns="ServerFailed",
        ),
        ends(
            (4,),
            "5xx again and again",
            "asks two more times, then `ServerFailed`",
            ServerFailed,
            *[Reply(status=502, error=echo)] * 3,
            requests=3,
        ),
        Row(
            lines=(4,),
            wrong="409 and 408",
            promise="asks again",
            replies=[Reply(status=409), Reply(status=408), "Done."],
            requests=3,
            shape="ua",
        ),
        Row(
            lines=(4,),
            wrong="reset before the answer",
            promise="asks again",
            replies=[Reply(fault="reset_before_head"), Reply(fault="close_before_head"), "Done."],
            requests=3,
            shape="ua",
        ),
        ends(
            (4,),
            "nobody listens at the address",
            "asks two more times, then `ConnectionFailed`",
            ConnectionFailed,
            requests=0,
            gone=True,
        ),
        ends(
            (5,),
            "401, and the server echoes the key",
            "`AuthFailed` at once, without the key",
            AuthFailed,
            Reply(status=401, error=echo),
        ),
        ends((5,), "403", "`AuthFailed` at once", AuthFailed, Reply(status=403, error=echo)),
        *(
            ends((6,), f"{status}", "`RequestRejected` at once", RequestRejected, Reply(status=status, error=echo))
            for status in (400, 404, 422)
        ),
        Row(
            lines=(6,),
            wrong="400 after a step",
            promise="`RequestRejected`; the step is kept",
            replies=[ADD, Reply(status=400)],
            error=RequestRejected,
            output=None,
            requests=2,
            shape="uat",
            failed=RM,
            ran=1,
        ),
        ends(
            (6,),
            "400, the conversation is too long",
            "`ContextTooLong`",
            ContextTooLong,
            Reply(status=400, error_code="context_length_exceeded"),
        ),
        ends(
            (7,),
            "the connection breaks after text was delivered",
            "`StreamBroken` with the text; not asked again",
            StreamBroken,
            Reply(message="Done, and more.", fault="reset", fault_after=2),
            only="streamed",
            attributes={"partial": "Done, an"},
        ),
        ends(
            (7,),
            "the server reports an error after text was delivered",
            "that error; not asked again",
            RateLimited,
            lambda _: Reply(
                body=HELD + sse('{"error": {"message": "", "code": "rate_limit_exceeded"}}'), headers=STREAM
            ),
            only="streamed",
        ),
        ends(
            (8,),
            "a stream ends without saying so",
            "`StreamBroken`",
            StreamBroken,
            said({"content": "Do"}, None, done=False),
            only="streamed",
            attributes={"partial": "Do"},
        ),
        Row(
            lines=(8,),
            wrong="[DONE] without finish_reason",
            promise="is an end",
            replies=[said({"content": "Done."}, None)],
            shape="ua",
            only="streamed",
        ),
        Row(
            lines=(8,),
            wrong="finish_reason without [DONE]",
            promise="is an end",
            replies=[said({"content": "Done."}, done=False)],
            shape="ua",
            only="streamed",
        ),
        ends(
            (9,),
            "no answer begins within `timeout`",
            "`ModelTimeout`",
            ModelTimeout,
            Reply(delay_until="never"),
            settings=ModelSettings(timeout=0.25),
            retry=ONCE,
        ),
        ends(
            (9,),
            "an answer begins, and then nothing comes",
            "`ModelTimeout` after `idle_timeout`",
            ModelTimeout,
            lambda s: Reply(body=HELD, headers=STREAM, drip=200, delay_until="never", delay_after=0),
            settings=ModelSettings(idle_timeout=0.25),
            retry=ONCE,
        ),
        ends(
            (9,),
            "a request takes longer than its `deadline`",
            "`ModelTimeout`",
            ModelTimeout,
            Reply(delay_until="never"),
            settings=ModelSettings(deadline=0.25),
        ),
        ends(
            (11,),
            "an answer larger than `max_response_bytes`",
            "`BadResponse`; the rest is not read",
            BadResponse,
            "x" * 3000,
            settings=ModelSettings(max_response_bytes=1000),
            only="plain",
        ),
        ends(
            (11,),
            "a gzip bomb",
            "`BadResponse`; counted unpacked",
            BadResponse,
            body(gzip.compress(b" " * 300_000), **{"content-encoding": "gzip"}),
            settings=ModelSettings(max_response_bytes=100_000),
        ),
        *(
            ends((12,), f"a 200 that is {name}", "`BadResponse`", BadResponse, body(text, kind), retry=ONCE)
            for name, text, kind in (
                ("no JSON", b'{"choices": [', "application/json"),
                ("no UTF-8", b'{"choices": "\xff\xfe"}', "application/json"),
                ("a page of HTML", b"<html>Sign in</html>", "text/html"),
            )
        ),
        ends((12,), "an event that is no JSON", "`BadResponse`", BadResponse, event(b"{not json"), retry=ONCE),
        ends(
            (13,),
            "200 with an error in it",
            "the error it is",
            RateLimited,
            event(b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'),
            retry=ONCE,
        ),
        ends(
            (13,),
            "200 with an error of no known kind",
            "`ServerFailed`, with the provider's words",
            ServerFailed,
            event(b'{"error": {"message": "the hamster is tired"}}'),
            retry=ONCE,
        ),
    )


def _answers() -> tuple[Row, ...]:
    empty = {"content": None}
    cut = calls(("add", '{"a": 1, "b"'), finish="length")
    return (
        Row(
            lines=(14,),
            wrong="no choices, once",
            promise="asks once more",
            replies=[event(b'{"choices": []}'), "Done."],
            requests=2,
            shape="ua",
        ),
        ends((14,), "no choices, twice", "`BadResponse`", BadResponse, *[event(b'{"choices": []}')] * 2, requests=2),
        Row(
            lines=(15,),
            wrong="neither text nor calls, once",
            promise="asks once more",
            replies=[said(empty), "Done."],
            requests=2,
            shape="ua",
        ),
        ends(
            (15,),
            "neither text nor calls, twice",
            "`BadResponse`; an output is never None",
            BadResponse,
            said(empty),
            said(empty),
            requests=2,
        ),
        Row(
            lines=(16,),
            wrong="a text cut at the token limit",
            promise="the result says so: `truncated`",
            replies=[Reply(message="Done.", finish_reason="length")],
            shape="ua",
            attributes={"truncated": True, "finish_reason": "length"},
        ),
        ends(
            (16,),
            "the same with `strict_finish`",
            "`Truncated`",
            Truncated,
            Reply(message="Done.", finish_reason="length"),
            settings=ModelSettings(strict_finish=True),
            attributes={"partial": "Done."},
        ),
        ends(
            (16,),
            "structured output cut at the token limit",
            "`Truncated`, always",
            Truncated,
            Reply(message='{"response": [1, 2', finish_reason="length"),
            answers_with=list[int],
            shape=None,
        ),
        fed_back(
            (17,),
            "a tool call cut at the token limit",
            "nothing of that answer runs; the model is told",
            cut,
            "cut",
            failed=frozenset(),
        ),
        Row(
            lines=(17,),
            wrong="the same twice in a row",
            promise="`Truncated`",
            replies=[cut, cut],
            requests=2,
            error=Truncated,
            output=None,
            shape="uatat",
            state="S",
            failed=R,
            ran=0,
        ),
        ends(
            (18,),
            "the provider withholds the answer",
            "`ContentFiltered`",
            ContentFiltered,
            said({"content": "So"}, "content_filter"),
        ),
        ends(
            (18,),
            "the model refuses",
            "`Refused`, with its words",
            Refused,
            said({"refusal": "I will not."}),
            attributes={"text": "I will not."},
        ),
        Row(
            lines=(19,),
            wrong="no usage is told",
            promise="unknown is not 0: limits count an estimate",
            replies=[said({"content": "Done."}, usage=None)],
            shape="ua",
        ),
        Row(
            lines=(20,),
            wrong="unknown fields, and a finish_reason nobody knows",
            promise="are passed over, and kept in `ModelResponse.raw`",
            replies=[said({"content": "Done.", "tool_calls": [], "mood": 1}, "tired", vendor={"a": 1})],
            shape="ua",
            attributes={"finish_reason": "tired"},
        ),
        fed_back(
            (20,),
            'finish_reason "stop" with tool calls',
            "they are calls",
            calls(("add", '{"a": 1, "b": 2}'), finish="stop"),
            "3",
            failed=frozenset(),
            ran=1,
        ),
        fed_back(
            (21,),
            "text and tool calls in one answer",
            "both are kept",
            calls(("add", '{"a": 1, "b": 2}'), content="I add."),
            "3",
            failed=frozenset(),
            ran=1,
        ),
        fed_back(
            (22, 28),
            "two calls without ids, or with one id",
            "each gets an id and a result of its own",
            calls(("add", '{"a": 1, "b": 2}'), ("add", '{"a": 2, "b": 2}'), ids=("x", "x")),
            "3",
            "4",
            failed=frozenset(),
            ran=2,
        ),
        fed_back(
            (28,),
            "calls without ids",
            "get some",
            calls(("add", '{"a": 1, "b": 2}'), ids=(None,)),
            "3",
            failed=frozenset(),
            ran=1,
        ),
        *(
            fed_back(
                (23, 26),
                f"arguments that are {name}",
                "the tool does not run; the model is told",
                calls(("add", text)),
                "",
            )
            for name, text in (
                ("no JSON", "{a: 1"),
                ("a list", "[1, 2]"),
                ("NaN", '{"a": NaN, "b": 2}'),
                ("told twice", '{"a": 1, "a": 2, "b": 2}'),
                ("10,000 deep", "[" * 10_000),
            )
        ),
        fed_back(
            (23,),
            "arguments longer than `argument_chars`",
            "the tool does not run; the model is told",
            calls(("add", '{"a": 1, "b": ' + " " * 2000 + "2}")),
            "",
            limits=Limits(argument_chars=1000),
        ),
        fed_back(
            (24,),
            "arguments that are empty, null, an object, or JSON in a string",
            "are read as they are meant",
            calls(("where", ""), ("where", None), ("add", {"a": 1, "b": 2}), ("add", json.dumps('{"a": 2, "b": 2}'))),
            "a worker",
            "a worker",
            "3",
            "4",
            failed=frozenset(),
            ran=4,
        ),
        fed_back(
            (25,),
            "arguments of the wrong type, or too many",
            "told with the path; the tool does not run",
            calls(("add", '{"a": "one", "b": 2}'), ("add", '{"a": 1, "b": 2, "c": 3}')),
            "a",
            "c",
        ),
        fed_back(
            (27,),
            "tools that are not there",
            "the model is told which there are",
            calls(("Add", "{}"), ("functions.add", "{}"), ("", "{}")),
            "add",
            "add",
            "",
        ),
        fed_back(
            (29,),
            "more calls than may run at the same time",
            "wait for their turn, and all run, in order",
            calls(*[("add", json.dumps({"a": n, "b": 0})) for n in range(6)]),
            *map(str, range(6)),
            failed=frozenset(),
            ran=6,
            limits=Limits(tool_concurrency=2),
        ),
        fed_back(
            (29,),
            "more calls than an answer may have",
            "the rest is refused, and the model told",
            calls(*[("add", json.dumps({"a": n, "b": 0})) for n in range(4)]),
            "0",
            "1",
            "",
            "",
            ran=2,
            limits=Limits(calls_per_iteration=2),
        ),
    )


def _tools() -> tuple[Row, ...]:
    def failing(how: str, name: str = "fail") -> list[ToolCall]:
        return [call(name, how=how)]

    def giving(*what: str) -> list[ToolCall]:
        return [call("give", what=each) for each in what]

    return (
        fed_back(
            (30,),
            "a tool raises",
            "the model reads type and words, and the run goes on",
            failing("value"),
            "ValueError: no such city",
            ran=1,
        ),
        fed_back(
            (30,),
            "the same in a thread",
            "the same",
            failing("value", "fail_in_a_thread"),
            "ValueError: no such city",
            ran=1,
        ),
        fed_back(
            (30,),
            'the same with `errors="hide"`',
            "the model reads the type only",
            [call("fail_in_private")],
            "RuntimeError",
            ran=1,
        ),
        Row(
            lines=(30,),
            wrong='the same with `errors="raise"`',
            promise="`ToolFailed`; the others are cancelled first",
            replies=[[call("hang"), call("fail_for_good")]],
            error=ToolFailed,
            output=None,
            state="S+i",
            shape="uatt",
            failed=RT,
            ran=2,
        ),
        fed_back(
            (31,),
            "an exception without words",
            "the model reads its type",
            failing("unspeakable"),
            "Unspeakable",
            ran=1,
        ),
        *(
            Row(
                lines=(32,),
                wrong=f"{kind.__name__} in a tool{place}",
                replies=[[call("hang"), call(name, how=how)]],
                promise="ends the run as it is, once the others have ended",
                error=kind,
                output=None,
                state="S+i",
                shape="uatt",
                failed=RT,
                ran=2,
            )
            for kind, how in ((KeyboardInterrupt, "interrupt"), (SystemExit, "exit"), (GeneratorExit, "generator"))
            for name, place in (("fail", ""), ("fail_in_a_thread", "'s thread"))
        ),
        fed_back(
            (34,),
            "an async tool takes too long",
            "is cancelled, and the model told",
            [call("hang")],
            "",
            ran=1,
            limits=Limits(tool_seconds=0.1),
        ),
        fed_back(
            (34,),
            "a sync tool takes too long",
            "its thread is left behind, and the model told",
            [call("block")],
            "may still take effect",
            ran=1,
            limits=Limits(tool_seconds=0.1),
        ),
        fed_back(
            (35,),
            "a tool gives a set, NaN, bytes",
            "each has a JSON form",
            giving("set", "nan", "bytes"),
            "[3]",
            "null",
            "",
            ran=3,
            failed=frozenset(),
        ),
        fed_back(
            (35,),
            "a tool gives what has none",
            "the model is told its type",
            giving("object", "cycle"),
            "object",
            "",
            ran=2,
        ),
        fed_back(
            (36,),
            "half a character, and NUL",
            "are replaced",
            giving("surrogate"),
            "half \ufffd and \u2400",
            ran=1,
            failed=frozenset(),
        ),
        fed_back(
            (37,),
            "a result longer than `result_chars`",
            "loses its middle, and says so",
            giving("long"),
            "omitted",
            ran=1,
            failed=frozenset(),
        ),
        fed_back(
            (38,),
            "a tool that is not async",
            "runs in a thread",
            [call("where")],
            "a worker thread",
            ran=1,
            failed=frozenset(),
        ),
        fed_back(
            (38,),
            "an async tool holds up the event loop",
            "the log names it",
            [call("hold_the_loop")],
            "held",
            ran=1,
            failed=frozenset(),
            warns="hold_the_loop",
        ),
    )


def _from_outside() -> tuple[Row, ...]:
    over = Row(
        lines=(10,),
        wrong="the run takes longer than `Limits.seconds`",
        promise="`RunTimeout`; its tools are cancelled",
        replies=[[call("hang"), call("add", a=1, b=2)]],
        error=RunTimeout,
        output=None,
        attributes={"which": "seconds"},
        state="S+i",
        shape="uatt",
        failed=RT,
        ran=2,
        limits=Limits(seconds=0.4),
    )
    leaving: dict[str, Any] = {"error": BaseException, "output": None}
    return (
        over,
        Row(
            lines=(39,),
            wrong="cancelled while tools run",
            promise="they are cancelled and awaited; so it is stored",
            replies=[[call("add", a=1, b=2), call("hang")]],
            cancel="reached",
            state="S+i",
            shape="uatt",
            failed=RT,
            ran=2,
            **leaving,
        ),
        Row(
            lines=(39,),
            wrong="cancelled while the model answers",
            promise="the connection is closed",
            replies=[Reply(delay_until="never")],
            cancel="asked",
            state="U",
            shape="u",
            failed=RM,
            **leaving,
        ),
        Row(
            lines=(40,),
            wrong="a tool swallows its cancellation",
            promise="what it gives is kept; the run ends yet",
            replies=[[call("swallow")], "Never."],
            cancel="reached",
            state="S",
            shape="uat",
            told=("swallowed",),
            failed=R,
            ran=1,
            **leaving,
        ),
        Row(
            lines=(41,),
            wrong="cancelled in the pause before a retry",
            promise="at once",
            replies=[Reply(status=500)],
            cancel="pause",
            retry=Retry(first_pause=600, longest_pause=600),
            state="U",
            shape="u",
            failed=RM,
            **leaving,
        ),
        Row(
            lines=(42,),
            wrong="the watcher leaves the stream",
            promise="the run is cancelled, and nothing goes on",
            replies=[[call("hang")]],
            cancel="leave",
            only="streamed",
            state="S+i",
            shape="uat",
            failed=RT,
            ran=1,
            **leaving,
        ),
        Row(
            lines=(43,),
            wrong="N iterations are over",
            promise="exactly N model calls; the last one's calls do not run",
            replies=[ADD, ADD],
            error=LimitExceeded,
            output=None,
            attributes={"which": "iterations", "limit": 2},
            requests=2,
            shape="uatat",
            ran=1,
            failed=R,
            limits=Limits(iterations=2),
        ),
        Row(
            lines=(43,),
            wrong="wrong arguments for ever",
            promise="come to the same limit",
            replies=[calls(("add", "{"))] * 3,
            error=LimitExceeded,
            output=None,
            attributes={"which": "iterations"},
            requests=3,
            shape="uatatat",
            ran=0,
            failed=RT,
            limits=Limits(iterations=3),
        ),
        Row(
            lines=(43,),
            wrong="a batch above the limit of tool calls",
            promise="the rest is refused; it can still answer",
            replies=[[call("add", a=n, b=0) for n in range(6)], "Done."],
            requests=2,
            shape="uatttttta",
            ran=3,
            failed=T,
            limits=Limits(tool_calls=3),
        ),
        Row(
            lines=(43,),
            wrong="tokens are used up",
            promise="`LimitExceeded` before the next model call",
            replies=[Reply(message=ADD)],
            error=LimitExceeded,
            output=None,
            attributes={"which": "tokens"},
            requests=1,
            shape="uat",
            state="S",
            ran=None,
            failed=R,
            limits=Limits(tokens=700),
        ),
        Row(
            lines=(44,),
            wrong="another run has changed the session",
            promise="`SessionConflict`; nothing is overwritten",
            replies=[[call("rival")]],
            error=SessionConflict,
            output=None,
            state="none",
            failed=R,
            ran=1,
        ),
        Row(
            lines=(45,),
            wrong="a process was killed in a call, and the session is taken up again",
            promise="the call is not made again; the model is told",
            replies=["Done."],
            journal=CrashedJournal,
            history=(UserMessage(content="Add."), AssistantMessage(tool_calls=tuple(ADD))),
            shape="uatua",
            state="S+i",
            ran=0,
            failed=T,
        ),
        Row(
            lines=(46,),
            wrong="the store fails",
            promise="`SessionError` before anything else is done",
            replies=[ADD],
            error=SessionError,
            output=None,
            state="none",
            failed=R,
            store=FullStore,
        ),
        Row(
            lines=(47,),
            wrong="what is stored is damaged, or newer",
            promise="`SessionCorrupt`; it is left as it is",
            error=SessionCorrupt,
            output=None,
            state="none",
            requests=0,
            failed=R,
            store=DamagedStore,
        ),
        Row(
            lines=(48,),
            wrong="a history with a call that was never answered",
            promise="is repaired, and the log says so",
            replies=["Done."],
            history=(
                UserMessage(content="Add."),
                AssistantMessage(tool_calls=tuple(ADD)),
                UserMessage(content="Well?"),
            ),
            shape="uatuua",
            state="S+i",
            warns="history",
        ),
        Row(
            lines=(48,),
            wrong="a history that is none",
            promise="`ConfigError`",
            requests=0,
            error=ConfigError,
            output=None,
            state="none",
            history=("nonsense",),  # type: ignore[arg-type]
        ),
        fed_back(
            (33,),
            "a tool cancels itself",
            "has failed, and nobody else",
            [call("cancel_itself")],
            "",
            asyncio_only=True,
            ran=1,
        ),
        Row(
            lines=(49,),
            wrong="a retry",
            promise="is a warning, without prompt, body or key",
            replies=[Reply(status=500, error=f"{KEY} {PROMPT}"), "Done."],
            requests=2,
            shape="ua",
            warns="attempt 1: ServerFailed",
        ),
        Row(
            lines=(50,),
            wrong="a run is traced",
            promise="sizes, ids, types; no content",
            replies=[ADD, "Done."],
            requests=2,
            shape="uata",
            ran=1,
        ),
    )


ROWS: tuple[Row, ...] = tuple(sorted((*_http(), *_answers(), *_tools(), *_from_outside()), key=lambda row: row.lines))


def shape(messages: Sequence[Message]) -> str:
    """Who speaks, in order: u, a, t."""
    letters = {UserMessage: "u", AssistantMessage: "a", ToolResult: "t"}
    return "".join(letters[type(message)] for message in messages)
