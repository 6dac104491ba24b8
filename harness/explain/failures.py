"""The kinds of failure, each with its sentences beside its facts.

The one exception, with observations, to the rule that a learner's sentences stand in words.py: a new kind of
failure touches this file alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.explain.axes import WrongAxis
from harness.explain.causes import Cause
from harness.explain.shown import Shown
from harness.explain.words import (
    caused_by,
    compared_by_torch,
    error_lines,
    failed_assertion,
    may_be_about_axes,
    not_as_expected,
    number_of_axes,
    plural_axes,
    shapes_explain,
    statement_lines,
)
from harness.terminal.lines import WIDTH, Line, message_lines


@dataclass(frozen=True)
class Failure:
    """Why a test failed."""

    nameable: ClassVar[bool] = False  # True if a known mistake may explain it
    joins_headline: ClassVar[bool] = False  # True if a first line that ends in a colon needs the second
    unwritten: ClassVar[bool] = False

    def lines(self) -> Sequence[str | Line]:
        """Say it, the most important line first."""
        raise NotImplementedError

    def has_shapes_to_explain(self) -> bool:
        """True if the shapes that led to the failure help to understand it."""
        return False


@dataclass(frozen=True)
class Unwritten(Failure):
    """A function of the learner's that still raises NotImplementedError."""

    name: str
    declaration: str = ""
    summary: str = ""
    elsewhere: str = ""  # the title of the earlier kata it belongs to

    unwritten: ClassVar[bool] = True

    def lines(self) -> list[str]:
        lines = [f"{self.name} is not written yet."]
        if self.elsewhere:
            lines.append(f"It belongs to kata {self.elsewhere}, which this one builds on.")
        declared = textwrap.dedent(self.declaration).splitlines()
        for part in ([f"  {line}" for line in declared], textwrap.wrap(self.summary, WIDTH - 2)):
            lines += ["", *part] if part else []
        return lines


@dataclass(frozen=True)
class Unimportable(Failure):
    """The learner's file raises an error when it is imported."""

    file: str
    error: str  # the exception's name
    message: str
    missing_module: str = ""

    joins_headline: ClassVar[bool] = True

    def lines(self) -> list[str]:
        name = _file_name(self.file)
        if self.error == "SystemExit":
            return [f"{name} ends the program (sys.exit) when imported; a kata only defines things."]
        if self.error == "FileNotFoundError" and name in self.message:
            return [f"{name} is missing; `harness reset` restores the original."]
        if self.error == "TooSlow":
            return [f"Importing {name} was {self.message} and was stopped. An infinite loop?"]
        if self.error in ("MergeConflict", "NotUtf8"):
            return textwrap.wrap(self.message, WIDTH - 2)
        lines = [f"{name} cannot be imported:", *message_lines(f"{self.error}: {self.message}")]
        if self.missing_module:
            lines.append("The katas need only the standard library, torch, numpy and jaxtyping.")
        return lines


@dataclass(frozen=True)
class NameMissing(Failure):
    """The learner's file does not define a name that the tests import."""

    name: str
    file: str
    present: tuple[str, ...] = ()  # names like it that the file does define

    def lines(self) -> list[str]:
        lines = [f"{_file_name(self.file)} does not define {self.name}, which the tests import."]
        if self.present:
            lines.append(f"It does define {', '.join(self.present)}: was it renamed?")
        return lines


@dataclass(frozen=True)
class WrongType(Failure):
    """A value that does not fit its annotation."""

    function: str
    argument: str | None  # None: the return value
    annotation: str
    got: str  # "float32 (2, 3, 4)", "None", "int 3"
    expected_shape: str = ""  # "(2, 3, 5)" as far as it is known; "" if it is not a tensor
    returned_none: bool = False
    wrong_dtype: bool = False
    count: tuple[int, int] | None = None  # (axes wanted, axes got); then no single axis is wrong
    axes: tuple[WrongAxis, ...] = ()

    nameable: ClassVar[bool] = True

    def has_shapes_to_explain(self) -> bool:
        return not self.returned_none and bool(self.expected_shape)

    def lines(self) -> list[str]:
        if self.returned_none:
            return [
                f"{self.function} returned None: is a `return` missing?",
                f"It should return {self.annotation}.",
            ]
        called = f"{self.function} was called with {self.argument} ="
        subject = called if self.argument else f"{self.function} returned"
        lines = [f"{subject} {' '.join(self.got.split())}"]
        if self.expected_shape:
            lines.append(f"expected {' ' * max(0, len(subject) - 9)} {self.expected_shape}")
        lines.append(f"as the signature says: {self.annotation}")
        if self.wrong_dtype:
            lines.append(f"The dtype is wrong: the signature asks for {self.annotation.split('[')[0]}.")
        if self.count:
            wanted, got = self.count
            lines.append(f"It has {plural_axes(got)}; expected {wanted}.")
        return lines + [_axis(axis) for axis in self.axes]


def _axis(axis: WrongAxis) -> str:
    same_as = f", as in {axis.bound_by}" if axis.bound_by else ""
    name = "" if axis.name.isdigit() else f" ({axis.name.strip('{}')})"
    return f"The {axis.where} axis{name} is {axis.got}; expected {axis.expected}{same_as}."


