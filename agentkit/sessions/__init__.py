"""Conversations that are kept from one run to the next."""

from .base import SessionStore, Stored
from .memory import MemoryStore
from .session import Session

__all__ = ["MemoryStore", "Session", "SessionStore", "Stored"]
