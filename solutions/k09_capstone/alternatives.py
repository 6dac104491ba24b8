"""Other correct ways to write this kata; its tests must accept every one."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.training import (
    Monitor,
    RunFolder,
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
from katas.k09_capstone import capstone
from katas.k09_capstone.capstone import DatasetInfo, RunSummary, load_tokens


def prepare_data__bytes_and_split(
    text_path: str | os.PathLike[str], out_dir: str | os.PathLike[str], val_fraction: float = 0.1
) -> DatasetInfo:
    """The two texts are cut first, and each is encoded for itself."""
    text = Path(text_path).read_bytes().decode("utf-8")
    cut = len(text) - max(int(len(text) * val_fraction), 2)
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
    *,
    make_tokenizer: Callable[[str], Any] = CharTokenizer.from_text,
    make_model: Callable[[ModelConfig], nn.Module] = TransformerLM,
    make_optimizer: Callable[..., torch.optim.Optimizer] = configure_optimizer,
) -> RunSummary:
    """One long loop that keeps its own time."""
    began, spent = time.perf_counter(), 0.0
    run, settings = RunFolder(Path(run_dir)), config.training
    tokens = load_tokens(data_dir, make_tokenizer)
    tokenizer = tokens.tokenizer
    if config.model.vocab_size not in (None, tokenizer.vocab_size):
        raise ValueError(f"vocab_size {config.model.vocab_size}, not {tokenizer.vocab_size}")
    goes_on = run.last.exists()
    if goes_on and not resume:
        raise ValueError(f"there is a run in {run_dir}")
    if goes_on and not run.has_tokenizer(tokenizer):
        raise ValueError(f"{data_dir} is not the data of this run")
    config = replace(config, model=replace(config.model, vocab_size=tokenizer.vocab_size))
    with join_workers(settings.device) as workers:
        torch.manual_seed(settings.seed)
        model = make_model(config.model).to(workers.device)
        optimizer = make_optimizer(
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
        monitor = Monitor(
            first_step=start,
            total_steps=settings.max_steps,
            tokens_per_step=settings.batch_size * config.model.block_size,
        )
        watching = monitor.watching()
        watching.__enter__()
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
                    tokens.train, settings.batch_size, config.model.block_size, generator
                )
                size = settings.batch_size // settings.micro_batches
                pairs = [(inputs[i : i + size], targets[i : i + size]) for i in range(0, len(inputs), size)]
                model.train()
                loss = train_step(model, optimizer, pairs, settings.max_norm)
                steps.log(step, loss=loss, learning_rate=rate)
                spent += time.perf_counter() - started
                monitor.step(step, loss)
            elif start > 0:
                continue
            if step % settings.eval_interval == 0 or step == settings.max_steps:
                losses.append(evaluate(model, tokens.val, block_size=config.model.block_size, batch_size=7))
                more = {"perplexity": perplexity(losses[-1])}
                more["bits_per_byte"] = bits_per_byte((len(tokens.val) - 1) * losses[-1], tokens.val_bytes)
                evaluations.log(step, val_loss=losses[-1], **more)
                first = torch.tensor([[int(tokens.train[0])]])
                drawing = torch.Generator().manual_seed(settings.seed)
                ids = generate(model, first, capstone.SAMPLE_TOKENS, generator=drawing)[0]
                monitor.evaluated(step, losses[-1], tokenizer.decode(ids.tolist()), **more)
                state = {"optimizer": optimizer, "config": config, "generator": generator}
                if losses[-1] == min(losses):
                    save_checkpoint(run.best, model=model, step=step, **state)
            if step % settings.eval_interval == 0 or step == settings.max_steps or monitor.interrupted:
                state = {"optimizer": optimizer, "config": config, "generator": generator}
                save_checkpoint(run.last, model=model, step=step, **state)
            if monitor.interrupted:
                break
        watching.__exit__(None, None, None)
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
    load_tokenizer: Callable[[Path], Any] = CharTokenizer.load,
    make_model: Callable[[ModelConfig], nn.Module] = TransformerLM,
    generate: Callable[..., Tensor] = generate,
) -> str:
    """On the CPU, one token at a time."""
    tokenizer = load_tokenizer(Path(run_dir) / "tokenizer.json")
    model = make_model(RunConfig.from_file(os.path.join(run_dir, "config.yaml")).model)
    load_checkpoint(os.path.join(run_dir, "best.pt"), model=model)
    ids = torch.tensor(tokenizer.encode(prompt)).unsqueeze(0)
    generator = torch.Generator()
    generator.manual_seed(seed)
    for _ in range(max_new_tokens):
        ids = generate(model, ids, 1, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
    return "".join(tokenizer.decode([int(id)]) for id in ids[0])
