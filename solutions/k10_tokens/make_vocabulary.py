"""Writes katas/k10_tokens/vocabulary: 1,000 merges learned from the corpus tiny_tales, in GPT-2's files.

Run `python solutions/k10_tokens/make_vocabulary.py` in the top folder.
"""

from pathlib import Path

from harness.corpora import tiny_tales
from harness.notebook import use_katas


def make_vocabulary(folder):
    """Learn the merges, and save them with GPT-2's order of the bytes and its one special token."""
    from katas.k10_tokens.tokens import BPETokenizer, byte_characters  # after use_katas

    learned = BPETokenizer.train(tiny_tales.generate(), 256 + 1000)
    BPETokenizer(learned.merges, ["<|endoftext|>"], alphabet=bytes(byte_characters())).save(folder)


if __name__ == "__main__":
    use_katas(solutions=True)
    make_vocabulary(Path(__file__).parents[2] / "katas" / "k10_tokens" / "vocabulary")
