"""A conversation that is kept from one run to the next."""

from collections.abc import Sequence

import anyio
import pytest

from agentkit import Agent, ConfigError, Limits, MemoryStore, Message, Session, SessionError, UserMessage, tool
from agentkit.errors import RequestRejected, RunTimeout, SessionConflict
from agentkit.sessions import Stored
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def test_the_next_run_goes_on_where_the_last_one_ended() -> None:
    """The model sees the whole conversation; what is stored is what the result says."""
    session = Session("alice")
    agent = Agent(ScriptedModel([[call("add", a=1, b=2)], "3", "Hello again."]), tools=[add])
    first = await agent.run("1+2?", session=session)
    second = await agent.run("Hello?", session=session)
    assert second.messages[: len(first.messages)] == first.messages
    assert (await session.store.load("alice")).messages == second.messages


async def test_sessions_of_one_store_do_not_mix() -> None:
    """One id, one conversation."""
    store = MemoryStore()
    agent = Agent(ScriptedModel(["a", "b", "c"]))
    await agent.run("one", session=Session("x", store))
    await agent.run("two", session=Session("y", store))
    again = await agent.run("three", session=Session("x", store))
    assert [m.text for m in again.messages if isinstance(m, UserMessage)] == ["one", "three"]


async def test_a_step_is_stored_whole_or_not_at_all() -> None:
    """After each append the conversation is one that a provider accepts, also when the run then fails."""
    seen: list[list[str]] = []

    class Watching(MemoryStore):
        async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
            seen.append([m.role for m in messages])
            return await super().append(session_id, messages, revision=revision)

    script = [[call("add", a=1, b=2), call("add", a=1, b=3)], [call("add", a=1, b=2)], RequestRejected("no")]
    session = Session("alice", Watching())
    with pytest.raises(RequestRejected):
        await Agent(ScriptedModel(script), tools=[add]).run("?", session=session)
    assert seen == [["user", "assistant", "tool", "tool"], ["assistant", "tool"]]


async def test_two_runs_on_one_session_do_not_overwrite_each_other() -> None:
    """The one that comes second is told, and what the first has stored stays."""
    session = Session("alice")

    async def rival() -> None:
        await Agent(ScriptedModel(["rival"])).run("second", session=session)

    @tool
    async def meanwhile() -> str:
        await rival()
        return "done"

    with pytest.raises(SessionConflict, match="alice"):
        await Agent(ScriptedModel([[call("meanwhile")], "x"]), tools=[meanwhile]).run("first", session=session)
    stored = (await session.store.load("alice")).messages
    assert [m.text for m in stored if isinstance(m, UserMessage)] == ["second"]


async def test_a_store_that_fails_stops_the_run_before_the_next_model_call() -> None:
    """Never "answered but not stored" without an error."""

    class Full(MemoryStore):
        async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
            raise SessionError("the disk is full")

    model = ScriptedModel([[call("add", a=1, b=2)], "3"])
    with pytest.raises(SessionError, match="disk is full") as caught:
        await Agent(model, tools=[add]).run("?", session=Session("a", Full()))
    assert len(model.requests) == 1
    assert [m.role for m in caught.value.history] == ["user", "assistant", "tool"]


async def test_when_storing_fails_too_the_first_error_is_raised_and_says_so() -> None:
    """What ended the run is not hidden by what came after."""

    class Broken(MemoryStore):
        async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
            raise OSError("gone")

    with pytest.raises(RequestRejected) as caught:
        await Agent(ScriptedModel([RequestRejected("no")])).run("?", session=Session("a", Broken()))
    assert caught.value.__notes__ == ["the session could not be stored: the store failed with OSError: gone"]


async def test_a_stores_own_exception_is_a_session_error() -> None:
    """Whoever catches SessionError has caught them all; the cause is kept."""

    class Broken(MemoryStore):
        async def load(self, session_id: str) -> Stored:
            raise OSError("gone")

    with pytest.raises(SessionError, match="OSError: gone") as caught:
        await Agent(ScriptedModel(["x"])).run("?", session=Session("a", Broken()))
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_store_that_hangs_is_bounded_by_the_runs_time() -> None:
    """`Limits.seconds` covers loading too."""

    class Hanging(MemoryStore):
        async def load(self, session_id: str) -> Stored:
            await anyio.sleep_forever()
            raise AssertionError

    with anyio.fail_after(5), pytest.raises(RunTimeout):
        await Agent(ScriptedModel(["x"]), limits=Limits(seconds=0.01)).run("?", session=Session("a", Hanging()))


async def test_a_session_and_a_history_are_refused_together() -> None:
    """The session has a history of its own."""
    with pytest.raises(ConfigError, match="either session= or history="):
        await Agent(ScriptedModel(["x"])).run("?", session=Session("a"), history=[UserMessage(content="x")])


@pytest.mark.parametrize("bad", ["", "a\nb", "x" * 257, "\x00", "ä" * 129])
def test_a_hostile_session_id_is_refused(bad: str) -> None:
    """Ids are short and printable, whatever the store makes of them."""
    with pytest.raises(ConfigError, match="session id"):
        Session(bad)


async def test_a_store_never_hands_out_what_can_be_changed() -> None:
    """What was loaded stays as it was when others write."""
    store = MemoryStore()
    before = await store.load("a")
    await store.append("a", [UserMessage(content="x")], revision=0)
    assert before == Stored(messages=(), revision=0)
