"""What an Assistants server says of a run, in events or when it is asked -> deltas and a `ModelResponse`. Pure.

Truth is the run object, wherever it comes from: tool calls are taken from its `required_action` only, since servers
differ in the pieces they stream. Source: the OpenAPI description of OpenAI's API, Assistants v2.
"""

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pydantic_core import from_json

from agentkit.errors import (
    BadResponse,
    ContentFiltered,
    ContextTooLong,
    ModelError,
    ModelTimeout,
    QuotaExceeded,
    RateLimited,
    Refused,
    RequestRejected,
    ServerFailed,
    Truncated,
)
from agentkit.messages import AssistantMessage, Citation, HostedCall, ToolCall, Usage, clean
from agentkit.models.base import Delta, HostedToolFinished, ModelRequest, ModelResponse, TextDelta, ToolCallDelta
from agentkit.models.http_errors import TOO_LONG
from agentkit.models.lenient import a_dict, a_str, an_int, as_arguments, dicts, reported, unnamed, with_own_ids

from .content import Said, hosted_calls
from .encode import encode_resources
from .ids import is_id
from .place import Place, digest_with, fingerprint

ENDED = frozenset({"completed", "failed", "cancelled", "expired", "incomplete"})
"""The states of a run after which nothing follows."""


_BETWEEN = "\n\n"
"""What stands between two messages of one answer."""
_OUT_OF_MONEY = re.compile("quota|billing", re.IGNORECASE)
_YEAR = 366 * 86_400.0
_MARGIN = 15.0
"""Seconds before a run expires by which its tools have to be done."""
_NOWHERE = Place(server="", thread="", run="")


def has_ended(run: dict[str, Any]) -> bool:
    """Whether nothing follows in a run."""
    return a_str(run.get("status")) in ENDED


