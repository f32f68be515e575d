"""Responses and Conversations: what a client asks -> a piece of work, its answer -> items, kept in one log."""

from .responses import Responses

__all__ = ["Responses"]
