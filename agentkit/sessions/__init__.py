"""Conversations that are kept from one run to the next."""

from .base import SessionStore, Stored
from .editing import fork, trim
from .memory import MemoryStore
from .redis import RedisStore
from .session import Session
from .sql import SqlStore

__all__ = ["MemoryStore", "RedisStore", "Session", "SessionStore", "SqlStore", "Stored", "fork", "trim"]
