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
    # newline="" keeps every character as it stands in the file: no \r\n becomes \n.
    with open(text_path, encoding="utf-8", newline="") as file:
        text = file.read()
    tokenizer = CharTokenizer.from_text(text)
    if tokenizer.vocab_size > 2**16:
        raise ValueError(f"{tokenizer.vocab_size} different characters do not fit into 16 bits")
    # The split is by position, the end for validation: had windows been shuffled first, nearly every
    # validation window would overlap one that was trained on.
    val_tokens = max(2, int(len(text) * val_fraction))
    train_tokens = len(text) - val_tokens
    tokens = np.array(tokenizer.encode(text), dtype=np.uint16)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    tokenizer.save(out_dir / "tokenizer.json")
    tokens[:train_tokens].tofile(out_dir / "train.bin")
    tokens[train_tokens:].tofile(out_dir / "val.bin")
    return DatasetInfo(tokenizer.vocab_size, train_tokens, val_tokens)


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
    run, tokens = RunFolder(Path(run_dir)), load_tokens(data_dir, make_tokenizer)
    config = _with_vocabulary(config, tokens.tokenizer, data_dir)
    with join_workers(config.training.device) as workers:
        trainer = _Trainer(config, tokens, run, workers, make_model, make_optimizer)
        if workers.agree(_resumes(run, tokens.tokenizer, data_dir, resume)):
            trainer.resume()
        return trainer.train()


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
    run = RunFolder(Path(run_dir))
    config, tokenizer = RunConfig.from_file(run.config), load_tokenizer(run.tokenizer)
    device = choose_device(config.training.device)
    model = make_model(config.model).to(device)
    load_checkpoint(run.best, model=model)
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    return _continued(generate, model, tokenizer, prompt, max_new_tokens, seed, **options)


