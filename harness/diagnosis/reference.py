"""A kata's reference, in which slips can be tried, alone or together.

Reloading the whole module for each slip would take a tenth of a second: only the definitions a slip touches,
and those that depend on them at definition time, are re-executed.
"""

from __future__ import annotations

import ast
import functools
import itertools
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import CodeType, ModuleType

from harness.course.definitions import Definition
from harness.course.definitions import first_line as start_of
from harness.course.definitions import last_line as end_of
from harness.course.katas import Kata
from harness.course.slips import Slip
from harness.diagnosis.time_budget import TimeBudget

_VERSIONS = itertools.count()


class Reference:
    """The reference, or another source, as a module that is not installed.

    `compile_source` compiles it as the learner's module was compiled.
    """

    def __init__(
        self,
        kata: Kata,
        compile_source: Callable[[str], CodeType],
        budget: TimeBudget,
        source: str | None = None,
    ) -> None:
        self._compile, self._budget = compile_source, budget
        self.source = kata.solution.read_text(encoding="utf-8") if source is None else source
        self._name = kata.module
        self.module = ModuleType(kata.module)
        self.module.__file__, self.module.__spec__ = str(kata.solution), sys.modules[kata.module].__spec__
        self._execute(self.source)

    def _execute(self, source: str) -> None:
        # Each version has a unique name: beartype caches which class a name in an annotation refers to.
        self.module.__name__ = f"{self._name}__{next(_VERSIONS)}"
        with installed_as(self.module, self._name), self._budget.guard():
            exec(self._compile(source), self.module.__dict__)

    @contextmanager
    def with_slips(self, *slips: Slip) -> Iterator[ModuleType]:
        """Put slips into the module, for the block.

        Raises BadSlip if one leaves no room for another, and whatever defining them raises.
        """
        before, source = dict(self.module.__dict__), self.source
        try:
            for slip in slips:
                self._redefine(patched_source(source, slip))
                source = slip.apply(source)
            yield self.module
        finally:
            self.module.__dict__.clear()
            self.module.__dict__.update(before)

    def _redefine(self, source: str) -> None:
        # Otherwise the methods of a class would still refer to the old class.
        for name in _defined(ast.parse(source).body):
            self.module.__dict__.pop(name, None)
        self._execute(source)


@contextmanager
def installed_as(module: ModuleType, name: str) -> Iterator[None]:
    """Let `import` find this module under this name and its own, for the block."""
    package, _, attribute = name.rpartition(".")
    parent, names = sys.modules[package], {module.__name__, name}
    original, before = getattr(parent, attribute), {each: sys.modules.get(each) for each in names}
    sys.modules.update(dict.fromkeys(names, module))
    setattr(parent, attribute, module)
    try:
        yield
    finally:
        setattr(parent, attribute, original)
        for each, earlier in before.items():
            if earlier is None:
                del sys.modules[each]
            else:
                sys.modules[each] = earlier


@functools.lru_cache(maxsize=64)
def patched_source(source: str, slip: Slip) -> str:
    """Return the source of everything that a slip makes it necessary to re-execute. Raises BadSlip."""
    slipped = slip.apply(source)
    lines = source.splitlines(keepends=True)
    start = source.index(slip.find)
    body = _parsed(source)
    first_line, last_line = _line_of(source, start), _line_of(source, start + len(slip.find) - 1)
    hit = [node for node in body if start_of(node) <= last_line and first_line <= end_of(node)]
    if not hit:
        return slipped
    first_line, last_line = min(first_line, start_of(hit[0])), max(last_line, end_of(hit[-1]))
    begin, after = len("".join(lines[: first_line - 1])), len("".join(lines[last_line:]))
    text = slipped[begin : len(slipped) - after]
    names = _defined(hit)
    followers = []
    for node in body[body.index(hit[-1]) + 1 :]:
        if _looks_at(node, names):
            followers.append("".join(lines[start_of(node) - 1 : end_of(node)]))
            names |= _defined([node])
    future = "from __future__ import annotations\n" if "from __future__ import annotations" in source else ""
    return "\n".join([future + text, *followers])


@functools.lru_cache(maxsize=2)
def _parsed(source: str) -> list[ast.stmt]:
    return ast.parse(source).body


def _line_of(source: str, position: int) -> int:
    return source.count("\n", 0, position) + 1


def _defined(nodes: Collection[ast.stmt]) -> set[str]:
    """The names that these statements bind."""
    names = {node.name for node in nodes if isinstance(node, Definition)}
    others = [node for node in nodes if not isinstance(node, Definition)]
    stores = (each for node in others for each in ast.walk(node) if isinstance(each, ast.Name))
    return names | {each.id for each in stores if isinstance(each.ctx, ast.Store)}


def _looks_at(node: ast.AST, names: Collection[str]) -> bool:
    """True if a statement reads one of the names when it is executed, not only when a function is called."""
    if isinstance(node, ast.Name | ast.Constant):
        return (node.id if isinstance(node, ast.Name) else node.value) in names
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        parts = [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
        return any(_looks_at(part, names) for part in parts)
    if isinstance(node, ast.Lambda):
        return False
    return any(_looks_at(child, names) for child in ast.iter_child_nodes(node))
