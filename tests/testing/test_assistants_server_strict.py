"""What `AssistantsServer` refuses: a request that works here works with the strictest Assistants server."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, get_type_hints

import httpx2
import openai.types.beta as params
import pytest
from assistants_client import FUNCTION, HEADERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit.testing import AssistantsServer
from agentkit.testing.assistants import strict

USER = {"role": "user", "content": "Hello?"}
LONG = "x" * 256_001
HOSTED = [{"type": "code_interpreter"}, {"type": "file_search", "file_search": {"max_num_results": 50}}]

Send = Callable[..., httpx2.Response]


def functions(n: int) -> list[Any]:
    return [{"type": "function", "function": {"name": f"f{i}", "parameters": {"type": "object"}}} for i in range(n)]


def schema(**fields: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}, **fields}}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx2.Client]:
    with (
        AssistantsServer.in_thread(lambda body: "Fine.") as server,
        httpx2.Client(base_url=server.base_url, headers=HEADERS) as http,
    ):
        yield http


@pytest.fixture(scope="module")
def send(client: httpx2.Client) -> Send:
    """Posts a body to `/assistants`, `/threads`, `messages`, `runs`, `/threads/runs` or `outputs` of something new."""
    assistant = client.post("/assistants", json={"model": "m", "tools": [FUNCTION, *HOSTED]}).json()["id"]

    def post(where: str, body: dict[str, Any]) -> httpx2.Response:
        if where == "/assistants":
            return client.post(where, json={"model": "m", **body})
        if where == "/threads/runs":
            return client.post(where, json={"assistant_id": assistant, **body})
        if where == "/threads":
            return client.post(where, json=body)
        thread = client.post("/threads", json={}).json()["id"]
        if where == "messages":
            return client.post(f"/threads/{thread}/messages", json={**USER, **body})
        run = client.post(
            f"/threads/{thread}/runs", json={"assistant_id": assistant, **(body if where == "runs" else {})}
        )
        if where == "runs":
            return run
        return client.post(f"/threads/{thread}/runs/{run.json()['id']}/submit_tool_outputs", json=body)

    return post


TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("/assistants", {"tools": functions(128), "name": "x" * 256, "description": "x" * 512, "instructions": LONG[1:]}),
    ("/assistants", {"tools": [FUNCTION, *HOSTED], "temperature": 2, "top_p": 0.5, "reasoning_effort": "xhigh"}),
    ("/assistants", {"metadata": {"x" * 64: "x" * 512, **{str(n): "" for n in range(15)}}, "response_format": "auto"}),
    ("/assistants", {"response_format": schema(), "name": None, "tools": None}),
    (
        "/assistants",
        {"tool_resources": {"code_interpreter": {"file_ids": []}, "file_search": {"vector_store_ids": []}}},
    ),
    ("/threads", {"messages": [USER, {"role": "assistant", "content": [{"type": "text", "text": "Hi."}]}]}),
    ("/threads", {"metadata": {"a": "b"}, "tool_resources": {}}),
    ("messages", {"content": [{"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}]}),
    ("messages", {"content": LONG[1:], "metadata": {"a": "b"}}),
    ("runs", {"tools": functions(20), "max_prompt_tokens": 256, "max_completion_tokens": 256}),
    ("runs", {"truncation_strategy": {"type": "auto"}, "tool_choice": "required", "parallel_tool_calls": False}),
    ("runs", {"truncation_strategy": {"type": "last_messages", "last_messages": 1}, "additional_messages": []}),
    ("runs", {"tool_choice": {"type": "function", "function": {"name": "units_left"}}}),
    ("runs", {"tool_choice": {"type": "file_search"}, "additional_instructions": "Be quick."}),
    ("runs", {"tools": functions(1), "tool_choice": {"type": "function", "function": {"name": "f0"}}}),
    ("runs", {"additional_messages": [USER] * 32, "model": "n", "instructions": "", "stream": False}),
    ("/threads/runs", {"thread": {"messages": [USER]}, "tool_resources": {"code_interpreter": {}}}),
]

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("/assistants", {"model": None}, "model"),
    ("/assistants", {"model": ""}, "model"),
    ("/assistants", {"nmae": "x"}, "nmae"),
    ("/assistants", {"name": "x" * 257}, "name"),
    ("/assistants", {"description": "x" * 513}, "description"),
    ("/assistants", {"instructions": LONG}, "instructions"),
    ("/assistants", {"tools": functions(129)}, "tools"),
    ("/assistants", {"tools": {}}, "tools"),
    ("/assistants", {"tools": [FUNCTION, FUNCTION]}, "tools[1].function.name"),
    ("/assistants", {"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ("/assistants", {"tools": [{"type": "code_interpreter", "container": {}}]}, "tools[0].container"),
    ("/assistants", {"tools": [{"type": "file_search", "file_search": {"max_num_results": 51}}]},
     "tools[0].file_search.max_num_results"),
    ("/assistants", {"metadata": {str(n): "" for n in range(17)}}, "metadata"),
    ("/assistants", {"metadata": {"x" * 65: ""}}, "metadata key"),
    ("/assistants", {"metadata": {"a": "x" * 513}}, "metadata.a"),
    ("/assistants", {"metadata": {"a": 1}}, "metadata.a"),
    ("/assistants", {"temperature": 2.1}, "temperature"),
    ("/assistants", {"top_p": True}, "top_p"),
    ("/assistants", {"reasoning_effort": "huge"}, "reasoning_effort"),
    ("/assistants", {"response_format": {"type": "xml"}}, "response_format.type"),
    ("/assistants", {"response_format": schema(strict=True)}, "response_format.json_schema.schema"),
    ("/assistants", {"tool_resources": {"file_search": {"vector_store_ids": ["a", "b"]}}},
     "tool_resources.file_search.vector_store_ids"),
    ("/assistants", {"tool_resources": {"code_interpreter": {"file_ids": ["a"] * 21}}},
     "tool_resources.code_interpreter.file_ids"),
    ("/threads", {"messages": [{"role": "system", "content": "x"}]}, "messages[0].role"),
    ("/threads", {"messages": [USER] * 33}, "messages"),
    ("/threads", {"messages": [{**USER, "content": 3}]}, "messages[0].content"),
    ("/threads", {"messages": ["x"]}, "messages[0]"),
    ("messages", {"content": [{"type": "text", "text": {"value": "x"}}]}, "content[0].text"),
    ("messages", {"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]},
     "content[0].image_url.url"),
    ("messages", {"content": LONG}, "content"),
    ("messages", {"attachments": [{"file_id": "file-1"}]}, "attachments[0].tools"),
    ("messages", {"attachments": [{"file_id": "file-1", "tools": [{"type": "x"}]}]}, "attachments[0].tools[0].type"),
    ("runs", {"assistant_id": None}, "assistant_id"),
    ("runs", {"tools": functions(21)}, "tools"),
    ("runs", {"max_completion_tokens": 255}, "max_completion_tokens"),
    ("runs", {"max_prompt_tokens": 1.5}, "max_prompt_tokens"),
    ("runs", {"truncation_strategy": {}}, "truncation_strategy.type"),
    ("runs", {"truncation_strategy": {"type": "last_messages"}}, "truncation_strategy.last_messages"),
    ("runs", {"truncation_strategy": {"type": "auto", "last_messages": 0}}, "truncation_strategy.last_messages"),
    ("runs", {"tool_choice": "any"}, "tool_choice"),
    ("runs", {"tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
    ("runs", {"tools": functions(1), "tool_choice": {"type": "file_search"}}, "tool_choice"),
    ("runs", {"additional_messages": [USER] * 33}, "additional_messages"),
    ("runs", {"stream": "yes"}, "stream"),
    ("runs", {"parallel_tool_calls": 1}, "parallel_tool_calls"),
    ("runs", {"thread": {}}, "thread"),
    ("runs", {"seed": 7}, "seed"),
    ("/threads/runs", {"additional_messages": [USER]}, "additional_messages"),
    ("/threads/runs", {"thread": {"messages": [{**USER, "name": "x"}]}}, "thread.messages[0].name"),
    ("outputs", {}, "tool_outputs"),
    ("outputs", {"tool_outputs": [{"output": "3"}]}, "tool_outputs[0].tool_call_id"),
    ("outputs", {"tool_outputs": [{"tool_call_id": "call_1", "output": 3}]}, "tool_outputs[0].output"),
    ("outputs", {"tool_outputs": [{"tool_call_id": "call_1", "output": None}]}, "tool_outputs[0].output"),
    ("outputs", {"tool_outputs": [], "outputs": []}, "outputs"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "body"), TAKEN)
def test_what_the_api_describes_is_taken(send: Send, where: str, body: dict[str, Any]) -> None:
    """Every limit is reached, and none is passed."""
    response = send(where, body)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(("where", "body", "param"), REFUSED)
def test_what_no_server_could_take_is_refused(send: Send, where: str, body: dict[str, Any], param: str) -> None:
    """The error is in OpenAI's form, and names the parameter."""
    response = send(where, body)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param), error


