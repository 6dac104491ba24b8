"""Which katas are complete, edited, current or locked: what the receipts prove, and nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.course.kata_tests import Shipped, file_digest
from harness.course.katas import Course, Kata
from harness.progress.receipts import Receipt
from harness.progress.standing import Digests, KataProgress, assess, bare_run, current_digests, current_kata

NAMES = ("k00_numbers", "k01_layers", "k02_models")
TESTS = ("test_a", "test_b", "test_c")
CHAIN = Course(Path("root"), tuple(Kata(Path("root"), name, NAMES[:i][-1:]) for i, name in enumerate(NAMES)))
FORK = Course(Path("root"), tuple(Kata(Path("root"), name, NAMES[: bool(i)]) for i, name in enumerate(NAMES)))
SHIPPED = {name: Shipped("t", TESTS) for name in NAMES}


def receipt(*passed: str, kata: int = 0, stub: str = "s", tests: str = "t", failed: str = "") -> Receipt:
    return Receipt(NAMES[kata], passed, tests, stub, "now", (failed,) if failed else ())


def done(kata: int, stub: str = "s") -> Receipt:
    return receipt(*TESTS, kata=kata, stub=stub)


def assessed(
    *receipts: Receipt, tests: str = "t", course: Course = CHAIN, **stubs: str
) -> list[KataProgress]:
    """The progress with these receipts; a stub's digest is "s" unless given as k0="…"."""
    digests = {name: Digests(stubs.get(name[0] + name[2], "s"), tests) for name in NAMES}
    return assess(course, SHIPPED, digests, receipts)


def first(*receipts: Receipt, **files: str) -> KataProgress:
    return assessed(*receipts, **files)[0]


# --- complete ------------------------------------------------------------------------------------


def test_a_fresh_clone_has_passed_nothing_and_starts_at_the_first_test():
    fresh = first()
    assert (fresh.passed, fresh.next_test, fresh.complete) == ((), "test_a", False)
    assert not fresh.edited_since_pass
    assert not fresh.locked


def test_a_kata_is_complete_when_all_its_tests_passed_in_one_run():
    assert first(receipt(*TESTS)).complete
    assert first(receipt(*TESTS)).next_test is None


@given(st.permutations(TESTS), st.integers(1, 3))
def test_a_kata_is_complete_when_all_its_tests_passed_in_any_mix_of_runs(order: list[str], at_once: int):
    runs = [receipt(*order[i : i + at_once]) for i in range(0, 3, at_once)]
    assert first(*runs).complete
    assert not first(*runs[:-1]).complete


def test_passes_of_different_stubs_do_not_add_up():
    assert not first(receipt("test_a", "test_b", stub="old"), receipt("test_c", stub="s")).complete


def test_passes_of_different_tests_do_not_add_up():
    assert not first(receipt("test_a", "test_b", tests="old"), receipt("test_c", tests="t")).complete


def test_returning_to_an_earlier_stub_restores_its_passes():
    runs = [receipt("test_a", "test_b"), receipt("test_a", stub="other"), receipt("test_c")]
    assert first(*runs).complete


def test_passes_of_tests_that_were_not_shipped_do_not_count():
    progress = first(receipt("test_a", "test_b", "test_own"))
    assert not progress.complete
    assert progress.passed == ("test_a", "test_b")


def test_passes_of_another_kata_do_not_count():
    assert first(done(1)).passed == ()


def test_a_kata_without_tests_is_never_complete():
    digests = {name: Digests("s", "t") for name in NAMES}
    empty = assess(CHAIN, {**SHIPPED, NAMES[0]: Shipped("t", ())}, digests, [receipt()])[0]
    assert (empty.complete, empty.next_test) == (False, None)


def test_receipts_of_a_deleted_kata_are_ignored():
    gone = Receipt("k99_gone", TESTS, "t", "s", "now")
    assert assessed(gone) == assessed()


