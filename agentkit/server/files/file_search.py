"""`file_search`: the tool with which a model searches the files it was given."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit import Context, Tool, ToolFailed
from agentkit import tool as offered
from agentkit.server.desk import Server
from agentkit.server.engine import Findings, Hit, Work
from agentkit.server.store import Objects
from agentkit.server.wire.files import SearchOptions

from .citations import mark
from .searching import Question, search
from .vector_stores import STORE, VectorStores, checked, is_expired

_MOST = 10
"""Passages that a search gives if the client does not say."""
_CITE = "Behind what you take from a passage, write its mark exactly as it stands here, with its brackets."


class FileSearch:
    """The tool, for all work of a server; see `HostedTool`."""

    type = "file_search"

    def __init__(self, server: Server) -> None:
        self._server = server
        self._tool = Tool.of(self.file_search)

    def tool(self, spelled: Mapping[str, Any], work: Work) -> Tool:
        """See `HostedTool.tool`."""
        _options(spelled)
        return self._tool

    @offered(effects="read", trusted=False)
    async def file_search(self, query: str, ctx: Context[Findings]) -> str:
        """Search the files of this conversation for the passages that fit some words best.

        Each passage begins with a mark such as 【1†notes.txt】. Behind what you take from a passage, write its mark,
        exactly as it stands there.

        Args:
            query: The words to look for: those that the passage itself is likely to have.
        """
        findings = ctx.deps
        work = findings.work
        spelled = next((each for each in work.hosted if each["type"] == self.type), {"type": self.type})
        options = _options(spelled)
        least = (options.ranking_options.score_threshold if options.ranking_options else None) or 0.0
        question = Question(
            queries=[query],
            most=options.max_num_results or _MOST,
            least=least,
            filters=options.given().get("filters"),
        )
        named = list(spelled.get("vector_store_ids") or work.resources.get("vector_store_ids") or ())
        now, kept = self._server.now(), self._server.part(VectorStores)
        async with self._server.read(work.tenant) as objects:
            stores = [id for id in dict.fromkeys(named) if await _can_be_searched(objects, id, now)]
        if not stores:
            raise ToolFailed("there are no files to search")
        await kept.settled(work.tenant, stores)
        async with self._server.read(work.tenant) as objects:
            hits = await search(objects, stores, question, now)
        await kept.used(work.tenant, stores)
        findings.hits[ctx.call_id] = hits
        return _told(hits, findings)


def _options(spelled: Mapping[str, Any]) -> SearchOptions:
    """What the client has said about searches; Assistants say it in an object of its own."""
    return checked(SearchOptions, spelled.get("file_search") or spelled, "tools")


async def _can_be_searched(objects: Objects, id: str, now: int) -> bool:
    found = await objects.find(STORE, id)
    return found is not None and not is_expired(found, now)


def _told(hits: Sequence[Hit], findings: Findings) -> str:
    if not hits:
        return "No passage has any of these words; try others."
    told = [f"{mark(_number(hit, findings), hit.filename)}\n{hit.text}" for hit in hits]
    return "\n\n".join([_CITE, *told])


def _number(hit: Hit, findings: Findings) -> int:
    """The number by which the model cites a passage: that of the first time that it was found."""
    for number, known in enumerate(findings.cited, start=1):
        if (known.file_id, known.text) == (hit.file_id, hit.text):
            return number
    findings.cited.append(hit)
    return len(findings.cited)
