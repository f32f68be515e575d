"""What an editor knows about an agent and what it returns. Read by type checkers, never run.

A line with an ignore comment must not check: where it does, the comment is unused, and that is an error.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypedDict, assert_type

from pydantic import BaseModel, Field

from agentkit import (
    Agent,
    Event,
    Limits,
    ModelAnswered,
    ModelBackend,
    ModelRequest,
    ModelResponse,
    ModelSettings,
    RunFinished,
    RunResult,
    RunStream,
    Session,
    Usage,
    tool,
)
from agentkit.models.base import ModelInfo, OnDelta
from agentkit.paused import Approved, PausedRun


class Answer(BaseModel):
    sku: str
    left: int


@dataclass
class Place:
    city: str


class Row(TypedDict):
    sku: str


@tool
def units_left(sku: str) -> int:
    return len(sku)


text = Agent("chat:m")
typed = Agent("chat:m", output=Answer, tools=[units_left, len], limits=Limits(iterations=3))

assert_type(text, Agent[str])
assert_type(typed, Agent[Answer])
assert_type(Agent("chat:m", output=Place), Agent[Place])
assert_type(Agent("chat:m", output=str), Agent[str])
assert_type(Agent("chat:m", output=int), Agent[int])
assert_type(Agent("chat:m", output=Row), Agent[Row])
assert_type(Agent("chat:m", output=list[Place]), Agent[list[Place]])
assert_type(Agent("chat:m", output=dict[str, int]), Agent[dict[str, int]])
assert_type(Agent("chat:m", output=tuple[int, Answer]), Agent[tuple[int, Answer]])
assert_type(Agent("chat:m", output=Answer | Place), Agent[Answer | Place])
assert_type(Agent("chat:m", output=Answer | str), Agent[Answer | str])
assert_type(Agent("chat:m", output=int | None), Agent[int | None])
assert_type(Agent("chat:m", output=list[Answer] | None), Agent[list[Answer] | None])
assert_type(Agent("chat:m", output=Literal["yes", "no"]), Agent[Literal["yes", "no"]])
assert_type(Agent("chat:m", output=Annotated[int, Field(ge=1)]), Agent[int])
assert_type(Agent("chat:m", output=Any), Agent[Any])
assert_type(replace(typed, model="assistants:m"), Agent[Answer])

Agent()  # type: ignore[call-arg]
Agent("chat:m", "be brief")  # type: ignore[call-arg]
Agent("chat:m", output=3)  # type: ignore[arg-type]
Agent("chat:m", output=[int])  # type: ignore[arg-type]
Agent("chat:m", output={"sku": str})  # type: ignore[arg-type]
Agent("chat:m", tools=units_left)  # type: ignore[arg-type]
Agent("chat:m", tools=["units_left"])  # type: ignore[list-item]
Agent("chat:m", limits={"iterations": 3})  # type: ignore[arg-type]
Agent("chat:m", limits=Limits(iteration=3))  # type: ignore[call-arg]
Agent("chat:m", settings=ModelSettings(temperature="hot"))  # type: ignore[arg-type]
text.instructions = "be brief"  # type: ignore[misc]


async def a_run_returns_what_the_agent_promises(session: Session) -> None:
    assert_type(await text.run("hello"), RunResult[str])
    assert_type(await typed.run("hello", session=session), RunResult[Answer])

    result = await typed.run("hello", deps={"any": "thing"})
    assert_type(result.output, Answer)
    assert_type(result.output.left, int)
    assert_type(result.usage, Usage)
    assert_type(result.iterations, int)
    print(result.output.right)  # type: ignore[attr-defined]

    await text.run()  # type: ignore[call-arg]
    await text.run(3)  # type: ignore[arg-type]
    await text.run("hello", session="a session's name")  # type: ignore[arg-type]


async def what_a_union_is_narrows() -> None:
    said = (await Agent("chat:m", output=Answer | Literal["no", "yes"] | list[int] | None).run("hello")).output
    match said:
        case Answer():
            assert_type(said.left, int)
        case list():
            assert_type(said, list[int])
        case None:
            pass
        case _:
            assert_type(said, Literal["no", "yes"])


def a_sync_run_returns_the_same(paused: PausedRun) -> None:
    assert_type(text.run_sync("hello").output, str)
    assert_type(typed.run_sync("hello").output, Answer)
    assert_type(typed.resume_sync(paused, {"call_1": Approved()}), RunResult[Answer])


async def a_paused_run_goes_on_to_the_same(paused: PausedRun) -> None:
    assert_type(await typed.resume(paused, {"call_1": Approved()}), RunResult[Answer])
    async with typed.resume_stream(paused, {"call_1": Approved()}) as run:
        assert_type(run, RunStream[Answer])
    await typed.resume("paused", {})  # type: ignore[arg-type]
    await typed.resume(paused, {"call_1": True})  # type: ignore[dict-item]


async def a_stream_is_a_run_that_is_watched() -> None:
    async with typed.stream("hello") as run:
        assert_type(run, RunStream[Answer])
        async for event in run:
            assert_type(event, Event)
            match event:
                case ModelAnswered():
                    assert_type(event.response, ModelResponse)
                case RunFinished():
                    assert_type(event.result.iterations, int)
                case _:
                    pass
    assert_type(run.result.output, Answer)


class Echo:
    """Any class with these two is a backend: there is nothing to inherit from."""

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(provider="echo", model="echo")

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        raise NotImplementedError


class Deaf:
    async def generate(self, prompt: str) -> str:
        return prompt


backend: ModelBackend = Echo()
assert_type(Agent(Echo(), output=Answer), Agent[Answer])
Agent(Deaf())  # type: ignore[arg-type]
