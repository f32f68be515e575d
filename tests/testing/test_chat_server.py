"""`ChatServer`: a scripted model behind real HTTP, seen by clients that know nothing of us."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletion

from agentkit.errors import ConfigError
from agentkit.messages import AssistantMessage, ToolCall, Usage
from agentkit.testing.chat_server import ChatServer
from agentkit.testing.reply import Reply

pytestmark = pytest.mark.anyio

HELLO: Any = [{"role": "user", "content": "Hello?"}]
EVERYTHING = AssistantMessage(
    text="Grüße 🎉, ich sehe nach …",
    reasoning="Which of the two?",
    tool_calls=(
        ToolCall(id="call_1", name="units_left", arguments='{"sku": "A-1 ü"}'),
        ToolCall(id="call_2", name="units_left", arguments='{"sku": "B-2"}'),
        ToolCall(id="call_3", name="now", arguments=""),
    ),
)


def units_left(sku: str) -> ToolCall:
    return ToolCall(id="call_units_left", name="units_left", arguments=json.dumps({"sku": sku}))


def sdk(server: ChatServer, **options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=server.base_url, api_key="test", **options)


def http(server: ChatServer) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=server.base_url, headers={"authorization": "Bearer test"}, verify=False)


async def ask(client: httpx2.AsyncClient, **extra: Any) -> httpx2.Response:
    return await client.post("/chat/completions", json={"model": "m", "messages": HELLO, **extra})


async def events(client: httpx2.AsyncClient, **extra: Any) -> AsyncIterator[str]:
    """The `data` of a stream's events, read as the HTML standard says."""
    body = {"model": "m", "messages": HELLO, "stream": True, **extra}
    async with client.stream("POST", "/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line:
                assert line.startswith("data: ")
                yield line.removeprefix("data: ")


async def chunks(client: httpx2.AsyncClient, **extra: Any) -> list[Any]:
    *data, last = [event async for event in events(client, **extra)]
    assert last == "[DONE]"
    return [json.loads(event) for event in data]


def said(completion: ChatCompletion) -> AssistantMessage:
    """A message of the SDK's as one of ours."""
    message = completion.choices[0].message
    return AssistantMessage(
        text=message.content or "",
        reasoning=getattr(message, "reasoning_content", ""),
        refusal=message.refusal,
        tool_calls=tuple(
            ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
            for call in message.tool_calls or ()
            if call.type == "function"
        ),
    )


async def test_a_text_reaches_the_openai_sdk() -> None:
    """The first line of a script is the answer to the first request, in the form OpenAI documents."""
    async with ChatServer(["Three left."]) as server, sdk(server) as client:
        completion = await client.chat.completions.create(model="gpt-5.5", messages=HELLO)
    assert said(completion) == AssistantMessage(text="Three left.")
    assert completion.model == "gpt-5.5"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.id.startswith("chatcmpl-")
    assert completion.usage is not None
    assert completion.usage.prompt_tokens > 0
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


async def test_a_list_of_calls_is_a_turn_of_parallel_calls() -> None:
    """The whole round trip of a tool: the calls go out, their results come in, the text ends it."""
    tools: Any = [{"type": "function", "function": {"name": "units_left", "parameters": {"type": "object"}}}]
    async with ChatServer([[units_left("A-1"), units_left("B-2")], "Done."]) as server, sdk(server) as client:
        first = await client.chat.completions.create(model="m", messages=HELLO, tools=tools)
        calls = first.choices[0].message.tool_calls or []
        results = [{"role": "tool", "tool_call_id": call.id, "content": "3"} for call in calls]
        told = [*HELLO, first.choices[0].message.model_dump(exclude_none=True, exclude={"annotations"}), *results]
        second = await client.chat.completions.create(model="m", messages=told, tools=tools)
    assert first.choices[0].finish_reason == "tool_calls"
    assert [call.arguments for call in said(first).tool_calls] == ['{"sku": "A-1"}', '{"sku": "B-2"}']
    assert said(second).text == "Done."
    assert server.requests[1]["messages"][-1] == {"role": "tool", "tool_call_id": calls[1].id, "content": "3"}


async def test_calls_of_a_list_get_ids_that_are_new_to_the_conversation() -> None:
    """A script may repeat a call; a provider would never repeat its id, nor send one of more than 40 characters."""
    long = ToolCall(id="call_" + "x" * 60, name="f", arguments="{}")
    script = [[units_left("A"), units_left("B")], [units_left("C")], [long, long]]
    async with ChatServer(script, strict=False) as server, sdk(server) as client:
        turns = [said(await client.chat.completions.create(model="m", messages=HELLO))]
        told: Any = [{"role": "assistant", "tool_calls": [{"id": call.id} for call in turns[0].tool_calls]}]
        turns += [said(await client.chat.completions.create(model="m", messages=told)) for _ in range(2)]
    ids = [call.id for turn in turns for call in turn.tool_calls]
    assert ids[:3] == ["call_units_left", "call_units_left_2", "call_units_left_3"]
    assert len(set(ids)) == 5
    assert max(map(len, ids)) <= 40


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # on trio the SDK leaves its generators to the collector
@pytest.mark.parametrize(
    "message",
    [
        AssistantMessage(text="Three left of A-1, and none of B-2."),
        EVERYTHING,
        AssistantMessage(refusal="I will not say that."),
        AssistantMessage(),
    ],
    ids=["text", "everything", "refusal", "empty"],
)
async def test_a_stream_says_the_same_as_a_whole_answer(message: AssistantMessage) -> None:
    """The SDK's own accumulator puts the pieces together to what it gets in one piece."""
    async with ChatServer([message, message]) as server, sdk(server) as client:
        whole = await client.chat.completions.create(model="m", messages=HELLO)
        async with client.chat.completions.stream(model="m", messages=HELLO) as stream:
            seen = [event.type async for event in stream]
            streamed = await stream.get_final_completion()
    assert said(whole) == message
    assert said(streamed) == message
    assert whole.choices[0].finish_reason == streamed.choices[0].finish_reason
    if message is EVERYTHING:
        assert seen.count("content.delta") > 1
        assert seen.count("tool_calls.function.arguments.delta") > 3


async def test_a_stream_comes_in_the_order_that_openai_documents() -> None:
    """Role first, then the text in pieces, then each call opened by its id and written piece by piece."""
    message = AssistantMessage(text="One moment.", tool_calls=(units_left("A-1"), units_left("B-2")))
    async with ChatServer([message]) as server, http(server) as client:
        *rest, last = await chunks(client)
    deltas = [chunk["choices"][0]["delta"] for chunk in rest]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta["content"] or "" for delta in deltas if "content" in delta) == "One moment."
    pieces = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert [piece["index"] for piece in pieces] == sorted(piece["index"] for piece in pieces)
    assert [(piece["index"], piece["function"]["name"]) for piece in pieces if "id" in piece] == [
        (0, "units_left"),
        (1, "units_left"),
    ]
    assert "".join(p["function"]["arguments"] for p in pieces if p["index"] == 1) == '{"sku": "B-2"}'
    assert last["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "tool_calls"}]
    assert len({chunk["id"] for chunk in [*rest, last]}) == 1


async def test_usage_is_streamed_only_when_asked_for() -> None:
    """With `include_usage`, one more event without choices; without, not a word of it."""
    usage = Usage(input_tokens=7, output_tokens=2, cache_read_tokens=4, cache_write_tokens=1, reasoning_tokens=1)
    reply = Reply(message="Hi.", usage=usage)
    async with ChatServer([reply, reply]) as server, http(server) as client:
        silent = await chunks(client)
        *rest, last = await chunks(client, stream_options={"include_usage": True})
    assert not any("usage" in chunk for chunk in silent)
    assert [chunk["usage"] for chunk in rest] == [None] * len(silent)
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }


