"""What the page may ask for, checked before anything is computed."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from harness.play import words

LONGEST_BODY = 400_000  # bytes of a request
LONGEST_PROMPT = 20_000  # characters
LONGEST_TEXT = 40_000  # tokens, the prompt included
MOST_TOKENS = 2_000  # to write in one request
SEEDS = (-(2**63), 2**64 - 1)  # what torch takes


class BadRequest(Exception):
    """The request cannot be answered; the message says why and what to do."""


class TooLarge(BadRequest):
    """The request has more bytes than are read."""


@dataclass(frozen=True)
class Settings:
    """How the next token is drawn; None for a filter that is off. The katas check the values."""

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None


@dataclass(frozen=True)
class Asked:
    """A request of the page: a run, a text and what to do with it."""

    run: str | None = None
    prompt: str = ""
    ids: tuple[int, ...] = ()
    writing: str = ""  # the text under way that goes on
    position: int = 0
    layer: int = 0
    count: int = 0
    seed: int = 0
    settings: Settings = Settings()


def read_request(body: bytes) -> Asked:
    """Return what a body asks for. Raises BadRequest."""
    try:
        fact = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest(words.NOT_JSON) from None
    if not isinstance(fact, dict):
        raise BadRequest(words.NOT_JSON)
    run = fact.get("run")
    return Asked(
        run=None if run is None else _text(fact, "run", 1000),
        prompt=_prompt(fact),
        ids=_ids(fact),
        writing=_text(fact, "writing", 100),
        position=_whole(fact, "position", 0, LONGEST_TEXT),
        layer=_whole(fact, "layer", 0, 1000),
        count=_whole(fact, "count", 0, MOST_TOKENS),
        seed=_whole(fact, "seed", *SEEDS),
        settings=_settings(fact.get("settings", {})),
    )


def check_ids(asked: Asked, vocab_size: int) -> None:
    """Check that a text is one of this model's, and its position inside of it. Raises BadRequest."""
    if any(token >= vocab_size for token in asked.ids):
        raise BadRequest(words.OTHER_VOCABULARY)
    if asked.position >= max(1, len(asked.ids)):
        raise BadRequest(words.wrong_value("position"))


def _prompt(fact: dict[str, Any]) -> str:
    prompt = _text(fact, "prompt", math.inf)
    if len(prompt) > LONGEST_PROMPT:
        raise BadRequest(words.prompt_too_long(len(prompt), LONGEST_PROMPT))
    return prompt


def _text(fact: dict[str, Any], name: str, longest: float) -> str:
    value = fact.get(name, "")
    if not isinstance(value, str) or len(value) > longest:
        raise BadRequest(words.wrong_value(name))
    return value


def _ids(fact: dict[str, Any]) -> tuple[int, ...]:
    ids = fact.get("ids", [])
    if not isinstance(ids, list) or not all(type(each) is int and each >= 0 for each in ids):
        raise BadRequest(words.wrong_value("ids"))
    if len(ids) > LONGEST_TEXT:
        raise BadRequest(words.text_too_long(LONGEST_TEXT))
    return tuple(ids)


def _whole(fact: dict[str, Any], name: str, least: int, most: int, default: int = 0) -> int:
    value = fact.get(name, default)
    if type(value) is not int or not least <= value <= most:  # a bool is an int, too
        raise BadRequest(words.out_of_range(name, least, most))
    return value


def _settings(fact: object) -> Settings:
    if not isinstance(fact, dict):
        raise BadRequest(words.wrong_value("settings"))
    top_k = fact.get("top_k")
    temperature = _number(fact, "temperature")
    return Settings(
        temperature=Settings.temperature if temperature is None else temperature,
        top_k=None if top_k is None else _whole(fact, "top_k", 1, 2**31),
        top_p=_number(fact, "top_p"),
        min_p=_number(fact, "min_p"),
    )


def _number(fact: dict[str, Any], name: str) -> float | None:
    value = fact.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadRequest(words.wrong_value(name))
    try:
        return float(value)
    except OverflowError:
        raise BadRequest(words.wrong_value(name)) from None
