"""Tests of the messages about a diagnosis."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from harness.course.katas import Kata
from harness.course.test_case import TestCase
from harness.diagnosis.words import diagnosis_lines
from harness.explain.failures import ValuesDiffer
from harness.explain.findings import Finding
from harness.explain.places import Place
from harness.explain.shown import Shown
from harness.run.words import failure_block

LONG = (
    "You mask after the softmax, when the hidden keys have already taken their share: the rest no longer "
    "sums to 1. Mask the scores, with -inf, before the softmax."
)


def test_a_diagnosis_follows_the_message_within_80_columns() -> None:
    place = Place("katas/k01_attention/attention.py", 71, "def attention_weights(")
    failure = ValuesDiffer("", Shown("assert", ("expected  1.0", "actual    0.4")))
    finding = Finding(failure, place, diagnoses=(LONG,))
    case = TestCase("k01_attention", "test_x", "test_x", requirement="The rest sums to one.")
    block = failure_block(Kata(Path(), "k01_attention"), case, finding, passed=8, total=14)
    assert "\n".join(line.text for line in block) == dedent(
        """\
        kata 01 attention · 8/14

        ✗ The rest sums to one.
          test_x

          The value is not as expected:
          expected  1.0
          actual    0.4

          A known mistake produces exactly this result. Is it the one you made?
            You mask after the softmax, when the hidden keys have already taken their
            share: the rest no longer sums to 1. Mask the scores, with -inf, before the
            softmax.

          katas/k01_attention/attention.py:71   def attention_weights(

        Next: change it, save, and run  pytest katas/01
        Stuck? harness hint 01"""
    )


def test_without_a_diagnosis_there_are_no_lines() -> None:
    assert diagnosis_lines(()) == []
