"""Training and sampling from the command line, with real processes."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.course.katas import load_course
from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature, Result
from harness.training.capstone import demonstrate, newest_run, sample, train
from harness.training.configuration import CAPSTONE
from harness.training.request import CannotTrain, TrainingRequest
from harness.training.run_folder import RunFolder, read_losses

pytestmark = [
    pytest.mark.measured,
    pytest.mark.skipif(
        CAPSTONE not in {kata.name for kata in load_course(REPOSITORY).katas}, reason="there is no capstone"
    ),
]
TINY = [
    *("model.block_size=8", "model.d_model=16", "model.num_heads=2", "model.num_layers=1"),
    *("training.batch_size=4", "training.eval_interval=5", "training.device=cpu"),
    *("training.learning_rate=1e-2", "training.min_lr=1e-2", "training.warmup_steps=0"),
]
SETTINGS = [part for change in TINY for part in ("--set", change)]
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]


def run(*arguments: str, **environment: str) -> Result:
    """Type `python ARGUMENTS` in this repository."""
    return Miniature(REPOSITORY).python(*arguments, OMP_NUM_THREADS="1", **environment)


def train_arguments(text: Path, run_dir: Path, steps: int, *more: str) -> list[str]:
    settings = [*SETTINGS, "--set", f"training.max_steps={steps}", *more]
    return [
        "-m",
        "harness",
        "train",
        "--solutions",
        "--data",
        str(text),
        "--run-dir",
        str(run_dir),
        *settings,
    ]


def losses(run_dir: Path) -> list[float]:
    with (run_dir / "steps.csv").open(encoding="utf-8", newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "harness-test-text.txt"
    path.write_text("".join(f"line {n} of {n * n % 17}\n" for n in range(200)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(text: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Train for 12 steps with dropout; return the folder and the output."""
    run_dir = tmp_path_factory.mktemp("runs") / "all the way"
    done = run(*train_arguments(text, run_dir, 12, "--set", "model.dropout=0.2"))
    assert done.code == 0, done.err
    return run_dir, done.text


