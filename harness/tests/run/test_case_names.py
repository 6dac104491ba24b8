"""How a case of a parametrised test is called."""

from __future__ import annotations

import math
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
        ("one wave-3-a", {"base": 100, "n": 3, "text": "a"}, "one wave, n=3, text='a'"),
        ("3-in float32", {"n": 3, "make": object()}, "n=3, in float32"),
        ("value0", {"value": torch.ones(3)}, "value=tensor (3,)"),
        ("value0", {"value": {"ids": torch.ones(2, 0)}}, "value={'ids': tensor (2, 0)}"),
        ("value0", {"value": object()}, "value0"),
        (
            "<lambda>-ValueError-named14",
            {"call": lambda: math.comb(-6, 2), "error": ValueError, "named": ["-6"]},
            "call=math.comb(-6, 2), error=ValueError, named=['-6']",
        ),
        (
            "<lambda>-<lambda>",
            {"one": lambda: [2 * x for x in (1, 2)], "other": lambda x: (x, lambda: x)},
            "one=[2 * x for x in (1, 2)], other=(x, lambda: x)",
        ),
        ("Linear-sizes0", {"module": torch.nn.Linear, "sizes": (3,)}, "module=Linear, sizes=(3,)"),
        ("values0", {"values": tuple(range(99))}, "values0"),
    ],
    ids=[
        "tuple",
        "dict",
        "dtype",
        "plain",
        "author's own",
        "author's own and others",
        "an object that the author names",
        "tensor",
        "tensor inside",
        "object",
        "call",
        "two lambdas",
        "class",
        "long",
    ],
)
def test_a_case_is_named_by_its_arguments_if_they_are_plain(
    case_id: str, arguments: dict[str, Any], words: str
) -> None:
    assert case_in_words(case_id, arguments) == words


def test_a_lambda_whose_file_is_gone_or_changed_has_pytests_name() -> None:
    for file in ("/nowhere/test_it.py", __file__):
        names = {"__name__": "elsewhere"}  # otherwise coverage would look for the file
        moved = eval(compile("\n" * 3 + "lambda: 7", file, "eval"), names)
        assert case_in_words("<lambda>", {"call": moved}) == "<lambda>"
