"""The pictures of kata 10, drawn from its solution by `python -m harness.authoring.pictures`."""

import functools

from harness.corpora import simple_sequences, tiny_tales
from harness.plots.theme import PAGE, grid, legend, new_figure, panels
from katas.k10_tokens.tokens import BPETokenizer

SENTENCE = "Once upon a time a fox read tokenizers."
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
    row = 62
    figure = new_figure(PAGE, row * len(MERGES), theme, layout=None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.4, len(SENTENCE) + 0.4), ylim=(row * len(MERGES), 0))
    axes.set_axis_off()
    for line, number in enumerate(MERGES):
        cut = tokens(SENTENCE, learned(tiny_tales)[:number])
        left, y = 0, row * line + 42
        name = f"{number:,} merges: {len(cut)} tokens"
        axes.text(left, y - 26, name, va="center_baseline", fontsize=9.5, color=theme.quiet)
        for place, token in enumerate(cut):
            ink = theme.series[place % 4]
            axes.barh(y, len(token) - 0.1, 26, left + 0.05, color=(ink, 0.16), edgecolor=ink, clip_on=False)
            axes.text(
                left + len(token) / 2, y, token.replace(" ", "·"),
                ha="center", va="center_baseline", fontsize=11, color=theme.ink,
            )  # fmt: skip  # related arguments share a line
            left += len(token)
    return figure


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
