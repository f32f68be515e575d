"""A callable -> its name, its docstring, and its parameters, their annotations resolved.

Whatever the callable is: a function, a method, `functools.partial`, a `functools.wraps` wrapper, an `lru_cache`, an
object with `__call__`. `inspect.signature` is the truth about its parameters.
"""

import builtins
import contextlib
import functools
import inspect
import re
import sys
import typing
from collections import ChainMap
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, is_dataclass
from types import FunctionType, GenericAlias, WrapperDescriptorType
from typing import Annotated, Any, ForwardRef, Literal, NotRequired, Required, get_args, get_origin

import typing_extensions
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typing_extensions import ReadOnly, TypeAliasType, Unpack, is_typeddict

from .context import Context, Secret


class Unfit(Exception):
    """Why a function cannot be a tool, and the way out; which parameter, if it is one's fault."""

    def __init__(self, why: str, parameter: str | None = None) -> None:
        super().__init__(why)
        self.parameter = parameter


OMITTED: Any = type("OMITTED", (), {})
"""In the place of a default: the function can do without it, and has no value for it (a key of `**options`)."""


class Parameter(inspect.Parameter):
    """A parameter of a function, its annotation a type (and no text in it), or `Parameter.empty`."""

    is_bare: bool
    """Whether it has no annotation."""
    has_default: bool
    """Whether Python gives it a value when it is not passed."""
    metadata: tuple[Any, ...]
    """What `Annotated` adds to its type."""
    fields: Sequence[FieldInfo]
    """pydantic's `Field(...)`, in `Annotated` or in the place of the default; the last one has the last word."""
    has_field_default: bool
    """Whether pydantic gives it a value when it is not sent."""
    is_required: bool
    """Whether every call must give it."""

    def __init__(self, name: str, kind: Any, *, default: Any, annotation: Any) -> None:
        super().__init__(name, kind, default=default, annotation=annotation)
        self.is_bare = annotation is self.empty
        self.has_default = not (default is self.empty or default is OMITTED or isinstance(default, FieldInfo))
        self.metadata = annotation.__metadata__ if get_origin(annotation) is Annotated else ()
        self.fields = [each for each in (*self.metadata, default) if isinstance(each, FieldInfo)]
        self.has_field_default = any(not each.is_required() for each in self.fields)
        optional = self.has_default or default is OMITTED or kind is self.VAR_POSITIONAL
        self.is_required = not (optional or self.has_field_default)

    @property
    def is_context(self) -> bool:
        """Whether it is given the run's context, and is not the model's business."""
        annotation = self.annotation
        while isinstance(annotation, TypeAliasType) or get_origin(annotation) is Annotated:
            annotation = annotation.__value__ if isinstance(annotation, TypeAliasType) else annotation.__origin__
        return (get_origin(annotation) or annotation) is Context and self.kind is not self.VAR_POSITIONAL


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """What a callable says about itself."""

    docstring: str
    parameters: Sequence[Parameter]
    """Those a call may give."""
    function: Any
    """The function that somebody wrote, inside whatever is around it."""
    secret_result: bool
    """Whether its result is annotated `Secret`."""

    @classmethod
    def of(cls, function: Callable[..., object], *, early: bool = False) -> "Signature":
        """Read a callable. `early` leaves parameters out whose annotations need what is not defined yet.

        Raises:
            Unfit: it cannot be a tool; with a NameError as its cause if a name is missing.
        """
        layers = list(_layers(function))
        if inspect.isclass(layers[-1]):
            raise Unfit("it is a class; write a function that makes one")
        if any(getattr(layer, "__code__", None) in _MANAGERS for layer in layers):
            raise Unfit("it gives a context manager, which nobody would enter; write a function that returns a value")
        if any(isinstance(layer, _CACHED) for layer in layers) and _is_used_up(layers[-1]):
            raise Unfit("its cache would give the same coroutine or generator twice; use @tool(cache=seconds) instead")
        try:
            signature = _signature(function)
        except (ValueError, TypeError) as error:
            raise Unfit(f"its parameters are unknown ({error}); wrap it in a function with annotations") from None
        names = _Names(namespace=_namespace(layers), module=_module(layers[-1]))
        return cls(
            docstring=_docstring(layers),
            parameters=list(_parameters(signature, layers, names, early)),
            function=layers[-1],
            secret_result=names.is_secret(signature.return_annotation),
        )