def test_a_run_prints_its_losses_samples_and_the_next_command(finished: tuple[Path, str]) -> None:
    run_dir, printed = finished
    for step in (0, 5, 10, 12):
        assert f"step {step} · " in printed
    assert "12 steps: validation loss" in printed
    assert re.search(r"That is perplexity [\d.]+ · [\d.]+ bits per byte", printed)
    assert f"  harness sample --solutions --run-dir '{run_dir}'\n" in printed  # whole, to be copied
    assert (run_dir / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_sample_continues_the_prompt(finished: tuple[Path, str]) -> None:
    options = ["--prompt", "line 7", "--max-new-tokens", "9", "--top-k", "3", "--seed", "4"]
    done = run("-m", "harness", "sample", "--solutions", "--run-dir", str(finished[0]), *options)
    assert done.code == 0, done.err
    assert done.out.startswith("line 7")
    assert len(done.out) == len("line 7") + 9 + 1


def test_seven_steps_and_five_equal_twelve_through_the_command_line(
    text: Path, finished: tuple[Path, str], tmp_path: Path
) -> None:
    import torch

    stopped = tmp_path / "stopped"
    dropout = ("--set", "model.dropout=0.2")
    run(*train_arguments(text, stopped, 7, *dropout))
    resumed = ["--solutions", "--resume", "--run-dir", str(stopped), "--set", "training.max_steps=12"]
    done = run("-m", "harness", "train", *resumed)
    assert done.code == 0, done.err
    assert losses(stopped) == losses(finished[0])
    states = [torch.load(folder / "last.pt", weights_only=True)["model"] for folder in (stopped, finished[0])]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


KILLED_IN_A_WRITE = """
import os, signal, sys, torch
from harness.cli import main
saves = []
save = torch.save
def interrupted(state, file):
    saves.append(1)
    save(state, file)
    if len(saves) == 4:  # steps 0 and 5 wrote at most two each
        file.truncate(1000)
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
torch.save = interrupted
main(sys.argv[3:])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_run_killed_while_writing_a_checkpoint_resumes_exactly(
    text: Path, finished: tuple[Path, str], tmp_path: Path
) -> None:
    killed = tmp_path / "killed"
    arguments = train_arguments(text, killed, 12, "--set", "model.dropout=0.2")
    assert run("-c", KILLED_IN_A_WRITE, *arguments).code == -signal.SIGKILL
    assert len(losses(killed)) < 12
    done = run(*arguments, "--resume")
    assert done.code == 0, done.err
    assert losses(killed) == losses(finished[0])


def test_two_workers_take_the_steps_of_one(text: Path, tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert run(*train_arguments(text, alone, 6)).code == 0
    done = run(*TORCHRUN, *train_arguments(text, together, 6))
    assert done.code == 0, done.err
    # Means of halves differ in float32: AdamW can turn 1e-7 in a gradient into 1e-4 in a loss.
    assert losses(together) == pytest.approx(losses(alone), rel=1e-3)
    assert done.out.count("6 steps: validation loss") == 1


PARTS = ("--parts", "tokens,modern,optimizers", "--set", "model.vocab_size=270")


@pytest.fixture(scope="module")
def with_parts(text: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Train for 9 steps with the parts of the later katas; return the folder and the output."""
    run_dir = tmp_path_factory.mktemp("runs") / "with parts"
    done = run(*train_arguments(text, run_dir, 9, *PARTS))
    assert done.code == 0, done.err
    return run_dir, done.text


def test_a_run_with_the_parts_of_later_katas_says_so_and_states_its_loss_per_character(
    with_parts: tuple[Path, str],
) -> None:
    run_dir, printed = with_parts
    assert "Training with the reference's katas 10 tokens, 12 modern, 13 optimizers." in printed
    found = re.search(r"validation loss ([\d.]+) nats per character \(([\d.]+) per token\)", printed)
    last = json.loads((run_dir / "evaluations.jsonl").read_text().splitlines()[-1])
    assert found is not None
    assert float(found[1]) == pytest.approx(last["bits_per_byte"] * math.log(2), abs=1e-4)  # it is ASCII
    assert float(found[2]) == pytest.approx(last["val_loss"], abs=1e-4)


def test_a_run_with_parts_resumes_exactly_and_samples_with_its_own_tokenizer(
    text: Path, with_parts: tuple[Path, str], tmp_path: Path
) -> None:
    stopped = tmp_path / "stopped"
    run(*train_arguments(text, stopped, 4, *PARTS))
    resumed = ["--solutions", "--resume", "--run-dir", str(stopped), "--set", "training.max_steps=9"]
    done = run("-m", "harness", "train", *resumed)
    assert done.code == 0, done.err
    assert losses(stopped) == losses(with_parts[0])
    options = ["--run-dir", str(stopped), "--prompt", "line 7", "--max-new-tokens", "5"]
    assert run("-m", "harness", "sample", "--solutions", *options).out.startswith("line 7")


def test_two_workers_take_the_steps_of_one_with_parts_too(
    text: Path, with_parts: tuple[Path, str], tmp_path: Path
) -> None:
    done = run(*TORCHRUN, *train_arguments(text, tmp_path / "two", 9, *PARTS))
    assert done.code == 0, done.err
    assert done.text.count("Training with the reference's") == 1
    # The batch is summed in another order: 1e-6 after one step in float32, more after nine of Muon's.
    assert losses(tmp_path / "two") == pytest.approx(losses(with_parts[0]), rel=1e-3)


def test_a_batch_that_cannot_be_split_evenly_is_refused(text: Path, tmp_path: Path) -> None:
    uneven = train_arguments(text, tmp_path / "run", 2, "--set", "training.batch_size=3")
    done = run(*TORCHRUN, *uneven)
    assert done.code != 0
    assert "3 sequences cannot be split evenly among 2 workers" in done.text


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_saves_and_says_how_to_resume(text: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    endless = train_arguments(text, run_dir, 1_000_000, "--set", "training.eval_interval=1000000")
    process = Miniature(REPOSITORY).start(sys.executable, *endless, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not ((run_dir / "steps.csv").exists() and len(losses(run_dir)) > 3):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "and saved" in out and "--resume --run-dir" in out
    assert (run_dir / "last.pt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--config", "nope"], "There is no configuration 'nope'. Give a file, or one of "),
        (["train", "--resume"], "--resume needs --run-dir with the folder of a run"),
        (["train", "--solutions", "--set", "training.learning_rat=1"], "learning_rate"),
        (["train", "--solutions", "--set", f"training.seed={'x' * 5000}"], " more characters) … "),
        (["train", "--run-dir", ""], "Invalid value for '--run-dir': it is empty. Name a folder, or leave "),
        (["sample", "--run-dir", " "], "Invalid value for '--run-dir': it is empty."),
        (["sample", "--seed", "9" * 24], "Invalid value for '--seed': 999999999999999999999999 is not in"),
        (["sample", "--solutions", "--run-dir", "no-such-run"], "no-such-run holds no trained model. Give"),
        (["sample", "--prompt", "a", "--run-dir", "no-such-run"], "of kata 09 capstone is not written yet."),
    ],
)
def test_an_impossible_request_is_refused_without_a_traceback(arguments: list[str], message: str) -> None:
    done = run("-m", "harness", *arguments, NO_COLOR="1")
    assert done.code != 0
    assert len(done.text) < 2000
    assert message in done.text
    assert "Traceback" not in done.err


