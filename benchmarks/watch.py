"""Time from a save to the verdict of `harness watch`, against a cold `pytest` for the same test.

    python benchmarks/watch.py                  # about five minutes on two idle cores
    python benchmarks/watch.py --kills 200      # about fifteen more

This works on a copy of the katas, in its own terminal, and needs Linux (processes and memory are read from
/proc). Cold runs and saves alternate, so that other load on the machine slows down both.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
from repository import repository_root
from rich.console import Console
from rich.progress import track
from rich.table import Table

from harness.course.katas import Kata, load_course, resolve_kata
from harness.course.slips import read_slips
from harness.tests.support.plugins import AS_A_LEARNER
from harness.tests.support.terminal import Terminal
from harness.watch.spare import READY

FOOT = "q quit"
COPIED = ("katas", "solutions", "pyproject.toml", "conftest.py")
SAVES_PER_COLD_RUN = 3
LONGEST_KILL = 0.4  # seconds after a save: before, during or after the run
SEED = 0


@click.command()
@click.option("--kata", "name", default="01", show_default=True, help="The kata whose tests run.")
@click.option("--saves", default=30, show_default=True)
@click.option("--kills", default=0, show_default=True, help="The number of further saves, with random kills.")
def main(name: str, saves: int, kills: int) -> None:
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        kata = copied_course(Path(folder), name)
        table = Table("measurement", "median", "95th percentile", "sample", box=None, padding=(0, 2, 0, 0))
        first, memory, warm, cold = compare(kata, saves, console)
        ratio = statistics.median(cold) / statistics.median(warm)
        table.add_row("save to verdict", *spread(warm), f"{len(warm)} saves")
        table.add_row("cold pytest", *spread(cold), f"{len(cold)} runs")
        table.add_row("cold / watch", f"{ratio:.1f}x", "", "")
        table.add_row("start to first verdict", f"{first:.2f} s", "", "1 start")
        table.add_row("memory, idle", f"{memory / 1e6:.0f} MB", "", "watch and its spare process (PSS)")
        console.print(table)
        if kills:
            console.print(survive(kata, kills, console))
        console.print(f"kata {kata.title}; load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")


def copied_course(folder: Path, name: str) -> Kata:
    """Copy this repository's katas, with every kata before this one solved and complete."""
    root = repository_root()
    for part in COPIED:
        copy = shutil.copytree if (root / part).is_dir() else shutil.copy2
        copy(root / part, folder / part)
    course = load_course(folder)
    kata = resolve_kata(course, name)
    for each in course.katas:
        each.stub.write_text(each.solution.read_text())
    earlier = [f"katas/{each.number}" for each in course.katas if each.number < kata.number]
    run_to_end(folder, [*earlier, "--all"] if earlier else ["--version"])
    return kata


def compare(kata: Kata, saves: int, console: Console) -> tuple[float, int, list[float], list[float]]:
    """Return seconds to the first verdict, bytes of the idle watch, and seconds of saves and of cold runs."""
    slipped = read_slips(kata)[0].apply(kata.solution.read_text())
    kata.stub.write_text(slipped)
    warm: list[float] = []
    cold: list[float] = []
    with Watched(kata) as watched:
        first = watched.first
        watched.wait_until_warm()
        memory = sum(resident(pid) for pid in watched.processes())
        for number in track(range(saves), "saves", console=console, transient=True):
            if number % SAVES_PER_COLD_RUN == 0:
                cold.append(run_to_end(kata.root, [f"katas/{kata.number}"]))
            watched.wait_until_warm()
            warm.append(watched.save(f"{slipped}\n# save {number}\n"))
    return first, memory, warm, cold


def survive(kata: Kata, saves: int, console: Console) -> str:
    """Save repeatedly while killing processes at random; every save must get its own verdict."""
    draw = random.Random(SEED)
    source = kata.solution.read_text()
    with Watched(kata) as watched:
        for number in track(range(saves), "kills", console=console, transient=True):
            if draw.random() < 0.3:
                watched.kill_children()  # the spare, warm or still warming up
            moment = draw.uniform(0, LONGEST_KILL) if draw.random() < 0.3 else None
            watched.save(f"{source}\nraise ValueError('save {number}.')\n", f"save {number}.", moment)
    processes = [pid for pid in watched.seen if "harness.watch.spare_process" in command_line(pid)]
    folders = list(watched.temporary.iterdir())
    return (
        f"{saves} saves, {watched.kills} kills: every save got its verdict; "
        f"{len(processes)} processes and {len(folders)} temporary files left over"
    )


class Watched:
    """`harness watch KATA` in a terminal."""

    def __init__(self, kata: Kata) -> None:
        self._kata = kata
        self.kills = 0
        self.seen: set[int] = set()  # every process ever started
        self.temporary = kata.root / "temporary"
        self.temporary.mkdir(exist_ok=True)
        began = time.perf_counter()
        command = [sys.executable, "-m", "harness", "watch", kata.number]
        variables = {"TMPDIR": str(self.temporary), "PYTEST_ADDOPTS": AS_A_LEARNER}
        self._terminal = Terminal(command, kata.root, cold=True, **variables)
        self._terminal.wait_for(FOOT)
        self.first = time.perf_counter() - began

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._terminal.type("q")
        self._terminal.wait_for_end()
        self._terminal.close()

    def save(self, source: str, expected: str = "", kill_after: float | None = None) -> float:
        """Save as most editors do, by renaming a temporary file; return the seconds to the last line."""
        temporary = self._kata.stub.with_suffix(".tmp")
        temporary.write_text(source)
        began = time.perf_counter()
        temporary.replace(self._kata.stub)
        if kill_after is not None:
            time.sleep(kill_after)
            self.kill_children()
        if expected:
            self._terminal.wait_for(expected)
        self._terminal.wait_for(FOOT)
        return time.perf_counter() - began

    def wait_until_warm(self) -> None:
        while not any((folder / READY).exists() for folder in self.flights()):
            time.sleep(0.02)
        time.sleep(0.2)  # let it settle

    def flights(self) -> list[Path]:
        """Return the spares' folders; each is the last argument on its spare's command line."""
        return [
            Path(words[-1])
            for words in map(command_line, self.children())
            if "harness.watch.spare_process" in words
        ]

    def children(self) -> list[int]:
        pid = self._terminal.process.pid
        with suppress(OSError):
            found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            self.seen.update(found)
            return found
        return []

    def processes(self) -> list[int]:
        return [self._terminal.process.pid, *self.children()]

    def kill_children(self) -> None:
        for child in self.children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                self.kills += 1


def run_to_end(folder: Path, arguments: Sequence[str]) -> float:
    """Run `pytest ARGUMENTS` in a terminal and return the seconds taken."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "pytest", *arguments]
    terminal = Terminal(command, folder, cold=True, PYTEST_ADDOPTS=AS_A_LEARNER)
    terminal.wait_for_end()
    seconds = time.perf_counter() - began
    terminal.close()
    return seconds


def command_line(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    return []


def resident(pid: int) -> int:
    """Return the bytes of memory that a process uses, with its share of shared pages (PSS)."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))


def spread(seconds: Sequence[float]) -> tuple[str, str]:
    """Return the median and the 95th percentile."""
    rank = min(round(0.95 * len(seconds)), len(seconds) - 1)
    return f"{statistics.median(seconds):.2f} s", f"{sorted(seconds)[rank]:.2f} s"


if __name__ == "__main__":
    main()