def _is_used_up(function: Any) -> bool:
    """Whether what this gives can be used once."""
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return any(is_one(function) for is_one in kinds)


_CACHED = type(functools.cache(iter))

_MANAGERS = [getattr(contextlib, name)(iter).__code__ for name in ("contextmanager", "asynccontextmanager")]
"""What stands in the place of a generator function that one of these decorates."""


def name_of(function: Callable[..., object]) -> str:
    """The name of the function inside; for an object with `__call__`, that of its class."""
    *_, innermost = layers = list(_layers(function))
    named = next(filter(_is_object, layers), innermost)
    return str(getattr(named, "__name__", type(named).__name__))


def _layers(function: Any) -> Iterator[Any]:
    """The callable and what is in it, from outside in."""
    yield function
    if isinstance(function, functools.partial):
        yield from _layers(function.func)
    elif _is_wrapper(function):
        yield from _layers(function.__wrapped__)
    elif isinstance(function, staticmethod) or inspect.ismethod(function):
        yield from _layers(function.__func__)
    elif _is_object(function):
        yield from _layers(type(function).__call__)


def _is_wrapper(layer: Any) -> bool:
    return "__wrapped__" in getattr(layer, "__dict__", ())


def _is_object(layer: Any) -> bool:
    """Whether this can be called because somebody wrote `__call__` in its class."""
    return not (inspect.isclass(layer) or _is_wrapper(layer) or isinstance(type(layer).__call__, WrapperDescriptorType))


def _docstring(layers: Sequence[Any]) -> str:
    """The outermost docstring; that of a class with `__call__` if the method has none."""
    for layer in layers:
        if not (isinstance(layer, functools.partial) or _is_object(layer)):
            text = inspect.getdoc(layer)
            if text and text != type.__call__.__doc__:  # what every `__call__` would inherit
                return text
    for layer in filter(_is_object, layers):
        text = type(layer).__doc__
        if isinstance(text, str) and not text.startswith(f"{type(layer).__name__}("):  # what `@dataclass` writes
            return inspect.cleandoc(text)
    return ""


def _parameters(
    signature: inspect.Signature, layers: Sequence[Any], names: "_Names", early: bool
) -> Iterator[Parameter]:
    bound = {name for layer in layers if isinstance(layer, functools.partial) for name in layer.keywords}
    given = [each for each in signature.parameters.values() if each.name not in bound]
    taken = {each.name for each in given}
    for place, each in enumerate(given):
        _refuse_misfit(each, place, layers[-1])
    if given and any(hasattr(layer, "registry") and hasattr(layer, "dispatch") for layer in layers):
        given[0] = given[0].replace(kind=Parameter.POSITIONAL_ONLY)  # functools.singledispatch looks at nothing else
    for each in given:
        try:
            parameter = Parameter(
                each.name, each.kind, default=each.default, annotation=names.resolved(each.annotation)
            )
            unpacked = _unpacked(parameter, taken) if each.kind is each.VAR_KEYWORD else [parameter]
            yield from (one for one in unpacked if one.name not in bound)
        except NameError as error:
            if not early:
                raise Unfit(
                    f"its annotation {each.annotation!r} needs {error.name!r}, which the function's module does not "
                    "have; import or define it there (TYPE_CHECKING is not enough), or write a function around it",
                    each.name,
                ) from error
        except Unfit:
            raise
        except Exception as error:
            why = f"its annotation {each.annotation!r} is not a type ({error}); mend it"
            raise Unfit(why, each.name) from None


def _signature(function: Callable[..., object]) -> inspect.Signature:
    if sys.version_info >= (3, 14):  # reading annotations evaluates them all: leave those that fail, maybe the return's
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def _refuse_misfit(parameter: inspect.Parameter, place: int, function: Any) -> None:
    if parameter.annotation is not parameter.empty:
        return
    if parameter.kind is parameter.VAR_KEYWORD:
        raise _unknown_names(parameter)
    if place == 0 and parameter.name in ("self", "cls"):
        raise Unfit("this is a method without its object; pass a bound method", parameter.name)
    if not isinstance(function, FunctionType):
        raise Unfit("a builtin does not say what it takes; wrap it in a function with annotations", parameter.name)


