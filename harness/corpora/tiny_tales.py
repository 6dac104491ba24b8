"""The corpus `tiny_tales`: stories drawn from the grammar in `tiny_tales.toml`.

The grammar is unambiguous, as a test proves, so its entropy is that of the text: the loss of a model that
has learned everything it can learn.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from harness.corpora.grammar import Amount, Grammar

GRAMMAR = Path(__file__).with_suffix(".toml")
SEED = 1623
LEAST_CHARACTERS = 1_000_000  # the story that reaches this number is the last
SIZE = 1_000_665  # bytes
SHA256 = "b9891c71fb284f10ae416ca19ca12f8ea5a110833492a2c7be3e618f641d75f8"

_PRONOUNS = {"he": ("he", "him", "his"), "she": ("she", "her", "her")}


def generate() -> str:
    """Return the whole corpus, which is the same on every machine."""
    source = random.Random(SEED)
    stories: list[str] = []
    characters = 0
    while characters < LEAST_CHARACTERS:
        story, _ = grammar().draw(source)
        stories.append(story)
        characters += len(story)
    return "".join(stories)


def entropy() -> Amount:
    """Return the entropy of a story, the least possible loss, and its expected length."""
    return grammar().expected


@cache
def grammar() -> Grammar:
    """Load the grammar from `tiny_tales.toml`."""
    sections = tomllib.loads(GRAMMAR.read_text(encoding="utf-8"))
    forms: dict[str, tuple[str, ...]] = dict.fromkeys(sections["kept"], ("name",))
    forms |= dict.fromkeys(sections["names"], ("name", "he", "him", "his"))
    return Grammar(_rules(sections), forms, sections["start"], sections["separator"])


def _rules(sections: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Return the rules of every section as options with weights."""
    rules = {name: {text: weight for weight, text in options} for name, options in sections["rules"].items()}
    rules |= {name: dict.fromkeys(_split_at_commas(texts), 1) for name, texts in sections["any"].items()}
    rules |= {
        name: _falling_weights(_split_at_commas(texts)) for name, texts in sections["common_first"].items()
    }
    rules |= {
        name: dict.fromkeys(map(_with_article, rules[of]), 1) for name, of in sections["with_article"].items()
    }
    rules |= {name: rules[of] for name, of in sections["again"].items()}
    rules |= {name: _name_forms(names) for name, names in sections["names"].items()}
    return rules


def _split_at_commas(texts: str) -> list[str]:
    """Return the texts between commas; line breaks count as spaces."""
    return [" ".join(each.split()) for each in texts.split(",")]


def _falling_weights(options: Iterable[str]) -> dict[str, int]:
    listed = list(options)
    return {each: 3 * len(listed) - 2 * place for place, each in enumerate(listed)}


def _with_article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _name_forms(names: dict[str, str]) -> dict[str, int]:
    """Return each name with its pronouns, as forms."""
    options: dict[str, int] = {}
    for pronoun, listed in names.items():
        for name, weight in _falling_weights(_split_at_commas(listed)).items():
            options["|".join((name, *_PRONOUNS[pronoun]))] = weight
    return options
