"""A course with a trained model, the katas of the reference, the server of the page, and a browser."""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness.authoring.play_pictures import ARGUMENTS, browser_path
from harness.course.katas import Course
from harness.course.unsolved import copy_shipped
from harness.isolation.importer import katas_forgotten
from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature
from harness.training import capstone
from harness.training.request import TrainingRequest
from harness.training.run_folder import RunFolder

TINY = (
    *("model.block_size=16", "model.d_model=16", "model.num_heads=2", "model.num_layers=2"),
    *("training.batch_size=4", "training.max_steps=40", "training.eval_interval=10", "training.device=cpu"),
    *("training.learning_rate=1e-2", "training.min_lr=1e-2", "training.warmup_steps=0"),
)
MODERN = "modern"
WRITTEN = 20  # tokens at each evaluation: writing takes longer than training


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """This repository's course as it is shipped, with a run of the core, and one of kata 12's model."""
    made = copy_shipped(REPOSITORY, tmp_path_factory.mktemp("course"))
    text = made.root / "a text.txt"
    text.write_text("".join(f"line {n} of {n * n % 17}, and so on\n" for n in range(150)), encoding="utf-8")
    with katas_forgotten():
        kata = capstone.load_capstone(made, made.katas)
        kata.SAMPLE_TOKENS = WRITTEN
        for name, parts in (("core", ()), (MODERN, ("modern",))):
            request = TrainingRequest(
                "smoke", str(text), made.root / "runs" / name, changes=TINY, parts=parts
            )
            capstone.train(made, kata, request)
    os.utime(made.root / "runs" / "core" / "best.pt")  # the newest
    return made


@pytest.fixture(scope="session")
def core_run(course: Course) -> RunFolder:
    return RunFolder(course.root / "runs" / "core")


@pytest.fixture(scope="module")
def katas(course: Course) -> Iterator[Callable[[str], Any]]:
    """Import modules of the katas, of the reference: `katas("k07_sampling")`."""
    with katas_forgotten():
        capstone.load_capstone(course, course.katas)
        yield lambda name: importlib.import_module(f"katas.{name}.{name[4:]}")


@pytest.fixture(scope="module")
def sample(course: Course, katas: Callable[[str], ModuleType]) -> Callable[..., str]:
    """Write as `harness sample --solutions` does."""

    def write(prompt: str, count: int, run: str = "core", **options: Any) -> str:
        kata, folder = katas("k09_capstone"), course.root / "runs" / run
        return capstone.sample(kata, folder, prompt, count, cached=True, **{"temperature": 0.8, **options})

    return write


@dataclass(frozen=True)
class Page:
    """The served page: its address, and what the command has printed."""

    address: str
    printed: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


def start_page(root: Path, *arguments: str) -> tuple[Popen[bytes], Page]:
    """Type `harness play` in a course, and wait for the address."""
    process = Miniature(root).cold.start(
        *(sys.executable, "-m", "harness", "play", "--no-open", *arguments), stdout=PIPE, stderr=PIPE
    )
    printed = ""
    while not (found := re.search(r"http://127\.0\.0\.1:\d+", printed)):
        line = process.stdout.readline().decode()
        assert line, process.stderr.read().decode()
        printed += line
    return process, Page(found[0], printed)


@pytest.fixture(scope="session")
def page(course: Course) -> Iterator[Page]:
    """The page of `harness play --solutions` on the course."""
    process, served = start_page(course.root, "--solutions")
    yield served
    process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
    process.communicate(timeout=30)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for all tests; they are skipped without one."""
    if browser_path() is None:
        pytest.skip("no Chromium on the path")
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright, from the extra dev")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, page: Page) -> Iterator[Callable[..., Any]]:
    """Open the page in a window of its own; at the end nothing has gone wrong in it or left this computer."""
    seen = SimpleNamespace(problems=[], hosts=set(), contexts=[])

    def open_it(view: str = "write", width: int = 1280, height: int = 800, **options: Any) -> Any:
        size = {"width": width, "height": height}
        context = chromium.new_context(**{"viewport": size, "reduced_motion": "reduce", **options})
        context.set_default_timeout(60_000)  # the first answer waits for the import of torch and of all katas
        seen.contexts.append(context)
        tab = context.new_page()
        tab.on(
            "console", lambda message: seen.problems.append(message.text) if message.type != "log" else None
        )
        tab.on("pageerror", lambda error: seen.problems.append(str(error)))
        tab.on("request", lambda request: seen.hosts.add(request.url.split("/")[2]))
        tab.goto(f"{page.address}/#{view}")
        return tab

    yield open_it
    for context in seen.contexts:
        context.close()
    assert [
        each for each in seen.problems if "400 (Bad Request)" not in each
    ] == []  # an answer with a message
    assert seen.hosts <= {page.address.removeprefix("http://")}
