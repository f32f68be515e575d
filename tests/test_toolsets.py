"""Which tools a run may use: sets that are filtered, prefixed and put together, predicates, and searches."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from agentkit import (
    Agent,
    AssistantMessage,
    ConfigError,
    Context,
    Limits,
    ModelRequest,
    Session,
    Tool,
    ToolCall,
    ToolDefinitionError,
    ToolRegistry,
    ToolResult,
    UserMessage,
    tool,
)
from agentkit.hosted import CodeInterpreter, FileSearch
from agentkit.messages import dump_messages, load_messages
from agentkit.testing import ScriptedModel, call
from agentkit.tool_search import SEARCH, ToolSearch

pytestmark = pytest.mark.anyio


@tool
def units_left(sku: str) -> int:
    """Count the units of a product."""
    return 3


@tool(effects="write")
def order(sku: str) -> str:
    """Order a product."""
    return f"ordered {sku}"


def told(result: Any) -> list[ToolResult]:
    return [m for m in result.messages if isinstance(m, ToolResult)]


def offered(model: ScriptedModel) -> list[list[str]]:
    """The names of the tools in each request."""
    return [request.tools.names for request in model.requests]


# What a registry can be made into.


def test_a_registry_can_be_filtered_prefixed_and_put_together() -> None:
    """Each gives a new one; the old ones stay as they were. An agent takes them as they are."""
    registry = ToolRegistry([units_left, order])
    safe = registry.filtered(lambda tool: tool.policy.effects != "write")
    north, south = registry.prefixed("north_"), safe.prefixed("south_")
    assert safe.names == ["units_left"]
    assert (north + south).names == ["north_units_left", "north_order", "south_units_left"]
    assert registry.names == ["units_left", "order"]
    assert Agent(ScriptedModel([]), tools=north).registry is north


@pytest.mark.parametrize(
    "change", [lambda r: r.filtered(lambda t: False), lambda r: r.prefixed("x_"), lambda r: r + r2]
)
def test_the_servers_tools_stay_whatever_becomes_of_the_others(change: Callable[[ToolRegistry], ToolRegistry]) -> None:
    """They are not the agent's to rename."""
    registry = ToolRegistry([FileSearch(stores=("vs_1",)), units_left])
    assert change(registry).hosted == registry.hosted


r2 = ToolRegistry([order])


async def test_hosted_tools_are_offered_beside_those_that_a_run_may_use() -> None:
    """A predicate on one of ours does not lose them."""
    registry = ToolRegistry([CodeInterpreter(), units_left, order]).when(lambda ctx: ctx.tool == "order")
    part = await registry.offered(lambda tool: asking(tool.name), ())
    assert (part.names, part.hosted) == (["order"], registry.hosted)


def asking(tool: str, deps: Any = None) -> Context[Any]:
    return Context(deps=deps, run_id="r", call_id="", tool=tool)


def test_names_that_clash_are_refused_with_where_they_are_from() -> None:
    """Also where they only clash once they are put together, or inside a search."""
    registry, twin = ToolRegistry([units_left]), Tool.of(units_left).named("units_left")
    for clash in (
        lambda: registry + ToolRegistry([twin]),
        lambda: ToolRegistry([units_left, ToolSearch(tools=[twin])]),
        lambda: ToolRegistry([ToolSearch(tools=[units_left, twin])]),
        lambda: registry.prefixed("") + registry,
    ):
        with pytest.raises(ToolDefinitionError, match=r"two tools are called 'units_left'.*test_toolsets\.units_left"):
            clash()
    with pytest.raises(ToolDefinitionError, match="ToolSearch is given twice"):
        ToolRegistry([ToolSearch(tools=[order]), ToolSearch(tools=[units_left])])

    @tool(name=SEARCH)
    def other(query: str) -> str:
        return query

    with pytest.raises(ToolDefinitionError, match="two tools are called 'search_tools'"):
        ToolRegistry([other, ToolSearch(tools=[order])])


