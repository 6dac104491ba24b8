"""For notebooks: the katas, the learner's own by default; guesses, compared with results; sliders."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.course.katas import Course, find_root, load_course
from harness.course.words import NOT_A_COURSE
from harness.isolation import importer
from harness.isolation.recorder import Recorder
from harness.progress import words
from harness.progress.guesses import Guesses
from harness.progress.ledger import Ledger

SOLUTIONS_VARIABLE = "HARNESS_SOLUTIONS"
_TIME_LIMIT = 60.0  # seconds for the import of one kata


def use_katas(solutions: bool | None = None, *, checked: bool = True) -> None:
    """Make `katas.…` importable in this notebook: your own, or the reference with `solutions`.

    By default the environment decides: HARNESS_SOLUTIONS=1 selects the reference. Restart the kernel after
    editing a kata. In the folder of an incomplete kata, a notice is printed. If `checked`, every call checks
    its arguments against the signature; a notebook that measures short calls does without.
    Raises FileNotFoundError outside a clone of the katas.
    """
    course = _course()
    chosen = os.environ.get(SOLUTIONS_VARIABLE) == "1" if solutions is None else solutions
    solved = course.katas if chosen else ()
    importer.install(course, Recorder(None, _TIME_LIMIT), solved=solved, checked=checked)
    print(words.using_katas(chosen))
    kata = course.kata_of(Path.cwd().resolve())
    if kata and not chosen:
        progress = Ledger(course).of(kata)
        if not progress.complete:
            print(words.notebook_before_its_kata_is_done(progress))


def guess(name: str, value: object) -> None:
    """Keep your guess of a result, to see it beside the result later. With `...` as value it only asks.

    Raises FileNotFoundError outside a clone of the katas, and OSError if the guess cannot be saved.
    """
    if value is ...:
        print(words.GUESS_FIRST)
        return
    kept = Guesses.of(_course()).add(name, _shown(value))
    print(words.GUESS_KEPT if kept else words.GUESS_TOO_LATE)


def compare(name: str, result: object) -> None:
    """Show a result beside your guess, which can no longer be changed then.

    Raises FileNotFoundError outside a clone of the katas, and OSError if that cannot be saved.
    """
    print(words.guess_and_result(name, Guesses.of(_course()).reveal(name), _shown(result)))


def slider(draw: Callable[..., object], **values: Sequence[object]) -> None:
    """Call `draw` with one of the values of each argument, chosen by a slider.

    Without the package ipywidgets the first value of each is taken.
    """
    try:
        import ipywidgets
    except ImportError:
        print(words.NO_SLIDERS)
        draw(**{name: choices[0] for name, choices in values.items()})
        return
    sliders = {name: ipywidgets.SelectionSlider(options=list(choices)) for name, choices in values.items()}
    ipywidgets.interact(draw, **sliders)


def _course() -> Course:
    root = find_root(Path.cwd().resolve())
    if root is None:
        raise FileNotFoundError(NOT_A_COURSE)
    return load_course(root)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
