"""A scripted Assistants server: real HTTP, strict, and as odd as a test wants it."""

from .call import AssistantsRequest
from .faults import Fault
from .quirks import QUIRKS
from .server import AssistantsServer

__all__ = ["QUIRKS", "AssistantsRequest", "AssistantsServer", "Fault"]
