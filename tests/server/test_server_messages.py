"""Messages of threads: added, found, changed, listed and taken back."""

from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from serving import Clock, serving

from agentkit.testing import call

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]


async def test_a_message_is_shown_with_all_fields(tmp_path: Path) -> None:
    """What a client sends as a string is a list of parts when it is read."""
    async with serving(tmp_path, clock=Clock()) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        thread = (await http.post("/threads", json={})).json()["id"]
        path = f"/threads/{thread}/messages"
        body = {"role": "user", "content": "Grüß 🦊\u0000", "attachments": None, "metadata": None}
        made = (await http.post(path, json=body)).json()
        assert (await http.get(f"{path}/{made['id']}")).json() == made
        assert made.pop("id").startswith("msg_")
        assert made == {
            "object": "thread.message",
            "created_at": 1_750_000_000,
            "thread_id": thread,
            "status": "completed",
            "incomplete_details": None,
            "completed_at": 1_750_000_000,
            "incomplete_at": None,
            "role": "user",
            "content": [{"type": "text", "text": {"value": "Grüß 🦊\u0000", "annotations": []}}],
            "assistant_id": None,
            "run_id": None,
            "attachments": [],
            "metadata": {},
        }


async def test_parts_of_a_message_stay_in_their_order(tmp_path: Path) -> None:
    """Words and pictures; a picture whose detail is not said has 'auto'."""
    url = {"url": "https://example.com/a.png"}
    async with serving(tmp_path) as served, served.client() as client:
        thread = await client.beta.threads.create()
        message = await client.beta.threads.messages.create(
            thread.id,
            role="user",
            content=[
                {"type": "image_url", "image_url": {**url, "detail": "low"}},
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": url},
            ],
        )
        assert [part.to_dict() for part in message.content] == [
            {"type": "image_url", "image_url": {**url, "detail": "low"}},
            {"type": "text", "text": {"value": "What is it?", "annotations": []}},
            {"type": "image_url", "image_url": {**url, "detail": "auto"}},
        ]


async def test_only_the_metadata_of_a_message_changes(tmp_path: Path) -> None:
    """What was said stays said."""
    async with serving(tmp_path) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        thread = (await http.post("/threads", json={})).json()["id"]
        made = (await http.post(f"/threads/{thread}/messages", json={"role": "user", "content": "Hi."})).json()
        path = f"/threads/{thread}/messages/{made['id']}"
        changed = (await http.post(path, json={"metadata": {"a": "b"}, "content": "Bye.", "role": "assistant"})).json()
        assert changed == made | {"metadata": {"a": "b"}}
        assert (await http.post(path, json={})).json() == changed
        assert (await http.post(path, json={"metadata": None})).json() == made


async def test_a_message_is_taken_back(tmp_path: Path) -> None:
    """And the others stay."""
    async with serving(tmp_path) as served, served.client() as client:
        messages = client.beta.threads.messages
        thread = await client.beta.threads.create()
        first, second = [await messages.create(thread.id, role="user", content=said) for said in ("a", "b")]
        gone = await messages.delete(first.id, thread_id=thread.id)
        assert (gone.id, gone.object, gone.deleted) == (first.id, "thread.message.deleted", True)
        assert [each.id for each in (await messages.list(thread.id)).data] == [second.id]
        with pytest.raises(openai.NotFoundError, match=f"No message found with id '{first.id}'."):
            await messages.delete(first.id, thread_id=thread.id)


async def test_a_message_is_found_on_its_own_thread_only(tmp_path: Path) -> None:
    """The id of a message does not open another thread."""
    async with serving(tmp_path) as served, served.client() as client:
        messages = client.beta.threads.messages
        thread, other = await client.beta.threads.create(), await client.beta.threads.create()
        message = await messages.create(thread.id, role="user", content="Hi.")
        for asked in (
            messages.retrieve(message.id, thread_id=other.id),
            messages.update(message.id, thread_id=other.id, metadata={"a": "b"}),
            messages.delete(message.id, thread_id=other.id),
            messages.list(other.id, after=message.id),
        ):
            with pytest.raises(openai.NotFoundError, match=f"No message found with id '{message.id}'."):
                await asked
        assert await messages.retrieve(message.id, thread_id=thread.id) == message


