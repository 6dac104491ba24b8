"""Texts are written, stopped and continued as `harness sample` would write them in one go."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from harness.course.katas import Course
from harness.play.request import Asked, Settings
from harness.play.studio import Studio
from harness.play.writing import Writing

PROMPT = "line 7"


@pytest.fixture(scope="module")
def studio(course: Course, katas: Callable[[str], Any]) -> Studio:
    return Studio(course, None, solutions=True)


def written(
    studio: Studio, asked: Asked, stop_after: int | None = None
) -> tuple[Writing, list[tuple[str, Any]]]:
    """Let the studio answer a request; stop it after some tokens."""
    writing, writer, first = studio.begin(asked)
    events: list[tuple[str, Any]] = [("start", first)]

    def send(event: str, facts: dict[str, Any]) -> None:
        events.append((event, facts))
        if event == "token" and len(tokens_of(events)) == stop_after:
            writing.stop.set()

    studio.write(writing, writer, asked, send)
    return writing, events


def tokens_of(events: list[tuple[str, Any]]) -> list[str]:
    return [facts["text"] for event, facts in events if event == "token"]


@pytest.mark.parametrize("run", ["core", "modern"])
@pytest.mark.parametrize(
    "options",
    [
        {"seed": 0},
        {"seed": 3, "temperature": 1.3},
        {"seed": -1, "top_k": 5},
        {"seed": 7, "top_p": 0.7, "temperature": 0.0},
        {"seed": 2**40, "top_k": 9, "top_p": 0.8},
    ],
    ids=str,
)
def test_the_same_seed_gives_the_same_text_as_harness_sample(
    options: dict[str, Any], run: str, studio: Studio, sample: Callable[..., str]
) -> None:
    settings = Settings(**{name: value for name, value in options.items() if name != "seed"})
    asked = Asked(run, PROMPT, count=30, seed=options["seed"], settings=settings)
    _, events = written(studio, asked)
    expected = sample(PROMPT, 30, run, **options)
    assert PROMPT + "".join(tokens_of(events)) == expected
    assert events[-1] == ("end", {"text": expected})


@pytest.mark.parametrize("run", ["core", "modern"])
def test_a_text_that_was_stopped_goes_on_as_if_it_had_not_been(
    run: str, studio: Studio, sample: Callable[..., str]
) -> None:
    settings = Settings(temperature=1.0)
    writing, first = written(studio, Asked(run, PROMPT, count=40, seed=5, settings=settings), stop_after=11)
    assert len(tokens_of(first)) == 11
    seen = tuple(writing.ids[:-3])  # the page had shown three tokens less when it was stopped
    _, more = written(studio, Asked(run, ids=seen, writing=writing.name, count=29, settings=settings))
    ahead = [token["text"] for token in more[0][1]["ahead"]]
    assert len(ahead) == 3
    text = PROMPT + "".join(tokens_of(first)[:8] + ahead + tokens_of(more))
    assert text == sample(PROMPT, 40, run, temperature=1.0, seed=5)


def test_another_token_in_a_place_begins_a_text_like_a_prompt(
    studio: Studio, sample: Callable[..., str]
) -> None:
    writing, _ = written(studio, Asked("core", PROMPT, count=5, seed=1))
    loaded = studio._models.get("core")
    changed = (*writing.ids[:8], loaded.tokenizer.encode("7")[0])
    _, events = written(studio, Asked("core", ids=changed, writing=writing.name, count=9, seed=1))
    prompt = loaded.tokenizer.decode(changed)
    assert prompt + "".join(tokens_of(events)) == sample(prompt, 9, seed=1)


def test_every_token_comes_with_two_probabilities_and_the_prompt_with_one(studio: Studio) -> None:
    _, events = written(studio, Asked("core", PROMPT, count=4, settings=Settings(temperature=0)))
    kinds = [event for event, _ in events]
    assert kinds == ["start", "prompt", "token", "token", "token", "token", "end"]
    assert len(events[1][1]["p"]) == len(PROMPT) - 1
    assert all(0 < facts["p"] < 1 and facts["q"] == 1 for event, facts in events if event == "token")


def test_min_p_keeps_unlikely_tokens_out_of_the_text(studio: Studio) -> None:
    for run in ("core", "modern"):
        settings = Settings(temperature=2.0, top_k=8, min_p=1.0)
        _, events = written(studio, Asked(run, PROMPT, count=12, settings=settings))
        _, greedy = written(studio, Asked(run, PROMPT, count=12, settings=Settings(temperature=0)))
        assert tokens_of(events) == tokens_of(greedy)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked("core", "Zoë", count=2), "unknown character"),
        (Asked("core", PROMPT, count=2, settings=Settings(temperature=-1)), "temperature must be"),
        (Asked("core", PROMPT, count=2, settings=Settings(top_p=2)), "p must be"),
        (Asked("elsewhere", PROMPT, count=2), "holds no trained model"),
        (Asked("core", ids=(0, 1_000), count=2), "another model has written it"),
        (Asked("core", ids=(0,) * 39_999, count=2), "more than 40,000 tokens"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_written_is_explained(studio: Studio, asked: Asked, message: str) -> None:
    try:
        _, events = written(studio, asked)
        lines = events[-1][1]["lines"]
    except Exception as error:
        lines = studio.explain(error)
    assert message in "\n".join(lines)


def test_an_error_of_no_kata_is_shown_with_its_kind(studio: Studio) -> None:
    assert studio.explain(KeyError("x"))[0].startswith("KeyError: 'x'")


def test_two_texts_at_once_are_both_right(studio: Studio, sample: Callable[..., str]) -> None:
    texts: dict[int, str] = {}

    def write(seed: int) -> None:
        _, events = written(studio, Asked("core", PROMPT, count=25, seed=seed))
        texts[seed] = events[-1][1]["text"]

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {seed: sample(PROMPT, 25, seed=seed) for seed in range(4)}


def test_a_long_text_is_read_by_its_end(studio: Studio) -> None:
    loaded = studio._models.get("core")
    ids = tuple(loaded.tokenizer.encode("line 12 of 8, and so on\n" * 3))
    whole = studio.likely(Asked("core", ids=ids, position=40))
    window = studio.likely(Asked("core", ids=ids[25:41], position=15))
    assert [bar["id"] for bar in whole["bars"][:5]] == [bar["id"] for bar in window["bars"][:5]]
    inside = studio.inside(Asked("core", ids=ids, position=40, layer=9))
    assert (inside["start"], inside["layer"], len(inside["rows"][0])) == (25, 1, 16)
    assert len(inside["lens"]) > 1, "kata 19 looks into the model of kata 05"
    assert studio.inside(Asked("modern", ids=ids, position=3))["lens"] is None


def test_a_prompt_is_read_with_its_probabilities(studio: Studio) -> None:
    found = studio.read(Asked("core", "line 3 of 9, and so on\nline"))
    assert len(found["p"]) == len(found["ids"]) == len(found["texts"])
    assert found["p"][0] is None
    assert studio.read(Asked("core", ""))["texts"] == ["\n"], "as in harness sample"
