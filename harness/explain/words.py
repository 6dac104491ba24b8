"""What a learner reads about errors, whatever kind of failure they are part of."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from harness.explain.causes import Cause
from harness.explain.outside_tests import KataError
from harness.terminal.lines import WIDTH, Line, message_lines, paragraph

_LONGEST_CAUSE = 300  # characters
_OF_TORCH = ("RuntimeError", "IndexError", "ValueError", "TypeError")
_SIZES = re.compile(
    r"\b(sizes?|shapes?|dim(ension)?s?|mat1|broadcast\w*|expand\w*|reshape|view|einsum|input of length"
    r"|to unpack|tuple index|too many indices|permute)\b",
    re.I,
)
# Errors of code for one number of axes that is given another: `B, T, C = x.size()`, `x.shape[2]`, a view, …
_AXES = re.compile(
    r"values to unpack|tuple index out of range|dimension out of range|too many indices|subscripts"
    r"|number of dimensions|is invalid for input of size|expects? a (1|2|3|4)D|must be a \dD|\dD tensor"
    r"|only supported on matrices|expects? a tensor with <=? \d dim|dim(ension)?s? specified as",
    re.I,
)


def shapes_explain(error: str, message: str) -> bool:
    """True if an error of torch's is about sizes."""
    return error in _OF_TORCH and bool(_SIZES.search(message))


def values_up_to(largest: float) -> str:
    return f"values up to {largest:.3g}"


def may_be_about_axes(message: str) -> bool:
    """True if an error is one of code that expects another number of axes."""
    return bool(_AXES.search(message))


def number_of_axes(argument: str, name: str, sizes: Sequence[int]) -> str:
    """Say how many axes `*batch` stands for, unless it is one, as most code expects."""
    if not sizes:
        return f"{name} may be empty, as it is in {argument} here."
    return f"{name} may be several axes: {argument} has {len(sizes)} of them here." if len(sizes) > 1 else ""


def caused_by(causes: Sequence[Cause]) -> list[str]:
    """Say from which errors of the learner's code an error was made."""
    lines = []
    for cause in causes:
        first = (cause.message.splitlines() or [""])[0]
        raised = f"{cause.error}: {first}".rstrip(": ")
        lines += textwrap.wrap(
            f"caused by {raised[:_LONGEST_CAUSE]}, line {cause.line}", WIDTH - 2, subsequent_indent="  "
        )
    return lines


def plural_axes(count: int) -> str:
    """Return "no axes", "1 axis" or "3 axes"."""
    return f"{count or 'no'} {'axis' if count == 1 else 'axes'}"


def values_cannot_be_shown(error: str, message: str) -> str:
    return f"(the values cannot be shown: {error}: {message})"


def failed_assertion(message: str, statement: str, compared: Sequence[str] = ()) -> list[str]:
    """Return the author's words, if the assertion has any, and the assertion itself."""
    lines = message.splitlines()
    own_words = lines and not lines[0].startswith("assert ")
    return [
        *(message_lines(lines[0]) if own_words else ["This assertion fails:"]),
        *statement_lines(statement),
        *(["The values:", *(f"  {line}" for line in compared)] if len(compared) > 1 else []),
        *([f"The values: {compared[0]}"] if len(compared) == 1 else []),
    ]


def statement_lines(statement: str) -> list[str]:
    """Return the first lines of a statement, indented."""
    lines = textwrap.dedent(statement).splitlines()
    return [f"  {line}" for line in lines[:6]] + (["  …"] if len(lines) > 6 else [])


_NO_SUPER = re.compile(r"before Module.__init__\(\)|'_(parameters|buffers|modules|\w*_hooks)'")


def error_lines(error: str, message: str) -> list[str]:
    """Return an error's name and message, and what they mean here."""
    if error == "SystemExit":
        return ["Your code calls sys.exit(); a kata returns a value or raises an error."]
    if error == "NoDebugger":
        return [message, "Or set a breakpoint in your editor, and debug the test there."]
    if error == "EndedRun":
        return [
            "Your code calls pytest.exit(), which ends the run; a kata returns a value or raises an error."
        ]
    if error == "RecursionError":
        return ["The function calls itself forever (RecursionError)."]
    if error == "OSError" and "reading from stdin" in message:
        return ["Your code reads from the keyboard; a kata gets everything from its arguments."]
    return [*message_lines(f"{error}: {message}".rstrip(": "), 6), *_meanings(error, message)]


