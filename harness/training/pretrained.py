"""`harness sample --gpt2`: GPT-2's weights in the katas that read and run them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from harness.corpora import gpt2
from harness.course.katas import Course, Kata
from harness.training import words
from harness.training.capstone import kata_named, load_kata
from harness.training.devices import choose_device
from harness.training.request import CannotTrain
from harness.training.writing import writer

KATA = "k16_gpt2"


def write(
    course: Course,
    solved: Collection[Kata],
    prompt: str,
    max_new_tokens: int,
    *,
    seed: int,
    **options: Any,
) -> str:
    """Return the prompt and what GPT-2 writes after it. Raises CannotTrain, or an error of the katas.

    `solved` katas are the reference's; `options` are those of kata 07's `generate`.
    """
    import torch
    from rich.console import Console

    kata, folder = kata_named(course, KATA), gpt2.find(course.root)
    if folder is None:
        raise CannotTrain(words.no_gpt2(gpt2.size()))
    if not prompt:
        raise CannotTrain(words.EMPTY_PROMPT)
    with Console(stderr=True).status(words.LOADING_GPT2):
        model, tokenizer = load_kata(course, kata, solved).load_gpt2(folder)
    device = choose_device()
    ids = torch.tensor([tokenizer.encode(prompt)], device=device)  # (1, seq)
    generator = torch.Generator(device).manual_seed(seed)
    generate = writer((), cached=False)
    written = generate(model.to(device), ids, max_new_tokens, generator=generator, **options)
    return str(tokenizer.decode(written[0].tolist()))
