"""Every sentence that a learner reads in the terminal. Facts in, lines of text out."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.course.katas import Kata
from harness.diagnosis.words import diagnosis_lines
from harness.explain.findings import Finding, Place
from harness.explain.observation_words import heat_lines, seen_lines, shape_trace
from harness.explain.outside_tests import Failure
from harness.explain.side_by_side import beyond_a_table
from harness.progress.standing import KataProgress
from harness.terminal.chart import line_chart

WIDTH = 80


@dataclass(frozen=True)
class Line:
    """One line of output. The style adds colour where there is any; meaning never depends on it."""

    text: str = ""
    style: str = ""  # "", title, good, bad, dim, command (to be copied: never wrapped)
    parts: tuple[tuple[str, str], ...] = ()  # the same text in pieces with styles of their own, if it has any


_WITHOUT_GLYPHS = str.maketrans(
    {
        "·": "-",
        "✓": "+",
        "✗": "x",
        "…": "...",
        "→": "->",
        "—": "-",
        "√": "sqrt ",
        "×": "x",
        "ᵀ": "^T",
        "–": "-",
    }
)


def fitted(lines: Iterable[Line], columns: int) -> list[Line]:
    """Lines as a terminal of this width can show them, wrapped under their own indentation."""
    fit: list[Line] = []
    for line in lines:
        indent = line.text[: len(line.text) - len(line.text.lstrip())] + "  "
        parts = textwrap.wrap(line.text, max(columns, 20), subsequent_indent=indent) if line.text else [""]
        whole = len(line.text) <= columns or line.style == "command"
        fit += [line] if whole else [Line(part, line.style) for part in parts]
    return fit


def printable(text: str, encoding: str | None) -> str:
    """`text` as a terminal with this encoding can show it."""
    try:
        text.encode(encoding or "ascii")
        return text
    except (UnicodeEncodeError, LookupError):
        return text.translate(_WITHOUT_GLYPHS).encode("ascii", "replace").decode()


# --- the block that ends a run -------------------------------------------------------------------


def failure_block(
    kata: Kata,
    test: str,
    requirement: str,
    finding: Finding,
    *,
    case: str,
    passed: int,
    total: int,
    newly_passed: Sequence[str] = (),
) -> list[Line]:
    """Where you are, what is required, what happened, your line, and what to type next."""
    lines = [Line(f"kata {kata.title} · {passed}/{total}", "title"), *_newly(newly_passed)]
    lines += [Line(), *_wrapped(requirement, "✗ ", "bad"), *_test_and_case(test, case), Line()]
    lines += _explanation(finding)
    if finding.diagnosis:
        lines += [Line(text) for text in diagnosis_lines(finding.diagnosis)]
    else:
        lines += [_indented(line) for line in shape_trace(finding.facts.get("steps", ()))]
    lines += _printed(finding.printed)
    if finding.place:
        lines += [Line(), *_where(finding.place)]
    return [*lines, Line(), *_next_after_failure(kata, finding)]


def _where(place: Place) -> list[Line]:
    """A line of the learner's with its text, which stands below where it does not fit beside."""
    where, text = f"  {place.path}:{place.line}", place.text
    if len(where) + 3 + len(text) <= WIDTH:
        return [Line(f"{where}   {text}".rstrip())]
    return [Line(where), Line(f"    {text}" if len(text) <= WIDTH - 4 else f"    {text[: WIDTH - 5]}…")]


def other_failures(failures: Sequence[tuple[str, Finding]]) -> list[Line]:
    """One line for each further failing test of a run that did not stop at the first."""
    if not failures:
        return []
    lines = [Line(), Line(f"{counted(len(failures), 'more test')} failed in this run:", "title")]
    return lines + [Line(f"  ✗ {test}: {headline(finding)}") for test, finding in failures]


def complete_line(kata: Kata, total: int, newly_passed: Sequence[str] = ()) -> list[Line]:
    """A kata is complete."""
    return [Line(f"kata {kata.title} · {total}/{total} complete ✓", "good"), *_newly(newly_passed)]


