"""Agents over real HTTP, against a strict server on this machine."""

import json
import logging
import traceback
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import anyio
import openai
import pytest
from chat_kit import KEY, STREAMED, backend
from openai import AsyncAzureOpenAI, AsyncOpenAI

from agentkit import Agent, ConfigError, ModelError, ModelSettings, TextDelta, ToolResult, Usage, tool
from agentkit.errors import (
    AuthFailed,
    BadResponse,
    ConnectionFailed,
    ContextTooLong,
    ModelTimeout,
    QuotaExceeded,
    RateLimited,
    RequestRejected,
    ServerFailed,
    StreamBroken,
)
from agentkit.models import resolve_model
from agentkit.models.chat import ChatBackend
from agentkit.models.retry import Retry
from agentkit.telemetry.recorder import SpanRecorder
from agentkit.testing import ChatServer, Reply, call, no_real_models

pytestmark = pytest.mark.anyio


@tool
def units_left(sku: str) -> int:
    """Count the units of a product in stock."""
    return 3


@STREAMED
async def test_an_agent_runs_over_http(streamed: bool) -> None:
    """Tool calls, parallel ones too, and the answer; streamed or not, the transcript is the same."""
    script = [[call("units_left", sku="A"), call("units_left", sku="B")], "Three of each."]
    async with ChatServer(script) as server:
        agent = Agent(backend(server), instructions="Be brief.", tools=[units_left])
        if streamed:
            async with agent.stream("Any A or B?") as run:
                text = "".join([event.text async for event in run if isinstance(event, TextDelta)])
            result = run.result
            assert text == "Three of each."
        else:
            result = await agent.run("Any A or B?")
    assert result.output == "Three of each."
    assert [m.role for m in result.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert [m.content for m in result.messages if isinstance(m, ToolResult)] == ["3", "3"]
    assert (result.usage.input_tokens or 0) > 0
    assert [bool(body.get("stream")) for body in server.requests] == [streamed, streamed]


async def test_the_base_url_and_the_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`OPENAI_BASE_URL` and `OPENAI_API_KEY`, read when the agent first runs, not when it is made."""
    agent = Agent("chat:some-model")
    async with ChatServer(["Hello."]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert (await agent.run("Hi")).output == "Hello."
    assert server.requests[0]["model"] == "some-model"
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_without_a_key_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is sent."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"set OPENAI_API_KEY or pass api_key=.*local:needle"):
        await Agent("chat:m").run("Hi")


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "localhost:8000/v1",
        "http://h:99999/v1",
        "http://:80",
        "http://u:pw@h:x/v1",
        "u:pw@h/v1",
        "http://[::1/v1",
        "http://[::g]/v1",
        "http://127.0.0.1:1\n/v1",
        "http://h..h/v1",
        "http://\u2603.com/v1",
        "http://" + "h" * 99 + "/v1?key=pw",
    ],
)
async def test_a_base_url_that_is_none_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to write, and without a password in it."""
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(ConfigError, match=r"the base URL .* is not one: write http://HOST:PORT/v1") as caught:
        await Agent("chat:m").run("Hi")
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("end", "what"),
    [("?key=pw", "a query"), ("#pw", "a query or a fragment"), (None, r"a user or a password .* use api_key=")],
)
async def test_a_base_url_with_more_in_it_than_can_be_sent_is_refused(end: str | None, what: str) -> None:
    """Rather than sent without it, or to another address; what may be secret in it is not shown."""
    async with ChatServer(["x"]) as server:
        url = server.base_url + end if end else server.base_url.replace("//", "//u:pw@")
        with pytest.raises(ConfigError, match=what) as caught:
            await Agent(ChatBackend("m", base_url=url, api_key=KEY)).run("Hi")
    assert "pw" not in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize(
    "url", [f"https://u:{KEY}@h/v1?key={KEY}", f"u:{KEY}@h", f"https://h/v1#{KEY}", f"h?u=a@b&k={KEY}"]
)
def test_no_secret_of_a_base_url_is_shown(url: str) -> None:
    """Wherever an agent is printed."""
    model = ChatBackend("m", base_url=url)
    assert KEY not in f"{Agent(model)!r} {model.server!r}"
    assert "***" in repr(model)


