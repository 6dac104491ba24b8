"""The page in a real browser: each of its parts is used as a learner would."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.course.kata_tests import file_digest, shipped_tests
from harness.course.katas import Course, Kata
from harness.pairing import commands as pairs
from harness.progress.receipts import Receipt, append_receipt, progress_path
from harness.tests.play.conftest import Page, start_page
from harness.training.run_folder import RunFolder

PROMPT = "line 7 of"
Open = Callable[..., Any]


def text_of(tab: Any) -> str:
    """Return the text on the page, without the signs for line breaks."""
    return tab.evaluate(
        "[...document.querySelectorAll('#tokens .token')].map(t => t.lastChild.data).join('')"
    )


def write(tab: Any, prompt: str = PROMPT, count: int = 30, seed: int = 0) -> None:
    tab.select_option("#run", "core")
    tab.fill("#prompt", prompt)
    tab.fill("#seed", str(seed))
    tab.fill("#count", str(count))
    tab.click("#go")


def finished(tab: Any, tokens: int) -> None:
    tab.locator(f"#t{tokens - 1}").wait_for(state="attached")
    tab.locator("#more:enabled").wait_for()


def slide(tab: Any, name: str, share: float) -> None:
    tab.locator(f"#slider-{name}").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", share
    )


def shades(tab: Any, variable: str) -> list[float]:
    read = f"t => Number(t.style.getPropertyValue('{variable}'))"
    return tab.evaluate(f"[...document.querySelectorAll('#tokens .token')].map({read})")


def test_a_text_appears_token_by_token_and_is_that_of_harness_sample(
    open_page: Open, sample: Callable[..., str]
) -> None:
    tab = open_page()
    write(tab, count=30, seed=4)
    finished(tab, len(PROMPT) + 30)
    assert text_of(tab) == sample(PROMPT, 30, seed=4)
    assert len(set(shades(tab, "--shade"))) > 5, "each is shaded by its probability"
    assert "was drawn with" in tab.locator("#about").inner_text() or tab.click("#t20") is None
    assert "The model gave it" in tab.locator("#about").inner_text()
    assert "%" in tab.locator("#t20").get_attribute("aria-label")


def test_stop_and_go_on_give_the_same_text_as_without(open_page: Open, sample: Callable[..., str]) -> None:
    tab = open_page(reduced_motion="no-preference")
    tab.select_option("#pace", "8")
    write(tab, count=300, seed=2)
    tab.locator(f"#t{len(PROMPT) + 3}").wait_for(state="attached")
    tab.keyboard.press("Escape")
    tab.locator("#more:enabled").wait_for()
    shown = len(text_of(tab))
    assert len(PROMPT) < shown < len(PROMPT) + 300
    tab.select_option("#pace", "0")
    tab.fill("#count", "20")
    tab.click("#more")
    tab.locator("#stop:enabled").wait_for()
    tab.locator("#more:enabled").wait_for()
    text = text_of(tab)
    assert len(text) >= shown + 20
    assert text == sample(PROMPT, len(text) - len(PROMPT), seed=2)


def test_bars_follow_the_sliders_and_a_click_puts_another_token_in_the_place(open_page: Open) -> None:
    tab = open_page()
    write(tab)
    finished(tab, len(PROMPT) + 30)
    tab.click("nav >> text=Choose")
    tab.click(f"#t{len(PROMPT) + 4}")
    tab.get_by_text(f"In place {len(PROMPT) + 5}.").wait_for()
    bars = tab.locator("#bars .bar")
    assert 10 <= bars.count() <= 11
    assert tab.locator("#bars .chosen").count() == 1
    slide(tab, "top_k", 0.2)
    tab.locator("#choose-where").filter(has_text=r" 2 of ").wait_for()
    assert tab.locator("#bars .chance.none").count() >= 8
    slide(tab, "temperature", 0)
    tab.locator("#choose-where").filter(has_text=r" 1 of ").wait_for()
    slide(tab, "temperature", 0.5)
    slide(tab, "top_k", 1)
    slide(tab, "min_p", 1.0)  # kata 20 is complete: half as likely as the likeliest
    tab.locator("#choose-where").filter(has_text=r" of ").wait_for()
    before = text_of(tab)
    bar = tab.locator("#bars .bar:not(.chosen)").first
    token = bar.get_attribute("aria-label")
    assert token.startswith("Put ")
    assert "after filters" in token
    bar.click()
    tab.locator("#stop:disabled").wait_for()
    finished(tab, len(PROMPT) + 5 + 30)
    after = text_of(tab)
    assert after[: len(PROMPT) + 4] == before[: len(PROMPT) + 4]
    assert after[len(PROMPT) + 4] != before[len(PROMPT) + 4]


def test_heads_are_drawn_on_the_text_and_as_maps_with_the_lens(open_page: Open) -> None:
    tab = open_page("inside")
    tab.locator("#tokens .token").first.wait_for()
    write_here = "line 3 of 9, and"
    tab.fill("#prompt", write_here)
    tab.click("#go")
    tab.locator("#stop:enabled").wait_for()
    tab.keyboard.press("Escape")
    tab.click("#t9")
    tab.get_by_text("in place 10.").wait_for()
    assert tab.locator("#heads .head").count() == 2
    weights = shades(tab, "--weight")
    assert max(weights[:10]) == 1
    assert set(weights[10:]) == {0}, "nothing reads what comes later"
    first = tab.locator("#map").evaluate("map => map.toDataURL()")
    tab.locator("#heads .head").nth(0).focus()
    tab.keyboard.press("ArrowRight")
    assert tab.locator("#heads [aria-checked=true]").inner_text().startswith("Head 2")
    tab.locator("#layers label").nth(1).click()
    tab.get_by_text("layer 2: a row").wait_for()
    assert tab.locator("#map").evaluate("map => map.toDataURL()") != first
    tab.locator("#map").hover(position={"x": 20, "y": 200})
    assert "reads" in tab.locator("#map-caption").inner_text()
    assert tab.locator("#lens tr").count() >= 2, "kata 19 is complete"
    tab.locator("#map").click(position={"x": 5, "y": 5})
    tab.get_by_text("in place 1.").wait_for()


def test_runs_are_drawn_while_they_train(open_page: Open, course: Course) -> None:
    tab = open_page("runs")
    tab.locator("#chart .evaluations").nth(1).wait_for()
    assert tab.locator("#chart circle").count() == 10
    tab.click("#run-list button:has-text('core')")
    slider = tab.locator("#sample-at")
    last = tab.locator("#sample").inner_text()
    slider.evaluate("slider => { slider.value = 0; slider.dispatchEvent(new Event('input')); }")
    assert "core, step 0 · loss" in tab.locator("#sample-step").inner_text()
    assert tab.locator("#sample").inner_text() != last
    copied = course.root / "runs" / "live"
    shutil.copytree(course.root / "runs" / "core", copied, ignore=shutil.ignore_patterns("best.pt"))
    try:
        config = (
            (copied / "config.yaml").read_text(encoding="utf-8").replace("max_steps: 40", "max_steps: 80")
        )
        (copied / "config.yaml").write_text(config, encoding="utf-8")
        with (copied / "steps.csv").open("a", encoding="utf-8") as file:
            file.write("41,0.5,0.01\n")
        tab.locator("text=in training").wait_for()
        tab.locator("text=41 of 80 steps").wait_for()
        tab.locator("#run-list input").first.uncheck()
        assert tab.locator("#chart .steps").count() == 2
    finally:
        shutil.rmtree(copied)
    tab.locator("text=in training").wait_for(state="detached")
    tab.click("#run-list li:has-text('modern') >> text=Write with it")
    tab.locator("#facts >> text=modern").wait_for()


def test_the_bars_of_the_ladder_are_to_scale_beside_texts_of_any_length(
    open_page: Open, course: Course
) -> None:
    record = course.root / "runs" / "ladder.jsonl"
    rung = {"parts": [], "yours": [], "text": "tiny_shakespeare", "target": 1.88, "steps": 9, "threads": 1}
    rung |= {"time": "", "loss": 2.35, "curve": [{"seconds": 12.0, "step": 9, "loss": 2.35}]}
    slow = {**rung, "rung": "core", "seconds": 24.0, "reached": False}
    fast = {**rung, "rung": "modern", "seconds": 12.0, "reached": True}
    record.write_text(f"{json.dumps(slow)}\n{json.dumps(fast)}\n", encoding="utf-8")
    try:
        bars = open_page("runs").locator("#ladder .tracks > span")
        bars.nth(1).wait_for()
        core, modern = (bars.nth(place).bounding_box() for place in range(2))
    finally:
        record.unlink()
    assert core["width"] == pytest.approx(2 * modern["width"], abs=1)


def pass_tests(course: Course, kata: Kata, names: tuple[str, ...]) -> None:
    """Record that tests pass, as a run beside the page does."""
    now = "2026-01-01T00:00:00+00:00"
    receipt = Receipt(kata.name, names, file_digest(kata.tests), file_digest(kata.stub), now)
    append_receipt(progress_path(course), receipt)


def test_the_course_lights_up_as_tests_pass_and_shows_the_pair(open_page: Open, course: Course) -> None:
    tab = open_page("course")
    tab.locator("#diagram .box").nth(12).wait_for()
    assert tab.locator("#diagram .box.complete").count() == 0
    first = tab.locator("#next .requirement").inner_text()
    names = shipped_tests(course)[course.katas[0].name].names
    pass_tests(course, course.katas[0], names[:1])
    tab.get_by_text("1 more test passes.").wait_for()
    assert tab.locator("#next .requirement").inner_text() != first
    pass_tests(course, course.katas[0], names)
    tab.locator("#diagram .box.complete").wait_for()
    assert "linear maps" in tab.locator("#diagram .box.complete").inner_text()
    assert not tab.locator("#pair-card").is_visible()
    pairs.start(course, "Ana", "Bo", 7, time.time())
    tab.locator("#pair-card").wait_for()
    assert tab.locator("#driver").inner_text() == "Ana"
    assert tab.locator("#clock").inner_text().startswith(("7:00", "6:5"))
    pairs.swap(course, time.time())
    tab.locator("#driver >> text=Bo").wait_for()
    pairs.stop(course, time.time())
    tab.locator("#pair-card").wait_for(state="hidden")


def test_an_unknown_character_is_explained_and_nothing_is_lost(open_page: Open) -> None:
    tab = open_page()
    write(tab, count=3)
    finished(tab, len(PROMPT) + 3)
    text = text_of(tab)
    for prompt in ("Zoë", "🦜", "x" * 30_000):
        tab.fill("#prompt", prompt)
        tab.click("#go")
        tab.locator("#problem .problem").first.wait_for()
        tab.locator("#more:enabled").wait_for()
    assert "30,000 characters" in tab.locator("#problem").inner_text()
    assert text_of(tab) == text


def test_a_late_answer_about_the_runs_takes_nothing_from_the_text(open_page: Open) -> None:
    tab, late = open_page(), []
    tab.locator("#more:enabled").wait_for()
    tab.route("**/api/state*", lambda route: late.append(route))  # Playwright marks the function
    tab.select_option("#run", "modern")
    write(tab, count=5)
    finished(tab, len(PROMPT) + 5)
    text = text_of(tab)
    assert late, "the page did not ask for what is new"
    for route in late:
        with tab.expect_response("**/api/state*"):
            route.continue_()
    tab.unroute("**/api/state*")
    tab.wait_for_timeout(500)
    assert text_of(tab) == text


def test_several_tabs_write_at_once(open_page: Open, sample: Callable[..., str]) -> None:
    tabs = [open_page() for _ in range(3)]
    for seed, tab in enumerate(tabs):
        write(tab, count=40, seed=seed)
    for seed, tab in enumerate(tabs):
        finished(tab, len(PROMPT) + 40)
        assert text_of(tab) == sample(PROMPT, 40, seed=seed)


def test_a_model_that_is_replaced_is_loaded_again_and_the_page_says_so(
    open_page: Open, core_run: RunFolder
) -> None:
    tab = open_page()
    write(tab, count=3)
    finished(tab, len(PROMPT) + 3)
    shutil.copy(core_run.last, core_run.path / "new.pt")
    os.replace(core_run.path / "new.pt", core_run.best)
    tab.click("nav >> text=Choose")
    tab.get_by_text("The model on the disk was replaced").wait_for()


def test_the_text_can_be_walked_through_with_the_keyboard(open_page: Open) -> None:
    tab = open_page()
    write(tab, "line 7\nline 8", count=2)
    finished(tab, 15)
    tab.focus("#tokens")
    tab.keyboard.press("Home")
    tab.keyboard.press("ArrowRight")
    assert tab.locator("#tokens").get_attribute("aria-activedescendant") == "t1"
    tab.keyboard.press("ArrowDown")
    assert tab.locator("#tokens [aria-selected]").get_attribute("id") == "t8"
    tab.keyboard.press("Enter")
    tab.get_by_text("In place 9.").wait_for()
    tab.locator("#bars .bar").first.focus()
    tab.keyboard.press("Enter")
    tab.locator("#t12").wait_for(state="detached")
    finished(tab, 9 + 2)


UNNAMED = """
[...document.querySelectorAll('button, input, select, textarea, canvas, svg[role], [role]')].filter(each => {
  if (!each.checkVisibility() || each.closest('[role=presentation]')) return false;
  const own = each.getAttribute('aria-label') || each.innerText || each.title;
  const label = each.labels?.[0]?.innerText || own;
  const by = each.getAttribute('aria-labelledby');
  return !(label || by || ['status', 'alert', 'timer', 'option'].includes(each.getAttribute('role')));
}).map(each => each.outerHTML.slice(0, 120))
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_part_fits_a_phone_and_everything_has_a_name(
    scheme: str, open_page: Open, tmp_path: Path
) -> None:
    tab = open_page(width=360, height=740, color_scheme=scheme)
    tab.locator("#tokens .token").first.wait_for()
    for view in ("write", "choose", "inside", "runs", "course"):
        tab.evaluate(f"location.hash = '{view}'")
        tab.locator(f"nav a[href='#{view}'][aria-current=page]").wait_for()
        tab.locator(
            {"choose": "#bars .bar", "inside": "#heads .head", "runs": "#chart svg", "course": ".box"}.get(
                view, "#facts dd"
            )
        ).first.wait_for()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360, view
        assert tab.evaluate(UNNAMED) == [], view
        assert tab.locator("h1:visible").count() == 1 or view in ("write", "choose", "inside")
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(243, 245, 248)", "dark": "rgb(11, 15, 21)"}[scheme]
    tab.click("#theme")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != ground


def test_a_course_without_a_run_has_its_diagram_and_says_how_to_get_a_model(
    chromium: Any, course: Course, tmp_path: Path
) -> None:
    for folder in ("katas", "solutions"):
        (tmp_path / folder).symlink_to(course.root / folder)
    process, served = start_page(tmp_path)
    try:
        tab = chromium.new_page()
        tab.goto(served.address)
        tab.get_by_text("No run has been trained yet. Train one: harness train").wait_for()
        tab.goto(f"{served.address}/#course")
        tab.locator("#diagram .box").first.wait_for()
        tab.close()
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert isinstance(served, Page)