def after_completion(following: KataProgress | None, done: str, *, unlocked: bool) -> list[Line]:
    """What to do when all that ran is complete; `unlocked`: this run completed the kata `done`."""
    notebook = [Line(f"See your functions at work: katas/{done}/notebook.ipynb")] if unlocked else []
    if following is None:
        return [Line(), *notebook, *course_complete()]
    is_later = following.kata.name > done  # or it is one that was edited since it passed
    news = [Line(f"Unlocked: kata {following.kata.title}", "good")] if unlocked and is_later else []
    reading = "" if following.passed else f"read katas/{following.kata.name}/README.md, then run  "
    return [Line(), *news, *notebook, Line(f"Next: {reading}{following.kata.command}")]


def passing_line(progress: KataProgress, skipped: Sequence[str] = ()) -> list[Line]:
    """Nothing failed, but the kata is not complete: only a part of it was run."""
    kata = progress.kata
    lines = [Line(f"kata {kata.title} · {len(progress.passed)}/{len(progress.tests)}", "title")]
    if skipped:
        lines.append(Line(f"  Skipped, which does not count as passed: {', '.join(skipped)}"))
    else:
        lines.append(Line("  What you selected passes.", "good"))
    return [*lines, Line(), Line(f"Next: {kata.command}")]


def locked_line(progress: KataProgress, blocker: KataProgress) -> list[Line]:
    """Why a kata's tests were skipped, and what opens it."""
    return [
        Line(f"kata {progress.kata.title} is locked: {lock_reason(blocker)}.", "bad"),
        Line(f"Next: {blocker.kata.command}"),
    ]


def lock_reason(blocker: KataProgress) -> str:
    done = f"{len(blocker.passed)}/{len(blocker.tests)}"
    return f"kata {blocker.kata.title} is not complete ({done})"


def nothing_selected(kata_names: Sequence[str]) -> list[Line]:
    where = ", ".join(kata_names) if kata_names else "katas/"
    return [
        Line(f"No test of {where} matches what you selected.", "bad"),
        Line(
            f"Next: list them with  pytest --co -q {'katas/' + kata_names[0][1:3] if kata_names else 'katas'}"
        ),
    ]


def broken_tests(path: str, error: str) -> list[Line]:
    """A test file itself cannot be loaded."""
    last = [line for line in error.strip().splitlines() if line.strip()][-1:]
    return [
        Line(f"{path} cannot be loaded, so no test of it could run:", "bad"),
        *(Line(f"  {line.strip()[: WIDTH * 2]}") for line in last),
        Line(f"Next: git checkout {path}"),
        Line("That restores the shipped tests; git diff shows first what is different."),
    ]


def died_outside_a_step(how: str, path: str) -> list[Line]:
    """The process went away while no test ran and no kata was imported."""
    during = f" after {path}" if path else ""
    return [
        Line(f"The test process ended unexpectedly{during} ({how}).", "bad"),
        Line("Next: harness verify checks the installation; --pdb runs the tests in this process."),
    ]


def _test_and_case(test: str, case: str) -> list[Line]:
    """The test's name, and which case of it failed if there are several."""
    name, both = f"  {test}", f"  {test}  (case {case})"
    if case and len(both) > WIDTH:
        return [Line(name, "dim"), *_wrapped(f"(case {case})", "  ", "dim")]
    return [Line(both if case else name, "dim")]


# --- what a finding means ------------------------------------------------------------------------


def headline(finding: Finding) -> str:
    """A finding in one line."""
    first, *rest = (line.text.strip() for line in _explanation(finding))
    joined = finding.kind in ("unimportable", "raised") and first.endswith(":") and rest
    return f"{first} {rest[0]}" if joined else first.removesuffix(":")


def _explanation(finding: Finding) -> list[Line]:
    lines: list[str | Line] = [*_EXPLAIN[finding.kind](finding.facts)]
    if finding.changed:
        function, argument = finding.changed
        lines = [
            f"{function} writes into its argument {argument}; arguments are to stay as they are.",
            "",
            *lines,
        ]
    return [_indented(line) for line in lines]


def _indented(line: str | Line) -> Line:
    if isinstance(line, Line):
        return Line(f"  {line.text}", line.style, (("  ", ""), *line.parts))
    return Line(f"  {line}" if line else "")


def _unwritten(facts: Mapping[str, Any]) -> list[str]:
    lines = [f"{facts['name']} is not written yet."]
    if facts["elsewhere"]:
        lines.append(f"It belongs to kata {facts['elsewhere']}, which this one builds on.")
    declared = textwrap.dedent(facts["declaration"]).splitlines()
    for part in ([f"  {line}" for line in declared], textwrap.wrap(facts["summary"], WIDTH - 2)):
        lines += ["", *part] if part else []
    return lines