async def test_an_empty_base_url_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a variable is set to nothing: the environment counts, and then OpenAI."""
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert ChatBackend("m", base_url="").info.address == "api.openai.com"
    with no_real_models(), pytest.raises(ConfigError, match=r"api\.openai\.com.*forbidden"):
        await Agent(ChatBackend("m", base_url="", api_key="another")).run("Hi")
    async with ChatServer(["Hello."]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        assert (await Agent(ChatBackend("m", base_url="", api_key=KEY)).run("Hi")).output == "Hello."


async def test_a_base_url_without_v1_is_the_first_guess_at_a_404() -> None:
    """The likeliest mistake with a server of one's own: the error shows where it asked."""
    async with ChatServer(["x"]) as server:
        with pytest.raises(RequestRejected, match=r"127\.0\.0\.1:\d+/nowhere/chat/completions; does the base URL end"):
            await Agent(ChatBackend("m", base_url=f"{server.url}/nowhere", api_key=KEY)).run("Hi")


@pytest.mark.parametrize("key", ["sk\u2013abcdef", "sk-abcdef\n"])
async def test_a_key_that_is_none_is_refused_without_being_shown(key: str) -> None:
    """A key with a typographic dash came from a word processor, one with a line's end from a file."""
    with pytest.raises(ConfigError, match="copy it once more") as caught:
        await Agent(ChatBackend("m", base_url="http://127.0.0.1:9/v1", api_key=key)).run("Hi")
    assert "abcdef" not in str(caught.value)


@pytest.mark.parametrize("deployment", [None, "m"])
async def test_an_azure_client_is_accepted(deployment: str | None) -> None:
    """The deployment is in the path, the key in Azure's own header."""
    async with ChatServer(["Hello."]) as server:
        client = AsyncAzureOpenAI(
            azure_endpoint=server.url, azure_deployment=deployment, api_version="2024-10-21", api_key=KEY
        )
        async with client:
            assert (await Agent(ChatBackend("m", client=client)).run("Hi")).output == "Hello."
    [request] = server.requests
    assert request.path == "/openai/deployments/m/chat/completions"
    assert request.headers["api-key"] == KEY


async def test_a_client_of_the_callers_own_is_used_and_left_open() -> None:
    """Its headers go along, and it can be used afterwards."""
    async with ChatServer(["a", "b"]) as server:
        async with AsyncOpenAI(base_url=server.base_url, api_key=KEY, default_headers={"X-Team": "shop"}) as client:
            await Agent(ChatBackend("m", client=client)).run("Hi")
            messages: Any = [{"role": "user", "content": "Hi"}]
            await client.chat.completions.create(model="m", messages=messages)
    assert [request.headers["x-team"] for request in server.requests] == ["shop", "shop"]


async def test_nothing_is_said_about_this_machine() -> None:
    """The headers in which the SDK tells the server about Python and the operating system are not sent."""
    async with ChatServer(["a"]) as server:
        await Agent(backend(server)).run("Hi")
    assert [name for name in server.requests[0].headers if name.startswith("x-stainless")] == []


CASES: list[tuple[Reply, type[ModelError], bool]] = [
    (Reply(status=400, error="no"), RequestRejected, False),
    (Reply(status=400, error="too long", error_code="context_length_exceeded"), ContextTooLong, False),
    (Reply(status=401, error=f"Incorrect API key: {KEY}"), AuthFailed, False),
    (Reply(status=403, error="no"), AuthFailed, False),
    (Reply(status=404, error="no such model"), RequestRejected, False),
    (Reply(status=429, error="slow down", headers={"retry-after": "7"}), RateLimited, True),
    (Reply(status=429, error="pay", error_code="insufficient_quota"), QuotaExceeded, False),
    (Reply(status=500, error="oops"), ServerFailed, True),
    (Reply(status=503, body=b"<html>down</html>"), ServerFailed, True),
    (Reply(body=b"<html>hello</html>", headers={"content-type": "text/html"}), BadResponse, False),
    (Reply(body=b""), BadResponse, False),
]


