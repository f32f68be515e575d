"""JSON Schemas, what changes may become of one, and JSON values that fit one or nearly do."""

import copy
from collections.abc import Callable
from random import Random
from typing import Any

from jsonschema import Draft202012Validator, validators

TEXTS = ["", "a", "b", "abc", "red", "2026-01-01"]
NAMES = ["a", "b", "kind", "next"]
NUMBERS = [-3, 0, 1, 2, 2.5, 3, 6, 10]
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]
VALUES: list[Any] = [None, True, False, 0, 1, 1.0, 2.5, "a", "red", "", [], [1], {}, {"a": 1}]


def _tag_is_there(validator: Any, tag: Any, instance: Any, schema: Any) -> Any:
    if isinstance(instance, dict) and tag["propertyName"] not in instance:
        yield validators.exceptions.ValidationError("the tag is missing")


Validator = validators.extend(Draft202012Validator, {"discriminator": _tag_is_there})
"""JSON Schema as it is written down, and that a union with a tag needs it, as pydantic does."""


def schema(random: Random) -> dict[str, Any]:
    """A schema with definitions, some of which hold themselves."""
    names = ["Node", "Leaf"][: random.randint(0, 2)]
    defined = {name: _node(random, names, 2) for name in names}
    return {**_object(random, names, 3), "$defs": defined}


def changed(random: Random, before: dict[str, Any]) -> dict[str, Any]:
    """The same schema with a few changes, at any depth."""
    box = {"root": copy.deepcopy(before)}
    for _ in range(random.randint(1, 3)):
        holder, key = random.choice([(box, "root"), *_places(box["root"])])
        change = random.choice(_CHANGES if key != "root" else [_object_turn])
        holder[key] = change(random, holder[key], list(before["$defs"]))
    return box["root"]


def values(random: Random, root: dict[str, Any], count: int) -> list[Any]:
    """JSON values, most of which fit the schema."""
    return [_value(random, root, root, 5) for _ in range(count)]


def _places(root: dict[str, Any]) -> Any:
    """Where a schema is held by another."""
    for keyword, held in list(root.items()):
        if keyword in ("properties", "$defs", "patternProperties"):
            for name in held:
                yield held, name
                yield from _places_in(held[name])
        elif keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
            for n, each in enumerate(held):
                yield held, n
                yield from _places_in(each)
        elif keyword in ("items", "additionalProperties", "not"):
            yield root, keyword
            yield from _places_in(held)


def _places_in(schema: Any) -> Any:
    if isinstance(schema, dict):
        yield from _places(schema)


def _node(random: Random, names: list[str], depth: int) -> Any:
    if depth == 0:
        return random.choice([True, {}, {"type": "integer"}, {"type": "string"}, {"type": "null"}])
    makers: list[Callable[[Random, list[str], int], Any]] = [
        _number, _number, _text, _text, _choice, _object, _object, _array, _union, _union, _tagged, _both, _either,
        lambda *_: random.choice([True, {}, False, {"not": {"type": "null"}}]),
    ]  # fmt: skip
    if names:
        makers += [lambda *_: {"$ref": f"#/$defs/{random.choice(names)}"}] * 3
    made = random.choice(makers)(random, names, depth)
    if isinstance(made, dict) and random.random() < 0.2:
        made = {**made, "description": random.choice(TEXTS)}
    return made


def _some(random: Random, keywords: dict[str, Callable[[], Any]], chance: float = 0.3) -> dict[str, Any]:
    return {keyword: make() for keyword, make in keywords.items() if random.random() < chance}


def _number(random: Random, names: list[str], depth: int) -> Any:
    def limit() -> Any:
        return random.choice(NUMBERS)

    kind = random.choice(["integer", "number"])
    bounds = dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], limit)
    return {"type": kind, **_some(random, {**bounds, "multipleOf": lambda: random.choice([1, 2, 3, 6, 0.5])})}


def _text(random: Random, names: list[str], depth: int) -> Any:
    more = {
        "minLength": lambda: random.randint(0, 3),
        "maxLength": lambda: random.randint(0, 4),
        "pattern": lambda: random.choice(["^a", "b", "^[a-z]*$"]),
        "enum": lambda: random.sample(TEXTS, 3),
    }
    return {"type": "string", **_some(random, more, 0.2)}


def _choice(random: Random, names: list[str], depth: int) -> Any:
    if random.random() < 0.3:
        return {"const": random.choice(VALUES)}
    return {"enum": random.sample(VALUES, random.randint(1, 5))}


def _object(random: Random, names: list[str], depth: int) -> Any:
    properties = {name: _node(random, names, depth - 1) for name in random.sample(NAMES, random.randint(0, 3))}
    made = {"type": "object", "properties": properties}
    if random.random() < 0.7:
        made["additionalProperties"] = False
    more = {
        "additionalProperties": lambda: _node(random, names, depth - 1),
        "patternProperties": lambda: {random.choice(["^a", "b"]): _node(random, names, depth - 1)},
        "minProperties": lambda: random.randint(0, 2),
        "maxProperties": lambda: random.randint(0, 3),
        "propertyNames": lambda: {"maxLength": random.randint(1, 4)},
    }
    required = [name for name in properties if random.random() < 0.5]
    return {**made, **_some(random, more, 0.1), "required": required}


