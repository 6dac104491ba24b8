"""The plugins of a run that touches the katas, one for each concern."""

from __future__ import annotations

import pytest

from harness.diagnosis.diagnose import Diagnoses
from harness.isolation.bounds import limit_file_sizes
from harness.isolation.importer import KataImporter
from harness.isolation.recorder import Recorder
from harness.isolation.supervisor import Ending
from harness.progress.ledger import Ledger
from harness.run.breakdown import Breakdown
from harness.run.child import prepare_imports
from harness.run.containing import Containing
from harness.run.death import failed_in
from harness.run.debugging import Debugging
from harness.run.ending import EndOfRun
from harness.run.explaining import Explaining
from harness.run.explorer import Aftermath, Explorer
from harness.run.gathering import Gathering
from harness.run.items import KataItems
from harness.run.late_diagnosis import LateDiagnosis
from harness.run.locking import Locking
from harness.run.plan import RunPlan
from harness.run.recording import Finish, Recording
from harness.run.report import RunReport, selected_names
from harness.run.retries import Retries
from harness.run.streams import Pipeline


class KataRun:
    """Registers the plugins of a run, once it is certain that this process does the work."""

    def __init__(self, config: pytest.Config, run: RunPlan) -> None:
        self._run = run
        selected = selected_names(run.course, run.args)
        self._report = RunReport(run.course, Ledger(run.course), selected, records=run.records)
        self.end = EndOfRun(config, run, self._report)
        self.importer: KataImporter | None = None  # in a process that runs tests
        self.items: KataItems | None = None  # in a process that collects tests

    def can_report(self, ending: Ending) -> bool:
        """True if pytest should go on after its child's death: to list the tests, or for an explorer."""
        explained = failed_in(self._run.course, ending) is not None
        return explained and (self._run.lists_only or self._run.for_explorer)

    def pytest_configure(self, config: pytest.Config) -> None:
        run, report = self._run, self._report
        recorder = Recorder(run.flight, run.time_limit)
        if recorder.supervised:
            limit_file_sizes()
            config.pluginmanager.register(Pipeline())
        report.start()
        items = self.items = KataItems(run)
        plugins: list[object] = [items, Finish(recorder), Locking(items, report, enforces=run.enforces_locks)]
        if run.death:
            prepare_imports(config, run, recorder)
            plugins.append(Aftermath(config, run, items, report))
        elif run.imports:
            plugins += self._of_running(config, items, recorder)
        plugins.append(self.end)
        # Last, so that it is asked first whether a test is run at all.
        plugins.append(Gathering(config, run.course, report, stops=run.stops_at_first_failure))
        for plugin in plugins:
            config.pluginmanager.register(plugin)

    def _of_running(self, config: pytest.Config, items: KataItems, recorder: Recorder) -> list[object]:
        """Return the plugins of a process that runs tests, and make the katas importable there."""
        run = self._run
        self.importer = prepare_imports(config, run, recorder)
        diagnoses = Diagnoses(self.importer)
        plugins: list[object] = [
            Recording(items, recorder, self.importer),
            Explaining(run, items, self.importer, diagnoses),
            LateDiagnosis(config, diagnoses),
            Debugging(items),
            Containing(run.course, items, self.importer, restores_state=run.learning),
            Breakdown(config, items, self._report, compact=run.compact),
        ]
        plugins += [Retries()] if run.learning else []
        return plugins + ([Explorer(run)] if run.for_explorer else [])
