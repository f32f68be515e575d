"""Every promise of the table in `guarantees.py`, on asyncio and trio, plain and streamed."""

import json
import logging
import traceback
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import pytest
import sniffio
from cancelling import accepted
from guarantees import KEY, PROMPT, ROWS, Row, Scene, shape
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from agentkit import Agent, Message
from agentkit.cancellation import is_cancelled
from agentkit.messages import ToolResult, dump_messages, unanswered
from agentkit.models.chat import ChatBackend
from agentkit.recording import Recorder
from agentkit.telemetry.recorder import SpanNode, SpanRecorder
from agentkit.testing import ChatServer, nothing_left_behind
from agentkit.testing.reply import ScriptedReply, as_reply
from agentkit.testing.strict import check

pytestmark = pytest.mark.anyio
PAGE = Path(__file__).parents[1] / "docs" / "guarantees.md"
FORMS = (
    KEY,
    KEY[-8:],
    b64encode(KEY.encode()).decode().rstrip("="),
    b64encode(f"me:{KEY}".encode()).decode().rstrip("="),
    quote(KEY, safe=""),
    json.dumps(KEY)[1:-1],
)
SPANS = {"invoke_agent": "R", "chat": "M", "execute_tool": "T"}


def cases() -> list[Any]:
    """Each row, plain and streamed, unless it is about one of them."""
    return [
        pytest.param(
            row,
            kind == "streamed",
            id=f"{row.name}-{kind}",
        )
        for row in ROWS
        for kind in ("plain", "streamed")
        if row.only in (None, kind)
    ]


class Trial:
    """One row, made to happen."""

    def __init__(self, row: Row, streamed: bool, folder: Path) -> None:
        self.row, self.streamed = row, streamed
        self.scene = Scene(row.store())
        self.spans = SpanRecorder()
        self.recording = folder / "run.jsonl"
        self.asked = 0
        self.error: BaseException | None = None
        self.cancelled = False
        self.result: Any = None
        self.shown = ""

    def answer(self, body: dict[str, Any]) -> ScriptedReply:
        """The server's next answer, if the request is one that the strictest provider takes."""
        check(body)
        assert self.asked < len(self.row.replies), "one request too many"
        reply: Any = self.row.replies[self.asked]
        self.asked += 1
        if self.row.cancel == "asked":
            self.scene.reached.set()
        return as_reply(reply(self.streamed) if callable(reply) else reply)

    async def happen(self) -> None:
        """Do it; nothing is left afterwards."""
        async with nothing_left_behind(telemetry=self.spans.telemetry, grace=5):
            async with ChatServer(self.answer, strict=False) as server:
                place = server.base_url if not self.row.gone else "http://127.0.0.1:1/v1"
                client = AsyncOpenAI(
                    base_url=place.replace("://", f"://me:{quote(KEY, safe='')}@"),
                    api_key=KEY,
                    default_headers={"x-api-key": KEY},
                    default_query={"api-key": KEY},
                    http_client=DefaultAsyncHttpxClient(verify=False),
                )
                try:
                    with anyio.fail_after(20):
                        await self._left_or_ended(self._agent(client))
                finally:
                    self.scene.release.set()
                    await client.close()

    def _agent(self, client: AsyncOpenAI) -> Agent:
        row = self.row
        agent = Agent(
            ChatBackend("m", client=client, retry=row.retry),
            tools=self.scene.tools(),
            output=row.answers_with,
            limits=row.limits,
            settings=row.settings,
            telemetry=self.spans.telemetry,
            journal=row.journal(),
        )
        self.shown += repr(agent)
        return agent

    async def _left_or_ended(self, agent: Agent) -> None:
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                if self.row.cancel in ("asked", "reached", "pause"):
                    group.start_soon(self._leave, scope)
                try:
                    self.result = await self._run(agent)
                except BaseException as error:
                    self.error, self.cancelled = error, is_cancelled(error)
                    if self.cancelled:
                        raise
            group.cancel_scope.cancel()

    async def _leave(self, scope: anyio.CancelScope) -> None:
        await self.scene.reached.wait()
        await anyio.wait_all_tasks_blocked()
        scope.cancel()

    async def _run(self, agent: Agent) -> Any:
        given: dict[str, Any] = {"steps": Recorder(self.recording)}
        given |= {"history": self.row.history} if self.row.history else {"session": self.scene.session}
        if not self.streamed:
            return await agent.run(PROMPT, **given)
        async with agent.stream(PROMPT, **given) as run:
            if self.row.cancel == "leave":
                async for _ in run:
                    if self.scene.reached.is_set():
                        break
                await self.scene.reached.wait()
                return None
            return await run.finish()

    async def history(self) -> Sequence[Message]:
        """What is known of the conversation afterwards: what is stored, where there is a session."""
        if not self.row.history:
            return (await self.scene.session.store.load("s")).messages
        return self.result.messages if self.result else getattr(self.error, "history", ())

    def ends_as_promised(self) -> None:
        """The error or the output, with its attributes; how often the server was asked."""
        row, came = self.row, self.error
        if row.cancel == "leave":
            assert came is None
        elif row.error is BaseException:
            assert self.cancelled, repr(came)
        elif row.error is not None:
            assert type(came) is row.error, repr(came)
        else:
            if came is not None:
                raise came
            assert self.result.output == row.output
        told = self.result if came is None else came
        assert {name: getattr(told, name) for name in row.attributes} == row.attributes
        assert self.asked == row.requests == len(row.replies[: row.requests])

    def history_is(self, messages: Sequence[Message]) -> None:
        """Valid for the strictest provider, and true."""
        row = self.row
        accepted(messages)
        assert unanswered(messages) == ()
        if row.shape is not None:
            assert shape(messages) == row.shape
        results = [message for message in messages if isinstance(message, ToolResult)]
        cut = [each for each in results if each.content.startswith("interrupted")]
        if row.state != "none":
            assert bool(cut) == (row.state == "S+i")
        if row.told:
            assert len(row.told) == len(results)
            for part, result in zip(row.told, results, strict=True):
                assert part in result.content
        assert "swordfish" not in dump_messages(messages).__str__()

    def nothing_ran_twice(self) -> None:
        """Nor does anything still run."""
        assert all(times == 1 for times in self.scene.ran.values())
        assert self.scene.going_on == 0
        if self.row.ran is not None:
            assert self.scene.ran.total() == self.row.ran

    def spans_tell(self) -> None:
        """Which operation failed; nothing that was said."""
        nodes = list(_all(self.spans.tree()))
        failed = {SPANS[node.name.split()[0]] for node in nodes if node.error is not None}
        assert failed == self.row.failed
        assert PROMPT not in repr(nodes)

    def shows_no_key(self, logs: str, messages: Sequence[Message]) -> None:
        """In none of its forms, wherever it could be."""
        shown = [self.shown, repr(self.result), repr(list(_all(self.spans.tree()))), logs, str(dump_messages(messages))]
        if self.recording.exists():
            shown.append(self.recording.read_text("utf-8"))
        shown += [text for link in _chain(self.error) for text in _texts(link)]
        for text in shown:
            for form in FORMS:
                assert form not in text


