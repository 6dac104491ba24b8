"""Ordered tests of kata 09: each adds one idea, and needs only what stands above it."""

import csv
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from harness.training import Monitor, curves
from katas.k04_embeddings.embeddings import CharTokenizer
from katas.k05_model.model import ModelConfig, TransformerLM
from katas.k06_training.training import (
    bits_per_byte,
    cosine_learning_rate,
    evaluate,
    get_batch,
    perplexity,
)
from katas.k07_sampling.sampling import generate
from katas.k08_engineering.config import RunConfig, TrainingConfig
from katas.k08_engineering.engineering import load_checkpoint
from katas.k09_capstone import capstone
from katas.k09_capstone.capstone import DatasetInfo, prepare_data, sample, train


def tiny(**training):
    """A small configuration, with these values in its training part."""
    model = ModelConfig(vocab_size=None, block_size=8, d_model=16, num_heads=2, num_layers=1, d_ff=24)
    values = {
        "max_steps": 12,
        "batch_size": 6,
        "learning_rate": 1e-2,
        "min_lr": 1e-3,
        "warmup_steps": 3,
        "eval_interval": 5,
        "seed": 7,
        "device": "cpu",
    }
    return RunConfig(name="tiny", model=model, training=TrainingConfig(**values | training))


def steady(**training):
    """The same, with a constant rate, so that runs of 7 and of 12 steps have the same rates, and with
    dropout, which makes the global random numbers matter.
    """
    config = tiny(**{"min_lr": 1e-2, "warmup_steps": 0} | training)
    return replace(config, model=replace(config.model, dropout=0.3))


def spoilt(**training):
    """The same as `tiny` at a rate at which the loss soon goes up again."""
    return tiny(
        **{"max_steps": 16, "learning_rate": 0.5, "min_lr": 0.5, "warmup_steps": 0, "eval_interval": 2}
        | training
    )


def letters(count, seed=0):
    """Random letters, and every now and then a line break."""
    drawn = np.random.default_rng(seed).choice(list("abcdefgh\n"), size=count)
    return "".join(drawn)


