"""The web page at `/`, in a real browser, on a real server."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from openai import OpenAI
from run_case import WaitingModel, function
from serving import Served, serving
from session_stores import Place
from sqlalchemy import text

from agentkit import Agent
from agentkit.server.store.keys import Keys
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning", "ignore:The Assistants API")

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e{{7*7}}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window; AGENTKIT_CHROMIUM names another one."""
    api = pytest.importorskip("playwright.sync_api", reason="the page is not tested: pip install playwright")
    path = os.environ.get("AGENTKIT_CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if path is None:
        pytest.skip("the page is not tested: there is no Chromium; apt-get install chromium-headless-shell")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass(frozen=True, kw_only=True)
class Site:
    """A server, and browsers that visit it."""

    served: Served
    portal: BlockingPortal
    client: OpenAI
    visit: Callable[..., Any]


@pytest.fixture
def site(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """`site(script)`: a server in a thread of its own. A request elsewhere, an alert or a complaint fails."""
    bad: list[str] = []
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal("asyncio"))

        def served(script: Any = (), **settings: Any) -> Site:
            up = stack.enter_context(portal.wrap_async_context_manager(serving(tmp_path, script, **settings)))
            root = up.base_url.removesuffix("v1")

            def visit(place: str = "", **given: Any) -> Any:
                context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **given})
                stack.callback(context.close)
                tab = context.new_page()
                tab.set_default_timeout(10_000)
                tab.on("request", lambda request: request.url.startswith((root, "data:,")) or bad.append(request.url))
                tab.on("console", lambda message: message.text.startswith(REFUSED) or bad.append(message.text))
                tab.on("pageerror", lambda error: bad.append(f"failed: {error}"))
                tab.on("dialog", lambda dialog: (bad.append(f"alerted {dialog.message}"), dialog.dismiss()))
                tab.goto(root + place)
                return tab

            client = stack.enter_context(OpenAI(base_url=up.base_url, api_key="any-key", max_retries=0))
            return Site(served=up, portal=portal, client=client, visit=visit)

        yield served
    assert bad == []


REFUSED = (
    "Failed to load resource: the server responded with a status of 4",
    "Failed to load resource: net::ERR_INTERNET",
)
"""What Chromium itself says in the console of an answer that is no, and of none."""


def test_the_page_shows_what_is_there(site: Callable[..., Site]) -> None:
    """Threads by their first words, and on each what was said and what its runs have done, step by step."""
    here = site([[call("units_left", sku="A-1")], "Three."])
    beta = here.client.beta
    clerk = beta.assistants.create(model="gpt-4o", name="Clerk", tools=[function("units_left", "sku")])
    thread = beta.threads.create(messages=[{"role": "user", "content": "How many A-1 are left?"}])
    run = beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=clerk.id, poll_interval_ms=20)
    asked = run.required_action.submit_tool_outputs.tool_calls[0]
    beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread.id, tool_outputs=[{"tool_call_id": asked.id, "output": "3 pieces"}]
    )
    page = here.visit()
    page.get_by_role("link", name="How many A-1 are left?").click()
    page.get_by_role("log").get_by_text("Three.").wait_for()
    assert page.locator(".run summary .badge").first.inner_text() == "completed"
    page.locator(".steps summary", has_text="units_left").click()
    assert '"sku": "A-1"' in page.get_by_role("region", name="Arguments of units_left").inner_text()
    assert page.get_by_role("region", name="Output of units_left").inner_text() == "3 pieces"


def started(here: Site, **assistant: Any) -> tuple[Any, Any]:
    """An assistant, and a thread on which somebody has asked something."""
    clerk = here.client.beta.assistants.create(**{"model": "gpt-4o", "name": "Clerk", **assistant})
    thread = here.client.beta.threads.create(messages=[{"role": "user", "content": "How many A-1 are left?"}])
    return clerk, thread


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def focused(page: Any) -> str:
    """What the element that has the focus says."""
    return str(page.evaluate("document.activeElement.innerText || document.activeElement.id"))


