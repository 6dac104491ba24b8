"""Sentences for learners are in words modules, and nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness

PACKAGE = Path(harness.__file__).parent
# Where a sentence may be all the same, and why.
ELSEWHERE = {
    "cli.py": "help texts are part of an option",
    "plugin.py": "help texts are part of an option",
    "explain/failures.py": "a failure's sentences are next to its facts",
    "explain/observations.py": "so are an observation's",
    "explain/attention.py": "so are an observation's",
    "explain/factors.py": "so are an observation's",
    "explain/rearrangements.py": "so are an observation's",
    "explain/regions.py": "so are an observation's",
    "explain/variables.py": "so are an observation's",
    "explain/attention_map.py": "so is the legend of a map",
    "explain/axis_names.py": "the words for axes",
    "explain/comparisons.py": "it reads a sentence of torch",
    "diagnosis/snapshots.py": "it reads a message of Python",
    "shapes.py": "a module of its own, without a package",
    "corpora/catalogue.py": "the description of a corpus is part of its entry",
    "corpora/gpt2.py": "its description is part of its entry",
    "course/questions.py": "for authors",
    "course/slips.py": "for authors",
    "corpora/grammar.py": "for authors",
    "watch/spare_process.py": "a kata to warm up on is code",
}
FOR_AUTHORS = ("authoring/",)  # who write katas, and are shown the rule with its remedy
THREE_WORDS = re.compile(r"\b[a-z]{2,} [a-z]{2,} [a-z]{2,}\b")


def modules() -> list[str]:
    paths = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
    return [
        path
        for path in paths
        if not path.startswith(("tests/", *FOR_AUTHORS))
        and path not in ELSEWHERE
        and not path.endswith("words.py")
    ]


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield every text in a module that is not a docstring, with its line."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and not isinstance(parents[node], ast.Expr):  # a docstring is a statement
            yield node.lineno, node.value


@pytest.mark.parametrize("module", modules())
def test_a_module_has_no_sentences_unless_it_is_for_words(module: str) -> None:
    source = (PACKAGE / module).read_text(encoding="utf-8")
    assert [(line, text) for line, text in texts(source) if THREE_WORDS.search(text)] == []


def test_a_sentence_would_be_found() -> None:
    source = '"""A module about this and that."""\nraise ValueError(f"{n} is not a number of katas")'
    assert [line for line, text in texts(source) if THREE_WORDS.search(text)] == [2]
