"""Tests of the reference with a slip in it."""

from __future__ import annotations

import sys

import pytest

from harness.course.katas import Kata
from harness.course.slips import BadSlip, Slip
from harness.diagnosis.reference import Reference, installed_as, patched_source
from harness.diagnosis.time_budget import OutOfTime, TimeBudget
from harness.tests.diagnosis.conftest import SOURCE


@pytest.mark.parametrize(
    ("find", "kept", "left_out"),
    [
        ("2 * x", ["def double"], ["class", "def half"]),
        ("return self\n", ["class Part", "class Whole"], ["def double"]),
        ("SIZE = 3\n", ["SIZE = 4"], ["class Part", "def double"]),
        ("    return 2 * x\n\n\ndef half(x):", ["def double", "def half"], ["class"]),
    ],
)
def test_only_what_depends_on_a_slip_is_re_executed(find: str, kept: list[str], left_out: list[str]) -> None:
    replace = find.replace("2", "3").replace("= 3", "= 4").replace("self\n", "Part()\n")
    text = patched_source(SOURCE, Slip("x", find, replace, "", ""))
    compile(text, "touched", "exec")
    assert [part for part in (*kept, *left_out) if part in text] == kept


# --- the module ---


def reference_of(kata: Kata, seconds: float = 60) -> Reference:
    return Reference(kata, lambda source: compile(source, "solution", "exec"), TimeBudget(seconds))


def test_a_slip_is_in_the_module_only_inside_the_block(kata: Kata) -> None:
    reference = reference_of(kata)
    with reference.with_slips(Slip("x", "2 * x", "3 * x", "", "")) as version:
        assert version.double(5) == 15
        assert version.half(4) == 3
    assert reference.module.double(5) == 10


def test_the_methods_of_a_class_refer_to_the_version_with_the_slip(kata: Kata) -> None:
    reference = reference_of(kata)
    with reference.with_slips(Slip("x", "return self\n", "return Part()\n", "", "")) as version:
        assert type(version.Whole().of()) is version.Part
        assert issubclass(version.Whole, version.Part)


def test_two_slips_are_in_the_module_together(kata: Kata) -> None:
    reference = reference_of(kata)
    tripled, thirds = Slip("x", "2 * x", "3 * x", "", ""), Slip("y", "double(x) / 4", "double(x) / 3", "", "")
    with reference.with_slips(tripled, thirds) as version:
        assert (version.double(5), version.half(4)) == (15, 4)
    assert (reference.module.double(5), reference.module.half(4)) == (10, 2)


def test_a_slip_that_leaves_no_room_for_another_is_refused(kata: Kata) -> None:
    reference = reference_of(kata)
    tripled, squared = Slip("x", "2 * x", "3 * x", "", ""), Slip("y", "2 * x", "x * x", "", "")
    with pytest.raises(BadSlip), reference.with_slips(tripled, squared):
        pass
    assert reference.module.double(5) == 10


def test_a_slip_that_raises_leaves_the_reference_as_it_was(kata: Kata) -> None:
    reference = reference_of(kata)
    before = dict(vars(reference.module))
    with (
        pytest.raises(ZeroDivisionError),
        reference.with_slips(Slip("x", "SIZE = 3", "SIZE = 1 / 0", "", "")),
    ):
        pass
    assert vars(reference.module) == before


def test_the_reference_is_not_installed_but_can_be(kata: Kata) -> None:
    learners = sys.modules[kata.module]
    module = reference_of(kata).module
    assert sys.modules[kata.module] is learners
    with installed_as(module, kata.module):
        assert sys.modules[kata.module] is sys.modules[module.__name__] is module
    assert sys.modules[kata.module] is learners
    assert module.__name__ not in sys.modules


def test_no_reference_is_loaded_once_the_budget_is_used_up(kata: Kata) -> None:
    with pytest.raises(OutOfTime):
        reference_of(kata, seconds=0)
