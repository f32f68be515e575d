"""The page of a trace, in a real browser."""

import json
import re
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from otlp_lines import agent, an_id, attributes, chat, event, line, span, tool

from agentkit import Agent, ToolFailed
from agentkit.telemetry.trace_file import TraceFileExporter
from agentkit.testing import ScriptedModel, call
from agentkit.traces import read_traces, trace_page

HOSTILE = "</script><script>alert(1)</script><!--<script>\u2028<img src=x onerror=alert(2)>&lt;b&gt;"
MESSAGES = [
    {"role": "user", "parts": [{"type": "text", "content": f"Have you got A-1? {HOSTILE}"}]},
    {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "c", "name": "units_left", "arguments": {"sku": "A-1"}}],
    },
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "three"}]},
]
RUN = line(
    agent(1, ms=100, said={"gen_ai.agent.name": "clerk"}),
    chat(
        2,
        1,
        at=5,
        ms=20,
        said={
            "gen_ai.usage.input_tokens": 1234,
            "gen_ai.usage.output_tokens": 56,
            "agentkit.cost.usd": 0.0123,
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be kind."}]),
            "gen_ai.input.messages": json.dumps(MESSAGES),
        },
        events=[event("agentkit.retry", 12, {"reason": "429"})],
    ),
    tool(
        3,
        1,
        at=30,
        ms=40,
        said={
            "gen_ai.tool.call.arguments": json.dumps({"sku": "A-1", "note": HOSTILE}),
            "gen_ai.tool.call.result": "three",
            "big": 2**62,
        },
    ),
    chat(4, 3, at=35, ms=10, name=f"chat {HOSTILE}"),
    tool(
        5,
        1,
        at=80,
        ms=10,
        name="execute_tool pay",
        said={"error.type": "ToolFailed"},
        status={"code": 2, "message": "no money"},
        links=[{"traceId": "cd" * 16, "spanId": an_id(9)}, {"traceId": "ee" * 16, "spanId": an_id(9)}],
    ),
)
PAUSED = line(agent(9, at=-500, ms=100, name="invoke_agent paused", traceId="cd" * 16))


def names(page: Any) -> list[str]:
    return list(page.locator(".row .label").all_inner_texts())


def focused(page: Any) -> str:
    """The name in the row that has the focus."""
    return str(page.evaluate("document.activeElement.querySelector?.('.label')?.textContent"))


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def facts(page: Any) -> dict[str, str]:
    return dict(
        zip(page.locator("#summary dt").all_inner_texts(), page.locator("#summary dd").all_inner_texts(), strict=True)
    )


def test_the_page_tells_what_a_real_run_did(opened: Callable[..., Any], tmp_path: Path) -> None:
    """A run of an agent, written by agentkit: its calls in order, its errors, its tokens, and how long it took."""

    def units_left(sku: str) -> int:
        """Count the units of a product in stock."""
        if sku == "A-1":
            return 3
        raise ToolFailed("there is no such product")

    path = tmp_path / "run.jsonl"
    model = ScriptedModel([[call("units_left", sku="A-1")], [call("units_left", sku="B-2")], "Three."])
    with TraceFileExporter(path) as file, ThreadPoolExecutor(1) as apart:  # Playwright has this thread's event loop
        clerk = Agent(model, name="clerk", tools=[units_left], telemetry=file.telemetry)
        apart.submit(anyio.run, clerk.run, "go").result()
    page = opened(path.read_text(encoding="utf-8"))
    tools = ["chat scripted", "execute_tool units_left"]
    assert names(page) == ["invoke_agent clerk", *tools, *tools, "chat scripted"]
    found = facts(page)
    assert (found["Spans"], found["Model calls"], found["Tool calls"], found["Errors"]) == ("6", "3", "2", "1")
    assert re.fullmatch(r"[\d.]+ m?s", found["Duration"])
    assert int(found["Tokens in"]) > 0
    page.get_by_text("execute_tool units_left").nth(1).click()
    assert "agentkit.errors.ToolFailed" in page.locator("#details .why").inner_text()
    assert "call_units_left" in page.locator("#details").inner_text()


