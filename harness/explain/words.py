"""What a learner reads about a failed test."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.explain.attention_map import heat_lines
from harness.explain.findings import Finding
from harness.explain.observation_words import seen_lines
from harness.explain.outside_tests import KataError
from harness.explain.side_by_side import beyond_a_table
from harness.terminal.lines import WIDTH, Line, message_lines, paragraph


def headline(finding: Finding) -> str:
    """A finding in one line."""
    first, *rest = (line.text.strip() for line in explanation(finding))
    joined = finding.kind in ("unimportable", "raised") and first.endswith(":") and rest
    return f"{first} {rest[0]}" if joined else first.removesuffix(":")


def explanation(finding: Finding) -> list[Line]:
    lines: list[str | Line] = [*_EXPLAIN[finding.kind](finding.facts)]
    if finding.changed:
        function, argument = finding.changed
        lines = [
            f"{function} writes into its argument {argument}; arguments are to stay as they are.",
            "",
            *lines,
        ]
    return [indented(line) for line in lines]


def indented(line: str | Line) -> Line:
    if isinstance(line, Line):
        return Line(f"  {line.text}", line.style, (("  ", ""), *line.parts))
    return Line(f"  {line}" if line else "")


def _unwritten(facts: Mapping[str, Any]) -> list[str]:
    lines = [f"{facts['name']} is not written yet."]
    if facts["elsewhere"]:
        lines.append(f"It belongs to kata {facts['elsewhere']}, which this one builds on.")
    declared = textwrap.dedent(facts["declaration"]).splitlines()
    for part in ([f"  {line}" for line in declared], textwrap.wrap(facts["summary"], WIDTH - 2)):
        lines += ["", *part] if part else []
    return lines


def _unimportable(facts: Mapping[str, Any]) -> list[str]:
    name = facts["file"].rsplit("/", 1)[-1]
    if facts["type"] == "SystemExit":
        return [f"{name} ends the program (sys.exit) while it is imported; a kata only defines things."]
    lines = [f"{name} cannot be imported:", *message_lines(f"{facts['type']}: {facts['message']}")]
    if facts.get("module"):
        lines.append("The katas need only the standard library, torch, numpy and jaxtyping.")
    if facts["type"] == "FileNotFoundError" and name in facts["message"]:
        return [f"{name} is gone; `harness reset` brings the shipped file back."]
    if facts["type"] == "TooSlow":
        lines = [f"Importing {name} was {facts['message']} and was stopped: an endless loop?"]
    return lines


def _missing(facts: Mapping[str, Any]) -> list[str]:
    name = facts["file"].rsplit("/", 1)[-1]
    lines = [f"{name} defines no {facts['name']}; the tests import it by that name."]
    if facts["present"]:
        lines.append(f"It does define {', '.join(facts['present'])}: was it renamed?")
    return lines


def _type(facts: Mapping[str, Any]) -> list[str]:
    function, argument = facts["function"], facts["argument"]
    if facts["returned_none"]:
        return [
            f"{function} returned None: is a `return` missing?",
            f"It is to return {facts['annotation']}.",
        ]
    subject = f"{function} was called with {argument} =" if argument else f"{function} returned"
    lines = [f"{subject} {' '.join(facts['got'].split())}"]
    if facts["expected_shape"]:
        lines.append(f"expected {' ' * max(0, len(subject) - 9)} {facts['expected_shape']}")
    lines.append(f"as the signature says: {facts['annotation']}")
    if facts["wrong_dtype"]:
        lines.append(f"The dtype is wrong: the signature asks for {facts['annotation'].split('[')[0]}.")
    if facts["count"]:
        wanted, got = facts["count"]
        lines.append(f"It has {_axes(got)}; expected {wanted}.")
    return lines + [_axis(axis) for axis in facts["axes"]]


def _axes(count: int) -> str:
    return f"{count or 'no'} {'axis' if count == 1 else 'axes'}"


def _axis(axis: Mapping[str, Any]) -> str:
    same_as = f", as in {axis['bound_by']}" if axis["bound_by"] else ""
    name = "" if axis["name"].isdigit() else f" ({axis['name'].strip('{}')})"
    return f"The {axis['where']} axis{name} is {axis['got']}; expected {axis['expected']}{same_as}."


def _signature(facts: Mapping[str, Any]) -> list[str]:
    return [
        "The signature is not the shipped one, so the test's call does not fit:",
        f"shipped  {facts['shipped']}",
        f"yours    {facts['own']}",
    ]


def _compared(facts: Mapping[str, Any]) -> list[str | Line]:
    message = [line.strip() for line in facts["message"].splitlines() if line.strip()]
    seen = seen_lines(facts.get("seen", ()), facts.get("axes", ()), facts.get("shape", ()))
    if facts["by"] == "assert_close":
        return [*_how_far(message), *seen, "", *_values(facts)]
    own_words = message_lines(message[0]) if message and not message[0].startswith("assert ") else []
    return [*(own_words or ["The value is not the expected one:"]), *seen, *facts["table"]]


def _values(facts: Mapping[str, Any]) -> Sequence[str | Line]:
    """The numbers; of attention that a table has no room for, a map."""
    if "heat" not in facts or not beyond_a_table(facts["shape"]):
        return list(facts["table"])
    parts = [tuple(line) for line in heat_lines(facts["heat"], facts["axes"])]
    return [Line("".join(text for text, _ in line), "", line) for line in parts]


def _refused_in_other_words(facts: Mapping[str, Any]) -> list[str]:
    lines = [
        f"The {facts['type']} is right, its text is not:",
        *(f"  {line}" for line in message_lines(facts["message"])),
    ]
    lacks = ", ".join(facts["lacks"])
    return [*lines, *textwrap.wrap(f"It has to name {lacks}.", WIDTH - 2)] if lacks else lines


def _how_far(message: Sequence[str]) -> list[str]:
    """torch's message about two tensors in one sentence; one of another form as it is."""
    text = "\n".join(message)
    attribute = re.match(r"The values for attribute '(\w+)", text)
    if attribute and attribute[1] == "device":
        return [
            "The device is not the expected one. What a function makes has to be made on",
            "the device of its inputs (device=x.device).",
            *(["Here meta stands for another device, such as a GPU:"] if "meta" in text else []),
        ]
    if attribute:
        return [f"The {attribute[1]} is not the expected one:"]
    if text.startswith("The keys of the mappings"):  # the table below names them
        return ["The value is not the expected one:"]
    share = re.search(r"Mismatched elements: (\d+) / (\d+)", text)
    distance = re.search(r"[Aa]bsolute difference: (\S+)(?:.*\(up to (\S+) allowed)?", text)
    if not distance:
        return [line for part in message[:4] for line in message_lines(part)]
    relative = re.search(r"[Rr]elative difference: .*\(up to (\S+) allowed", text)
    by_share = relative and distance[2] in ("0", "0.0") and float(relative[1]) != 0
    allowed = f"{relative[1]} of each value" if relative and by_share else distance[2]
    by = f"{_short(distance[1])}{f' (allowed: {allowed})' if allowed else ''}"
    if not share:
        return [f"The number is off by {by}:"]
    return [f"{share[1]} of {share[2]} entries {'differs' if share[1] == '1' else 'differ'}, by up to {by}:"]


