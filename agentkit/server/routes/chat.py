"""`/chat/completions`."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from agentkit.errors import ContentFiltered, Refused
from agentkit.server.answering import answer
from agentkit.server.chat import ChatWriter, work_of
from agentkit.server.desk import At
from agentkit.server.engine import Engine, Findings, Work
from agentkit.server.event_stream import DONE, EventStream, Tell, unless_gone
from agentkit.server.failures import failure
from agentkit.server.ids import new_id
from agentkit.server.wire.chat import CreateChat

router = APIRouter()


@router.post("/chat/completions", response_model=None)
async def create(body: CreateChat, at: At, request: Request) -> dict[str, Any] | Response:
    """Answer a conversation; a client that leaves ends the work on it."""
    engine = at.server.part(Engine)
    work = work_of(body, engine.catalog, at.tenant)
    engine.agent(work)
    writer = ChatWriter(id=new_id("chat"), model=body.model, created=at.now())
    if not body.stream:
        told = await unless_gone(request.receive, lambda: _whole(engine, work, writer))
        return told or Response(status_code=499)
    writer.with_usage = bool(body.stream_options and body.stream_options.include_usage)
    return EventStream(lambda tell: _streamed(engine, work, writer, tell))


async def _whole(engine: Engine, work: Work, writer: ChatWriter) -> dict[str, Any]:
    try:
        return writer.whole(await answer(engine, work, Findings(work=work), writer.hear))
    except Refused as error:
        return writer.refusal(error.text)
    except ContentFiltered:
        return writer.withheld()
    except Exception as error:
        raise failure(error) from error


async def _streamed(engine: Engine, work: Work, writer: ChatWriter, tell: Tell) -> None:
    writer.tell = tell
    try:
        await writer.finish(await answer(engine, work, Findings(work=work), writer.hear))
    except Refused as error:
        await writer.refuse(error.text)
    except ContentFiltered:
        await writer.withhold()
    await tell(DONE)
