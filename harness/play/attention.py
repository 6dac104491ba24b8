"""What each head reads: the attention weights of a text, from any model that keeps the katas' contract.

A block's `attention` is called with its input. What it was called with is kept, and from that the weights
are computed again: by the method `attention_weights` of kata 02, or for the model of kata 12 by kata 01's
function from the queries and keys that `project` returns.
"""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from harness.play.likely import rounded

if TYPE_CHECKING:
    from torch import Tensor

MOST_READ = 3  # tokens that are named for each head
_STEPS = 255  # of a weight in a map: a byte


class NotShown(Exception):
    """The model does not call its attention as the katas say."""


@contextmanager
def calls_kept(model: Any) -> Iterator[dict[int, list[Any]]]:
    """Inside, keep what the attention of each block is called with, by the number of the block."""
    calls: dict[int, list[Any]] = {}

    def keeper(number: int) -> Callable[..., None]:
        def keep(attention: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
            bound = inspect.signature(attention.forward).bind(*args, **options)
            calls[number] = list(bound.arguments.values())  # in the order of the signature

        return keep

    with ExitStack() as stack:
        for number, block in enumerate(model.blocks):
            hook = block.attention.register_forward_pre_hook(keeper(number), with_kwargs=True)
            stack.callback(hook.remove)
        yield calls


def weights_of(
    attention: Any, call: Sequence[Any], weigh: Callable[[Tensor, Tensor, Tensor | None], Tensor]
) -> Tensor:
    """Return the weights (heads, queries, keys) of a call; `weigh` is kata 01's `attention_weights`."""
    if hasattr(attention, "attention_weights"):
        found: Tensor = attention.attention_weights(*call)
        return found[0]
    if not hasattr(attention, "project"):
        raise NotShown
    x, rotary, *rest = call
    mask = rest[0] if rest else None
    query, key, _ = attention.project(x, rotary)
    shared = query.shape[-3] // key.shape[-3]
    if shared > 1:  # each head of keys as often as it has readers, one right after the other
        key = key.repeat_interleave(shared, dim=-3)
    return weigh(query, key, mask if mask is None else mask.unsqueeze(-3))[0]


def heads_view(weights: Tensor, query: int, most: int) -> dict[str, Any]:
    """Return what is shown of a layer's weights (heads, queries, keys), for the position `query`.

    `rows` has the weights of that position, `reads` the places of the most, and `maps` all weights of the
    last `most` positions: a byte each, from 0 to 255, row by row, in base64.
    """
    rows = weights[:, query, : query + 1]
    best = rows.topk(min(MOST_READ, query + 1), dim=-1)
    start = max(0, weights.shape[-1] - most)
    corner = weights[:, start:, start:].clamp(0, 1)
    cells = (corner * _STEPS).round().byte().cpu().numpy()
    return {
        "rows": [[rounded(weight) for weight in row] for row in rows.tolist()],
        "reads": [
            [{"place": place, "weight": rounded(weight)} for place, weight in zip(*pair, strict=True)]
            for pair in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ],
        "mapStart": start,
        "maps": [base64.b64encode(head.tobytes()).decode() for head in cells],
    }


def lens_view(lens: Tensor, position: int, piece: Callable[[int], str], most: int = 5) -> list[Any]:
    """Return the likeliest next tokens at each depth after a position, of chances (depth, seq, vocab)."""
    best = lens[:, position].topk(min(most, lens.shape[-1]), dim=-1)
    return [
        [{"text": piece(token), "p": rounded(p)} for token, p in zip(*row, strict=True)]
        for row in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