@pytest.mark.parametrize("prefix", ["a b", "é", "x" * 60, "a."])
def test_a_prefix_that_makes_no_name_is_refused(prefix: str) -> None:
    """A provider would refuse it later, with less to say."""
    with pytest.raises(ToolDefinitionError):
        ToolRegistry([units_left]).prefixed(prefix)


async def test_a_renamed_tool_is_called_by_its_new_name() -> None:
    """And is told so in its context and its errors."""
    seen: list[str] = []

    @tool
    async def where(n: int, ctx: Context[None]) -> str:
        seen.append(ctx.tool)
        return ctx.tool

    model = ScriptedModel([[call("north_where", n=1), call("where", n=1), call("north_where", n="x")], "ok"])
    results = told(await Agent(model, tools=ToolRegistry([where]).prefixed("north_")).run("?"))
    assert [r.content for r in results[:2]] == [
        "north_where",
        "There is no tool 'where'. Did you mean: ['north_where']?",
    ]
    assert "'north_where'" in results[2].content
    assert seen == ["north_where"]


async def test_changes_can_be_made_one_after_another() -> None:
    """All predicates of a tool must hold; a policy is kept through renaming."""
    registry = ToolRegistry([units_left, order])
    both = registry.when(lambda ctx: "a" in ctx.deps).prefixed("x_").when(lambda ctx: "b" in ctx.deps)
    for deps, names in [("", []), ("a", []), ("b", []), ("ab", ["x_units_left", "x_order"])]:
        assert (await both.offered(lambda tool, deps=deps: asking(tool.name, deps), ())).names == names
    assert both["x_order"].policy.effects == "write"


# Whether a run may use a tool.


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_tool_that_is_not_enabled_is_neither_seen_nor_called(is_async: bool) -> None:
    """The predicate gets the run's context. A call of it is answered as one of a tool that is not there."""
    contexts: list[Context[Any]] = []
    ran: list[int] = []

    def sync_enabled(ctx: Context[Any]) -> bool:
        contexts.append(ctx)
        return bool(ctx.deps == "boss")

    async def async_enabled(ctx: Context[Any]) -> bool:
        await anyio.lowlevel.checkpoint()
        return sync_enabled(ctx)

    @tool(enabled=async_enabled if is_async else sync_enabled)
    async def fire() -> str:
        ran.append(1)
        return "fired"

    for deps, names, words in [
        ("boss", ["units_left", "fire"], "fired"),
        ("clerk", ["units_left"], "There is no tool 'fire'. There are: ['units_left']."),
    ]:
        model = ScriptedModel([[call("fire")], "ok"])
        result = await Agent(model, name="a", tools=[units_left, fire]).run("?", deps=deps)
        assert offered(model) == [names, names]
        assert told(result)[0].content == words
        assert {(c.tool, c.run_id, c.agent, c.deps) for c in contexts} == {("fire", result.run_id, "a", deps)}
        contexts.clear()
    assert ran == [1]


async def test_what_is_enabled_is_asked_before_each_model_call() -> None:
    """A tool may open the door for another one, and close its own."""
    state = {"open": False}

    @tool(enabled=lambda ctx: not state["open"])
    async def unlock() -> str:
        state["open"] = True
        return "open"

    @tool(enabled=lambda ctx: state["open"])
    async def enter() -> str:
        return "inside"

    calls = [[call("unlock"), call("enter")], [call("enter"), call("unlock")], "ok"]
    model = ScriptedModel(calls)
    results = told(await Agent(model, tools=[unlock, enter]).run("?"))
    assert offered(model) == [["unlock"], ["enter"], ["enter"]]
    assert [r.content.partition(".")[0] for r in results] == [
        "open",
        "There is no tool 'enter'",
        "inside",
        "There is no tool 'unlock'",
    ]


