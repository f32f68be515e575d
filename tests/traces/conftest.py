"""A real browser for the page: Debian's Chromium, without a window, driven by Playwright."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.traces import read_traces, trace_page

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")


def program() -> str | None:
    """Where Chromium is, if it is here: AGENTKIT_CHROMIUM names another one."""
    return os.environ.get("AGENTKIT_CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="the page is not tested: pip install playwright")
    path = program()
    if path is None:
        pytest.skip("the page is not tested: there is no Chromium; apt-get install chromium-headless-shell")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`opened(lines)`: the page of a file with these lines, from disk. A request, an alert or a complaint fails."""
    bad: list[str] = []
    contexts = []

    def visit(lines: str, **given: Any) -> Any:
        trace, page = tmp_path / "trace.jsonl", tmp_path / "trace.html"
        trace.write_text(lines, encoding="utf-8")
        file = read_traces(trace)
        text = trace_page(file.traces, title="trace.jsonl", flaws=[str(flaw) for flaw in file.flaws])
        page.write_text(text, encoding="utf-8")
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 720}, **given}))
        tab = contexts[-1].new_page()
        tab.set_default_timeout(10_000)
        tab.on("request", lambda request: request.url == page.as_uri() or bad.append(f"asked for {request.url}"))
        tab.on("console", lambda message: bad.append(f"said {message.text}"))
        tab.on("pageerror", lambda error: bad.append(f"failed: {error}"))
        tab.on("dialog", lambda dialog: (bad.append(f"alerted {dialog.message}"), dialog.dismiss()))
        tab.goto(page.as_uri())
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert bad == []
