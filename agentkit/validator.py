"""Parameters -> one pydantic validator for all of them, and the JSON Schema of what it takes.

What a type looks like in JSON is pydantic's word. This module says what pydantic is asked, and refuses what JSON
cannot carry, so that it fails where the function is defined and not when a model calls it.
"""

import functools
import json
import operator
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, EnumMeta
from inspect import formatannotation
from itertools import chain, count
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, Self, TypeAlias, Union, get_args, get_origin

from pydantic import Field, GetCoreSchemaHandler, Secret, TypeAdapter
from pydantic.errors import PydanticErrorMixin, PydanticInvalidForJsonSchema
from pydantic.fields import FieldInfo
from pydantic.json_schema import (
    GenerateJsonSchema,
    JsonSchemaMode,
    JsonSchemaValue,
    JsonSchemaWarningKind,
)
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypeAliasType

from .context import Context
from .secrecy import IS_SECRET, hide_defaults
from .signature import Parameter, Unfit
from .strict_json import as_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Validator:
    """What checks the arguments of one function."""

    validate: Callable[..., dict[str, Any]]
    """pydantic's `validate_json`: JSON text -> the arguments that are in it, as the function's types, by parameter."""
    schema: JsonSchemaValue
    """The object it takes: a property for each parameter, in order, and `$defs`."""
    secrets: frozenset[str]
    """Parameters in which there is something secret."""
    has_decimals: bool

    @classmethod
    def of(cls, parameters: Sequence[Parameter], filled: Collection[str]) -> "Validator":
        """Compile all parameters at once; if that fails, each alone, to know which one is at fault.

        An argument that is left out stays out, but for `filled`: these get their default (a copy, if it is mutable).

        Raises:
            Unfit: a parameter's type has no place in JSON.
        """
        try:
            return cls._compiled(parameters, filled)
        except RecursionError:
            raise
        except Exception as error:
            for parameter in parameters:
                try:
                    cls._compiled([parameter], filled)
                except Exception as fault:
                    raise _unfit(parameter, fault) from fault
            raise Unfit(f"its parameters do not go together: {_reason(error)}; simplify their types") from error

    @classmethod
    def _compiled(cls, parameters: Sequence[Parameter], filled: Collection[str]) -> "Validator":
        plain = {p.name: found for p in parameters if (found := _plain(p))}
        one_object: Any = _OneObject(parameters, filled, plain)
        adapter = TypeAdapter(one_object)
        if not adapter.pydantic_complete:
            adapter.rebuild()  # fails, and names what is not defined
        generator = _JsonSchema()
        schema = generator.generate(_without(plain, adapter.core_schema)) if len(plain) < len(parameters) else {}
        text = json.dumps(schema, allow_nan=False)  # what a `Field` adds may be infinite, or anything at all
        if "\\ud" in text:
            json.dumps(schema, ensure_ascii=False).encode()  # half a character could not be sent
        secrets = hide_defaults(schema) if IS_SECRET in text else frozenset[str]()
        known = {name: json_schema for name, (_, json_schema) in plain.items()} | schema.get("properties", {})
        schema["properties"] = {p.name: known[p.name] for p in parameters}
        return cls(
            validate=adapter.validator.validate_json,
            schema=schema,
            secrets=secrets,
            has_decimals=generator.has_decimals,
        )


def _without(names: Collection[str], schema: Any) -> Any:
    """The schema of one object, without some of its fields."""
    if schema["type"] == "definitions":
        return {**schema, "schema": _without(names, schema["schema"])}
    return {**schema, "fields": {name: each for name, each in schema["fields"].items() if name not in names}}


