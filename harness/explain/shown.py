"""What a comparison shows a learner."""

from __future__ import annotations

from dataclasses import dataclass

from harness.explain.attention_map import AttentionMap
from harness.explain.axis_names import AxisNames
from harness.explain.observation import Observation, sentences
from harness.explain.side_by_side import beyond_a_table
from harness.terminal.lines import Line


@dataclass(frozen=True)
class Shown:
    """What a comparison shows: the values as text, and observations about them."""

    by: str  # "assert_close", "assert"
    table: tuple[str, ...]
    observations: tuple[Observation, ...] = ()
    axes: tuple[str, ...] = ()  # their names in the signature
    shape: tuple[int, ...] = ()
    map: AttentionMap | None = None
    subject: str = ""  # the test's expression for the value
    is_mask: bool = False  # True if there are only zeros and ones: then no distance is of interest
    call: tuple[str, ...] = ()  # with the arguments that decide

    def sentences(self) -> list[str]:
        """Return the observations in words."""
        return sentences(self.observations, AxisNames(self.axes, self.shape))

    def values(self) -> list[str | Line]:
        """Return the table, or the map of attention weights that a table has no room for."""
        if self.map is None or not beyond_a_table(self.shape):
            return list(self.table)
        return [*self.map.lines(AxisNames(self.axes, self.map.shape))]
