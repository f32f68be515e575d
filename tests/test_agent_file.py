"""An agent as a file."""

from pathlib import Path

import pytest

from agentkit import Agent, ConfigError, Limits, ModelSettings
from agentkit.agent_file import load_agent
from agentkit.testing import ScriptedModel, call

STOCK = '''
from agentkit import tool


@tool
def units_left(sku: str) -> int:
    """Count the units of a product in stock."""
    return 3


@tool
def price(sku: str) -> float:
    """Tell the price of a product."""
    return 1.5
'''

WHOLE = """
model = "chat:gpt-5.5"
name = "clerk"
instructions = "Answer in one sentence."
tools = ["./tools/stock.py:units_left"]

[limits]
iterations = 6
seconds = inf
tokens = 20_000

[settings]
temperature = 0
stop = ["END"]

[settings.extra]
service_tier = "flex"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    for name in ("stock.py", "other.py"):
        (tmp_path / "tools" / name).write_text(STOCK, encoding="utf-8")
    return tmp_path


def written(folder: Path, text: str) -> Path:
    file = folder / "agent.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(folder: Path, text: str) -> str:
    file = written(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_agent(file)
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_a_file_says_what_the_constructor_says(folder: Path) -> None:
    """Whatever stands in the file is in the agent, and what does not has the constructor's defaults."""
    agent = load_agent(written(folder, WHOLE))
    assert (agent.model, agent.name, agent.instructions) == ("chat:gpt-5.5", "clerk", "Answer in one sentence.")
    assert agent.registry.names == ["units_left"]
    assert agent.limits == Limits(iterations=6, seconds=float("inf"), tokens=20_000)
    assert agent.settings == ModelSettings(temperature=0, stop=("END",), extra={"service_tier": "flex"})
    bare, plain = load_agent(written(folder, 'model = "chat:x"')), Agent("chat:x")
    assert (bare.limits, bare.settings, bare.name) == (plain.limits, plain.settings, plain.name)


def test_an_agent_from_a_file_runs(folder: Path) -> None:
    """The tools of the file are called, wherever the program was started."""
    model = ScriptedModel([[call("price", sku="A-1")], "1.50"])
    agent = load_agent(written(folder, 'tools = ["tools/stock.py"]'), default_model=model)
    assert agent.run_sync("What is A-1?").output == "1.50"
    assert model.requests[1].messages[-1].content == "1.5"  # type: ignore[union-attr]


def test_the_model_of_the_file_comes_first(folder: Path) -> None:
    """`default_model` stands in only where the file names no model."""
    assert load_agent(written(folder, 'model = "chat:a"'), default_model="chat:b").model == "chat:a"
    assert load_agent(written(folder, 'name = "n"'), default_model="chat:b").model == "chat:b"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "x"', "'model' is missing; add a line such as model = \"chat:gpt-5.5\""),
        ('model = ""', "'model' is missing"),
        ('modell = "chat:x"', "there is no key 'modell'; did you mean 'model'?"),
        (
            'output = "str"',
            "there is no key 'output'; there are: model, name, description, instructions, tools, taint, limits, "
            "settings",
        ),
        ('model = "chat:x"\n[limits]\niteration = 3', "no key 'limits.iteration'; did you mean 'iterations'?"),
        ('model = "chat:x"\n[settings]\ntemprature = 3', "no key 'settings.temprature'; did you mean 'temperature'?"),
        ("model = 3", "'model' must be text in quotes, not 3"),
        ('model = "chat:x"\ntools = "clock"', "'tools' must be a list, not 'clock'"),
        ('model = "chat:x"\ntools = ["./tools/stock.py", 3]', "'tools[1]' must be text in quotes, not 3"),
        ('model = "chat:x"\nlimits = 3', "'limits' must be a table, not 3"),
        ('model = "chat:x"\n[limits]\niterations = "3"', "'limits.iterations' must be a whole number, not '3'"),
        ('model = "chat:x"\n[limits]\niterations = true', "'limits.iterations' must be a whole number, not True"),
        ('model = "chat:x"\n[limits]\niterations = 0', "Limits(iterations=0): must be a whole number above 0"),
        ('model = "chat:x"\n[settings]\ntemperature = [1]', "'settings.temperature' must be a number, not [1]"),
        ('model = "chat:x"\n[settings]\nparallel_tool_calls = 1', "'settings.parallel_tool_calls' must be true or"),
        ('model = "chat:x"\n[settings]\ntop_p = nan', "'settings.top_p' holds a date, inf or nan"),
        ('model = "chat:x"\n[settings.extra]\nday = 2026-01-01', "'settings.extra' holds a date, inf or nan"),
        ('model = "chat:x"\ntools = ["./tools/stick.py"]', "there is no tool file"),
        ('model = "chat:x"\ntools = ["./tools/stock.py:cost"]', "has no tool 'cost'; it has: units_left, price"),
        ('model = "chat:x"\ntools = ["tools/stock.py", "tools/other.py:price"]', "two tools are called 'price'"),
        ('model = "chat:x', "it cannot be read: "),
        ("a = " + "[" * 5000, "it cannot be read: "),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(folder: Path, text: str, said: str) -> None:
    """Whoever wrote the file learns which file, which key, and what to write instead."""
    assert said in refusal(folder, text)


def test_a_file_that_is_not_there_or_not_text_is_a_config_error(folder: Path) -> None:
    """What can be wrong with a path is told like any other mistake in the set-up."""
    (folder / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for path in [folder / "none.toml", folder, folder / "binary.toml", Path("a\0b.toml")]:
        with pytest.raises(ConfigError, match=r"agent file .* it cannot be read"):
            load_agent(path)


def test_the_environment_does_not_leak_into_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is data: nothing in it is expanded or evaluated."""
    monkeypatch.setenv("SECRET", "s3cr3t")
    text = 'model = "chat:x"\ninstructions = "$SECRET ${SECRET} {SECRET} %SECRET% ~ {{ 1 + 1 }}"'
    assert load_agent(written(folder, text)).instructions == "$SECRET ${SECRET} {SECRET} %SECRET% ~ {{ 1 + 1 }}"


def test_a_file_with_a_byte_order_mark_is_read(folder: Path) -> None:
    """Windows editors put one there."""
    file = folder / "agent.toml"
    file.write_text('model = "chat:x"', encoding="utf-8-sig")
    assert load_agent(file).model == "chat:x"
