"""Which thread a conversation is on, and which assistant answers it: what is ours to make, change and delete."""

from base64 import b64encode
from dataclasses import replace
from typing import Any

import anyio
import pytest
from assistants_kit import (
    KEY,
    active,
    another_process,
    ask,
    backend,
    results,
    runs,
    said,
    sent,
    statuses,
    texts,
    thread_of,
    until,
)

from agentkit import Agent, ConfigError, ModelSettings, RunResult, ToolResult, tool
from agentkit.errors import RequestRejected, SessionBusy
from agentkit.messages import AssistantMessage, FilePart, ImagePart, TextPart, UserMessage, dump_messages, load_messages
from agentkit.models.assistants import AssistantsBackend
from agentkit.models.chat import ChatBackend
from agentkit.testing import AssistantsRequest, AssistantsServer, ChatServer, Fault, Reply, call

pytestmark = pytest.mark.anyio


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def counting(body: dict[str, Any]) -> Any:
    """Calls a tool where it is asked for a sum; else it says how much it was told in words, and what last."""
    words = said(body)
    if "sum" in words[-1]:
        return [call("add", a=20, b=3)]
    return f"{sum(m['role'] != 'system' for m in body['messages'])}: {words[-1]}"


def user(*words: str) -> list[tuple[str, str]]:
    return [("user", text) for text in words]


# The thread is the server's copy of our history.


async def test_a_conversation_stays_on_its_thread() -> None:
    """From turn to turn only what is new is sent, also by the next process."""
    async with AssistantsServer(counting) as server:
        result: RunResult[str] | None = None
        for turn in ("one", "two", "three"):
            history = load_messages(dump_messages(result.messages)) if result else ()
            result = await Agent(another_process(server)).run(turn, history=history)
        assert result is not None
        assert result.output == "5: three"
        [thread] = server.threads
        assert [said for who, said in texts(server, thread["id"]) if who == "user"] == ["one", "two", "three"]
        assert all(len(body["additional_messages"]) == 1 for body in sent(server, "POST", "/runs"))


async def changed(server: AssistantsServer, history: tuple[Any, ...]) -> list[tuple[str, str]]:
    """What stands on the thread of a conversation that goes on from this history, before the answer."""
    result = await Agent(backend(server), tools=[add]).run("Next.", history=history)
    *before, (who, last) = texts(server, thread_of(result.messages[-1]))
    assert (who, last) == ("assistant", result.output)
    return before


async def test_a_history_that_was_changed_gets_a_thread_of_its_own() -> None:
    """Edited, trimmed, or gone on with elsewhere: the model reads exactly this history, and the old thread is left."""
    async with AssistantsServer(counting) as server:
        agent = Agent(backend(server))
        one = await agent.run("First.")
        two = await agent.run("Second.", history=one.messages)
        first, answer, second, last = two.messages
        old = texts(server, thread_of(last))
        assert isinstance(answer, AssistantMessage)
        first_said, answered = ("user", "First."), ("assistant", "1: First.")
        second_said, last_said = ("user", "Second."), ("assistant", "3: Second.")
        edited = replace(answer, text="Never mind.")
        assert await changed(server, (first, edited, second, last)) == [
            first_said,
            ("assistant", "Never mind."),
            second_said,
            last_said,
            ("user", "Next."),
        ]
        asked = UserMessage(content="Else.")
        assert await changed(server, (asked, answer, second, last)) == [
            ("user", "Else."),
            answered,
            second_said,
            last_said,
            ("user", "Next."),
        ]
        assert await changed(server, (second, last)) == [second_said, last_said, ("user", "Next.")]
        assert await changed(server, (first, answer)) == [first_said, answered, ("user", "Next.")]
        assert await changed(server, (first, answer, last)) == [first_said, answered, last_said, ("user", "Next.")]
        assert texts(server, thread_of(last)) == old
        assert len(server.threads) == 6


