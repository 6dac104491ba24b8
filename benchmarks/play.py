"""How soon the page of `harness play` has a token, and what is sent.

    python benchmarks/play.py                      # under a minute on two idle cores

The server runs as a learner starts it, with the reference and a random model in the sizes of laptop.yaml, and
then of nanoGPT's CPU configuration. Requests come over the loopback interface, as from a browser. Times are
those of a clock, because waiting is what a learner notices: run it on an idle machine. On a busy one only the
server's CPU time for each token means something. Needs Linux.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
from repository import repository_root
from rich.console import Console
from rich.table import Table

from harness.training.texts import Text

SIZES = {
    "laptop": ("block_size=64", "d_model=128", "num_heads=2", "num_layers=2"),
    "nanoGPT": ("block_size=64", "d_model=128", "num_heads=4", "num_layers=4"),
}
PAGE = Path(__file__).resolve().parents[1] / "harness" / "play" / "page"
TOKENS = 300
PROMPT = "ROMEO:\nWhat say you"


@click.command()
@click.option("--rounds", default=7, show_default=True, help="How many texts are written; medians count.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here."
)
def main(rounds: int, json_path: Path | None) -> None:
    """Measure the page with models of two sizes."""
    root = repository_root()
    figures = {}
    for name, sizes in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            run = untrained(root, Path(folder), sizes)
            with served(root, run) as (port, process):
                figures[name] = measure(port, process, rounds)
    Console().print(table(figures))
    if json_path:
        record = {"command": f"python benchmarks/play.py --rounds {rounds}", "figures": figures}
        json_path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def untrained(root: Path, folder: Path, sizes: tuple[str, ...]) -> Path:
    """Let the reference begin a run and end it at once: its first model is random."""
    text, run = folder / "text.txt", folder / "run"
    letters = "".join(map(chr, range(33, 96)))  # with the line break and the space, 65 characters
    text.write_text((f"{letters}\n {PROMPT.lower()} " * 40) + PROMPT, encoding="utf-8")
    changes = [f"model.{size}" for size in sizes] + ["training.max_steps=1", "training.warmup_steps=0"]
    settings = [part for change in changes for part in ("--set", change)]
    command = [sys.executable, "-m", "harness", "train", "--solutions", "--data", str(text)]
    subprocess.run([*command, "--run-dir", str(run), *settings], cwd=root, check=True, capture_output=True)
    prepared = Text(text, is_corpus=False).folder  # of this text, which nobody trains on again
    shutil.rmtree(root / "data" / "prepared" / prepared, ignore_errors=True)
    return run


@contextmanager
def served(root: Path, run: Path) -> Iterator[tuple[int, int]]:
    """Serve the page of a run; yield its port and the server's process once the model is loaded."""
    command = [sys.executable, "-m", "harness", "play", "--solutions", "--no-open", "--run-dir", str(run)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.readline() + process.stdout.readline()
        port = int(re.search(r":(\d+)", output.splitlines()[-1])[1])
        post(port, "/api/read", {"prompt": PROMPT})
        yield port, process.pid
        process.terminate()


def post(port: int, path: str, body: Mapping[str, Any]) -> bytes:
    """Return the answer to a request."""
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return connection.getresponse().read()


def cpu_seconds(process: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # in user and in system mode


def measure(port: int, process: int, rounds: int) -> dict[str, float]:
    """Return milliseconds and bytes: medians of several texts."""
    before = cpu_seconds(process)
    texts = [write(port, seed) for seed in range(rounds)]
    per_token = 1000 * (cpu_seconds(process) - before) / (rounds * TOKENS)
    ids = json.loads(post(port, "/api/read", {"prompt": PROMPT * 3}))["ids"]
    bars, inside = ({"ids": ids, "position": 20}, {"ids": ids, "position": 40, "layer": 1})
    files = [size_of(port, name) for name in sorted(path.name for path in PAGE.iterdir())]
    return {
        "ms to the first token": round(statistics.median(first for first, _, _ in texts), 1),
        "ms between tokens": round(statistics.median(between for _, between, _ in texts), 2),
        "ms of CPU for each token": round(per_token, 2),
        "ms for new bars": round(statistics.median(timed(port, "/api/likely", bars) for _ in range(20)), 1),
        "bytes of the page": sum(files),
        "bytes per token": round(statistics.median(size for _, _, size in texts) / TOKENS),
        "bytes of a layer's heads": len(post(port, "/api/inside", inside)),
    }


def write(port: int, seed: int) -> tuple[float, float, int]:
    """Write a text; return the milliseconds to its first token and between tokens, and the bytes sent."""
    asked = {"prompt": PROMPT, "count": TOKENS, "seed": seed}
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        began = time.perf_counter()
        connection.request("POST", "/api/write", json.dumps(asked), {"Content-Type": "application/json"})
        stream, times, size = connection.getresponse(), [], 0
        for line in stream:
            size += len(line)
            if line.startswith(b"event: token"):
                times.append(time.perf_counter())
    return 1000 * (times[0] - began), 1000 * (times[-1] - times[0]) / (len(times) - 1), size


def timed(port: int, path: str, body: Mapping[str, Any]) -> float:
    began = time.perf_counter()
    post(port, path, body)
    return 1000 * (time.perf_counter() - began)


def size_of(port: int, name: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", f"/{name}")
        return len(connection.getresponse().read())


def table(figures: Mapping[str, Mapping[str, float]]) -> Table:
    """Return the figures, a row for each."""
    made = Table("", *figures, box=None, padding=(0, 2, 0, 0))
    for name in next(iter(figures.values())):
        made.add_row(name, *(f"{each[name]:,}" for each in figures.values()))
    return made


if __name__ == "__main__":
    main()
