"""What spans, metrics and events say under agentkit's own names, and that the documentation has all of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from endings import ENDINGS, INSTRUCTIONS, PROMPT, SAID, Stage, add, client_of, local, pay
from exports import Exports, Memory, Span
from norm import NORM

from agentkit import Agent, AssistantMessage, Message, UserMessage, tool
from agentkit.errors import ModelError, RateLimited, ServerFailed
from agentkit.models.assistants import AssistantsBackend
from agentkit.models.retry import Retried, Retry
from agentkit.paused import Approved
from agentkit.prices import Price, Prices
from agentkit.telemetry import semconv as s
from agentkit.testing import AssistantsServer, Fault, call
from agentkit.testing.assistants.faults import Kind
from agentkit.window import Window, summariser

pytestmark = pytest.mark.anyio
DOCS = Path(__file__).parents[2] / "docs" / "telemetry.md"
BEGIN = "<!-- tables from semconv.py: `python tests/telemetry/test_own_signals.py` writes them -->"
END = "<!-- end of the tables -->"
QUICK = Retry(times=2, first_pause=0.001, longest_pause=0.002)

OUTCOMES = {
    "ok": ("completed", None),
    "a tool fails": ("completed", None),
    "a tool breaks the run": ("failed", None),
    "the server fails": ("failed", None),
    "cancelled in a model call": ("cancelled", None),
    "streamed and abandoned": ("cancelled", None),
    "too many iterations": ("limit", "iterations"),
    "a part at the limit": ("limit", "iterations"),
    "a last answer at the limit": ("limit", "iterations"),
    "too many tokens": ("limit", "tokens"),
    "going in circles": ("limit", "repeats"),
    "a guardrail of the input": ("guardrail", None),
    "paused": ("paused", None),
}


def one(exports: Exports, name: str) -> Span:
    [span] = [each for each in exports.spans if each.name == name]
    return span


def counted(exports: Exports, metric: str) -> dict[tuple[tuple[str, Any], ...], float]:
    """What a metric came to, by its attributes."""
    return {tuple(sorted(p.attributes.items())): p.sum for p in exports.points if p.name == metric}


@pytest.mark.parametrize("name", OUTCOMES)
async def test_the_span_and_a_counter_say_what_a_run_has_come_to(name: str) -> None:
    """Also where the caller gets a result all the same: a limit is found by asking for it."""
    [ending] = [each for each in ENDINGS if each.name == name]
    memory = Memory()
    await ending.happens(Stage(memory.telemetry))
    exports, (outcome, limit) = memory.exports(), OUTCOMES[name]
    attributes = one(exports, "invoke_agent clerk").attributes
    assert (attributes[s.OUTCOME], attributes.get(s.LIMIT)) == (outcome, limit)
    wanted = {s.AGENT_NAME: "clerk", s.OUTCOME: outcome} | ({s.LIMIT: limit} if limit else {})
    assert counted(exports, s.RUNS) == {tuple(sorted(wanted.items())): 1}


async def test_cost_is_on_each_model_call_and_on_the_run_and_counted() -> None:
    """A sub-agent's is its own: whoever adds up spans counts no dollar twice."""
    memory = Memory()
    prices = Prices({"m": Price(input=1_000_000, output=0)})
    helper = Agent(local("4"), name="helper", description="Counts.", telemetry=memory.telemetry, prices=prices)
    model = local([call("helper", prompt="2+2?")], "4")
    result = await Stage(memory.telemetry).clerk(model, helper.as_tool(), prices=prices).run("?")
    exports = memory.exports()
    costs = {name: one(exports, f"invoke_agent {name}").attributes[s.COST_USD] for name in ("clerk", "helper")}
    assert sum(costs.values()) == result.cost == 30
    for name, cost in costs.items():
        chats = exports.children(one(exports, f"invoke_agent {name}"))
        assert sum(chat.attributes.get(s.COST_USD, 0) for chat in chats if chat.operation == "chat") == cost
    assert sum(counted(exports, s.SPENT).values()) == result.cost
    assert {dict(key)[s.AGENT_NAME] for key in counted(exports, s.SPENT)} == {"clerk", "helper"}


async def test_where_nobody_asks_for_prices_there_is_no_cost() -> None:
    """Not even nought."""
    memory = Memory()
    await Stage(memory.telemetry).clerk(local("x")).run("?")
    assert all(s.COST_USD not in span.attributes for span in memory.exports().spans)
    assert counted(memory.exports(), s.SPENT) == {}


def retries(span: Span) -> Sequence[tuple[Any, Any]]:
    return [(e.attributes[s.RETRY_ATTEMPT], e.attributes[s.ERROR_TYPE]) for e in span.events if e.name == s.RETRY]


