"""`harness validate`: everything that tox runs, and one table of what ran, how long it took, what failed."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.authoring import validate_words as words
from harness.terminal.lines import encodable

_FAILED_TEST = re.compile(r"^(?:FAILED|ERROR) (\S+::\S+)", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class CannotValidate(Exception):
    """Nothing could be run; the message says why and what to type."""


@dataclass(frozen=True)
class Ran:
    """One command of one tox environment."""

    check: str
    command: str
    seconds: float
    good: bool
    summary: str  # the last line of what it said
    failed_tests: tuple[str, ...]


def validate(root: Path, checks: Sequence[str]) -> list[Ran]:
    """Run tox, all environments or these, its output shown as it comes. Raises CannotValidate."""
    if importlib.util.find_spec("tox") is None:
        raise CannotValidate(words.NO_TOX)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "result.json"
        only = ["-e", ",".join(checks)] if checks else []
        command = [sys.executable, "-m", "tox", "run", "--result-json", str(report), *only]
        status = subprocess.run(command, cwd=root).returncode
        ran = read_report(report.read_text(encoding="utf-8")) if report.is_file() else []
    if not ran or (status and all(each.good for each in ran)):
        raise CannotValidate(words.tox_stopped(status))
    return ran


def read_report(text: str) -> list[Ran]:
    """What tox's JSON report says of each command, and of a set-up that failed.

    Building the package (`.pkg`) is no check of ours: it is told of where it fails.
    """
    found = [ran for name, check in json.loads(text)["testenvs"].items() for ran in _of_check(name, check)]
    return [ran for ran in found if not (ran.good and ran.check.startswith("."))]


def show(ran: Sequence[Ran]) -> None:
    """Print the table, as wide as the terminal allows."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in words.HEADINGS:
        table.add_column(heading, justify="right" if heading == "time" else "left", overflow="fold")
    for each in ran:
        cells = words.row(each.check, each.command, each.seconds, each.good, each.summary, each.failed_tests)
        style = "" if each.good else "bold red"
        table.add_row(*(Text(encodable(cell, console.encoding), style=style) for cell in cells))
    console.print()
    console.print(table)
    console.print()


def _of_check(name: str, check: dict[str, Any]) -> Iterator[Ran]:
    tried = [step for step in check.get("setup", []) if step["retcode"]] + check.get("test", [])
    for step in tried:
        said = _COLOUR.sub("", f"{step['err']}\n{step['output']}")
        lines = [line.strip("= ") for line in said.splitlines() if line.strip("= ")]
        command = " ".join([Path(step["command"][0]).name, *step["command"][1:]])
        failed = tuple(_FAILED_TEST.findall(said))
        yield Ran(name, command, step["elapsed"], not step["retcode"], (lines or [""])[-1], failed)
    result = check.get("result", {})  # empty for what was not asked for
    if result and not tried and not result["skipped"]:
        yield Ran(name, "", result["duration"], result["success"], "", ())
