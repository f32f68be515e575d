"""One model call -> its response: reserved, made inside a span, and paid for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio

from .budget import Budget, Hold, Need
from .errors import ConfigError, ModelError
from .events import Emit, to_no_one
from .history import bytes_of
from .messages import Message, Usage
from .models.base import ModelRequest, ModelResponse, ModelSettings
from .registry import ToolRegistry
from .role import Role
from .steps import Steps, Work
from .telemetry import Telemetry

_BYTES_PER_TOKEN = 4
"""A rough figure, for what is not known yet, and for providers that do not say."""


@dataclass(kw_only=True, slots=True)
class Asker:
    """Makes the model calls of one run."""

    budget: Budget
    steps: Steps
    telemetry: Telemetry
    emit: Emit

    async def ask(
        self,
        role: Role[Any],
        messages: Sequence[Message],
        tools: ToolRegistry,
        conversation: str | None,
        *,
        last: bool = False,
    ) -> ModelResponse:
        """The response to a conversation.

        Args:
            role: Who is asked.
            messages: What has been said.
            tools: Those that the model may call.
            conversation: What traces call the conversation.
            last: Whether this is the last call of a run at its limit, which may call no tools.

        Raises:
            LimitExceeded: there is not enough left for it.
            ModelError: there is no answer that can be used.
        """
        step = self.steps.reserve("model", ModelResponse)
        need = self._need(role, messages)
        hold = await self.budget.hold(need, last=last)
        estimate = Usage(input_tokens=need.input)
        try:
            self.budget.start_iteration(last=last)
            request = replace(
                role.request,
                messages=tuple(messages),
                tools=tools,
                settings=_settings(role, tools, hold, last),
                tokens_left=self.budget.tokens_left,
            )
            response = await step(Work(request, lambda: self._generate(role, request, conversation)))
            estimate = replace(estimate, output_tokens=bytes_of([response.message]) // _BYTES_PER_TOKEN)
            self.budget.spend(response.usage, estimate=estimate, pending=response.usage_pending)
            return response
        except ModelError as error:
            self.budget.spend(error.spent)
            raise
        except anyio.get_cancelled_exc_class():
            self.budget.spend(Usage(), estimate=estimate)
            raise
        finally:
            self.budget.release(hold)

    async def _generate(self, role: Role[Any], request: ModelRequest, conversation: str | None) -> ModelResponse:
        on_delta, info = None if self.emit is to_no_one else self.emit, role.model.info
        with self.telemetry.chat(info, request, conversation, stream=on_delta is not None) as span:
            response = await role.model.generate(request, on_delta)
            if not isinstance(response, ModelResponse):
                raise ConfigError(f"{role.model!r} gave {response!r:.100}; a backend's generate gives a ModelResponse")
            span.answered(response)
        return response

    def _need(self, role: Role[Any], messages: Sequence[Message]) -> Need:
        """What a model call will take, where anything is limited for which that matters."""
        if not self.budget.counts_tokens:
            return Need()
        size = bytes_of(messages) + len(role.request.instructions.encode())
        return Need(input=size // _BYTES_PER_TOKEN, output=role.request.settings.max_tokens)


def _settings(role: Role[Any], tools: ToolRegistry, hold: Hold, last: bool) -> ModelSettings:
    """How the model samples in this call: what is reserved bounds its answer, and the last one calls no tools."""
    settings = role.request.settings
    if hold.longest is not None:
        settings = replace(settings, max_tokens=hold.longest)
    if last and len(tools):
        settings = replace(settings, tool_choice="none")
    return settings
