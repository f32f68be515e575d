"""What of a JSON Schema is secret: it is written, and never shown."""

import json
from typing import Any

IS_SECRET = '"writeOnly": true'
"""How the JSON of a schema says so."""


def hide_defaults(schema: dict[str, Any]) -> frozenset[str]:
    """Take away the defaults that show a secret, or a class with one; the names of properties that hold a secret."""
    by_reference = '"$ref"' if IS_SECRET in json.dumps(schema.get("$defs")) else IS_SECRET
    texts = {name: json.dumps(each) for name, each in schema["properties"].items()}
    _hide(schema)
    return frozenset(name for name, text in texts.items() if IS_SECRET in text or by_reference in text)


def _hide(schema: Any) -> None:
    if isinstance(schema, dict) and (
        schema.get("writeOnly") is True or ("default" in schema and '"$ref"' in json.dumps(schema))
    ):
        for shown in ("default", "examples"):
            schema.pop(shown, None)
    if isinstance(schema, dict | list):
        for each in schema.values() if isinstance(schema, dict) else schema:
            _hide(each)
