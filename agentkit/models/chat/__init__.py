"""Chat Completions: the wire that most model servers speak."""

from .backend import ChatBackend

__all__ = ["ChatBackend"]
