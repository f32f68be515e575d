"""Search in vector stores, and the tool `file_search` with its citations."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import pytest
from made_documents import pdf
from openai import AsyncOpenAI
from serving import Served, serving
from session_stores import Place

from agentkit import ModelSettings, ToolResult, UserMessage
from agentkit.server.desk import Server
from agentkit.server.engine import Engine, Findings, Hit, Work
from agentkit.server.files import citations, response_citations
from agentkit.server.store.keys import Keys
from agentkit.testing import call

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]

NOTES = {
    "lamp.txt": "The lamp is in the attic, behind the trunks. It needs a new bulb.",
    "key.txt": "The key to the cellar hangs in the kitchen, next to the door.",
    "heating.md": "# Heating\n\nTo bleed the radiators, turn the valves with the square spanner until water runs.",
    "cats.txt": "Our cats are fed twice a day. The vet's number is on the fridge.",
    "garden.txt": "The lawn is mown on Saturdays. The mower is in the shed, and its petrol in the garage.",
    "wifi.txt": "The password of the guests' network is written below the router in the hall.",
    "fenster.txt": "Die Fenster im Obergeschoß müssen gekippt bleiben, sonst schimmelt die Küche.",
    "japanese.txt": "冷蔵庫は台所にあります。電気は夜に消してください。",
}


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, at: Callable[[str], Place]) -> Place:
    """Where the server keeps what it is given: both find the same."""
    return at(request.param)


async def filled(client: AsyncOpenAI, notes: dict[str, Any]) -> str:
    """A vector store with these files, all of which were read; a note may be a pair of text and attributes."""
    store = await client.vector_stores.create()
    files: list[Any] = []
    for filename, note in notes.items():
        text, attributes = note if isinstance(note, tuple) else (note, {})
        file = await client.files.create(file=(filename, text.encode()), purpose="assistants")
        files.append({"file_id": file.id, "attributes": attributes})
    batch = await client.vector_stores.file_batches.create(store.id, files=files)
    batch = await client.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id, poll_interval_ms=10)
    assert batch.file_counts.completed == len(notes)
    return store.id


async def test_a_question_finds_the_note_that_answers_it(tmp_path: Path, place: Place) -> None:
    """As people ask: in whole sentences, in other forms of the words, in other scripts, with signs in them."""
    questions = {
        "Where is the lamp?": "lamp.txt",
        "where are the LAMPS": "lamp.txt",
        "How do I bleed a radiator?": "heating.md",
        "When do I feed the cat?": "cats.txt",
        "mowing the lawn": "garden.txt",
        "what's the guest network's password?": "wifi.txt",
        'AND OR NOT "key" - (cellar) * : \\ \' %': "key.txt",
        "kuche": "fenster.txt",
        "Küche gekippt?": "fenster.txt",
        "冷蔵庫": "japanese.txt",
    }
    async with serving(tmp_path, database=place.url) as served, served.client() as client:
        store = await filled(client, NOTES)
        for question, filename in questions.items():
            found = (await client.vector_stores.search(store, query=question)).data
            assert found, question
            assert found[0].filename == filename, (question, found)
            scores = [hit.score for hit in found]
            assert scores == sorted(scores, reverse=True)
            assert all(0 < score <= 1 for score in scores)
        other = await filled(client, {"airships.txt": "A zeppelin is no balloon."})
        assert len((await client.vector_stores.search(other, query="zeppelin")).data) == 1
        assert (await client.vector_stores.search(store, query="zeppelin")).data == []
        assert (await client.vector_stores.search(store, query="?!")).data == []
        both = (await client.vector_stores.search(store, query=["lamp", "radiator"])).data
        assert {hit.filename for hit in both} == {"lamp.txt", "heating.md"}


async def test_attributes_say_where_to_look(tmp_path: Path) -> None:
    """All comparisons, alone and together."""
    notes: dict[str, Any] = {
        "a": ("plum", {"year": 2020, "by": "ann", "final": True}),
        "b": ("plum", {"year": 2021.5, "by": "bob", "final": False}),
        "c": ("plum", {"year": 2022, "by": "cleo"}),
        "d": ("plum", {}),
    }
    filters: list[tuple[Any, str]] = [
        ({"type": "eq", "key": "by", "value": "ann"}, "a"),
        ({"type": "ne", "key": "by", "value": "ann"}, "bcd"),
        ({"type": "eq", "key": "final", "value": True}, "a"),
        ({"type": "eq", "key": "final", "value": 1}, ""),
        ({"type": "gt", "key": "year", "value": 2020}, "bc"),
        ({"type": "gte", "key": "year", "value": 2020.0}, "abc"),
        ({"type": "lt", "key": "year", "value": 2022}, "ab"),
        ({"type": "lte", "key": "year", "value": 2022}, "abc"),
        ({"type": "lte", "key": "year", "value": "2022"}, ""),
        ({"type": "in", "key": "by", "value": ["ann", "cleo"]}, "ac"),
        ({"type": "nin", "key": "by", "value": ["ann", "cleo"]}, "bd"),
        (
            {
                "type": "or",
                "filters": [
                    {"type": "eq", "key": "by", "value": "ann"},
                    {
                        "type": "and",
                        "filters": [
                            {"type": "gt", "key": "year", "value": 2021},
                            {"type": "ne", "key": "by", "value": "cleo"},
                        ],
                    },
                ],
            },
            "ab",
        ),
    ]
    async with serving(tmp_path) as served, served.client() as client:
        store = await filled(client, notes)
        for wanted, expected in filters:
            found = (await client.vector_stores.search(store, query="plums", filters=wanted)).data
            assert "".join(sorted(hit.filename for hit in found)) == expected, wanted
        best = await client.vector_stores.search(
            store, query="plums", filters={"type": "eq", "key": "by", "value": "ann"}
        )
        assert best.data[0].attributes == {"year": 2020, "by": "ann", "final": True}
        some = await client.vector_stores.search(store, query="plums", max_num_results=3)
        assert len(some.data) == 3
        none = await client.vector_stores.search(
            store, query="plum pear apple quince", ranking_options={"score_threshold": 0.9}
        )
        assert none.data == []


async def test_a_long_file_is_found_by_the_passage_that_is_meant(tmp_path: Path, place: Place) -> None:
    """It is cut as the client has said: no passage is longer, and those beside each other overlap."""
    sentences = [f"Fact {n} says that the word for {n} is w{n}x." for n in range(400)]
    async with serving(tmp_path, database=place.url) as served, served.client() as client:
        store = await client.vector_stores.create()
        file = await client.files.create(file=("long.txt", " ".join(sentences).encode()), purpose="assistants")
        sizes: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 30}}
        done = await client.vector_stores.files.create_and_poll(
            file.id, vector_store_id=store.id, chunking_strategy=sizes, poll_interval_ms=10
        )
        assert done.chunking_strategy is not None
        assert done.chunking_strategy.to_dict() == sizes
        content = await client.vector_stores.files.content(file.id, vector_store_id=store.id)
        passages = [part.text or "" for part in content.data]
        assert len(passages) > 60
        for one, next in pairwise(passages):
            assert one.endswith("."), one
            assert next.split(".")[0] in one
        for sentence in sentences:
            assert any(sentence in passage for passage in passages)
        found = (await client.vector_stores.search(store.id, query="w217x")).data
        assert found
        assert all("w217x" in hit.content[0].text for hit in found)


async def asked(served: Served, store: list[str], script: Any, **spelled: Any) -> tuple[list[Any], Findings]:
    """What a model with `file_search` is told, and what was found."""
    server: Server = served.app.state.server
    work = Work(
        model="m",
        tenant="local",
        history=[UserMessage(content="Where is the lamp?")],
        settings=ModelSettings(),
        hosted=[{"type": "file_search", **spelled}],
        resources={"vector_store_ids": store},
    )
    findings = Findings(work=work)
    async with server.part(Engine).stream(work, findings) as stream:
        async for _ in stream:
            pass
        return [each for each in stream.result.messages if isinstance(each, ToolResult)], findings


async def test_a_model_is_told_the_passages_with_the_marks_that_it_cites_them_by(tmp_path: Path) -> None:
    """And each passage has one number, however often it is found."""
    script = [
        [replace(call("file_search", query="lamp"), id="call_1")],
        [replace(call("file_search", query="the lamp, or the key"), id="call_2")],
        [replace(call("file_search", query="zeppelin"), id="call_3")],
        "It is in the attic【1†lamp.txt】.",
    ]
    async with serving(tmp_path, script) as served, served.client() as client:
        store = await filled(client, NOTES)
        told, findings = await asked(served, [store, "vs_gone"], script)
        assert f"【1†lamp.txt】\n{NOTES['lamp.txt']}" in told[0].content
        assert "【1†lamp.txt】" in told[1].content
        assert "【2†key.txt】" in told[1].content
        assert told[2].content == "No passage has any of these words; try others."
        assert [hit.filename for hit in findings.cited] == ["lamp.txt", "key.txt"]
        assert {id: len(hits) for id, hits in findings.hits.items()} == {"call_1": 1, "call_2": 2, "call_3": 0}
        assert all(each.untrusted for each in told[:2])  # others have written what stands there


async def test_a_search_keeps_to_what_the_client_has_said(tmp_path: Path) -> None:
    """As Assistants say it, and as Responses do."""
    script = [[call("file_search", query="lamp key cat")], "Done."] * 3
    async with serving(tmp_path, script) as served, served.client() as client:
        store = await filled(client, {**NOTES, "secret.txt": ("The lamp is gone.", {"open": False})})
        _, findings = await asked(served, [store], script, file_search={"max_num_results": 2})
        assert len(findings.cited) == 2
        _, findings = await asked(served, [store], script, max_num_results=1)
        assert len(findings.cited) == 1
        wanted = {"type": "eq", "key": "open", "value": False}
        _, findings = await asked(served, [], script, vector_store_ids=[store], filters=wanted)
        assert [hit.filename for hit in findings.cited] == ["secret.txt"]


async def test_citations_say_where_they_stand(tmp_path: Path) -> None:
    """In characters as people count them; a mark of nothing is none."""
    hits = [
        Hit(file_id="file-a", filename="a.txt", score=1, text="A"),
        Hit(file_id="file-b", filename="b", score=1, text="B"),
    ]
    findings = Findings(work=Work(model="m", tenant="local", history=[], settings=ModelSettings()), cited=hits)
    text = "😀 Ja【1†a.txt】, nein【4:2†b】【3†c】【0†d】【1†a"
    found = citations(text, findings)
    assert found == [
        {
            "type": "file_citation",
            "text": "【1†a.txt】",
            "start_index": 4,
            "end_index": 13,
            "file_citation": {"file_id": "file-a"},
        },
        {
            "type": "file_citation",
            "text": "【4:2†b】",
            "start_index": 19,
            "end_index": 26,
            "file_citation": {"file_id": "file-b"},
        },
    ]
    assert all(text[each["start_index"] : each["end_index"]] == each["text"] for each in found)
    assert response_citations(text, findings) == [
        {"type": "file_citation", "file_id": "file-a", "filename": "a.txt", "index": 4},
        {"type": "file_citation", "file_id": "file-b", "filename": "b", "index": 19},
    ]


async def test_a_run_waits_for_the_files_that_came_with_the_message(tmp_path: Path) -> None:
    """They are in the thread's own store, which is kept for a week after it was used last."""
    script = [[call("file_search", query="plums")], "Blue【1†plums.pdf】."]
    content = pdf(*["Plums are blue."] * 200)  # which takes a while
    async with serving(tmp_path, script) as served, served.client() as client:
        file = await client.files.create(file=("plums.pdf", content), purpose="assistants")
        assistant = await client.beta.assistants.create(model="m", tools=[{"type": "file_search"}])
        attached: Any = [{"file_id": file.id, "tools": [{"type": "file_search"}]}]
        thread = await client.beta.threads.create()
        await client.beta.threads.messages.create(thread.id, role="user", content="Plums?", attachments=attached)
        run = await client.beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=10
        )
        assert run.status == "completed", run.last_error
        said: Any = (await client.beta.threads.messages.list(thread.id)).data[0].content[0]
        assert said.text.value == "Blue【1†plums.pdf】."
        assert [each.file_citation.file_id for each in said.text.annotations] == [file.id]
        assert (said.text.annotations[0].start_index, said.text.annotations[0].end_index) == (4, 17)
        resources: Any = (await client.beta.threads.retrieve(thread.id)).tool_resources
        (store,) = resources.file_search.vector_store_ids
        made = await client.vector_stores.retrieve(store)
        assert made.expires_at is not None
        assert made.last_active_at is not None
        assert made.expires_at - made.last_active_at == 7 * 86_400
        again = await client.files.create(file=("pears.txt", b"Pears are green."), purpose="assistants")
        attached = [{"file_id": again.id, "tools": [{"type": "file_search"}, {"type": "code_interpreter"}]}]
        await client.beta.threads.messages.create(thread.id, role="user", content="Pears?", attachments=attached)
        resources = (await client.beta.threads.retrieve(thread.id)).tool_resources
        assert resources.file_search.vector_store_ids == [store]
        assert resources.code_interpreter.file_ids == [again.id]
        listed = client.vector_stores.files.list(store, order="asc")
        assert [each.id async for each in listed] == [file.id, again.id]