def write(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return path


def tokens_in(path):
    return np.fromfile(path, dtype=np.uint16)


def rows(run_dir):
    """The log of the steps: a dict of numbers for each."""
    with (Path(run_dir) / "steps.csv").open(encoding="utf-8", newline="") as file:
        return [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(file)]


def evaluations(run_dir):
    """The log of the evaluations: a dict for each."""
    lines = (Path(run_dir) / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def model_in(run_dir, name):
    """The model of a checkpoint, and the step at which it was saved."""
    model = TransformerLM(RunConfig.from_file(Path(run_dir) / "config.yaml").model)
    with torch.random.fork_rng():  # load_checkpoint sets the global generator too
        step = load_checkpoint(Path(run_dir) / name, model=model)
    return model.eval(), step


@pytest.fixture(scope="module", autouse=True)
def short_samples_and_empty_pictures():
    """Every evaluation writes a sample, and every run draws its curves, which takes most of a short run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capstone, "SAMPLE_TOKENS", 5)
        patch.setattr(curves, "training_curves", lambda *losses: Figure((1, 1)))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with the tokens of 400 letters, of which the last 80 are for validation."""
    folder = tmp_path_factory.mktemp("data")
    prepare_data(write(folder / "text.txt", letters(400)), folder, val_fraction=0.2)
    return folder


@pytest.fixture(scope="module")
def tiny_run(data, tmp_path_factory):
    """A finished run of the configuration `tiny`: its folder and its summary."""
    run_dir = tmp_path_factory.mktemp("runs") / "tiny"
    return run_dir, train(tiny(), data, run_dir)


@pytest.fixture(scope="module")
def spoilt_run(data, tmp_path_factory):
    """A finished run of the configuration `spoilt`: its folder and its summary."""
    run_dir = tmp_path_factory.mktemp("runs") / "spoilt"
    return run_dir, train(spoilt(), data, run_dir)


def test_prepare_data_keeps_the_end_of_the_text_for_validation(tmp_path):
    """The last val_fraction of the tokens goes to val.bin, all that comes before it to train.bin."""
    text = "to be or not to be, that is the question:\r\nwhether 'tis nöbler ‒\n" * 3 + "XYZ"
    info = prepare_data(write(tmp_path / "text.txt", text), tmp_path / "new" / "folder", val_fraction=0.3)
    out = tmp_path / "new" / "folder"
    val_tokens = int(len(text) * 0.3)
    assert info == DatasetInfo(len(set(text)), len(text) - val_tokens, val_tokens)
    tokenizer = CharTokenizer.load(out / "tokenizer.json")
    assert tokenizer.decode(tokens_in(out / "train.bin").tolist()) == text[:-val_tokens]
    assert tokenizer.decode(tokens_in(out / "val.bin").tolist()) == text[-val_tokens:]
    # A tenth of five characters is none; validation needs an input and its target.
    short = prepare_data(write(tmp_path / "short.txt", "hello"), tmp_path / "short")
    assert short == DatasetInfo(vocab_size=4, train_tokens=3, val_tokens=2)
    assert len(tokens_in(tmp_path / "short" / "train.bin")) == 3


def test_train_takes_every_step_at_its_learning_rate(tiny_run, tmp_path, data):
    """Every step from 1 to max_steps has a row in steps.csv, with the rate that the optimizer took."""
    run_dir, summary = tiny_run
    logged = rows(run_dir)
    assert [row["step"] for row in logged] == [*range(1, 13)]
    expected = [
        cosine_learning_rate(step, max_lr=1e-2, min_lr=1e-3, warmup_steps=3, total_steps=12)
        for step in range(1, 13)
    ]
    rates = torch.tensor([row["learning_rate"] for row in logged], dtype=torch.float64)
    # The same function: written to the file and read again, a float comes back as it was.
    torch.testing.assert_close(rates, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=0)
    assert all(math.isfinite(row["loss"]) for row in logged)
    assert summary.steps == 12
    assert summary.train_loss == logged[-1]["loss"]

    # The only step of this run is at the end of the cosine, so its rate is min_lr.
    train(tiny(max_steps=1, warmup_steps=0, eval_interval=1), data, tmp_path / "run")
    after, _ = model_in(tmp_path / "run", "last.pt")
    torch.manual_seed(7)
    before = TransformerLM(after.config)
    moved = (after.final_norm.weight - before.final_norm.weight).abs()
    # AdamW's first step moves what is not decayed by the rate itself, whatever the gradient, less
    # rate · eps / |gradient|, which is below 1e-3 of it for gradients above 1e-5.
    torch.testing.assert_close(moved.detach(), torch.full((16,), 1e-3), rtol=1e-2, atol=0)
    assert summary.seconds > 0, "summary.seconds is not the time that the call of train took"
    assert summary.tokens_per_second > 0, "summary.tokens_per_second is not the speed of the steps"


@pytest.mark.parametrize(
    ("configure", "seed"), [(tiny, 7), (steady, 3)], ids=["without dropout", "with dropout"]
)
def test_first_loss_is_that_of_a_fresh_model_on_the_first_batch(configure, seed, tmp_path, data):
    """The seed decides the parameters and the dropout (global generator) and the batches (their own one)."""
    config = configure(max_steps=1, warmup_steps=0, seed=seed)
    torch.rand(1)  # whatever was drawn before
    train(config, data, tmp_path / "run")
    tokenizer = CharTokenizer.load(data / "tokenizer.json")
    torch.manual_seed(seed)
    model = TransformerLM(replace(config.model, vocab_size=tokenizer.vocab_size)).train()
    inputs, targets = get_batch(tokens_in(data / "train.bin"), 6, 8, torch.Generator().manual_seed(seed))
    expected = torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
    # float32; logits near zero, so the orders of summation differ by some 1e-7.
    assert rows(tmp_path / "run")[0]["loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_training_learns_a_text_by_heart(tmp_path):
    """On a text that repeats itself the loss falls far below that of guessing by frequency."""
    prepare_data(write(tmp_path / "text.txt", "aabbccdd" * 40), tmp_path)
    config = tiny(max_steps=60, batch_size=16, learning_rate=3e-2, eval_interval=60)
    summary = train(config, tmp_path, tmp_path / "run")
    # Guessing by frequency costs 1.39 nats, and knowing the character before 0.69. The least is 0.09, as
    # nobody can know what follows the first of a window's 8; over 24 seeds runs end between 0.14 and 0.34.
    assert summary.train_loss < 0.5


def test_whole_validation_split_is_evaluated_before_between_and_after(tiny_run, data):
    """evaluations.jsonl has the loss over all of val.bin for step 0, each eval_interval and the end."""
    run_dir, summary = tiny_run
    found = evaluations(run_dir)
    assert [row["step"] for row in found] == [0, 5, 10, 12]
    for row in found:  # the same functions: written to the file and read again, a float comes back as it was
        assert row["perplexity"] == perplexity(row["val_loss"])
        # 80 tokens, of which the first is no target; each of these characters is one byte.
        assert row["bits_per_byte"] == bits_per_byte(row["val_loss"] * 79, 79)
    model, _ = model_in(run_dir, "last.pt")
    expected = evaluate(model, tokens_in(data / "val.bin"), block_size=8, batch_size=100)
    # The sizes of the batches differ, and with them the order of the sums, by some 1e-7.
    assert found[-1]["val_loss"] == pytest.approx(expected, rel=1e-5)
    assert summary.val_loss == found[-1]["val_loss"]


def test_best_model_and_last_one_are_both_kept(spoilt_run, data):
    """last.pt holds the final model, best.pt the one with the lowest validation loss of all evaluations."""
    run_dir, summary = spoilt_run
    losses = {row["step"]: row["val_loss"] for row in evaluations(run_dir)}
    best_step = min(losses, key=losses.get)
    assert best_step != 16, "this run does not tell the best model from the last one"
    assert summary.best_val_loss == losses[best_step]
    assert summary.val_loss == losses[16]
    for name, step in (("best.pt", best_step), ("last.pt", 16)):
        model, saved_at = model_in(run_dir, name)
        assert saved_at == step, f"{name} is of step {saved_at}, not {step}"
        loss = evaluate(model, tokens_in(data / "val.bin"), block_size=8, batch_size=100)
        assert loss == pytest.approx(losses[step], rel=1e-5)  # sums in another order


def test_model_writes_a_sample_at_every_evaluation(tmp_path, data, monkeypatch):
    """The monitor gets the losses of every evaluation, and SAMPLE_TOKENS characters from that model."""
    seen = []
    monkeypatch.setattr(
        Monitor, "evaluated", lambda self, step, *rest, **more: seen.append((step, rest, more))
    )
    train(tiny(), data, tmp_path / "run")
    assert [step for step, _, _ in seen] == [0, 5, 10, 12]
    for (_, (val_loss, text), more), row in zip(seen, evaluations(tmp_path / "run"), strict=True):
        assert {"step": row["step"], "val_loss": val_loss} | more == row
        assert len(text) == 6, f"the first character of the training text and 5 more, not {text!r}"
    model, _ = model_in(tmp_path / "run", "last.pt")
    tokenizer = CharTokenizer.load(data / "tokenizer.json")
    start = torch.from_numpy(tokens_in(data / "train.bin")[None, :1].astype(np.int64))
    ids = generate(model, start, 5, generator=torch.Generator().manual_seed(7))
    assert seen[-1][1][1] == tokenizer.decode(ids[0].tolist())


def test_micro_batches_change_nothing_but_the_memory_needed(tiny_run, tmp_path, data):
    """A batch goes through the model in three equal parts, and gives the same steps as in one."""
    seen = []

    def look(module, inputs):
        if isinstance(module, TransformerLM) and module.training:
            seen.append(tuple(inputs[0].shape))

    hook = torch.nn.modules.module.register_module_forward_pre_hook(look)
    try:
        train(tiny(micro_batches=3), data, tmp_path / "run")
    finally:
        hook.remove()
    assert set(seen) == {(2, 8)}, "the shapes of the ids that go through the model in a step"
    actual = torch.tensor([row["loss"] for row in rows(tmp_path / "run")])
    expected = torch.tensor([row["loss"] for row in rows(tiny_run[0])])
    # Sums in another order; AdamW makes of 1e-7 in a gradient up to 1e-4 in a loss after 12 steps.
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=0)


def test_resumed_run_equals_one_that_never_stopped(tmp_path, data, spoilt_run):
    """7 steps and 5 more after a resume equal 12, bit for bit; what was best before still is."""
    # With nothing to resume, a run starts from the beginning.
    through = train(steady(), data, tmp_path / "through", resume=True)
    train(steady(max_steps=7), data, tmp_path / "stopped")
    # What a kill leaves behind: rows of steps that no checkpoint knows.
    with (tmp_path / "stopped" / "steps.csv").open("a", encoding="utf-8") as file:
        file.write("8,1.5,0.01\n9,1.5,0.01\n")
    torch.rand(3)  # the new process has drawn other numbers
    resumed = train(steady(), data, tmp_path / "stopped", resume=True)
    assert rows(tmp_path / "stopped") == rows(tmp_path / "through")
    expected, _ = model_in(tmp_path / "through", "last.pt")
    actual, _ = model_in(tmp_path / "stopped", "last.pt")
    for name, parameter in expected.state_dict().items():
        assert torch.equal(actual.state_dict()[name], parameter), name
    assert resumed.steps == 12
    assert (resumed.train_loss, resumed.val_loss) == (through.train_loss, through.val_loss)

    run_dir, spoilt_summary = spoilt_run
    shutil.copytree(run_dir, tmp_path / "spoilt")
    resumed = train(spoilt(max_steps=18), data, tmp_path / "spoilt", resume=True)
    best = spoilt_summary.best_val_loss
    assert resumed.val_loss > best, "this run does not tell the best model from a later one"
    assert resumed.best_val_loss == best, "the evaluations from before the stop do not count"
    saved_at = [model_in(folder, "best.pt")[1] for folder in (tmp_path / "spoilt", run_dir)]
    assert saved_at[0] == saved_at[1], "after the resume a worse model has taken the place of best.pt"


def test_interrupted_run_saves_and_ends(tmp_path, data, monkeypatch):
    """After Ctrl-C in step 3 the run saves last.pt, draws its curves and ends; it can be resumed."""
    through = train(steady(), data, tmp_path / "through")
    step_done = Monitor.step

    def interrupt_in_step_three(self, step, *rest):
        step_done(self, step, *rest)
        self.interrupted = step == 3

    with monkeypatch.context() as patch:
        patch.setattr(Monitor, "step", interrupt_in_step_three)
        stopped = train(steady(), data, tmp_path / "stopped")
    assert stopped.steps == 3
    assert [row["step"] for row in rows(tmp_path / "stopped")] == [1, 2, 3]
    assert model_in(tmp_path / "stopped", "last.pt")[1] == 3, "last.pt is not the model of the last step"
    assert (tmp_path / "stopped" / "curves.png").exists()
    resumed = train(steady(), data, tmp_path / "stopped", resume=True)
    assert resumed.val_loss == through.val_loss


def test_sample_continues_the_prompt_with_the_best_model(spoilt_run):
    """At temperature 0 the text is what `generate` makes of the prompt with the model of best.pt."""
    run_dir, _ = spoilt_run
    tokenizer = CharTokenizer.load(run_dir / "tokenizer.json")
    # Most untrained models repeat the last letter after "head"; after the others each writes its own text.
    for prompt in ("head", "gab\ndeaf"):
        ids = torch.tensor([tokenizer.encode(prompt)])
        expected, other = (
            tokenizer.decode(generate(model_in(run_dir, name)[0], ids, 12, temperature=0)[0].tolist())
            for name in ("best.pt", "last.pt")
        )
        assert other != expected, "this run does not tell the best model from the last one"
        text = sample(run_dir, prompt, 12, temperature=0)
        assert text != other, "this is what the model of last.pt writes, not that of best.pt"
        assert text == expected
        assert len(text) == len(prompt) + 12
    text = sample(run_dir, "\nhead\n", 5)
    assert text.startswith("\nhead\n"), f"the prompt, with its line breaks, is not there as given: {text!r}"


def test_sample_draws_by_the_seed_and_its_options(tiny_run):
    """The same seed gives the same text and another seed another one; temperature, top_k, top_p count."""
    run_dir, _ = tiny_run
    text = sample(run_dir, "a", 9, seed=1)
    torch.rand(1)  # no matter what was drawn in between
    assert sample(run_dir, "a", 9, seed=1) == text
    assert sample(run_dir, "a", 9, seed=2) != text, "two seeds give the same text"
    likeliest = sample(run_dir, "a", 9, temperature=0)
    assert likeliest != text
    for options in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}):
        assert sample(run_dir, "a", 9, seed=1, **options) == likeliest, options


