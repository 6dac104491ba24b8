"""Watch `generate` at work, and report each token as soon as it is chosen.

A learner's `generate` returns the whole text at its end. But to choose a token it lets the model read what
there is so far, so the next pass of the model shows the token chosen before. Whoever watches the passes sees
every token at once, and the tokens are those of `generate`, because it is `generate` that chooses them.
What no pass has shown, such as the last token, comes from the result.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class Stopped(BaseException):
    """Ends a `generate` from inside of a pass; no `except Exception` of a learner's catches it."""


class TokenWatch:
    """What the passes of one call of `generate` show, for a single text.

    `on_pass` is called with the logits (positions, vocab) of each pass, `on_token` with each token and the
    logits (vocab) that it was chosen by, None if no pass has shown them. `between` is called before each
    pass and may raise Stopped. `change` gives the logits (batch, positions, vocab) that `generate` sees.
    """

    def __init__(
        self,
        ids: Sequence[int],
        on_token: Callable[[int, Tensor | None], None],
        *,
        on_pass: Callable[[Tensor], None] = lambda logits: None,
        between: Callable[[], None] = lambda: None,
        change: Callable[[Tensor], Tensor] = lambda logits: logits,
    ) -> None:
        self.ids = list(ids)  # of the prompt, and of what was chosen so far
        self._on_token, self._on_pass, self._between, self._change = on_token, on_pass, between, change
        self._logits: Tensor | None = None

    def begin_pass(self, ids: Tensor) -> None:
        """Note that the model is about to read these ids (1, positions), the end of the text so far."""
        shown = ids[0].tolist()
        if self._logits is not None and shown and is_continued(self.ids, shown):
            self._note(shown[-1])
        self._between()

    def end_pass(self, logits: Tensor) -> Tensor:
        """Note the logits (1, positions, vocab) of a pass, and return those that `generate` is to see."""
        self._logits = logits[0, -1].detach()
        self._on_pass(logits[0].detach())
        return self._change(logits)

    def finish(self, result: Sequence[int]) -> None:
        """Report the tokens of the result that no pass has shown."""
        for token in result[len(self.ids) :]:
            self._note(token)

    def _note(self, token: int) -> None:
        logits, self._logits = self._logits, None
        self.ids.append(token)
        self._on_token(token, logits)


def is_continued(text: Sequence[int], shown: Sequence[int]) -> bool:
    """True if `shown` is the end of `text` with one more token."""
    before = len(shown) - 1
    return before == 0 or list(text[-before:]) == list(shown[:-1])


def observed(model: Any, watch: TokenWatch) -> Any:
    """Return a model that computes what `model` does, and whose passes are watched.

    It takes the model's place in kata 07's `generate`, which calls its model and reads `config.block_size`.
    """
    from torch import nn

    class Observed(nn.Module):  # type: ignore[misc]  # mypy does not follow torch
        """A model whose passes are watched."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.config = model.config

        def forward(self, ids: Tensor) -> Tensor:
            watch.begin_pass(ids)
            return watch.end_pass(self.model(ids))

    return Observed().eval()


@contextmanager
def observed_parts(model: Any, watch: TokenWatch) -> Iterator[None]:
    """Inside, watch the passes of kata 14's `generate_cached`, which goes through the parts of the model.

    A pass begins with the token embedding, and ends with the head. Only those of this thread count: others
    may compute with the same model in between.
    """
    thread = threading.get_ident()

    def begin(_: Any, args: tuple[Tensor, ...]) -> None:
        if threading.get_ident() == thread:
            watch.begin_pass(args[0])

    def end(_: Any, args: object, logits: Tensor) -> Tensor | None:
        return watch.end_pass(logits) if threading.get_ident() == thread else None

    with ExitStack() as stack:
        for hook in (
            model.token_embedding.register_forward_pre_hook(begin),
            model.lm_head.register_forward_hook(end),
        ):
            stack.callback(hook.remove)
        yield