def _unknown_names(parameter: inspect.Parameter) -> Unfit:
    return Unfit(
        "a model cannot know which names ** takes; write the parameters out, here or in a function around it, "
        "or annotate it with Unpack of a TypedDict",
        parameter.name,
    )


def _unpacked(options: Parameter, taken: Collection[str]) -> list[Parameter]:
    """The keys of `**options: Unpack[Options]`, each a parameter of its own."""
    args = get_args(options.annotation)
    if get_origin(options.annotation) not in (typing.Unpack, Unpack) or not is_typeddict(args[0]):
        raise _unknown_names(options)
    keys = typing_extensions.get_type_hints(args[0], include_extras=True)
    if twice := [name for name in keys if name in taken]:
        raise Unfit(f"its key {twice[0]!r} is a parameter of its own, too; rename one", options.name)
    return [_key(name, annotation, name in args[0].__required_keys__) for name, annotation in keys.items()]


def _key(name: str, annotation: Any, is_required: bool) -> Parameter:
    while (word := get_origin(annotation)) in (Required, NotRequired, ReadOnly):
        is_required = is_required if word is ReadOnly else word is Required
        [annotation] = get_args(annotation)
    default = Parameter.empty if is_required else OMITTED
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _module(function: Any) -> dict[str, Any]:
    return getattr(function, "__globals__", {})


def _namespace(layers: Sequence[Any]) -> ChainMap[str, Any]:
    """What a name in an annotation means, nearest first. The class comes last: a method of it may be called `list`."""
    function = layers[-1]
    variables = {each.__name__: each for each in getattr(function, "__type_params__", ())}
    closure = {}
    if isinstance(function, FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with suppress(ValueError):  # not assigned yet
                closure[name] = cell.cell_contents
    owners = [x.__self__ if inspect.ismethod(x) else x for x in layers if inspect.ismethod(x) or _is_object(x)]
    classes = [owner if inspect.isclass(owner) else type(owner) for owner in owners]
    members = [dict(vars(each)) for owner in classes for each in owner.__mro__]
    return ChainMap(variables, closure, _module(function), dict(vars(builtins)), *members)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Names:
    """What the names in a function's annotations mean."""

    namespace: ChainMap[str, Any]
    module: dict[str, Any]

    def resolved(self, annotation: Any) -> Any:
        """The annotation without text in it. Each by itself: only one that cannot be resolved is at fault."""
        if not _has_text(annotation):
            return annotation

        def holder() -> None: ...

        holder.__annotations__ = {"it": annotation}
        return typing.get_type_hints(holder, globalns=self.module, localns=self.namespace, include_extras=True)["it"]

    def is_secret(self, result: Any) -> bool:
        """Whether `Secret` is said anywhere in the annotation of a result. A text that means nothing is searched."""
        if result is inspect.Signature.empty or (isinstance(result, type) and not _has_fields(result)):
            return False
        try:
            return _holds_secret(self.resolved(result))
        except Exception:
            return re.search(r"\bSecret\b", str(result)) is not None


def _has_text(annotation: Any) -> bool:
    """Whether there may be text in it that names types. Looking for it is quicker than to resolve it in any case."""
    if isinstance(annotation, str | ForwardRef):
        return True
    if isinstance(annotation, type) and not isinstance(annotation, GenericAlias):
        return False
    return get_origin(annotation) is not Literal and any(map(_has_text, get_args(annotation)))


def _holds_secret(annotation: Any, seen: frozenset[int] = frozenset()) -> bool:
    """Whether a type is marked secret, or anything in it: an argument, or a field of a model or a dataclass."""
    if id(annotation) in seen or isinstance(annotation, str):
        return False
    seen |= {id(annotation)}
    if isinstance(annotation, TypeAliasType):
        return _holds_secret(annotation.__value__, seen)
    marks = getattr(annotation, "__metadata__", ())
    if any(mark is Secret or isinstance(mark, Secret) for mark in marks):
        return True
    inner = list(get_args(annotation))
    if _has_fields(annotation):
        inner += typing.get_type_hints(annotation, include_extras=True).values()
    return any(_holds_secret(each, seen) for each in inner)


def _has_fields(kind: Any) -> bool:
    if not isinstance(kind, type) or isinstance(kind, GenericAlias):
        return False
    return issubclass(kind, BaseModel) or is_dataclass(kind) or is_typeddict(kind) or hasattr(kind, "_fields")