@pytest.mark.parametrize(("reply", "kind", "retryable"), CASES, ids=[f"{c[0].status}-{c[1].__name__}" for c in CASES])
@STREAMED
async def test_every_failure_is_one_of_our_errors(
    reply: Reply, kind: type[ModelError], retryable: bool, streamed: bool
) -> None:
    """Its class, its status, whether it may be tried again; the key is struck out, wherever it stood."""
    async with ChatServer([reply]) as server:
        agent = Agent(backend(server, retry=Retry(times=0)))
        with pytest.raises(ModelError) as caught:
            if streamed:
                async with agent.stream("Hi") as run:
                    await run.finish()
            else:
                await agent.run("Hi")
    if streamed and reply.body == b"":
        kind, retryable = StreamBroken, True
    assert type(caught.value) is kind
    assert caught.value.retryable is retryable
    assert caught.value.status == reply.status
    assert caught.value.request_id
    assert KEY not in f"{caught.value} {caught.value!r}"
    assert len(server.requests) == 1
    if isinstance(caught.value, RateLimited) and kind is RateLimited:
        assert caught.value.retry_after == 7


SECRET = "sk-canary/0123+456789"


async def fetched() -> str:
    return SECRET


def sdk(server: ChatServer, **more: Any) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=server.base_url, max_retries=0, **more)


def azure(server: ChatServer, **more: Any) -> AsyncOpenAI:
    return AsyncAzureOpenAI(azure_endpoint=server.url, api_version="2024-10-21", max_retries=0, **more)


CLIENTS: dict[str, Callable[[ChatServer], AsyncOpenAI | None]] = {
    "none": lambda _: None,
    "key fetched": lambda server: sdk(server, api_key=fetched),
    "key in a header": lambda server: sdk(server, api_key="-", default_headers={"X-Api-Key": SECRET}),
    "key in the query": lambda server: sdk(server, api_key="-", default_query={"key": SECRET}),
    "azure": lambda server: azure(server, api_key=SECRET),
    "azure token fetched": lambda server: azure(server, azure_ad_token_provider=fetched),
}
ECHOES: dict[str, Reply] = {
    "401": Reply(status=401, error=f"Incorrect API key: {SECRET}"),
    "cut": Reply(status=400, error=f"{'x' * 1985} {SECRET}"),
    "cut by the server": Reply(status=401, error=f"no such key: {SECRET[:-4]}..."),
    "url": Reply(status=401, error=f"/v1?key={quote(SECRET, safe='')}"),
    "base64": Reply(status=401, error=f"Basic {b64encode(SECRET.encode()).decode()}"),
    "page": Reply(status=404, body=f"<p>{SECRET}".encode(), headers={"content-type": "text/html"}),
    "200 error": Reply(body=json.dumps({"error": {"message": f"bad key {SECRET}"}}).encode()),
    "200 page": Reply(body=f"<p>{SECRET}".encode()),
    "200 page, cut": Reply(body=b"x" * 185 + SECRET.encode()),
    "refusal": Reply(body=json.dumps({"choices": [{"message": {"refusal": SECRET}}]}).encode()),
    "stream that ends": Reply(message=f"{SECRET} one two three", fault="end", fault_after=5),
    "stream that breaks": Reply(message=f"{SECRET} one two three", fault="close", fault_after=5),
}


