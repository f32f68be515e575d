"""What of a long conversation is sent: always what a provider accepts, as much as fits, and no taint is lost."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, Session
from agentkit.errors import BadResponse, ConfigError, ContextTooLong
from agentkit.messages import (
    AssistantMessage,
    FilePart,
    HostedCall,
    ImagePart,
    Message,
    TextPart,
    ToolCall,
    ToolResult,
    UserMessage,
    is_tainted,
)
from agentkit.models.base import ModelRequest
from agentkit.models.chat.encode import encode
from agentkit.prices import Price, Prices
from agentkit.sessions import MemoryStore
from agentkit.testing import ScriptedModel
from agentkit.testing.strict import check
from agentkit.window import Summary, View, Window, estimate, summariser

pytestmark = pytest.mark.anyio


def user(text: str = "?", **more: Any) -> UserMessage:
    return UserMessage(content=text, **more)


def step(number: int, *results: str, **more: Any) -> list[Message]:
    """An answer with one call for each result, and the results."""
    ids = [f"call-{number}-{n}" for n in range(len(results))]
    calls = tuple(ToolCall(id=id, name="look", arguments="{}") for id in ids)
    told = [ToolResult(call_id=id, name="look", content=text, **more) for id, text in zip(ids, results, strict=True)]
    return [AssistantMessage(tool_calls=calls), *told]


def said(text: str) -> AssistantMessage:
    return AssistantMessage(text=text)


def shown(messages: Sequence[Message]) -> list[str]:
    """The messages in a word each."""
    return [
        m.text if isinstance(m, UserMessage) else m.content if isinstance(m, ToolResult) else m.text or "calls"
        for m in messages
    ]


def accepted(messages: Sequence[Message]) -> None:
    """The strictest provider takes it."""
    check(json.loads(encode(ModelRequest(messages=messages), "m", stream=False)))


TEXTS = st.text("ab é", max_size=6) | st.integers(0, 600).map(lambda n: "x" * n)
TAINTS = st.sampled_from([False, False, False, True])


@st.composite
def turns(draw: st.DrawFn, number: int) -> list[Message]:
    said: list[Message] = [user(draw(TEXTS), untrusted=draw(TAINTS))]
    for n in range(draw(st.integers(0, 2))):
        results = draw(st.lists(TEXTS, min_size=1, max_size=3))
        said += step(number * 10 + n, *results, untrusted=draw(TAINTS))
    return said


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Conversations that a model is about to answer; some begin with a greeting."""
    messages: list[Message] = [AssistantMessage(text="Hello.")] if draw(st.booleans()) else []
    for number in range(draw(st.integers(1, 5))):
        if number and draw(st.booleans()):
            hosted = (HostedCall(id="h", tool="file_search"),) if draw(TAINTS) else ()
            messages.append(AssistantMessage(text=draw(TEXTS), hosted_calls=hosted))
        messages += draw(turns(number))
    return messages


@st.composite
def looks(draw: st.DrawFn) -> tuple[list[Message], Window]:
    """A conversation, and a window that shows all of it, or less."""
    messages = draw(conversations())
    share, whole = draw(st.none() | st.integers(10, 105)), sum(map(estimate, messages))
    least = st.integers(1, len(messages) + 1)
    window = Window(
        tokens=None if share is None else whole * share // 100 + 1,
        messages=draw(least if share is None else st.none() | least),
        keep_first=draw(st.integers(0, 3)),
        result_chars=draw(st.integers(100, 400)),
    )
    return messages, window


def fit(window: Window, messages: Sequence[Message]) -> Sequence[Message] | None:
    """What is sent; None if that would be too long."""

    async def look() -> Sequence[Message] | None:
        try:
            return await window.fit(messages)
        except ContextTooLong:
            return None

    return anyio.run(look)


def places(kept: Sequence[Message], messages: Sequence[Message]) -> list[int]:
    """Where in the conversation the kept messages stand; an assertion fails for one that does not."""
    found, at = [], len(messages)
    for message in reversed(kept):
        at = next(n for n in reversed(range(at)) if _same(message, messages[n]))
        found.append(at)
    return found[::-1]


