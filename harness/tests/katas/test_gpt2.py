"""Kata 16 against transformers: the same weights in the same files give the same logits and the same text."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature
from harness.tests.support.references import solved

pytestmark = pytest.mark.measured

TINY = REPOSITORY / "katas" / "k16_gpt2" / "tiny_gpt2"
SOLVED = (
    solved()
    + """
import sys
import torch
from katas.k07_sampling.sampling import generate
from katas.k10_tokens.tokens import BPETokenizer
from katas.k16_gpt2.gpt2 import load_gpt2, read_safetensors, write_safetensors
"""
)
COMPARE = (
    SOLVED
    + """
from transformers import GPT2Config, GPT2LMHeadModel
torch.manual_seed(0)
TINY, made = Path("katas/k16_gpt2/tiny_gpt2"), Path(sys.argv[1])

def saved(name, dtype=torch.float32, **options):
    sizes = {"n_positions": 23, "n_embd": 24, "n_layer": 3, "n_head": 6, "initializer_range": 0.4}
    sizes |= {"bos_token_id": 316, "eos_token_id": 316}
    theirs = GPT2LMHeadModel(GPT2Config(vocab_size=317, **{**sizes, **options})).eval()
    for norm_or_bias in (p for p in theirs.parameters() if p.dim() == 1):
        norm_or_bias.data += 0.3 * torch.randn(norm_or_bias.shape)
    theirs.to(dtype).save_pretrained(made / name, safe_serialization=True)
    BPETokenizer.load(TINY).save(made / name)
    return made / name

folders = [TINY, saved("plain"), saved("wide", n_inner=52), saved("own head", tie_word_embeddings=False)]
for folder in [*folders, saved("half", torch.float16), saved("brain", torch.bfloat16)]:
    theirs = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
    model, tokenizer = load_gpt2(folder)
    ids = torch.randint(317, (4, model.config.block_size))
    with torch.no_grad():
        expected = theirs(ids).logits
        difference = (model(ids) - expected).abs().max().item()
    start = torch.tensor([tokenizer.encode("Once")])
    options = {"do_sample": False, "max_new_tokens": 15, "eos_token_id": None, "pad_token_id": 316}
    texts = [theirs.generate(start, **options), generate(model, start, 15, temperature=0)]
    print(folder.name, difference, expected.std().item(), texts[0].tolist() == texts[1].tolist(), sep="|")
"""
)


def test_logits_and_greedy_text_are_those_of_transformers(tmp_path: Path) -> None:
    """The committed model, and models that transformers saved: tied or not, in 32 and in 16 bits."""
    done = Miniature(REPOSITORY).python("-c", COMPARE, str(tmp_path))
    assert done.code == 0, done.err
    rows = [line.split("|") for line in done.out.splitlines() if "|" in line]
    assert [name for name, *_ in rows] == ["tiny_gpt2", "plain", "wide", "own head", "half", "brain"]
    for name, difference, spread, same_text in rows:
        assert float(spread) > 0.3, name
        assert float(difference) < 1e-4 * float(spread), name  # float32: right versions are off by 1e-6 of it
        assert same_text == "True", name


FINETUNED = (
    SOLVED
    + """
from safetensors.torch import load_file
model, tokenizer = load_gpt2("katas/k16_gpt2/tiny_gpt2")
write_safetensors(sys.argv[1], model.state_dict())
again = load_file(sys.argv[1])
print(all(torch.equal(again[name], tensor) for name, tensor in model.state_dict().items()), len(again))
print(tokenizer.encode("<|endoftext|>", allow_special=True), tokenizer.vocab_size)
"""
)


def test_the_loaded_models_own_weights_can_be_written_for_the_library(tmp_path: Path) -> None:
    done = Miniature(REPOSITORY).python("-c", FINETUNED, str(tmp_path / "x.safetensors"))
    assert done.code == 0, done.err
    # Per block two norms, four maps and two of the network, weight and bias each; two tables, a norm, a head.
    assert done.out.splitlines() == [f"True {2 * 16 + 5}", "[316] 317"]


def test_the_committed_files_are_those_of_their_script(tmp_path: Path) -> None:
    script = REPOSITORY / "solutions" / "k16_gpt2" / "make_tiny_gpt2.py"
    code = "from harness.notebook import use_katas; import runpy, sys; from pathlib import Path\n"
    code += "use_katas(solutions=True); script = runpy.run_path(sys.argv[1])\n"
    code += "script['make_tiny_gpt2'](Path(sys.argv[2]))"
    done = Miniature(REPOSITORY).python("-c", code, str(script), str(tmp_path / "made"))
    assert done.code == 0, done.err
    names = ["config.json", "merges.txt", "model.safetensors", "vocab.json"]
    assert sorted(path.name for path in TINY.iterdir()) == names
    assert sum((TINY / name).stat().st_size for name in names) < 100_000
    for name in names:
        assert (tmp_path / "made" / name).read_bytes() == (TINY / name).read_bytes(), name


GIGABYTES = (
    SOLVED
    + """
