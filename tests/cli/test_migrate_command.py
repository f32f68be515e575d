"""`agentkit migrate`: what it finds in files, what it says of them, and the assistant as an agent file."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_outcome import Cli

from agentkit import Tool
from agentkit.agent_file import load_agent
from agentkit.loader import load_tools

pytest.importorskip("fastapi", reason="the server's packages: pip install '.[server]'")

HELLO = {"id": "msg_1", "object": "thread.message", "role": "user", "created_at": 1, "content": "Hello."}
ANSWER = {"id": "msg_2", "object": "thread.message", "role": "assistant", "created_at": 1, "content": "Hello!"}
ASSISTANT: dict[str, Any] = {
    "id": "asst_1",
    "object": "assistant",
    "created_at": 1_716_000_000,
    "name": 'The "clerk"',
    "description": None,
    "model": "gpt-4o",
    "instructions": 'Say "yes".\nWrite \\n for a line\'s end.\r\n"""',
    "tools": [],
    "tool_resources": {},
    "metadata": {},
    "top_p": 1.0,
    "temperature": 0.2,
    "response_format": "auto",
}


@pytest.mark.parametrize(
    "document",
    [
        {"thread": {"id": "thread_1", "object": "thread"}, "messages": [HELLO, ANSWER]},
        {"thread_id": "thread_1", "messages": {"object": "list", "data": [HELLO, ANSWER]}},
        {"id": "thread_1", "messages": [HELLO, ANSWER]},
        {"exported": "2026-08-01", "threads": {"thread_1": [HELLO, ANSWER]}},
        [{"thread_id": "thread_1", **HELLO}, json.dumps({"thread_id": "thread_1", **ANSWER})],
        {"object": "list", "data": [{"thread_id": "thread_1", **ANSWER}, {"thread_id": "thread_1", **HELLO}]},
        {
            "thread_id": "thread_1",
            "messages": [{"role": "user", "content": "Hello."}, {"role": "assistant", "text": "!"}],
        },
    ],
    ids=["beside", "envelope", "inside", "by id", "one by one", "newest first", "no ids"],
)
def test_a_thread_is_found_however_it_was_saved(cli: Cli, document: Any) -> None:
    """There was no common format, so all that people are known to have written is read."""
    Path("t.json").write_text(json.dumps(document), encoding="utf-8")
    first, again = cli("migrate", "t.json"), cli("migrate", "t.json")
    assert (first.code, first.stdout) == (0, "taken: 1 thread, 2 messages\n")
    assert again.stdout == "there already: 1 thread, 2 messages\nnothing has changed\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lines_are_read_in_the_encodings_that_shells_write(cli: Cli, encoding: str) -> None:
    """A folder of JSON lines, each a message and no more than that."""
    line = {"thread_id": "thread_1", "assistant_id": "asst_1", "role": "user", "text": "Grüße", "created_at": 1}
    lines = [json.dumps(line | {"message_id": f"msg_{n}"}, ensure_ascii=False) for n in range(3)]
    Path("saved/deep").mkdir(parents=True)
    Path("saved/deep/t.jsonl").write_text("\n".join([*lines, ""]), encoding=encoding)
    assert cli("migrate", "saved").stdout == "taken: 1 thread, 3 messages\n"


