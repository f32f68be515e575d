"""`tools.lock.json`, what has become of tools since it was written, and which waiting calls no longer fit."""

import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from marks import unmarked

from agentkit import ConfigError, Context, Tool, ToolCall, ToolRegistry, tool
from agentkit.context import Secret
from agentkit.review import Change, diff, dump_lock, load_lock, lock, save_lock, unfit_calls


def made(function: Callable[..., Any], **options: Any) -> Tool:
    return Tool.of(tool(**options)(unmarked(function)))


def units_left(sku: str, warehouse: str | None = None) -> int:
    """Count the units of a product.

    Args:
        sku: The product's number.
        warehouse: Where; everywhere if omitted.
    """
    return 3


def units_left_there(sku: str, warehouse: str) -> int:
    """Count the units of a product."""
    return 3


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = """\
{
  "version": 1,
  "tools": {
    "add": {
      "hash": "HASH",
      "description": "Add two numbers.",
      "parameters": {
        "additionalProperties": false,
        "properties": {
          "a": {
            "type": "integer"
          },
          "b": {
            "type": "integer"
          }
        },
        "required": [
          "a",
          "b"
        ],
        "type": "object"
      },
      "policy": {
        "approval": {
          "function": "needs_approval"
        },
        "effects": "write",
        "timeout": 5
      }
    }
  }
}
"""


def needs_approval(context: Context[Any], arguments: Mapping[str, Any]) -> bool:
    return True


def test_the_file_says_what_a_review_needs() -> None:
    """A line for each thing, sorted by tool and keyword, parameters in the order that a model sees."""
    now = lock([made(add, timeout=5, effects="write", approval=needs_approval)])
    assert dump_lock(now) == ADD.replace("HASH", now["tools"]["add"]["hash"])


def test_it_is_the_same_for_the_same_tools(tmp_path: Path) -> None:
    """In whatever order they are, now and when it is read again."""
    one, other = made(add), made(units_left, effects="read")
    assert dump_lock(lock(ToolRegistry([one, other]))) == dump_lock(lock([other, one]))
    save_lock(lock([one, other]), tmp_path / "tools.lock.json")
    assert load_lock(tmp_path / "tools.lock.json") == lock([one, other])
    assert diff(load_lock(tmp_path / "tools.lock.json"), ToolRegistry([one, other])) == []


def test_what_nobody_sees_is_spelt_out(tmp_path: Path) -> None:
    """A description that hides something is seen in a review; other letters stay as they are."""
    now = lock([made(add, description="Größe 価格 \u202e\u200b\U000e0041\ufeff\xad")])
    text = dump_lock(now)
    assert "Größe 価格 \\u202e\\u200b\\udb40\\udc41\\ufeff\\u00ad" in text
    save_lock(now, tmp_path / "x.json")
    assert load_lock(tmp_path / "x.json") == now


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    """Another file's rights and place are kept, and nothing is left beside it, also where it cannot be written."""
    file, link = tmp_path / "x.json", tmp_path / "link.json"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    save_lock(lock([made(add)]), link)
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert load_lock(file) == lock([made(add)])
    with pytest.raises(ValueError):
        save_lock({"version": float("nan")}, file)
    assert load_lock(file) == lock([made(add)])
    assert sorted(os.listdir(tmp_path)) == ["link.json", "x.json"]
    (tmp_path / "folder.json").mkdir()
    for place in ("missing/x.json", "folder.json"):
        with pytest.raises(ConfigError, match="cannot be written: "):
            save_lock(lock([made(add)]), tmp_path / place)
    assert sorted(os.listdir(tmp_path)) == ["folder.json", "link.json", "x.json"]


