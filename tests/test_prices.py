"""What a model call costs: exactly, never less than it does, and never a guess."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data_snapshot import DataSnapshot, get_snapshot, set_custom_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelPrice,
    Provider,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)
from genai_prices.types import ModelInfo as TheirModel
from hypothesis import given
from hypothesis import strategies as st

from agentkit import Agent, Limits, tool
from agentkit.errors import ConfigError
from agentkit.messages import AssistantMessage, Usage
from agentkit.models.base import ModelInfo, ModelResponse
from agentkit.prices import Price, Prices
from agentkit.testing import ScriptedModel, call

OPENAI = ModelInfo(provider="openai", model="gpt-4o", address="api.openai.com", port=443)
MINE = ModelInfo(provider="openai", model="mine", address="127.0.0.1", port=8000)
COUNTS = st.integers(0, 2_000_000)
RATES = st.decimals(0, 100, places=4)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """What a provider may report: parts may be missing, and are never more than the whole."""
    read, write, thought = draw(COUNTS), draw(COUNTS), draw(COUNTS)
    maybe = st.booleans()
    return Usage(
        input_tokens=read + write + draw(COUNTS),
        output_tokens=thought + draw(COUNTS),
        cache_read_tokens=read if draw(maybe) else None,
        cache_write_tokens=write if draw(maybe) else None,
        reasoning_tokens=thought if draw(maybe) else None,
    )


def all_listed() -> list[ModelInfo]:
    """Every model that genai-prices lists, as an agent would ask it."""
    return [ModelInfo(provider=each.id, model=model.id) for each in get_snapshot().providers for model in each.models]


def test_a_call_costs_what_its_tokens_cost() -> None:
    """The prices are those of a million tokens, and each kind of token has its own."""
    prices = Prices({"mine": Price(input=2, output=10, cache_read=0.5, cache_write=2.5, reasoning=20)})
    usage = Usage(
        input_tokens=1000, output_tokens=100, cache_read_tokens=600, cache_write_tokens=100, reasoning_tokens=40
    )
    assert prices.cost(MINE, "", usage) == (300 * 2 + 600 * 0.5 + 100 * 2.5 + 60 * 10 + 40 * 20) / 1_000_000


def test_cached_tokens_are_counted_once() -> None:
    """The input holds the cached tokens, in our usage and in genai-prices: nobody pays for them twice."""
    plain, cached = (
        Usage(input_tokens=1000, output_tokens=0),
        Usage(input_tokens=1000, output_tokens=0, cache_read_tokens=1000),
    )
    assert Prices().cost(OPENAI, "", plain) == 0.0025
    assert Prices().cost(OPENAI, "", cached) == 0.00125


def test_a_provider_that_counts_cached_tokens_apart_is_understood() -> None:
    """Where more is cached than went in, what went in is at least what was cached; the cost is not refused."""
    usage = Usage(input_tokens=10, output_tokens=0, cache_read_tokens=1000)
    assert Prices().cost(OPENAI, "", usage) == 0.00125
    assert Prices({"gpt-4o": Price(input=2.5, output=10, cache_read=1.25)}).cost(OPENAI, "", usage) == 0.00125


@pytest.mark.parametrize("prices", [Prices(), Prices({"gpt-4o": Price(input=1, output=1)})])
def test_what_was_not_reported_is_not_zero(prices: Prices) -> None:
    """Without the tokens that went in or out the cost is not known; without those of the cache, all are plain."""
    assert prices.cost(OPENAI, "", Usage()) is None
    assert prices.cost(OPENAI, "", Usage(input_tokens=1000)) is None
    assert prices.cost(OPENAI, "", Usage(output_tokens=1000)) is None
    plain = Usage(input_tokens=1000, output_tokens=7, cache_read_tokens=0, cache_write_tokens=0, reasoning_tokens=0)
    assert prices.cost(OPENAI, "", Usage(input_tokens=1000, output_tokens=7)) == prices.cost(OPENAI, "", plain)


def test_an_own_price_goes_before_the_list() -> None:
    """Who has a contract of their own says so, for one provider's model or for a name."""
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    assert Prices().cost(OPENAI, "", usage) == 2.5
    assert Prices({"gpt-4o": Price(input=1, output=1)}).cost(OPENAI, "", usage) == 1
    assert Prices({"openai:gpt-4o": Price(input=2, output=1)}).cost(OPENAI, "", usage) == 2
    assert Prices({"groq:gpt-4o": Price(input=2, output=1)}).cost(OPENAI, "", usage) == 2.5
    both = Prices({"gpt-4o": Price(input=1, output=1), "openai:gpt-4o": Price(input=2, output=1)})
    assert both.cost(OPENAI, "", usage) == 2


