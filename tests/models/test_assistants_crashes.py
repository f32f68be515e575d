"""A process dies in the middle of a run on an Assistants server, and another one takes the run up."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest
from assistants_kit import active, results, statuses, texts

from agentkit import Agent, RunResult, Session, ToolCall, ToolResult, tool
from agentkit.errors import SessionConflict
from agentkit.messages import AssistantMessage, Message, UserMessage, dump_messages, load_messages, unanswered
from agentkit.models.assistants import AssistantsBackend
from agentkit.sessions import Stored
from agentkit.testing import AssistantsRequest, AssistantsServer, Fault

T = TypeVar("T")


class FileStore:
    """Keeps one conversation in a file that is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def load(self, session_id: str) -> Stored:
        if not self.path.exists():
            return Stored()
        revision, _, messages = self.path.read_bytes().partition(b"\n")
        return Stored(messages=tuple(load_messages(messages)), revision=int(revision))

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        now = await self.load(session_id)
        if now.revision != revision:
            raise SessionConflict("somebody else has written")
        new = self.path.with_suffix(".new")
        new.write_bytes(b"%d\n%s" % (revision + 1, dump_messages([*now.messages, *messages])))
        new.replace(self.path)
        return revision + 1


class Death(BaseException):
    """The process is gone."""


class Process:
    """A process that dies before its n-th step, or at that step's end, and of which nothing is heard any more."""

    def __init__(self, dies_at: int = 0, *, before: bool = True) -> None:
        self.steps: list[str] = []
        self.alive = True
        self._dies_at, self._before = dies_at, before

    def reserve(self, name: str, kind: type[T]) -> Callable[[Callable[[], Awaitable[T]]], Awaitable[T]]:
        async def step(work: Callable[[], Awaitable[T]]) -> T:
            self.steps.append(name)
            dies = len(self.steps) == self._dies_at
            if dies and self._before:
                self._die()
            if not self.alive:
                raise Death
            done = await work()
            if dies:
                self._die()
            return done

        return step

    def _die(self) -> None:
        self.alive = False
        raise Death

    def silence(self, request: AssistantsRequest) -> Fault | None:
        """What the dead say is not heard."""
        dead = not self.alive and request.headers["authorization"].endswith("the-first")
        return Fault("status_before", status=401) if dead else None


class Shop:
    """A script of two tool rounds and an answer, and a tool that tells when it ran."""

    def __init__(self) -> None:
        self.ran: list[int] = []

        @tool
        async def count(shelf: int) -> str:
            """Count what is on a shelf."""
            self.ran.append(shelf)
            return f"{shelf} on shelf {shelf}"

        self.tools = [count]

    def script(self, body: dict[str, Any]) -> Any:
        match len(results(body)):
            case 0:
                return AssistantMessage(text="Let me see.", tool_calls=(shelf("a", 1), shelf("b", 2)))
            case 2:
                return AssistantMessage(tool_calls=(shelf("c", 3), shelf("d", 4)))
        return f"All of it: {', '.join(results(body))}."


ALL = "All of it: 1 on shelf 1, 2 on shelf 2, 3 on shelf 3, 4 on shelf 4."
STEPS = ["load", "model", "tool:count", "tool:count", "session", "model", "tool:count", "tool:count", "session"]
STEPS += ["model", "session"]


def shelf(id: str, n: int) -> ToolCall:
    return ToolCall(id=f"call_{id}", name="count", arguments=f'{{"shelf":{n}}}')


def at_home(server: AssistantsServer, key: str) -> AssistantsBackend:
    return AssistantsBackend("m", base_url=server.base_url, api_key=key)


def dies(server: AssistantsServer, shop: Shop, process: Process, store: FileStore, loop: str) -> None:
    """The first process: an event loop of its own, which ends with it."""
    agent = Agent(at_home(server, "the-first"), tools=shop.tools)

    async def main() -> None:
        await agent.run("Count all.", session=Session("s", store), steps=process)

    anyio.run(main, backend=loop)