@pytest.mark.parametrize(
    ("echo", "streamed"), [(echo, how) for echo in ECHOES for how in (False, True) if how or "stream" not in echo]
)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_key_that_a_server_echoes_is_in_no_error(client: str, echo: str, streamed: bool) -> None:
    """Nor half of it, nor in the error's fields, its traceback or a span; wherever the key came from."""
    recorder = SpanRecorder()
    async with ChatServer([ECHOES[echo]] * 3, strict=False) as server:
        own = CLIENTS[client](server)
        model = (
            ChatBackend("m", base_url=server.base_url, api_key=SECRET) if own is None else ChatBackend("m", client=own)
        )
        agent = Agent(model, telemetry=recorder.telemetry)
        try:
            with pytest.raises(ModelError) as caught:
                if streamed:
                    async with agent.stream("Hi") as run:
                        await run.finish()
                else:
                    await agent.run("Hi")
        finally:
            if own is not None:
                await own.close()
    shown = [*traceback.format_exception(caught.value), repr(vars(caught.value)), repr(recorder.tree())]
    for form in (SECRET, quote(SECRET, safe=""), b64encode(SECRET.encode()).decode()):
        assert form[:8] not in "".join(shown)


async def test_what_a_connection_failed_of_is_in_the_message() -> None:
    """Although the error has no cause: that one's text is not ours, and may show a key."""
    async with AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key=KEY, max_retries=0) as client:
        with pytest.raises(ConnectionFailed, match=r"attempts|refused") as caught:
            await Agent(ChatBackend("m", client=client)).run("Hi")
    assert caught.value.__cause__ is None


async def test_no_server_is_a_connection_failure() -> None:
    """With the host's name, and without a stranger's exception."""
    settings = ModelSettings(timeout=5)
    client = AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key=KEY, max_retries=0)
    async with client:
        with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1"):
            await Agent(ChatBackend("m", client=client), settings=settings).run("Hi")


@STREAMED
async def test_a_server_that_hangs_is_a_timeout(streamed: bool) -> None:
    """After `ModelSettings.timeout` seconds; also a TimeoutError."""
    async with ChatServer([Reply(message="x", delay_until="never")] * 9) as server:
        async with AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
            agent = Agent(ChatBackend("m", client=client), settings=ModelSettings(timeout=0.1))
            with anyio.fail_after(10), pytest.raises(ModelTimeout) as caught:
                if streamed:
                    async with agent.stream("Hi") as run:
                        await run.finish()
                else:
                    await agent.run("Hi")
    assert isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("fault", ["close", "reset", "end"])
async def test_a_stream_that_is_cut_anywhere_is_an_error_and_never_half_an_answer(fault: Any) -> None:
    """Cut after every piece of a streamed tool call: an error of ours, or the whole answer; no tool runs on half."""
    ran: list[str] = []

    @tool
    def order(sku: str) -> str:
        ran.append(sku)
        return "ordered"

    whole = 0
    for pieces in range(12):
        reply = Reply(message=[call("order", sku="A-1234567890")], fault=fault, fault_after=pieces)
        async with ChatServer([reply, "ok"]) as server:
            async with AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
                try:
                    async with Agent(ChatBackend("m", client=client), tools=[order]).stream("Hi") as run:
                        await run.finish()
                    whole += 1
                except (ConnectionFailed, BadResponse):
                    pass
    assert ran == ["A-1234567890"] * whole
    assert whole > 0


async def test_any_size_of_chunks_gives_the_same_answer() -> None:
    """A stream that drips byte by byte is understood like one that comes at once."""
    for drip in (1, 7, None):
        async with ChatServer([Reply(message="Grüße, 世界 👋", drip=drip)]) as server:
            async with Agent(backend(server)).stream("Hi") as run:
                assert (await run.finish()).output == "Grüße, 世界 👋"


@STREAMED
async def test_cancelling_hangs_up(streamed: bool) -> None:
    """The server notices that nobody waits any more, so nobody pays for the rest."""
    async with ChatServer([Reply(message="x", delay_until="never", delay_after=1 if streamed else None)]) as server:
        agent = Agent(backend(server))
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:

                async def run() -> None:
                    if streamed:
                        async with agent.stream("Hi") as run:
                            await run.finish()
                    else:
                        await agent.run("Hi")

                group.start_soon(run)
                while not server.requests:
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            await server.requests[0].hung_up.wait()