def _short(number: str) -> str:
    try:
        return f"{float(number):.3g}"
    except ValueError:
        return number


def _raised(facts: Mapping[str, Any]) -> list[str]:
    kind, message = facts["type"], facts["message"]
    wanted = facts.get("wanted")
    by_test = kind in ("AssertionError", "Failed") and facts.get("in_test")
    if kind == "Failed" and message.startswith("DID NOT RAISE"):
        return [f"No error was raised; the test expects {wanted or 'one'}.", *_statement(facts)]
    if wanted and kind != wanted and not by_test:
        return [
            f"The test expects {wanted}; your code raised:",
            *message_lines(f"{kind}: {message}".rstrip(": ")),
        ]
    if wanted and kind == "AssertionError":  # pytest's own: the message of the error does not match
        return [f"The {wanted} is right, its text is not:", *message_lines(message)]
    if by_test:
        return _failed_assertion(facts)
    return _ERRORS[kind](message) if kind in _ERRORS else _other_error(kind, message)


def _failed_assertion(facts: Mapping[str, Any]) -> list[str]:
    """The author's words if there are any, and the assertion as it is written."""
    message = facts["message"].splitlines()
    own_words = message and not message[0].startswith("assert ")
    return [*(message_lines(message[0]) if own_words else ["This does not hold:"]), *_statement(facts)]