def test_time_tokens_cost_and_errors_are_seen(opened: Callable[..., Any]) -> None:
    """In a row, with a bar where it was in time; what failed says so in words."""
    page = opened(RUN)
    model = page.locator(".row").nth(1)
    assert model.locator("[role=gridcell]").all_inner_texts()[1:5] == ["20 ms", "1,234", "56", "$0.0123"]
    line_box, bar = (model.locator(part).bounding_box() for part in (".line", ".bar"))
    assert (bar["x"] - line_box["x"]) / line_box["width"] == pytest.approx(0.05, abs=0.01)
    assert bar["width"] / line_box["width"] == pytest.approx(0.2, abs=0.01)
    assert model.locator(".line").get_attribute("aria-label") == "from 5 ms to 25 ms"
    assert "✕ failed" in page.locator(".row").nth(4).inner_text()
    assert facts(page) | {"Began": ""} == {
        "Began": "",
        "Duration": "100 ms",
        "Spans": "5",
        "Model calls": "2",
        "Tool calls": "2",
        "Tokens in": "1,234",
        "Tokens out": "56",
        "Cost": "$0.0123",
        "Errors": "1",
    }


def test_what_was_said_is_in_the_details(opened: Callable[..., Any]) -> None:
    """Messages, arguments and results, where they were captured; events, errors and all other attributes."""
    page = opened(RUN)
    page.locator(".row").nth(1).click()
    details = page.locator("#details").inner_text()
    for said in (
        "Be kind.",
        "user",
        "calls units_left",
        "result of c",
        "three",
        "agentkit.retry at 7 ms",
        "reason\t429",
    ):
        assert said in details
    assert "agentkit 0.1.0" in details
    page.locator(".row").nth(2).click()
    details = page.locator("#details").inner_text()
    assert '"sku": "A-1"' in details
    assert f"big\t{2**62}" in details  # a number that JavaScript cannot hold
    page.locator(".row").nth(4).click()
    assert page.locator("#details .why").inner_text() == "✕ ToolFailed: no money"


def test_hostile_text_is_text(opened: Callable[..., Any]) -> None:
    """What a model or a tool said is shown as it is, and cannot become a part of the page. (`opened` hears alerts.)"""
    page = opened(RUN)
    assert names(page)[3] == f"chat {HOSTILE}"
    for row in range(5):
        page.locator(".row").nth(row).click()
    page.locator(".row").nth(2).click()
    assert f'"note": {json.dumps(HOSTILE, ensure_ascii=False)}' in page.locator("#details").text_content()
    assert page.locator("img, #details script, .row script").count() == 0
    assert page.locator("script").count() == 2


def test_nothing_runs_in_the_page_but_its_own_script(opened: Callable[..., Any]) -> None:
    """If text did get in as markup, the page's policy would still let it do nothing."""
    page = opened(RUN)
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert page.locator("[src], [href], [style*=url], [onclick]").count() == 0


def test_arrow_keys_walk_the_tree(opened: Callable[..., Any]) -> None:
    """As the ARIA practices have it for a treegrid."""
    page = opened(RUN)
    page.locator("#whole, #zoom").first.focus()
    press(page, "Tab")
    assert focused(page) == "invoke_agent clerk"
    press(page, "ArrowDown", "ArrowDown")
    assert focused(page) == "execute_tool units_left"
    press(page, "ArrowRight")
    assert focused(page) == f"chat {HOSTILE}"
    press(page, "ArrowLeft", "ArrowLeft")
    assert (focused(page), len(names(page))) == ("execute_tool units_left", 4)
    assert page.evaluate("document.activeElement.ariaExpanded") == "false"
    press(page, "ArrowRight")
    assert (focused(page), len(names(page))) == ("execute_tool units_left", 5)
    press(page, "End")
    assert focused(page) == "execute_tool pay"
    press(page, "ArrowDown")
    assert focused(page) == "execute_tool pay"
    press(page, "ArrowLeft", "ArrowLeft")
    assert (focused(page), names(page)) == ("invoke_agent clerk", ["invoke_agent clerk"])
    press(page, "ArrowRight", "End", "Home")
    assert focused(page) == "invoke_agent clerk"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_enter_opens_details_and_escape_leaves_them(opened: Callable[..., Any]) -> None:
    """The focus goes to the name of the span, and comes back to its row."""
    page = opened(RUN)
    page.locator(".row").first.focus()
    press(page, "ArrowDown", "Enter")
    assert page.evaluate("document.activeElement.id") == "name"
    assert page.locator("#name").inner_text() == "chat gpt-5.5"
    press(page, "Escape")
    assert page.locator("#details").is_hidden()
    assert focused(page) == "chat gpt-5.5"


