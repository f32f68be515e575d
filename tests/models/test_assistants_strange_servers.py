"""Servers that somebody else has written, and that are strange: the user gets the right answer, or a clear error.

The server is `naive_assistants`, which knows nothing of agentkit's own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest
import trio
import trio.testing
from hypothesis import example, given
from hypothesis import strategies as st
from naive_assistants import Answer, Asked, Event, NaiveAssistants, Plan, Said

from agentkit import (
    Agent,
    AssistantMessage,
    ConfigError,
    LimitExceeded,
    Limits,
    MemoryStore,
    Message,
    ModelRequest,
    ModelSettings,
    RunResult,
    Session,
    TextDelta,
    ToolCall,
    ToolRegistry,
    ToolResult,
    UserMessage,
)
from agentkit.errors import BadResponse, RequestRejected, ServerFailed, SessionBusy, SessionConflict
from agentkit.models.assistants import AssistantsBackend
from agentkit.models.assistants.place import digest_of, place_of, runs_in
from agentkit.testing.http_server import Drop

pytestmark = pytest.mark.anyio

Meddle = Callable[[Asked, Callable[[], Answer]], Awaitable[Answer]]
flying = pytest.mark.parametrize("anyio_backend", ["flying"], indirect=True)
"""On a loop whose clock jumps over all pauses."""
PATIENT = Limits(seconds=None)
"""While a thread works, the clock that jumps would jump to the end of a run's time."""
BUSY = {"error": {"message": "Thread t already has an active run r."}}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Both loops, or one whose time can be made to fly."""
    if request.param == "flying":
        return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0.02)}
    return request.param


def backend(server: NaiveAssistants, **more: Any) -> AssistantsBackend:
    return AssistantsBackend("m", base_url=server.base_url, api_key="sk-any", **more)


def rounds(*said: list[Said]) -> Plan:
    """Each run says the same, round by round."""
    return lambda run, round: said[round]


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TWO_CALLS = rounds(["Let me see.", [("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4})]], ["It is 3 and 7."])
THREE_ROUNDS = rounds([[("add", {"a": 1, "b": 1})]], [[("add", {"a": 2, "b": 2})]], ["It is 2 and 4."])


def results(messages: Any) -> list[str]:
    return [message.content for message in messages if isinstance(message, ToolResult)]


def answers(messages: Any) -> list[str]:
    return [message.text for message in messages if isinstance(message, AssistantMessage)]


async def streamed(agent: Agent, prompt: str) -> tuple[RunResult[str], str]:
    """A result, and the text that was told on the way to it."""
    told = ""
    async with agent.stream(prompt) as events:
        async for event in events:
            told += event.text if isinstance(event, TextDelta) else ""
    return events.result, told


async def is_right(server: NaiveAssistants) -> None:
    """Two turns of a conversation that a server with the plan TWO_CALLS answers as if nothing were strange."""
    agent = Agent(backend(server), tools=[add], limits=PATIENT)
    first, told = await streamed(agent, "What is 1 + 2, and 3 + 4?")
    assert answers(first.messages) == ["Let me see.", "It is 3 and 7."]
    assert results(first.messages) == ["3", "7"]
    assert told == "Let me see.It is 3 and 7."
    second = await agent.run("Again?", history=first.messages)
    assert answers(second.messages)[2:] == ["Let me see.", "It is 3 and 7."]
    assert set(server.statuses) == {"completed"}
    assert len(server.statuses) == 2


def lost_once(end: str) -> Meddle:
    """The first answer to a POST with this end is lost on its way, though the server has done it."""
    left = [True]

    async def meddle(asked: Asked, answer: Callable[[], Answer]) -> Answer:
        done = answer()
        if left and asked.method == "POST" and asked.path[-1] == end:
            left.clear()
            raise Drop(reset=False)
        return done

    return meddle


async def test_a_conversation_streamed_and_whole() -> None:
    """What our own test server shows is so on another server too: text, parallel calls, rounds, and usage."""
    async with NaiveAssistants(TWO_CALLS) as server:
        await is_right(server)
    async with NaiveAssistants(THREE_ROUNDS) as server:
        result = await Agent(backend(server), tools=[add]).run("Add.")
        assert (result.output, results(result.messages)) == ("It is 2 and 4.", ["2", "4"])
        assert result.usage.total_tokens == 60


async def test_an_answer_of_a_type() -> None:
    """Structured output is asked for and understood."""
    async with NaiveAssistants(rounds([[("add", {"a": 1, "b": 2})]], ['{"sum": 3}'])) as server:
        result = await Agent(backend(server), tools=[add], output=dict[str, int]).run("Add.")
        assert result.output == {"sum": 3}
        [assistant] = server.assistants.values()
        assert assistant["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("lacking", ["thread_id", "created_at", "expires_at", "metadata", "usage", "assistant_id"])
async def test_a_run_object_without_a_field(lacking: str) -> None:
    """Servers leave out what they think nobody needs."""
    async with NaiveAssistants(TWO_CALLS, lacking=[lacking]) as server:
        await is_right(server)


async def test_a_server_that_ignores_stream() -> None:
    """Its run has already stopped when it is given back; what was said before the calls stays before them."""
    async with NaiveAssistants(TWO_CALLS, streams=False) as server:
        await is_right(server)


@pytest.mark.parametrize("streams", [True, False])
async def test_a_server_without_steps(streams: bool) -> None:
    """Many have none; a conversation needs them no more than its user does."""

    async def meddle(asked: Asked, answer: Callable[[], Answer]) -> Answer:
        return server.reply({"detail": "Not Found"}, 404) if asked.path[-1] == "steps" else answer()

    def without_steps(events: list[Event]) -> list[Event]:
        return [event for event in events if ".step." not in event[0]]

    async with NaiveAssistants(TWO_CALLS, streams=streams, mangle=without_steps, meddle=meddle) as server:
        await is_right(server)


async def test_lists_that_are_always_oldest_first() -> None:
    """What somebody else has said on our thread is seen all the same, and the conversation goes on without it."""
    async with NaiveAssistants(rounds(["Yes."]), oldest_first=True) as server:
        agent, history = Agent(backend(server)), tuple[Message, ...]()
        for prompt in ("1", "2", "3", "4"):
            history = (await agent.run(prompt, history=history)).messages
        [thread], [assistant] = server.threads, server.assistants
        strange = {"assistant_id": assistant, "additional_messages": [{"role": "user", "content": "I am a stranger"}]}
        server.act(Asked("POST", ("threads", thread, "runs"), {}, strange))
        await agent.run("5", history=history)
        [_, fresh] = server.threads
        assert [text for role, text in server.said(fresh) if role == "user"] == ["1", "2", "3", "4", "5"]


async def test_a_lost_run_is_found_in_a_list_that_is_oldest_first() -> None:
    """Behind a hundred older ones, too: it is not begun twice."""
    async with NaiveAssistants(rounds(["Yes."]), oldest_first=True, meddle=lost_once("runs")) as server:
        thread = server.act(Asked("POST", ("threads",), {}, {}))["id"]
        assistant = server.act(Asked("POST", ("assistants",), {}, {}))["id"]
        for _ in range(101):
            server.act(Asked("POST", ("threads", thread, "runs"), {}, {"assistant_id": assistant}))
        assert (await Agent(backend(server, thread=thread)).run("Once")).output == "Yes."
        assert len(server.runs[thread]) == 102


def only_steps(events: list[Event]) -> list[Event]:
    return [event for event in events if not event[0].startswith("thread.message")]


async def test_messages_that_only_steps_announce() -> None:
    """A stream without message events: each answer has its own words, and not those of the round before."""
    async with NaiveAssistants(TWO_CALLS, mangle=only_steps) as server:
        await is_right(server)


def early_end(events: list[Event]) -> list[Event]:
    """The run's end comes after the first delta of the last message."""
    *events, end = events
    first = next((n for n, (name, _) in enumerate(events) if name == "thread.message.delta"), len(events))
    return [*events[: first + 1], end, *events[first + 1 :]] if end[0] == "thread.run.completed" else [*events, end]