def test_a_run_that_somebody_else_began_is_seen_to_go_on(site: Callable[..., Site]) -> None:
    """Nobody loads the page again: what the run comes to appears by itself, in the list of threads too."""
    model = WaitingModel()
    here = site(models={"*": model})
    clerk, thread = started(here)
    page, threads = here.visit(f"#/threads/{thread.id}"), here.visit()
    page.get_by_text("There are no runs yet.").wait_for()
    here.client.beta.threads.runs.create(thread_id=thread.id, assistant_id=clerk.id)
    page.locator(".run summary .badge", has_text="in progress").wait_for()
    threads.locator(".badge", has_text="in progress").wait_for()
    assert page.get_by_role("button", name="Send").is_disabled()
    here.portal.call(model.go_on.set)
    page.get_by_role("log").get_by_text("One two.").wait_for()
    page.locator(".run > summary .badge", has_text="completed").wait_for()
    threads.locator(".badge", has_text="completed").wait_for()
    page.get_by_role("status").get_by_text("Run completed").wait_for()
    assert page.get_by_role("button", name="Send").is_enabled()
    assert page.locator(".steps > details").count() == 1


def test_one_talks_to_an_assistant_by_keyboard_alone(site: Callable[..., Site]) -> None:
    """From the list of assistants to its answer in a new thread, whose words appear as they are written."""
    model = WaitingModel()
    here = site(models={"*": model})
    started(here)
    page = here.visit()
    page.get_by_role("link", name="How many").wait_for()
    press(page, "Tab")
    assert focused(page) == "Skip to content"
    press(page, "Tab", "Tab", "Tab")
    assert focused(page) == "Assistants"
    press(page, "Enter")
    page.get_by_role("link", name="Clerk").wait_for()
    assert focused(page) == "Assistants"
    assert page.evaluate("document.activeElement.tagName") == "H1"
    press(page, "Tab", "Enter")
    page.get_by_role("heading", name="Clerk").wait_for()
    press(page, "Tab")
    assert focused(page) == "Talk to it in a new thread"
    press(page, "Enter")
    page.get_by_role("heading", name="Thread").wait_for()
    press(page, "Tab", "Tab", "Tab")
    assert focused(page) == "words"
    page.keyboard.type("First line")
    press(page, "Shift+Enter")
    page.keyboard.type("second")
    press(page, "Enter")
    page.get_by_role("article", name="assistant says").get_by_text("One").wait_for()
    assert page.get_by_role("article", name="assistant says").get_attribute("aria-busy") == "true"
    assert page.get_by_role("article", name="user says").locator(".text").inner_text() == "First line\nsecond"
    assert focused(page) == "words"
    here.portal.call(model.go_on.set)
    page.get_by_role("log").get_by_text("One two.").wait_for()
    page.locator(".run > summary .badge", has_text="completed").wait_for()
    assert page.get_by_role("article").count() == 2
    assert page.get_by_role("article", name="assistant says").get_attribute("aria-busy") is None
    assert page.input_value("#words") == ""


def test_a_run_is_stopped(site: Callable[..., Site]) -> None:
    """By the button, which is there while the run goes on; what was said so far stays."""
    here = site(models={"*": WaitingModel()})
    _, thread = started(here)
    page = here.visit(f"#/threads/{thread.id}")
    page.locator("#words").fill("Go")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("log").get_by_text("One").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator(".run > summary .badge", has_text="cancelled").wait_for()
    page.get_by_role("log").get_by_text("It was not finished.").wait_for()
    assert page.get_by_role("button", name="Stop").is_disabled()
    assert "One" in page.get_by_role("article", name="assistant says").inner_text()


def test_a_run_that_waits_is_given_what_it_waits_for(site: Callable[..., Site]) -> None:
    """Whoever looks at the page can stand in for the program that should answer."""
    here = site([[call("units_left", sku="A-1")], "Three."])
    _, thread = started(here, tools=[function("units_left", "sku")])
    page = here.visit(f"#/threads/{thread.id}")
    page.locator("#words").fill("Go")
    press(page, "Tab")
    page.get_by_role("button", name="Send").click()
    page.locator(".run > summary .badge", has_text="requires action").wait_for()
    page.get_by_label("Output of units_left").fill("3")
    page.get_by_role("button", name="Send outputs").click()
    page.get_by_role("log").get_by_text("Three.").wait_for()
    page.locator(".run > summary .badge", has_text="completed").wait_for()
    assert page.get_by_role("button", name="Send outputs").count() == 0
    page.locator(".steps summary", has_text="units_left").click()
    assert page.get_by_role("region", name="Output of units_left").inner_text() == "3"


