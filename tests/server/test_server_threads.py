"""Threads: made with what was said already, found, changed, and deleted with all that is theirs."""

from pathlib import Path

import httpx
import openai
import pytest
from openai.types.beta.threads.message_create_params import Attachment, AttachmentTool
from openai.types.beta.threads.run_submit_tool_outputs_params import ToolOutput
from serving import Clock, serving
from sqlalchemy import text

from agentkit.testing import call

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]


async def test_a_thread_of_which_nothing_is_said_has_all_fields(tmp_path: Path) -> None:
    """With an empty body, with nulls and with none at all."""
    async with serving(tmp_path, clock=Clock()) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        nulls = {"messages": None, "metadata": None, "tool_resources": None}
        for answer in (
            await http.post("/threads"),
            await http.post("/threads", json={}),
            await http.post("/threads", json=nulls),
            await http.post("/threads", json={"messages": []}),
        ):
            made = answer.json()
            assert made.pop("id").startswith("thread_")
            assert made == {"object": "thread", "created_at": 1_750_000_000, "metadata": {}, "tool_resources": {}}


async def test_a_thread_begins_with_what_was_said_already(tmp_path: Path) -> None:
    """In the order in which it was said."""
    async with serving(tmp_path) as served, served.client() as client:
        thread = await client.beta.threads.create(
            messages=[{"role": "user", "content": "One?"}, {"role": "assistant", "content": "Two."}],
            metadata={"who": "me"},
        )
        assert await client.beta.threads.retrieve(thread.id) == thread
        messages = await client.beta.threads.messages.list(thread.id, order="asc")
        said = [(each.role, each.content[0].text.value) for each in messages.data if each.content[0].type == "text"]
        assert said == [("user", "One?"), ("assistant", "Two.")]


async def test_a_change_of_a_thread_leaves_what_it_does_not_name(tmp_path: Path) -> None:
    """Metadata is replaced as a whole; null takes it back."""
    async with serving(tmp_path) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        made = (await http.post("/threads", json={"metadata": {"a": "1", "b": "2"}})).json()
        path = f"/threads/{made['id']}"
        assert (await http.post(path, json={})).json() == made
        assert (await http.post(path, json={"metadata": {"c": "3"}})).json() == made | {"metadata": {"c": "3"}}
        assert (await http.post(path, json={"tool_resources": {}})).json() == made | {"metadata": {"c": "3"}}
        assert (await http.post(path, json={"metadata": None})).json() == made | {"metadata": {}}
        assert (await http.get(path)).json() == made | {"metadata": {}}


async def test_a_deleted_thread_is_gone_with_its_messages(tmp_path: Path) -> None:
    """Whatever is asked of it is not found."""
    async with serving(tmp_path) as served, served.client() as client:
        threads = client.beta.threads
        thread = await threads.create(messages=[{"role": "user", "content": "Hi."}])
        other = await threads.create(messages=[{"role": "user", "content": "Hi."}])
        message = (await threads.messages.list(thread.id)).data[0]
        gone = await threads.delete(thread.id)
        assert (gone.id, gone.object, gone.deleted) == (thread.id, "thread.deleted", True)
        for asked in (
            threads.retrieve(thread.id),
            threads.update(thread.id, metadata={}),
            threads.delete(thread.id),
            threads.messages.list(thread.id),
            threads.messages.create(thread.id, role="user", content="Hi."),
            threads.messages.retrieve(message.id, thread_id=thread.id),
            threads.messages.update(message.id, thread_id=thread.id, metadata={}),
            threads.messages.delete(message.id, thread_id=thread.id),
        ):
            with pytest.raises(openai.NotFoundError, match=f"No thread found with id '{thread.id}'."):
                await asked
        assert len((await threads.messages.list(other.id)).data) == 1


async def test_there_is_no_list_of_threads(tmp_path: Path) -> None:
    """The API has none: whoever knows an id may read a thread, and nobody else."""
    async with serving(tmp_path) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        answer = await http.get("/threads")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_a_thread_is_made_with_all_its_messages_or_not_at_all(tmp_path: Path) -> None:
    """The 33rd message, and a picture that is not there."""
    user = {"role": "user", "content": "Hi."}
    lost = {"role": "user", "content": [{"type": "image_file", "image_file": {"file_id": "file-lost"}}]}
    async with serving(tmp_path) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        assert (await http.post("/threads", json={"messages": [user] * 32})).status_code == 200
        refused = await http.post("/threads", json={"messages": [user] * 33})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages")
        answer = await http.post("/threads", json={"messages": [user, lost]})
        assert answer.status_code == 404
        assert "file-lost" in answer.json()["error"]["message"]


