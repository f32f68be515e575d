"""How agentkit is built: who may import whom, and how large a room may be.

The plan comes first, then the rules, each with the smallest tree that breaks it. `house.py` does the reading.
If a rule is wrong, change it here, in the open; do not raise a number quietly.
"""

from dataclasses import replace
from pathlib import Path

import house
import pytest
from house import House, Place, Rule

LAYERS: dict[str, list[Place]] = {
    "words": ["messages", "errors", "limits", "budget"],
    "tools": [
        "context",
        "signature",
        "strict_json",
        "secrecy",
        "validator",
        "mend",
        "arguments",
        "schema",
        "elsewhere",
        "results",
        "policy",
        "guard",
        "telemetry.propagation",
        "isolation",
        "loop_watch",
        "invoke",
        "dialects.*",
        "tool",
        "hosted",
        "tool_search",
        "registry",
        "loader",
        "review.*",
    ],
    "models": [
        "turns",
        "models.base",
        "models.retry",
        "models.sse",
        "models.secrets",
        "models.reading",
        "models.http_errors",
        "models.http",
        "models.lenient",
        "models.functions",
        frozenset(
            {"models.chat.*", "models.responses.*", "models.assistants.*", "models.anthropic.*", "models.local.*"}
        ),
        "models",
        frozenset({"models.fallback", "models.router", "models.cache", "models.ratelimit", "models.batch"}),
    ],
    "runs": [
        "cancellation",
        "prices",
        "paused",
        "events",
        "telemetry.semconv",
        "traces.*",
        "telemetry.*",
        "output",
        "window",
        "guardrails",
        "sessions.*",
        "steps",
        "journal",
        "wording",
        "approval",
        "resuming",
        "caller",
        "executor",
        "history",
        "role",
        "asker",
        "loop",
        "stream",
        "sse",
        "prompt",
        "given",
        "delegation",
        "agent",
        "agent_file",
        "recording.*",
    ],
    "the door": ["agentkit"],
    "ready-made tools": ["tools.*"],
    "edges": ["testing.*", "mcp.*", "durable.*", "server.*", "cli.*", "__main__"],
}

DOORS: dict[str, list[str]] = {
    "asyncio": ["agentkit/cancellation.py"],
    "anyio": ["agentkit/", "tools/"],
    "typing_extensions": ["agentkit/"],
    "pydantic": ["agentkit/"],
    "pydantic_core": ["agentkit/"],
    "docstring_parser": ["agentkit/schema.py"],
    "annotationlib": ["agentkit/signature.py"],  # of the standard library, since Python 3.14
    "openai": ["agentkit/models/"],
    "httpx2": ["agentkit/models/"],
    "needle": ["agentkit/models/local/"],
    "opentelemetry": ["agentkit/telemetry/"],
    "typer": ["agentkit/cli/"],
    "rich": ["agentkit/cli/"],
    "h11": ["agentkit/testing/"],
    "pickle": ["agentkit/isolation.py"],  # between a process and its own child, which runs the caller's own code
    "marshal": ["agentkit/registry.py"],  # copies what this process has made itself; nothing is stored
    "pydantic_monty": ["tools/_monty.py", "agentkit/server/files/"],
    "psycopg": ["tools/_sql_postgres.py", "agentkit/durable/"],
    "sqlalchemy": ["agentkit/sessions/sql.py", "agentkit/server/store/", "agentkit/server/refusing.py"],
    "fastapi": ["agentkit/server/"],
    "starlette": ["agentkit/server/"],
    "uvicorn": ["agentkit/server/"],
    "dbos": ["agentkit/durable/"],
    "pypdf": ["agentkit/server/files/"],
    "docx": ["agentkit/server/files/"],
    "redis": ["agentkit/sessions/redis.py"],
    "genai_prices": ["agentkit/prices.py"],
}

BANNED = {
    **dict.fromkeys(["pickle", "marshal", "shelve", "dill", "cloudpickle"], "store JSON"),
    **dict.fromkeys(["eval()", "exec()", "builtins.eval()", "builtins.exec()"], "parse it: json, or ast.literal_eval"),
    **dict.fromkeys(["yaml.load()", "yaml.unsafe_load()", "yaml.full_load()"], "use yaml.safe_load"),
}

HOUSE = House(
    root=Path(__file__).parents[1],
    layers=LAYERS,
    doors=DOORS,
    shelf=["tool", "Context", "ToolError", "ToolFailed"],
    banned=BANNED,
    heavy=["openai", "httpx2", "pydantic", "docstring_parser", "opentelemetry", "typer", "rich", "needle", "asyncio"],
    module_lines=400,
    function_lines=50,
    loop_lines=40,
    parameters=6,
    public_names=40,
)

