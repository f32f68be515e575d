"""What a tool returned -> the text that the model reads."""

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import json
import pathlib
import threading
import uuid
from typing import Any

import pydantic
import pytest

from agentkit import (
    Agent,
    AssistantMessage,
    ImagePart,
    Limits,
    TextPart,
    ToolCall,
    ToolFailed,
    ToolResult,
    UserMessage,
    tool,
)
from agentkit.messages import FilePart, dump_messages, load_messages
from agentkit.models.assistants import AssistantsBackend
from agentkit.models.chat import ChatBackend
from agentkit.models.local.encode import encode_turn, last_turn
from agentkit.results import to_content
from agentkit.testing import AssistantsServer, ChatServer, ScriptedModel, call


class Model(pydantic.BaseModel):
    at: dt.datetime
    tags: set[str]


@dataclasses.dataclass
class Data:
    n: int


class Colour(enum.Enum):
    RED = "red"


class Speaks:
    def __str__(self) -> str:
        return "about 3"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (None, "null"),
        (True, "true"),
        ({"a": [1, 2.5]}, '{"a":[1,2.5]}'),
        (Model(at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC), tags={"x"}), '{"at":"2026-01-02T00:00:00Z","tags":["x"]}'),
        ([Data(n=1)], '[{"n":1}]'),
        (decimal.Decimal("1.10"), '"1.10"'),
        (float("nan"), "null"),
        ((1, {2}), "[1,[2]]"),
        (b"\x00\xff", '"AP8="'),
        (Colour.RED, '"red"'),
        (pathlib.PurePosixPath("/a"), '"/a"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ({"e": ValueError("bad")}, '{"e":"ValueError: bad"}'),
        ([Speaks()], '["about 3"]'),
        ("a\x00b\ud800", "a\u2400b\ufffd"),
    ],
)
def test_values_become_text_a_model_can_read(value: Any, text: str) -> None:
    """Text as it is, data as JSON, what has words of its own by them."""
    assert to_content(value, limit=1000).text == text


def deep(n: int) -> Any:
    value: Any = []
    for _ in range(n):
        value = [value]
    return value


def cycle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [object(), [lambda: 1], {"x": threading.Lock()}, cycle(), deep(100_000), ["\ud800"]])
def test_what_has_no_json_form_is_an_error_that_names_it(value: Any) -> None:
    """Told to the model as a failed call; never `<object at 0x...>`, never the end of the run."""
    with pytest.raises(ToolFailed, match=r"the result") as caught:
        to_content(value, limit=1000)
    assert " at 0x" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_long_text_keeps_head_and_tail() -> None:
    """The cut says how much is gone."""
    cut = to_content("abcdefghij", limit=4).text
    assert cut == "ab\n… 6 characters omitted …\nij"
    assert json.loads(to_content(["x"], limit=5).text) == ["x"]


PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
PICTURE = ImagePart.of(PNG)
FILE = FilePart(id="file-1")


@pytest.mark.parametrize(
    ("value", "text", "parts"),
    [
        (PICTURE, "", (PICTURE,)),
        (FILE, "", (FILE,)),
        (TextPart(text="hello"), "hello", ()),
        (["A plot:", PICTURE, {"n": 1}, FILE, TextPart(text="end")], 'A plot:\n{"n":1}\nend', (PICTURE, FILE)),
        ((PICTURE, PICTURE), "", (PICTURE, PICTURE)),
        ([Data(n=1), PICTURE, None], '{"n":1}\nnull', (PICTURE,)),
        ([["nested", PICTURE]], '[["nested",{"url":' + json.dumps(PICTURE.url) + ',"type":"image"}]]', ()),
    ],
)
def test_pictures_and_files_are_parts_beside_the_text(value: Any, text: str, parts: Any) -> None:
    """One by itself or in a list with text and data; deeper inside, they are data."""
    content = to_content(value, limit=1000)
    assert (content.text, content.parts, content.full) == (text, parts, None)


def test_what_is_cut_is_kept_whole_beside() -> None:
    """For whoever looks at the run, and for what is found in it later; pictures are not cut."""
    content = to_content(["x" * 3000, PICTURE], limit=100)
    assert len(content.text) < 150
    assert content.full == "x" * 3000
    assert content.parts == (PICTURE,)
    assert to_content("x" * 100, limit=100).full is None


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "png"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"GIF89a", "gif"),
        (b"GIF87a", "gif"),
        (b"RIFF\n\x00\x00\x01WEBPVP8 ", "webp"),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(data: bytes, kind: str) -> None:
    """Whatever its file is called; the bytes arrive as they were."""
    start, encoded = ImagePart.of(data).url.split(",")
    assert start == f"data:image/{kind};base64"
    assert base64.b64decode(encoded) == data