def _unfit(parameter: Parameter, fault: Exception) -> Unfit:
    annotation = _named(parameter.annotation)
    if isinstance(fault, NameError):
        why = f"its annotation {annotation} needs {fault.name!r}, which is not defined where that is; define it there"
    elif isinstance(fault, ImportError):
        why = f"{annotation} cannot be an argument yet: {_reason(fault)}"
    else:
        reason = _reason(fault)
        reason = f"{_NO_FORM} it" if reason == f"{_NO_FORM} {annotation}" else reason
        why = (
            f"{annotation} cannot be an argument: {reason}; annotate it with a type that JSON can carry "
            "(str, list[...], Literal, an Enum, a dataclass, a model), or bind it with functools.partial"
        )
    return Unfit(why, parameter.name)


def _reason(error: Exception) -> str:
    text = error.message if isinstance(error, PydanticErrorMixin) else str(error)
    text = text.partition(". Set `arbitrary_types_allowed")[0].rstrip(".")
    text = text.replace("Unable to generate pydantic-core schema for", _NO_FORM)
    text = re.sub(r"<class '(?:builtins\.)?([^']*)'>", r"\1", text).replace("typing.", "")
    return " ".join(text.split())[:300] or type(error).__name__


def _named(annotation: Any) -> str:
    """As one writes it."""
    if isinstance(annotation, type) and annotation.__module__ == "typing":
        return annotation.__qualname__
    text = formatannotation(annotation).replace("typing.", "")
    return text if len(text) <= _TYPE_CHARS else text[: _TYPE_CHARS - 1] + "…"


_TYPE_CHARS = 200


_NO_FORM = "JSON has no form of"


