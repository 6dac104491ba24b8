"""State of the whole process, restored after the learner's code: later katas and pytest rely on it.

A setting that one kata changes (torch's default dtype) would make a later, right one fail, and be blamed on
it. Without its modules, finders or files, pytest itself breaks down.
"""

from __future__ import annotations

import ast
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

_UNKNOWN = object()
Names = tuple[str, ...]  # of functions that change one setting, as one types them


@dataclass(frozen=True)
class ProcessChange:
    """A change of the whole process by a learner's file, which was undone."""

    path: Path
    line: int
    setting: str  # as one types it: "torch.set_default_dtype"


@dataclass(frozen=True)
class Setting:
    """A setting of the process, with the names of the functions that change it."""

    names: Names
    read: Callable[[], Any]
    write: Callable[[Any], object]


class ProcessState:
    """A snapshot of the process."""

    def __init__(self) -> None:
        self._settings = [(setting, _value_of(setting)) for setting in _settings()]
        self._modules = (sys.modules, dict(sys.modules))
        self._finders = (sys.meta_path, list(sys.meta_path))
        self._path = (sys.path, list(sys.path))

    def restore(self) -> list[Names]:
        """Undo what has changed since, and return the names of each setting that was undone."""
        undone = [names for names in (self._restore_modules(), self._restore_finders()) if names]
        self._restore_path()
        for setting, before in self._settings:
            now = _value_of(setting)
            if now != before and _UNKNOWN not in (now, before):
                setting.write(before)
                undone.append(setting.names)
        return undone

    def _restore_modules(self) -> Names:
        modules, before = self._modules
        same = sys.modules is modules and before.items() <= modules.items()
        if same:
            return ()
        modules.update(before)
        sys.modules = modules
        return ("sys.modules",)

    def _restore_finders(self) -> Names:
        """Remove finders that a kata defines, and put back those that are missing."""
        finders, before = self._finders
        added = [each for each in sys.meta_path if not any(each is other for other in before)]
        welcome = [each for each in added if not _is_of_a_kata(each)]
        missing = [each for each in before if not any(each is other for other in sys.meta_path)]
        if sys.meta_path is finders and not missing and len(welcome) == len(added):
            return ()
        finders[:] = [*before, *welcome]
        sys.meta_path = finders
        return ("sys.meta_path",)

    def _restore_path(self) -> None:
        """Put back folders that are missing; a kata may add one."""
        folders, before = self._path
        kept = [each for each in sys.path if each not in before]
        missing = any(each not in sys.path for each in before)
        if missing or sys.path is not folders:
            folders[:] = [*before, *kept]
            sys.path = folders


def _value_of(setting: Setting) -> Any:
    """Return a setting's value; _UNKNOWN if torch refuses to say it, since it was set in a newer way."""
    try:
        return setting.read()
    except Exception:
        return _UNKNOWN


def changes_in(paths: Sequence[Path], undone: Iterable[Names]) -> list[ProcessChange]:
    """Return where the files change what was undone; nothing for a setting that none of them mentions."""
    found = (_first_change(paths, names) for names in undone)
    return [change for change in found if change]


def _first_change(paths: Sequence[Path], names: Names) -> ProcessChange | None:
    places = ((name, path, _line_of(path, name)) for name in names for path in paths)
    return next((ProcessChange(path, line, name) for name, path, line in places if line), None)


def _line_of(path: Path, name: str) -> int:
    """Return the first line of a file that mentions a name; 0 if none does or it cannot be read."""
    last = name.rpartition(".")[2]
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return 0
    lines = [node.lineno for node in ast.walk(tree) if _is_named(node, last)]
    return min(lines, default=0)


def _is_named(node: ast.AST, name: str) -> TypeGuard[ast.Attribute | ast.Name]:
    return name in (getattr(node, "attr", None), getattr(node, "id", None))


def _is_of_a_kata(finder: object) -> bool:
    kind = finder if isinstance(finder, type) else type(finder)
    return str(kind.__module__).startswith("katas.")


def _settings() -> Iterator[Setting]:
    yield from _system_settings()
    torch = sys.modules.get("torch")
    yield from _torch_settings(torch) if torch is not None else ()


@functools.cache
def _system_settings() -> tuple[Setting, ...]:
    folder = Setting(("os.chdir",), _folder, _enter)
    return (
        folder,
        Setting(("sys.setrecursionlimit",), sys.getrecursionlimit, sys.setrecursionlimit),
        *_limits(),
    )


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it has been deleted
        return ""


def _enter(folder: str) -> None:
    with suppress(OSError):
        os.chdir(folder)


def _limits() -> Iterator[Setting]:
    """Yield the limits of the operating system, such as the size of the largest file."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit in sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}):
        read, write = functools.partial(resource.getrlimit, limit), functools.partial(_set_limit, limit)
        yield Setting(("resource.setrlimit",), read, write)


def _set_limit(limit: int, values: tuple[int, int]) -> None:
    """Restore a limit; where the system forbids it, end this process as a limit does."""
    import resource

    try:
        resource.setrlimit(limit, values)
    except (OSError, ValueError):
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGXFSZ)


@functools.cache
def _torch_settings(torch: ModuleType) -> tuple[Setting, ...]:
    grad = ("torch.set_grad_enabled", "torch.no_grad", "torch.inference_mode")
    dtype = ("torch.set_default_dtype", "torch.set_default_tensor_type")
    exact = ("torch.use_deterministic_algorithms",)
    precision = ("torch.set_float32_matmul_precision",)
    anomalies = ("torch.autograd.set_detect_anomaly", "torch.autograd.detect_anomaly")
    return (
        Setting(dtype, torch.get_default_dtype, torch.set_default_dtype),
        Setting(grad, torch.is_grad_enabled, torch.set_grad_enabled),
        Setting(("torch.set_default_device",), _default_device, torch.set_default_device),
        Setting(exact, torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
        Setting(precision, torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        Setting(anomalies, torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    )


def _default_device() -> object:
    """Return the default device, if one has been set; the module that knows it is imported then."""
    return getattr(sys.modules.get("torch.utils._device"), "CURRENT_DEVICE", None)
