"""A search for texts that a grammar can draw in more than one way.

There are none if, in every rule and for all remembered options, no expansion of one option is the
beginning of an expansion of another: a text, read from left to right, then reveals every draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from harness.corpora.grammar import Draw, Grammar, Option, Piece, Recall

Remembered = Mapping[str, Option]
Side = tuple[tuple[Piece, ...], Remembered]  # pieces not yet expanded, and remembered options


def ambiguities(grammar: Grammar) -> Iterator[str]:
    """Yield the rules that have two options with clashing expansions."""
    for name, options in grammar.options.items():
        if any(
            _clash(grammar, (one.pieces, {}), (other.pieces, {})) for one, other in combinations(options, 2)
        ):
            yield name


def _clash(grammar: Grammar, one: Side, other: Side) -> bool:
    """True if an expansion of one side is equal to one of the other, or its beginning."""
    if not one[0] or not other[0]:
        return True
    for side, opposite in ((one, other), (other, one)):
        match side[0][0]:
            case Draw():
                return any(_clash(grammar, drawn, opposite) for drawn in _drawn(grammar, side))
            case Recall():
                return any(_clash(grammar, *sides) for sides in _recalled(grammar, side, opposite))
    return _text_clash(grammar, one, other)


def _text_clash(grammar: Grammar, one: Side, other: Side) -> bool:
    (text, *_), (other_text, *_) = one[0], other[0]
    assert isinstance(text, str) and isinstance(other_text, str)
    common = min(len(text), len(other_text))
    if text[:common] != other_text[:common]:
        return False
    return _clash(grammar, _after(one, common), _after(other, common))


def _after(side: Side, characters: int) -> Side:
    pieces, remembered = side
    assert isinstance(pieces[0], str)
    rest = pieces[0][characters:]
    return ((rest, *pieces[1:]) if rest else pieces[1:]), remembered


def _drawn(grammar: Grammar, side: Side) -> Iterator[Side]:
    (piece, *rest), remembered = side
    assert isinstance(piece, Draw)
    for option in grammar.options[piece.rule]:
        kept = {**remembered, piece.rule: option} if piece.kept else remembered
        yield (*option.pieces, *rest), kept


def _recalled(grammar: Grammar, side: Side, opposite: Side) -> Iterator[tuple[Side, Side]]:
    """Expand recalled options on both sides; options that were not drawn here are equal on both."""
    (piece, *rest), remembered = side
    assert isinstance(piece, Recall)
    for option in [remembered[piece.rule]] if piece.rule in remembered else grammar.options[piece.rule]:
        known = {piece.rule: option}
        yield ((option.form(piece), *rest), {**known, **remembered}), (opposite[0], {**known, **opposite[1]})