A_TREE_WITHOUT_FAULTS = {
    "agentkit/__init__.py": '"""Door."""\n\nfrom .tool import tool\n\n__all__ = ["tool"]\n',
    "agentkit/messages.py": "class Message:\n    _kept = 1\n",
    "agentkit/tool.py": "def tool(): ...\n",
    "agentkit/models/base.py": "from ..messages import Message\n",
    "agentkit/models/http.py": "import openai\n\nfrom .base import Message\n",
    "agentkit/models/chat/__init__.py": "from .backend import Chat\n",
    "agentkit/models/chat/backend.py": "from ..http import Message as Chat\n",
    "agentkit/loop.py": "import anyio\n\nfrom .messages import Message\n\ndef drive():\n    while True: ...\n",
    "agentkit/cli/__init__.py": "import typer\n\nfrom agentkit.loop import drive\n",
    "tools/clock.py": "import time\n\nfrom agentkit import tool\n",
    "tests/test_clock.py": 'def test_the_clock():\n    """It ticks."""\n    anyio.sleep(0)\n',
}

RULES: dict[Rule, list[tuple[str, str, str]]] = {
    # each rule, and files that break it: the file's name, its text, and what the rule says about it
    house.every_module_has_a_place: [
        ("agentkit/attic.py", "", "1: 'agentkit.attic' is not on the plan"),
        ("agentkit/models/attic.py", "", "1: 'agentkit.models.attic' is not on the plan"),
    ],
    house.imports_point_down_and_left: [
        ("agentkit/errors.py", "from .limits import Limits", "1: 'agentkit.errors' (words) imports 'agentkit.limits'"),
        ("agentkit/limits.py", "def f():\n    from .agent import A", "2: 'agentkit.limits' (words) imports"),
        ("agentkit/limits.py", "if TYPE_CHECKING:\n    import agentkit.agent", "2: 'agentkit.limits' (words) imports"),
        ("agentkit/limits.py", "x = ['.loop']\nimport_module(x[0], __package__)", "1: 'agentkit.limits' (words)"),
        ("agentkit/loop.py", "from . import Agent", "1: 'agentkit.loop' (runs) imports 'agentkit' (the door)"),
        ("agentkit/loop.py", "from .testing import x", "1: 'agentkit.loop' (runs) imports 'agentkit.testing' (edges)"),
        ("agentkit/models/local/a.py", "from ..chat import b", "1: 'agentkit.models.local.a' (models) imports"),
    ],
    house.no_import_cycles: [
        ("agentkit/messages.py", "def f():\n    from .models.base import M", "2: import cycle: 'agentkit.messages'"),
        ("agentkit/models/http.py", "from .http import post", "1: import cycle: 'agentkit.models.http' imports"),
    ],
    house.libraries_have_one_door: [
        ("agentkit/loop.py", "import opentelemetry.trace", "1: 'opentelemetry' is imported in agentkit/telemetry/"),
        (
            "agentkit/loop.py",
            "def f():\n    import asyncio.queues",
            "2: 'asyncio' is imported in agentkit/cancellation.py",
        ),
        ("agentkit/models.py", "import openai", "1: 'openai' is imported in agentkit/models/ only"),
        ("agentkit/loop.py", "importlib.import_module('openai')", "1: 'openai' is imported in agentkit/models/ only"),
        ("agentkit/loop.py", "import numpy", "1: 'numpy' is a new library"),
    ],
    house.ready_made_tools_stand_alone: [
        ("tools/web.py", "def f():\n    import httpx2", "2: a ready-made tool imports 'httpx2'"),
        ("tools/web.py", "from agentkit import Agent", "1: a ready-made tool imports 'Agent from agentkit'"),
        ("tools/web.py", "from .clock import now", "1: a ready-made tool imports 'now from agentkit.tools.clock'"),
    ],
    house.modules_use_public_names: [
        ("agentkit/cli/__init__.py", "from ..loop import _drive", "1: '_drive' is private to 'agentkit.loop'"),
        ("agentkit/cli/__init__.py", "from .. import loop\nloop._drive()", "2: '_drive' is private to another module"),
        ("agentkit/cli/__init__.py", "getattr(agent, '_loop')", "1: '_loop' is private to another module"),
        ("agentkit/loop.py", "from .models._wire import x", "1: '_wire' is private to 'agentkit.models'"),
        ("agentkit/models/http.py", "import openai._models", "1: '_models' is private to 'openai'"),
    ],
    house.modules_are_small: [
        ("agentkit/errors.py", "\n" * 401, "1: 401 lines, 400 are allowed"),
    ],
    house.functions_are_short: [
        ("agentkit/errors.py", "def f():\n" + "    x\n" * 50, "1: 'f' has 51 lines, 50 are allowed"),
        ("agentkit/errors.py", "class A:\n    async def f():\n" + "        x\n" * 50, "2: 'f' has 51 lines"),
    ],
    house.functions_take_few_parameters: [
        ("agentkit/errors.py", "def f(a, /, b, c, *d, e, f, g=1): ...", "1: 'f' has 7 parameters of its own"),
        ("agentkit/errors.py", "def f(self, a, b, c, d, e, f, **g): ...", "1: 'f' has 7 parameters of its own"),
    ],
    house.the_loop_is_one_function: [
        ("agentkit/loop.py", "def f():\n    while x:\n" + "        x\n" * 39, "1: the loop has 41 lines"),
        ("agentkit/loop.py", "def f():\n    for x in y: ...", "1: one function holds the `while`"),
        ("agentkit/loop.py", "def f():\n    while x: ...\n" * 2, "1: one function holds the `while`"),
    ],
    house.the_door_is_what_we_meant: [
        ("agentkit/__init__.py", "b = a = 1\n__all__ = ['b', 'a']", "1: `__all__` is not sorted, 'a' comes too late"),
        ("agentkit/__init__.py", "__all__ = ['a']", "1: 'a' is promised in `__all__` but is not there"),
        ("agentkit/__init__.py", "a = 1\n__all__ = []", "1: 'a' is there but not in `__all__`"),
        ("agentkit/__init__.py", "import json\n__all__ = []", "1: 'json' is there but not in `__all__`"),
        (
            "agentkit/__init__.py",
            "__all__ = list(map(chr, range(70, 111)))\nglobals().update(dict.fromkeys(__all__))",
            "1: 41 public names",
        ),
    ],
    house.the_door_opens_quickly: [
        ("agentkit/__init__.py", "import docstring_parser as _d\n__all__ = []", "1: `import agentkit` loads"),
    ],
    house.nothing_runs_what_it_reads: [
        ("agentkit/loop.py", "import pickle", "1: 'pickle' runs what it reads; store JSON"),
        ("agentkit/loop.py", "from marshal import loads", "1: 'marshal' runs what it reads; store JSON"),
        ("tools/calc.py", "def f(x):\n    return eval(x)", "2: 'eval' runs what it reads; parse it"),
        ("tools/calc.py", "exec(x)", "1: 'exec' runs what it reads; parse it"),
        ("tools/calc.py", "yaml.load(x)", "1: 'yaml.load' runs what it reads; use yaml.safe_load"),
    ],
    house.tests_say_what_they_promise: [
        ("tests/test_x.py", "class TestX:\n    async def test_x(self): ...", "2: 'test_x' has no docstring"),
    ],
    house.tests_do_not_sleep: [
        ("tests/test_x.py", "import time\ntime.sleep(0.1)", "2: 'time.sleep(0.1)' waits for a while"),
        ("tests/test_x.py", "from anyio import sleep\nsleep(1)", "2: 'sleep(1)' waits for a while"),
    ],
}


