"""A stub is its solution without the answers, and both have the same contract."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.course.stubs import contract, declaration, definition_line, make_stub, read_contract


def text(source: str) -> str:
    return dedent(source).lstrip("\n")


SOLUTION = text('''
    """The module says what it is about."""

    import math
    from torch import Tensor, nn

    LIMIT = 3  # a constant stays


    def double(
        x: Tensor,
        *,
        times: int = 2,
    ) -> Tensor:
        """Return twice the input.

        Formula: 2 x.
        """
        # The answer is here.
        secret = _secret(x)
        return secret


    # What the helper is for.
    def _secret(x):
        return 2 * x


    @some.decorator(1)
    def no_docstring(x):
        secret = x
        return secret


    class _Hidden:
        secret = 1


    class Layer(nn.Module):
        """A layer
        of two lines.

        More about it.
        """

        size: int = 4

        def __init__(self, width: int, bias=True):
            """Make it."""
            super().__init__()
            self.secret = width

        def forward(self, x: Tensor) -> Tensor:
            """Apply it."""
            return self._secret(x)

        # Why the helper.
        @staticmethod
        def _secret(x):
            return x

        @property
        def last(self) -> int:
            return self.secret


    class Config:  # given
        def __init__(self, width):
            self.given_too = width


    def shown(x):  # given
        return x + 1
''')

STUB = text('''
    """The module says what it is about."""

    import math
    from torch import Tensor, nn

    LIMIT = 3  # a constant stays


    def double(
        x: Tensor,
        *,
        times: int = 2,
    ) -> Tensor:
        """Return twice the input.

        Formula: 2 x.
        """
        raise NotImplementedError


    @some.decorator(1)
    def no_docstring(x):
        raise NotImplementedError


    class Layer(nn.Module):
        """A layer
        of two lines.

        More about it.
        """

        size: int = 4

        def __init__(self, width: int, bias=True):
            """Make it."""
            raise NotImplementedError

        def forward(self, x: Tensor) -> Tensor:
            """Apply it."""
            raise NotImplementedError

        @property
        def last(self) -> int:
            raise NotImplementedError


    class Config:  # given
        def __init__(self, width):
            self.given_too = width


    def shown(x):  # given
        return x + 1
''')


def test_a_stub_keeps_everything_except_the_answers():
    assert make_stub(SOLUTION) == STUB


def test_the_stub_of_a_stub_is_itself():
    assert make_stub(STUB) == STUB


def test_a_stub_has_the_contract_of_its_solution():
    assert contract(STUB) == contract(SOLUTION)


_FUNCTIONS = st.sampled_from(
    [
        'def {name}(x, /, y: int = 1, *rest: int, z, **more: str) -> int:\n    """Doc."""\n    return 1\n',
        'async def {name}():\n    """Doc of\n    two lines.\n    """\n    # note\n    return 1\n    # end\n',
        "def {name}(x):\n    return x\n",
        "def {name}(x) -> int: ...\n",
        "def {name}(x): return 'é'\n",
        "@decorated\ndef {name}(\n    x,\n):\n    if x:\n        return 1\n    return 2\n",
        'class {name}(Base):\n    """Doc."""\n\n    def forward(self, x):\n        return x\n',
        "class {name}:\n    def __init__(self, x):  # given\n        self.x = x\n\n    def f(self): ...\n",
        "class {name}:\n    @property\n    def f(self):\n        return 1\n\n    async def g(self): ...\n",
        "def {name}():  # given\n    return 1\n",
        "{name} = 1  # constant\n",
        "# a comment between\n",
    ]
)
_MODULES = st.lists(st.tuples(_FUNCTIONS, st.booleans()), max_size=6).map(
    lambda parts: "\n\n".join(
        part.format(name=f"{'_' if private else ''}name{i}") for i, (part, private) in enumerate(parts)
    )
)


@settings(deadline=None)
@given(_MODULES)
def test_every_stub_is_valid_idempotent_and_has_the_contract_of_its_solution(source: str):
    stub = make_stub(source)
    ast.parse(stub)
    assert make_stub(stub) == stub
    declared = {name: signature.text for name, signature in contract(source).items()}
    assert {name: signature.text for name, signature in contract(stub).items()} == declared


def test_a_given_method_does_not_make_its_class_given():
    source = text("""
        class Layer:
            def __init__(self, width):  # given
                self.width = width

            @classmethod
            def load(
                cls,
                path,
            ):  # given
                return cls(path.read_text())

            def forward(self, x):
                return x + 1
    """)
    assert "self.width = width" in make_stub(source)
    assert "return cls(path.read_text())" in make_stub(source)
    assert "x + 1" not in make_stub(source)


def test_a_body_on_the_line_of_its_def_is_removed():
    assert make_stub("def answer(x: str = 'é') -> int: return 42\n") == (
        "def answer(x: str = 'é') -> int:\n    raise NotImplementedError\n"
    )


@pytest.mark.parametrize("character", ["\x0c", "\u2028", "\x85", "\x1c"])
def test_unusual_line_separators_in_a_docstring_do_not_shift_lines(character: str):
    source = f'"""Odd {character} one."""\n\n\ndef answer(x):\n    """Doc."""\n    return 42\n'
    stub = f'"""Odd {character} one."""\n\n\ndef answer(x):\n    """Doc."""\n    raise NotImplementedError\n'
    assert make_stub(source) == stub
    assert contract(source)["answer"].declaration == "def answer(x):"


# --- the contract --------------------------------------------------------------------------------


def test_the_contract_lists_public_names_in_order():
    assert list(contract(SOLUTION)) == ["double", "no_docstring", "Layer", "Config", "shown"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(x: int, y: str = 'a') -> int: ...", "f(x, y='a')"),
        ("def f(x, /, *, k: int = 1): ...", "f(x, /, *, k=1)"),
        ("def f(*rest: int, **more: str): ...", "f(*rest, **more)"),
        ("class A:\n    def __init__(self, n: int = 2): ...", "A(n=2)"),
        ("class A:\n    def __init__(self, /, n: int): ...", "A(n)"),
        ("class A:\n    def forward(self, x): ...", "A"),
    ],
)
def test_a_signature_has_the_names_and_defaults_that_callers_rely_on(source: str, expected: str):
    assert [signature.text for signature in contract(source).values()] == [expected]


def test_a_summary_is_the_first_paragraph_on_one_line():
    assert contract(SOLUTION)["Layer"].summary == "A layer of two lines."


@pytest.mark.parametrize(
    ("name", "declaration"),
    [
        ("double", "def double(\n    x: Tensor,\n    *,\n    times: int = 2,\n) -> Tensor:"),
        ("no_docstring", "def no_docstring(x):"),
        ("Layer", "class Layer(nn.Module):"),
        ("Config", "class Config:  # given"),
    ],
)
def test_a_declaration_is_quoted_from_the_source(name: str, declaration: str):
    assert contract(SOLUTION)[name].declaration == declaration


def test_a_decorated_first_method_is_not_part_of_the_class_declaration():
    source = "class A:\n    @property\n    def __init__(self):\n        return 1\n"
    assert contract(source)["A"].declaration == "class A:"


@pytest.mark.parametrize("content", [b"def f(:", b"\xff", b"\0", b"  x = 1\n y"])
def test_a_file_that_cannot_be_parsed_has_no_contract(tmp_path: Path, content: bytes):
    (tmp_path / "stub.py").write_bytes(content)
    assert read_contract(tmp_path / "stub.py") == {}


def test_a_missing_file_has_no_contract(tmp_path: Path):
    assert read_contract(tmp_path / "gone.py") == {}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_contract_is_independent_of_encoding_and_line_endings(tmp_path: Path, encoding: str, newline: str):
    (tmp_path / "stub.py").write_text(SOLUTION, encoding=encoding, newline=newline)
    assert read_contract(tmp_path / "stub.py") == contract(SOLUTION)


@pytest.mark.parametrize(
    "source",
    [
        "def f(x, x2=1, *a, y, z=2, **k): ...",
        "class A:\n    def __init__(*args): ...",
        "class A: __init__ = 1",
    ],
)
def test_every_declaration_of_a_learner_can_be_read(source: str):
    assert len(contract(source)) == 1


# --- where something is defined ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("double", "def double("),
        ("no_docstring", "def no_docstring(x):"),
        ("Config", "class Config:  # given"),
        ("Layer.forward", "    def forward(self, x: Tensor) -> Tensor:"),
    ],
)
def test_a_definition_is_found_at_its_def_or_class(name: str, line: str):
    assert SOLUTION.splitlines()[definition_line(SOLUTION, name) - 1] == line


def test_a_missing_method_has_no_line():
    assert definition_line(SOLUTION, "Layer.backward") is None


def test_a_layer_is_found_at_its_class():
    line = definition_line(SOLUTION, "Layer")
    assert SOLUTION.splitlines()[line - 1].startswith("class Layer")


def test_the_declaration_of_a_method_is_quoted_from_the_source():
    found = declaration(SOLUTION, "Layer.forward")
    assert found.declaration.strip() == "def forward(self, x: Tensor) -> Tensor:"
    assert declaration(SOLUTION, "Layer.backward") is None


def test_solved_definitions_and_private_names_are_kept():
    source = (
        "def _half(x):\n    return x / 2\n\n\ndef f(x):\n    return _half(x)\n\n\ndef g(x):\n    return x\n"
    )
    stub = make_stub(source, solved=["f"])
    assert "return _half(x)" in stub
    assert "return x / 2" in stub
    assert "def g(x):\n    raise NotImplementedError" in stub


def test_a_byte_order_mark_does_not_hide_a_definition():
    assert definition_line("\ufeff" + SOLUTION, "double") == definition_line(SOLUTION, "double")


@pytest.mark.parametrize("source", ["def f(:", "def g(): ...", "f = 1", "", "\0"])
def test_an_undefined_name_has_no_line(source: str):
    assert definition_line(source, "f") is None
