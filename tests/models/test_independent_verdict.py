"""What PyPI's `llmock` says of agentkit as a client: it breaks answers in all its ways, and watches the reactions."""

from collections.abc import Iterator
from typing import Any

import pytest
from chat_kit import STREAMED

from agentkit import Agent, ModelError, ModelSettings
from agentkit.errors import BadResponse, ModelTimeout, ServerFailed, StreamBroken
from agentkit.models.chat import ChatBackend
from agentkit.models.retry import Retry

pytest.importorskip("llmock", reason="the independent server is not installed: pip install llmock")

from llmock.chaos import StreamChaos
from llmock.scenarios import Fail, StreamFault
from llmock.testing import LLMockServer
from llmock.verdict import judge

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with LLMockServer() as server:
        server.state.stream_chaos = StreamChaos(chunk_delay_ms=20)  # so that who hangs up does so in the middle
        yield server


@pytest.fixture
def quiet(server: Any) -> Any:
    server.state.journal.clear()
    server.state.scenarios.clear()
    return server


async def ask(server: Any, streamed: bool, prompt: str = "Hi") -> str:
    model = ChatBackend("gpt-5.5", base_url=server.base_url("openai"), api_key="sk-any", retry=Retry(first_pause=0.2))
    agent = Agent(model, settings=ModelSettings(idle_timeout=0.5))
    if not streamed:
        return (await agent.run(prompt)).output
    async with agent.stream(prompt) as run:
        return (await run.finish()).output


def verdict(server: Any) -> Any:
    found = judge(server.state.journal.records(wait=5))
    found.assert_ok(strict=True)
    return found


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_what_passes_is_outlasted(status: int, quiet: Any) -> None:
    """Two failures in a row: an answer, and no complaint about the pauses. Every other status for a stream."""
    quiet.state.scenarios.add(Fail(status, times=2))
    assert await ask(quiet, streamed=bool(status % 2))
    assert verdict(quiet).attempts == 3


@STREAMED
async def test_a_pause_that_is_asked_for_is_kept(streamed: bool, quiet: Any) -> None:
    """The server is not asked again before."""
    quiet.state.scenarios.add(Fail(429, retry_after=1))
    assert await ask(quiet, streamed)
    assert verdict(quiet).attempts == 2


@STREAMED
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_what_does_not_pass_is_not_repeated(status: int, streamed: bool, quiet: Any) -> None:
    """One request, one error."""
    quiet.state.scenarios.add(Fail(status, times=None))
    with pytest.raises(ModelError):
        await ask(quiet, streamed)
    assert verdict(quiet).attempts == 1


async def test_what_lasts_is_given_up(quiet: Any) -> None:
    """After three attempts, with growing pauses."""
    quiet.state.scenarios.add(Fail(503, times=None))
    with pytest.raises(ServerFailed):
        await ask(quiet, streamed=False)
    assert verdict(quiet).attempts == 3


@pytest.mark.parametrize("kind", ["disconnect", "truncate", "stall", "malformed"])
async def test_a_broken_stream_is_noticed(kind: Any, quiet: Any) -> None:
    """What was shown cannot be taken back, so the run ends with an error; whoever asks again gets all of the answer."""
    quiet.state.scenarios.add(StreamFault(kind, after_chunks=3, stall_seconds=1.5))
    with pytest.raises((StreamBroken, BadResponse, ModelTimeout)):
        await ask(quiet, streamed=True)
    quiet.state.journal.records(wait=5)  # until the server has seen it too
    assert await ask(quiet, streamed=True)
    assert verdict(quiet).attempts == 2


@pytest.mark.parametrize("kind", ["disconnect", "truncate"])
async def test_a_stream_that_breaks_before_anything_was_seen_is_asked_for_again(kind: Any, quiet: Any) -> None:
    """Nobody notices."""
    quiet.state.scenarios.add(StreamFault(kind, after_chunks=1))
    assert await ask(quiet, streamed=True)
    assert verdict(quiet).attempts == 2
