"""The pictures of the page on the pages: `python -m harness.authoring.play_pictures RUN_DIR`.

They are taken in a real browser, in light and dark, of a model that the reference has trained:
`harness train --solutions --config laptop --data tiny_shakespeare --run-dir RUN_DIR`.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

FOLDER = Path("docs")
VIEWS = ("choose", "inside")
SCHEMES = ("light", "dark")
SIZE = {"width": 1280, "height": 890}
MOST_BYTES = 150_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# It has no display, may be run by root in a container, and asks no server for anything.
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
_PROMPT, _TOKENS, _SEED, _CHOSEN = "ROMEO:\nWhat say you of the king", 230, 0, 60
_FILTER = 0.45  # of the slider for top-k: of 65 tokens the 7 likeliest
_QUALITY = 86  # of WebP: letters stay sharp
_PATIENCE = 120  # seconds for torch and the model to be loaded


def browser_path() -> str | None:
    """Return the Chromium that is on the path, if there is one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def picture_path(folder: Path, view: str, scheme: str) -> Path:
    """Return where a picture is kept."""
    return folder / f"play-{view}-{scheme}.webp"


def draw(run_dir: Path, folder: Path, prompt: str, chosen: int) -> list[Path]:
    """Take all pictures of a run's model, with the token in place `chosen` selected; return their paths."""
    from playwright.sync_api import sync_playwright

    drawn = []
    with _served(run_dir) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=list(ARGUMENTS))
        for scheme in SCHEMES:
            page = _written(browser, address, scheme, prompt)
            for view in VIEWS:
                path = picture_path(folder, view, scheme)
                path.write_bytes(_as_webp(_picture(page, view, chosen)))
                drawn.append(path)
        browser.close()
    return drawn


@contextmanager
def _served(run_dir: Path) -> Iterator[str]:
    """Serve the page of a run with the reference's katas, and yield its address."""
    command = [sys.executable, "-m", "harness", "play", "--solutions", "--no-open", "--run-dir", str(run_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        try:
            found = None
            while found is None and (line := process.stdout.readline()):
                found = re.search(r"http://[\d.:]+", line)
            if found is None:
                raise click.ClickException("harness play has not started; see above")
            yield found[0]
        finally:
            process.terminate()


def _written(browser: Any, address: str, scheme: str, prompt: str) -> Any:
    """Return a page on which a text has been written."""
    context = browser.new_context(viewport=SIZE, color_scheme=scheme, reduced_motion="reduce")
    context.set_default_timeout(1000 * _PATIENCE)
    page = context.new_page()
    page.goto(f"{address}/#write")
    page.locator("#tokens .token").first.wait_for()
    page.fill("#prompt", prompt)
    page.fill("#seed", str(_SEED))
    page.fill("#count", str(_TOKENS))
    page.click("#go")
    page.locator(f"#t{len(prompt) + _TOKENS - 1}").wait_for(state="attached")
    page.locator("#more:enabled").wait_for()
    return page


def _picture(page: Any, view: str, chosen: int) -> bytes:
    page.locator(f"nav a[href='#{view}']").click()
    page.click(f"#t{chosen}")
    page.locator({"choose": "#bars .chosen", "inside": "#heads .head"}[view]).first.wait_for()
    page.locator(f"#{view}-where", has_text=f"place {chosen + 1}.").wait_for()
    if view == "choose":  # a filter at work
        page.locator("#slider-top_k").fill(str(_FILTER))
        page.locator("#bars .none").first.wait_for()
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    shot: bytes = page.screenshot()
    return shot


def _as_webp(png: bytes) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(file, "WEBP", quality=_QUALITY, method=6)
    return file.getvalue()


@click.command()
@click.argument("run_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=FOLDER, show_default=True)
@click.option("--prompt", default=_PROMPT, help="What the text begins with.")
@click.option("--place", default=_CHOSEN, show_default=True, help="The token that is selected, from 0.")
def main(run_dir: Path, out: Path, prompt: str, place: int) -> None:
    """Draw the pictures of the page with the model in RUN_DIR. Needs Chromium, and Playwright (extra dev)."""
    if browser_path() is None:
        raise click.ClickException(f"No browser on the path: install one of {', '.join(BROWSERS)}")
    for path in draw(run_dir, out, prompt, place):
        click.echo(f"{path}: {path.stat().st_size:,} bytes")
        if path.stat().st_size > MOST_BYTES:
            raise click.ClickException(f"{path} is larger than {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main()
