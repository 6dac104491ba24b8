"""Requests are checked before anything is computed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.play.request import (
    LONGEST_PROMPT,
    LONGEST_TEXT,
    Asked,
    BadRequest,
    Settings,
    check_ids,
    read_request,
)


def read(**fact: Any) -> Asked:
    return read_request(json.dumps(fact).encode())


def test_a_whole_request_is_read() -> None:
    asked = read(
        run="laptop",
        prompt="To be",
        ids=[1, 2],
        writing="x",
        position=1,
        layer=2,
        count=9,
        seed=-3,
        settings={"temperature": 1, "top_k": 5, "top_p": 0.5, "min_p": 0.1},
    )
    assert asked == Asked("laptop", "To be", (1, 2), "x", 1, 2, 9, -3, Settings(1.0, 5, 0.5, 0.1))


def test_what_is_missing_has_the_defaults_of_harness_sample() -> None:
    assert read() == Asked()
    assert Asked().settings == Settings(temperature=0.8, top_k=None, top_p=None, min_p=None)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'"' + b"x" * 99])
def test_what_is_not_an_object_in_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="does not understand"):
        read_request(body)


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ({"ids": [1, -1]}, "ids: "),
        ({"ids": [True]}, "ids: "),
        ({"ids": "12"}, "ids: "),
        ({"ids": [0] * (LONGEST_TEXT + 1)}, "more than 40,000 tokens"),
        ({"prompt": 5}, "prompt: "),
        ({"prompt": "x" * (LONGEST_PROMPT + 1)}, "20,001 characters, and 20,000 are the most"),
        ({"run": 3}, "run: "),
        ({"count": 2001}, "count must be an integer from 0 to 2,000"),
        ({"count": 1.5}, "count must be an integer"),
        ({"seed": 2**64}, "seed must be an integer"),
        ({"layer": True}, "layer must be an integer"),
        ({"settings": 1}, "settings: "),
        ({"settings": {"temperature": "hot"}}, "temperature: "),
        ({"settings": {"top_p": True}}, "top_p: "),
        ({"settings": {"top_p": 10**400}}, "top_p: "),
        ({"settings": {"top_k": 0}}, "top_k must be an integer from 1"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_value_that_cannot_be_used_is_named(fact: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read(**fact)
    assert message in str(refusal.value)


def test_the_katas_themselves_refuse_a_temperature() -> None:
    assert read(settings={"temperature": -1}).settings.temperature == -1


def test_a_text_of_another_model_is_refused() -> None:
    check_ids(Asked(ids=(0, 4)), 5)
    with pytest.raises(BadRequest, match="another model has written it"):
        check_ids(Asked(ids=(0, 5)), 5)
    with pytest.raises(BadRequest, match="position"):
        check_ids(Asked(ids=(0, 4), position=2), 5)
