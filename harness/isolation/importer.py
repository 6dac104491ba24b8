"""Imports of a learner's modules: fresh, type-checked and never fatal.

A module under katas/ is always compiled from its source, never loaded from a `.pyc`, because an edit of
equal length within the same second would run the old code. If the import fails, the module's public names
become stand-ins that raise the error when used; so do missing names. Every test is still listed, and each
fails on its own with the reason.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from harness.course.kata_tests import digest
from harness.course.katas import Course, Kata
from harness.course.stubs import read_contract
from harness.isolation.accepted import remember_accepted
from harness.isolation.calls import CallLog, log_calls
from harness.isolation.process_state import ProcessChange, ProcessState, changes_in
from harness.isolation.recorder import Recorder
from harness.isolation.sources import check_source
from harness.isolation.standins import CannotImport, MissingName, stand_in
from harness.isolation.typecheck import checked

# Trying hundreds of versions of one kata loads the same earlier katas each time.
_CODE: dict[tuple[type[InspectLoader], Path, bytes], CodeType] = {}
_MOST_CODE = 64
TYPECHECKER = f"{checked.__module__}.{checked.__qualname__}"  # by name, as jaxtyping expects it


class KataLoader(Loader):
    """Executes a learner's module through the type-checking loader that it wraps."""

    def __init__(self, inner: InspectLoader | None, kata: Kata, path: Path, importer: KataImporter) -> None:
        self._inner = inner
        self._kata = kata
        self._path = path
        self._importer = importer

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def get_source(self, fullname: str) -> str:
        return self._path.read_text(encoding="utf-8")

    def exec_module(self, module: ModuleType) -> None:
        expected = self._importer.expected_names(self._kata, self._path)
        try:
            with self._importer.recorder.importing(self._path):
                self._execute_apart(module)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: `sys.exit()` in a stub must not end the run
            if not expected:  # a given module, which has no solution; it fails for whoever imports it
                raise
            cause = CannotImport(self._path, error)
            module.__dict__.update({name: stand_in(name, cause) for name in expected})
        else:
            self._fill_missing(module, expected)
            if self._importer.checked:
                remember_accepted(module)
                log_calls(module, expected, self._importer.notes)

    def _execute_apart(self, module: ModuleType) -> None:
        """Execute the module, and undo what it changes of the process that runs the tests."""
        if not self._importer.checked:
            self._execute(module)
            return
        state = ProcessState()
        try:
            self._execute(module)
        finally:
            self._importer.changes += changes_in([self._path], state.restore())

    def _execute(self, module: ModuleType) -> None:
        replaced = self._importer.sources.get(module.__name__)
        data = self._path.read_bytes() if replaced is None else replaced.encode()
        if self._path.name == self._kata.stub.name:
            self._importer.stub_digests[self._kata.name] = digest(data)
        exec(self._code(data, self._path), module.__dict__)

    def compiled(self, source: str) -> CodeType:
        """Compile another source of this kata as this loader compiles its file."""
        return self._code(source.encode(), self._kata.solution)

    def _code(self, data: bytes, path: Path) -> CodeType:
        """Compile these very bytes, never a `.pyc`, once per process."""
        assert self._inner is not None  # the file exists, so it can be read
        key = (type(self._inner), path, data)
        if key not in _CODE:
            if len(_CODE) >= _MOST_CODE:
                _CODE.clear()
            try:
                _CODE[key] = self._inner.source_to_code(data, str(path))
            except (SyntaxError, ValueError):  # ValueError: a null byte, in some versions of Python
                check_source(path, data)
                raise
        return _CODE[key]

    def _fill_missing(self, module: ModuleType, expected: Sequence[str]) -> None:
        own = [name for name, value in vars(module).items() if _is_own(name, value, module)]
        extra = [name for name in own if name not in expected]
        for name in expected:
            if name not in module.__dict__:
                module.__dict__[name] = stand_in(name, MissingName(self._path, name, extra))


def _is_own(name: str, value: object, module: ModuleType) -> bool:
    return not name.startswith("_") and getattr(value, "__module__", None) == module.__name__