def takes_up(server: AssistantsServer, shop: Shop, store: FileStore, loop: str) -> RunResult[str]:
    """The second process: it goes on where the stored conversation ends, or says it anew where nothing was stored."""
    agent = Agent(at_home(server, "the-second"), tools=shop.tools)

    async def main() -> RunResult[str]:
        with anyio.fail_after(10):
            known = (await store.load("s")).messages
            return await agent.run(None if known else "Count all.", session=Session("s", store))

    return anyio.run(main, backend=loop)


def test_these_are_all_steps(anyio_backend: str, tmp_path: Path) -> None:
    """So that the next test dies between any two of them."""
    shop, process, store = Shop(), Process(), FileStore(tmp_path / "s")
    with AssistantsServer.in_thread(shop.script) as server:
        dies(server, shop, process, store, anyio_backend)
    assert process.steps == STEPS


def dies_and_is_taken_up(n: int, quirks: Sequence[str], loop: str, path: Path) -> None:
    """A run dies at the end of its n-th step, and the next process goes on with it."""
    shop, process, store = Shop(), Process(n, before=False), FileStore(path / "s")
    with AssistantsServer.in_thread(shop.script, on_request=process.silence, quirks=quirks) as server:
        with pytest.raises(Death):
            dies(server, shop, process, store, loop)
        known = anyio.run(store.load, "s").messages
        kept = [m.content for m in known if isinstance(m, ToolResult)]
        held = active(server)
        result = takes_up(server, shop, store, loop)
        assert result.output == ALL
        assert result.messages[: len(known)] == known
        for shelf in (1, 2, 3, 4):
            assert shop.ran.count(shelf) == 1 or f"{shelf} on shelf {shelf}" not in kept
            assert shop.ran.count(shelf) <= 2
        if known:  # the run that waited is the one that ends
            assert statuses(server) == ["completed"]
        elif held:  # nothing was known of it: it waits until it expires
            assert statuses(server) == ["requires_action", "completed"]
    assert [m.content for m in result.messages if isinstance(m, ToolResult)] == [
        f"{shelf} on shelf {shelf}" for shelf in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize("n", range(1, len(STEPS)))
def test_a_run_is_taken_up_wherever_its_process_has_died(n: int, anyio_backend: str, tmp_path: Path) -> None:
    """The answer is there in the end, and no tool whose result is stored runs twice."""
    dies_and_is_taken_up(n, [], anyio_backend, tmp_path)


@pytest.mark.parametrize("quirk", ["repeated_call_ids", "no_streaming"])
def test_results_that_were_told_before_a_crash_are_not_told_again(
    quirk: str, anyio_backend: str, tmp_path: Path
) -> None:
    """The process died when the run had them and already asked for more, in calls of the same ids."""
    dies_and_is_taken_up(STEPS.index("session") + 2, [quirk], anyio_backend, tmp_path)


def test_a_history_with_unanswered_calls_is_a_run_that_waits(anyio_backend: str) -> None:
    """As a durable engine has it that has recorded the model's answer: the calls are run, and the run goes on."""
    shop, process = Shop(), Process(1, before=False)  # without a session, the model's answer is the first step
    with AssistantsServer.in_thread(shop.script, on_request=process.silence) as server:
        heard: list[Any] = []

        async def first() -> None:
            model = at_home(server, "the-first")

            class Recorded:
                info = model.info

                async def generate(self, request: Any, on_delta: Any = None) -> Any:
                    heard.append(await model.generate(request, on_delta))
                    return heard[-1]

            await Agent(Recorded(), tools=shop.tools).run("Count all.", steps=process)

        async def second() -> RunResult[str]:
            history = load_messages(dump_messages([UserMessage(content="Count all."), heard[0].message]))
            assert len(unanswered(history)) == 2
            return await Agent(at_home(server, "the-second"), tools=shop.tools).run(None, history=history)

        with pytest.raises(Death):
            anyio.run(first, backend=anyio_backend)
        assert statuses(server) == ["requires_action"]
        assert shop.ran == []
        assert anyio.run(second, backend=anyio_backend).output == ALL
        assert statuses(server) == ["completed"]
    assert sorted(shop.ran) == [1, 2, 3, 4]


@pytest.mark.parametrize("policy", ["wait", "cancel"])
def test_a_prompt_instead_of_the_results_moves_on_from_a_run_that_waits(
    policy: Any, anyio_backend: str, tmp_path: Path
) -> None:
    """The next process says something new: the results come before it, and the run that waited is cancelled."""
    shop, process, store = Shop(), Process(5, before=False), FileStore(tmp_path / "s")
    asked: list[dict[str, Any]] = []

    def script(body: dict[str, Any]) -> Any:
        asked.append(body)
        return shop.script(body) if len(asked) == 1 else "Enough."

    with AssistantsServer.in_thread(script, on_request=process.silence) as server:
        with pytest.raises(Death):
            dies(server, shop, process, store, anyio_backend)

        async def second() -> RunResult[str]:
            model = AssistantsBackend("m", base_url=server.base_url, api_key="the-second", on_active_run=policy)
            return await Agent(model, tools=shop.tools).run("Stop it.", session=Session("s", store))

        assert anyio.run(second, backend=anyio_backend).output == "Enough."
        assert statuses(server) == ["cancelled", "completed"]
        [thread] = server.threads
        assert texts(server, thread["id"])[-3:] == [
            (
                "user",
                'Meanwhile, tools were called:\n\ncount({"shelf":1}) gave: 1 on shelf 1\n\n'
                'count({"shelf":2}) gave: 2 on shelf 2',
            ),
            ("user", "Stop it."),
            ("assistant", "Enough."),
        ]
    assert sorted(shop.ran) == [1, 2]


def test_a_run_that_has_expired_since_its_process_died_is_told_again_in_words(
    anyio_backend: str, tmp_path: Path
) -> None:
    """An hour later, the server has given up; the stored results are not lost, and no tool runs again."""
    shop, process, store = Shop(), Process(5, before=False), FileStore(tmp_path / "s")

    def script(body: dict[str, Any]) -> Any:
        told = str(body["messages"][-1]["content"])
        return "I know." if "Meanwhile" in told and "1 on shelf 1" in told else shop.script(body)

    with AssistantsServer.in_thread(script, on_request=process.silence) as server:
        with pytest.raises(Death):
            dies(server, shop, process, store, anyio_backend)
        server.clock.advance(3600)
        assert takes_up(server, shop, store, anyio_backend).output == "I know."
        assert statuses(server) == ["expired", "completed"]
    assert sorted(shop.ran) == [1, 2]


CHILD = """
    import sys
    from pathlib import Path
    import anyio
    from test_assistants_crashes import FileStore
    from agentkit import Agent, Session, tool
    from agentkit.models.assistants import AssistantsBackend

    where, url, loop = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

    @tool
    async def count(shelf: int) -> str:
        '''Count what is on a shelf.'''
        with (where / "ran").open("a") as log:
            log.write(f"{shelf}\\n")
        if shelf > 2:
            print("counting", flush=True)
            await anyio.sleep_forever()
        return f"{shelf} on shelf {shelf}"

    async def main() -> None:
        model = AssistantsBackend("m", base_url=url, api_key="the-first")
        await Agent(model, tools=[count]).run("Count all.", session=Session("s", FileStore(where / "s")))

    anyio.run(main, backend=loop)
"""


def test_kill_9_in_the_middle_of_a_tool(anyio_backend: str, tmp_path: Path) -> None:
    """What was stored is enough to go on: the run has waited, and the finished tools are not run again."""
    shop, store = Shop(), FileStore(tmp_path / "s")
    with AssistantsServer.in_thread(shop.script) as server:
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path), server.base_url, anyio_backend],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        )
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"counting\n"
            child.send_signal(signal.SIGKILL)
            child.communicate(timeout=10)
        assert child.returncode == -signal.SIGKILL
        assert statuses(server) == ["requires_action"]
        assert takes_up(server, shop, store, anyio_backend).output == ALL
        assert statuses(server) == ["completed"]
    assert (tmp_path / "ran").read_text().split()[:2] in (["1", "2"], ["2", "1"])
    assert sorted(shop.ran) == [3, 4]