async def test_words_after_the_end_of_the_run() -> None:
    """An answer is not cut short where a server's tasks overtake each other."""
    async with NaiveAssistants(TWO_CALLS, mangle=early_end) as server:
        await is_right(server)


def lost_end(events: list[Event]) -> list[Event]:
    return [event for event in events if event[0] != "thread.message.completed"]


@flying
@pytest.mark.parametrize("mangle", [list, lost_end, only_steps], ids=["all", "no end of message", "only steps"])
async def test_a_stream_that_stays_open(mangle: Callable[[list[Event]], list[Event]]) -> None:
    """When the run has ended, nobody waits for the end of its stream."""
    async with NaiveAssistants(TWO_CALLS, mangle=mangle, stays_open=True) as server:
        began = trio.current_time()
        await is_right(server)
        assert trio.current_time() - began < 10


async def test_a_long_answer_in_small_pieces() -> None:
    """Ten thousand deltas arrive, each once and in order."""
    text = "".join(map(str, range(2_500)))
    async with NaiveAssistants(rounds([text]), piece=1) as server:
        result, told = await streamed(Agent(backend(server)), "Count.")
    assert len(text) > 8_000
    assert told == result.output == text


@pytest.mark.parametrize(
    ("kind", "dots"),
    [(kind, dots) for kind in ("assistant", "thread") for dots in (".", "..", "")] + [("run", "")],
)
async def test_an_id_that_leads_elsewhere(kind: str, dots: str) -> None:
    """The server's fault is named; no request is ever sent to another path than it was meant for, and no tool runs."""

    def make_id(made: str, n: int) -> str:
        return dots if made == kind else f"{made}_{n}"

    async def add(a: int, b: int) -> int:
        raise AssertionError("nobody could be told the result")

    async with NaiveAssistants(TWO_CALLS, make_id=make_id) as server:
        with pytest.raises(BadResponse, match=f"{kind} without an id"):
            await Agent(backend(server), tools=[add]).run("Hello")
        assert not [asked for asked in server.asked if {".", "..", ""} & set(asked.path[:-1])]