def _array(random: Random, names: list[str], depth: int) -> Any:
    more = {
        "items": lambda: _node(random, names, depth - 1),
        "prefixItems": lambda: [_node(random, names, depth - 1) for _ in range(random.randint(1, 2))],
        "minItems": lambda: random.randint(0, 2),
        "maxItems": lambda: random.randint(0, 3),
        "uniqueItems": lambda: True,
        "contains": lambda: {"type": "integer"},
        "minContains": lambda: random.randint(0, 2),
    }
    return {"type": "array", **_some(random, more, 0.35)}


def _union(random: Random, names: list[str], depth: int) -> Any:
    if random.random() < 0.3:
        return {"type": random.sample(TYPES, random.randint(1, 3)), **_some(random, {"minimum": lambda: 1})}
    choices = [_node(random, names, depth - 1) for _ in range(random.randint(1, 3))]
    return {random.choice(["anyOf", "anyOf", "oneOf"]): choices}


def _tagged(random: Random, names: list[str], depth: int) -> Any:
    def one(tag: str) -> Any:
        made = _object(random, names, depth - 1)
        made["properties"] = {**made["properties"], "kind": {"const": tag}}
        made["required"] = sorted({*made["required"], *random.choice([["kind"], []])})
        return made

    union = {"oneOf": [one(tag) for tag in random.sample(["x", "y", "z"], 2)]}
    return {**union, "discriminator": {"propertyName": "kind"}} if random.random() < 0.5 else union


def _both(random: Random, names: list[str], depth: int) -> Any:
    return {"allOf": [_node(random, names, depth - 1) for _ in range(2)]}


def _either(random: Random, names: list[str], depth: int) -> Any:
    return {"if": {"type": "string"}, "then": {"minLength": random.randint(0, 2)}, **_node_object(random)}


def _node_object(random: Random) -> Any:
    return _some(random, {"else": lambda: {"type": "integer"}, "type": lambda: ["string", "integer"]}, 0.5)


def _replace(random: Random, schema: Any, names: list[str]) -> Any:
    return _node(random, names, 1)


def _widen(random: Random, schema: Any, names: list[str]) -> Any:
    return {"anyOf": [schema, _node(random, names, 1)]}


def _turn(random: Random, schema: Any, names: list[str]) -> Any:
    """Move, drop or add one keyword."""
    if not isinstance(schema, dict) or not schema:
        return schema
    made = dict(schema)
    keyword = random.choice(list(made))
    if random.random() < 0.3:
        del made[keyword]
        return made
    now = made[keyword]
    match keyword:
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            made[keyword] = random.choice([now - 1, now + 1])
        case "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains":
            made[keyword] = max(0, now + random.choice([-1, 1]))
        case "required" | "enum" | "anyOf" | "oneOf" if now:
            made[keyword] = random.choice([now[1:] or now, [*now, *now[:1]], list(reversed(now))])
        case "type":
            made[keyword] = random.choice([random.choice(TYPES), [*(now if isinstance(now, list) else [now]), "null"]])
    return made


def _object_turn(random: Random, schema: Any, names: list[str]) -> Any:
    if not isinstance(schema, dict) or "properties" not in schema:
        return _turn(random, schema, names)
    made = {**schema, "properties": dict(schema["properties"]), "required": list(schema.get("required", ()))}
    name = random.choice(NAMES)
    match random.randint(0, 3):
        case 0:
            made["properties"][name] = _node(random, names, 1)
        case 1:
            made["properties"].pop(name, None)
            made["required"] = [each for each in made["required"] if each != name]
        case 2 if name in made["properties"]:
            made["required"] = sorted({*made["required"], name})
        case _:
            made["required"] = made["required"][1:]
    return made


_CHANGES = [_replace, _widen, _turn, _turn, _turn, _object_turn, _object_turn]


def _value(random: Random, schema: Any, root: Any, depth: int) -> Any:
    if isinstance(schema, bool) or depth == 0 or random.random() < 0.03:
        return random.choice(VALUES)
    if "$ref" in schema:
        return _value(random, root["$defs"][schema["$ref"].rpartition("/")[2]], root, depth - 1)
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return _value(random, random.choice(schema[union]), root, depth - 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return random.choice(schema["enum"])
    kinds = schema.get("type", TYPES)
    match kinds if isinstance(kinds, str) else random.choice(kinds):
        case "null":
            return None
        case "boolean":
            return random.random() < 0.5
        case "integer":
            return random.choice([*range(-4, 12), 2.0])
        case "number":
            return random.choice(NUMBERS)
        case "string":
            return random.choice(TEXTS)
        case "array":
            fixed = schema.get("prefixItems", [])
            fewest, most = schema.get("minItems", 0), min(4, schema.get("maxItems", 4))
            count = random.randint(min(fewest, most), max(fewest, most) + 1)
            return [
                _value(random, fixed[n] if n < len(fixed) else schema.get("items", True), root, depth - 1)
                for n in range(count)
            ]
    properties = schema.get("properties", {})
    needed = {name for name in properties if name in schema.get("required", ()) or random.random() < 0.5}
    others = {name for name in NAMES if random.random() < 0.1}
    more = schema.get("additionalProperties", True)
    return {name: _value(random, properties.get(name, more), root, depth - 1) for name in needed | others}