async def test_a_run_that_is_taken_up_may_use_what_is_enabled_now() -> None:
    """Not what was, when the model asked."""
    history = [UserMessage(content="?"), AssistantMessage(tool_calls=(call("enter"),))]

    @tool(enabled=lambda ctx: ctx.deps == "in")
    async def enter() -> str:
        return "inside"

    for deps, words in [("in", "inside"), ("out", "There is no tool 'enter'")]:
        model = ScriptedModel(["ok"])
        [result] = told(await Agent(model, tools=[enter, units_left]).run(None, history=history, deps=deps))
        assert result.content.startswith(words)


async def test_one_agent_serves_runs_that_may_use_different_tools() -> None:
    """At the same time, and each sees its own."""

    @tool(enabled=lambda ctx: ctx.deps % 2)
    async def odd() -> str:
        await anyio.lowlevel.checkpoint()
        return "odd"

    @tool(enabled=lambda ctx: ctx.deps % 3 == 0)
    async def third() -> str:
        return "third"

    def answer(request: ModelRequest) -> Any:
        if any(isinstance(m, ToolResult) for m in request.messages):
            return f"tools: {','.join(request.tools.names)}"
        return [call("odd"), call("third")]

    agent = Agent(ScriptedModel([answer] * 200), tools=[odd, third])
    outputs: dict[int, str] = {}

    async def one(n: int) -> None:
        result = await agent.run("?", deps=n)
        outputs[n] = result.output
        assert [r.is_error for r in told(result)] == [not n % 2, n % 3 != 0]

    async with anyio.create_task_group() as group:
        for n in range(50):
            group.start_soon(one, n)
    assert outputs == {n: f"tools: {','.join(['odd'] * (n % 2) + ['third'] * (n % 3 == 0))}" for n in range(50)}


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_predicate_that_fails_ends_the_run_with_its_tools_name(is_async: bool) -> None:
    """It is the program's mistake, not the model's; nothing is offered by guessing."""

    def sync_enabled(ctx: Context[Any]) -> bool:
        raise KeyError("role")

    async def async_enabled(ctx: Context[Any]) -> bool:
        raise KeyError("role")

    enter = tool(enabled=async_enabled if is_async else sync_enabled, name="enter")(lambda: 1)
    model = ScriptedModel(["ok"])
    with pytest.raises(ConfigError, match=r"tool 'enter': enabled= failed with KeyError: 'role'") as caught:
        await Agent(model, tools=[enter]).run("?")
    assert model.requests == []
    assert caught.value.run_id
    assert list(caught.value.history) == [UserMessage(content="?")]


async def test_a_tool_cannot_call_another_that_its_run_may_not_use() -> None:
    """`ctx.tools` and `ctx.call` know only what the run may use now."""

    @tool(enabled=lambda ctx: False)
    async def hidden() -> str:
        return "seen"

    @tool
    async def peek(ctx: Context[None]) -> Any:
        assert list(ctx.tools) == ["peek"]
        return await ctx.call("hidden", {})

    [result] = told(await Agent(ScriptedModel([[call("peek")], "ok"]), tools=[hidden, peek]).run("?"))
    assert "There is no tool 'hidden'" in result.content


async def test_what_is_encoded_of_the_tools_offered_serves_the_next_run() -> None:
    """The same tools are the same registry, so a wire encodes them once; and not ever more are kept."""
    on = tool(enabled=lambda ctx: True, name="on")(lambda: 1)
    registry = ToolRegistry([units_left, on])
    first = await registry.offered(lambda tool: asking(tool.name), ())
    assert await registry.offered(lambda tool: asking(tool.name), ()) is first

    many = ToolRegistry(
        [tool(name=f"t{n}", enabled=lambda ctx: bool(ctx.deps >> int(ctx.tool[1:]) & 1))(lambda: 1) for n in range(10)]
    )
    for n in range(1024):
        names = (await many.offered(lambda tool, n=n: asking(tool.name, n), ())).names
        assert names == [f"t{k}" for k in range(10) if n >> k & 1]
    assert len(many._parts) <= 64
    plain = ToolRegistry([units_left, order])
    assert await plain.offered(lambda tool: asking(tool.name), ()) is plain