@pytest.mark.parametrize("content", ["", " \n", [], [{"type": "text", "text": ""}], None])
def test_a_message_says_something(send: Send, content: Any) -> None:
    """OpenAI's words; and no other message of the same request is added."""
    for where, body in (
        ("messages", {"content": content}),
        ("/threads", {"messages": [USER, {**USER, "content": content}]}),
        ("runs", {"additional_messages": [{**USER, "content": content}]}),
    ):
        response = send(where, body)
        assert response.status_code == 400
        assert response.json()["error"]["message"] == "Message content must be non-empty."


def test_the_beta_header_is_needed(client: httpx2.Client) -> None:
    """OpenAI's words, for everything but files and models."""
    for path in ("/assistants", "/threads/thread_x", "/vector_stores"):
        response = client.get(path, headers={"openai-beta": "assistants=v1"})
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_beta")
        assert response.json()["error"]["message"] == (
            "You must provide the 'OpenAI-Beta' header to access the Assistants API. "
            "Please try again by setting the header 'OpenAI-Beta: assistants=v2'."
        )
    assert client.get("/assistants", headers={"openai-beta": "x=v1, assistants=v2"}).status_code == 200
    assert client.get("/models", headers={"openai-beta": ""}).status_code == 200


@pytest.mark.parametrize("key", ["", "Bearer", "Basic eDp5"])
def test_a_key_is_needed(client: httpx2.Client, key: str) -> None:
    """A request from nobody is a 401 in the same form."""
    response = client.get("/assistants", headers={"authorization": key})
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")