def test_it_is_seen_where_the_time_went(site: Callable[..., Site]) -> None:
    """A run's calls of models and tools, each with its time and place in the whole, and the run's trace elsewhere."""
    here = site([[call("units_left", sku="A-1")], "Three."])
    clerk, thread = started(here, tools=[function("units_left", "sku")])
    runs = here.client.beta.threads.runs
    run = runs.create_and_poll(thread_id=thread.id, assistant_id=clerk.id, poll_interval_ms=20)
    page = here.visit(f"#/threads/{thread.id}/{run.id}")
    page.locator(".waterfall li").wait_for()
    asked = run.required_action.submit_tool_outputs.tool_calls[0]
    outputs: Any = [{"tool_call_id": asked.id, "output": "3"}]
    runs.submit_tool_outputs_and_poll(run_id=run.id, thread_id=thread.id, tool_outputs=outputs, poll_interval_ms=20)
    page.locator(".waterfall li").nth(2).wait_for()
    assert page.locator(".waterfall .role").all_inner_texts() == ["model", "tool", "model"]
    assert page.locator(".waterfall .label").all_inner_texts() == ["scripted", "units_left", "scripted"]
    assert "first word after" in page.locator(".waterfall .track").last.get_attribute("aria-label")

    root = here.served.base_url.removesuffix("v1")
    parts = httpx.get(f"{root}agentkit/threads/{thread.id}/runs/{run.id}/trace").json()["data"]
    span = {"kind": "model", "name": "m", "at_ms": 0, "ms": 300}
    known = {**parts[0], "trace_id": "ab" * 16, "began_at": 100.0, "spans": [span, {**span, "at_ms": 500, "ms": 500}]}

    async def replace() -> None:
        async with here.served.app.state.server.write("local") as objects:
            await objects.put("trace", known)
            await objects.delete("trace", parts[1]["id"])

    here.portal.call(replace)
    page.reload()
    page.get_by_text("ab" * 16).wait_for()
    assert page.locator(".waterfall .number").all_inner_texts() == ["300 ms", "500 ms"]
    track, bar = (page.locator(f".waterfall .{part}").last.bounding_box() for part in ("track", "bar"))
    assert (bar["x"] - track["x"]) / track["width"] == pytest.approx(0.5, abs=0.02)
    assert bar["width"] / track["width"] == pytest.approx(0.5, abs=0.02)
    other = here.client.beta.threads.create()
    assert httpx.get(f"{root}agentkit/threads/{other.id}/runs/{run.id}/trace").status_code == 404


def test_a_source_is_a_number_in_the_text_and_a_file_below(site: Callable[..., Site]) -> None:
    """What file_search has found, as an answer cites it."""
    here = site([[call("file_search", query="lamp")], "In the attic【1†house.txt】."])
    client, beta = here.client, here.client.beta
    file = client.files.create(file=("house.txt", b"The lamp is in the attic."), purpose="assistants")
    store = client.vector_stores.create(name="Rules")
    client.vector_stores.files.create_and_poll(file_id=file.id, vector_store_id=store.id, poll_interval_ms=20)
    clerk, thread = started(
        here, tools=[{"type": "file_search"}], tool_resources={"file_search": {"vector_store_ids": [store.id]}}
    )
    beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=clerk.id, poll_interval_ms=20)
    page = here.visit(f"#/threads/{thread.id}")
    assert page.get_by_role("article", name="assistant says").locator(".text").inner_text() == "In the attic[1]."
    assert page.get_by_role("list", name="Sources").inner_text() == f"house.txt {file.id}"
    page.locator(".steps summary", has_text="file_search").click()
    assert "house.txt" in page.locator(".call").inner_text()
    page.get_by_role("link", name="Vector stores").click()
    page.get_by_role("link", name="Rules").click()
    page.get_by_text(file.id).wait_for()


