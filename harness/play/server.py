"""The server of the page: addresses, who may ask, and events as they come."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.play import words
from harness.play.request import LONGEST_BODY, Asked, BadRequest, TooLarge, read_request
from harness.play.studio import Studio

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope
    from starlette.types import Send as SendMessage

PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Bytes that are read and forgotten, because a browser does not read an answer before all is sent.
_MOST_DISCARDED = 200_000_000
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# The page loads its own files and nothing else; nobody frames it, and it sends no form anywhere.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def refusal(headers: Mapping[str, str], port: int) -> str:
    """Return why a request is not answered: its Host or its Origin is not this page's; else nothing.

    A name that somebody lets point to this computer is refused by its Host, and another page's script by its
    Origin, or by what the browser says of its site.
    """
    hosts = {f"{host}:{port}" for host in _LOOPBACK}
    if headers.get("host", "").lower() not in hosts:
        return words.WRONG_HOST
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
        return words.WRONG_ORIGIN
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        # A link or a bookmark may lead here; a script or a picture of another page may not.
        return "" if headers.get("sec-fetch-mode") == "navigate" else words.WRONG_ORIGIN
    return ""


class Guard:
    """Refuses requests that are not this page's, and adds the headers that keep the page to itself."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app, self._port = app, port

    async def __call__(self, scope: Scope, receive: Receive, send: SendMessage) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        problem = refusal(dict(pairs), self._port)
        if problem or _repeats(pairs, ("host", "origin")):
            await _problem(403, [problem or words.WRONG_HOST])(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _repeats(pairs: list[tuple[str, str]], names: tuple[str, ...]) -> bool:
    """True if a header is there twice, so that the one that was checked may not be the one that counts."""
    found = [name for name, _ in pairs if name in names]
    return len(found) != len(set(found))


def application(studio: Studio, port: int) -> Starlette:
    """Return the page's server."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Route

    def shown(
        view: Callable[[Any], dict[str, Any]], read: Callable[[Request], Awaitable[Any]]
    ) -> Callable[[Request], Any]:
        """Return an endpoint that shows a view of what is read from a request, or says what is wrong."""

        async def endpoint(request: Request) -> Response:
            try:
                return _json(await asyncio.to_thread(view, await read(request)))
            except BaseException as error:
                return _refused(studio, error)

        return endpoint

    async def write(request: Request) -> Response:
        from starlette.responses import StreamingResponse

        try:
            asked = await _asked(request)
            writing, writer, first = await asyncio.to_thread(studio.begin, asked)
        except BaseException as error:
            return _refused(studio, error)
        events = _Events()
        events.send("start", first)
        threading.Thread(
            target=_write, args=(studio, writing, writer, asked, events), name="writing", daemon=True
        ).start()
        return StreamingResponse(
            events.stream(writing.stop.set), media_type="text/event-stream", headers=HEADERS
        )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        threading.Thread(target=_warm_up, args=(studio,), name="warming", daemon=True).start()
        yield
        studio.close()

    routes = [
        Route("/api/state", shown(studio.state, _run_in_the_address)),
        Route("/api/runs", shown(lambda _: studio.runs(), _run_in_the_address)),
        Route("/api/course", shown(lambda _: studio.progress(), _run_in_the_address)),
        Route("/api/read", shown(studio.read, _asked), methods=["POST"]),
        Route("/api/likely", shown(studio.likely, _asked), methods=["POST"]),
        Route("/api/inside", shown(studio.inside, _asked), methods=["POST"]),
        Route("/api/write", write, methods=["POST"]),
        Route("/{name:path}", _page_file),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, port=port)],
        lifespan=lifespan,
        exception_handlers={404: _not_found, 405: _not_found},
    )


async def _run_in_the_address(request: Request) -> str | None:
    return request.query_params.get("run")


async def _asked(request: Request) -> Asked:
    """Return what a request asks for. Raises BadRequest."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise BadRequest(words.NOT_JSON_TYPE)  # what a form of another page can send is never this
    body, size = b"", 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= LONGEST_BODY:
            body += chunk
        elif size > _MOST_DISCARDED:
            break
    if size > LONGEST_BODY:
        raise TooLarge(words.TOO_LARGE)
    return await asyncio.to_thread(read_request, body)


async def _page_file(request: Request) -> Response:
    """Return a file of the page; only those that are in its folder have an address."""
    from starlette.responses import Response

    name = request.path_params["name"] or "index.html"
    if name not in {path.name for path in PAGE.iterdir()}:
        return _problem(404, [words.NOT_FOUND])
    path = PAGE / name
    content = await asyncio.to_thread(path.read_bytes)
    return Response(content, media_type=_TYPES[path.suffix], headers=HEADERS)


async def _not_found(_: Request, __: Exception) -> Response:
    return _problem(404, [words.NOT_FOUND])


def _write(studio: Studio, writing: Any, writer: Any, asked: Asked, events: _Events) -> None:
    try:
        studio.write(writing, writer, asked, events.send)
    finally:
        events.end()


def _warm_up(studio: Studio) -> None:
    with contextlib.suppress(BaseException):  # the page asks again, and shows what is wrong
        studio.warm_up()


def _refused(studio: Studio, error: BaseException) -> Response:
    """Return the answer to what cannot be done; it has the words that a terminal would have."""
    if isinstance(error, asyncio.CancelledError):
        raise error
    return _problem(413 if isinstance(error, TooLarge) else 400, studio.explain(error))


def _problem(status: int, lines: list[str]) -> Response:
    return _json({"problem": lines}, status)


def _json(facts: dict[str, Any], status: int = 200) -> Response:
    from starlette.responses import Response

    content = json.dumps(facts, separators=(",", ":"))  # in ASCII, so halves of pairs can be sent, too
    return Response(content, status, media_type="application/json", headers=HEADERS)


class _Events:
    """Events from the thread that writes to the page, in order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def send(self, event: str, facts: dict[str, Any]) -> None:
        """Send an event; from any thread."""
        self._put(f"event: {event}\ndata: {json.dumps(facts, separators=(',', ':'))}\n\n".encode())

    def end(self) -> None:
        """Say that nothing more comes."""
        self._put(None)

    def _put(self, item: bytes | None) -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    async def stream(self, when_gone: Callable[[], None]) -> AsyncIterator[bytes]:
        """Yield the events; call `when_gone` at the end, also if the page has closed the connection."""
        try:
            while (item := await self._queue.get()) is not None:
                yield item
        finally:
            when_gone()
