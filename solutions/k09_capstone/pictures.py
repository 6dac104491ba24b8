"""The pictures of kata 09, by `python -m harness.authoring.pictures`; one from the record of a run."""

import math
from pathlib import Path

import katas
from harness.authoring.pictures import read_record
from harness.corpora import tiny_tales
from harness.plots import training_curves
from harness.plots.boxes import Diagram
from harness.plots.theme import PAGE

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


def flow(theme):
    """The data flow of `train`: from a text to the run folder, and what a checkpoint holds."""
    page = Diagram(PAGE, 520, theme)
    _step(page)
    _run_folder(page)
    return page.figure


def _step(page):
    grey, text, learns, checks = (page.theme.series[number] for number in (4, 2, 0, 3))
    page.box((66, 52), (92, 36), "text file", text)
    for y, name in ((52, "train.bin"), (134, "tokenizer.json"), (216, "val.bin")):
        page.arrow((112, 52), (128, 52), (128, y), (190, y))
        page.box((246, y), (108, 36), name, text)
    page.text((118, 22), "prepare_data", quiet=True, size=8.5)
    page.arrow((300, 52), (360, 52))
    page.text((330, 40), "get_batch", quiet=True, size=8.5)
    page.box((412, 52), (100, 36), "a batch", text, note="inputs, targets")
    page.arrow((462, 52), (486, 52))
    page.box((552, 52), (128, 36), "model", learns)
    page.arrow((616, 52), (678, 52))
    page.box((726, 52), (92, 36), "loss", learns)
    page.arrow((720, 70), (720, 134), (682, 134))
    page.text((712, 102), "gradients", quiet=True, size=8.5, align="right")
    page.box((630, 134), (100, 36), "optimizer", learns)
    page.arrow((596, 116), (596, 72))
    page.text((604, 102), "step", quiet=True, size=8.5, align="left")
    page.box((646, 216), (160, 36), "cosine_learning_rate", grey)
    page.arrow((640, 198), (640, 154))
    page.arrow((500, 70), (500, 196))
    page.arrow((300, 216), (450, 216))
    page.box((500, 216), (96, 36), "evaluate", checks)


def _run_folder(page):
    learns, checks = (page.theme.series[number] for number in (0, 3))
    page.frame((16, 292), (768, 216))
    page.text((770, 470), "all in the run folder,", align="right", quiet=True, size=8.5)
    page.text((770, 488), "with config.yaml, tokenizer.json, curves.png", align="right", quiet=True, size=8.5)
    page.arrow((500, 234), (500, 338), colour=checks)
    page.text((508, 262), "at every evaluation", align="left", colour=checks, size=8.5)
    for place in (98, 290):
        page.arrow((500, 278), (place, 278), (place, 338), colour=checks)
    page.arrow((760, 70), (760, 338), colour=learns)
    page.text((752, 262), "in every step", align="right", colour=learns, size=8.5)
    for x, name in ((98, "best.pt"), (290, "last.pt"), (500, "evaluations.jsonl"), (690, "steps.csv")):
        page.box((x, 358), (156 if x == 690 else 132, 36), name, learns if x == 690 else checks)
    for x, lines in (
        (98, ("the same parts, when the", "loss is the lowest so far:", "sample takes its model")),
        (500, ("step, val_loss,", "perplexity,", "bits_per_byte")),
        (690, ("step, loss,", "learning_rate")),
    ):
        for line, words in enumerate(lines):
            page.text((x, 394 + 18 * line), words, quiet=True, size=8.5)
    parts = ["model", "optimizer", "step", "config", "generator", "rng"]
    for number, part in enumerate(parts):
        page.box((244 + 92 * (number % 2), 396 + 32 * (number // 2)), (86, 26), part, learns)
    page.text((290, 488), "resume goes on from here", quiet=True, size=8.5)


PICTURES = {"flow": flow, "run": run}