async def test_a_tool_result_that_was_changed_is_what_counts() -> None:
    """Someone has struck a secret out of it: the thread that has seen it is not used again."""

    def script(body: dict[str, Any]) -> Any:
        return results(body)[-1] if results(body) else counting(body)

    async with AssistantsServer(script) as server:
        result = await Agent(backend(server), tools=[add]).run("The sum, please.")
        struck = tuple(replace(m, content="(a number)") if isinstance(m, ToolResult) else m for m in result.messages)
        assert await changed(server, struck) == [
            ("user", "The sum, please."),
            ("user", 'Meanwhile, tools were called:\n\nadd({"a":20,"b":3}) gave: (a number)'),
            ("assistant", "23"),
            ("user", "Next."),
        ]


async def test_a_branch_does_not_see_the_other_one() -> None:
    """Both go on from the same answer, one after the other: the second one gets a thread of its own."""
    async with AssistantsServer(counting) as server:
        agent = Agent(backend(server))
        root = await agent.run("Root.")
        left = await agent.run("Left.", history=root.messages)
        right = await agent.run("Right.", history=root.messages)
        assert (left.output, right.output) == ("3: Left.", "3: Right.")
        assert thread_of(left.messages[-1]) == thread_of(root.messages[-1]) != thread_of(right.messages[-1])
        again = await agent.run("Left again.", history=left.messages)
        assert thread_of(again.messages[-1]) == thread_of(left.messages[-1])
        assert again.output == "5: Left again."


@pytest.mark.parametrize("kind", ["lost_before", "lost_after"])
async def test_branches_at_once_do_not_meet_though_a_request_is_lost(kind: Any) -> None:
    """While it is not known whether the first one has a run on the thread, the others have to wait."""
    lost: list[str] = []

    def lose_one(request: AssistantsRequest) -> Fault | None:
        if request.method != "POST" or not request.path.endswith("/runs") or lost or not statuses(server):
            return None
        lost.append(request.path)
        return Fault(kind)

    async with AssistantsServer(counting, on_request=lose_one) as server:
        agent = Agent(backend(server))
        root = await agent.run("Root.")
        outputs: list[str] = []

        async def branch(prompt: str) -> None:
            outputs.append((await agent.run(prompt, history=root.messages)).output)

        async with anyio.create_task_group() as group:
            for n in range(4):
                group.start_soon(branch, f"Branch {n}.")
        assert lost == [f"/threads/{thread_of(root.messages[-1])}/runs"]
        assert sorted(outputs) == [f"3: Branch {n}." for n in range(4)]


@pytest.mark.parametrize("length", [31, 32, 33, 65, 129])
async def test_a_long_history_arrives_whole_and_in_order(length: int) -> None:
    """More messages than a run takes, and more than a page of a list has."""
    history = [UserMessage(content=f"u{n}") if n % 2 == 0 else AssistantMessage(text=f"a{n}") for n in range(length)]
    async with AssistantsServer(counting) as server:
        result = await Agent(backend(server)).run("Now?", history=history)
        assert result.output == f"{length + 1}: Now?"
        [thread] = server.threads
        assert [text for _, text in texts(server, thread["id"])][:-1] == [m.text for m in history] + ["Now?"]
        more = await Agent(backend(server)).run("And now?", history=result.messages)
        assert more.output == f"{length + 3}: And now?"
        assert len(server.threads) == 1


