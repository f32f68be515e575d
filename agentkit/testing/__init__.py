"""For the tests of those who use agentkit: a model that follows a script, a server that does, and no real requests."""

from .chat_server import ChatRequest, ChatServer
from .guard import no_real_models
from .reply import Reply
from .scripted import ScriptedModel, call

__all__ = ["ChatRequest", "ChatServer", "Reply", "ScriptedModel", "call", "no_real_models"]
