"""Tools by the name of where they are: a file's path, or a name that an installed package offers."""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

GROUP = "agentkit.tools"
"""The entry point group in which a package offers tool modules."""


def load_tools(source: str | Path, *, base: str | Path = ".") -> list[Callable[..., Any]]:
    """The tools a module declares with `@tool`, in the order they stand there.

    Args:
        source: A path (`"./tools/weather.py"`), or the name of an entry point in the group `agentkit.tools`
            (`"clock"`); `":name"` at the end picks one tool (`"clock:now"`).
        base: The folder that a relative path starts from.

    Returns:
        The decorated functions, ready for `Agent(tools=...)`.

    Raises:
        ConfigError: there is no such module or tool, it declares none, or it fails on import.
    """
    place, _, pick = str(source).rpartition(":") if _picks(str(source)) else (str(source), "", "")
    is_path = place.endswith(".py") or "/" in place or "\\" in place
    module = _from_path(Path(base, place)) if is_path else _from_entry_point(place)
    tools = {
        name: value
        for name, value in vars(module).items()
        if hasattr(value, "__tool__") and getattr(value, "__module__", None) == module.__name__
    }
    if pick:
        if pick not in tools:
            raise ConfigError(f"{place!r} has no tool {pick!r}; it has: {', '.join(tools) or 'none'}")
        return [tools[pick]]
    if not tools:
        raise ConfigError(f"{place!r} declares no tools; mark its functions with @tool")
    return list(tools.values())


def available_tools() -> list[str]:
    """The names of all installed tool modules."""
    return sorted({point.name for point in _entry_points()})


def _picks(source: str) -> bool:
    """Whether the source ends in `:name`; the colon of a Windows drive does not count."""
    return source.rpartition(":")[2].isidentifier() and len(source.rpartition(":")[0]) > 1


def _entry_points() -> "EntryPoints":
    from importlib.metadata import entry_points  # on first use: it costs a good part of `import agentkit`

    return entry_points(group=GROUP)


def _from_entry_point(name: str) -> ModuleType:
    for point in _entry_points().select(name=name):
        try:
            module = point.load()
        except Exception as error:
            raise ConfigError(
                f"the tools {name!r} ({point.value}) fail on import: {type(error).__name__}: {error}"
            ) from error
        if inspect.ismodule(module):
            return module
        raise ConfigError(f"the entry point {name!r} ({point.value}) is not a module")
    known = available_tools()
    near = get_close_matches(name, known, n=1)
    raise ConfigError(
        f"there are no tools called {name!r}"
        + (f"; did you mean {near[0]!r}?" if near else ".")
        + f" Installed are: {', '.join(known) or 'none'}; a path to a .py file works too"
    )


def _from_path(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise ConfigError(f"there is no tool file {str(path)!r}")
    from hashlib import sha256  # on first use: it costs a good part of `import agentkit`

    # The path's hash keeps two files of one name apart, and both out of the way of installed modules.
    name = f"agentkit_tools_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{str(path)!r} is not a Python file; tools are loaded from .py files")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(f"the tool file {str(path)!r} fails on import: {type(error).__name__}: {error}") from error
    return module
