"""The pictures of kata 00, drawn by `python -m harness.authoring.pictures`."""

from itertools import pairwise

import torch

from harness.plots.boxes import Diagram
from harness.plots.theme import PAGE

CELL = 34  # pixels from one number to the next


def broadcasting(theme):
    """A column and a row that are stretched to the same grid and added."""
    page = Diagram(PAGE, 240, theme)
    column, row = torch.tensor([[0], [10], [20], [30]]), torch.tensor([1, 2, 3])
    total = column + row
    blue, orange, green = theme.series[0], theme.series[1], theme.series[2]
    tables = {
        "x: (n, 1)": (column.expand_as(total), lambda _, place: place == 0, blue),
        "y: (m)": (row.expand_as(total), lambda line, _: line == 0, orange),
        "x + y: (n, m)": (total, lambda *_: True, green),
    }
    for number, (name, (table, is_real, colour)) in enumerate(tables.items()):
        left = 60 + 215 * number
        page.text((left + CELL, 28), name)
        if number:
            page.text((left - 74, 70 + 1.5 * CELL), "+" if number == 1 else "=", size=15, quiet=True)
        for line, numbers in enumerate(table.tolist()):
            for place, value in enumerate(numbers):
                real = is_real(line, place)
                centre = (left + CELL * place, 70 + CELL * line)
                if real:
                    page.box(centre, (30, 28), str(value), colour)
                else:
                    page.box(centre, (30, 28), "", dashed=True)
                    page.text(centre, str(value), quiet=True)
    page.text((60 + CELL, 220), "one column, used three times", quiet=True, size=8.5)
    page.text((275 + CELL, 220), "one row, used four times", quiet=True, size=8.5)
    page.text((490 + CELL, 220), "every pair", quiet=True, size=8.5)
    page.text((700, 28), "line up from the right")
    for line, (name, *sizes) in enumerate([("x", "4", "1"), ("y", "", "3"), ("x + y", "4", "3")]):
        y = 70 + 1.5 * CELL * line
        page.text((640, y), name, align="left", quiet=True)
        for place, size in enumerate(sizes):
            colour = green if name == "x + y" else blue if name == "x" else orange
            page.box((712 + 40 * place, y), (32, 28), size, colour if size else None, dashed=not size)
    return page.figure


def walks(theme):
    """One row of memory, walked by a view and by a transpose."""
    page = Diagram(PAGE, 312, theme)
    a = torch.arange(6).view(2, 3)
    for left, name, tensor in ((112, "a.view(3, 2)", a.view(3, 2)), (512, "a.transpose(0, 1)", a.T)):
        middle = left + 2.5 * 48
        page.text((middle, 22), name, size=11)
        page.text(
            (middle, 42), f"shape {tuple(tensor.shape)}, strides {tensor.stride()}", quiet=True, size=8.5
        )
        order = tensor.flatten().tolist()
        colour_of = {
            value: theme.series[line] for line, values in enumerate(tensor.tolist()) for value in values
        }
        for value, colour in colour_of.items():
            page.box((left + 48 * value, 122), (38, 32), str(value), colour)
        for value, following in pairwise(order):
            ahead = following - value
            y = 104 if ahead > 0 else 140
            shift = 5 if ahead > 0 else -5
            page.arc(
                (left + 48 * value + shift, y), (left + 48 * following - shift, y),
                14 if ahead == 1 else 30 if ahead > 0 else -20,
            )  # fmt: skip  # a curve stands in one line
        for line, values in enumerate(tensor.tolist()):
            for place, value in enumerate(values):
                page.box(
                    (middle + 48 * (place - 0.5), 208 + 38 * line), (38, 32), str(value), colour_of[value]
                )
            page.text((middle - 62, 208 + 38 * line), f"row {line}", quiet=True, size=8.5, align="right")
    page.text((20, 122), "memory", align="left", quiet=True)
    return page.figure


def leaks(theme):
    """Where a hidden NaN gets through, in the value and in the gradient, and where it does not."""
    page = Diagram(PAGE, 440, theme)
    _hide(page)
    _divide(page)
    return page.figure


def _hide(page):
    """Three numbers of which the last must not count, hidden by a product and by a selection."""
    x, mask = torch.tensor([2.0, 5.0, float("nan")]), torch.tensor([True, True, False])
    page.text((20, 24), "the value: x = [2, 5, NaN], of which only two count", align="left", size=10.5)
    lanes = {"multiply by the mask": x * mask, "select by the mask": torch.where(mask, x, 0.0)}
    for lane, (name, hidden) in enumerate(lanes.items()):
        y = 68 + 54 * lane
        for place, number in enumerate(x.tolist()):
            _number(page, (44 + 50 * place, y), number)
        page.arrow((172, y), (204, y))
        page.box((284, y), (156, 34), name, page.theme.series[4])
        page.arrow((364, y), (396, y))
        for place, number in enumerate(hidden.tolist()):
            _number(page, (424 + 50 * place, y), number)
        page.arrow((552, y), (584, y))
        page.box((624, y), (76, 34), "sum", page.theme.series[4])
        page.arrow((664, y), (696, y))
        _number(page, (724, y), hidden.sum().item())


def _divide(page):
    """The mean of nothing: 0/0 that is replaced afterwards, and a divisor that is replaced before."""
    page.text((20, 196), "the gradient: the mean of no numbers, t / n = 0 / 0", align="left", size=10.5)
    for lane, early in enumerate((False, True)):
        y = 242 + 118 * lane
        t, n = torch.tensor(0.0, requires_grad=True), torch.tensor(0.0)
        mean = t / n.clamp(min=1) if early else t / n
        mean.retain_grad()
        out = mean if early else torch.where(n > 0, mean, 0.0)
        out.backward()
        _number(page, (44, y), t.item(), "t")
        page.arrow((68, y), (120, y))
        page.box((200, y), (156, 34), "n is 0: divide by 1" if early else "t / n", page.theme.series[4])
        page.arrow((280, y), (332, y))
        _number(page, (358, y), mean.item())
        if not early:
            page.arrow((384, y), (436, y))
            page.box((520, y), (164, 34), "n is 0: select 0", page.theme.series[4])
            page.arrow((604, y), (656, y))
            _number(page, (682, y), out.item())
        below = y + 42
        for line, word in ((y, "forward"), (below, "backward")):
            page.text((394 if early else 718, line), word, align="left", quiet=True, size=8.5)
        # The slope of the division is 1/n, or 1/1.
        page.arrow((328, below), (78, below), dashed=True)
        _number(page, (44, below), t.grad.item())
        slope = "1 / 1" if early else "1 / 0 = ∞"
        page.text((200, below + 12), f"times the slope {slope}", quiet=True, size=8.5)
        _number(page, (358, below), mean.grad.item())
        if not early:
            page.arrow((652, below), (394, below), dashed=True)
            page.text((520, below + 12), "not chosen: times 0", quiet=True, size=8.5)
            _number(page, (682, below), 1.0)


def _number(page, centre, value, name=""):
    """A number in a box: orange if it is not finite."""
    finite = value == value
    text = f"{value:g}" if finite else "NaN"
    page.box(centre, (42, 30), f"{name} = {text}" if name else text, page.theme.series[0 if finite else 1])


PICTURES = {"broadcasting": broadcasting, "walks": walks, "leaks": leaks}
