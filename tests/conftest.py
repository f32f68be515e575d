"""What every test stands on."""

import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The core is promised on both event loops, so its tests run on both."""
    return str(request.param)
