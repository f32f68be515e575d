"""Runs that survive their process: the steps of a run as steps of a DBOS workflow. The extra `durable`."""

from .shared import SharedWork
from .steps import DurableSteps

__all__ = ["DurableSteps", "SharedWork"]
