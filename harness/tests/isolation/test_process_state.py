"""Tests of what is restored of the process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.isolation import process_state
from harness.isolation.process_state import ProcessChange, ProcessState, Setting, changes_in


class Finder:
    """A finder as a learner may write one."""

    __module__ = "katas.k00_doubles.doubles"

    def find_spec(self, *_: object) -> None:
        raise RuntimeError


def seen() -> list[object]:
    return [
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.ones(1).device.type,
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
        torch.is_anomaly_enabled(),
        os.getcwd(),
        sys.getrecursionlimit(),
        sys.modules["json"],
        [id(each) for each in sys.meta_path],
        list(sys.path),
    ]


CHANGES: dict[str, Callable[[], object]] = {
    "torch.set_default_dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch.set_grad_enabled": lambda: torch.set_grad_enabled(False),
    "torch.set_default_device": lambda: torch.set_default_device("meta"),
    "torch.use_deterministic_algorithms": lambda: torch.use_deterministic_algorithms(True),
    "torch.set_float32_matmul_precision": lambda: torch.set_float32_matmul_precision("medium"),
    "torch.autograd.set_detect_anomaly": lambda: torch.autograd.set_detect_anomaly(True),
    "os.chdir": lambda: os.chdir("/"),
    "sys.setrecursionlimit": lambda: sys.setrecursionlimit(5000),
    "sys.modules": lambda: sys.modules.pop("json"),
    "sys.meta_path": lambda: sys.meta_path.insert(0, Finder()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_changed_is_restored_and_named(name: str) -> None:
    torch.set_default_device(None)  # imports the module that knows it
    before = seen()
    state = ProcessState()
    CHANGES[name]()
    undone = state.restore()
    assert seen() == before
    assert [names[0] for names in undone] == [name]


def test_nothing_is_named_if_nothing_has_changed() -> None:
    assert ProcessState().restore() == []


def test_a_setting_that_torch_refuses_to_say_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("set in a newer way")

    mine = Setting(("mine",), refuse, lambda _: pytest.fail("it was written"))
    monkeypatch.setattr(process_state, "_settings", lambda: iter([mine]))
    assert ProcessState().restore() == []


def test_a_folder_more_to_import_from_stays_and_a_missing_one_returns() -> None:
    state, before = ProcessState(), list(sys.path)
    sys.path[:] = ["/mine"]
    assert state.restore() == []
    assert sys.path == [*before, "/mine"]
    sys.path[:] = before


def test_a_list_that_was_replaced_is_the_same_object_again() -> None:
    state, modules, finders = ProcessState(), sys.modules, sys.meta_path
    sys.modules, sys.meta_path = {}, []
    state.restore()
    assert sys.modules is modules
    assert sys.meta_path is finders


def test_the_line_of_a_change_is_the_first_that_mentions_it(tmp_path: Path) -> None:
    near, far = tmp_path / "near.py", tmp_path / "far.py"
    near.write_text("import torch\nwith torch.no_grad():\n    pass\n")
    far.write_text("from torch import set_grad_enabled\n\nset_grad_enabled(False)\n")
    names = ("torch.set_grad_enabled", "torch.no_grad")
    assert changes_in([near, far], [names]) == [ProcessChange(far, 3, "torch.set_grad_enabled")]
    assert changes_in([near], [names, ("os.chdir",)]) == [ProcessChange(near, 2, "torch.no_grad")]


def test_a_file_that_cannot_be_read_names_no_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def (\n")
    assert changes_in([broken, tmp_path / "missing.py"], [("os.chdir",)]) == []
