"""The page, whose script draws all of it from the server's API, and what it shows that the API lacks."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from agentkit.server.desk import At, Listed
from agentkit.server.runs import RUN
from agentkit.server.runs.trace import TRACE
from agentkit.server.store.overview import glimpses, runs_of_all

router = APIRouter(include_in_schema=False)

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""Nothing runs in the page but its own script, and that asks nobody but this server."""
SCRIPTS = frozenset(
    {"page.js", "parts.js", "server.js", "lists.js", "runs.js", "said.js", "story.js", "thread.js", "chat.js"}
)
_WORDS = 200
_SHOWN = (
    "id",
    "thread_id",
    "assistant_id",
    "model",
    "status",
    "created_at",
    "started_at",
    "completed_at",
    "failed_at",
    "cancelled_at",
    "expires_at",
    "usage",
    "last_error",
)
"""What the list of all runs tells of each."""


@router.get("/")
def page() -> Response:
    """The page."""
    return _part("index.html", "text/html")


@router.get("/page/{name}")
def part(name: str) -> Response:
    """What the page looks like, and what it does."""
    if name == "page.css":
        return _part(name, "text/css")
    if name in SCRIPTS:
        return _part(f"script/{name}", "text/javascript")
    raise HTTPException(404)


@router.get("/agentkit/threads")
async def list_threads(page: Listed, at: At) -> dict[str, Any]:
    """List the threads, each with its first words and its last run."""
    async with at.read() as objects:
        listed = await objects.page("thread", page)
        seen = await glimpses(objects, [thread["id"] for thread in listed["data"]])
    for thread in listed["data"]:
        found = seen.get(thread["id"], {})
        thread |= {"first_words": _first_words(found.get("message") or {}), "last_run": found.get("run")}
    return listed


@router.get("/agentkit/runs")
async def list_runs(page: Listed, at: At) -> dict[str, Any]:
    """List the runs of all threads, newest first."""
    async with at.read() as objects:
        listed = await runs_of_all(objects, page)
    return listed | {"data": [{name: run.get(name) for name in _SHOWN} for run in listed["data"]]}


@router.get("/agentkit/threads/{thread_id}/runs/{run_id}/trace")
async def get_trace(thread_id: str, run_id: str, at: At) -> dict[str, Any]:
    """What took how long in a run, for each time that it was taken up."""
    async with at.read() as objects:
        await objects.get(RUN, run_id, parent=thread_id)
        return {"object": "list", "data": await objects.all(TRACE, run_id)}


def _first_words(message: Mapping[str, Any]) -> str:
    """What the message says first, as far as it was read."""
    for part in message.get("content") or ():
        text = part.get("text") or {}
        if text.get("value"):
            return str(text["value"])[:_WORDS]
    return ""


def _part(name: str, kind: str) -> Response:
    return Response(_text(name), media_type=kind, headers=_HEADERS)


@cache
def _text(name: str) -> str:
    return files("agentkit.server.page").joinpath(name).read_text(encoding="utf-8")
