"""Runs that are written down, step by step: `Recorder` writes, `read_recording` reads.

A recording is a file of JSON lines: the first says which run it is, then comes one for each step as it ends, then one
for the end of the run. Each is on the disk before the run goes on, so the recording of a program that was killed has
all steps that had ended.
"""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from agentkit.budget import Budget, Spent
from agentkit.errors import ConfigError, said
from agentkit.events import RunResult
from agentkit.messages import Message, Usage, UserMessage
from agentkit.steps import Beginning

from .described import Describer

T = TypeVar("T")

FORMAT = 1
_SAME = ("instructions", "tools", "output", "settings")
"""Of a model request, what is written only where it differs from the one before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A step that has ended, as JSON values."""

    number: int
    """Its place in the run, from 1: in the order in which steps begin."""
    name: str
    """`model`, `tool:NAME`, `load`, `session` ..."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """What went in."""
    result: Any = None
    error: Mapping[str, Any] | None = None
    """What was raised, if something was."""
    cancelled: bool = False
    """Whether the run was cancelled while the step went on."""
    spent: Mapping[str, Any] | None = None
    """What runs within the step have spent of the run's budget."""
    at: float = 0.0
    """When it began, in seconds since the run did."""
    seconds: float = 0.0
    """How long it took."""

    @property
    def called(self) -> str:
        """How people call it: `step 2 (tool:units_left)`."""
        return f"step {self.number} ({self.name})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """A run that was written down."""

    path: str
    run: Mapping[str, Any]
    """Which run it is: `agentkit` (the version), `agent`, `model`, `prompt`, `history`, `session`, `began`."""
    steps: Sequence[Step]
    end: Mapping[str, Any] | None
    """What it came to: `output`, `stopped_by` or `error`, `usage`, `cost`, `iterations`, `tool_calls` and `seconds`;
    None where the program ended first."""


class Recorder:
    """Writes one run to a new file: `agent.run(..., steps=Recorder("run.jsonl"))`.

    It holds the conversation, and is as confidential; nobody else may read it. Arguments and results that are declared
    secret are `***` in it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._describer = Describer()
        self._lock = threading.Lock()
        self._file: int | None = None
        self._number = 0
        self._budget: Budget | None = None
        self._marked: _Spent | None = None
        self._request: dict[str, Any] = {}
        """The model request written last."""
        self._began = 0.0

    async def follow(self, run: Beginning, work: Callable[[], Awaitable[T]]) -> T:
        """See `FollowsRuns`.

        Raises:
            ConfigError: the file is there already, or cannot be written.
        """
        self._open()
        self._describer.knows(run.tools)
        self._budget, self._began = run.budget, time.monotonic()
        try:
            await self._write(_header(run, self._describer))
            try:
                came_to = await work()
            except BaseException as error:
                await self._noted(error, self._ended(error))
                raise
            await self._write(self._ended(came_to))
            return came_to
        finally:
            file, self._file = self._file, None
            if file is not None:
                os.close(file)

    def reserve(self, name: str, kind: type[T]) -> Callable[[Callable[[], Awaitable[T]]], Awaitable[T]]:
        """See `Steps`."""
        self._number += 1
        number = self._number
        self._inner()  # what was spent up to here is the run's own

        async def run(work: Callable[[], Awaitable[T]]) -> T:
            began = time.monotonic()
            line = {"step": number, "name": name, "given": self._given(getattr(work, "given", None))}
            try:
                result = await work()
            except anyio.get_cancelled_exc_class() as error:
                await self._noted(error, self._timed(line | {"cancelled": True}, began))
                raise
            except BaseException as error:
                await self._noted(error, self._timed(line | {"error": self._describer.error(error)}, began))
                raise
            if name.startswith("tool:") and (spent := self._inner()):
                line["spent"] = spent
            await self._write(self._timed(line | {"result": self._describer.result(kind, result)}, began))
            return result

        return run

    def _given(self, given: object) -> dict[str, Any]:
        """What goes in; of a model request, what is new since the one before."""
        described = self._describer.given(given)
        if "settings" not in described:
            return described
        before, self._request = self._request, described
        same = _in_common(before.get("messages", ()), described["messages"])
        changed = {name: described[name] for name in _SAME if not before or before[name] != described[name]}
        return {"kept": same, "messages": described["messages"][same:], **changed}

    def _inner(self) -> dict[str, Any]:
        """What was spent since this was asked last."""
        if self._budget is None:
            return {}
        before, self._marked = self._marked, _Spent.of(self._budget)
        return self._marked.since(before) if before else {}

    def _timed(self, line: dict[str, Any], began: float) -> dict[str, Any]:
        at, seconds = began - self._began, time.monotonic() - began
        return line | {"at": round(at, 6), "seconds": round(seconds, 6)}

    def _ended(self, came_to: object) -> dict[str, Any]:
        spent = {} if self._budget is None else _Spent.of(self._budget).told
        return outcome(self._describer, came_to) | spent | {"seconds": round(time.monotonic() - self._began, 6)}

    def _open(self) -> None:
        try:
            self._file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        except FileExistsError:
            raise ConfigError(
                f"the recording {str(self.path)!r} is there already; a Recorder writes one run to a new file"
            ) from None
        except OSError as error:
            raise ConfigError(f"the recording {str(self.path)!r} cannot be written: {error}") from error

    async def _write(self, line: Mapping[str, Any]) -> None:
        """Have a line on the disk, also where the run is being cancelled.

        Raises:
            ConfigError: it cannot be written.
        """
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"
        with anyio.CancelScope(shield=True):
            try:
                await anyio.to_thread.run_sync(self._append, data)
            except OSError as error:
                raise ConfigError(f"the recording {str(self.path)!r} cannot be written: {error}") from error

    async def _noted(self, error: BaseException, line: Mapping[str, Any]) -> None:
        """Write a line beside an error that is under way; if that fails, the error gets a note."""
        try:
            await self._write(line)
        except ConfigError as failure:
            error.add_note(said(failure))

    def _append(self, data: bytes) -> None:
        with self._lock:
            if self._file is None:
                raise OSError("the run that it followed has ended")
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)


