"""Conversations that are copied and shortened, and the suite that tells a good store from a bad one."""

from collections.abc import Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import ConfigError, MemoryStore, Message, SessionError, UserMessage
from agentkit.errors import SessionConflict
from agentkit.messages import AssistantMessage, ToolCall, ToolResult, is_tainted, unanswered
from agentkit.sessions import Stored, fork, trim
from agentkit.testing import session_suite

pytestmark = pytest.mark.anyio


def asked(*ids: str) -> AssistantMessage:
    return AssistantMessage(tool_calls=tuple(ToolCall(id=id, name="t", arguments="{}") for id in ids))


def result(id: str, untrusted: bool = False) -> ToolResult:
    return ToolResult(call_id=id, name="t", content=id, untrusted=untrusted)


def user(text: str) -> UserMessage:
    return UserMessage(content=text)


TALK: list[Message] = [
    *(user("a"), asked("1", "2"), result("1", untrusted=True), result("2"), AssistantMessage(text="A")),
    *(user("b"), AssistantMessage(text="B"), user("c"), asked("3"), result("3")),
]


@pytest.mark.parametrize(
    ("upto", "copied"), [(None, 10), (0, 0), (1, 1), (2, 1), (3, 1), (4, 4), (5, 5), (9, 8), (99, 10)]
)
async def test_a_fork_never_has_half_a_step(upto: int | None, copied: int) -> None:
    """Where it would, it ends before the calls."""
    store = MemoryStore()
    await store.append("a", TALK, revision=0)
    assert await fork(store, "a", "b", upto=upto) == copied
    assert (await store.load("b")).messages == tuple(TALK[:copied])
    assert (await store.load("a")).messages == tuple(TALK)


async def test_calls_that_wait_are_not_forked() -> None:
    """They would be run twice: once for each conversation."""
    store = MemoryStore()
    await store.append("a", [*TALK, user("d"), asked("4", "5"), result("4")], revision=0)
    assert await fork(store, "a", "b") == 11
    assert unanswered((await store.load("b")).messages) == ()


async def test_a_fork_is_a_conversation_of_its_own() -> None:
    """It takes nobody's place, and needs something to begin with."""
    store = MemoryStore()
    await store.append("a", TALK, revision=0)
    await store.append("b", TALK[:1], revision=0)
    with pytest.raises(SessionConflict, match="'b'"):
        await fork(store, "a", "b")
    with pytest.raises(SessionError, match="no session 'c'"):
        await fork(store, "c", "d")
    assert await store.list() == ["a", "b"]


@pytest.mark.parametrize(("keep", "forgotten"), [(1, 7), (3, 7), (4, 5), (5, 5), (6, 0), (10, 0), (99, 0)])
async def test_what_is_kept_begins_with_the_user(keep: int, forgotten: int) -> None:
    """And has at least as many messages as asked; what was untrusted in what is forgotten is not forgotten."""
    store = MemoryStore()
    before = await store.append("a", TALK, revision=0)
    assert await trim(store, "a", keep=keep) == forgotten
    now = await store.load("a")
    [first, *others] = now.messages
    assert others == TALK[forgotten + 1 :]
    assert isinstance(first, UserMessage)
    assert (first.text, first.untrusted) == (TALK[forgotten].text, forgotten > 0)  # type: ignore[union-attr]
    assert (now.revision == before) == (forgotten == 0)


