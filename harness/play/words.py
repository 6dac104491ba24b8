"""Messages of `harness play`."""

from __future__ import annotations

from collections.abc import Sequence

from harness.course.katas import Kata
from harness.terminal.lines import Line, printable, shortened

NO_EXTRA = 'harness play needs two more packages. Install them:  python -m pip install -e ".[play]"'
ENDED = Line("The page has ended.", "dim")

NOT_JSON = "The page sent what this server does not understand. Load the page again."
OTHER_VOCABULARY = (
    "This text has tokens that the model does not know: another model has written it. Write a new one."
)
WRONG_HOST = "This page is for this computer only. Open it by the address that harness play prints."
WRONG_ORIGIN = "Another page has asked for this, and harness play answers its own page only."
TOO_LARGE = "The request is too large. Give a shorter text."
NOT_FOUND = "There is nothing at this address. Open the one that harness play prints."
NOT_JSON_TYPE = "This server takes JSON only. Load the page again."
NO_ATTENTION = (
    "The weights of this model cannot be shown: its blocks do not call their `attention`, or that has neither"
    " `attention_weights` nor `project`."
)

TOKENS = "token embedding"
POSITIONS = "position embedding"
NORM = "layer norm"
HEADS = "heads"
ATTENTION = "attention"
NETWORK = "feed-forward network"
HEAD = "final norm and head"
SAMPLING = "sampling"
LINEAR = "linear maps, masks"
TRAINING = "training"
ENGINEERING = "checkpoints and logs"
CAPSTONE = "from text to text"


def port_taken(port: int, free: int) -> str:
    return f"Port {port} is in use by another program. Take another:  harness play --port {free}"


def prompt_too_long(length: int, most: int) -> str:
    return f"The prompt has {length:,} characters, and {most:,} are the most. Give its end, or less."


def text_too_long(most: int) -> str:
    return f"The text has more than {most:,} tokens. Begin a new one."


def wrong_value(name: str) -> str:
    return f"{name}: this server cannot use the value that the page sent. Load the page again."


def out_of_range(name: str, least: int, most: int) -> str:
    return f"{name} must be an integer from {least:,} to {most:,}."


def katas_at_work(own: Sequence[Kata], reference: Sequence[Kata]) -> str:
    """Say in one line whose katas compute."""
    if not reference:
        return f"Your own katas are at work: {_numbers(own)}."
    if not own:
        return f"The reference is at work in place of your katas: {_numbers(reference)}."
    return f"At work: your katas {_numbers(own)}; the reference for {_numbers(reference)}."


def _numbers(katas: Sequence[Kata]) -> str:
    """Return the numbers of katas, with a dash for a run of three or more."""
    runs: list[list[Kata]] = []
    for kata in katas:
        if runs and int(kata.number) == int(runs[-1][-1].number) + 1:
            runs[-1].append(kata)
        else:
            runs.append([kata])
    ends = [[each.number for each in (run if len(run) < 3 else (run[0], run[-1]))] for run in runs]
    return ", ".join(("–" if len(run) > 2 else ", ").join(pair) for run, pair in zip(runs, ends, strict=True))


def serving(address: str, whose: str) -> list[Line]:
    """Return the lines printed when the page is ready."""
    return [Line(whose), Line(f"Open {address}   (Ctrl-C ends it)", "title")]


def of_text(text: str) -> list[str]:
    """Return a message as lines for the page."""
    return [printable(line) for line in text.splitlines()]


def of_katas(lines: Sequence[Line]) -> list[str]:
    """Return the lines that explain an error of the katas, for the page."""
    return [printable(line.text) for line in lines if line.text.strip()]


def unexpected(kind: str, message: str) -> str:
    again = "Load the page again; if that does not help, start harness play again."
    return f"{kind}: {shortened(printable(message))}. {again}"
