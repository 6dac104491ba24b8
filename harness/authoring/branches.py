"""Trials of many versions of a kata, each in a fork of a process with everything imported.

Forks cannot affect each other. For most versions it is enough to change some functions and run the tests that
enter them (harness/authoring/reach.py). To find those tests, each test first runs alone.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import io
import os
import sys
import tempfile
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from harness.authoring import forks
from harness.authoring.reach import ENTERED, Difference, codes, difference, looks_at_code, marked, only
from harness.authoring.variant_run import Listener, Verdict, arguments, run, test_name
from harness.course.katas import Course, Kata
from harness.isolation.importer import katas_forgotten
from harness.run.plan import ReplacedSources

_OPTIONS = ("--capture=sys",)  # a file would be shared by all children
_TEMPORARY = "PYTEST_DEBUG_TEMPROOT"  # the variable by which pytest finds a place for the folders of tmp_path


@dataclass(frozen=True)
class Version:
    """Sources that replace modules, the kata's first; `stop` means that one failing test is enough."""

    sources: tuple[tuple[str, str], ...]
    stop: bool = True

    @property
    def text(self) -> str:
        """Return the source that replaces the kata's module."""
        return self.sources[0][1]


def try_all(
    course: Course, kata: Kata, versions: Sequence[Version], time_limit: float
) -> dict[Version, Verdict]:
    """Return the verdict on each version; the first one is the solution.

    If the solution fails, only verdicts on versions without `stop` are meaningful.
    """
    if forks.IS_SAFE:
        return _Trunk(course, kata, versions, time_limit).verdicts()
    found: dict[Version, Verdict] = {}
    for version in sorted(versions, key=lambda each: each.stop):
        if not version.stop or not found[versions[0]].failed:
            texts = dict(version.sources)
            found[version] = run(course, kata, texts, stop=version.stop, time_limit=time_limit)
    return found


@dataclass(frozen=True)
class Outcome:
    """The result of a child."""

    verdict: Verdict
    entered: Collection[str] = ()  # functions of the solution
    modules: Sequence[str] = ()  # imported until then


