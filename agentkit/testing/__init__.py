"""For the tests of those who use agentkit: a model that follows a script, a server that does, and no real requests."""

from .guard import no_real_models
from .scripted import ScriptedModel, call

__all__ = ["ScriptedModel", "call", "no_real_models"]