def _same(kept: Message, original: Message) -> bool:
    if isinstance(kept, ToolResult) and isinstance(original, ToolResult):
        return kept.call_id == original.call_id and kept.untrusted == original.untrusted
    if isinstance(kept, UserMessage) and isinstance(original, UserMessage):
        return kept.content == original.content and kept.untrusted >= original.untrusted
    return kept == original


@given(looks())
@settings(deadline=None)
def test_what_is_sent_is_accepted_and_fits(look: tuple[list[Message], Window]) -> None:
    """For every conversation: no call without its result, no result without its call, in the order it was, in size."""
    messages, window = look
    kept = fit(window, messages)
    if kept is None:
        return
    accepted(kept)
    assert places(kept, messages) == sorted(places(kept, messages))
    assert window.allows(len(kept), sum(map(estimate, kept)))
    latest = max(n for n, message in enumerate(messages) if isinstance(message, UserMessage))
    assert len(kept) >= len(messages) - latest
    assert places(kept[-(len(messages) - latest) :], messages) == list(range(latest, len(messages)))


@given(looks())
@settings(deadline=None)
def test_what_fits_is_sent_as_it_is(look: tuple[list[Message], Window]) -> None:
    """A window changes nothing that fits, and so nothing that went through it already."""
    messages, window = look
    if window.allows(len(messages), sum(map(estimate, messages))):
        assert fit(window, messages) == messages
    kept = fit(window, messages)
    if kept is not None:
        assert fit(window, kept) == kept


@given(looks(), st.integers(0, 500), st.integers(0, 10))
@settings(deadline=None)
def test_a_larger_window_never_shows_less(look: tuple[list[Message], Window], tokens: int, more: int) -> None:
    """Who raises a limit loses no message by it."""
    messages, window = look
    larger = replace(
        window,
        tokens=None if window.tokens is None else window.tokens + tokens,
        messages=None if window.messages is None else window.messages + more,
    )
    kept, now = fit(window, messages), fit(larger, messages)
    if kept is not None:
        assert now is not None
        assert len(now) >= len(kept)
        assert set(places(now, messages)) >= set(places(kept, messages))


@given(looks())
@settings(deadline=None)
def test_a_taint_is_never_lost(look: tuple[list[Message], Window]) -> None:
    """What was left out may have told the model what to do; what is sent says so."""
    messages, window = look
    kept = fit(window, messages)
    if kept is not None:
        assert is_tainted(kept) == is_tainted(messages)


@given(looks(), st.text(max_size=3) | st.integers(0, 5000).map(lambda n: "s" * n))
@settings(deadline=None)
def test_what_is_sent_with_a_summary_is_accepted_and_fits(look: tuple[list[Message], Window], text: str) -> None:
    """A summary of whatever length stands for what it covers, and makes nothing too long that was not so before."""
    messages, window = look

    async def summarise(left_out: Sequence[Message]) -> str:
        assert left_out
        accepted([*left_out])
        return text

    summed = replace(window, summarise=summarise)
    kept = fit(summed, messages)
    assert (kept is None) == (fit(window, messages) is None)
    if kept is None:
        return
    accepted(kept)
    assert window.allows(len(kept), sum(map(estimate, kept)))
    assert is_tainted(kept) == is_tainted(messages)
    assert fit(summed, kept) == kept


async def test_the_oldest_turns_are_left_out_first() -> None:
    """As many turns as need be go, whole, beginning with the first."""
    messages = [user("1"), *step(1, "a"), said("A"), user("2"), *step(2, "b"), said("B"), user("3")]
    assert shown(await Window(messages=5).fit(messages)) == ["2", "calls", "b", "B", "3"]
    assert shown(await Window(messages=4).fit(messages)) == ["3"]