class Bytes:
    """A tokenizer that needs no text to learn from: its tokens are bytes."""

    vocab_size = 256

    def encode(self, text):
        return list(text.encode())

    def decode(self, ids):
        return bytes(ids).decode(errors="replace")

    def save(self, path):
        Path(path).write_text("bytes", encoding="utf-8")


def test_run_is_made_of_the_parts_that_it_is_given(tmp_path, data):
    """make_tokenizer, make_model and make_optimizer decide what a run is made of; generate, how it writes."""
    given = {}

    def make_tokenizer(text):
        given["text"] = text
        return Bytes()

    def make_model(config):
        given["model"] = TransformerLM(config)
        return given["model"]

    def make_optimizer(model, **settings):
        given["settings"] = settings
        return torch.optim.SGD(model.parameters(), lr=settings["learning_rate"])

    parts = {"make_tokenizer": make_tokenizer, "make_model": make_model, "make_optimizer": make_optimizer}
    for max_steps in (2, 3):  # a resumed run goes on with the same parts
        config = tiny(max_steps=max_steps, warmup_steps=0)
        train(config, data, tmp_path / "run", resume=max_steps == 3, **parts)
    characters = CharTokenizer.load(data / "tokenizer.json")
    assert given["text"] == characters.decode(tokens_in(data / "train.bin").tolist()), (
        "validation text was seen"
    )
    assert given["settings"] == {"learning_rate": 1e-2, "weight_decay": 0.1, "betas": (0.9, 0.99)}
    model = TransformerLM(replace(tiny().model, vocab_size=256))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    assert load_checkpoint(tmp_path / "run" / "last.pt", model=model, optimizer=optimizer) == 3
    for name, parameter in given["model"].state_dict().items():
        assert torch.equal(parameter, model.state_dict()[name]), name
    assert (tmp_path / "run" / "tokenizer.json").read_text(encoding="utf-8") == "bytes"
    parts = {"load_tokenizer": lambda path: Bytes(), "make_model": make_model}
    text = sample(tmp_path / "run", "a", 5, temperature=0, **parts)
    assert text == Bytes().decode(generate(model, torch.tensor([[97]]), 5, temperature=0)[0].tolist())

    def only_b(model, ids, max_new_tokens, **options):
        return torch.cat([ids, torch.full((1, max_new_tokens), 98)], dim=1)

    assert sample(tmp_path / "run", "a", 5, generate=only_b, **parts) == "abbbbb", "`generate` was not called"


