"""Which tests can tell a version of a kata from its solution: those that run what differs.

A version that differs from the solution only inside some functions is, for a test that enters none of them,
the solution itself. Where a function is declared otherwise (decorators, arguments, annotations, defaults), or
anything outside of functions differs, the version counts as different everywhere. What is left for a test to
look at without running a function is how it is written; tests that do are known by the words for that.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

_Function = ast.FunctionDef | ast.AsyncFunctionDef
ENTERED: set[str] = set()  # the functions of marked modules that this process has entered
_LOOKING = ("inspect", "__code__", "__doc__", "getsource")
_MARK = "__import__('harness.authoring.reach').authoring.reach.ENTERED.add({name!r})"


@dataclass(frozen=True)
class Difference:
    """Where a version differs from the solution: inside these functions, and nowhere else."""

    names: frozenset[str]  # "softmax", "Linear.forward"
    imports: str  # statements that give the functions what they use beyond the solution's own names


def looks_at_code(tests: str) -> bool:
    """Whether tests may look at how a function is written."""
    return any(word in tests for word in _LOOKING)


def marked(source: str) -> str:
    """The module with every function noting in ENTERED that it is entered."""
    tree = ast.parse(source)
    for name, node in _functions(tree):
        node.body.insert(_length_of_docstring(node), ast.parse(_MARK.format(name=name)).body[0])
    return ast.unparse(tree)


def difference(solution: str, version: str) -> Difference | None:
    """Where a version differs from the solution; None where not only functions do."""
    ours, theirs = ast.parse(solution), ast.parse(version)
    added = theirs.body[len(ours.body) :]
    del theirs.body[len(ours.body) :]
    functions, imports = _sorted(added)
    if functions is None or any(_shadows(node, ours) for node in imports):
        return None
    changed = {node.name for node in functions}
    bodies, others = _taken_out(ours), _taken_out(theirs)
    headers = {getattr(node, "name", ""): ast.dump(node) for node in ours.body}
    _taken_out(ast.Module(list(functions), []))
    as_declared = all(headers.get(node.name) == ast.dump(node) for node in functions)
    if not as_declared or ast.dump(ours) != ast.dump(theirs):
        return None
    changed |= {name for name in bodies if bodies[name] != others[name]}
    if changed - bodies.keys() or not _fit(solution, version, changed):
        return None
    return Difference(frozenset(changed), "\n".join(ast.unparse(node) for node in imports))


def codes(module: CodeType, names: frozenset[str] | set[str]) -> dict[str, CodeType]:
    """The code of these functions in a compiled module; of one defined twice, the last."""
    found: dict[str, CodeType] = {}
    for constant in module.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_qualname in names:
                found[constant.co_qualname] = constant
            found |= codes(constant, names)
    return found


def _fit(solution: str, version: str, names: set[str]) -> bool:
    """Whether the functions' code can take the place of the solution's."""
    before = codes(compile(solution, "solution", "exec"), names)
    after = codes(compile(version, "version", "exec"), names)
    return names == before.keys() == after.keys() and all(
        _kind(before[each]) == _kind(after[each]) for each in names
    )


def _kind(code: CodeType) -> tuple[int, tuple[str, ...]]:
    return code.co_flags, code.co_freevars


def _functions(tree: ast.Module) -> Iterator[tuple[str, _Function]]:
    """The functions and methods by name, outermost only, without those defined more than once."""
    found = [("", node) for node in tree.body]
    found += [
        (f"{owner.name}.", node)
        for owner in tree.body
        if isinstance(owner, ast.ClassDef)
        for node in owner.body
    ]
    named = [(owner + node.name, node) for owner, node in found if isinstance(node, _Function)]
    counts = Counter(name for name, _ in named)
    return ((name, node) for name, node in named if counts[name] == 1)


def _taken_out(tree: ast.Module) -> dict[str, str]:
    """Take the functions' bodies out of the tree; what they do, by name."""
    bodies = {}
    for name, node in _functions(tree):
        bodies[name] = ast.dump(ast.Module(node.body[_length_of_docstring(node) :], []))
        node.body = []
    return bodies


def _length_of_docstring(node: _Function) -> int:
    return int(ast.get_docstring(node, clean=False) is not None)


def _sorted(nodes: list[ast.stmt]) -> tuple[list[_Function] | None, list[ast.Import | ast.ImportFrom]]:
    """Functions and imports among statements; None for functions where there is anything else."""
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    functions = [node for node in nodes if isinstance(node, _Function)]
    return (functions if len(imports) + len(functions) == len(nodes) else None), imports


def _shadows(node: ast.Import | ast.ImportFrom, solution: ast.Module) -> bool:
    """Whether an import gives another meaning to a name that the solution uses."""
    own = {each for statement in solution.body for each in _imported(statement)}
    used = {name.id for name in ast.walk(solution) if isinstance(name, ast.Name)}
    return any(each not in own and each[-1] in used for each in _imported(node))


def _imported(node: ast.stmt) -> Iterator[tuple[str, ...]]:
    """What an import imports, each with the name that it gets."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        module = "." * getattr(node, "level", 0) + str(getattr(node, "module", ""))
        for alias in node.names:
            name = alias.asname or (alias.name.split(".")[0] if isinstance(node, ast.Import) else alias.name)
            yield module, alias.name, name
