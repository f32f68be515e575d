"""Options and environment -> the agent to run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agentkit import Agent, ConfigError, Limits, ModelBackend, ModelRequest, ModelResponse, load_tools
from agentkit.models import resolve_model
from agentkit.models.base import ModelInfo, OnDelta

from .agents import find_agent
from .options import AgentOptions

DEFAULT_OPENAI_MODEL = "gpt-5.5"
LOCAL = "local:needle"


def build_agent(
    options: AgentOptions, named: str | None, environment: Mapping[str, str]
) -> tuple[Agent[Any], str | None]:
    """The agent, and where its model comes from if the user has named none.

    Args:
        options: What the user says of it.
        named: The agent that the user has named, if any; the options change it.
        environment: Where a model may be named too.

    Raises:
        ConfigError: the named agent, a tool or a limit is not as it should be.
    """
    agent: Agent[Any] = find_agent(named, default_model="") if named else Agent("")
    note, model = None, options.model or agent.model
    if not model:
        model, note = choose_model(environment)
    spent = {"iterations": options.iterations, "seconds": options.seconds, "tokens": options.tokens}
    changed = replace(
        agent,
        model=Whole(resolve_model(model)) if options.no_stream else model,
        instructions=agent.instructions if options.instructions is None else options.instructions,
        tools=agent.registry + [tool for source in _sources(options.tools) for tool in load_tools(source)],
        limits=_limits(agent.limits, {name: value for name, value in spent.items() if value is not None}),
    )
    return changed, note


def choose_model(environment: Mapping[str, str]) -> tuple[str, str]:
    """The model for a user who has named none, and a line that says which it is and why."""
    if model := environment.get("AGENTKIT_MODEL"):
        return model, f"model {model}, as AGENTKIT_MODEL says"
    if environment.get("OPENAI_API_KEY") or environment.get("OPENAI_BASE_URL"):
        name = environment.get("OPENAI_MODEL")
        why = "as OPENAI_MODEL says" if name else "the default; choose another with --model or OPENAI_MODEL"
        model = f"chat:{name or DEFAULT_OPENAI_MODEL}"
        return model, f"model {model}, {why}"
    return LOCAL, (
        f"model {LOCAL}, an offline demo model: it picks among at most 5 simple tools, in English, and writes no text "
        "of its own; set OPENAI_API_KEY or --model for anything else"
    )


@dataclass(frozen=True, slots=True)
class Whole:
    """A backend that is never asked to stream: the answer comes in one piece."""

    backend: ModelBackend

    @property
    def info(self) -> ModelInfo:
        """Who will answer."""
        return self.backend.info

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """Answer a request; see `ModelBackend`."""
        return await self.backend.generate(request)


def _sources(given: list[str] | None) -> list[str]:
    return [source.strip() for several in given or () for source in several.split(",") if source.strip()]


def _limits(limits: Limits, given: Mapping[str, float]) -> Limits:
    for name, value in given.items():
        if not value > 0:
            raise ConfigError(f"--{name} {value:g}: must be above 0")
    return replace(limits, **given)  # type: ignore[arg-type]
