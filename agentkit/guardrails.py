"""Guardrails: functions that look at what goes into a run, what it calls, what it is told, and what it gives.

Each says None to let pass, or the reason why the run must stop. One that fails, or does not answer in time, stops it.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import anyio

from .cancellation import is_cancelled
from .context import Context, to_nobody
from .errors import AgentError, ConfigError, GuardrailTripped, LimitExceeded, OutputError, ToolDenied
from .invoke import invoke
from .messages import Message, ToolCall, ToolResult, clean

T = TypeVar("T")
Stage: TypeAlias = Literal["input", "output", "tool_call", "tool_result"]
About: TypeAlias = Callable[[], Context[Any]]
"""Makes the context that a guardrail gets, where one is asked."""

InputGuardrail: TypeAlias = Callable[[Sequence[Message], Context[Any]], "str | Awaitable[str | None] | None"]
OutputGuardrail: TypeAlias = Callable[[Any, Context[Any]], "str | Awaitable[str | None] | None"]
ToolCallGuardrail: TypeAlias = Callable[
    [ToolCall, Mapping[str, Any], Context[Any]], "str | Awaitable[str | None] | None"
]
ToolResultGuardrail: TypeAlias = Callable[
    [ToolCall, ToolResult, Context[Any]], "str | ToolResult | Awaitable[str | ToolResult | None] | None"
]

_GIVEN: dict[Stage, tuple[str, ...]] = {
    "input": ("messages", "context"),
    "output": ("output", "context"),
    "tool_call": ("call", "arguments", "context"),
    "tool_result": ("call", "result", "context"),
}
_FOR_THE_MODEL: dict[Stage, tuple[type[Exception], ...]] = {"output": (OutputError,), "tool_call": (ToolDenied,)}
_MILD = (OutputError, ToolDenied, LimitExceeded)
"""What does not keep a guardrail from having its say: that the run must stop counts for more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guardrails:
    """Functions, async or not, that may stop a run. Those that are not async run in a thread.

    Raises:
        ConfigError: something is no function, or takes other parameters.
    """

    input: Sequence[InputGuardrail] = ()
    """Get the conversation with what the user says now, and the context; beside the first model call."""
    output: Sequence[OutputGuardrail] = ()
    """Get the output, and the context; `raise OutputError("...")` asks the model again, in these words."""
    tool_call: Sequence[ToolCallGuardrail] = ()
    """Get the call, the values that its function would get, and the context; `raise ToolDenied("...")` refuses this
    call only, and tells the model why."""
    tool_result: Sequence[ToolResultGuardrail] = ()
    """Get the call, its result, and the context, one after another; a ToolResult that one gives takes the place of
    the result."""
    blocking: bool = False
    """Whether the model is asked only after the input guardrails have let pass, and not at the same time."""
    seconds: float = 30.0
    """What each may take; then it stops the run."""

    def __post_init__(self) -> None:
        for stage, names in _GIVEN.items():
            given: object = getattr(self, stage)
            if callable(given) or isinstance(given, str) or not isinstance(given, Iterable):
                raise ConfigError(f"Guardrails({stage}={given!r:.100}): write a list of functions")
            functions = tuple(given)
            for function in functions:
                _check_takes(function, stage, names)
            object.__setattr__(self, stage, functions)
        seconds: object = self.seconds
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
            raise ConfigError(f"Guardrails(seconds={seconds!r:.100}): must be a number of seconds above 0")
        blocking: object = self.blocking
        if not isinstance(blocking, bool):
            raise ConfigError(f"Guardrails(blocking={blocking!r:.100}): must be True or False")


def _check_takes(function: object, stage: Stage, names: tuple[str, ...]) -> None:
    if not callable(function):
        raise ConfigError(f"Guardrails({stage}=...): {function!r:.100} is no function")
    try:
        signature(function).bind(*names)
    except TypeError:
        raise ConfigError(
            f"Guardrails({stage}=...): {_name(function)!r} must take ({', '.join(names)}), and no more"
        ) from None
    except ValueError:  # a function written in C may not tell
        pass


