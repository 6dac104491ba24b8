"""simple_sequences has the same bytes everywhere, and every line follows a rule."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

from harness.corpora import simple_sequences


def test_the_text_has_the_recorded_digest_and_size() -> None:
    text = simple_sequences.generate().encode("ascii")
    assert (hashlib.sha256(text).hexdigest(), len(text)) == (simple_sequences.SHA256, simple_sequences.SIZE)


def test_the_committed_sequences_are_the_generated_ones(repository: Path) -> None:
    assert (repository / "data" / "simple_sequences.txt").read_bytes() == simple_sequences.generate().encode()


def test_every_line_follows_its_rule() -> None:
    lines = simple_sequences.generate().splitlines()
    kinds = {kind for kind, _ in (line.split(": ") for line in lines)}
    assert kinds == {"count", "count by 2", "count by 3", "down", "alphabet", "copy", "reverse"}
    for kind, rest in (line.split(": ") for line in lines):
        if kind in ("copy", "reverse"):
            word, answer = rest.split(" > ")
            assert answer == (word if kind == "copy" else word[::-1])
        else:
            numbers = [ord(item) if kind == "alphabet" else int(item) for item in rest.split()]
            step = {"down": -1, "count by 2": 2, "count by 3": 3}.get(kind, 1)
            assert {b - a for a, b in itertools.pairwise(numbers)} == {step}
