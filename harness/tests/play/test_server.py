"""The server over a socket: who is answered, with what, and how streams behave."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from harness.play.server import HEADERS, refusal
from harness.tests.play.conftest import Page

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def connect(page: Page) -> Callable[[], http.client.HTTPConnection]:
    return lambda: http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)


@pytest.fixture
def post(connect: Callable[[], http.client.HTTPConnection]) -> Callable[..., tuple[int, Any]]:
    """Post JSON, or bytes as they are; return the status and the answer."""

    def send(path: str, body: Any, headers: dict[str, str] = JSON) -> tuple[int, Any]:
        with closing(connect()) as connection:
            connection.request("POST", path, body if isinstance(body, bytes) else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    return send


def raw(page: Page, *lines: str, body: bytes = b"") -> str:
    """Send a request as it stands, and return the answer's head and body."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received.decode("latin-1")


def events(text: str) -> list[tuple[str, Any]]:
    parts = [part.split("\ndata: ") for part in text.removesuffix("\n\n").split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data)) for name, data in parts]


PORT = 8642
OWN = f"127.0.0.1:{PORT}"


@pytest.mark.parametrize(
    ("headers", "answered"),
    [
        ({"host": OWN}, True),
        ({"host": f"localhost:{PORT}"}, True),
        ({"host": f"[::1]:{PORT}"}, True),
        ({"host": OWN, "origin": f"http://{OWN}"}, True),
        ({"host": OWN, "sec-fetch-site": "same-origin"}, True),
        ({"host": OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, True),
        ({}, False),
        ({"host": "evil.example"}, False),
        ({"host": f"evil.example:{PORT}"}, False),
        ({"host": "127.0.0.1"}, False),
        ({"host": "127.0.0.1:80"}, False),
        ({"host": f"{OWN}.evil.example"}, False),
        ({"host": OWN, "origin": "http://evil.example"}, False),
        ({"host": OWN, "origin": "null"}, False),
        ({"host": OWN, "origin": f"https://{OWN}"}, False),
        ({"host": OWN, "origin": "http://127.0.0.1:9999"}, False),
        ({"host": OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, False),
    ],
    ids=str,
)
def test_only_this_page_is_answered(headers: dict[str, str], answered: bool) -> None:
    assert (refusal(headers, PORT) == "") is answered


def test_foreign_requests_are_refused_over_the_socket(page: Page) -> None:
    own = f"Host: 127.0.0.1:{page.port}"
    assert raw(page, "GET / HTTP/1.1", own).startswith("HTTP/1.1 200")
    for lines in (
        ["Host: evil.example"],
        [own, "Origin: http://evil.example"],
        [own, "Host: evil.example"],
        ["Host: evil.example", own],
        [own, "Origin: http://evil.example", f"Origin: http://127.0.0.1:{page.port}"],
    ):
        for path in ("/", "/api/state", "/play.css"):
            answer = raw(page, f"GET {path} HTTP/1.1", *lines)
            assert answer.startswith(("HTTP/1.1 403", "HTTP/1.1 400")), lines
            assert "katas" not in answer, lines
    assert raw(page, "GET / HTTP/1.0").startswith("HTTP/1.1 403")


def test_another_computer_has_no_way_to_the_page(page: Page) -> None:
    with socket.socket() as own:
        own.connect(("127.0.0.1", page.port))
    outside = socket.gethostbyname_ex(socket.gethostname())[2]
    for address in [each for each in outside if not each.startswith("127.")]:
        with pytest.raises(OSError), socket.create_connection((address, page.port), timeout=5):
            pass


def test_every_answer_keeps_the_page_to_itself(connect: Callable[[], Any]) -> None:
    for path, status in (("/", 200), ("/app.js", 200), ("/api/course", 200), ("/nothing", 404)):
        with closing(connect()) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == status
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS
            assert "server" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/../words.py", "/..%2fwords.py", "/%2e%2e/words.py", "/page/index.html", "//etc/passwd"]
)
def test_only_files_of_the_page_have_an_address(path: str, page: Page) -> None:
    answer = raw(page, f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{page.port}")
    assert answer.startswith("HTTP/1.1 404")
    assert "There is nothing at this address" in answer


def test_a_form_of_another_page_could_not_ask_for_anything(post: Callable[..., Any]) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        status, answer = post("/api/read", b'{"prompt": "line"}', {"Content-Type": kind})
        assert (status, answer["problem"]) == (400, ["This server takes JSON only. Load the page again."])


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "line",
        "\n" * 500,
        "line 1 " * 2800,
        "x" * 20_001,
        "Zoë",
        "\ud800",
        "\x00",
        "🦜" * 900,
        "\u202eline",
        "l\u0301ine",
    ],
    ids=lambda text: f"{len(text)}x{text[:6]!a}",
)
def test_every_prompt_is_answered_with_text_or_a_message(prompt: str, post: Callable[..., Any]) -> None:
    status, answer = post("/api/read", {"run": "core", "prompt": prompt})
    assert status == (200 if "ids" in answer else 400)
    assert answer.get("ids") or answer["problem"][0]
    if "\u202e" in prompt:
        assert "\u202e" not in json.dumps(answer, ensure_ascii=False), "shown, not obeyed"


