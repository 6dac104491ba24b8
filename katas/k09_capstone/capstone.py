"""The capstone: from a text file to a model that writes, out of everything that you have built.

Three functions: `prepare_data` turns a text into numbers, `train` makes a model of them and leaves all
that it knows in a run folder, `sample` lets that model write. What no kata has taught is given: the
device and the other processes (`join_workers`), the progress bar and Ctrl-C (`Monitor`), the picture of
the losses (`draw_curves`), and the names of the files in the run folder (`RunFolder`).

House rules (README.md of kata 00): arguments are never modified; results have the inputs' dtype
and device.
"""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.training import (
    Monitor,
    RunFolder,
    Workers,
    choose_device,
    draw_curves,
    join_workers,
    read_losses,
)
from katas.k04_embeddings.embeddings import CharTokenizer
from katas.k05_model.model import ModelConfig, TransformerLM
from katas.k06_training.training import (
    bits_per_byte,
    configure_optimizer,
    cosine_learning_rate,
    evaluate,
    get_batch,
    perplexity,
    train_step,
)
from katas.k07_sampling.sampling import generate
from katas.k08_engineering.config import RunConfig
from katas.k08_engineering.engineering import CSVLogger, JSONLLogger, load_checkpoint, save_checkpoint

SAMPLE_TOKENS = 200  # how much the model writes at every evaluation
EVALUATION_BATCH = 64  # windows that are evaluated at a time; the result does not depend on it


@dataclass(frozen=True)
class DatasetInfo:  # given
    """What `prepare_data` has made of a text."""

    vocab_size: int  # different characters
    train_tokens: int
    val_tokens: int


@dataclass(frozen=True)
class Tokens:  # given
    """What a run learns from and is evaluated on."""

    tokenizer: Any  # with vocab_size, encode, decode and save, as CharTokenizer has them
    train: np.ndarray
    val: np.ndarray
    val_bytes: int  # the length in UTF-8 of the text that val's targets make: all but its first token


@dataclass(frozen=True)
class RunSummary:  # given
    """What came out of a training run."""

    steps: int  # optimizer steps done in all, those before a resume included
    train_loss: float  # of the last step, in nats per token; NaN if there was none
    val_loss: float  # of the last evaluation, over the whole validation split
    best_val_loss: float  # the lowest of all evaluations
    seconds: float  # that this call took
    tokens_per_second: float  # that this call trained on, evaluations not counted


def prepare_data(
    text_path: str | os.PathLike[str], out_dir: str | os.PathLike[str], val_fraction: float = 0.1
) -> DatasetInfo:
    """Write a text as tokens, split for training and validation, into `out_dir`; return their numbers.

    The text is UTF-8, and all of its characters are kept: a line break of two characters stays two.
    `out_dir`, made if need be, gets three files: tokenizer.json, a `CharTokenizer` of all characters of
    the whole text; val.bin, the tokens of the last val_fraction of the text (its
    number of characters times val_fraction, rounded down, but at least 2, an input and its target);
    and train.bin, those of what comes before. The two .bin files hold nothing but the tokens, as
    unsigned 16-bit integers in the machine's byte order, so that np.memmap can read them.

    Raises ValueError naming the number of different characters if 16 bits cannot tell them apart.
    """
    raise NotImplementedError


def load_tokens(  # given
    data_dir: str | os.PathLike[str], make_tokenizer: Callable[[str], Any] = CharTokenizer.from_text
) -> Tokens:
    """Return the tokens that `prepare_data` has written; they stay on the disk until they are used.

    If another `make_tokenizer` is given, it makes a tokenizer of the training text, and both texts are
    cut into the tokens of that one.
    """
    tokenizer: Any = CharTokenizer.load(Path(data_dir) / "tokenizer.json")
    parts: list[np.ndarray] = [
        np.memmap(Path(data_dir) / name, dtype=np.uint16, mode="r") for name in ("train.bin", "val.bin")
    ]
    if make_tokenizer != CharTokenizer.from_text:  # the same method of the same class is equal
        texts = [tokenizer.decode(part.tolist()) for part in parts]
        tokenizer = make_tokenizer(texts[0])
        parts = [np.array(tokenizer.encode(text), dtype=np.int32) for text in texts]
    targets = tokenizer.decode(parts[1][1:].tolist())
    return Tokens(tokenizer, *parts, val_bytes=len(targets.encode()))


