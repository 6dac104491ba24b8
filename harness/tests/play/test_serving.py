"""`harness play` as a command: its address, its browser, its refusals and its end."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.course.katas import Course
from harness.play import serving
from harness.play.serving import CannotServe, check_extra, has_screen, open_socket
from harness.tests.play.conftest import Page, start_page
from harness.tests.support.miniature import Miniature

pytestmark = pytest.mark.measured


def test_the_command_prints_whose_katas_are_at_work_and_the_address(page: Page) -> None:
    assert page.printed == (
        f"The reference is at work in place of your katas: 00–09.\nOpen {page.address}   (Ctrl-C ends it)\n"
    )


def test_a_socket_is_on_the_loopback_interface_only() -> None:
    with open_socket(None) as opened:
        assert opened.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_in_use_is_replaced_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(CannotServe) as refused:
            open_socket(taken)
        assert f"Port {taken} is in use by another program." in str(refused.value)
        assert "harness play --port " in str(refused.value)
        monkeypatch.setattr(serving, "PORT", taken)
        with open_socket(None) as opened:
            assert opened.getsockname()[1] != taken


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_extra()
    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CannotServe) as refused:
        check_extra()
    assert str(refused.value) == (
        'harness play needs two more packages. Install them:  python -m pip install -e ".[play]"'
    )


def test_a_folder_without_a_model_is_refused(mini: Miniature, tmp_path: Path) -> None:
    done = mini.harness("play", "--no-open", "--run-dir", str(tmp_path / "none"))
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "holds no trained model" in done.err


def test_a_browser_is_opened_only_where_there_is_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not has_screen()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert has_screen()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert has_screen()


def test_the_browser_gets_the_address(
    mini: Miniature, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import uvicorn

    opened: list[str] = []
    done: list[Any] = []
    monkeypatch.setattr(serving, "has_screen", lambda: True)
    monkeypatch.setattr(serving.webbrowser, "open", opened.append)

    def run(server: Any, sockets: list[Any]) -> None:
        done.append(sockets[0].getsockname())
        while not opened:
            pass

    monkeypatch.setattr(uvicorn.Server, "run", run)
    serving.serve(mini.course, None, solutions=False, port=None, opens=True, show=lambda lines: None)
    assert opened == [f"http://127.0.0.1:{done[0][1]}"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_ends_the_page_also_while_a_text_is_being_written(course: Course) -> None:
    process, served = start_page(
        course.root, "--solutions", "--run-dir", str(course.root / "runs" / "modern")
    )
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        body = b'{"prompt": "line", "count": 2000}'
        head = (
            f"POST /api/write HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: application/json\r\n"
        )
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out.decode() == "The page has ended.\n"
    assert err == b""
