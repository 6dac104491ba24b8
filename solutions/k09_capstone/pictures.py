"""The picture of kata 09, drawn by `python -m harness.authoring.pictures` from the record of a run."""

import math
from pathlib import Path

import katas
from harness.authoring.pictures import read_record
from harness.corpora import tiny_tales
from harness.plots import training_curves

RUN = Path(katas.__file__).parent / "k09_capstone" / "pictures" / "run.json"
VOCAB_SIZE = 57  # of tiny_tales


def run(theme):
    """The losses of the demonstration's model, between a blind guess and the best that any model can do."""
    kept = read_record(RUN)
    limits = {
        f"ln {VOCAB_SIZE}: knows nothing": math.log(VOCAB_SIZE),
        "the entropy of the tales: nothing left to learn": tiny_tales.entropy().nats_per_character,
    }
    figure = training_curves(kept.steps, kept.evaluations, limits=limits, theme=theme)
    figure.axes[0].set_ylim(0, 4.4)
    return figure


PICTURES = {"run": run}
