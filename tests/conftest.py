"""What every test stands on."""

import gc
import os
import signal
from collections.abc import Callable, Generator

import pytest
import session_stores

from agentkit.testing import no_real_models

# A shell's background jobs ignore Ctrl-C, and so would the programs that tests start from there.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What was collected stays, and is much: the garbage collector need not look through it in each test again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # Hypothesis looks at what it finds there, if it is only imported for the summary


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A third of the time is spent on waiting, for servers, processes and pauses: one more process than cores."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The core is promised on both event loops, so its tests run on both."""
    return str(request.param)


@pytest.fixture(scope="session")
def at() -> Generator[Callable[[str], session_stores.Place]]:
    """Opens an empty store of a kind; all tests share the servers, which take a while to start."""
    with session_stores.places() as at:
        yield at


@pytest.fixture(scope="session", autouse=True)
def offline() -> Generator[None]:
    """No test can reach a real model by accident."""
    with no_real_models():
        yield
