"""What a run says, event by event, without a server."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import ModelError, UserMessage
from agentkit.messages import Citation
from agentkit.models.assistants.decode import Turn
from agentkit.models.base import HostedToolFinished, ModelRequest, OutputFormat, TextDelta

NOW = 1_000.0


def run(status: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """The event of a run."""
    return f"thread.run.{status}", {"id": "run_1", "object": "thread.run", "thread_id": "t", "status": status, **more}


def message(id: str, text: str, *notes: dict[str, Any], status: str = "completed") -> tuple[str, dict[str, Any]]:
    """The event of a message."""
    content = [{"type": "text", "text": {"value": text, "annotations": list(notes)}}]
    told = {"id": id, "object": "thread.message", "role": "assistant", "run_id": "run_1", "status": status}
    return f"thread.message.{status}", told | {"content": content}


def delta(id: str, text: str, index: int = 0) -> tuple[str, dict[str, Any]]:
    """The event of a piece of a message."""
    piece = {"index": index, "type": "text", "text": {"value": text}}
    return "thread.message.delta", {"id": id, "object": "thread.message.delta", "delta": {"content": [piece]}}


def told(*events: tuple[str, dict[str, Any]], output: OutputFormat | None = None) -> tuple[Any, list[Any]]:
    """The response, and the deltas on the way to it."""
    turn = Turn(request=ModelRequest(messages=[UserMessage(content="?")], output=output), thread="t")
    deltas = [each for name, data in events for each in turn.feed(name, json.dumps(data).encode())]
    return turn.response(NOW + 600, NOW, "server"), deltas


def text_of(deltas: list[Any]) -> str:
    """The text that a watcher has seen."""
    return "".join(each.text for each in deltas if isinstance(each, TextDelta))


def test_several_messages_of_one_answer_are_one_text_in_their_order() -> None:
    """Who watches reads the same as who gets the result."""
    response, deltas = told(delta("m1", "One."), message("m1", "One."), message("m2", "Two."), run("completed"))
    assert response.message.text == text_of(deltas) == "One.\n\nTwo."


def test_citations_point_into_the_whole_text() -> None:
    """Also those of a second message, or of a second part."""
    note = {"type": "file_citation", "text": "[1]", "start_index": 1, "end_index": 4, "file_citation": {"file_id": "f"}}
    response, _ = told(message("m1", "One."), message("m2", "a[1]b", note), run("completed"))
    [citation] = response.message.citations
    assert citation == Citation(file_id="f", start=7, end=10, marker="[1]")
    assert response.message.text[citation.start : citation.end] == "[1]"


def test_talk_before_json_is_not_part_of_it() -> None:
    """With an output type, the last message is the answer."""
    form = OutputFormat(name="A", schema={"type": "object"})
    response, _ = told(message("m1", "I look."), message("m2", "{}"), run("completed"), output=form)
    assert response.message.text == "{}"


def test_a_message_that_is_seen_whole_gives_what_its_pieces_left_out() -> None:
    """Nothing is told twice either."""
    response, deltas = told(delta("m1", "Hel"), message("m1", "Hello."), run("completed"))
    assert response.message.text == text_of(deltas) == "Hello."


def test_pieces_of_several_parts_stand_in_the_order_of_the_parts() -> None:
    """Whatever the order in which they came."""
    events = [delta("m1", "b", index=1), delta("m1", "a", index=0), delta("m1", "c", index=1)]
    response, _ = told(*events, run("completed"))
    assert response.message.text == "abc"


def test_what_hosted_tools_did_is_told_once() -> None:
    """As an event, and with the answer."""
    call = {"id": "c", "type": "code_interpreter", "code_interpreter": {"input": "1+1", "outputs": [{"logs": "2"}]}}
    step = {"id": "s", "object": "thread.run.step", "status": "completed", "step_details": {"tool_calls": [call]}}
    done = ("thread.run.step.completed", step)
    response, deltas = told(done, done, message("m1", "Two."), run("completed"))
    [finished] = [each for each in deltas if isinstance(each, HostedToolFinished)]
    assert response.message.hosted_calls == (finished.call,)
    assert (finished.call.input, finished.call.output) == ("1+1", "2")


@pytest.mark.parametrize(("left", "within"), [(600, 585.0), (10, 1.0), (0, None), (-5, None)])
def test_tools_have_until_shortly_before_the_run_expires(left: float, within: float | None) -> None:
    """A run that should have expired and still waits has another clock, which bounds nothing here."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    waits = run("requires_action", required_action={"submit_tool_outputs": {"tool_calls": [call]}})
    turn = Turn(request=ModelRequest(messages=()), thread="t")
    turn.feed(waits[0], json.dumps(waits[1]).encode())
    assert turn.response(NOW + left, NOW, "server").results_within == within


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "text", "type"]), inner),
    max_leaves=6,
)
WHOLE = [
    run("in_progress", created_at=1, expires_at=601),
    delta("m1", "Hel"),
    message("m1", "Hello."),
    run("completed", usage={"prompt_tokens": 1, "completion_tokens": 1}),
]


@given(event=st.integers(0, len(WHOLE) - 1), data=st.data(), odd=JSON)
def test_strange_json_is_an_answer_or_an_error_of_ours(event: int, data: st.DataObject, odd: Any) -> None:
    """Whatever stands in a field, the run does not end with somebody else's exception."""
    name, whole = WHOLE[event]
    field = data.draw(st.sampled_from(sorted(whole)))
    try:
        told(*WHOLE[:event], (name, {**whole, field: odd}), *WHOLE[event + 1 :])
    except ModelError:
        pass


def test_what_a_run_says_that_has_no_name_here_is_kept() -> None:
    """Spec line 20: a server's own fields can be read, and null says nothing."""
    response, _ = told(message("msg_1", "Hi."), run("completed", speed="fast", mood=None))
    assert response.raw == {"speed": "fast"}
