"""The tests of a kata, read from their source without importing it, and fingerprints of the shipped ones."""

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
    """A test function; its parametrised cases count as one test."""

    name: str  # "test_x", or "TestGroup::test_x"
    requirement: str  # the first line of its docstring, which learners read


@dataclass(frozen=True)
class Shipped:
    """The tests with which a kata was published."""

    digest: str
    names: tuple[str, ...]


def digest(source: bytes) -> str:
    """Return a short fingerprint of a text file, independent of its line endings."""
    return hashlib.sha256(source.replace(b"\r\n", b"\n")).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Return the `digest` of a file; empty if it is missing."""
    return digest(path.read_bytes()) if path.is_file() else ""


def parse_tests(source: str) -> list[KataTest]:
    """Return the test functions of a test module in the order of the source."""
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
    """Return the sentence a learner reads: a docstring's first line, else the name in words."""
    words = name.removeprefix("test_").replace("_", " ")
    return docstring.strip().splitlines()[0] if docstring and docstring.strip() else words


def read_tests(kata: Kata) -> list[KataTest]:
    """Return the tests now in the kata's test file; none if it is missing or cannot be parsed."""
    try:
        return parse_tests(kata.tests.read_text(encoding="utf-8-sig"))
    except (OSError, SyntaxError, ValueError):
        return []


def requirement_named(kata: Kata, test: str) -> str:
    """Return the requirement of a test of the kata; `test` itself if it is unknown."""
    return next((each.requirement for each in read_tests(kata) if each.name == test), test)


def shipped_tests(course: Course) -> dict[str, Shipped]:
    """Return the shipped tests by kata, from the manifest if it has them, else from the test file."""
    manifest = _read_manifest(course.root / MANIFEST)
    return {
        kata.name: manifest.get(kata.name)
        or Shipped(file_digest(kata.tests), tuple(test.name for test in read_tests(kata)))
        for kata in course.katas
    }


def manifest_text(course: Course) -> str:
    """Return the up-to-date manifest: digest and test names of every kata, as JSON."""
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
        return {}  # without a usable manifest, the test files are used