def _statement(facts: Mapping[str, Any]) -> list[str]:
    lines = textwrap.dedent(facts.get("statement") or "").splitlines()
    return [f"  {line}" for line in lines[:6]] + (["  …"] if len(lines) > 6 else [])


def _other_error(kind: str, message: str) -> list[str]:
    lines = message_lines(f"{kind}: {message}".rstrip(": "), 6)
    if kind in ("RuntimeError", "NotImplementedError") and re.search(r"\bmeta\b", message):
        lines += [
            "The meta device keeps shapes but no numbers. What a function makes has to be",
            "made on the device of its inputs (device=x.device), without looking at values.",
        ]
    if "does not require grad and does not have a grad_fn" in message:
        lines.append("The result is cut off from its inputs: no gradient can flow back to them.")
    if "appears to not have been used in the graph" in message:
        lines.append("The result is cut off from that input (0 is the first): it gets no gradient.")
    if "a leaf Variable that requires grad is being used in an in-place" in message:
        lines += [
            "The line writes into an input, or into a parameter outside torch.no_grad().",
            "Operations without a trailing underscore make a new tensor; so does x - y.",
        ]
    if "Unexpected key(s) in state_dict" in message:
        lines.append("Is it an nn.Parameter, a buffer or a module of the class, by exactly this name?")
    if kind == "AttributeError" and _NO_SUPER.search(message):
        lines.append("Is super().__init__() the first line of __init__?")
    return lines


_NO_SUPER = re.compile(r"before Module.__init__\(\)|'_(parameters|buffers|modules|\w*_hooks)'")


def _own_exit(message: str) -> list[str]:
    return ["Your code calls sys.exit(); a kata returns a value or raises an error."]


def _endless_recursion(message: str) -> list[str]:
    return ["The function calls itself without end (RecursionError)."]


def _operating_system(message: str) -> list[str]:
    if "reading from stdin" in message:
        return ["Your code reads from the keyboard; a kata gets everything from its arguments."]
    return _other_error("OSError", message)


_ERRORS: dict[str, Callable[[str], list[str]]] = {
    "RecursionError": _endless_recursion,
    "OSError": _operating_system,
    "SystemExit": _own_exit,
}


def _slow(facts: Mapping[str, Any]) -> list[str]:
    what = f"Importing {facts['file'].rsplit('/', 1)[-1]}" if facts["during"] == "import" else "The test"
    return [
        f"{what} was still running after {facts['seconds']:g} s and was stopped: an endless loop?",
        "The line below is where it was." if facts["located"] else "It was not in a line of yours.",
    ]


def _left(facts: Mapping[str, Any]) -> list[str]:
    return [f"Your code ended the whole Python process: os._exit({facts['status']})."]


def _crashed(facts: Mapping[str, Any]) -> list[str]:
    return [f"Python itself crashed ({facts['how']}); no error could be raised."]


_EXPLAIN: dict[str, Callable[[Mapping[str, Any]], Sequence[str | Line]]] = {
    "unwritten": _unwritten,
    "unimportable": _unimportable,
    "missing": _missing,
    "type": _type,
    "signature": _signature,
    "compared": _compared,
    "refused": _refused_in_other_words,
    "raised": _raised,
    "slow": _slow,
    "left": _left,
    "crashed": _crashed,
}


def failed_in_katas(failure: KataError) -> list[Line]:
    """An error that came out of the katas while training or sampling."""
    if failure.unwritten and failure.kata and failure.calls:
        return [
            Line(f"{failure.calls[-1].function} of kata {failure.kata.title} is not written yet.", "bad"),
            Line(f"  {failure.calls[-1].place}", "dim"),
            Line(),
            Line(f"Next: pytest katas/{failure.kata.number}"),
            Line("See it work with the reference in place of what is missing:  harness demo", "dim"),
        ]
    if failure.is_of_the_request:
        return [*paragraph(f"{failure.message}", "", "bad")]
    lines = [*paragraph(f"{failure.kind}: {failure.message}", "", "bad"), Line()]
    for call in failure.calls:
        lines += [Line(f"  {call.place}   in {call.function}", "dim"), Line(f"    {call.code}")]
    if failure.kata:
        lines += [
            Line(),
            Line(f"Next: pytest katas/{failure.kata.number}, or with the reference:  --solutions"),
        ]
    return lines
