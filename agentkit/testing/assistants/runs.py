"""Moves runs through their states: when they are read, by themselves, and when their time is over.

queued -> in_progress -> requires_action -> queued ... -> completed | incomplete | failed
and, before one of these: cancelling -> cancelled, or expired
"""

import inspect
from collections.abc import AsyncGenerator, Awaitable
from typing import Any

from anyio import CancelScope
from anyio.abc import TaskGroup

from agentkit.messages import AssistantMessage, ToolResult
from agentkit.models.chat.encode import encode_message
from agentkit.testing.refusal import Refusal
from agentkit.testing.reply import Reply, ScriptedReply

from .events import answering, cancelling, ending, finish_step, resuming
from .model import ScriptedTurns, request_of, turn_of
from .quirks import Event
from .state import EXPIRING, Run, Said, Thread, Turn


class Runs:
    """The engine of all runs. There is nothing that moves a run but its methods."""

    def __init__(self, turns: ScriptedTurns) -> None:
        self._turns = turns
        self._tasks: TaskGroup | None = None
        self.failures: list[Exception] = []
        """What scripts have raised."""

    def open(self, tasks: TaskGroup) -> None:
        """From now on, async scripts are awaited in this task group."""
        self._tasks = tasks

    def close(self) -> None:
        """From now on, nothing happens."""
        self._tasks = None

    def settle(self, thread: Thread) -> None:
        """Let happen on a thread what has happened by now: before any request looks at it."""
        if (run := thread.active) is not None:
            self._expire(run)
            if run.streamed and not run.is_followed and run.status != "cancelling":
                self.play(run)

    def play(self, run: Run) -> None:
        """Let happen at once what need not wait."""
        while self._advance(run):
            pass

    async def read(self, run: Run) -> None:
        """Take a run as far as a look at it does: out of the queue, or through the model's turn."""
        if run.status == "cancelling":
            self.play(run)
        elif run.is_followed:
            return
        elif run.status == "queued" and not run.streamed:
            while run.status == "queued" and self._advance(run):
                pass
        else:
            await self._finish(run)

    async def follow(self, run: Run, start: int) -> AsyncGenerator[Event, None]:
        """The events of one answer, as they happen; when its reader goes away, the rest happens at once."""
        first = run.followed = start
        try:
            while True:
                while start < len(run.log):
                    event, start = run.log[start], start + 1
                    yield event
                    if event.is_last:
                        return
                if not self._advance(run) and start == len(run.log):
                    await run.wait()
        finally:
            if run.followed == first:
                run.followed = None
                self.let_go(run, first)

    def let_go(self, run: Run, start: int) -> None:
        """Let the rest of an answer happen at once if nobody follows it."""
        if run.opened == start and run.followed is None:
            self.play(run)

    def submit(self, run: Run, outputs: list[dict[str, Any]], *, streamed: bool) -> None:
        """Give a run the outputs of its calls.

        Raises:
            Refusal: it waits for none, or for others.
        """
        if run.status != "requires_action":
            raise Refusal(f'Runs in status "{run.status}" do not accept tool outputs.')
        assert run.turn is not None
        assert run.step is not None
        calls = run.turn.message.tool_calls
        wanted, got = [call.id for call in calls], [str(output.get("tool_call_id")) for output in outputs]
        if sorted(wanted) != sorted(got):
            raise Refusal(f"Expected tool outputs for call_ids {wanted}, got {got}")
        given = {output["tool_call_id"]: output.get("output") or "" for output in outputs}
        for kept in run.step["step_details"]["tool_calls"]:
            kept["function"]["output"] = given[kept["id"]]
        _remember(run, run.turn, given)
        run.object.update(status="queued", required_action=None)
        run.streamed, run.opened, run.turn, run.spoken = streamed, len(run.log), None, None
        run.coming = resuming(run, finish_step(run, "completed"))

    def cancel(self, run: Run) -> None:
        """Ask a run to stop.

        Raises:
            Refusal: it cannot, in the state it is in.
        """
        refuses = "no_cancel_in_action" in run.store.quirks
        if run.status not in EXPIRING or (refuses and run.status == "requires_action"):
            raise Refusal(f"Cannot cancel run with status '{run.status}'.")
        self._stop(run)
        run.coming = cancelling(run)
        self._advance(run)
        run.ring()

    async def _finish(self, run: Run) -> None:
        """Let happen what need not wait for anything but the script's own answer."""
        self.play(run)
        while run.asking is not None:
            await run.wait()
            self.play(run)

    def _advance(self, run: Run) -> bool:
        """Let the next thing happen; whether there was one that need not wait."""
        self._expire(run)
        if run.held or self._tasks is None:
            return False
        if (event := next(run.coming, None)) is not None:
            run.log.append(event)
            return True
        if run.status != "in_progress" or run.turn is not None or run.asking is not None:
            return False
        self._ask(run)
        return run.asking is None

    def _expire(self, run: Run) -> None:
        if run.status in EXPIRING and run.store.now() >= run.object["expires_at"]:
            self._stop(run)
            run.log += ending(run, "expired")
            run.ring()

    def _stop(self, run: Run) -> None:
        """Forget what would have happened next."""
        run.coming, run.turn = iter(()), None
        if run.asking is not None:
            run.asking.cancel()
            run.asking = None

    def _ask(self, run: Run) -> None:
        assert self._tasks is not None
        body = request_of(run)
        try:
            said = self._turns.next(body)
        except Exception as error:
            self._answer(run, body, self._failed(error))
            return
        if inspect.isawaitable(said):
            run.asking = CancelScope()
            self._tasks.start_soon(self._await, run, body, said, run.asking)
        else:
            self._answer(run, body, said)

    async def _await(self, run: Run, body: dict[str, Any], said: Awaitable[ScriptedReply], asking: CancelScope) -> None:
        with asking:
            try:
                reply = await said
            except Exception as error:
                reply = self._failed(error)
            if run.asking is asking:
                run.asking = None
                self._answer(run, body, reply)
                if run.streamed and not run.is_followed:
                    self.play(run)
                run.ring()

    def _answer(self, run: Run, body: dict[str, Any], reply: ScriptedReply) -> None:
        try:
            run.turn = turn_of(run, body, reply)
        except Exception as error:
            run.turn = turn_of(run, body, self._failed(error))
        run.coming = answering(run, run.turn)

    def _failed(self, error: Exception) -> Reply:
        self.failures.append(error)
        return Reply(status=500, error=f"The script raised {error!r}.")


def _remember(run: Run, turn: Turn, outputs: dict[str, str]) -> None:
    """Let the next turns know what was called, and what came of it; calls belong to the words said with them."""
    calls, said = turn.message.tool_calls, run.thread.said
    if run.spoken not in said:
        run.spoken = Said()
        said.append(run.spoken)
    words = (turn.message.text or turn.message.refusal or "") if run.spoken.message_id else ""
    run.spoken.calls = calls
    run.spoken.encoded = encode_message(AssistantMessage(text=words, tool_calls=calls))
    results = (ToolResult(call_id=call.id, name=call.name, content=outputs[call.id]) for call in calls)
    said += [Said(encoded=encode_message(result)) for result in results]
