"""Runs of servers that are killed, and of several that share a database."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import openai
import pytest
import session_stores
from openai import AsyncOpenAI
from run_case import Case, WaitingModel, case, function
from serving import Clock, serving

from agentkit import ToolResult
from agentkit.models.base import ModelRequest
from agentkit.testing import call

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]
KILLED = Path(__file__).with_name("killed_server.py")


def start(database: str) -> "subprocess.Popen[str]":
    """A server that is there to be killed."""
    return subprocess.Popen([sys.executable, str(KILLED), database], stdout=subprocess.PIPE, text=True)


async def left_by_a_killed_server(database: str) -> tuple[str, str, str]:
    """The thread, the assistant and the run of a server that was killed in the middle of a streamed answer."""
    process = start(database)
    try:
        assert process.stdout is not None
        port = await anyio.to_thread.run_sync(process.stdout.readline)
        async with AsyncOpenAI(base_url=f"http://127.0.0.1:{int(port)}/v1", api_key="any-key") as client:
            made = await client.beta.assistants.create(model="gpt-4o")
            thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Hello?"}])
            about = Case(client=client, assistant=made.id, thread=thread.id)
            run = await about.speaking()
            process.kill()
            return about.thread, about.assistant, run.id
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_what_a_killed_server_has_begun_has_failed(
    kind: str, at: Callable[[str], session_stores.Place], tmp_path: Path
) -> None:
    """The next server says so, as soon as it is sure that the other one is dead; the thread is free."""
    database = str(tmp_path / "server.db") if kind == "sqlite" else at(kind).url
    thread, assistant, run_id = await left_by_a_killed_server(database)
    later = Clock(now=time.time() + 30)
    async with serving(tmp_path, ["Hello."], database=database, clock=later) as served, served.client() as client:
        about = Case(client=client, assistant=assistant, thread=thread)
        run = await about.runs.retrieve(run_id, thread_id=thread)
        assert run.status == "failed"
        assert run.last_error.to_dict() == {"code": "server_error", "message": "The server was restarted."}
        assert [step.status for step in await about.steps(run)] == ["failed"]
        message = (await client.beta.threads.messages.list(thread)).data[0]
        assert message.incomplete_details.reason == "run_failed"
        assert (await about.run()).status == "completed"


async def test_servers_leave_each_others_runs_alone(at: Callable[[str], session_stores.Place], tmp_path: Path) -> None:
    """One that starts does not end what another one does, and a run is cancelled by whichever is asked."""
    database, model = at("postgres").url, WaitingModel()
    async with (
        serving(tmp_path, models={"*": model}, database=database) as first,
        case(first) as about,
    ):
        run = await about.speaking()
        async with serving(tmp_path, database=database) as second, second.client() as client:
            other = Case(client=client, assistant=about.assistant, thread=about.thread)
            assert (await other.runs.retrieve(run.id, thread_id=about.thread)).status == "in_progress"
            assert (await other.runs.cancel(run.id, thread_id=about.thread)).status == "cancelling"
            await other.until(run, "cancelled")


async def test_of_servers_that_want_a_thread_one_gets_it(
    at: Callable[[str], session_stores.Place], tmp_path: Path
) -> None:
    """And one of those that send the outputs of its calls."""
    database = at("postgres").url
    async with (
        serving(tmp_path, [count_once] * 3, database=database) as first,
        serving(tmp_path, [count_once] * 3, database=database) as second,
        case(first, tools=[function("count", "sku")]) as about,
        second.client() as client,
    ):
        cases = [about, Case(client=client, assistant=about.assistant, thread=about.thread)] * 5
        made = await race([each.start for each in cases])
        assert len(made) == 1
        run = await about.until(made[0], "requires_action")
        given: Any = {"run_id": run.id, "thread_id": run.thread_id, "tool_outputs": await about.outputs(run)}
        taken = await race([lambda each=each: each.runs.submit_tool_outputs(**given) for each in cases])
        assert len(taken) == 1
        assert (await about.until(run, "completed")).usage.total_tokens == 30


def count_once(request: ModelRequest) -> Any:
    """Calls the function, and says what it came to."""
    last = request.messages[-1]
    return "Three." if isinstance(last, ToolResult) else [call("count", sku="A-1")]


async def race(asked: list[Callable[[], Any]]) -> list[Any]:
    """What those requests have come to, all made at once, that were not refused."""
    done: list[Any] = []
    refused: list[str] = []

    async def ask(one: Callable[[], Any]) -> None:
        try:
            done.append(await one())
        except openai.BadRequestError as error:
            refused.append(error.message)

    async with anyio.create_task_group() as group:
        for each in asked:
            group.start_soon(ask, each)
    assert all("active run" in each or "do not accept" in each for each in refused)
    return done