@pytest.mark.parametrize("kind", ["message", "run.step", "call"])
async def test_objects_without_ids(kind: str) -> None:
    """What nobody has to ask for by its id may have none."""
    async with NaiveAssistants(TWO_CALLS, make_id=lambda made, n: "" if made == kind else f"{made}_{n}") as server:
        result = await Agent(backend(server), tools=[add]).run("Add.")
        assert (answers(result.messages), results(result.messages)[0]) == (["Let me see.", "It is 3 and 7."], "3")


GOOD = {
    "wire": "assistants",
    "server": "here",
    "thread": "thread_x",
    "run": "run_x",
    "waiting": True,
    "expires": 1.0,
    "rounds": 1,
    "seen": ["step_1"],
    "ids": {"c": "call_1"},
    "usage": {"input_tokens": 1},
    "digest": "d",
}
KINDS: list[Any] = [None, True, -1, 1.5, "x", "..", "a\ud800b", [1], {"a": 1}, {"input_tokens": "x"}]
"""One of each kind of JSON, and some that are worse."""
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["..", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@example(key="waiting", value=False)
@given(key=st.sampled_from(sorted(GOOD)), value=any_json)
def test_a_state_of_another_version_is_sound_or_nobodys(key: str, value: Any) -> None:
    """Whatever JSON stands in a stored state, it is used as it is meant or not at all, and nothing crashes."""
    answer = AssistantMessage(text="t", state={**GOOD, key: value})
    place = place_of(answer, "here")
    digest_of([UserMessage(content="q"), answer], "here")
    if place is not None:
        assert runs_in([answer], place) == {place.run}
        assert place_of(AssistantMessage(state=place.state()), "here") == place
        assert not {place.thread, place.run} & {"", ".", ".."}


@pytest.mark.parametrize("key", [key for key in GOOD if key not in {"wire", "server"}])
async def test_a_conversation_goes_on_from_a_state_of_another_version(key: str) -> None:
    """A session that a newer agentkit has written, or somebody has edited, costs a new thread and no more."""
    call = ToolCall(id="c", name="add", arguments="{}")
    async with NaiveAssistants(rounds(["Yes."])) as server:
        agent = Agent(model := backend(server), tools=[add])
        state = (await agent.run("Where?")).answer.state
        assert state is not None
        for n, value in enumerate(KINDS):
            answer = AssistantMessage(tool_calls=(call,), state={**GOOD, "server": state["server"], key: value})
            history: list[Message] = [
                UserMessage(content="q"),
                answer,
                ToolResult(call_id="c", name="add", content="1"),
            ]
            result = await agent.run("More" if n % 2 else None, history=history)
            assert result.output == "Yes."
            await model.release(answer)
            await model.forget(history)


@pytest.mark.parametrize("key", ["thread", "run"])
async def test_a_waiting_run_that_is_gone_with_its_thread(key: str) -> None:
    """A paused conversation goes on with new words although the server has lost it."""
    async with NaiveAssistants(TWO_CALLS) as server:
        model = backend(server)
        paused = await model.generate(ModelRequest(messages=[UserMessage(content="q")], tools=ToolRegistry([add])))
        assert paused.finish_reason == "tool_calls"
        (server.threads if key == "thread" else server.runs[next(iter(server.runs))]).clear()
        told = [ToolResult(call_id=call.id, name="add", content="8") for call in paused.message.tool_calls]
        history: list[Message] = [UserMessage(content="q"), paused.message, *told]
        result = await Agent(model, tools=[add]).run("More", history=history)
        assert result.output == "It is 3 and 7."
        last = list(server.threads)[-1]
        assert [role for role, text in server.said(last) if role == "user"]


async def test_an_assistant_that_is_gone_when_a_conversation_has_to_change_its_thread() -> None:
    """It is made anew for the old thread, on which somebody begins a run just then, and answers on the new one."""
    refusals: list[tuple[int, Any]] = []

    async def meddle(asked: Asked, answer: Callable[[], Answer]) -> Answer:
        if asked.method == "POST" and asked.path[-1] == "runs" and refusals:
            status, words = refusals.pop(0)
            return server.reply(words, status)
        return answer()

    async with NaiveAssistants(rounds(["Yes."]), meddle=meddle) as server:
        agent = Agent(backend(server))
        first = await agent.run("Hello")
        server.assistants.clear()
        refusals += [(404, {"error": {"message": "There is no such assistant."}}), (400, BUSY)]
        second = await agent.run("Hello?", history=first.messages)
        assert second.output == "Yes."
        assert len(server.threads) == 2
        assert len(server.assistants) == 1


async def test_an_assistant_that_is_never_found() -> None:
    """A server that lists an assistant and yet has none is not asked for ever."""

    async def meddle(asked: Asked, answer: Callable[[], Answer]) -> Answer:
        if asked.method == "POST" and asked.path[-1] == "runs":
            return server.reply({"error": {"message": f"No assistant {asked.body['assistant_id']!r}"}}, 404)
        return answer()

    async with NaiveAssistants(rounds(["Yes."]), meddle=meddle) as server:
        with pytest.raises(RequestRejected, match="No assistant"):
            await Agent(backend(server)).run("Hello")
        assert len(server.asked) < 10


async def test_a_server_that_was_restarted_says_so_in_its_own_words() -> None:
    """An assistant that is gone is made anew, whatever the 404 says."""
    async with NaiveAssistants(rounds(["Yes."]), not_found=lambda id: {"detail": "Not Found"}) as server:
        agent = Agent(backend(server))
        first = await agent.run("Hello")
        for kept in (server.assistants, server.threads, server.messages, server.runs):
            kept.clear()
        assert (await agent.run("Again", history=first.messages)).output == "Yes."
        assert len(server.assistants) == 1


@flying
async def test_a_thread_that_is_busy_with_nothing() -> None:
    """A stale lock on the server is told as one, after some patience and few requests."""

    async def meddle(asked: Asked, answer: Callable[[], Answer]) -> Answer:
        return server.reply(BUSY, 400) if asked.method == "POST" and asked.path[-1] == "runs" else answer()

    async with NaiveAssistants(rounds(["Yes."]), meddle=meddle) as server:
        thread = server.act(Asked("POST", ("threads",), {}, {}))["id"]
        with pytest.raises(SessionBusy, match="shows none"):
            await Agent(backend(server, thread=thread), limits=PATIENT).run("Hello")
        assert trio.current_time() < 60
        assert len(server.asked) < 20


async def test_a_list_that_never_ends() -> None:
    """It is given up, and said which one it was."""

    async def meddle(asked: Asked, answer: Callable[[], Answer]) -> Answer:
        if asked.method != "GET":
            return answer()
        return server.reply({"data": [{"id": f"a{len(server.asked)}"}], "has_more": True})

    async with NaiveAssistants(rounds(["Yes."]), meddle=meddle) as server:
        with pytest.raises(BadResponse, match="'/assistants' on the server does not end"):
            await Agent(backend(server)).run("Hello")
        assert len(server.asked) < 250


async def test_a_list_that_says_the_same_for_ever() -> None:
    """A page with nothing new is the last one, whatever the server says."""

    async def meddle(asked: Asked, answer: Callable[[], Answer]) -> Answer:
        same = {"data": [{"id": "a"}], "has_more": True}
        return server.reply(same) if (asked.method, asked.path) == ("GET", ("assistants",)) else answer()

    async with NaiveAssistants(rounds(["Yes."]), meddle=meddle) as server:
        assert (await Agent(backend(server)).run("Hello")).output == "Yes."
        assert len(server.asked) < 10


ACTIONS: dict[str, Any] = {
    "nothing": None,
    "no calls": {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": []}},
    "an approval": {"type": "approve", "approve": {"id": "x"}},
    "no function": {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [{"id": "c", "type": "mcp"}]}},
}


@pytest.mark.parametrize("action", ACTIONS)
async def test_an_action_that_nobody_can_take(action: str) -> None:
    """What was said before it is not taken for the answer, and the run does not hold its thread for ever."""
    async with NaiveAssistants(rounds(["Hi.", ACTIONS[action]])) as server:
        with pytest.raises(BadResponse, match="waits for something that agentkit does not know"):
            await Agent(backend(server)).run("Hello")
        assert server.statuses == ["cancelled"]


@pytest.mark.parametrize("steps", ["none", "404"])
async def test_results_whose_answer_is_lost_on_a_server_without_steps(steps: str) -> None:
    """They are told once, and each tool runs once."""
    ran: list[int] = []
    lose = lost_once("submit_tool_outputs")

    def add(a: int, b: int) -> int:
        ran.append(a)
        return a + b

    async def meddle(asked: Asked, answer: Callable[[], Answer]) -> Answer:
        if asked.path[-1] == "steps":
            return server.reply({"data": []}) if steps == "none" else server.reply({"detail": "Not Found"}, 404)
        return await lose(asked, answer)

    async with NaiveAssistants(THREE_ROUNDS, meddle=meddle) as server:
        result = await Agent(backend(server), tools=[add]).run("Add.")
        assert (result.output, ran) == ("It is 2 and 4.", [1, 2])
        assert server.statuses == ["completed"]


async def test_a_lost_run_on_a_server_that_keeps_no_metadata() -> None:
    """It is found by what was there before: nothing is said or paid twice."""
    async with NaiveAssistants(rounds(["Yes."]), keeps_metadata=False, meddle=lost_once("runs")) as server:
        assert (await Agent(backend(server)).run("Once")).output == "Yes."
        [thread] = server.threads
        assert server.said(thread) == [("user", "Once"), ("assistant", "Yes.")]


async def test_assistants_on_a_server_that_keeps_no_metadata() -> None:
    """They are known by their content: another process finds its own, never a warmer one."""
    async with NaiveAssistants(rounds(["{}"]), keeps_metadata=False) as server:
        agents: list[dict[str, Any]] = [
            {"settings": ModelSettings(temperature=0.9)},
            {"output": dict[str, int]},
            {"instructions": "Be brief."},
            {"tools": [add]},
            {},
        ]
        used: list[set[str]] = []
        for process in ("one", "two"):
            for more in agents:
                model = AssistantsBackend("m", base_url=server.base_url, api_key=f"sk-{process}")
                await Agent(model, **more).run("Hello")
            runs = [run for runs in server.runs.values() for run in runs]
            used.append({run["assistant_id"] for run in runs})
        assert len(used[0]) == len(agents)
        assert used[1] == used[0] == set(server.assistants)


@flying
async def test_a_cancel_that_never_ends() -> None:
    """A limit is told within seconds, and the conversation goes on elsewhere."""
    async with NaiveAssistants(TWO_CALLS, cancels_to="cancelling") as server:
        agent = Agent(backend(server), tools=[add], limits=PATIENT)
        with pytest.raises(LimitExceeded) as caught:
            await Agent(backend(server), tools=[add], limits=replace(PATIENT, iterations=1)).run("Add.")
        assert trio.current_time() < 10
        result = await agent.run("Again?", history=caught.value.history)
        assert result.output == "It is 3 and 7."
        assert trio.current_time() < 30
        assert server.statuses == ["cancelling", "completed"]
        assert len(server.threads) == 2


async def test_two_that_take_up_one_paused_session() -> None:
    """Who comes too late gets a SessionConflict, and does not cancel the run that the other one is using."""
    store, both, ready = MemoryStore(), anyio.Event(), list[int]()
    ended: list[str] = []

    async def add(a: int, b: int) -> int:
        ready.append(a)
        if len(ready) == 4:
            both.set()
        await both.wait()
        return a + b

    async with NaiveAssistants(TWO_CALLS) as server:
        tools, prompt = ToolRegistry([add]), UserMessage(content="Add.")
        paused = await backend(server).generate(ModelRequest(messages=[prompt], tools=tools))
        await store.append("s", [prompt, paused.message], revision=0)

        async def take_up() -> None:
            agent = Agent(backend(server), tools=[add])
            try:
                ended.append((await agent.run(None, session=Session("s", store))).output)
            except SessionConflict:
                ended.append("too late")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take_up)
            tasks.start_soon(take_up)
        assert sorted(ended) == ["It is 3 and 7.", "too late"]
        assert server.statuses == ["completed"]
        assert not [asked for asked in server.asked if asked.path[-1] == "cancel"]


