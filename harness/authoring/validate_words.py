"""Messages of `harness validate`."""

from __future__ import annotations

from collections.abc import Sequence

from harness.terminal.lines import Line, plural

HEADINGS = ("check", "command", "time", "result")
RIGHT = ("time",)  # aligned to the right
NO_TOX = "tox is not installed in this Python. Next: python -m pip install tox   (or: make validate)"
_SHOWN = 5


def row(
    check: str, command: str, seconds: float, good: bool, summary: str, failed_tests: Sequence[str]
) -> tuple[str, str, str, str]:
    """Return the cells of a command, under HEADINGS."""
    more = [f"and {len(failed_tests) - _SHOWN} more"] if len(failed_tests) > _SHOWN else []
    verdict = ["ok" if good else "FAILED", summary]
    result = [": ".join(filter(None, verdict)), *failed_tests[:_SHOWN], *more]
    return check, command, f"{seconds:.1f} s", "\n".join(result)


def closing(commands: int, failed_checks: Sequence[str], seconds: float) -> list[Line]:
    """Return the summary below the table."""
    total = f"{plural(commands, 'command')}, {seconds:.0f} s"
    if not failed_checks:
        return [Line(f"All passed: {total}.", "good")]
    names = ", ".join(failed_checks)
    return [
        Line(f"Failed: {names} ({total}).", "bad"),
        Line(f"Their output is above. To run one alone:  harness validate {failed_checks[0]}"),
    ]


def tox_stopped(status: int) -> str:
    return f"tox ended with exit status {status} before its checks were done. Fix the error above first."
