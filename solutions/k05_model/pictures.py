"""The pictures of kata 05, drawn by `python -m harness.authoring.pictures`."""

import torch
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from harness.plots.boxes import Diagram
from harness.plots.cells import name_cells, paint
from harness.plots.theme import PAGE, new_figure, panels, title
from katas.k01_attention.attention import causal_mask


def architecture(theme):
    """The model from ids to logits, with one of its blocks enlarged."""
    page = Diagram(PAGE, 720, theme)
    _model(page)
    _block(page)
    for number, (kata, name) in enumerate(_COLOURS):
        x = 70 + 145 * number
        page.box((x, 700), (14, 14), "", theme.series[kata])
        page.text((x + 14, 700), name, align="left", quiet=True, size=8.5)
    return page.figure


# Which colour stands for which kata.
_LINEAR, _ATTENTION, _BLOCK, _EMBEDDING, _MODEL = 4, 0, 1, 2, 3
_COLOURS = [
    (_LINEAR, "kata 00 shapes"),
    (_ATTENTION, "01, 02 attention"),
    (_BLOCK, "kata 03 blocks"),
    (_EMBEDDING, "04 embeddings"),
    (_MODEL, "kata 05 model"),
]


def _model(page):
    colour = page.theme.series
    x, left, right = 170, 95, 255
    page.text((left, 24), "ids")
    page.text((left, 42), "(batch, seq)", quiet=True, size=8)
    page.text((right, 24), "0, 1, …, seq − 1")
    page.text((right, 42), "(seq)", quiet=True, size=8)
    for place, name in ((left, "token_embedding"), (right, "position_embedding")):
        page.arrow((place, 54), (place, 78))
        page.box((place, 98), (146, 38), name, colour[_EMBEDDING], note="look up a row")
        page.arrow((place, 117), (place, 150), (x - 12 if place < x else x + 12, 150))
    page.stream((x, 160), (x, 318))
    page.stream((x, 366), (x, 500))
    page.plus((x, 150), colour[_MODEL])
    page.text((x + 18, 180), "(batch, seq, d_model)", quiet=True, size=8, align="left")
    for y, name in ((225, "block 0"), (285, "block 1"), (400, "block num_layers − 1")):
        page.box((x, y), (180, 38), name, colour[_BLOCK])
    page.text((x, 342), "⋮", size=16)
    page.text((x + 18, 452), "(batch, seq, d_model)", quiet=True, size=8, align="left")
    page.box((x, 500), (180, 38), "final_norm", colour[_BLOCK])
    page.arrow((x, 519), (x, 546))
    page.box((x, 566), (180, 38), "lm_head", colour[_LINEAR], note="a score for every token")
    page.arrow((x, 585), (x, 616))
    page.text((x, 630), "logits")
    page.text((x, 648), "(batch, seq, vocab)", quiet=True, size=8)
    page.arrow((80, 566), (14, 566), (14, 98), (22, 98), colour=colour[_MODEL], dashed=True, head=False)
    page.text((14, 602), "the same weight, if tied", size=8, align="left", colour=colour[_MODEL])


def _block(page):
    colour = page.theme.series
    line, middle = 440, 620
    page.arrow((262, 225), (391, 225), dashed=True, head=False)
    page.frame((392, 62), (396, 600))
    page.text((412, 86), "one block", align="left", size=10.5)
    page.text((line, 110), "x")
    page.stream((line, 124), (line, 630))
    page.arrow((line, 140), (middle, 140), (middle, 154))
    page.box((middle, 172), (240, 34), "attention_norm", colour[_BLOCK])
    _attention(page, middle, 189)
    page.arrow((middle + 70, 402), (middle + 70, 444), (line + 11, 444))
    page.plus((line, 444), colour[_BLOCK])
    page.arrow((line, 470), (middle, 470), (middle, 484))
    page.box((middle, 502), (240, 34), "feedforward_norm", colour[_BLOCK])
    page.arrow((middle, 519), (middle, 535))
    page.box((middle, 562), (240, 52), "feedforward", colour[_BLOCK], note="up_proj · GELU · down_proj")
    page.arrow((middle, 588), (middle, 606), (line + 11, 606))
    page.plus((line, 606), colour[_BLOCK])
    page.text((line - 6, 648), "x, for the next block", size=8.5, quiet=True, align="left")


def _attention(page, middle, top):
    colour = page.theme.series
    for place, name in ((-84, "query_proj"), (0, "key_proj"), (84, "value_proj")):
        page.arrow((middle, top), (middle, top + 10), (middle + place, top + 10), (middle + place, top + 24))
        page.box((middle + place, top + 40), (78, 32), name, colour[_LINEAR])
        page.arrow((middle + place, top + 56), (middle + place, top + 74))
    page.box(
        (middle, top + 92), (246, 36), "split_heads", colour[_ATTENTION], note="(batch, heads, seq, d_head)"
    )
    page.arrow((middle, top + 110), (middle, top + 124))
    page.box(
        (middle, top + 144),
        (246, 40),
        "softmax(q kᵀ / √d_head) v",
        colour[_ATTENTION],
        note="causal mask: no future",
    )
    page.arrow((middle - 66, top + 164), (middle - 66, top + 178))
    page.box((middle - 66, top + 196), (114, 34), "merge_heads", colour[_ATTENTION])
    page.arrow((middle - 9, top + 196), (middle + 14, top + 196))
    page.box((middle + 70, top + 196), (106, 34), "out_proj", colour[_LINEAR])


# What a cell of `masks` shows: 0 for hidden, attention within one text, or from one text to the other.
_WITHIN, _ACROSS = 1, 2


def masks(theme):
    """Who sees whom in the three kinds of transformer: rows are queries, columns are keys."""
    figure = new_figure(PAGE, 340, theme)
    source, target = ["the", "cat", "sleeps"], ["[start]", "le", "chat", "dort"]
    sentence = [*source, "all", "day", "long"]
    first, second, count = len(source), len(target), len(sentence)
    both = torch.zeros(first + second, first + second)
    both[:first, :first] = _WITHIN
    both[first:, :first] = _ACROSS
    both[first:, first:] = _WITHIN * causal_mask(second)
    shown = {
        "encoder and decoder, 2017": ([*source, *target], both),
        "encoder only: BERT": (sentence, _WITHIN * torch.ones(count, count)),
        "decoder only: GPT": (sentence, _WITHIN * causal_mask(count)),
    }
    all_axes = panels(figure, theme, 1, 3)
    colours = ListedColormap([theme.faint, theme.series[0], theme.series[1]])
    for axes, (name, (tokens, table)) in zip(all_axes, shown.items(), strict=True):
        paint(axes, table, colours, (-0.5, 2.5))
        name_cells(axes, tokens, tokens)
        title(axes, name, theme)
    all_axes[0].set(ylabel="query")
    all_axes[1].set(xlabel="key")
    names = ("hidden", "self-attention", "cross-attention: the decoder reads the encoder")
    figure.legend(
        [Patch(color=colours(number)) for number in range(3)], names,
        loc="outside lower center", ncols=3, frameon=False, labelcolor=theme.ink, fontsize=9,
    )  # fmt: skip  # related arguments share a line
    return figure


PICTURES = {"masks": masks, "architecture": architecture}
