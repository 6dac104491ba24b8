"""What a learner reads at the end of a run: facts in, lines of text out."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence

from harness.course.katas import Kata, UnknownKata
from harness.course.test_case import TestCase
from harness.diagnosis.words import diagnosis_lines
from harness.explain.findings import Finding
from harness.explain.places import Place
from harness.progress.standing import KataProgress
from harness.progress.words import core_complete, course_complete, lock_reason
from harness.shapes import shape_trace
from harness.terminal.lines import WIDTH, Line, paragraph, plural

# --- the block that ends a run -------------------------------------------------------------------


def failure_block(
    kata: Kata,
    case: TestCase,
    finding: Finding,
    *,
    passed: int,
    total: int,
    newly_passed: Sequence[str] = (),
) -> list[Line]:
    """Return the block: position, requirement, what happened, the learner's line, what to type next."""
    lines = [Line(f"kata {kata.title} · {passed}/{total}", "title"), *_newly(newly_passed)]
    lines += [Line(), *what_failed(case, finding)]
    return [*lines, Line(), *_next_after_failure(kata, finding)]


def what_failed(case: TestCase, finding: Finding) -> list[Line]:
    """Return what a failed test requires, what happened, and the learner's line."""
    lines = [*paragraph(case.requirement, "✗ ", "bad"), *_test_and_case(case), Line(), *explanation(finding)]
    if finding.diagnoses:
        lines += [Line(text) for text in diagnosis_lines(finding.diagnoses)]
    else:
        lines += [_indented(line) for line in shape_trace(finding.steps)]
    lines += printed_lines(finding.printed)
    return [*lines, Line(), *_where(finding.place)] if finding.place else lines


def _where(place: Place) -> list[Line]:
    """Return a learner's line: place and text side by side, or one below the other."""
    where, text = f"  {place.path}:{place.line}", place.text
    if len(where) + 3 + len(text) <= WIDTH:
        return [Line(f"{where}   {text}".rstrip())]
    return [Line(where), Line(f"    {text}" if len(text) <= WIDTH - 4 else f"    {text[: WIDTH - 5]}…")]


def other_failures(failures: Sequence[tuple[str, Finding]]) -> list[Line]:
    """Return one line for each further failing test of a run that did not stop at the first."""
    if not failures:
        return []
    lines = [Line(), Line(f"{plural(len(failures), 'more test')} failed in this run:", "title")]
    return lines + [Line(f"  ✗ {test}: {headline(finding)}") for test, finding in failures]


def complete_line(progress: KataProgress, newly_passed: Sequence[str] = ()) -> list[Line]:
    """Say that a kata is complete, or that it has passed other tests than the original ones."""
    total = len(progress.tests)
    counted = f"kata {progress.kata.title} · {total}/{total}"
    first = (
        Line(f"{counted} complete ✓", "good")
        if progress.proven
        else Line(f"{counted} pass, but not of the original tests", "title")
    )
    return [first, *_newly(newly_passed)]


def after_completion(
    following: KataProgress | None,
    done: str,
    *,
    news: bool,
    unlocked: Sequence[Kata] = (),
    proven: bool = True,
    core_done: bool = False,
) -> list[Line]:
    """Say what to do next when every selected kata is complete.

    `news`: this run completed `done`; with it, it may have unlocked others, and completed the core.
    """
    notebook = [Line(f"See your functions at work: katas/{done}/notebook.ipynb")] if news else []
    if following is None:
        return [Line(), *notebook, *course_complete(proven)]
    reading = "" if following.passed else f"read katas/{following.kata.name}/README.md, then run  "
    following_line = Line(f"Next: {reading}{following.kata.command}")
    lines = [*(core_complete() if core_done else []), *_unlocked(unlocked), *notebook, following_line]
    return [Line(), *lines]


def _unlocked(katas: Sequence[Kata]) -> list[Line]:
    if not katas:
        return []
    noun = "kata" if len(katas) == 1 else "katas"
    return [Line(f"Unlocked: {noun} {', '.join(kata.title for kata in katas)}", "good")]


def passing_line(progress: KataProgress, skipped: Sequence[str] = ()) -> list[Line]:
    """Say that nothing failed, although the kata is not complete: only a part of it ran."""
    kata = progress.kata
    lines = [Line(f"kata {kata.title} · {len(progress.passed)}/{len(progress.tests)}", "title")]
    if skipped:
        lines.append(Line(f"  Skipped (does not count as passed): {', '.join(skipped)}"))
    else:
        lines.append(Line("  All selected tests pass.", "good"))
    return [*lines, Line(), Line(f"Next: {kata.command}")]


def locked_line(progress: KataProgress, blocker: KataProgress) -> list[Line]:
    """Say why a kata's tests were skipped, and what unlocks it."""
    return [
        Line(f"kata {progress.kata.title} is locked: {lock_reason(blocker)}.", "bad"),
        Line(f"Next: {blocker.kata.command}"),
    ]


def nothing_selected(kata_names: Sequence[str]) -> list[Line]:
    where = ", ".join(kata_names) if kata_names else "katas/"
    return [
        Line(f"No test in {where} matches your selection.", "bad"),
        Line(
            f"Next: list them with  pytest --co -q {'katas/' + kata_names[0][1:3] if kata_names else 'katas'}"
        ),
    ]


