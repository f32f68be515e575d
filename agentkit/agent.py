"""An agent: a model, what it is told, what it may do and spend. A description that can be run."""

import uuid
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, cast

import anyio

from .approval import Approve
from .caller import Caller
from .errors import ConfigError
from .events import Emit, Out, RunResult, to_no_one
from .executor import Executor
from .journal import Journal
from .limits import Budget, Limits
from .loop import Run
from .messages import AssistantMessage, FilePart, ImagePart, Message, Part, TextPart, ToolResult, UserMessage, clean
from .models import resolve_model
from .models.base import ModelBackend, ModelRequest, ModelSettings
from .registry import Given, ToolRegistry
from .sessions import Session
from .steps import Inline, Steps
from .stream import RunStream, watch
from .telemetry import Telemetry

if TYPE_CHECKING:
    from .output import OutputType

Prompt: TypeAlias = str | Sequence[Part | str] | UserMessage | None


@dataclass(frozen=True)
class Agent(Generic[Out]):
    """A model with instructions, tools, an output type and limits.

    It does not change, so one agent serves any number of runs at once; a variant is
    `dataclasses.replace(agent, model="local:needle")`.

    Raises:
        ToolDefinitionError: a function cannot be a tool, or two tools have one name.
        ConfigError: the output type has no JSON Schema.
    """

    model: str | ModelBackend
    """`"wire:model"`, `"chat:gpt-5.5"` for example, or a backend."""
    _: KW_ONLY
    name: str = ""
    """What it is called in traces."""
    instructions: str = ""
    """What the model is told before the conversation."""
    tools: Sequence[Given] | ToolRegistry = ()
    """Functions the model may call, decorated with `@tool` or not, and tools that its server runs."""
    output: type[Out] = cast("type[Out]", str)
    """The type of the result's `output`: text, or anything that pydantic validates."""
    limits: Limits = Limits()
    """What one run may spend."""
    settings: ModelSettings = ModelSettings()
    """How the model samples."""
    telemetry: Telemetry = Telemetry()
    """Where its spans go."""
    journal: Journal | None = None
    """Where it is written down which effects its tools have begun and completed."""
    registry: ToolRegistry = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.model, str) or hasattr(self.model, "generate")):
            raise ConfigError(f'model={self.model!r:.100}: write "wire:model", or give a backend')
        for name, kind in (("limits", Limits), ("settings", ModelSettings), ("telemetry", Telemetry)):
            if not isinstance(getattr(self, name), kind):
                raise ConfigError(f"{name}={getattr(self, name)!r:.100}: write {name}={kind.__name__}(...)")
        if not (self.journal is None or hasattr(self.journal, "begin")):
            raise ConfigError(f"journal={self.journal!r:.100}: write journal=FileJournal({self.journal!r:.100})")
        given: object = self.tools
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ConfigError(
                f"tools={self.tools!r:.100}: write a list of functions, or load_tools({self.tools!r:.40})"
            )
        registry = self.tools if isinstance(self.tools, ToolRegistry) else ToolRegistry(self.tools)
        object.__setattr__(self, "registry", registry)
        if self.output is not str:
            _ = self._output  # refused here, not on the first run

    async def run(
        self,
        prompt: Prompt,
        *,
        deps: Any = None,
        session: Session | None = None,
        history: Sequence[Message] = (),
        steps: Steps | None = None,
        approve: Approve | None = None,
    ) -> RunResult[Out]:
        """Run to the end.

        Args:
            prompt: What the user says: text, or parts of text and pictures. None goes on with the history as it is.
            deps: What tools get as `Context.deps`.
            session: The conversation to go on with; every finished step is stored there.
            history: What was said before, where there is no session.
            steps: How effects are carried out; inline, unless a recorder or a durable engine is given.
            approve: Says yes or no to each call of a tool that needs approval; without it, such calls are refused.

        Raises:
            ModelError: the model did not answer, or not in a way that can be used.
            LimitExceeded: a limit was reached.
            SessionError: the conversation could not be loaded or stored.
            ConfigError: something is set up wrongly.
        """
        run = self._start(to_no_one, deps=deps, session=session, history=history, steps=steps, approve=approve)
        return await run.run(_message(prompt))

    def run_sync(
        self,
        prompt: Prompt,
        *,
        deps: Any = None,
        session: Session | None = None,
        history: Sequence[Message] = (),
        approve: Approve | None = None,
    ) -> RunResult[Out]:
        """Run to the end, from code that is not async; see `run`."""
        if _in_event_loop():
            raise ConfigError("run_sync was called in an event loop; use `await agent.run(...)` there")
        return anyio.run(partial(self.run, prompt, deps=deps, session=session, history=history, approve=approve))

    def stream(
        self,
        prompt: Prompt,
        *,
        deps: Any = None,
        session: Session | None = None,
        history: Sequence[Message] = (),
        steps: Steps | None = None,
        approve: Approve | None = None,
    ) -> AbstractAsyncContextManager[RunStream[Out]]:
        """Run while watching; see `run` for the arguments and for what the iteration raises.

        `async with agent.stream("...") as run:` and inside `async for event in run:`; then `run.result`. Leaving the
        block early cancels the run. Where the block stands in an async generator of your own, let its caller close
        that with `contextlib.aclosing`: a generator that is merely dropped leaves its blocks in another task.
        """
        start = partial(self._start, deps=deps, session=session, history=history, steps=steps, approve=approve)
        return watch(start, _message(prompt))

    def _start(
        self,
        emit: Emit,
        *,
        deps: Any,
        session: Session | None,
        history: Sequence[Message],
        steps: Steps | None,
        approve: Approve | None,
    ) -> Run[Out]:
        _check_history(session, history)
        if not (approve is None or callable(approve)):
            raise ConfigError(f"approve={approve!r:.90}: give a function that takes an Approval and says True or False")
        run_id, steps, budget = uuid.uuid4().hex, steps or Inline(), Budget(limits=self.limits)
        return Run(
            id=run_id,
            agent=self.name,
            model=self._backend,
            request=self._request,
            output=self._output,
            messages=list(history),
            session=session,
            budget=budget,
            executor=Executor(
                tools=self.registry,
                caller=Caller(
                    tools=self.registry,
                    deps=deps,
                    run_id=run_id,
                    agent=self.name,
                    budget=budget,
                    telemetry=self.telemetry,
                    emit=emit,
                    approve=approve,
                    journal=self.journal,
                ),
                steps=steps,
            ),
            steps=steps,
            telemetry=self.telemetry,
            emit=emit,
        )

    @cached_property
    def _backend(self) -> ModelBackend:
        return resolve_model(self.model)

    @cached_property
    def _output(self) -> "OutputType[Out]":
        from .output import OutputType  # on first use: pydantic costs more than the whole of `import agentkit`

        return OutputType(self.output)

    @cached_property
    def _request(self) -> ModelRequest:
        return ModelRequest(
            messages=(),
            instructions=clean(self.instructions),
            tools=self.registry,
            output=self._output.format,
            settings=self.settings,
        )


