"""`agentkit trace show|html`: traces that were written to a file, as trees in the terminal and as a page."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from agentkit import ConfigError
from agentkit.traces import Flaw, SpanNode, Trace, TraceFile, read_traces, trace_page, walk

from .failures import FAILED, OK
from .spans import print_tree, tokens, usd
from .text import count, duration, safe


def show_trace(path: str, trace_id: str | None, *, last: bool, errors: bool) -> int:
    """Print the traces of a file as trees."""
    file = read_traces(path)
    colors: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    console = Console(color_system=colors, highlight=False, soft_wrap=True)
    chosen = [trace for trace in _chosen(file, trace_id, last=last) if not errors or trace.totals().errors]
    for number, trace in enumerate(chosen):
        console.print(Text("\n" * bool(number) + _heading(trace), "bold"))
        for root in trace.roots:
            if root.parent_id:
                console.print(Text(f"the span around the next one, {safe(root.parent_id)}, is not in the file", "dim"))
            for shown in _failed(root) if errors else [root]:
                print_tree(console, shown, details=True)
    if not chosen:
        console.print("no span failed")
    return _told(file.flaws)


def write_page(path: str, trace_id: str | None, output: str | None, *, last: bool) -> int:
    """Write the traces of a file as a page."""
    file = read_traces(path)
    target = Path(output) if output else Path(path).with_suffix(".html")
    if target.exists() and target.samefile(path):
        raise ConfigError(f"the page would be written over {path!r}; name another file with -o")
    chosen = _chosen(file, trace_id, last=last)
    page = trace_page(chosen, title=Path(path).name, flaws=[str(flaw) for flaw in file.flaws])
    try:
        with os.fdopen(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as opened:
            opened.write(page.encode("utf-8", "replace"))
    except OSError as error:
        raise ConfigError(f"{str(target)!r} cannot be written: {error}") from None
    print(f"{target}: {count(len(chosen), 'trace')}, {count(sum(trace.totals().spans for trace in chosen), 'span')}")
    return _told(file.flaws)


def _chosen(file: TraceFile, trace_id: str | None, *, last: bool) -> Sequence[Trace]:
    found = file.traces if trace_id is None else (file.trace(trace_id),)
    return found[-1:] if last else found


def _heading(trace: Trace) -> str:
    totals = trace.totals()
    began = datetime.fromtimestamp(trace.start, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    parts = [
        f"trace {trace.trace_id}",
        began,
        duration(totals.seconds),
        count(totals.spans, "span"),
        count(totals.model_calls, "model call"),
        count(totals.tool_calls, "tool call"),
        tokens(totals),
        "" if totals.cost is None else usd(totals.cost),
        count(totals.errors, "error") if totals.errors else "",
    ]
    return ", ".join(filter(None, parts))


def _failed(root: SpanNode) -> list[SpanNode]:
    """Of a tree, what failed, and the spans around it."""
    order = [node for _, node in walk([root])]
    kept: dict[int, SpanNode] = {}
    for node in reversed(order):
        children = tuple(kept[id(child)] for child in node.children if id(child) in kept)
        if children or node.error is not None:
            kept[id(node)] = replace(node, children=children)
    return [kept[id(root)]] if id(root) in kept else []


def _told(flaws: Sequence[Flaw]) -> int:
    """Say what could not be read; a file that breaks off in its last line is no failure."""
    for flaw in flaws:
        print(f"agentkit: {safe(str(flaw))}", file=sys.stderr)
    return FAILED if any(flaw.line and not flaw.cut_off for flaw in flaws) else OK
