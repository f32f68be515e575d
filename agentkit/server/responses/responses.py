"""Responses: begun, watched, found, cancelled and forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from pydantic_core import to_json

from agentkit import Message, Usage, UserMessage
from agentkit.server.desk import Server
from agentkit.server.engine import Engine
from agentkit.server.engine.compaction import COMPACTION, packed
from agentkit.server.engine.log import LOGGED, instructions_in, messages_of
from agentkit.server.errors import ApiError, unfit
from agentkit.server.event_stream import DONE, event
from agentkit.server.event_stream import Tell as Send
from agentkit.server.files import Files
from agentkit.server.ids import new_id
from agentkit.server.store import Objects, Page
from agentkit.server.threads.resources import know_files
from agentkit.server.wire.responses import Compact, CountTokens, CreateResponse
from agentkit.window import estimate, summariser

from .ask import work_of
from .conversations import conversation_id, find_conversation, lock, resolved
from .feed import Feed
from .history import find_response, log_before
from .items import Entry, check_answered, shown, taken
from .objects import GOING, RESPONSE, new_response, used
from .paging import paged
from .responding import Responding

_POLL_SECONDS = 1.0
_NO_MORE = {"code": "server_error", "message": "The server that made the response has stopped."}


@dataclass(kw_only=True, slots=True)
class Responses:
    """The responses of one server."""

    server: Server
    _feeds: dict[tuple[str, str], Feed] = field(default_factory=dict)
    """Those that are made here in the background, by tenant and id."""

    async def count(self, tenant: str, body: CountTokens) -> int:
        """Roughly how many tokens a request takes.

        Raises:
            ApiError: the conversation is not there.
        """
        given = body.given()
        async with self.server.read(tenant) as objects:
            log = await self._log(objects, given)
        told = [
            body.instructions or "",
            *instructions_in(log),
            *(to_json(tool).decode() for tool in given.get("tools", ())),
        ]
        messages: list[Message] = [UserMessage(content=text) for text in told if text]
        return sum(map(estimate, [*messages, *await messages_of(log, _unseen)]))

    async def compact(self, tenant: str, body: Compact) -> dict[str, Any]:
        """A conversation in short: one item, in its place; the model sums up.

        Raises:
            ApiError: the conversation or the model is not there.
            AgentError: the model has failed.
        """
        given, now = body.given(), self.server.now()
        async with self.server.read(tenant) as objects:
            log = await self._log(objects, given)
        if not log:
            raise ApiError("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
        backend = self.server.part(Engine).catalog.agent(body.model).model
        made = await summariser(backend)(await messages_of(log, _unseen))
        text, usage = (made, Usage()) if isinstance(made, str) else (made.text, made.usage)
        item = {
            "id": new_id(COMPACTION),
            "type": COMPACTION,
            "encrypted_content": packed(text, instructions_in(log)),
        }
        about = {"id": new_id("response"), "object": "response.compaction", "created_at": now}
        return {**about, "output": [item], "usage": used(usage)}

    async def prepare(self, tenant: str, body: CreateResponse) -> Responding:
        """A response that can be made, and holds its conversation.

        Raises:
            ApiError: it cannot be made so.
        """
        _check(body)
        given, now = body.given(), self.server.now()
        input = taken(given.get("input"), now)
        async with self.server.read(tenant) as objects:
            thread, before = await self._before(objects, given)
            input = await resolved(objects, input, before)
            await know_files(objects, _pictures(input))
        log = [*before, *input]
        check_answered(log)
        engine = self.server.part(Engine)

        async def picture(file_id: str) -> str:
            return await self.server.part(Files).data_url(tenant, file_id)

        work = await work_of(body, log, engine.catalog, tenant, picture)
        engine.agent(work)
        response = new_response(body, now, None if thread is None else conversation_id(thread["id"]))
        making = Responding(
            server=self.server,
            tenant=tenant,
            response=response,
            work=work,
            input=input,
            thread_id=None if thread is None else thread["id"],
            include=body.include or (),
        )
        await self._enter(making)
        return making

    async def _log(self, objects: Objects, given: dict[str, Any]) -> list[Entry]:
        _, before = await self._before(objects, given)
        return [*before, *await resolved(objects, taken(given.get("input"), self.server.now()), before)]

    async def _before(self, objects: Objects, given: dict[str, Any]) -> tuple[dict[str, Any] | None, list[Entry]]:
        """The conversation's thread, if there is one, and what was said before."""
        if "previous_response_id" in given:
            return None, await log_before(objects, given["previous_response_id"])
        if "conversation" not in given:
            return None, []
        named = given["conversation"]
        thread = await find_conversation(objects, named if isinstance(named, str) else named["id"])
        return thread, await objects.all(LOGGED, thread["id"])

    async def _enter(self, making: Responding) -> None:
        async with self.server.write(making.tenant) as objects:
            if making.thread_id is not None:
                await lock(self.server, objects, making.thread_id, making.response["id"])
            if making.response["background"]:
                kept = {"input": making.input, "output": [], "events": []}
                await objects.add(RESPONSE, making.response, private=kept)

    async def make(self, making: Responding) -> dict[str, Any]:
        """Make it while the client waits.

        Raises:
            ApiError: it has failed.
        """
        await making.run(_to_nobody)
        if making.failed is not None:
            raise making.failed
        return making.response

    async def stream(self, making: Responding, send: Send) -> None:
        """Make it while the client watches."""

        async def tell(told: dict[str, Any]) -> None:
            await send(event(told, told["type"]))

        await making.run(tell)
        await send(DONE)

    def begin(self, making: Responding) -> Feed:
        """Make it in the background."""
        feed = self._feeds[making.tenant, making.response["id"]] = Feed(events=making.events)
        self.server.tasks.start_soon(self._run, making, feed)
        return feed

    async def _run(self, making: Responding, feed: Feed) -> None:
        try:
            with feed.scope:
                await making.run(feed.tell)
        finally:
            feed.close()
            del self._feeds[making.tenant, making.response["id"]]

    async def get(self, tenant: str, id: str, include: Sequence[str] = ()) -> dict[str, Any]:
        """A response, as far as it has come.

        Raises:
            ApiError: there is none (404).
        """
        async with self.server.read(tenant) as objects:
            response = await find_response(objects, id)
            kept = await objects.private(RESPONSE, id) if include else None
        if response["status"] in GOING and self._is_lost(tenant, response):
            response |= {"status": "failed", "error": _NO_MORE}
            async with self.server.write(tenant) as objects:
                await objects.put(RESPONSE, response, of=GOING)
        if kept:
            items = {entry["id"]: entry for entry in kept["output"]}
            output = [shown(items[each["id"]], include) if each["id"] in items else each for each in response["output"]]
            response["output"] = output
        return response

    def _is_lost(self, tenant: str, response: dict[str, Any]) -> bool:
        """Whether nobody makes it any more: its server has been killed."""
        if (tenant, response["id"]) in self._feeds:
            return False
        too_late = response["created_at"] + self.server.settings.run_seconds < self.server.now()
        return self.server.database.is_sqlite or too_late

    async def watch(self, tenant: str, id: str, after: int, send: Send) -> None:
        """Tell of a response that is made in the background, from an event on."""
        feed = self._feeds.get((tenant, id))
        if feed is not None:
            await feed.follow(after, send)
            return
        while (await self.get(tenant, id))["status"] in GOING:  # noqa: ASYNC110 (another server makes it)
            await anyio.sleep(_POLL_SECONDS)
        async with self.server.read(tenant) as objects:
            kept = await objects.private(RESPONSE, id)
        if not kept["events"]:
            raise ApiError("Only a response that was made in the background can be streamed again.", param="stream")
        for told in kept["events"]:
            if told["sequence_number"] > after:
                await send(event(told, told["type"]))
        await send(DONE)

    async def cancel(self, tenant: str, id: str) -> dict[str, Any]:
        """Make no more of a response; one that is at its end stays as it is.

        Raises:
            ApiError: there is none, or its client waits for it.
        """
        response = await self.get(tenant, id)
        if not response["background"]:
            raise ApiError("Cannot cancel a synchronous response.", param="response_id")
        if response["status"] in GOING:
            cancelled = response | {"status": "cancelled"}
            async with self.server.write(tenant) as objects:
                await objects.put(RESPONSE, cancelled, of=GOING)
                response = await find_response(objects, id)
            feed = self._feeds.get((tenant, id))
            if feed is not None:
                feed.scope.cancel()
        return response

    async def input_items(self, tenant: str, id: str, page: Page, include: Sequence[str]) -> dict[str, Any]:
        """A part of the list of what a response was given.

        Raises:
            ApiError: there is none, or a cursor is none of the list (404).
        """
        async with self.server.read(tenant) as objects:
            await find_response(objects, id)
            kept = await objects.private(RESPONSE, id)
        return paged([shown(entry, include) for entry in kept["input"]], page)

    async def delete(self, tenant: str, id: str) -> None:
        """Forget a response.

        Raises:
            ApiError: there is none (404).
        """
        async with self.server.write(tenant) as objects:
            await find_response(objects, id)
            await objects.delete(RESPONSE, id)
            await objects.delete_all(id)
        feed = self._feeds.get((tenant, id))
        if feed is not None:
            feed.scope.cancel()


async def _unseen(file_id: str) -> str:
    return ""


async def _to_nobody(told: dict[str, Any]) -> None:
    pass


def _check(body: CreateResponse) -> None:
    if body.background and body.store is False:
        raise unfit("background", "a response in the background is kept; leave out store=false")
    if not body.input and body.previous_response_id is None and body.conversation is None:
        raise ApiError("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")


def _pictures(entries: Sequence[Entry]) -> list[str]:
    parts = [part for entry in entries for part in entry.get("content") or () if part["type"] == "image_file"]
    return [part["image_file"]["file_id"] for part in parts]
