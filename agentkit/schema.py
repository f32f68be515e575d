"""A function -> what a model is told about it (`FunctionSchema`), and how a call's JSON becomes the call.

describe
  ├─ Signature.of     what the callable is, and its parameters        signature.py
  ├─ Validator.of     pydantic, asked about all parameters at once    validator.py
  ├─ _documented      what the docstring says of it, and of them
  └─ _properties      what a model sees of each parameter
FunctionSchema.bind
  └─ Arguments.bind   the JSON of one call -> the call                arguments.py
"""

import json
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FunctionType, NoneType
from typing import Any

from docstring_parser import Docstring, DocstringStyle, parse
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticSerializationError, ValidationError
from typing_extensions import Doc

from .arguments import Arguments
from .errors import ToolDefinitionError
from .signature import Parameter, Signature, Unfit, name_of
from .strict_json import as_json, depth_for
from .validator import Validator

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NAMES = "a tool's name has 1 to 64 letters, digits, _ and -; choose one with name=..."


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionSchema:
    """A function as a model sees it, and the way from the model's JSON to a call."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema (draft 2020-12) of the arguments: an object with a property for each parameter, and no others."""
    arguments: Arguments = field(repr=False)
    secret_result: bool = False
    """Whether nobody but the model may read what the function gives."""

    @property
    def secrets(self) -> frozenset[str]:
        """Parameters whose values nobody may read but the model and the function."""
        return self.arguments.secrets

    def bind(self, arguments: str | bytes, context: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and keyword arguments to call the function with.

        `arguments` is the JSON text a model wrote; `context` goes to the parameters annotated `Context`. Arguments
        that the model left out are not passed, so the function's own defaults apply.

        Raises:
            InvalidArguments: they do not fit; the text is meant for the model.
        """
        return self.arguments.bind(arguments, context)


def describe(
    function: Callable[..., object], *, name: str | None = None, description: str | None = None
) -> FunctionSchema:
    """What a model must know to call a function. `name` and `description` replace the function's own.

    Raises:
        ToolDefinitionError: "tool 'f', parameter 'p': <why it cannot be a tool>; <what to do>".
    """
    with _refusing(function, name) as tool:
        return _described(Signature.of(function), _checked_name(tool), description)


def check(function: Callable[..., object], *, name: str | None = None) -> None:
    """Refuse what `describe` will refuse, whatever the annotations mean that need what is not defined yet.

    Raises:
        ToolDefinitionError: as `describe` raises it.
    """
    with _refusing(function, name) as tool:
        signature = Signature.of(function, early=True)
        _checked_name(tool)
        for parameter in signature.parameters:
            try:
                Validator.of([parameter] if not parameter.is_context else [], ())
            except Unfit as unfit:
                if not isinstance(unfit.__cause__, NameError):
                    raise


@contextmanager
def _refusing(function: Callable[..., object], name: str | None) -> Iterator[str]:
    """The tool's name, and around what is to be found out about it, who is at fault if it cannot be a tool.

    The error's cause is a NameError if an annotation needs a name that is not defined.
    """
    if not callable(function):
        raise ToolDefinitionError(f"{function!r} cannot be called; a tool is a function or another callable")
    tool = str(getattr(function, "__name__", function)) if name is None else name
    try:
        tool = name_of(function) if name is None else name
        yield tool
    except RecursionError:
        raise ToolDefinitionError(f"tool {tool!r}: it is nested too deep, or wraps itself; simplify it") from None
    except Unfit as unfit:
        where = f"tool {tool!r}" if unfit.parameter is None else f"tool {tool!r}, parameter {unfit.parameter!r}"
        raise ToolDefinitionError(f"{where}: {unfit}") from unfit.__cause__


def check_name(name: str) -> None:
    """Make sure that a tool can be called so.

    Raises:
        ToolDefinitionError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise ToolDefinitionError(f"tool {name!r}: {_NAMES}")


def _checked_name(tool: str) -> str:
    if not _NAME.fullmatch(tool):
        raise Unfit(_NAMES)
    return tool


def _described(signature: Signature, tool: str, description: str | None) -> FunctionSchema:
    visible = [p for p in signature.parameters if not p.is_context]
    positional = _positional(signature.parameters)
    filled = {p.name for p in visible if p.has_default and (p.name in positional or _is_filled(p))}
    validator = Validator.of(visible, filled)
    summary, documented = _documented(signature.docstring)
    _warn(signature, tool, documented)
    properties = _properties(visible, validator, documented)
    description = summary if description is None else description
    try:
        "".join([description, *(each.get("description", "") for each in properties.values())]).encode()
    except UnicodeEncodeError as error:
        raise Unfit(f"its description is not valid Unicode ({error}); mend it") from None
    parameters = {
        "type": "object",
        "properties": properties,
        "required": [p.name for p in visible if p.is_required],
        "additionalProperties": False,
        **{key: validator.schema[key] for key in ("$defs",) if key in validator.schema},
    }
    return FunctionSchema(
        name=tool,
        description=description,
        parameters=parameters,
        arguments=Arguments(
            tool=tool,
            validate=validator.validate,
            properties=properties,
            schema=parameters,
            depth=depth_for(parameters),
            secrets=validator.secrets,
            context=[p.name for p in signature.parameters if p.is_context],
            positional=positional,
            rest=next((p.name for p in visible if p.kind is p.VAR_POSITIONAL), None),
            careful=validator.has_decimals or any(p.name in filled or p.has_field_default for p in visible),
        ),
        secret_result=signature.secret_result,
    )


def _positional(parameters: Sequence[Parameter]) -> list[str]:
    """Parameters that must go by position: those that can do no other, and where there is `*args`, all before it."""
    starred = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    last = Parameter.POSITIONAL_OR_KEYWORD if starred else Parameter.POSITIONAL_ONLY
    return [p.name for p in parameters if p.kind <= last]


def _is_filled(parameter: Parameter) -> bool:
    """Whether the function's own default would not do: calls would share it, or a `Field` has another."""
    return isinstance(parameter.default, list | dict | set) or parameter.has_field_default


def _documented(docstring: str) -> tuple[str, dict[str, str]]:
    """What the docstring says of the function, and of each parameter; in Google, NumPy, reST or Epydoc style."""
    if opening := _OPENING.match(docstring):
        docstring = opening[0] + textwrap.indent(docstring[opening.end() :], "    ")
    # parse() unindents the text once more, by all lines but the first. An empty one keeps it from spoiling `Args:`.
    readings = [_read("\n" + docstring, style) for style, mark in _MARKS.items() if mark.search(docstring)]
    parsed = max(readings, key=lambda each: (len(each.params), len(each.meta)), default=Docstring())
    if not (parsed.params or parsed.many_returns or parsed.raises):
        return docstring.strip(), {}
    documented: dict[str, str] = {}
    for parameter in parsed.params:
        if parameter.args[0] != "attribute":
            for name in parameter.arg_name.split(","):
                documented.setdefault(name.strip(" *`"), parameter.description or "")
    return (parsed.description or "").strip(), documented


def _read(docstring: str, style: DocstringStyle) -> Docstring:
    try:
        return parse(docstring, style)
    except Exception:  # ParseError, and an IndexError for a line with only a colon
        return Docstring()


_MARKS = {
    DocstringStyle.REST: re.compile(r"^[ \t]*:", re.MULTILINE),
    DocstringStyle.GOOGLE: re.compile(r"^[ \t]*[A-Z][a-z]+:[ \t]*$", re.MULTILINE),
    DocstringStyle.NUMPYDOC: re.compile(r"^[ \t]*-{4,}[ \t]*$", re.MULTILINE),
    DocstringStyle.EPYDOC: re.compile(r"^[ \t]*@", re.MULTILINE),
}
"""What a docstring of each style must have somewhere. Reading one in a style takes a while, and most have no mark."""

_OPENING = re.compile(r"(Args|Arguments|Parameters|Params):\n(?=\S)")
"""A docstring of nothing but parameters: getdoc() has unindented them."""


def _warn(signature: Signature, tool: str, documented: Iterable[str]) -> None:
    """Point at the function where it leaves the model, or its reader, in the dark."""
    function = signature.function
    if not isinstance(function, FunctionType):
        return
    bare = [p.name for p in signature.parameters if p.is_bare]
    known = {*function.__code__.co_varnames, *(p.name for p in signature.parameters)}
    strange = [name for name in documented if name.isidentifier() and name not in known]
    for name, problem in [
        *((name, "has no annotation, so any JSON is taken; annotate it") for name in bare),
        *((name, "is in the docstring, but is no parameter; mend the docstring") for name in strange),
    ]:
        warnings.warn_explicit(
            f"tool {tool!r}, parameter {name!r} {problem}",
            UserWarning,
            function.__code__.co_filename,
            function.__code__.co_firstlineno,
            registry=function.__globals__.setdefault("__warningregistry__", {}),
        )


def _properties(
    parameters: Sequence[Parameter], validator: Validator, documented: Mapping[str, str]
) -> dict[str, JsonSchemaValue]:
    properties = {p.name: dict(validator.schema["properties"][p.name]) for p in parameters}
    for p in parameters:
        if text := _description(p, documented):
            properties[p.name]["description"] = text
        if p.has_default:
            with suppress(PydanticSerializationError):
                properties[p.name]["default"] = as_json(p.default)
    for name in _false_defaults(properties, parameters, validator):
        del properties[name]["default"]
    for name in validator.secrets:
        if properties[name].get("default") is not None:
            del properties[name]["default"]
    return properties


def _description(parameter: Parameter, documented: Mapping[str, str]) -> str:
    """`Field(description=...)`, or else the docstring, or else a string or `Doc` in `Annotated`."""
    fields = [each.description for each in reversed(parameter.fields)]
    strings = [each.documentation if isinstance(each, Doc) else each for each in parameter.metadata]
    strings = [each for each in strings if isinstance(each, str)]
    return " ".join(next(filter(None, [*fields, documented.get(parameter.name), *strings]), "").split())


def _false_defaults(
    properties: Mapping[str, JsonSchemaValue], parameters: Sequence[Parameter], validator: Validator
) -> set[str]:
    """Parameters whose default a model could not send, so that it would be a lie to show it."""
    shown = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    unmade = {p.name: None for p in parameters if any(each.default_factory for each in p.fields)}
    false = _refused(unmade | shown, validator)
    if false >= shown.keys():  # maybe one of them is at fault for all
        false = {name for name, value in shown.items() if name in _refused({name: value}, validator)}
    return false & shown.keys() | {n for n, value in shown.items() if not _has_type(value, properties[n].get("type"))}


def _refused(values: Mapping[str, Any], validator: Validator) -> set[str]:
    """Which of some arguments do not fit; all of them, if that is not to be known."""
    try:
        validator.validate(json.dumps(values), strict=True)
    except ValidationError as error:
        return {str(problem["loc"][0]) for problem in error.errors(include_input=False) if problem["loc"]} or {*values}
    except Exception:  # a validator of somebody's own does not bear a default, or JSON does not
        return {*values}
    return set()


def _has_type(value: object, kind: object) -> bool:
    """Whether JSON calls it so. A `BeforeValidator` may take more than the schema says."""
    if not isinstance(kind, str) or kind not in _TYPES:
        return True
    return isinstance(value, _TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")


_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": NoneType,
}
