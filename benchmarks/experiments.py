"""The runs of docs/experiments.md, with the reference: `python benchmarks/experiments.py [WORD …]`.

Each `harness train` of the page is run as it stands there, but with `--solutions` and in a temporary folder.
With words, only the runs whose folders contain one of them. Prints a table that can be pasted into the page.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.progress import track

from harness.plots.figures import Point
from harness.training.run_folder import RunFolder, read_losses

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "experiments.md"
_COMMAND = re.compile(r"^harness train (.+)$", re.MULTILINE)


def commands() -> dict[str, list[str]]:
    """Return the arguments of each run on the page by the name of its folder."""
    found = [shlex.split(text) for text in _COMMAND.findall(PAGE.read_text(encoding="utf-8"))]
    return {Path(arguments[arguments.index("--run-dir") + 1]).name: arguments for arguments in found}


def train(arguments: list[str], folder: Path) -> tuple[list[Point], float]:
    """Run one and return the losses of its evaluations by step, and the seconds that it took."""
    arguments = list(arguments)
    arguments[arguments.index("--run-dir") + 1] = str(folder)
    began = time.perf_counter()
    command = [sys.executable, "-m", "harness", "train", "--solutions", *arguments]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return read_losses(RunFolder(folder))[1], time.perf_counter() - began


def main() -> None:
    chosen = {
        name: arguments
        for name, arguments in commands().items()
        if not sys.argv[1:] or any(word in name for word in sys.argv[1:])
    }
    print("| run | validation losses | lowest, at step | seconds |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="experiments-") as folder:
        for name, arguments in track(chosen.items(), "training", disable=not sys.stderr.isatty()):
            evaluations, seconds = train(arguments, Path(folder) / name)
            losses = ", ".join(f"{loss:.3f}" for _, loss in evaluations[-4:])  # the last ones
            step, lowest = min(evaluations, key=lambda point: point[1])
            print(f"| {name} | {losses} | {lowest:.3f}, {step:,} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
