"""Tests of the flight recorder in this process; test_supervisor.py has those of whole runs."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from harness.course.test_case import TestCase
from harness.isolation import recorder as module
from harness.isolation.recorder import EVENTS, Recorder, TooSlow

CASE = TestCase("k00_doubles", "test_double", "test_double[1]")
needs_alarms = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX alarms")


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """A recorder that leaves this process's signals and `os._exit` alone."""
    monkeypatch.setattr(module, "ASKS_BY_SIGNAL", False)
    monkeypatch.setattr(module.faulthandler, "dump_traceback_later", lambda *_, **__: None)
    monkeypatch.setattr(module.faulthandler, "cancel_dump_traceback_later", lambda: None)
    monkeypatch.setattr(os, "_exit", lambda status: None)
    return Recorder(tmp_path, limit=5)


def events(tmp_path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (tmp_path / EVENTS).read_text().splitlines()]


def test_each_step_is_recorded_when_it_begins_and_ends(recorder: Recorder, tmp_path: Path) -> None:
    recorder.begin_test(CASE, limit=3)
    with recorder.importing(Path("a.py")):
        pass
    recorder.end_test()
    recorder.pause()
    names = [event["event"] for event in events(tmp_path)]
    assert names == ["test", "import", "imported", "tested", "paused"]
    assert events(tmp_path)[1] == {"event": "import", "limit": 5, "path": "a.py"}
    assert TestCase(**events(tmp_path)[0]["case"]) == CASE  # type: ignore[arg-type]


def test_a_hard_exit_is_recorded_with_its_stack(recorder: Recorder, tmp_path: Path) -> None:
    os._exit(4)
    event = events(tmp_path)[0]
    assert (event["event"], event["status"]) == ("os._exit", 4)
    assert event["stack"][0][0] == __file__  # type: ignore[index]


def test_a_forked_process_records_nothing(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)
    recorder.record("finished")
    assert events(tmp_path) == []


@needs_alarms
def test_an_import_without_end_is_interrupted_even_without_a_supervisor() -> None:
    with pytest.raises(TooSlow, match=r"still running after 0\.05 s"), Recorder(None, 0.05).importing(Path()):
        while True:
            pass


@needs_alarms
def test_an_alarm_that_was_running_is_restarted() -> None:
    handler = signal.getsignal(signal.SIGALRM)
    before, _ = signal.setitimer(signal.ITIMER_REAL, 50)
    try:
        with Recorder(None, 10).importing(Path()):
            assert signal.getitimer(signal.ITIMER_REAL)[0] <= 10
            time.sleep(0.01)
        assert 40 < signal.getitimer(signal.ITIMER_REAL)[0] < 50
        assert signal.getsignal(signal.SIGALRM) is handler
    finally:
        signal.setitimer(signal.ITIMER_REAL, before)