@dataclass(kw_only=True, slots=True)
class Turn:
    """What a run has said since it was last told something."""

    request: ModelRequest
    thread: str = ""
    """The thread that the run is on; it is known before the run, and servers do not all repeat it."""
    before: Place | None = None
    """Where the run stood before; None if it has just begun."""
    run: dict[str, Any] = field(default_factory=dict)
    """The run as it was last seen."""
    rounds: int = 0
    """How often the run had asked for tool results before."""
    broken: bool = False
    """Whether some of what it said may not have come."""
    heard: bool = False
    """Whether anything has come from the run itself."""
    _details: bool = False
    """Whether anything but the run itself was seen."""
    _announced: set[str] = field(default_factory=set)
    """Ids of the messages that steps say they have written."""
    _said: dict[str, Said] = field(default_factory=dict)
    _told: str = ""
    """The id of the message that the last text delta belonged to."""
    _hosted: dict[str, HostedCall] = field(default_factory=dict)
    _usage: dict[str, Usage] = field(default_factory=dict)
    """What each step used, by the step's id."""
    _seen: set[str] = field(default_factory=set)

    @property
    def id(self) -> str:
        """The run's id, empty before it is known."""
        return a_str(self.run.get("id"))

    @property
    def status(self) -> str:
        """The run's state."""
        return a_str(self.run.get("status"))

    @property
    def settled(self) -> bool:
        """Whether the run goes on no further by itself."""
        return self.status in ENDED or self.status == "requires_action"

    @property
    def lifetime(self) -> float | None:
        """Seconds from when the run was made until it expires, where the server says so."""
        made, ends = self.run.get("created_at"), self.run.get("expires_at")
        if not (isinstance(made, int | float) and isinstance(ends, int | float)):
            return None
        return ends - made if 0 < ends - made < _YEAR else None

    @property
    def lacks_run(self) -> bool:
        """Whether the run was seen in a form that leaves out what is needed of it."""
        if self.status == "requires_action":
            return not calls_asked(self.run)
        return not isinstance(self.run.get("usage"), dict)

    @property
    def lacks_words(self) -> bool:
        """Whether messages of the run may not have come."""
        if self.broken or self.mid_word or not self._details:
            return True
        return not self._announced <= self._said.keys() or (self.status == "completed" and not self._said)

    @property
    def mid_word(self) -> bool:
        """Whether there is a message whose end has not come."""
        return any(not said.whole for said in self._said.values())

    def feed(self, name: str, data: bytes) -> list[Delta]:
        """What an event adds.

        Raises:
            ModelError: it reports an error.
        """
        try:
            told = a_dict(from_json(data))
        except ValueError:
            return []  # the end of the stream says [DONE]; what is none of JSON is nobody's event
        if isinstance(told.get("error"), dict) or name == "error":
            raise reported(told.get("error") or told)
        kind = a_str(told.get("object"))
        self.heard = self.heard or (kind.startswith("thread.") and bool(self.id or kind == "thread.run"))
        self._details = self._details or kind not in {"", "thread", "thread.run"}
        match kind:
            case "thread.run":
                self.see_run(told)
            case "thread.run.step":
                return self.see_step(told)
            case "thread.message":
                return self.see_message(told, whole=name.endswith((".completed", ".incomplete")))
            case "thread.message.delta":
                return self._see_piece(a_str(told.get("id")), dicts(a_dict(told.get("delta")).get("content")))
        return []

    def see_run(self, run: dict[str, Any]) -> None:
        """The run has been seen."""
        if not self.id or run.get("id") == self.id:
            self.run = run

    def see_step(self, step: dict[str, Any]) -> list[Delta]:
        """A step has been seen."""
        id = a_str(step.get("id"))
        if self._is_old(id, step):
            return []
        written = a_str(a_dict(a_dict(step.get("step_details")).get("message_creation")).get("message_id"))
        self._announced |= {written} - {"", *(self.before.seen if self.before else ())}
        if isinstance(usage := step.get("usage"), dict):
            self._usage[id] = usage_of(usage)
        if step.get("status") != "completed":
            return []
        fresh = {call.id: call for call in hosted_calls(step) if call.id not in self._hosted}
        self._hosted |= fresh
        self._seen |= {id} if fresh else set()
        return [HostedToolFinished(call=call) for call in fresh.values()]

    def see_message(self, message: dict[str, Any], *, whole: bool = False) -> list[Delta]:
        """A message has been seen, whole or as far as it is written."""
        id = a_str(message.get("id"))
        if message.get("role") != "assistant" or self._is_old(id, message):
            return []
        said = self._said.setdefault(id, Said())
        said.whole = said.whole or whole or a_str(message.get("status")) in {"completed", "incomplete"}
        return self._tell(id, said.see_whole(dicts(message.get("content"))))

    def _see_piece(self, id: str, content: list[dict[str, Any]]) -> list[Delta]:
        if self.before is not None and id in self.before.seen:
            return []
        return self._tell(id, self._said.setdefault(id, Said()).see_piece(content))

    def _is_old(self, id: str, told: dict[str, Any]) -> bool:
        """Whether an earlier answer has told of it, or it is another run's."""
        other = a_str(told.get("run_id"))
        return (self.before is not None and id in self.before.seen) or bool(other and self.id and other != self.id)

    def _tell(self, id: str, text: str) -> list[Delta]:
        if not text:
            return []
        between = _BETWEEN if self._told not in {"", id} else ""
        self._told = id
        return [TextDelta(text=clean(between + text))]

    def response(self, expires: float | None, now: float, server: str) -> ModelResponse:
        """What the run has come to.

        Args:
            expires: When the run expires, in seconds of the clock that `now` is read from.
            server: Whose `Place` this is.

        Raises:
            ModelError: it has failed, or its answer cannot be used.
        """
        try:
            self._check()
        except ModelError as error:
            if (spent := self._fresh_usage()).total_tokens:  # a run that failed at once says 0
                error.spent = spent
            raise
        waiting = self.status == "requires_action"
        calls, ids = self._calls() if waiting else ((), {})
        message, usage = self._message(calls), self._fresh_usage()
        before = self.before or Place(server=server, thread=self.thread, run=self.id, waiting=True)
        place = replace(
            before,
            waiting=waiting,
            expires=expires,
            rounds=self.rounds + waiting,
            seen=tuple(id for id in dict.fromkeys((*before.seen, *self._said, *self._seen, *self._usage)) if id),
            ids=ids,
            usage=before.usage + usage,
            digest=digest_with(self.request.messages, message, server),
            resources=fingerprint(encode_resources(self.request.tools, "thread")),
        )
        return ModelResponse(
            message=replace(message, state=place.state()),
            finish_reason="tool_calls" if waiting else "length" if self.status == "incomplete" else "stop",
            usage=usage,
            usage_pending=waiting and not isinstance(self.run.get("usage"), dict),
            model=a_str(self.run.get("model")),
            id=self.id,
            conversation=self.thread,
            results_within=_time_left(expires, now) if waiting else None,
            raw=_news(self.run) or None,
        )

    def _message(self, calls: tuple[ToolCall, ...]) -> AssistantMessage:
        said = [message for message in self._said.values() if message.text or message.files]
        if self.request.output is not None:
            said = said[-1:]  # what comes before the JSON is talk
        text, citations, start = "", list[Citation](), 0
        for message in said:
            start = len(text) + (len(_BETWEEN) if text else 0)
            text += (_BETWEEN if text and message.text else "") + message.text
            citations += message.citations(start)
        return AssistantMessage(
            text=clean(text),
            tool_calls=calls,
            citations=tuple(citations),
            files=tuple(file for message in said for file in message.files),
            hosted_calls=tuple(self._hosted.values()),
        )

    def _calls(self) -> tuple[tuple[ToolCall, ...], dict[str, str]]:
        """The tool calls, and the server's ids of those that have another one here."""
        asked = [(a_str(call.get("id")), a_dict(call.get("function"))) for call in calls_asked(self.run)]
        theirs = [
            ToolCall(id=id, name=a_str(call.get("name")), arguments=as_arguments(call.get("arguments")))
            for id, call in asked
        ]
        ours = with_own_ids(theirs, self.request.messages)
        return ours, {own.id: their.id for own, their in zip(ours, theirs, strict=True) if own.id != their.id}

    def call_deltas(self, answer: AssistantMessage) -> list[Delta]:
        """The tool calls, for those who watch."""
        return [
            ToolCallDelta(index=index, name=call.name, arguments=call.arguments, id=call.id)
            for index, call in enumerate(answer.tool_calls)
        ]

    def _fresh_usage(self) -> Usage:
        """What was used and no answer has told yet: of the run, or as long as it does not say, of its steps."""
        if isinstance(self.run.get("usage"), dict):
            return untold(self.run, self.before or _NOWHERE)
        return sum(self._usage.values(), Usage())

    def _check(self) -> None:
        """Whether there is an answer that can be used.

        Raises:
            ModelError: there is none.
        """
        text = self._message(()).text
        if not is_id(self.id):
            raise BadResponse("the server has begun a run without an id: does it speak the Assistants wire?")
        match self.status:
            case "requires_action" if not calls_asked(self.run):
                kind = a_str(a_dict(self.run.get("required_action")).get("type"))
                raise BadResponse(f"the run {self.id!r} waits for something that agentkit does not know: {kind!r}")
            case "failed":
                raise _failure(a_dict(self.run.get("last_error")))
            case "expired":
                raise ModelTimeout(f"the run {self.id!r} expired on the server before it was done")
            case "cancelled" | "cancelling":
                raise ModelError(f"the run {self.id!r} was cancelled on the server, by somebody else")
            case "incomplete":
                self._check_incomplete(a_str(a_dict(self.run.get("incomplete_details")).get("reason")), text)
        if refusal := "".join(said.refusal for said in self._said.values()):
            raise Refused(clean(refusal))

    def _check_incomplete(self, reason: str, text: str) -> None:
        if reason == "content_filter":
            raise ContentFiltered("the provider's content filter withheld the answer")
        if reason == "max_prompt_tokens":
            raise ContextTooLong("the run reached its limit on prompt tokens (max_prompt_tokens)")
        if self.request.output is not None or not text:
            raise Truncated("the run was cut at its token limit before its answer was complete", partial=text)


