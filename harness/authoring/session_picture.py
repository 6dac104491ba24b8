"""The README's picture of a session: `python -m harness.authoring.session_picture`.

A learner has finished kata 00 and half of kata 01, masks after the softmax, reads the message and fixes the
mistake. The text in the picture is the real output of `pytest`.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.course.katas import Course, Kata, find_root, load_course
from harness.course.slips import read_slips
from harness.course.stubs import make_stub
from harness.course.unsolved import copy_shipped
from harness.course.words import NOT_A_COURSE

PICTURE = Path("docs") / "session.svg"
MISTAKE = "mask-after-softmax"  # a slip of kata 01
_WRITTEN = ("softmax", "causal_mask", "padding_mask", "attention_weights")
COLUMNS = 80
_MARGIN = 4  # columns to the right of the text
# On a slow machine the diagnosis must not run out of time.
_PATIENCE = "\nfrom harness.diagnosis import diagnose\n\ndiagnose.BUDGET = 60\n"
# rich's format without the title bar, and without fonts from the network, which a picture on a page cannot
# load.
_FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg"
 viewBox="{terminal_x} {terminal_y} {terminal_width} {terminal_height}">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
<rect fill="#292929" rx="8" x="{terminal_x}" y="{terminal_y}"
 width="{terminal_width}" height="{terminal_height}"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
<g transform="translate(14, 4)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</g>
</svg>
"""


def session(course: Course, type_pytest: Callable[[Course], str]) -> str:
    """Return the commands and their output, with the terminal's codes for colours."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = copy_shipped(course.root, Path(temporary))
        with (copy.root / "conftest.py").open("a", encoding="utf-8") as file:
            file.write(_PATIENCE)
        return "\n".join(_steps(copy, type_pytest))


def _steps(course: Course, type_pytest: Callable[[Course], str]) -> Iterator[str]:
    shapes, attention = course.katas[:2]
    shutil.copy(shapes.solution, shapes.stub)
    type_pytest(course)
    right = attention.solution.read_text(encoding="utf-8")
    slip = next(slip for slip in read_slips(attention) if slip.id == MISTAKE)
    for source in (slip.apply(right), right):
        _write(attention, source)
        yield f"$ pytest\n{type_pytest(course)}"


def _write(kata: Kata, source: str) -> None:
    kata.stub.write_text(make_stub(source, solved=_WRITTEN), encoding="utf-8")


def _type_pytest(course: Course) -> str:
    """Return the output of `pytest`."""
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "PYTHONUTF8": "1"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "pytest", "--color=yes"]
    done = subprocess.run(
        command, cwd=course.root, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    return done.stdout


def as_svg(text: str) -> str:
    """Return a picture of a terminal with this text."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=COLUMNS + _MARGIN, file=io.StringIO())
    console.print(Text.from_ansi(text), soft_wrap=True)
    return console.export_svg(title="", code_format=_FORMAT, unique_id="session")


def main() -> None:
    """Draw the picture again."""
    root = find_root(Path.cwd())
    if root is None:
        sys.exit(NOT_A_COURSE)
    path = root / PICTURE
    path.write_text(as_svg(session(load_course(root), _type_pytest)), encoding="utf-8", newline="\n")
    print(PICTURE.as_posix())


if __name__ == "__main__":
    main()
