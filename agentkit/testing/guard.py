"""A switch that keeps tests away from real models."""

from collections.abc import Generator
from contextlib import contextmanager

from agentkit.models.http import loopback_only


@contextmanager
def no_real_models() -> Generator[None]:
    """While this is open, a model request that would leave the machine is a `ConfigError`; loopback servers answer.

    Put it around the whole suite, in `conftest.py`:

        @pytest.fixture(scope="session", autouse=True)
        def offline():
            with no_real_models():
                yield
    """
    before = loopback_only(True)
    try:
        yield
    finally:
        loopback_only(before)
