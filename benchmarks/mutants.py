"""Wrong versions of a module, generated mechanically from its syntax tree."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A changed source, and a description of the change."""

    what: str
    source: str


# Replacements for a result; `r` is the result, `a` the first argument.
TWISTS = {
    "times 1.1": "r * 1.1",
    "plus 0.1": "r + 0.1",
    "negated": "-r",
    "zeros": "r * 0",
    "ones": "r * 0 + 1",
    "flipped": "r.flip(-1)",
    "transposed": "r.transpose(-2, -1)",
    "rolled": "r.roll(1, -1)",
    "first argument": "a",
    "inverted": "~r",
    "None": "None",
    "integers": "r.long()",
    "doubled precision": "r.double()",
    "detached": "r.detach()",
    "rounded": "round(r, 2)",
    "plus one": "r + 1",
}

_TWIST = """

def _twisted(r, a):
    if isinstance(r, tuple):
        return tuple(_twisted(each, a) for each in r)
    try:
        return {expression}
    except (TypeError, AttributeError, IndexError, RuntimeError):
        return r
"""


def twisted(source: str) -> Iterator[Mutant]:
    """Yield every twist of every public function or method; a twist alters all its results."""
    tree = ast.parse(source)
    for name, _ in _functions(tree):
        for what, expression in TWISTS.items():
            changed = copy.deepcopy(tree)
            function = dict(_functions(changed))[name]
            arguments = [each.arg for each in function.args.args if each.arg != "self"]
            if not _twist(function, arguments[0] if arguments else "None"):
                break
            yield Mutant(f"{name}: {what}", ast.unparse(changed) + _TWIST.format(expression=expression))


def _functions(tree: ast.Module) -> list[tuple[str, ast.FunctionDef]]:
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            found.append((node.name, node))
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            found += [(f"{node.name}.{each.name}", each) for each in methods if not each.name.startswith("_")]
    return found


def _twist(function: ast.FunctionDef, argument: str) -> bool:
    returns = [node for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
    for node in returns:
        node.value = ast.Call(
            ast.Name("_twisted", ast.Load()), [node.value, ast.Name(argument, ast.Load())], []
        )
    ast.fix_missing_locations(function)
    return bool(returns)


# --- single changes ---

_BINARY: dict[type, type] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
_COMPARED: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip


def changed_in_one_place(source: str) -> Iterator[Mutant]:
    """Yield single changes: operators or arguments swapped, constants off by one, code dropped or negated."""
    count = len(list(_changes(ast.parse(source))))
    for at in range(count):
        tree = ast.parse(source)
        what, change = list(_changes(tree))[at]
        change()
        yield Mutant(what, ast.unparse(ast.fix_missing_locations(tree)))


def _changes(tree: ast.Module) -> list[tuple[str, Callable[[], object]]]:
    found: list[tuple[str, Callable[[], object]]] = []
    for top in tree.body:
        if isinstance(top, ast.FunctionDef | ast.ClassDef):
            for function in ast.walk(top):
                if isinstance(function, ast.FunctionDef):
                    for statement in function.body:
                        for node in ast.walk(statement):
                            found += [(f"line {statement.lineno}: {what}", do) for what, do in _of(node)]
                    found += _dropped(function)
    return found


def _of(node: ast.AST) -> Iterator[tuple[str, Callable[[], object]]]:
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        yield ast.unparse(node), lambda: setattr(node, "op", _BINARY[type(node.op)]())
        yield "swap " + ast.unparse(node), lambda: _swap(node, "left", "right")
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        yield "swap " + ast.unparse(node), lambda: _swap(node, "left", "right")
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARED:
        yield ast.unparse(node), lambda: setattr(node, "ops", [_COMPARED[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield repr(node.value), lambda: setattr(node, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield f"{node.value} + 1", lambda: setattr(node, "value", node.value + 1)
        yield f"{node.value} - 1", lambda: setattr(node, "value", node.value - 1)
    elif isinstance(node, ast.Call) and node.keywords:
        yield "drop " + ast.unparse(node.keywords[-1]), lambda: node.keywords.pop()
    elif isinstance(node, ast.Call) and len(node.args) > 1:
        yield "swap arguments of " + ast.unparse(node), lambda: node.args.reverse()
    elif isinstance(node, ast.If | ast.IfExp):
        yield (
            "condition " + ast.unparse(node.test),
            lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test)),
        )


def _swap(node: ast.AST, one: str, other: str) -> None:
    left, right = getattr(node, one), getattr(node, other)
    setattr(node, one, right)
    setattr(node, other, left)


def _dropped(function: ast.FunctionDef) -> Iterator[tuple[str, Callable[[], object]]]:
    for at, statement in enumerate(function.body):
        if not isinstance(statement, ast.Return) and len(function.body) > 1:
            yield f"drop {ast.unparse(statement)[:60]}", lambda at=at: function.body.pop(at)  # type: ignore[misc]


# --- only names changed ---


def renamed(source: str) -> str:
    """Return the module with every local variable of every function renamed."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            _rename_locals(node)
    return ast.unparse(tree)


def _rename_locals(function: ast.FunctionDef) -> None:
    inside = list(ast.walk(function))
    if sum(isinstance(each, ast.FunctionDef | ast.Lambda | ast.ClassDef) for each in inside) > 1:
        return  # an inner function may share these names
    arguments = {each.arg for each in inside if isinstance(each, ast.arg)}
    shared = [each.names for each in inside if isinstance(each, ast.Global | ast.Nonlocal)]
    outside = {name for names in shared for name in names}
    names = [node for node in inside if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)} - arguments - outside
    for node in names:
        if node.id in own:
            node.id = f"my_{node.id}"