def each_rule() -> list[object]:
    return [pytest.param(rule, id=rule.__name__) for rule in RULES]


def each_example() -> list[object]:
    return [
        pytest.param(rule, *example, id=f"{rule.__name__}-{number}")
        for rule, examples in RULES.items()
        for number, example in enumerate(examples)
    ]


def build(root: Path, files: dict[str, str]) -> House:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return replace(HOUSE, root=root)


@pytest.fixture(scope="module")
def as_it_stands() -> House:
    """What it has read goes with it: a million objects, which would slow down all tests that come later."""
    return replace(HOUSE)


@pytest.mark.parametrize("rule", each_rule())
def test_the_house_keeps_its_rules(rule: Rule, as_it_stands: House) -> None:
    """Whoever reads agentkit finds it built as the plan says; a failure says where it is not, and what to do."""
    violations = list(rule(as_it_stands))
    assert not violations, "\n".join(["", *violations])


@pytest.mark.parametrize("rule", each_rule())
def test_a_tree_without_faults_passes(rule: Rule, tmp_path: Path) -> None:
    """A rule objects to what it names, and to nothing else."""
    assert not list(rule(build(tmp_path, A_TREE_WITHOUT_FAULTS)))


@pytest.mark.parametrize(("rule", "file", "text", "said"), each_example())
def test_a_broken_rule_is_reported(rule: Rule, file: str, text: str, said: str, tmp_path: Path) -> None:
    """No rule is for show: each can be broken, and then says once, and where, that it is."""
    [violation] = rule(build(tmp_path, {**A_TREE_WITHOUT_FAULTS, file: text}))
    assert violation.startswith(f"{file}:{said}")


def test_every_rule_is_enforced() -> None:
    """A rule that is written down in `house.py` is also in the list above."""
    written = {f for f in vars(house).values() if getattr(f, "__annotations__", {}).get("house") is House}
    assert written == set(RULES)
