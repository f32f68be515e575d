"""The Assistants wire: threads and runs, kept by a server."""

from .backend import AssistantsBackend
from .files import Files

__all__ = ["AssistantsBackend", "Files"]
