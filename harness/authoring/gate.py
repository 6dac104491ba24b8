"""`harness check`: the maintainers' gate for generated files and complete katas."""

from __future__ import annotations

import ast
import json
import multiprocessing
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from harness.authoring import forks, links, minutes, pages, refusals, slip_trials
from harness.authoring.course_file import course_is_described
from harness.authoring.slip_trials import Problem
from harness.commands.reset import reset, utc_now
from harness.commands.review_words import SCREEN, height
from harness.course.graph import COURSE_FILE
from harness.course.hints import LEVELS, read_hints
from harness.course.kata_tests import MANIFEST, manifest_text, read_tests
from harness.course.katas import Course, Kata, load_course, resolve_kata
from harness.course.questions import BadReview, cards, review_path
from harness.course.unsolved import shipped_stub

_SHORTEST_ANSWER = 16  # characters; any hint may quote something shorter (`x @ y`)
_FIX = "harness check --fix"
_FEWEST_QUESTIONS = 5
_PARTS = ("__init__.py", "README.md", "theory.md", "hints.toml", "notebook.ipynb")


def check(course: Course, katas: Sequence[Kata] = ()) -> Iterator[Problem]:
    """Yield every broken rule: first by reading, then, if there is none, by running the tests.

    With `katas`, check only their own rules, as for a kata that is being written.
    """
    problems = [
        problem for kata in katas or course.katas for rule in _RULES for problem in rule(course, kata)
    ]
    if not katas:
        for rule_of_all in _RULES_OF_THE_REPOSITORY:
            problems += rule_of_all(course)
    yield from problems
    if not problems:
        for found in _side_by_side(course, katas or course.katas):
            yield from found


def _side_by_side(course: Course, katas: Sequence[Kata]) -> Iterator[list[Problem]]:
    """What running each kata's tests finds, in order, with all processors."""
    from rich.console import Console
    from rich.progress import track

    processes = multiprocessing.get_context("spawn")  # this one may have threads, which no fork survives
    # Where each forks as many as there are processors, a second one has work while the first one waits.
    count = 2 if forks.IS_SAFE else os.cpu_count()
    console = Console(stderr=True)
    with ProcessPoolExecutor(count, mp_context=processes) as pool:
        # The last one first: it uses what all the others are made of, and takes the longest.
        begun = {kata: pool.submit(_strength, course.root, kata.name) for kata in reversed(katas)}
        yield from track(
            (begun[kata].result() for kata in katas),
            "trying slips and alternatives",
            total=len(katas),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )


def _strength(root: Path, name: str) -> list[Problem]:
    """In a process of its own: what running one kata's tests finds."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: the processes share the processors
    course = load_course(root)
    return list(slip_trials.check(course, resolve_kata(course, name)))


def fix(course: Course) -> list[str]:
    """Write the generated files that are not current. Return their paths, and the backups of stubs.

    A clone may be a learner's, whose stubs hold their code.
    """
    written = [text for kata in course.katas if kata.solution.is_file() for text in _fix_stub(course, kata)]
    wanted = {course.root / MANIFEST: manifest_text(course), **dict(pages.generated(course))}
    return written + [course.relative(path) for path, text in wanted.items() if _replace(path, text)]


def _fix_stub(course: Course, kata: Kata) -> Iterator[str]:
    kata.folder.mkdir(exist_ok=True)
    change = reset(course, kata, utc_now())
    if change:
        kept = f"; what it held is now in {course.relative(change.backup)}" if change.backup else ""
        yield f"{course.relative(kata.stub)}{kept}"


def _stub_is_generated(course: Course, kata: Kata) -> Iterator[Problem]:
    path = course.relative(kata.stub)
    if not kata.solution.is_file():
        yield Problem(path, "has no solution", f"write {course.relative(kata.solution)}")
    elif _read(kata.stub) != shipped_stub(kata):
        yield Problem(path, "is not the stub made from its solution", _FIX)


def _parts_exist(course: Course, kata: Kata) -> Iterator[Problem]:
    for name in _PARTS:
        if not (kata.folder / name).is_file():
            yield Problem(course.relative(kata.folder / name), "is missing", "write it; every kata has one")


def _notebooks_can_be_read(course: Course, kata: Kata) -> Iterator[Problem]:
    for path in sorted(kata.folder.glob("*.ipynb")):
        try:
            json.loads(path.read_text(encoding="utf-8"))["cells"]
        except (ValueError, KeyError, TypeError) as error:
            yield Problem(course.relative(path), f"is no notebook ({error})", "save it in Jupyter")


def _every_test_has_hints(course: Course, kata: Kata) -> Iterator[Problem]:
    path = course.relative(kata.hints)
    try:
        hints = read_hints(kata)
    except (OSError, tomllib.TOMLDecodeError) as error:
        yield Problem(path, f"cannot be read ({error})", "make it valid TOML, one table per test")
        return
    names = [test.name for test in read_tests(kata)]
    for name in names:
        for level in LEVELS:
            if not str(hints.get(name, {}).get(level, "")).strip():
                yield Problem(path, f"has no {level} for {name}", f"add [{name}] {level} = …")
    for name in hints.keys() - set(names):
        yield Problem(path, f"hints at {name}, which is not a test", f"remove [{name}] or rename it")


def _tests_read_as_requirements(course: Course, kata: Kata) -> Iterator[Problem]:
    path = course.relative(kata.tests)
    tests = read_tests(kata)
    if not 8 <= len(tests) <= 14:
        yield Problem(path, f"has {len(tests)} tests", "a kata has 8 to 14")
    for test in tests:
        if not test.requirement.endswith("."):
            yield Problem(
                path, f"{test.name} has no sentence as docstring", "state the requirement in its first line"
            )


def _imports_only_what_it_needs(course: Course, kata: Kata) -> Iterator[Problem]:
    usable = {kata.name, *(each.name for each in course.needed(kata))}
    for path in [*sorted(kata.folder.glob("*.py")), *sorted(kata.solution_folder.glob("*.py"))]:
        for name in sorted(_katas_imported(_read(path)) - usable):
            found = f"imports {name}, which {kata.name} does not need"
            remedy = f"use only katas that it needs, or add it to needs in {COURSE_FILE} if it is earlier"
            yield Problem(course.relative(path), found, remedy)


def _katas_imported(source: str) -> set[str]:
    """Return the folders of the katas that a module imports from."""
    nodes = list(ast.walk(ast.parse(source)))
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {module.split(".")[1] for module in modules if module.startswith("katas.")}


def _hints_do_not_quote_the_solution(course: Course, kata: Kata) -> Iterator[Problem]:
    """Report a statement of the solution in a hint, however it is indented."""
    statements = {_squeezed(text) for text in _statements(_read(kata.solution))}
    try:
        hints = read_hints(kata)
    except (OSError, tomllib.TOMLDecodeError):
        return  # another rule reports it
    for test, levels in hints.items():
        for level, text in levels.items():
            for statement in sorted(statements):
                if statement in _squeezed(text):
                    found = f"{level} of {test} quotes the solution: {statement}"
                    yield Problem(course.relative(kata.hints), found, "say it in words")


def _statements(source: str) -> Iterator[str]:
    """Yield the expressions of a module's statements that are long enough to be an answer."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Return | ast.Assign | ast.AugAssign | ast.AnnAssign):
            text = ast.unparse(node.value) if node.value else ""
            if len(text) >= _SHORTEST_ANSWER:
                yield text


