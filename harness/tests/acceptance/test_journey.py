"""A learner's whole course, one function at a time."""

from __future__ import annotations

import re

from harness.course.katas import Kata, load_course
from harness.course.stubs import contract, given, make_stub
from harness.tests.support.miniature import Miniature

NEXT_TEST = re.compile(r"✗ .*?\n  (test_\w+)", re.DOTALL)


def test_every_function_moves_the_next_failing_test_forward_to_the_end(untouched: Miniature) -> None:
    katas = load_course(untouched.root).katas
    for kata, following in zip(katas, [*katas[1:], None], strict=True):
        walk_through(untouched, kata)
        closing = (
            untouched.pytest().out if following is None else untouched.pytest(f"katas/{kata.number}").out
        )
        assert f"kata {kata.title} · " in closing
        assert "complete ✓" in closing
        if following:
            assert (
                f"Next: read katas/{following.name}/README.md, then run  pytest katas/{following.number}"
                in closing
            )
    assert untouched.harness("status", "--check").code == 0


def test_every_test_is_listed_even_if_code_is_missing_or_broken(untouched: Miniature) -> None:
    course = load_course(untouched.root)
    assert untouched.pytest("--all", "--co", "-q").code == 0  # no test file calls a stub when it is imported
    course.katas[5].stub.write_text("def broken(:\n")
    listed = untouched.pytest("--all", "--co", "-q")
    assert listed.code == 0, listed.text
    for kata in course.katas:
        assert f"katas/{kata.name}/{kata.tests.name}::" in listed.out


def walk_through(untouched: Miniature, kata: Kata) -> None:
    """Solve a kata function by function, running `pytest` like a learner."""
    solution = kata.solution.read_text(encoding="utf-8")
    names = [name for name in contract(solution) if name not in given(solution)]
    order = re.findall(r"^def (test_\w+)", kata.tests.read_text(encoding="utf-8"), re.MULTILINE)
    reached = -1
    for count, name in enumerate(names):
        result = untouched.pytest()
        assert result.code == 1, result.text
        assert f"kata {kata.title} · " in result.out
        assert re.search(rf"\b{name}(\.\w+)? is not written yet\.", result.out), result.out
        position = order.index(NEXT_TEST.search(result.out)[1])
        assert position >= reached  # where one test is about two functions, the second holds it
        reached = position
        kata.stub.write_text(make_stub(solution, solved=names[: count + 1]), encoding="utf-8")
