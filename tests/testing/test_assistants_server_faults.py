"""How requests to `AssistantsServer` fare badly on their way, each as a client sees it and as the server then is."""

import json
from typing import Any

import anyio
import httpx2
import openai
import pytest
from assistants_client import (
    Sent,
    answered,
    frames,
    get,
    http,
    look,
    outputs,
    post,
    run_path,
    short,
    start,
    stream,
    texts,
    units_left,
)

from agentkit.errors import ConfigError
from agentkit.testing import AssistantsRequest, AssistantsServer, Fault

pytestmark = pytest.mark.anyio


class Once:
    """Gives the fault to the first request of this method and to this kind of path, and to no other."""

    def __init__(self, fault: Fault, method: str, end: str) -> None:
        self.fault: Fault | None = fault
        self.method, self.end = method, end

    def __call__(self, request: AssistantsRequest) -> Fault | None:
        if self.fault is not None and request.method == self.method and request.path.endswith(self.end):
            fault, self.fault = self.fault, None
            return fault
        return None


async def heard(client: httpx2.AsyncClient, path: str, **body: Any) -> tuple[list[Sent], bool]:
    """What arrived of a stream, and whether it broke off."""
    got: list[Sent] = []
    events = frames(client, path, **body)
    try:
        while (event := await anext(events, None)) is not None:
            got.append(event)
    except httpx2.TransportError:
        return got, True
    return got, False


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("reset", "error"), [(False, httpx2.RemoteProtocolError), (True, httpx2.ReadError)])
async def test_a_request_lost_before_it_arrives_does_nothing(
    streamed: bool, reset: bool, error: type[Exception]
) -> None:
    """The connection drops, and the thread has no run; the request is among those that the test can look at."""
    lost = Once(Fault("lost_before", reset=reset), "POST", "/runs")
    async with AssistantsServer(["Hi."], on_request=lost) as server, http(server) as client:
        path, assistant = await start(client, "Hello?")
        with pytest.raises(error):
            await client.post(f"{path}/runs", json={"assistant_id": assistant, "stream": streamed})
        assert (await get(client, f"{path}/runs"))["data"] == []
        await stream(client, f"{path}/runs", assistant_id=assistant)
    assert [request.path for request in server.requests[2:]] == [f"{path}/runs"] * 3


async def test_a_streamed_run_whose_answer_is_lost_is_done_at_once() -> None:
    """The client knows nothing; the server has gone on to where the run needs somebody."""
    lost = Once(Fault("lost_after"), "POST", "/runs")
    async with AssistantsServer([[units_left("A")], "Hi."], on_request=lost) as server, http(server) as client:
        path, assistant = await start(client, "Hello?")
        assert await heard(client, f"{path}/runs", assistant_id=assistant, metadata={"op": "1"}) == ([], True)
        [run] = server.runs(path.removeprefix("/threads/"))
        assert (run["status"], run["metadata"]) == ("requires_action", {"op": "1"})
        assert (await get(client, f"{path}/runs"))["data"] == [run]
        lost.fault, lost.end = Fault("lost_after"), "/submit_tool_outputs"
        assert await heard(client, f"{run_path(run)}/submit_tool_outputs", tool_outputs=outputs(run)) == ([], True)
        assert (await get(client, run_path(run)))["status"] == "completed"
    assert texts(server.messages(run["thread_id"])) == ["Hello?", "Hi."]


async def test_other_requests_whose_answer_is_lost_have_their_effect() -> None:
    """A run that is not streamed goes on when it is read, also by a read whose answer is lost."""
    lost = Once(Fault("lost_after"), "POST", "/runs")
    async with AssistantsServer([[units_left("A")], "Hi."], on_request=lost) as server, http(server) as client:
        path, assistant = await start(client, "Hello?")
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post(f"{path}/runs", json={"assistant_id": assistant})
        [run] = server.runs(path.removeprefix("/threads/"))
        assert run["status"] == "queued"
        lost.fault, lost.method, lost.end = Fault("lost_after"), "GET", run["id"]
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get(run_path(run))
        run = await get(client, run_path(run))
        assert run["status"] == "requires_action"
        lost.fault, lost.method, lost.end = Fault("lost_after"), "POST", "/cancel"
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post(f"{run_path(run)}/cancel")
        assert (await get(client, run_path(run)))["status"] == "cancelled"


ALL = 13
"""Events of a stream that says 'Three left.' in two deltas, with `done`."""