def test_what_cannot_be_taken_is_told_with_its_place(cli: Cli) -> None:
    """The rest is taken, and the exit code says that something is missing."""
    documents = [
        {**ASSISTANT, "temperature": 7},
        {**HELLO, "role": "tool", "thread_id": "thread_1"},
        HELLO,
        {"id": "file-1", "object": "file"},
        {**ANSWER, "thread_id": "thread_1"},
        {"id": "step_1", "object": "thread.run.step"},
    ]
    Path("t.jsonl").write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    Path("other.json").write_text('{"tokens": 7}', encoding="utf-8")
    outcome = cli("migrate", "t.jsonl", "other.json")
    assert outcome.code == 1
    assert outcome.stdout.splitlines() == [
        "taken: 1 thread, 1 message",
        "left out:",
        "  t.jsonl, line 3: message msg_1: nothing says of which thread it is",
        "  t.jsonl, line 4: file-1: files are not imported; upload them again",
        "  t.jsonl, line 6: step step_1: nothing says of which thread it is",
        "  other.json: it holds no assistant, thread, message, run or step",
        "  t.jsonl, line 1: assistant asst_1: 'temperature' should be less than or equal to 2",
        "  t.jsonl, line 2: message msg_1: 'role' should be 'user' or 'assistant'",
    ]
    told = json.loads(cli("migrate", "t.jsonl", "--json").stdout)
    assert told["there"] == {"thread": 1, "message": 1}
    assert len(told["left"]) == 5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing.json"], "'nothing.json' cannot be read: No such file or directory"),
        (["printed.txt"], "printed.txt is no JSON (expected value at line 1 column 2); what `print` shows"),
        (["empty"], "the folder 'empty' has no files that end in .json, .jsonl, .ndjson"),
        (["a.json", "--replace", "vs_1"], "--replace 'vs_1': write OLD=NEW"),
        (["a.json", "--to", "agent.toml"], "choose with --assistant ID: asst_1, asst_2"),
        (["a.json", "--to", "agent.toml", "--assistant", "Bo"], "there are: asst_1, asst_2"),
        (["a.json", "--to", "there.toml", "--assistant", "asst_2"], "'there.toml' is there already; --overwrite"),
        (["a.json", "--to", "no/agent.toml", "--assistant", "asst_2"], "cannot be written"),
    ],
)
def test_a_mistake_is_told_in_words(cli: Cli, words: list[str], told: str) -> None:
    """With the exit code for a mistake of the user's, and nothing is written."""
    Path("printed.txt").write_text("[Assistant(id='asst_1')]", encoding="utf-8")
    Path("a.json").write_text(json.dumps([ASSISTANT, {**ASSISTANT, "id": "asst_2"}]), encoding="utf-8")
    Path("there.toml").write_text("", encoding="utf-8")
    Path("empty").mkdir()
    outcome = cli("migrate", *words)
    assert outcome.code == 2
    assert told in outcome.stderr


FUNCTION: dict[str, Any] = {
    "name": "book-table",
    "description": 'Book a table.\nSay """please"""',
    "parameters": {
        "type": "object",
        "properties": {
            "guests": {"type": "integer", "minimum": 1, "maximum": 12, "description": "How many: \\ 1 to 12"},
            "when": {
                "type": "object",
                "properties": {"day": {"type": "string"}, "hours": {"type": "array", "items": {"type": "integer"}}},
                "required": ["day", "hours"],
                "additionalProperties": False,
            },
            "room": {"type": "string", "enum": ["bar", "garden"]},
            "note": {"type": ["string", "null"], "description": "What else\nthere is."},
        },
        "required": ["guests", "when", "room", "note"],
        "additionalProperties": False,
    },
    "strict": True,
}


def test_an_assistant_becomes_an_agent_file(cli: Cli) -> None:
    """Its words are the same to the letter, and the model is told the same of its functions."""
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True}}
    tools = [{"type": "function", "function": FUNCTION}, {"type": "file_search"}]
    saved = {**ASSISTANT, "tools": tools, "response_format": form, "reasoning_effort": "low"}
    Path("a.json").write_text(json.dumps(saved), encoding="utf-8")
    outcome = cli("migrate", "a.json", "--to", "agent.toml")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.startswith("written: agent.toml\nwritten: agent_tools.py\n")
    assert "The assistant searched files" in outcome.stdout
    agent = load_agent("agent.toml")
    assert agent.model == "chat:gpt-4o"
    assert (agent.name, agent.instructions) == (saved["name"], saved["instructions"])
    assert (agent.settings.temperature, agent.settings.top_p, agent.settings.reasoning_effort) == (0.2, None, "low")
    assert agent.settings.extra == {"response_format": form}
    [booked] = agent.registry
    assert (booked.name, booked.description) == ("book-table", 'Book a table. Say """please"""')
    assert unfolded(booked) == {
        "guests": {"type": "integer", "minimum": 1, "maximum": 12, "description": "How many: \\ 1 to 12"},
        "when": {k: v for k, v in FUNCTION["parameters"]["properties"]["when"].items() if k != "additionalProperties"},
        "room": {"type": "string", "enum": ["bar", "garden"]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "What else there is."},
    }
    assert booked.parameters["required"] == FUNCTION["parameters"]["required"]