def test_too_many_characters_and_files_of_another_run_are_refused(tmp_path, data, tiny_run):
    """ValueError names what would spoil the data or a run; to sample without a run is a FileNotFoundError."""
    characters = [chr(code) for code in range(0x20, 0x11000) if not 0xD800 <= code < 0xE000]
    info = prepare_data(write(tmp_path / "fits.txt", "".join(characters[: 2**16])), tmp_path / "fits")
    assert info.vocab_size == 2**16
    with pytest.raises(ValueError, match="65537"):
        prepare_data(write(tmp_path / "text.txt", "".join(characters[: 2**16 + 1])), tmp_path / "out")

    run_dir, _ = tiny_run
    before = (run_dir / "last.pt").read_bytes()
    with pytest.raises(ValueError, match="tiny"):
        train(tiny(), data, run_dir)
    other = write(tmp_path / "other.txt", letters(400).upper())
    prepare_data(other, tmp_path / "other")
    with pytest.raises(ValueError, match="other"):
        train(tiny(), tmp_path / "other", run_dir, resume=True)
    mismatched = replace(tiny(), model=replace(tiny().model, vocab_size=65))
    with pytest.raises(ValueError, match="65"):
        train(mismatched, data, tmp_path / "new")
    assert (run_dir / "last.pt").read_bytes() == before
    with pytest.raises(ValueError, match="'Q'"):
        sample(run_dir, "heQ", 5)
    with pytest.raises(FileNotFoundError):
        sample(tmp_path / "nothing", "he", 5)
