"""Any signature at all: what its schema allows reaches the function as what it should be, and nothing else does."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter
from signatures import Case, kinds, same, signatures

from agentkit.errors import InvalidArguments
from agentkit.schema import FunctionSchema, describe

TEXT = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
PATIENT = [
    HealthCheck.too_slow,
    HealthCheck.filter_too_much,
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
]


def described(case: Case) -> FunctionSchema:
    """The schema, which is checked to be a right one."""
    schema = describe(case.function, name="f")
    parameters = dict(schema.parameters)
    Draft202012Validator.check_schema(parameters)
    json.dumps(parameters, allow_nan=False)
    assert set(_references(parameters)) <= {f"#/$defs/{name}" for name in parameters.get("$defs", {})}
    assert list(parameters["properties"]) == list(case.kinds)
    assert parameters["required"] == [name for name in case.kinds if name not in case.defaults]
    assert parameters["additionalProperties"] is False
    return schema


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for each in schema.values():
            yield from _references(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _references(each)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(TEXT),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(TEXT, max_size=3), inner, max_size=2),
    max_leaves=3,
)


def valid(schema: Any, definitions: Any) -> st.SearchStrategy[Any]:
    """Values that a JSON Schema takes, if it is written with the words that ours have."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return st.deferred(lambda: valid(definitions[name], definitions))
    if choices := schema.get("anyOf", schema.get("oneOf")):
        return st.one_of([valid(each, definitions) for each in choices])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    return _BY_TYPE.get(schema.get("type"), lambda *_: JSON)(schema, definitions)


def _numbers(schema: Any, _: Any) -> st.SearchStrategy[Any]:
    least, most = schema.get("minimum"), schema.get("maximum")
    if schema["type"] == "integer":
        step = schema.get("multipleOf", 1)
        return st.integers(least, most).map(lambda n: n * step)
    least, most = schema.get("exclusiveMinimum", least), schema.get("exclusiveMaximum", most)
    open_ends = {"exclude_min": "exclusiveMinimum" in schema, "exclude_max": "exclusiveMaximum" in schema}
    return st.floats(least, most, allow_nan=False, allow_infinity=False, **open_ends)


def _texts(schema: Any, _: Any) -> st.SearchStrategy[Any]:
    return st.text(TEXT, min_size=schema.get("minLength", 0), max_size=schema.get("maxLength", 9))


def _arrays(schema: Any, definitions: Any) -> st.SearchStrategy[Any]:
    if first := schema.get("prefixItems"):
        return st.tuples(*(valid(each, definitions) for each in first)).map(list)
    least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
    items = st.deferred(lambda: valid(schema.get("items", {}), definitions))
    unique = {"unique_by": json.dumps} if schema.get("uniqueItems") else {}
    return st.lists(items, min_size=least, max_size=most, **unique)


def _objects(schema: Any, definitions: Any) -> st.SearchStrategy[Any]:
    if "properties" not in schema:
        values = schema.get("additionalProperties", True)
        values = JSON if values is True else valid(values, definitions)
        keys = st.integers().map(str) if "propertyNames" in schema else st.text(TEXT, max_size=3)
        return st.dictionaries(keys, values, max_size=2)
    known = {name: valid(each, definitions) for name, each in schema["properties"].items()}
    needed = schema.get("required", ())
    return st.fixed_dictionaries(
        {name: each for name, each in known.items() if name in needed},
        optional={name: each for name, each in known.items() if name not in needed},
    )


_BY_TYPE: dict[Any, Any] = {
    "integer": _numbers,
    "number": _numbers,
    "string": _texts,
    "array": _arrays,
    "object": _objects,
    "boolean": lambda *_: st.booleans(),
    "null": lambda *_: st.none(),
}


def fits_and_arrives(data: st.DataObject) -> None:
    """What fits by the strategy fits by the schema, and arrives as the strategy says."""
    case = data.draw(signatures())
    schema = described(case)
    sent = data.draw(case.sent)
    takes_twice = json.dumps(schema.parameters).replace('"uniqueItems": true', '"uniqueItems": false')  # so does a set
    Draft202012Validator(json.loads(takes_twice)).validate(sent)
    text = json.dumps(sent, ensure_ascii=data.draw(st.booleans()))
    args, kwargs = schema.bind(text, None)
    assert same(case.received(args, kwargs), case.expected(sent))


def does_not_fit(data: st.DataObject) -> None:
    """What does not fit is refused, and the message names the place."""
    case = data.draw(signatures().filter(lambda case: any(not kind.unfit.is_empty for kind in case.kinds.values())))
    schema = described(case)
    name = data.draw(st.sampled_from([name for name, kind in case.kinds.items() if not kind.unfit.is_empty]))
    wrong = data.draw(case.kinds[name].unfit)
    assume(wrong is not None or name not in case.defaults)  # null says that it is left out
    sent = {**data.draw(case.sent), name: wrong}
    with pytest.raises(InvalidArguments) as caught:
        schema.bind(json.dumps(sent), None)
    assert re.search(rf"^- {re.escape(name)}(?:[.\[].*)?: ", str(caught.value), re.MULTILINE), str(caught.value)


def is_published_and_accepted(data: st.DataObject) -> None:
    """Whatever fits by the published schema alone is accepted, and what arrives is of the annotated types."""
    case = data.draw(signatures(kinds(depth=2)))
    schema = described(case)
    assume(not re.search('"format"|"pattern": .\\^[^-]|"number"}, {"type": "string"', json.dumps(schema.parameters)))
    sent = data.draw(valid(schema.parameters, schema.parameters.get("$defs", {})))
    Draft202012Validator(dict(schema.parameters)).validate(sent)
    args, kwargs = schema.bind(json.dumps(sent), None)
    received = case.received(args, kwargs)
    for name in [name for name in sent if not (sent[name] is None and case.defaults.get(name, ...) is None)]:
        TypeAdapter(case.kinds[name].annotation).validate_python(received[name], strict=True)


def other_names_are_refused(data: st.DataObject) -> None:
    """An argument that the function does not have is not dropped silently; one that it must have is asked for."""
    case = data.draw(signatures())
    schema, sent = described(case), data.draw(case.sent)
    with pytest.raises(InvalidArguments, match=r"- no_such: there is no such argument"):
        schema.bind(json.dumps({**sent, "no_such": 1}), None)
    if required := schema.parameters["required"]:
        left_out = data.draw(st.sampled_from(required))
        with pytest.raises(InvalidArguments, match=rf"- {left_out}: is missing"):
            schema.bind(json.dumps({name: each for name, each in sent.items() if name != left_out}), None)


PROPERTIES = [fits_and_arrives, does_not_fit, is_published_and_accepted, other_names_are_refused]


@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
def test_it_holds_for_a_sample_of_signatures(holds: Any) -> None:
    """Each in its own words above."""
    settings(deadline=None, max_examples=25, suppress_health_check=PATIENT)(given(st.data())(holds))()


@pytest.mark.sweep
@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
def test_it_holds_for_many_signatures(holds: Any) -> None:
    """The same, for much longer."""
    settings(deadline=None, max_examples=800, suppress_health_check=PATIENT)(given(st.data())(holds))()
