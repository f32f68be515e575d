"""What a model call costs, in US dollars: by the caller's own prices, else by the package genai-prices.

Within a call amounts are decimals, so prices like 0.1 are exact; what comes out is a float, as limits and results hold
it. A budget reserves before it spends, so no sum of roundings makes room for a call too many, and a million amounts
add up to within a millionth of a cent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Protocol

from .errors import ConfigError
from .messages import Usage
from .models.base import ModelInfo

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, PriceCalculation, TieredPrices

_MILLION = 1_000_000
_THEIR_NAMES = {"x_ai": "x-ai", "azure.ai.openai": "azure", "azure.ai.inference": "azure"}
_GIVE = "Prices({{{model!r}: Price(input=..., output=...)}}), in US dollars per million tokens"


class Tariff(Protocol):
    """What calls of one model cost."""

    def cost(self, usage: Usage) -> Decimal | None:
        """What this usage costs; None if what it costs was not reported."""
        ...

    def most(self, input_tokens: int, output_tokens: int) -> Decimal:
        """The most that a call costs that takes no more tokens than these, however they are cached or thought."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """What a model costs, in US dollars per million tokens.

    Raises:
        ConfigError: a price is not a number from 0 on.
    """

    input: float | Decimal
    output: float | Decimal
    cache_read: float | Decimal | None = None
    """Of input that the provider has kept from an earlier request; as other input if not given."""
    cache_write: float | Decimal | None = None
    """Of input that the provider keeps for later ones; as other input if not given."""
    reasoning: float | Decimal | None = None
    """Of output that is thought and not said; as other output if not given."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is None and f.name not in ("input", "output"):
                continue
            number = None if isinstance(value, bool) or not isinstance(value, int | float | Decimal) else Decimal(value)
            if number is None or not number.is_finite() or number < 0:
                raise ConfigError(f"Price({f.name}={value!r:.60}): write US dollars per million tokens, from 0 on")

    def cost(self, usage: Usage) -> Decimal | None:
        """What this usage costs; see `Tariff`."""
        usage = _consistent(usage)
        if (usage.input_tokens is None and any(self._of_input)) or (
            usage.output_tokens is None and any(self._of_output)
        ):
            return None
        read, write, thought = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0, usage.reasoning_tokens or 0
        plain, said = (usage.input_tokens or 0) - read - write, (usage.output_tokens or 0) - thought
        counts = (plain, read, write, said, thought)
        rates = (*self._of_input, *self._of_output)
        return sum((rate * count for rate, count in zip(rates, counts, strict=True)), Decimal(0)) / _MILLION

    def most(self, input_tokens: int, output_tokens: int) -> Decimal:
        """The most that a call of this size costs; see `Tariff`."""
        return (max(self._of_input) * input_tokens + max(self._of_output) * output_tokens) / _MILLION

    @property
    def _of_input(self) -> Sequence[Decimal]:
        return _decimals(self.input, self.input, self.cache_read, self.cache_write)

    @property
    def _of_output(self) -> Sequence[Decimal]:
        return _decimals(self.output, self.output, self.reasoning)


@dataclass(frozen=True, slots=True)
class Prices:
    """Where prices come from: an own table, then the list of genai-prices, which is part of that package.

    Nothing here goes to the network. Models that run in this process cost nothing.

    Raises:
        ConfigError: the own table holds something else than prices.
    """

    own: Mapping[str, Price | str] = field(default_factory=dict)
    """By `"model"` or `"provider:model"`, where `*` stands for anything; exact names go first, then those with a `*` in
    their order. A text instead of a `Price` names the model that costs the same: `{"my-deployment": "azure:gpt-4o"}`.
    """
    listed: bool = True
    """Whether genai-prices is asked about models that the own table does not have."""

    def __post_init__(self) -> None:
        own: object = self.own
        if not isinstance(own, Mapping):
            raise ConfigError(f"Prices({self.own!r:.60}): write {_GIVE.format(model='model')}")
        for model, price in own.items():
            known = isinstance(price, Price) or (isinstance(price, str) and all(price.partition(":")))
            if not (isinstance(model, str) and model and known):
                raise ConfigError(
                    f"Prices({{{model!r:.60}: {price!r:.60}}}): write {_GIVE.format(model=model)}, "
                    f'or "provider:model" for what costs the same'
                )

    def __hash__(self) -> int:
        return hash((tuple(self.own), self.listed))

    def of(self, info: ModelInfo, model: str = "") -> Tariff | None:
        """What calls cost; None if nobody knows.

        Args:
            info: Who is asked.
            model: The model that has answered, as the provider calls it.
        """
        models = list(dict.fromkeys(filter(None, (model, info.model))))
        given = self._given([name for each in models for name in (f"{info.provider}:{each}", each)])
        if isinstance(given, Price):
            return given
        if given is not None:
            provider, _, name = given.partition(":")
            return _listed([name], provider_id=_THEIR_NAMES.get(provider, provider))
        if info.in_process:
            return FREE
        return _listed(models, **_place(info)) if self.listed else None

    def cost(self, info: ModelInfo, model: str, usage: Usage) -> float | None:
        """What a call has cost, in US dollars; None if that is not known.

        Cached tokens are part of the input, and counted once. Where the provider does not say how many were cached,
        all are taken as plain input: a saving that nobody reports is none. Where it does not say how many tokens went
        in or out, the cost is not known.
        """
        tariff = self.of(info, model)
        cost = tariff.cost(usage) if tariff is not None else None
        return None if cost is None else float(cost)

    def most(self, info: ModelInfo, model: str, input_tokens: int, output_tokens: int) -> float | None:
        """The most that a call of this size can cost, in US dollars; None if that is not known."""
        tariff = self.of(info, model)
        return None if tariff is None else float(tariff.most(input_tokens, output_tokens))

    def require(self, info: ModelInfo) -> None:
        """Make sure that a model's price is known, as a limit on money needs it.

        Raises:
            ConfigError: it is not.
        """
        if self.of(info) is not None:
            return
        given = self._given([f"{info.provider}:{info.model}", info.model])
        where = f" at {info.address!r}" if info.address else ""
        where += f", priced as {given!r}," if isinstance(given, str) else ""
        missing = "" if not self.listed or _is_installed() else ", or pip install genai-prices"
        raise ConfigError(
            f"money is limited, and nobody knows what the model {info.model!r} of {info.provider!r}{where} costs: "
            f"give prices={_GIVE.format(model=info.model)}, or Prices({{{info.model!r}: 'provider:model'}}) for what "
            f"costs the same{missing}"
        )

    def _given(self, names: Sequence[str]) -> Price | str | None:
        for name in names:
            if name in self.own:
                return self.own[name]
        patterns = (pattern for pattern in self.own if "*" in pattern)
        return next((self.own[each] for each in patterns if any(fnmatchcase(name, each) for name in names)), None)


