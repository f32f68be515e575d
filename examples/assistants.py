"""Ask a handbook on a server that speaks the Assistants wire: file search, an answer as it is written, its sources.

    python examples/assistants.py

A server of yours answers if OPENAI_BASE_URL is set (and OPENAI_API_KEY); otherwise one on this machine does, with a
scripted model. The upload is shown on stderr, as a bar if `rich` is installed. It prints:

    [file_search: returns.txt]
    Goods may be returned within 30 days, if the customer still has the receipt.【4:0†returns.txt】
    【4:0†returns.txt】 is returns.txt, 77 bytes
"""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from agentkit import Agent, AssistantMessage, TextDelta
from agentkit.events import HostedToolFinished
from agentkit.hosted import FileSearch
from agentkit.messages import Citation, HostedCall
from agentkit.models.assistants import AssistantsBackend, Files
from agentkit.testing import AssistantsServer

HANDBOOK = b"Goods may be returned within 30 days, if the customer still has the receipt.\n"


async def main() -> None:
    async with a_backend() as backend:
        handbook = await upload(backend.files, HANDBOOK, "returns.txt")
        store = await backend.files.create_store([handbook], name="handbook", expires_days=1)
        clerk = Agent(
            backend,
            name="clerk",
            instructions="Answer from the handbook, in one sentence.",
            tools=[FileSearch(stores=(store,), keep="thread")],
        )
        try:
            await ask(clerk, backend, "How long may goods be returned?")
        finally:
            await backend.files.delete_store(store)
            await backend.files.delete(handbook)


async def ask(clerk: Agent, backend: AssistantsBackend, question: str) -> None:
    """Ask, show what happens, and what the answer is taken from; then take the conversation off the server."""
    async with clerk.stream(question) as run:
        async for event in run:
            match event:
                case HostedToolFinished(call=call):
                    print(f"[{call.tool}: {', '.join(hit.filename for hit in call.hits)}]")
                case TextDelta(text=text):
                    print(text, end="", flush=True)
    print()
    for citation in run.result.answer.citations:
        source = await backend.files.info(citation.file_id)
        print(f"{citation.marker} is {source.name}, {source.size} bytes")
    await backend.forget(run.result.messages)


async def upload(files: Files, content: bytes, name: str) -> str:
    """Put a file on the server, and show how far it is."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:

        def show(done: int, total: int) -> None:
            print(f"\r{name} {done / total:4.0%}", end="\n" if done == total else "", file=sys.stderr, flush=True)

        return await files.upload(content, name=name, on_progress=show)
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task(name)
        return await files.upload(
            content, name=name, on_progress=lambda done, total: progress.update(bar, completed=done, total=total)
        )


@asynccontextmanager
async def a_backend() -> AsyncGenerator[AssistantsBackend]:
    """A model on your server, or on one that is started here."""
    if "OPENAI_BASE_URL" in os.environ:
        yield AssistantsBackend("gpt-4o")
        return
    server: AssistantsServer = AssistantsServer(lambda request: quote(server, request))
    async with server:
        yield AssistantsBackend("gpt-4o", base_url=server.base_url, api_key="any-key")


async def quote(server: AssistantsServer, request: dict[str, Any]) -> AssistantMessage:
    """What the scripted model says: the passage that fits the question best, and where it stands."""
    [store] = server.threads[0]["tool_resources"]["file_search"]["vector_store_ids"]
    question = request["messages"][-1]["content"]
    [hit] = await Files(base_url=server.base_url, api_key="any-key").search(store, question, max_results=1)
    text, marker = hit.text.strip(), f"【4:0†{hit.filename}】"
    return AssistantMessage(
        text=text + marker,
        citations=(Citation(file_id=hit.file_id, start=len(text), end=len(text + marker), marker=marker),),
        hosted_calls=(HostedCall(id="call_1", tool="file_search", hits=(hit,)),),
    )


if __name__ == "__main__":
    anyio.run(main)
