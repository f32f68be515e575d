"""Assistants: made, found, changed, listed and deleted, by the official SDK."""

from pathlib import Path

import pytest
from serving import serving

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning"),
]


async def test_an_assistant_is_what_was_asked_for(tmp_path: Path) -> None:
    """A newcomer's first request."""
    async with serving(tmp_path) as served, served.client() as client:
        made = await client.beta.assistants.create(model="gpt-4o", name="Clerk", tools=[])
        found = await client.beta.assistants.retrieve(made.id)
        assert found == made
        listed = await client.beta.assistants.list()
        assert [each.id for each in listed.data] == [made.id]
