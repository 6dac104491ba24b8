"""`harness validate`: tox, and a table of its results."""

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
from harness.terminal.lines import COLOUR
from harness.terminal.table import Row, show_table

_FAILED_TEST = re.compile(r"^(?:FAILED|ERROR) (\S+::\S+)", re.MULTILINE)


class CannotValidate(Exception):
    """tox did not run; the message says why and what to do."""


@dataclass(frozen=True)
class Ran:
    """One command of one tox environment."""

    check: str
    command: str
    seconds: float
    good: bool
    summary: str  # the last line of its output
    failed_tests: tuple[str, ...]


def validate(root: Path, checks: Sequence[str]) -> list[Ran]:
    """Run tox, with all environments or these, showing its output. Raises CannotValidate."""
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
    """Return each command in tox's JSON report, and set-ups that failed.

    Building the package (`.pkg`) is not a check, so it is only listed if it fails.
    """
    found = [ran for name, check in json.loads(text)["testenvs"].items() for ran in _of_check(name, check)]
    return [ran for ran in found if not (ran.good and ran.check.startswith("."))]


def show(ran: Sequence[Ran]) -> None:
    """Print a table of the commands between empty lines."""
    print()
    show_table(words.HEADINGS, [_row(each) for each in ran], right=words.RIGHT)
    print()


def _row(each: Ran) -> Row:
    cells = words.row(each.check, each.command, each.seconds, each.good, each.summary, each.failed_tests)
    return Row(cells, "" if each.good else "bold red")


def _of_check(name: str, check: dict[str, Any]) -> Iterator[Ran]:
    tried = [step for step in check.get("setup", []) if step["retcode"]] + check.get("test", [])
    for step in tried:
        output = COLOUR.sub("", f"{step['err']}\n{step['output']}")
        lines = [line.strip("= ") for line in output.splitlines() if line.strip("= ")]
        command = " ".join([Path(step["command"][0]).name, *step["command"][1:]])
        failed = tuple(_FAILED_TEST.findall(output))
        yield Ran(name, command, step["elapsed"], not step["retcode"], (lines or [""])[-1], failed)
    result = check.get("result", {})  # empty for an environment that was not requested
    if result and not tried and not result["skipped"]:
        yield Ran(name, "", result["duration"], result["success"], "", ())
