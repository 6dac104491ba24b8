"""constraints.txt names one version of every package that the project needs, and the project allows it."""

from __future__ import annotations

import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.authoring.constraints import EXTRAS, HEADING, constraints, file_text
from harness.tests.conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMMITTED = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
LINES = [Requirement(line) for line in COMMITTED.removeprefix(HEADING).splitlines()]
PINS = {line.name: line.specifier for line in LINES}
RUNTIME = [Requirement(text) for text in PROJECT["dependencies"]]
ALL = RUNTIME + [Requirement(text) for extra in EXTRAS for text in PROJECT["optional-dependencies"][extra]]

REQUIRES = {
    "transformer-katas": [
        "torch<3,>=2",
        "Web_Client[fast]>=1",
        "checker; extra == 'dev'",
        "other; python_version < '3'",
    ],
    "torch": ["numpy"],
    "web-client": ["numpy>=1", "speed; extra == 'fast'", "torch>=1", "slow; extra == 'slow'"],
    "numpy": None,
}


def test_what_the_project_needs_is_followed_through_extras_and_markers() -> None:
    found = constraints(lambda name: REQUIRES.get(name, []), lambda name: f"1.{len(name)}")
    assert found == {
        "checker": "==1.7",
        "numpy": "==1.5",
        "speed": "==1.5",
        "torch": "<3,>=2",
        "web-client": "==1.10",
    }
    assert file_text({"click": "==8.1"}) == f"{HEADING}click==8.1\n"


def test_what_the_page_needs_is_the_same_for_learners_and_for_its_tests() -> None:
    extras = PROJECT["optional-dependencies"]
    assert [text for text in extras["play"] if text not in extras["dev"]] == []


def test_every_requirement_has_an_upper_bound() -> None:
    without = [each.name for each in ALL if not any(part.operator == "<" for part in each.specifier)]
    assert without == []


def test_the_committed_versions_are_those_that_the_project_allows() -> None:
    for each in ALL:
        name = canonicalize_name(each.name)
        if name == "torch":
            continue
        (pin,) = PINS[name]
        assert pin.operator == "=="
        assert each.specifier.contains(pin.version), f"{name} {pin.version}: {each.specifier}"


def test_any_build_of_torch_that_the_project_allows_may_be_installed() -> None:
    (torch,) = [each.specifier for each in RUNTIME if each.name == "torch"]
    assert PINS["torch"] == torch
    for build in ("2.6.0+cpu", "2.7.1+cu118", "2.13.0+cu130", "2.13.0"):
        assert torch.contains(build)


def test_only_torch_has_more_than_one_version() -> None:
    assert [name for name, pin in PINS.items() if not str(pin).startswith("==")] == ["torch"]
    assert list(PINS) == sorted(PINS)
