"""What a comparison shows (to be replaced by typed observations)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.explain.attention_map import heat_lines
from harness.explain.observation_words import seen_lines
from harness.explain.side_by_side import beyond_a_table
from harness.terminal.lines import Line


@dataclass(frozen=True)
class ComparisonShown:
    by: str
    table: Sequence[str]
    facts: Mapping[str, Any]

    def sentences(self) -> list[str]:
        return seen_lines(self.facts.get("seen", ()), self.facts.get("axes", ()), self.facts.get("shape", ()))

    def values(self) -> list[str | Line]:
        if "heat" not in self.facts or not beyond_a_table(self.facts["shape"]):
            return list(self.table)
        parts = [tuple(line) for line in heat_lines(self.facts["heat"], self.facts["axes"])]
        return [Line("".join(text for text, _ in line), "", line) for line in parts]