def _unimportable(facts: Mapping[str, Any]) -> list[str]:
    name = facts["file"].rsplit("/", 1)[-1]
    if facts["type"] == "SystemExit":
        return [f"{name} ends the program (sys.exit) while it is imported; a kata only defines things."]
    lines = [f"{name} cannot be imported:", *_text(f"{facts['type']}: {facts['message']}")]
    if facts.get("module"):
        lines.append("The katas need only the standard library, torch, numpy and jaxtyping.")
    if facts["type"] == "FileNotFoundError" and name in facts["message"]:
        return [f"{name} is gone; `harness reset` brings the shipped file back."]
    if facts["type"] == "TooSlow":
        lines = [f"Importing {name} was {facts['message']} and was stopped: an endless loop?"]
    return lines


def _missing(facts: Mapping[str, Any]) -> list[str]:
    name = facts["file"].rsplit("/", 1)[-1]
    lines = [f"{name} defines no {facts['name']}; the tests import it by that name."]
    if facts["present"]:
        lines.append(f"It does define {', '.join(facts['present'])}: was it renamed?")
    return lines


def _type(facts: Mapping[str, Any]) -> list[str]:
    function, argument = facts["function"], facts["argument"]
    if facts["returned_none"]:
        return [
            f"{function} returned None: is a `return` missing?",
            f"It is to return {facts['annotation']}.",
        ]
    subject = f"{function} was called with {argument} =" if argument else f"{function} returned"
    lines = [f"{subject} {' '.join(facts['got'].split())}"]
    if facts["expected_shape"]:
        lines.append(f"expected {' ' * max(0, len(subject) - 9)} {facts['expected_shape']}")
    lines.append(f"as the signature says: {facts['annotation']}")
    if facts["wrong_dtype"]:
        lines.append(f"The dtype is wrong: the signature asks for {facts['annotation'].split('[')[0]}.")
    if facts["count"]:
        wanted, got = facts["count"]
        lines.append(f"It has {_axes(got)}; expected {wanted}.")
    return lines + [_axis(axis) for axis in facts["axes"]]


def _axes(count: int) -> str:
    return f"{count or 'no'} {'axis' if count == 1 else 'axes'}"


def _axis(axis: Mapping[str, Any]) -> str:
    same_as = f", as in {axis['bound_by']}" if axis["bound_by"] else ""
    name = "" if axis["name"].isdigit() else f" ({axis['name'].strip('{}')})"
    return f"The {axis['where']} axis{name} is {axis['got']}; expected {axis['expected']}{same_as}."


def _signature(facts: Mapping[str, Any]) -> list[str]:
    return [
        "The signature is not the shipped one, so the test's call does not fit:",
        f"shipped  {facts['shipped']}",
        f"yours    {facts['own']}",
    ]


def _compared(facts: Mapping[str, Any]) -> list[str | Line]:
    message = [line.strip() for line in facts["message"].splitlines() if line.strip()]
    seen = seen_lines(facts.get("seen", ()), facts.get("axes", ()), facts.get("shape", ()))
    if facts["by"] == "assert_close":
        return [*_how_far(message), *seen, "", *_values(facts)]
    own_words = _text(message[0]) if message and not message[0].startswith("assert ") else []
    return [*(own_words or ["The value is not the expected one:"]), *seen, *facts["table"]]


def _values(facts: Mapping[str, Any]) -> Sequence[str | Line]:
    """The numbers; of attention that a table has no room for, a map."""
    if "heat" not in facts or not beyond_a_table(facts["shape"]):
        return list(facts["table"])
    parts = [tuple(line) for line in heat_lines(facts["heat"], facts["axes"])]
    return [Line("".join(text for text, _ in line), "", line) for line in parts]


def _refused_in_other_words(facts: Mapping[str, Any]) -> list[str]:
    lines = [
        f"The {facts['type']} is right, its text is not:",
        *(f"  {line}" for line in _text(facts["message"])),
    ]
    lacks = ", ".join(facts["lacks"])
    return [*lines, *textwrap.wrap(f"It has to name {lacks}.", WIDTH - 2)] if lacks else lines


