"""A grammar's texts, and the exact amount of information in them."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from harness.corpora.grammar import Grammar
from harness.tests.support.ambiguity import ambiguities

COIN = {"toss": {"heads": 1, "tails": 3}}
PETS = {
    "story": {"{hero!} had {pet}. {hero.He} fed {pet}.": 1, "No pet for {hero!}; {hero.he} {end}": 3},
    "hero": {"Ann|she": 2, "Bob|he": 1, "Al|he": 1},
    "pet": {"a cat": 5, "an eel": 3},
    "end": {"left.": 1, "had {pet} of {hero.he}.": 1},
}
FORMS = {"hero": ("name", "he")}


def pets() -> Grammar:
    return Grammar(PETS, FORMS, "story", "\n")


def test_a_tiny_grammar_has_the_entropy_computed_by_hand() -> None:
    # "heads" and "tails" have 5 letters each: H = 1/4 ln 4 + 3/4 ln 4/3, over 5 characters and a newline
    coin = Grammar(COIN, {}, "toss", "\n")
    by_hand = 0.25 * math.log(4) + 0.75 * math.log(4 / 3)
    assert coin.expected.nats == pytest.approx(by_hand, rel=1e-12)
    assert coin.expected.characters == 6
    assert coin.expected.nats_per_character == pytest.approx(by_hand / 6, rel=1e-12)


def every_pet_story() -> dict[str, float]:
    """Each text of PETS with its probability, written out without the grammar."""
    found: dict[str, float] = {}
    pets = {"a cat": 5 / 8, "an eel": 3 / 8}
    for name, he, p in (("Ann", "she", 1 / 2), ("Bob", "he", 1 / 4), ("Al", "he", 1 / 4)):
        for pet, q in pets.items():
            for other, r in pets.items():
                found[f"{name} had {pet}. {he.capitalize()} fed {other}.\n"] = p * q * r / 4
            found[f"No pet for {name}; {he} had {pet} of {he}.\n"] = p * q * 3 / 8
        found[f"No pet for {name}; {he} left.\n"] = p * 3 / 8
    return found


def test_the_entropy_equals_that_of_an_explicit_list_of_all_texts() -> None:
    texts = every_pet_story()
    assert sum(texts.values()) == pytest.approx(1)
    assert pets().expected.nats == pytest.approx(-sum(p * math.log(p) for p in texts.values()), rel=1e-12)
    assert pets().expected.characters == pytest.approx(sum(p * len(t) for t, p in texts.items()), rel=1e-12)


def test_texts_are_drawn_as_often_as_the_weights_say() -> None:
    grammar, source, draws = pets(), random.Random(1), 20_000
    counts = Counter(grammar.draw(source)[0] for _ in range(draws))
    texts = every_pet_story()
    assert counts.keys() == texts.keys()
    for text, p in texts.items():
        # five standard errors of a frequency: 1 in 100,000 for each of the 18 texts, and the seed is fixed
        assert counts[text] / draws == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / draws))


def test_a_drawn_text_comes_with_its_own_information_and_length() -> None:
    source, texts = random.Random(2), every_pet_story()
    for _ in range(50):
        text, amount = pets().draw(source)
        assert amount.nats == pytest.approx(-math.log(texts[text]), rel=1e-12)
        assert amount.characters == len(text)


def test_the_same_seed_draws_the_same_text() -> None:
    assert pets().draw(random.Random(3)) == pets().draw(random.Random(3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{nobody}", "{nobody} does not name a rule"),
        ("{pet!}", "{pet!} does not name a rule with forms"),
        ("{hero.her}", "{hero.her} does not name a form of hero: name, he"),
        ("{pet.name}", "{pet.name} does not name a form of pet: "),
    ],
)
def test_an_invalid_placeholder_raises_value_error(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Grammar({**PETS, "story": {text: 1}}, FORMS, "story")


@pytest.mark.parametrize("option", ["Eve", "Eve|she|her", "{pet}|it"])
def test_an_option_to_remember_must_be_plain_and_have_all_forms(option: str) -> None:
    with pytest.raises(ValueError, match="does not have the forms name, he"):
        Grammar({**PETS, "hero": {option: 1}}, FORMS, "story")


def test_an_unambiguous_grammar_is_recognised() -> None:
    assert list(ambiguities(pets())) == []


@pytest.mark.parametrize(
    ("rules", "rule"),
    [
        ({"story": {"a": 1, "ab": 1}}, "story"),
        ({"story": {"": 1, "b": 1}}, "story"),
        ({"story": {"{x}b": 1, "a{y}": 1}, "x": {"a": 1, "c": 1}, "y": {"b": 1, "d": 1}}, "story"),
        ({"story": {"{x}": 1, "{x} more": 1}, "x": {"a": 1, "c": 1}}, "story"),
        ({"story": {"{hero!}{x}": 1}, "x": {"{hero.name}": 1, "Al": 1}, "hero": PETS["hero"]}, "x"),
        ({"story": {"{hero!}": 1}, "hero": {"Sam|he": 1, "Sam|she": 1}}, "hero"),
    ],
    ids=["prefix", "nothing", "through two rules", "optional end", "remembered", "same name"],
)
def test_an_ambiguous_grammar_is_recognised(rules: dict[str, dict[str, int]], rule: str) -> None:
    forms = FORMS if "hero" in rules else {}
    assert list(ambiguities(Grammar(rules, forms, "story"))) == [rule]
