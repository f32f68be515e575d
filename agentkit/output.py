"""The type of a run's output: its form for the model, the model's answer -> a value of it, and what streams of it."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, Literal, Union, cast, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import ErrorDetails, from_json
from typing_extensions import TypedDict, TypeForm

from .elsewhere import arguments_of, nobody
from .errors import ConfigError, InvalidArguments, OutputError
from .events import Out, PartialOutput
from .mend import Mender
from .messages import AssistantMessage, ToolCall
from .models.base import Delta, OutputFormat, OutputMode, Retrying, TextDelta, ToolCallDelta
from .policy import Policy
from .secrecy import hide_defaults
from .strict_json import cut, depth_for, object_text, read
from .tool import Tool

_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_PROBLEMS_SHOWN = 5
_MESSAGE_CHARS = 200
_FORM_CHARS = 200
_PATH_CHARS = 100
TOOL = "final_answer"
"""What the model calls to answer, in the mode `tool`; for a union of classes, `final_answer_Price` and so on."""
_EACH_TIME_CHARS = 512
_GROWTH = 16


class OutputType(Generic[Out]):
    """What `output=` says: `str`, or any type that pydantic can validate, and how the model is brought to it.

    A type whose JSON is not an object (a list, a number, a union) travels as `{"value": ...}`, since providers take
    only objects. Where the type is a union with `str`, the model may answer in words.

    Args:
        kind: The type.
        mode: `native` sends a JSON Schema as the form of the answer, `tool` offers a tool whose arguments are the
            answer (one for each class of a union), `prompted` says it in the instructions.

    Raises:
        ConfigError: the type has no JSON form.
    """

    def __init__(self, kind: TypeForm[Out], mode: OutputMode = "native") -> None:
        given: object = kind
        if isinstance(given, dict | list | set):
            raise ConfigError(f"output={given!r:.60}: write a type, such as a dataclass, list[str] or dict[str, int]")
        self.mode = mode
        self._kind = kind
        members = _members(kind)
        rest = [each for each in members if each is not str]
        self.is_text = not rest
        self.takes_words = str in members
        self._forms: tuple[_Form, ...] = ()
        if mode == "tool" and len(rest) > 1 and all(map(_is_object, rest)):
            self._forms = _named([_form(each) for each in rest])
        elif rest:
            without_words: Any = Union[tuple(rest)]  # noqa: UP007
            self._forms = (_form(without_words if self.takes_words and mode != "native" else kind),)

    def by(self, mode: OutputMode) -> "OutputType[Out]":
        """The same type, to which the model is brought in this way."""
        return self if mode == self.mode else OutputType(self._kind, mode)

    @cached_property
    def format(self) -> OutputFormat | None:
        """What a backend is told of the answer's form; None if that is not its business."""
        if self.mode != "native" or not self._forms:
            return None
        return OutputFormat(name=self._forms[0].name, schema=self._forms[0].schema)

    @cached_property
    def tools(self) -> Sequence[Tool]:
        """The tools whose arguments are the answer, in the mode `tool`. They are offered, and never run."""
        return tuple(each.as_tool() for each in self._forms) if self.mode == "tool" else ()

    @cached_property
    def instructions(self) -> str:
        """What the model is told, in the mode `prompted`."""
        if self.mode != "prompted" or not self._forms:
            return ""
        schema = json.dumps(self._forms[0].schema, ensure_ascii=False)
        words = "Answer in words, or with" if self.takes_words else "Answer with"
        return f"{words} JSON only, nothing before or after it, that fits this JSON Schema:\n{schema}"

    def answers(self, message: AssistantMessage) -> ToolCall | None:
        """The call of an output tool in an answer: it is not run, but is the answer."""
        names = {each.name for each in self.tools}
        return next((call for call in message.tool_calls if call.name in names), None)

    def read(self, message: AssistantMessage) -> Out:
        """The value in the model's answer.

        Raises:
            OutputError: it does not fit; the text tells the model how to do better.
        """
        if (call := self.answers(message)) is None:
            return self.parse(message.text)
        form = next(each for each in self._forms if each.tool == call.name)
        return cast("Out", form.parse(call.arguments))

    def parse(self, text: str) -> Out:
        """The value in the words of an answer.

        Raises:
            OutputError: they do not fit; the text tells the model how to do better.
        """
        if not text.strip():
            raise OutputError(self._when_empty())
        return cast("Out", self._from_text(text) if self._forms else text)

    def reader(self) -> "Callable[[Delta], PartialOutput | None] | None":
        """What reads one answer while it is written; None for an answer in words."""
        if not self._forms:
            return None
        tools = frozenset(each.name for each in self.tools)
        return PartialReader(tools=tools, is_wrapped=self._forms[0].is_wrapped).feed

    def _from_text(self, text: str) -> Any:
        told = ""
        for form in self._forms:
            try:
                return form.parse(text)
            except OutputError as error:
                told = str(error)
        if self.takes_words and not text.lstrip().startswith(("{", "[", "```")):
            return text
        raise OutputError(self._by_tool() if self.mode == "tool" else told)

    def _when_empty(self) -> str:
        if self.mode == "tool" and self._forms:
            return self._by_tool()
        how = "with JSON" if self._forms and not self.takes_words else "in words"
        return f"Your answer was empty. Answer {how}, or call a tool."

    def _by_tool(self) -> str:
        names = " or ".join(repr(each.tool) for each in self._forms)
        return f"Give your answer by calling {names}{', or in words' if self.takes_words else ''}."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Form:
    """One form that an answer may have."""

    name: str
    schema: Mapping[str, Any]
    adapter: TypeAdapter[Any]
    is_wrapped: bool
    secrets: frozenset[str]
    depth: int
    tool: str = TOOL
    """The tool whose arguments have this form."""

    def as_tool(self) -> Tool:
        text = f"Give the final answer, {self.name}. {self.schema.get('description', '')}"
        return Tool(
            name=self.tool,
            description=text.strip(),
            parameters={"additionalProperties": False, **self.schema},
            function=nobody,
            arguments=replace(arguments_of(self.tool, self.schema), secrets=self.secrets),
            policy=Policy(effects="read"),
        )

    def parse(self, text: str) -> Any:
        """The value in JSON text.

        Raises:
            OutputError: there is none, or it does not fit.
        """
        try:
            wrong, text = "", self._meant(text)
        except InvalidArguments as error:
            raise OutputError(self._again([f"- {_as_answer(error)}"])) from None
        try:
            value = self.adapter.validate_json(text)
            return value["value"] if self.is_wrapped else value
        except ValidationError as error:
            wrong = self._told(error)
        raise OutputError(wrong)  # not while pydantic's error is at hand: it holds what was sent, secrets and all

    def _meant(self, text: str) -> str:
        """The JSON alone, without a fence or words around it, and without what it leaves out by null."""
        fences = _FENCED.findall(text)
        text = object_text(fences[0] if len(fences) == 1 and not text.lstrip().startswith("{") else text, repair=True)
        value = read(text, names=not self.secrets, depth=self.depth)
        if self.is_wrapped and not (isinstance(value, dict) and value.keys() == {"value"}):
            value, text = {"value": value}, f'{{"value":{text}}}'  # it forgot to wrap it, which is plain enough
        mender = Mender(definitions=self.schema.get("$defs", {}), repair=True)
        mender.mend(value, [self.schema])
        return json.dumps(value) if mender.changed else text  # as it was, if it can: a float has not all digits

    def _told(self, error: ValidationError) -> str:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        lines = dict.fromkeys(self._line(each) for each in problems[:_PROBLEMS_SHOWN])
        if len(problems) > _PROBLEMS_SHOWN:
            lines[f"- and {len(problems) - _PROBLEMS_SHOWN} more"] = None
        return self._again(list(lines))

    def _line(self, problem: ErrorDetails) -> str:
        path = cut(".".join(map(str, problem["loc"])), _PATH_CHARS) or "the answer"
        name = str(problem["loc"][0]) if problem["loc"] else ""
        if name in self.secrets or (self.secrets and not name):
            return f"- {path}: does not fit"
        words = cut(" ".join(problem["msg"].split()), _MESSAGE_CHARS)
        return f"- {path}: {words}{self._expected(name) if problem['type'] == 'missing' else ''}"

    def _expected(self, name: str) -> str:
        """The form of a property, where a line has room for it; problems with what is there say what they expect."""
        schema = self.schema.get("properties", {}).get(name, {})
        form = json.dumps({k: v for k, v in schema.items() if k not in _NOT_FORM}, ensure_ascii=False)
        return f"; expected: {form}" if schema and "$ref" not in form and len(form) <= _FORM_CHARS else ""

    def _again(self, lines: Sequence[str]) -> str:
        form = 'JSON of the form {"value": ...} only' if self.is_wrapped else "JSON only"
        return "\n".join([f"Your answer does not fit. Answer again, with {form}, and mend this:", *lines])


