"""How a case of a parametrised test is called."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.run.case_names import case_in_words


@pytest.mark.parametrize(
    ("case_id", "arguments", "words"),
    [
        ("mask_shape0-True", {"mask_shape": (5, 1), "bias": True}, "mask_shape=(5, 1), bias=True"),
        ("arguments5", {"arguments": {"num_heads": 3}}, "arguments={'num_heads': 3}"),
        ("dtype0-1e-12", {"dtype": torch.float64, "atol": 1e-12}, "dtype=torch.float64, atol=1e-12"),
        ("None-a-1", {"mask": None, "text": "a", "n": 1}, "mask=None, text='a', n=1"),
        ("one wave", {"base": 100}, "one wave"),
        ("value0", {"value": torch.ones(3)}, "value0"),
        ("call0", {"call": lambda: 0}, "call0"),
        ("Linear-sizes0", {"module": torch.nn.Linear, "sizes": (3,)}, "module=Linear, sizes=(3,)"),
        ("values0", {"values": tuple(range(99))}, "values0"),
    ],
    ids=["tuple", "dict", "dtype", "plain", "author's own", "tensor", "lambda", "class", "long"],
)
def test_a_case_is_told_by_its_arguments_if_they_are_plain(
    case_id: str, arguments: dict[str, Any], words: str
) -> None:
    assert case_in_words(case_id, arguments) == words
