"""The generated pages in docs/, and the tables and the numbers of slips and alternatives in the README."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.commands import review_words
from harness.course.graph import CORE, TRACKS, BadCourse, Entry, read_entries
from harness.course.katas import Course, Kata
from harness.course.questions import BadReview, cards
from harness.course.slips import BadSlip, alternative_names, alternatives_path, read_slips

QUESTIONS = "docs/review_questions.md"
README = "README.md"
_BETWEEN = "<!-- {track}: from katas/course.toml -->\n{table}<!-- end -->"
_SLIPS = re.compile(r"(\| known mistakes, each caught by the test listed for it \| )[\d,]+")
_ALTERNATIVES = re.compile(r"(\| other correct versions, all accepted \| )[\d,]+")
_FRACTIONS = {0.0: "", 0.25: "¼", 0.5: "½", 0.75: "¾"}


def generated(course: Course) -> Iterator[tuple[Path, str]]:
    """Yield each page and its text, except pages with unreadable sources."""
    questions, readme = _questions(course), _readme(course)
    if questions is not None:
        yield course.root / QUESTIONS, questions
    if readme is not None:
        yield course.root / README, readme


def _questions(course: Course) -> str | None:
    try:
        return review_words.page(cards(course.katas))
    except BadReview:
        return None


def _readme(course: Course) -> str | None:
    """Return the README with current tables; None without a README or katas/course.toml."""
    path = course.root / README
    try:
        entries = read_entries(course.root)
        text = path.read_text(encoding="utf-8")
    except (OSError, BadCourse):
        return None
    for track in TRACKS:
        table = _table(track, [kata for kata in course.katas if kata.track == track], entries)
        place = _BETWEEN.format(track=track, table=r"(?:\|.*\n)*")
        text = re.sub(place, _BETWEEN.format(track=track, table=table), text)
    text = _SLIPS.sub(rf"\g<1>{sum(map(_slips, course.katas)):,}", text)
    return _ALTERNATIVES.sub(rf"\g<1>{sum(map(_alternatives, course.katas)):,}", text)


def _slips(kata: Kata) -> int:
    """Return how many there are; what cannot be read is a problem of its own (slip_trials.py)."""
    try:
        return len(read_slips(kata))
    except (OSError, BadSlip):
        return 0


def _alternatives(kata: Kata) -> int:
    try:
        return len(alternative_names(alternatives_path(kata).read_text(encoding="utf-8")))
    except OSError:
        return 0


def _table(track: str, katas: list[Kata], entries: Mapping[str, Entry]) -> str:
    """Return the table of a track; those beyond the core say what they need."""
    headings = ["kata", "you build", *([] if track == CORE else ["needs"]), "time"]
    rows = [headings, ["---"] * len(headings)]
    for kata in katas:
        entry = entries.get(kata.name, Entry())
        needs = [] if track == CORE else [", ".join(name[1:3] for name in entry.needs)]
        rows.append([f"[{kata.title}](katas/{kata.name}/README.md)", entry.builds, *needs, _hours(entry)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _hours(entry: Entry) -> str:
    """Return "1½–2½ h"."""
    return f"{'–'.join(map(_number, dict.fromkeys(entry.hours or ())))} h"


def _number(hours: float) -> str:
    return f"{int(hours)}{_FRACTIONS[hours % 1]}"
