"""What `ChatServer` refuses: a request that works here works with the strictest provider."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, get_type_hints

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import completion_create_params

from agentkit.testing import strict
from agentkit.testing.chat_server import ChatServer
from agentkit.testing.refusal import Refusal

USER = {"role": "user", "content": "Hello?"}
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
ASKED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "3"}
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}

Post = Callable[..., httpx2.Response]


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": SCHEMA, **function}}


def strict_tool(**schema: Any) -> dict[str, Any]:
    return {"tools": [tool(strict=True, parameters={**SCHEMA, **schema})]}


def strict_property(**schema: Any) -> dict[str, Any]:
    return strict_tool(properties={"x": schema})


def nested(levels: int) -> dict[str, Any]:
    schema = SCHEMA
    for _ in range(levels - 1):
        schema = {**SCHEMA, "properties": {"x": schema}}
    return schema


def many(count: int) -> dict[str, Any]:
    properties = {f"p{n}": {"type": "string"} for n in range(count)}
    return strict_tool(properties=properties, required=list(properties))


def calling(**fields: Any) -> dict[str, Any]:
    return {"messages": [USER, {**ASKED, "tool_calls": [{**CALL, **fields}]}, RESULT]}


def calling_function(**fields: Any) -> dict[str, Any]:
    return calling(function={**CALL["function"], **fields})


def answer_format(**fields: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, **fields}}}


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    with (
        ChatServer.in_thread(lambda body: "Fine.") as server,
        httpx2.Client(base_url=server.base_url, headers={"authorization": "Bearer k"}) as client,
    ):

        def send(extra: Any = None, **options: Any) -> httpx2.Response:
            body = {"model": "m", "messages": [USER], **(extra or {})}
            options = options if options.keys() & {"content", "data"} else {"json": body, **options}
            return client.post("/chat/completions", **options)

        yield send


TAKEN: list[Any] = [
    {},
    {"messages": [{"role": "developer", "content": "Be brief."}, USER, ASKED, RESULT, USER]},
    {"messages": [USER, {**ASKED, "content": ""}, RESULT, {"role": "assistant", "content": "3"}, USER]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64"}}]}]},
    {"messages": [USER, {"role": "assistant", "content": None, "refusal": "No."}, USER]},
    {"messages": [USER, {**ASKED, "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
                  {**RESULT, "tool_call_id": "call_2"}, RESULT]},
    {"tools": [tool()], "tool_choice": "required", "parallel_tool_calls": True},
    {"tools": [tool()], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    {"tools": [{"type": "function", "function": {"name": "f"}}]},
    {"tools": [tool(parameters={"type": "object", "properties": {"default": {"type": "array", "items": {}}}})]},
    {"tools": [tool(parameters={"type": "object", "properties": {"d": {"type": "object", "default": {}}}})]},
    strict_tool(),
    strict_tool(properties={"x": {"anyOf": [{"$ref": "#/$defs/D"}, {"type": "null"}]}}, **{"$defs": {"D": SCHEMA}}),
    strict_tool(properties={"default": {"type": "string"}}, required=["default"]),
    strict_property(type=["string", "null"], description="d", title="t", pattern="^a", minLength=1, format="uuid"),
    strict_property(type="number", minimum=0, exclusiveMaximum=1, multipleOf=0.1),
    strict_property(type="array", items={"type": "string", "enum": ["a"]}, minItems=1, maxItems=2),
    strict_property(anyOf=[{"$ref": "#"}, {"type": "string", "const": "a"}]),
    strict_property(type="integer", enum=list(range(1000))),
    strict_tool(**nested(10)),
    many(5000),
    {"stream": True, "stream_options": {"include_usage": True}},
    {"temperature": 0, "top_p": 1.0, "max_tokens": 1, "stop": ["\n"], "seed": 7, "n": 1},
    {"temperature": None, "tools": None, "stream": None},
    {"response_format": {"type": "json_object"}},
    answer_format(strict=True),
]  # fmt: skip


@pytest.mark.parametrize("extra", TAKEN)
def test_a_sound_request_is_taken(post: Post, extra: Any) -> None:
    """What OpenAI documents goes through; a test double that refuses it would be worthless."""
    response = post(extra)
    assert response.status_code == 200, response.text


NO_ARGUMENTS: list[Any] = ["", "{", "[]", "null", "{'a': 1}", '{"a": NaN}', '{"a": 1} {}', '{"a": "\\ud800"}', {}, None]
REFUSED: list[tuple[Any, str]] = [
    ({"model": None}, "model"),
    ({"model": ""}, "model"),
    ({"messages": []}, "messages"),
    ({"messages": None}, "messages"),
    ({"messages": "Hello?"}, "messages"),
    ({"messages": ["Hello?"]}, "messages[0]"),
    ({"messages": [{"role": "robot", "content": "Hi."}]}, "messages[0].role"),
    ({"messages": [{"content": "Hi."}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "sound"}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "system", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}]}]},
     "messages[0].content[0].image_url.url"),
    ({"messages": [{**USER, "name": "Åsa"}]}, "messages[0].name"),
    ({"messages": [{**USER, "is_error": False}]}, "messages[0].is_error"),
    ({"messages": [USER, {"role": "assistant", "content": None}]}, "messages[1].content"),
    ({"messages": [USER, {"role": "assistant"}]}, "messages[1].content"),
    ({"messages": [USER, {"role": "assistant", "content": "A.", "tool_calls": []}]}, "messages[1].tool_calls"),
    ({"messages": [USER, {"role": "assistant", "content": "A.", "reasoning_content": "?"}]},
     "messages[1].reasoning_content"),
    ({"messages": [USER, ASKED]}, "messages"),
    ({"messages": [USER, ASKED, USER]}, "messages[2]"),
    ({"messages": [USER, ASKED, USER, RESULT]}, "messages[2]"),
    ({"messages": [USER, {**ASKED, "tool_calls": [CALL, {**CALL, "id": "call_2"}]}, RESULT, USER]}, "messages[3]"),
    ({"messages": [USER, RESULT]}, "messages[1].tool_call_id"),
    ({"messages": [RESULT]}, "messages[0].tool_call_id"),
    ({"messages": [USER, ASKED, RESULT, RESULT]}, "messages[3].tool_call_id"),
    ({"messages": [USER, ASKED, {**RESULT, "tool_call_id": "call_9"}]}, "messages[2].tool_call_id"),
    ({"messages": [USER, ASKED, {"role": "tool", "content": "3"}]}, "messages[2].tool_call_id"),
    ({"messages": [USER, ASKED, {**RESULT, "content": None}]}, "messages[2].content"),
    ({"messages": [USER, ASKED, {**RESULT, "name": "f"}]}, "messages[2].name"),
    ({"messages": [USER, {**ASKED, "tool_calls": [CALL, CALL]}, RESULT]}, "messages[1].tool_calls[1].id"),
    ({"messages": [USER, ASKED, RESULT, ASKED, RESULT]}, "messages[3].tool_calls[0].id"),
    (calling(id=""), "messages[1].tool_calls[0].id"),
    (calling(id=None), "messages[1].tool_calls[0].id"),
    (calling(id="x" * 41), "messages[1].tool_calls[0].id"),
    (calling(type=None), "messages[1].tool_calls[0].type"),
    (calling(index=0), "messages[1].tool_calls[0].index"),
    (calling(function=None), "messages[1].tool_calls[0].function"),
    *[(calling_function(name=name), "messages[1].tool_calls[0].function.name")
      for name in ("", "a b", "a.b", "é", "x" * 65, "f\n", None)],
    *[(calling_function(arguments=text), "messages[1].tool_calls[0].function.arguments")
      for text in NO_ARGUMENTS],
    ({"tools": []}, "tools"),
    ({"tools": {}}, "tools"),
    ({"tools": [tool()] * 129}, "tools"),
    ({"tools": [{"type": "retrieval"}]}, "tools[0].type"),
    ({"tools": [{"type": "function", "name": "f"}]}, "tools[0].name"),
    ({"tools": [tool(), tool()]}, "tools[1].function.name"),
    ({"tools": [tool(name="a.b")]}, "tools[0].function.name"),
    ({"tools": [tool(name="")]}, "tools[0].function.name"),
    ({"tools": [tool(description=None)]}, "tools[0].function.description"),
    ({"tools": [tool(description="x" * 1025)]}, "tools[0].function.description"),
    ({"tools": [tool(timeout=3)]}, "tools[0].function.timeout"),
    ({"tools": [tool(parameters=None)]}, "tools[0].function.parameters"),
    ({"tools": [tool(parameters={})]}, "tools[0].function.parameters"),
    ({"tools": [tool(parameters={"type": "string"})]}, "tools[0].function.parameters"),
    ({"tools": [tool(parameters={**SCHEMA, "required": ["y"]})]}, "tools[0].function.parameters.required"),
    ({"tools": [tool(parameters={"type": "object", "properties": {"x": {"type": "array"}}})]},
     "tools[0].function.parameters.properties.x"),
    (strict_tool(additionalProperties=True), "tools[0].function.parameters"),
    (strict_tool(required=[]), "tools[0].function.parameters"),
    (strict_tool(properties={"x": {}}), "tools[0].function.parameters.properties.x"),
    (strict_tool(properties={"x": {"type": "string", "default": "a"}}), "tools[0].function.parameters.properties.x"),
    (strict_tool(properties={"x": {"oneOf": [{"type": "string"}]}}), "tools[0].function.parameters.properties.x"),
    (strict_tool(properties={"x": {"$ref": "#/$defs/D", "description": "d"}}),
     "tools[0].function.parameters.properties.x"),
    (strict_tool(properties={"x": {"anyOf": [{"type": "array", "items": {"type": "object"}}]}}),
     "tools[0].function.parameters.properties.x.anyOf[0].items"),
    (strict_tool(**{"$defs": {"D": {"type": "object"}}}), "tools[0].function.parameters.$defs.D"),
    *[(strict_property(**schema), "tools[0].function.parameters.properties.x") for schema in (
        {"enum": ["a"]}, {"const": "a"}, {"type": "text"}, {"type": "string", "format": "uri"},
        {"type": "string", "pattern": "^(?!a)"}, {"type": "string", "examples": ["a"]},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        {"type": "array", "prefixItems": [{"type": "string"}]}, {"type": "array"},
        {"type": "object", "additionalProperties": {"type": "string"}}, {"not": {"type": "string"}},
        {"allOf": [{"type": "string"}]}, {"$ref": "#/$defs/D"}, {"$ref": "https://example.com"})],
    (strict_property(type="array", items=True), "tools[0].function.parameters.properties.x.items"),
    (strict_property(type="integer", enum=list(range(1001))), "tools[0].function.parameters"),
    (strict_property(type="string", enum=["x" * 60 + str(n) for n in range(251)]),
     "tools[0].function.parameters.properties.x.enum"),
    (strict_property(type="string", const="x" * 120_000), "tools[0].function.parameters"),
    (strict_tool(**nested(11)), "tools[0].function.parameters" + ".properties.x" * 10),
    (strict_tool(anyOf=[SCHEMA]), "tools[0].function.parameters"),
    (many(5001), "tools[0].function.parameters"),
    ({"tool_choice": "auto"}, "tool_choice"),
    ({"parallel_tool_calls": False}, "parallel_tool_calls"),
    ({"tools": [tool()], "tool_choice": "any"}, "tool_choice"),
    ({"tools": [tool()], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": True, "stream_options": {"usage": True}}, "stream_options.usage"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": "0"}, "temperature"),
    ({"top_p": -1}, "top_p"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
    ({"n": 2}, "n"),
    ({"stop": []}, "stop"),
    ({"stop": ["a"] * 5}, "stop"),
    ({"stop": [3]}, "stop[0]"),
    ({"top_k": 3}, "top_k"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    (answer_format(name="an answer"), "response_format.json_schema.name"),
    (answer_format(schema={"type": "array", "items": {}}), "response_format.json_schema.schema"),
    (answer_format(schema={"type": "object"}, strict=True), "response_format.json_schema.schema"),
]  # fmt: skip


@pytest.mark.parametrize(("extra", "param"), REFUSED)
def test_a_request_that_some_provider_refuses_is_refused(post: Post, extra: Any, param: str) -> None:
    """A 400 in OpenAI's form, which names the place in the request that is at fault."""
    response = post(extra)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["type"]) == (400, param, "invalid_request_error"), error


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"a": NaN}', b'{"a": "\xff"}', b'{"a": "\\ud800"}', b"[" * 10_000, b'{"a": 1}}'],
)
def test_a_body_that_is_no_json_object_is_refused(post: Post, content: bytes) -> None:
    """Whatever a client sends instead of JSON, it is told so, and the server lives on."""
    response = post(content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert "JSON" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"headers": {"authorization": ""}}, 401, "invalid_api_key"),
        ({"headers": {"authorization": "Bearer"}}, 401, "invalid_api_key"),
        ({"headers": {"authorization": "Basic k"}}, 401, "invalid_api_key"),
        ({"headers": {"content-type": "text/plain"}}, 415, None),
        ({"data": {"model": "m"}}, 415, None),
    ],
)
def test_a_request_from_a_stranger_is_refused(post: Post, options: Any, status: int, code: str | None) -> None:
    """The key and the content type are part of the contract: without them no provider answers."""
    response = post(**options)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/responses", 404),
        ("POST", "/chat/completions", 404),
        ("POST", "/openai/deployments/m/chat/completions", 404),
    ],
)
def test_a_wrong_address_is_an_error_that_names_it(method: str, path: str, status: int) -> None:
    """A base URL without its `/v1`, or Azure's without its version, is found out at the first request."""
    with ChatServer.in_thread(["Fine."]) as server:
        response = httpx2.request(method, server.url + path, headers={"authorization": "Bearer k"}, json={})
    assert response.status_code == status
    assert path in response.json()["error"]["message"] or "api-version" in response.json()["error"]["message"]


