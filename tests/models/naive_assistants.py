"""An Assistants server as somebody else would write it in an afternoon: plain, in one file, and strange if asked.

It shares nothing with `agentkit.testing.AssistantsServer` but the HTTP underneath, so that what our backend and our own
server believe of the wire is not the only proof of it. Source: the OpenAPI description of OpenAI's API, Assistants v2.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import count
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qsl, unquote

import anyio

from agentkit.testing.http_server import HttpServer, Request, Response, StreamingResponse

Object: TypeAlias = dict[str, Any]
Said: TypeAlias = str | list[tuple[str, Object]] | Object | None
"""What a model says: a message, calls of functions by name and arguments, or an action that it requires."""
Plan: TypeAlias = Callable[[int, int], Sequence[Said]]
"""What the model says in a run, given the run's number and how often it was told results, both from 0."""
Event: TypeAlias = tuple[str, Any]
Answer: TypeAlias = Response | StreamingResponse

ENDED = {"completed", "failed", "cancelled", "expired", "incomplete"}


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    body: Object

    def __str__(self) -> str:
        return " ".join([self.method, *self.path])


class Refused(Exception):
    """The answer is an error."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


async def _as_it_is(asked: Asked, answer: Callable[[], Answer]) -> Answer:
    return answer()


@dataclass
class NaiveAssistants:
    """Serves for the length of an `async with` block. The options say in what it is strange."""

    plan: Plan
    _: KW_ONLY
    meddle: Callable[[Asked, Callable[[], Answer]], Awaitable[Answer]] = _as_it_is
    """Stands in front of the server: may answer itself, or drop an answer whose request has taken effect."""
    streams: bool = True
    """If not, `stream: true` is ignored: the run that is given back has already stopped."""
    keeps_metadata: bool = True
    oldest_first: bool = False
    """Lists are in the order in which things were made, whatever is asked for."""
    lacking: Sequence[str] = ()
    """Fields that its run objects do not have."""
    ends: str = "completed"
    """The state of a run that has said all."""
    cancels_to: str = "cancelled"
    make_id: Callable[[str, int], str] = "{}_{}".format
    not_found: Callable[[str], Object] = lambda id: {"error": {"message": f"No such object: {id!r}."}}
    mangle: Callable[[list[Event]], list[Event]] = list
    """What becomes of the events of a stream."""
    stays_open: bool = False
    """Streams do not end, nor does anything come any more."""
    piece: int = 3
    """Characters in a delta."""
    headers: Mapping[str, str] = field(default_factory=dict)
    assistants: dict[str, Object] = field(default_factory=dict)
    threads: dict[str, Object] = field(default_factory=dict)
    messages: dict[str, list[Object]] = field(default_factory=dict)
    runs: dict[str, list[Object]] = field(default_factory=dict)
    steps: dict[str, list[Object]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._count = count(1)
        self._http = HttpServer(self._handle)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._http.__aexit__(*error)

    @property
    def base_url(self) -> str:
        return f"{self._http.url}/v1"

    @property
    def statuses(self) -> list[str]:
        """The states of all runs."""
        return [run["status"] for runs in self.runs.values() for run in runs]

    def said(self, thread: str) -> list[tuple[str, str]]:
        """Who has said what on a thread."""
        return [(m["role"], "".join(p["text"]["value"] for p in m["content"])) for m in self.messages[thread]]

    async def _handle(self, request: Request) -> Answer:
        asked = Asked(
            method=request.method,
            path=tuple(unquote(part) for part in request.path.removeprefix("/v1/").split("/")),
            query=dict(parse_qsl(request.query)),
            body=json.loads(request.body or b"{}"),
        )
        self.asked.append(asked)
        return await self.meddle(asked, lambda: self._answer(asked))

    def _answer(self, asked: Asked) -> Answer:
        try:
            done = self.act(asked)
        except Refused as error:
            return self.reply(self.not_found(str(error)) if error.status == 404 else _error(error), error.status)
        if not isinstance(done, list):
            return self.reply(done)
        return StreamingResponse(pieces=self._pieces(done), headers={"content-type": "text/event-stream"})

    def reply(self, told: Any, status: int = 200) -> Response:
        headers = {"content-type": "application/json", **self.headers}
        return Response(status=status, headers=headers, body=json.dumps(told).encode())

    async def _pieces(self, events: list[Event]) -> AsyncGenerator[bytes]:
        for name, data in [*self.mangle(events), *([] if self.stays_open else [("done", "[DONE]")])]:
            yield f"event: {name}\ndata: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
        if self.stays_open:
            await anyio.sleep_forever()

    def act(self, asked: Asked) -> Any:
        """The object or the events that a request is answered with."""
        match asked.method, *asked.path:
            case "GET", "assistants":
                return self._page(self.assistants.values(), asked)
            case "POST", "assistants":
                return self._keep(self.assistants, self._new("assistant", asked.body))
            case "POST", "assistants", id:
                _get(self.assistants, id).update(asked.body)
                return self.assistants[id]
            case "POST", "threads":
                thread = self._keep(self.threads, self._new("thread", asked.body))
                self.messages[thread["id"]], self.runs[thread["id"]] = [], []
                return thread
            case method, "threads", id, *rest:
                _get(self.threads, id)
                return self._on_thread(id, (method, *rest), asked)
        raise Refused(404, str(asked))

    def _on_thread(self, thread: str, wanted: tuple[str, ...], asked: Asked) -> Any:
        runs = {run["id"]: run for run in self.runs[thread]}
        match wanted:
            case ("GET",):
                return self.threads[thread]
            case ("DELETE",):
                del self.threads[thread]
                return {"id": thread, "deleted": True}
            case "GET", "messages":
                only = asked.query.get("run_id")
                return self._page([m for m in self.messages[thread] if only in {None, m["run_id"]}], asked)
            case "POST", "messages":
                self._refuse_if_busy(thread)
                return self._say(thread, asked.body["role"], asked.body["content"], None)
            case "GET", "runs":
                return self._page([self._shown(run) for run in runs.values()], asked)
            case "POST", "runs":
                return self._begin(thread, asked)
            case "GET", "runs", id:
                return self._shown(_get(runs, id))
            case "GET", "runs", id, "steps":
                return self._page(self.steps[id], asked)
            case "POST", "runs", id, "cancel":
                if (run := _get(runs, id))["status"] in ENDED:
                    raise Refused(400, f"Cannot cancel run with status '{run['status']}'.")
                run["status"] = self.cancels_to
                return self._shown(run)
            case "POST", "runs", id, "submit_tool_outputs":
                return self._submit(_get(runs, id), asked)
        raise Refused(404, str(asked))

    def _begin(self, thread: str, asked: Asked) -> Any:
        self._refuse_if_busy(thread)
        _get(self.assistants, asked.body["assistant_id"])
        for message in asked.body.get("additional_messages", ()):
            self._say(thread, message["role"], message["content"], None)
        number = sum(map(len, self.runs.values()))
        told = {"thread_id": thread, "assistant_id": asked.body["assistant_id"], "metadata": asked.body.get("metadata")}
        run = self._new("thread.run", {**told, "status": "queued", "required_action": None, "usage": None})
        run |= {"expires_at": run["created_at"] + 600, "_number": number, "_round": 0}
        self.runs[thread].append(run)
        self.steps[run["id"]] = []
        return self._go_on(run, asked, [("thread.run.created", self._shown(run))])

    def _submit(self, run: Object, asked: Asked) -> Any:
        if run["status"] != "requires_action":
            raise Refused(400, f"Runs in status {run['status']!r} do not accept tool outputs.")
        calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        expected, got = {c["id"] for c in calls}, {told["tool_call_id"] for told in asked.body["tool_outputs"]}
        if expected != got:
            raise Refused(400, f"Expected tool outputs for call_ids {expected}, got {got}")
        self.steps[run["id"]][-1] |= {"status": "completed", "usage": _usage(10)}
        run |= {"required_action": None, "_round": run["_round"] + 1}
        return self._go_on(run, asked, [("thread.run.step.completed", dict(self.steps[run["id"]][-1]))])

    def _go_on(self, run: Object, asked: Asked, events: list[Event]) -> Any:
        run["status"] = "in_progress"
        events.append(("thread.run.in_progress", self._shown(run)))
        for said in self.plan(run["_number"], run["_round"]):
            match said:
                case str():
                    events += self._speak(run, said)
                case list():
                    events += self._call(run, said)
                case action:
                    run |= {"status": "requires_action", "required_action": action}
        if run["status"] != "requires_action":
            run["status"] = self.ends
            run["usage"] = _usage(10 * len(self.steps[run["id"]])) if self.ends in ENDED else None
        events.append((f"thread.run.{run['status']}", self._shown(run)))
        return events if self.streams and asked.body.get("stream") else self._shown(run)

    def _speak(self, run: Object, text: str) -> list[Event]:
        message = self._say(run["thread_id"], "assistant", text, run["id"])
        written = {"type": "message_creation", "message_creation": {"message_id": message["id"]}}
        step = self._step(run, written, status="completed", usage=_usage(10))
        pieces = [text[at : at + self.piece] for at in range(0, len(text), self.piece)]
        deltas = [{"content": [{"index": 0, "type": "text", "text": {"value": piece}}]} for piece in pieces]
        name = "thread.message.delta"
        return [
            ("thread.run.step.created", {**step, "status": "in_progress", "usage": None}),
            ("thread.message.created", {**message, "content": [], "status": "in_progress"}),
            *[(name, {"id": message["id"], "object": name, "delta": delta}) for delta in deltas],
            ("thread.message.completed", message),
            ("thread.run.step.completed", step),
        ]

    def _call(self, run: Object, wanted: list[tuple[str, Object]]) -> list[Event]:
        functions = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in wanted]
        calls = [{"id": self._id("call"), "type": "function", "function": function} for function in functions]
        step = self._step(run, {"type": "tool_calls", "tool_calls": calls}, status="in_progress", usage=None)
        run["status"] = "requires_action"
        run["required_action"] = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
        return [("thread.run.step.created", dict(step))]

    def _step(self, run: Object, details: Object, **more: Any) -> Object:
        whose = {"run_id": run["id"], "thread_id": run["thread_id"]}
        step = self._new("thread.run.step", {**whose, "type": details["type"], "step_details": details, **more})
        self.steps[run["id"]].append(step)
        return step

    def _say(self, thread: str, role: str, content: Any, run: str | None) -> Object:
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        content = [{"type": "text", "text": {"value": part["text"], "annotations": []}} for part in parts]
        whose = {"thread_id": thread, "run_id": run, "role": role, "status": "completed"}
        self.messages[thread].append(message := self._new("thread.message", {**whose, "content": content}))
        return message

    def _refuse_if_busy(self, thread: str) -> None:
        for run in self.runs[thread]:
            if run["status"] not in ENDED:
                raise Refused(400, f"Thread {thread} already has an active run {run['id']}.")

    def _page(self, items: Iterable[Object], asked: Asked) -> Object:
        found = list(items) if self.oldest_first or asked.query.get("order") == "asc" else list(items)[::-1]
        ids, after = [item["id"] for item in found], asked.query.get("after")
        found = found[ids.index(after) + 1 :] if after in ids else found
        limit = int(asked.query.get("limit", 20))
        return {"object": "list", "data": found[:limit], "has_more": len(found) > limit}

    def _shown(self, run: Object) -> Object:
        return {name: told for name, told in run.items() if not name.startswith("_") and name not in self.lacking}

    def _id(self, kind: str) -> str:
        return self.make_id(kind.removeprefix("thread."), next(self._count))

    def _new(self, kind: str, told: Object) -> Object:
        metadata = (told.get("metadata") or {}) if self.keeps_metadata else {}
        made = {"id": self._id(kind), "object": kind, "created_at": 1_700_000_000 + next(self._count)}
        return {**told, **made, "metadata": metadata}

    @staticmethod
    def _keep(where: dict[str, Object], made: Object) -> Object:
        return where.setdefault(made["id"], made)


def _error(error: Refused) -> Object:
    return {"error": {"message": str(error), "type": "invalid_request_error", "param": None, "code": None}}


def _get(where: Mapping[str, Object], id: str) -> Object:
    if id not in where:
        raise Refused(404, id)
    return where[id]


def _usage(tokens: int) -> Object:
    return {"prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": 2 * tokens}
