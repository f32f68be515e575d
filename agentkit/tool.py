"""A function that a model may call: `Tool`, and the `@tool` mark that declares one."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, overload

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from .context import Context
from .errors import ToolDefinitionError

F = TypeVar("F", bound=Callable[..., Any])

WORKER_THREADS = 40
"""Sync tools that run at the same time in one event loop; more of them wait."""

_threads: RunVar[anyio.CapacityLimiter] = RunVar("agentkit_tool_threads")


@dataclass(frozen=True, kw_only=True, slots=True)
class Declaration:
    """What `@tool(...)` says about a function, kept on the function as `__tool__`."""

    name: str | None = None
    description: str | None = None
    timeout: float | None = None
    built: "Tool | None" = None
    """The tool that this very function is; a method has none before it is bound."""

    def __post_init__(self) -> None:
        if self.timeout is not None and not self.timeout > 0:
            raise ToolDefinitionError(f"timeout={self.timeout!r}: must be a number of seconds above 0")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tool:
    """A function with what a model must know to call it, and how it may be called."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema (draft 2020-12) of the arguments, an object."""
    function: Callable[..., Any]
    bind: Callable[[str | bytes, object], tuple[tuple[Any, ...], dict[str, Any]]]
    """Arguments in JSON, and the context -> what to call the function with. Raises InvalidArguments."""
    timeout: float | None = None
    """Seconds one call may take; overrides `Limits.tool_seconds`."""

    @classmethod
    def of(cls, function: "Callable[..., Any] | Tool") -> "Tool":
        """The tool that a function is, decorated or not.

        Raises:
            ToolDefinitionError: the function cannot be a tool; the message names the parameter and the way out.
        """
        if isinstance(function, Tool):
            return function
        if not callable(function):
            raise ToolDefinitionError(f"{function!r} is not a function; a tool is a function or another callable")
        declared: Declaration = getattr(function, "__tool__", None) or Declaration()
        if declared.built is not None and declared.built.function is function:
            return declared.built
        return _build(function, declared)

    async def invoke(self, arguments: str | bytes, context: Context[Any]) -> object:
        """Call the function with arguments in JSON; sync functions run in a worker thread, their contextvars kept.

        Raises:
            InvalidArguments: the arguments do not fit; the function was not called.
            Exception: whatever the function raises.
        """
        args, kwargs = self.bind(arguments, context)
        if is_async(self.function):
            return await self.function(*args, **kwargs)
        result = await _in_thread(functools.partial(self.function, *args, **kwargs))
        return await result if inspect.isawaitable(result) else result


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, timeout: float | None = None
) -> Callable[[F], F]: ...
def tool(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
) -> F | Callable[[F], F]:
    """Mark a function as a tool. The function itself is returned, unchanged: call it, type-check it, test it as ever.

    The parameters' annotations become a JSON Schema and the docstring its descriptions. A parameter annotated
    `Context[...]` receives the run's context, and the model does not see it.

    Args:
        function: The function, where the mark is used without parentheses.
        name: What the model calls it; the function's own name if not given.
        description: What the model reads about it; the docstring's summary and text if not given.
        timeout: Seconds one call may take.

    Raises:
        ToolDefinitionError: the function cannot be a tool; the message names the parameter and the way out.
    """
    declared = Declaration(name=name, description=description, timeout=timeout)

    def mark(function: F) -> F:
        given: Any = function
        inner: Any = given.__func__ if isinstance(given, staticmethod | classmethod) else given
        if not callable(inner):
            raise ToolDefinitionError(f"@tool marks functions, and {inner!r} is none; did you mean @tool(name=...)?")
        if _is_unbound_method(inner):
            _build(functools.partial(inner, None), declared)  # refused here, not when an object is made
            _declare(inner, declared)
        else:
            _declare(inner, replace(declared, built=_build(inner, declared)))
        return function

    return mark if function is None else mark(function)


def _declare(function: Any, declared: Declaration) -> None:
    try:
        function.__tool__ = declared
    except AttributeError:
        raise ToolDefinitionError(
            f"{function!r} cannot be marked; wrap it in a function, or give it to the agent as it is"
        ) from None


def _build(function: Callable[..., Any], declared: Declaration) -> Tool:
    from .schema import describe  # on first use: pydantic costs more than the whole of `import agentkit`

    schema = describe(function, name=declared.name, description=declared.description)
    return Tool(
        name=schema.name,
        description=schema.description,
        parameters=schema.parameters,
        function=function,
        bind=schema.bind,
        timeout=declared.timeout,
    )


def _is_unbound_method(function: Callable[..., Any]) -> bool:
    """Whether this is a method still in its class body: its `self` is not there yet, and the rest can be checked."""
    if not inspect.isfunction(function) or "." not in function.__qualname__.rpartition("<locals>.")[2]:
        return False
    first = next(iter(inspect.signature(function).parameters.values()), None)
    return first is not None and first.name in ("self", "cls") and first.annotation is first.empty


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling this gives a coroutine at once, so that it needs no thread."""
    return inspect.iscoroutinefunction(function) or (
        not inspect.isroutine(function) and inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
    )


async def _in_thread(work: Callable[[], Any]) -> Any:
    try:
        limiter = _threads.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(WORKER_THREADS)
        _threads.set(limiter)
    value, error = await anyio.to_thread.run_sync(_outcome, work, abandon_on_cancel=True, limiter=limiter)
    if error is not None:
        raise error
    return value


def _outcome(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What the work came to. As a value: StopIteration, SystemExit and the like do not survive a thread's future."""
    try:
        return work(), None
    except BaseException as error:
        return None, error
