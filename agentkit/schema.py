"""A function -> what a model is told about it (`FunctionSchema`), and how a call's JSON becomes the call.

    describe
      ├─ _layers       a partial, a wrapper, a method, a callable object, and the function inside
      ├─ _parameters   inspect.signature, with each annotation resolved by itself
      ├─ _documented   the docstring: what the function does, what each parameter is
      ├─ _compile      pydantic: one validator and one JSON Schema for all parameters
      └─ _properties   what the model sees of each parameter

What a type looks like in JSON is pydantic's word. This module says what pydantic is asked, and refuses what JSON
cannot carry, so that it fails where the function is defined and not when a model calls it.
"""

import builtins
import functools
import inspect
import json
import re
import sys
import typing
import warnings
from collections import ChainMap
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, EnumMeta
from inspect import Parameter
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from docstring_parser import ParseError, parse
from pydantic import GetCoreSchemaHandler, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core import CoreSchema, PydanticSerializationError, ValidationError, core_schema, to_jsonable_python
from typing_extensions import TypeAliasType

from .arguments import Arguments
from .context import Context
from .errors import ToolDefinitionError

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionSchema:
    """A function as a model sees it, and the way from the model's JSON to a call."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema (draft 2020-12) of the arguments: an object with a property for each parameter, and no others."""
    arguments: Arguments = field(repr=False)

    def bind(self, arguments: str | bytes, context: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and keyword arguments to call the function with.

        `arguments` is the JSON text a model wrote, `context` goes to the parameters annotated `Context`. Arguments
        the model left out are not passed, so the function's own defaults apply.

        Raises:
            InvalidArguments: they do not fit; the text is meant for the model.
        """
        return self.arguments.bind(arguments, context)


class _Unfit(Exception):
    """Why a function cannot be a tool, and the way out; which parameter, if it is one's fault."""

    def __init__(self, why: str, parameter: str | None = None) -> None:
        super().__init__(why)
        self.parameter = parameter


def describe(
    function: Callable[..., object], *, name: str | None = None, description: str | None = None
) -> FunctionSchema:
    """What a model must know to call a function; `name` and `description` replace the function's own.

    Raises:
        ToolDefinitionError: "tool 'f', parameter 'p': <why it cannot be a tool>; <what to do>".
    """
    if not callable(function):
        raise ToolDefinitionError(f"{function!r} cannot be called; a tool is a function or another callable")
    layers = list(_layers(function))
    name = _name(layers) if name is None else name
    try:
        return _described(function, layers, name, description)
    except _Unfit as unfit:
        where = f"tool {name!r}" if unfit.parameter is None else f"tool {name!r}, parameter {unfit.parameter!r}"
        raise ToolDefinitionError(f"{where}: {unfit}") from unfit.__cause__


def _described(
    function: Callable[..., object], layers: Sequence[Any], name: str, description: str | None
) -> FunctionSchema:
    _refuse_misfits(layers, name)
    parameters = _parameters(function, layers)
    context = [p.name for p in parameters if _is_context(p)]
    visible = [p for p in parameters if p.name not in context]
    positional = _positional(parameters)
    filled = {p.name for p in visible if p.default is not p.empty and (p.name in positional or _is_mutable(p.default))}

    summary, documented = _documented(layers)
    compiled = _compile(visible, filled)
    properties = _properties(visible, compiled, documented)
    _warn(layers[-1], name, [*_unannotated(visible), *_unknown(documented, parameters)])
    return FunctionSchema(
        name=name,
        description=summary if description is None else description,
        parameters={
            "type": "object",
            "properties": properties,
            "required": [p.name for p in visible if _is_required(p)],
            "additionalProperties": False,
            **{key: value for key, value in compiled.schema.items() if key == "$defs"},
        },
        arguments=Arguments(
            tool=name,
            validate=compiled.validate,
            properties=properties,
            secrets=compiled.secrets,
            context=context,
            positional=positional,
            rest=next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None),
            careful=compiled.has_decimals or any(p.name in filled or _field_default(p) for p in visible),
        ),
    )
