"""An agent: a model, what it is told, what it may do and spend. A description that can be run."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Generic, cast

import anyio
from typing_extensions import TypeForm, Unpack

from .approval import Asked, Taint, pause_of
from .asker import Asker
from .budget import Budget
from .caller import Caller
from .context import Context, to_nobody
from .delegation import agent_tool, handoff_tool
from .errors import ConfigError
from .events import Emit, Out, RunResult, to_no_one
from .executor import Executor
from .given import GivenToRun, check_agent
from .guardrails import Guardrails, Guards
from .history import History
from .journal import Journal
from .limits import Limits
from .loop import Run
from .messages import Message, clean
from .models import resolve_model
from .models.base import ModelBackend, ModelRequest, ModelSettings, OutputMode
from .paused import Answer, PausedRun
from .policy import PolicyOptions
from .prices import Prices
from .prompt import Prompt, as_message, mended
from .registry import Given, ToolRegistry
from .resuming import Resumption
from .role import Role
from .sessions import Session
from .steps import Inline, Steps
from .stream import RunStream, Watched
from .telemetry import Telemetry
from .tool import Tool
from .window import View, Window

if TYPE_CHECKING:
    from .output import OutputType


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
    output: TypeForm[Out] = cast("TypeForm[Out]", str)
    """The type of the result's `output`: text, or anything that pydantic validates."""
    output_mode: OutputMode | None = None
    """How the model is brought to answer so: `native`, `tool` or `prompted`; the best that it can, if not given."""
    limits: Limits = Limits()
    """What one run may spend."""
    settings: ModelSettings = ModelSettings()
    """How the model samples."""
    description: str = ""
    """What it is good for, for the models of agents that call it or hand over to it."""
    handoffs: "Sequence[Agent[Any]] | Callable[[], Sequence[Agent[Any]]]" = ()
    """Agents with the same output that this one may hand the conversation over to; a function, where they know each
    other."""
    telemetry: Telemetry = Telemetry()
    """Where its spans, metrics and events go."""
    prices: Prices | None = None
    """What model calls cost; where money is limited and this is None, those that genai-prices lists."""
    window: Window | None = None
    """How much of a long conversation the model is sent; None for all of it."""
    guardrails: Guardrails | None = None
    """Functions that may stop a run."""
    taint: Taint = "approve"
    """Whether a call that reaches out or destroys needs a yes once something untrusted was read: `approve`, `allow`, or
    a function that says which may be made."""
    journal: Journal | None = None
    """Where it is written down which effects its tools have begun and completed."""
    registry: ToolRegistry = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_agent(vars(self))
        registry = self.tools if isinstance(self.tools, ToolRegistry) else ToolRegistry(self.tools)
        object.__setattr__(self, "registry", registry)
        if not callable(self.handoffs):
            _check_agents(self.handoffs)
        if self.output is not str:
            _ = self._declared  # refused here, not on the first run

    async def run(
        self,
        prompt: Prompt,
        *,
        deps: Any = None,
        session: Session | None = None,
        history: Sequence[Message] = (),
        steps: Steps | None = None,
        approve: Asked | None = None,
    ) -> RunResult[Out]:
        """Run to the end.

        Args:
            prompt: What the user says: text, or parts of text and pictures. None goes on with the history as it is.
            deps: What tools get as `Context.deps`.
            session: The conversation to go on with; every finished step is stored there.
            history: What was said before, where there is no session.
            steps: How effects are carried out; inline, unless a recorder or a durable engine is given.
            approve: Says yes or no to each call of a tool that needs approval; without it, such calls are refused.
                `"pause"`: the run ends with a result whose `paused` can be kept until somebody has answered.

        Raises:
            ModelError: the model did not answer, or not in a way that can be used.
            LimitExceeded: a limit was reached.
            SessionError: the conversation could not be loaded or stored.
            ConfigError: something is set up wrongly.
        """
        given = GivenToRun(deps=deps, session=session, history=history, steps=steps, approve=approve)
        return await self._start(given, to_no_one).run(as_message(prompt))

    async def resume(
        self,
        paused: PausedRun,
        answers: Mapping[str, Answer],
        *,
        deps: Any = None,
        session: Session | None = None,
        steps: Steps | None = None,
        approve: Asked | None = "pause",
    ) -> RunResult[Out]:
        """Go on with a run that has paused, in this process or another, once.

        Args:
            paused: What the run came to; `PausedRun.from_json` reads it.
            answers: By call id: `Approved()`, `Denied("why")`, or `Answered(value)` for a tool that is run elsewhere.
                The run pauses again for calls without one.
            deps: See `run`, also for the others.
            session: The conversation, if it has one.
            steps: How effects are carried out.
            approve: Who is asked from here on.

        Raises:
            ApprovalRefused: an answer is for another run or call, too late, or was given before; nothing was done.
            SessionConflict: the conversation has gone on in between; nothing was done.
            AgentError: as `run` does.
        """
        resumes = Resumption(paused=paused, answers=answers)
        given = GivenToRun(deps=deps, session=session, steps=steps, approve=approve, resumes=resumes)
        return await self._start(given, to_no_one).run(None)

    def resume_sync(
        self,
        paused: PausedRun,
        answers: Mapping[str, Answer],
        *,
        deps: Any = None,
        session: Session | None = None,
        approve: Asked | None = "pause",
    ) -> RunResult[Out]:
        """Go on with a run that has paused, from code that is not async; see `resume`."""
        resumed = partial(self.resume, paused, answers, deps=deps, session=session, approve=approve)
        return _to_the_end(resumed, "resume")

    def resume_stream(
        self,
        paused: PausedRun,
        answers: Mapping[str, Answer],
        *,
        deps: Any = None,
        session: Session | None = None,
        steps: Steps | None = None,
        approve: Asked | None = "pause",
    ) -> AbstractAsyncContextManager[RunStream[Out]]:
        """Go on with a run that has paused, while watching: see `resume`, and `stream` for how it is watched."""
        resumes = Resumption(paused=paused, answers=answers)
        given = GivenToRun(deps=deps, session=session, steps=steps, approve=approve, resumes=resumes)
        return Watched(partial(self._start, given), None, called="resume_stream")

    async def run_within(
        self, context: Context[Any], prompt: Prompt, *, deps: Any = None, history: Sequence[Message] = ()
    ) -> RunResult[Out]:
        """Run as a part of the run that has called a tool, to the end; to be used in that tool.

        What it spends counts for both runs. It ends when the other does, its events are the call's progress, and its
        calls are approved by whoever approves those of the other.

        Args:
            context: What the tool was called with.
            prompt: See `run`.
            deps: What tools get as `Context.deps`; the other run's if not given.
            history: What was said before.

        Raises:
            LimitExceeded: a limit of this agent or of the other run was reached, or `Limits.depth`.
            AgentError: as `run` does.
        """
        outer: object = getattr(context, "caller", None)
        if not isinstance(outer, Caller):
            raise ConfigError(f"run_within({context!r:.100}): give the Context that a tool was called with")
        emit = to_no_one if context.progress is to_nobody else context.progress
        given = GivenToRun(
            deps=outer.deps if deps is None else deps,
            history=history,
            approve=None if pause_of(outer.approve) else outer.approve,
            outer=outer,
        )
        asked = as_message(prompt)
        if asked is not None and outer.is_tainted(context.pending):
            asked = replace(asked, untrusted=True)
        run = self._start(given, emit)
        try:
            return await run.run(asked)
        finally:
            if run.history.is_tainted:
                context.pending.taint()

    def run_sync(
        self,
        prompt: Prompt,
        *,
        deps: Any = None,
        session: Session | None = None,
        history: Sequence[Message] = (),
        approve: Asked | None = None,
    ) -> RunResult[Out]:
        """Run to the end, from code that is not async; see `run`."""
        run = partial(self.run, prompt, deps=deps, session=session, history=history, approve=approve)
        return _to_the_end(run, "run")

    def stream(
        self,
        prompt: Prompt,
        *,
        deps: Any = None,
        session: Session | None = None,
        history: Sequence[Message] = (),
        steps: Steps | None = None,
        approve: Asked | None = None,
    ) -> AbstractAsyncContextManager[RunStream[Out]]:
        """Run while watching; see `run` for the arguments and for what the iteration raises.

        `async with agent.stream("...") as run:` and inside `async for event in run:`; then `run.result`. Leaving the
        block early cancels the run. Where the block stands in an async generator of your own, let its caller close
        that with `contextlib.aclosing`: a generator that is merely dropped leaves its blocks in another task.
        """
        given = GivenToRun(deps=deps, session=session, history=history, steps=steps, approve=approve)
        return Watched(partial(self._start, given), as_message(prompt))

    def _start(self, given: GivenToRun, emit: Emit) -> Run[Out]:
        outer, role, steps = given.outer, self._role, given.steps or Inline()
        paused = given.resumes.paused if given.resumes else None
        run_id = given.run_id
        budget = Budget(limits=self.limits) if outer is None else outer.budget.part(self.limits)
        if paused:
            budget.take_up(paused.spent)
        prices = self.prices or (outer.prices if outer else None) or (Prices() if budget.counts_cost else None)
        view = View(self.window) if self.window else None
        guards = Guards()
        if self.guardrails is not None:
            guards.add(self.guardrails)
        asker = Asker(budget=budget, steps=steps, spans=self.telemetry.run(), emit=emit, prices=prices, view=view)
        asker.check(role.model)
        caller = Caller(
            tools=role.tools,
            deps=given.deps,
            run_id=run_id,
            agent=self.name,
            budget=budget,
            spans=asker.spans,
            emit=emit,
            approve=given.approve,
            taint=self.taint,
            prices=prices,
            guards=guards,
            journal=outer.journal if self.journal is None and outer is not None else self.journal,
        )
        return Run(
            id=run_id,
            role=role,
            history=History(messages=mended(given.history), session=given.session, steps=steps),
            budget=budget,
            asker=asker,
            executor=Executor(tools=role.tools, caller=caller, steps=steps),
            steps=steps,
            spans=asker.spans,
            emit=emit,
            guards=guards,
            resumes=given.resumes,
            pauses=paused.number if paused else 0,
        )

    @cached_property
    def _backend(self) -> ModelBackend:
        return resolve_model(self.model)

    @cached_property
    def _declared(self) -> "OutputType[Out]":
        """The output type, as far as it is known before the backend is."""
        from .output import OutputType  # on first use: pydantic costs more than the whole of `import agentkit`

        return OutputType(self.output, self.output_mode or "native")

    @cached_property
    def _output(self) -> "OutputType[Out]":
        modes = self._backend.info.output_modes
        if self.output is str or self.output_mode in modes:
            return self._declared
        if self.output_mode is not None:
            raise ConfigError(f"output_mode={self.output_mode!r}: {self._backend!r:.60} knows {', '.join(modes)}")
        return self._declared.by(modes[0])

    @cached_property
    def _role(self) -> Role[Out]:
        others = self.handoffs() if callable(self.handoffs) else self.handoffs
        _check_agents(others)
        taking_over = {other.handoff_tool.name: other for other in others}
        for name, other in taking_over.items():
            if other.output != self.output:
                raise ConfigError(f"handoffs: {name!r} leads to output={other.output!r}, and this agent has another")
        tools = self.registry + [other.handoff_tool for other in others] if others else self.registry
        output = self._output
        if output.tools:
            tools += output.tools
        told = "\n\n".join(filter(None, (clean(self.instructions), output.instructions)))
        return Role(
            agent=self.name,
            description=self.description,
            model=self._backend,
            request=ModelRequest(
                messages=(), instructions=told, tools=tools, output=output.format, settings=self.settings
            ),
            output=output,
            tools=tools,
            guardrails=self.guardrails,
            taint=self.taint,
            handoffs={name: partial(getattr, other, "_role") for name, other in taking_over.items()},
        )

    @cached_property
    def handoff_tool(self) -> Tool:
        """The tool by which another agent hands the conversation over to this one.

        Raises:
            ConfigError: the agent has no name.
        """
        if not self.name:
            raise ConfigError("an agent that others hand over to needs a name: Agent(..., name=...)")

        return handoff_tool(self.name, self.description)

    def as_tool(
        self, *, name: str | None = None, description: str | None = None, **policy: Unpack[PolicyOptions]
    ) -> Tool:
        """This agent as a tool of another: its run is a part of the other's, and spends of the same budget.

        Args:
            name: What the model calls it; the agent's name if not given.
            description: What the model reads about it; the agent's description if not given.
            policy: As for `@tool`.

        Raises:
            ConfigError: it has neither a name nor a description.
            ToolDefinitionError: the name is none that a tool can have.
        """
        named, told = name or self.name, description or self.description
        if not (named and told):
            raise ConfigError("as_tool: an agent that is a tool needs a name and a description, its own or given here")

        return agent_tool(named, told, policy, self.run_within)


def _check_agents(given: object) -> None:
    if not isinstance(given, Sequence) or not all(isinstance(each, Agent) for each in given):
        raise ConfigError(f"handoffs={given!r:.90}: write a list of agents")


def _to_the_end(run: Callable[[], Awaitable[RunResult[Out]]], name: str) -> RunResult[Out]:
    try:
        anyio.get_current_task()
    except (RuntimeError, anyio.NoEventLoopError):
        pass  # and not here: what the run raises did not come of this error
    else:
        raise ConfigError(f"{name}_sync was called in an event loop; use `await agent.{name}(...)` there")
    return anyio.run(run)