def train(
    config: RunConfig,
    data_dir: str | os.PathLike[str],
    run_dir: str | os.PathLike[str],
    resume: bool = False,
    *,
    make_tokenizer: Callable[[str], Any] = CharTokenizer.from_text,
    make_model: Callable[[ModelConfig], nn.Module] = TransformerLM,
    make_optimizer: Callable[..., torch.optim.Optimizer] = configure_optimizer,
) -> RunSummary:
    """Train a model on what `prepare_data` has written, and leave everything about it in `run_dir`.

    config.model.vocab_size may be None: the tokenizer's is taken. Everything random follows from
    config.training.seed: PyTorch's global generator, which draws the first parameters and the dropout,
    is seeded with it right before the model is made, and the generator of the batches with the same
    number. Step t, counted from 1, has the learning rate that `cosine_learning_rate` gives for t, with
    min_lr reached at max_steps; its batch_size windows go through the model in micro_batches equal
    parts.

    Before the first step, after every eval_interval steps, and after the last one, the model is
    evaluated on the whole validation split and writes a sample. Then it is saved: as best.pt if no
    evaluation before had as low a loss, and, after that, as last.pt. The run folder (made if need be;
    `RunFolder` knows the names) holds config.yaml (with vocab_size), tokenizer.json, steps.csv (step,
    loss, learning_rate: a row for each step), evaluations.jsonl (step, val_loss, perplexity,
    bits_per_byte: of the loss over all of the validation split), last.pt, best.pt, and at the end
    curves.png. The sample goes to `Monitor.evaluated`: the first character of the training text and
    SAMPLE_TOKENS more, drawn by a generator of its own, seeded with config.training.seed.

    What later katas build can take the place of what the core has built: `load_tokens` cuts the text
    with what `make_tokenizer` makes of it, `make_model(config.model)` is the model, and
    make_optimizer(model, learning_rate=…, weight_decay=…, betas=…) its optimizer. They are the same
    when the run is resumed.

    With `resume` a run goes on from its last.pt exactly as if it had never stopped: log rows from
    beyond that checkpoint are dropped. `config` may differ from that of the stopped run, say in
    max_steps, but not in the shapes of the model. Without a last.pt it starts from the beginning.

    Once `Monitor.interrupted` is set, the run takes no further step: it saves last.pt, draws its curves
    and ends, without another evaluation.

    The model is on the device of `join_workers(config.training.device)`. Under several workers each
    trains on its share of every micro-batch, and the first one alone evaluates, logs, saves and shows.

    Raises ValueError naming run_dir if it holds a run and `resume` is not set, naming vocab_size if it
    is not the tokenizer's, and naming data_dir if a resumed run was started with another tokenizer.
    """
    raise NotImplementedError


def sample(
    run_dir: str | os.PathLike[str],
    prompt: str,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    load_tokenizer: Callable[[Path], Any] = CharTokenizer.load,
    make_model: Callable[[ModelConfig], nn.Module] = TransformerLM,
    generate: Callable[..., Tensor] = generate,
) -> str:
    """Return the prompt and the max_new_tokens characters with which the run's best model goes on.

    The model is that of best.pt, on the device that config.yaml names, or the fastest here if that is
    "auto". All randomness comes from `seed`. A run that was made with another tokenizer or model than
    the core's needs the functions that load and make these. `generate` continues the prompt; another
    function in its place takes the same arguments.

    Raises FileNotFoundError if the folder holds no run, and ValueError if the prompt holds a character
    that the tokenizer does not know.
    """
    raise NotImplementedError