# A search for tools.


def numbered(n: int) -> Tool:
    @tool(name=f"convert_{n}", description=f"Convert unit number {n} into another one.")
    def convert(amount: float) -> str:
        return f"{amount} of {n}"

    return Tool.of(convert)


THOUSAND = [numbered(n) for n in range(1000)]


def described(name: str, description: str) -> Tool:
    @tool(name=name, description=description)
    def function(n: int) -> int:
        return n

    return Tool.of(function)


@tool
def getStockPrice(symbol: str) -> float:
    """Look up what a share costs.

    Longer words that the search does not show.

    Args:
        symbol: Ticker of the company, at NASDAQ for example.
    """
    return 1.5


async def test_of_a_thousand_tools_a_model_sees_one_and_then_those_it_has_found() -> None:
    """The first request offers the search only; what it finds is offered next, and can be called."""
    model = ScriptedModel(
        [
            [call(SEARCH, query="convert 77")],
            [call("convert_77", amount=2), call("convert_78", amount=2)],
            [call(SEARCH, query="share price")],
            [call("getStockPrice", symbol="X"), call("convert_77", amount=3)],
            "ok",
        ]
    )
    agent = Agent(model, tools=[units_left, ToolSearch(tools=[*THOUSAND, getStockPrice], results=1)])
    results = told(await agent.run("?"))
    first, then = ["units_left", SEARCH], ["units_left", SEARCH, "convert_77"]
    assert offered(model) == [first, then, then, [*then, "getStockPrice"], [*then, "getStockPrice"]]
    assert [r.content for r in results] == [
        '[{"name":"convert_77","description":"Convert unit number 77 into another one."}]',
        "2.0 of 77",
        "There is no tool 'convert_78'. Did you mean: ['convert_77']?",
        '[{"name":"getStockPrice","description":"Look up what a share costs."}]',
        "1.5",
        "3.0 of 77",
    ]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("stock price", "getStockPrice"),
        ("getStockPrice", "getStockPrice"),
        ("get_stock_price", "getStockPrice"),
        ("STOCK", "getStockPrice"),
        ("sharing costing", "getStockPrice"),
        ("invoices", "invoice"),
        ("nasdaq ticker", "getStockPrice"),
        ("convert 512", "convert_512"),
        ("Umrechnung für 'convert_3'", "convert_3"),
        ('") OR words:* NEAR(convert 4) -- "convert_4"', "convert_4"),
        ("übergrößen", "size_de"),
        ("ubergrossen Übergrößen", "size_de"),
        ("尺寸", "size_zh"),
        ("e\u0301toile", "star"),
    ],
)
async def test_a_search_finds_by_words_in_any_form(query: str, first: str) -> None:
    """By words of the name, the description and the parameters, whatever else is in the query."""
    others = [
        described("size_de", "Rechnet Übergrößen um."),
        described("size_zh", "换算 尺寸"),
        described("star", "Une étoile."),
        described("mail", "Send an invoice to whoever has bought."),
        described("invoice", "Send a bill to whoever has bought."),
    ]
    search = ToolSearch(tools=[*THOUSAND, getStockPrice, *others])
    found = await search.search_tools(query, asking(SEARCH))
    assert found[0]["name"] == first
    assert len(found) <= 5


@pytest.mark.parametrize(
    "query", ["", " ", '"', "'; DROP TABLE tools", "AND OR NOT", "*", "\x00", "😀", "_", "(" * 999]
)
async def test_a_query_that_finds_nothing_is_told_so(query: str) -> None:
    """Nothing in it is an instruction to the search."""
    model = ScriptedModel([[call(SEARCH, query=query)], [call(SEARCH, query="units")], "ok"])
    results = told(await Agent(model, tools=[ToolSearch(tools=[units_left])]).run("?"))
    assert (results[0].is_error, results[0].content) == (True, "nothing found; try other or fewer words")
    assert "units_left" in results[1].content