def test_a_later_failure_with_the_same_files_does_not_undo_a_pass():
    assert first(receipt(*TESTS), receipt(failed="test_b")).complete


# --- edited since pass ---------------------------------------------------------------------------


def test_an_edit_after_completion_is_noticed_and_keeps_the_kata_complete():
    progress = first(receipt(*TESTS), k0="edited")
    assert progress.edited_since_pass
    assert progress.complete


def test_an_undone_edit_is_not_an_edit():
    progress = first(receipt(*TESTS), receipt("test_a", stub="edited", failed="test_b"), k0="s")
    assert not progress.edited_since_pass
    assert (progress.passed, progress.next_test) == (TESTS, None)


def test_an_edit_before_completion_is_not_an_edit_since_pass():
    assert not first(receipt("test_a"), k0="edited").edited_since_pass


def test_an_edited_kata_that_passes_again_is_no_longer_edited():
    assert not first(done(0), done(0, stub="edited"), k0="edited").edited_since_pass


def test_an_edited_kata_that_fails_counts_what_passes_now():
    progress = first(
        done(0), receipt("test_a", stub="edited"), receipt(stub="edited", failed="test_b"), k0="edited"
    )
    assert progress.edited_since_pass
    assert (progress.passed, progress.next_test) == (("test_a",), "test_b")


def test_edited_tests_are_noticed():
    assert first(tests="edited").tests_differ
    assert not first(tests="t").tests_differ


# --- where the learner stands --------------------------------------------------------------------


def test_passed_tests_are_listed_in_the_order_of_the_source():
    assert first(receipt("test_c"), receipt("test_a")).passed == ("test_a", "test_c")


def test_between_an_edit_and_the_next_run_the_latest_run_is_shown():
    progress = first(receipt("test_a", "test_b"), k0="edited")
    assert (progress.passed, progress.next_test) == (("test_a", "test_b"), "test_c")


def test_after_returning_to_an_earlier_stub_its_passes_are_shown_before_the_next_run():
    runs = [receipt("test_a", "test_b"), receipt(stub="edited", failed="test_a")]
    progress = first(*runs, k0="s")
    assert (progress.passed, progress.next_test) == (("test_a", "test_b"), "test_c")


def test_after_an_edit_and_a_run_older_passes_are_forgotten():
    progress = first(receipt("test_a", "test_b"), receipt(stub="edited", failed="test_a"), k0="edited")
    assert (progress.passed, progress.next_test) == ((), "test_a")


def test_the_next_test_is_the_first_that_has_not_passed():
    assert first(receipt("test_a", "test_c")).next_test == "test_b"


def test_the_next_test_is_the_one_that_failed_last():
    assert first(receipt("test_a"), receipt(failed="test_c")).next_test == "test_c"


def test_the_later_of_two_failures_is_next():
    assert first(receipt(failed="test_c"), receipt(failed="test_b")).next_test == "test_b"


def test_a_failure_that_has_passed_since_is_not_next():
    assert first(receipt(failed="test_c"), receipt("test_c")).next_test == "test_a"


def test_a_failure_of_an_earlier_stub_is_not_next():
    old_failure = receipt("test_a", stub="old", failed="test_c")
    assert first(old_failure, receipt("test_a")).next_test == "test_b"


def test_a_failure_of_a_test_that_was_not_shipped_is_not_next():
    assert first(receipt(failed="test_own")).next_test == "test_a"


# --- locks ---------------------------------------------------------------------------------------


def blockers(progress: list[KataProgress]) -> list[str | None]:
    return [each.blocked_by and each.blocked_by.name for each in progress]


