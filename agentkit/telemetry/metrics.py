"""What is counted and timed: the instruments, made once for each provider."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import semconv as s

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter

_MOST = 2**53
"""Above, and below nothing, is nonsense: a server says that it used so many tokens, and no exporter takes the sum."""


class Instruments:
    """One for each metric."""

    def __init__(self, meter: "Meter") -> None:
        self._takes = {
            name: (frozenset(metric.attributes), _taken_by(meter, name, metric)) for name, metric in s.METRICS.items()
        }

    def measure(self, name: str, amount: float, known: Iterable[Mapping[str, Any]], context: "Context") -> None:
        """Add a value, with those of the attributes that the metric has: each of few values, so that series are few.

        Args:
            name: The metric.
            amount: The value.
            known: What is known of the operation; what comes later counts.
            context: The span's, to be shown as an example of the value.
        """
        if not 0 <= amount < _MOST:
            return
        names, take = self._takes[name]
        take(amount, {each: value for told in known for each in names & told.keys() if (value := told[each])}, context)


def _taken_by(meter: "Meter", name: str, metric: s.Metric) -> Callable[[float, Mapping[str, Any], "Context"], None]:
    if not metric.buckets:
        return meter.create_counter(name, metric.unit, metric.told).add
    return meter.create_histogram(
        name, metric.unit, metric.told, explicit_bucket_boundaries_advisory=metric.buckets
    ).record