class KataImporter(MetaPathFinder):
    """Finds the modules of the katas and wraps their loaders."""

    def __init__(
        self, course: Course, recorder: Recorder, sources: Mapping[str, str], *, checked: bool
    ) -> None:
        self.recorder = recorder
        self.checked = checked
        self.sources = sources  # by module, text to execute instead of its file
        self.stub_digests: dict[str, str] = {}  # of the very bytes that were executed
        self.notes = CallLog()  # on the calls of a test
        self.changes: list[ProcessChange] = []  # of the whole process, all undone
        self._katas = {
            f"{kata.package}.{path.stem}": kata for kata in course.katas for path in _modules(kata)
        }

    @property
    def modules(self) -> list[str]:
        return list(self._katas)

    def expected_names(self, kata: Kata, path: Path) -> list[str]:
        return list(read_contract(kata.solution_folder / path.name))

    def compiler(self, kata: Kata) -> Callable[[str], CodeType]:
        """Return a function that compiles another source of an imported kata, with checked signatures."""
        loader = getattr(sys.modules[kata.module].__spec__, "loader", None)
        assert isinstance(loader, KataLoader)
        return loader.compiled

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._katas:
            return None
        kata = self._katas[fullname]
        spec = self._find_with_other_finders(fullname, path, target)
        if spec is None:  # deleted by the learner: stand-ins report it
            missing = kata.folder / f"{fullname.rpartition('.')[2]}.py"
            return ModuleSpec(fullname, KataLoader(None, kata, missing, self), origin=str(missing))
        if spec.origin and isinstance(spec.loader, InspectLoader):
            spec.loader = KataLoader(spec.loader, kata, Path(spec.origin), self)
        return spec

    def _find_with_other_finders(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                return spec
        return None


def install(
    course: Course,
    recorder: Recorder,
    *,
    solved: Collection[Kata] = (),
    sources: Mapping[str, str] | None = None,
    checked: bool = True,
) -> KataImporter:
    """Make `katas.…` importable from `course`: the learner's own, but the reference for `solved` katas.

    A module named in `sources` is executed from that text. If `checked`, every call checks its arguments
    against the signature and logs modified arguments; training skips both for speed.
    """
    if sys.path[:1] != [str(course.root)]:
        sys.path.insert(0, str(course.root))
    importer = KataImporter(course, recorder, sources or {}, checked=checked)
    if checked:
        from jaxtyping import install_import_hook

        install_import_hook(importer.modules, TYPECHECKER)
        _leave_uncompiled()
    sys.meta_path.insert(0, importer)
    for kata in solved:
        _prefer_solution(kata)
    return importer


def kata_module(name: str) -> Any:
    """Return the module of the kata with this name, such as k05_model, from wherever it was installed."""
    return importlib.import_module(f"katas.{name}.{name[4:]}")


def _leave_uncompiled() -> None:
    """Let torch.compile do nothing: compiled too, the checks of types refuse every tensor."""
    os.environ.setdefault("TORCH_COMPILE_DISABLE", "1")
    config: Any = sys.modules.get("torch._dynamo.config")  # if it is imported, it has read the variable
    if config is not None:
        config.disable = True


def purge_compiled_tests(course: Course) -> None:
    """Delete compiled test modules, for the reason that stubs are never loaded from `.pyc`."""
    for kata in course.katas:
        for path in (kata.folder / "__pycache__").glob("test_*.pyc"):
            with contextlib.suppress(OSError):  # nothing was compiled into a read-only folder
                path.unlink(missing_ok=True)


def _modules(kata: Kata) -> list[Path]:
    paths = (path for folder in (kata.folder, kata.solution_folder) for path in folder.glob("*.py"))
    return [path for path in paths if path.stem != "__init__" and not path.stem.startswith("test_")]


def _prefer_solution(kata: Kata) -> None:
    package = importlib.import_module(kata.package)
    package.__path__ = [str(kata.solution_folder), *package.__path__]


@contextlib.contextmanager
def katas_forgotten() -> Iterator[None]:
    """Import every module of the katas again in the block, and restore what was there before."""
    path, finders = list(sys.path), list(sys.meta_path)
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_of_katas(name)}
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_of_katas(name)]:
            del sys.modules[name]
        sys.modules.update(before)
        sys.path[:], sys.meta_path[:] = path, finders


def _is_of_katas(name: str) -> bool:
    return name == "katas" or name.startswith("katas.")