@dataclass(frozen=True, kw_only=True, slots=True)
class _Guardrail:
    """One function, and what it may take."""

    function: Callable[..., Any]
    stage: Stage
    seconds: float

    async def verdict(self, *given: Any) -> Any:
        """What it says: None, or for a tool's result another one.

        Raises:
            GuardrailTripped: it says no, or nothing that can be understood, or nothing in time.
            OutputError, ToolDenied: it has something to say to the model, where it may.
        """
        said = None
        try:
            with anyio.move_on_after(self.seconds) as scope:
                said = await invoke(self.function, given, {}, to_nobody)
        except _FOR_THE_MODEL.get(self.stage, ()):
            raise
        except (Exception, anyio.get_cancelled_exc_class()) as error:
            if is_cancelled(error):
                raise
            tripped = self._tripped(f"it failed with {type(error).__name__}")
            tripped.retryable = isinstance(error, AgentError) and error.retryable
            raise tripped from error
        if isinstance(said, str):
            raise self._tripped(clean(said) or "it gave no reason")
        if scope.cancel_called:
            raise self._tripped(f"it did not answer within {self.seconds:g} seconds")
        if not (said is None or (self.stage == "tool_result" and isinstance(said, ToolResult))):
            raise self._tripped(f"it gave {type(said).__name__}, which is neither None nor a reason")
        return said

    def _tripped(self, reason: str) -> GuardrailTripped:
        return GuardrailTripped(_name(self.function), self.stage, reason)


