"""Tokens per second with and without a key-value cache, by the length of the text.

    python benchmarks/sampling.py                  # a minute and a half on two idle cores
    git clone https://github.com/karpathy/nanoGPT
    python benchmarks/sampling.py nanoGPT          # with the generate loop of nanoGPT as well

Random models of the same sizes write greedily from a prompt of one token: `generate` of kata 07 and
`generate_cached` of kata 14 with a ModernLM, and nanoGPT's `generate` with its GPT. They take turns. Times
are CPU times of a single thread, so that a busy machine gives nearly the same figures; the fastest round
counts.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import torch
from repository import install_katas
from rich.console import Console
from rich.progress import track
from rich.table import Table

LENGTHS = (16, 64, 128, 256)
SIZES = {"vocab_size": 65, "block_size": 256, "d_model": 128, "num_heads": 4, "num_layers": 4}
UNCACHED, CACHED, NANOGPT = "generate", "generate_cached", "nanoGPT"
SEED = 0

Write = Callable[[int], object]  # takes the number of tokens of the text


@click.command()
@click.argument(
    "checkout", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path), default=None
)
@click.option("--rounds", default=20, show_default=True, help="How often each writes each length.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here."
)
def main(checkout: Path | None, rounds: int, json_path: Path | None) -> None:
    """Measure the reference katas, and nanoGPT if there is a CHECKOUT of it."""
    torch.set_num_threads(1)  # CPU time would count what other threads wait
    writers = katas()
    if checkout:
        writers[NANOGPT] = nanogpt(checkout)
    rates = measure(writers, rounds, Console(stderr=True))
    Console().print(table(rates))
    if json_path:
        command = f"python benchmarks/sampling.py --rounds {rounds}{' nanoGPT' if checkout else ''}"
        record = {"command": command, "tokens_per_second": rates}
        json_path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def katas() -> dict[str, Write]:
    """Return the two loops of the reference, both with the same model."""
    install_katas()
    from katas.k07_sampling.sampling import generate
    from katas.k12_modern.modern import ModernConfig, ModernLM
    from katas.k14_cache.cache import generate_cached

    torch.manual_seed(SEED)
    model = ModernLM(ModernConfig(**SIZES))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)  # of zeros all tokens are equally likely
    prompt = torch.zeros(1, 1, dtype=torch.int64)
    return {
        UNCACHED: lambda length: generate(model, prompt, length - 1, temperature=0),
        CACHED: lambda length: generate_cached(model, prompt, length - 1, temperature=0),
    }


def nanogpt(checkout: Path) -> Write:
    """Return nanoGPT's loop, with a random model of the same sizes."""
    path = checkout / "model.py"
    spec = importlib.util.spec_from_file_location("nanogpt_model", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise click.BadParameter(f"{checkout} has no model.py: clone https://github.com/karpathy/nanoGPT")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    sizes = {"n_embd": SIZES["d_model"], "n_head": SIZES["num_heads"], "n_layer": SIZES["num_layers"]}
    torch.manual_seed(SEED)
    config = module.GPTConfig(
        block_size=SIZES["block_size"], vocab_size=SIZES["vocab_size"], dropout=0.0, bias=False, **sizes
    )
    model = module.GPT(config).eval()
    prompt = torch.zeros(1, 1, dtype=torch.int64)
    return lambda length: model.generate(prompt, length - 1, top_k=1)


def measure(writers: Mapping[str, Write], rounds: int, console: Console) -> dict[str, dict[int, float]]:
    """Return new tokens per second in the fastest round, by writer and length of the text."""
    took: dict[str, dict[int, list[float]]] = {name: {length: [] for length in LENGTHS} for name in writers}
    for write in writers.values():
        write(LENGTHS[0])  # the first call is slower
    for _ in track(range(rounds), "writing", console=console, transient=True):
        for length in LENGTHS:
            for name, write in writers.items():
                began = time.process_time()
                write(length)
                took[name][length].append(time.process_time() - began)
    return {
        name: {length: round((length - 1) / min(times), 1) for length, times in by_length.items()}
        for name, by_length in took.items()
    }


def table(rates: Mapping[str, Mapping[int, float]]) -> Table:
    """Return tokens per second by length, and how many times as fast the cache is."""
    others = [name for name in rates if name != CACHED]
    ratios = [f"{CACHED} / {name}" for name in others]
    made = Table("tokens", *rates, *ratios, box=None, padding=(0, 2, 0, 0))
    for length in LENGTHS:
        speeds = [f"{by_length[length]:,.0f}" for by_length in rates.values()]
        factors = [f"{rates[CACHED][length] / rates[name][length]:.1f}x" for name in others]
        made.add_row(str(length), *speeds, *factors)
    return made


if __name__ == "__main__":
    main()
