"""The whole content of model calls goes where the application wants it, and no run waits for that."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from threading import Event, current_thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from exports import on
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import INVALID_SPAN, Span

from agentkit import AssistantMessage, UserMessage
from agentkit.errors import ConfigError
from agentkit.models.base import ModelRequest, ModelResponse
from agentkit.telemetry.content import Content
from agentkit.telemetry.content_upload import BASE_PATH, Upload
from agentkit.telemetry.nothing import UPLOADS
from agentkit.telemetry.quiet import warn

WHERE = "agentkit.content.upload"
REQUEST = ModelRequest(messages=(UserMessage(content="otters"),), instructions="walrus")
ANSWER = ModelResponse(message=AssistantMessage(text="marmots"))


def begun(sampler: Sampler = ALWAYS_ON) -> Span:
    """A span."""
    return TracerProvider(sampler=sampler, shutdown_on_exit=False).get_tracer("test").start_span("chat")


def told(span: Span) -> Any:
    """Where a span says that its content is; an empty text, if it says nothing."""
    return on(span).get(WHERE, "")


class Shelf:
    """Takes documents, once it may."""

    def __init__(self) -> None:
        self.got: dict[str, Any] = {}
        self.threads: set[str] = set()
        self.open = Event()
        self.open.set()
        self.entered = Event()

    def put(self, name: str, data: bytes) -> None:
        """Keep a document."""
        self.entered.set()
        assert self.open.wait(10)
        self.threads.add(current_thread().name)
        self.got[name] = json.loads(data)


def test_the_whole_content_is_in_a_file_and_the_span_says_where(tmp_path: Path) -> None:
    """However long it is: the span itself holds what it may, or nothing but the place."""
    upload, long = Upload.folder(tmp_path / "a folder"), "otters " * 100_000
    request = ModelRequest(messages=(UserMessage(content=long),) * 3, instructions="walrus")
    for content in (Content(upload=upload), Content(upload=upload, spans=False)):
        span = begun()
        content.model_call(span, request, ANSWER)
        assert upload.flush()
        document = json.loads(Path(unquote(urlsplit(told(span)).path)).read_text("utf-8"))
        assert [message["parts"][0]["content"] for message in document["gen_ai.input.messages"]] == [long] * 3
        assert document["gen_ai.system_instructions"] == [{"type": "text", "content": "walrus"}]
        assert document["gen_ai.output.messages"][0]["parts"] == [{"type": "text", "content": "marmots"}]
        place = span.get_span_context()
        assert (document["trace_id"], document["span_id"]) == (f"{place.trace_id:032x}", f"{place.span_id:016x}")
        others = set(on(span)) - {WHERE}
        assert bool(others) == content.spans
    assert [file.suffix for file in (tmp_path / "a folder").rglob("*") if file.is_file()] == [".json", ".json"]


def test_it_is_sent_for_spans_that_are_not_sampled_and_where_there_are_none() -> None:
    """As the conventions want it: whether somebody looks at traces is another question."""
    shelf = Shelf()
    content = Content(spans=False, upload=(upload := Upload(shelf.put, base="s3://prompts/")))
    content.model_call(begun(ALWAYS_OFF), REQUEST, ANSWER)
    content.model_call(INVALID_SPAN, REQUEST)
    content.model_call(INVALID_SPAN, REQUEST)
    assert upload.flush()
    assert len(shelf.got) == 3
    assert all(document["gen_ai.input.messages"] for document in shelf.got.values())


def test_what_is_secret_is_not_sent() -> None:
    """The same is struck out as on spans."""
    shelf = Shelf()
    upload = Upload(shelf.put)
    content = Content(spans=False, redact=lambda text: text.replace("otters", "[animals]"), upload=upload)
    key = "AKIAIOSFODNN7EXAMPLE"
    content.model_call(begun(), ModelRequest(messages=(UserMessage(content=f"otters {key}"),)))
    assert upload.flush()
    [document] = shelf.got.values()
    assert document["gen_ai.input.messages"][0]["parts"][0]["content"] == "[animals] ***"


def test_runs_go_on_while_a_document_is_being_sent() -> None:
    """In threads, of which there are few, and none when there is nothing to send."""
    shelf = Shelf()
    shelf.open.clear()
    upload = Upload(shelf.put, base="s3://prompts/", threads=2, waiting=1000)
    spans = [begun() for _ in range(1000)]
    for span in spans:
        Content(spans=False, upload=upload).model_call(span, REQUEST)
    assert not upload.flush(0)
    shelf.open.set()
    assert upload.flush()
    assert len(shelf.got) == 1000
    assert {f"s3://prompts/{name}" for name in shelf.got} == {told(span) for span in spans}
    assert shelf.threads == {"agentkit-upload"}


def test_what_is_too_much_is_lost_and_that_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Memory is not filled up; a span whose content is lost names no place."""
    shelf = Shelf()
    shelf.open.clear()
    upload = Upload(shelf.put, threads=1, waiting=2)
    content = Content(spans=False, upload=upload)
    first = begun()
    content.model_call(first, REQUEST)
    assert shelf.entered.wait(10)
    spans = [begun() for _ in range(5)]
    with caplog.at_level(logging.WARNING):
        for span in spans:
            content.model_call(span, REQUEST)
    shelf.open.set()
    assert upload.flush()
    assert [told(span) != "" for span in (first, *spans)] == [True, True, True, False, False, False]
    assert (len(shelf.got), upload.lost) == (3, 3)
    assert len(caplog.messages) == 1