@pytest.mark.parametrize("watched", [False, True], ids=["run", "streamed"])
@pytest.mark.parametrize("fails", [False, True], ids=["answered", "given up"])
async def test_each_attempt_that_failed_is_an_event_of_the_model_call(watched: bool, fails: bool) -> None:
    """Once, whether somebody watches or not, and whether there is an answer in the end or not."""
    memory = Memory()
    script: list[Any] = [RateLimited("slow down"), ServerFailed("down"), ServerFailed("down") if fails else "x"]
    agent = Stage(memory.telemetry).clerk(Retried(local(*script), QUICK))
    try:
        if watched:
            async with agent.stream("?") as run:
                await run.finish()
        else:
            await agent.run("?")
    except ModelError:
        assert fails
    assert retries(one(memory.exports(), "chat m")) == [(1, "RateLimited"), (2, "ServerFailed")]


@pytest.mark.parametrize("status", [None, 429, 503])
@pytest.mark.parametrize("fails", [False, True], ids=["answered", "given up"])
async def test_a_request_of_a_conversation_on_a_server_that_was_lost_is_an_event_too(
    status: int | None, fails: bool
) -> None:
    """An answer takes several requests there: each that is sent again, whichever it was, is told, counted on."""
    memory, requests = Memory(), 0
    kind: Kind = "lost_before" if status is None else "status_before"
    refused = Fault("status_before", status=400)
    fault = Fault(kind, status=status or 500, headers={"retry-after": "0"} if status else {})

    def lose(seen: Any) -> Fault | None:
        nonlocal requests
        requests += 1
        return refused if fails and requests == 5 else fault if requests in (2, 4) else None

    async with AssistantsServer(["x"], on_request=lose) as server, client_of(server.base_url) as client:
        model = AssistantsBackend("m", client=client)
        try:
            await Stage(memory.telemetry).clerk(model).run("?")
        except ModelError:
            assert fails
    error = {None: "ConnectionFailed", 429: "RateLimited", 503: "ServerFailed"}[status]
    found = retries(one(memory.exports(), "chat m"))
    is_sent_again = not fails or status == 429  # else it is looked for first, and that is refused
    assert found == [(1, error), (2, error)][: 1 + is_sent_again]


async def test_a_result_out_of_a_tools_cache_says_so() -> None:
    """The second call took no time, and that is why."""

    @tool(cache=60, effects="read")
    def look() -> str:
        """Look."""
        return "x"

    memory = Memory()
    await Stage(memory.telemetry).clerk(local([call("look")], [call("look")], "done"), look).run("?")
    first, second = [span.attributes.get(s.CACHED) for span in memory.exports().of("execute_tool")]
    assert (first, second) == (None, True)


@pytest.mark.parametrize("yes", [True, False])
async def test_a_call_says_how_long_somebody_was_waited_for(yes: bool) -> None:
    """Whatever they said; a call that needs nobody says nothing."""
    memory = Memory()
    model = local([call("pay", to="ada"), call("add", a=1, b=2)], "done")
    await Stage(memory.telemetry).clerk(model, pay, add).run("?", approve=lambda asked: yes)
    exports = memory.exports()
    assert one(exports, "execute_tool pay").attributes[s.APPROVAL_SECONDS] >= 0
    assert s.APPROVAL_SECONDS not in one(exports, "execute_tool add").attributes


async def test_a_run_that_pauses_says_for_what() -> None:
    """One event for each call that waits, and the run goes on from there in another trace that has a link to it."""
    memory = Memory()
    agent = Stage(memory.telemetry).clerk(local([call("pay", to="ada")], "done"), pay)
    first = await agent.run("?", approve="pause")
    assert first.paused is not None
    paused = one(memory.exports(), "invoke_agent clerk")
    assert [(e.name, dict(e.attributes)) for e in paused.events] == [
        (s.WAITS, {s.TOOL_NAME: "pay", s.WAITS_FOR: "approval"})
    ]
    await agent.resume(first.paused, {each.call_id: Approved() for each in first.paused.waiting})
    [resumed] = [each for each in memory.exports().of("invoke_agent") if each.span_id != paused.span_id]
    assert resumed.links == ((paused.trace_id, paused.span_id),)
    assert resumed.trace_id != paused.trace_id


async def test_a_pause_that_says_nonsense_of_its_trace_is_taken_up_without_a_link() -> None:
    """Telemetry never changes a run."""
    memory = Memory()
    agent = Stage(memory.telemetry).clerk(local([call("pay", to="ada")], "done"), pay)
    first = await agent.run("?", approve="pause")
    assert first.paused is not None
    [waiting] = first.paused.waiting
    result = await agent.resume(replace(first.paused, trace="00-nonsense"), {waiting.call_id: Approved()})
    assert result.output == "done"
    assert [span.links for span in memory.exports().of("invoke_agent")] == [(), ()]


async def test_a_conversation_that_was_cut_says_so() -> None:
    """Whoever wonders why the model has forgotten something finds it on the model call."""
    said: list[Message] = [UserMessage(content="?"), AssistantMessage(text="!")] * 6
    found = []
    for messages in (4, 100):
        memory = Memory()
        agent = Stage(memory.telemetry).clerk(local("x"), window=Window(messages=messages))
        await agent.run("?", history=said)
        found.append(one(memory.exports(), "chat m").attributes.get(s.CONVERSATION_COMPACTED))
    assert found == [True, None]