class _Trunk:
    """A pytest plugin that forks its process for each version.

    Before collection it forks for the versions that must be imported as a whole, and after it for those that
    only change functions. It runs no test itself.
    """

    def __init__(self, course: Course, kata: Kata, versions: Sequence[Version], time_limit: float) -> None:
        self.course, self.kata, self.time_limit = course, kata, time_limit
        self.solution = versions[0]
        self.versions = {each: self._difference(each) for each in versions}
        self.texts = {kata.module: marked(self.solution.text)}
        self.forks = forks.Forks(os.cpu_count() or 1)
        self.cases: dict[str, list[pytest.Item]] = {}  # of each test

    def _difference(self, version: Version) -> Difference | None:
        """Return the functions to change; None if the version must be imported as a whole."""
        if not version.stop or len(version.sources) > 1 or looks_at_code(self.kata.tests.read_text("utf-8")):
            return None
        return difference(self.solution.text, version.text)

    def verdicts(self) -> dict[Version, Verdict]:
        """Return the verdicts of the children."""
        listener = Listener(self.kata)
        with tempfile.TemporaryDirectory(prefix="harness-") as self.folder, katas_forgotten():
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    plugins = [listener, ReplacedSources(self.texts), self]
                    pytest.main([*arguments(self.kata, self.time_limit), *_OPTIONS], plugins=plugins)
            finally:
                if self.forks.key is not None:
                    imported = _imported_by_now() if self.forks.key == self.solution else ()
                    self.forks.leave(Outcome(listener.verdict(), set(ENTERED), imported))
            self.forks.wait(self.versions)
        silent = Verdict(problem=listener.problem or "its process ended early")
        found = {version: self._verdict(version, silent) for version in self.versions}
        dependent = [name for name in self.cases if not self._verdict(name, silent).is_clean]
        return found | {self.solution: replace(found[self.solution], dependent=dependent)}

    def _verdict(self, key: Hashable, otherwise: Verdict) -> Verdict:
        outcome: Outcome = self.forks.results.get(key, Outcome(otherwise))
        return outcome.verdict

    def _fork(self, key: Hashable) -> bool:
        """Fork a child that must send a verdict. Return True in the child."""
        if not self.forks.fork(key):
            return False
        gc.disable()  # it ends before its garbage matters
        os.environ[_TEMPORARY] = tempfile.mkdtemp(dir=self.folder)
        ENTERED.clear()
        return True

    # --- before the tests are collected ---

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Fork for the versions that must be imported as a whole."""
        ENTERED.clear()
        _import(kata.module for kata in self.course.needed(self.kata))
        if self._branch_whole(self.solution, session):
            return
        self.forks.wait({self.solution})
        if self.solution in self.forks.results:
            _import(self.forks.results[self.solution].modules)  # imported by the tests themselves
        gc.collect()
        gc.freeze()  # it stays alive, and children that traversed it would copy it
        whole = [version for version, changed in self.versions.items() if changed is None]
        any(self._branch_whole(version, session) for version in whole if version != self.solution)

    def _branch_whole(self, version: Version, session: pytest.Session) -> bool:
        """Fork for this version. Return True in the child."""
        if not self._fork(version):
            return False
        self.texts.update(version.sources)
        for module in self.texts:
            sys.modules.pop(module, None)
        session.config.option.maxfail = int(version.stop)
        return True

    # --- when they are collected ---

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run tests in the children only."""
        is_child = self.forks.key is not None or (not session.testsfailed and self._branch(session))
        return None if is_child else True

    def _branch(self, session: pytest.Session) -> bool:
        """Fork for each single test, then for the versions that change functions. Return True in a child."""
        entered_by_import = set(ENTERED)
        hooks: Any = session.config.pluginmanager.get_plugin("katas")
        for item in session.items:
            hooks.items.case(item, self.kata, "")  # what every child needs, made once
            self.cases.setdefault(test_name(item.nodeid), []).append(item)
        for name, items in self.cases.items():
            if self._fork(name):
                session.items[:] = items
                return True
        self.forks.wait({self.solution, *self.cases})
        changes = {version: changed for version, changed in self.versions.items() if changed}
        return self._is_sound() and any(
            self._branch_into(version, changed, entered_by_import, session)
            for version, changed in changes.items()
        )

    def _is_sound(self) -> bool:
        """True if the solution passes all tests together and each test alone."""
        silent = Verdict(problem="silent")
        return all(self._verdict(key, silent).is_clean for key in (self.solution, *self.cases))

    def _branch_into(
        self, version: Version, changed: Difference, entered_by_import: set[str], session: pytest.Session
    ) -> bool:
        """Fork for this version. Return True in the child."""
        names = [name for name in self.cases if changed.names & self.forks.results[name].entered]
        if entered_by_import & changed.names:
            names = [*self.cases]
        if not names:
            self.forks.results[version] = Outcome(Verdict())  # no test can tell it from the solution
            return False
        if not self._fork(version):
            return False
        if entered_by_import & changed.names:
            texts = dict(version.sources)
            verdict = run(self.course, self.kata, texts, stop=True, time_limit=self.time_limit)
            self.forks.leave(Outcome(verdict))
        hooks: Any = session.config.pluginmanager.get_plugin("katas")
        code = hooks.importer.compiler(self.kata)(only(version.text, changed.names))
        change(sys.modules[self.kata.module], code, changed)
        session.items[:] = [item for name in names for item in self.cases[name]]
        session.config.option.maxfail = 1
        return True


def _imported_by_now() -> list[str]:
    """Return the imported modules except the katas."""
    return [name for name in sys.modules if name.partition(".")[0] != "katas"]


def _import(names: Iterable[str]) -> None:
    """Import these modules; one that cannot be imported fails where it is used."""
    for name in names:
        if name in sys.modules:
            continue
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def change(module: ModuleType, version: CodeType, difference: Difference) -> None:
    """Replace the code of the functions that differ with that of another version."""
    exec(difference.imports, vars(module))
    for name, code in codes(version, difference.names).items():
        _function(module, name).__code__ = code


def _function(module: ModuleType, name: str) -> FunctionType:
    """Return a function or method without the wrappers that check and log its calls."""
    owner, _, attribute = name.rpartition(".")
    found = vars(vars(module)[owner] if owner else module)[attribute]
    found = getattr(found, "fget", None) or getattr(found, "__func__", found)
    function = inspect.unwrap(found)
    assert isinstance(function, FunctionType) and function.__code__.co_qualname == name, name
    return function