async def test_a_long_query_is_no_problem() -> None:
    """A model that pours its whole prompt in gets an answer."""
    search = ToolSearch(tools=THOUSAND)
    assert await search.search_tools("convert " * 100_000, asking(SEARCH))
    assert await search.search_tools(" ".join(f"convert_{n}" for n in range(5000)), asking(SEARCH))


async def test_many_searches_at_once_are_kept_apart() -> None:
    """One index serves all runs."""
    agent = Agent(
        ScriptedModel([[call(SEARCH, query=f"convert {n}") for n in range(100)], "ok"]),
        tools=[ToolSearch(tools=THOUSAND, results=1)],
        limits=Limits(tool_concurrency=100),
    )
    results = told(await agent.run("?"))
    assert [f'"convert_{n}"' in r.content for n, r in enumerate(results)] == [True] * 100


async def test_a_search_does_not_tell_of_what_the_run_may_not_use() -> None:
    """Its name and description are not for everybody."""
    registry = ToolRegistry([ToolSearch(tools=[units_left, order], results=1)])
    only = registry.when(lambda ctx: ctx.tool != "units_left" or ctx.deps == "boss")
    for deps, content, names in [
        ("boss", "units_left", [SEARCH, "units_left"]),
        ("clerk", "order", [SEARCH, "order"]),
    ]:
        model = ScriptedModel([[call(SEARCH, query="product units")], "ok"])
        [result] = told(await Agent(model, tools=only).run("?", deps=deps))
        assert content in result.content
        assert result.content.count('"name"') == 1
        assert offered(model)[1] == names


async def test_what_was_found_is_offered_for_as_long_as_the_conversation_knows_it() -> None:
    """A session that goes on has it at once; another one has not."""
    session = Session("s")
    model = ScriptedModel([[call(SEARCH, query="units")], "ok", "again", "new"])
    agent = Agent(model, tools=[ToolSearch(tools=[units_left, order], results=1)])
    await agent.run("?", session=session)
    await agent.run("?", session=session)
    await agent.run("?")
    assert offered(model) == [[SEARCH], [SEARCH, "units_left"], [SEARCH, "units_left"], [SEARCH]]


async def test_what_was_found_is_not_offered_where_it_may_not_be_used() -> None:
    """Somebody else goes on with the conversation, who may do less."""
    only = ToolRegistry([ToolSearch(tools=[units_left])]).when(lambda ctx: ctx.tool == SEARCH or ctx.deps == "boss")
    model = ScriptedModel([[call(SEARCH, query="units")], "ok", [call("units_left", sku="a")], "ok"])
    agent = Agent(model, tools=only)
    first = await agent.run("?", deps="boss")
    second = await agent.run("?", deps="clerk", history=first.messages)
    assert offered(model) == [[SEARCH], [SEARCH, "units_left"], [SEARCH], [SEARCH]]
    assert told(second)[1].content.startswith("There is no tool 'units_left'")


ELSEWHERE = """
import sys
import anyio
from agentkit import Agent, AssistantMessage, ModelResponse, Usage
from agentkit.messages import load_messages
from agentkit.models.base import ModelInfo
from agentkit.tool_search import ToolSearch

class Model:
    info = ModelInfo(provider="script", model="script", in_process=True)

    async def generate(self, request, on_delta=None):
        self.offered = request.tools.names
        return ModelResponse(message=AssistantMessage(text="ok"), finish_reason="stop", usage=Usage(), model="script")

def units_left(sku: str) -> int:
    return 3

def order(sku: str) -> None: ...

model = Model()
agent = Agent(model, tools=[ToolSearch(tools=[order, units_left])])
result = anyio.run(lambda: agent.run(None, history=load_messages(sys.stdin.buffer.read())))
print(model.offered, result.messages[-2].content)
"""


