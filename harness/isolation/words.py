"""Messages about a learner's file that cannot be imported."""

from __future__ import annotations


def cannot_import(file: str, error: str, message: str) -> str:
    return f"{file} cannot be imported: {error}: {message}"


def merge_conflict(file: str) -> str:
    return (
        f"{file} holds a merge conflict: git shows both sides between <<<<<<<, ======= and >>>>>>>. Keep one"
        " side, and delete those three lines."
    )


def not_utf8(file: str, encoding: str = "") -> str:
    found = f"is saved as {encoding}" if encoding else "is not saved as UTF-8 (perhaps as Latin-1)"
    return (
        f"{file} {found}; Python reads UTF-8. Save it as UTF-8: in VS Code click the encoding in the status"
        " bar, then Save with Encoding."
    )


def missing_name(file: str, name: str) -> str:
    return f"{file} does not define {name!r}"


def still_running(seconds: float) -> str:
    return f"still running after {seconds:g} s"
