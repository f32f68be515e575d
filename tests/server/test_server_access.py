"""Who is let in, how much and how often, and what nobody else gets to see."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import anyio
import httpx
import openai
import pytest
from serving import Clock, Served, serving
from sqlalchemy import text

from agentkit.server.store.keys import Keys

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]


async def key(served: Served, name: str = "ours", tenant: str = "ours") -> str:
    """A new key."""
    return await Keys(served.app.state.server.database).add(name, tenant, 1)


def raw(served: Served, secret: str = "", **headers: str | bytes) -> httpx.AsyncClient:
    """A client that sends what it is told to."""
    bearer = {"authorization": f"Bearer {secret}"} if secret else {}
    return httpx.AsyncClient(base_url=served.base_url, headers={**bearer, **headers})


def root(served: Served) -> str:
    """The server's address, without the API's prefix."""
    return served.base_url.removesuffix("/v1")


async def done(served: Served, statement: str) -> None:
    """Something is done to the database."""
    async with served.app.state.server.database.write() as connection:
        await connection.execute(text(statement))


async def test_a_server_with_keys_takes_no_others(tmp_path: Path) -> None:
    """None, a wrong one, and one in another scheme; the answer does not repeat what was sent."""
    async with serving(tmp_path) as served:
        secret = await key(served)
        for headers in (
            {},
            {"authorization": f"Bearer {secret}x"},
            {"authorization": f"Basic {secret}"},
            {"authorization": "Bearer"},
            {"authorization": secret},
            {"authorization": b"Bearer \xe9\xff"},
        ):
            async with raw(served, **headers) as http:
                answer = await http.get("/assistants")
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            error = answer.json()["error"]
            assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
            assert secret not in answer.text
        async with served.client(api_key="wrong") as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
        async with raw(served, secret) as http:
            assert (await http.get("/assistants")).status_code == 200


async def test_only_the_hash_of_a_key_is_kept(tmp_path: Path) -> None:
    """Whoever reads the database cannot use the keys."""
    async with serving(tmp_path) as served:
        secret = await key(served)
        keys = await Keys(served.app.state.server.database).all()
        assert [(each.name, each.tenant) for each in keys] == [("ours", "ours")]
    for file in [path async for path in anyio.Path(tmp_path).iterdir()]:
        assert secret.encode() not in await file.read_bytes()


async def test_a_key_that_is_taken_back_opens_nothing_soon(tmp_path: Path) -> None:
    """Within seconds, in a process that has seen it before."""
    clock = Clock()
    async with serving(tmp_path, clock=clock) as served:
        secret = await key(served)
        await key(served, "another", "another")
        async with raw(served, secret) as http:
            assert (await http.get("/assistants")).status_code == 200
            assert await Keys(served.app.state.server.database).remove("ours")
            clock.now += 5
            assert (await http.get("/assistants")).status_code == 401


async def test_the_first_key_closes_a_server_that_had_none(tmp_path: Path) -> None:
    """Within seconds, without another start."""
    clock = Clock()
    async with serving(tmp_path, clock=clock) as served, raw(served) as http:
        assert (await http.get("/assistants")).status_code == 200
        await key(served)
        clock.now += 5
        assert (await http.get("/assistants")).status_code == 401


async def test_a_server_without_keys_answers_its_own_machine_only(tmp_path: Path) -> None:
    """Whatever address it was told to listen on."""
    async with serving(tmp_path) as served:
        for place, status in (("10.0.0.5:8000", 401), ("[fd00::1]:8000", 401), ("127.0.0.2", 200), ("[::1]:8000", 200)):
            door = httpx.ASGITransport(app=served.app)
            async with httpx.AsyncClient(transport=door, base_url=f"http://{place}/v1") as http:
                answer = await http.get("/assistants")
                assert answer.status_code == status, place


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("LOCALHOST.", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("192.168.1.7", 200),
        ("agents.example.com:8000", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("x@127.0.0.1:80@evil.example", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
async def test_a_server_answers_to_its_own_names_only(tmp_path: Path, host: str, status: int) -> None:
    """A page whose name has been pointed at this machine gets nothing (DNS rebinding)."""
    async with serving(tmp_path, allowed_hosts=("agents.example.com",)) as served, raw(served, host=host) as http:
        answer = await http.get("/assistants")
        assert answer.status_code == status
        if status == 403:
            assert answer.json()["error"]["code"] == "host_not_allowed"


async def test_pages_of_others_may_not_call(tmp_path: Path) -> None:
    """A page that somebody visits can send requests to this machine; nothing is done for it."""
    async with serving(tmp_path, allowed_origins=("https://ours.example",)) as served:
        for origin in ("https://evil.example", "null", "https://ours.example.evil.example", "http://127.0.0.1:1"):
            async with raw(served, origin=origin) as http:
                for answer in (
                    await http.post("/threads", json={}),
                    await http.options("/threads", headers={"access-control-request-method": "POST"}),
                ):
                    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
                    assert "access-control-allow-origin" not in answer.headers
        async with raw(served, origin=root(served)) as http:
            assert (await http.post("/threads", json={})).status_code == 200


async def test_pages_that_are_allowed_may_call_and_read(tmp_path: Path) -> None:
    """The browser asks first, without a key; then each answer says that the page may read it, errors too."""
    origin = "https://ours.example"
    async with serving(tmp_path, allowed_origins=(origin,)) as served:
        secret = await key(served)
        async with raw(served, origin=origin) as http:
            asked = {
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization, openai-beta, x-stainless-os",
                "access-control-request-private-network": "true",
            }
            first = await http.options("/threads", headers=asked)
            assert first.status_code == 204
            assert first.headers["access-control-allow-origin"] == origin
            assert first.headers["access-control-allow-headers"] == asked["access-control-request-headers"]
            assert "POST" in first.headers["access-control-allow-methods"]
            assert first.headers["access-control-allow-private-network"] == "true"
            refused = await http.post("/threads", json={})
            made = await http.post("/threads", json={}, headers={"authorization": f"Bearer {secret}"})
            assert [refused.status_code, made.status_code] == [401, 200]
            for answer in (first, refused, made):
                assert answer.headers["access-control-allow-origin"] == origin
                assert answer.headers["vary"] == "Origin"
                assert "access-control-allow-credentials" not in answer.headers


async def _pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1000):
        yield b" " * 1000


async def test_a_request_is_no_larger_than_allowed(tmp_path: Path) -> None:
    """Whether it says how large it is or not; files have a limit of their own."""
    async with serving(tmp_path, max_body_bytes=50_000, max_file_bytes=100_000) as served, raw(served) as http:
        json = {"content-type": "application/json"}
        for body in (b" " * 50_001, _pieces(60_000), b" " * 5_000_000):
            answer = await http.post("/threads", content=body, headers=json)
            assert answer.status_code == 413
            assert answer.json()["error"]["message"] == "The request is too large: 50000 bytes are allowed."
        assert (await http.post("/threads", content=b"{}" + b" " * 49_998, headers=json)).status_code == 200
        file = {"file": ("a.txt", b"x" * 100_000)}
        assert (await http.post("/files", files=file, data={"purpose": "assistants"})).status_code == 200
        form = httpx.Request("POST", "http://x", files={"file": ("a.txt", b"x" * 2_000_000)})

        async def sent() -> AsyncIterator[bytes]:
            yield form.read()

        answer = await http.post("/files", content=sent(), headers={"content-type": form.headers["content-type"]})
        assert answer.status_code == 413
        assert (await http.get("/files")).json()["data"][0]["bytes"] == 100_000


async def test_who_asks_too_often_is_told_when_to_ask_again(tmp_path: Path) -> None:
    """Each key has its own minute; after the time that is said, there is an answer again."""
    clock = Clock()
    async with serving(tmp_path, clock=clock, requests_per_minute=3) as served:
        mine, other = await key(served, "mine"), await key(served, "other")
        async with raw(served, mine) as http, raw(served, other) as others:
            asked = [await http.get("/assistants") for _ in range(4)]
            assert [each.status_code for each in asked] == [200, 200, 200, 429]
            assert [each.headers.get("x-ratelimit-remaining-requests") for each in asked] == ["2", "1", "0", None]
            assert asked[-1].headers["retry-after"] == "20"
            assert asked[-1].json()["error"] == {
                "message": "Rate limit reached: 3 requests per minute. Please try again in 20s.",
                "type": "requests",
                "param": None,
                "code": "rate_limit_exceeded",
            }
            assert (await others.get("/assistants")).status_code == 200
            clock.now += 19
            assert (await http.get("/assistants")).status_code == 429
            clock.now += 1
            assert (await http.get("/assistants")).status_code == 200
            assert (await http.get("/assistants")).status_code == 429
        async with served.client(api_key=mine) as client:
            with pytest.raises(openai.RateLimitError):
                await client.beta.assistants.list()


async def test_each_answer_is_guarded_and_has_an_id(tmp_path: Path) -> None:
    """Success or refusal: an id to ask about, and nothing that a browser could run."""
    async with serving(tmp_path) as served:
        secret = await key(served)
        async with raw(served, secret) as http:
            answers = [
                await http.get("/assistants"),
                await http.get("/assistants/asst_none"),
                await http.post("/assistants", json={}),
                await http.get("/nothing"),
                await http.get("/assistants", headers={"authorization": ""}),
                await http.get(root(served) + "/healthz"),
            ]
        assert [each.status_code for each in answers] == [200, 404, 400, 404, 401, 200]
        assert len({each.headers["x-request-id"] for each in answers}) == len(answers)
        for answer in answers:
            assert answer.headers["x-request-id"].startswith("req_")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert answer.headers["cache-control"] == "no-store"


async def test_the_log_has_a_line_for_each_request_and_no_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not the key, not the query, and no line that somebody else has written by a path."""
    caplog.set_level(logging.INFO, "agentkit.server.access")
    async with serving(tmp_path) as served:
        secret = await key(served)
        async with raw(served, secret) as http:
            answer = await http.get(f"/assistants?api_key={secret}&after=asst_hidden")
            await http.get("/a%0Aforged%20line")
    lines = [record.getMessage() for record in caplog.records if record.name == "agentkit.server.access"]
    assert re.fullmatch(rf"GET /v1/assistants 404 [\d.]+ ms {answer.headers['x-request-id']} ours", lines[0])
    assert re.fullmatch(r"GET /v1/a%0Aforged%20line 404 [\d.]+ ms req_\w+ ours", lines[1])
    assert secret not in caplog.text
    assert "asst_hidden" not in caplog.text


