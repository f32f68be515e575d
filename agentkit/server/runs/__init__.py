"""Runs of assistants on threads: made, executed, watched, moved on and ended."""

from .execution import execute
from .going import Going
from .objects import RUN, STEP, without_results
from .runner import Runner

__all__ = ["RUN", "STEP", "Going", "Runner", "execute", "without_results"]