def test_unknown_characters_are_explained_as_harness_sample_does(
    post: Callable[..., Any], sample: Callable[..., str]
) -> None:
    with pytest.raises(ValueError) as refused:
        sample("Zoë", 3)
    _, answer = post("/api/read", {"run": "core", "prompt": "Zoë"})
    assert answer["problem"] == [str(refused.value)]


def test_a_body_that_is_too_large_is_answered_with_a_message(post: Callable[..., Any]) -> None:
    for prompt in ("x" * 500_000, "🦜" * 1_000_000):
        status, answer = post("/api/read", {"prompt": prompt})
        assert (status, answer["problem"]) == (413, ["The request is too large. Give a shorter text."])


@pytest.mark.parametrize("path", ["/api/write", "/api/likely", "/api/inside"])
def test_a_request_without_sense_is_answered_with_a_message(path: str, post: Callable[..., Any]) -> None:
    for body in (
        b"{",
        b"[]",
        {"ids": [10**9], "count": 1},
        {"run": "../../etc"},
        {"ids": [1], "position": 5},
    ):
        status, answer = post(path, body)
        assert status == 400
        assert answer["problem"][0]


def test_a_stream_has_an_event_for_each_token(connect: Callable[[], Any], sample: Callable[..., str]) -> None:
    with closing(connect()) as connection:
        asked = {"run": "core", "prompt": "line", "count": 8, "seed": 2}
        connection.request("POST", "/api/write", json.dumps(asked), JSON)
        answer = connection.getresponse()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        found = events(answer.read().decode())
    assert [name for name, _ in found] == ["start", "prompt", *["token"] * 8, "end"]
    assert found[-1][1]["text"] == sample("line", 8, seed=2)


def test_a_stream_says_what_went_wrong_in_the_katas(connect: Callable[[], Any]) -> None:
    with closing(connect()) as connection:
        asked = {"run": "core", "prompt": "line", "count": 8, "settings": {"temperature": -1}}
        connection.request("POST", "/api/write", json.dumps(asked), JSON)
        found = events(connection.getresponse().read().decode())
    assert found[-1] == ("problem", {"lines": ["temperature must be positive and finite, not -1.0"]})


def test_a_page_that_is_closed_ends_its_text_and_others_go_on(
    connect: Callable[[], Any], post: Callable[..., Any]
) -> None:
    connection = connect()
    asked = {"run": "core", "prompt": "line", "count": 2000}
    connection.request("POST", "/api/write", json.dumps(asked), JSON)
    stream = connection.getresponse()
    first = json.loads(stream.readline() and stream.readline().removeprefix(b"data: "))
    assert post("/api/likely", {"run": "core", "ids": first["ids"]})[0] == 200, (
        "it gets a turn between two tokens"
    )
    stream.close()
    connection.close()
    more = {"run": "core", "ids": first["ids"], "writing": first["writing"], "count": 1}
    with closing(connect()) as other:
        other.request("POST", "/api/write", json.dumps(more), JSON)
        found = events(other.getresponse().read().decode())
    assert len(found[0][1]["ahead"]) < 2000, "it was stopped"


def test_the_state_changes_with_the_files_and_not_without(page: Page, connect: Callable[[], Any]) -> None:
    def state() -> dict[str, Any]:
        with closing(connect()) as connection:
            connection.request("GET", "/api/state?run=core")
            return json.loads(connection.getresponse().read())

    first = state()
    assert first["run"] == "core"
    assert set(first["runs"]) == {"core", "modern"}
    assert first["minP"] is True
    assert {name: value for name, value in state().items() if name != "pair"} == {
        name: value for name, value in first.items() if name != "pair"
    }


def test_an_unknown_run_has_no_model_and_stops_nothing(connect: Callable[[], Any]) -> None:
    with closing(connect()) as connection:
        connection.request("GET", "/api/state?run=%00nothing")
        assert json.loads(connection.getresponse().read())["run"] is None
