"""The type of a run's output: its JSON Schema for the model, and the model's text -> a value of it."""

import re
from contextlib import suppress
from typing import Any, Generic, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from typing_extensions import TypedDict

from .errors import ConfigError, OutputError
from .events import Out
from .models.base import OutputFormat

_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)
_PROBLEMS_SHOWN = 5


class OutputType(Generic[Out]):
    """What `output=` says: `str`, or any type that pydantic can validate.

    A type whose JSON is not an object (a list, a number, a union) travels as `{"value": ...}`, since providers take
    only objects.

    Raises:
        ConfigError: the type has no JSON form.
    """

    def __init__(self, kind: type[Out]) -> None:
        self.format: OutputFormat | None = None
        if kind is str:
            return
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(kind)
            schema = self._adapter.json_schema()
            self._bare = self._adapter
            self._wrapped = schema.get("type") != "object"
            if self._wrapped:
                self._adapter = TypeAdapter(TypedDict("Answer", {"value": kind}))  # type: ignore[operator]
                schema = self._adapter.json_schema() | {"additionalProperties": False}
        except PydanticUserError as error:
            raise ConfigError(f"output={kind!r} has no JSON Schema: {error.message.splitlines()[0]}") from None
        name = re.sub(r"[^a-zA-Z0-9_-]", "_", getattr(kind, "__name__", "output"))[:64]
        self.format = OutputFormat(name=name, schema=schema)

    def parse(self, text: str) -> Out:
        """The value in the model's answer.

        Raises:
            OutputError: it does not fit; the text tells the model how to do better.
        """
        if self.format is None:
            if not text.strip():
                raise OutputError("Your answer was empty. Answer in words, or call a tool.")
            return cast("Out", text)
        fenced = _FENCED.fullmatch(text)
        json = fenced[1] if fenced else text
        try:
            value = self._adapter.validate_json(json)
        except ValidationError as error:
            return self._unwrapped(json, error)
        return cast("Out", value["value"] if self._wrapped else value)

    def _unwrapped(self, json: str, error: ValidationError) -> Out:
        """The value where the model forgot to wrap it, which is plain enough."""
        if self._wrapped:
            with suppress(ValidationError):
                return cast("Out", self._bare.validate_json(json))
        raise OutputError(self._told(error)) from None

    def _told(self, error: ValidationError) -> str:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        lines = [f"- {'.'.join(map(str, p['loc'])) or 'the answer'}: {p['msg']}" for p in problems[:_PROBLEMS_SHOWN]]
        if len(problems) > _PROBLEMS_SHOWN:
            lines.append(f"- and {len(problems) - _PROBLEMS_SHOWN} more")
        form = 'JSON of the form {"value": ...} only' if self._wrapped else "JSON only"
        return "\n".join([f"Your answer does not fit. Answer again, with {form}, and mend this:", *lines])
