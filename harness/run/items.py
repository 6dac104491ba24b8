"""The tests of a run in terms of the course: their kata, their case, their time limit."""

from __future__ import annotations

import functools
from collections.abc import Collection, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.course.kata_tests import file_digest, requirement
from harness.course.katas import Kata
from harness.course.test_case import TestCase
from harness.run.case_names import case_in_words
from harness.run.plan import RunPlan


class KataItems:
    """Knows the kata of every test. As a plugin it counts the cases of each and keeps their order."""

    def __init__(self, run: RunPlan) -> None:
        self._run = run
        self._cases: dict[tuple[Path, str], int] = {}
        self._collected: dict[str, int] = {}  # the position of each test, by its id
        # Needed at every hook of every test, and slow to find out.
        self._kata_of = functools.cache(lambda path: run.course.kata_of(path.resolve()))
        self._tests_digest = functools.cache(lambda kata: file_digest(kata.tests))
        self._known_case = functools.cache(self._new_case)

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(self) -> Generator[None, Any, Any]:
        """Count the cases of every test before -k, --lf or a node id deselects some."""
        made = yield
        for item in made if isinstance(made, list) else ():
            self._cases[item.path, test_name(item)] = len(made)
        return made

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Give every kata's test the time limit of the run."""
        for item in items:
            if self._run.interrupts_tests and self.kata(item) and not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(self._run.time_limit))

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self._collected.setdefault(item.nodeid, len(self._collected))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Undo what a plugin that shuffles has done: the next failing test is the first one of its file."""
        if session.config.getoption("newfirst", False):
            return
        failed: Collection[str] = ()
        if session.config.getoption("failedfirst", False) and session.config.cache:
            failed = session.config.cache.get("cache/lastfailed", {})
        ours = [item for item in session.items if self.kata(item)]
        ours.sort(key=lambda item: (item.nodeid not in failed, self._collected.get(item.nodeid, 0)))
        in_order = iter(ours)
        session.items[:] = [next(in_order) if self.kata(item) else item for item in session.items]

    def kata(self, item: pytest.Item) -> Kata | None:
        """Return the kata that a test belongs to."""
        return self._kata_of(item.path)

    def limit(self, item: pytest.Item) -> float:
        """Return a test's time limit in seconds; 0: none."""
        marker = item.get_closest_marker("timeout")
        given = (*marker.args, marker.kwargs.get("timeout")) if marker else (None,)
        return float(given[0]) if given[0] is not None else self._run.time_limit

    def case(self, item: pytest.Item, kata: Kata, stub_digest: str) -> TestCase:
        """Return what a receipt for this test is made from."""
        return replace(self._known_case(item, kata), stub_digest=stub_digest)

    def _new_case(self, item: pytest.Item, kata: Kata) -> TestCase:
        name = test_name(item)
        return TestCase(
            kata.name,
            name,
            item.nodeid,
            arguments=_arguments(item),
            cases=self._cases.get((item.path, name), 1),
            shipped=item.path.resolve() == kata.tests,
            requirement=requirement(getattr(getattr(item, "function", None), "__doc__", None), name),
            stub_digest="",
            tests_digest=self._tests_digest(kata),
        )


def test_name(item: pytest.Item) -> str:
    """Return the test function's name within its file, without the parametrised case."""
    return item.nodeid.split("::", 1)[-1].split("[")[0]


test_name.__test__ = False  # type: ignore[attr-defined]  # not a test, in spite of its name


def _arguments(item: pytest.Item) -> str:
    """The arguments of a parametrised case, for people; "" for the only case."""
    called = getattr(item, "callspec", None)
    return case_in_words(called.id, called.params) if called else ""
