"""How likely each token is next, before and after temperature and filters: kata 07's, and kata 20's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.play.request import Settings

if TYPE_CHECKING:
    from torch import Tensor

SHOWN = 10  # of the likeliest tokens


@dataclass(frozen=True)
class Distributions:
    """The functions of the katas that make probabilities of logits."""

    softmax: Callable[[Tensor, int], Tensor]  # kata 01
    sampling: Any  # kata 07: greedy, apply_temperature, top_k_filter, top_p_filter
    min_p_filter: Callable[[Tensor, float], Tensor] | None = None  # kata 20, once it is complete

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the model's own probabilities (…, vocab)."""
        return self.softmax(logits, -1)

    def filtered(self, logits: Tensor, settings: Settings) -> Tensor:
        """Return the logits (…, vocab) that a token is drawn by; the temperature must be positive.

        The order is that of kata 07's `generate`, and min-p comes last, as in kata 20.
        """
        kept = self.sampling.apply_temperature(logits, settings.temperature)
        if settings.top_k is not None:
            kept = self.sampling.top_k_filter(kept, settings.top_k)
        if settings.top_p is not None:
            kept = self.sampling.top_p_filter(kept, settings.top_p)
        if settings.min_p is not None and self.min_p_filter is not None:
            kept = self.min_p_filter(kept, settings.min_p)
        return kept

    def drawn_by(self, logits: Tensor, settings: Settings) -> Tensor:
        """Return the probabilities (vocab) with which `generate` chooses the next token."""
        if settings.temperature != 0:
            return self.probabilities(self.filtered(logits, settings))
        certain = logits.new_zeros(logits.shape)
        certain[int(self.sampling.greedy(logits))] = 1
        return certain

    def only_survivors(self, logits: Tensor, settings: Settings) -> Tensor:
        """Return the logits (…, vocab), but -inf where a filter takes a token out.

        So `generate`, which knows no min-p, draws from what all filters leave.
        """
        return logits.masked_fill(self.filtered(logits, settings) == -math.inf, -math.inf)


def bars(
    before: Tensor, after: Tensor, piece: Callable[[int], str], chosen: int | None = None
) -> dict[str, Any]:
    """Return the likeliest tokens with their probabilities before and after temperature and filters.

    `before` and `after` have the probability of every token (vocab). The token that was `chosen` in the text
    is among the bars, however unlikely it was. `left` is how many tokens can still be drawn.
    """
    likeliest = before.topk(min(SHOWN, len(before))).indices.tolist()
    shown = likeliest if chosen is None or chosen in likeliest else [*likeliest, chosen]
    return {
        "bars": [
            {
                "id": token,
                "text": piece(token),
                "before": rounded(before[token]),
                "after": rounded(after[token]),
                "chosen": token == chosen,
            }
            for token in shown
        ],
        "left": int((after > 0).sum()),
        "of": len(before),
    }


def of_text(probabilities: Tensor, ids: Sequence[int]) -> list[float]:
    """Return the probability of each id but the first, given those before it: row t says what follows t."""
    return [rounded(probabilities[place, token]) for place, token in enumerate(ids[1:])]


def rounded(probability: Any) -> float:
    """Return a probability as it is sent: nobody sees more than four digits of it."""
    return float(f"{float(probability):.4g}")