_NOT_FORM = ("description", "default", "examples", "title")


@dataclass(kw_only=True, slots=True)
class PartialReader:
    """Reads one answer while it is written, piece by piece.

    The text is read again at each piece while it is short, and then when it has grown by a sixteenth, so that a long
    answer takes no more than a time that grows with its length.
    """

    tools: frozenset[str]
    """Those by which the model answers; none if it answers in its text."""
    is_wrapped: bool
    _pieces: list[str] = field(default_factory=list)
    _length: int = 0
    _due: int = 1
    """At which length the text is read again."""
    _call: int | None = None
    """Which call of the answer the pieces are of."""
    _last: Any = None

    def feed(self, delta: Delta) -> PartialOutput | None:
        """What the output holds so far, if the delta adds to it; all deltas of the answer come here, in their order."""
        if isinstance(delta, Retrying):
            self._pieces, self._length, self._due, self._call, self._last = [], 0, 1, None, None
        piece = self._piece(delta)
        if not piece:
            return None
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length < self._due:
            return None
        self._due = self._length + (1 if self._length < _EACH_TIME_CHARS else self._length // _GROWTH)
        return self._read()

    def _piece(self, delta: Delta) -> str:
        if not self.tools:
            return delta.text if isinstance(delta, TextDelta) else ""
        if (
            not isinstance(delta, ToolCallDelta)
            or delta.name not in self.tools
            or self._call not in (None, delta.index)
        ):
            return ""  # another call than the first one, which is the answer
        self._call = delta.index
        return delta.arguments

    def _read(self) -> PartialOutput | None:
        text = "".join(self._pieces)
        self._pieces = [text]
        begin = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
        if begin < 0:
            return None
        end = text.find("\n```", begin)  # in no string of JSON: there, a line break is escaped
        json_text = text[begin : end if end >= 0 else None]
        try:
            value = from_json(json_text, allow_partial="trailing-strings", allow_inf_nan=False)
        except ValueError:
            return None
        if self.is_wrapped and isinstance(value, dict):
            value = value.get("value")
        if value is None or value == self._last:
            return None
        self._last = value
        return PartialOutput(value=value)


def _members(kind: Any) -> tuple[Any, ...]:
    """What a union is made of; the type itself, if it is none."""
    while hasattr(kind, "__value__"):  # type Answer = A | B
        kind = kind.__value__
    if get_origin(kind) in (Union, UnionType):
        return tuple(member for each in get_args(kind) for member in _members(each))
    return (kind,)


def _is_object(kind: Any) -> bool:
    return kind not in (NoneType, None) and not _form(kind).is_wrapped


def _form(kind: Any) -> _Form:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        schema = _at_the_root(adapter.json_schema())
        is_wrapped = schema.get("type") != "object"
        if is_wrapped:
            adapter = TypeAdapter(TypedDict("Answer", {"value": kind}))  # type: ignore[operator]
            schema = adapter.json_schema() | {"additionalProperties": False}
    except PydanticUserError as error:
        raise ConfigError(f"output={kind!r} has no JSON Schema: {error.message.splitlines()[0]}") from None
    schema.setdefault("properties", {})
    return _Form(
        name=re.sub(r"[^a-zA-Z0-9_-]", "_", _name(kind))[:64],
        schema=schema,
        adapter=adapter,
        is_wrapped=is_wrapped,
        secrets=hide_defaults(schema),
        depth=depth_for(schema),
    )


def _name(kind: Any) -> str:
    if get_origin(kind) in (Annotated, Literal, Union, UnionType):
        return "output"
    return str(getattr(kind, "__name__", "output"))


def _at_the_root(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a class that holds itself, with what it refers to in its place: providers want to see an object."""
    reference = schema.get("$ref", "")
    if schema.keys() <= {"$ref", "$defs"} and reference.startswith("#/$defs/"):
        definitions = schema["$defs"]
        return {**definitions[reference.removeprefix("#/$defs/")], "$defs": definitions}
    return schema


def _named(forms: Sequence[_Form]) -> tuple[_Form, ...]:
    """The forms with a tool's name for each; where two classes have one name, numbers tell them apart."""
    names = [f"{TOOL}_{each.name}"[:60] for each in forms]
    return tuple(
        replace(each, tool=name if names.count(name) == 1 else f"{name}_{number}")
        for number, (each, name) in enumerate(zip(forms, names, strict=True), start=1)
    )


def _as_answer(error: InvalidArguments) -> str:
    """Words on arguments, said of an answer."""
    return str(error).replace("The arguments are", "the answer is")
