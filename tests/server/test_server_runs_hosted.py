"""Tools that the server runs itself, and agents with tools of their own, as clients of runs see them."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from run_case import Case, case, function
from serving import serving

from agentkit import Agent, AssistantMessage, ToolResult, tool
from agentkit.models.base import ModelRequest
from agentkit.testing import ScriptedModel, call

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]
COUNT = function("count", "sku")
CONTENT = "step_details.tool_calls[*].file_search.results[*].content"


async def with_file(about: Case) -> str:
    """A file on the thread that can be searched."""
    client = about.client
    store = await client.vector_stores.create()
    file = await client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("house.txt", b"The lamp is in the attic."), poll_interval_ms=10
    )
    assert file.status == "completed"
    resources = {"file_search": {"vector_store_ids": [store.id]}}
    await client.beta.threads.update(about.thread, tool_resources=resources)
    return str(file.id)


def cite(request: ModelRequest) -> str:
    """An answer with the mark that the search has given."""
    [result] = [each for each in request.messages if isinstance(each, ToolResult) and each.name == "file_search"]
    return f"In the attic {result.content[result.content.index('【') : result.content.index('】') + 1]}."


async def test_a_search_is_a_step_and_its_passages_are_cited(tmp_path: Path) -> None:
    """Its passages are told to those who ask for them; a citation says where it stands, and of which file."""
    script = [[call("file_search", query="lamp")], cite]
    async with serving(tmp_path, script) as served, case(served, tools=[{"type": "file_search"}]) as about:
        file = await with_file(about)
        told = await about.stream()
        names = [event.event for event in told]
        assert names[3:8] == [
            "thread.run.step.created",
            "thread.run.step.in_progress",
            "thread.run.step.delta",
            "thread.run.step.completed",
            "thread.run.step.created",
        ]
        run = told[-1].data
        assert run.status == "completed"
        search, _ = await about.steps(run)
        [hit] = search.step_details.tool_calls[0].file_search.results
        assert (hit.file_id, hit.file_name, hit.content) == (file, "house.txt", None)
        assert told[6].data.step_details == search.step_details
        search, _ = await about.steps(run, include=[CONTENT])
        assert search.step_details.tool_calls[0].file_search.results[0].content[0].text == "The lamp is in the attic."
        message = told[-3].data
        text = message.content[0].text
        [cited] = text.annotations
        assert text.value[cited.start_index : cited.end_index] == cited.text == "【1†house.txt】"
        assert cited.file_citation.file_id == file
        deltas = [event.data.delta.content[0].text for event in told if event.event == "thread.message.delta"]
        assert "".join(delta.value for delta in deltas) == text.value
        assert [each.index for each in deltas[-1].annotations] == [0]


async def test_one_answer_may_call_both_the_server_and_the_client(tmp_path: Path) -> None:
    """The run waits for the client's part only, and cites what was found before; the next run knows of both."""
    both = [call("file_search", query="lamp"), call("count", sku="A-1")]
    model = ScriptedModel([both, cite, "Bye."])
    tools = [{"type": "file_search"}, COUNT]
    async with serving(tmp_path, models={"*": model}) as served, case(served, tools=tools) as about:
        file = await with_file(about)
        run = await about.run()
        assert [each.id for each in run.required_action.submit_tool_outputs.tool_calls] == ["call_count"]
        run = await about.answer(run)
        assert run.status == "completed"
        calls, _ = await about.steps(run)
        search, count = calls.step_details.tool_calls
        assert (search.file_search.results[0].file_id, count.function.output) == (file, "count is done")
        message = (await about.client.beta.threads.messages.list(about.thread)).data[0]
        assert message.content[0].text.annotations[0].file_citation.file_id == file
        assert (await about.run()).status == "completed"
        asked = model.requests[-1].messages[1]
        assert isinstance(asked, AssistantMessage)
        assert [each.name for each in asked.tool_calls] == ["file_search", "count"]


async def test_a_model_that_must_search_may_answer_once_it_has(tmp_path: Path) -> None:
    """In the same run, without a client in between."""
    model = ScriptedModel([[call("file_search", query="lamp")], cite])
    async with serving(tmp_path, models={"*": model}) as served:
        async with case(served, tools=[{"type": "file_search"}]) as about:
            await with_file(about)
            assert (await about.run(tool_choice={"type": "file_search"})).status == "completed"
        assert [each.settings.tool_choice for each in model.requests] == ["file_search", None]


async def test_code_is_shown_with_what_it_prints(tmp_path: Path) -> None:
    """As it is streamed, and in the step."""
    script = [[call("code_interpreter", code="print(6 * 7)")], "42."]
    tools = [{"type": "code_interpreter"}]
    async with serving(tmp_path, script, code_interpreter=True) as served, case(served, tools=tools) as about:
        told = await about.stream()
        assert told[-1].event == "thread.run.completed"
        step = (await about.steps(told[-1].data))[0]
        ran = step.step_details.tool_calls[0].code_interpreter
        assert (ran.input, [each.logs.strip() for each in ran.outputs]) == ("print(6 * 7)", ["42"])
        deltas = [event.data.delta for event in told if event.event == "thread.run.step.delta"]
        heard = [delta.step_details.tool_calls[0].code_interpreter for delta in deltas]
        assert "".join(each.input or "" for each in heard) == ran.input


async def test_an_agent_runs_its_own_tools(tmp_path: Path) -> None:
    """Offered as a model, it shows what it does as calls that are answered already."""

    @tool
    def units_left(sku: str) -> int:
        """Count the units in stock."""
        return 3

    model = ScriptedModel([[call("units_left", sku="A-1")], "Three."])
    agents = {"clerk": Agent(model, instructions="You work in a shop.", tools=[units_left])}
    async with (
        serving(tmp_path, agents=agents) as served,
        case(served, model="clerk", instructions="Be brief.") as about,
    ):
        run = await about.run()
        assert run.status == "completed"
        calls, _ = await about.steps(run)
        [ran] = calls.step_details.tool_calls
        assert (ran.function.name, ran.function.output, calls.status) == ("units_left", "3", "completed")
        assert model.requests[0].instructions == "You work in a shop.\n\nBe brief."


async def test_dozens_of_runs_at_once(tmp_path: Path) -> None:
    """All are streamed to their end."""
    model = ScriptedModel([lambda request: f"You said {request.messages[-1].text}"] * 20)
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        assistant = await client.beta.assistants.create(model="gpt-4o")
        said: dict[int, Any] = {}

        async def run(number: int) -> None:
            thread = {"messages": [{"role": "user", "content": str(number)}]}
            stream = await client.beta.threads.create_and_run(assistant_id=assistant.id, thread=thread, stream=True)
            async for event in stream:
                if event.event == "thread.message.completed":
                    said[number] = event.data.content[0].text.value

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(run, number)
        assert said == {number: f"You said {number}" for number in range(20)}
