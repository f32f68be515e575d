"""What the tests of the Chat Completions backend have in common."""

from typing import Any

import pytest

from agentkit.models.chat import ChatBackend
from agentkit.testing import ChatServer

KEY = "sk-canary-0123456789"
STREAMED = pytest.mark.parametrize("streamed", [False, True])


def backend(server: ChatServer, **more: Any) -> ChatBackend:
    return ChatBackend("m", base_url=server.base_url, api_key=KEY, **more)