def test_an_exact_name_goes_before_a_pattern() -> None:
    """`*` stands for anything; the first pattern that fits is taken, after all exact names."""
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    prices = Prices(
        {"*": Price(input=9, output=9), "gpt-*": Price(input=8, output=8), "gpt-4o": Price(input=1, output=1)}
    )
    assert prices.cost(OPENAI, "", usage) == 1
    assert prices.cost(MINE, "", usage) == 9
    assert Prices({"openai:m*": Price(input=3, output=1)}).cost(MINE, "", usage) == 3


def test_the_model_that_answered_is_paid_for() -> None:
    """A router may answer with another model than was asked; where only the asked one has a price, that is taken."""
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    assert Prices().cost(OPENAI, "gpt-4o-mini", usage) == 0.15
    assert Prices().cost(OPENAI, "gpt-4o-unheard-of", usage) == 2.5
    prices = Prices({"gpt-4o": Price(input=1, output=1), "gpt-4o-2024-11-20": Price(input=3, output=1)})
    assert prices.cost(OPENAI, "gpt-4o-2024-11-20", usage) == 3
    assert prices.cost(OPENAI, "gpt-4o-2024-08-06", usage) == 1


def test_a_deployment_costs_what_its_model_costs() -> None:
    """Azure's deployments and gateways have names that no list knows; a text says what they stand for."""
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    prices = Prices({"mine": "azure:gpt-4o", "lost": "azure:no-such-model"})
    assert prices.cost(MINE, "", usage) == 2.5
    assert prices.cost(ModelInfo(provider="x", model="lost"), "", usage) is None


def test_a_server_that_speaks_as_openai_does_does_not_cost_what_openai_costs() -> None:
    """`openai` names the wire: a model on this machine, or on a server nobody knows, has no price until it is given."""
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    here = ModelInfo(provider="openai", model="gpt-4o", address="127.0.0.1", port=8000)
    router = ModelInfo(provider="openai", model="openai/gpt-4o", address="openrouter.ai", port=443)
    assert Prices().cost(here, "", usage) is None
    assert Prices().cost(router, "", usage) == 2.5


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o"),
        ("azure.ai.openai", "gpt-4o"),
        ("groq", "llama-3.3-70b-versatile"),
        ("mistral_ai", "mistral-large-latest"),
        ("deepseek", "deepseek-chat"),
        ("x_ai", "grok-4"),
        ("perplexity", "sonar"),
        ("gcp.gemini", "gemini-2.5-pro"),
        ("anthropic", "claude-sonnet-4-5"),
    ],
)
def test_each_provider_that_agentkit_names_is_found(provider: str, model: str) -> None:
    """The list spells providers in another way than traces do."""
    Prices().require(ModelInfo(provider=provider, model=model))


def test_a_model_in_this_process_is_free() -> None:
    """It costs nothing even where it does not say what it used; an own price for it is charged all the same."""
    local = ModelInfo(provider="agentkit.local", model="needle", in_process=True)
    prices = Prices()
    prices.require(local)
    assert prices.cost(local, "", Usage()) == 0
    assert prices.most(local, "", 1000, 1000) == 0
    assert Prices({"needle": Price(input=1, output=0)}).most(local, "", 1_000_000, 1) == 1


def test_an_unknown_price_is_an_error_that_says_what_to_write() -> None:
    """With a limit on money, a run does not begin on a guess."""
    prices = Prices()
    assert prices.cost(MINE, "", Usage(input_tokens=1, output_tokens=1)) is None
    assert prices.most(MINE, "", 1, 1) is None
    with pytest.raises(ConfigError) as caught:
        prices.require(MINE)
    assert str(caught.value) == (
        "money is limited, and nobody knows what the model 'mine' of 'openai' at '127.0.0.1' costs: give "
        "prices=Prices({'mine': Price(input=..., output=...)}), in US dollars per million tokens, or "
        "Prices({'mine': 'provider:model'}) for what costs the same"
    )
    Prices({"mine": Price(input=0, output=0)}).require(MINE)


def test_without_the_list_only_own_prices_are_known() -> None:
    """`listed=False` keeps to the caller's own table."""
    with pytest.raises(ConfigError):
        Prices(listed=False).require(OPENAI)


def test_a_missing_package_is_named_with_its_pip_line() -> None:
    """Own prices need no package; without it, the error for a model without one says how to get it."""
    program = """
import sys
sys.modules["genai_prices"] = None
from agentkit.prices import Price, Prices
from agentkit.models.base import ModelInfo
info = ModelInfo(provider="openai", model="gpt-4o")
Prices({"gpt-4o": Price(input=1, output=1)}).require(info)
try:
    Prices().require(info)
except Exception as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, encoding="utf-8")
    assert told.stdout.strip().endswith(", or pip install genai-prices")


def test_prices_are_looked_up_without_the_network_and_imported_late() -> None:
    """genai-prices is loaded on the first question, and nothing opens a connection."""
    program = """
