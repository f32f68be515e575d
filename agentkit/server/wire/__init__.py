"""What clients send, checked: one module for each API."""

from .base import Body, Metadata, Whole

__all__ = ["Body", "Metadata", "Whole"]