def test_a_body_is_a_json_object(client: httpx2.Client) -> None:
    """Anything else is refused; no body at all is an empty one."""
    assert client.post("/threads", content=b"").status_code == 200
    for sent in (b"[]", b"{", b"\xff"):
        assert client.post("/threads", content=sent, headers={"content-type": "application/json"}).status_code == 400
    assert client.post("/threads", content=b"a=b", headers={"content-type": "text/plain"}).status_code == 415
    answer = client.post("/threads", json={}, headers={"idempotency-key": "1"})
    assert answer.status_code == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | st.sampled_from(["", "f", "text", "function", "file_search"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "role", "content", "function", "text", "file_ids", "tools"]), inner)
    ),
    max_leaves=10,
)
WHOLE: dict[str, Any] = {
    "messages": [
        {**USER, "content": [{"type": "text", "text": "x"}], "attachments": [{"file_id": "f", "tools": [{}]}]}
    ],
    "tools": [FUNCTION, *HOSTED],
    "tool_resources": {"code_interpreter": {"file_ids": []}, "file_search": {"vector_stores": [{"file_ids": []}]}},
    "metadata": {"a": "b"},
    "response_format": schema(),
    "truncation_strategy": {"type": "last_messages", "last_messages": 1},
    "tool_choice": {"type": "function", "function": {"name": "units_left"}},
    "tool_outputs": [{"tool_call_id": "x", "output": "y"}],
}
BODIES = {
    "/assistants": ["tools", "tool_resources", "metadata", "response_format"],
    "/threads": ["messages", "tool_resources", "metadata"],
    "messages": ["messages"],
    "runs": ["tools", "truncation_strategy", "tool_choice", "response_format"],
    "/threads/runs": ["tools", "tool_resources", "metadata"],
    "outputs": ["tool_outputs"],
}


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all values inside a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*way, key)
        yield from places(each, (*way, key))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_request_is_too_strange_to_be_judged(send: Send, data: st.DataObject) -> None:
    """Whatever JSON stands in whatever place: taken or refused, never an error of the server's own."""
    where = data.draw(st.sampled_from(["/assistants", "/threads", "messages", "runs", "/threads/runs", "outputs"]))
    body = deepcopy({name: WHOLE[name] for name in BODIES[where]})
    if where == "messages":
        body = body["messages"][0]
    *way, last = data.draw(st.sampled_from(list(places(body))))
    at: Any = body
    for step in way:
        at = at[step]
    at[last] = data.draw(JSON)
    assert send(where, body).status_code in {200, 400, 404}


