"""A shop's clerk in the model's place, who does what the programs of the tests and the proofs ask of a model.

`python tests/server/shop.py DATABASE`: agentkit's server with the clerk behind all model names; prints its URL
and a key.
"""

import re
import sys
import time
from typing import Any

import anyio

from agentkit import ToolResult, UserMessage
from agentkit.messages import ToolCall
from agentkit.models.base import ModelRequest
from agentkit.server import ServerSettings
from agentkit.server.serving import serve_until_stopped
from agentkit.server.store import Database
from agentkit.server.store.keys import Keys
from agentkit.testing import ScriptedModel, call

MODEL = "gpt-4.1"
QUESTION = "What is 1+2, and how many A-1 are left?"
OUTPUTS = {"add": "3", "units_left": "3"}
ANSWER = "Three, and three left."
_ARGUMENTS: dict[str, dict[str, Any]] = {"add": {"a": 1, "b": 2}, "units_left": {"sku": "A-1"}}


def clerk(request: ModelRequest) -> str | list[ToolCall]:
    """The answer to one request."""
    last = request.messages[-1] if request.messages else None
    if isinstance(last, ToolResult):
        mark = re.search("【[^】]*】", last.content)
        return f"The lamp is in the attic{mark[0]}." if mark else ANSWER
    if request.output is not None:
        return '{"answer": 3}'
    return _calls(last.text if isinstance(last, UserMessage) else "", request) or "Hello there, how can I help?"


def _calls(asked: str, request: ModelRequest) -> list[ToolCall]:
    names, choice = [tool.name for tool in request.tools], request.settings.tool_choice
    if choice == "none":
        return []
    if "1+2" in asked:
        # some clients write the name of a plugin before the function's
        known = {name: word for name in names for word in _ARGUMENTS if name.endswith(word)}
        return [call(name, **_ARGUMENTS[word]) for name, word in known.items()]
    if "lamp" in asked and "file_search" in names:
        return [call("file_search", query="lamp")]
    return [call(choice)] if choice in names else []


def clerks() -> ScriptedModel:
    """A model that never runs out of answers."""
    return ScriptedModel([clerk] * 100_000)


async def _key(database: str) -> str:
    opened = Database(database)
    await opened.open()
    try:
        return await Keys(opened).add("shop", "shop", int(time.time()))
    finally:
        await opened.close()


def serve(database: str) -> None:
    """agentkit's server until it is told to stop; prints its URL and a key when it answers."""
    key, model = anyio.run(_key, database), clerks()
    settings = ServerSettings(database=database, models={MODEL: model, "*": model}, port=0, code_interpreter=True)
    serve_until_stopped(settings, lambda url: print(f"{url}/v1 {key}", flush=True))


if __name__ == "__main__":
    serve(sys.argv[1])
