"""Any sequence of requests against plain lists in memory, on each database: what is kept, and what pages show of it."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import session_stores
from anyio.from_thread import start_blocking_portal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from serving import Clock, serving

NAMES = st.sampled_from(["a", "b", "", None])
METADATA = st.sampled_from([{}, {"a": "1"}, {"b": "2", "c": ""}])
ANY = st.integers(0, 1_000)
"""Which of those that are there: the remainder by their number."""


class Machine(RuleBasedStateMachine):
    """Requests, and what they should come to: lists of objects, oldest first, and ids of what has been deleted."""

    def __init__(self, http: httpx.Client, clock: Clock) -> None:
        super().__init__()
        self.http = http
        self.clock = clock
        self.kept: dict[str, list[dict[str, Any]]] = {"/assistants": []}
        self.threads: list[dict[str, Any]] = []
        self.gone: list[str] = []

    def ask(self, method: str, path: str, status: int = 200, **given: Any) -> dict[str, Any]:
        """The answer, which has to have this status."""
        answer = self.http.request(method, path, **given)
        assert answer.status_code == status, (method, path, given, answer.text)
        return dict(answer.json())

    def teardown(self) -> None:
        self.all_is_there()
        for each in self.kept["/assistants"]:
            self.ask("DELETE", f"/assistants/{each['id']}")

    @rule(seconds=st.sampled_from([1, -3600]))
    def time_goes_by_or_back(self, seconds: int) -> None:
        self.clock.now += seconds

    @rule(name=NAMES, metadata=METADATA)
    def make_assistant(self, name: str | None, metadata: dict[str, str]) -> None:
        self._made("/assistants", {"model": "m", "name": name, "metadata": metadata})

    @rule(n=ANY, metadata=METADATA)
    @precondition(lambda self: self.threads)
    def say(self, n: int, metadata: dict[str, str]) -> None:
        path = f"/threads/{self.threads[n % len(self.threads)]['id']}/messages"
        self._made(path, {"role": "user", "content": "Hi.", "metadata": metadata})

    def _made(self, path: str, body: dict[str, Any]) -> None:
        made = self.ask("POST", path, json=body)
        assert made["created_at"] == int(self.clock.now)
        assert (made.get("name"), made["metadata"]) == (body.get("name"), body["metadata"])
        self.kept[path].append(made)

    @rule(said=st.integers(0, 3), metadata=METADATA)
    def make_thread(self, said: int, metadata: dict[str, str]) -> None:
        messages = [{"role": "user", "content": str(n)} for n in range(said)]
        thread = self.ask("POST", "/threads", json={"messages": messages, "metadata": metadata})
        self.threads.append(thread)
        path = f"/threads/{thread['id']}/messages"
        self.kept[path] = self.ask("GET", path, params={"order": "asc"})["data"]
        assert [each["content"][0]["text"]["value"] for each in self.kept[path]] == [str(n) for n in range(said)]

    @rule(n=ANY)
    @precondition(lambda self: self.threads)
    def forget_thread(self, n: int) -> None:
        thread = self.threads.pop(n % len(self.threads))
        self.ask("DELETE", f"/threads/{thread['id']}")
        self.gone += [each["id"] for each in self.kept.pop(f"/threads/{thread['id']}/messages")]
        self.ask("GET", f"/threads/{thread['id']}/messages", 404)

    @rule(n=ANY, m=ANY, metadata=METADATA)
    def change(self, n: int, m: int, metadata: dict[str, str]) -> None:
        if one := self._one(n, m):
            path, each = one
            changed = self.ask("POST", f"{path}/{each['id']}", json={"metadata": metadata})
            assert changed == each | {"metadata": metadata}
            each["metadata"] = metadata

    @rule(n=ANY, m=ANY)
    def forget(self, n: int, m: int) -> None:
        if one := self._one(n, m):
            path, each = one
            self.ask("DELETE", f"{path}/{each['id']}")
            self.kept[path].remove(each)
            self.gone.append(each["id"])
            for method in ("GET", "DELETE"):
                self.ask(method, f"{path}/{each['id']}", 404)

    @rule(n=ANY, limit=st.integers(1, 4), asc=st.booleans())
    def walk(self, n: int, limit: int, asc: bool) -> None:
        """All pages, one after the other, as the SDK asks for them."""
        path, there = self._list(n)
        seen: list[dict[str, Any]] = []
        asked: dict[str, Any] = {"limit": limit, "order": "asc" if asc else "desc"}
        while True:
            page = self.ask("GET", path, params=asked)
            seen += page["data"]
            assert page["has_more"] == (len(seen) < len(there))
            if not page["has_more"]:
                break
            asked["after"] = page["last_id"]
        assert seen == (there if asc else there[::-1])

    @rule(n=ANY, limit=st.integers(1, 4), asc=st.booleans(), after=st.none() | ANY, before=st.none() | ANY)
    def look(self, n: int, limit: int, asc: bool, after: int | None, before: int | None) -> None:
        """A page behind one object, before another, or between the two."""
        path, there = self._list(n)
        shown = there if asc else there[::-1]
        asked: dict[str, Any] = {"limit": limit, "order": "asc" if asc else "desc"}
        low, high = 0, len(shown)
        if after is not None and shown:
            low = after % len(shown) + 1
            asked["after"] = shown[low - 1]["id"]
        if before is not None and shown:
            high = before % len(shown)
            asked["before"] = shown[high]["id"]
        between = shown[low:high]
        wanted = between[-limit:] if "before" in asked and "after" not in asked else between[:limit]
        assert self.ask("GET", path, params=asked) == {
            "object": "list",
            "data": wanted,
            "first_id": wanted[0]["id"] if wanted else None,
            "last_id": wanted[-1]["id"] if wanted else None,
            "has_more": len(between) > limit,
        }

    @rule(n=ANY, m=ANY, name=st.sampled_from(["after", "before"]))
    @precondition(lambda self: self.gone)
    def look_behind_what_is_gone(self, n: int, m: int, name: str) -> None:
        path, _ = self._list(n)
        gone = self.gone[m % len(self.gone)]
        error = self.ask("GET", path, 404, params={name: gone})["error"]
        assert gone in error["message"]

    @rule()
    def all_is_there(self) -> None:
        for path, there in self.kept.items():
            assert self.ask("GET", path, params={"order": "asc", "limit": 100})["data"] == there

    def _list(self, n: int) -> tuple[str, list[dict[str, Any]]]:
        return list(self.kept.items())[n % len(self.kept)]

    def _one(self, n: int, m: int) -> tuple[str, dict[str, Any]] | None:
        path, there = self._list(n)
        return (path, there[m % len(there)]) if there else None


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_any_sequence_of_requests_comes_to_what_plain_lists_say(
    kind: str, at: Callable[[str], session_stores.Place], tmp_path: Path
) -> None:
    """Objects of one second, a clock that is set back, cursors of what is gone: each page is the same slice."""
    clock = Clock()
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal("asyncio"))
        served = stack.enter_context(
            portal.wrap_async_context_manager(serving(tmp_path, clock=clock, database=at(kind).url))
        )
        http = stack.enter_context(httpx.Client(base_url=served.base_url))
        run_state_machine_as_test(
            lambda: Machine(http, clock),
            settings=settings(max_examples=10, stateful_step_count=15, deadline=None, database=None),
        )
