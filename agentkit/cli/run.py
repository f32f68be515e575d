"""`agentkit run`: one run, for a person or as JSON."""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import anyio

from agentkit import Agent, AgentError, ConfigError, RunResult
from agentkit.messages import Message, dump_messages
from agentkit.recording import Recorder
from agentkit.telemetry.recorder import SpanRecorder
from agentkit.telemetry.trace_file import TraceFileExporter

from .agents import WRITTEN, names_agent
from .approval import approver
from .failures import FAILURES, OK, exit_code, reason, where
from .options import AgentOptions, RunOptions
from .screen import Screen
from .setup import build_agent
from .text import as_json, count


def run(options: RunOptions) -> int:
    """Run an agent once, and show the run or print it as JSON; returns the exit code."""
    return _as_json(options) if options.as_json else _for_a_person(options)


def follow(
    agent: Agent[Any], prompt: str, screen: Screen, *, trace: bool = False, file: TraceFileExporter | None, **given: Any
) -> None:
    """Run an agent before a person's eyes; Ctrl-C cancels the run, and is raised when it has ended.

    Args:
        agent: The agent.
        prompt: What the user says.
        screen: Where the run is shown.
        trace: Whether its spans are shown too.
        file: Where its spans are written to.
        given: As for `Agent.stream`.
    """
    recorder, began = SpanRecorder(file), time.monotonic()
    watched = replace(agent, telemetry=recorder.telemetry) if trace or file else agent
    screen.knows(agent.registry.by_name)

    async def watch() -> RunResult[Any]:
        async with watched.stream(prompt, **given) as run:
            async for event in run:
                screen.show(event)
        return run.result

    try:
        screen.answer(anyio.run(watch), time.monotonic() - began)
    finally:
        screen.end_line()
        if trace:
            screen.spans(recorder.tree())
        _note_lost(file, screen)


def _for_a_person(options: RunOptions) -> int:
    screen = Screen(whole=options.debug)
    agent, prompt = _prepared(options, screen)
    approve = approver(options.approve, screen, whole=options.debug)
    file = trace_file(options)
    follow(agent, prompt, screen, approve=approve, steps=_steps(options), trace=options.trace, file=file)
    return OK


def trace_file(options: AgentOptions) -> TraceFileExporter | None:
    """The file that spans are added to, if there is to be one.

    Raises:
        ConfigError: it cannot be opened.
    """
    return TraceFileExporter(options.trace_file) if options.trace_file else None


def _as_json(options: RunOptions) -> int:
    recorder, file, screen, code = SpanRecorder(), None, Screen(), OK
    try:
        file = trace_file(options)
        recorder = SpanRecorder(file)
        agent, prompt = _prepared(options, screen)
        traced = replace(agent, telemetry=recorder.telemetry) if options.trace or file else agent
        approve = approver(options.approve, screen, whole=options.debug)
        outcome = _result(anyio.run(partial(traced.run, prompt, approve=approve, steps=_steps(options))))
    except FAILURES as error:
        if options.debug:
            where(error)
        code, outcome = exit_code(error), _failure(error)
    if options.trace:
        outcome["trace"] = [asdict(node) for node in recorder.tree()]
    print(json.dumps(outcome))
    _note_lost(file, screen)
    return code


def _note_lost(file: TraceFileExporter | None, screen: Screen) -> None:
    """Say how many spans are not in the file they were meant for."""
    if file and file.lost:
        screen.note(f"{count(file.lost, 'span')} could not be written to {file.path}: {file.problem}")


def _steps(options: RunOptions) -> Recorder | None:
    return Recorder(options.record) if options.record else None


def _prepared(options: RunOptions, screen: Screen) -> tuple[Agent[Any], str]:
    named, prompt = _agent_and_prompt(options.words)
    agent, note = build_agent(options, named, os.environ)
    if note:
        screen.note(note)
    return agent, prompt


def _agent_and_prompt(words: list[str]) -> tuple[str | None, str]:
    is_prompt = not names_agent(words[0]) or (len(words) == 1 and " " in words[0])
    named, prompts = (None, words) if is_prompt else (words[0], words[1:])
    if not prompts:
        raise ConfigError(f"there is no prompt after {named!r}; add it in quotes, or - to read it from stdin")
    if len(prompts) > 1:
        raise ConfigError(f"{len(prompts)} prompts were given; put the prompt in quotes (an agent is {WRITTEN})")
    prompt = sys.stdin.read() if prompts[0] == "-" else prompts[0]
    if not prompt.strip():
        raise ConfigError("the prompt is empty")
    return named, prompt


def _result(result: RunResult[Any]) -> dict[str, Any]:
    return {
        "output": json.loads(as_json(result.output)),
        "messages": _plain(result.messages),
        "usage": asdict(result.usage),
        "iterations": result.iterations,
        "tool_calls": result.tool_calls,
        "finish_reason": result.finish_reason,
        "run_id": result.run_id,
    }


def _failure(error: BaseException) -> dict[str, Any]:
    """The same keys; what is not known of a run that failed is null."""
    known = error if isinstance(error, AgentError) else AgentError()
    return {
        "output": None,
        "messages": _plain(known.history),
        "usage": asdict(known.usage) if known.usage else None,
        "iterations": None,
        "tool_calls": None,
        "finish_reason": None,
        "run_id": known.run_id,
        "error": {"type": type(error).__name__, "message": reason(error)},
    }


def _plain(messages: Sequence[Message]) -> Any:
    return json.loads(dump_messages(messages))
