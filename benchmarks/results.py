"""What was measured, and what it says: ratios pair by pair, and which targets are met."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .targets import Target


@dataclass(kw_only=True, slots=True)
class Table:
    """One comparison: the cost of each contestant in each repetition, in milliseconds."""

    title: str
    what: str
    """What the milliseconds are."""
    baseline: str
    costs: dict[str, list[float]] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)
    """The contestant's process at its largest."""
    notes: list[str] = field(default_factory=list)

    def ratios(self, name: str) -> list[float]:
        """A contestant's cost in units of the baseline's in the same repetition."""
        return [cost / base for cost, base in zip(self.costs[name], self.costs[self.baseline], strict=True)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A target, and what came out."""

    target: "Target"
    ratio: float

    @property
    def met(self) -> bool:
        return self.ratio <= self.target.most

    def __str__(self) -> str:
        sign = "+" if self.target.above else f"{self.target.times} x " if self.target.times else ""
        return f"{sign}{self.ratio:.3f} <= {sign}{self.target.most:.2f} {'met' if self.met else 'MISSED'}"


def judge(table: Table, targets: "Sequence[Target]") -> list[Verdict]:
    """The verdict on every target that is about this table."""
    verdicts = []
    for target in targets:
        if target.table == table.title:
            ratios = table.ratios(target.contestant)
            if target.above:
                ratios = [more - less for more, less in zip(ratios, table.ratios(target.above), strict=True)]
            if target.times:
                ratios = [one / other for one, other in zip(ratios, table.ratios(target.times), strict=True)]
            verdicts.append(Verdict(target=target, ratio=median(ratios)))
    return verdicts


def lines(table: Table, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The table, for people."""
    judged = {verdict.target.contestant: str(verdict) for verdict in verdicts}
    repetitions = len(table.costs[table.baseline])
    yield f"{table.title}: {table.what}, repetitions: {repetitions}"
    yield f"{'':28}{'median':>12}{'ratio':>8}{'middle half':>15}{'memory':>9}  target"
    for name, costs in table.costs.items():
        ratios = table.ratios(name)
        spread = "" if name == table.baseline else "{:.3f}-{:.3f}".format(*middle_half(ratios))
        row = f"{name:28}{median(costs):9.2f} ms{median(ratios):8.3f}{spread:>15}{table.megabytes[name]:6.0f} MB"
        yield f"{row}  {judged.get(name, '')}".rstrip()
    yield from (f"  {note}" for note in table.notes)


def middle_half(values: Sequence[float]) -> tuple[float, float]:
    """The quarter's and the three quarters' value."""
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def as_json(table: Table, verdicts: Sequence[Verdict]) -> dict[str, object]:
    """The table, for programs."""
    return {
        "title": table.title,
        "what": table.what,
        "baseline": table.baseline,
        "milliseconds": table.costs,
        "ratio": {name: median(table.ratios(name)) for name in table.costs},
        "megabytes": table.megabytes,
        "notes": table.notes,
        "targets": [
            {
                "contestant": verdict.target.contestant,
                "above": verdict.target.above,
                "ratio": verdict.ratio,
                "most": verdict.target.most,
                "met": verdict.met,
            }
            for verdict in verdicts
        ],
    }
