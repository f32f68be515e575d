"""Keys are in no log, no error and no repr, at no level, and in no spelling: ours and the libraries' own lines."""

import json
import logging
import traceback
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI

from agentkit import Agent, ModelError
from agentkit.models.chat import ChatBackend
from agentkit.models.retry import Retry
from agentkit.telemetry.recorder import SpanRecorder
from agentkit.testing import ChatServer, Reply

pytestmark = pytest.mark.anyio

SECRET = 'sk-can"ary/0123+456789&='
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda key: key,
    "base64": lambda key: b64encode(key.encode()).decode(),
    "URL": lambda key: quote(key, safe=""),
    "JSON": lambda key: json.dumps(key)[1:-1],
}


async def fetched() -> str:
    return SECRET


def url_with_user(url: str) -> str:
    return url.replace("//", f"//user:{quote(SECRET, safe='')}@")


CLIENTS: dict[str, Callable[[ChatServer], AsyncOpenAI | None]] = {
    "none": lambda _: None,
    "key fetched": lambda server: AsyncOpenAI(base_url=server.base_url, api_key=fetched),
    "key in a header": lambda server: AsyncOpenAI(
        base_url=server.base_url, api_key="-", default_headers={"X-Api-Key": SECRET}
    ),
    "key in the query": lambda server: AsyncOpenAI(
        base_url=server.base_url, api_key="-", default_query={"key": SECRET}
    ),
    "password in the URL": lambda server: AsyncOpenAI(base_url=url_with_user(server.base_url), api_key="-"),
    "azure": lambda server: AsyncAzureOpenAI(azure_endpoint=server.url, api_version="2024-10-21", api_key=SECRET),
    "azure token": lambda server: AsyncAzureOpenAI(
        azure_endpoint=server.url, api_version="2024-10-21", azure_ad_token_provider=fetched
    ),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_key_is_shown_nowhere(client: str, spelling: str, caplog: pytest.LogCaptureFixture) -> None:
    """A server echoes it in headers and bodies, errors are raised and retried, and all loggers are at DEBUG."""
    caplog.set_level(logging.DEBUG)
    recorder = SpanRecorder()
    told = SPELLINGS[spelling](SECRET)
    headers = {"x-echo-key": told, "set-cookie": f"key={told}"}
    replies = [
        Reply(status=503, error=f"busy, {told}", headers=headers),
        Reply(status=401, error=f"bad key {told}", headers=headers),
        Reply(body=f"<p>{told}".encode(), headers=headers),
        Reply(message=f"{told} one two three", fault="close", fault_after=9, headers=headers),
        Reply(message="x", headers=headers),
    ]
    shown: list[str] = []
    async with ChatServer(replies, strict=False) as server:
        own = CLIENTS[client](server)
        where: dict[str, Any] = {"base_url": server.base_url, "api_key": SECRET} if own is None else {"client": own}
        model = ChatBackend("m", retry=Retry(times=1, first_pause=0.001), **where)
        agent = Agent(model, telemetry=recorder.telemetry)
        for streamed in (False, False, True, False):
            try:
                if streamed:
                    async with agent.stream("Hi") as run:
                        await run.finish()
                else:
                    await agent.run("Hi")
            except ModelError as error:
                shown += [*traceback.format_exception(error), repr(vars(error)), repr(error)]
        if own is not None:
            await own.close()
        shown += [repr(agent), repr(model), repr(model.server), repr(recorder.tree())]
    assert len(server.requests) == 5
    shown += [record.getMessage() for record in caplog.records] + [caplog.text]
    everything = "\n".join(shown)
    assert "503" in everything
    for name, spell in SPELLINGS.items():
        assert spell(SECRET)[:12] not in everything, name


async def test_a_line_that_names_no_secret_is_logged_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of a library's lines is lost but the keys."""
    caplog.set_level(logging.INFO, "httpx2")
    async with ChatServer(["x"]) as server:
        await Agent(ChatBackend("m", base_url=server.base_url, api_key=SECRET.replace('"', ""))).run("Hi")
        assert f"HTTP Request: POST {server.base_url}/chat/completions" in caplog.text
