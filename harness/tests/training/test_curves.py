"""Training curves."""

from __future__ import annotations

import json

from harness.training.curves import draw_curves
from harness.training.run_folder import RunFolder


def test_curves_are_drawn_from_the_logs(tmp_path) -> None:
    run = RunFolder(tmp_path)
    run.steps.write_text("step,loss,learning_rate\n1,4.0,0.1\n2,nan,0.1\n", encoding="utf-8")
    run.evaluations.write_text(json.dumps({"step": 0, "val_loss": 4.1}) + "\n", encoding="utf-8")
    assert draw_curves(tmp_path) == run.curves
    assert run.curves.read_bytes().startswith(b"\x89PNG")