def test_a_chat_streams_and_stops(site: Callable[..., Site]) -> None:
    """With any model of the server: its words appear as they come, until somebody has heard enough."""
    model = WaitingModel()
    here = site(models={"shop": model, "*": model})
    page = here.visit("#/chat")
    assert page.get_by_label("Model or agent").input_value() == "shop"
    page.locator("#words").fill("Count")
    press(page, "Shift+Tab", "Tab")
    press(page, "Enter")
    page.get_by_role("article", name="shop says").get_by_text("One").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("log").get_by_text("It was stopped.").wait_for()
    here.portal.call(model.go_on.set)
    page.locator("#words").fill("Again")
    press(page, "Enter")
    page.get_by_role("log").get_by_text("One two.").wait_for()
    page.get_by_role("status").get_by_text("The answer is complete.").wait_for()
    page.get_by_role("link", name="Files").click()
    page.get_by_text("There are no files yet.").wait_for()
    page.get_by_role("link", name="Chat").click()
    page.get_by_role("log").get_by_text("One two.").wait_for()
    assert page.get_by_role("article").count() == 4
    page.get_by_role("button", name="New chat").click()
    assert page.get_by_role("article").count() == 0


def test_one_chats_with_an_agent(site: Callable[..., Site]) -> None:
    """Its tools run on the server; what the answer has used is said."""

    def units_left(sku: str) -> int:
        """Count the units of a product in stock."""
        return 3

    clerk = Agent(ScriptedModel([[call("units_left", sku="A-1")], "Three."]), tools=[units_left])
    here = site(agents={"clerk": clerk})
    page = here.visit("#/chat")
    page.locator("#words").fill("How many?")
    press(page, "Enter")
    page.get_by_role("log").get_by_text("Three.").wait_for()
    page.get_by_role("log").get_by_text("tokens in").wait_for()


def test_what_goes_wrong_is_said(site: Callable[..., Site]) -> None:
    """In the server's own words, and where a screen reader hears it; what was typed is not lost."""
    here = site(models={"shop": ScriptedModel(["Never."])})
    page = here.visit("#/chat")
    page.get_by_label("Model or agent").fill("none")
    page.locator("#words").fill("Hello")
    press(page, "Enter")
    page.get_by_role("alert").get_by_text("The model `none` does not exist").wait_for()
    assert page.input_value("#words") == "Hello"
    assert page.get_by_role("article").count() == 0
    page.goto(f"{here.served.base_url.removesuffix('v1')}#/threads/thread_1")
    page.get_by_role("alert").get_by_text("No thread found with id 'thread_1'.").wait_for()


def test_the_page_goes_on_when_the_server_is_back(site: Callable[..., Site]) -> None:
    """It says that nobody answers, goes on trying, and says no more of it when somebody does."""
    model = WaitingModel()
    here = site(models={"*": model})
    clerk, thread = started(here)
    here.client.beta.threads.runs.create(thread_id=thread.id, assistant_id=clerk.id)
    page = here.visit(f"#/threads/{thread.id}")
    page.locator(".run summary .badge", has_text="in progress").wait_for()
    page.context.set_offline(True)
    page.get_by_role("alert").get_by_text("The server does not answer. The page goes on trying.").wait_for()
    here.portal.call(model.go_on.set)
    page.context.set_offline(False)
    page.locator(".run > summary .badge", has_text="completed").wait_for()
    page.wait_for_function("document.querySelector('[role=alert]').textContent === ''")


def test_hostile_text_is_text(site: Callable[..., Site]) -> None:
    """Names, messages, arguments and ids from anybody: shown as they are, and never a part of the page."""
    here = site([[call("pay", to=HOSTILE)], HOSTILE, HOSTILE])
    clerk, _ = started(here, name=HOSTILE, description=HOSTILE, instructions=HOSTILE, tools=[function("pay", "to")])
    beta = here.client.beta
    thread = beta.threads.create(messages=[{"role": "user", "content": HOSTILE}], metadata={"a": HOSTILE})
    run = beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=clerk.id, poll_interval_ms=20)
    asked = run.required_action.submit_tool_outputs.tool_calls[0]
    outputs: Any = [{"tool_call_id": asked.id, "output": HOSTILE}]
    beta.threads.runs.submit_tool_outputs_and_poll(run_id=run.id, thread_id=thread.id, tool_outputs=outputs)
    here.client.files.create(file=(f"{HOSTILE}.txt", b"x"), purpose="assistants")
    here.client.vector_stores.create(name=HOSTILE)
    page = here.visit()
    views = ["threads", "runs", "assistants", f"assistants/{clerk.id}", "files", "stores", f"threads/{thread.id}"]
    for view in views:
        page.evaluate(f"location.hash = '#/{view}'")
        page.locator("main:not([aria-busy])").get_by_text("alert(1)" if view != "runs" else "gpt-4o").first.wait_for()
    page.locator(".steps summary", has_text="pay").click()
    for words in page.locator(".text").all():
        assert words.text_content() == HOSTILE
    page.evaluate("location.hash = '#/' + encodeURIComponent('<img src=x onerror=alert(3)>') + '/%E0%A4%A'")
    page.get_by_role("heading", name="Threads").wait_for()
    assert page.locator("img, main script").count() == 0