async def test_a_trim_does_not_take_away_what_a_run_has_just_said() -> None:
    """It is told, and may try again."""

    class Rival(MemoryStore):
        async def replace(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
            await self.append(session_id, [user("now")], revision=revision)
            return await super().replace(session_id, messages, revision=revision)

    store = Rival()
    await store.append("a", TALK, revision=0)
    with pytest.raises(SessionConflict):
        await trim(store, "a", keep=1)
    assert (await store.load("a")).messages == (*TALK, user("now"))


async def test_nothing_cannot_be_kept() -> None:
    """A conversation of nothing is one that is deleted."""
    with pytest.raises(ConfigError, match="delete the session"):
        await trim(MemoryStore(), "a", keep=0)


STEPS = st.one_of(
    st.builds(lambda: [user("u")]),
    st.builds(lambda: [AssistantMessage(text="x")]),
    st.integers(1, 3).flatmap(
        lambda count: st.lists(st.booleans(), min_size=count, max_size=count).map(
            lambda marks: [
                asked(*map(str, range(len(marks)))),
                *(result(str(place), untrusted=mark) for place, mark in enumerate(marks)),
            ]
        )
    ),
)


@given(steps=st.lists(STEPS, max_size=12), at=st.integers(1, 30), trimmed=st.booleans())
def test_however_a_conversation_is_cut_it_is_one(steps: list[list[Message]], at: int, trimmed: bool) -> None:
    """No result without its call, no call without its result, and never less untrusted than before."""
    talk = [user("begin"), *(message for step in steps for message in step)]

    async def cut() -> tuple[Message, ...]:
        store = MemoryStore()
        await store.append("a", talk, revision=0)
        if trimmed:
            await trim(store, "a", keep=at)
            return (await store.load("a")).messages
        await fork(store, "a", "b", upto=at)
        return (await store.load("b")).messages

    left = anyio.run(cut)
    waiting: set[str] = set()
    for message in left:
        if isinstance(message, ToolResult):
            assert message.call_id in waiting
            waiting.discard(message.call_id)
        else:
            assert not waiting
            waiting = {call.id for call in message.tool_calls} if isinstance(message, AssistantMessage) else set()
    assert not waiting
    assert isinstance(left[0], UserMessage)
    if trimmed:
        assert len(left) >= min(at, len(talk))
        assert is_tainted(left) == is_tainted(talk)


# the suite finds out


class Forgetful(MemoryStore):
    """Says yes, and keeps nothing."""

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        return revision + 1


class LastWins(MemoryStore):
    """Does not look at the revision."""

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        return await super().append(session_id, messages, revision=(await self.load(session_id)).revision)


class Counting(MemoryStore):
    """Begins to count anew when a conversation is deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Stored] = {}

    async def load(self, session_id: str) -> Stored:
        return self.kept.get(session_id, Stored())

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        return self._put_at(session_id, (*(await self.load(session_id)).messages, *messages), revision)

    async def replace(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        return self._put_at(session_id, tuple(messages), revision)

    async def list(self, *, after: str = "", limit: int = 100) -> Sequence[str]:
        return sorted(id for id in self.kept if id > after)[:limit]

    async def delete(self, session_id: str) -> bool:
        return self.kept.pop(session_id, None) is not None

    def _put_at(self, session_id: str, messages: tuple[Message, ...], revision: int) -> int:
        if self.kept.get(session_id, Stored()).revision != revision:
            raise SessionConflict(session_id)
        self.kept[session_id] = Stored(messages=messages, revision=revision + 1)
        return revision + 1


class LowerCase(MemoryStore):
    """As many databases compare text."""

    async def load(self, session_id: str) -> Stored:
        return await super().load(session_id.lower())

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        return await super().append(session_id.lower(), messages, revision=revision)


class Torn(MemoryStore):
    """Writes message by message, and can be cancelled in between."""

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        for message in messages:
            revision = await super().append(session_id, [message], revision=revision)
            await anyio.lowlevel.checkpoint()
        return revision


class Unordered(MemoryStore):
    """Lists what it likes, as it likes."""

    async def list(self, *, after: str = "", limit: int = 100) -> Sequence[str]:
        return list(reversed(await super().list(after=after, limit=limit)))


class Undead(MemoryStore):
    """Deletes nothing."""

    async def delete(self, session_id: str) -> bool:
        return (await self.load(session_id)).revision != 0


BAD: dict[type[MemoryStore], str] = {
    Forgetful: "check_messages_come_back_as_they_were",
    LastWins: "check_only_the_newest_revision_may_write",
    Counting: "check_deleted_is_deleted",
    LowerCase: "check_no_id_meets_another",
    Torn: "check_a_cancelled_append_is_whole_or_nothing",
    Unordered: "check_ids_are_listed_page_by_page",
    Undead: "check_deleted_is_deleted",
}


@pytest.mark.parametrize(("bad", "check"), BAD.items(), ids=lambda value: getattr(value, "__name__", value))
async def test_a_bad_store_is_found_out(bad: type[MemoryStore], check: str) -> None:
    """By the check that says what is wrong with it."""
    store = bad()
    with pytest.raises((AssertionError, SessionConflict)), anyio.fail_after(30):
        await getattr(session_suite, check)(lambda: store)