async def test_no_tenant_finds_what_is_anothers(tmp_path: Path, place: Place) -> None:
    """Not by id, not by a search, and not by a model that was given the id."""
    script = [[call("file_search", query="lamp")], "Nothing."]
    async with serving(tmp_path, script, database=place.url) as served:
        keys = Keys(served.app.state.server.database)
        ours, theirs = [await keys.add(tenant, tenant, 0) for tenant in ("ours", "theirs")]
        async with served.client(api_key=ours) as client, served.client(api_key=theirs) as stranger:
            store = await filled(client, NOTES)
            file = (await client.files.list()).data[0]
            upload = await client.uploads.create(bytes=1, filename="a", mime_type="text/plain", purpose="assistants")
            own = await filled(stranger, {"own.txt": "No lamp here but this."})
            for ask in (
                stranger.files.retrieve(file.id),
                stranger.files.content(file.id),
                stranger.files.delete(file.id),
                stranger.vector_stores.retrieve(store),
                stranger.vector_stores.delete(store),
                stranger.vector_stores.update(store, name="mine"),
                stranger.vector_stores.search(store, query="lamp"),
                stranger.vector_stores.files.list(store),
                stranger.vector_stores.files.create(store, file_id=file.id),
                stranger.vector_stores.files.create(own, file_id=file.id),
                stranger.vector_stores.files.content(file.id, vector_store_id=store),
                stranger.vector_stores.files.content(file.id, vector_store_id=own),
                stranger.vector_stores.file_batches.create(own, file_ids=[file.id]),
                stranger.vector_stores.create(file_ids=[file.id]),
                stranger.uploads.parts.create(upload.id, data=b"x"),
            ):
                with pytest.raises(openai.NotFoundError):
                    await ask
            assert [each.filename async for each in stranger.files.list()] == ["own.txt"]
            assert [each.id async for each in stranger.vector_stores.list()] == [own]
            found = await stranger.vector_stores.search(own, query="lamp")
            assert [hit.filename for hit in found.data] == ["own.txt"]
        told, findings = await asked(served, [store], script)
        assert told[0].content == "there are no files to search"
        assert findings.cited == []
