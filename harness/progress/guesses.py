"""What a learner guessed before seeing a result, kept so that it can be compared with it."""

from __future__ import annotations

from pathlib import Path

from harness.course.katas import Course
from harness.progress.line_file import append_line, read_lines

FILE = "guesses.jsonl"


class Guesses:
    """The guesses in a file. The last one before the result was seen counts; later ones do not."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, str] = {}
        self._seen: set[str] = set()
        for fact in read_lines(path):
            match fact:
                case {"name": str(name), "guess": str(value)}:
                    self._note(name, value)
                case {"name": str(name), "seen": True}:
                    self._seen.add(name)

    @classmethod
    def of(cls, course: Course) -> Guesses:
        return cls(course.state / FILE)

    def add(self, name: str, value: str) -> bool:
        """Keep a guess. False if the result has been seen: then the first guess stays. Raises OSError."""
        if name in self._seen:
            return False
        append_line(self._path, {"name": name, "guess": value})
        self._note(name, value)
        return True

    def reveal(self, name: str) -> str | None:
        """Return the guess, None if there is none; from now on it stays as it is. Raises OSError."""
        value = self._values.get(name)
        if value is not None and name not in self._seen:
            append_line(self._path, {"name": name, "seen": True})
            self._seen.add(name)
        return value

    def _note(self, name: str, value: str) -> None:
        if name not in self._seen:
            self._values[name] = value
