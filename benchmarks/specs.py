"""What tools cost before any call: the spec of a function, next to pydantic-ai's; a registry, next to `json.dumps`.

As a program, the process that one contestant has to itself: `python -m benchmarks.specs CONTESTANT TOOLS`.
"""

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from .memory import peak_megabytes
from .processes import started
from .results import Table

SPEC = "spec of a function with 6 documented parameters"
PYDANTIC_AI = "pydantic-ai"
AGENTKIT = "agentkit"
BY_HAND = "pydantic model by hand"

EXPORT = "1,000 tools as the Chat API takes them"
DUMPS = "json.dumps of the list"
EXPORTED = "export, from cache"
ANEW = "export, of a new registry"

TOOLS = 1000
TIMES = {**dict.fromkeys((PYDANTIC_AI, AGENTKIT, BY_HAND), 200), DUMPS: 20, EXPORTED: 20, ANEW: 1}
"""How often each contestant does its work in one repetition."""


def tables(*, quick: bool) -> Iterator[Table]:
    """Both tables; each contestant in its own process, all of them in turn, again and again."""
    yield _race(SPEC, (PYDANTIC_AI, AGENTKIT, BY_HAND), quick=quick)
    yield _race(EXPORT, (DUMPS, EXPORTED, ANEW), quick=quick)


def _race(title: str, contestants: Sequence[str], *, quick: bool) -> Table:
    table = Table(title=title, what="CPU time of one", baseline=contestants[0])
    tools = "20" if quick else str(TOOLS)
    with ExitStack() as running:
        workers = {name: running.enter_context(started("benchmarks.specs", name, tools)) for name in contestants}
        for name, worker in workers.items():
            worker.hear()
            table.costs[name] = []
        for _ in range(1 if quick else 15):
            for name, worker in workers.items():
                measured = worker.ask()
                table.costs[name].append(1000 * measured["cpu"] / TIMES[name])
                table.megabytes[name] = measured["megabytes"]
    return table


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    city: str
    country: Literal["AT", "CH", "DE", "IT"] = "DE"


def new_function() -> Callable[..., str]:
    """A function that nobody has seen before."""

    def book(
        name: str,
        guests: int,
        address: Address,
        nights: Annotated[int, Field(ge=1, le=30)] = 1,
        wishes: list[str] | None = None,
        pay: Literal["card", "cash"] = "card",
    ) -> str:
        """Book a room in a hotel.

        The room is kept until six in the evening.

        Args:
            name: Who comes.
            guests: How many people come.
            address: Where the bill goes.
            nights: How many nights they stay.
            wishes: What else the hotel should know.
            pay: How they pay.

        Returns:
            The number of the booking.
        """
        return name

    return book


def _pydantic_ai(tools: int) -> Callable[[], Any]:
    from pydantic_ai import Tool

    return lambda: Tool(new_function()).tool_def.parameters_json_schema


def _agentkit(tools: int) -> Callable[[], Any]:
    from agentkit import Tool

    return lambda: Tool.of(new_function()).parameters


def _by_hand(tools: int) -> Callable[[], Any]:
    """What one would write instead: no docstring is read, and no function is called."""
    from pydantic import create_model

    def spec() -> Any:
        described = {
            "name": (str, Field(description="Who comes.")),
            "guests": (int, Field(description="How many people come.")),
            "address": (Address, Field(description="Where the bill goes.")),
            "nights": (int, Field(1, ge=1, le=30, description="How many nights they stay.")),
            "wishes": (list[str] | None, Field(None, description="What else the hotel should know.")),
            "pay": (Literal["card", "cash"], Field("card", description="How they pay.")),
        }
        return create_model("book", **described).model_json_schema()  # type: ignore[call-overload]

    return spec


def _registry(tools: int) -> Any:
    from agentkit import tool
    from agentkit.registry import ToolRegistry

    return ToolRegistry([tool(name=f"book_{number}")(new_function()) for number in range(tools)])


def _dumps(tools: int) -> Callable[[], Any]:
    listed = _registry(tools).export("chat")

    def dumped() -> Any:
        json.dumps(listed)
        return listed

    return dumped


def _exported(tools: int) -> Callable[[], Any]:
    registry = _registry(tools)
    return lambda: registry.export("chat")


def _anew(count: int) -> Callable[[], Any]:
    from agentkit.registry import ToolRegistry

    tools = list(_registry(count))
    return lambda: ToolRegistry(tools).export("chat")


CONTESTANTS: Mapping[str, Callable[[int], Callable[[], Any]]] = {
    PYDANTIC_AI: _pydantic_ai,
    AGENTKIT: _agentkit,
    BY_HAND: _by_hand,
    DUMPS: _dumps,
    EXPORTED: _exported,
    ANEW: _anew,
}


def check(made: Any, tools: int) -> None:
    """Nobody is fast by leaving something out."""
    if isinstance(made, list):
        assert len(made) == tools
        made = made[-1]["function"]["parameters"]
    assert len(made["properties"]) == 6, made
    assert all(each["description"] for each in made["properties"].values()), made
    assert made["required"][:3] == ["name", "guests", "address"], made
    assert '"maximum": 30' in json.dumps(made["properties"]["nights"]), made


def main(name: str, tools: int) -> None:
    """Warm up, say so, and go on until the input ends."""
    work = CONTESTANTS[name](tools)
    check(work(), tools)
    print(json.dumps({"ready": name}), flush=True)
    for _ in sys.stdin:
        gc.collect()
        cpu = time.process_time()
        for _ in range(TIMES[name]):
            made = work()
        cpu = time.process_time() - cpu
        check(made, tools)
        print(json.dumps({"cpu": cpu, "megabytes": peak_megabytes()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