def test_another_process_goes_on_with_what_was_found() -> None:
    """It is in the history and nowhere else: a call that waits there is answered."""
    history = [
        UserMessage(content="?"),
        AssistantMessage(tool_calls=(call(SEARCH, query="units"),)),
        ToolResult(call_id=f"call_{SEARCH}", name=SEARCH, content='[{"name": "units_left", "description": ""}]'),
        AssistantMessage(tool_calls=(call("units_left", sku="A-1"),)),
    ]
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        input=dump_messages(history),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.decode().strip() == "['search_tools', 'units_left'] 3", done.stderr.decode()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "nothing",
        "[]",
        "{}",
        "null",
        "3",
        '["units_left"]',
        '[{"nome": "units_left"}]',
        '[{"name": ["units_left"]}]',
        '[{"name": 3}]',
        '[{"name": "delete_everything"}]',
        '[{"name": "search_tools"}]',
        "[" * 100_000,
    ],
)
async def test_a_search_result_that_somebody_has_changed_offers_nothing(content: str) -> None:
    """A history from elsewhere cannot break a run, nor bring in a tool that is not the agent's."""
    history = [
        UserMessage(content="?"),
        AssistantMessage(tool_calls=(call(SEARCH, query="units"),)),
        ToolResult(call_id=f"call_{SEARCH}", name=SEARCH, content=content),
    ]
    model = ScriptedModel(["ok"])
    await Agent(model, tools=[ToolSearch(tools=[units_left])]).run("?", history=load_messages(dump_messages(history)))
    assert offered(model) == [[SEARCH]]


async def test_a_search_that_failed_has_found_nothing() -> None:
    """Whatever its words look like."""
    failed = ToolResult(call_id="c", name=SEARCH, content='[{"name": "units_left"}]', is_error=True)
    asked = AssistantMessage(tool_calls=(ToolCall(id="c", name=SEARCH, arguments="{}"),))
    model = ScriptedModel(["ok"])
    agent = Agent(model, tools=[ToolSearch(tools=[units_left])])
    await agent.run("?", history=[UserMessage(content="?"), asked, failed])
    assert offered(model) == [[SEARCH]]


async def test_a_search_result_that_is_cut_still_offers_all_it_has_found() -> None:
    """The model reads less, but what it was promised is there."""
    model = ScriptedModel([[call(SEARCH, query="convert")], "ok"])
    agent = Agent(model, tools=[ToolSearch(tools=THOUSAND, results=200)], limits=Limits(result_chars=300))
    [result] = told(await agent.run("?"))
    assert len(result.content) < 400
    assert len(offered(model)[1]) == 201


async def test_a_registry_with_a_search_can_be_changed_too() -> None:
    """What is searched is filtered and renamed; the search itself stays."""
    registry = ToolRegistry([units_left, ToolSearch(tools=THOUSAND[:10], results=3)])
    changed = registry.filtered(lambda tool: tool.name != "convert_7").prefixed("x_")
    assert changed.searches[0].results == 3
    assert set(changed.names) == {SEARCH, "x_units_left", *(f"x_convert_{n}" for n in range(10) if n != 7)}
    model = ScriptedModel([[call(SEARCH, query="convert 7"), call(SEARCH, query="convert 8")], "ok"])
    results = told(await Agent(model, tools=changed).run("?"))
    assert "convert_7" not in results[0].content
    assert offered(model)[0] == ["x_units_left", SEARCH]
    assert "x_convert_8" in offered(model)[1]
    joined = changed + ToolRegistry([order])
    assert (await joined.offered(lambda tool: asking(tool.name), ())).names == ["x_units_left", SEARCH, "order"]


@pytest.mark.parametrize("results", [0, -1, 1.5, True, "5", None])
def test_a_search_finds_at_least_one(results: Any) -> None:
    """A wrong number is refused when it is written."""
    with pytest.raises(ConfigError, match="results="):
        ToolSearch(tools=[units_left], results=results)


async def test_a_search_of_nothing_says_so() -> None:
    """An empty registry is no error."""
    model = ScriptedModel([[call(SEARCH, query="units")], "ok"])
    [result] = told(await Agent(model, tools=[ToolSearch(tools=[])]).run("?"))
    assert result.content == "nothing found; try other or fewer words"
