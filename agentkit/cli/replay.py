"""`agentkit replay` and `agentkit diff`: recorded runs, played back and compared."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import anyio

from agentkit import AgentError, ConfigError, Event, RunResult
from agentkit.errors import ReplayDiverged
from agentkit.events import ModelAnswered, ToolFinished, ToolStarted
from agentkit.messages import ToolCall, ToolResult
from agentkit.models.base import ModelResponse
from agentkit.recording import Difference, Playback, Recording, Step, first_difference, read_recording
from agentkit.recording.described import read

from .agents import find_agent
from .failures import FAILED, OK, reason
from .screen import Screen
from .text import one_line, safe


def replay_run(path: str, agent: str | None, *, debug: bool) -> int:
    """Show a recorded run; if an agent is named, by running it, to see whether it still does the same."""
    recording, screen = read_recording(path), Screen(whole=debug)
    _show_beginning(recording, screen)
    if agent is None:
        return _show(recording, screen)
    playback = Playback.of(find_agent(agent, default_model="recorded"), recording)
    screen.knows(playback.agent.registry.by_name)

    async def watch() -> RunResult[Any]:
        async with playback.stream() as run:
            async for event in run:
                screen.show(event)
        return run.result

    try:
        result = anyio.run(watch)
    except (ConfigError, ReplayDiverged):
        raise
    except AgentError as error:
        screen.note(f"the run ends as it was recorded: {reason(error)}")
        return OK
    finally:
        screen.end_line()
    _show_end(recording, screen, str(result.value if result.value is not None else ""))
    screen.note("the run is as it was recorded")
    return OK


def diff_runs(one: str, other: str, *, as_json: bool) -> int:
    """Print where two recorded runs part, and what each took."""
    a, b = read_recording(one), read_recording(other)
    found = first_difference(a, b)
    if as_json:
        told = {"difference": found and asdict(found), "a": dict(_taken(a)), "b": dict(_taken(b))}
        print(json.dumps(told, indent=2))
    else:
        _print_difference(found, a, b)
    return FAILED if found else OK


def _print_difference(found: Difference | None, a: Recording, b: Recording) -> None:
    print(f"A: {safe(a.path)}\nB: {safe(b.path)}\n")
    print(safe(str(found)) if found else "the runs are the same", end="\n\n")
    rows = [(name, _cell(x), _cell(y)) for (name, x), (_, y) in zip(_taken(a), _taken(b), strict=True)]
    wide = max(len(cell) for row in rows for cell in row[1:])
    for name, x, y in [("", "A", "B"), *rows]:
        print(f"{name:<14}{x:>{wide}}  {y:>{wide}}")


def _taken(recording: Recording) -> Iterator[tuple[str, Any]]:
    """What a run took, as far as the recording knows."""
    end = recording.end or {}
    usage = end.get("usage") or {}
    yield "agentkit", recording.run.get("agentkit")
    yield "agent", recording.run.get("agent") or None
    yield "model", (recording.run.get("model") or {}).get("model")
    yield "steps", len(recording.steps)
    yield "model calls", sum(step.name == "model" for step in recording.steps)
    yield "tool calls", sum(step.name.startswith("tool:") for step in recording.steps)
    yield "tokens in", usage.get("input_tokens")
    yield "tokens out", usage.get("output_tokens")
    yield "cost in USD", end.get("cost")
    yield "seconds", end.get("seconds")
    yield "ended with", "nothing: it broke off" if recording.end is None else _ended(recording)


def _cell(value: Any) -> str:
    if value is None:
        return "unknown"
    return f"{value:.3f}" if isinstance(value, float) else one_line(f"{value:,}" if type(value) is int else value, 40)


def _ended(recording: Recording) -> str:
    end = recording.end or {}
    error = str((end.get("error") or {}).get("class", "")).rpartition(":")[2]
    return error or end.get("stopped_by") or str(end["end"])


def _show_beginning(recording: Recording, screen: Screen) -> None:
    run = recording.run
    model = run.get("model") or {}
    known = [run.get("agent"), f"model {model.get('model')}", run.get("began"), f"agentkit {run.get('agentkit')}"]
    screen.note(", ".join(str(each) for each in known if each))


def _show(recording: Recording, screen: Screen) -> int:
    """The steps of a run, as they were seen then."""
    for step in recording.steps:
        try:
            for event in _events(step):
                screen.show(event)
        except ValueError as error:
            raise ConfigError(f"{recording.path!r}, {step.called}: cannot be read: {error}") from None
        if step.error is not None:
            screen.note(f"{step.called} failed: {step.error.get('message')}")
        if step.cancelled:
            screen.note(f"{step.called} was cancelled")
    output = (recording.end or {}).get("output")
    _show_end(recording, screen, output if isinstance(output, str) else json.dumps(output) if output else "")
    return OK


def _events(step: Step) -> Iterator[Event]:
    if step.result is not None and step.name == "model":
        yield ModelAnswered(response=read(ModelResponse, step.result), iteration=step.number)
    if step.result is not None and step.name.startswith("tool:"):
        call = read(ToolCall, {"arguments": "", **step.given["call"]})
        yield ToolStarted(call=call)
        yield ToolFinished(call=call, result=read(ToolResult, step.result), seconds=step.seconds)


def _show_end(recording: Recording, screen: Screen, output: str) -> None:
    if output:
        print(safe(output), flush=True)
    if recording.end is None:
        screen.note("the recording breaks off here; the program ended before the run did")
    else:
        told = {name: value for name, value in _taken(recording) if value is not None}
        shown = ("tokens in", "tokens out", "model calls", "tool calls", "seconds", "ended with")
        screen.note(", ".join(f"{name} {_cell(told[name])}" for name in shown if name in told))
