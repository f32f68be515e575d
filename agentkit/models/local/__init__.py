"""The embedded model: answers offline, without a key, from a few simple tools."""

from .backend import LocalBackend

__all__ = ["LocalBackend"]