def _how_far(message: Sequence[str]) -> list[str]:
    """torch's message about two tensors in one sentence; one of another form as it is."""
    text = "\n".join(message)
    attribute = re.match(r"The values for attribute '(\w+)", text)
    if attribute and attribute[1] == "device":
        return [
            "The device is not the expected one. What a function makes has to be made on",
            "the device of its inputs (device=x.device).",
            *(["Here meta stands for another device, such as a GPU:"] if "meta" in text else []),
        ]
    if attribute:
        return [f"The {attribute[1]} is not the expected one:"]
    if text.startswith("The keys of the mappings"):  # the table below names them
        return ["The value is not the expected one:"]
    share = re.search(r"Mismatched elements: (\d+) / (\d+)", text)
    distance = re.search(r"[Aa]bsolute difference: (\S+)(?:.*\(up to (\S+) allowed)?", text)
    if not distance:
        return [line for part in message[:4] for line in _text(part)]
    relative = re.search(r"[Rr]elative difference: .*\(up to (\S+) allowed", text)
    by_share = relative and distance[2] in ("0", "0.0") and float(relative[1]) != 0
    allowed = f"{relative[1]} of each value" if relative and by_share else distance[2]
    by = f"{_short(distance[1])}{f' (allowed: {allowed})' if allowed else ''}"
    if not share:
        return [f"The number is off by {by}:"]
    return [f"{share[1]} of {share[2]} entries {'differs' if share[1] == '1' else 'differ'}, by up to {by}:"]


def _short(number: str) -> str:
    try:
        return f"{float(number):.3g}"
    except ValueError:
        return number


def _raised(facts: Mapping[str, Any]) -> list[str]:
    kind, message = facts["type"], facts["message"]
    wanted = facts.get("wanted")
    by_test = kind in ("AssertionError", "Failed") and facts.get("in_test")
    if kind == "Failed" and message.startswith("DID NOT RAISE"):
        return [f"No error was raised; the test expects {wanted or 'one'}.", *_statement(facts)]
    if wanted and kind != wanted and not by_test:
        return [f"The test expects {wanted}; your code raised:", *_text(f"{kind}: {message}".rstrip(": "))]
    if wanted and kind == "AssertionError":  # pytest's own: the message of the error does not match
        return [f"The {wanted} is right, its text is not:", *_text(message)]
    if by_test:
        return _failed_assertion(facts)
    return _ERRORS[kind](message) if kind in _ERRORS else _other_error(kind, message)


def _failed_assertion(facts: Mapping[str, Any]) -> list[str]:
    """The author's words if there are any, and the assertion as it is written."""
    message = facts["message"].splitlines()
    own_words = message and not message[0].startswith("assert ")
    return [*(_text(message[0]) if own_words else ["This does not hold:"]), *_statement(facts)]


def _statement(facts: Mapping[str, Any]) -> list[str]:
    lines = textwrap.dedent(facts.get("statement") or "").splitlines()
    return [f"  {line}" for line in lines[:6]] + (["  …"] if len(lines) > 6 else [])


def _other_error(kind: str, message: str) -> list[str]:
    lines = _text(f"{kind}: {message}".rstrip(": "), 6)
    if kind in ("RuntimeError", "NotImplementedError") and re.search(r"\bmeta\b", message):
        lines += [
            "The meta device keeps shapes but no numbers. What a function makes has to be",
            "made on the device of its inputs (device=x.device), without looking at values.",
        ]
    if "does not require grad and does not have a grad_fn" in message:
        lines.append("The result is cut off from its inputs: no gradient can flow back to them.")
    if "appears to not have been used in the graph" in message:
        lines.append("The result is cut off from that input (0 is the first): it gets no gradient.")
    if "a leaf Variable that requires grad is being used in an in-place" in message:
        lines += [
            "The line writes into an input, or into a parameter outside torch.no_grad().",
            "Operations without a trailing underscore make a new tensor; so does x - y.",
        ]
    if "Unexpected key(s) in state_dict" in message:
        lines.append("Is it an nn.Parameter, a buffer or a module of the class, by exactly this name?")
    if kind == "AttributeError" and _NO_SUPER.search(message):
        lines.append("Is super().__init__() the first line of __init__?")
    return lines


_NO_SUPER = re.compile(r"before Module.__init__\(\)|'_(parameters|buffers|modules|\w*_hooks)'")


def _own_exit(message: str) -> list[str]:
    return ["Your code calls sys.exit(); a kata returns a value or raises an error."]