@flying
@pytest.mark.parametrize("pause", ["0", "0.001", "-1", "nan", "abc", "1e9", "inf", "500"])
async def test_a_pause_that_makes_no_sense(pause: str) -> None:
    """A run of five seconds is looked at now and then, whatever the server says, and its end is seen soon."""

    async def meddle(asked: Asked, answer: Callable[[], Answer]) -> Answer:
        assert len(server.asked) < 30
        if asked.method == "GET" and trio.current_time() > 5:
            for runs in server.runs.values():
                for run in runs:
                    run["status"] = "completed"
        return answer()

    headers = {"openai-poll-after-ms": pause}
    async with NaiveAssistants(
        rounds(["Yes."]), streams=False, ends="in_progress", headers=headers, meddle=meddle
    ) as server:
        assert (await Agent(backend(server), limits=PATIENT).run("Hello")).output == "Yes."
        assert trio.current_time() < 16


@flying
async def test_an_error_event_before_a_run_that_hangs() -> None:
    """The user reads why, and not only that it took too long; the run is cancelled."""

    def burning(events: list[Event]) -> list[Event]:
        return [*events[:2], ("error", {"error": {"message": "the GPU is on fire", "code": "server_error"}})]

    async with NaiveAssistants(rounds(["Yes."]), ends="in_progress", mangle=burning) as server:
        with anyio.fail_after(60), pytest.raises(ServerFailed, match="the GPU is on fire"):
            await Agent(backend(server), limits=PATIENT).run("Hello")
        assert trio.current_time() < 30
        assert server.statuses == ["cancelled"]