@dataclass(kw_only=True, slots=True)
class Guards:
    """The guardrails of one run."""

    tripped: GuardrailTripped | None = None
    """What has stopped the run: no tool that catches it makes it go on."""
    _first: tuple[_Guardrail, ...] = ()
    """What still has to look at the input, before the model does."""
    _beside: tuple[_Guardrail, ...] = ()
    """What still has to look at the input, while the model does."""
    _output: tuple[_Guardrail, ...] = ()
    _call: tuple[_Guardrail, ...] = ()
    _result: tuple[_Guardrail, ...] = ()
    _known: tuple[tuple[Stage, Any], ...] = ()

    def add(self, given: Guardrails) -> None:
        """Those of an agent that begins, or takes over; what is there already is not asked twice."""
        fresh: dict[Stage, list[_Guardrail]] = {}
        for stage in get_args(Stage):
            for function in getattr(given, stage):
                if (stage, function) not in self._known:
                    self._known = (*self._known, (stage, function))
                    fresh.setdefault(stage, []).append(
                        _Guardrail(function=function, stage=stage, seconds=given.seconds)
                    )
        looking = fresh.get("input", ())
        if given.blocking:
            self._first = (*self._first, *looking)
        else:
            self._beside = (*self._beside, *looking)
        self._output = (*self._output, *fresh.get("output", ()))
        self._call = (*self._call, *fresh.get("tool_call", ()))
        self._result = (*self._result, *fresh.get("tool_result", ()))

    @property
    def passed(self) -> bool:
        """Whether all have let the input pass; nothing of a run is stored before."""
        return not (self._first or self._beside)

    async def input(self, messages: Sequence[Message], about: About) -> None:
        """Have the input looked at, and wait for that."""
        await self.beside(_nothing, messages, about)

    async def beside(self, work: Callable[[], Awaitable[T]], messages: Sequence[Message], about: About) -> T:
        """Do the work while the input is looked at, and give what it came to once all have let pass.

        Raises:
            GuardrailTripped: a guardrail has stopped the run; the work was cancelled, and has ended.
        """
        if self.passed:
            return await work()
        given = tuple(messages), about()
        await self._watched(_each([partial(self._looked, each, *given) for each in self._first]))
        return await self._watched(_together([partial(self._looked, each, *given) for each in self._beside], work))

    async def output(self, value: Any, about: About) -> None:
        """Have the run's output looked at.

        Raises:
            GuardrailTripped: a guardrail has stopped the run.
            OutputError: the model is to be asked again, in these words.
        """
        self._check()
        if self._output:
            context = about()
            await self._watched(_each([partial(each.verdict, value, context) for each in self._output]))

    async def call(self, call: ToolCall, values: Callable[[], Mapping[str, Any]], about: About) -> None:
        """Have a tool call looked at; each guardrail gets the values of its arguments anew.

        Raises:
            GuardrailTripped: a guardrail has stopped the run.
            ToolDenied: the call is not to be made; the model is told why.
        """
        self._check()
        if self._call:
            context = about()
            await self._watched(_each([partial(each.verdict, call, values(), context) for each in self._call]))

    async def result(self, call: ToolCall, result: ToolResult, about: About) -> ToolResult:
        """What the model is to be told of a tool's result: each guardrail gets what the one before has made of it.

        Raises:
            GuardrailTripped: a guardrail has stopped the run.
        """
        self._check()
        context = about() if self._result else None
        for each in self._result:
            changed = await self._watched(each.verdict(call, result, context))
            result = result if changed is None else _instead(result, changed)
        return result

    async def _looked(self, guardrail: _Guardrail, *given: Any) -> None:
        """Have the input looked at; then that need not be done again."""
        await guardrail.verdict(*given)
        self._first = tuple(each for each in self._first if each is not guardrail)
        self._beside = tuple(each for each in self._beside if each is not guardrail)

    async def _watched(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except GuardrailTripped as error:
            self.tripped = self.tripped or error
            raise

    def _check(self) -> None:
        if self.tripped is not None:
            raise self.tripped


async def _nothing() -> None:
    pass


async def _each(checks: Sequence[Callable[[], Awaitable[Any]]]) -> None:
    """All the checks, and nothing beside them."""
    if len(checks) == 1:  # a task of its own would cost more than the check
        await checks[0]()
    elif checks:
        await _together(checks, _nothing)


async def _together(checks: Sequence[Callable[[], Awaitable[Any]]], work: Callable[[], Awaitable[T]]) -> T:
    """All the checks and the work at the same time; what the work came to, once all have ended.

    The first thing that goes wrong cancels the others, and is raised bare when they have ended. What is only for the
    model, or a limit, cancels nothing: a guardrail may still say that the run must stop.
    """
    done: list[T] = []
    wrong: list[BaseException] = []

    async def kept(work: Callable[[], Awaitable[Any]], into: list[Any]) -> None:
        try:
            into.append(await work())
        except BaseException as error:  # kept: a task group would wrap it, and some would stop asyncio's loop
            if is_cancelled(error):
                raise
            wrong.append(error)
            if not isinstance(error, _MILD):
                group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            for check in checks:
                group.start_soon(kept, check, [])
            await kept(work, done)
    finally:
        worst = min(wrong, key=_rank, default=None)
        if not (worst is None or isinstance(worst, Exception)):
            raise worst  # even where this is cancelled from outside
    if worst is not None:
        raise worst
    return done[0]


def _rank(error: BaseException) -> int:
    """What leaves first, of all that went wrong: what must end the program, a trip, what is for the model."""
    return 0 if not isinstance(error, Exception) else 2 if isinstance(error, _MILD) else 1


def _instead(result: ToolResult, given: ToolResult) -> ToolResult:
    """A result in the place of another: the same call's, as secret as that was, and no more to be trusted."""
    is_old = given.content != result.content and given.full == result.full
    return replace(
        given,
        call_id=result.call_id,
        name=result.name,
        content=clean(given.content),
        full=None if is_old else given.full,
        secret=result.secret or given.secret,
        untrusted=result.untrusted or given.untrusted,
    )


def _name(function: Any) -> str:
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))
