"""The pictures of kata 02, drawn from its solution by `python -m harness.authoring.pictures`."""

from itertools import pairwise

import torch

from harness.plots import attention_maps
from harness.plots.boxes import Diagram
from harness.plots.theme import PAGE
from katas.k01_attention.attention import causal_mask
from katas.k02_multi_head.multi_head import MultiHeadAttention

WORDS = ["the", "cat", "that", "the ", "dog", "chased", "slept"]
BEFORE = {word: {previous: 3.0} for previous, word in pairwise(WORDS)}
ACTS = {"chased": {"dog": 4.0}, "slept": {"cat": 4.0}, "that": {"cat": 3.0}}
KIND = {"dog": {"cat": 3.0}, "slept": {"chased": 3.0}, "the ": {"the": 3.0}}
HEADS = {"the word just before": BEFORE, "who acts": ACTS, "another of my kind": KIND}


def heads(theme):
    """Three heads of one layer, whose weights are set by hand, reading one sentence."""
    count = len(WORDS)
    layer = MultiHeadAttention(len(HEADS) * count, num_heads=len(HEADS), bias=False)
    with torch.no_grad():
        for head, finds in enumerate(HEADS.values()):
            rows = slice(head * count, (head + 1) * count)
            layer.query_proj.weight[rows] = 0.0
            layer.key_proj.weight[rows] = torch.eye(count, len(HEADS) * count)  # a word answers to its name
            for asks, answers in finds.items():
                for word, score in answers.items():
                    place = head * count + WORDS.index(word)
                    layer.query_proj.weight[place, WORDS.index(asks)] = score * count**0.5
        weights = layer.attention_weights(torch.eye(count, len(HEADS) * count), causal_mask(count))
    return attention_maps(weights, tokens=WORDS, titles=list(HEADS), values=True, theme=theme)


def split(theme):
    """Where the numbers of two positions go when they are dealt out to three heads."""
    page = Diagram(PAGE, 230, theme)
    features, positions, per_head = 6, 2, 2
    page.text((120, 22), "x: 2 positions of 6 features", quiet=True)
    page.text((560, 22), "split_heads(x, 3): each head has both positions, 2 features each", quiet=True)
    for position in range(positions):
        y = 80 + 46 * position
        page.text((18, y), f"{position}", quiet=True)
        for feature in range(features):
            head, place = divmod(feature, per_head)
            colour = theme.series[head]
            page.box((50 + 36 * feature, y), (32, 36), f"{position}{feature}", colour)
            page.box((430 + 130 * head + 36 * place, y), (32, 36), f"{position}{feature}", colour)
    for head in range(features // per_head):
        page.text((448 + 130 * head, 175), f"head {head}", colour=theme.series[head])
    page.arrow((290, 103), (390, 103))
    page.text((340, 88), "split", quiet=True)
    page.arrow((390, 130), (290, 130))
    page.text((340, 148), "merge", quiet=True)
    page.text((400, 212), "a number is named by its position, then its feature", quiet=True, size=8.5)
    return page.figure


PICTURES = {"heads": heads, "split": split}