def _endless_recursion(message: str) -> list[str]:
    return ["The function calls itself without end (RecursionError)."]


def _operating_system(message: str) -> list[str]:
    if "reading from stdin" in message:
        return ["Your code reads from the keyboard; a kata gets everything from its arguments."]
    return _other_error("OSError", message)


_ERRORS: dict[str, Callable[[str], list[str]]] = {
    "RecursionError": _endless_recursion,
    "OSError": _operating_system,
    "SystemExit": _own_exit,
}


def _slow(facts: Mapping[str, Any]) -> list[str]:
    what = f"Importing {facts['file'].rsplit('/', 1)[-1]}" if facts["during"] == "import" else "The test"
    return [
        f"{what} was still running after {facts['seconds']:g} s and was stopped: an endless loop?",
        "The line below is where it was." if facts["located"] else "It was not in a line of yours.",
    ]


def _left(facts: Mapping[str, Any]) -> list[str]:
    return [f"Your code ended the whole Python process: os._exit({facts['status']})."]


def _crashed(facts: Mapping[str, Any]) -> list[str]:
    return [f"Python itself crashed ({facts['how']}); no error could be raised."]


_EXPLAIN: dict[str, Callable[[Mapping[str, Any]], Sequence[str | Line]]] = {
    "unwritten": _unwritten,
    "unimportable": _unimportable,
    "missing": _missing,
    "type": _type,
    "signature": _signature,
    "compared": _compared,
    "refused": _refused_in_other_words,
    "raised": _raised,
    "slow": _slow,
    "left": _left,
    "crashed": _crashed,
}


def _next_after_failure(kata: Kata, finding: Finding) -> list[Line]:
    if finding.kind == "unwritten":
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
    return [Line(f"  ✓ {counted(hidden, 'test')} and", "good"), *shown] if hidden > 0 else shown


def _printed(text: str) -> list[Line]:
    if not text.strip():
        return []
    tail = text[-4000:].rstrip().splitlines()[-5:]
    size = f", the last of {len(text):,} characters" if len(text) > sum(map(len, tail)) + 20 else ""
    return [
        Line(),
        Line(f"  Your code printed{size}:"),
        *(Line(f"    {line[: WIDTH - 4]}", "dim") for line in tail),
    ]


def _wrapped(text: str, start: str, style: str) -> list[Line]:
    after = " " * len(start)
    wrapped = textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=after, break_on_hyphens=False
    )  # 1e-12 stays whole
    return [Line(line, style) for line in wrapped]


def _text(message: str, most: int = 4) -> list[str]:
    lines = [
        part
        for line in message[:4000].splitlines()
        for part in textwrap.wrap(line, WIDTH - 4, break_on_hyphens=False)  # a path stays in one piece
    ]
    return lines[:most] + (["…"] if len(lines) > most else [])


