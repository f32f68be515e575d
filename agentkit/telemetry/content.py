"""What is said in a run, on its spans and events: only where somebody has asked for it, and never all of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeAlias

from agentkit.errors import ConfigError
from agentkit.messages import ToolCall, ToolResult
from agentkit.models.base import ModelRequest, ModelResponse
from agentkit.tool import Tool

from . import semconv as s
from .content_parts import LEAST_BYTES, Asked, Called, Conversation, Sizes
from .content_secrets import Redact
from .content_size import compact
from .content_upload import Upload
from .quiet import warn

if TYPE_CHECKING:
    from opentelemetry.trace import Span

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
EMIT = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
WHOLE_BYTES = 50_000_000
"""What is uploaded of one span at most."""
_LIMITS = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
_MODES = {
    "NO_CONTENT": (False, False),
    "SPAN_ONLY": (True, False),
    "EVENT_ONLY": (False, True),
    "SPAN_AND_EVENT": (True, True),
}
"""Whether content is on spans, and on events."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """Which content is captured, where it goes, and how much of it.

    Secrets are struck out first: the keys of models' servers, what has the shape of a key or a password, arguments and
    results that tools declare secret. Pictures and files are named, and their bytes are left out.
    """

    spans: bool = True
    """Whether it is on spans, as JSON text."""
    events: bool = False
    """Whether it is on the event that each model call has, as structured values."""
    details: bool | None = None
    """Whether model calls have that event at all; if not given, where content is on events."""
    text_chars: int = 10_000
    """Characters of one text; of a longer one, the middle is left out, and how much that is stands there."""
    total_bytes: int = 100_000
    """Bytes of one attribute; of more messages than fit, the middle ones are left out."""
    redact: Callable[[str], str] | None = field(default=None, repr=False)
    """What else is struck out: called with each text, in the event loop and in threads of `upload`, so it must be quick
    and to ask nobody. If it fails, nothing is shown."""
    upload: Upload | None = None
    """Where all of it goes, without those limits: also of spans that are not sampled."""

    def __post_init__(self) -> None:
        for name, least in (("text_chars", 16), ("total_bytes", LEAST_BYTES)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ConfigError(f"Content({name}={value!r}): a whole number from {least} on")
        if self.redact is not None and not callable(self.redact):
            raise ConfigError(f"Content(redact={self.redact!r:.60}): a function from str to str")
        if iscoroutinefunction(self.redact):
            raise ConfigError("Content(redact=...): a plain function from str to str, and not an async one")

    @property
    def emits(self) -> bool:
        """Whether each model call has an event with its details."""
        return self.events if self.details is None else self.details

    @classmethod
    def of(cls, given: "ContentOption") -> "Content":
        """What `Telemetry(content=...)` means.

        Raises:
            ConfigError: it means nothing.
        """
        match given:
            case Content():
                return given
            case bool():
                return cls(spans=given)
            case str() if given.strip().upper() in _MODES:
                spans, events = _MODES[given.strip().upper()]
                return cls(spans=spans, events=events)
            case None:
                return cls._of_environment()
        words = ", ".join(repr(word.lower()) for word in _MODES)
        raise ConfigError(f"content={given!r:.60} means nothing; give True, False, Content(...), or one of {words}")

    @classmethod
    def _of_environment(cls) -> "Content":
        word, emit = (os.environ.get(name, "").strip().upper() for name in (CAPTURE, EMIT))
        if word and word not in _MODES:
            warn(f"{CAPTURE} should be one of {', '.join(_MODES)}; what it says is none of them: nothing is captured")
        if emit not in ("", "TRUE", "FALSE"):
            warn(f"{EMIT} should be true or false; what it says is neither, and is not heeded")
        spans, events = _MODES.get(word, (False, False))
        return cls(
            spans=spans, events=events, details={"TRUE": True, "FALSE": False}.get(emit), upload=Upload.of_environment()
        )

    def model_call(
        self, span: "Span", request: ModelRequest, response: ModelResponse | None = None, *, event: bool = False
    ) -> dict[str, Any]:
        """Put what was asked and answered on the span of a model call: once, before the span ends.

        Nothing is built if the span does not record and nobody else wants it, and nothing is ever raised.

        Args:
            span: The span.
            request: What was asked.
            response: What came back; None if nothing did.
            event: Whether an event is sent too.

        Returns:
            Attributes for the event, with structured values; none, if there is no event or no content on events.
        """
        wants = event and self.events
        built = self._built(span, partial(_conversation, request, response, None), event=wants, upload=self.upload)
        return built if wants else {}

    def run(
        self,
        span: "Span",
        request: ModelRequest,
        response: ModelResponse | None = None,
        *,
        last: ModelRequest | None = None,
    ) -> None:
        """Put what a run was asked, and its last answer, on its span: once, before the span ends.

        Args:
            span: The span.
            request: The first request.
            response: The last answer; None if there is none.
            last: The last request: what is secret in it may stand in the answer.
        """
        self._built(span, partial(_conversation, request, response, last))

    def tool_call(
        self,
        span: "Span",
        call: ToolCall,
        tool: Tool | None,
        result: ToolResult | None = None,
        *,
        asked: Asked = (None, None),
    ) -> None:
        """Put the arguments and the result of a tool call on its span: once, before the span ends.

        Args:
            span: The span.
            call: The call.
            tool: The tool; None if there is no such tool, and then its arguments are not shown.
            result: What the model reads; None if there is nothing.
            asked: The last request and its answer: what is secret in them may stand in the result.
        """
        self._built(span, partial(_called, call, tool, result, asked))

    def _built(
        self, span: "Span", make: "_Make", *, event: bool = False, upload: Upload | None = None
    ) -> dict[str, Any]:
        """The content, if anybody wants it; it is on the span then, and on its way elsewhere."""
        on_span = self.spans and span.is_recording()
        if not (on_span or event or upload):
            return {}
        try:
            total = min(self.total_bytes, _longest_attribute())
            if total < LEAST_BYTES:
                if on_span:
                    warn(f"content is left out: attributes are cut at {total} characters ({' or '.join(_LIMITS)})")
                on_span, total = False, self.total_bytes
            sizes = Sizes(text_chars=self.text_chars, total_bytes=total)
            built = make(sizes, self.redact) if on_span or event else {}
            if on_span:
                span.set_attributes({name: compact(value) for name, value in built.items()})
            if upload is not None:
                self._upload(upload, span, make)
            return built
        except Exception as error:
            warn(f"content is left out: {type(error).__name__} in what strikes out secrets, or what writes it down")
            return {}

    def _upload(self, upload: Upload, span: "Span", make: "_Make") -> None:
        from opentelemetry.trace import format_span_id, format_trace_id

        place = span.get_span_context()
        ids = {"trace_id": format_trace_id(place.trace_id), "span_id": format_span_id(place.span_id)}
        whole = Sizes(text_chars=WHOLE_BYTES, total_bytes=WHOLE_BYTES)
        where = upload.send(ids, lambda: make(whole, self.redact))
        if where is not None and span.is_recording():
            span.set_attribute(s.CONTENT_UPLOAD, where)


ContentOption: TypeAlias = "Content | bool | str | None"
"""As it is given: `Content(...)`; True for spans, False for nowhere; `"span_only"`, `"event_only"`, `"span_and_event"`
or `"no_content"`; None for what the environment says."""
_Make: TypeAlias = Callable[[Sizes, Redact | None], dict[str, Any]]


def _conversation(
    request: ModelRequest,
    response: ModelResponse | None,
    last: ModelRequest | None,
    sizes: Sizes,
    redact: Redact | None,
) -> dict[str, Any]:
    said = Conversation.of(request, response, sizes, redact, last)
    found = {
        s.SYSTEM_INSTRUCTIONS: said.instructions(),
        s.INPUT_MESSAGES: said.input(),
        s.OUTPUT_MESSAGES: said.output(),
        s.TOOL_DEFINITIONS: said.definitions(),
    }
    return {name: value for name, value in found.items() if value}


def _called(
    call: ToolCall, tool: Tool | None, result: ToolResult | None, asked: Asked, sizes: Sizes, redact: Redact | None
) -> dict[str, Any]:
    called = Called.of(call, tool, sizes, redact, asked)
    found = {s.TOOL_CALL_ARGUMENTS: called.arguments()}
    return found if result is None else found | {s.TOOL_CALL_RESULT: called.result(result)}


def _longest_attribute() -> int:
    """Where the SDK cuts an attribute, in the middle of its JSON."""
    found = [os.environ.get(name, "").strip() for name in _LIMITS]
    return min((int(each) for each in found if each.isdecimal()), default=WHOLE_BYTES)
