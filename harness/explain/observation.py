"""An observation about two values, with its sentence.

Each kind is a frozen dataclass next to the code that finds it, and has its sentence: a new observation
touches one file. With the failures, this is the one exception to the rule that a learner's sentences are in
words.py.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from harness.explain.axis_names import AxisNames
from harness.terminal.lines import WIDTH

SENTENCE_WIDTH = WIDTH - 4  # sentences are indented


@dataclass(frozen=True)
class Observation:
    """Something that holds for all entries of two values, within the assertion's tolerance."""

    def sentence(self, axes: AxisNames) -> str:
        """Say it, with the signature's names for the axes."""
        raise NotImplementedError


def sentences(observed: Sequence[Observation], axes: AxisNames) -> list[str]:
    """Return the sentence of each observation, wrapped."""
    return [line for each in observed for line in textwrap.wrap(each.sentence(axes), SENTENCE_WIDTH)]


def short(value: float) -> str:
    """Return a number with three digits."""
    return f"{value:.3g}"
