"""GPT-2's files, from a server to a text that the reference katas write."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.corpora import gpt2
from harness.course.katas import Course, Kata
from harness.tests.conftest import REPOSITORY
from harness.tests.support.miniature import Miniature
from harness.tests.support.server import serving
from harness.training import pretrained
from harness.training.request import CannotTrain

pytestmark = pytest.mark.measured

TINY = REPOSITORY / "katas" / "k16_gpt2" / "tiny_gpt2"  # with the names of GPT-2's files, and random weights
# The commands that are typed, with the files of the tiny GPT-2 in the place of the real ones.
TYPED = """
import dataclasses, hashlib, sys
from pathlib import Path
from click.testing import CliRunner
from harness.cli import main
from harness.corpora import gpt2
tiny, *urls = sys.argv[1:]
def stand_in(file, url):
    content = (Path(tiny) / Path(file.file).name).read_bytes()
    return dataclasses.replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest(), url=url)
gpt2.FILES = tuple(map(stand_in, gpt2.FILES, urls))
sample = ["sample", "--gpt2", "--solutions", "--prompt", "Once", "--max-new-tokens", "9"]
seeded = [*sample, "--seed", "1"]
for typed in (["data", "gpt2"], [*sample, "--temperature", "0"], seeded, seeded):
    result = CliRunner().invoke(main, typed)
    print(result.exit_code, repr(result.stdout))
from katas.k07_sampling.sampling import generate
from katas.k16_gpt2.gpt2 import load_gpt2
import torch
model, tokenizer = load_gpt2(tiny)
ids = generate(model, torch.tensor([tokenizer.encode("Once")]), 9, temperature=0)
print(0, repr(tokenizer.decode(ids[0].tolist()) + chr(10)))
"""


def test_downloaded_weights_write_in_the_katas(tmp_path: Path) -> None:
    with ExitStack() as servers:
        contents = [(TINY / Path(file.file).name).read_bytes() for file in gpt2.FILES]
        urls = [servers.enter_context(serving(content)).url for content in contents]
        environment = {"HARNESS_DATA_DIR": str(tmp_path), "NO_PROXY": "127.0.0.1"}
        done = Miniature(REPOSITORY).python("-c", TYPED, str(TINY), *urls, **environment)
    assert done.code == 0, done.err
    obtained, greedy, drawn, drawn_again, expected = done.out.splitlines()
    assert obtained.startswith("0 'gpt2 is now here (checksum verified): ")
    assert greedy == expected
    assert drawn == drawn_again != greedy


def test_a_run_and_gpt2_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    result = CliRunner().invoke(main, ["sample", "--gpt2", "--run-dir", "runs/x"])
    assert result.exit_code == 2
    assert "Next: leave out --run-dir, or --gpt2" in result.output


KATA = Kata(Path(), "k16_gpt2")


@pytest.mark.parametrize(
    ("katas", "is_here", "prompt", "said"),
    [
        ((), True, "a", r"This course has no k16_gpt2"),
        ((KATA,), False, "a", r"not here yet. Get them \(550 MB\):  harness data gpt2"),
        ((KATA,), True, "", r'Give it the beginning of one:  --prompt "Once upon a time"'),
    ],
)
def test_what_is_missing_is_named(
    katas: tuple[Kata, ...],
    is_here: bool,
    prompt: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = SimpleNamespace(find=lambda root: tmp_path if is_here else None, size=gpt2.size)
    monkeypatch.setattr(pretrained, "gpt2", found)
    with pytest.raises(CannotTrain, match=said):
        pretrained.write(Course(tmp_path, katas), (), prompt, 1, seed=0)
