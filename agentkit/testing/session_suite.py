"""What a store of sessions promises, as checks that anybody can run on a store of their own.

Each check is an async function that raises AssertionError, or lets through what the store raises, where the promise is
not kept. Those in `CHECKS` take `make`, a function that opens the store: each call gives an object of its own, as
another process would have it, for the same conversations. Those in `PROCESS_CHECKS` take a program as well: Python that
defines `make` in another process. Conversations in the store that are not the checks' own are left alone.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias
from uuid import uuid4

import anyio
import anyio.lowlevel

from agentkit import AssistantMessage, Message, ToolCall, ToolResult, UserMessage
from agentkit.errors import SessionConflict
from agentkit.messages import Citation, FilePart, HostedCall, ImagePart, SearchHit, TextPart
from agentkit.sessions import SessionStore, Stored

from .session_processes import check_killed_writers, check_two_processes
from .session_writers import append_in_turn, batch, check_batches, opened

Make: TypeAlias = Callable[[], SessionStore]

EVERY_KIND: Sequence[Message] = (
    UserMessage(content=""),
    UserMessage(content="Ünïcödé 🦊 \u202e\ufeff \x01\x7f \r\n\t \"'\\ {}[]%s ${x} \\u0000", untrusted=True),
    UserMessage(content=(TextPart(text="look"), ImagePart(url="data:image/png;base64,AA=="), FilePart(id="file-1"))),
    AssistantMessage(
        text="I look.",
        tool_calls=(
            ToolCall(id="1", name="look", arguments='{"at": "é", "n": 1e400}', key="run:1.0"),
            ToolCall(id="2", name="look", arguments="not JSON"),
        ),
        reasoning="hm",
        citations=(Citation(file_id="f", start=0, end=2, marker="【4:0†source】"),),
        files=("file-2",),
        hosted_calls=(
            HostedCall(
                id="h",
                tool="file_search",
                input="x",
                output="y",
                files=("file-3",),
                hits=(SearchHit(file_id="f", filename="a.txt", score=0.1, text="t"),),
            ),
        ),
        state={"thread": {"id": "t", "list": [1, 2.5, None, True, {"": []}], "big": 2**70}},
    ),
    ToolResult(call_id="1", name="look", content="{}", parts=(ImagePart(url="https://x/y"),), full="f", untrusted=True),
    ToolResult(call_id="2", name="look", content="no", is_error=True, secret=True),
    AssistantMessage(refusal="I will not.", state={}),
)
HOSTILE_IDS = (
    *("a", "A", "a ", " a", "  a", "a:b", "a:", ":a", "::", "a/b", "../a", "a\\b", "\xe1", "a\u0301", "\uff41"),
    *("i", "I", "\u0131", "\u0130", "ß", "ss", "\ufb01", "fi", "*", "?", "a*", "[ab]", "[^a]", "%", "a%", "a_", "%s"),
    *("{a}", "{}", "$1", "${a}", "\\x00", "%00", "'", "''", '"', "`", "';--", "a' OR '1'='1", "(a", "[a", "+", "-"),
    *(
        "'; DROP TABLE agentkit_sessions; --",
        "NULL",
        "None",
        "null",
        "0",
        "00",
        "-1",
        "1e3",
        "true",
        "ids",
        "session:a",
    ),
    *("agentkit:ids", "🦊", "👩🏽", "中文", "\u05d0"),
)
"""Ids that look alike, or that mean something to one database or another."""


def _new(name: str) -> str:
    return f"{name}-{uuid4().hex}"


def _same(found: object, promised: object, what: str) -> None:
    if found != promised:
        raise AssertionError(f"{what}: {found!r:.600} is there; promised is {promised!r:.600}")


async def _refused(change: Awaitable[object], what: str) -> None:
    try:
        await change
    except SessionConflict:
        return
    raise AssertionError(f"{what}: it was not refused with SessionConflict")


async def check_messages_come_back_as_they_were(make: Make) -> None:
    """Every kind of message, with all that it may hold, one by one and together."""
    for messages in (EVERY_KIND, *([message] for message in EVERY_KIND)):
        id = _new("kinds")
        async with opened(make) as store:
            await store.append(id, messages, revision=0)
        async with opened(make) as store:
            found = (await store.load(id)).messages
        _same(found, tuple(messages), "a conversation that was stored")
        keys = [[call.key for call in m.tool_calls] for m in found if isinstance(m, AssistantMessage)]
        _same(keys, [[c.key for c in m.tool_calls] for m in messages if isinstance(m, AssistantMessage)], "the keys")


async def check_a_long_conversation_comes_back(make: Make) -> None:
    """Nothing is cut."""
    async with opened(make) as store:
        id, messages = _new("long"), [UserMessage(content="ä" * 1_000_000), *(batch("many", n)[0] for n in range(500))]
        await store.append(id, messages, revision=0)
        _same((await store.load(id)).messages == tuple(messages), True, "a long conversation comes back")


async def check_text_that_databases_refuse_is_replaced(make: Make) -> None:
    """A lone surrogate is stored as U+FFFD and NUL as U+2400, wherever they stand."""
    async with opened(make) as store:
        id = _new("text")
        bad = AssistantMessage(
            text="a\x00b\ud800c",
            tool_calls=(ToolCall(id="1", name="n", arguments="\udfff"),),
            state={"\x00": ["\ud83d"]},
        )
        await store.append(id, [bad], revision=0)
        good = AssistantMessage(
            text="a\u2400b\ufffdc",
            tool_calls=(ToolCall(id="1", name="n", arguments="\ufffd"),),
            state={"\u2400": ["\ufffd"]},
        )
        _same((await store.load(id)).messages, (good,), "text that databases refuse")


async def check_what_is_not_there_is_an_empty_conversation(make: Make) -> None:
    """Loading makes nothing, and deleting nothing is no error."""
    async with opened(make) as store:
        id = _new("nothing")
        _same(await store.load(id), Stored(messages=(), revision=0), "a conversation that is not there")
        _same(await store.delete(id), False, "deleting what is not there")
        _same(list(await store.list(after=id[:-1], limit=1)) == [id], False, "listing what was only loaded")


async def check_appends_add_up(make: Make) -> None:
    """In the order of the calls, for whoever opens the store; the revision moves with each, an empty one too."""
    id, revisions, told = _new("appends"), [0], list[Message]()
    for n in range(6):
        async with opened(make) as store:
            more = [] if n in (0, 3) else batch("a", n)
            revisions.append(await store.append(id, more, revision=revisions[-1]))
            told += more
            _same(await store.load(id), Stored(messages=tuple(told), revision=revisions[-1]), "what was appended")
    _same(len(set(revisions)), len(revisions), "revisions that differ")


async def check_only_the_newest_revision_may_write(make: Make) -> None:
    """Who has seen an older one, or none, is refused, and has changed nothing."""
    async with opened(make) as store, opened(make) as other:
        id = _new("cas")
        first = await store.append(id, batch("a", 1), revision=0)
        second = await other.append(id, batch("b", 1), revision=first)
        for stale in (0, first, first + 1, second + 1, second - 1, -1):
            if stale == second:
                continue
            for messages in (batch("late", 1), []):
                await _refused(store.append(id, messages, revision=stale), f"an append at {stale}")
                await _refused(store.replace(id, messages, revision=stale), f"a replacement at {stale}")
        told = (*batch("a", 1), *batch("b", 1))
        _same(await store.load(id), Stored(messages=told, revision=second), "after writers that came late")
        for stale in (first, second):
            await _refused(store.append(_new("cas"), [], revision=stale), "an append to what is not there")


async def check_replace_puts_all_in_the_place_of_all(make: Make) -> None:
    """By less, by more, by nothing; what is appended later comes after it."""
    async with opened(make) as store:
        id, revision = _new("replace"), 0
        for count in (2, 1, 3, 0, 1):
            told = [message for n in range(count) for message in batch("r", n)]
            revision = await store.replace(id, told, revision=revision)
            _same(await store.load(id), Stored(messages=tuple(told), revision=revision), "what was put in place")
            revision = await store.append(id, batch("x", 1), revision=revision)
            _same((await store.load(id)).messages, (*told, *batch("x", 1)), "what was appended to it")


async def check_deleted_is_deleted(make: Make) -> None:
    """Who loaded before the deletion cannot write, not even when the conversation was begun again."""
    async with opened(make) as store, opened(make) as other:
        id = _new("delete")
        seen = [await store.append(id, batch("a", 1), revision=0)]
        seen.append(await store.append(id, batch("a", 2), revision=seen[0]))
        _same(await other.delete(id), True, "deleting what is there")
        _same(await store.load(id), Stored(messages=(), revision=0), "what was deleted")
        for again in (False, True):
            for revision in seen:
                await _refused(store.append(id, batch("late", 1), revision=revision), "an append after the deletion")
                await _refused(store.replace(id, batch("late", 1), revision=revision), "a replacement after it")
            if not again:
                now = await other.append(id, batch("b", 1), revision=0)
                await other.append(id, batch("b", 2), revision=now)
        _same((await store.load(id)).messages, (*batch("b", 1), *batch("b", 2)), "what was begun again")


async def check_ids_are_listed_page_by_page(make: Make) -> None:
    """Each once, in the order of their characters' numbers, whatever is deleted meanwhile."""
    async with opened(make) as store:
        base = _new("pages")
        ids = sorted(
            f"{base}{tail}" for tail in ("", "-", "A", "B", "a", "b", "ä", "z", "~", "é", "中", "🦊", "\ue000", "9")
        )
        ids = [id for id in ids if id.isprintable()]
        for id in reversed(ids):
            await store.append(id, batch("p", 1), revision=0)
        for size in (1, 3, len(ids), 100):
            found: list[str] = []
            while page := await store.list(after=found[-1] if found else base[:-1], limit=size):
                _same(len(page) <= size, True, "pages that are no longer than asked")
                found += page
                if not page[-1].startswith(base):
                    break
            _same([id for id in found if id.startswith(base)], ids, "the ids, page by page")
        await store.delete(ids[3])
        _same(list(await store.list(after=ids[2], limit=1)), [ids[4]], "the ids after a deletion")