async def test_a_thread_comes_with_a_vector_store_of_its_own(tmp_path: Path) -> None:
    """The one that was asked for, and one for what is attached to a message."""
    async with serving(tmp_path) as served, served.client() as client:
        file = await client.files.create(file=("a.txt", b"The key is under the mat."), purpose="assistants")
        threads = client.beta.threads
        asked = await threads.create(tool_resources={"file_search": {"vector_stores": [{"file_ids": [file.id]}]}})
        thread = await threads.create()
        tools: list[AttachmentTool] = [{"type": "file_search"}, {"type": "code_interpreter"}]
        attached = [Attachment(file_id=file.id, tools=tools)]
        message = await threads.messages.create(thread.id, role="user", content="Where?", attachments=attached)
        assert [each.to_dict() for each in message.attachments or ()] == [{"file_id": file.id, "tools": tools}]
        thread = await threads.retrieve(thread.id)
        assert thread.tool_resources
        assert thread.tool_resources.code_interpreter
        assert thread.tool_resources.code_interpreter.file_ids == [file.id]
        for made in (asked, thread):
            assert made.tool_resources
            assert made.tool_resources.file_search
            [store_id] = made.tool_resources.file_search.vector_store_ids or ()
            assert [each.id async for each in client.vector_stores.files.list(store_id)] == [file.id]
        assert (await threads.retrieve(asked.id)) == asked


async def test_files_and_stores_that_are_not_there_are_told_by_their_ids(tmp_path: Path) -> None:
    """Wherever they are named, and nothing is made."""
    async with serving(tmp_path) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        thread = (await http.post("/threads", json={})).json()["id"]
        store = (await http.post("/vector_stores", json={})).json()["id"]
        code = {"tool_resources": {"code_interpreter": {"file_ids": ["file-lost"]}}}
        searched = {"tool_resources": {"file_search": {"vector_store_ids": ["file-lost"]}}}
        attached = {"role": "user", "content": "Hi.", "attachments": [{"file_id": "file-lost"}]}
        for path, body in (
            ("/threads", code),
            ("/threads", searched),
            ("/threads", {"tool_resources": {"file_search": {"vector_stores": [{"file_ids": ["file-lost"]}]}}}),
            ("/threads", {"messages": [attached]}),
            (f"/threads/{thread}", code),
            (f"/threads/{thread}", searched),
            (f"/threads/{thread}/messages", attached),
            ("/assistants", {"model": "m", **code}),
        ):
            answer = await http.post(path, json=body)
            assert answer.status_code == 404, (path, body)
            assert "file-lost" in answer.json()["error"]["message"]
        assert [each["id"] for each in (await http.get("/vector_stores")).json()["data"]] == [store]
        found = {"tool_resources": {"file_search": {"vector_store_ids": [store]}}}
        assert (await http.post(f"/threads/{thread}", json=found)).json()["tool_resources"] == found["tool_resources"]


async def test_nothing_of_a_deleted_thread_stays_behind(tmp_path: Path) -> None:
    """Its runs, their steps, and the calls of their tools."""
    async with serving(tmp_path, [[call("f")], "Done."]) as served, served.client() as client:
        threads = client.beta.threads
        assistant = await client.beta.assistants.create(
            model="m", tools=[{"type": "function", "function": {"name": "f"}}]
        )
        thread = await threads.create(messages=[{"role": "user", "content": "Go."}])
        run = await threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=1)
        assert run.required_action
        [asked] = run.required_action.submit_tool_outputs.tool_calls
        outputs = [ToolOutput(tool_call_id=asked.id, output="1")]
        await threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=thread.id, tool_outputs=outputs, poll_interval_ms=1
        )
        assert (await threads.runs.steps.list(run.id, thread_id=thread.id)).data
        await threads.delete(thread.id)
        with pytest.raises(openai.NotFoundError):
            await threads.runs.retrieve(run.id, thread_id=thread.id)
        async with served.app.state.server.database.read() as connection:
            rows = await connection.execute(text("SELECT kind FROM agentkit_objects"))
            assert [kind for (kind,) in rows] == ["assistant"]