@pytest.mark.parametrize(
    "data", [b"", b"<svg/>", b"%PDF-1.7", b" \x89PNG\r\n", b"GIF88a", b"RIFF....WAVE", b"\xff\xd8"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    """Before a provider does."""
    with pytest.raises(ValueError, match="no picture"):
        ImagePart.of(data)


def test_a_result_comes_back_from_json_as_it_was() -> None:
    """Parts, whole text, secrecy and all: a session keeps it so."""
    results = [
        ToolResult(call_id="c", name="f", content="cut", full="not cut", parts=(PICTURE, FILE), secret=True),
        ToolResult(call_id="d", name="f", content="", is_error=True),
    ]
    assert load_messages(dump_messages(results)) == results


def test_a_result_of_before_can_still_be_read() -> None:
    """Sessions that were stored without parts are as good as ever."""
    old = b'[{"call_id":"c","name":"f","content":"3","is_error":false,"role":"tool"}]'
    assert load_messages(old) == [ToolResult(call_id="c", name="f", content="3")]


def test_for_a_model_that_reads_text_only_each_part_is_named() -> None:
    """It knows that there is something it cannot see."""
    assert ToolResult(call_id="c", name="f", content="A plot:", parts=(PICTURE, FILE)).as_text == (
        "A plot:\n[a picture, which cannot be shown here]\n[the file file-1, which cannot be read here]"
    )
    assert ToolResult(call_id="c", name="f", content="", parts=(PICTURE,)).as_text.startswith("[a picture")
    assert ToolResult(call_id="c", name="f", content="3").as_text == "3"


@tool
def plot(n: int) -> list[str | ImagePart]:
    """Draw a plot."""
    return [f"plot {n}", ImagePart(url=f"https://example.org/{n}.png")]


@tool
def photo() -> ImagePart:
    """Take a photo."""
    return PICTURE


@tool
def count() -> int:
    """Count."""
    return 3


CALLS = [call("plot", n=1), call("count"), call("photo"), call("plot", n=2)]


@pytest.mark.anyio
@pytest.mark.parametrize("streamed", [False, True])
async def test_pictures_reach_a_chat_model_after_all_results_of_an_answer(streamed: bool) -> None:
    """A tool's message may hold text only, and nothing may stand between them: the strict server takes it. The next
    turn sends the same bytes again.
    """
    async with ChatServer([CALLS, "seen", "again"]) as server:
        agent = Agent(ChatBackend("m", base_url=server.base_url, api_key="k"), tools=[plot, photo, count])
        if streamed:
            async with agent.stream("Draw!") as run:
                result = await run.finish()
        else:
            result = await agent.run("Draw!")
        await agent.run("And now?", history=result.messages)
    messages = server.requests[1]["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "tool", "tool", "tool", "tool", "user"]
    assert [m["content"] for m in messages[2:6]] == ["plot 1", "3", "(see below)", "plot 2"]
    shown = messages[6]["content"]
    assert [part["image_url"]["url"] for part in shown if part["type"] == "image_url"] == [
        "https://example.org/1.png",
        PICTURE.url,
        "https://example.org/2.png",
    ]
    assert [part["text"] for part in shown if part["type"] == "text"] == [
        f"From the result of {name} ({id}):"
        for name, id in zip(["plot", "photo", "plot"], [messages[n]["tool_call_id"] for n in (2, 4, 5)], strict=True)
    ]
    assert server.requests[2]["messages"][:7] == messages
    assert result.output == "seen"


@pytest.mark.anyio
async def test_an_assistant_is_told_in_words_of_what_it_cannot_see() -> None:
    """Its tool outputs are texts; the strict server takes them."""
    async with AssistantsServer([CALLS, "seen"]) as server:
        agent = Agent(AssistantsBackend("m", base_url=server.base_url, api_key="k"), tools=[plot, photo, count])
        result = await agent.run("Draw!")
        [outputs] = [r.body["tool_outputs"] for r in server.requests if "tool_outputs" in (r.body or ())]
    assert result.output == "seen"
    note = "[a picture, which cannot be shown here]"
    assert [each["output"] for each in outputs] == [f"plot 1\n{note}", "3", note, f"plot 2\n{note}"]


@pytest.mark.anyio
async def test_a_result_that_is_cut_is_whole_in_the_run() -> None:
    """The model pays for what it reads; the program has all of it."""

    @tool
    def novel() -> str:
        return "word " * 1000

    model = ScriptedModel([[call("novel")], "ok"])
    result = await Agent(model, tools=[novel], limits=Limits(result_chars=50)).run("?")
    told = result.messages[2]
    assert isinstance(told, ToolResult)
    assert "characters omitted" in told.content
    assert told.full == "word " * 1000
    assert model.requests[1].messages[2] == told


def test_the_local_model_is_told_in_words_of_what_it_cannot_see() -> None:
    """Its results are objects of text."""
    asked = AssistantMessage(tool_calls=(ToolCall(id="c", name="plot", arguments="{}"),))
    drawn = ToolResult(call_id="c", name="plot", content="plot 1", parts=(PICTURE,))
    fed = encode_turn(last_turn([UserMessage(content="Draw!"), asked, drawn]))
    assert json.loads(fed[1]) == [{"result": "plot 1\n[a picture, which cannot be shown here]"}]