@pytest.mark.parametrize("waiting", [False, True])
async def test_a_thread_that_was_deleted_is_made_anew(waiting: bool) -> None:
    """From our history; also if its run waits for results."""

    def script(body: dict[str, Any]) -> Any:
        return [call("gone")] if waiting and len(body["messages"]) == 1 else counting(body)

    async with AssistantsServer(script) as server:

        @tool
        async def gone() -> str:
            """Delete the thread from elsewhere."""
            await ask(server, "DELETE", f"/threads/{server.threads[0]['id']}")
            return "gone"

        agent = Agent(backend(server), tools=[gone])
        result = await agent.run("Hello.")
        if not waiting:
            await ask(server, "DELETE", f"/threads/{thread_of(result.messages[-1])}")
            result = await agent.run("Again.", history=result.messages)
        [thread] = server.threads
        told = [text for _, text in texts(server, thread["id"])]
        tools = "Meanwhile, tools were called:\n\ngone({}) gave: gone"
        assert told[:-1] == (["Hello.", tools] if waiting else ["Hello.", "1: Hello.", "Again."])
        assert result.output == told[-1]


# Other backends.


async def test_a_conversation_moves_to_another_wire_and_back() -> None:
    """Calls and results are told in words where the thread cannot hold them; nothing is lost or said twice."""
    async with AssistantsServer(summing) as there, ChatServer(summing) as chat:
        on_assistants = Agent(backend(there), tools=[add])
        on_chat = replace(on_assistants, model=ChatBackend("m", base_url=chat.base_url, api_key=KEY))
        one = await on_assistants.run("The sum?")
        two = await on_chat.run("The sum again?", history=one.messages)
        three = await on_assistants.run("And?", history=two.messages)
        assert [m.role for m in two.messages] == ["user", "assistant", "tool", "assistant"] * 2
        [thread] = there.threads
        assert texts(there, thread["id"]) == [
            ("user", "The sum?"),
            ("assistant", "It is 23."),
            ("user", "The sum again?"),
            ("user", 'Meanwhile, tools were called:\n\nadd({"a":20,"b":3}) gave: 23'),
            ("assistant", "It is 23."),
            ("user", "And?"),
            ("assistant", "That is all."),
        ]
        four = await on_chat.run("And?", history=three.messages)
        assert four.output == "That is all."
        assert [m["role"] for m in chat.requests[-1]["messages"]] == ["user", "assistant", "tool", "assistant"] * 2 + [
            "user",
            "assistant",
            "user",
        ]


def summing(body: dict[str, Any]) -> Any:
    if found := results(body):
        return f"It is {found[-1]}."
    return [call("add", a=20, b=3)] if "sum" in said(body)[-1] else "That is all."


async def test_a_conversation_moves_to_another_server() -> None:
    """It gets a thread there; back home, its old thread is told what it has missed."""
    async with AssistantsServer(summing) as home, AssistantsServer(summing) as away:
        at_home, abroad = Agent(backend(home), tools=[add]), Agent(backend(away), tools=[add])
        one = await at_home.run("The sum?")
        two = await abroad.run("Hello.", history=one.messages)
        three = await at_home.run("Back.", history=two.messages)
        moved = [
            ("user", "The sum?"),
            ("user", 'Meanwhile, tools were called:\n\nadd({"a":20,"b":3}) gave: 23'),
            ("assistant", "It is 23."),
            ("user", "Hello."),
            ("assistant", "That is all."),
        ]
        assert texts(away, away.threads[0]["id"]) == moved
        [thread] = home.threads
        assert texts(home, thread["id"]) == [moved[0], *moved[2:], ("user", "Back."), ("assistant", three.output)]


async def test_a_run_that_waits_elsewhere_is_told_in_words_here() -> None:
    """A paused run is moved: the tools are run, and the results told to the other server."""
    async with AssistantsServer(summing) as home, AssistantsServer(lambda body: said(body)[-1]) as away:
        paused = await backend(home).generate(request(home, "The sum?"))
        history = (UserMessage(content="The sum?"), paused.message)
        result = await Agent(backend(away), tools=[add]).run(None, history=history)
    assert result.output == 'Meanwhile, tools were called:\n\nadd({"a":20,"b":3}) gave: 23'


def request(server: AssistantsServer, prompt: str) -> Any:
    return replace(Agent(backend(server), tools=[add])._role.request, messages=(UserMessage(content=prompt),))