async def test_what_a_run_was_asked_is_not_what_its_summary_was_asked() -> None:
    """The agent's span has its own instructions, the prompt, and the last answer."""
    [ending] = [each for each in ENDINGS if each.name == "sums up a long conversation"]
    memory = Memory(content="SPAN_ONLY")
    await ending.happens(Stage(memory.telemetry))
    run = one(memory.exports(), "invoke_agent clerk").attributes
    assert INSTRUCTIONS in run[s.SYSTEM_INSTRUCTIONS]
    assert PROMPT in run[s.INPUT_MESSAGES]
    assert SAID in run[s.OUTPUT_MESSAGES]
    assert "They talked of otters." not in run[s.OUTPUT_MESSAGES]


async def test_a_summary_is_not_what_a_run_has_answered() -> None:
    """Where the answer itself does not come, the run has none."""
    said: list[Message] = [UserMessage(content="?"), AssistantMessage(text="!")] * 6
    memory, model = Memory(content="SPAN_ONLY"), local("They talked.", ServerFailed("down"))
    agent = Stage(memory.telemetry).clerk(model, window=Window(messages=4, summarise=summariser(model)))
    with pytest.raises(ServerFailed):
        await agent.run("?", history=said)
    assert s.OUTPUT_MESSAGES not in one(memory.exports(), "invoke_agent clerk").attributes


async def test_what_a_call_used_that_failed_is_on_its_span_and_in_the_sum() -> None:
    """A refusal is paid for."""
    [ending] = [each for each in ENDINGS if each.name == "the model refuses"]
    memory = Memory()
    await ending.happens(Stage(memory.telemetry))
    chat, run = (one(memory.exports(), name).attributes for name in ("chat m", "invoke_agent clerk"))
    assert chat[s.USAGE_INPUT_TOKENS] == run[s.USAGE_INPUT_TOKENS] > 0
    assert chat[s.USAGE_OUTPUT_TOKENS] == run[s.USAGE_OUTPUT_TOKENS] > 0


async def test_what_a_server_says_of_an_answer_that_it_lets_go_is_told_and_in_no_sum() -> None:
    """The answer's own span has ended; its tokens are on the run as an event."""
    [ending] = [each for each in ENDINGS if each.name == "and waits at a limit"]
    memory = Memory()
    await ending.happens(Stage(memory.telemetry))
    run = one(memory.exports(), "invoke_agent clerk")
    [event] = [each for each in run.events if each.name == s.RELEASED]
    assert event.attributes[s.USAGE_INPUT_TOKENS] > 0
    assert s.USAGE_INPUT_TOKENS not in run.attributes


async def test_a_name_that_a_model_makes_up_is_on_no_metric() -> None:
    """Each would be a time series of its own, for ever; the span has it."""
    memory = Memory()
    await Stage(memory.telemetry).clerk(local([call("subtract"), call("divide")], "done"), add).run("?")
    names = {p.attributes[s.TOOL_NAME] for p in memory.exports().points if p.name == s.TOOL_DURATION}
    assert names == {s.UNKNOWN_TOOL}
    assert {span.name for span in memory.exports().of("execute_tool")} == {
        "execute_tool subtract",
        "execute_tool divide",
    }


def test_metrics_are_those_of_the_norm_and_two_of_our_own() -> None:
    """Names, units, buckets and attributes, as the data file has them."""
    assert {name for name in s.METRICS if not name.startswith("agentkit.")} == set(NORM["metrics"])
    for name, rule in NORM["metrics"].items():
        metric = s.METRICS[name]
        assert (metric.unit, list(metric.attributes)) == (rule["unit"], rule["attributes"]) or set(
            metric.attributes
        ) == set(rule["attributes"])
        assert [round(float(each), 9) for each in metric.buckets] == [float(each) for each in rule["buckets"]]


def dotted() -> set[str]:
    """All names there are."""
    return {value for name, value in vars(s).items() if name.isupper() and isinstance(value, str) and "." in value}


def test_each_name_of_our_own_is_in_the_table() -> None:
    """And the table has no other."""
    assert {each.name for each in s.OWN} == {name for name in dotted() if name.startswith("agentkit.")}


def test_the_tables_in_the_documentation_are_made_of_the_names() -> None:
    """Whoever builds a dashboard reads what is really there: `python tests/telemetry/test_own_signals.py` mends it."""
    assert tables_of(DOCS.read_text(encoding="utf-8")) == s.tables()


def test_each_name_is_in_the_documentation() -> None:
    """Those of the conventions too."""
    page = DOCS.read_text(encoding="utf-8")
    assert [name for name in dotted() - {s.SCHEMA_URL} if f"`{name}`" not in page] == []


def tables_of(page: str) -> str:
    """What stands between the marks."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()


if __name__ == "__main__":
    page = DOCS.read_text(encoding="utf-8")
    DOCS.write_text(
        page.replace(f"{BEGIN}{page.partition(BEGIN)[2].partition(END)[0]}", f"{BEGIN}\n\n{s.tables()}\n\n")
    )
