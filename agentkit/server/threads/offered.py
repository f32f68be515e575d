"""What a client asks for that this server may not have."""

from collections.abc import Sequence

from agentkit.server.catalog import Catalog
from agentkit.server.desk import Server
from agentkit.server.errors import ApiError
from agentkit.server.wire.tools import AssistantTool, CodeInterpreterTool


def check_offered(server: Server, model: str | None, tools: Sequence[AssistantTool] | None) -> None:
    """Make sure that the server has a model, and all tools that it is to run itself.

    Raises:
        ApiError: it has not.
    """
    if model is not None:
        server.part(Catalog).agent(model)
    if not server.settings.code_interpreter and any(isinstance(tool, CodeInterpreterTool) for tool in tools or ()):
        raise ApiError(
            "This server runs no code; `agentkit serve --code-interpreter` switches its 'code_interpreter' on.",
            param="tools",
            code="unsupported_tool",
        )