def test_a_course_without_a_run_says_how_to_train_one(mini) -> None:
    with pytest.raises(CannotTrain, match="Train one:  harness train"):
        newest_run(load_course(mini.root))


def test_resume_needs_the_folder_of_a_run(mini, tmp_path: Path) -> None:
    request = TrainingRequest(run_dir=tmp_path / "none", resume=True)
    with pytest.raises(CannotTrain, match="--resume needs --run-dir"):
        train(load_course(mini.root), None, request)


class Capstone:
    """A capstone that writes one file of each kind, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.run_dirs = error, []
        config = SimpleNamespace(
            model=SimpleNamespace(block_size=8, d_model=16, num_layers=1, d_ff=64),
            training=SimpleNamespace(batch_size=4, seed=0, device="cpu", max_steps=1),
        )
        config.override = lambda changes: config
        self.RunConfig = SimpleNamespace(from_file=lambda path: config)

    def prepare_data(self, text: Path, folder: str) -> None:
        (Path(folder) / "tokenizer.json").write_text("".join(sorted(set(text.read_text()))))

    def train(
        self, config: object, data_dir: Path, run_dir: Path, resume: bool, **options: object
    ) -> SimpleNamespace:
        self.run_dirs.append(run_dir)
        self.options = options
        run = RunFolder(run_dir)
        run.tokenizer.write_bytes((data_dir / "tokenizer.json").read_bytes())
        if self.error:
            raise self.error
        for path in (run.config, run.last, run.best):
            path.write_text("saved")
        return SimpleNamespace(steps=1)

    def sample(self, run_dir: Path, prompt: str, tokens: int, temperature: float, **options: object) -> str:
        self.options = options
        return f"a text from {RunFolder(run_dir).best.read_text()}"


@pytest.fixture
def config(mini: Miniature) -> str:
    path = mini.root / "demo.yaml"
    path.write_text("name: demo")
    return str(path)


@pytest.fixture
def own_text(mini: Miniature) -> str:
    path = mini.root / "own.txt"
    path.write_text("abcdefgh")
    return str(path)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("resume", [False, True])
def test_files_of_ones_own_are_never_overwritten(
    mini: Miniature, config: str, own_text: str, resume: bool
) -> None:
    mine = mini.root / "mine"
    mine.mkdir()
    for name in ("config.yaml", "data.txt", "tokenizer.json", "steps.csv", "evaluations.jsonl"):
        (mine / name).write_text("mine")
    before, capstone = contents(mine), Capstone()
    with pytest.raises(CannotTrain):
        train(mini.course, capstone, TrainingRequest(config, own_text, mine, resume))
    assert contents(mine) == before
    assert capstone.run_dirs == []


def test_a_run_that_exists_keeps_the_name_of_its_text(mini: Miniature, config: str, own_text: str) -> None:
    request = TrainingRequest(config, own_text, mini.root / "run")
    train(mini.course, Capstone(), request)
    before = contents(mini.root / "run")
    with pytest.raises(CannotTrain, match="already holds a run"):
        train(mini.course, Capstone(), replace(request, data="simple_sequences"))
    with pytest.raises(CannotTrain, match=rf"was trained on {own_text}.*\n.*--resume .* --data {own_text}"):
        train(mini.course, Capstone(), replace(request, data="simple_sequences", resume=True))
    assert contents(mini.root / "run") == before


def test_a_resumed_run_finds_its_text_again(mini: Miniature, config: str, own_text: str) -> None:
    request = TrainingRequest(config, own_text, mini.root / "run")
    train(mini.course, Capstone(), request)
    outcome = train(mini.course, Capstone(), replace(request, data=None, resume=True))
    assert own_text in outcome.run.text.read_text()


def with_a_model_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let kata 12 be a module that is imported already."""
    modern = SimpleNamespace(
        ModernLM=lambda config: f"LM {config}",
        ModernConfig=SimpleNamespace(like=lambda config, tie_weights: f"like {config}, tied: {tie_weights}"),
    )
    monkeypatch.setitem(sys.modules, "katas.k12_modern.modern", modern)