def _check_history(session: Session | None, history: Sequence[Message]) -> None:
    if session is not None and history:
        raise ConfigError(
            "give either session= or history=: the session has a history of its own; "
            "to begin one with messages, write `await store.append(id, messages, revision=0)`"
        )
    if not (session is None or isinstance(session, Session)):
        raise ConfigError(f'session={session!r:.100}: write session=Session("...")')
    if strange := [
        m for m in cast("Sequence[object]", history) if not isinstance(m, UserMessage | AssistantMessage | ToolResult)
    ]:
        raise ConfigError(f"history= holds {strange[0]!r:.100}; give messages, as RunResult.messages has them")


def _message(prompt: Prompt) -> UserMessage | None:
    match prompt:
        case None:
            return None
        case str():
            return UserMessage(content=clean(prompt))
        case UserMessage(content=str() as text):
            return UserMessage(content=clean(text))
        case UserMessage(content=parts):
            return UserMessage(content=tuple(_part(part) for part in parts))
        case list() | tuple():
            return UserMessage(content=tuple(_part(part) for part in prompt))
    raise ConfigError(f"the prompt is {prompt!r:.100}; it can be text, a list of parts, a UserMessage, or None")


def _part(part: Part | str) -> Part:
    match part:
        case str():
            return TextPart(text=clean(part))
        case TextPart(text=text):
            return TextPart(text=clean(text))
        case ImagePart() | FilePart(use="file_search" | "code_interpreter" | "image"):
            return part
        case FilePart():
            raise ConfigError(f'{part!r:.100}: use is "file_search", "code_interpreter" or "image"')
    raise ConfigError(f"a part of the prompt is {part!r:.100}; it can be text, a TextPart, an ImagePart or a FilePart")


def _in_event_loop() -> bool:
    try:
        anyio.get_current_task()
    except (RuntimeError, anyio.NoEventLoopError):
        return False
    return True