# Threads of others.


async def somebody_elses(server: AssistantsServer, thread: str) -> tuple[str, str]:
    """A run that somebody else begins on a thread: its path and its id."""
    assistant = (await ask(server, "POST", "/assistants", model="m"))["id"]
    said = [{"role": "user", "content": "Hold on."}]
    run = await ask(server, "POST", f"/threads/{thread}/runs", assistant_id=assistant, additional_messages=said)
    return f"/threads/{thread}/runs/{run['id']}", run["id"]


def holding(release: anyio.Event) -> Any:
    """Somebody else's turn takes until `release`; ours is told what was said before."""

    def script(body: dict[str, Any]) -> Any:
        words = said(body)
        if words[-1] == "Hold on.":
            return Reply(message="Held on.", delay_until=release)
        return " / ".join(words)

    return script


@pytest.mark.parametrize("policy", ["wait", "cancel", "raise"])
async def test_a_given_thread_on_which_somebody_elses_run_goes_on(policy: Any) -> None:
    """We wait for its end, or cancel it, or say who is busy, as the policy says."""
    release = anyio.Event()
    async with AssistantsServer(holding(release)) as server:
        thread = (await ask(server, "POST", "/threads"))["id"]
        path, id = await somebody_elses(server, thread)
        agent = Agent(backend(server, thread=thread, on_active_run=policy))
        if policy == "raise":
            with pytest.raises(SessionBusy, match=f"{thread}.*{id}"):
                await agent.run("Mine.")
            assert statuses(server) == ["queued"]
            return
        done: list[str] = []

        async def mine() -> None:
            done.append((await agent.run("Mine.")).output)

        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(mine)
                if policy == "wait":
                    await until(lambda: [(r.method, r.path) for r in server.requests].count(("GET", path)) > 2)
                    assert done == []
                    release.set()
        assert done == ["Hold on. / Held on. / Mine." if policy == "wait" else "Hold on. / Mine."]
        assert statuses(server) == ["completed" if policy == "wait" else "cancelled", "completed"]


@pytest.mark.parametrize("policy", ["wait", "cancel", "raise"])
async def test_our_own_thread_on_which_somebody_elses_run_goes_on(policy: Any) -> None:
    """There is nothing to wait for: what they say is none of our conversation, which gets a new thread."""
    async with AssistantsServer(holding(anyio.Event())) as server:
        agent = Agent(backend(server, on_active_run=policy))
        result = await agent.run("One.")
        await somebody_elses(server, thread_of(result.messages[-1]))
        with anyio.fail_after(5):
            if policy == "raise":
                with pytest.raises(SessionBusy, match="active run"):
                    await agent.run("Two.", history=result.messages)
                assert len(server.threads) == 1
                return
            assert (await agent.run("Two.", history=result.messages)).output == "One. / One. / Two."
        theirs = "cancelled" if policy == "cancel" else "queued"
        assert statuses(server) == ["completed", theirs, "completed"]
        assert len(server.threads) == 2


async def test_what_somebody_else_said_on_a_given_thread_is_read() -> None:
    """With `thread=`, the thread is the truth, and agents take turns on it."""
    async with AssistantsServer(lambda body: " / ".join(said(body))) as server:
        thread = (await ask(server, "POST", "/threads"))["id"]
        first = await Agent(backend(server, thread=thread)).run("One.")
        await Agent(backend(server, thread=thread)).run("Two.")
        third = await Agent(backend(server, thread=thread)).run("Three.", history=first.messages)
        assert third.output.startswith("One. / One. / Two. / One. / One. / Two. / Three.")
        assert texts(server, thread)[-2] == ("user", "Three.")
        assert len(server.threads) == 1


