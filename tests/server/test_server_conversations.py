"""Conversations: made, filled, read and gone on with, by the official SDK; threads under another name."""

from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from serving import Clock, serving

from agentkit import ToolResult
from agentkit.messages import AssistantMessage, UserMessage
from agentkit.testing import ScriptedModel, call

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]

SAID: list[Any] = [
    {"type": "message", "role": "user", "content": "My name is Ada."},
    {"type": "message", "role": "assistant", "content": "Hello, Ada."},
]
TOOLS: list[Any] = [
    {
        "type": "function",
        "name": "units_left",
        "description": "How many units are left.",
        "parameters": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]},
        "strict": False,
    }
]


async def test_a_conversation_is_made_changed_and_deleted(tmp_path: Path) -> None:
    """Its whole life."""
    async with serving(tmp_path, clock=Clock()) as served, served.client() as client:
        made = await client.conversations.create(metadata={"topic": "x"}, items=SAID)
        assert (made.id[:5], made.created_at, made.metadata) == ("conv_", 1_750_000_000, {"topic": "x"})
        assert await client.conversations.retrieve(made.id) == made
        changed = await client.conversations.update(made.id, metadata={"topic": "y"})
        assert changed.metadata == {"topic": "y"}
        gone = await client.conversations.delete(made.id)
        assert (gone.id, gone.deleted, gone.object) == (made.id, True, "conversation.deleted")
        for asked in (
            client.conversations.retrieve(made.id),
            client.conversations.delete(made.id),
            client.conversations.items.create(made.id, items=SAID),
            client.responses.create(model="m", input="Hi", conversation=made.id),
        ):
            with pytest.raises(openai.NotFoundError, match=f"Conversation with id '{made.id}' not found"):
                await asked


async def test_items_come_back_as_they_were_said(tmp_path: Path) -> None:
    """Every kind of item and of part; hidden from nobody, and in order."""
    items: list[Any] = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": "https://example.org/cat.png", "detail": "low"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "function_call", "call_id": "call_a", "name": "units_left", "arguments": '{"sku":"A"}'},
        {"type": "function_call_output", "call_id": "call_a", "output": "3"},
        {
            "type": "message",
            "role": "assistant",
            "phase": "final_answer",
            "content": [
                {
                    "type": "output_text",
                    "text": "In the attic【1†house.txt】.",
                    "annotations": [
                        {"type": "file_citation", "file_id": "file-1", "filename": "house.txt", "index": 12}
                    ],
                },
                {"type": "refusal", "refusal": "No more."},
            ],
        },
    ]
    async with serving(tmp_path) as served, served.client() as client:
        made = await client.conversations.create()
        added = await client.conversations.items.create(made.id, items=items)
        listed = [item async for item in client.conversations.items.list(made.id, order="asc", limit=2)]
        assert listed == added.data
        assert added.first_id == listed[0].id
        for item in listed:
            assert item.id is not None
            assert await client.conversations.items.retrieve(item.id, conversation_id=made.id) == item
        told: list[Any] = [item.model_dump(exclude_none=True) for item in listed]
    for item, given in zip(told, items, strict=True):
        assert {name: item[name] for name in given if name != "content"} == {
            name: value for name, value in given.items() if name != "content"
        }
        for part, asked in zip(item.get("content", []), given.get("content", []), strict=True):
            assert {name: part[name] for name in asked} == asked


