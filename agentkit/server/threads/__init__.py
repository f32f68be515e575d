"""Assistants, threads and messages: what they are when they are new, and how they change."""

from .assistants import change_assistant, create_assistant
from .lock import ACTIVE, active_run, holder
from .messages import add_message
from .offered import check_offered
from .threads import change_thread, create_thread, delete_thread

__all__ = [
    "ACTIVE",
    "active_run",
    "add_message",
    "change_assistant",
    "change_thread",
    "check_offered",
    "create_assistant",
    "create_thread",
    "delete_thread",
    "holder",
]