async def test_a_run_that_waits_on_a_given_thread_is_taken_up() -> None:
    """Its process is gone, and with it the history: the thread is enough. The tools are found by their names."""
    async with AssistantsServer([[call("add", a=2, b=3), call("unknown")], "Five."]) as server:
        thread = (await ask(server, "POST", "/threads"))["id"]
        await backend(server, thread=thread).generate(request(server, "The sum?"))
        assert active(server) == ["requires_action"]
        result = await Agent(backend(server, thread=thread), tools=[add]).run(None)
        assert result.output == "Five."
        assert statuses(server) == ["completed"]
        assert [(m.content[:12], m.is_error) for m in result.messages if isinstance(m, ToolResult)] == [
            ("5", False),
            ("There is no ", True),
        ]
        assert result.usage.total_tokens == runs(server)[0]["usage"]["total_tokens"]


async def test_a_run_that_still_thinks_on_a_given_thread_is_listened_to() -> None:
    """Whoever has begun it."""
    release = anyio.Event()
    async with AssistantsServer(holding(release)) as server:
        thread = (await ask(server, "POST", "/threads"))["id"]
        await somebody_elses(server, thread)
        release.set()
        result = await Agent(backend(server, thread=thread)).run(None)
    assert result.output == "Held on."


# What is deleted.


async def test_forgetting_a_conversation_deletes_its_threads() -> None:
    """All that it was on, and no other; a second time does no harm."""
    async with AssistantsServer(counting) as server:
        model = backend(server)
        agent = Agent(model)
        one = await agent.run("One.")
        left = await agent.run("Left.", history=one.messages)
        other = await agent.run("Other.")
        forked = await agent.run("Right.", history=[*one.messages, *left.messages[2:], *one.messages])
        await model.forget(forked.messages)
        assert [thread["id"] for thread in server.threads] == [thread_of(other.messages[-1])]
        await model.forget(forked.messages)
        result = await agent.run("Again.", history=left.messages)
        assert result.output == "5: Again."


@pytest.mark.parametrize("given", [True, False])
async def test_a_thread_of_somebody_else_is_never_deleted(given: bool) -> None:
    """Whether or not the backend that forgets has been given it: agentkit has not made it."""
    async with AssistantsServer(counting) as server:
        thread = (await ask(server, "POST", "/threads"))["id"]
        model = backend(server, thread=thread)
        result = await Agent(model).run("One.")
        await (model if given else backend(server)).forget(result.messages)
        assert [thread["id"] for thread in server.threads] == [thread]


async def test_only_our_own_assistants_are_deleted() -> None:
    """And it is said how many they were; afterwards they are made anew."""
    async with AssistantsServer(counting) as server:
        theirs = [(await ask(server, "POST", "/assistants", model="m", name="agentkit"))["id"] for _ in range(3)]
        model = backend(server)
        for instructions in ("Be brief.", "Be kind."):
            await Agent(model, instructions=instructions).run("Hi")
        assert await model.delete_assistants() == 2
        assert [assistant["id"] for assistant in server.assistants] == theirs
        await Agent(model, instructions="Be brief.").run("Hi")
        assert len(server.assistants) == 4


# The assistant.


async def test_an_assistant_is_found_again() -> None:
    """By the next process, and behind a page of others."""
    async with AssistantsServer(counting) as server:
        await Agent(backend(server), instructions="Be brief.", tools=[add]).run("Hi")
        for _ in range(101):
            await ask(server, "POST", "/assistants", model="m")
        await Agent(another_process(server), instructions="Be brief.", tools=[add]).run("Hi")
        assert len(server.assistants) == 102
        first, second = runs(server)
        assert first["assistant_id"] == second["assistant_id"]
        assert sent(server, "POST", "/assistants/" + first["assistant_id"]) == []


async def test_a_hundred_starts_at_once_make_one_assistant() -> None:
    """Each with a backend of its own, as where agents are made per request."""
    async with AssistantsServer(counting) as server:
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(Agent(backend(server), instructions="Be brief.").run, "Hi")
        assert len(server.assistants) == 1
        assert len(sent(server, "GET", "/assistants")) == 1
        assert statuses(server) == ["completed"] * 100


