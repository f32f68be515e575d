"""One model call -> its response: reserved, made inside a span, and paid for."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from .budget import NOTHING, SHARED_OUTPUT, Budget, Hold, Need, known
from .errors import ConfigError, LimitExceeded, ModelError
from .events import Emit, PartialOutput, to_no_one
from .history import bytes_of
from .messages import AssistantMessage, Message, Usage
from .models.base import (
    Delta,
    HoldsAnswers,
    ModelBackend,
    ModelInfo,
    ModelRequest,
    ModelResponse,
    ModelSettings,
    OnDelta,
)
from .prices import Prices
from .registry import ToolRegistry
from .results import LEAST_RESULT_CHARS, ever_shorter, last_results
from .role import Role
from .steps import Steps, Work
from .telemetry import Spans
from .window import Summary, View, of_pictures

if TYPE_CHECKING:
    from .telemetry.nothing import NoSpans
    from .telemetry.spans import ChatSpan

_BYTES_PER_TOKEN = 4
"""A rough figure, for what is not known yet, and for providers that do not say."""


@dataclass(kw_only=True, slots=True)
class Asker:
    """Makes the model calls of one run."""

    budget: Budget
    steps: Steps
    spans: Spans
    emit: Emit
    prices: Prices | None = None
    """What calls cost; None if nobody asks."""
    view: View | None = None
    """What of the conversation is sent; None for all of it."""
    since: int | None = None
    """Where in the conversation this run's prompt is."""
    _for_summary: Hold = NOTHING

    def check(self, model: ModelBackend) -> None:
        """Make sure that a model can be asked so.

        Raises:
            ConfigError: it cannot.
        """
        if self.view and isinstance(model, HoldsAnswers):
            raise ConfigError(f"window=: {model!r:.60} keeps the conversation on its server; leave window out")

    async def ask(
        self,
        role: Role[Any],
        messages: Sequence[Message],
        tools: ToolRegistry,
        *,
        last: bool = False,
    ) -> ModelResponse:
        """The response to a conversation.

        Args:
            role: Who is asked.
            messages: What has been said.
            tools: Those that the model may call.
            last: Whether this is the last call of a run at its limit, which may call no tools.

        Raises:
            LimitExceeded: there is not enough left for it.
            ModelError: there is no answer that can be used.
        """
        whole = messages
        if self.view is not None:
            summary = None if last else self._summary
            messages = await self.view.fit(messages, since=self.since, step=summary, ask=self._asked_to_sum_up)
        step = self.steps.reserve("model", ModelResponse)
        messages, need, hold = await self._held(role, messages, last=last)
        try:
            self.budget.start_iteration(last=last)
            settings = role.request.settings
            request = replace(
                role.request,
                messages=tuple(messages),
                tools=tools,
                settings=_last_settings(role, tools) if last else settings,
                longest_answer=hold.longest,
                tokens_left=self.budget.tokens_left,
            )
            estimate = Usage(input_tokens=need.input)
            with self._failures_paid(role.model.info, estimate):
                make = partial(self._generate, role, request, estimate, compacted=messages is not whole)
                response = await step(Work(request, make))
            self._spend(role.model.info, response, estimate)
            self.budget.keep(hold, _with_results(response.message))
            return response
        finally:
            self.budget.release(hold)

    async def _held(
        self, role: Role[Any], messages: Sequence[Message], *, last: bool
    ) -> tuple[Sequence[Message], Need, Hold]:
        """Reserve a model call; for the last one, the newest results are cut until an answer as long has room too."""
        for sent in ever_shorter(messages) if last else ():
            need, new = self._need(role, sent), bytes_of(sent[last_results(sent) :]) // _BYTES_PER_TOKEN
            need = replace(need, least=min(new, need.output or SHARED_OUTPUT))
            with suppress(LimitExceeded):
                return sent, need, await self.budget.hold(need, last=True)
            messages = sent
        need = self._need(role, messages)
        return messages, need, await self.budget.hold(need, last=last)

    @contextmanager
    def _failures_paid(self, info: ModelInfo, estimate: Usage) -> Generator[None]:
        """A model call that fails, or is cancelled, is paid for too: as far as is known, or else its request."""
        try:
            yield
        except ModelError as error:
            self.budget.spend(error.spent, cost=self._cost(info, "", error.spent))
            raise
        except BaseException:
            cost = self._cost(info, "", replace(estimate, output_tokens=0))
            self.budget.spend(Usage(), estimate=estimate, cost=cost)
            raise

    async def _summary(self, work: Callable[[], Awaitable[Summary]]) -> Summary:
        """Have a summary made, and pay for it: it is a model call of its own."""
        self.budget.require_iteration()
        step = self.steps.reserve("summary", Summary)
        try:
            made = await step(work)
            if made.info is not None:
                if self.prices is not None and self.budget.counts_cost:
                    self.prices.require(made.info)
                cost = self._cost(made.info, made.model, known(made.usage, made.estimate))
                self.budget.spend(made.usage, estimate=made.estimate, cost=cost)
            return made
        finally:
            self.budget.release(self._for_summary)
            self._for_summary = NOTHING

    async def _asked_to_sum_up(self, model: ModelBackend, request: ModelRequest) -> ModelResponse:
        """The response of a model that makes a summary: reserved, and inside a span."""
        size = bytes_of(request.messages) + len(request.instructions.encode())
        need = Need(input=size // _BYTES_PER_TOKEN, output=request.settings.max_tokens, price=self._price(model.info))
        hold = self._for_summary = await self.budget.hold(need)
        request = replace(request, longest_answer=hold.longest, tokens_left=self.budget.tokens_left)
        estimate = Usage(input_tokens=need.input)
        with self._failures_paid(model.info, estimate), self.spans.summary(model.info, request) as span:
            return await self._seen(span, model, request, estimate, None)

    async def _generate(
        self, role: Role[Any], request: ModelRequest, estimate: Usage, *, compacted: bool
    ) -> ModelResponse:
        on_delta, info = None if self.emit is to_no_one else self.emit, role.model.info
        with self.spans.chat(info, request, stream=on_delta is not None, compacted=compacted) as span:
            watching = on_delta and span.watching(_watching(on_delta, role.output.reader()))
            return await self._seen(span, role.model, request, estimate, watching)

    async def _seen(
        self,
        span: "ChatSpan | NoSpans",
        model: ModelBackend,
        request: ModelRequest,
        estimate: Usage,
        on_delta: OnDelta | None,
    ) -> ModelResponse:
        """The model's response, of which its span is told: also of one that cannot be used."""
        try:
            response: object = await model.generate(request, on_delta)
        except ModelError as error:
            span.used(error.spent, partial(self._cost, model.info, "", error.spent))
            raise
        if not isinstance(response, ModelResponse):
            raise ConfigError(f"{model!r} gave {response!r:.100}; a backend's generate gives a ModelResponse")
        span.answered(response, partial(self._cost_of, model.info, response, estimate))
        return response

    def _need(self, role: Role[Any], messages: Sequence[Message]) -> Need:
        """What a model call will take, where anything is limited for which that matters."""
        if self.prices is None and not self.budget.counts_tokens:
            return Need()
        size = (bytes_of(messages) + len(role.request.instructions.encode())) // _BYTES_PER_TOKEN
        return Need(
            input=size + sum(map(of_pictures, messages)),
            output=role.request.settings.max_tokens,
            price=self._price(role.model.info),
        )

    def _price(self, info: ModelInfo) -> Callable[[int, int], float] | None:
        if not self.budget.counts_cost:
            return None
        prices = self.prices or Prices()
        prices.require(info)
        return lambda input, output: prices.most(info, info.model, input, output) or 0.0

    def _spend(self, info: ModelInfo, response: ModelResponse, estimate: Usage) -> None:
        """Count what an answer used: tokens that the provider does not report as estimated."""
        cost, estimate = self._cost_of(info, response, estimate), _with_answer(estimate, response)
        guess = self._cost(info, response.model, estimate) if response.usage_pending else None
        self.budget.spend(response.usage, estimate=estimate, pending=response.usage_pending, cost=cost, guess=guess)

    def spend_later(self, info: ModelInfo, usage: Usage) -> None:
        """Count what a server tells of an answer that it has held, when it lets go of it."""
        self.budget.spend(usage, cost=self._cost(info, "", usage))

    def _cost_of(self, info: ModelInfo, response: ModelResponse, estimate: Usage) -> float | None:
        """What an answer costs: tokens that the provider does not report as estimated, unless it will report them."""
        if self.prices is None:
            return None
        used = response.usage if response.usage_pending else known(response.usage, _with_answer(estimate, response))
        return self._cost(info, response.model, used)

    def _cost(self, info: ModelInfo, model: str, usage: Usage) -> float | None:
        return None if self.prices is None else self.prices.cost(info, model, usage)


def _with_answer(estimate: Usage, response: ModelResponse) -> Usage:
    return replace(estimate, output_tokens=bytes_of([response.message]) // _BYTES_PER_TOKEN)


def _with_results(message: AssistantMessage) -> int:
    """Tokens of an answer and of the results of its calls, as short as they can be cut."""
    return (bytes_of([message]) + len(message.tool_calls) * LEAST_RESULT_CHARS) // _BYTES_PER_TOKEN


def _last_settings(role: Role[Any], tools: ToolRegistry) -> ModelSettings:
    """How the model samples when it may call no tools any more, but for the one by which it answers."""
    if final := role.output.tools:
        return replace(role.request.settings, tool_choice=final[0].name if len(final) == 1 else "required")
    return replace(role.request.settings, tool_choice="none") if len(tools) else role.request.settings


def _watching(emit: Emit, read: Callable[[Delta], PartialOutput | None] | None) -> OnDelta:
    """Tell of each piece of an answer, and of what the output holds so far."""
    if read is None:
        return emit

    async def tell(delta: Delta) -> None:
        await emit(delta)
        if (partial := read(delta)) is not None:
            await emit(partial)

    return tell


def keyed(response: ModelResponse, place: str) -> ModelResponse:
    """The answer, with a key in each tool call that stays the same wherever the call is taken up.

    It is the call's place in the run, since not all servers give each call an id of its own.
    """
    message = response.message
    if not message.tool_calls:
        return response
    calls = tuple(replace(call, key=f"{place}.{number}") for number, call in enumerate(message.tool_calls))
    return replace(response, message=replace(message, tool_calls=calls))