def counted(number: int, noun: str) -> str:
    """A number and what is counted, in the plural unless it is one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


# --- notices and errors --------------------------------------------------------------------------


def tests_differ(path: str) -> Line:
    return Line(f"Note: {path} differs from the shipped tests (git diff {path}).", "dim")


def unreadable_lines(path: str, numbers: Sequence[int]) -> Line:
    which = ", ".join(map(str, numbers[:5])) + ("…" if len(numbers) > 5 else "")
    noun = "line" if len(numbers) == 1 else "lines"
    return Line(f"Note: {path}: {noun} {which} cannot be read and {_are(numbers)} ignored.", "dim")


def _are(items: Sequence[object]) -> str:
    return "is" if len(items) == 1 else "are"


def unreadable_file(path: str, problem: str) -> Line:
    return Line(f"Note: {path} cannot be read ({problem}); progress is counted from nothing.", "bad")


def not_saved(path: str, problem: str) -> Line:
    return Line(
        f"Note: progress is not saved ({problem}). Make {path} writable, then run the tests again.", "bad"
    )


def partial_cases(test: str) -> Line:
    return Line(f"Note: only some cases of {test} ran, so it does not count as passed yet.", "dim")


IMPORTING_TORCH = "importing torch …"


def using_katas(solutions: bool) -> str:
    if solutions:
        return "Using the reference solutions."
    return "Using your own katas. Restart the kernel after editing one."


def notebook_before_its_kata_is_done(progress: KataProgress) -> str:
    """Said when a notebook is opened that needs more than the learner has written."""
    kata, passed, tests = progress.kata, len(progress.passed), len(progress.tests)
    return (
        f"Kata {kata.title} is not done yet: {passed} of {tests} tests pass. A cell that needs the others"
        f" stops with NotImplementedError. In a terminal:  {kata.command}"
    )


INTERRUPTED = Line("Interrupted. What had passed is kept. Next: pytest")
NOT_A_COURSE = "No katas here: neither this folder nor one above it holds katas/kNN_*/. Go to your clone."


def course_complete() -> list[Line]:
    """What there is to do when no kata is left."""
    return [
        Line("Every kata that there is, is complete: you have built a language model.", "good"),
        Line("Let it learn and write:  harness train, then  harness sample"),
    ]


# --- harness reset and harness solution ----------------------------------------------------------


def was_reset(kata: Kata, backup: str) -> list[Line]:
    return [
        Line(f"katas/{kata.name}/{kata.topic}.py is the shipped stub again."),
        Line(f"What you had is kept in {backup}"),
        Line(f"Next: {kata.command}   (harness reset {kata.number} --undo puts yours back)"),
    ]


def is_shipped_already(kata: Kata) -> list[Line]:
    return [Line(f"katas/{kata.name}/{kata.topic}.py is the shipped stub already; nothing was changed.")]


def was_put_back(kata: Kata, backup: str) -> list[Line]:
    return [
        Line(f"katas/{kata.name}/{kata.topic}.py is again what you had (from {backup})."),
        Line(f"Next: {kata.command}"),
    ]


def nothing_to_undo(kata: Kata) -> str:
    return (
        f"There is no backup of kata {kata.title} that differs from the file as it is; nothing was changed."
    )


def not_changed(kata: Kata, problem: str) -> str:
    return f"katas/{kata.name}/{kata.topic}.py was not changed, as no backup could be written: {problem}"


def solution_refused(progress: KataProgress) -> str:
    kata, done = progress.kata, f"{len(progress.passed)}/{len(progress.tests)}"
    return (
        f"Kata {kata.title} is not complete ({done}); its solution waits until it is. "
        f"Next: harness hint {kata.number}   (harness solution {kata.number} --give-up shows it now)"
    )


# --- harness status ------------------------------------------------------------------------------


def state_of(progress: KataProgress, current: KataProgress | None) -> str:
    """A kata's state in a word or two."""
    if progress.edited_since_pass:
        return "edited since pass"
    if progress.complete:
        return "complete"
    if progress is current:
        return "current"
    return "locked"


def status_next(following: KataProgress | None) -> list[Line]:
    if following is None:
        return course_complete()
    test = [Line(f"      {following.next_test}", "dim")] if following.next_test else []
    return [Line(f"Next: {following.kata.command}"), *test]


# --- harness hint --------------------------------------------------------------------------------


def hint_block(
    kata: Kata, test: str, requirement: str, levels: Sequence[tuple[str, str]], left: int
) -> list[Line]:
    """The hints shown so far for a test, the newest last."""
    lines = [Line(f"kata {kata.title} · {test}", "title"), *_wrapped(requirement, "  ", "")]
    for name, text in levels:
        lines += [Line(), Line(f"{name}:", "title")]
        lines += [Line(f"  {line}".rstrip()) for line in _paragraph(text)]
    more = (
        f"harness hint {kata.number} again shows the next of {left} more."
        if left
        else "That was the last hint."
    )
    return [*lines, Line(), Line(more, "dim")]


def _paragraph(text: str) -> list[str]:
    stripped = textwrap.dedent(text).strip("\n")
    if "\n" in stripped:
        return stripped.splitlines()
    return textwrap.wrap(stripped, WIDTH - 2)


def no_hint(kata: Kata, test: str) -> str:
    return f"katas/{kata.name}/hints.toml has no hint for {test}. Its idea is in katas/{kata.name}/theory.md."


def nothing_to_hint(kata: Kata) -> str:
    return f"Kata {kata.title} is complete: there is no failing test to hint at. Next: harness status"


def hint_locked(progress: KataProgress, blocker: KataProgress) -> str:
    reason = lock_reason(blocker)
    return f"Kata {progress.kata.title} is locked: {reason}. Type: harness hint {blocker.kata.number}"


# --- harness data --------------------------------------------------------------------------------


