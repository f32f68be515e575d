"""What the Assistants server keeps: its clock, the ids it gives, and shelves of objects in the order they came."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar, cast

from agentkit.errors import ConfigError
from agentkit.testing.refusal import Refusal, refuse

Value = TypeVar("Value")
_START = 1_750_000_000
"""What the clock shows at first, in Unix seconds: 2025-06-15, 15:06:40 UTC."""


class Clock:
    """The server's time. It stands still until somebody moves it."""

    def __init__(self) -> None:
        self.now = _START
        """Unix time in seconds."""
        self.on_advance: Callable[[], object] = lambda: None
        """Called after each move."""

    def advance(self, seconds: int) -> None:
        """Let so many seconds pass; what they make expire has expired when the next request comes.

        Raises:
            ConfigError: the seconds are negative.
        """
        if seconds < 0:
            raise ConfigError(f"the clock cannot go back by {-seconds} seconds; advance by 0 or more")
        self.now += seconds
        self.on_advance()


class Store:
    """What all parts of the server share."""

    def __init__(self, quirks: Collection[str] = (), *, strict: bool = True) -> None:
        self.quirks = frozenset(quirks)
        self.strict = strict
        self.clock = Clock()
        self._ids = 0

    def now(self) -> int:
        """The clock's time, in Unix seconds."""
        return self.clock.now

    def new_id(self, prefix: str) -> str:
        """An id that no other object of this server has, as `new_id("thread_")`; the same in each run of a test."""
        self._ids += 1
        digest = hashlib.sha256(f"{prefix}{self._ids}".encode()).hexdigest()
        if "foreign_ids" not in self.quirks:
            return prefix + digest[:24]
        return digest[:24] if self._ids % 2 else f"{digest[:12]}4{digest[13:16]}a{digest[17:32]}"

    def shelf(self, noun: str, *, missing: str = "No {noun} found with id '{id}'.", deleted: str = "") -> "Shelf":
        """A new shelf for what errors call a `noun`; `deleted` is the `object` of a deletion's answer."""
        return Shelf(self, noun, missing, deleted or f"{noun}.deleted")


class Shelf:
    """Objects of one kind in a hidden sequence: the order in which they were added, which no clock can blur."""

    def __init__(self, store: Store, noun: str, missing: str, deleted: str) -> None:
        self._store = store
        self._noun = noun
        self._missing = missing
        self._deleted = deleted
        self._objects: dict[str, dict[str, Any]] = {}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The objects themselves, oldest first."""
        return iter(tuple(self._objects.values()))

    def __contains__(self, id: object) -> bool:
        return id in self._objects

    def snapshot(self) -> list[dict[str, Any]]:
        """Copies of the objects, oldest first."""
        return copied(list(self._objects.values()))

    def add(self, value: dict[str, Any]) -> dict[str, Any]:
        """Keep an object under its `id`."""
        self._objects[value["id"]] = value
        return value

    def get(self, id: str) -> dict[str, Any]:
        """The object itself: who changes it changes what is kept.

        Raises:
            Refusal: there is none (404).
        """
        if id not in self._objects:
            raise Refusal(self._missing.format(noun=self._noun, id=id), status=404)
        return self._objects[id]

    def update(self, id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Overwrite fields of an object, the others stay; see `get`."""
        value = self.get(id)
        value.update(changes)
        return value

    def delete(self, id: str) -> dict[str, Any]:
        """Forget an object; the answer that says so. See `get`."""
        del self._objects[self.get(id)["id"]]
        return {"id": id, "object": self._deleted, "deleted": True}

    def page(
        self,
        query: Mapping[str, str],
        *,
        where: Callable[[dict[str, Any]], bool] = lambda value: True,
        usual: int = 20,
        most: int = 100,
    ) -> dict[str, Any]:
        """The list envelope that `limit`, `order`, `after` and `before` ask for.

        Raises:
            Refusal: one of them is not what it may be; a cursor that is unknown is a 404.
        """
        limit, order = _limit(query, usual, most), query.get("order", "desc")
        if order not in {"asc", "desc"}:
            refuse("order", "expected 'asc' or 'desc'")
        found = [value for value in self._sorted(order) if where(value)]
        more = len(found) > limit
        if "ignores_after" in self._store.quirks:
            more = more or bool(query.keys() & {"after", "before"})
        else:
            found, more = self._between(found, query, limit)
        found = copied(found[:limit])
        ids = [value["id"] for value in found] or [None]
        return {"object": "list", "data": found, "first_id": ids[0], "last_id": ids[-1], "has_more": more}

    def _sorted(self, order: str) -> list[dict[str, Any]]:
        values = list(self._objects.values())
        if "shuffled_ties" in self._store.quirks:
            if order == "asc":
                values.reverse()
            return sorted(values, key=lambda value: value["created_at"] * (1 if order == "asc" else -1))
        return values if order == "asc" else values[::-1]

    def _between(
        self, found: list[dict[str, Any]], query: Mapping[str, str], limit: int
    ) -> tuple[list[dict[str, Any]], bool]:
        """One page of what lies between the cursors, and whether there is more of it."""
        if "after" in query:
            found = found[_place(found, self.get(query["after"])) + 1 :]
        if "before" in query:
            found = found[: _place(found, self.get(query["before"]))]
        backwards = "before" in query and "after" not in query
        return found[-limit:] if backwards else found[:limit], len(found) > limit


def copied(value: Value) -> Value:
    """A JSON value as it is now."""
    return cast(Value, json.loads(json.dumps(value)))


def _place(found: list[dict[str, Any]], cursor: dict[str, Any]) -> int:
    for n, value in enumerate(found):
        if value is cursor:
            return n
    raise Refusal(f"The cursor {cursor['id']!r} is not in this list.")


def _limit(query: Mapping[str, str], usual: int, most: int) -> int:
    text = query.get("limit", str(usual))
    if not re.fullmatch("[0-9]{1,6}", text) or not 1 <= int(text) <= most:
        refuse("limit", f"expected a whole number from 1 to {most}", code=None)
    return int(text)
