"""The Assistants wire: threads and runs, kept by a server."""

from .backend import AssistantsBackend
from .file_wire import Chunks, FileInfo
from .files import Files

__all__ = ["AssistantsBackend", "Chunks", "FileInfo", "Files"]