@pytest.mark.parametrize(
    "other",
    [
        {"instructions": "Be kind."},
        {"tools": [add]},
        {"output": int},
        {"settings": ModelSettings(temperature=0.5)},
        {"settings": ModelSettings(top_p=0.5)},
        {"settings": ModelSettings(reasoning_effort="low")},
    ],
)
async def test_another_content_is_another_assistant(other: dict[str, Any]) -> None:
    """Two versions of a program side by side do not overwrite each other's."""
    async with AssistantsServer(lambda body: "7") as server:
        for agent in ({"instructions": "Be brief."}, other, {"instructions": "Be brief."}):
            await Agent(backend(server), **agent).run("Hi")
        one, two, three = [run["assistant_id"] for run in runs(server)]
        assert one == three != two
        assert len(server.assistants) == 2


@pytest.mark.parametrize(
    "settings", [ModelSettings(max_tokens=300), ModelSettings(tool_choice="none"), ModelSettings(extra={"top_p": 0.5})]
)
async def test_what_a_run_can_say_is_no_other_assistant(settings: ModelSettings) -> None:
    """Limits and choices that change from run to run are the run's."""
    async with AssistantsServer(counting) as server:
        await Agent(backend(server), tools=[add]).run("Hi")
        await Agent(backend(server), tools=[add], settings=settings).run("Hi")
        assert len(server.assistants) == 1


@pytest.mark.parametrize(
    "edit",
    [
        {"instructions": "Be rude."},
        {"tools": []},
        {"tools": [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]},
        {"model": "cheap"},
        {"temperature": 2.0},
        {"response_format": "auto"},
        {"name": "Bob", "instructions": None},
    ],
)
async def test_an_assistant_that_somebody_has_edited_is_restored(edit: dict[str, Any]) -> None:
    """The program says what it is; the next process sees to it, and nothing else of it is changed."""
    async with AssistantsServer(lambda body: "7") as server:
        agent = {"instructions": "Be brief.", "tools": [add], "output": int}
        agent["settings"] = ModelSettings(temperature=0.5)
        await Agent(backend(server), **agent).run("Hi")
        [before] = server.assistants
        await ask(server, "POST", f"/assistants/{before['id']}", **edit, description="Edited in the dashboard.")
        await Agent(another_process(server), **agent).run("Hi")
        [after] = server.assistants
        assert after == {**before, "description": "Edited in the dashboard."}
        assert runs(server)[1]["instructions"] == "Be brief."


async def test_a_given_assistant_is_used_as_it_is() -> None:
    """Never changed, never deleted; the agent's instructions are added to its own, for this run."""
    async with AssistantsServer(counting) as server:
        function = {"name": "add", "parameters": {"type": "object", "properties": {}}}
        body = {"model": "theirs", "instructions": "Be theirs.", "tools": [{"type": "function", "function": function}]}
        given = await ask(server, "POST", "/assistants", **body)
        model = AssistantsBackend(base_url=server.base_url, api_key=KEY, assistant=given["id"])
        result = await Agent(model, instructions="Be mine.", tools=[add]).run("The sum?", history=())
        assert next(m.content for m in result.messages if isinstance(m, ToolResult)) == "23"
        await model.delete_assistants()
        assert server.assistants == [given]
        assert runs(server)[0]["instructions"] == "Be theirs.\nBe mine."
        assert runs(server)[0]["model"] == "theirs"
        assert [r.method for r in server.requests if r.path.startswith("/assistants/")] == []