GOOD = dump_lock(lock([made(add)]))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "is not there; write it anew with `agentkit tools lock`"),
        ("", "is damaged: it is no JSON (line 1: Expecting value); write it anew"),
        (GOOD[:-20], "is damaged: it is no JSON (line "),
        ("[]", "is damaged: it is no lock file"),
        ('{"version": true, "tools": {}}', "is damaged: it is no lock file"),
        ('{"version": 1, "tools": []}', "is damaged: it is no lock file"),
        ('{"version": 1, "tools": {"add": {}}}', "is damaged: something of 'add' is missing"),
        (
            GOOD.replace("Add two", "Subtract two"),
            "is damaged: 'add' does not fit its hash, so somebody has changed it",
        ),
        (GOOD.replace('"integer"', '"number"'), "is damaged: 'add' does not fit its hash"),
        (GOOD.replace('"a": {', '"b": {'), "is damaged: 'b' is there twice"),
        (GOOD.replace("1,", "NaN,"), "is damaged: NaN is no number"),
        (f"<<<<<<< HEAD\n{GOOD}=======\n>>>>>>> x\n", "is damaged: it has marks of a merge; write it anew"),
        ("[" * 100_000, "is damaged: it is nested too deeply"),
        ('{"version": 2, "new": 1}', "is of format 2, and this agentkit knows formats up to 1; update agentkit"),
        ("\ud800", "cannot be read: it is not UTF-8"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    """With its name, what is wrong with it, and what to do."""
    file = tmp_path / "x.json"
    if text is not None:
        file.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(ConfigError) as refused:
        load_lock(file)
    assert str(refused.value).startswith(f"the lock file {str(file)!r} {told}")


def test_a_change_is_told_in_words() -> None:
    """The tool, the parameter, what has become of it, and what that means."""
    changes = diff([made(units_left)], [made(units_left_there, name="units_left")])
    assert [f"{each.kind} {each}" for each in changes] == [
        "prompt-only 'units_left': parameter 'sku' has no description now",
        "breaking 'units_left': parameter 'warehouse' became required: calls that left it out are refused now",
        "prompt-only 'units_left': parameter 'warehouse' has no description now",
        "prompt-only 'units_left': parameter 'warehouse' has the shown default no more, which was null",
        "breaking 'units_left': parameter 'warehouse' takes null no longer",
    ]


def test_tools_come_and_go() -> None:
    """One that is gone is breaking, one that is new is compatible, and one of another name is both."""
    changes = diff([made(add), made(units_left)], [made(add, name="plus"), made(units_left)])
    assert changes == [
        Change(
            kind="breaking",
            tool="add",
            part="tool",
            path="",
            words="was removed, perhaps to be called 'plus': calls of it are refused now",
        ),
        Change(kind="compatible", tool="plus", part="tool", path="", words="was added"),
    ]


def secretive(pin: Annotated[str, Secret]) -> Annotated[str, Secret]:
    """Open the safe."""
    return pin


def open_one(pin: str) -> str:
    """Open the safe."""
    return pin


def always(context: Context[Any]) -> bool:
    return True


def seldom(context: Context[Any]) -> bool:
    return False


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ({}, {"effects": "destructive"}, "compatible"),
        ({"effects": "destructive"}, {"effects": "read"}, "compatible"),
        ({"effects": "read"}, {"effects": "write"}, "breaking"),
        ({"effects": "write"}, {"effects": "external"}, "breaking"),
        ({"effects": "read"}, {}, "breaking"),
        ({}, {"approval": True}, "breaking"),
        ({"approval": True}, {}, "breaking"),
        ({"approval": True}, {"approval": needs_approval}, "breaking"),
        ({"approval": needs_approval}, {"approval": True}, "breaking"),
        ({}, {"enabled": always}, "breaking"),
        ({"enabled": always}, {"enabled": seldom}, "breaking"),
        ({"enabled": always}, {}, "compatible"),
        ({}, {"idempotent": True}, "compatible"),
        ({"idempotent": True}, {}, "breaking"),
        ({}, {"repair": True}, "compatible"),
        ({"repair": True}, {}, "breaking"),
        ({}, {"strict": False}, "prompt-only"),
        ({"timeout": 9}, {"timeout": 1}, "compatible"),
        ({"rate": "1/second"}, {"rate": "1/hour"}, "compatible"),
        ({"concurrency": 9}, {"concurrency": 1}, "compatible"),
        ({}, {"breaker": 3}, "compatible"),
        ({}, {"sequential": True}, "compatible"),
        ({}, {"isolation": "process"}, "compatible"),
    ],
)
def test_a_policy_is_a_promise(before: dict[str, Any], after: dict[str, Any], kind: str) -> None:
    """Taking one back is breaking, and says why; how fast and how often calls run is none."""
    [change] = diff([made(add, **before)], [made(add, **after)])
    assert (change.kind, change.part) == (kind, "policy")
    [option] = {**before, **after}
    assert str(change).startswith(f"'add': {option} was ")


