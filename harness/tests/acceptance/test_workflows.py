"""The workflows run what was reviewed, and give away no permission that they do not need."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from harness.tests.conftest import REPOSITORY

FOLDER = REPOSITORY / ".github" / "workflows"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}
WORKFLOWS: dict[str, dict[str, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
PUBLISH = WORKFLOWS["publish-solutions.yml"]["jobs"]["publish"]
PINNED = "publish-requirements.txt"


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("name", TEXTS)
def test_every_action_is_pinned_by_its_commit_with_the_version_beside_it(name: str) -> None:
    used = re.findall(r"uses: (.*)", TEXTS[name])
    assert used
    for each in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)


def test_an_action_has_one_version_in_all_workflows() -> None:
    used = {each for text in TEXTS.values() for each in re.findall(r"uses: (.*)", text)}
    assert len({each.split("@")[0] for each in used}) == len(used)


@pytest.mark.parametrize("name", TEXTS)
def test_a_checkout_does_not_leave_its_token_in_the_clone(name: str) -> None:
    for step in steps(WORKFLOWS[name]):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_only_the_job_that_publishes_may_write_and_only_contents() -> None:
    allowed = {
        (name, job): rights.get("permissions", workflow["permissions"])
        for name, workflow in WORKFLOWS.items()
        for job, rights in workflow["jobs"].items()
    }
    assert allowed == {
        ("ci.yml", "everything"): {"contents": "read"},
        ("publish-solutions.yml", "publish"): {"contents": "write"},
    }
    assert WORKFLOWS["publish-solutions.yml"]["permissions"] == {}


def test_the_token_is_at_hand_in_the_step_that_pushes_and_no_other() -> None:
    with_token = [step for step in PUBLISH["steps"] if re.search(r"github\.token|secrets\.", str(step))]
    (push,) = with_token
    assert push["run"].split("push")[0].startswith("git ")
    assert "env" not in PUBLISH


def test_the_job_that_publishes_installs_nothing_without_its_hash() -> None:
    installs = [step["run"] for step in PUBLISH["steps"] if "pip" in step.get("run", "")]
    assert installs == [f"python -m pip install --no-deps --require-hashes -r .github/{PINNED}"]
    lines = (REPOSITORY / ".github" / PINNED).read_text(encoding="utf-8").splitlines()
    (pin,) = [line for line in lines if not line.startswith("#")]
    assert re.fullmatch(r"click==[\d.]+ --hash=sha256:[0-9a-f]{64}", pin)
    constraints = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert pin.split()[0] in constraints