class _Trainer:
    """A run under way: the model, and all that changes with every step."""

    def __init__(
        self,
        config: RunConfig,
        tokens: Tokens,
        run: RunFolder,
        workers: Workers,
        make_model: Callable[[ModelConfig], nn.Module],
        make_optimizer: Callable[..., torch.optim.Optimizer],
    ):
        self.config, self.settings, self.run, self.workers = config, config.training, run, workers
        self.tokens, self.tokenizer = tokens, tokens.tokenizer
        torch.manual_seed(self.settings.seed)
        self.model = make_model(config.model).to(workers.device)
        self.optimizer = make_optimizer(
            self.model,
            learning_rate=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            betas=self.settings.betas,
        )
        # A generator of their own: whatever else is drawn, a seed means one sequence of batches.
        self.generator = torch.Generator().manual_seed(self.settings.seed)
        self.step, self.loss, self.val_losses = 0, math.nan, [math.inf]

    def resume(self) -> None:
        """Go back to where last.pt was saved."""
        self.step = load_checkpoint(
            self.run.last, model=self.model, optimizer=self.optimizer, generator=self.generator
        )

    def train(self) -> RunSummary:
        """Take the steps that are left, and look at the model between them."""
        self.monitor = Monitor(
            first_step=self.step,
            total_steps=self.settings.max_steps,
            tokens_per_step=self.settings.batch_size * self.config.model.block_size,
            quiet=not self.workers.is_first,
        )
        if self.workers.is_first:
            self._open_logs()
        model = self.workers.parallel(self.model)
        with self.monitor.watching():
            if self.step == 0:
                self._evaluate_and_save()
            while self.step < self.settings.max_steps and not self._is_interrupted():
                self._take_step(model)
                if self.step % self.settings.eval_interval == 0 or self.step == self.settings.max_steps:
                    self._evaluate_and_save()
        if self.workers.is_first:
            draw_curves(self.run.path)
        return self._summary()

    def _open_logs(self) -> None:
        """Start the run folder, or drop what its logs hold from beyond the checkpoint."""
        self.run.path.mkdir(parents=True, exist_ok=True)
        self.config.to_file(self.run.config)
        self.tokenizer.save(self.run.tokenizer)
        self.step_log, self.evaluation_log = CSVLogger(self.run.steps), JSONLLogger(self.run.evaluations)
        for log in (self.step_log, self.evaluation_log):
            log.rewind(self.step)
        self.val_losses += [loss for _, loss in read_losses(self.run)[1]]

    def _is_interrupted(self) -> bool:
        interrupted = self.workers.any(self.monitor.interrupted)
        if interrupted and self.workers.is_first:
            self._save(self.run.last)
        return interrupted

    def _take_step(self, model: nn.Module) -> None:
        self.step += 1
        rate = cosine_learning_rate(
            self.step,
            max_lr=self.settings.learning_rate,
            min_lr=self.settings.min_lr,
            warmup_steps=self.settings.warmup_steps,
            total_steps=self.settings.max_steps,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        model.train()
        loss = train_step(model, self.optimizer, self._micro_batches(), self.settings.max_norm)
        self.loss = self.workers.mean(loss)
        self.monitor.step(self.step, self.loss)
        if self.workers.is_first:
            self.step_log.log(self.step, loss=self.loss, learning_rate=rate)

    def _micro_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This worker's share of each part of the next batch."""
        # Every worker draws the whole batch, with the same generator, and takes its rows: so the
        # batches do not depend on how many workers there are.
        batch = get_batch(
            self.tokens.train, self.settings.batch_size, self.config.model.block_size, self.generator
        )
        parts = (tokens.chunk(self.settings.micro_batches) for tokens in batch)
        for inputs, targets in zip(*parts, strict=True):
            yield self.workers.share(inputs), self.workers.share(targets)

    def _evaluate_and_save(self) -> None:
        if not self.workers.is_first:
            return
        block_size, val_tokens = self.config.model.block_size, self.tokens.val
        val_loss = evaluate(self.model, val_tokens, block_size=block_size, batch_size=EVALUATION_BATCH)
        restated = {
            "perplexity": perplexity(val_loss),
            "bits_per_byte": bits_per_byte(val_loss * (len(val_tokens) - 1), self.tokens.val_bytes),
        }
        self.evaluation_log.log(self.step, val_loss=val_loss, **restated)
        is_best = val_loss < min(self.val_losses)
        self.val_losses.append(val_loss)
        # last.pt comes last: a run that is killed in between does this evaluation again.
        if is_best or not self.run.best.exists():
            self._save(self.run.best)
        self._save(self.run.last)
        self.monitor.evaluated(self.step, val_loss, self._sample(), **restated)

    def _save(self, path: Path) -> None:
        save_checkpoint(
            path,
            model=self.model,
            optimizer=self.optimizer,
            step=self.step,
            config=self.config,
            generator=self.generator,
        )

    def _sample(self) -> str:
        start = self.tokenizer.decode(self.tokens.train[:1].tolist())
        return _continued(generate, self.model, self.tokenizer, start, SAMPLE_TOKENS, self.settings.seed)

    def _summary(self) -> RunSummary:
        return RunSummary(
            steps=self.step,
            train_loss=self.loss,
            val_loss=self.val_losses[-1],
            best_val_loss=min(self.val_losses),
            seconds=self.monitor.seconds,
            tokens_per_second=self.monitor.tokens_per_second,
        )


def _with_vocabulary(config: RunConfig, tokenizer: Any, data_dir: str | os.PathLike[str]) -> RunConfig:
    vocab_size = tokenizer.vocab_size
    if config.model.vocab_size not in (None, vocab_size):
        raise ValueError(
            f"the model has vocab_size = {config.model.vocab_size}, but the tokenizer of {data_dir} has"
            f" {vocab_size}; leave vocab_size out of the configuration"
        )
    return replace(config, model=replace(config.model, vocab_size=vocab_size))


def _resumes(run: RunFolder, tokenizer: Any, data_dir: str | os.PathLike[str], resume: bool) -> bool:
    """Whether there is a checkpoint to go on from, once it is clear that this is the run to go on with."""
    if not run.last.exists():
        return False
    if not resume:
        raise ValueError(f"{run.path} holds a run already; resume it, or choose another folder")
    if not run.has_tokenizer(tokenizer):
        raise ValueError(f"the run in {run.path} was started with other data than {data_dir}")
    return True


def _continued(
    generate: Callable[..., Tensor],
    model: nn.Module,
    tokenizer: Any,
    prompt: str,
    max_new_tokens: int,
    seed: int,
    **options: Any,
) -> str:
    device = next(model.parameters()).device
    ids = torch.tensor([tokenizer.encode(prompt)], dtype=torch.int64, device=device)  # (1, seq)
    generator = torch.Generator(device).manual_seed(seed)
    return tokenizer.decode(generate(model, ids, max_new_tokens, generator=generator, **options)[0].tolist())