def test_a_secret_is_a_promise() -> None:
    """What was secret and is not any more may be logged."""
    given = diff([made(open_one, name="x")], [made(secretive, name="x")])
    assert {each.kind for each in given} == {"compatible"}
    taken = diff([made(secretive, name="x")], [made(open_one, name="x")])
    assert [str(each) for each in taken] == [
        "'x': parameter 'pin' is not secret any more: its value may be shown and logged",
        "'x': secret_result was on, is off: its results may be shown and logged now",
    ]


def test_what_a_later_agentkit_has_declared_is_breaking() -> None:
    """A policy that is not known may mean anything."""
    old = lock([made(add)])
    old["tools"]["add"] = {**old["tools"]["add"], "hash": "", "policy": {"undo": "other_tool"}}
    [change] = diff(old, [made(add)])
    assert (change.kind, change.path) == ("breaking", "undo")


def test_a_change_of_form_alone_is_told() -> None:
    """Whatever `lock --check` finds, `diff` names."""
    old = lock([made(add)])
    entry = json.loads(json.dumps(old["tools"]["add"]))
    entry["parameters"]["$defs"] = {"Unused": {"type": "string"}}
    old["tools"]["add"] = {**entry, "hash": ""}
    [change] = diff(old, [made(add)])
    assert (change.kind, str(change)) == ("prompt-only", "'add': is written otherwise, and takes the same")


def test_waiting_calls_that_no_longer_fit_are_named() -> None:
    """A paused run whose tools have changed learns which of its calls not to make, and why."""
    agreed = lock([made(units_left, effects="read"), made(add), made(open_one)])
    now = ToolRegistry([made(units_left_there, name="units_left", effects="read"), made(open_one, effects="write")])
    calls = [
        ToolCall(id="1", name="units_left", arguments='{"sku": "A-1"}'),
        ToolCall(id="2", name="units_left", arguments='{"sku": "A-1", "warehouse": "north"}'),
        ToolCall(id="3", name="add", arguments='{"a": 1, "b": 2}'),
        ToolCall(id="4", name="open_one", arguments='{"pin": "1"}'),
    ]
    assert [(each.call.id, each.why.splitlines()[-1]) for each in unfit_calls(calls, now.by_name)] == [
        ("1", '- warehouse: is missing; expected: {"type": "string"}'),
        ("3", "there is no tool 'add' any more"),
    ]
    raised = ToolRegistry([made(units_left, effects="write"), made(add), made(open_one)])
    [unfit] = unfit_calls(calls[1:], raised.by_name, agreed)
    assert unfit.call.id == "2"
    assert unfit.why == "'units_left': effects was 'read', is 'write': a call does more than was agreed"


def test_a_thousand_tools_are_locked_and_compared() -> None:
    """Each tool is looked at once; this test is not among the slow ones."""
    tools = [made(add, name=f"add_{n}") for n in range(1_000)]
    old = lock(tools)
    assert len(dump_lock(old).splitlines()) > 20_000
    [change] = diff(old, [*tools[1:], made(add, name="add_0", description="Sum")])
    assert str(change) == "'add_0': has another description, \"Sum\""
