"""Tables printed on a terminal by rich."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from harness.terminal.lines import encodable


@dataclass(frozen=True)
class Row:
    """The cells of a row, and rich's style for all of them."""

    cells: Sequence[str]
    style: str = ""


def show_table(headings: Sequence[str], rows: Iterable[Row], right: Collection[str] = ()) -> None:
    """Print rows under headings, as wide as the terminal allows; `right` are aligned to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(encodable(cell, console.encoding), style=row.style) for cell in row.cells))
    console.print(table)
