"""The loop of `harness watch`: saves and keys in, runs and their verdicts out.

    editor   saves.follow    Watch                         Spare process (spare_process.py)
      |  save    |  queue     |                              |  has imported everything
      |--------->|----------->| decisions: what to run       |
      |          |            |---- RunOrder, by stdin ----->|
      |          |            |                              |  pytest: one run, its block printed
      |          |            |<--- events.jsonl ------------|  each step, for the time limits
      |          |            | look(): Ending               |  exits, or hangs and is killed
      |          |            | conclude: news, key line     |
      |          |            |---- SparePool.tend --------->|  the next one warms up

The queue holds the calls of the other threads; only this loop touches requests and runs.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import hint, solution, status
from harness.commands.words import solution_refused
from harness.course.katas import Course, Kata
from harness.isolation.supervisor import Ending, Signals, raise_on_signals
from harness.pairing import commands
from harness.progress.ledger import Ledger
from harness.progress.standing import current_kata, next_kata
from harness.terminal.keys import single_keys
from harness.terminal.lines import Line
from harness.terminal.show import show
from harness.watch import decisions, saves
from harness.watch import words as say
from harness.watch.decisions import RunRequest
from harness.watch.spare import RunOrder, Spare, SparePool

if TYPE_CHECKING:
    from harness.run.report import RunReport

_BUSY = 0.005  # seconds between two checks of a process that runs or warms up
_IDLE = 0.5  # seconds between two checks of one that waits; saves and keys are noticed at once
_HEAD_START = 0.5  # seconds of a run before the next spare may warm up: most runs are over by then


@dataclass
class CurrentRun:
    """A run that has started and not ended."""

    request: RunRequest
    spare: Spare
    report: RunReport
    output: Path | None  # where a silent run prints
    began: float


def watch(course: Course, chosen: Kata | None) -> None:
    """Run the tests whenever a file is saved, and obey single keys, until `q`.

    Raises CannotWarm if the process that runs the tests cannot start.
    """
    with (
        raise_on_signals() as signals,
        contextlib.closing(Watch(course, chosen, signals)) as watcher,
        _saves_delivered(course, watcher.saved),
        single_keys(watcher.typed),
    ):
        watcher.go()


class Watch:
    """The requested run, the current run, and the queue of saves and keys."""

    def __init__(self, course: Course, chosen: Kata | None, signals: Signals) -> None:
        self._course = course
        self._chosen = chosen  # None: follow the learner's progress
        self._signals = signals
        self._spares = SparePool(course.root)
        self._wanted: RunRequest | None = None
        self._running: CurrentRun | None = None
        self._said_warming = False
        self._looked = 0.0  # at the time, on the monotonic clock
        self._was_up = False
        self._leaving = False
        self._actions: dict[str, Callable[[], None]] = {
            "run": self._run,
            "hint": self._hint,
            "next": self._next,
            "previous": self._previous,
            "status": self._status,
            "solution": self._solution,
            "trace": self._trace,
            "demo": self._demo,
            "keys": self._keys,
            "quit": self._quit,
        }
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._shown = self._first_shown()

    # --- from other threads ---

    def saved(self, paths: Sequence[Path]) -> None:
        """Take in that files were saved."""
        self._calls.put(lambda: self._on_save(paths))

    def typed(self, key: str) -> None:
        """Take in that a key was typed."""
        self._calls.put(lambda: self._on_key(key))

    # --- the loop ---

    def go(self) -> None:
        """Loop until `q`."""
        self._spares.tend()  # first, so that it warms up while this process imports the rest
        progress = Ledger(self._course).progress()
        works = decisions.has_work(progress, self._chosen)
        show(say.started(self._chosen is None, self._shown if works else None))
        if works:
            self._want("start")
        else:
            show([say.KEY_LINE])
        while not self._leaving:
            self._signals.raise_dropped()
            self._tend()
            self._advance()
            self._look_at_the_time()
            self._take_calls()

    def close(self) -> None:
        """End every process at once."""
        if self._running:
            self._running.spare.discard()
        self._spares.close()

    def _tend(self) -> None:
        """Keep a spare ready, without taking the processor from a run that is nearly over."""
        if self._running is None or time.monotonic() - self._running.began > _HEAD_START:
            self._spares.tend()

    def _advance(self) -> None:
        if self._running:
            ending = self._running.spare.look()
            if ending:
                self._conclude(self._running, ending)
        elif self._wanted:
            spare = self._spares.take()
            if spare:
                self._begin(self._wanted, spare)
            else:
                self._say_warming(self._wanted)

    def _take_calls(self) -> None:
        busy = self._running or self._wanted
        with contextlib.suppress(queue.Empty):
            self._calls.get(timeout=_BUSY if busy else _IDLE)()

    def _look_at_the_time(self) -> None:
        """Run the tests when a pair's turn is over; at their end the two swap (harness/pairing)."""
        now = time.monotonic()
        if self._running or self._wanted or now - self._looked < _IDLE:
            return
        self._looked = now
        up = commands.time_is_up(self._course, time.time())
        if up and not self._was_up:
            self._want("time")
        self._was_up = up  # a run that could not be recorded is not repeated forever

    # --- runs ---

    def _want(self, why: str, saved: Sequence[str] = (), options: tuple[str, ...] = ()) -> None:
        katas = decisions.katas_to_run(Ledger(self._course).progress(), self._chosen)
        self._wanted = RunRequest(tuple(katas), why, tuple(saved), options)

    def _begin(self, request: RunRequest, spare: Spare) -> None:
        # Imports pytest, which takes longer than starting a spare.
        from harness.run.report import RunReport

        self._wanted, self._said_warming = None, False
        if not request.silent:
            show(say.running(request.katas, request.why, request.saved))
        ledger = Ledger(self._course)
        report = RunReport(self._course, ledger, [kata.name for kata in request.katas])
        output = _file_for_output() if request.silent else None
        spare.give(RunOrder(request.arguments, str(output or "")))
        self._running = CurrentRun(request, spare, report, output, time.monotonic())
        if not request.silent:
            self._shown = self._kata_shown(request)

    def _conclude(self, run: CurrentRun, ending: Ending) -> None:
        self._end_run(run)
        if decisions.another_try(ending, run.request.tries):
            show([] if run.request.silent else [say.KILLED])
            self._wanted = self._wanted or replace(run.request, tries=run.request.tries + 1)
            return
        lines = [] if ending.exit_status is not None else self._lines_after_death(run, ending)
        if run.request.silent:
            self._conclude_silent(run, ending, lines)
        else:
            show(lines)
            self._show_news(run)
            self._show_foot()

    def _lines_after_death(self, run: CurrentRun, ending: Ending) -> list[Line]:
        from harness.run.death import lines_after

        lines = lines_after(run.report, ending)
        return [*lines, *commands.after_run(self._course, run.report.ledger, time.time())]

    def _end_run(self, run: CurrentRun) -> None:
        self._running = None
        run.spare.discard()

    def _cancel(self, note: Line) -> None:
        if self._running:
            show([] if self._running.request.silent else [note])
            _delete(self._running.output)
            self._end_run(self._running)
        self._wanted = None

    def _say_warming(self, request: RunRequest) -> None:
        if not self._said_warming and not request.silent:
            self._said_warming = True
            show([Line(say.WARMING, "dim")])

    # --- after a run ---

    def _show_foot(self) -> None:
        show([*commands.turn_line(self._course, time.time()), say.KEY_LINE])

    def _show_news(self, run: CurrentRun) -> None:
        ledger = run.report.ledger
        ledger.reread()
        progress = ledger.progress()
        done = decisions.completed(ledger.complete_before, progress)
        for kata in done:
            self._on_completion(kata, ledger)
        for each in progress:
            news = ledger.newly_passed.get(each.kata.name, ())
            if news and each.kata not in done:
                show(say.celebration(each, len(news)))

    def _on_completion(self, kata: Kata, ledger: Ledger) -> None:
        progress = ledger.progress()
        show(say.kata_done(progress, next_kata(progress)))
        self._chosen = None
        earlier = decisions.earlier_ones(progress, kata)
        if earlier and not self._wanted:
            self._wanted = RunRequest(earlier, "earlier")

    def _conclude_silent(self, run: CurrentRun, ending: Ending, lines: Sequence[Line]) -> None:
        printed = run.output.read_text(encoding="utf-8", errors="replace") if run.output else ""
        _delete(run.output)
        if ending.exit_status == 0:
            show(say.earlier_pass(run.request.katas))
        else:
            block = (Line(line) for line in printed.splitlines())
            show([*say.earlier_fail(), *block, *lines, say.KEY_LINE])

    # --- saves and keys ---

    def _on_save(self, paths: Sequence[Path]) -> None:
        self._cancel(say.CANCELLED)
        self._want("saved", [path.name for path in paths])

    def _on_key(self, key: str) -> None:
        action = decisions.action_of(key)
        if action:
            self._actions[action]()

    def _run(self) -> None:
        self._cancel(say.STOPPED)
        self._want("key")

    def _trace(self) -> None:
        self._cancel(say.STOPPED)
        self._want("trace", options=decisions.TRACE)

    def _next(self) -> None:
        self._choose(decisions.neighbour(self._course, self._shown, +1))

    def _previous(self) -> None:
        self._choose(decisions.neighbour(self._course, self._shown, -1))

    def _choose(self, kata: Kata) -> None:
        current = current_kata(Ledger(self._course).progress())
        follows = current is not None and current.kata == kata
        self._chosen, self._shown = None if follows else kata, kata
        show(say.chosen(kata, follows))
        self._cancel(say.STOPPED)
        self._want("chosen")

    def _hint(self) -> None:
        try:
            show(hint.next_hint(self._course, Ledger(self._course).progress(), self._chosen))
        except hint.NoHint as reason:
            show([Line(str(reason))])
        show([say.KEY_LINE])

    def _status(self) -> None:
        ledger = Ledger(self._course)
        progress = ledger.progress()
        status.show_table(progress)
        show([*status.closing_lines(progress, ledger.stored, self._course)])
        self._show_foot()

    def _solution(self) -> None:
        standing = Ledger(self._course).of(self._shown)
        if standing.complete or solution.gave_up(self._course, self._shown):
            solution.show(self._shown)
        else:
            show([Line(solution_refused(standing))])
        show([say.KEY_LINE])

    def _demo(self) -> None:
        """Run the demo in the foreground: Ctrl-C ends it, and watch continues."""
        if self._running:
            show([say.DEMO_WAITS])
            return
        command = [sys.executable, "-m", "harness", "demo"]
        demo = subprocess.Popen(command, cwd=self._course.root, stdin=subprocess.DEVNULL)
        status_of_demo = _wait_for(demo)
        self._signals.forget()  # Ctrl-C was for the demo
        show(say.demo_ended(status_of_demo))
        show([say.KEY_LINE])

    def _keys(self) -> None:
        show([*say.keys_explained(), say.KEY_LINE])

    def _quit(self) -> None:
        show([say.GOODBYE])
        self._leaving = True

    # --- which kata ---

    def _first_shown(self) -> Kata:
        progress = Ledger(self._course).progress()
        following = next_kata(progress)
        return self._chosen or (following.kata if following else progress[-1].kata)

    def _kata_shown(self, request: RunRequest) -> Kata:
        return request.katas[-1] if len(request.katas) < len(self._course.katas) else self._shown


@contextlib.contextmanager
def _saves_delivered(course: Course, deliver: Callable[[Sequence[Path]], None]) -> Iterator[None]:
    """Follow the files of the katas in a thread while the block runs."""
    stop = threading.Event()
    thread = threading.Thread(target=saves.follow, args=(course.root / "katas", deliver, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=2)


def _wait_for(process: subprocess.Popen[bytes]) -> int:
    """Return the exit status of a process that Ctrl-C ends, but not this one."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the process received it, too
        except BaseException:
            process.kill()
            raise


def _file_for_output() -> Path:
    descriptor, path = tempfile.mkstemp(prefix="harness-")
    os.close(descriptor)
    return Path(path)


def _delete(path: Path | None) -> None:
    if path:
        path.unlink(missing_ok=True)