@dataclass(frozen=True)
class WrongSignature(Failure):
    """The test's call does not fit, because the learner has changed the signature."""

    original: str
    own: str

    def lines(self) -> list[str]:
        return [
            "Your signature differs from the original, so the test cannot call it:",
            f"original  {self.original}",
            f"yours     {self.own}",
        ]


@dataclass(frozen=True)
class ValuesDiffer(Failure):
    """Two values that a test compared, and what can be seen in them."""

    message: str
    shown: Shown

    nameable: ClassVar[bool] = True

    def has_shapes_to_explain(self) -> bool:
        return "The values for attribute 'shape'" in self.message

    def lines(self) -> list[str | Line]:
        message = [line.strip() for line in self.message.splitlines() if line.strip()]
        shown = self.shown
        call = ["", *shown.call] if shown.call else []
        if shown.by == "assert_close":
            said = compared_by_torch(message, shown.subject, is_mask=shown.is_mask)
            return [*said, *shown.sentences(), "", *shown.values(), *call]
        own_words = message_lines(message[0]) if message and not message[0].startswith("assert ") else []
        return [
            *(own_words or not_as_expected(shown.subject)),
            *shown.sentences(),
            *shown.table,
            *call,
        ]


@dataclass(frozen=True)
class WrongMessage(Failure):
    """A value was refused as it should be, with a message that does not mention what it must."""

    error: str
    message: str
    lacks: tuple[str, ...] = ()
    call: tuple[str, ...] = ()  # the learner's function with its arguments
    causes: tuple[Cause, ...] = ()

    nameable: ClassVar[bool] = True

    def lines(self) -> list[str]:
        must = f"must mention {', '.join(self.lacks)}" if self.lacks else "is not as expected"
        first = textwrap.wrap(f"{self.error} is right, but its message {must}:", WIDTH - 2)
        return [
            *first,
            *(f"  {line}" for line in message_lines(self.message)),
            *self.call,
            *caused_by(self.causes),
        ]


@dataclass(frozen=True)
class Raised(Failure):
    """An error like any other: the learner's, torch's, or an assertion that compares nothing."""

    error: str
    message: str
    in_test: bool = False  # True if no line of the learner's raised it
    wanted: str = ""  # the error that the test expects there
    statement: str = ""  # of the test
    call: tuple[str, ...] = ()  # the learner's function with its arguments
    axes: tuple[str, str, Sequence[int]] | None = None  # of the call: an argument, "*batch", its sizes
    causes: tuple[Cause, ...] = ()
    compared: tuple[str, ...] = ()  # what the assertion compared, in a line or two: "2.4 in (2.0, 0.4)"

    nameable: ClassVar[bool] = True
    joins_headline: ClassVar[bool] = True

    def has_shapes_to_explain(self) -> bool:
        return shapes_explain(self.error, self.message)

    def lines(self) -> list[str]:
        axes = self.axes if may_be_about_axes(self.message) else None
        counted = textwrap.wrap(number_of_axes(*axes), WIDTH - 2) if axes else []
        return [*self._what_happened(), *self.call, *counted, *caused_by(self.causes)]

    def _what_happened(self) -> list[str]:
        by_test = self.error in ("AssertionError", "Failed") and self.in_test
        if self.error == "Failed" and self.message.startswith("DID NOT RAISE"):
            expected = self.wanted or "one"
            return [f"No error was raised; the test expects {expected}.", *statement_lines(self.statement)]
        if self.wanted and self.error != self.wanted and not by_test:
            raised = f"{self.error}: {self.message}".rstrip(": ")
            return [f"The test expects {self.wanted}; your code raised:", *message_lines(raised)]
        if self.wanted and self.error == "AssertionError":  # pytest's own: the message does not match
            return [f"{self.wanted} is right, but its message is not:", *message_lines(self.message)]
        if by_test:
            return failed_assertion(self.message, self.statement, self.compared)
        return error_lines(self.error, self.message)


@dataclass(frozen=True)
class Slow(Failure):
    """A test or an import that took longer than its limit."""

    seconds: float
    imported: str = ""  # the file, if it was being imported
    located: bool = False  # True if the line is known

    def lines(self) -> list[str]:
        what = f"Importing {_file_name(self.imported)}" if self.imported else "The test"
        return [
            f"{what} was still running after {self.seconds:g} s and was stopped. An infinite loop?",
            "It was at the line below." if self.located else "It was not in your code.",
        ]


@dataclass(frozen=True)
class HardExit(Failure):
    """The learner's code called os._exit."""

    status: int

    def lines(self) -> list[str]:
        return [f"Your code ended the whole Python process: os._exit({self.status})."]


@dataclass(frozen=True)
class Crashed(Failure):
    """The process died."""

    how: str

    def lines(self) -> list[str]:
        return [f"Python itself crashed ({self.how}); no error could be raised."]


@dataclass(frozen=True)
class BrokeDown(Failure):
    """pytest itself could not go on after the learner's code."""

    error: str  # the exception's name
    message: str

    def lines(self) -> list[str]:
        return [
            *textwrap.wrap(
                "pytest itself could not go on. Your code may have changed what all of Python relies on, or"
                " used up what the system allows; --tb=short shows the traceback.",
                WIDTH - 2,
            ),
            "",
            *message_lines(f"{self.error}: {self.message}", 3),
        ]


def _file_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
