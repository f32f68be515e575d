"""A scripted model behind real HTTP: a Chat Completions server on this machine, started in one line of a test."""

import inspect
import re
from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self
from urllib.parse import parse_qs, unquote

import anyio
from anyio.from_thread import start_blocking_portal

from agentkit.errors import ConfigError
from agentkit.messages import AssistantMessage

from . import chat_wire
from .http_server import Drop, HttpServer, Request, Response, StreamingResponse, json_response, sse, to_json
from .refusal import Refusal, read_object
from .reply import Reply, Script, ScriptedReply, as_message, as_reply
from .strict import check

_AZURE = re.compile(r"/openai/deployments/([^/]+)/chat/completions")
_CHAT = "/v1/chat/completions"
_MODELS = "/v1/models"


class ChatRequest(dict[str, Any]):
    """A request's decoded JSON body, and how it came."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case. The caller's API key is among them."""
    hung_up: anyio.Event
    """Set when the client went away before it had the whole answer."""

    def __init__(self, body: dict[str, Any], request: Request) -> None:
        super().__init__(body)
        self.path = request.path
        self.headers = request.headers
        self.hung_up = request.hung_up


class ChatServer:
    """Answers Chat Completions requests on 127.0.0.1 from a script, streamed or whole, as each request asks.

        async with ChatServer([[call("units_left", sku="A-1")], "Three left."]) as server:
            client = AsyncOpenAI(base_url=server.base_url, api_key="test")

    It is a strict provider: a request that any known provider would refuse gets a 400 (401, 415 ...), takes no reply
    from the script, and is still in `requests`. With `strict=False` it takes any JSON object, from anyone.
    When the script is at its end, the answer is a 500 that says so; it asks clients not to try again.

    Also answered: `/v1/models`, and Azure's `/openai/deployments/NAME/chat/completions?api-version=...` under `url`.

    A script that raises makes the answer a 500, and leaving the block raises its exception.

    Raises:
        ConfigError: the script is not a sequence of replies, nor a function.
    """

    requests: list[ChatRequest]
    """All chat requests whose body was a JSON object, in the order they arrived."""

    def __init__(self, script: Script, *, strict: bool = True) -> None:
        if isinstance(script, str | bytes) or not (callable(script) or isinstance(script, Sequence)):
            raise ConfigError(f"script must be a list of replies or a function, not {type(script).__name__}")
        self._script = script if callable(script) else tuple(as_reply(reply) for reply in script)
        self._strict = strict
        self._answered = 0
        self._http = HttpServer(self._handle)
        self.requests = []

    @property
    def url(self) -> str:
        """The server's root, `http://127.0.0.1:PORT`: what Azure's clients call the endpoint."""
        return self._http.url

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT/v1`: what OpenAI's clients call the base URL."""
        return f"{self.url}/v1"

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._http.__aexit__(kind, error, trace)

    @classmethod
    @contextmanager
    def in_thread(cls, script: Script, *, strict: bool = True) -> Iterator["ChatServer"]:
        """The same server in a thread of its own: for tests that are not async, for other processes, and for fixtures.

        A fixture of pytest-asyncio needs it, since that plugin leaves an `async with` block in another task than it
        entered it. A script that is a function is called in the server's thread; an `anyio.Event` belongs to one
        thread, and so `delay_until` can only be `"never"` here.
        """
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(cls(script, strict=strict)) as server:
            yield server

    async def _handle(self, request: Request) -> Response | StreamingResponse:
        try:
            return await self._routed(request)
        except Refusal as refusal:
            headers = {"x-request-id": chat_wire.request_id(len(self.requests))}
            return json_response(refusal.body, status=refusal.status, headers=headers)

    async def _routed(self, request: Request) -> Response | StreamingResponse:
        azure = _AZURE.fullmatch(request.path)
        if azure is None and request.path not in {_CHAT, _MODELS}:
            raise Refusal(f"Unknown request URL: {request.method} {request.path}.", status=404, code="unknown_url")
        method = "GET" if request.path == _MODELS else "POST"
        if request.method != method:
            raise Refusal(f"{request.path} answers to {method}, not to {request.method}.", status=405)
        if self._strict:
            _check_caller(request, azure=azure is not None)
        if request.path == _MODELS:
            model = {"id": "scripted", "object": "model", "created": 1_750_000_000, "owned_by": "agentkit"}
            return json_response({"object": "list", "data": [model]})
        return await self._chat(request, unquote(azure[1]) if azure else None)

    async def _chat(self, request: Request, deployment: str | None) -> Response | StreamingResponse:
        body = ChatRequest(read_object(request.body), request)
        self.requests.append(body)
        number = len(self.requests)
        if self._strict:
            check({"model": deployment, **body} if deployment else body)
        reply = await self._next_reply(body)
        if reply.delay_after is None:
            await _pause(reply)
        if reply.fault in {"close_before_head", "reset_before_head"}:
            raise Drop(reset=reply.fault == "reset_before_head")
        content_type, pieces = _body(reply, body, number, deployment)
        own = {name.lower(): value for name, value in reply.headers.items()}
        headers = {"content-type": content_type, "x-request-id": chat_wire.request_id(number), **own}
        if len(pieces) == 1 and reply.fault is None and reply.delay_after is None:
            return Response(status=reply.status, headers=headers, body=pieces[0])
        return StreamingResponse(status=reply.status, headers=headers, pieces=_delivered(reply, pieces))

    async def _next_reply(self, body: ChatRequest) -> Reply:
        self._answered += 1
        if callable(self._script):
            scripted: ScriptedReply | Awaitable[ScriptedReply] = self._script(body)
            return as_reply(await scripted if inspect.isawaitable(scripted) else scripted)
        if self._answered <= len(self._script):
            return as_reply(self._script[self._answered - 1])
        over = f"The script has {len(self._script)} replies, and this is request {self._answered}: add a reply to it."
        return Reply(status=500, error=over, error_code="script_exhausted", headers={"x-should-retry": "false"})


def _check_caller(request: Request, *, azure: bool) -> None:
    known = re.fullmatch(r"Bearer \S+", request.headers.get("authorization", ""))
    if not known and not (azure and request.headers.get("api-key")):
        wanted = "an 'api-key' header" if azure else "an 'Authorization: Bearer ...' header"
        raise Refusal(f"There is no API key in the request; send {wanted}.", status=401, code="invalid_api_key")
    if azure and "api-version" not in parse_qs(request.query):
        raise Refusal("Resource not found: the query has no 'api-version'.", status=404, code="404")
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and content_type != "application/json":
        raise Refusal(f"Unsupported content type {content_type!r}; send 'application/json'.", status=415)


def _body(reply: Reply, body: ChatRequest, number: int, deployment: str | None) -> tuple[str, list[bytes]]:
    """The reply's content type, and its body in the pieces in which it is sent."""
    if reply.body is not None:
        kind, pieces = "application/json", [reply.body]
    elif reply.status >= 300:
        problem = chat_wire.error(reply.status, reply.error, reply.error_code)
        kind, pieces = "application/json", [to_json(problem).encode()]
    else:
        answer = _answer(reply, body, number, deployment)
        if body.get("stream"):
            kind, pieces = "text/event-stream; charset=utf-8", _events(answer, body, azure=deployment is not None)
        else:
            kind, pieces = "application/json", [to_json(chat_wire.completion(answer)).encode()]
    if reply.drip is not None:
        whole = b"".join(pieces)
        pieces = [whole[start : start + reply.drip] for start in range(0, len(whole), reply.drip)]
    return kind, pieces


def _answer(reply: Reply, body: ChatRequest, number: int, deployment: str | None) -> chat_wire.Answer:
    message = as_message(reply.message)
    if not isinstance(reply.message, AssistantMessage):
        message = replace(message, tool_calls=chat_wire.with_own_ids(message.tool_calls, body))
    return chat_wire.Answer(
        number=number,
        model=str(body.get("model") or deployment or "scripted"),
        message=message,
        finish_reason=reply.finish_reason or ("tool_calls" if message.tool_calls else "stop"),
        usage=chat_wire.count(body, message) if reply.usage is None else reply.usage,
    )


def _events(answer: chat_wire.Answer, body: ChatRequest, *, azure: bool) -> list[bytes]:
    options = body.get("stream_options")
    include_usage = isinstance(options, dict) and options.get("include_usage") is True
    chunks = [chat_wire.azure_preamble()] if azure else []
    chunks += chat_wire.chunks(answer, include_usage=include_usage)
    return [*(sse(to_json(chunk)) for chunk in chunks), sse("[DONE]")]


async def _pause(reply: Reply) -> None:
    if reply.delay_until == "never":
        await anyio.sleep_forever()
    elif reply.delay_until is not None:
        await reply.delay_until.wait()


async def _delivered(reply: Reply, pieces: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
    """The pieces with the reply's pause and fault among them."""
    end = len(pieces) if reply.fault is None else min(reply.fault_after, len(pieces))
    for sent in range(end + 1):
        if reply.delay_after is not None and sent == min(reply.delay_after, end):
            await _pause(reply)
        if sent < end:
            yield pieces[sent]
    if reply.fault in {"close", "reset"}:
        raise Drop(reset=reply.fault == "reset")
