"""OpenTelemetry for an application that has none: the SDK's own parts, put together as the OTEL_* variables say."""

import atexit
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Self

from agentkit.errors import ConfigError

from .environment import SIGNALS, Signal, exporters, is_disabled
from .parts import check_free, exporter, install, provider
from .quiet import Failures, log, quiet

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

FLUSH_SECONDS = 10.0
EXIT_SECONDS = 3.0
"""What a collector that does not answer may hold up the end of a program."""

_lock = Lock()
_done: "list[TelemetrySetup]" = []
"""This process's set-up, once there is one: OpenTelemetry's providers can be set once."""


class TelemetrySetup:
    """What `configure` has set up. As a context manager, it ends with the block.

    Both methods block, and both give up in time: in an event loop, call them with `anyio.to_thread.run_sync`.
    """

    def __init__(
        self, service_name: str, providers: Mapping[Signal, Any], failures: Failures, exit_seconds: float
    ) -> None:
        self.service_name = service_name
        self._failures = failures
        self._exit_seconds = exit_seconds
        self._hands = {signal: _Hand() for signal in providers}
        self._providers = providers
        self.is_over = False
        if providers:
            atexit.register(self._at_exit)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._in_a_fork)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._at_exit()

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Send what has not been sent yet: at the end of a job in a worker that lives on, for example.

        Returns:
            Whether the collector has taken it all, in time. Why not is logged, once in ten minutes.
        """
        return self.is_over or self._each("force_flush", seconds)

    def shutdown(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Send what has not been sent yet, and end: what comes later is lost. At exit, this is called by itself.

        Returns:
            Whether the collector has taken it all, in time. Why not is logged, once in ten minutes.
        """
        if self.is_over:
            return True
        self.is_over = True
        atexit.unregister(self._at_exit)
        return self._each("shutdown", seconds)

    def _each(self, method: str, seconds: float) -> bool:
        failures = self._failures.count
        begun = [self._hands[signal].begin(getattr(each, method)) for signal, each in self._providers.items()]
        done, late = wait(begun, timeout=seconds)
        if late and self.is_over:
            log.warning("telemetry is lost, since it was not sent within %g seconds", seconds)
        failed = self._failures.count > failures or any(each.exception() or each.result() is False for each in done)
        return not late and not failed

    def _at_exit(self) -> None:
        self.shutdown(self._exit_seconds)

    def _in_a_fork(self) -> None:
        self._hands = {signal: _Hand() for signal in self._providers}


def configure(service_name: str | None = None, *, exit_seconds: float = EXIT_SECONDS) -> TelemetrySetup:
    """Set up OpenTelemetry for this process, with exporters of spans, metrics and log records (OTLP, if nothing else).

    For applications, and those only that have no set-up of their own: once, where they start, before they fork.

        configure("shop")

    The standard variables say the rest: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS and so on. What is
    recorded is sent in threads of the SDK's; what is left is sent when the program exits.

    Args:
        service_name: What the application is called in the back-end. Without it: OTEL_SERVICE_NAME, the `service.name`
            in OTEL_RESOURCE_ATTRIBUTES, the script's name.
        exit_seconds: What a collector that does not answer may hold up the end of the program.

    Raises:
        ConfigError: a variable says what cannot be, the exporters are not installed, or there is a set-up already.
    """
    with _lock:
        if _done:
            return _again(_done[0], service_name)
        if is_disabled(os.environ):
            return TelemetrySetup(service_name or "", {}, Failures(), exit_seconds)
        named: dict[Signal, tuple[str, ...]] = {signal: exporters(os.environ, signal) for signal in SIGNALS}
        wanted: dict[Signal, tuple[str, ...]] = {signal: names for signal, names in named.items() if names}
        for signal in wanted:
            check_free(signal)
        made: dict[Signal, list[Any]] = {each: [exporter(each, name) for name in wanted[each]] for each in wanted}
        resource = _resource(service_name)
        failures = Failures()
        for each in chain.from_iterable(made.values()):
            failures.watch(each)
        quiet()
        providers: dict[Signal, Any] = {signal: provider(signal, each, resource) for signal, each in made.items()}
        for signal, each in providers.items():
            install(signal, each)
        setup = TelemetrySetup(str(resource.attributes["service.name"]), providers, failures, exit_seconds)
        _done.append(setup)
        return setup


def _again(setup: TelemetrySetup, service_name: str | None) -> TelemetrySetup:
    if setup.is_over:
        raise ConfigError(
            "configure() was called before, and what it set up has been shut down; a process can be set up once"
        )
    if service_name not in (None, setup.service_name):
        raise ConfigError(
            f"configure() was called before, with the service name {setup.service_name!r}, and now with "
            f"{service_name!r}; call it once, where the application starts"
        )
    return setup


def _resource(service_name: str | None) -> "Resource":
    from uuid import uuid4

    from opentelemetry.sdk.resources import Resource

    found = Resource.create()  # with what OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say
    said = str(found.attributes["service.name"])
    name = service_name or (_script() if said.startswith("unknown_service") else said)
    own = {"service.name": name, "service.instance.id": str(uuid4()), **found.attributes}
    return found.merge(Resource({**own, "service.name": name}))


def _script() -> str:
    """The name of the program that runs, as far as it has one."""
    path = Path(sys.argv[0] if sys.argv else "")
    name = path.parent.name if path.name == "__main__.py" else path.stem
    return "python" if name in ("", "-c", "-m", "-") else name


class _Hand:
    """A thread that stands ready: when a program exits, Python starts no new ones any more."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future[object], Callable[[], object]]] = SimpleQueue()
        Thread(target=self._serve, name="agentkit-telemetry", daemon=True).start()

    def begin(self, work: Callable[[], object]) -> Future[object]:
        """Have it done."""
        done: Future[object] = Future()
        self._work.put((done, work))
        return done

    def _serve(self) -> None:
        while True:
            done, work = self._work.get()
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)