def test_every_parameter_we_know_is_openais() -> None:
    """The lists of parameters are the SDK's, so that a misspelt one is refused as OpenAI does."""
    described = {
        "/assistants": params.assistant_create_params.AssistantCreateParams,
        "/threads": params.thread_create_params.ThreadCreateParams,
        "messages": params.threads.message_create_params.MessageCreateParams,
        "runs": params.threads.run_create_params.RunCreateParamsStreaming,
        "/threads/runs": params.thread_create_and_run_params.ThreadCreateAndRunParamsStreaming,
    }
    ours = {
        "/assistants": strict._ASSISTANT,
        "/threads": {"messages", "tool_resources", "metadata"},
        "messages": {"role", "content", "attachments", "metadata"},
        "runs": strict._RUN,
        "/threads/runs": strict._RUN_WITH_THREAD - {"reasoning_effort"},
    }
    for where, kind in described.items():
        assert ours[where] <= get_type_hints(kind).keys(), where
        assert get_type_hints(kind).keys() - ours[where] <= {"include"}, where


def names(client: httpx2.Client, query: str) -> tuple[list[str], bool]:
    page = client.get(f"/assistants?{query}").json()
    assert page["object"] == "list"
    ids = [value["id"] for value in page["data"]]
    assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
    return [value["name"] for value in page["data"]], page["has_more"]


def test_a_list_is_read_page_by_page() -> None:
    """All of the same second, and yet in their order; both cursors go both ways, and nothing is seen twice."""
    with AssistantsServer.in_thread([]) as server, httpx2.Client(base_url=server.base_url, headers=HEADERS) as client:
        ids = [client.post("/assistants", json={"model": "m", "name": str(n)}).json()["id"] for n in range(25)]
        assert names(client, "") == ([str(n) for n in range(24, 4, -1)], True)
        assert names(client, "limit=100&order=asc") == ([str(n) for n in range(25)], False)
        assert names(client, f"limit=2&after={ids[2]}") == (["1", "0"], False)
        assert names(client, f"limit=2&after={ids[3]}") == (["2", "1"], True)
        assert names(client, f"order=asc&limit=2&before={ids[5]}") == (["3", "4"], True)
        assert names(client, f"order=asc&limit=2&before={ids[2]}") == (["0", "1"], False)
        assert names(client, f"order=asc&after={ids[2]}&before={ids[5]}") == (["3", "4"], False)
        assert names(client, f"order=asc&limit=1&after={ids[2]}&before={ids[5]}") == (["3"], True)
        assert names(client, f"after={ids[0]}") == ([], False)
        seen, after = [], ""
        while True:
            page = client.get(f"/assistants?limit=7{after}").json()
            seen += [value["id"] for value in page["data"]]
            after = f"&after={page['last_id']}"
            if not page["has_more"]:
                break
        assert seen == ids[::-1]


@pytest.mark.parametrize(
    ("query", "status"),
    [("limit=0", 400), ("limit=101", 400), ("limit=x", 400), ("order=up", 400), ("after=asst_x", 404), ("page=2", 400)],
)
def test_a_list_is_asked_for_as_the_api_describes(client: httpx2.Client, query: str, status: int) -> None:
    """A page that nobody could mean is refused, and so is a cursor that is not there."""
    assert client.get(f"/assistants?{query}").status_code == status
