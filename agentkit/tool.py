"""A function that a model may call: `Tool`, and the `@tool` mark that declares one."""

import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, overload
from weakref import WeakValueDictionary

from typing_extensions import Unpack

from .context import Context
from .errors import ToolDefinitionError
from .guard import Guard, guard_of
from .invoke import invoke
from .isolation import check_isolated, invoke_in_process
from .policy import Policy, PolicyOptions

if TYPE_CHECKING:
    from .arguments import Arguments

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class Declaration:
    """What `@tool(...)` says about a function, kept on the function as `__tool__`."""

    name: str | None = None
    description: str | None = None
    policy: Policy = Policy()
    built: "Tool | None" = None
    """The tool that this very function is; a method has none before it is bound."""
    unbuilt: Callable[..., Any] | None = None
    """This very function, where its annotations name what is defined further below: built when first asked for."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class Tool:
    """A function with what a model must know to call it, and how it may be called."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema (draft 2020-12) of the arguments, an object."""
    function: Callable[..., Any]
    arguments: "Arguments" = field(repr=False)
    """How the arguments of a call are read, checked and handed over."""
    policy: Policy = Policy()
    secret_result: bool = False
    """Whether nobody but the model may read what it gives."""
    guard: Guard | None = field(default=None, repr=False)
    """What all its calls share, if the policy needs anything of the kind."""

    @classmethod
    def of(cls, function: "Callable[..., Any] | Tool") -> "Tool":
        """The tool that a function is, decorated or not.

        Raises:
            ToolDefinitionError: the function cannot be a tool; the message names the parameter and the way out.
        """
        if isinstance(function, Tool):
            return function
        if not callable(function):
            raise ToolDefinitionError(f"{function!r:.60} is not a function; {_way_out(function)}")
        declared = _declared(function)
        if declared.built is not None and declared.built.function is function:
            return declared.built
        built = _build(function, declared)
        if declared.unbuilt is not function:
            return built
        with _remembering:  # whoever comes second gets what the first has got
            now: Declaration = getattr(function, "__tool__", declared)
            first = now.built or built
            _declare(function, replace(declared, built=first))
        return first

    @classmethod
    def elsewhere(
        cls, name: str, description: str, parameters: Mapping[str, Any], **policy: Unpack[PolicyOptions]
    ) -> "Tool":
        """A tool that others run, outside of the run: its calls make the run pause, and are answered on `resume`.

        Args:
            name: What the model calls it.
            description: What the model reads about it.
            parameters: The JSON Schema of its arguments, an object.
            policy: As for `@tool`.

        Raises:
            ToolDefinitionError: the name or the schema is none that a tool can have.
        """
        from .elsewhere import arguments_of, nobody  # on first use: they need pydantic
        from .schema import check_name

        check_name(name)
        arguments = arguments_of(name, parameters)
        return cls(
            name=name,
            description=description,
            parameters={"additionalProperties": False, "properties": {}, **arguments.schema},
            function=nobody,
            arguments=arguments,
            policy=replace(Policy(**policy), elsewhere=True),
        )

    async def invoke(self, arguments: str | bytes, context: Context[Any]) -> object:
        """Call the function with arguments in JSON; sync functions run in a worker thread, their contextvars kept.

        Raises:
            InvalidArguments: the arguments do not fit; the function was not called.
            Exception: whatever the function raises.
        """
        args, kwargs = self.arguments.bind(arguments, context)
        if self.policy.isolation:
            return await invoke_in_process(self.function, args, kwargs)
        return await invoke(self.function, args, kwargs, context.progress)

    def values(self, arguments: str | bytes) -> dict[str, Any]:
        """What the function would get by parameter: arguments in JSON as its types, its own defaults for the rest.

        Raises:
            InvalidArguments: the arguments do not fit.
        """
        parameters = inspect.signature(self.function).parameters.values()
        defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
        given = self.arguments.named(arguments)
        both = defaults | given
        return {name: both[name] for name in self.parameters["properties"] if name in both}

    def named(self, name: str) -> "Tool":
        """The same tool under another name.

        Raises:
            ToolDefinitionError: it is no name that a tool can have.
        """
        from .schema import check_name

        check_name(name)
        return replace(self, name=name, arguments=replace(self.arguments, tool=name))


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, **policy: Unpack[PolicyOptions]
) -> Callable[[F], F]: ...
def tool(
    function: F | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    **policy: Unpack[PolicyOptions],
) -> F | Callable[[F], F]:
    """Mark a function as a tool. The function itself is returned, unchanged: call it, type-check it, test it as ever.

    The parameters' annotations become a JSON Schema and the docstring its descriptions. A parameter annotated
    `Context[...]` receives the run's context, and the model does not see it.

    Args:
        function: The function, where the mark is used without parentheses.
        name: What the model calls it; the function's own name if not given.
        description: What the model reads about it; the docstring's summary and text if not given.
        policy: How it may be called: `timeout=5`, `effects="read"`, ...; `Policy` explains each.

    Raises:
        ToolDefinitionError: the function cannot be a tool; the message names the parameter and the way out.
    """
    if unknown := policy.keys() - PolicyOptions.__annotations__.keys():
        raise ToolDefinitionError(_no_option(unknown.pop()))

    def mark(function: F) -> F:
        given: Any = function
        inner: Any = given.__func__ if isinstance(given, staticmethod | classmethod) else given
        if not callable(inner):
            raise ToolDefinitionError(f"@tool marks functions, and {inner!r} is none; did you mean @tool(name=...)?")
        declared = _redeclared(inner, name, description, policy)
        if _is_unbound_method(inner):
            _build_if_known(functools.partial(inner, None), declared)  # refused here, not when an object is made
            _declare(inner, declared)
        else:
            built = _build_if_known(inner, declared)
            _declare(inner, replace(declared, built=built, unbuilt=None if built else inner))
        return function

    return mark if function is None else mark(function)


