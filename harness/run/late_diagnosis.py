"""Names a mistake after the block that ends the run, if that takes longer than the block may."""

from __future__ import annotations

import pytest

from harness.diagnosis.diagnose import Diagnoses
from harness.diagnosis.words import diagnosis_lines
from harness.run.words import COMPARING
from harness.terminal.lines import Line
from harness.terminal.meanwhile import shown_meanwhile
from harness.terminal.pytest_writer import write


class LateDiagnosis:
    """The plugin that goes on with a diagnosis once the failure has been shown."""

    def __init__(self, config: pytest.Config, diagnoses: Diagnoses) -> None:
        self._config = config
        self._diagnoses = diagnoses

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self) -> None:
        if self._diagnoses.is_unfinished:
            write(self._config, [Line(text) for text in diagnosis_lines(self._found())])

    def _found(self) -> tuple[str, ...]:
        try:
            with shown_meanwhile(COMPARING, True):
                return self._diagnoses.finish()
        except KeyboardInterrupt:
            return ()  # the learner has seen the failure, and does not want to wait
