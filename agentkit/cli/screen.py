"""What a person sees of a run: the answer on stdout, everything else on stderr."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

from agentkit import Event, ModelAnswered, RunResult, TextDelta, Tool, ToolFinished, ToolStarted
from agentkit.events import HostedToolFinished
from agentkit.traces.span import SpanNode

from .spans import print_tree
from .text import arguments, as_json, count, duration, one_line, safe

_SHORT = 100


class Screen:
    """Shows one run after the other.

    Text from models and tools is never read as markup, and its control characters are written out. On a terminal the
    answer appears as it arrives; anywhere else it is written when the run has ended, so that a pipe gets the answer
    and not what a model says before it calls a tool.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole
        self._tools: Mapping[str, Tool] = {}
        self._question = ""
        """What the person is being asked."""
        colors: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
        self._stderr = Console(stderr=True, color_system=colors, highlight=False, soft_wrap=True)
        self._streams = sys.stdout.isatty()
        self._streamed = False
        """Whether the answer that is being given came in pieces so far."""
        self._in_line = False
        """Whether text stands on the terminal whose line has not ended."""

    def knows(self, tools: Mapping[str, Tool]) -> None:
        """Say what tools there will be: which of their arguments and results are secret, they know."""
        self._tools = tools

    def show(self, event: Event) -> None:
        """Show what has just happened."""
        match event:
            case TextDelta(text=text):
                self._write(text)
                self._streamed = True
            case ModelAnswered(response=response):
                if not self._streamed:  # not every backend streams
                    self._write(response.message.text)
                self.end_line()
            case HostedToolFinished(call=hosted):
                found = ", ".join(hit.filename for hit in hosted.hits)
                told = [hosted.tool, self._short(hosted.output or found or hosted.input)]
                self._print(f"<- {': '.join(filter(None, told))}", "green")
            case ToolStarted(call=call):
                secrets = self._tools[call.name].arguments.secrets if call.name in self._tools else ()
                self._print(f"-> {self._short(call.name)}({self._short(arguments(call.arguments, secrets))})", "cyan")
            case ToolFinished(call=call, result=result, seconds=seconds):
                name, said = self._short(call.name), "***" if result.secret else self._short(result.content)
                line = f"<- {name}{' failed' if result.is_error else ''}: {said} ({duration(seconds)})"
                self._print(line, "red" if result.is_error else "green")

    def answer(self, result: RunResult[Any], seconds: float) -> None:
        """Show the answer, where it is not there already, and what it took."""
        if not self._streams:
            text = result.output if isinstance(result.output, str) else as_json(result.output)
            print(safe(text), flush=True)
        used = result.usage
        known = used.input_tokens is not None and used.output_tokens is not None
        tokens = f"{used.input_tokens:,} tokens in, {used.output_tokens:,} out" if known else "tokens unknown"
        if result.finish_reason == "length":
            self._print("the answer was cut off at the model's token limit", "yellow")
        spent = [tokens, count(result.iterations, "iteration"), count(result.tool_calls, "tool call")]
        self.note(", ".join([*spent, duration(seconds)]))

    def end_line(self) -> None:
        """Leave an answer that has ended, or broken off in the middle of a line."""
        if self._in_line:
            print(flush=True)
        self._in_line = self._streamed = False

    def note(self, line: str) -> None:
        """Say something beside the answer."""
        self._print(line, "dim")

    @contextmanager
    def asking(self, details: str, question: str) -> Iterator[None]:
        """Ask the person, whose answer ends the line; what else happens meanwhile is shown above the question."""
        self._print(details, "bold")
        self._question = question
        self._ask()
        try:
            yield
        finally:
            self._question = ""

    def spans(self, roots: Sequence[SpanNode]) -> None:
        """Show spans as trees, with their durations."""
        if not roots:
            self.note("there are no spans; OTEL_SDK_DISABLED switches them off, if it is set")
        for root in roots:
            print_tree(self._stderr, root)

    def tools(self, tools: Iterable[Tool]) -> None:
        """Show what tools there are."""
        for tool in tools:
            self._print(f"{tool.name}: {first_line(tool)}")

    def _write(self, text: str) -> None:
        if self._streams and text:
            print(safe(text), end="", flush=True)
            self._in_line = not text.endswith("\n")

    def _print(self, line: str, style: str = "") -> None:
        self.end_line()
        below_the_question = "\n" if self._question else ""
        self._stderr.print(Text(below_the_question + safe(line), style=style))
        self._ask()

    def _ask(self) -> None:
        if self._question:
            self._stderr.print(Text(self._question, style="bold"), end="")

    def _short(self, text: str) -> str:
        return text if self._whole else one_line(text, _SHORT)


def first_line(tool: Tool) -> str:
    """What a tool does, in a line."""
    return safe(tool.description.partition("\n")[0])