def _way_out(given: object) -> str:
    """What to write in place of something that is no function."""
    if hasattr(given, "as_tool"):
        return "an agent becomes a tool with agent.as_tool()"
    if isinstance(given, str):
        return f"load_tools({given!r:.60}) gives the tools of a module or a file"
    return "a tool is a function or another callable"


def _no_option(name: str) -> str:
    options = ["name", "description", *PolicyOptions.__annotations__]
    near = get_close_matches(name, options, n=1)
    return f"@tool knows no {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(options)}")


_remembering = threading.Lock()


def _declare(function: Any, declared: Declaration) -> None:
    try:
        function.__tool__ = declared
    except AttributeError:
        raise ToolDefinitionError(
            f"{function!r} cannot be marked; wrap it in a function, or give it to the agent as it is"
        ) from None


def _build_if_known(function: Callable[..., Any], declared: Declaration) -> Tool | None:
    """The tool, unless its annotations need names that are not defined yet; all else is checked now."""
    try:
        return _build(function, declared)
    except ToolDefinitionError as error:
        if not isinstance(error.__cause__, NameError):
            raise
        from .schema import check

        check(function, name=declared.name)
        return None


def _build(function: Callable[..., Any], declared: Declaration) -> Tool:
    from .schema import describe  # on first use: pydantic costs more than the whole of `import agentkit`

    schema = describe(function, name=declared.name, description=declared.description)
    _check_policy(function, declared.policy, schema.name, has_context=bool(schema.arguments.context))
    if declared.policy.strict:
        from .dialects import require_strict

        require_strict(schema.name, schema.parameters)
    return Tool(
        name=schema.name,
        description=schema.description,
        parameters=schema.parameters,
        function=function,
        arguments=replace(schema.arguments, repair=True) if declared.policy.repair else schema.arguments,
        policy=declared.policy,
        secret_result=schema.secret_result,
        guard=_guard(function, schema.name, declared),
    )


def _check_policy(function: Callable[..., Any], policy: Policy, name: str, *, has_context: bool) -> None:
    if has_context and policy.cache is not None:
        raise ToolDefinitionError(
            f"tool {name!r}: cache= would give one caller what the context of another has led to; "
            "keep results inside the tool, by what they depend on"
        )
    if policy.isolation:
        if has_context:
            raise ToolDefinitionError(f"tool {name!r}: isolation='process' takes no Context; another process has none")
        check_isolated(function, name)


_guards: "WeakValueDictionary[tuple[int, Any], Guard]" = WeakValueDictionary()
"""Those of methods, by object and function. Whoever holds a tool holds its object too, so the number stays true."""


def _redeclared(function: Any, name: Any, description: Any, policy: PolicyOptions) -> Declaration:
    """What a mark says, and what one below it has said already, an approval for example."""
    below = _declared(function)
    for option, text in (("name", name), ("description", description)):
        if not isinstance(text, str | None):
            raise ToolDefinitionError(f"{option}={text!r}: must be text")
    try:
        whole = Policy(**{**below.policy.declared, **policy})
    except ToolDefinitionError as error:
        called = name or below.name or getattr(function, "__name__", type(function).__name__)
        raise ToolDefinitionError(f"tool {called!r}: {error}") from None
    return Declaration(
        name=below.name if name is None else name,
        description=below.description if description is None else description,
        policy=whole,
    )


def _declared(function: Any) -> Declaration:
    """What is declared of a callable: by its own mark, or by that of what a partial binds, or of its `__call__`."""
    while isinstance(function, functools.partial) and not hasattr(function, "__tool__"):
        function = function.func
    if not (hasattr(function, "__tool__") or inspect.isroutine(function) or inspect.isclass(function)):
        function = type(function).__call__
    found: Declaration | None = getattr(function, "__tool__", None)
    return found or Declaration()


def _guard(function: Callable[..., Any], name: str, declared: Declaration) -> Guard | None:
    """The guard of a function; of a partial of it or a wrapper around it the same one, unless it keeps results.

    Of a method, and of an object with `__call__`, it is what all tools of it and its object share.
    """
    fresh = guard_of(name, declared.policy)
    own: Any = function
    while isinstance(own, functools.partial) and declared.policy.cache is None:
        own = own.func
    if fresh is None or (declared.built is not None and declared.policy.cache is not None):
        return fresh  # what a partial binds, and what a wrapper does, is not in the key by which results are kept
    if declared.built is not None:
        return declared.built.guard
    if inspect.ismethod(own):
        return _guards.setdefault((id(own.__self__), own.__func__), fresh)
    if inspect.isroutine(own) or isinstance(own, functools.partial):
        return fresh
    return _guards.setdefault((id(own), type(own).__call__), fresh)


def _is_unbound_method(function: Callable[..., Any]) -> bool:
    """Whether this is a method still in its class body: its `self` is not there yet, and the rest can be checked."""
    if not inspect.isfunction(function) or "." not in function.__qualname__.rpartition("<locals>.")[2]:
        return False
    first = next(iter(inspect.signature(function).parameters.values()), None)
    return first is not None and first.name in ("self", "cls") and first.annotation is first.empty
