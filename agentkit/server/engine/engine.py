"""A piece of work -> a run of an agent, to be watched."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import WithJsonSchema

from agentkit import Agent, Limits, ModelBackend, Tool
from agentkit.errors import ToolDefinitionError
from agentkit.models import resolve_model
from agentkit.paused import Answered, Pause, PausedRun
from agentkit.server.catalog import Catalog
from agentkit.server.errors import ApiError, unfit
from agentkit.server.settings import ServerSettings
from agentkit.stream import RunStream
from agentkit.window import Window

from .forced import ForcedOnce
from .work import Findings, HostedTool, Work

_ITERATIONS = 64
"""Model calls of one run: a runaway ends."""
_FREE = (None, "auto", "none")
"""Choices of tools that force none on the model."""
_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Runs what clients ask for."""

    settings: ServerSettings
    catalog: Catalog
    hosted: Sequence[HostedTool] = ()

    def stream(self, work: Work, findings: Findings) -> AbstractAsyncContextManager[RunStream[Any]]:
        """Run it; calls of the client's functions make it pause, and are in `result.paused`.

        Raises:
            ApiError: there is no such model, or a tool is none.
        """
        return self.agent(work).stream(None, history=work.history, deps=findings, approve=self._pause)

    def resume(
        self, work: Work, findings: Findings, paused: str, outputs: Mapping[str, str]
    ) -> AbstractAsyncContextManager[RunStream[Any]]:
        """Go on with a run that has paused.

        Args:
            work: What was asked for.
            findings: What its tools find from here on.
            paused: The JSON of the pause.
            outputs: What the client's functions came to, by call id.
        """
        answers = {call_id: Answered(output) for call_id, output in outputs.items()}
        run = PausedRun.from_json(paused)
        return self.agent(work).resume_stream(run, answers, deps=findings, approve=self._pause)

    def agent(self, work: Work) -> Agent[Any]:
        """The agent that does the work."""
        known = self.catalog.agent(work.model)
        tools = [*map(_elsewhere, work.functions), *(self._hosted(spelled, work) for spelled in work.hosted)]
        own = {tool.name for tool in known.registry}
        if taken := [tool.name for tool in tools if tool.name in own]:
            raise unfit("tools", f"the model {work.model!r} has a tool {taken[0]!r} of its own")
        limits = known.limits if self.catalog.is_agent(work.model) else Limits(iterations=_ITERATIONS)
        try:
            return replace(
                known,
                model=_forced_once(known.model) if work.settings.tool_choice not in _FREE else known.model,
                instructions="\n\n".join(filter(None, (known.instructions, work.instructions))),
                tools=known.registry + tools if tools else known.registry,
                settings=work.settings,
                limits=replace(
                    limits,
                    seconds=work.seconds or limits.seconds,
                    output_tokens=work.output_tokens or limits.output_tokens,
                    input_tokens=work.input_tokens or limits.input_tokens,
                ),
                window=known.window if work.last_messages is None else Window(messages=work.last_messages),
                output=known.output if work.schema is None else Annotated[Any, WithJsonSchema(dict(work.schema))],
            )
        except ToolDefinitionError as error:
            raise unfit("tools", str(error)) from None

    @property
    def _pause(self) -> Pause:
        return Pause(expires=None, clock=self.settings.clock)

    def _hosted(self, spelled: Mapping[str, Any], work: Work) -> Tool:
        for hosted in self.hosted:
            if hosted.type == spelled["type"]:
                return hosted.tool(spelled, work)
        raise ApiError(f"This server has no tool {spelled['type']!r}.", param="tools", code="unsupported_tool")


def _forced_once(model: str | ModelBackend) -> ModelBackend:
    return ForcedOnce(model=resolve_model(model) if isinstance(model, str) else model)


def _elsewhere(function: Mapping[str, Any]) -> Tool:
    try:
        return Tool.elsewhere(
            function["name"],
            function.get("description") or "",
            function.get("parameters") or _NO_PARAMETERS,
        )
    except ToolDefinitionError as error:
        raise unfit("tools", str(error)) from None