FREE = Price(input=0, output=0)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A model in the list of genai-prices."""

    found: "PriceCalculation"
    model: str
    place: Mapping[str, str]

    def cost(self, usage: Usage) -> Decimal | None:
        usage = _consistent(usage)
        if usage.input_tokens is None or usage.output_tokens is None:
            return None if any(self._at_any_time(0)) else Decimal(0)
        return _calculated(usage, self.model, self.place).total_price

    def most(self, input_tokens: int, output_tokens: int) -> Decimal:
        return max(
            (rate_in * input_tokens + rate_out * output_tokens) / _MILLION + each
            for rate_in, rate_out, each in self._rates(input_tokens)
        )

    def _at_any_time(self, input_tokens: int) -> Iterable[Decimal]:
        return (amount for rates in self._rates(input_tokens) for amount in rates)

    def _rates(self, input_tokens: int) -> Iterable[tuple[Decimal, Decimal, Decimal]]:
        """The highest price of input, of output, and of the call as such; one for each time of day that has its own."""
        for price in _of_a_day(self.found):
            yield (
                max(_rate(price, f"{kind}_mtok", input_tokens) for kind in ("input", "cache_read", "cache_write")),
                max(_rate(price, f"{kind}_mtok", input_tokens) for kind in ("output", "output_reasoning")),
                _rate(price, "requests_kcount", input_tokens) / 1000,
            )


def _listed(models: Sequence[str], **place: str) -> Tariff | None:
    """The first of these models that genai-prices has a price for."""
    if not _is_installed():
        return None
    for model in models:
        try:
            found = _calculated(Usage(), model, place)
        except LookupError:
            continue
        if None not in (found.model_price.input_mtok, found.model_price.output_mtok):
            return _Listed(found, model, place)
    return None


def _calculated(usage: Usage, model: str, place: Mapping[str, Any]) -> "PriceCalculation":
    import genai_prices  # on first use: it costs many times what `import agentkit` does

    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
    }
    return genai_prices.calc_price(genai_prices.Usage(**counts), model, **place)


def _is_installed() -> bool:
    try:
        import genai_prices  # noqa: F401
    except ImportError:
        return False
    return True


def _place(info: ModelInfo) -> dict[str, str]:
    """Where genai-prices is to look: many servers speak like OpenAI's, and do not cost what OpenAI's costs."""
    if info.provider == "openai" and info.address and not f".{info.address}".endswith(".openai.com"):
        return {"provider_api_url": f"https://{info.address}"}
    return {"provider_id": _THEIR_NAMES.get(info.provider, info.provider)}


def _of_a_day(found: "PriceCalculation") -> "Iterable[ModelPrice]":
    """The prices of now, and of the other times of the day: between asking and answering, the hour may strike."""
    from datetime import UTC, datetime

    yield found.model_price
    prices = found.model.prices
    for conditional in prices if isinstance(prices, list) else ():
        begins = getattr(conditional.constraint, "start_time", None)
        if begins is not None:
            yield found.model.get_prices(datetime.combine(datetime.now(UTC).date(), begins))


def _rate(price: "ModelPrice", key: str, input_tokens: int) -> Decimal:
    """A price for a call with so much input; providers have higher prices for all tokens of long requests."""
    rate: Decimal | TieredPrices | None = getattr(price, key)
    if rate is None or isinstance(rate, Decimal):
        return rate or Decimal(0)
    return max([rate.base, *(tier.price for tier in rate.tiers if input_tokens > tier.start)])


def _consistent(usage: Usage) -> Usage:
    """The usage of a provider that counts its cached tokens, or what was thought, apart, as it should be."""
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    return Usage(
        input_tokens=None if usage.input_tokens is None else max(usage.input_tokens, cached),
        output_tokens=None if usage.output_tokens is None else max(usage.output_tokens, usage.reasoning_tokens or 0),
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )


def _decimals(otherwise: float | Decimal, *given: float | Decimal | None) -> Sequence[Decimal]:
    return [Decimal(str(otherwise if each is None else each)) for each in given]