def test_a_refused_request_uses_up_no_reply() -> None:
    """The script goes on where it was; the refused request can be looked at."""
    headers = {"authorization": "Bearer k"}
    with ChatServer.in_thread(["One."]) as server, httpx2.Client(base_url=server.base_url, headers=headers) as client:
        assert client.post("/chat/completions", json={"model": "m", "messages": []}).status_code == 400
        answer = client.post("/chat/completions", json={"model": "m", "messages": [USER]})
    assert answer.json()["choices"][0]["message"]["content"] == "One."
    assert [request["messages"] for request in server.requests] == [[], [USER]]


def test_a_lenient_server_takes_anything_from_anyone() -> None:
    """`strict=False` is a local runtime: no key, no rules, one answer each."""
    bodies: list[Any] = [{}, {"messages": 3, "stream_options": 4}, {"messages": [RESULT], "stream": True, "n": {}}]
    with ChatServer.in_thread(["One."] * 3, strict=False) as server:
        answers = [httpx2.post(f"{server.base_url}/chat/completions", json=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [200, 200, 200]


def test_every_parameter_we_know_is_openais() -> None:
    """The list of parameters is the SDK's, so that a misspelt one is refused as OpenAI does."""
    documented = get_type_hints(completion_create_params.CompletionCreateParamsStreaming)
    assert documented.keys() >= strict._PARAMETERS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "f", "function", "object", "array", "tool"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "function", "properties", "anyOf", "items"]), inner
        )
    ),
    max_leaves=12,
)
PLACES = [
    *sorted(strict._PARAMETERS),
    "messages.0", "messages.1.tool_calls", "messages.1.tool_calls.0", "messages.1.tool_calls.0.function",
    "tools.0", "tools.0.function", "tools.0.function.parameters", "tools.0.function.parameters.properties.x",
    "response_format.json_schema", "response_format.json_schema.schema",
]  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(place=st.sampled_from(PLACES), value=JSON)
def test_no_request_is_too_strange_to_be_judged(place: str, value: Any) -> None:
    """Whatever JSON stands in whatever place: taken or refused, never an error of the server's own."""
    body: dict[str, Any] = {
        "model": "m",
        "messages": [dict(USER), {**ASKED, "tool_calls": [{**CALL, "function": {**CALL["function"]}}]}, dict(RESULT)],
        "tools": [tool(strict=True, parameters={**SCHEMA, "properties": {"x": {}}})],
        **answer_format(strict=True),
    }
    *way, last = place.split(".")
    at: Any = body
    for step in way:
        at = at[int(step) if step.isdigit() else step]
    at[int(last) if last.isdigit() else last] = value
    with suppress(Refusal):
        strict.check(body)
