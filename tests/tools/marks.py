"""Functions to be marked, for the tests of what looks at tools as data; names of what tests are given."""

import re
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


def named(value: object) -> str:
    """What a test's name says of a value: the same in every process, so that tests can be shared out."""
    return re.sub(r" at 0x[0-9a-f]+| id='\d+'", "", str(value))
