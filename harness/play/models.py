"""The models of the runs: loaded by the learner's own kata 09, and again when a file is replaced."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harness.course.katas import Course, Kata
from harness.isolation.importer import kata_module
from harness.play.likely import Distributions
from harness.progress.standing import KataProgress
from harness.training import parts
from harness.training.capstone import RUNS, has_cache, load_capstone, unfinished
from harness.training.request import CannotTrain
from harness.training.run_folder import RunFolder
from harness.training.words import NO_RUN, no_model
from harness.training.writing import CACHE

if TYPE_CHECKING:
    from torch import Tensor

LENS, DECODING = "k19_interpretability", "k20_decoding"
_KEPT = 3  # models in memory; a page shows one
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Whose:
    """Whose code computes: the katas that are the reference's, and which later ones are at work."""

    reference: tuple[Kata, ...]
    solutions: bool  # all of them
    cache: bool  # kata 14 writes, where it can
    lens: bool
    min_p: bool


def decide(course: Course, progress: Sequence[KataProgress], *, solutions: bool) -> Whose:
    """Return whose code computes: the learner's where a kata is finished, else the reference."""
    names = {each.name for each in course.katas}
    done = names if solutions else {each.kata.name for each in progress if each.finished}
    return Whose(
        reference=course.katas if solutions else tuple(unfinished(progress)),
        solutions=solutions,
        cache=CACHE in names and (solutions or has_cache(progress)),
        lens=LENS in done,
        min_p=DECODING in done,
    )


@dataclass
class LoadedModel:
    """A run's best model in memory, and its tokenizer."""

    model: Any
    tokenizer: Any
    parts: tuple[str, ...]
    version: int  # how many models this page has loaded
    signature: Stamp
    texts: dict[int, str] = field(default_factory=dict)

    @property
    def device(self) -> Any:
        return next(self.model.parameters()).device

    @property
    def block_size(self) -> int:
        return int(self.model.config.block_size)

    def piece(self, token: int) -> str:
        """Return the text of one token; of a part of a character, the sign that stands for it."""
        if token not in self.texts:
            self.texts[token] = str(self.tokenizer.decode([token]))
        return self.texts[token]

    def on_device(self, ids: Sequence[int]) -> Tensor:
        """Return ids (1, seq) for the model."""
        import torch

        return torch.tensor([list(ids)], dtype=torch.int64, device=self.device)

    @functools.cached_property
    def facts(self) -> dict[str, Any]:
        """Return what the page says about the model."""
        config = self.model.config
        return {
            "version": self.version,
            "vocabulary": int(self.tokenizer.vocab_size),
            "blockSize": self.block_size,
            "layers": int(config.num_layers),
            "heads": int(config.num_heads),
            "width": int(config.d_model),
            "parameters": sum(each.numel() for each in self.model.parameters()),
            "device": str(self.device),
            "parts": list(self.parts),
        }


