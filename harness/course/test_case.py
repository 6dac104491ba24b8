"""The facts of a test that travel between processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class TestCase:
    """One case of a test function, and the files that it runs: what a receipt is made from."""

    __test__: ClassVar[bool] = False  # for pytest, which collects classes of this name

    kata: str
    test: str  # the function's name
    case: str  # the node id
    arguments: str = ""  # of a parametrised case, for people
    cases: int = 1  # of this function
    shipped: bool = True  # False for a test that the learner added, which earns nothing
    requirement: str = ""
    stub_digest: str = ""
    tests_digest: str = ""
