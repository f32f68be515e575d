"""What other servers were seen to do on this wire: each deviation is a switch, made here or at least named here."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from agentkit.errors import ConfigError
from agentkit.testing.http_server import sse, to_json

KNOWN = {
    "bare_errors": "error bodies are {'detail': ...}; a failed run's stream has an `error` event, a bare Error object",
    "doubled_deltas": "a step.created event has the calls' names and arguments, and the deltas bring them again",
    "empty_completed": "message.completed and message.incomplete have no content after deltas; reading it has",
    "extra_fields": "fields that nobody knows in all objects",
    "float_times": "Unix times are floats",
    "foreign_ids": "ids are UUIDs and ObjectIds without a prefix",
    "ignores_after": "lists ignore `after` and `before`: the same page again, and there is always more",
    "ignores_run_id": "the list of messages ignores `run_id`",
    "no_cancel_in_action": "a run that requires action cannot be cancelled",
    "no_done": "a stream ends without its `done` event",
    "no_poll_header": "no answer has the header `openai-poll-after-ms`",
    "no_step_events": "a stream has events of runs and messages only",
    "no_step_usage": "steps have no usage, only the ended run has",
    "no_streaming": "`stream: true` is ignored: the run comes back as JSON, and goes on when it is read",
    "null_lists": "null where a list or a map is empty",
    "repeated_call_ids": "calls are call_0, call_1 ... anew in each round",
    "shadowed_create_and_run": "POST /threads/runs is taken for a thread called 'runs': 404",
    "shuffled_ties": "lists are sorted by created_at alone, and objects of the same second are reversed",
    "thin_runs": "run events lack required_action and usage; reading the run has them",
    "unknown_events": "events that nobody knows, and comments, between the others",
}
"""All quirks, each with what it does."""

QUIRKS = tuple(name for name in KNOWN if name != "no_streaming")
"""All that can go together: without streams, half of them would not be seen."""

_NULLABLE = {"annotations", "attachments", "content", "file_ids", "metadata", "tool_resources", "tools"}
_OPAQUE = {"attributes", "metadata", "parameters", "schema"}


class Event(NamedTuple):
    """One server-sent event of a run."""

    name: str
    data: dict[str, Any]

    @property
    def is_last(self) -> bool:
        """Whether it ends an answer."""
        return self.data.get("object") == "thread.run" and self.data["status"] not in {
            "queued",
            "in_progress",
            "cancelling",
        }


def known_quirks(names: Iterable[str]) -> frozenset[str]:
    """The switches that are on.

    Raises:
        ConfigError: there is no such quirk.
    """
    given = [names] if isinstance(names, str) else list(names)
    for name in given:
        if name not in KNOWN:
            raise ConfigError(f"there is no quirk {name!r}; there are {', '.join(KNOWN)}")
    return frozenset(given)


def dress(value: Any, quirks: frozenset[str], key: str = "") -> Any:
    """A JSON value of an answer as such a server would write it."""
    if not quirks:
        return value
    if isinstance(value, list | dict) and not value:
        return None if key in _NULLABLE and "null_lists" in quirks else value
    if isinstance(value, list):
        return [dress(inner, quirks, key) for inner in value]
    if isinstance(value, dict):
        return value if key in _OPAQUE else _dressed_object(value, quirks)
    if isinstance(value, int) and key.endswith("_at") and "float_times" in quirks:
        return float(value)
    return value


def _dressed_object(value: dict[str, Any], quirks: frozenset[str]) -> dict[str, Any]:
    fields = {name: dress(inner, quirks, name) for name, inner in value.items()}
    if value.get("object") == "thread.run.step" and "no_step_usage" in quirks:
        fields["usage"] = None
    if value.keys() & {"object", "type"} and "extra_fields" in quirks:
        fields["x_vendor"] = {"revision": 7, "tags": ["unknown"]}
    return fields


def dress_error(body: dict[str, Any], quirks: frozenset[str]) -> dict[str, Any]:
    """The body of a refusal as such a server would write it."""
    if "bare_errors" in quirks:
        return {"detail": body["error"]["message"]}
    return {**body, "x_vendor": {"revision": 7}} if "extra_fields" in quirks else body


def dress_event(event: Event, quirks: frozenset[str]) -> Iterator[bytes]:
    """The server-sent events that such a server would send for this one."""
    name, data = event
    if name.startswith("thread.run.step.") and "no_step_events" in quirks:
        return
    if data.get("object") == "thread.run":
        if data["status"] == "failed" and "bare_errors" in quirks:
            yield from dress_event(error_event(data["last_error"]["message"], data["last_error"]["code"]), quirks)
        if "thin_runs" in quirks:
            data = {**data, "required_action": None, "usage": None}
    if name in {"thread.message.completed", "thread.message.incomplete"} and "empty_completed" in quirks:
        data = {**data, "content": []}
    if name == "error" and "bare_errors" in quirks:
        data = {key: value for key, value in data.items() if key != "error"}
    if "unknown_events" in quirks:
        yield b": ping\n\n"
        yield sse('{"object":"vendor.trace","delta":{"content":[]}}', event="thread.vendor.trace")
    yield sse(to_json(dress(data, quirks)), event=name)


def error_event(message: str, code: str | None = "server_error") -> Event:
    """The event of a stream that broke: in the form that the SDK raises, and bare, as the API's document says."""
    error = {"type": "server_error", "code": code, "param": None, "message": message}
    return Event("error", {"error": error, **error})
