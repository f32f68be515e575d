"""Where the server keeps what it is given: an SQLite file, or PostgreSQL."""

from .database import Database
from .objects import Objects, Page

__all__ = ["Database", "Objects", "Page"]
