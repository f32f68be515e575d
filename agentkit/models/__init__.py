"""Who answers: `"wire:model"` -> a backend, imported when it is first used."""

from importlib import import_module

from agentkit.errors import ConfigError

from .base import ModelBackend

_WIRES = {
    "chat": ("agentkit.models.chat", "ChatBackend"),
    "assistants": ("agentkit.models.assistants", "AssistantsBackend"),
    "local": ("agentkit.models.local", "LocalBackend"),
}


def resolve_model(model: str | ModelBackend) -> ModelBackend:
    """The backend that a model string names, `"chat:gpt-5.5"` for example; a backend is returned as it is.

    Raises:
        ConfigError: there is no such wire, or it has no such model.
    """
    if not isinstance(model, str):
        return model
    wire, colon, name = model.partition(":")
    if wire not in _WIRES or not colon:
        raise ConfigError(f'model {model!r}: write "wire:model", with one of these wires: {", ".join(_WIRES)}')
    module, backend = _WIRES[wire]
    made: ModelBackend = getattr(import_module(module), backend)(name)
    return made
