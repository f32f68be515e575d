"""Read by schemathesis: what the server may refuse although its document allows it, since no JSON Schema can say it."""

import re
from typing import Any

import schemathesis

_REJECTED = "positive_data_acceptance"
_REASONS = {
    "one number depends on another": "chunk_overlap_tokens may be half of max_chunk_size_tokens",
    "a message depends on the one before": "messages with role 'tool' must be a response to a preceding message",
    "a choice depends on the tools": "Tool choice '.*' not found in 'tools' parameter",
    "only this server can write it": r"encrypted_content': it cannot be read",
    "the server's settings": r"Invalid 'bytes': \d+ are allowed",
    "the upload's state": r"Upload upload_\w+ is (cancelled|completed)|The parts have (more|fewer|less) than",
}
"""Why, and what the answer says then."""


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether it is a finding."""
    is_refusal = _REJECTED in type(failure).checks
    return not (is_refusal and any(re.search(words, response.text) for words in _REASONS.values()))