import json, os, resource, shutil, struct
TINY, made = Path("katas/k16_gpt2/tiny_gpt2"), Path(sys.argv[1])

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def sparse(name, start, size=2**30):
    (made / name).write_bytes(start)
    os.truncate(made / name, size)
    return made / name

def with_header(header, length=None):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text

def entry(shape, *offsets):
    return {"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}

def refused(call, path):
    try:
        call(path)
    except (ValueError, RuntimeError) as error:
        print(type(error).__name__, str(error)[:150].replace(chr(10), " "), sep="|")

def folder(name, **files):
    shutil.copytree(TINY, made / name)
    for file, (start, size) in files.items():
        sparse(f"{name}/{file.replace('_', '.')}", start, size)
    return made / name

load_gpt2(TINY)  # what is loaded once
before = peak()
refused(read_safetensors, sparse("zeros", b""))
refused(read_safetensors, sparse("long header", struct.pack("<Q", 900_000_000)))
refused(read_safetensors, sparse("longest header", struct.pack("<Q", 100_000_001)))
refused(read_safetensors, sparse("no shape", with_header(entry([1], 0, 4))))
refused(read_safetensors, sparse("shape", with_header(entry([2**38], 0, 2**40))))
refused(read_safetensors, sparse("offsets", with_header(entry([2], 2**29, 2**29 + 8))))
config = json.loads((TINY / "config.json").read_text())
large = json.dumps({**config, "n_layer": 10_000}).encode()
refused(load_gpt2, folder("vocabulary", vocab_json=(b"{", 2**30)))
refused(load_gpt2, folder("merges", merges_txt=(b"#", 2**30)))
refused(load_gpt2, folder("weights", model_safetensors=(b"", 2**30)))
refused(load_gpt2, folder("layers", model_safetensors=(b"", 2**30), config_json=(large, len(large))))
print("MiB", (peak() - before) / 2**20)
"""
)


@pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no module resource; its files are not sparse"
)
def test_gigabytes_that_are_only_claimed_take_no_memory(tmp_path: Path) -> None:
    done = Miniature(REPOSITORY).python("-c", GIGABYTES, str(tmp_path))
    assert done.code == 0, done.err
    *refusals, memory = done.out.splitlines()
    assert [line.split("|")[0] for line in refusals] == ["ValueError"] * 10, done.out
    # A cautious reader takes less than one; the smallest of these claims is 100 million bytes.
    assert float(memory.split()[1]) < 50


LARGE = (
    SOLVED
    + """
import resource
path = Path(sys.argv[1])
read_safetensors("katas/k16_gpt2/tiny_gpt2/model.safetensors")  # what the first call imports does not count
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
state = read_safetensors(path)
taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(taken * (1 if sys.platform == "darwin" else 1024) / path.stat().st_size, len(state))
"""
)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no module resource")
def test_reading_takes_the_memory_of_the_tensors_alone(tmp_path: Path) -> None:
    path, numbers = tmp_path / "large.safetensors", 2**24
    halves = {"a": (0, 4 * numbers), "b": (4 * numbers, 8 * numbers)}
    header = {
        name: {"dtype": "F32", "shape": [numbers], "data_offsets": ends} for name, ends in halves.items()
    }
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + 8 * numbers)  # zeros, which take no room on the disk
    done = Miniature(REPOSITORY).python("-c", LARGE, str(path))
    assert done.code == 0, done.err
    share, count = map(float, done.out.split())
    assert count == 2
    assert 0.8 < share < 1.2  # of the file; whoever holds the file and copies of the tensors takes 2
