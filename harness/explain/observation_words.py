"""What a learner reads about observations, maps of attention and traces of shapes."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.explain.axis_names import AxisNames, capitalised, numbers_in_words

Fact = Mapping[str, Any]
_WIDTH = 76  # characters for a sentence: it stands indented, in 80 columns


def seen_lines(seen: Sequence[Fact], names: Sequence[str], shape: Sequence[int]) -> list[str]:
    """One short sentence for each observation; `names` are those of the axes, where they are known."""
    axes = AxisNames(names, shape)
    return [line for fact in seen for line in textwrap.wrap(_SAY[fact["kind"]](fact, axes), _WIDTH)]


def _number(value: float) -> str:
    return f"{value:.3g}"


# --- a trace of shapes ---------------------------------------------------------------------------------


# --- a map of attention ------------------------------------------------------------------------------


# --- one relation that explains everything ---------------------------------------------------------


def _exchanged(fact: Fact, axes: AxisNames) -> str:
    one, other = fact["axes"]
    named = axes.names[one] and axes.names[other]
    which = f"{axes.names[one]} and {axes.names[other]}" if named else _pair_of_axes(one, other, axes)
    return f"With {which} exchanged (a transpose) it is what is expected."


def _pair_of_axes(one: int, other: int, axes: AxisNames) -> str:
    if (one, other) == (len(axes.shape) - 2, len(axes.shape) - 1):
        return "the last two axes"
    return f"axes {one} and {other}"


def _negated(fact: Fact, axes: AxisNames) -> str:
    return "Every value has the wrong sign, and is right otherwise."


def _scaled(fact: Fact, axes: AxisNames) -> str:
    return f"Every value is {_factor(fact)} times what is expected{_because(fact)}."


def _factor(fact: Fact) -> str:
    value = _number(fact["factor"])
    form = fact.get("form", "")
    exact = form.format(fact["size"], fact["size"]) if form else ""
    sign = "-" if fact["factor"] < 0 and exact else ""
    return f"{value} = {sign}{exact}" if exact and exact != value.lstrip("-") else value


def _because(fact: Fact) -> str:
    return f" ({fact['name']} is {fact['size']})" if fact.get("name") else ""


def _sharpened(fact: Fact, axes: AxisNames) -> str:
    return f"It is the softmax of the right scores times {_factor(fact)}{_because(fact)}."


def _offset(fact: Fact, axes: AxisNames) -> str:
    size, way = _number(abs(fact["by"])), "more" if fact["by"] > 0 else "less"
    return f"Every value is {size} {way} than what is expected."


def _shifted(fact: Fact, axes: AxisNames) -> str:
    along = axes.called(fact["axis"])
    if fact["by"] > 0:
        return f"All is one place too late along {along}: index i holds what belongs at i - 1."
    return f"All is one place too early along {along}: index i holds what belongs at i + 1."


def _reordered(fact: Fact, axes: AxisNames) -> str:
    axis, order = fact["axis"], fact["order"]
    things = axes.plural(axis) if axes.noun(axis) else f"slices along axis {axis}"
    moved = [index for index, place in enumerate(order) if index != place]
    if len(moved) == 2:
        return f"{capitalised(axes.indices(axis, moved))} are exchanged; all else is right."
    if order == list(range(len(order)))[::-1]:
        return f"The {things} are right, but stand in reverse order."
    if len(order) <= 8:
        return f"The {things} are right, but stand in the order {' '.join(map(str, order))}."
    return f"The {things} are right, but stand in another order."


def _regrouped(fact: Fact, axes: AxisNames) -> str:
    one, other = fact["axes"]
    shape = ", ".join(map(str, fact["shape"]))
    return (
        "The right numbers, in wrong places: reshaped to"
        f" ({shape}) and then with axes {one} and {other} exchanged, all are where they belong."
    )


def _shuffled(fact: Fact, axes: AxisNames) -> str:
    return "It holds exactly the expected numbers, but in other places."


def _laid_out(fact: Fact, axes: AxisNames) -> str:
    return "It holds the expected numbers in the expected order, in another shape."


def _only_dtype(fact: Fact, axes: AxisNames) -> str:
    return "The values are right; only the dtype is another."


def _float32(fact: Fact, axes: AxisNames) -> str:
    return "Every value is a float32 number, though in a float64 tensor."


# --- shapes ----------------------------------------------------------------------------------------


def _shape_order(fact: Fact, axes: AxisNames) -> str:
    order = fact["order"]
    swapped = [axis for axis, place in enumerate(order) if axis != place]
    if len(swapped) == 2:
        one, other = swapped
        named = axes.names[one] and axes.names[other]
        which = f"{axes.names[one]} and {axes.names[other]}" if named else _pair_of_axes(one, other, axes)
        return f"The sizes of {which} stand in each other's place."
    return "The sizes are the expected ones, in another order."


def _ones(fact: Fact, axes: AxisNames) -> str:
    what = "has an axis of size 1 too many" if fact["more"] else "lacks an axis of size 1"
    return f"The result {what}{'; its values are right' if fact['right'] else ''}."


def _lost_axis(fact: Fact, axes: AxisNames) -> str:
    return f"The result lacks an axis: {axes.called(fact['axis'])}, of size {axes.shape[fact['axis']]}."


# --- what is true of parts -------------------------------------------------------------------------


def _nan(fact: Fact, axes: AxisNames) -> str:
    return _not_finite("NaN", fact, axes)


def _inf(fact: Fact, axes: AxisNames) -> str:
    return _not_finite("infinite", fact, axes)


def _not_finite(what: str, fact: Fact, axes: AxisNames) -> str:
    if fact["of"] == 1:
        return f"The result is {what}."
    if fact["count"] == fact["of"]:
        return f"Every value is {what}."
    many = f"{fact['count']} of {fact['of']} values are" if fact["count"] > 1 else "One value is"
    if fact["axes"]:
        return f"{many} {what}, all in {_region(fact['axes'], axes)}."
    return f"{many} {what}{', the first' if fact['count'] > 1 else ''} at {axes.place(fact['first'])}."


def _sums(fact: Fact, axes: AxisNames) -> str:
    along = axes.called(fact["axis"])
    if fact["along"] is not None:
        return f"The weights sum to 1 along {axes.called(fact['along'])}; they should along {along}."
    low, high = _number(fact["low"]), _number(fact["high"])
    span = low if low == high else f"between {low} and {high}"
    return f"Along {along} the sums are {span}; they should be 1."


def _rows_scaled(fact: Fact, axes: AxisNames) -> str:
    along = axes.called(fact["axis"])
    return f"Along {along} the proportions are right: only a factor is wrong, another each time."


def _rows_offset(fact: Fact, axes: AxisNames) -> str:
    return f"Along {axes.called(fact['axis'])} all is off by one and the same number, another each time."


def _constant(fact: Fact, axes: AxisNames) -> str:
    return f"Every value is {_number(fact['value'])}."


def _alike(fact: Fact, axes: AxisNames) -> str:
    axis = fact["axis"]
    if not axes.noun(axis):
        return f"The result is the same at every index of axis {axis}; it should not be."
    return f"The result is the same for all {axes.plural(axis)}; it should not be."


def _not_special(fact: Fact, axes: AxisNames) -> str:
    value, wrong, of = fact["value"], fact["wrong"], fact["of"]
    many = f"all {of}" if wrong == of else f"{wrong} of {of}"
    if fact["only"]:
        return f"Only entries where {value} is expected differ: {many}."
    return f"{'All' if wrong == of else wrong} of the {of} entries that should be {value} are not."


def _wrongly_special(fact: Fact, axes: AxisNames) -> str:
    return f"Only entries that are {fact['value']}, and should not be, differ: {fact['count']} of them."


def _diagonal(fact: Fact, axes: AxisNames) -> str:
    sides = {"above": "above the diagonal", "on": "on the diagonal", "below": "below the diagonal"}
    if axes.names[-2:] == ["queries", "keys"]:
        sides = {
            "above": "where the key comes after the query",
            "on": "where a query meets its own key",
            "below": "where the key comes before the query",
        }
    return f"All that differs lies {sides[fact['side']]}."


def _where(fact: Fact, axes: AxisNames) -> str:
    parts = fact["axes"]
    if len(parts) == 1:
        axis, size, which = parts[0]["axis"], parts[0]["size"], parts[0]["which"]
        rest = [index for index in range(size) if index not in which]
        if len(rest) < len(which):
            verb = "matches" if len(rest) == 1 else "match"
            return f"Only {axes.indices(axis, rest)} of {size} {verb}."
        verb = "differs" if len(which) == 1 else "differ"
        return f"Only {axes.indices(axis, which)} of {size} {verb}."
    return f"All that differs lies in {_region(parts, axes)}."


def _region(parts: Sequence[Fact], axes: AxisNames) -> str:
    return ", ".join(axes.indices(part["axis"], part["which"]) for part in parts)


# --- which position read which, and what got no gradient ---------------------------------------------


def _reads(fact: Fact, axes: AxisNames) -> str:
    readers, read = numbers_in_words(fact["readers"]), fact["read"]
    one = len(fact["readers"]) == 1
    future = all(reader < read for reader in fact["readers"])
    lines = f"Position{'' if one else 's'} {readers} read{'s' if one else ''} position {read}"
    return f"{lines}, which comes later." if future else f"{lines}."


def _reads_other_row(fact: Fact, axes: AxisNames) -> str:
    one = len(fact["rows"]) == 1
    readers = f"Batch row{'' if one else 's'} {numbers_in_words(fact['rows'])}"
    return f"{readers} read{'s' if one else ''} batch row {fact['read']}."


def _deaf(fact: Fact, axes: AxisNames) -> str:
    one = len(fact["positions"]) == 1
    what = f"Position{'' if one else 's'} {numbers_in_words(fact['positions'])} take{'s' if one else ''}"
    return f"{what} no notice of position {fact['read']}."


def _no_gradient(fact: Fact, axes: AxisNames) -> str:
    return f"No gradient reaches {fact['of']}: it is zero everywhere."


def _named(fact: Fact, axes: AxisNames) -> str:
    return f"This is {fact['of']}."


def _gradient(fact: Fact, axes: AxisNames) -> str:
    return f"This is the gradient of {fact['of']}."


_SAY: dict[str, Callable[[Fact, AxisNames], str]] = {
    "exchanged": _exchanged,
    "negated": _negated,
    "scaled": _scaled,
    "sharpened": _sharpened,
    "offset": _offset,
    "shifted": _shifted,
    "reordered": _reordered,
    "regrouped": _regrouped,
    "shuffled": _shuffled,
    "laid_out": _laid_out,
    "only_dtype": _only_dtype,
    "float32": _float32,
    "shape_order": _shape_order,
    "ones": _ones,
    "lost_axis": _lost_axis,
    "nan": _nan,
    "inf": _inf,
    "sums": _sums,
    "rows_scaled": _rows_scaled,
    "rows_offset": _rows_offset,
    "constant": _constant,
    "alike": _alike,
    "not_special": _not_special,
    "wrongly_special": _wrongly_special,
    "diagonal": _diagonal,
    "where": _where,
    "reads": _reads,
    "reads_other_row": _reads_other_row,
    "deaf": _deaf,
    "no_gradient": _no_gradient,
    "gradient": _gradient,
    "named": _named,
}