def _time_left(expires: float | None, now: float) -> float | None:
    """Seconds for the tools of a run that waits; None if that is not known: a run that has expired does not wait."""
    return None if expires is None or expires <= now else max(1.0, expires - now - _MARGIN)


def calls_asked(run: dict[str, Any]) -> list[dict[str, Any]]:
    """The calls whose results a run waits for; none if it waits for anything else."""
    action = a_dict(run.get("required_action"))
    calls = dicts(a_dict(action.get("submit_tool_outputs")).get("tool_calls"))
    return calls if all(isinstance(call.get("function"), dict) for call in calls) else []


def _failure(error: dict[str, Any]) -> ModelError:
    """The error that a failed run tells."""
    code, said = a_str(error.get("code")), a_str(error.get("message"))[:2000]
    told = f"the run failed: {said or 'the server does not say why'} ({code or 'no code'})"
    if code == "rate_limit_exceeded":
        return (QuotaExceeded if _OUT_OF_MONEY.search(said) else RateLimited)(told)
    if code == "invalid_prompt":
        return (ContextTooLong if TOO_LONG.search(said) else RequestRejected)(told)
    return ServerFailed(told)


def usage_of(usage: dict[str, Any]) -> Usage:
    """What a run or a step says it has used."""
    prompt, completion = a_dict(usage.get("prompt_token_details")), a_dict(usage.get("completion_tokens_details"))
    return Usage(
        input_tokens=an_int(usage.get("prompt_tokens")),
        output_tokens=an_int(usage.get("completion_tokens")),
        cache_read_tokens=an_int(prompt.get("cached_tokens")),
        reasoning_tokens=an_int(completion.get("reasoning_tokens")),
    )


def untold(run: dict[str, Any], place: Place) -> Usage:
    """What a run has used that no answer has told; what is not known is taken for nothing."""
    if not isinstance(usage := run.get("usage"), dict):
        return Usage()
    whole = usage_of(usage)
    left = {
        f.name: None if (n := getattr(whole, f.name)) is None else max(0, n - (getattr(place.usage, f.name) or 0))
        for f in fields(Usage)
    }
    return Usage(**left)


def _news(run: dict[str, Any]) -> dict[str, Any]:
    """What a run says that the wire's own types have no name for."""
    from openai.types.beta.threads import Run

    return unnamed(run, Run.model_fields.keys())