@pytest.mark.parametrize(
    ("receipts", "expected"),
    [
        ([], [None, NAMES[0], NAMES[0]]),
        ([done(0)], [None, None, NAMES[1]]),
        ([done(0), done(1)], [None, None, None]),
        ([done(1)], [None, NAMES[0], NAMES[0]]),
        ([done(1), done(2)], [None, NAMES[0], NAMES[0]]),
        ([receipt("test_a", "test_b"), done(1)], [None, NAMES[0], NAMES[0]]),
    ],
)
def test_a_kata_is_locked_by_the_first_before_it_that_is_not_complete(
    receipts: list[Receipt], expected: list[str | None]
):
    assert blockers(assessed(*receipts)) == expected


def test_a_kata_edited_since_it_passed_still_unlocks_the_next():
    progress = assessed(done(0), receipt(stub="edited", failed="test_a"), k0="edited")
    assert progress[0].edited_since_pass
    assert not progress[1].locked


# --- what pytest alone runs ----------------------------------------------------------------------


def test_the_current_kata_is_the_first_that_is_not_complete():
    assert current_kata(assessed(done(0), done(2))).kata.name == NAMES[1]


def test_a_complete_course_has_no_current_kata():
    assert current_kata(assessed(done(0), done(1), done(2))) is None


@pytest.mark.parametrize(
    ("receipts", "stubs", "expected"),
    [
        ([], {}, [0]),
        ([done(0)], {}, [1]),
        ([done(0)], {"k0": "edited"}, [0, 1]),
        ([done(0)], {"k1": "edited"}, [1]),
        ([done(0)], {"k2": "edited"}, [1]),
        ([done(0), done(1)], {"k0": "edited", "k1": "edited"}, [0, 1, 2]),
        ([done(0), done(1), done(2)], {"k1": "edited"}, [1]),
        ([done(0), done(1), done(2)], {}, [0, 1, 2]),
    ],
    ids=["fresh", "next", "edited", "at work", "ahead", "two edited", "all done, one edited", "all done"],
)
def test_pytest_alone_runs_katas_edited_since_they_passed_then_the_current_one(
    receipts: list[Receipt], stubs: dict[str, str], expected: list[int]
):
    names = [kata.name for kata in bare_run(assessed(*receipts, **stubs))]
    assert names == [NAMES[number] for number in expected]


def test_digests_are_those_of_the_current_files(tmp_path: Path):
    kata = Kata(tmp_path, "k00_numbers")
    kata.folder.mkdir(parents=True)
    kata.stub.write_text("x = 1\n")
    assert current_digests(Course(tmp_path, (kata,))) == {kata.name: Digests(file_digest(kata.stub), "")}


# --- katas that do not need each other -----------------------------------------------------------


def test_katas_that_need_the_same_one_are_unlocked_together():
    assert [each.locked for each in assessed(course=FORK)] == [False, True, True]
    assert [each.locked for each in assessed(done(0), course=FORK)] == [False, False, False]


def test_a_kata_is_blocked_by_what_it_needs_through_others():
    blocked = assessed(done(1))[2].blocked_by
    assert blocked is not None
    assert blocked.name == "k00_numbers"


def test_of_the_open_katas_the_first_is_current_until_a_test_passes_in_another():
    assert named(assessed(done(0), course=FORK)) == "k01_layers"
    assert named(assessed(done(0), receipt("test_a", kata=2), course=FORK)) == "k02_models"
    assert named(assessed(done(0), receipt(kata=2, failed="test_a"), course=FORK)) == "k01_layers"


def test_of_the_begun_katas_the_one_that_ran_last_is_current():
    runs = [receipt("test_a", kata=2), receipt("test_a", kata=1)]
    assert named(assessed(done(0), *runs, course=FORK)) == "k01_layers"
    assert named(assessed(done(0), *reversed(runs), course=FORK)) == "k02_models"


def test_when_a_kata_is_complete_an_open_one_is_current():
    assert named(assessed(done(0), done(2), course=FORK)) == "k01_layers"


def named(progress: list[KataProgress]) -> str | None:
    current = current_kata(progress)
    return current.kata.name if current else None