async def test_old_results_are_cut_before_turns_are_left_out() -> None:
    """What was said stays longer than what tools returned; the results of the last turn are cut last."""
    long = "r" * 4000
    messages = [user("1"), *step(1, long), said("A"), user("2"), *step(2, long), *step(3, long)]
    kept = await Window(tokens=2500, result_chars=200).fit(messages)
    assert len(kept) == len(messages)
    old = kept[2]
    assert isinstance(old, ToolResult)
    assert len(old.content) <= 200
    assert "characters omitted" in old.content
    assert kept[6] == messages[6]
    tight = await Window(tokens=1200, result_chars=200).fit(messages)
    assert [len(text) for text in shown(tight)] == [1, 5, len(old.content), 5, 4000]


async def test_pictures_of_old_results_are_left_out_with_a_word() -> None:
    """A picture costs as much as a page of text; the model is told that there was one."""
    picture = ImagePart(url="data:image/png;base64,AA==")
    messages = [user("1"), *step(1, "a plot", parts=(picture,)), said("A"), user("2")]
    kept = await Window(tokens=500).fit(messages)
    assert shown(kept)[2] == "a plot\n[a picture, which cannot be shown here]"
    assert kept[2].parts == ()  # type: ignore[union-attr]


async def test_a_result_that_would_not_become_shorter_stays() -> None:
    """Words for a file would take more than the file does."""
    file = FilePart(id="file-1")
    messages = [user("1"), *step(1, "b", parts=(file,)), *step(2, "r" * 400), said("A"), user("2")]
    kept = await Window(tokens=100, result_chars=100).fit(messages)
    assert kept[2] == messages[2]
    assert kept[4] != messages[4]


async def test_results_among_the_first_messages_are_not_cut() -> None:
    """What `keep_first` keeps counts in full."""
    messages = [user("1"), *step(1, "r" * 800), said("A"), user("2"), *step(2, "r" * 800), said("B"), user("3")]
    kept = await Window(tokens=300, keep_first=3, result_chars=100).fit(messages)
    assert kept[:3] == messages[:3]
    assert shown(kept[3:]) == shown(messages[-1:]) or sum(map(estimate, kept)) <= 300
    with pytest.raises(ContextTooLong):
        await Window(tokens=150, keep_first=3, result_chars=100).fit(messages)


async def test_first_messages_stay_with_their_results() -> None:
    """`keep_first` keeps what everything rests on, and no call loses its result by it."""
    messages = [user("1"), *step(1, "a", "b"), said("A"), user("2"), said("B"), user("3")]
    assert shown(await Window(messages=5, keep_first=2).fit(messages)) == ["1", "calls", "a", "b", "3"]


async def test_the_turn_may_have_begun_before_the_last_message_of_a_user() -> None:
    """A run that has asked its model again, in a user's message, does not leave out what it was asked itself."""
    messages = [user("the question"), said("wrong form"), user("that does not fit")]
    assert shown(await View(Window(messages=2)).fit(messages)) == ["that does not fit"]
    with pytest.raises(ContextTooLong):
        await View(Window(messages=2)).fit(messages, since=0)
    before = [user("1"), said("A"), *messages]
    kept = await View(Window(messages=4)).fit(before, since=2)
    assert shown(kept) == ["the question", "wrong form", "that does not fit"]


async def test_what_has_to_stay_and_does_not_fit_is_an_error() -> None:
    """The caller learns how much it is, and what can be done, before anything is sent."""
    messages = [user("1"), said("A"), user("2" * 400)]
    with pytest.raises(ContextTooLong) as caught:
        await Window(tokens=50).fit(messages)
    assert str(caught.value) == (
        "what has to stay of the conversation are 1 messages of about 104 tokens, and Window(tokens=50, "
        "messages=None, keep_first=0) allows fewer: raise its limits, lower keep_first, or let tools return less "
        "with Limits(result_chars=...)"
    )


async def test_tokens_are_counted_by_the_function_that_is_given() -> None:
    """Who has the model's own tokenizer counts exactly; each message is counted once."""
    counted: list[str] = []

    def count(message: Message) -> int:
        counted.append(shown([message])[0])
        return 10

    view = View(Window(tokens=30, count=count))
    messages: list[Message] = [user("1"), said("A"), user("2"), said("B"), user("3")]
    assert shown(await view.fit(messages)) == ["2", "B", "3"]
    assert shown(await view.fit([*messages, said("C"), user("4")])) == ["3", "C", "4"]
    assert counted == ["1", "A", "2", "B", "3", "C", "4"]