@pytest.mark.parametrize("kind", ["cut", "end", "error"])
@pytest.mark.parametrize("events", [*range(ALL + 1), 99])
async def test_a_stream_breaks_off_at_any_event(kind: Any, events: int) -> None:
    """So many events arrive; the run goes on to its end, and its text is there once."""
    cut = Once(Fault(kind, events=events), "POST", "/runs")
    async with AssistantsServer(["Three left.", "Again."], on_request=cut) as server, http(server) as client:
        path, assistant = await start(client, "Hello?")
        got, broke = await heard(client, f"{path}/runs", assistant_id=assistant)
        [run] = server.runs(path.removeprefix("/threads/"))
        assert run["status"] == "completed"
        again = await stream(client, f"{path}/runs", assistant_id=assistant)
    assert broke == (kind == "cut")
    whole = ["created", "queued", "in_progress", "step.created", "step.in_progress"]
    if kind == "error":
        assert got.pop().data["error"]["message"] == "The server had an error while processing your request."
    assert [event.name.removeprefix("thread.run.") for event in got[:5]] == whole[:events]
    assert len(got) == min(events, ALL)
    assert short(again)[-1] == "run.completed"
    assert texts(server.messages(run["thread_id"])) == ["Hello?", "Three left.", "Again."]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.filterwarnings("ignore:The Assistants API:DeprecationWarning")
async def test_the_sdk_raises_at_an_error_event() -> None:
    """The event has both forms: the one that the SDK raises at, and the bare one of the API's document."""
    broken = Once(Fault("error", events=3), "POST", "/runs")
    async with (
        AssistantsServer(["Hi."], on_request=broken) as server,
        http(server) as client,
        openai.AsyncOpenAI(base_url=server.base_url, api_key="test") as sdk,
    ):
        path, assistant = await start(client, "Hello?")
        thread = path.removeprefix("/threads/")
        events = await sdk.beta.threads.runs.create(thread, assistant_id=assistant, stream=True)
        with pytest.raises(openai.APIError, match="had an error"):
            _ = [event async for event in events]
        broken.fault = Fault("error")
        [error], _ = await heard(client, f"{path}/runs", assistant_id=assistant)
    assert error.name == "error"
    assert error.data.keys() == {"error", "type", "code", "param", "message"}
    assert error.data["error"]["message"] == error.data["message"]


@pytest.mark.parametrize(("kind", "error"), [("cut", httpx2.RemoteProtocolError), ("end", json.JSONDecodeError)])
async def test_half_an_answer_that_is_no_stream(kind: Any, error: type[Exception]) -> None:
    """A cut body breaks off, and one that ends early is no JSON."""
    cut = Once(Fault(kind, events=1), "POST", "/threads")
    async with AssistantsServer([], on_request=cut) as server, http(server) as client:
        with pytest.raises(error):
            (await client.post("/threads", json={})).json()
    assert len(server.threads) == 1


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", ["status_before", "status_after"])
async def test_a_status_instead_of_an_answer(kind: Any, streamed: bool) -> None:
    """A proxy's 503 says nothing about what was done: either is possible."""
    fault = Once(Fault(kind, status=503, headers={"Retry-After": "7"}), "POST", "/runs")
    async with AssistantsServer(["Hi."], on_request=fault) as server, http(server) as client:
        path, assistant = await start(client, "Hello?")
        answer = await client.post(f"{path}/runs", json={"assistant_id": assistant, "stream": streamed})
        runs = server.runs(path.removeprefix("/threads/"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert answer.json()["error"]["type"] == "server_error"
    done = ["completed" if streamed else "queued"]
    assert [run["status"] for run in runs] == (done if kind == "status_after" else [])


async def test_a_request_may_hang_until_its_client_has_had_enough() -> None:
    """Nothing was done, and the test sees that the client went away."""
    hang = Once(Fault("hang"), "POST", "/threads")
    async with AssistantsServer([], on_request=hang) as server, http(server) as client:
        with anyio.fail_after(5):
            with pytest.raises(httpx2.ReadTimeout):
                await client.post("/threads", json={}, timeout=0.05)
            await server.requests[0].hung_up.wait()
        await post(client, "/threads")
        assert not server.requests[1].hung_up.is_set()
    assert len(server.threads) == 1


async def test_each_request_is_shown_before_it_has_an_effect() -> None:
    """A test may move the clock, or look at the state, at exactly this request."""

    def late(request: AssistantsRequest) -> None:
        if request.path.endswith("/submit_tool_outputs"):
            server.clock.advance(600)

    async with AssistantsServer([[units_left("A")], "Hi."], on_request=late) as server, http(server) as client:
        path, assistant = await start(client, "Hello?")
        run = await look(client, run_path(await post(client, f"{path}/runs", assistant_id=assistant)))
        with pytest.raises(AssertionError, match="do not accept tool outputs"):
            await answered(client, run)
    assert server.runs(run["thread_id"])[0]["status"] == "expired"


@pytest.mark.parametrize("fields", [{"kind": "lost"}, {"kind": "cut", "events": -1}, {"kind": "hang", "status": 99}])
def test_a_fault_that_says_nothing_is_refused_at_once(fields: Any) -> None:
    """The mistake is named where it was made."""
    with pytest.raises(ConfigError):
        Fault(**fields)
