"""Messages about a learner's file that cannot be imported."""

from __future__ import annotations


def cannot_import(file: str, error: str, message: str) -> str:
    return f"{file} cannot be imported: {error}: {message}"


def missing_name(file: str, name: str) -> str:
    return f"{file} does not define {name!r}"


def still_running(seconds: float) -> str:
    return f"still running after {seconds:g} s"
