"""The web page at `/`, and what it asks for that OpenAI's API does not have."""

from .page import router

__all__ = ["router"]