async def test_all_pages_together_are_what_was_said(tmp_path: Path) -> None:
    """Messages of one and the same second, in the order in which they were said."""
    async with serving(tmp_path, clock=Clock()) as served, served.client() as client:
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": str(n)} for n in range(5)])
        messages = client.beta.threads.messages
        listed = [each.content[0] async for each in messages.list(thread.id, order="asc", limit=2)]
        assert [part.text.value for part in listed if part.type == "text"] == list("01234")
        assert (await messages.list(thread.id, run_id="run_none")).data == []


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("role", {"role": "system"}),
    ("role", {"role": None}),
    ("content", {"content": None}),
    ("content", {"content": ""}),
    ("content", {"content": " \n"}),
    ("content", {"content": "x" * 256_001}),
    ("content", {"content": 5}),
    ("content", {"content": []}),
    ("content", {"content": ["Hi."]}),
    ("content", {"content": [{"type": "text", "text": ""}]}),
    ("content", {"content": [{"type": "text", "text": {"value": "Hi."}}]}),
    ("content", {"content": [{"type": "audio"}]}),
    ("content", {"content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}),
    ("content", {"content": [{"type": "image_url", "image_url": {"url": "https://a", "detail": "much"}}]}),
    ("content", {"content": [{"type": "image_file", "image_file": {}}]}),
    ("attachments", {"attachments": [{}]}),
    ("attachments", {"attachments": [{"file_id": "file-1", "tools": [{"type": "function"}]}]}),
    ("metadata", {"metadata": {"a": None}}),
]


async def test_what_cannot_be_a_message_is_refused_by_name(tmp_path: Path) -> None:
    """Alone, and among the first messages of a thread."""
    async with serving(tmp_path) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        thread = (await http.post("/threads", json={})).json()["id"]
        for param, wrong in WRONG:
            body = {"role": "user", "content": "Hi.", **wrong}
            answer = await http.post(f"/threads/{thread}/messages", json=body)
            assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error"), wrong
            assert answer.json()["error"]["param"].startswith(param), answer.json()
            within = await http.post("/threads", json={"messages": [body]})
            assert within.json()["error"]["param"].startswith(f"messages[0].{param}"), within.json()
        assert (await http.get(f"/threads/{thread}/messages")).json() == {
            "object": "list",
            "data": [],
            "first_id": None,
            "last_id": None,
            "has_more": False,
        }


async def test_a_thread_belongs_to_its_run_while_that_goes_on(tmp_path: Path) -> None:
    """A run that waits for its client's function lets nobody talk in between, in OpenAI's words; then all may."""
    async with serving(tmp_path, [[call("f")], "Done."]) as served, served.client() as client:
        threads = client.beta.threads
        assistant = await client.beta.assistants.create(
            model="m", tools=[{"type": "function", "function": {"name": "f"}}]
        )
        thread = await threads.create(messages=[{"role": "user", "content": "Go."}])
        run = await threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=1)
        assert run.required_action
        with pytest.raises(openai.BadRequestError) as caught:
            await threads.messages.create(thread.id, role="user", content="And?")
        assert caught.value.body == {
            "message": f"Can't add messages to {thread.id} while a run {run.id} is active.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
        assert caught.value.response.headers["x-should-retry"] == "false"
        [asked] = run.required_action.submit_tool_outputs.tool_calls
        await threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id,
            thread_id=thread.id,
            tool_outputs=[{"tool_call_id": asked.id, "output": "1"}],
            poll_interval_ms=1,
        )
        written = (await threads.messages.list(thread.id, run_id=run.id)).data
        assert [(each.role, each.run_id, each.assistant_id) for each in written] == [
            ("assistant", run.id, assistant.id)
        ]
        await threads.messages.create(thread.id, role="user", content="And?")
        assert len((await threads.messages.list(thread.id)).data) == 3
