"""One run, executed: all it needs is read from the store, and all it comes to is written there."""

from contextlib import suppress
from dataclasses import replace
from logging import getLogger
from typing import Any

import anyio

from agentkit.errors import ContentFiltered, LimitExceeded, RateLimited, Refused, RequestRejected, RunTimeout, Truncated
from agentkit.server.catalog import Catalog
from agentkit.server.desk import Server
from agentkit.server.engine import Engine, Findings, Hit, Work
from agentkit.server.engine.log import LOGGED, instructions_in, messages_of
from agentkit.server.errors import ApiError
from agentkit.server.failures import failure
from agentkit.server.files import Files
from agentkit.server.store import Objects

from .calls import HOSTED
from .ending import Ending, end, usage_from
from .going import Going
from .objects import RUN
from .scribe import Overtaken, Scribe
from .work import resources_of, sampling_of, work_of

RESTARTED = {"code": "server_error", "message": "The server was restarted."}
_LIMITS = {"output_tokens": "max_completion_tokens", "input_tokens": "max_prompt_tokens"}
CANCELLED = Ending(status="cancelled", of=("cancelling",))
_STOPPED = {"cancelled": CANCELLED, "expired": Ending(status="expired", of=("queued", "in_progress", "cancelling"))}
_DIED = Ending(status="failed", of=("queued", "in_progress"), last_error=RESTARTED)


async def execute(server: Server, tenant: str, run_id: str) -> None:
    """Run a run that is queued, until it ends or waits for somebody."""
    is_over = False
    with server.part(Going).on(run_id) as execution:
        try:
            with execution.scope:
                is_over = await _executed(server, tenant, run_id)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await _ended(server, tenant, run_id, _DIED)
            raise
        except Exception as error:
            getLogger("agentkit").exception("a run could not be executed")
            await _ended(server, tenant, run_id, replace(_DIED, last_error=told_of(error)))
        if not is_over:  # one that was stopped; nothing happens to one that has come to its own end before
            await _ended(server, tenant, run_id, _STOPPED[execution.why or "cancelled"])


async def _ended(server: Server, tenant: str, run_id: str, how: Ending) -> None:
    async with server.write(tenant) as objects:
        happened = await end(objects, run_id, how, server.now())
    if (feed := server.part(Going).feed(run_id)) is not None:
        for name, data in happened:
            feed.publish(name, data)


async def _executed(server: Server, tenant: str, run_id: str) -> bool:
    """Execute it; whether it has come to an end or a pause of its own."""
    async with server.write(tenant) as objects:
        run = await objects.find(RUN, run_id, lock=True)
        if run is None or run["status"] != "queued":
            return False
        kept = {} if run["started_at"] is None else await objects.private(RUN, run_id) or {}
        run |= {"status": "in_progress", "started_at": run["started_at"] or server.now()}
        await objects.put(RUN, run, ref=server.part(Going).worker)
    feed = server.part(Going).feed(run_id)
    if feed is not None:
        feed.publish("thread.run.in_progress", run)
    work = await _work(server, tenant, run)
    cited = [Hit(**hit) for hit in kept.get("cited", ())]
    findings = Findings(work=work, cited=cited, written=kept.get("written", {}))
    scribe = Scribe(
        server=server,
        tenant=tenant,
        run=run,
        feed=feed,
        findings=findings,
        tools=_tools(server, work),
        used=usage_from(kept.get("used", {})),
    )
    try:
        await _followed(server.part(Engine), scribe, kept)
    except Overtaken:
        return False
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await _broken_off(server, scribe)
        raise
    return True


async def _followed(engine: Engine, scribe: Scribe, kept: dict[str, Any]) -> None:
    """The engine's run, from the first event to what it comes to, good or bad."""
    work, findings = scribe.findings.work, scribe.findings
    try:
        if "outputs" in kept:
            going = engine.resume(work, findings, kept["paused"], kept["outputs"])
        else:
            going = engine.stream(work, findings)
        async with going as stream:
            async for event in stream:
                await scribe.note(event)
    except Overtaken:
        raise
    except Refused as error:
        await scribe.refused(error.text)
    except RunTimeout:
        await scribe.end(Ending(status="expired"))
    except (LimitExceeded, Truncated) as error:
        which = getattr(error, "which", "output_tokens")
        if which in _LIMITS:
            await scribe.end(Ending(status="incomplete", incomplete_details={"reason": _LIMITS[which]}))
        else:
            await scribe.end(Ending(status="failed", last_error=told_of(error)))
    except ContentFiltered as error:
        await scribe.end(Ending(status="failed", last_error=told_of(error), reason="content_filter"))
    except Exception as error:
        await scribe.end(Ending(status="failed", last_error=told_of(error)))


async def _broken_off(server: Server, scribe: Scribe) -> None:
    """The run is stopped in the middle: what it has said so far is kept."""
    why = server.part(Going).begin(scribe.run["id"]).why
    with suppress(Overtaken):
        await scribe.end(_DIED if why is None else _STOPPED[why])


def told_of(error: Exception) -> dict[str, str]:
    """What clients are told of why a run has failed."""
    if isinstance(error, RateLimited):
        code = "rate_limit_exceeded"
    else:
        code = "invalid_prompt" if isinstance(error, RequestRejected | ApiError) else "server_error"
    return {"code": code, "message": str(failure(error))}


async def _work(server: Server, tenant: str, run: dict[str, Any]) -> Work:
    """What the engine is to do."""
    async with server.read(tenant) as objects:
        holders = await _holders(objects, run)
        log = await objects.all(LOGGED, run["thread_id"])

    async def picture(file_id: str) -> str:
        return await server.part(Files).data_url(tenant, file_id)

    told = "\n\n".join(filter(None, (run["instructions"], *instructions_in(log))))
    return work_of(
        {**run, "instructions": told},
        tenant,
        history=await messages_of(log, picture),
        resources=resources_of(*holders),
        settings=server.part(Catalog).sampling(run["model"], **sampling_of(run)),
        seconds=max(1.0, run["expires_at"] - server.settings.clock()),
    )


async def _holders(objects: Objects, run: dict[str, Any]) -> list[dict[str, Any]]:
    """The assistant and the thread, as far as they are still there: their files may be read."""
    found = [await objects.find("assistant", run["assistant_id"]), await objects.find("thread", run["thread_id"])]
    return [each for each in found if each is not None]


def _tools(server: Server, work: Work) -> dict[str, dict[str, Any]]:
    """The tools by the names that the model knows: an agent's own, the client's, and the server's."""
    own = server.part(Catalog).agent(work.model).registry
    called: dict[str, dict[str, Any]] = {tool.name: {"type": "function"} for tool in own}
    called |= {function["name"]: {"type": "function"} for function in work.functions}
    return called | {spelled["type"]: dict(spelled) for spelled in work.hosted if spelled["type"] in HOSTED}