def _squeezed(text: str) -> str:
    return "".join(text.split()).replace('"', "'")


def _review_questions_exist(course: Course, kata: Kata) -> Iterator[Problem]:
    path = course.relative(review_path(kata))
    try:
        found = list(cards([kata]))
    except BadReview as error:
        yield Problem(path, f"cannot be read ({error})", "write [[question]] tables; see another kata's")
        return
    if len(found) < _FEWEST_QUESTIONS:
        yield Problem(path, f"has {len(found)} questions", f"a kata has at least {_FEWEST_QUESTIONS}")
    for card in found:
        if height(card) > SCREEN:
            rule = f"question {card.number} takes {height(card)} lines with its answer"
            yield Problem(path, rule, f"shorten it to {SCREEN}, the lines of a small terminal")


def _links_work(course: Course, kata: Kata) -> Iterator[Problem]:
    for page in [*sorted(kata.folder.glob("*.md")), *sorted(kata.folder.glob("*.ipynb"))]:
        yield from _broken_links(course, page)


def _broken_links(course: Course, page: Path) -> Iterator[Problem]:
    for target in links.broken(page):
        yield Problem(course.relative(page), f"links to {target}, which does not exist", "fix the link")


def _other_links_work(course: Course) -> Iterator[Problem]:
    for page in links.pages(course.root):
        yield from _broken_links(course, page)


def _generated_pages_are_current(course: Course) -> Iterator[Problem]:
    for path, text in pages.generated(course):
        if _read(path) != text:
            yield Problem(course.relative(path), "differs from its generated text", _FIX)


def _manifest_is_current(course: Course) -> Iterator[Problem]:
    if _read(course.root / MANIFEST) != manifest_text(course):
        yield Problem(MANIFEST, "does not list the current tests", _FIX)


_RULES: tuple[Callable[[Course, Kata], Iterable[Problem]], ...] = (
    _stub_is_generated,
    _parts_exist,
    _notebooks_can_be_read,
    _every_test_has_hints,
    _tests_read_as_requirements,
    minutes.minutes_are_given,
    refusals.refusals_come_last,
    refusals.refusals_are_proven,
    _imports_only_what_it_needs,
    _hints_do_not_quote_the_solution,
    _review_questions_exist,
    _links_work,
)
_RULES_OF_THE_REPOSITORY: tuple[Callable[[Course], Iterable[Problem]], ...] = (
    course_is_described,
    _manifest_is_current,
    _other_links_work,
    _generated_pages_are_current,
)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _replace(path: Path, text: str) -> bool:
    if _read(path) == text:
        return False
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return True