async def test_usage_can_be_kept_back_and_is_else_the_same_each_time() -> None:
    """Some providers do not say; where nothing is scripted, the same exchange always counts the same."""
    async with ChatServer([Reply(message="Hi.", usage=Usage()), "Hi.", "Hi."]) as server, http(server) as client:
        answers = [(await ask(client)).json() for _ in range(3)]
    assert "usage" not in answers[0]
    assert answers[1]["usage"] == answers[2]["usage"]
    assert answers[1]["id"] != answers[2]["id"]


async def test_a_reply_sets_the_finish_reason() -> None:
    """An answer that was cut at the token limit is scripted by its reason."""
    async with ChatServer([Reply(message="Three", finish_reason="length")]) as server, http(server) as client:
        answer = (await ask(client)).json()
    assert answer["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stream", [False, True])
async def test_the_end_of_the_script_is_a_500_that_says_so(stream: bool) -> None:
    """A test that asks once too often learns it from the error, at once: the SDK is told not to retry."""
    async with ChatServer(["One."]) as server, sdk(server) as client:
        await client.chat.completions.create(model="m", messages=HELLO)
        with pytest.raises(openai.InternalServerError, match="script has 1 replies, and this is request 2"):
            await client.chat.completions.create(model="m", messages=HELLO, stream=stream)
        assert len(server.requests) == 2


async def test_a_function_answers_each_request_by_its_body() -> None:
    """For conversations that run at the same time, where the order of requests is not known."""

    def echo(body: Mapping[str, Any]) -> str:
        return f"You said {body['messages'][-1]['content']}"

    async with ChatServer(echo) as server, http(server) as client:
        answer = await ask(client)
    assert answer.json()["choices"][0]["message"]["content"] == "You said Hello?"
    assert server.requests[0].headers["authorization"] == "Bearer test"
    assert server.requests[0].path == "/v1/chat/completions"