def corpus_entry(
    name: str, about: str, size: int, *, path: str, good: bool, limit: float | None
) -> list[Line]:
    """A corpus in the list: `path` is empty if it is nowhere, `good` whether it is what it should be.

    `limit` is the entropy in nats per character, where that is known.
    """
    lines = [Line(f"{name} · {_megabytes(size)} · {about}", "title")]
    if path and good:
        lines.append(Line(f"  here: {path}", "good"))
    elif path:
        lines.append(
            Line(f"  {path} is another text (its checksum differs). Type: harness data {name}", "bad")
        )
    else:
        lines.append(Line(f"  not here yet. Type: harness data {name}"))
    if limit is not None:
        bits = limit / math.log(2)
        lines.append(Line(f"  no model can do better than {limit:.4f} nats ({bits:.4f} bits) per character"))
    return lines


def data_folders(folders: Sequence[str]) -> list[Line]:
    return [Line(), Line(f"Looked for in {', then in '.join(folders)}.", "dim")]


def corpus_is_here(name: str, path: str) -> list[Line]:
    return [Line(f"{name} is here already, its checksum is right: {path}", "good")]


def corpus_has_come(name: str, path: str) -> list[Line]:
    return [Line(f"{name} is here now, its checksum is right: {path}", "good")]


def downloading(name: str, size: int, url: str) -> Line:
    return Line(f"Downloading {name} ({_megabytes(size)}) from {url}")


def making(name: str, size: int) -> Line:
    return Line(f"Making {name} ({_megabytes(size)}) …")


def set_aside(path: str, kept: str) -> Line:
    return Line(f"Note: {path} was another text (its checksum differs); it is kept as {kept}")


def download_interrupted(name: str) -> str:
    return f"Interrupted. What has come is kept. Next: harness data {name}"


def unknown_corpus(name: str, nearest: str, names: Sequence[str]) -> str:
    guess = f" Did you mean {nearest}?" if nearest else ""
    if not re.fullmatch(r"\w+", name):  # no name, but a path
        return f"There is no file {name!r}. Give a text file of yours, or one of {', '.join(names)}.{guess}"
    return f"There is no corpus {name!r}; there are {', '.join(names)}.{guess}"


def not_downloaded(kind: str, name: str, url: str, facts: Mapping[str, Any]) -> str:
    """Why a download failed, by the kinds of harness.corpora.download, and what to do."""
    return "\n".join(_NOT_DOWNLOADED[kind](name, url, facts))


def _offline(name: str, url: str, facts: Mapping[str, Any]) -> list[str]:
    return [f"{name} cannot be downloaded: {facts['why']}.", f"  {url}", *_without_network(name)]


def _refused(name: str, url: str, facts: Mapping[str, Any]) -> list[str]:
    answer = f"{facts['status']} {facts['reason']}".strip()
    later = ["Try again later."] if facts["status"] == 429 or facts["status"] >= 500 else []
    said = f"{name} cannot be downloaded: the server answers {answer}."
    return [said, f"  {url}", *later, *_without_network(name)]


def _truncated(name: str, url: str, facts: Mapping[str, Any]) -> list[str]:
    received, size = facts["received"], facts["size"]
    return [
        f"The connection broke. {received:,} of {size:,} bytes of {name} came, and are kept.",
        f"Next: harness data {name}   (it asks for the rest only)",
    ]


def _wrong_digest(name: str, url: str, facts: Mapping[str, Any]) -> list[str]:
    return [
        f"What came is not {name}, and was deleted. Its SHA-256 is",
        f"  {facts['actual']}, expected",
        f"  {facts['expected']}",
        f"  {url}",
        "Does a network that asks for a login answer in its place? Open the address in a browser.",
        *_without_network(name),
    ]


_NOT_DOWNLOADED: dict[str, Callable[[str, str, Mapping[str, Any]], list[str]]] = {
    "offline": _offline,
    "refused": _refused,
    "truncated": _truncated,
    "checksum": _wrong_digest,
}


def _without_network(name: str) -> list[str]:
    return [
        f"Have you a copy?  harness data {name} --from FILE",
        "A text that needs no network:  harness data tiny_tales",
    ]


def not_that_corpus(name: str, path: str, actual: str, expected: str) -> str:
    return "\n".join(
        [
            f"{path} is not {name}; nothing was changed. Its SHA-256 is",
            f"  {actual}, expected",
            f"  {expected}",
            "Was it saved as a web page, with other line endings, or only in part? Download it again.",
        ]
    )