def _all(nodes: Sequence[SpanNode]) -> Iterator[SpanNode]:
    for node in nodes:
        yield node
        yield from _all(node.children)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo = [error]
    while todo:
        link = todo.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            todo += [link.__cause__, link.__context__]  # hidden ones too: error reporters walk them
            yield link


def _texts(error: BaseException) -> Iterator[str]:
    for show in (str, repr, lambda each: "".join(traceback.format_exception(each))):
        try:
            yield show(error)
        except RuntimeError:
            continue  # one that has no words
    yield repr({name: value for name, value in vars(error).items() if isinstance(value, str | tuple | list | dict)})
    yield repr(getattr(error, "__notes__", ()))


class Listening(logging.Handler):
    """Says when a pause before a retry begins."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial = trial

    def emit(self, record: logging.LogRecord) -> None:
        if self.trial.row.cancel == "pause" and "again in" in record.getMessage():
            self.trial.scene.reached.set()


@pytest.mark.parametrize(("row", "streamed"), cases())
async def test_what_is_promised_comes_true(
    row: Row, streamed: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The one result or error; an accepted and true history; nothing left behind, run twice, or shown of a key."""
    if row.asyncio_only and sniffio.current_async_library() != "asyncio":
        pytest.skip("only asyncio lets a task be cancelled from within")
    caplog.set_level(logging.DEBUG)
    trial = Trial(row, streamed, tmp_path)
    listening = Listening(trial)
    logging.getLogger("agentkit").addHandler(listening)
    try:
        await trial.happen()
    finally:
        logging.getLogger("agentkit").removeHandler(listening)
    trial.ends_as_promised()
    messages = () if row.state == "none" else await trial.history()
    if messages:
        trial.history_is(messages)
    trial.nothing_ran_twice()
    trial.spans_tell()
    trial.shows_no_key("\n".join(map(str, (record.getMessage() for record in caplog.records))), messages)
    warnings = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    if row.warns:
        assert any(row.warns in each for each in warnings), warnings
    assert not any(PROMPT in each for each in warnings)


def test_every_line_has_a_row() -> None:
    """None of the fifty behaviours is left out."""
    assert {line for row in ROWS for line in row.lines} == set(range(1, 51))


def table() -> str:
    """The rows as the page shows them."""
    lines = ["| | what goes wrong | what agentkit promises |", "|---|---|---|"]
    lines += [f"| {', '.join(map(str, row.lines))} | {row.wrong} | {row.promise} |" for row in ROWS]
    return "\n".join(lines)


def test_the_page_shows_the_table() -> None:
    """The users' page has the rows as they are tested."""
    assert table() in PAGE.read_text("utf-8"), f"docs/guarantees.md should have:\n{table()}"