async def test_a_picture_and_letters_beyond_ascii_are_estimated() -> None:
    """The estimate is of bytes, so that it is not far off for other alphabets."""
    assert estimate(user("x" * 400)) == 104
    assert estimate(user("é" * 200)) == 104
    assert estimate(user((TextPart(text="x" * 400), ImagePart(url="https://example.com/a.png")))) == 1104  # type: ignore[arg-type]
    assert estimate(step(1, "x")[0]) == (len("look") + len("{}")) // 4 + 4


def recorder(*texts: str) -> tuple[list[list[str]], Callable[[Sequence[Message]], Awaitable[str]]]:
    """A function that sums up with these texts, and what it was asked to sum up."""
    asked: list[list[str]] = []

    async def summarise(messages: Sequence[Message]) -> str:
        asked.append(shown(messages))
        return texts[len(asked) - 1]

    return asked, summarise


BEFORE = "[What was said before, summed up:]\n"


def chat(turns: int) -> list[Message]:
    """A conversation of so many turns of two messages, and a question."""
    return [*(m for n in range(1, turns + 1) for m in (user(f"u{n}"), said(f"a{n}"))), user("?")]


async def test_a_summary_is_made_when_it_is_needed_and_of_what_is_left_out() -> None:
    """It stands in a user's message at the front; while the conversation fits, nobody is asked for one."""
    asked, summarise = recorder("they met")
    view = View(Window(messages=8, summarise=summarise))
    assert await view.fit(chat(3)) == chat(3)
    assert asked == []
    assert shown(await view.fit(chat(4))) == [BEFORE + "they met", "u4", "a4", "?"]
    assert asked == [["u1", "a1", "u2", "a2", "u3", "a3"]]


async def test_a_summary_is_used_until_the_conversation_is_too_long_again() -> None:
    """More is left out than need be, so that the next turns need no new summary; the next one goes on from the last."""
    asked, summarise = recorder("they met", "they met and parted")
    view = View(Window(messages=8, summarise=summarise))
    for turns in (4, 5, 6):
        kept = await view.fit(chat(turns))
        assert shown(kept)[:2] == [BEFORE + "they met", "u4"]
    assert len(asked) == 1
    kept = await view.fit(chat(7))
    assert shown(kept) == [BEFORE + "they met and parted", "u7", "a7", "?"]
    assert asked[1] == [BEFORE + "they met", "u4", "a4", "u5", "a5", "u6", "a6"]


async def test_the_next_run_of_a_conversation_needs_no_new_summary() -> None:
    """A window remembers what it has summed up, by what that was: another conversation gets its own."""
    asked, summarise = recorder("they met", "others met")
    window = Window(messages=8, summarise=summarise)
    await window.fit(chat(4))
    kept = await window.fit(json_twin(chat(5)))
    assert shown(kept)[:2] == [BEFORE + "they met", "u4"]
    assert len(asked) == 1
    await window.fit([user("another"), *chat(4)[1:]])
    assert len(asked) == 2


async def test_a_remembered_summary_has_been_paid_for() -> None:
    """What a model used for it is told once, to the run that had it made."""
    model, told = ScriptedModel(["they met"]), []

    async def around(work: Callable[[], Awaitable[Summary]]) -> Summary:
        made = await work()
        told.append((made.text, made.usage.total_tokens))
        return made

    window = Window(messages=8, summarise=summariser(model))
    await View(window).fit(chat(4), step=around)
    await View(window).fit(chat(5), step=around)
    assert told == [("they met", 15), ("they met", None)]


async def test_a_new_summary_goes_on_from_one_of_an_earlier_run() -> None:
    """Nothing is summed up twice, in whichever run it was."""
    asked, summarise = recorder("they met", "they met and parted")
    window = Window(messages=8, summarise=summarise)
    await window.fit(chat(4))
    await window.fit(chat(9))
    assert asked[1] == [BEFORE + "they met", *shown(chat(8)[6:-1])]


