"""A tox runner that lets all environments share one folder.

By default tox recreates a folder whenever an environment with a different name uses it, which takes a minute
with torch installed. Our environments differ only in their commands.
"""

from __future__ import annotations

from typing import Any

from tox.plugin import impl
from tox.tox_env.info import Info
from tox.tox_env.python.virtual_env.runner import VirtualEnvRunner
from tox.tox_env.register import ToxEnvRegister


class SharedInfo(Info):
    """tox's record of an environment's folder, ignoring the environment's name."""

    def compare(self, value: Any, section: str, sub_section: str | None = None) -> Any:
        if section == "ToxEnv":
            value = {**value, "name": "shared"}
        return super().compare(value, section, sub_section)


class SharedRunner(VirtualEnvRunner):
    """tox's usual runner, in a folder shared with other environments."""

    @staticmethod
    def id() -> str:
        return "shared"

    @property
    def cache(self) -> Info:
        return SharedInfo(self.env_dir)


@impl
def tox_register_tox_env(register: ToxEnvRegister) -> None:
    register.add_run_env(SharedRunner)
