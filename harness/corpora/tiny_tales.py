"""`tiny_tales`: about a megabyte of little stories, drawn with a fixed seed from `tiny_tales.toml`.

The grammar is unambiguous (a test proves it), so its entropy is that of the text: what is left to guess when
everything that can be learned has been learned.
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
LEAST_CHARACTERS = 1_000_000  # the story that reaches this many is the last one
SIZE = 1_000_665  # bytes
SHA256 = "b9891c71fb284f10ae416ca19ca12f8ea5a110833492a2c7be3e618f641d75f8"

_PRONOUNS = {"he": ("he", "him", "his"), "she": ("she", "her", "her")}


def generate() -> str:
    """The whole corpus, the same on every machine."""
    source = random.Random(SEED)
    stories: list[str] = []
    characters = 0
    while characters < LEAST_CHARACTERS:
        story, _ = grammar().draw(source)
        stories.append(story)
        characters += len(story)
    return "".join(stories)


def entropy() -> Amount:
    """What no model can do better than: the entropy of a story and its expected length."""
    return grammar().expected


@cache
def grammar() -> Grammar:
    """The grammar in `tiny_tales.toml`."""
    told = tomllib.loads(GRAMMAR.read_text(encoding="utf-8"))
    forms: dict[str, tuple[str, ...]] = dict.fromkeys(told["kept"], ("name",))
    forms |= dict.fromkeys(told["names"], ("name", "he", "him", "his"))
    return Grammar(_rules(told), forms, told["start"], told["separator"])


def _rules(told: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Every section's rules as options with weights."""
    rules = {name: {text: weight for weight, text in options} for name, options in told["rules"].items()}
    rules |= {name: dict.fromkeys(_listed(texts), 1) for name, texts in told["any"].items()}
    rules |= {name: _falling(_listed(texts)) for name, texts in told["common_first"].items()}
    rules |= {
        name: dict.fromkeys(map(_with_article, rules[of]), 1) for name, of in told["with_article"].items()
    }
    rules |= {name: rules[of] for name, of in told["again"].items()}
    rules |= {name: _named(names) for name, names in told["names"].items()}
    return rules


def _listed(texts: str) -> list[str]:
    """What stands between commas, wherever the lines are broken."""
    return [" ".join(each.split()) for each in texts.split(",")]


def _falling(options: Iterable[str]) -> dict[str, int]:
    listed = list(options)
    return {each: 3 * len(listed) - 2 * place for place, each in enumerate(listed)}


def _with_article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _named(names: dict[str, str]) -> dict[str, int]:
    """Each name with its pronouns, as forms."""
    options: dict[str, int] = {}
    for pronoun, listed in names.items():
        for name, weight in _falling(_listed(listed)).items():
            options["|".join((name, *_PRONOUNS[pronoun]))] = weight
    return options