class _OneObject:
    """For pydantic: an object with a field for each parameter and nothing else in it."""

    def __init__(
        self, parameters: Sequence[Parameter], filled: Collection[str], plain: Mapping[str, tuple[CoreSchema, Any]]
    ) -> None:
        self.parameters = parameters
        self.filled = filled
        self.plain = plain

    def __get_pydantic_core_schema__(self, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        fields = {each.name: self._field(each, handler) for each in self.parameters}
        # Python's regular expressions know lookaround; pydantic's own do not.
        config = core_schema.CoreConfig(regex_engine="python-re", allow_inf_nan=False)
        return core_schema.typed_dict_schema(fields, extra_behavior="forbid", config=config)

    def _field(self, parameter: Parameter, handler: GetCoreSchemaHandler) -> core_schema.TypedDictField:
        schema = self.plain[parameter.name][0] if parameter.name in self.plain else self._asked(parameter, handler)
        if parameter.name in self.filled:
            schema = core_schema.with_default_schema(schema, default=parameter.default)
        return core_schema.typed_dict_field(schema, required=parameter.is_required)

    def _asked(self, parameter: Parameter, handler: GetCoreSchemaHandler) -> CoreSchema:
        annotation = Any if parameter.is_bare else _for_json(parameter.annotation)
        if parameter.kind is parameter.VAR_POSITIONAL:
            annotation = GenericAlias(list, (annotation,))
        if isinstance(parameter.default, FieldInfo):
            annotation = Annotated[annotation, parameter.default]
        schema = handler.generate_schema(annotation)
        if parameter.default is None and not _takes_none(annotation):
            schema = core_schema.nullable_schema(schema)
        return schema


def _takes_none(annotation: Any) -> bool:
    kind = get_origin(annotation)
    if kind is Annotated:
        return _takes_none(annotation.__origin__)
    if isinstance(annotation, TypeAliasType):
        return _takes_none(annotation.__value__)
    if isinstance(annotation, NewType):
        return _takes_none(annotation.__supertype__)
    if kind in (Union, UnionType):
        return any(map(_takes_none, get_args(annotation)))
    return annotation in (None, NoneType, Any, object) or (kind is Literal and None in get_args(annotation))


_Both: TypeAlias = tuple[CoreSchema, JsonSchemaValue]
"""A type as pydantic checks it, and as a model sees it."""


def _plain(parameter: Parameter) -> _Both | None:
    """What pydantic would say of the simplest types, which are most; asking it takes a while."""
    if parameter.kind is parameter.VAR_POSITIONAL or isinstance(parameter.default, FieldInfo):
        return None
    annotation = Any if parameter.is_bare else parameter.annotation
    if parameter.default is None and not _takes_none(annotation):
        return _or_none(_plain_type(annotation))
    return _plain_type(annotation)


def _plain_type(annotation: Any) -> _Both | None:
    if annotation is Any:
        return core_schema.any_schema(), {}
    if isinstance(annotation, type) and annotation in _SIMPLE:
        core, word = _SIMPLE[annotation]
        return core(), {"type": word}
    kind, args = get_origin(annotation), get_args(annotation)
    if kind is list and len(args) == 1:
        items = _plain_type(args[0])
        return items and (core_schema.list_schema(items[0]), {"items": items[1], "type": "array"})
    if kind in (Union, UnionType) and len(args) == 2 and args[1] is NoneType:
        return _or_none(_plain_type(args[0]))
    if kind is Literal and all(type(each) is str for each in args):
        shown = {"const": next(iter(args))} if len(args) == 1 else {"enum": [*args]}
        return core_schema.literal_schema([*args]), {**shown, "type": "string"}
    return None


def _or_none(both: _Both | None) -> _Both | None:
    if both is None:
        return None
    core, shown = both
    return core_schema.nullable_schema(core), {"anyOf": [shown, {"type": "null"}]}


_SIMPLE: dict[type, tuple[Callable[[], CoreSchema], str]] = {
    int: (core_schema.int_schema, "integer"),
    str: (core_schema.str_schema, "string"),
    float: (core_schema.float_schema, "number"),
    bool: (core_schema.bool_schema, "boolean"),
}


def _for_json(annotation: Any) -> Any:
    """The annotation as pydantic is to read it: an iterable is a list, an Enum's member in a Literal is its value."""
    kind: Any = get_origin(annotation) or annotation
    args = get_args(annotation)
    if kind is Context:
        raise TypeError("Context[...] must be the whole annotation, not a part of it")
    if kind is type or kind is Hashable or kind is Self or _is_empty(kind):
        raise TypeError(f"{_NO_FORM} {_named(kind)}")
    if kind is Iterable or kind is Collection:
        return GenericAlias(list, (_for_json(args[0]) if args else Any,))
    if kind is Literal:
        return _literal(args)
    if _is_secret(kind):  # pydantic marks SecretStr so, but not Secret[...]
        return Annotated[annotation, Field(json_schema_extra={"writeOnly": True})]
    if kind is Annotated:
        inner = _for_json(annotation.__origin__)
        return annotation if inner is annotation.__origin__ else kind[(inner, *annotation.__metadata__)]
    inside = tuple(_for_json(each) for each in args)
    if all(new is old for new, old in zip(inside, args, strict=True)):
        return annotation
    return functools.reduce(operator.or_, inside) if kind in (Union, UnionType) else kind[inside]


def _is_empty(kind: Any) -> bool:
    return isinstance(kind, EnumMeta) and not len(kind)


def _is_secret(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Secret)


def _literal(values: tuple[Any, ...]) -> Any:
    """pydantic publishes an Enum member's value, but takes it only where the member itself is a str or an int."""
    kinds = dict.fromkeys(type(value) for value in values if _is_opaque(value))
    choices: list[Any] = [Annotated[kind, _Members([v for v in values if type(v) is kind])] for kind in kinds]
    if plain := tuple(value for value in values if not _is_opaque(value)):
        choices.append(Literal[plain])
    return functools.reduce(operator.or_, choices)


def _is_opaque(value: object) -> bool:
    return isinstance(value, Enum) and not isinstance(value, str | int)


class _Members:
    """For pydantic: some members of an Enum, by their values."""

    def __init__(self, members: Sequence[Enum]) -> None:
        self.values = [member.value for member in members]

    def __get_pydantic_core_schema__(self, enum: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(enum, core_schema.literal_schema(self.values))


class _Methods(dict[str, Callable[[Any], JsonSchemaValue]]):
    """The methods of a generator by the types of schema they are for, each looked up when it is needed."""

    def __init__(self, generator: GenerateJsonSchema) -> None:
        self.generator = generator

    def __missing__(self, kind: str) -> Callable[[Any], JsonSchemaValue]:
        method: Callable[[Any], JsonSchemaValue] = getattr(self.generator, f"{kind.replace('-', '_')}_schema")
        self[kind] = method
        return method


class _JsonSchema(GenerateJsonSchema):
    """pydantic's JSON Schema, but what JSON cannot carry is refused at any depth, and titles are what somebody gave.

    A definition's name is final when it is given, since looking for a better one afterwards takes pydantic long.
    """

    mode: Any = "validation"  # pydantic's property looks it up again and again
    has_decimals = False

    def build_schema_type_to_method(self) -> Any:
        return _Methods(self)

    def generate(self, schema: CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        result = self.generate_inner(schema)
        used = {self.json_to_defs_refs.get(ref) for ref in self.get_json_ref_counts(result)}
        definitions = {key: each for key, each in self.definitions.items() if key in used}
        for key, definition in definitions.items():
            if self.normalize_name(definition.get("title", "")) in (key, *key.split("__")):  # the name of the class
                del definition["title"]
        return self.sort({**result, "$defs": definitions} if definitions else result)

    def get_defs_ref(self, core_mode_ref: tuple[Any, JsonSchemaMode]) -> Any:
        """The name of the class; where that is taken, with its module, and with a number if that is taken too."""
        whole = re.sub(r":\d+", "", core_mode_ref[0])  # the id
        short = re.sub(r"[^][,]*\.", "", whole)
        names = map(self.normalize_name, chain((short, whole), (f"{whole}-{n}" for n in count(2))))
        return next(name for name in names if name not in self.defs_to_core_refs)

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        self.has_decimals = True
        return _of_text(super().decimal_schema(schema), "decimal")

    def complex_schema(self, schema: core_schema.ComplexSchema) -> JsonSchemaValue:
        return _of_text(super().complex_schema(schema), "complex")

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        shown = super().dict_schema(schema)
        if schema.get("keys_schema", {}).get("type") == "int":  # JSON's keys are text, so pydantic says nothing
            shown["propertyNames"] = {"pattern": "^-?[0-9]+$"}
        return shown

    def is_subclass_schema(self, schema: core_schema.IsSubclassSchema) -> JsonSchemaValue:
        return self.handle_invalid_for_json_schema(schema, "a class")

    def generator_schema(self, schema: core_schema.GeneratorSchema) -> JsonSchemaValue:
        return self.handle_invalid_for_json_schema(schema, "an iterator; a list can be sent")

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        kind = error_info.removeprefix("core_schema.").removesuffix("Schema")
        raise PydanticInvalidForJsonSchema(f"{_NO_FORM} {kind}")

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        for value in schema["expected"]:
            if _is_opaque(value) or not isinstance(value, _SCALARS):
                return self.handle_invalid_for_json_schema(schema, f"Literal[{value}]; a str or int can be sent")
        return super().literal_schema(schema)

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        for member in schema["members"]:
            if not isinstance(member.value, _SCALARS):
                return self.handle_invalid_for_json_schema(schema, f"{member}; an Enum of str or int can be sent")
        return super().enum_schema(schema)

    def encode_default(self, dft: Any) -> Any:
        return as_json(dft)

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        if kind == "skipped-choice":  # the other kind is a default that is left out, as it should be
            raise PydanticInvalidForJsonSchema(detail)


def _of_text(shown: JsonSchemaValue, kind: str) -> JsonSchemaValue:
    """The schema, saying of its text that not all text will do."""
    for each in shown.get("anyOf", [shown]):
        if each.get("type") == "string":
            each["format"] = kind
    return shown


_SCALARS = (str, int, float, NoneType)
