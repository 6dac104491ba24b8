"""Writes katas/k18_finetuning/small_model: a run of the capstone on simple_sequences with made-up words.

Run `python solutions/k18_finetuning/make_small_model.py` in the top folder; it takes some three minutes on
one core. Of the run's files only those are kept from which a model is loaded, and of the checkpoint
everything but what an optimizer needs to go on.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import torch

from harness.corpora import simple_sequences
from harness.notebook import use_katas

MODEL = {"block_size": 32, "d_model": 48, "num_heads": 4, "num_layers": 2, "d_ff": 96}
TRAINING = {
    "max_steps": 6000,
    "batch_size": 32,
    "learning_rate": 4e-3,
    "warmup_steps": 200,
    "eval_interval": 1000,
}
TRAINING |= {"betas": (0.9, 0.95), "seed": 0, "device": "cpu"}
LINES, WORDS = 40_000, 20_000
KEPT = ("config.yaml", "tokenizer.json")


def make_small_model(folder):
    """Train in a temporary folder, and keep what is needed."""
    from katas.k05_model.model import ModelConfig  # after use_katas
    from katas.k08_engineering.config import RunConfig, TrainingConfig
    from katas.k09_capstone.capstone import prepare_data, train
    from katas.k18_finetuning.tasks import made_up_words

    words = made_up_words(WORDS, held_out=False)
    config = RunConfig("made-up words", ModelConfig(vocab_size=None, **MODEL), TrainingConfig(**TRAINING))
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        (made / "text.txt").write_text(
            simple_sequences.generate(seed=2, lines=LINES, words=words), encoding="utf-8", newline="\n"
        )
        prepare_data(made / "text.txt", made / "data", val_fraction=0.02)
        print(train(config, made / "data", made / "run"))
        folder.mkdir(exist_ok=True)
        for kept in KEPT:
            shutil.copyfile(made / "run" / kept, folder / kept)
        save_without_optimizer(made / "run" / "best.pt", folder)


def save_without_optimizer(checkpoint, folder):
    """Save the model of a checkpoint as if its optimizer had not made a step."""
    from katas.k05_model.model import TransformerLM
    from katas.k06_training.training import configure_optimizer
    from katas.k08_engineering.config import RunConfig
    from katas.k08_engineering.engineering import load_checkpoint, save_checkpoint

    config = RunConfig.from_file(folder / "config.yaml")
    model = TransformerLM(config.model)
    step = load_checkpoint(checkpoint, model=model)
    fresh = configure_optimizer(model, learning_rate=1.0, weight_decay=0.0)
    save_checkpoint(
        folder / "best.pt", model=model, optimizer=fresh, step=step, config=config, generator=None
    )


if __name__ == "__main__":
    torch.set_num_threads(1)  # the last digits of the weights depend on it
    use_katas(solutions=True, checked=False)
    path = Path(__file__).parents[2] / "katas" / "k18_finetuning" / "small_model"
    make_small_model(path if len(sys.argv) < 2 else Path(sys.argv[1]))