async def test_a_response_goes_on_with_a_conversation(tmp_path: Path) -> None:
    """What was said is told the model, and what is said then is put behind it; functions included."""
    model = ScriptedModel([[call("units_left", sku="A")], "Three left.", "You are Ada."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        talk = await client.conversations.create(items=SAID)
        asked = await client.responses.create(model="m", input="How many?", conversation=talk.id, tools=TOOLS)
        assert asked.conversation is not None
        assert asked.conversation.id == talk.id
        output: list[Any] = [{"type": "function_call_output", "call_id": "call_units_left", "output": "3"}]
        with pytest.raises(openai.BadRequestError, match="No tool output found for function call call_units_left"):
            await client.responses.create(model="m", input="And?", conversation=talk.id)
        await client.responses.create(model="m", input=output, conversation=talk.id, tools=TOOLS)
        await client.responses.create(model="m", input="Who am I?", conversation={"id": talk.id})
        kinds = [item.type async for item in client.conversations.items.list(talk.id, order="asc")]
        assert kinds == [
            *["message"] * 3,
            "function_call",
            "function_call_output",
            *["message"] * 3,
        ]
    assert model.requests[-1].messages == [
        UserMessage(content="My name is Ada."),
        AssistantMessage(text="Hello, Ada."),
        UserMessage(content="How many?"),
        AssistantMessage(tool_calls=(call("units_left", sku="A"),)),
        ToolResult(call_id="call_units_left", name="units_left", content="3"),
        AssistantMessage(text="Three left."),
        UserMessage(content="Who am I?"),
    ]


async def test_an_item_that_is_taken_back_is_told_no_model(tmp_path: Path) -> None:
    """And an output that is sent again does not take the place of the first."""
    model = ScriptedModel(["Yes.", "No."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        talk = await client.conversations.create(items=SAID)
        items = (await client.conversations.items.list(talk.id, order="asc")).data
        assert items[0].id is not None
        assert (await client.conversations.items.delete(items[0].id, conversation_id=talk.id)).id == talk.id
        with pytest.raises(openai.NotFoundError):
            await client.conversations.items.retrieve(items[0].id, conversation_id=talk.id)
        told = await client.responses.create(model="m", input="Hi", conversation=talk.id)
        again: Any = [item.model_dump(exclude_none=True) for item in told.output]
        await client.responses.create(model="m", input=[*again, SAID[0]], conversation=talk.id)
        ids = [item.id async for item in client.conversations.items.list(talk.id)]
        assert len(ids) == len(set(ids)) == 6
    assert model.requests[0].messages == [AssistantMessage(text="Hello, Ada."), UserMessage(content="Hi")]


async def test_a_thread_goes_on_as_a_conversation_and_back(tmp_path: Path) -> None:
    """They are one log: the way out of Assistants takes nothing with it that is not there."""
    model = ScriptedModel(["Hello, Ada.", "You are Ada."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        assistant = await client.beta.assistants.create(model="m")
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": "My name is Ada."}])
        await client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
        talk = thread.id.replace("thread_", "conv_")
        said: list[Any] = [item async for item in client.conversations.items.list(talk, order="asc")]
        assert [(item.role, item.content[0].text) for item in said] == [
            ("user", "My name is Ada."),
            ("assistant", "Hello, Ada."),
        ]
        await client.responses.create(model="m", input="Who am I?", conversation=talk)
        messages = [message async for message in client.beta.threads.messages.list(thread.id, order="asc")]
        parts: list[Any] = [message.content[0] for message in messages]
        assert [part.text.value for part in parts] == ["My name is Ada.", "Hello, Ada.", "Who am I?", "You are Ada."]
        assert {message.thread_id for message in messages} == {thread.id}
    assert model.requests[1].messages == [
        UserMessage(content="My name is Ada."),
        AssistantMessage(text="Hello, Ada."),
        UserMessage(content="Who am I?"),
    ]


async def test_what_cannot_be_an_item_is_refused(tmp_path: Path) -> None:
    """And none of the others are added either."""
    wrong: list[Any] = [
        [],
        SAID * 11,
        [SAID[0], {"type": "message", "role": "user"}],
        [SAID[0], {"type": "web_search_call", "id": "ws_1"}],
        [SAID[0], {"type": "function_call", "id": "call_1", "call_id": "c", "name": "f", "arguments": "{}"}],
    ]
    async with serving(tmp_path) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        talk = (await http.post("/conversations", json={})).json()["id"]
        for items in wrong:
            answer = await http.post(f"/conversations/{talk}/items", json={"items": items})
            assert answer.status_code == 400, items
            assert answer.json()["error"]["param"]
        assert (await http.get(f"/conversations/{talk}/items")).json()["data"] == []
