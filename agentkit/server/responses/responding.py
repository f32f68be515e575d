"""Makes a response: runs what it was asked for, tells of it, and keeps what has come of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from agentkit.errors import AgentError, ContentFiltered, LimitExceeded, ModelError, Refused, Truncated
from agentkit.messages import Usage
from agentkit.server.answering import answer
from agentkit.server.desk import Server
from agentkit.server.engine import Engine, Findings, Work
from agentkit.server.errors import ApiError
from agentkit.server.failures import failure

from .conversations import RESPONSE_ITEM, add_entries, unlock
from .items import Entry, taken
from .objects import GOING, RESPONSE, failed_with, used
from .writer import Tell, Writer


@dataclass(kw_only=True, slots=True)
class Responding:
    """One response that is being made."""

    server: Server
    tenant: str
    response: dict[str, Any]
    work: Work
    input: list[Entry]
    thread_id: str | None = None
    """The log that it goes on, where it is a conversation's."""
    include: Sequence[str] = ()
    events: list[dict[str, Any]] = field(default_factory=list)
    """What was told, where a client may ask for it again."""
    failed: ApiError | None = None

    async def run(self, tell: Tell) -> dict[str, Any]:
        """The response, at its end; the last event comes when it is kept."""
        findings = Findings(work=self.work)
        writer = Writer(response=self.response, tell=tell, findings=findings, include=self.include)
        try:
            await writer.lifecycle("created")
            if self.response["background"]:
                await writer.lifecycle("queued")
                await self._begin()
            await writer.lifecycle("in_progress")
            kind = await self._answered(writer, findings)
            last = self._ended(writer, kind)
            await self._keep(writer, last)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._let_go(writer)
            raise
        await tell(last)
        return self.response

    async def _begin(self) -> None:
        self.response["status"] = "in_progress"
        async with self.server.write(self.tenant) as objects:
            await objects.put(RESPONSE, self.response, of=("queued",))

    async def _answered(self, writer: Writer, findings: Findings) -> str:
        """Have it answered; how it has ended, as the last event says it."""
        usage = Usage()
        try:
            told = await answer(self.server.part(Engine), self.work, findings, writer.hear)
            usage = told.usage
            if told.is_cut:
                return await self._incomplete(writer, "max_output_tokens")
            await writer.close()
            self.response["status"] = "completed"
        except Refused as error:
            usage = _spent(error)
            await writer.refuse(error.text)
            self.response["status"] = "completed"
        except ContentFiltered as error:
            usage = _spent(error)
            return await self._incomplete(writer, "content_filter")
        except (Truncated, LimitExceeded) as error:
            usage = _spent(error)
            if isinstance(error, LimitExceeded) and error.which != "output_tokens":
                return await self._failed(writer, error)
            return await self._incomplete(writer, "max_output_tokens")
        except Exception as error:
            usage = _spent(error)
            return await self._failed(writer, error)
        finally:
            self.response["usage"] = used(usage)
        return "completed"

    async def _incomplete(self, writer: Writer, reason: str) -> str:
        await writer.close("incomplete")
        self.response |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
        return "incomplete"

    async def _failed(self, writer: Writer, error: Exception) -> str:
        await writer.close("incomplete")
        self.failed = failure(error)
        self.response |= {"status": "failed", "error": failed_with(self.failed)}
        return "failed"

    def _ended(self, writer: Writer, kind: str) -> dict[str, Any]:
        """The last event."""
        self.response["output"] = writer.output()
        if self.response["status"] == "completed":
            self.response["completed_at"] = self.server.now()
        return writer.whole(kind)

    async def _keep(self, writer: Writer, last: dict[str, Any]) -> None:
        """Store the response, and put what was said into its conversation."""
        output = self._entries(writer)
        async with self.server.write(self.tenant) as objects:
            if self.thread_id is not None:
                await unlock(objects, self.thread_id, self.response["id"])
                if self.response["status"] != "failed" and await objects.find("thread", self.thread_id):
                    await add_entries(objects, self.thread_id, [*self.input, *output])
            if not self.response["store"] or (self.failed and not self.response["background"]):
                return
            for item in () if self.response["status"] == "failed" else output:
                await objects.add(RESPONSE_ITEM, item, parent=self.response["id"])
            events = [*self.events, last] if self.response["background"] else []
            kept = {"input": self.input, "output": output, "events": events}
            if self.response["background"]:
                await objects.put(RESPONSE, self.response, of=GOING, private=kept)
            else:
                await objects.add(RESPONSE, self.response, private=kept)

    def _entries(self, writer: Writer) -> list[Entry]:
        """What models are told of the output from now on: no call that was cut off."""
        now = self.server.now()
        whole = [item for item in writer.log if item["status"] == "completed" or item["type"] == "message"]
        return [entry for item in whole for entry in (taken([item], now) if item["type"] == "message" else [item])]

    async def _let_go(self, writer: Writer) -> None:
        """It is cancelled: by its client, or since the server stops."""
        self.response["output"] = writer.output()
        async with self.server.write(self.tenant) as objects:
            if self.thread_id is not None:
                await unlock(objects, self.thread_id, self.response["id"])
            if self.response["background"]:
                error = {"code": "server_error", "message": "The server was stopped before the response was complete."}
                await objects.put(RESPONSE, self.response | {"status": "failed", "error": error}, of=GOING)


def _spent(error: Exception) -> Usage:
    """What was used until it failed."""
    if isinstance(error, AgentError) and error.usage is not None:
        return error.usage
    return error.spent if isinstance(error, ModelError) else Usage()
