"""Who answers for which model name: agents, and backends."""

from dataclasses import dataclass, field, replace
from typing import Any

from agentkit import Agent, ModelBackend, ModelSettings
from agentkit.models import resolve_model

from .errors import ApiError
from .settings import ServerSettings

ANY = "*"


@dataclass(kw_only=True, slots=True)
class Catalog:
    """The models that clients may name."""

    settings: ServerSettings
    _backends: dict[str, ModelBackend] = field(default_factory=dict)

    def agent(self, name: str) -> Agent[Any]:
        """The agent of this name, or one of nothing but the model of this name.

        Raises:
            ApiError: there is neither (404).
        """
        return self.settings.agents.get(name) or Agent(self.backend(name))

    def backend(self, name: str) -> ModelBackend:
        """The backend behind a model's name.

        Raises:
            ApiError: there is none (404).
        """
        found = self.settings.models.get(name) or self.settings.models.get(ANY)
        if found is None:
            raise ApiError(
                f"The model `{name}` does not exist or you do not have access to it.",
                status=404,
                param="model",
                code="model_not_found",
            )
        if not isinstance(found, str):
            return found
        if found not in self._backends:
            self._backends[found] = resolve_model(found)
        return self._backends[found]

    def sampling(self, name: str, **asked: Any) -> ModelSettings:
        """How a model samples: as a client asks, and in all of which it says nothing, as the agent has it.

        Raises:
            ApiError: there is no such model (404).
        """
        given = {key: value for key, value in asked.items() if value is not None}
        known = self.agent(name).settings
        return replace(known, **given | {"extra": {**known.extra, **given.get("extra", {})}})

    def is_agent(self, name: str) -> bool:
        """Whether the name is an agent's, which runs its own tools."""
        return name in self.settings.agents

    def names(self) -> list[str]:
        """All names that are told: those of agents, and of models that have one."""
        agents = list(self.settings.agents)
        return agents + [name for name in self.settings.models if name != ANY and name not in agents]
