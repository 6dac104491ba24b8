"""Bad files, read by the reference solutions: more kinds than a kata asks a learner to think of."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.tests.support.references import reference
from katas.k05_model.model import ModelConfig
from katas.k08_engineering.config import RunConfig, TrainingConfig


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
    "sparse weight": changed("model", lambda state: {**state, "weight": state["weight"].to_sparse()}),
    "weight as a list": changed("model", lambda state: {**state, "weight": state["weight"].tolist()}),
    "no model": changed("model", lambda _: None),
    "no optimizer": changed("optimizer", lambda _: {}),
    "optimizer without groups": changed("optimizer", lambda state: {"state": state["state"]}),
    "groups that are numbers": changed("optimizer", lambda state: {**state, "param_groups": [7]}),
    "optimizer without a step": changed(
        "optimizer", lambda state: {**state, "state": {0: {"exp_avg": 1.5}, 1: {"exp_avg": 2.5}}}
    ),
    "no random numbers": changed("rng", lambda _: {}),
    "random numbers as text": changed("rng", lambda _: "random"),
    "torch's as a list": changed("rng", lambda rng: {**rng, "torch": [1, 2]}),
    "NumPy's too short": changed("rng", lambda rng: {**rng, "numpy": ("MT19937", [1, 2], 0, 0, 0.0)}),
    "generator as text": changed("generator", lambda _: "state"),
    "generator of another kind": changed("generator", lambda state: state[:7].clone()),
    "step as text": changed("step", lambda _: "seven"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_checkpoint_with_a_part_of_another_kind_is_refused_and_changes_nothing(
    spoil: Callable[[Path], None], checkpoint: Path
) -> None:
    spoil(checkpoint)
    assert_refused(checkpoint)


def test_a_single_flipped_bit_is_refused_or_without_effect(checkpoint: Path) -> None:
    """A bit of the contents has a checksum; one of the padding between entries has none, and no effect."""
    contents, expected = checkpoint.read_bytes(), Run(2)
    expected.load(checkpoint)
    draw, refused = random.Random(0), 0
    for at in (draw.randrange(len(contents)) for _ in range(40)):
        damaged = bytearray(contents)
        damaged[at] ^= 1 << draw.randrange(8)
        checkpoint.write_bytes(damaged)
        run = Run(2)
        try:
            run.load(checkpoint)
        except ValueError:
            refused += 1
        else:
            assert run.state() == expected.state(), f"bit {at} has changed the run, and nothing says so"
    assert refused > 20, "so few bits of a checkpoint have checksums?"
