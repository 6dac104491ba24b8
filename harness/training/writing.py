"""How a model writes: with kata 14's cache where there is one for it, and under a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from harness.isolation.importer import kata_module
from harness.training import words
from harness.training.parts import MODERN

CACHE = "k14_cache"


def writer(parts: Collection[str], *, cached: bool) -> Callable[..., Any]:
    """Return the function that continues prompts with a model that has these parts.

    It takes the arguments of kata 07's `generate`, and calls it; or kata 14's, if `cached` is true and the
    model is kata 12's.
    """
    if cached and MODERN in parts:
        return partial(_under_a_bar, _named(CACHE, "generate_cached"))
    return partial(_under_a_bar, _named("k07_sampling", "generate"))


def _named(kata: str, function: str) -> Callable[..., Any]:
    """Return a function of a kata, which is imported only when it is called."""
    return lambda *args, **options: getattr(kata_module(kata), function)(*args, **options)


def _under_a_bar(
    generate: Callable[..., Any], model: Any, ids: Any, max_new_tokens: int, **options: Any
) -> Any:
    """Continue the prompts; on a terminal, a bar shows how many passes of the model are done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        return generate(model, ids, max_new_tokens, **options)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(words.WRITING, total=max_new_tokens)
        hook = _read_once_a_pass(model).register_forward_hook(lambda *_: progress.advance(task))
        try:
            return generate(model, ids, max_new_tokens, **options)
        finally:
            hook.remove()


def _read_once_a_pass(model: Any) -> Any:
    """Return the module that every pass calls once: the first that has parameters of its own, a table.

    The model itself is not always called: a cache goes through its parts.
    """
    return next((each for each in model.modules() if list(each.parameters(recurse=False))), model)
