"""Messages about the texts to train on."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.corpora.download import (
    CHUNK,
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    Offline,
    Refused,
    SlowServer,
    Truncated,
    WrongDigest,
)
from harness.terminal.lines import Line, shortened

if TYPE_CHECKING:
    from requests import RequestException


def corpus_entry(
    name: str, about: str, size: int, *, path: str, good: bool, limit: float | None
) -> list[Line]:
    """Return a corpus as the list shows it.

    `path` is empty if the corpus is not here, and `good` is true if its checksum is right. `limit` is the
    entropy in nats per character, if known.
    """
    lines = [Line(f"{name} · {_megabytes(size)} · {about}", "title")]
    if path and good:
        lines.append(Line(f"  here: {path}", "good"))
    elif path:
        lines.append(
            Line(f"  {path} is a different text (its checksum differs). Type: harness data {name}", "bad")
        )
    else:
        lines.append(Line(f"  not here yet. Type: harness data {name}"))
    if limit is not None:
        bits = limit / math.log(2)
        lines.append(Line(f"  no model can do better than {limit:.4f} nats ({bits:.4f} bits) per character"))
    return lines


def data_folders(folders: Sequence[str]) -> list[Line]:
    return [Line(), Line(f"Looked for in {', then in '.join(folders)}.", "dim")]


def corpus_already_here(name: str, path: str) -> list[Line]:
    return [Line(f"{name} is already here (checksum verified): {path}", "good")]


def corpus_obtained(name: str, path: str) -> list[Line]:
    return [Line(f"{name} is now here (checksum verified): {path}", "good")]


def downloading(name: str, size: int, url: str) -> Line:
    return Line(f"Downloading {name} ({_megabytes(size)}) from {url}")


def making(name: str, size: int) -> Line:
    return Line(f"Generating {name} ({_megabytes(size)}) …")


def set_aside(path: str, kept: str) -> Line:
    return Line(f"Note: {path} was a different text (its checksum differs); it was kept as {kept}")


def waiting_for_another_process(name: str, lock: str) -> Line:
    return Line(
        f"Waiting for another process that is getting {name}. If there is none, stop this with Ctrl-C and"
        f" delete {lock}"
    )


def download_interrupted(name: str) -> str:
    return f"Interrupted. The partial download was kept. Next: harness data {name}"


def unknown_corpus(name: str, nearest: str, names: Sequence[str]) -> str:
    guess = f" Did you mean {nearest}?" if nearest else ""
    if not re.fullmatch(r"\w+", name):  # a path, not a name
        return (
            f"There is no file {shortened(repr(name))}."
            f" Give the path of a text file, or one of {', '.join(names)}.{guess}"
        )
    return f"There is no corpus {shortened(repr(name))}; the corpora are {', '.join(names)}.{guess}"


def not_downloaded(
    failure: Offline | Refused | Truncated | SlowServer | WrongDigest, name: str, url: str, *, is_text: bool
) -> str:
    """Explain why a download failed and what to do."""
    without_network = _without_network(name, is_text=is_text)
    match failure:
        case Offline(error):
            return _join(f"{name} cannot be downloaded: {_why_offline(error)}.", f"  {url}", *without_network)
        case Refused(status, reason):
            return _refused(name, url, status, reason, without_network)
        case Truncated(received, size):
            return _join(
                f"The connection broke. {received:,} of {size:,} bytes of {name} were downloaded and kept.",
                f"Next: harness data {name}   (it requests only the rest)",
            )
        case SlowServer(received, size, seconds):
            return _join(
                f"The connection is too slow: fewer than {CHUNK:,} bytes arrived within {seconds:g} s.",
                f"{received:,} of {size:,} bytes of {name} were downloaded and kept.",
                f"Next: harness data {name}   (it requests only the rest)",
            )
        case WrongDigest(actual, expected):
            return _wrong_digest(name, url, actual, expected, without_network)


def _why_offline(error: RequestException) -> str:
    """Explain in a few words why no server answered; the text of requests names its internals."""
    from requests import exceptions

    match error:
        case exceptions.SSLError():
            return "the server's certificate cannot be verified"
        case exceptions.ProxyError():
            return "the proxy blocks the connection"
        case exceptions.ConnectTimeout():
            return f"no answer within {CONNECT_TIMEOUT:g} s"
        case exceptions.ReadTimeout():
            return f"no answer within {READ_TIMEOUT:g} s"
        case exceptions.ConnectionError():  # after its own subclasses above
            return "no connection"
    return str(error)


def _refused(name: str, url: str, status: int, reason: str, without_network: Sequence[str]) -> str:
    answer = f"{status} {reason}".strip()
    later = ["Try again later."] if status == 429 or status >= 500 else []
    refusal = f"{name} cannot be downloaded: the server answers {answer}."
    return _join(refusal, f"  {url}", *later, *without_network)


def _wrong_digest(name: str, url: str, actual: str, expected: str, without_network: Sequence[str]) -> str:
    return _join(
        f"The downloaded file is not {name} and was deleted. Its SHA-256 is",
        f"  {actual}, expected",
        f"  {expected}",
        f"  {url}",
        "Did a login page of your network answer instead? Open the address in a browser.",
        *without_network,
    )


def _without_network(name: str, *, is_text: bool) -> list[str]:
    if not is_text:
        return [f"Do you already have its files?  harness data {name} --from FOLDER"]
    return [
        f"Do you already have a copy?  harness data {name} --from FILE",
        "A text that needs no network:  harness data tiny_tales",
    ]


def not_that_corpus(name: str, path: str, actual: str, expected: str) -> str:
    return _join(
        f"{path} is not {name}; nothing was changed. Its SHA-256 is",
        f"  {actual}, expected",
        f"  {expected}",
        "Was it saved as a web page, with other line endings, or only in part? Download it again.",
    )


def larger_than_that_corpus(name: str, path: str, size: int) -> str:
    return f"{path} is not {name}, which has {size:,} bytes: it is larger. Nothing was changed."


def gpt2_files_missing(folder: str, names: Sequence[str]) -> str:
    return (
        f"{folder} lacks {', '.join(names)}; nothing was changed. Give a folder with the files of"
        " openai-community/gpt2, as Hugging Face names them."
    )


def not_a_file(path: str) -> str:
    return f"{path} is not a file. Give the path of a text file."


def data_not_written(name: str, folder: str, problem: str) -> str:
    return _join(
        f"{name} cannot be written to {folder}: {problem}.",
        "Free some space or make the folder writable; or set HARNESS_DATA_DIR to another folder.",
    )


def not_read(path: str, problem: str) -> str:
    return f"{path} cannot be read: {problem}. Give the path of a file that you can read."


def data_folder_missing(folder: str) -> str:
    return f"HARNESS_DATA_DIR is {folder}, which is not a folder. Create it, or unset HARNESS_DATA_DIR."


def wrong_generated_text(name: str) -> str:
    return _join(
        f"{name} was generated with the wrong checksum.",
        "Have you changed harness/? See:  git status harness",
    )


def wrong_forms(option: str, rule: str, forms: Sequence[str]) -> str:
    return f"{option!r} of {rule} does not have the forms {', '.join(forms)}"


def unknown_rule(place: str) -> str:
    return f"{place} does not name a rule"


def rule_without_forms(place: str) -> str:
    return f"{place} does not name a rule with forms"


def unknown_form(place: str, rule: str, forms: Sequence[str]) -> str:
    return f"{place} does not name a form of {rule}: {', '.join(forms)}"


def _join(*lines: str) -> str:
    return "\n".join(lines)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
