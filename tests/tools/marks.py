"""Functions to be marked, for the tests of what looks at tools as data."""

from types import FunctionType
from typing import Any


def unmarked(function: Any) -> Any:
    """Another function of the same code: a mark adds to those that a function has."""
    fresh = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    fresh.__annotations__, fresh.__doc__, fresh.__kwdefaults__ = (
        function.__annotations__,
        function.__doc__,
        function.__kwdefaults__,
    )
    return fresh
