"""A model that is told which tool to call is told so once: else it would call for ever."""

from dataclasses import dataclass, replace

from agentkit import ModelBackend, ToolResult
from agentkit.models.base import ModelInfo, ModelRequest, ModelResponse, OnDelta


@dataclass(frozen=True, kw_only=True)
class ForcedOnce:
    """A model that may say what it likes once it knows what the tool has come to."""

    model: ModelBackend

    @property
    def info(self) -> ModelInfo:
        """See `ModelBackend`."""
        return self.model.info

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """See `ModelBackend`."""
        if request.messages and isinstance(request.messages[-1], ToolResult):
            request = replace(request, settings=replace(request.settings, tool_choice=None))
        return await self.model.generate(request, on_delta)
