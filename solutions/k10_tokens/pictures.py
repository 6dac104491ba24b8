"""The pictures of kata 10, drawn from its solution by `python -m harness.authoring.pictures`."""

import functools

from harness.corpora import simple_sequences, tiny_tales
from harness.plots.boxes import Diagram
from harness.plots.theme import PAGE, grid, legend, new_figure, panels
from katas.k10_tokens.tokens import BPETokenizer

SENTENCE = "Once upon a time there was a fox who read tokenizers."
MERGES = [0, 64, 256, 1024]


@functools.cache
def learned(corpus):
    """The 1,024 merges of a corpus."""
    return BPETokenizer.train(corpus.generate(), 256 + MERGES[-1]).merges


def tokens(text, merges):
    """The tokens of a text in ASCII."""
    tokenizer = BPETokenizer(merges)
    return [tokenizer.decode([id]) for id in tokenizer.encode(text)]


def coloured(theme):
    """One sentence after more and more merges, each token a box."""
    cell, row = (PAGE - 16) / len(SENTENCE), 62
    diagram = Diagram(PAGE, row * len(MERGES), theme)
    for line, number in enumerate(MERGES):
        cut = tokens(SENTENCE, learned(tiny_tales)[:number])
        left, y = 8, row * line + 42
        name = f"{number:,} merges: {len(cut)} tokens"
        diagram.text((left, y - 26), name, quiet=True, align="left")
        for place, token in enumerate(cut):
            width = cell * len(token)
            colour = theme.series[place % 4]
            diagram.box((left + width / 2, y), (width - 2, 26), "", colour)
            for at, char in enumerate(token):
                shown = "·" if char == " " else char  # the blank belongs to the token after it
                diagram.text((left + cell * (at + 0.5), y), shown, size=11, quiet=char == " ")
            left += width
    return diagram.figure


def curve(theme):
    """How many characters a token has, after more and more merges."""
    figure = new_figure(PAGE, 300, theme)
    (axes,) = panels(figure, theme)
    numbers = [*range(0, 64, 8), *range(64, 256, 32), *range(256, MERGES[-1] + 1, 64)]
    for corpus in (tiny_tales, simple_sequences):
        text = corpus.generate()[:100_000]
        name = corpus.__name__.rpartition(".")[2]
        merges = learned(corpus)
        counts = [
            len(BPETokenizer(merges[:number]).encode(text)) for number in numbers if number <= len(merges)
        ]
        axes.plot(numbers[: len(counts)], [len(text) / count for count in counts], label=name)
    axes.set(xlim=(0, MERGES[-1]), ylim=(0, None))
    axes.set_xlabel("merges")
    axes.set_ylabel("characters per token")
    grid(axes, theme, "y")
    legend(axes, theme, loc="lower right")
    return figure


PICTURES = {"coloured": coloured, "curve": curve}
