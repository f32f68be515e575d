"""`/threads/{thread_id}/runs`, with their steps."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from agentkit.server.desk import At, Listed
from agentkit.server.event_stream import EventStream
from agentkit.server.files import VectorStores
from agentkit.server.runs import RUN, STEP, Runner, without_results
from agentkit.server.threads import check_offered
from agentkit.server.wire.runs import CreateRun, CreateThreadAndRun, SubmitOutputs
from agentkit.server.wire.threads import ChangeMetadata

router = APIRouter()
_PATH = "/threads/{thread_id}/runs"
_RUN = _PATH + "/{run_id}"
_STEPS = _RUN + "/steps"
_POLL = {"openai-poll-after-ms": "100"}

Results = Literal["step_details.tool_calls[*].file_search.results[*].content"]
Include = Annotated[list[Results] | None, Query(alias="include[]")]
"""What a client wants to be told that it is not told otherwise."""


@router.post("/threads/runs", response_model=None)
async def create_with_thread(
    body: CreateThreadAndRun, at: At, response: Response, include: Include = None
) -> dict[str, Any] | Response:
    """Create a thread and run it."""
    check_offered(at.server, body.model, body.tools)
    runner = at.server.part(Runner)
    thread, run = await runner.create_with_thread(at.tenant, body)
    happened = [("thread.created", thread), ("thread.run.created", run), ("thread.run.queued", run)]
    return _going(at, run, happened, response, stream=body.stream is True, with_results=bool(include))


@router.post(_PATH, response_model=None)
async def create_run(
    thread_id: str, body: CreateRun, at: At, response: Response, include: Include = None
) -> dict[str, Any] | Response:
    """Run an assistant on a thread."""
    check_offered(at.server, body.model, body.tools)
    run = await at.server.part(Runner).create(at.tenant, thread_id, body)
    happened = [("thread.run.created", run), ("thread.run.queued", run)]
    return _going(at, run, happened, response, stream=body.stream is True, with_results=bool(include))


@router.get(_PATH)
async def list_runs(thread_id: str, page: Listed, at: At) -> dict[str, Any]:
    """List the runs of a thread."""
    await at.server.part(Runner).settle(at.tenant, thread_id)
    async with at.read() as objects:
        await objects.get("thread", thread_id)
        return await objects.page(RUN, page, parent=thread_id)


@router.get(_RUN)
async def get_run(thread_id: str, run_id: str, at: At, response: Response) -> dict[str, Any]:
    """A run."""
    await at.server.part(Runner).settle(at.tenant, thread_id)
    response.headers.update(_POLL)
    async with at.read() as objects:
        await objects.get("thread", thread_id)
        return await objects.get(RUN, run_id, parent=thread_id)


@router.post(_RUN)
async def change_run(thread_id: str, run_id: str, body: ChangeMetadata, at: At) -> dict[str, Any]:
    """Change a run's metadata."""
    async with at.write() as objects:
        await objects.get("thread", thread_id)
        run = await objects.get(RUN, run_id, parent=thread_id, lock=True)
        if "metadata" in body.model_fields_set:
            run["metadata"] = body.metadata or {}
            await objects.put(RUN, run)
    return run


@router.post(_RUN + "/cancel")
async def cancel_run(thread_id: str, run_id: str, at: At) -> dict[str, Any]:
    """Cancel a run."""
    return await at.server.part(Runner).cancel(at.tenant, thread_id, run_id)


@router.post(_RUN + "/submit_tool_outputs", response_model=None)
async def submit_tool_outputs(
    thread_id: str, run_id: str, body: SubmitOutputs, at: At, response: Response
) -> dict[str, Any] | Response:
    """Give a run what the calls came to that it waits for."""
    outputs = [(each.tool_call_id or "", each.output or "") for each in body.tool_outputs]
    step, run = await at.server.part(Runner).submit(at.tenant, thread_id, run_id, outputs)
    happened = [("thread.run.step.completed", step), ("thread.run.queued", run)]
    return _going(at, run, happened, response, stream=body.stream is True, with_results=False)


@router.get(_STEPS)
async def list_steps(thread_id: str, run_id: str, page: Listed, at: At, include: Include = None) -> dict[str, Any]:
    """List the steps of a run."""
    await at.server.part(Runner).settle(at.tenant, thread_id)
    async with at.read() as objects:
        await objects.get(RUN, run_id, parent=thread_id)
        return await objects.page(STEP, page, parent=run_id, shown=dict if include else without_results)


@router.get(_STEPS + "/{step_id}")
async def get_step(thread_id: str, run_id: str, step_id: str, at: At, include: Include = None) -> dict[str, Any]:
    """A step of a run."""
    await at.server.part(Runner).settle(at.tenant, thread_id)
    async with at.read() as objects:
        await objects.get(RUN, run_id, parent=thread_id)
        step = await objects.get(STEP, step_id, parent=run_id, noun="run step")
    return step if include else without_results(step)


def _going(
    at: At,
    run: dict[str, Any],
    happened: list[tuple[str, dict[str, Any]]],
    response: Response,
    *,
    stream: bool,
    with_results: bool,
) -> dict[str, Any] | Response:
    """Start a run that is in the queue, and answer with it, or with all that happens from now on."""
    runner = at.server.part(Runner)
    at.server.part(VectorStores).wake()
    response.headers.update(_POLL)
    if not stream:
        runner.start(at.tenant, run["id"])
        return run
    feed = runner.watch(run["id"], with_results=with_results)
    for name, data in happened:
        feed.publish(name, data)
    runner.start(at.tenant, run["id"])
    return EventStream(feed.follow)
