"""Broken links in Markdown pages and notebooks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

_LINK = re.compile(r"\]\(\s*([^)\s]+)[^)]*\)|<(?:a|img|source)\s[^>]*(?:href|src|srcset)=\"([^\"]+)\"")
_ELSEWHERE = ("http://", "https://", "mailto:", "data:")
_CODE = re.compile(r"^(```|~~~).*?^\1[^\n]*$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_FENCED = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_NAMED = re.compile(r"<[^>]+\b(?:id|name)=\"([^\"]+)\"")
_HIDDEN_THAT_COUNT = (".github",)


def pages(root: Path) -> list[Path]:
    """Return the Markdown pages outside the katas."""
    folders = [root, *sorted(root.glob("*/")), *(root / name for name in _HIDDEN_THAT_COUNT)]
    shown = [each for each in folders if each.name in _HIDDEN_THAT_COUNT or not each.name.startswith(".")]
    found = {page for folder in shown for page in folder.glob("*.md")}
    return sorted(found | {page for name in _HIDDEN_THAT_COUNT for page in (root / name).rglob("*.md")})


def broken(page: Path) -> Iterator[str]:
    """Yield the links of a page or notebook to a missing file, or to a missing heading."""
    text = _text(page)
    for match in _LINK.finditer(_CODE.sub("", text)):
        target = match[1] or match[2]
        if not target.startswith(_ELSEWHERE) and not _exists(page, target):
            yield target


def anchors(text: str) -> set[str]:
    """Return the valid targets of `#…` in a page: GitHub's ids of its headings, and ids in HTML."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCED.sub("", text)):
        anchor = base = _slug(heading)
        again = 0
        while anchor in found:
            again += 1
            anchor = f"{base}-{again}"
        found.add(anchor)
    return found | set(_NAMED.findall(text))


def _exists(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    place = page.parent / path if path else page
    if not place.exists():
        return False
    return not anchor or place.suffix != ".md" or anchor in anchors(_text(place))


def _slug(heading: str) -> str:
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # keep the text of a link
    return re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")


def _text(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    try:
        cells = json.loads(text)["cells"]
    except (ValueError, KeyError, TypeError):
        return ""  # not a notebook: executing it will fail
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell.get("cell_type") == "markdown")
