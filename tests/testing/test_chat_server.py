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
    return httpx2.AsyncClient(base_url=server.base_url, headers={"authorization": "Bearer test"})


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
async def test_an_error_status_is_openais_error(stream: bool) -> None:
    """The SDK raises its own class for it, with the code and the headers that were scripted."""
    reply = Reply(status=429, error="Out of credit.", error_code="insufficient_quota", headers={"Retry-After": "7"})
    async with ChatServer([reply]) as server, sdk(server, max_retries=0) as client:
        with pytest.raises(openai.RateLimitError, match=r"Out of credit\.") as caught:
            await client.chat.completions.create(model="m", messages=HELLO, stream=stream)
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.request_id


async def test_a_raw_body_is_sent_as_it_is() -> None:
    """A proxy's HTML page, half a JSON, an event of another provider: whatever bytes a test needs."""
    page = Reply(status=502, body=b"<h1>Bad gateway</h1>", headers={"Content-Type": "text/html"})
    async with ChatServer([page, Reply(body=b'{"choices": [')]) as server, http(server) as client:
        html, half = await ask(client), await ask(client, stream=True)
    assert (html.status_code, html.headers["content-type"], html.text) == (502, "text/html", "<h1>Bad gateway</h1>")
    assert (half.status_code, half.headers["content-type"], half.text) == (200, "application/json", '{"choices": [')


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

    with pytest.raises(AssertionError, match="asked for 'm'"):
        async with ChatServer(script) as server, http(server) as client:
            answer = await ask(client)
            assert answer.status_code == 500
            assert "asked for 'm'" in answer.json()["error"]["message"]


FAULTS = [
    (Reply(fault="close_before_head"), httpx2.RemoteProtocolError, b""),
    (Reply(fault="reset_before_head"), httpx2.ReadError, b""),
    (Reply(message="A", fault="close"), httpx2.RemoteProtocolError, b""),
    (Reply(message="A", fault="reset"), httpx2.ReadError, b""),
    (Reply(message="A", fault="reset", fault_after=1), httpx2.ReadError, None),
    (Reply(message="A", fault="close", fault_after=3, drip=1), httpx2.RemoteProtocolError, b"dat"),
    (Reply(message="A", fault="close", fault_after=10**6), httpx2.RemoteProtocolError, None),
]


@pytest.mark.parametrize(("reply", "error", "arrived"), FAULTS)
async def test_an_answer_breaks_off_where_the_script_says(
    reply: Reply, error: type[Exception], arrived: bytes | None
) -> None:
    """A real client sees each fault as what it is, and what was sent before it as received."""
    got = bytearray()
    async with ChatServer([reply]) as server, http(server) as client:
        body = {"model": "m", "messages": HELLO, "stream": True}
        with pytest.raises(error):
            async with client.stream("POST", "/chat/completions", json=body) as response:
                async for piece in response.aiter_bytes():
                    got += piece
    if arrived is not None:
        assert bytes(got) == arrived
    else:
        assert got.endswith(b"\n\n")
    assert server.requests[0].hung_up.is_set() is False


async def test_a_body_can_end_early_as_if_it_were_whole() -> None:
    """A proxy that cuts a stream and closes it properly: nothing but the missing `[DONE]` tells."""
    async with ChatServer([Reply(message="Three left.", fault="end", fault_after=2)]) as server, http(server) as client:
        data = [event async for event in events(client)]
    assert [json.loads(event)["choices"][0]["delta"].get("content") for event in data] == ["", "Three le"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_can_drip(stream: bool) -> None:
    """One byte at a time, through the middle of characters, is the same answer."""
    async with ChatServer([Reply(message="Grüße 🎉", drip=1), "Grüße 🎉"]) as server, http(server) as client:
        async with client.stream(
            "POST", "/chat/completions", json={"model": "m", "messages": HELLO, "stream": stream}
        ) as response:
            pieces = [piece async for piece in response.aiter_raw()]
        normal = await ask(client, stream=stream)
    ids = [server_id.encode() for server_id in ("6b86b273ff34fce19d6b804eff5a3", "d4735e3a265e16eee03f59718b9b5")]
    assert {len(piece) for piece in pieces} == {1}
    times = (b"1750000001", b"1750000002")
    assert b"".join(pieces).replace(ids[0], ids[1]).replace(*times) == normal.content


async def test_an_answer_waits_for_an_event() -> None:
    """Before the event the server is silent; after it the client has its answer."""
    event = anyio.Event()
    async with ChatServer([Reply(message="At last.", delay_until=event)]) as server, http(server) as client:
        with pytest.raises(httpx2.ReadTimeout):
            await client.post("/chat/completions", json={"model": "m", "messages": HELLO}, timeout=0.05)
        assert len(server.requests) == 1
    async with ChatServer([Reply(message="At last.", delay_until=event)]) as server, http(server) as client:
        event.set()
        assert (await ask(client)).json()["choices"][0]["message"]["content"] == "At last."


async def test_a_stream_can_stop_and_go_on() -> None:
    """The first pieces are there while the rest is held back: what a test of a live display needs."""
    event = anyio.Event()
    seen = []
    reply = Reply(message="Three left.", delay_until=event, delay_after=2)
    with anyio.fail_after(5):
        async with ChatServer([reply]) as server, http(server) as client:
            async for data in events(client):
                seen.append(data)
                if len(seen) == 2:
                    event.set()
    assert seen[-1] == "[DONE]"


@pytest.mark.parametrize("delay_after", [None, 0, 2])
async def test_a_client_that_goes_away_is_noticed(delay_after: int | None) -> None:
    """A cancelled run must close its request: the test sees that it did, before and within the answer."""
    reply = Reply(message="Three left.", delay_until=anyio.Event(), delay_after=delay_after)
    with anyio.fail_after(5):
        async with ChatServer([reply, "Next."]) as server, http(server) as client:
            async with anyio.create_task_group() as tasks:

                async def watch() -> None:
                    async for _ in events(client):
                        pass

                tasks.start_soon(watch)
                while not server.requests:
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            await server.requests[0].hung_up.wait()
            assert (await ask(client)).status_code == 200
            assert not server.requests[1].hung_up.is_set()


async def test_a_script_is_cancelled_when_its_client_goes_away() -> None:
    """An async script may hold resources: it is not left waiting for nobody."""
    cancelled = anyio.Event()

    async def script(body: Mapping[str, Any]) -> str:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        return "never"

    with anyio.fail_after(5):
        async with ChatServer(script) as server, http(server) as client:
            with pytest.raises(httpx2.ReadTimeout):
                await client.post("/chat/completions", json={"model": "m", "messages": HELLO}, timeout=0.05)
            await cancelled.wait()


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
