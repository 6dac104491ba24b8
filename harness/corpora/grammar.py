"""A probabilistic grammar that draws texts and measures their information.

A rule has options, each with a weight. An option is text with placeholders in braces:

    {colour}    a new draw from the options of the rule `colour`
    {hero!}     a draw from the options of `hero`, which is remembered
    {hero.his}  a form of the remembered option; {hero.His} begins with a capital letter

Options that can be remembered are plain text: their forms, separated by `|`. A draw writes the first form.
Draws are independent of earlier draws. Therefore, if every text can be drawn in only one way, the
information in a text is the sum over its draws, and its expectation is the exact entropy.
"""

from __future__ import annotations

import math
import random
import re
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from harness.corpora.words import rule_without_forms, unknown_form, unknown_rule, wrong_forms

_BRACES = re.compile(r"\{(\w+)(!|\.\w+)?\}")

Rules = Mapping[str, Mapping[str, int]]
Forms = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Draw:
    """A placeholder for an option of a rule, which is remembered if `kept`."""

    rule: str
    kept: bool = False


@dataclass(frozen=True)
class Recall:
    """A placeholder for a form of the remembered option of `rule`."""

    rule: str
    form: int
    capital: bool


Piece = str | Draw | Recall


@dataclass(frozen=True)
class Option:
    """One way to expand a rule."""

    pieces: tuple[Piece, ...]
    forms: tuple[str, ...]  # empty if the option cannot be remembered
    probability: float

    @property
    def nats(self) -> float:
        """Return the information in drawing this option."""
        return -math.log(self.probability)

    def form(self, recall: Recall) -> str:
        text = self.forms[recall.form]
        return text[:1].upper() + text[1:] if recall.capital else text


@dataclass(frozen=True)
class Amount:
    """Information and length, of one text or expected."""

    nats: float
    characters: float

    @property
    def nats_per_character(self) -> float:
        return self.nats / self.characters


class Grammar:
    """A grammar whose texts are expansions of `start`, each followed by `separator`.

    `forms` names the forms of every rule whose options can be remembered. Raises ValueError if an option
    names an unknown rule or form. A rule cannot contain itself.
    """

    def __init__(self, rules: Rules, forms: Forms, start: str, separator: str = "") -> None:
        self.start, self.separator = start, separator
        self._form_names = forms
        self.options = {name: self._options(name, weights, rules) for name, weights in rules.items()}
        self._cumulative = {
            name: list(accumulate(option.probability for option in options))
            for name, options in self.options.items()
        }

    def draw(self, source: random.Random) -> tuple[str, Amount]:
        """Return a text with its separator, and its information and length; call only `source.random()`."""
        text: list[str] = []
        nats = 0.0
        remembered: dict[str, Option] = {}
        to_do: list[Piece] = [Draw(self.start)]  # the next piece last
        while to_do:
            piece = to_do.pop()
            if isinstance(piece, str):
                text.append(piece)
            elif isinstance(piece, Recall):
                text.append(remembered[piece.rule].form(piece))
            else:
                option = self._pick(piece.rule, source.random())
                nats += option.nats
                to_do += reversed(option.pieces)
                if piece.kept:
                    remembered[piece.rule] = option
        written = "".join(text) + self.separator
        return written, Amount(nats, len(written))

    @cached_property
    def expected(self) -> Amount:
        """Return the exact entropy and expected length of one text, including its separator."""
        known: dict[str, Amount] = {}
        amount = self._of_rule(self.start, known)
        return Amount(amount.nats, amount.characters + len(self.separator))

    def _of_rule(self, name: str, known: dict[str, Amount]) -> Amount:
        if name not in known:
            nats = characters = 0.0
            for option in self.options[name]:
                inside = [self._of_piece(piece, known) for piece in option.pieces]
                nats += option.probability * (option.nats + sum(each.nats for each in inside))
                characters += option.probability * sum(each.characters for each in inside)
            known[name] = Amount(nats, characters)
        return known[name]

    def _of_piece(self, piece: Piece, known: dict[str, Amount]) -> Amount:
        if isinstance(piece, str):
            return Amount(0, len(piece))
        if isinstance(piece, Draw):
            return self._of_rule(piece.rule, known)
        # Recalling adds no information. Its expected length is the same everywhere, because no draw
        # depends on the remembered option.
        return Amount(0, sum(each.probability * len(each.form(piece)) for each in self.options[piece.rule]))

    def _pick(self, rule: str, number: float) -> Option:
        """Return the option whose share of the interval from 0 to 1 contains `number`."""
        options = self.options[rule]
        return options[bisect(self._cumulative[rule], number, hi=len(options) - 1)]

    def _options(self, name: str, weights: Mapping[str, int], rules: Rules) -> tuple[Option, ...]:
        total = sum(weights.values())
        return tuple(self._option(name, text, weight / total, rules) for text, weight in weights.items())

    def _option(self, name: str, text: str, probability: float, rules: Rules) -> Option:
        if name not in self._form_names:
            return Option(tuple(self._pieces(text, rules)), (), probability)
        forms = tuple(text.split("|"))
        if len(forms) != len(self._form_names[name]) or "{" in text:
            raise ValueError(wrong_forms(text, name, self._form_names[name]))
        return Option((forms[0],), forms, probability)

    def _pieces(self, text: str, rules: Rules) -> Iterator[Piece]:
        end = 0
        for match in _BRACES.finditer(text):
            if match.start() > end:
                yield text[end : match.start()]
            yield self._place(match[1], match[2] or "", rules)
            end = match.end()
        if end < len(text):
            yield text[end:]

    def _place(self, name: str, suffix: str, rules: Rules) -> Piece:
        forms, place = self._form_names.get(name, ()), f"{{{name}{suffix}}}"
        if name not in rules:
            raise ValueError(unknown_rule(place))
        if suffix == "!" and not forms:
            raise ValueError(rule_without_forms(place))
        if not suffix.startswith("."):
            return Draw(name, kept=suffix == "!")
        form = suffix[1:]
        if form.lower() not in forms:
            raise ValueError(unknown_form(place, name, forms))
        return Recall(name, forms.index(form.lower()), capital=form[0].isupper())
