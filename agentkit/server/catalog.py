"""Who answers for which model name: agents, and backends."""

from dataclasses import dataclass, field
from typing import Any

from agentkit import Agent, ModelBackend
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

    def is_agent(self, name: str) -> bool:
        """Whether the name is an agent's, which runs its own tools."""
        return name in self.settings.agents

    def names(self) -> list[str]:
        """All names that are told: those of agents, and of models that have one."""
        return [*self.settings.agents, *(name for name in self.settings.models if name != ANY)]