def _meanings(error: str, message: str) -> list[str]:
    if error in ("RuntimeError", "NotImplementedError") and re.search(r"\bmeta\b", message):
        return [
            "The meta device has shapes but no values. Create tensors on the device of the",
            "inputs (device=x.device), and do not look at values.",
        ]
    if "does not require grad and does not have a grad_fn" in message:
        return ["The result is cut off from its inputs: no gradient can flow back to them."]
    if "appears to not have been used in the graph" in message:
        return ["The result is cut off from that input (0 is the first): it gets no gradient."]
    if "a leaf Variable that requires grad is being used in an in-place" in message:
        return [
            "This line modifies an input, or a parameter outside torch.no_grad().",
            "Operations without a trailing underscore make a new tensor; so does x - y.",
        ]
    if "Unexpected key(s) in state_dict" in message:
        return ["Is it an nn.Parameter, a buffer or a module of the class, by exactly this name?"]
    if error == "AttributeError" and _NO_SUPER.search(message):
        return ["Is super().__init__() the first line of __init__?"]
    return []


RETURNED_BY = "returned by"
LAST_CALL = "last call:"


def not_as_expected(subject: str) -> list[str]:
    """Say which value of the test is wrong, if it has an expression."""
    return textwrap.wrap(f"{subject or 'The value'} is not as expected:", WIDTH - 2, subsequent_indent="  ")


def compared_by_torch(message: Sequence[str], subject: str = "", *, is_mask: bool = False) -> list[str]:
    """Return torch's message about two tensors as one sentence; any other message unchanged."""
    text = "\n".join(message)
    attribute = re.match(r"The values for attribute '(\w+)", text)
    if attribute and attribute[1] == "device":
        return [
            "The device is not as expected. Create tensors on the device of the inputs",
            "(device=x.device).",
            *(["Here meta stands for another device, such as a GPU:"] if "meta" in text else []),
        ]
    if attribute:
        return [f"The {attribute[1]} is not as expected:"]
    if text.startswith("The keys of the mappings"):  # the table below names them
        return ["The value is not as expected:"]
    share = re.search(r"Mismatched elements: (\d+) / (\d+)", text)
    distance = re.search(r"[Aa]bsolute difference: (\S+)(?:.*\(up to (\S+) allowed)?", text)
    if not distance:
        return [line for part in message[:4] for line in message_lines(part)]
    relative = re.search(r"[Rr]elative difference: .*\(up to (\S+) allowed", text)
    by_share = relative and distance[2] in ("0", "0.0") and float(relative[1]) != 0
    allowed = f"{_short(relative[1])} of each value" if relative and by_share else _short(distance[2] or "")
    by = f"{_short(distance[1])}{f' (allowed: {allowed})' if allowed else ''}"
    if not share:
        return textwrap.wrap(f"{subject or 'The number'} is off by {by}:", WIDTH - 2, subsequent_indent="  ")
    far = "" if is_mask or distance[1] in ("inf", "nan") else f", by up to {by}"
    return [f"{share[1]} of {share[2]} entries {'differs' if share[1] == '1' else 'differ'}{far}:"]


def _short(number: str) -> str:
    if number.isdecimal():
        return number  # whole numbers are compared exactly
    try:
        return f"{float(number):.3g}"
    except ValueError:
        return number


def failed_in_katas(
    failure: KataError, *, solutions: bool = False, with_reference: str = "harness demo"
) -> list[Line]:
    """Explain an error of the katas in training or sampling; `solutions` if all are the reference.

    `with_reference` is the command that does the same with the reference.
    """
    if failure.unwritten and failure.kata and failure.calls:
        return [
            Line(f"{failure.calls[-1].function} of kata {failure.kata.title} is not written yet.", "bad"),
            Line(f"  {failure.calls[-1].place}", "dim"),
            Line(),
            Line(f"Next: pytest katas/{failure.kata.number}"),
            Line(f"See it work with the reference in place of what is missing:  {with_reference}", "dim"),
        ]
    if failure.refuses_a_value:
        return [*paragraph(f"{failure.message}", "", "bad")]
    lines = [*paragraph(f"{failure.kind}: {failure.message}", "", "bad"), Line()]
    for call in failure.calls:
        lines += [Line(f"  {call.place}   in {call.function}", "dim"), Line(f"    {call.code}")]
    if solutions:
        return [*lines, Line(), Line("Next: harness verify")]
    if failure.kata:
        lines += [
            Line(),
            Line(f"Next: pytest katas/{failure.kata.number}, or with the reference:  --solutions"),
        ]
    return lines
