"""A local HTTP server that misbehaves on request."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Behaviour:
    """How the server answers; `asked` lists the Range headers received."""

    content: bytes
    status: int = 200
    stop_after: int | None = None  # bytes of the body, then the connection is closed
    stall: float = 0.0  # seconds of silence before closing it
    drip: str = ""  # "headers" or "body": these are sent byte by byte, without end
    ranges: bool = True  # False: Range headers are ignored
    shift: int = 0  # the offset of the range sent from the one requested
    says_length: bool = True
    asked: list[str | None] = field(default_factory=list)


@dataclass(frozen=True)
class Server:
    """The address, and the behaviour, which a test may change."""

    url: str
    behaviour: Behaviour


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """A server of `content` while the context lasts."""
    behaviour = Behaviour(content)
    handler = type("_Bound", (_Handler,), {"behaviour": behaviour})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}/input.txt", behaviour)
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        does, wanted = self.behaviour, self.headers.get("Range")
        does.asked.append(wanted)
        body, start = does.content, None
        if does.drip == "headers":
            return self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        if match and does.ranges and does.status == 200:
            start = int(match[1]) + does.shift
            body = body[start:]
        if start is not None and start >= len(does.content):
            return self.send_error(416)
        self.send_response(does.status if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(does.content) - 1}/{len(does.content)}")
        if does.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send(body)

    def _drip(self, begin: bytes) -> None:
        """Send a byte now and then, until the other side has gone."""
        self.close_connection = True
        self.wfile.write(begin)
        with suppress(OSError):
            while True:
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.02)

    def _send(self, body: bytes) -> None:
        if self.behaviour.drip:
            return self._drip(body[: self.behaviour.stop_after])
        self.wfile.write(body[: self.behaviour.stop_after])
        self.wfile.flush()
        time.sleep(self.behaviour.stall)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""
