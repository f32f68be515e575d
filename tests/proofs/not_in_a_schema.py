"""Read by schemathesis: what is no finding, since no OpenAPI document can say it."""

import re
from typing import Any

import schemathesis

_REASONS = {
    "positive_data_acceptance": {
        "one number depends on another": "chunk_overlap_tokens may be half of max_chunk_size_tokens",
        "a message or an item depends on those before": "must be a response to a preceding message|must be followed by "
        "tool messages|two calls have the same 'id'|No tool (call|output) found|two function calls have the call_id",
        "a choice depends on the tools": "Tool choice '.*' not found in 'tools' parameter",
        "a name depends on the other names": "two functions are called",
        "a file is no text, so no length is said of it": "File is empty",
        "only this server can write it": "encrypted_content': it cannot be read",
        "the upload's state": r"Upload upload_\w+ is (cancelled|completed)|The parts have |An upload has \d+ parts|"
        "each must be a part of this upload|it is not that of the parts",
        "the response's state": "is still going on|made in the background can be|Cannot cancel a synchronous response",
        "the run's state": "has an active run|Cannot cancel run|do not accept tool outputs|Expected tool outputs",
        "the thread's state": "while a run .* is active|currently operating on this conversation",
        "the server's settings": r"Invalid 'bytes': \d+ are allowed",
    },
    "ensure_resource_availability": {"it is another object that is not there": "No such File object"},
    "allow_header_conformance": {
        "the last word is taken for an id by the methods that this path does not have": "^/v1/"
        "(threads/runs|responses/compact|responses/input_tokens) ",
    },
}
"""By schemathesis' check: why it cannot be said, and what path and answer are then."""


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether it is a finding."""
    patterns = [words for check in type(failure).checks for words in _REASONS.get(check, {}).values()]
    return not any(re.search(words, f"{case.path} {response.text}") for words in patterns)