def data_not_written(name: str, folder: str, problem: str) -> str:
    return "\n".join(
        [
            f"{name} cannot be written to {folder}: {problem}.",
            "Make room, or the folder writable; or set HARNESS_DATA_DIR to a folder of yours.",
        ]
    )


def not_read(path: str, problem: str) -> str:
    return f"{path} cannot be read: {problem}. Give the path of a text file that you may read."


def data_folder_missing(folder: str) -> str:
    return f"HARNESS_DATA_DIR is {folder}, which is not a folder. Make it, or unset HARNESS_DATA_DIR."


def made_otherwise(name: str) -> str:
    return "\n".join(
        [
            f"{name}, as made here, has another checksum than it should.",
            "Was harness/ changed? See:  git status harness",
        ]
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def failed_in_katas(failure: Failure) -> list[Line]:
    """An error that came out of the katas while training or sampling."""
    if failure.unwritten and failure.kata and failure.calls:
        return [
            Line(f"{failure.calls[-1].function} of kata {failure.kata.title} is not written yet.", "bad"),
            Line(f"  {failure.calls[-1].place}", "dim"),
            Line(),
            Line(f"Next: pytest katas/{failure.kata.number}"),
            Line("See it work with the reference in place of what is missing:  harness demo", "dim"),
        ]
    if failure.is_of_the_request:
        return [*_wrapped(f"{failure.message}", "", "bad")]
    lines = [*_wrapped(f"{failure.kind}: {failure.message}", "", "bad"), Line()]
    for call in failure.calls:
        lines += [Line(f"  {call.place}   in {call.function}", "dim"), Line(f"    {call.code}")]
    if failure.kata:
        lines += [
            Line(),
            Line(f"Next: pytest katas/{failure.kata.number}, or with the reference:  --solutions"),
        ]
    return lines


def trained(
    summary: Any,
    run_dir: str,
    losses: Sequence[tuple[int, float]],
    *,
    interrupted: bool,
    solutions: bool,
    limit: float | None,
) -> list[Line]:
    """What came out of a training run, and what to do with it. `summary` is the capstone's.

    `limit` is the lowest loss that any model could have on new text of this kind, where that is known.
    """
    option = " --solutions" if solutions else ""
    rate = Line(f"({summary.tokens_per_second:,.0f} tokens/s, {summary.seconds:.0f} s)", "dim")
    lines = [Line(), *[Line(f"  {row}") for row in line_chart(losses)], Line()]
    if interrupted:
        return [
            *lines,
            Line(f"Stopped after step {summary.steps:,}, and saved.", "title"),
            rate,
            Line("Go on:"),
            Line(f"  harness train{option} --resume --run-dir {run_dir}", "command"),
        ]
    return [
        *lines,
        Line(f"{summary.steps:,} steps: validation loss {summary.val_loss:.4f} nats per character.", "good"),
        Line(f"At best it was {summary.best_val_loss:.4f}.{_above(summary.best_val_loss, limit)}"),
        rate,
        Line(f"The run is in {run_dir}, its curves in curves.png there."),
        Line("Let it write:"),
        Line(f"  harness sample{option} --run-dir {run_dir}", "command"),
    ]


def _above(loss: float, limit: float | None) -> str:
    if limit is None:
        return ""
    left = f"{max(loss - limit, 0):.4f} are left to learn"
    return f" On new text of this kind no model can have less than {limit:.4f}: {left}."


def demo_parts(own: Sequence[Kata], reference: Sequence[Kata]) -> list[Line]:
    """Whose code the demonstration runs on."""
    lines = [Line("A small language model learns to tell stories, for about a minute.", "title")]
    if own:
        lines += _wrapped(f"Yours: {', '.join(kata.title for kata in own)}.", "", "good")
    if reference:
        lines += _wrapped(f"From the reference: {', '.join(kata.title for kata in reference)}.", "", "")
    return [*lines, Line()]


def demo_end(progress: Sequence[KataProgress]) -> list[Line]:
    """What to do after the demonstration."""
    own = sum(each.complete for each in progress)
    return [
        Line(),
        Line(f"{own} of the {len(progress)} katas behind this text are yours. Next: pytest"),
    ]