async def test_health_is_told_to_whoever_asks(tmp_path: Path) -> None:
    """To probes that have no key and call the server by any name; not ready is no reason to be stopped."""
    async with serving(tmp_path) as served:
        await key(served)
        async with httpx.AsyncClient(base_url=root(served), headers={"host": "pod-7.cluster"}) as http:

            async def told() -> list[int]:
                return [(await http.get(path)).status_code for path in ("/healthz", "/readyz")]

            assert await told() == [200, 200]
            served.app.state.server.draining = True
            assert await told() == [200, 503]
            served.app.state.server.draining = False
            await done(served, "ALTER TABLE agentkit_server_version RENAME TO lost")
            assert await told() == [200, 503]
            await done(served, "ALTER TABLE lost RENAME TO agentkit_server_version")
            assert await told() == [200, 200]


async def test_an_error_of_the_servers_own_shows_nothing_of_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets the envelope and an id; the log has the id, and what has happened."""
    async with serving(tmp_path) as served, raw(served) as http:
        await http.post("/assistants", json={"model": "m"})
        await done(served, "UPDATE agentkit_objects SET body = 'broken'")
        answer = await http.get("/assistants")
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (500, "server_error")
    assert answer.headers["x-request-id"] in error["message"]
    assert "JSON" not in answer.text
    [record] = [each for each in caplog.records if each.exc_info]
    assert answer.headers["x-request-id"] in record.getMessage()


async def test_a_strict_server_wants_the_header_of_the_second_version(tmp_path: Path) -> None:
    """As OpenAI's did, in its words; what is none of Assistants takes no header."""
    async with serving(tmp_path, strict_beta=True) as served, raw(served) as http:
        for path in ("/assistants", "/threads/thread_x", "/vector_stores"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["error"]) == (
                400,
                {
                    "message": "You must provide the 'OpenAI-Beta' header to access the Assistants API. "
                    "Please try again by setting the header 'OpenAI-Beta: assistants=v2'.",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "invalid_beta",
                },
            )
        assert (await http.get("/files")).status_code == 200
        async with served.client() as client:
            assert (await client.beta.assistants.list()).data == []


async def test_who_is_refused_need_not_send_the_rest(tmp_path: Path) -> None:
    """A file of a gigabyte from somebody without a key: the answer comes, and the connection is closed."""
    async with serving(tmp_path) as served:
        await key(served)
        place = httpx.URL(served.base_url)
        async with await anyio.connect_tcp(place.host, place.port or 0) as stream:
            await stream.send(b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000000\r\n\r\n")
            answered = anyio.Event()
            got = b""

            async def read() -> None:
                nonlocal got
                with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    while True:
                        got += await stream.receive()
                answered.set()

            sent = 0
            async with anyio.create_task_group() as group:
                group.start_soon(read)
                with suppress(anyio.BrokenResourceError):
                    while not answered.is_set() and sent < 60_000_000:
                        await stream.send(b"x" * 100_000)
                        sent += 100_000
                with anyio.move_on_after(5):
                    await answered.wait()
                group.cancel_scope.cancel()
        assert got.startswith(b"HTTP/1.1 401")
        assert b"connection: close" in got
        assert sent < 60_000_000
