"""Messages about the course, its questions and its slips."""

from __future__ import annotations

NOT_A_COURSE = "No katas here: neither this folder nor one above it holds katas/kNN_*/. Go to your clone."
NOT_QUESTIONS = "it must contain only [[question]] tables"


def unknown_kata(argument: str, first: str, last: str, nearest: str) -> str:
    guess = f" Did you mean {nearest}?" if nearest else ""
    return f"There is no kata {argument!r}; the katas are {first} to {last}.{guess}"


def wrong_question_keys(number: int) -> str:
    return f"question {number} needs ask and answer, may have number, and nothing else"


def not_a_number(number: int, answer: str) -> str:
    return f"question {number} has number = {answer!r}, which is not how Python writes that number"


def empty_question(number: int) -> str:
    return f"question {number} has an empty ask or answer"


def slip_not_found_once(slip: str, count: int) -> str:
    return f"{slip}: its `find` occurs {count} times in the solution, not once"


def slips_not_toml(problem: str) -> str:
    return f"not valid TOML: {problem}"


def slip_fields_not_text(slip: str | None) -> str:
    return f"{slip or _NAMELESS}: every field must be text"


def wrong_slip_fields(slip: str | None, fields: str) -> str:
    return f"{slip or _NAMELESS}: missing or unknown: {fields}"


_NAMELESS = "a slip without id"
