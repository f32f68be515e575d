"""Asks a server that speaks Chat Completions."""

from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import anyio

from agentkit.errors import ConfigError, ConnectionFailed, ModelTimeout
from agentkit.models.base import ModelInfo, ModelRequest, ModelResponse, OnDelta
from agentkit.models.http import CONCURRENCY, LARGEST, REQUEST_SECONDS, Call, Server, masked
from agentkit.models.retry import Retry, attempts
from agentkit.turns import Places

from .decode import StreamDecoder, decode
from .encode import encode

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class ChatBackend:
    """A model on OpenAI, on Azure, or on any server that speaks the Chat Completions wire.

    Args:
        model: The model's name, as the server knows it; on Azure, the deployment's.
        base_url: Where the server is, `http://localhost:8000/v1` for example; OPENAI_BASE_URL, or OpenAI itself.
        api_key: The key; OPENAI_API_KEY if not given.
        client: An `openai.AsyncOpenAI` or `AsyncAzureOpenAI` of your own, instead of the two above.
        concurrency: Requests to this server at the same time, over all agents of an event loop; further ones wait.
            A stream holds its place until its block is left: at a concurrency of 1, a watcher that runs another agent
            on the same server in between waits for ever.
        retry: How often a request that failed is sent again: two times if not given, or as often as `client` says.

    Raises:
        ConfigError: the model has no name.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        client: "AsyncOpenAI | None" = None,
        concurrency: int = CONCURRENCY,
        retry: Retry | None = None,
    ) -> None:
        if not model:
            raise ConfigError('the model\'s name is missing: write "chat:NAME", or ChatBackend("NAME")')
        self.model = model
        self.retry = retry or (Retry() if client is None else Retry(times=client.max_retries))
        self.server = Server(base_url=base_url, api_key=api_key, client=client, concurrency=concurrency)

    def __repr__(self) -> str:
        url = self.server.base_url
        return f"ChatBackend({self.model!r}, base_url={url and masked(url)!r})"

    @cached_property
    def info(self) -> ModelInfo:
        """Who will answer."""
        info = self.server.info(self.model)
        return replace(info, api="chat_completions") if info.provider in ("openai", "azure.ai.openai") else info

    @property
    def places(self) -> Places:
        """What may be asked at once, in this event loop."""
        return self.server.door().places

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """Ask for one answer; see `ModelBackend`."""
        settings = request.settings
        until = anyio.current_time() + (REQUEST_SECONDS if settings.deadline is None else settings.deadline)
        call = Call(
            path=self._path,
            body=encode(request, self.model, stream=on_delta is not None),
            timeout=settings.timeout,
            idle_timeout=settings.idle_timeout,
            until=until,
            largest=LARGEST if settings.max_response_bytes is None else settings.max_response_bytes,
        )
        ask = partial(self._ask, request, call)
        host = self.info.address or ""
        return await attempts(ask, self.retry, host, on_delta, until, tokens=request.tokens_left)

    async def _ask(self, request: ModelRequest, call: Call, on_delta: OnDelta | None) -> ModelResponse:
        if on_delta is None:
            return await self.server.door().send(call, lambda answer, _: decode(answer, request))
        decoder = StreamDecoder(request)
        async with self.server.door().events(call) as events:
            while not decoder.done:
                try:
                    event = await anext(events, None)
                except (ConnectionFailed, ModelTimeout) as error:
                    decoder.broke_off(error)
                    break
                if event is None:
                    break
                for delta in decoder.feed(event.data, event.name):
                    await on_delta(delta)
            return decoder.response()

    @property
    def _path(self) -> str:
        """On Azure the deployment stands in the path, which the SDK can only see to where it encodes the body."""
        client = self.server.client
        if client is None or "/openai/deployments" in client.base_url.path or not _is_azure(client):
            return "/chat/completions"
        return f"/deployments/{self.model}/chat/completions"


def _is_azure(client: "AsyncOpenAI") -> bool:
    import openai

    return isinstance(client, openai.AsyncAzureOpenAI)