@pytest.mark.parametrize("waiting", [False, True])
async def test_an_assistant_that_was_deleted_meanwhile_is_made_anew(waiting: bool) -> None:
    """Somebody has tidied up: the process that knew it goes on all the same."""

    def script(body: dict[str, Any]) -> Any:
        return [call("tidy")] if said(body)[-1] == "Tidy up." else summing(body)

    async with AssistantsServer(script) as server:

        @tool
        async def tidy() -> str:
            """Delete all assistants from elsewhere."""
            for assistant in server.assistants:
                await ask(server, "DELETE", f"/assistants/{assistant['id']}")
            return "tidy"

        agent = Agent(backend(server), tools=[tidy])
        first = await agent.run("Hi")
        if waiting:
            second = await agent.run("Tidy up.", history=first.messages)
            assert second.output == "It is tidy."
        else:
            await ask(server, "DELETE", f"/assistants/{server.assistants[0]['id']}")
            second = first
        third = await agent.run("And?", history=second.messages)
        assert third.output == "That is all."
        assert len(server.assistants) == 1
        assert len(server.threads) == 1
        assert texts(server, server.threads[0]["id"]).count(("user", "And?")) == 1


@pytest.mark.parametrize("policy", ["wait", "cancel"])
async def test_an_assistant_may_be_deleted_while_the_given_thread_is_busy(policy: Any) -> None:
    """It is made anew while somebody else's run is in the way, and is the one that answers when the way is free."""
    release = anyio.Event()
    async with AssistantsServer(holding(release)) as server:
        thread = (await ask(server, "POST", "/threads"))["id"]
        agent = Agent(backend(server, thread=thread, on_active_run=policy))
        await agent.run("Hi")
        await ask(server, "DELETE", f"/assistants/{server.assistants[0]['id']}")
        path, _ = await somebody_elses(server, thread)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(agent.run, "And?")
                if policy == "wait":
                    await until(lambda: ("GET", path) in [(r.method, r.path) for r in server.requests])
                    release.set()
        theirs, ours = server.assistants
        assert [run["assistant_id"] for run in runs(server)][1:] == [theirs["id"], ours["id"]]
        assert texts(server, thread).count(("user", "And?")) == 1


async def test_a_hundred_runs_may_find_their_assistant_deleted_at_once() -> None:
    """It is made anew for all of them, once, whoever is told first."""
    async with AssistantsServer(counting) as server:
        agent = Agent(backend(server))
        await agent.run("Hi")
        await ask(server, "DELETE", f"/assistants/{server.assistants[0]['id']}")
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(agent.run, "And?")
        assert len(server.assistants) == 1
        assert len(sent(server, "GET", "/assistants")) == 2
        assert statuses(server) == ["completed"] * 101


async def test_only_the_assistant_that_is_gone_is_looked_for_again() -> None:
    """What else was found on the server is still believed."""
    async with AssistantsServer(counting) as server:
        brief, kind = (Agent(backend(server), instructions=words) for words in ("Be brief.", "Be kind."))
        await brief.run("Hi")
        await kind.run("Hi")
        await ask(server, "DELETE", f"/assistants/{server.assistants[0]['id']}")
        await brief.run("Hi")
        looked = len(sent(server, "GET", "/assistants"))
        await kind.run("Hi")
        assert len(sent(server, "GET", "/assistants")) == looked == 3


async def test_a_run_that_was_begun_and_is_gone_is_not_begun_again() -> None:
    """What has answered was the assistant that was meant, so there is none to be made anew."""

    def on_request(request: AssistantsRequest) -> Fault | None:
        if request.method == "POST" and request.path.endswith("/runs"):
            return Fault("cut", events=2)
        return Fault("status_before", status=404) if "/runs/" in request.path else None

    async with AssistantsServer(["Once."], on_request=on_request) as server:
        with pytest.raises(RequestRejected, match="404"):
            await Agent(backend(server)).run("Hi")
        assert len(sent(server, "POST", "/runs")) == 1


# What the wire has no room for.


