"""What a kata's tests are, read from their source: nothing is imported, so no torch."""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from harness.course.katas import Course, Kata

MANIFEST = "katas/shipped.json"


@dataclass(frozen=True)
class KataTest:
    """One test function. Its parametrised cases count as one test."""

    name: str  # "test_x", or "TestGroup::test_x"
    requirement: str  # the first line of its docstring: the sentence a learner reads


@dataclass(frozen=True)
class Shipped:
    """The tests that a kata was published with."""

    digest: str
    names: tuple[str, ...]


def digest(source: bytes) -> str:
    """A short fingerprint of a text file, the same whichever line endings git checked out."""
    return hashlib.sha256(source.replace(b"\r\n", b"\n")).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """`digest` of a file; empty for a file that is not there."""
    return digest(path.read_bytes()) if path.is_file() else ""


def parse_tests(source: str) -> list[KataTest]:
    """The test functions of a test module in the order they are written."""
    found: list[KataTest] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            found.append(KataTest(node.name, requirement(ast.get_docstring(node), node.name)))
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            found.extend(
                KataTest(f"{node.name}::{item.name}", requirement(ast.get_docstring(item), item.name))
                for item in node.body
                if isinstance(item, ast.FunctionDef) and item.name.startswith("test")
            )
    return found


def requirement(docstring: str | None, name: str) -> str:
    """The sentence a learner reads: a docstring's first line, else the name in words."""
    words = name.removeprefix("test_").replace("_", " ")
    return docstring.strip().splitlines()[0] if docstring and docstring.strip() else words


def read_tests(kata: Kata) -> list[KataTest]:
    """The tests now in the kata's test file; none if it is missing or cannot be parsed."""
    try:
        return parse_tests(kata.tests.read_text(encoding="utf-8-sig"))
    except (OSError, SyntaxError, ValueError):
        return []


def requirement_named(kata: Kata, test: str) -> str:
    """The sentence that a test of the kata stands for; its name if there is no such test."""
    return next((each.requirement for each in read_tests(kata) if each.name == test), test)


def shipped_tests(course: Course) -> dict[str, Shipped]:
    """Per kata, the tests it was shipped with: from the manifest, else from the file itself."""
    manifest = _read_manifest(course.root / MANIFEST)
    return {
        kata.name: manifest.get(kata.name)
        or Shipped(file_digest(kata.tests), tuple(test.name for test in read_tests(kata)))
        for kata in course.katas
    }


def manifest_text(course: Course) -> str:
    """The manifest as it should stand: digest and test names of every kata, as JSON."""
    table = {
        kata.name: {
            "digest": file_digest(kata.tests),
            "tests": [test.name for test in read_tests(kata)],
        }
        for kata in course.katas
    }
    return json.dumps(table, indent=2) + "\n"


def _read_manifest(path: Path) -> dict[str, Shipped]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {name: Shipped(row["digest"], tuple(row["tests"])) for name, row in table.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # Without a usable manifest the test files speak for themselves.
