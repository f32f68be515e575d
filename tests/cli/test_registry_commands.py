"""`agentkit tools export`, `lint`, `lock` and `diff`; and agent files wherever tools are named."""

import json
from pathlib import Path

import pytest
from cli_outcome import Cli, Outcome

AGENT = 'model = "chat:m"\ntools = ["./shop.py", "calc"]\n'
POOR = '''
from agentkit import tool


@tool(effects="destructive", strict=False)
def run(data) -> str:
    """Run."""
    return ""


@tool(effects="read")
def greet(name: str) -> str:
    """Say hello to somebody.

    Args:
        name: Whom to greet.
    """
    return f"Hello, {name}!"
'''


@pytest.fixture
def agent(tmp_path: Path, shop: str) -> str:
    """An agent file with tools of a module and of a file."""
    (tmp_path / "agent.toml").write_text(AGENT, encoding="utf-8")
    return "agent.toml"


@pytest.fixture
def poor(tmp_path: Path) -> str:
    """A file with a tool that is badly made, and one that is not."""
    (tmp_path / "poor.py").write_text(POOR, encoding="utf-8")
    return "./poor.py"


def said(done: Outcome) -> list[str]:
    return done.stdout.splitlines()


def test_an_agent_file_stands_for_its_tools(cli: Cli, agent: str) -> None:
    """Wherever a module may be named: the agent's tools by the names that its model knows."""
    lines = said(cli("tools", "list", agent))
    assert lines[0] == "agent.toml:units_left: Count the units of a product in stock."
    assert any(line.startswith("agent.toml:calculate: ") for line in lines)
    assert json.loads(cli("tools", "show", f"{agent}:colour").stdout)["name"] == "colour"
    assert cli("tools", "call", f"{agent}:calculate", "expression=6 * 7").stdout == "42\n"
    missing = cli("tools", "show", f"{agent}:color")
    assert missing.code == 2
    assert "the agent of 'agent.toml' has no tool 'color'; it has: units_left, " in missing.stderr


def test_what_is_declared_is_shown(cli: Cli, tmp_path: Path) -> None:
    """And only that; functions by their names."""
    code = "from agentkit import tool\n@tool(timeout=5, enabled=lambda ctx: True)\ndef greet() -> str:\n    'Greet.'\n"
    (tmp_path / "kind.py").write_text(code, encoding="utf-8")
    assert said(cli("tools", "list", "./kind.py")) == ["./kind.py:greet: Greet. [timeout=5, enabled=<lambda>()]"]
    assert json.loads(cli("tools", "show", "./kind.py").stdout)["policy"] == {"timeout": 5, "enabled": "<lambda>()"}


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        ("./shop.py:echo", "yes"),
        ("./anything.py:take", "no, because what: its keys are not known beforehand; name its keys in a model"),
        ("./anything.py:plain", "no, because it is declared so"),
    ],
)
def test_strictness_is_shown_with_its_reason(cli: Cli, shop: str, tmp_path: Path, tool: str, told: str) -> None:
    """Whether OpenAI's strict mode holds a model to the schema."""
    code = "from agentkit import tool\n@tool\ndef take(what: dict[str, int]) -> str: ...\n"
    code += "@tool(strict=False)\ndef plain(what: str) -> str: ...\n"
    (tmp_path / "anything.py").write_text(code, encoding="utf-8")
    assert json.loads(cli("tools", "show", tool).stdout)["strict"].startswith(told)


@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        ("chat", ("function", "name")),
        ("responses", ("name",)),
        ("assistants", ("function", "name")),
        ("anthropic", ("name",)),
        ("mcp", ("name",)),
        ("gemini", ("name",)),
    ],
)
def test_export_prints_what_a_provider_takes(cli: Cli, agent: str, dialect: str, path: tuple[str, ...]) -> None:
    """All tools of an agent in one list."""
    done = cli("tools", "export", "--dialect", dialect, agent)
    tools = json.loads(done.stdout)
    for key in path:
        tools = [tool[key] for tool in tools]
    assert tools == ["units_left", "echo", "colour", "broken", "leave", "calculate"]
    assert done.code == 0


def test_export_knows_which_dialects_there_are(cli: Cli) -> None:
    """Another is a mistake in the command."""
    done = cli("tools", "export", "--dialect", "chatty", "clock")
    assert (done.code, done.stdout) == (2, "")
    assert "there is no dialect 'chatty'; there are chat, responses, " in done.stderr


def test_lint_groups_what_it_finds_by_tool(cli: Cli, poor: str) -> None:
    """The worst first, each with a way out, and at the end how much there is."""
    done = cli("tools", "lint", poor)
    head, *lines, total = said(done)
    assert head == "run (./poor.py:run)"
    assert lines[0] == (
        "  error destructive-without-approval: nobody is asked before it destroys; "
        "say approval=True, or a function that tells which calls need it"
    )
    assert "  warning untyped-parameter: data: it takes any JSON; annotate it with the types that it takes" in lines
    assert total == "1 error, 4 warnings, 1 hint in 2 tools"
    assert (done.code, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 1),
        (["--ignore", "destructive-without-approval"], 0),
        (["--ignore", "destructive-without-approval", "--strict"], 1),
        (["--strict", "--ignore", "destructive-without-approval,untyped-parameter", "--ignore", "vague-name",
          "--ignore", "short-description, undescribed-parameter"], 0),
    ],
)  # fmt: skip
def test_lint_fails_on_errors(cli: Cli, poor: str, options: list[str], code: int) -> None:
    """With --strict on warnings too; what is ignored is not there."""
    assert cli("tools", "lint", poor, *options).code == code