def test_nothing_runs_in_the_page_but_its_own_script(site: Callable[..., Site]) -> None:
    """If text did get in as markup, the page's policy would still let it do nothing, and nobody frames it."""
    here = site()
    root = here.served.base_url.removesuffix("v1")
    for path in ("", "page/page.css", "page/page.js", "page/thread.js"):
        answer = httpx.get(root + path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src "
        )
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = httpx.get(root).text
    assert re.findall(r"(?:src|href)=\"([^\"#]+)\"", page) == ["data:,", "page/page.css", "page/page.js"]
    assert re.search(r"<script(?! type=\"module\" src)|style=|<style|\son\w+=", page) is None


def test_a_server_with_keys_asks_for_one(site: Callable[..., Site]) -> None:
    """A wrong one is said to be wrong; the right one opens the page, in this tab only, and is in no address."""
    here = site()
    secret = here.portal.call(Keys(here.served.app.state.server.database).add, "ours", "ours", 1)
    page = here.visit("#/threads")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("heading", name="This server asks for a key").wait_for()
    assert focused(page) == "key"
    assert page.get_by_role("alert").inner_text() == ""
    page.keyboard.type("wrong")
    press(page, "Enter")
    page.get_by_role("alert").get_by_text("This key does not open the server: Incorrect API key").wait_for()
    page.keyboard.type("schlüssel")
    press(page, "Enter")
    page.get_by_role("alert").get_by_text("A key has letters").wait_for()
    page.get_by_label("API key").fill(secret)
    press(page, "Enter")
    page.get_by_text("There are no threads yet.").wait_for()
    assert page.get_by_role("alert").inner_text() == ""
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert secret not in "".join([*asked, page.url])
    page.reload()
    page.get_by_text("There are no threads yet.").wait_for()
    page.get_by_role("button", name="Forget key").click()
    page.get_by_role("heading", name="This server asks for a key").wait_for()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_tenant_sees_its_own_threads_and_runs_only(site: Callable[..., Site]) -> None:
    """In the page's own lists, too; another tenant's cursor is none."""
    here = site(["Hello."])
    add = Keys(here.served.app.state.server.database).add
    mine, other = (here.portal.call(add, name, name, 1) for name in ("mine", "other"))
    client = here.client.with_options(api_key=mine)
    clerk = client.beta.assistants.create(model="gpt-4o")
    run = client.beta.threads.create_and_run_poll(assistant_id=clerk.id, thread={"messages": []})
    root = here.served.base_url.removesuffix("v1")

    def get(key: str, path: str) -> httpx.Response:
        return httpx.get(f"{root}agentkit/{path}", headers={"authorization": f"Bearer {key}"})

    assert [each["id"] for each in get(mine, "threads").json()["data"]] == [run.thread_id]
    assert [each["id"] for each in get(mine, "runs").json()["data"]] == [run.id]
    assert get(other, "threads").json()["data"] == get(other, "runs").json()["data"] == []
    assert get(other, f"threads?after={run.thread_id}").status_code == 404
    assert get(other, f"runs?after={run.id}").status_code == 404
    assert get("none", "threads").status_code == get("none", "runs").status_code == 401


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_first_words_are_short_and_whole_whatever_was_said(
    kind: str, site: Callable[..., Site], at: Callable[[str], Place]
) -> None:
    """Half a megabyte, a character that no database likes, a picture, or nothing; pages join without a gap."""
    here = site(database=at(kind).url)
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    said: list[Any] = ["x" * 250_000, "NUL \x00 and \\u0000", "ü🙂" * 2000, [picture, {"type": "text", "text": "Look"}]]
    for each in said:
        here.client.beta.threads.create(messages=[{"role": "user", "content": each}])
    here.client.beta.threads.create()
    root = here.served.base_url.removesuffix("v1")
    got = httpx.get(f"{root}agentkit/threads?limit=2").json()
    rest = httpx.get(f"{root}agentkit/threads?limit=3&after={got['last_id']}").json()
    words = [each["first_words"] for each in [*got["data"], *rest["data"]]]
    assert words == ["", "Look", ("ü🙂" * 100), "NUL \x00 and \\u0000", "x" * 200]
    assert (got["has_more"], rest["has_more"]) == (True, False)
    assert all(each["last_run"] is None for each in rest["data"])


