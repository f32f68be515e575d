"""Asks the model that is embedded in the package, without a server."""

import json
from collections.abc import Sequence

import anyio
import anyio.to_thread

from agentkit.errors import ConfigError, ModelTimeout, Refused
from agentkit.messages import AssistantMessage, ToolCall
from agentkit.models.base import ModelInfo, ModelRequest, ModelResponse, OnDelta, TextDelta, ToolCallDelta

from .decode import CANNOT, Call, composed, decode, new_calls, with_ids
from .encode import Turn, encode_output, encode_tools, encode_turn, last_turn, offered, readable
from .engine import Engines, Question, engines
from .runtime import require_runtime

MODEL = "needle-3"
TIMEOUT = 120.0
"""Seconds for one answer: it takes a fifth of one on an idle machine, half a minute on a very busy one."""


class LocalBackend:
    """Needle 3, a model of 121 million parameters that runs offline and needs no key: for demos and first steps.

    It chooses among at most 5 simple tools, for questions in English that one call or several independent ones can
    answer. It sees only what was said since the user last spoke. It writes no text: the answer is composed of the
    tools' results, a line for each, and a tool's error ends the run with the error in the answer. Where it is unsure,
    the answer says that it cannot, and what to configure instead. `output=` is filled in with what stands in the
    results, or else in what the user said.

    Instructions have no effect on it; of the settings, only `tool_choice` and `timeout` have. A call that
    `tool_choice` demands is demanded until there is a result.

    Args:
        model: `needle`, the only one.

    Raises:
        ConfigError: its runtime is not installed, or there is no such model.
    """

    def __init__(self, model: str = "needle") -> None:
        if model not in ("", "needle", MODEL):
            raise ConfigError(f"there is no local model {model!r}; there is 'local:needle'")
        require_runtime()

    def __repr__(self) -> str:
        return "LocalBackend()"

    @property
    def info(self) -> ModelInfo:
        """Who will answer."""
        return ModelInfo(provider="agentkit.local", model=MODEL, in_process=True)

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """Answer a request; see `ModelBackend`.

        Raises:
            ConfigError: the tools are too many or too long for the model, or its runtime is not usable.
            Refused: it does not know how to call the tool that it must call, or to fill in the output.
            ContextTooLong: the user said more than it can read.
            ModelTimeout: it did not answer in time, and was stopped; the next request starts it again.
            ServerFailed: it crashed; the next request starts it again.
            BadResponse: its answer makes no sense.
        """
        request.without_hosted_tools("local")
        turn = last_turn(request.messages)
        calls = with_ids(await self._calls(request, turn), request.messages)
        text = "" if calls else await self._text(request, turn)
        if on_delta is not None:
            await _tell(calls, text, on_delta)
        return ModelResponse(
            message=AssistantMessage(text=text, tool_calls=calls),
            finish_reason="tool_calls" if calls else "stop",
            model=MODEL,
        )

    async def _calls(self, request: ModelRequest, turn: Turn) -> tuple[Call, ...]:
        """The tool calls that come next."""
        tools, choice = offered(request), request.settings.tool_choice
        calls: tuple[Call, ...] = ()
        if tools and turn.said and not turn.failed:
            question = Question(encode_tools(tools), encode_turn(turn))
            calls = new_calls(decode(await ask(engines(), question, request.settings.timeout)), turn)
        if not calls and not turn.results and choice not in (None, "auto", "none"):
            raise Refused(CANNOT)
        return calls

    async def _text(self, request: ModelRequest, turn: Turn) -> str:
        """The answer, when no call comes next."""
        told = composed(turn)
        if request.output is None:
            return told or CANNOT
        if turn.failed:
            raise Refused(told)
        question = Question(encode_output(request.output), (readable(told or turn.said),))
        filled = decode(await ask(engines(), question, request.settings.timeout))
        if not filled:
            raise Refused(CANNOT)
        _, arguments = filled[0]
        return json.dumps(arguments, ensure_ascii=False)


async def ask(engines: Engines, question: Question, timeout: float | None = None) -> str:
    """An engine's answer, awaited off the event loop.

    Raises:
        ModelTimeout: it did not come within the timeout, in seconds.
        ModelError, ConfigError: see `Engines.ask`.
    """
    seconds = TIMEOUT if timeout is None else timeout
    own_thread = anyio.CapacityLimiter(1)  # waiting for the model must not take the threads that tools run in
    try:
        with anyio.move_on_after(seconds):
            return await anyio.to_thread.run_sync(engines.ask, question, abandon_on_cancel=True, limiter=own_thread)
    finally:
        engines.drop(question)
    raise ModelTimeout(f"the local model did not answer within {seconds:g} seconds, and was stopped")


async def _tell(calls: Sequence[ToolCall], text: str, on_delta: OnDelta) -> None:
    for index, call in enumerate(calls):
        await on_delta(ToolCallDelta(index=index, name=call.name, arguments=call.arguments, id=call.id))
    if text:
        await on_delta(TextDelta(text=text))