def broken_tests(path: str, error: str) -> list[Line]:
    """Say that a test file itself cannot be loaded."""
    last = [line for line in error.strip().splitlines() if line.strip()][-1:]
    return [
        Line(f"{path} cannot be loaded, so none of its tests could run:", "bad"),
        *(Line(f"  {line.strip()[: WIDTH * 2]}") for line in last),
        Line(f"Next: git checkout {path}"),
        Line("That restores the original tests; git diff shows what differs."),
    ]


def died_outside_a_step(how: str, path: str) -> list[Line]:
    """Say that the process ended while no test ran and no kata was imported."""
    during = f" after {path}" if path else ""
    return [
        Line(f"The test process ended unexpectedly{during} ({how}).", "bad"),
        Line("Next: harness verify checks the installation; --pdb runs the tests in this process."),
    ]


def _test_and_case(case: TestCase) -> list[Line]:
    """Return the test's name, and the case that failed if there are several."""
    name, both = f"  {case.test}", f"  {case.test}  (case {case.arguments})"
    if case.arguments and len(both) > WIDTH:
        return [Line(name, "dim"), *paragraph(f"(case {case.arguments})", "  ", "dim")]
    return [Line(both if case.arguments else name, "dim")]


# --- what a finding means ------------------------------------------------------------------------


def headline(finding: Finding) -> str:
    """Return a finding in one line."""
    first, *rest = (line.text.strip() for line in explanation(finding))
    joined = finding.failure.joins_headline and first.endswith(":") and rest
    return f"{first} {rest[0]}" if joined else first.removesuffix(":")


def explanation(finding: Finding) -> list[Line]:
    """Return what a finding says, indented."""
    lines = list(finding.failure.lines())
    if finding.changed:
        function, argument = finding.changed
        modified = f"{function} modifies its argument {argument}."
        rule = "Functions must leave their arguments unchanged."
        lines = [*textwrap.wrap(f"{modified} {rule}", WIDTH - 2), "", *lines]
    return [_indented(line) for line in lines]


def _indented(line: str | Line) -> Line:
    if isinstance(line, Line):
        return Line(f"  {line.text}", line.style, (("  ", ""), *line.parts))
    return Line(f"  {line}" if line else "")


def _next_after_failure(kata: Kata, finding: Finding) -> list[Line]:
    if finding.failure.unwritten:
        return [
            Line(f"Next: write it, save, and run  {kata.command}"),
            Line(f"Its idea: katas/{kata.name}/theory.md · Stuck? harness hint {kata.number}", "dim"),
        ]
    return [
        Line(f"Next: change it, save, and run  {kata.command}"),
        Line(f"Stuck? harness hint {kata.number}", "dim"),
    ]


def _newly(tests: Sequence[str]) -> list[Line]:
    shown = [Line(f"  ✓ {test}", "good") for test in tests[-4:]]
    hidden = len(tests) - len(shown)
    return [Line(f"  ✓ {plural(hidden, 'test')} and", "good"), *shown] if hidden > 0 else shown


def printed_lines(text: str) -> list[Line]:
    """Return the last lines that the learner's code has printed, and how much there was."""
    if not text.strip():
        return []
    tail = text[-4000:].rstrip().splitlines()[-5:]
    size = f", the last of {len(text):,} characters" if len(text) > sum(map(len, tail)) + 20 else ""
    return [
        Line(),
        Line(f"  Your code printed{size}:"),
        *(Line(f"    {line[: WIDTH - 4]}", "dim") for line in tail),
    ]


# --- notices and errors --------------------------------------------------------------------------


def unknown_kata(argument: str, error: UnknownKata) -> str:
    return f"{argument}: {error} For all of them: harness status"


def number_is_a_folder(argument: str, target: str) -> str:
    return (
        f"{argument}: a number means a kata's folder, not its test file. Type: pytest {shlex.quote(target)}"
    )


def partial_cases(test: str) -> Line:
    return Line(f"Note: only some cases of {test} ran, so it does not count as passed yet.", "dim")


def changes_the_process(path: str, line: int, setting: str) -> Line:
    return Line(
        f"Note: {path}:{line} changes the whole process ({setting}), and with it every other kata. The tests"
        " undo that.",
        "dim",
    )


def no_terminal(command: str) -> str:
    return f"breakpoint() needs a terminal to type in, which there is not here. In one, run  {command}"


def listed_without(path: str) -> Line:
    return Line(f"Note: Python ended while it imported {path}; the tests are listed without it.", "bad")


IMPORTING_TORCH = "importing torch …"
THE_REST_DID_NOT_RUN = Line("The run ended there. The tests after this one did not run.")
LAST_WAS_KILLED = Line(
    "Note: the run before this one did not end by itself. Something outside killed it, or your code did."
)
COMPARING = "comparing with known mistakes … (Ctrl-C stops this)"
LOCKED = "locked: "  # before the reason for which a test is skipped
WORKER_ENDED = "its worker process ended"
STOPPED_AS_TOO_SLOW = "stopped: it took too long"
INTERRUPTED = Line("Interrupted. Tests that passed are recorded. Next: pytest")
