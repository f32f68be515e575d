"""agentkit: decorated functions become tools, an async loop runs them, OpenTelemetry sees it all."""

import os as _os

from .agent import Agent
from .context import Context, Secret
from .errors import (
    AgentError,
    ConfigError,
    LimitExceeded,
    ModelError,
    OutputError,
    SessionError,
    ToolDefinitionError,
    ToolError,
    ToolFailed,
)
from .events import Event, ModelAnswered, RunFinished, RunResult, ToolFinished, ToolStarted
from .limits import Limits
from .loader import load_tools
from .messages import AssistantMessage, ImagePart, Message, TextPart, ToolCall, ToolResult, Usage, UserMessage
from .models.base import ModelBackend, ModelRequest, ModelResponse, ModelSettings, TextDelta
from .registry import ToolRegistry
from .sessions import MemoryStore, Session
from .stream import RunStream
from .telemetry import Telemetry
from .tool import Tool, tool

if not _os.path.isdir(_os.path.join(__path__[0], "tools")):  # a checkout: `tools/` lies beside this folder
    __path__.append(_os.path.dirname(__path__[0]))

__all__ = [
    "Agent",
    "AgentError",
    "AssistantMessage",
    "ConfigError",
    "Context",
    "Event",
    "ImagePart",
    "LimitExceeded",
    "Limits",
    "MemoryStore",
    "Message",
    "ModelAnswered",
    "ModelBackend",
    "ModelError",
    "ModelRequest",
    "ModelResponse",
    "ModelSettings",
    "OutputError",
    "RunFinished",
    "RunResult",
    "RunStream",
    "Secret",
    "Session",
    "SessionError",
    "Telemetry",
    "TextDelta",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolDefinitionError",
    "ToolError",
    "ToolFailed",
    "ToolFinished",
    "ToolRegistry",
    "ToolResult",
    "ToolStarted",
    "Usage",
    "UserMessage",
    "load_tools",
    "tool",
]
