"""Spans in the order of a file -> traces, each a tree; and what a trace came to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from .span import SpanNode

_Place: TypeAlias = tuple[str, str]
"""A span's trace and its own id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """What spans came to together."""

    seconds: float
    """From the first beginning to the last end."""
    spans: int
    model_calls: int
    tool_calls: int
    errors: int
    """Spans that failed."""
    input_tokens: int | None
    """Of the model calls; where those do not say, of the agents that nobody asked but the user. None if nobody says."""
    output_tokens: int | None
    cost: float | None
    """US dollars, likewise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """The spans with one trace id."""

    trace_id: str
    roots: tuple[SpanNode, ...]
    """Those that stand in no other span of the file, in the order in which they began."""

    @property
    def start(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return min(node.start for _, node in walk(self.roots))

    def totals(self) -> Totals:
        """What it came to."""
        spans = [node for _, node in walk(self.roots)]
        model_calls = [node for node in spans if node.role == "model"]
        agents = [node for node in spans if node.role == "agent"]

        def spent(name: str) -> Any:
            for those in (model_calls, agents):
                known = [value for node in those if (value := getattr(node, name)) is not None]
                if known:
                    return sum(known)
            return None

        return Totals(
            seconds=max(node.start + node.seconds for node in spans) - min(node.start for node in spans),
            spans=len(spans),
            model_calls=len(model_calls),
            tool_calls=sum(node.role == "tool" for node in spans),
            errors=sum(node.error is not None for node in spans),
            input_tokens=spent("input_tokens"),
            output_tokens=spent("output_tokens"),
            cost=spent("cost"),
        )


def walk(roots: Iterable[SpanNode]) -> Iterator[tuple[int, SpanNode]]:
    """Each span with its depth, from 0, in the order in which a tree is printed; of any depth."""
    waiting = [(0, node) for node in reversed(tuple(roots))]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        waiting += [(depth + 1, child) for child in reversed(node.children)]


def traces(spans: Iterable[SpanNode]) -> tuple[Trace, ...]:
    """The traces that spans without children are of, in the order in which they began.

    Of spans with the same ids, the first counts. A span is at the top where the one around it is not among them; of
    spans that stand in each other in a circle, the one that began first is.
    """
    found: dict[_Place, SpanNode] = {}
    for span in sorted(spans, key=lambda span: span.start):
        found.setdefault((span.trace_id, span.span_id), span)
    inside: dict[_Place, list[_Place]] = {}
    tops: list[_Place] = []
    for place, span in found.items():
        around = (span.trace_id, span.parent_id)
        (inside.setdefault(around, []) if around in found else tops).append(place)
    order = _from_the_top(found, tops, inside)
    built: dict[_Place, SpanNode] = {}
    for place in reversed(order):  # what is inside before what is around it
        children = tuple(built.pop(child) for child in inside.get(place, ()) if child in built)
        built[place] = replace(found[place], children=children)
    roots: dict[str, list[SpanNode]] = {}
    for place in found:
        if place in built:
            roots.setdefault(place[0], []).append(built[place])
    return tuple(Trace(trace_id=trace_id, roots=tuple(nodes)) for trace_id, nodes in roots.items())


def _from_the_top(
    found: Iterable[_Place], tops: Sequence[_Place], inside: Mapping[_Place, Sequence[_Place]]
) -> list[_Place]:
    """All places, each after the one around it."""
    order: dict[_Place, None] = {}
    for top in (*tops, *found):  # what is not below a top is in a circle, or below one
        waiting = [] if top in order else [top]
        while waiting:
            place = waiting.pop()
            order[place] = None
            waiting += [child for child in inside.get(place, ()) if child not in order]
    return list(order)