def test_ten_thousand_threads_are_shown_a_page_at_a_time(site: Callable[..., Site]) -> None:
    """The first fifty at once; more when somebody asks for them, and the focus goes there."""
    here = site()
    thread = here.client.beta.threads.create(messages=[{"role": "user", "content": "Number 0"}])

    threads = [thread.model_dump() | {"id": f"thread_{number}"} for number in range(1, 10_000)]

    async def fill() -> None:
        copies = text("INSERT INTO agentkit_objects (tenant, kind, id, body) VALUES ('local', 'thread', :id, :body)")
        async with here.served.app.state.server.database.write() as connection:
            await connection.execute(copies, [{"id": each["id"], "body": json.dumps(each)} for each in threads])

    here.portal.call(fill)
    page = here.visit()
    page.get_by_role("link", name="thread_9999").wait_for()
    assert page.locator("main li").count() == 50
    page.get_by_role("button", name="Show more").click()
    page.get_by_role("link", name="thread_9949").wait_for()
    assert focused(page) == "thread_9949"
    assert page.locator("main li").count() == 100
    page.get_by_role("status").get_by_text("100 entries shown, there are more").wait_for()


def test_everybody_can_use_it(site: Callable[..., Site]) -> None:
    """No violation of WCAG 2.2 AA that axe can find, in both colours; nothing is cut off at 320 pixels."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not here: pip install axe-playwright-python"
    )
    here = site([[call("units_left", sku="A-1")], "Three."])
    clerk, thread = started(here, instructions="Be kind.", tools=[function("units_left", "sku")])
    here.client.files.create(file=("house.txt", b"x"), purpose="assistants")
    here.client.vector_stores.create(name="Rules")
    page = here.visit(bypass_csp=True, viewport={"width": 320, "height": 640})

    def violations(*, is_dark_too: bool = False) -> list[str]:
        levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = axe.Axe().run(page, options={"runOnly": {"type": "tag", "values": levels}}).response["violations"]
        if is_dark_too:
            page.emulate_media(color_scheme="dark")
            colours = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
            found += axe.Axe().run(page, options=colours).response["violations"]
            page.emulate_media(color_scheme="light")
        wide = page.evaluate("document.documentElement.scrollWidth") - 320
        faults = [f"{each['id']}: {each['nodes'][0]['html']}" for each in found]
        return faults + [f"{wide} pixels too wide"] * (wide > 0)

    for view in ("threads", "assistants", f"assistants/{clerk.id}", "files", "stores", "chat"):
        page.evaluate(f"location.hash = '#/{view}'")
        page.locator("main:not([aria-busy]) h1").wait_for()
        assert violations(is_dark_too=view in ("threads", "chat")) == [], view
    page.evaluate(f"location.hash = '#/threads/{thread.id}'")
    page.get_by_role("heading", name="Thread").wait_for()
    page.locator("#words").fill("Go")
    press(page, "Enter")
    page.get_by_label("Output of units_left").fill("3")
    page.locator(".steps summary").click()
    page.locator(".waterfall").wait_for()
    assert violations(is_dark_too=True) == []
    page.get_by_role("button", name="Send outputs").click()
    page.get_by_role("log").get_by_text("Three.").wait_for()
    page.evaluate("location.hash = '#/runs'")
    page.locator(".badge", has_text="completed").wait_for()
    assert violations() == []
    page.evaluate("location.hash = '#/threads/none'")
    page.get_by_role("alert").get_by_text("No thread").wait_for()
    assert violations() == []
