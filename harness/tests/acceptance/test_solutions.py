"""Bad files, read by the reference solutions: more kinds than a kata asks a learner to think of."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.course.katas import load_course, resolve_kata
from harness.tests.conftest import REPOSITORY
from katas.k05_model.model import ModelConfig
from katas.k08_engineering.config import RunConfig, TrainingConfig


def reference(number: str) -> ModuleType:
    """Return the reference solution of a kata as a module, with whatever is in katas/ before it."""
    path = resolve_kata(load_course(REPOSITORY), number).solution
    spec = importlib.util.spec_from_file_location(f"reference_{number}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("content", ["[" * 100_000, '{"chars":' * 100_000], ids=["lists", "tables"])
def test_a_tokenizer_nested_too_deep_is_refused_by_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"tokenizer\.json holds no saved tokenizer"):
        reference("04").CharTokenizer.load(path)


class Run:
    """A small model, its optimizer and its generator, after some steps."""

    def __init__(self, seed: int) -> None:
        import torch

        torch.manual_seed(seed)
        self.engineering = reference("08")
        self.model = torch.nn.Linear(40, 5)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        self.generator = torch.Generator().manual_seed(seed)
        for _ in range(seed):
            self.model(torch.rand(3, 40)).square().mean().backward()
            self.optimizer.step()

    def save(self, path: Path) -> None:
        parts = {"model": self.model, "optimizer": self.optimizer, "generator": self.generator}
        model = ModelConfig(vocab_size=5, block_size=8)
        config = RunConfig("small", model, TrainingConfig(max_steps=7, batch_size=2))
        self.engineering.save_checkpoint(path, step=7, config=config, **parts)

    def load(self, path: Path) -> int:
        parts = {"model": self.model, "optimizer": self.optimizer, "generator": self.generator}
        step: int = self.engineering.load_checkpoint(path, **parts)
        return step

    def state(self) -> str:
        """All that it consists of, the global generators included, as text."""
        import numpy as np
        import torch

        torch.set_printoptions(precision=17, threshold=10**6)
        try:
            generators = (self.generator.get_state(), torch.get_rng_state(), random.getstate())
            numpys = [part.tolist() if hasattr(part, "tolist") else part for part in np.random.get_state()]
            return repr((self.model.state_dict(), self.optimizer.state_dict(), generators, numpys))
        finally:
            torch.set_printoptions(profile="default")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "last.pt"
    Run(3).save(path)
    return path


def assert_refused(path: Path) -> None:
    """Assert that the checkpoint is refused by a ValueError with its name, and changes nothing."""
    run = Run(2)
    before = run.state()
    with pytest.raises(ValueError, match=path.name):
        run.load(path)
    assert run.state() == before, "the checkpoint was refused, but something has changed"


def changed(part: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Return what rewrites a checkpoint with one of its parts changed."""

    def rewrite(path: Path) -> None:
        import torch

        state = torch.load(path, weights_only=True)
        state[part] = change(state[part])
        torch.save(state, path)

    return rewrite


def with_weight(name: str) -> Callable[[Any], Any]:
    """Return what converts the weight of a state dict to another dtype."""

    def convert(state: Any) -> Any:
        import torch

        return {**state, "weight": state["weight"].to(getattr(torch, name))}

    return convert


SPOILT = {
    **{name: changed("model", with_weight(name)) for name in ("int64", "bool", "complex64", "float16")},
    "weight as a list": changed("model", lambda state: {**state, "weight": state["weight"].tolist()}),
    "no model": changed("model", lambda _: None),
    "no optimizer": changed("optimizer", lambda _: {}),
    "optimizer without groups": changed("optimizer", lambda state: {"state": state["state"]}),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_checkpoint_with_a_part_of_another_kind_is_refused_and_changes_nothing(
    spoil: Callable[[Path], None], checkpoint: Path
) -> None:
    spoil(checkpoint)
    assert_refused(checkpoint)