async def test_only_the_last_summaries_are_remembered() -> None:
    """A window lives as long as its agent, and does not grow."""
    asked: list[str] = []

    async def summarise(messages: Sequence[Message]) -> str:
        asked.append(shown(messages)[0])
        return "they met"

    window = Window(messages=8, summarise=summarise)
    for n in range(257):
        await window.fit([user(f"{n}"), *chat(4)[1:]])
    await window.fit([user("256"), *chat(4)[1:]])
    assert len(asked) == 257
    await window.fit([user("0"), *chat(4)[1:]])
    assert len(asked) == 258


async def test_a_summary_stays_where_results_of_the_last_turn_can_be_cut() -> None:
    """It goes before the full text of what tools have returned."""
    _, summarise = recorder("they met")
    messages = [user("1"), said("A"), user("2"), *step(1, "r" * 4000), *step(2, "b")]
    kept = await Window(tokens=500, result_chars=200, summarise=summarise).fit(messages)
    assert shown(kept)[:2] == [BEFORE + "they met", "2"]
    assert len(shown(kept)[3]) <= 200


async def test_a_summary_makes_room_for_a_last_turn_that_grows() -> None:
    """It is cut before it is left out."""
    _, summarise = recorder("s" * 400)
    view = View(Window(tokens=200, summarise=summarise))
    messages = [user("1" * 600), said("A" * 200), user("2")]
    assert len(shown(await view.fit(messages))[0]) > 400
    kept = await view.fit([*messages[:2], user("2" * 400)])
    assert "characters omitted" in shown(kept)[0]
    assert len(kept) == 2


async def test_a_summary_holds_nothing_that_cannot_be_sent() -> None:
    """As with all text that comes in."""
    _, summarise = recorder("a\x00b\ud800")
    kept = await Window(messages=8, summarise=summarise).fit(chat(4))
    assert shown(kept)[0] == BEFORE + "a\u2400b\ufffd"


def json_twin(messages: list[Message]) -> list[Message]:
    """The same conversation, as it comes from a store."""
    return [replace(message) for message in messages]


async def test_a_changed_conversation_is_summed_up_anew() -> None:
    """A summary stands for what it covers only, also where the same view is shown something else."""
    asked, summarise = recorder("they met", "others met")
    view = View(Window(messages=8, summarise=summarise))
    await view.fit(chat(4))
    kept = await view.fit([user("another"), *chat(4)[1:]])
    assert shown(kept)[0] == BEFORE + "others met"
    assert asked[1][0] == "another"


async def test_a_summary_of_something_untrusted_is_untrusted() -> None:
    """What was left out may speak through the summary, and through the summary of the summary."""
    _, summarise = recorder("they met", "they met and parted")
    view = View(Window(messages=8, summarise=summarise))
    first = [user("u1", untrusted=True), *chat(4)[1:]]
    kept = await view.fit(first)
    assert isinstance(kept[0], UserMessage)
    assert kept[0].untrusted
    kept = await view.fit([*first[:-1], *chat(7)[8:]])
    assert isinstance(kept[0], UserMessage)
    assert kept[0].untrusted


async def test_a_secret_result_is_not_summed_up() -> None:
    """What only the model may read is not shown to whoever sums up."""
    asked, summarise = recorder("they met")
    messages = [user("1"), *step(1, "the key", secret=True), said("A"), user("2")]
    await Window(messages=3, summarise=summarise).fit(messages)
    assert asked == [["1", "calls", "***", "A"]]


async def test_a_summary_that_is_too_long_is_cut() -> None:
    """What has to stay goes before the summary."""
    _, summarise = recorder("s" * 4000)
    messages = [user("1" * 800), said("A"), user("2")]
    kept = await Window(tokens=100, summarise=summarise).fit(messages)
    assert len(kept) == 2
    assert "characters omitted" in shown(kept)[0]