async def test_no_more_requests_are_in_flight_than_allowed() -> None:
    """`concurrency` holds over all agents that share a server."""
    now, most = 0, 0

    async def answer(body: dict[str, Any]) -> str:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await anyio.lowlevel.checkpoint()
        now -= 1
        return "ok"

    async with ChatServer(answer) as server:
        agents = [Agent(backend(server, concurrency=4)) for _ in range(30)]
        async with anyio.create_task_group() as group:
            for agent in agents:
                group.start_soon(agent.run, "Hi")
    assert len(server.requests) == 30
    assert 1 <= most <= 4


async def test_a_model_asked_for_within_a_tool_does_not_wait_for_itself() -> None:
    """A sub-agent on the same server works at a concurrency of one."""
    async with ChatServer([[call("ask")], "inner", "outer"]) as server:
        inner = Agent(backend(server, concurrency=1))

        @tool
        async def ask() -> str:
            return (await inner.run("Hi")).output

        with anyio.fail_after(10):
            result = await Agent(backend(server, concurrency=1), tools=[ask]).run("Hi")
    assert result.output == "outer"


async def test_usage_that_is_not_told_stays_unknown() -> None:
    """Unknown is not zero."""
    async with ChatServer([Reply(message="x", usage=Usage())]) as server:
        assert (await Agent(backend(server)).run("Hi")).usage == Usage()


async def test_real_models_can_be_forbidden() -> None:
    """In a test suite, what would leave the machine is refused before it does."""
    with no_real_models(), pytest.raises(ConfigError, match=r"api\.openai\.com.*forbidden"):
        await Agent(ChatBackend("m", base_url="https://api.openai.com/v1", api_key=KEY)).run("Hi")


async def test_the_key_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Not at DEBUG either, ours or the libraries'."""
    caplog.set_level(logging.DEBUG)
    async with ChatServer([Reply(status=401, error=f"bad key {KEY}"), "x"]) as server:
        agent = Agent(backend(server))
        with pytest.raises(AuthFailed):
            await agent.run("Hi")
        await agent.run("Hi")
        assert KEY not in repr(agent)
    assert KEY not in caplog.text


@pytest.mark.parametrize("bad", ["gpt-5.5", "chatt:m", "chat:", ":m", "chat", ""])
def test_a_model_string_that_is_none_is_named_with_what_to_write(bad: str) -> None:
    """The wires there are, or the missing name."""
    with pytest.raises(ConfigError, match=r'write "wire:model"|name is missing'):
        resolve_model(bad)


@pytest.mark.parametrize(
    ("base_url", "provider", "address", "port"),
    [
        (None, "openai", "api.openai.com", 443),
        ("https://shop.openai.azure.com/openai", "azure.ai.openai", "shop.openai.azure.com", 443),
        ("https://api.groq.com/openai/v1", "groq", "api.groq.com", 443),
        ("http://localhost:8000/v1", "openai", "localhost", 8000),
        ("https://notx.ai.example.com/v1", "openai", "notx.ai.example.com", 443),
    ],
)
def test_who_answers_is_known_before_the_first_request(
    base_url: str | None, provider: str, address: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For traces, from the address alone."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    info = ChatBackend("m", base_url=base_url, api_key="k").info
    assert (info.provider, info.address, info.port, info.model) == (provider, address, port, "m")


async def test_the_openai_sdks_own_types_read_what_we_send() -> None:
    """An independent reader: what is sent is what the SDK's typed request would be."""
    async with ChatServer([[call("units_left", sku="A")], "x", "y"]) as server:
        await Agent(backend(server), tools=[units_left]).run("Hi")
        ours = json.loads(json.dumps(server.requests[1]))
        async with AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
            await client.chat.completions.create(**ours)
        assert dict(server.requests[2]) == ours
    assert isinstance(openai.__version__, str)
