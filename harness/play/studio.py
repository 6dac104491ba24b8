"""What the page's requests come to: texts, likely tokens, attention, curves, the course."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.corpora.storage import NotObtained
from harness.course.graph import CORE
from harness.course.katas import Course
from harness.explain.outside_tests import read_kata_error
from harness.explain.words import failed_in_katas
from harness.pairing.commands import current_session
from harness.play import words
from harness.play.attention import NotShown, calls_kept, heads_view, lens_view, weights_of
from harness.play.curves import Curves
from harness.play.diagram import course_view, pair_view
from harness.play.likely import bars, of_text
from harness.play.models import LoadedModel, Models, Stamp, decide, stamp, whose_names
from harness.play.request import LONGEST_TEXT, Asked, BadRequest, check_ids
from harness.play.turns import Turns
from harness.play.writing import Send, Writer, Writing, Writings
from harness.progress.ledger import Ledger
from harness.progress.receipts import progress_path
from harness.training.parts import katas_of
from harness.training.request import CannotTrain
from harness.training.writing import CACHE

if TYPE_CHECKING:
    from torch import Tensor

_READINGS = 6  # of texts, kept: sliders ask for the same one again and again
MAP = 96  # positions of an attention map at most
WITH_REFERENCE = "harness play --solutions"


@dataclass
class Reading:
    """A pass over a text: the logits (seq, vocab), and what each layer's attention was called with."""

    logits: Tensor
    calls: dict[int, list[Any]]
    ids: Tensor  # (1, seq)


def window(length: int, position: int, block_size: int) -> tuple[int, int]:
    """Return where the part of a text that the model reads begins and ends, so that `position` is in it.

    As in `generate`, the model is shown what precedes a token, at most block_size ids. A text that fits is
    shown whole.
    """
    end = min(length, max(block_size, position + 1))
    return max(0, end - block_size), end