def test_a_run_with_a_part_hands_it_to_the_capstone_and_keeps_it(
    mini: Miniature, config: str, own_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_model_of_ones_own(monkeypatch)
    capstone, request = Capstone(), TrainingRequest(config, own_text, mini.root / "run", parts=("modern",))
    train(mini.course, capstone, request)
    sizes = SimpleNamespace(tie_weights=False)
    assert capstone.options["make_model"](sizes) == f"LM like {sizes}, tied: False"
    assert list(capstone.options) == ["make_model"]
    sample(capstone, mini.root / "run", "a", 1, temperature=1.0)
    assert list(capstone.options) == ["make_model", "generate"]
    train(mini.course, capstone, replace(request, parts=None, resume=True))
    assert list(capstone.options) == ["make_model"]


@pytest.mark.parametrize("others", [(), ("modern", "optimizers")])
def test_a_run_resumes_with_its_own_parts_only(
    mini: Miniature,
    config: str,
    own_text: str,
    monkeypatch: pytest.MonkeyPatch,
    others: tuple[str, ...],
) -> None:
    with_a_model_of_ones_own(monkeypatch)
    request = TrainingRequest(config, own_text, mini.root / "run", parts=("modern",))
    train(mini.course, Capstone(), request)
    before = contents(mini.root / "run")
    with pytest.raises(
        CannotTrain, match=r"started with --parts modern, and resumes only with that\. Nothing"
    ):
        train(mini.course, Capstone(), replace(request, parts=others, resume=True))
    assert contents(mini.root / "run") == before


def test_a_new_run_in_the_folder_of_one_that_saved_nothing_has_its_own_parts(
    mini: Miniature, config: str, own_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_model_of_ones_own(monkeypatch)
    request = TrainingRequest(config, own_text, mini.root / "run", parts=("modern",))
    with pytest.raises(ZeroDivisionError):
        train(mini.course, Capstone(ZeroDivisionError()), request)
    train(mini.course, Capstone(), replace(request, parts=None))
    assert RunFolder(mini.root / "run").parts == ()


def test_a_text_of_ones_own_named_like_a_corpus_has_no_lowest_loss(mini: Miniature, config: str) -> None:
    own = mini.root / "tiny_tales.txt"
    own.write_text("Once upon a time")
    assert train(mini.course, Capstone(), TrainingRequest(config, str(own), mini.root / "a")).limit is None
    tales = train(mini.course, Capstone(), TrainingRequest(config, "tiny_tales", mini.root / "b"))
    assert tales.limit is not None


def test_the_demonstration_has_a_folder_that_no_run_can_have(mini: Miniature, config: str) -> None:
    (mini.root / "katas" / CAPSTONE / "configs").mkdir(parents=True)
    shutil.copy(config, mini.root / "katas" / CAPSTONE / "configs")
    theirs = mini.root / "runs" / "demo"
    theirs.mkdir(parents=True)
    (theirs / "best.pt").write_text("mine")
    capstone = Capstone()
    for _ in range(2):
        assert demonstrate(mini.course, capstone).text == "a text from saved"
    assert contents(theirs) == {"best.pt": b"mine"}
    assert len(set(capstone.run_dirs)) == 2
    assert not any(path.exists() or path.is_relative_to(mini.root) for path in capstone.run_dirs)


def test_a_full_disk_is_named_with_the_command_that_resumes(
    mini: Miniature, config: str, own_text: str
) -> None:
    run_dir = mini.root / "my run"
    full = Capstone(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(CannotTrain) as caught:
        train(mini.course, full, TrainingRequest(config, own_text, run_dir, solutions=True))
    assert str(caught.value) == (
        f"Training stopped because {run_dir} cannot be written: No space left on device."
        " It has no checkpoint yet.\nFree some space, then type:\n"
        f"  harness train --solutions --resume --run-dir '{run_dir}'"
    )
    train(mini.course, Capstone(), TrainingRequest(config, own_text, run_dir, resume=True))
    with pytest.raises(CannotTrain, match=r"Its last checkpoint is kept\."):
        train(mini.course, full, TrainingRequest(config, own_text, run_dir, resume=True))


@pytest.mark.parametrize("name", ["none", "file/below", "x" * 300])
def test_a_folder_without_a_model_is_named_with_a_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        CannotTrain, match=r"holds no trained model\. Give the folder of a run with --run-dir, or"
    ):
        sample(Capstone(), tmp_path / name, "a", 1, temperature=1.0)


def test_another_error_of_the_katas_stays_what_it_is(mini: Miniature, config: str, own_text: str) -> None:
    with pytest.raises(ZeroDivisionError):
        train(
            mini.course,
            Capstone(ZeroDivisionError()),
            TrainingRequest(config, own_text, mini.root / "run"),
        )


def test_the_logs_are_json_lines_and_csv(finished: tuple[Path, str]) -> None:
    lines = (finished[0] / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 5, 10, 12]
    assert len(losses(finished[0])) == 12


@pytest.mark.slow
def test_smoke_configuration_learns_the_simple_sequences_in_seconds(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    arguments = ["--config", "smoke", "--data", "simple_sequences", "--run-dir", str(run_dir)]
    done = run("-m", "harness", "train", "--solutions", *arguments)
    assert done.code == 0, done.err
    evaluated = read_losses(RunFolder(run_dir))[1]
    assert evaluated[0][1] == pytest.approx(math.log(40), abs=0.2)  # 40 characters, nothing learned yet
    # Guessing each character by the one before it costs 1.79 nats; runs end near 1.2.
    assert evaluated[-1][1] < 1.6


TINY_DEMO = """
name: demo
model: {block_size: 16, d_model: 16, num_heads: 2, num_layers: 1}
training: {max_steps: 20, batch_size: 4, eval_interval: 10, device: cpu}
"""


@pytest.mark.slow
def test_demo_uses_the_katas_that_pass_and_names_them(untouched: Miniature) -> None:
    configs = untouched.root / "katas" / CAPSTONE / "configs"
    (configs / "demo.yaml").write_text(TINY_DEMO)
    first = untouched.harness("demo")
    assert first.code == 0, first.text
    assert "From the reference: 00 shapes," in first.out and "Yours" not in first.out
    assert "0 of the 10 katas behind this text are yours." in first.out
    shapes = load_course(untouched.root).katas[0]
    shutil.copy(shapes.solution, shapes.stub)
    assert untouched.pytest("katas/00").code == 0
    second = untouched.harness("demo")
    assert "Yours: 00 shapes." in second.out
    assert "1 of the 10 katas behind this text are yours." in second.out
    shapes.stub.write_text("raise RuntimeError('edited since it passed')\n")
    assert "Yours" not in untouched.harness("demo").out
