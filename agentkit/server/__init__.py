"""`agentkit serve`: Assistants, Responses, Conversations and Chat Completions over HTTP, on any backend of agentkit."""

from .settings import ServerSettings

__all__ = ["ServerSettings"]