async def test_fifty_clients_are_answered_at_the_same_time() -> None:
    """No answer is given before all fifty requests are there, each on a connection of its own."""
    all_here = anyio.Event()
    answers: dict[int, str] = {}

    async def script(body: Mapping[str, Any]) -> str:
        if len(server.requests) == 50:
            all_here.set()
        await all_here.wait()
        return str(body["messages"][0]["content"])

    async def client(n: int) -> None:
        async with http(server) as connection:
            reply = await ask(connection, messages=[{"role": "user", "content": f"I am {n}"}])
            answers[n] = reply.json()["choices"][0]["message"]["content"]

    with anyio.fail_after(30):
        async with ChatServer(script) as server, anyio.create_task_group() as tasks:
            for n in range(50):
                tasks.start_soon(client, n)
    assert answers == {n: f"I am {n}" for n in range(50)}


async def test_a_script_that_raises_fails_the_test() -> None:
    """An assertion in a script is not lost in the 500 it becomes: leaving the block raises it."""

    def script(body: Mapping[str, Any]) -> str:
        raise AssertionError("the model was asked for 'm'")

    messages = []

    async def use() -> None:
        async with ChatServer(script) as server, http(server) as client:
            messages.append((await ask(client)).json()["error"]["message"])

    with pytest.raises(AssertionError, match="asked for 'm'"):
        await use()
    assert "asked for 'm'" in messages[0]


async def test_azures_address_and_key_are_taken_too() -> None:
    """The SDK's Azure client talks to it; Azure's streams begin with an event that has no choices."""
    async with (
        ChatServer(["Three left.", "Three left."]) as server,
        openai.AsyncAzureOpenAI(azure_endpoint=server.url, api_key="k", api_version="2024-10-21") as client,
        httpx2.AsyncClient(headers={"api-key": "k"}, params={"api-version": "1"}) as bare,
    ):
        completion = await client.chat.completions.create(model="my-gpt", messages=HELLO)
        address = f"{server.url}/openai/deployments/my-gpt/chat/completions"
        streamed = await bare.post(address, json={"messages": HELLO, "stream": True})
    assert said(completion).text == "Three left."
    assert completion.model == "my-gpt"
    assert server.requests[0].path == "/openai/deployments/my-gpt/chat/completions"
    first, second = (json.loads(line[6:]) for line in streamed.text.split("\n\n")[:2])
    assert first["choices"] == []
    assert second["model"] == "my-gpt"


async def test_the_models_are_listed() -> None:
    """Clients that ask for the models first get a list, and no reply of the script is used up."""
    async with ChatServer(["Hi."]) as server, sdk(server) as client:
        assert [model.id async for model in client.models.list()] == ["scripted"]
        assert said(await client.chat.completions.create(model="m", messages=HELLO)).text == "Hi."
        assert len(server.requests) == 1


def test_a_test_that_is_not_async_has_the_server_in_a_thread() -> None:
    """The synchronous SDK and another process talk to it; afterwards nobody listens there."""
    program = "import openai; print(openai.OpenAI().chat.completions.create(model='m', messages=[]).id)"
    with ChatServer.in_thread(["One.", "Two."], strict=False) as server:
        with openai.OpenAI(base_url=server.base_url, api_key="test") as client:
            assert said(client.chat.completions.create(model="m", messages=HELLO)).text == "One."
        environment = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "test"}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stdout.startswith("chatcmpl-"), done.stderr
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(server.base_url)


def test_a_failed_script_fails_a_test_in_a_thread_too() -> None:
    """What leaving the block raises, it also raises across the thread."""

    def script(body: Mapping[str, Any]) -> str:
        raise AssertionError("no")

    with pytest.raises(AssertionError, match="no"), ChatServer.in_thread(script, strict=False) as server:
        httpx2.post(f"{server.base_url}/chat/completions", json={})


@pytest.mark.parametrize("script", ["Hello.", b"Hello.", 3, None, [3], [["a"]], [Reply, "x"], [None]])
def test_a_script_that_is_none_is_refused_at_once(script: Any) -> None:
    """A bare text would be one reply per letter; the mistake is named where it was made."""
    with pytest.raises(ConfigError, match="script"):
        ChatServer(script)


@pytest.mark.parametrize(
    "fields",
    [
        {"status": 100},
        {"status": 600},
        {"error": "no"},
        {"error_code": "no"},
        {"drip": 0},
        {"fault_after": -1},
        {"delay_after": 1},
        {"message": 3},
        {"message": [3]},
    ],
)
def test_a_reply_that_cannot_be_sent_is_refused_at_once(fields: dict[str, Any]) -> None:
    """A reply whose fields contradict each other would test nothing."""
    with pytest.raises(ConfigError):
        Reply(**fields)
