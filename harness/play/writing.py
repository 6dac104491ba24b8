"""Texts under way: written token by token by the learner's `generate`, stopped, and continued."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.play.likely import Distributions, of_text, rounded
from harness.play.models import LoadedModel
from harness.play.observing import Stopped, TokenWatch, observed, observed_parts
from harness.play.request import Settings
from harness.play.turns import Turns

if TYPE_CHECKING:
    from torch import Tensor

_KEPT = 32  # texts that can be continued
Send = Callable[[str, dict[str, Any]], None]  # an event and its facts


@dataclass
class Writing:
    """A text under way. Its generator's state is that after the last token, so that it can go on exactly."""

    ids: list[int]
    generator: Any
    name: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    probabilities: dict[int, tuple[float, float]] = field(default_factory=dict)  # by place
    stop: threading.Event = field(default_factory=threading.Event)
    _busy: threading.Lock = field(default_factory=threading.Lock)

    def continues(self, ids: Sequence[int]) -> bool:
        """True if a page that has these ids can go on with this text."""
        return list(ids) == self.ids[: len(ids)]

    def wait(self) -> None:
        """Return when nothing is being written, at most a token after `stop`."""
        with self._busy:
            pass

    def write(self, writer: Writer, settings: Settings, count: int, send: Send) -> None:
        """Write until the text has `count` more tokens, or `stop` is set; report each token."""
        with self._busy:
            writer.write(self, settings, count, send)


class Writings:
    """The texts that can be continued, by name."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Writing] = OrderedDict()

    def start(self, ids: Sequence[int], loaded: LoadedModel, seed: int) -> Writing:
        """Return a new text, whose randomness comes from `seed` as that of `harness sample` does."""
        import torch

        writing = Writing(list(ids), torch.Generator(loaded.device).manual_seed(seed))
        self._kept[writing.name] = writing
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return writing

    def find(self, name: str, ids: Sequence[int]) -> Writing | None:
        """Return the text of this name, if it still begins with these ids."""
        found = self._kept.get(name)
        if found is None:
            return None
        found.stop.set()
        found.wait()
        return found if found.continues(ids) else None

    def stop_all(self) -> None:
        """Let every text end at its next token."""
        for writing in self._kept.values():
            writing.stop.set()


@dataclass(frozen=True)
class Writer:
    """What writes: a model, and the katas' functions."""

    loaded: LoadedModel
    generate: Callable[..., Tensor]
    cached: bool  # `generate` goes through the parts of the model
    distributions: Distributions
    turns: Turns

    def write(self, writing: Writing, settings: Settings, count: int, send: Send) -> None:
        """Continue the text by `count` tokens. Raises what the katas raise."""
        watch = self._watch(writing, settings, send)
        try:
            with self.turns:
                result = self._generate(watch, writing, settings, count)
                watch.finish(result)
        except Stopped:
            pass
        finally:
            self.loaded.model.eval()

    def _watch(self, writing: Writing, settings: Settings, send: Send) -> TokenWatch:
        prompt = list(writing.ids)
        first = True

        def on_pass(logits: Tensor) -> None:
            nonlocal first
            if first and len(logits) > 1:  # what the model thinks of the prompt, or the end that it sees
                seen = prompt[-len(logits) :]
                send("prompt", {"p": of_text(self.distributions.probabilities(logits), seen)})
            first = False

        def on_token(token: int, logits: Tensor | None) -> None:
            self._note(writing, settings, token, logits)
            send("token", self.token(writing, len(writing.ids) - 1))

        def between() -> None:
            self.turns.give_way()
            if writing.stop.is_set():
                raise Stopped

        change = partial(self._only_survivors, settings) if settings.min_p and settings.temperature else None
        options = {"change": change} if change else {}
        return TokenWatch(prompt, on_token, on_pass=on_pass, between=between, **options)

    def _only_survivors(self, settings: Settings, logits: Tensor) -> Tensor:
        """Return the logits (1, positions, vocab), filtered at the last position: it alone is drawn by."""
        import torch

        last = self.distributions.only_survivors(logits[:, -1:], settings)
        return torch.cat([logits[:, :-1], last], dim=1)

    def _note(self, writing: Writing, settings: Settings, token: int, logits: Tensor | None) -> None:
        if logits is not None:
            own = self.distributions.probabilities(logits)[token]
            drawn = self.distributions.drawn_by(logits, settings)[token]
            writing.probabilities[len(writing.ids)] = rounded(own), rounded(drawn)
        writing.ids.append(token)

    def token(self, writing: Writing, place: int) -> dict[str, Any]:
        """Return what is sent of the token at a place: how likely the model, and the draw, found it."""
        token = writing.ids[place]
        own, drawn = writing.probabilities.get(place, (None, None))
        return {"id": token, "text": self.loaded.piece(token), "p": own, "q": drawn}

    def _generate(self, watch: TokenWatch, writing: Writing, settings: Settings, count: int) -> Sequence[int]:
        """Call the learner's `generate`. Min-p, which that does not know, filters the logits that it sees."""
        whole = settings.min_p is None  # else all filters have been at work before `generate` is
        options = {
            "temperature": settings.temperature,
            "top_k": settings.top_k if whole else None,
            "top_p": settings.top_p if whole else None,
            "generator": writing.generator,
        }
        ids = self.loaded.on_device(writing.ids)
        if self.cached:
            with observed_parts(self.loaded.model, watch):
                written = self.generate(self.loaded.model, ids, count, **options)
        else:
            written = self.generate(observed(self.loaded.model, watch), ids, count, **options)
        result: list[int] = written[0].tolist()
        return result