class Studio:
    """Answers the page. Everything that computes takes its turn; the rest reads files."""

    def __init__(self, course: Course, run_dir: Path | None, *, solutions: bool) -> None:
        self.course, self._run_dir, self._solutions = course, run_dir, solutions
        self.whose = decide(course, Ledger(course).progress(), solutions=solutions)
        self._models = Models(course, self.whose, run_dir)
        self._turns, self._writings = Turns(), Writings()
        self._readings: OrderedDict[tuple[int, tuple[int, ...]], Reading] = OrderedDict()
        self._curves = Curves(course)

    # The page as a whole.

    def katas_at_work(self) -> str:
        """Return one line that says whose katas compute."""
        needed = {kata.name for kata in self.course.katas if kata.track == CORE}
        with contextlib.suppress(CannotTrain):
            used = self._models.run_named(None).parts
            needed |= {kata.name for kata in katas_of(self.course, used)}
            needed |= {CACHE} if used and self.whose.cache else set()
        return words.katas_at_work(*whose_names(self.course, self.whose, needed))

    def state(self, run: str | None) -> dict[str, Any]:
        """Return what the page asks for every second: what has changed since. Nothing is computed."""
        runs = self._models.runs()
        course = (
            stamp(progress_path(self.course)),
            stamp(self.course.state / "pair.jsonl"),
            _stubs(self.course),
        )
        found = None
        with contextlib.suppress(CannotTrain):
            found = self._models.run_named(run)
        return {
            "katas": self.katas_at_work(),
            "run": next((name for name, each in runs.items() if found and each.path == found.path), None),
            "runs": [name for name, each in runs.items() if each.has_model],
            "model": _text(stamp(found.best) if found else None),
            "curves": _text(self._curves.signature(runs)),
            "course": _text(course),
            "pair": pair_view(current_session(self.course, time.time()), time.time()),
            "minP": self.whose.min_p,
        }

    def runs(self) -> dict[str, Any]:
        """Return the curves of all runs."""
        return self._curves.view(self._models.runs())

    def progress(self) -> dict[str, Any]:
        """Return the course's diagram."""
        return course_view(self.course, Ledger(self.course).progress())

    def close(self) -> None:
        """Let every text end."""
        self._writings.stop_all()

    # What the model does. Each raises BadRequest, CannotTrain, or what the katas raise.

    def warm_up(self) -> None:
        """Load the model, so that the first token does not wait for it."""
        with self._turns:
            self._models.get(None)

    def read(self, asked: Asked) -> dict[str, Any]:
        """Return a prompt's tokens, and how likely the model finds each after those before it."""
        with self._turns:
            loaded = self._models.get(asked.run)
            ids = _encode(loaded, asked.prompt)
            start, end = window(len(ids), len(ids) - 1, loaded.block_size)
            reading = self._reading(loaded, ids[start:end])
            chances = self._models.distributions.probabilities(reading.logits)
            known = of_text(chances, ids[start:end])
            return {**self._start(loaded, ids), "p": [None] * (len(ids) - len(known)) + known}

    def begin(self, asked: Asked) -> tuple[Writing, Writer, dict[str, Any]]:
        """Return the text to write or to continue, what writes it, and what the page gets first."""
        with self._turns:
            loaded = self._models.get(asked.run)
            generate, cached = self._models.generator_of(loaded)
            writer = Writer(loaded, generate, cached, self._models.distributions, self._turns)
        writing, ahead = self._writing(asked, loaded)
        if len(writing.ids) + asked.count > LONGEST_TEXT:
            raise BadRequest(words.text_too_long(LONGEST_TEXT))
        first = self._start(loaded, writing.ids[: len(writing.ids) - ahead]) if not asked.ids else {}
        tokens = [writer.token(writing, place) for place in range(len(writing.ids) - ahead, len(writing.ids))]
        return writing, writer, {"writing": writing.name, **first, "ahead": tokens, **self._facts(loaded)}

    def _writing(self, asked: Asked, loaded: LoadedModel) -> tuple[Writing, int]:
        """Return the text, and how many of its tokens the page has not received yet."""
        if not asked.ids:
            return self._writings.start(_encode(loaded, asked.prompt), loaded, asked.seed), 0
        check_ids(asked, loaded.tokenizer.vocab_size)
        found = self._writings.find(asked.writing, asked.ids)
        if found is None:
            return self._writings.start(asked.ids, loaded, asked.seed), 0
        found.stop.clear()
        return found, len(found.ids) - len(asked.ids)

    def write(self, writing: Writing, writer: Writer, asked: Asked, send: Send) -> None:
        """Write, and send an event for each token; at the end the whole text, or what went wrong."""
        try:
            writing.write(writer, asked.settings, asked.count, send)
        except BaseException as error:  # a learner's code may raise anything, and the page is to say so
            send("problem", {"lines": self.explain(error)})
        else:
            send("end", {"text": writer.loaded.tokenizer.decode(writing.ids)})

    def likely(self, asked: Asked) -> dict[str, Any]:
        """Return the likeliest tokens after a position."""
        with self._turns:
            loaded, reading, row, _ = self._read_at(asked)
            logits, katas = reading.logits[row], self._models.distributions
            before, after = katas.probabilities(logits), katas.drawn_by(logits, asked.settings)
            following = asked.ids[asked.position + 1 :]
            chosen = following[0] if following else None
            return {**bars(before, after, loaded.piece, chosen), **self._facts(loaded)}

    def inside(self, asked: Asked) -> dict[str, Any]:
        """Return what each head of a layer reads at a position, and the logit lens there."""
        import torch

        with self._turns, torch.no_grad():
            loaded, reading, row, start = self._read_at(asked)
            layer = min(asked.layer, int(loaded.model.config.num_layers) - 1)
            if layer not in reading.calls:
                raise BadRequest(words.NO_ATTENTION)
            try:
                weights = weights_of(
                    loaded.model.blocks[layer].attention, reading.calls[layer], self._models.weigh
                )
            except NotShown:
                raise BadRequest(words.NO_ATTENTION) from None
            lens = self._lens(loaded, reading, row)
            return {
                "start": start,
                "layer": layer,
                **heads_view(weights, row, MAP),
                "lens": lens,
                **self._facts(loaded),
            }

    def _lens(self, loaded: LoadedModel, reading: Reading, row: int) -> list[Any] | None:
        if not self._models.has_lens(loaded):
            return None
        depths = self._models.lens(loaded, reading.ids)
        return lens_view(self._models.distributions.probabilities(depths), row, loaded.piece)

    def _read_at(self, asked: Asked) -> tuple[LoadedModel, Reading, int, int]:
        """Return the model, its pass over the text around a position, the row of that, and its start."""
        loaded = self._models.get(asked.run)
        check_ids(asked, loaded.tokenizer.vocab_size)
        if not asked.ids:
            raise BadRequest(words.wrong_value("ids"))
        start, end = window(len(asked.ids), asked.position, loaded.block_size)
        return loaded, self._reading(loaded, asked.ids[start:end]), asked.position - start, start

    def _reading(self, loaded: LoadedModel, ids: Sequence[int]) -> Reading:
        import torch

        key = (loaded.version, tuple(ids))
        if key not in self._readings:
            given = loaded.on_device(ids)
            with torch.no_grad(), calls_kept(loaded.model) as calls:
                logits = loaded.model(given)[0]
            self._readings[key] = Reading(logits, calls, given)
            while len(self._readings) > _READINGS:
                self._readings.popitem(last=False)
        self._readings.move_to_end(key)
        return self._readings[key]

    def _start(self, loaded: LoadedModel, ids: Sequence[int]) -> dict[str, Any]:
        return {"ids": list(ids), "texts": [loaded.piece(token) for token in ids], **self._facts(loaded)}

    def _facts(self, loaded: LoadedModel) -> dict[str, Any]:
        return {"model": loaded.facts | {"lens": self._models.has_lens(loaded)}}

    def explain(self, error: BaseException) -> list[str]:
        """Return the lines by which the page explains an error: those of `harness sample`, if it has them."""
        if isinstance(error, BadRequest | CannotTrain | NotObtained):
            return words.of_text(str(error))
        failure = read_kata_error(self.course, error)
        if failure.kata is None:
            return [words.unexpected(failure.kind, failure.message)]
        return words.of_katas(
            failed_in_katas(failure, solutions=self._solutions, with_reference=WITH_REFERENCE)
        )


def _encode(loaded: LoadedModel, prompt: str) -> list[int]:
    """Return the tokens of a prompt; one that is empty means a line break, as in `harness sample`."""
    return list(loaded.tokenizer.encode(prompt or "\n"))


def _stubs(course: Course) -> list[Stamp | None]:
    return [stamp(path) for kata in course.katas for path in (kata.stub, kata.tests)]


def _text(state: object) -> str:
    """Return a state in a few letters, to be compared."""
    return hashlib.sha256(repr(state).encode()).hexdigest()[:12]
