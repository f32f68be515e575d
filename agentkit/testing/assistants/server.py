"""A scripted model behind a real Assistants server: HTTP and server-sent events on this machine."""

import inspect
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from threading import get_ident
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qsl, unquote

import anyio
from anyio.from_thread import start_blocking_portal

from agentkit.testing import chat_wire
from agentkit.testing.http_server import HttpServer, Request, Response, StreamingResponse, json_response, sse
from agentkit.testing.refusal import Refusal, read_object
from agentkit.testing.reply import Script

from .call import AssistantsRequest, Call, Handler, Router
from .faults import Fault
from .files import FileRoutes
from .model import ScriptedTurns
from .quirks import Event, dress, dress_error, dress_event, known_quirks
from .resources import Resources
from .run_routes import Follow, RunRoutes, without_results
from .runs import Runs
from .store import Clock, Store
from .thread_routes import ThreadRoutes
from .threads import Threads

OnRequest: TypeAlias = Callable[[AssistantsRequest], Fault | None]
_BETA = (
    "You must provide the 'OpenAI-Beta' header to access the Assistants API. "
    "Please try again by setting the header 'OpenAI-Beta: assistants=v2'."
)
_POLL_AFTER = "openai-poll-after-ms"


class AssistantsServer:
    """Answers what Assistants clients ask on 127.0.0.1; what the model says in a run comes from a script.

        async with AssistantsServer([[call("units_left", sku="A-1")], "Three left."]) as server:
            client = AsyncOpenAI(base_url=server.base_url, api_key="test")

    The script is that of `ChatServer`, one reply per turn of the model over all threads; a function gets the thread's
    conversation in the form of a Chat Completions request, so that one function can serve both.
    A reply with an error status fails its run, and so does the end of the script.

    Streamed runs go on by themselves, whether or not somebody listens. Others go on when they are read: the first look
    finds them in progress, the second one after the model's turn. Runs expire 600 seconds after they were created, by a
    clock that stands still until `clock.advance(seconds)`.

    It is a strict server: it wants an API key and the beta header, refuses what is not in the API's description, and
    keeps to the order of events. With `strict=False` it does not look at headers and fields. `quirks` are deviations
    that were seen elsewhere, by their names in `KNOWN`; `QUIRKS` are those that go together.

    `on_request` is called with each request before anything else is done with it, and may let it fare badly.

    A script that raises fails the run, and leaving the block raises its exception.

    Raises:
        ConfigError: the script is not a sequence of replies, nor a function; or there is no such quirk.
    """

    requests: list[AssistantsRequest]
    """All HTTP requests, in the order they arrived."""
    files: FileRoutes
    """The server's files and vector stores; `files.add_file(...)` keeps one as if a tool had written it."""

    def __init__(
        self,
        script: Script,
        *,
        strict: bool = True,
        quirks: Iterable[str] = (),
        on_request: OnRequest | None = None,
    ) -> None:
        self._store = Store(known_quirks(quirks), strict=strict)
        self._runs = Runs(ScriptedTurns(script))
        self.files = FileRoutes(self._store)
        resources = Resources(self._store, self.files)
        self._threads = Threads(self._store, self._runs, resources)
        self._thread_routes = ThreadRoutes(self._store, self._threads, resources)
        self._assistants = self._thread_routes.assistants
        run_routes = RunRoutes(self._store, self._threads, self._runs, self._assistants)
        models: dict[str, Handler] = {"GET /models": _models, "GET /models/{}": lambda call, model: _model(model)}
        self._router = Router({**run_routes.routes, **self._thread_routes.routes, **self.files.routes, **models})
        self._on_request = on_request
        self._http = HttpServer(self._handle)
        self._store.clock.on_advance = self._wake
        self.requests = []

    @property
    def url(self) -> str:
        """The server's root, `http://127.0.0.1:PORT`."""
        return self._http.url

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT/v1`: what clients call the base URL."""
        return f"{self.url}/v1"

    @property
    def clock(self) -> Clock:
        """The server's clock, which a test moves."""
        return self._store.clock

    @property
    def assistants(self) -> list[dict[str, Any]]:
        """Copies of the assistants, oldest first."""
        return self._assistants.snapshot()

    @property
    def threads(self) -> list[dict[str, Any]]:
        """Copies of the threads, oldest first."""
        return self._threads.objects.snapshot()

    def messages(self, thread_id: str) -> list[dict[str, Any]]:
        """Copies of a thread's messages, oldest first."""
        return self._threads[thread_id].messages.snapshot()

    def runs(self, thread_id: str) -> list[dict[str, Any]]:
        """Copies of a thread's runs, oldest first."""
        return self._threads[thread_id].runs.snapshot()

    def steps(self, run_id: str) -> list[dict[str, Any]]:
        """Copies of a run's steps, oldest first."""
        return next(thread.live[run_id].steps.snapshot() for thread in self._threads if run_id in thread.live)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._runs.open(self._tasks)
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._runs.close()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)
        await self._http.__aexit__(kind, error, trace)
        if not self._runs.failures:
            return
        if error is None:
            raise self._runs.failures[0]
        error.add_note(f"Before this, the script raised {self._runs.failures[0]!r}.")

    @classmethod
    @contextmanager
    def in_thread(
        cls,
        script: Script,
        *,
        strict: bool = True,
        quirks: Iterable[str] = (),
        on_request: OnRequest | None = None,
    ) -> Iterator["AssistantsServer"]:
        """The same server in a thread of its own; see `ChatServer.in_thread`."""
        server = cls(script, strict=strict, quirks=quirks, on_request=on_request)
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(server):
            home = portal.call(get_ident)

            def wake() -> None:
                if get_ident() == home:
                    server._wake()
                else:
                    portal.call(server._wake)

            server.clock.on_advance = wake
            yield server

    def _wake(self) -> None:
        for thread in self._threads:
            if thread.active is not None:
                thread.active.ring()

    async def _handle(self, request: Request) -> Response | StreamingResponse:
        call = _call(request, len(self.requests) + 1)
        self.requests.append(call)
        fault = self._on_request(call) if self._on_request is not None else None
        if fault is not None and fault.is_early:
            return await fault.answer()
        answer = await self._answer(call)
        if fault is not None and fault.kind in {"lost_after", "status_after"}:
            if isinstance(answer, Follow):
                self._runs.let_go(answer.run, answer.start)
            return await fault.answer()
        if isinstance(answer, Response):
            return answer if fault is None else fault.halved(answer)
        headers = {"content-type": "text/event-stream; charset=utf-8", **self._headers(call)}
        return StreamingResponse(headers=headers, pieces=self._pieces(answer, fault))

    async def _answer(self, call: AssistantsRequest) -> Response | Follow:
        try:
            if self._store.strict:
                _check_caller(call)
            _check_body(call)
            value = self._router.answer(call)
            if inspect.isawaitable(value):
                value = await value
        except Refusal as refusal:
            headers = {**self._headers(call), "x-should-retry": "false"}
            return json_response(dress_error(refusal.body, self._store.quirks), status=refusal.status, headers=headers)
        if isinstance(value, Response | Follow):
            return value
        headers = self._headers(call)
        if value.get("object") == "thread.run" and "no_poll_header" not in self._store.quirks:
            headers[_POLL_AFTER] = "1"
        return json_response(dress(value, self._store.quirks), headers=headers)

    def _headers(self, call: Call) -> dict[str, str]:
        return {"x-request-id": chat_wire.request_id(call.number)}

    async def _pieces(self, follow: Follow, fault: Fault | None) -> AsyncGenerator[bytes, None]:
        """A run's stream as it is sent, with its fault and drop by drop where that was asked for."""
        frames = self._frames(follow)
        if fault is not None:
            frames = fault.shortened(frames, self._store.quirks)
        try:
            async with aclosing(frames):
                async for frame in frames:
                    turn = follow.run.turn
                    size = (turn and turn.reply.drip) or len(frame)
                    for start in range(0, len(frame), size):
                        yield frame[start : start + size]
        finally:
            self._runs.let_go(follow.run, follow.start)

    async def _frames(self, follow: Follow) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._runs.follow(follow.run, follow.start)) as events:
            async for event in events:
                if not follow.with_results and event.name.startswith("thread.run.step."):
                    event = Event(event.name, without_results(event.data))
                for frame in dress_event(event, self._store.quirks):
                    yield frame
        if "no_done" not in self._store.quirks:
            yield sse("[DONE]", event="done")


def _call(request: Request, number: int) -> AssistantsRequest:
    path = unquote(request.path)
    query: dict[str, str] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    try:
        body = read_object(request.body)
    except Refusal:
        body = None
    return AssistantsRequest(
        number=number,
        method=request.method,
        path=path.removeprefix("/v1"),
        query=query,
        body=body,
        headers=request.headers,
        raw=request.body,
        hung_up=request.hung_up,
    )


def _check_caller(call: Call) -> None:
    if not re.fullmatch(r"Bearer \S+", call.headers.get("authorization", "")):
        wanted = "an 'Authorization: Bearer ...' header"
        raise Refusal(f"There is no API key in the request; send {wanted}.", status=401, code="invalid_api_key")
    beta = [name.strip() for name in call.headers.get("openai-beta", "").split(",")]
    if call.path.startswith(("/assistants", "/threads", "/vector_stores")) and "assistants=v2" not in beta:
        raise Refusal(_BETA, code="invalid_beta")


def _check_body(call: Call) -> None:
    """A POST has a JSON object, or nothing; a file comes as a form."""
    if call.method != "POST" or not call.raw or call.path == "/files":
        return
    content_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Refusal(f"Unsupported content type {content_type!r}; send 'application/json'.", status=415)
    read_object(call.raw)


def _models(call: Call) -> dict[str, Any]:
    return {"object": "list", "data": [_model("scripted")]}


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_750_000_000, "owned_by": "agentkit"}