@pytest.mark.parametrize("extra", ["assistant_id", "additional_messages", "metadata", "stream"])
async def test_what_only_agentkit_may_say(extra: str) -> None:
    """A setting that would replace the prompt is refused by its name, before anything is sent."""
    async with NaiveAssistants(rounds(["Yes."])) as server:
        with pytest.raises(ConfigError, match=extra):
            await Agent(backend(server), settings=ModelSettings(extra={extra: None})).run("Hello")
        assert not server.statuses


async def test_two_runs_of_one_process_on_a_thread_that_is_not_waited_for() -> None:
    """on_active_run="raise" means other runs of this process, too."""
    begun, go = anyio.Event(), anyio.Event()

    async def meddle(asked: Asked, answer: Callable[[], Answer]) -> Answer:
        if asked.method == "POST" and asked.path[-1] == "runs":
            begun.set()
            await go.wait()
        return answer()

    async with NaiveAssistants(rounds(["Yes."]), meddle=meddle) as server:
        thread = server.act(Asked("POST", ("threads",), {}, {}))["id"]
        agent = Agent(backend(server, thread=thread, on_active_run="raise"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent.run, "First")
            await begun.wait()
            with anyio.fail_after(20), pytest.raises(SessionBusy, match=thread):
                await agent.run("Second")
            go.set()
        assert server.said(thread) == [("user", "First"), ("assistant", "Yes.")]
