"""What was saved of OpenAI's Assistants API is there again: under its ids, for old programs."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from saved import ASSISTANT, CALLED, MESSAGES, STEPS, THREAD, listed, message, run, step
from serving import serving
from typer.testing import CliRunner

from agentkit import AssistantMessage, ToolCall, ToolResult, UserMessage
from agentkit.cli.app import app
from agentkit.testing import ScriptedModel, call

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]

Migrate = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def migrate(tmp_path: Path) -> Migrate:
    """`migrate(document, ..., "--option")`: imports documents: the exit code, and the report."""

    async def invoke(*given: Any) -> tuple[int, str]:
        words = [each for each in given if isinstance(each, str)]
        paths = [tmp_path / f"saved{n}.json" for n, each in enumerate(given) if not isinstance(each, str)]
        for path, document in zip(paths, [each for each in given if not isinstance(each, str)], strict=True):
            path.write_text(json.dumps(document), encoding="utf-8")
        files = [str(path) for path in paths]
        asked = ["migrate", *files, "--database", str(tmp_path / "server.db"), *words]
        result = await anyio.to_thread.run_sync(CliRunner().invoke, app, asked)
        return result.exit_code, result.output.replace(str(tmp_path) + "/", "")

    return invoke


WHOLE = {"thread": THREAD, "messages": listed(MESSAGES), "runs": [run()], "steps": {"run_1": listed(STEPS)}}


async def test_an_old_thread_goes_on(tmp_path: Path, migrate: Migrate) -> None:
    """The program asks under the ids that it knows; the model knows what was said, and what its tools came to."""
    code, told = await migrate([ASSISTANT], WHOLE)
    assert code == 0, told
    assert told.startswith("taken: 1 assistant, 1 thread, 2 messages, 1 run, 2 steps\n")
    model = ScriptedModel(["Two now."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        threads = client.beta.threads
        assert (await client.beta.assistants.retrieve("asst_abc123")).created_at == 1_716_000_000
        assert (await threads.retrieve("thread_abc123")).metadata == {"customer": "7"}
        old = await threads.messages.list("thread_abc123", order="asc")
        assert [(each.id, each.created_at) for each in old.data] == [("msg_1", 1_716_000_105), ("msg_2", 1_716_000_114)]
        assert (await threads.runs.retrieve("run_1", thread_id="thread_abc123")).usage.total_tokens == 120
        steps = await threads.runs.steps.list("run_1", thread_id="thread_abc123", order="asc")
        assert [each.id for each in steps.data] == ["step_1", "step_2"]
        await threads.messages.create("thread_abc123", role="user", content="And now?")
        ran = await threads.runs.create_and_poll(
            thread_id="thread_abc123", assistant_id="asst_abc123", poll_interval_ms=10
        )
        assert ran.status == "completed"
        spoken = await client.conversations.items.list("conv_abc123", order="asc")
        assert [each.type for each in spoken.data][:4] == [
            "message",
            "function_call",
            "function_call_output",
            "message",
        ]
    asked = ToolCall(id="call_1", name="units_left", arguments='{"sku": "A-1"}')
    assert list(model.requests[0].messages) == [
        UserMessage(content="Have you got A-1?"),
        AssistantMessage(tool_calls=(asked,)),
        ToolResult(call_id="call_1", name="units_left", content="3"),
        AssistantMessage(text="Three left."),
        UserMessage(content="And now?"),
    ]


async def test_a_second_import_changes_nothing(tmp_path: Path, migrate: Migrate) -> None:
    """It may be repeated after it was interrupted, and while the server runs; what was changed here stays."""
    async with serving(tmp_path, ["Hello."]) as served, served.client() as client:
        await migrate([ASSISTANT], WHOLE)
        await client.beta.assistants.update("asst_abc123", name="Bo")
        code, told = await migrate([ASSISTANT], WHOLE)
        assert code == 0
        assert told.startswith(
            "there already: 1 assistant, 1 thread, 2 messages, 1 run, 2 steps\nnothing has changed\n"
        )
        assert (await client.beta.assistants.retrieve("asst_abc123")).name == "Bo"
        assert len((await client.beta.threads.messages.list("thread_abc123")).data) == 2
        assert "overwritten: 1 assistant" in (await migrate([ASSISTANT], WHOLE, "--overwrite"))[1]
        assert (await client.beta.assistants.retrieve("asst_abc123")).name == "clerk"


async def test_later_messages_of_an_export_are_added(tmp_path: Path, migrate: Migrate) -> None:
    """Unless the thread has gone on here: then the old end would come behind the new one."""
    later = message("msg_3", "user", "Thanks.", 1_716_000_200)
    assert (await migrate(listed(MESSAGES)))[1].startswith("taken: 1 thread, 2 messages\n")
    assert "taken: 1 message\n" in (await migrate(listed([later, *MESSAGES])))[1]
    async with serving(tmp_path) as served, served.client() as client:
        await client.beta.threads.messages.create("thread_abc123", role="user", content="Hello again.")
        last = message("msg_4", "user", "Bye.", 1_716_000_300)
        code, told = await migrate(listed([last, later, *MESSAGES]))
        assert code == 1
        assert "saved0.json, data[0]: message msg_4: thread_abc123 has gone on here" in told
        said = await client.beta.threads.messages.list("thread_abc123", order="asc")
        assert [each.id for each in said.data][:3] == ["msg_1", "msg_2", "msg_3"]
        assert len(said.data) == 4


async def test_a_thread_that_a_run_holds_is_not_added_to(tmp_path: Path, migrate: Migrate) -> None:
    """The run has begun with the messages there were."""
    await migrate([ASSISTANT], listed(MESSAGES[1:]))
    async with serving(tmp_path, [[call("units_left", sku="A-1")]]) as served, served.client() as client:
        ran = await client.beta.threads.runs.create_and_poll(
            thread_id="thread_abc123", assistant_id="asst_abc123", poll_interval_ms=10
        )
        assert ran.status == "requires_action"
        code, told = await migrate(listed(MESSAGES))
        assert code == 1
        assert "message msg_2: thread_abc123 has gone on here" in told
        assert len((await client.beta.threads.messages.list("thread_abc123")).data) == 1


async def test_what_was_said_in_one_second_stays_in_order(tmp_path: Path, migrate: Migrate) -> None:
    """Times are whole seconds, and lists were newest first; calls stand before what was said of them."""
    at = 1_716_000_105
    told = [message(f"msg_{n}", "assistant", f"{n}", at, run_id="run_1") for n in (3, 2)]
    details: list[dict[str, Any]] = [
        {"type": kind, kind: [{"id": f"call_{n}", "type": "function", "function": CALLED}]}
        if kind == "tool_calls"
        else {"type": kind, kind: {"message_id": f"msg_{n}"}}
        for n in (3, 2)
        for kind in ("message_creation", "tool_calls")
    ]
    steps = [step(f"step_{n}", at, each) for n, each in enumerate(details)]
    await migrate({"messages": listed([*told, message("msg_1", "user", "1", at)]), "runs": [run()], "steps": steps})
    async with serving(tmp_path) as served, served.client() as client:
        spoken = (await client.conversations.items.list("conv_abc123", order="asc")).data
    assert [getattr(each, "call_id", each.id) for each in spoken] == [
        *("msg_1", "call_2", "call_2", "msg_2", "call_3", "call_3", "msg_3")
    ]


async def test_what_is_not_here_is_left_out_and_told(tmp_path: Path, migrate: Migrate) -> None:
    """Files and vector stores are not in an export: they are uploaded again, and named by --replace."""
    picture = {"type": "image_file", "image_file": {"file_id": "file-cat"}}
    shown = message("msg_1", "user", "", 1, content=[picture, picture])
    shown["attachments"] = [{"file_id": "file-old", "tools": [{"type": "file_search"}]}]
    async with serving(tmp_path) as served, served.client() as client:
        file = await client.files.create(file=("a.png", b"png"), purpose="vision")
        store = await client.vector_stores.create(name="handbook")
        code, told = await migrate(
            ASSISTANT, [shown], "--replace", f"vs_old={store.id}", "--replace", f"file-cat={file.id}"
        )
        assert code == 0
        assert "msg_1: file file-old is not here, and was left out of it" in told
        resources = (await client.beta.assistants.retrieve("asst_abc123")).tool_resources
        assert resources.file_search.vector_store_ids == [store.id]
        here = await client.beta.threads.messages.retrieve("msg_1", thread_id="thread_abc123")
        assert [part.image_file.file_id for part in here.content] == [file.id, file.id]
        assert here.attachments == []
    lost = message("msg_9", "user", "", 1, thread_id="thread_9", content=[picture])
    assert "msg_9: file file-cat is not here" in (await migrate([lost]))[1]
    async with serving(tmp_path) as served, served.client() as client:
        here = await client.beta.threads.messages.retrieve("msg_9", thread_id="thread_9")
        assert here.content[0].text.value == "(a picture that is not here: file-cat)"


async def test_a_run_that_had_not_ended_holds_no_thread(tmp_path: Path, migrate: Migrate) -> None:
    """Nobody will ever submit its outputs."""
    code, told = await migrate(WHOLE | {"runs": [run("requires_action")]})
    assert code == 0
    assert "run_1: had not ended; it is kept as expired" in told
    async with serving(tmp_path) as served, served.client() as client:
        assert (await client.beta.threads.runs.retrieve("run_1", thread_id="thread_abc123")).status == "expired"
        await client.beta.threads.messages.create("thread_abc123", role="user", content="Hello again.")


async def test_objects_of_version_1_are_brought_up_to_date(tmp_path: Path, migrate: Migrate) -> None:
    """Files beside messages, and a tool that was called otherwise."""
    assistant = {name: ASSISTANT[name] for name in ("id", "object", "created_at", "name", "model", "instructions")}
    assistant |= {"tools": [{"type": "retrieval"}], "file_ids": ["file-old"], "metadata": {"shop": 7}}
    said = {name: MESSAGES[1][name] for name in ("id", "object", "created_at", "thread_id", "role", "content")}
    code, told = await migrate([assistant, said | {"file_ids": ["file-old"]}])
    assert code == 0
    assert "asst_abc123: file file-old is not here" in told
    assert "msg_1: file file-old is not here" in told
    async with serving(tmp_path) as served, served.client() as client:
        here = await client.beta.assistants.retrieve("asst_abc123")
        assert [tool.type for tool in here.tools] == ["file_search"]
        assert here.metadata == {"shop": "7"}
        assert (await client.beta.threads.messages.retrieve("msg_1", thread_id="thread_abc123")).role == "user"


async def test_an_import_belongs_to_a_tenant(tmp_path: Path, migrate: Migrate) -> None:
    """Who has another key sees nothing of it."""
    await migrate([ASSISTANT], "--tenant", "shop")
    async with serving(tmp_path) as served, served.client() as client:
        assert (await client.beta.assistants.list()).data == []


async def test_a_trial_keeps_nothing(tmp_path: Path, migrate: Migrate) -> None:
    """It says what an import would say."""
    trial, told = await migrate([ASSISTANT], WHOLE, "--dry-run"), await migrate([ASSISTANT], WHOLE)
    assert trial == (0, "this was tried, and nothing was kept:\n" + told[1])
