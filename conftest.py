"""A clear error when pytest runs without this project's plugin."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.hasplugin("harness"):
        raise pytest.UsageError(
            "The katas need this project's pytest plugin, which is not loaded in this Python. "
            "Activate .venv (made by `make install`), or type: python -m pip install -e ."
        )
