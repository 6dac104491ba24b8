"""A tox runner that lets all environments share one folder.

By itself tox makes a folder anew as soon as an environment of another name uses it; with torch in it
that takes a minute each time. Ours differ in their commands only.
"""

from __future__ import annotations

from typing import Any

from tox.plugin import impl
from tox.tox_env.info import Info
from tox.tox_env.python.virtual_env.runner import VirtualEnvRunner
from tox.tox_env.register import ToxEnvRegister


class SharedInfo(Info):
    """What tox remembers of an environment's folder, without the environment's name."""

    def compare(self, value: Any, section: str, sub_section: str | None = None) -> Any:
        if section == "ToxEnv":
            value = {**value, "name": "shared"}
        return super().compare(value, section, sub_section)


class SharedRunner(VirtualEnvRunner):
    """tox's usual runner, in a folder that other environments use too."""

    @staticmethod
    def id() -> str:
        return "shared"

    @property
    def cache(self) -> Info:
        return SharedInfo(self.env_dir)


@impl
def tox_register_tox_env(register: ToxEnvRegister) -> None:
    register.add_run_env(SharedRunner)