async def check_no_id_meets_another(make: Make) -> None:
    """Nor those that look alike, that mean something to a database, or that are as long as they may be."""
    async with opened(make) as store:
        base = _new("ids")
        longest = [("x" * 254 + end)[-(256 - len(base)) :] for end in ("a", "b")]
        ids = [base + id for id in (*HOSTILE_IDS, *longest, "🦊" * ((256 - len(base)) // 4)) if id.isprintable()]
        for place, id in enumerate(ids):
            await store.append(id, batch(str(place), 0), revision=0)
        for place, id in enumerate(ids):
            _same((await store.load(id)).messages, tuple(batch(str(place), 0)), f"the conversation {id!r}")
        _same(list(await store.list(after=base, limit=len(ids))), sorted(ids), "all ids")
        for place, id in enumerate(ids):
            _same(await store.delete(id), True, f"deleting {id!r}")
            left = [id for id in await store.list(after=base, limit=len(ids)) if id.startswith(base)]
            _same(left, sorted(ids[place + 1 :]), f"the ids when {id!r} is deleted")


async def check_many_writers_lose_nothing(make: Make) -> None:
    """Each loads, appends, and does so again when another was quicker."""
    id = _new("writers")
    async with opened(make) as one, opened(make) as two, anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(append_in_turn, (one, two)[number % 2], id, str(number), 4)
    async with opened(make) as store:
        check_batches((await store.load(id)).messages, {str(number): 4 for number in range(8)})


async def check_a_cancelled_append_is_whole_or_nothing(make: Make) -> None:
    """At whichever checkpoint the cancellation comes; and once it has arrived, nothing changes any more."""
    async with opened(make) as store:
        whole, number = 0, 0
        while whole < 3:
            number += 1
            _same(number < 2_000, True, "an append comes to an end at last")
            id = _new("cancel")
            before = await store.append(id, batch("before", 1), revision=0)
            came = await _cancelled_after(number, store, id, before)
            found = await store.load(id)
            if found.revision == before:
                _same(found.messages, tuple(batch("before", 1)), "what a cancelled append has left")
                _same(came, [], "what an append that was not made has returned")
            else:
                _same(found.messages, (*batch("before", 1), *batch("now", 1)), "what a cancelled append has made")
                _same(came in ([], [found.revision]), True, "the revision that an append has returned")
            after = await store.append(id, batch("after", 1), revision=found.revision)
            _same(await store.load(id), Stored(messages=(*found.messages, *batch("after", 1)), revision=after), "later")
            whole += bool(came)


async def _cancelled_after(checkpoints: int, store: SessionStore, id: str, revision: int) -> list[int]:
    came: list[int] = []

    async def append() -> None:
        came.append(await store.append(id, batch("now", 1), revision=revision))

    async with anyio.create_task_group() as group:
        group.start_soon(append)
        for _ in range(checkpoints):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    return came


CHECKS: Sequence[Callable[[Make], Awaitable[None]]] = (
    check_messages_come_back_as_they_were,
    check_a_long_conversation_comes_back,
    check_text_that_databases_refuse_is_replaced,
    check_what_is_not_there_is_an_empty_conversation,
    check_appends_add_up,
    check_only_the_newest_revision_may_write,
    check_replace_puts_all_in_the_place_of_all,
    check_deleted_is_deleted,
    check_ids_are_listed_page_by_page,
    check_no_id_meets_another,
    check_many_writers_lose_nothing,
    check_a_cancelled_append_is_whole_or_nothing,
)
PROCESS_CHECKS: Sequence[Callable[[Make, str], Awaitable[None]]] = (check_two_processes, check_killed_writers)
