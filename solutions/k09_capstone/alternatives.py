"""Other correct ways to write this kata; its tests must accept every one."""

import math
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from harness.training import (
    RunFolder,
    draw_curves,
    join_workers,
    read_losses,
)
from katas.k04_embeddings.embeddings import CharTokenizer
from katas.k05_model.model import TransformerLM
from katas.k06_training.training import (
    configure_optimizer,
    cosine_learning_rate,
    evaluate,
    get_batch,
    train_step,
)
from katas.k07_sampling.sampling import generate
from katas.k08_engineering.config import RunConfig
from katas.k08_engineering.engineering import CSVLogger, JSONLLogger, load_checkpoint, save_checkpoint
from katas.k09_capstone.capstone import DatasetInfo, RunSummary


def prepare_data__bytes_and_split(
    text_path: str | os.PathLike[str], out_dir: str | os.PathLike[str], val_fraction: float = 0.1
) -> DatasetInfo:
    """The two texts are cut first, and each is encoded for itself."""
    if val_fraction <= 0 or val_fraction >= 1:
        raise ValueError(f"{val_fraction} is no fraction")
    text = Path(text_path).read_bytes().decode("utf-8")
    cut = len(text) - max(int(len(text) * val_fraction), 2)
    if cut < 2:
        raise ValueError(f"{len(text)} characters are too few")
    tokenizer = CharTokenizer(sorted(set(text)))
    if tokenizer.vocab_size > 65536:
        raise ValueError(f"too many characters: {tokenizer.vocab_size}")
    os.makedirs(out_dir, exist_ok=True)
    tokenizer.save(os.path.join(out_dir, "tokenizer.json"))
    for name, part in (("train.bin", text[:cut]), ("val.bin", text[cut:])):
        tokens = np.fromiter(tokenizer.encode(part), dtype=np.uint16)
        Path(out_dir, name).write_bytes(tokens.tobytes())
    return DatasetInfo(vocab_size=len(set(text)), train_tokens=cut, val_tokens=len(text) - cut)


def train__one_loop(
    config: RunConfig,
    data_dir: str | os.PathLike[str],
    run_dir: str | os.PathLike[str],
    resume: bool = False,
) -> RunSummary:
    """One long loop, without a monitor, that keeps its own time."""
    began, spent = time.perf_counter(), 0.0
    run, settings, data_dir = RunFolder(Path(run_dir)), config.training, Path(data_dir)
    tokenizer = CharTokenizer.load(data_dir / "tokenizer.json")
    if config.model.vocab_size not in (None, tokenizer.vocab_size):
        raise ValueError(f"vocab_size {config.model.vocab_size}, not {tokenizer.vocab_size}")
    goes_on = run.last.exists()
    if goes_on and not resume:
        raise ValueError(f"there is a run in {run_dir}")
    texts = [
        path.read_text("utf-8") for path in (data_dir / "tokenizer.json", run.tokenizer) if path.exists()
    ]
    if goes_on and len(set(texts)) > 1:
        raise ValueError(f"{data_dir} is not the data of this run")
    config = replace(config, model=replace(config.model, vocab_size=tokenizer.vocab_size))
    tokens = {name: np.fromfile(data_dir / f"{name}.bin", dtype=np.uint16) for name in ("train", "val")}
    with join_workers(settings.device) as workers:
        torch.manual_seed(settings.seed)
        model = TransformerLM(config.model).to(workers.device)
        optimizer = configure_optimizer(
            model,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=settings.betas,
        )
        generator = torch.Generator()
        generator.manual_seed(settings.seed)
        start = 0
        if goes_on:
            start = load_checkpoint(run.last, model=model, optimizer=optimizer, generator=generator)
        os.makedirs(run_dir, exist_ok=True)
        config.to_file(run.config)
        tokenizer.save(run.tokenizer)
        steps, evaluations = CSVLogger(run.steps), JSONLLogger(run.evaluations)
        steps.rewind(start)
        evaluations.rewind(start)
        losses = [loss for _, loss in read_losses(run)[1]]
        loss = math.nan
        for step in range(start, settings.max_steps + 1):
            if step > start:
                started = time.perf_counter()
                rate = cosine_learning_rate(
                    step,
                    max_lr=settings.learning_rate,
                    min_lr=settings.min_lr,
                    warmup_steps=settings.warmup_steps,
                    total_steps=settings.max_steps,
                )
                for group in optimizer.param_groups:
                    group["lr"] = rate
                inputs, targets = get_batch(
                    tokens["train"], settings.batch_size, config.model.block_size, generator
                )
                size = settings.batch_size // settings.micro_batches
                pairs = [(inputs[i : i + size], targets[i : i + size]) for i in range(0, len(inputs), size)]
                model.train()
                loss = train_step(model, optimizer, pairs, settings.max_norm)
                steps.log(step, loss=loss, learning_rate=rate)
                spent += time.perf_counter() - started
            elif start > 0:
                continue
            if step % settings.eval_interval == 0 or step == settings.max_steps:
                losses.append(
                    evaluate(model, tokens["val"], block_size=config.model.block_size, batch_size=7)
                )
                evaluations.log(step, val_loss=losses[-1])
                state = {"optimizer": optimizer, "config": config, "generator": generator}
                if losses[-1] == min(losses):
                    save_checkpoint(run.best, model=model, step=step, **state)
                save_checkpoint(run.last, model=model, step=step, **state)
    draw_curves(run.path)
    seen = (step - start) * settings.batch_size * config.model.block_size
    seconds = time.perf_counter() - began
    return RunSummary(step, loss, losses[-1], min(losses), seconds, seen / spent if spent else 0.0)


def sample__by_hand(
    run_dir: str | os.PathLike[str],
    prompt: str,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
) -> str:
    """On the CPU, one token at a time."""
    tokenizer = CharTokenizer.load(os.path.join(run_dir, "tokenizer.json"))
    model = TransformerLM(RunConfig.from_file(os.path.join(run_dir, "config.yaml")).model)
    load_checkpoint(os.path.join(run_dir, "best.pt"), model=model)
    ids = torch.tensor(tokenizer.encode(prompt)).unsqueeze(0)
    generator = torch.Generator()
    generator.manual_seed(seed)
    for _ in range(max_new_tokens):
        ids = generate(model, ids, 1, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
    return "".join(tokenizer.decode([int(id)]) for id in ids[0])