async def test_a_summary_is_carried_out_as_a_step() -> None:
    """A recorder or a budget stands around the making of a summary, and around nothing else."""
    _, summarise = recorder("they met")
    steps: list[Summary] = []

    async def around(work: Callable[[], Awaitable[Summary]]) -> Summary:
        steps.append(await work())
        return steps[-1]

    view = View(Window(messages=8, summarise=summarise))
    await view.fit(chat(3), step=around)
    kept = await view.fit(chat(4), step=around)
    await view.fit(chat(5), step=around)
    assert steps == [Summary(text="they met", covers=6)]

    async def replay(work: Callable[[], Awaitable[Summary]]) -> Summary:
        return steps[0]

    again = View(Window(messages=8, summarise=summarise))
    assert await again.fit(chat(4), step=replay) == kept


async def test_a_model_sums_up() -> None:
    """`summariser` shows a model what was said as one text, and says what that used."""
    model = ScriptedModel(["They looked."])
    long = "r" * 20_000
    messages = [user("1"), *step(1, long, untrusted=True), said("A"), user("2")]
    steps: list[Summary] = []

    async def around(work: Callable[[], Awaitable[Summary]]) -> Summary:
        steps.append(await work())
        return steps[-1]

    kept = await View(Window(messages=3, summarise=summariser(model))).fit(messages, step=around)
    assert shown(kept) == [BEFORE + "They looked.", "2"]
    assert steps[0].usage.total_tokens == 15
    assert steps[0].info == model.info
    [request] = model.requests
    [asked] = request.messages
    assert isinstance(asked, UserMessage)
    assert asked.untrusted
    assert asked.text.startswith("User: 1\n\nAssistant: [calls look({})]\n\nResult of look: rrr")
    assert asked.text.endswith("\n\nAssistant: A")
    assert len(asked.text) < 9000
    assert request.settings.max_tokens == 1000


async def test_a_model_that_sums_up_nothing_is_an_error() -> None:
    """An empty summary would lose the conversation without a word."""
    with pytest.raises(BadResponse):
        await Window(messages=3, summarise=summariser(ScriptedModel([""]))).fit(chat(2))


async def test_an_error_in_summing_up_leaves_nothing_behind() -> None:
    """It goes to the caller, and the next look tries again."""
    tries: list[int] = []

    async def summarise(messages: Sequence[Message]) -> str:
        tries.append(len(messages))
        if len(tries) == 1:
            raise ValueError("no")
        return "they met"

    view = View(Window(messages=8, summarise=summarise))
    with pytest.raises(ValueError):
        await view.fit(chat(4))
    assert shown(await view.fit(chat(4)))[0] == BEFORE + "they met"


async def test_a_session_can_be_made_shorter_for_good() -> None:
    """What a window shows can take the place of what is stored."""
    _, summarise = recorder("they met")
    store = MemoryStore()
    revision = await store.append("alice", chat(4), revision=0)
    stored = await store.load("alice")
    await store.replace("alice", await Window(messages=8, summarise=summarise).fit(stored.messages), revision=revision)
    assert shown((await store.load("alice")).messages) == [BEFORE + "they met", "u4", "a4", "?"]


