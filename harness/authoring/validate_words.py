"""What `harness validate` prints."""

from __future__ import annotations

from collections.abc import Sequence

from harness.terminal.lines import Line, plural

HEADINGS = ("check", "command", "time", "result")
NO_TOX = "tox is needed, which this Python lacks. Next: python -m pip install tox   (or: make validate)"
_SHOWN = 5


def row(
    check: str, command: str, seconds: float, good: bool, summary: str, failed_tests: Sequence[str]
) -> tuple[str, str, str, str]:
    """The cells of a command, under HEADINGS."""
    more = [f"and {len(failed_tests) - _SHOWN} more"] if len(failed_tests) > _SHOWN else []
    said = ["FAILED" if not good else "ok", summary]
    result = [": ".join(filter(None, said)), *failed_tests[:_SHOWN], *more]
    return check, command, f"{seconds:.1f} s", "\n".join(result)


def closing(commands: int, failed_checks: Sequence[str], seconds: float) -> list[Line]:
    """One sentence on the whole."""
    in_all = f"{plural(commands, 'command')}, {seconds:.0f} s"
    if not failed_checks:
        return [Line(f"All is well: {in_all}.", "good")]
    names = ", ".join(failed_checks)
    return [
        Line(f"Failed: {names} ({in_all}).", "bad"),
        Line(f"What they said is above. One alone:  harness validate {failed_checks[0]}"),
    ]


def tox_stopped(status: int) -> str:
    return f"tox ended with status {status} and ran nothing to the end. Its reason is above; mend that first."
