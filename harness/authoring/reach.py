"""Selection of the tests that can tell a version of a kata from its solution.

A test that enters none of the changed functions runs the same code as on the solution, so it need not run. A
version with a change outside function bodies (decorators, arguments, annotations, defaults, other statements)
counts as different everywhere. A test could also read how a function is written; such tests are recognised by
the names that they need for it.
"""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CodeType

from harness.course.definitions import Function, first_line, last_line, split_lines

ENTERED: set[str] = set()  # functions of marked modules that this process has entered
_LOOKING = ("inspect", "__code__", "__doc__", "getsource")
_MARK = "__import__('harness.authoring.reach').authoring.reach.ENTERED.add({name!r})"


@dataclass(frozen=True)
class Difference:
    """The functions whose bodies are the only difference from the solution."""

    names: frozenset[str]  # "softmax", "Linear.forward"
    imports: str  # statements for names that the functions need and the solution lacks


def looks_at_code(tests: str) -> bool:
    """True if the tests may look at how a function is written."""
    return any(word in tests for word in _LOOKING)


def marked(source: str) -> str:
    """Return the module with a statement in each function that adds its name to ENTERED."""
    tree = ast.parse(source)
    for name, node in _functions(tree):
        node.body.insert(_docstring_length(node), ast.parse(_MARK.format(name=name)).body[0])
    return ast.unparse(tree)


def difference(solution: str, version: str) -> Difference | None:
    """Return the difference from the solution; None if not only function bodies differ."""
    ours, theirs = _original(solution), ast.parse(version)
    added = theirs.body[ours.length :]
    del theirs.body[ours.length :]
    functions, imports = _split(added)
    if functions is None or any(_shadows(node, ours) for node in imports):
        return None
    changed = {node.name for node in functions}
    others = _take_bodies(theirs)
    _take_bodies(ast.Module(list(functions), []))
    as_declared = all(ours.headers.get(node.name) == ast.dump(node) for node in functions)
    if not as_declared or ours.frame != ast.dump(theirs):
        return None
    changed |= {name for name in ours.bodies if ours.bodies[name] != others[name]}
    if changed - ours.bodies.keys() or not _fit(solution, version, frozenset(changed)):
        return None
    return Difference(frozenset(changed), "\n".join(ast.unparse(node) for node in imports))


@dataclass(frozen=True)
class _Original:
    """What every version of a solution is compared with."""

    length: int  # in statements
    bodies: Mapping[str, str]  # of its functions
    headers: Mapping[str, str]  # of its definitions
    frame: str  # the module without the bodies
    imported: frozenset[tuple[str, ...]]
    used: frozenset[str]


@functools.cache
def _original(solution: str) -> _Original:
    tree = ast.parse(solution)
    used = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    bodies = _take_bodies(tree)
    return _Original(
        len(tree.body),
        bodies,
        {getattr(node, "name", ""): ast.dump(node) for node in tree.body},
        ast.dump(tree),
        frozenset(each for statement in tree.body for each in _imported(statement)),
        used,
    )


@functools.cache  # a child finds what its parent has made
def only(source: str, names: frozenset[str]) -> str:
    """Return the module without the definitions that hold none of these functions, each line in its place.

    To compile the whole of it for each version of one function would take longer than to test that.
    """
    kept: set[int] = set()
    owners = {name.partition(".")[0] for name in names}
    for node in ast.parse(source).body:
        if getattr(node, "name", "") in owners or _is_from_future(node):
            kept.update(range(first_line(node), last_line(node) + 1))
    lines = enumerate(split_lines(source), 1)
    return "\n".join(line if number in kept else "" for number, line in lines)


def codes(module: CodeType, names: frozenset[str]) -> dict[str, CodeType]:
    """Return the code of these functions in a compiled module, the last one of each name."""
    found: dict[str, CodeType] = {}
    for constant in module.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_qualname in names:
                found[constant.co_qualname] = constant
            found |= codes(constant, names)
    return found


def _is_from_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _fit(solution: str, version: str, names: frozenset[str]) -> bool:
    """True if the functions' code can replace the solution's."""
    before, after = _compiled(solution, names), codes(compile(only(version, names), "version", "exec"), names)
    return names == before.keys() == after.keys() and all(
        _kind(before[each]) == _kind(after[each]) for each in names
    )


@functools.cache
def _compiled(solution: str, names: frozenset[str]) -> dict[str, CodeType]:
    return codes(compile(only(solution, names), "solution", "exec"), names)


def _kind(code: CodeType) -> tuple[int, tuple[str, ...]]:
    return code.co_flags, code.co_freevars


def _functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Return the outermost functions and methods by name, without those defined more than once."""
    found = [("", node) for node in tree.body]
    found += [
        (f"{owner.name}.", node)
        for owner in tree.body
        if isinstance(owner, ast.ClassDef)
        for node in owner.body
    ]
    named = [(owner + node.name, node) for owner, node in found if isinstance(node, Function)]
    counts = Counter(name for name, _ in named)
    return ((name, node) for name, node in named if counts[name] == 1)


def _take_bodies(tree: ast.Module) -> dict[str, str]:
    """Remove the functions' bodies from the tree, and return them by name."""
    bodies = {}
    for name, node in _functions(tree):
        bodies[name] = ast.dump(ast.Module(node.body[_docstring_length(node) :], []))
        node.body = []
    return bodies


def _docstring_length(node: Function) -> int:
    return int(ast.get_docstring(node, clean=False) is not None)


def _split(nodes: list[ast.stmt]) -> tuple[list[Function] | None, list[ast.Import | ast.ImportFrom]]:
    """Return the functions and the imports; None for the functions if there are other statements."""
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    functions = [node for node in nodes if isinstance(node, Function)]
    return (functions if len(imports) + len(functions) == len(nodes) else None), imports


def _shadows(node: ast.Import | ast.ImportFrom, solution: _Original) -> bool:
    """True if an import changes the meaning of a name that the solution uses."""
    return any(each not in solution.imported and each[-1] in solution.used for each in _imported(node))


def _imported(node: ast.stmt) -> Iterator[tuple[str, ...]]:
    """Yield the module, the name and the local name of everything that a statement imports."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        module = "." * getattr(node, "level", 0) + str(getattr(node, "module", ""))
        for alias in node.names:
            name = alias.asname or (alias.name.split(".")[0] if isinstance(node, ast.Import) else alias.name)
            yield module, alias.name, name