def outcome(describer: Describer, came_to: object) -> dict[str, Any]:
    """What a run came to, or was ended by."""
    if isinstance(came_to, RunResult):
        output = describer.given(came_to.value).get("value")
        return {"end": "result", "output": output, "stopped_by": came_to.stopped_by}
    if isinstance(came_to, anyio.get_cancelled_exc_class()):
        return {"end": "cancelled"}
    return {"end": "error", "error": describer.error(came_to)} if isinstance(came_to, BaseException) else {"end": "?"}


@dataclass(frozen=True, slots=True)
class _Spent:
    """What a budget has spent at one moment."""

    spent: Spent
    learnt: tuple[int, int]

    @classmethod
    def of(cls, budget: Budget) -> "_Spent":
        return cls(budget.spent(), budget.learnt)

    @property
    def told(self) -> dict[str, Any]:
        now = self.spent
        return {
            "usage": {name: getattr(now.usage, name) for name in _TOKENS},
            "iterations": now.iterations,
            "tool_calls": now.tool_calls,
            "cost": now.cost,
        }

    def since(self, before: "_Spent") -> dict[str, Any]:
        """What was spent in between; nothing if nothing was."""
        if self == before:
            return {}
        now, then = self.spent, before.spent
        counts = {name: getattr(now, name) - getattr(then, name) for name in _COUNTS}
        return {
            "usage": {name: _more(getattr(now.usage, name), getattr(then.usage, name)) for name in _TOKENS},
            "cost": _more(now.cost, then.cost),
            "calls": Counter(now.calls) - Counter(then.calls),
            "learnt": self.learnt,
            **counts,
        }


_TOKENS = tuple(Usage.__dataclass_fields__)
_COUNTS = ("iterations", "tool_calls", "tokens", "input_tokens", "output_tokens")


def _more(now: Any, before: Any) -> Any:
    return None if now is None or now == before else now - (before or 0)


def _header(run: Beginning, describer: Describer) -> dict[str, Any]:
    from importlib.metadata import version  # on first use: it costs a part of `import agentkit`

    return {
        "agentkit_recording": FORMAT,
        "agentkit": version("agentkit"),
        "agent": run.agent,
        "model": describer.given(run.info)["value"],
        "prompt": None if run.prompt is None else describer.result(UserMessage, run.prompt),
        "history": describer.result(tuple[Message, ...], run.history),
        "session": run.session,
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _in_common(before: Sequence[Any], now: Sequence[Any]) -> int:
    """How many messages two conversations have in common, from the beginning."""
    return next((n for n, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), min(len(before), len(now)))


def read_recording(path: str | Path) -> Recording:
    """A run that was written down. A last line that was not written to its end is left out.

    Raises:
        ConfigError: there is no such file, or it is no recording, or one of a newer agentkit.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"the recording {str(path)!r} cannot be read: {said(error)}") from None
    whole = text.split("\n")[:-1]  # what stands after the last line's end is the piece of one
    lines = [_line(each, number, path) for number, each in enumerate(whole, 1)]
    if not lines or "agentkit_recording" not in lines[0]:
        raise ConfigError(f"{str(path)!r} is no recording; Recorder(...) writes one")
    found = lines[0]["agentkit_recording"]
    if found != FORMAT or isinstance(found, bool):
        raise ConfigError(
            f"the recording {str(path)!r} is of format {found!r:.20}, and this agentkit knows format {FORMAT}"
        )
    try:
        return _recording(str(path), lines)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(f"the recording {str(path)!r} is damaged: {type(error).__name__}: {error}") from None


_KNOWN = ("name", "result", "error", "cancelled", "spent", "at", "seconds")


def _recording(path: str, lines: Sequence[dict[str, Any]]) -> Recording:
    steps = sorted((line for line in lines if "step" in line), key=lambda line: int(line["step"]))
    ends = [line for line in lines if "end" in line]
    request: dict[str, Any] = {}
    read: list[Step] = []
    for line in steps:
        given = line["given"]
        if "kept" in given:
            messages = [*request.get("messages", ())[: given["kept"]], *given["messages"]]
            given = request = {**request, **given, "messages": messages}
            del given["kept"]
        known = {name: line[name] for name in _KNOWN if name in line}
        read.append(Step(number=line["step"], given=given, **known))
    return Recording(path=path, run=lines[0], steps=read, end=ends[-1] if ends else None)


def _line(text: str, number: int, path: str | Path) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        line = None
    if not isinstance(line, dict):
        raise ConfigError(f"the recording {str(path)!r} is damaged in line {number}: it is no JSON object")
    return line