def test_lint_as_json(cli: Cli, poor: str) -> None:
    """For programs: a list, of which each has a code that stays the same."""
    first = json.loads(cli("tools", "lint", poor, "--json").stdout)[0]
    assert (first["code"], first["severity"], first["tool"]) == ("destructive-without-approval", "error", "run")
    assert first.keys() == {"code", "severity", "tool", "parameter", "problem", "remedy"}


def test_lint_looks_at_what_can_be_loaded(cli: Cli, poor: str, tmp_path: Path) -> None:
    """A broken file is named, two tools of one name are found, and the exit code says which is worse."""
    (tmp_path / "bad.py").write_text("1 / 0", "utf-8")
    (tmp_path / "twin.py").write_text(POOR, "utf-8")
    done = cli("tools", "lint", "./bad.py", poor, "./twin.py")
    assert done.code == 2
    assert "bad.py' fails on import: ZeroDivisionError" in done.stderr
    assert "same-name: 2 tools are called 'greet'" in done.stdout


def test_lint_knows_its_codes(cli: Cli) -> None:
    """A typing mistake ignores nothing."""
    done = cli("tools", "lint", "clock", "--ignore", "vague-names")
    assert (done.code, done.stdout) == (2, "")
    assert "there is no code 'vague-names' to ignore; did you mean 'vague-name'?" in done.stderr


def test_lock_and_check(cli: Cli, agent: str, tmp_path: Path) -> None:
    """Written, up to date, and after a change not any more: for a build that shall fail then."""
    assert said(cli("tools", "lock", agent)) == ["tools.lock.json: 6 tools"]
    checked = cli("tools", "lock", agent, "--check")
    assert (checked.code, said(checked)) == (0, ["tools.lock.json is up to date: 6 tools"])
    (tmp_path / agent).write_text(AGENT.replace(', "calc"', ', "clock:now"'), encoding="utf-8")
    changed = cli("tools", "lock", agent, "--check")
    assert changed.code == 1
    assert said(changed) == [
        "breaking    'calculate': was removed: calls of it are refused now",
        "compatible  'now': was added",
        "1 breaking, 0 prompt-only, 1 compatible",
        "tools.lock.json is not up to date; review the changes and run `agentkit tools lock`",
    ]
    assert "calculate" in (tmp_path / "tools.lock.json").read_text("utf-8")


def test_a_lock_file_has_a_name_that_diff_knows(cli: Cli) -> None:
    """Otherwise it would be taken for tools."""
    done = cli("tools", "lock", "clock", "-o", "tools.lock")
    assert done.code == 2
    assert "must end in .json" in done.stderr


@pytest.mark.parametrize(
    ("kinds", "fail_on", "code"),
    [
        ("compatible", "breaking", 0),
        ("compatible", "prompt-only", 0),
        ("compatible", "compatible", 1),
        ("prompt-only", "breaking", 0),
        ("prompt-only", "prompt-only", 1),
        ("breaking", "breaking", 1),
        ("breaking", "prompt-only", 1),
        ("", "compatible", 0),
    ],
)
def test_diff_fails_on_what_is_asked(cli: Cli, tmp_path: Path, kinds: str, fail_on: str, code: int) -> None:
    """Breaking changes unless something else is said; a change of words is worse than one that takes more."""
    code_of = {
        "": "def f(a: int) -> int:\n    'Do it.'\n",
        "breaking": "def f(a: str) -> int:\n    'Do it.'\n",
        "compatible": "def f(a: float) -> int:\n    'Do it.'\n",
        "prompt-only": "def f(a: int) -> int:\n    'Do it now.'\n",
    }
    for name, text in (("old", code_of[""]), ("new", code_of[kinds])):
        (tmp_path / f"{name}.py").write_text(f"from agentkit import tool\n@tool\n{text}", encoding="utf-8")
    assert cli("tools", "lock", "./old.py", "-o", "old.json").code == 0
    done = cli("tools", "diff", "old.json", "./new.py", "--fail-on", fail_on, "--json")
    assert done.code == code
    assert {each["kind"] for each in json.loads(done.stdout)} == ({kinds} if kinds else set())


def test_diff_compares_with_the_lock_file_by_itself(cli: Cli, agent: str) -> None:
    """One side alone is what is; what was is in tools.lock.json. Both sides may be files, or tools."""
    missing = cli("tools", "diff", agent)
    assert missing.code == 2
    assert "the lock file 'tools.lock.json' is not there; write it anew with `agentkit tools lock`" in missing.stderr
    cli("tools", "lock", agent)
    assert said(cli("tools", "diff", agent)) == ["no changes"]
    assert said(cli("tools", "diff", "tools.lock.json", "tools.lock.json")) == ["no changes"]
    assert said(cli("tools", "diff", "./shop.py,calc", agent)) == ["no changes"]
    assert said(cli("tools", "diff", "./shop.py", agent))[0] == "compatible  'calculate': was added"


def test_two_tools_of_one_name_cannot_be_locked(cli: Cli, shop: str, agent: str) -> None:
    """Nor exported: an agent could not have them either."""
    (Path("twin.py")).write_text(Path("shop.py").read_text("utf-8"), encoding="utf-8")
    for command in (["lock"], ["export"], ["diff", "--fail-on", "breaking"]):
        sources = "./shop.py,./twin.py" if command[0] == "diff" else "./twin.py"
        done = cli("tools", *command, *([sources, sources] if command[0] == "diff" else [shop, sources]))
        assert done.code == 2
        assert "two tools are called 'units_left'" in done.stderr


def test_help_is_there_at_once_for_each_command(cli: Cli) -> None:
    """And says what the command is for."""
    for command in ("list", "show", "call", "export", "lint", "lock", "diff"):
        assert f"Usage: agentkit tools {command}" in cli("tools", command, "--help").stdout.replace("root", "agentkit")