async def test_a_window_serves_many_runs_at_once() -> None:
    """It holds nothing of a run: a thousand looks at the same time see each their own conversation."""
    both = anyio.Event()
    waiting = 0

    async def summarise(messages: Sequence[Message]) -> str:
        nonlocal waiting
        waiting += 1
        if waiting == 1000:
            both.set()
        await both.wait()
        return shown(messages)[0]

    window = Window(messages=8, summarise=summarise)
    kept: dict[int, Sequence[Message]] = {}

    async def look(n: int) -> None:
        kept[n] = await window.fit([user(f"first {n}"), *chat(4)[1:]])

    async with anyio.create_task_group() as group:
        for n in range(1000):
            group.start_soon(look, n)
    assert all(shown(kept[n])[0] == f"{BEFORE}first {n}" for n in range(1000))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "Window(): limit something, with tokens= or messages="),
        ({"tokens": 0}, "Window(tokens=0): must be a whole number from 1 on"),
        ({"tokens": 1.5}, "Window(tokens=1.5): must be a whole number from 1 on"),
        ({"messages": True}, "Window(messages=True): must be a whole number from 1 on"),
        ({"messages": 1, "keep_first": -1}, "Window(keep_first=-1): must be a whole number from 0 on"),
        ({"messages": 1, "result_chars": 10}, "Window(result_chars=10): must be a whole number from 100 on"),
        ({"messages": 1, "result_chars": None}, "Window(result_chars=None): must be a whole number from 100 on"),
        ({"messages": 1, "summarise": "chat:gpt-5.5"}, "Window(summarise='chat:gpt-5.5'): give a function"),
        ({"messages": 1, "count": None}, "Window(count=None): give a function"),
    ],
    ids=range(9),
)
def test_a_wrong_window_is_refused_where_it_is_written(given: dict[str, Any], told: str) -> None:
    """Not in the middle of a long conversation."""
    with pytest.raises(ConfigError) as caught:
        Window(**given)
    assert str(caught.value) == told


async def test_a_summary_that_is_no_text_is_an_error_of_the_programmer() -> None:
    """It says what is needed."""

    async def summarise(messages: Sequence[Message]) -> Any:
        return None

    with pytest.raises(ConfigError, match="gave None: an async function that gives text is needed"):
        await Window(messages=8, summarise=summarise).fit(chat(4))


async def test_a_run_sends_what_fits_and_keeps_everything() -> None:
    """The window stands before the model only: the session and the result have the whole conversation."""
    model, session = ScriptedModel(["one", "two", "three"]), Session("alice")
    agent = Agent(model, window=Window(messages=3))
    for prompt in ("1", "2", "3"):
        result = await agent.run(prompt, session=session)
    assert [shown(request.messages) for request in model.requests] == [["1"], ["1", "one", "2"], ["2", "two", "3"]]
    assert shown(result.messages) == ["1", "one", "2", "two", "3", "three"]
    assert (await session.store.load("alice")).messages == result.messages


async def test_a_model_that_is_asked_again_still_reads_what_it_was_asked() -> None:
    """What the run says itself, about an answer that does not fit, begins no turn: the question stays, or nothing."""
    before = [user("1"), said("A")]
    model = ScriptedModel(["yes", "12"])
    assert (await Agent(model, output=int, window=Window(messages=3)).run("How many?", history=before)).output == 12
    assert [shown(request.messages)[0] for request in model.requests] == ["1", "How many?"]
    with pytest.raises(ContextTooLong):
        await Agent(ScriptedModel(["yes"]), output=int, window=Window(messages=2)).run("How many?", history=before)


async def test_a_summary_is_paid_for_by_the_run_that_needs_it() -> None:
    """The tokens of the model that sums up are tokens of the run, and so is its price."""
    small, model = ScriptedModel(["they met"]), ScriptedModel(["Hello."])
    agent = Agent(
        model,
        window=Window(messages=8, summarise=summariser(small)),
        prices=Prices({"scripted": Price(input=1, output=1)}),
    )
    result = await agent.run("?", history=chat(4)[:-1])
    assert shown(model.requests[0].messages)[0] == BEFORE + "they met"
    assert result.usage.total_tokens == 30
    assert result.cost == pytest.approx(30 / 1_000_000)


async def test_a_conversation_that_does_not_fit_ends_the_run_before_a_call() -> None:
    """With the error that a server would give, but no bill."""
    model = ScriptedModel([])
    with pytest.raises(ContextTooLong) as caught:
        await Agent(model, window=Window(tokens=10)).run("x" * 400)
    assert model.requests == []
    assert shown(caught.value.history) == ["x" * 400]


async def test_a_count_that_is_no_number_is_an_error_of_the_programmer() -> None:
    """An async function, for example, that nobody has awaited."""
    with pytest.raises(ConfigError, match="gave None: a number of tokens is needed"):
        await Window(tokens=10, count=lambda message: None).fit(chat(1))  # type: ignore[arg-type,return-value]
