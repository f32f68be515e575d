"""Spans in a terminal, as trees."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from agentkit.traces.span import SpanEvent, SpanLink, SpanNode
from agentkit.traces.tree import Totals

from .text import duration, one_line

_LONGEST = 200
_GUIDES = ("├── ", "└── ", "│   ", "    ")
_ASCII_GUIDES = ("+-- ", "`-- ", "|   ", "    ")


def print_tree(console: Console, root: SpanNode, *, details: bool = False) -> None:
    """Print a span and those inside it, with their durations and errors; of any depth, and no line is cut off.

    Args:
        console: Where to.
        root: The span.
        details: Whether tokens, cost, events, links and what is said of errors are shown too.
    """
    branch, last, pipe, blank = _ASCII_GUIDES if console.options.ascii_only else _GUIDES
    waiting: list[tuple[str, str, SpanNode | str]] = [("", "", root)]
    while waiting:
        lead, below, item = waiting.pop()
        if isinstance(item, str):
            console.print(Text(lead).append(item, "dim"))
            continue
        console.print(Text(lead).append_text(_label(item, details=details)))
        inside = [*(_beside(item) if details else ()), *item.children]
        rows = [(below + branch, below + pipe, each) for each in inside[:-1]]
        rows += [(below + last, below + blank, each) for each in inside[-1:]]
        waiting += reversed(rows)


def usd(cost: float) -> str:
    """`$0.0123`; what is less than a hundredth of a cent has more digits."""
    return f"${cost:,.4f}" if cost >= 0.0001 or not cost else f"${cost:.2g}"


def tokens(of: SpanNode | Totals) -> str:
    """`371 tokens in, 21 out`; nothing if they are unknown."""
    if of.input_tokens is None and of.output_tokens is None:
        return ""
    given, made = ("?" if number is None else f"{number:,}" for number in (of.input_tokens, of.output_tokens))
    return f"{given} tokens in, {made} out"


def _label(node: SpanNode, *, details: bool) -> Text:
    label = Text(f"{one_line(node.name, _LONGEST)}  ").append(duration(node.seconds), "dim")
    if details:
        cost = None if node.cost is None else usd(node.cost)
        for said in filter(None, (tokens(node), cost)):
            label.append(f"  {said}", "dim")
    if node.error is not None:
        message = f": {node.message}" if details and node.message else ""
        label.append(f"  {one_line(node.error + message, _LONGEST)}", "red")
    return label


def _beside(node: SpanNode) -> Iterator[str]:
    """What is shown of a span beside the spans inside it, line by line."""
    yield from map(_event, node.events)
    yield from map(_link, node.links)


def _event(event: SpanEvent) -> str:
    said = ", ".join(f"{name}={value}" for name, value in event.attributes.items())
    return one_line(f"at {duration(event.at)}: {event.name}{said and f' ({said})'}", _LONGEST)


def _link(link: SpanLink) -> str:
    said = ", ".join(f"{name}={value}" for name, value in link.attributes.items())
    return f"linked to span {link.span_id} of trace {link.trace_id}{said and f' ({one_line(said, _LONGEST)})'}"