import socket, sys
def refuse(*given, **named):
    raise AssertionError("a connection was made")
socket.socket.connect = socket.getaddrinfo = refuse
import agentkit
from agentkit.prices import Prices
from agentkit.models.base import ModelInfo
assert "genai_prices" not in sys.modules
print(Prices().most(ModelInfo(provider="openai", model="gpt-4o"), "", 1000000, 0))
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, encoding="utf-8")
    assert told.stdout.strip() == "2.5"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: Price(input=-1, output=1), "Price(input=-1): write US dollars per million tokens, from 0 on"),
        (lambda: Price(input=1, output=float("nan")), "Price(output=nan): write"),
        (lambda: Price(input=1, output=1, cache_read=float("inf")), "Price(cache_read=inf): write"),
        (lambda: Price(input=True, output=1), "Price(input=True): write"),
        (lambda: Price(input="1", output=1), "Price(input='1'): write"),  # type: ignore[arg-type]
        (lambda: Price(input=None, output=1), "Price(input=None): write"),  # type: ignore[arg-type]
        (lambda: Prices([("a", 1)]), "Prices([('a', 1)]): write Prices({'model': Price(input=..., output=...)})"),  # type: ignore[arg-type]
        (lambda: Prices({"a": 1}), "Prices({'a': 1}): write Prices({'a': Price(input=..., output=...)})"),  # type: ignore[dict-item]
        (lambda: Prices({"a": "gpt-4o"}), "Prices({'a': 'gpt-4o'}): write"),
        (lambda: Prices({"": Price(input=1, output=1)}), "Prices({'': Price("),
    ],
    ids=range(10),
)
def test_a_wrong_price_is_refused_where_it_is_written(wrong: Any, told: str) -> None:
    """A price below zero or a text for a number would be found out with the bill."""
    with pytest.raises(ConfigError) as caught:
        wrong()
    assert str(caught.value).startswith(told)


def test_prices_may_be_part_of_an_agent() -> None:
    """An agent is frozen and hashable, and so is its table of prices."""
    assert hash(Prices({"a": Price(input=1, output=1)})) == hash(Prices({"a": Price(input=1, output=1)}))


@given(usages(), RATES, RATES, st.tuples(*[st.none() | RATES] * 3))
def test_no_call_costs_more_than_was_reserved_for_it(
    usage: Usage, rate_in: Decimal, rate_out: Decimal, others: tuple[Decimal | None, ...]
) -> None:
    """However its tokens are cached or thought, a call of a size costs at most what calls of that size can cost."""
    read, write, thought = others
    price = Price(input=rate_in, output=rate_out, cache_read=read, cache_write=write, reasoning=thought)
    prices = Prices({"mine": price})
    cost, most = prices.cost(MINE, "", usage), prices.most(MINE, "", usage.input_tokens or 0, usage.output_tokens or 0)
    assert cost is not None
    assert most is not None
    assert cost <= most


@given(st.data(), usages())
def test_no_listed_call_costs_more_than_was_reserved_for_it(data: st.DataObject, usage: Usage) -> None:
    """Nor does one at a listed price, with its tiers for long requests and its hours."""
    info = data.draw(st.sampled_from(all_listed()))
    prices = Prices()
    cost = prices.cost(info, "", usage)
    more_in, more_out = data.draw(COUNTS), data.draw(COUNTS)
    most = prices.most(info, "", (usage.input_tokens or 0) + more_in, (usage.output_tokens or 0) + more_out)
    assert (cost is None) == (most is None)
    assert cost is None or (most is not None and 0 <= cost <= most)


@pytest.fixture
def dear() -> Iterator[ModelInfo]:
    """A listed model with every kind of price that a provider may think of."""
    day = ModelPrice(
        input_mtok=TieredPrices(base=Decimal(1), tiers=[Tier(start=1000, price=Decimal(2))]),
        cache_write_mtok=Decimal(3),
        output_mtok=Decimal(10),
        output_reasoning_mtok=Decimal(20),
        requests_kcount=Decimal(5),
    )
    dear_hour = ModelPrice(input_mtok=Decimal(100), output_mtok=Decimal(1000))
    now = datetime.now(UTC)
    hour = TimeOfDateConstraint(
        start_time=(now + timedelta(hours=6)).timetz(), end_time=(now + timedelta(hours=7)).timetz()
    )
    prices = [ConditionalPrice(prices=day), ConditionalPrice(constraint=hour, prices=dear_hour)]
    model = TheirModel(id="dear", match=ClauseEquals(equals="dear"), prices=prices[:1])
    hourly = TheirModel(id="hourly", match=ClauseEquals(equals="hourly"), prices=prices)
    acme = Provider(id="acme", name="Acme", api_pattern="https://acme", models=[model, hourly])
    set_custom_snapshot(DataSnapshot(providers=[acme], from_auto_update=False))
    yield ModelInfo(provider="acme", model="dear")
    set_custom_snapshot(None)


