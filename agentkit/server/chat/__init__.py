"""Chat Completions: what a client asks -> a piece of work, and its answer -> what the client is told."""

from .ask import work_of
from .tell import ChatWriter

__all__ = ["ChatWriter", "work_of"]
