"""Broken links in pages and notebooks, anchors included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.authoring.links import anchors, broken, pages

TARGET = """
# Two words, and `code`
## Same
## Same
### A [link](x.md) and √d_k
<a id="named"></a>
```sh
# no heading
```
"""


def test_headings_get_the_ids_of_github() -> None:
    assert anchors(TARGET) == {"two-words-and-code", "same", "same-1", "a-link-and-d_k", "named"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[a](target.md#same-1) [b](target.md) [c](#here)\n# Here\n", []),
        ("[a](target.md#same-2)", ["target.md#same-2"]),
        ("[a](#there)\n# Here\n", ["#there"]),
        ("[a](nowhere.md#x)", ["nowhere.md#x"]),
        ("![picture](none.svg)", ["none.svg"]),
        ('[a](target.md "a title") <img src="none.png">', ["none.png"]),
        ("[a](https://x.y/#z) [b](mailto:a@b.c)", []),
        ("`[a](none.md)` and\n```\n[b](none.md)\n```\n", []),
        ("[a](script.py#L3)", []),
    ],
)
def test_a_broken_link_is_found(tmp_path: Path, text: str, found: list[str]) -> None:
    (tmp_path / "target.md").write_text(TARGET)
    (tmp_path / "script.py").touch()
    page = tmp_path / "page.md"
    page.write_text(text)
    assert list(broken(page)) == found


def test_a_notebook_has_links_in_its_markdown_only(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["[a](none.md)\n", "text"]},
        {"cell_type": "code", "source": ["x = [1](2)"]},
    ]
    page = tmp_path / "notebook.ipynb"
    page.write_text(json.dumps({"cells": cells}))
    assert list(broken(page)) == ["none.md"]
    page.write_text("no notebook")
    assert list(broken(page)) == []


def test_the_pages_are_in_the_root_its_folders_and_github(tmp_path: Path) -> None:
    there = ["README.md", "docs/a.md", "data/README.md", ".github/ISSUE_TEMPLATE/bug.md"]
    for name in [*there, ".tox/x.md", ".pytest_cache/README.md", "katas/k00_x/theory.md"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert {page.relative_to(tmp_path).as_posix() for page in pages(tmp_path)} == set(there)