def test_search_finds_spans_and_what_is_around_them(opened: Callable[..., Any]) -> None:
    """`/` goes to the field; names, attributes, errors and events are searched; Enter goes to what was found."""
    page = opened(RUN)
    page.locator(".row").first.focus()
    press(page, "/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("MONEY")
    assert names(page) == ["invoke_agent clerk", "execute_tool pay"]
    assert page.locator("#status").inner_text() == "1 of 5 spans"
    press(page, "Enter")
    assert focused(page) == "execute_tool pay"
    press(page, "/")
    page.keyboard.type("429")
    assert names(page) == ["invoke_agent clerk", "chat gpt-5.5"]
    press(page, *["Backspace"] * 3)
    page.keyboard.type("nowhere")
    assert (names(page), page.locator("#status").inner_text()) == ([], "0 of 5 spans")
    press(page, "Enter", "Escape")
    assert len(names(page)) == 5


def test_errors_only(opened: Callable[..., Any]) -> None:
    """The button says whether it is pressed; `n` goes to the next error."""
    page = opened(RUN)
    page.get_by_role("button", name="Errors only").click()
    assert names(page) == ["invoke_agent clerk", "execute_tool pay"]
    assert page.get_by_role("button", name="Errors only", pressed=True).count() == 1
    page.get_by_role("button", name="Errors only").click()
    page.locator(".row").first.focus()
    press(page, "n")
    assert focused(page) == "execute_tool pay"


def test_zoom_shows_a_span_over_the_whole_width(opened: Callable[..., Any]) -> None:
    """And back."""
    page = opened(RUN)
    page.locator(".row").first.focus()
    press(page, "ArrowDown", "ArrowDown", "z")
    box, bar = (page.locator(".row").nth(2).locator(part).bounding_box() for part in (".line", ".bar"))
    assert bar["width"] / box["width"] == pytest.approx(1, abs=0.01)
    assert page.locator(".row").nth(1).locator(".bar").count() == 0  # it ended before
    assert page.locator("#axis").inner_text().split("\n")[0] == "30 ms"
    page.get_by_role("button", name="Whole trace").click()
    assert page.locator(".row").nth(1).locator(".bar").count() == 1


def test_a_link_leads_to_the_other_run(opened: Callable[..., Any]) -> None:
    """From a run that was resumed to the one that was paused, in another trace; traces can be chosen too."""
    page = opened(RUN + PAUSED)
    assert page.locator("#trace option").all_inner_texts() == [
        "1. invoke_agent paused, 100 ms, 1 span",
        "2. invoke_agent clerk, 100 ms, 5 spans, 1 error",
    ]
    page.locator(".row").last.click()
    assert "which is not in the file" in page.locator("#details").inner_text()
    page.get_by_role("button", name="Go to invoke_agent paused").click()
    assert (focused(page), names(page)) == ("invoke_agent paused", ["invoke_agent paused"])
    page.locator("#trace").select_option(index=1)
    assert len(names(page)) == 5


def test_what_could_not_be_read_is_said(opened: Callable[..., Any]) -> None:
    """Where everybody sees it."""
    page = opened(RUN + "hello\n")
    assert page.locator("#flaws").inner_text().startswith("line 2: it is no JSON")
    assert opened(RUN).locator("#flaws").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(scheme: str, opened: Callable[..., Any]) -> None:
    """No violation of WCAG 2.2 AA that axe can find, in both colours, with details and filters."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not here: pip install axe-playwright-python"
    )
    page = opened(RUN + PAUSED, color_scheme=scheme, bypass_csp=True)

    def violations() -> list[str]:
        levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = axe.Axe().run(page, options={"runOnly": {"type": "tag", "values": levels}})
        return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found.response["violations"]]

    assert violations() == []
    page.locator(".row").first.focus()
    press(page, "ArrowDown", "Enter")
    assert violations() == []
    press(page, "Escape")
    page.get_by_role("button", name="Errors only").click()
    assert violations() == []


def test_a_screen_reader_is_told_what_is_seen(opened: Callable[..., Any]) -> None:
    """A treegrid with its columns, its rows, how deep they are, how many there are, and which are open."""
    page = opened(RUN)
    told = page.locator("#grid").aria_snapshot()
    assert told.startswith('- treegrid "Spans":')
    assert 'columnheader "Tokens in"' in told
    assert 'row "agent invoke_agent clerk 100 ms from 0 ms to 100 ms" [expanded] [level=1] [selected]' in told
    assert 'row "tool ✕ failed execute_tool pay 10 ms from 80 ms to 90 ms" [level=2]' in told
    places = "row => ['level', 'posinset', 'setsize', 'rowindex'].map(name => row.getAttribute(`aria-${name}`)).join()"
    rows = page.locator(".row").evaluate_all(f"rows => rows.map({places})")
    assert rows == ["1,1,1,2", "2,1,3,3", "2,2,3,4", "3,1,1,5", "2,3,3,6"]
    assert page.locator("#grid").get_attribute("aria-rowcount") == "6"


def test_a_narrow_window_a_still_screen_and_paper(opened: Callable[..., Any]) -> None:
    """Details go below the tree; nothing moves by itself; on paper all spans are there."""
    page = opened(many(500), reduced_motion="reduce", viewport={"width": 600, "height": 700})
    page.locator(".row").first.click()
    assert page.locator("#details").bounding_box()["y"] > page.locator("#grid").bounding_box()["y"] + 100
    assert page.locator(".bar").first.evaluate("bar => getComputedStyle(bar).transitionDuration") == "0s"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".row").count() == 500
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".row").count() < 100


def many(spans: int) -> str:
    """A long run."""
    inside = [
        (tool if number % 3 else chat)(number, 1, at=number, said={"n": number, "text": "x" * 200})
        for number in range(2, spans + 1)
    ]
    return line(agent(1, ms=spans), *inside)


def scroll_to(page: Any, row: int) -> None:
    """As the wheel does it: what has the focus goes out of sight."""
    height = page.locator(".row").first.bounding_box()["height"]
    page.evaluate(f"document.getElementById('grid').scrollTop = {row * height}")
    page.locator(f'[aria-rowindex="{row}"]').wait_for(state="attached")


def test_ten_thousand_spans_stay_usable(opened: Callable[..., Any]) -> None:
    """Few rows are in the page at a time; keys, search and the end of the tree are there at once."""
    page = opened(many(10_000))
    page.set_default_timeout(5_000)
    page.locator(".row").first.focus()
    press(page, "ArrowDown", "PageDown", "End")
    assert focused(page) == names(page)[-1]
    assert page.evaluate("document.activeElement.ariaRowIndex") == "10001"
    assert page.locator(".row").count() < 100
    scroll_to(page, 5000)
    assert page.evaluate("document.activeElement.ariaRowIndex") == "10001"  # the focus is not lost on the way
    press(page, "Home")
    scroll_to(page, 5000)
    assert page.evaluate("document.activeElement.ariaRowIndex") == "2"
    press(page, "End", "ArrowUp")
    assert page.evaluate("document.activeElement.ariaRowIndex") == "10000"
    press(page, "/")
    page.keyboard.type("9999")
    assert page.locator("#status").inner_text() == "1 of 10,000 spans"
    assert page.locator(".row").count() == 2


class Scripts(HTMLParser):
    """What a browser finds in the script elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script"
        self.found += [""] * self._inside

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[-1] += data


@given(st.text(st.sampled_from("</script!->&\"'\\ \u2028\u2029\ud800$ß{}"), max_size=60))
def test_no_text_leaves_its_place_in_the_page(text: str) -> None:
    """Whatever a name, an attribute, a title or a flaw says: the data is as it was, and all that it is is data."""
    lines = line(span(1, name="x", said={"a": "x"}))
    trace = read_traces_of(lines)
    [root] = trace.roots
    hostile = replace(trace, roots=(replace(root, name=text, attributes={"a": text}),))
    page = trace_page([hostile], title=text, flaws=[text])
    data, script = Scripts(page).found
    assert json.loads(data)["flaws"] == [text]
    assert json.loads(data)["traces"][0]["spans"][0].get("name", "") == text
    assert not set(data) & set("<>&\u2028\u2029\ud800")
    assert "JSON.parse" in script


def read_traces_of(lines: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.jsonl"
        path.write_text(lines, encoding="utf-8")
        return read_traces(path).traces[0]


def test_a_page_of_nothing_is_no_error(opened: Callable[..., Any], tmp_path: Path) -> None:
    """It shows nothing, and its buttons do nothing."""
    page = opened(RUN)
    (tmp_path / "trace.html").write_text(trace_page([]), encoding="utf-8")
    page.reload()
    for name in ("Errors only", "Open all", "Close all", "Zoom to span"):
        page.get_by_role("button", name=name).click()
    page.locator("#search").fill("x")
    assert (names(page), page.locator("#status").inner_text()) == ([], "0 of 0 spans")


def test_links_attributes_are_kept(opened: Callable[..., Any]) -> None:
    """What a link says of itself is in the details too."""
    link = {"traceId": "ee" * 16, "spanId": an_id(9), "attributes": attributes({"why": "resumed"})}
    page = opened(line(agent(1, links=[link])))
    page.locator(".row").click()
    assert "why\tresumed" in page.locator("#details").inner_text()
