"""Proof that a kata's tests are strong and fair: they refuse every slip and accept every alternative."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from harness.authoring.branches import Version, try_all
from harness.authoring.variant_run import Verdict
from harness.course.katas import Course, Kata
from harness.course.slips import (
    BadSlip,
    Slip,
    alternative_sources,
    alternatives_path,
    read_slips,
    replaced_name,
    slips_path,
)
from harness.course.stubs import contract, given, make_stub, read_contract
from harness.course.unsolved import shipped_stub

FEWEST_SLIPS = 8
_TIME_LIMIT = 30.0  # seconds for one test; a slip may make it endless


@dataclass(frozen=True)
class Problem:
    """A broken rule: where, what, and the remedy."""

    path: str
    rule: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.rule}. Remedy: {self.remedy}"


def check(course: Course, kata: Kata) -> Iterator[Problem]:
    """What running the kata's tests on many versions of its solution shows."""
    trials = _Trials(course, kata)
    broken = list(_solution_passes(course, kata, trials.solution))
    yield from broken
    yield from _stub_fails_everything(course, kata, trials.stub)
    if not broken:  # otherwise every slip and alternative would fail for that reason
        yield from _tests_are_listed_with_nothing_solved(course, kata, trials.unsolved)
        yield from _slips_are_caught(course, kata, trials)
        yield from _alternatives_pass(course, kata, trials)


class _Trials:
    """The verdicts of a kata's tests on everything that they are tried on."""

    def __init__(self, course: Course, kata: Kata) -> None:
        self.source, self._module = kata.solution.read_text(encoding="utf-8"), kata.module
        others = [(each.module, shipped_stub(each)) for each in course.katas if each != kata]
        solution = Version(((kata.module, self.source),), stop=False)
        stub = Version(((kata.module, make_stub(self.source)),), stop=False)
        unsolved = Version(((kata.module, shipped_stub(kata)), *others))
        versions = [solution, stub, unsolved, *map(self._version, _texts(kata, self.source))]
        self._verdicts = try_all(course, kata, versions, _TIME_LIMIT)
        self.solution, self.stub = self._verdicts[solution], self._verdicts[stub]
        self.unsolved = self._verdicts.get(unsolved, Verdict())

    def _version(self, text: str) -> Version:
        return Version(((self._module, text),))

    def on(self, text: str) -> Verdict:
        """The verdict on a version of the solution."""
        return self._verdicts[self._version(text)]


def _texts(kata: Kata, source: str) -> Iterator[str]:
    """The versions of the solution that its slips and alternatives make, as far as they make any."""
    with contextlib.suppress(OSError, BadSlip):
        for slip in read_slips(kata):
            with contextlib.suppress(SyntaxError, BadSlip):
                yield _slipped(slip, source)
    with contextlib.suppress(OSError):
        yield from _alternatives(kata, source).values()


def _slipped(slip: Slip, source: str) -> str:
    """The solution with the slip in it. Raises BadSlip or SyntaxError."""
    text = slip.apply(source)
    compile(text, slip.id, "exec")  # what cannot even be imported would be caught by the first test
    return text


def _alternatives(kata: Kata, source: str) -> dict[str, str]:
    return alternative_sources(source, alternatives_path(kata).read_text(encoding="utf-8"))


def _solution_passes(course: Course, kata: Kata, verdict: Verdict) -> Iterator[Problem]:
    path = course.relative(kata.tests)
    if verdict.problem:
        yield Problem(path, f"cannot run ({verdict.problem})", "fix what it imports")
    for name in verdict.failed:
        yield Problem(course.relative(kata.solution), f"fails {name}", "fix the solution or the test")
    for name in verdict.dependent if not verdict.failed else ():
        yield Problem(path, f"{name} does not pass alone", "let it make for itself what it needs")


def _tests_are_listed_with_nothing_solved(course: Course, kata: Kata, verdict: Verdict) -> Iterator[Problem]:
    """A test file that uses a kata while it is loaded would take every other kata's tests along."""
    if not verdict.failed:
        found = f"cannot be loaded while the katas are unsolved ({verdict.problem})"
        yield Problem(course.relative(kata.tests), found, "use the katas inside functions and fixtures only")


def _stub_fails_everything(course: Course, kata: Kata, verdict: Verdict) -> Iterator[Problem]:
    for name in verdict.passed:
        rule = f"{name} passes on the untouched stub"
        yield Problem(course.relative(kata.tests), rule, "let it use the function")


def _slips_are_caught(course: Course, kata: Kata, trials: _Trials) -> Iterator[Problem]:
    path = course.relative(slips_path(kata))
    try:
        slips = read_slips(kata)
    except (OSError, BadSlip) as error:
        yield Problem(path, f"cannot be read ({error})", "write [[slip]] tables; see another kata's")
        return
    if len(slips) < FEWEST_SLIPS:
        yield Problem(path, f"has {len(slips)} slips", f"a kata has at least {FEWEST_SLIPS}")
    for id in sorted({slip.id for slip in slips if [each.id for each in slips].count(slip.id) > 1}):
        yield Problem(path, f"has more than one slip {id}", "give each an id of its own")
    for slip in slips:
        yield from _slip_is_caught(course, kata, trials, slip)


def _slip_is_caught(course: Course, kata: Kata, trials: _Trials, slip: Slip) -> Iterator[Problem]:
    path = course.relative(slips_path(kata))
    try:
        verdict = trials.on(_slipped(slip, trials.source))
    except SyntaxError as error:
        yield Problem(path, f"{slip.id} is no Python ({error.msg})", "fix its `replace`")
        return
    except BadSlip as error:
        yield Problem(path, str(error), "quote the solution as it is now, and enough of it")
        return
    if verdict.problem:
        yield Problem(path, f"{slip.id} could not be tried ({verdict.problem})", "fix its `replace`")
    elif verdict.first_failure is None:
        yield Problem(path, f"{slip.id} passes every test", f"strengthen {course.relative(kata.tests)}")
    elif verdict.first_failure != slip.caught_by:
        found = f"{slip.id} is caught by {verdict.first_failure}, not by {slip.caught_by}"
        yield Problem(path, found, "name the test that catches it first, or move the tests")


def _alternatives_pass(course: Course, kata: Kata, trials: _Trials) -> Iterator[Problem]:
    path, source = alternatives_path(kata), trials.source
    if not path.is_file():
        yield Problem(course.relative(path), "is missing", "write other correct versions of every function")
        return
    sources = _alternatives(kata, source)
    promised = contract(source).keys() - given(source)
    offered = {replaced_name(alternative) for alternative in sources}
    for name in sorted(promised - offered):
        yield Problem(course.relative(path), f"has no alternative to {name}", f"add {name}__…")
    for name in sorted(offered - promised):
        yield Problem(course.relative(path), f"has alternatives to {name}, which is not there", "rename them")
    yield from _signatures_are_kept(course, kata, source)
    for alternative, text in sources.items():
        verdict = trials.on(text)
        if verdict.first_failure or verdict.problem:
            why = verdict.first_failure or verdict.problem
            yield Problem(course.relative(path), f"{alternative} is refused by {why}", "fix one of them")


def _signatures_are_kept(course: Course, kata: Kata, source: str) -> Iterator[Problem]:
    path, promised = alternatives_path(kata), contract(source)
    for name, signature in read_contract(path).items():
        original = promised.get(replaced_name(name))
        text = signature.text.replace(name, replaced_name(name))
        if name != replaced_name(name) and original and text != original.text:
            yield Problem(course.relative(path), f"{name} is declared {text}", f"declare it {original.text}")
