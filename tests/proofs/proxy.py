"""Between the SDK's own tests and a live server: puts real ids where the tests have made-up ones.

`python proxy.py SERVER_URL KEY MODEL LOG`; prints its URL. For each request it makes what the request names, afresh.
Of the answers nothing is changed; what the server refuses is in the log, with the request.
"""

import json
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TextIO
from urllib.parse import parse_qsl, unquote, urlencode

import anyio
import httpx2
import uvicorn
from making import Maker, MakingFailed
from real_ids import Asked, make_real
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

_OWN = {"authorization", "accept-encoding", "connection", "content-encoding", "content-length", "host"}
"""Headers of one leg of the way only."""
_NO_RETRY = {"x-should-retry": "false"}


def application(server: str, key: str, model: str, log: TextIO) -> Starlette:
    """The proxy before the server of this URL, whose model is called so."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        headers = {"authorization": f"Bearer {key}", "openai-beta": "assistants=v2"}
        async with httpx2.AsyncClient(base_url=server, headers=headers, timeout=60) as client:
            app.state.client, app.state.make, app.state.log = client, Maker(client, model), log
            yield

    methods = ["GET", "POST", "DELETE"]
    return Starlette(routes=[Route("/{path:path}", _handle, methods=methods)], lifespan=lifespan)


async def _handle(request: Request) -> Response:
    content = await request.body()
    has_json = bool(content) and "json" in request.headers.get("content-type", "")
    asked = Asked(
        method=request.method,
        path=[unquote(part) for part in request.url.path.strip("/").split("/")],
        query=parse_qsl(request.url.query, keep_blank_values=True),
        body=json.loads(content) if has_json else None,
    )
    try:
        await make_real(asked, request.app.state.make)
    except MakingFailed as error:
        return JSONResponse({"error": {"message": str(error)}}, status_code=424, headers=_NO_RETRY)
    if asked.body is not None:
        content = json.dumps(asked.body).encode()
    return await _passed_on(request, asked, content)


async def _passed_on(request: Request, asked: Asked, content: bytes) -> Response:
    client: httpx2.AsyncClient = request.app.state.client
    url = "/" + "/".join(asked.path) + (f"?{urlencode(asked.query)}" if asked.query else "")
    headers = _without_own(request.headers)
    if asked.body is not None:
        headers["content-type"] = "application/json"
    answer = await client.send(client.build_request(asked.method, url, headers=headers, content=content), stream=True)
    if answer.status_code != 200:
        told = (await answer.aread()).decode(errors="replace")
        sent = content.decode(errors="replace")
        print(asked.method, url, sent, answer.status_code, told, file=request.app.state.log, flush=True)
        return Response(told, status_code=answer.status_code, headers=_NO_RETRY, media_type="application/json")

    async def pieces() -> AsyncIterator[bytes]:
        try:
            async for piece in answer.aiter_bytes():
                yield piece
        finally:
            with anyio.CancelScope(shield=True):
                await answer.aclose()

    return StreamingResponse(pieces(), headers=_without_own(answer.headers))


def _without_own(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OWN}


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as door, open(sys.argv[4], "w", encoding="utf-8") as log:
        print(f"http://127.0.0.1:{door.getsockname()[1]}", flush=True)
        config = uvicorn.Config(application(*sys.argv[1:4], log), log_level="critical", lifespan="on")
        uvicorn.Server(config).run([door])