class Models:
    """The models of a course's runs; not to be used by several threads at once."""

    def __init__(self, course: Course, whose: Whose, run_dir: Path | None) -> None:
        self._course, self._whose, self._run_dir = course, whose, run_dir
        self._loaded: OrderedDict[Path, LoadedModel] = OrderedDict()
        self._count = 0

    def run_named(self, name: str | None) -> RunFolder:
        """Return a run with a model; by default that of the command, or the newest. Raises CannotTrain."""
        runs = self.runs()
        if name is None:
            ready = [run for run in runs.values() if run.has_model]
            if self._run_dir is not None:
                return RunFolder(self._run_dir)
            if not ready:
                raise CannotTrain(NO_RUN)
            return max(ready, key=lambda run: run.best.stat().st_mtime)
        if name not in runs:  # only a name that the list has: a page names no path
            raise CannotTrain(no_model(Path(name)))
        return runs[name]

    def runs(self) -> dict[str, RunFolder]:
        """Return the folders of the runs by the names that the page uses."""
        return runs_of(self._course, self._run_dir)

    def get(self, name: str | None) -> LoadedModel:
        """Return a run's model, loaded again if its file has changed. Raises CannotTrain, or as katas do."""
        run = self.run_named(name)
        kept = self._loaded.get(run.path)
        signature = stamp(run.best)
        if kept is not None and signature in (kept.signature, None):
            self._loaded.move_to_end(run.path)
            return kept
        if signature is None or not run.has_model:
            raise CannotTrain(no_model(run.path))
        self._count += 1
        loaded = load(self.capstone, run, self._count, signature)
        self._loaded[run.path] = loaded
        self._loaded.move_to_end(run.path)
        while len(self._loaded) > _KEPT:
            self._loaded.popitem(last=False)
        return loaded

    @functools.cached_property
    def capstone(self) -> ModuleType:
        """Kata 09 with all that it needs; the first use imports torch."""
        return load_capstone(self._course, self._whose.reference)

    @functools.cached_property
    def distributions(self) -> Distributions:
        """The functions that make probabilities of logits."""
        assert self.capstone
        return Distributions(
            kata_module("k01_attention").softmax,
            kata_module("k07_sampling"),
            kata_module(DECODING).min_p_filter if self._whose.min_p else None,
        )

    @property
    def weigh(self) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
        """Kata 01's function from queries and keys to weights."""
        attention = kata_module("k01_attention")
        found: Callable[[Tensor, Tensor, Tensor | None], Tensor] = attention.attention_weights
        return found

    def generator_of(self, loaded: LoadedModel) -> tuple[Callable[..., Tensor], bool]:
        """Return the function by which `harness sample` writes with a model, and whether it has a cache."""
        if self._whose.cache and parts.MODERN in loaded.parts:
            return kata_module(CACHE).generate_cached, True
        return kata_module("k07_sampling").generate, False

    def has_lens(self, loaded: LoadedModel) -> bool:
        """True if kata 19 can look into this model: it is written for that of kata 05."""
        return self._whose.lens and parts.MODERN not in loaded.parts

    def lens(self, loaded: LoadedModel, ids: Tensor) -> Tensor:
        """Return kata 19's logit lens of a text: logits (depth, seq, vocab)."""
        kata = kata_module(LENS)
        with kata.recording(loaded.model) as record:
            loaded.model(ids)
        found: Tensor = kata.logit_lens(loaded.model, record)[:, 0]
        return found


def runs_of(course: Course, run_dir: Path | None) -> dict[str, RunFolder]:
    """Return the runs of a course, and that of the command, by the names of their folders, or their paths."""
    root = course.root / RUNS
    folders = sorted(each for each in root.glob("*") if each.is_dir()) if root.is_dir() else []
    found = {each.name: RunFolder(each) for each in folders if RunFolder(each).is_run}
    if run_dir is not None and run_dir.absolute() not in (run.path.absolute() for run in found.values()):
        name = run_dir.name if run_dir.name not in found else str(run_dir)
        found[name] = RunFolder(run_dir)
    return found


def stamp(path: Path) -> Stamp | None:
    """Return what changes when a file is written or replaced; None without one."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def load(capstone: ModuleType, run: RunFolder, version: int, signature: Stamp) -> LoadedModel:
    """Return a run's model, as kata 09's `sample` loads it. Raises what the katas raise.

    `sample` gets a `generate` that writes nothing, and takes the model that it is called with.
    """
    used = run.parts
    options = parts.sampling_options(used)
    load_tokenizer: Callable[[Path], Any] = options.pop("load_tokenizer", _characters)
    tokenizer = load_tokenizer(run.tokenizer)
    caught: list[Any] = []

    def catch(model: Any, ids: Tensor, *_: object, **__: object) -> Tensor:
        caught.append(model)
        return ids

    prompt = tokenizer.decode([0])  # what every tokenizer knows
    capstone.sample(run.path, prompt, 0, load_tokenizer=lambda _: tokenizer, generate=catch, **options)
    return LoadedModel(caught[0].eval(), tokenizer, used, version, signature)


def _characters(path: Path) -> Any:
    return kata_module("k04_embeddings").CharTokenizer.load(path)


def whose_names(course: Course, whose: Whose, needed: Collection[str]) -> tuple[list[Kata], list[Kata]]:
    """Return the katas behind the page's text that are the learner's, and those that are the reference's."""
    behind = [kata for kata in course.katas if kata.name in needed]
    return (
        [kata for kata in behind if kata not in whose.reference],
        [kata for kata in behind if kata in whose.reference],
    )