def test_a_place_that_refuses_documents_stops_no_run(caplog: pytest.LogCaptureFixture) -> None:
    """That is logged once, without its words: they may hold an address with a key."""
    got: list[str] = []

    def put(name: str, data: bytes) -> None:
        got.append(name)
        if len(got) < 3:
            raise OSError("https://shelf.test/?sig=hunter2 says no")

    upload = Upload(put)
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            Content(spans=False, upload=upload).model_call(begun(), REQUEST)
            assert upload.flush()
    assert (len(got), upload.lost) == (4, 2)
    [said] = caplog.messages
    assert "OSError" in said
    assert "hunter2" not in caplog.text


def test_if_redact_fails_nothing_is_sent() -> None:
    """Whether it fails where the run is, or in the thread."""
    shelf = Shelf()
    upload = Upload(shelf.put)
    for spans in (True, False):
        Content(spans=spans, redact=lambda text: str(1 / 0), upload=upload).model_call(begun(), REQUEST)
    assert upload.flush()
    assert shelf.got == {}


def test_sending_a_document_makes_no_spans() -> None:
    """An HTTP client that is instrumented would trace each upload."""
    seen: list[bool] = []
    upload = Upload(lambda name, data: seen.append(is_instrumentation_enabled()))
    Content(spans=False, upload=upload).model_call(begun(), REQUEST)
    assert upload.flush()
    assert seen == [False]


def test_what_it_cannot_be_made_of_is_refused() -> None:
    """With what it can."""

    async def put(name: str, data: bytes) -> None: ...

    with pytest.raises(ConfigError, match="plain function"):
        Upload(put)
    with pytest.raises(ConfigError, match="threads"):
        Upload(print, threads=0)
    assert repr(Upload(print, base="s3://x/")) == "Upload(base='s3://x/')"


PROGRAM = """
import os, sys
from opentelemetry.trace import INVALID_SPAN
from agentkit import UserMessage
from agentkit.models.base import ModelRequest
from agentkit.telemetry.content import Content
from agentkit.telemetry.content_upload import Upload

content = Content(spans=False, upload=Upload.folder(sys.argv[1]))
request = ModelRequest(messages=(UserMessage(content="otters " * 100_000),))
for _ in range(20):
    content.model_call(INVALID_SPAN, request)
if sys.argv[2:] == ["fork"]:
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        for _ in range(20):
            content.model_call(INVALID_SPAN, request)
        content.upload.flush()
        os._exit(0)
"""


@pytest.mark.parametrize("how", [[], ["fork"]], ids=["one process", "fork"])
def test_what_waits_when_the_program_ends_is_sent(how: list[str], tmp_path: Path) -> None:
    """A short script loses nothing; a process that was forked sends its own, and not its parent's again."""
    if how and not hasattr(__import__("os"), "fork"):
        pytest.skip("no fork on this system")
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path), *how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    files = list(tmp_path.rglob("*.json"))
    assert len(files) == (40 if how else 20)
    assert all(json.loads(file.read_text("utf-8")) for file in files)


def test_the_environment_may_name_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variables of OpenTelemetry's own instrumentations; content need not be on spans for that."""
    monkeypatch.setenv(UPLOADS, "upload")
    for base in (str(tmp_path / "one"), (tmp_path / "an other").as_uri()):
        monkeypatch.setenv(BASE_PATH, base)
        content = Content.of(None)
        assert (content.spans, content.events) == (False, False)
        assert content.upload is not None
        assert content.upload is Content.of(None).upload
        content.model_call(begun(), REQUEST)
        assert content.upload.flush()
    assert sorted(file.parents[1].name for file in tmp_path.rglob("*.json")) == ["an other", "one"]


@pytest.mark.parametrize(("hook", "base"), [("upload", ""), ("upload", "s3://bucket/x"), ("my_hook", "/tmp")])
def test_other_places_of_the_environment_are_not_heeded_and_that_is_logged_once(
    hook: str, base: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says what to do instead; what the variables hold is not repeated."""
    monkeypatch.setenv(UPLOADS, hook)
    monkeypatch.setenv(BASE_PATH, base)
    warn.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert [Content.of(None).upload for _ in range(3)] == [None] * 3
    [said] = caplog.messages
    assert "Upload(put)" in said
    assert "bucket" not in said
