"""Server-sent events, however the bytes were cut."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agentkit.models.sse import Event, EventSplitter

LINE = st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=8)
EVENTS = st.lists(st.tuples(st.sampled_from(["", "error"]), st.lists(LINE, min_size=1, max_size=3)), max_size=4)


@given(EVENTS, st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 200), max_size=9), st.booleans())
def test_any_cut_of_any_stream_gives_the_same_events(
    events: list[tuple[str, list[str]]], end: str, cuts: list[int], bom: bool
) -> None:
    """Every line ending, several data lines, comments, a byte order mark; cut anywhere, inside a character too."""
    lines = []
    for name, data in events:
        lines += [": comment", *([f"event: {name}"] if name else []), *(f"data: {line}" for line in data), ""]
    wire = (b"\xef\xbb\xbf" if bom else b"") + end.join([*lines, ""]).encode()
    splitter, got = EventSplitter(), list[Event]()
    marks = sorted({0, *(cut for cut in cuts if cut < len(wire)), len(wire)})
    for start, stop in itertools.pairwise(marks):
        got += splitter.feed(wire[start:stop])
    if end == "\r":  # the last carriage return may still be half of a pair
        got += splitter.feed(b"\n")
    assert got == [Event(name, "\n".join(data).encode()) for name, data in events]


def test_an_event_the_stream_ends_inside_of_is_dropped() -> None:
    """As the norm says: half an event is none."""
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\n\ndata: b\n") == [Event("", b"a")]


def test_fields_without_a_space_or_a_value_count() -> None:
    """`data:x`, and `data` alone as an empty line; unknown fields do not."""
    assert EventSplitter().feed(b"data:x\ndata\nid: 7\nretry: 1\n\n") == [Event("", b"x\n")]
