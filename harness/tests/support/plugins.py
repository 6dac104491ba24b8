"""pytest's plugins by other people: none takes part in a test that does not ask for it."""

from __future__ import annotations

import importlib.metadata

import pytest

# The names of their entry points. A learner has none of them; to import hypothesis takes as long as torch.
OTHERS = (
    *("hypothesispytest", "randomly", "random_order", "reverse", "rerunfailures", "flaky", "pretty"),
    *("sugar", "instafail", "clarity", "picked", "pytest-teamcity", "pytest_cov"),
)


def only(*names: str) -> str:
    """Return pytest's options for a run with these of the other plugins."""
    return " ".join(f"-p no:{name}" for name in OTHERS if name not in names)


AS_A_LEARNER = only()


def needs(name: str) -> pytest.MarkDecorator:
    """Return the mark of a test that takes place only where a plugin is installed."""
    installed = {each.name for each in importlib.metadata.entry_points(group="pytest11")}
    return pytest.mark.skipif(name not in installed, reason="needs the extra named plugins")