def test_the_most_that_a_call_can_cost_is_at_the_dearest_of_its_prices(dear: ModelInfo) -> None:
    """All of it written to the cache, all of it thought, in the dearest hour, and the price of the call as such."""
    prices = Prices()
    assert prices.most(dear, "", 1000, 100) == (3 * 1000 + 20 * 100) / 1_000_000 + 0.005
    written = Usage(input_tokens=1000, output_tokens=100, cache_write_tokens=1000, reasoning_tokens=100)
    assert prices.cost(dear, "", written) == prices.most(dear, "", 1000, 100)
    hourly = replace(dear, model="hourly")
    assert prices.most(hourly, "", 1000, 100) == (100 * 1000 + 1000 * 100) / 1_000_000
    assert prices.cost(hourly, "", written) == prices.cost(dear, "", written)


def test_every_listed_model_has_a_price_or_none() -> None:
    """No model of the list makes an error of its own, though some are priced by the hour or the page."""
    prices, usage = Prices(), Usage(input_tokens=1000, output_tokens=10)
    known = [info for info in all_listed() if prices.cost(info, "", usage) is not None]
    assert len(known) > 1000


def test_long_requests_cost_what_long_requests_cost() -> None:
    """Above a threshold, a provider may charge more for all tokens of the request."""
    info = ModelInfo(provider="gcp.gemini", model="gemini-2.5-pro")
    below, above = Usage(input_tokens=200_000, output_tokens=0), Usage(input_tokens=200_001, output_tokens=0)
    short, long = Prices().cost(info, "", below), Prices().cost(info, "", above)
    assert short is not None
    assert long is not None
    assert long > 1.9 * short
    assert Prices().most(info, "", 200_000, 0) == short
    assert Prices().most(info, "", 200_001, 0) == long


def test_many_small_amounts_add_up() -> None:
    """The sum of twenty thousand calls is theirs, to a millionth of a cent."""
    prices = Prices({"mine": Price(input=0.1, output=0.3)})
    total = 0.0
    for _ in range(20_000):
        cost = prices.cost(MINE, "", Usage(input_tokens=1, output_tokens=1))
        assert cost is not None
        total += cost
    assert abs(total - 0.008) < 1e-8


@tool
def nothing() -> str:
    """Do nothing."""
    return ""


MADE_UP = Prices({"scripted": Price(input=1000, output=2000)})  # 10 tokens in and 5 out are 2 cents


@pytest.mark.anyio
async def test_a_run_says_what_it_has_cost() -> None:
    """All its model calls together; without prices and without a limit on money, nobody computes any."""
    script = [[call("nothing")], "done"]
    assert (await Agent(ScriptedModel(script), tools=[nothing], prices=MADE_UP).run("go")).cost == 0.04
    assert (await Agent(ScriptedModel(script), tools=[nothing]).run("go")).cost is None


@pytest.mark.anyio
async def test_a_run_costs_no_more_than_it_may() -> None:
    """The most that a call can cost is reserved before it is made, the second time by what the first has used."""
    model = ScriptedModel([[call("nothing")]] * 9)
    agent = Agent(model, tools=[nothing], prices=MADE_UP, limits=Limits(cost=0.07, on_limit="partial"))
    result = await agent.run("go")
    assert result.stopped_by == "cost"
    assert result.cost is not None
    assert 0.05 < result.cost <= 0.07
    assert len(model.requests) == 3


@pytest.mark.anyio
async def test_a_run_under_a_limit_of_money_does_not_begin_without_a_price() -> None:
    """A guess would be no limit; the error comes before the first call."""
    model = ScriptedModel(["done"])
    model.info = MINE
    with pytest.raises(ConfigError, match="nobody knows what the model 'mine' of 'openai'"):
        await Agent(model, limits=Limits(cost=1)).run("go")
    assert model.requests == []


class _Holding(ScriptedModel):
    """A model whose server says what an answer used when it need not hold it any more."""

    async def release(self, answer: AssistantMessage) -> Usage:
        return Usage(input_tokens=1000, output_tokens=0)


@pytest.mark.anyio
async def test_what_a_server_tells_on_release_costs_too() -> None:
    """A run that ends while the server holds its answer pays for that, in tokens and in money."""
    later = ModelResponse(message=AssistantMessage(tool_calls=(call("nothing"),)), usage_pending=True)
    prices = Prices({"scripted": Price(input=10, output=10)})
    agent = Agent(
        _Holding([later]), tools=[nothing], prices=prices, limits=Limits(iterations=1, on_limit="partial", cost=1)
    )
    result = await agent.run("go")
    assert (result.usage.input_tokens, result.cost) == (1000, 0.01)