def many(count: int) -> list[Any]:
    made = []
    for n in range(count):

        def f() -> None:
            """Do nothing."""

        f.__name__ = f"f{n}"
        made.append(tool(f))
    return made


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tools": many(129)}, "129 tools; an assistant takes 128"),
        ({"instructions": "x" * 256_001}, "256001 characters; an assistant takes 256000"),
        ({"settings": ModelSettings(stop=("x",))}, r"ModelSettings\(stop=...\).*leave it out"),
        ({"settings": ModelSettings(seed=7)}, r"ModelSettings\(seed=...\).*leave it out"),
        ({"settings": ModelSettings(seed=0)}, r"ModelSettings\(seed=...\).*leave it out"),
    ],
)
@pytest.mark.parametrize("assistant", [None, "asst_given"])
async def test_what_the_wire_does_not_take_is_refused_at_home(
    given: dict[str, Any], words: str, assistant: str | None
) -> None:
    """Before anything is sent, and with what to do."""
    async with AssistantsServer(counting) as server:
        with pytest.raises(ConfigError, match=words):
            await Agent(backend(server, assistant=assistant), **given).run("Hi")
        assert server.requests == []


async def test_as_much_as_the_wire_takes_is_sent() -> None:
    """A strict server takes it."""
    async with AssistantsServer(counting) as server:
        metadata = {f"{n:064}": "x" * 512 for n in range(14)}
        agent = Agent(backend(server, metadata=metadata), tools=many(128), instructions="x" * 256_000)
        assert (await agent.run("Hi")).output == "1: Hi"
        assert metadata.items() <= server.threads[0]["metadata"].items()
        assert metadata.items() <= runs(server)[0]["metadata"].items()


@pytest.mark.parametrize("metadata", [{str(n): "" for n in range(15)}, {"k" * 65: ""}, {"k": "v" * 513}])
def test_metadata_that_does_not_fit_is_refused(metadata: dict[str, str]) -> None:
    """When the backend is made."""
    with pytest.raises(ConfigError, match="metadata"):
        AssistantsBackend("m", metadata=metadata)


@pytest.mark.parametrize("given", [{"model": ""}, {"model": "m", "on_active_run": "hope"}])
def test_a_backend_that_says_nothing_is_refused(given: dict[str, Any]) -> None:
    """When it is made."""
    with pytest.raises(ConfigError):
        AssistantsBackend(**given)


# Pictures and files.


async def test_pictures_and_files_arrive() -> None:
    """One that stands in the prompt is uploaded, an address and a file of the server go as they are."""
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    async with AssistantsServer(lambda body: "Nice.") as server:
        model = backend(server)
        notes = await model.files.upload(b"Two and two are five.", name="notes.txt", purpose="assistants")
        await Agent(model).run(
            [
                TextPart(text="Look:"),
                ImagePart(url=f"data:image/png;base64,{b64encode(picture).decode()}"),
                ImagePart(url="https://example.com/cat.png"),
                FilePart(id=notes, use="file_search"),
            ]
        )
        [asked, _] = server.messages(server.threads[0]["id"])
        kinds = [part["type"] for part in asked["content"]]
        assert kinds == ["text", "image_file", "image_url"]
        assert asked["content"][2]["image_url"]["url"] == "https://example.com/cat.png"
        assert asked["attachments"] == [{"file_id": notes, "tools": [{"type": "file_search"}]}]
        uploaded = asked["content"][1]["image_file"]["file_id"]
        form = next(r.raw for r in server.requests if r.method == "POST" and r.path == "/files" and picture in r.raw)
        assert b'"purpose"\r\n\r\nvision' in form
        assert uploaded != notes


@pytest.mark.parametrize("url", ["data:image/png;base64,", "data:image/png;base64,?!", "data:image/png,abc", "data:"])
async def test_a_picture_that_is_none_is_refused(url: str) -> None:
    """With what it has to look like."""
    async with AssistantsServer(["x"]) as server:
        with pytest.raises(ConfigError, match="is not data:image/"):
            await Agent(backend(server)).run([ImagePart(url=url)])
        assert sent(server, "POST", "/runs") == []
