"""For the tests of those who use agentkit: a model that follows a script, servers that do, and no real requests."""

from .assistants import QUIRKS, AssistantsRequest, AssistantsServer, Fault
from .chat_server import ChatRequest, ChatServer
from .faults import FaultyCall, ToolFault, ToolFaults
from .guard import no_real_models
from .leftovers import nothing_left_behind
from .reply import Reply
from .scripted import ScriptedModel, call

__all__ = [
    "QUIRKS",
    "AssistantsRequest",
    "AssistantsServer",
    "ChatRequest",
    "ChatServer",
    "Fault",
    "FaultyCall",
    "Reply",
    "ScriptedModel",
    "ToolFault",
    "ToolFaults",
    "call",
    "no_real_models",
    "nothing_left_behind",
]