def unfolded(made: Tool) -> dict[str, Any]:
    """The properties of a tool's schema, with its definitions where they are used."""

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            named = value.get("$ref")
            return (
                whole(made.parameters["$defs"][named.rpartition("/")[2]])
                if named
                else {k: whole(v) for k, v in value.items()}
            )
        return value

    properties: dict[str, Any] = whole(made.parameters["properties"])
    return properties


def test_a_stub_says_that_it_is_not_written_yet(cli: Cli) -> None:
    """The model is told, and the run goes on."""
    saved = {**ASSISTANT, "tools": [{"type": "function", "function": FUNCTION}]}
    Path("a.json").write_text(json.dumps(saved), encoding="utf-8")
    cli("migrate", "a.json", "--to", "agent.toml")
    called = cli("tools", "call", "./agent_tools.py:book_table", json.dumps(GIVEN))
    assert "book_table is not written yet" in called.stderr + called.stdout


GIVEN = {"guests": 2, "when": {"day": "Monday", "hours": [20]}, "room": "bar", "note": None}


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        {},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"from": {"type": "string"}, "from_": {"type": "integer"}, "1st": {}}},
        {"type": "object", "properties": {"a": {"type": "array"}, "b": {"type": "object"}, "c": {"enum": [1.5]}}},
        {"type": "object", "properties": {"a": {"type": "object", "properties": {"x-y": {"type": "null"}, "b": True}}}},
        {"type": "object", "properties": {"a": {"type": "string", "default": "x\"'\n"}, "b": {"$ref": "#/$defs/B"}}},
        {
            "type": "object",
            "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "b": {"const": 1}},
        },
        {
            "type": "object",
            "properties": {"a": {"type": "object", "properties": {"a": {"type": "string"}}}},
        },
        {"type": "object", "properties": {"Field": {"type": "integer", "minimum": 1}, "tool": {}, "Any": {}}},
        {"type": "object", "properties": {"ctx": {"type": "string"}, "self": {"type": "string"}, "_x": {}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["f", "class", "9-lives", "tool", "Field"])
def test_any_function_becomes_a_stub_that_loads(cli: Cli, parameters: Any, name: str) -> None:
    """Whatever its schema: what Python has no word for takes anything."""
    wicked = '"""\n\nimport os\nArgs:\n    x: \\" \\'
    functions = [
        {"name": name, "description": wicked, "parameters": parameters},
        {"name": f"{name}_a", "parameters": parameters},
    ]
    saved = {**ASSISTANT, "name": wicked, "tools": [{"type": "function", "function": each} for each in functions]}
    Path("a.json").write_text(json.dumps(saved), encoding="utf-8")
    outcome = cli("migrate", "a.json", "--to", "agent.toml")
    assert outcome.code == 0, outcome.stderr
    assert [Tool.of(each).name for each in load_tools("./agent_tools.py")] == [name, f"{name}_a"]
    assert load_agent("agent.toml").name == wicked


def test_an_agent_file_needs_no_server(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    """`--to` works without the packages that the server is built on."""
    for module in ("fastapi", "sqlalchemy", "uvicorn", "agentkit.server.store", "agentkit.server.importing.writing"):
        monkeypatch.setitem(sys.modules, module, None)
    Path("a.json").write_text(json.dumps(ASSISTANT), encoding="utf-8")
    assert cli("migrate", "a.json", "--to", "agent.toml").stdout == "written: agent.toml\n"
