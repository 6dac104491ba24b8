"""What a learner reads about the texts to train on."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.terminal.lines import Line


def corpus_entry(
    name: str, about: str, size: int, *, path: str, good: bool, limit: float | None
) -> list[Line]:
    """A corpus in the list: `path` is empty if it is nowhere, `good` whether it is what it should be.

    `limit` is the entropy in nats per character, where that is known.
    """
    lines = [Line(f"{name} · {_megabytes(size)} · {about}", "title")]
    if path and good:
        lines.append(Line(f"  here: {path}", "good"))
    elif path:
        lines.append(
            Line(f"  {path} is another text (its checksum differs). Type: harness data {name}", "bad")
        )
    else:
        lines.append(Line(f"  not here yet. Type: harness data {name}"))
    if limit is not None:
        bits = limit / math.log(2)
        lines.append(Line(f"  no model can do better than {limit:.4f} nats ({bits:.4f} bits) per character"))
    return lines


def data_folders(folders: Sequence[str]) -> list[Line]:
    return [Line(), Line(f"Looked for in {', then in '.join(folders)}.", "dim")]


def corpus_is_here(name: str, path: str) -> list[Line]:
    return [Line(f"{name} is here already, its checksum is right: {path}", "good")]


def corpus_has_come(name: str, path: str) -> list[Line]:
    return [Line(f"{name} is here now, its checksum is right: {path}", "good")]


def downloading(name: str, size: int, url: str) -> Line:
    return Line(f"Downloading {name} ({_megabytes(size)}) from {url}")


def making(name: str, size: int) -> Line:
    return Line(f"Making {name} ({_megabytes(size)}) …")


def set_aside(path: str, kept: str) -> Line:
    return Line(f"Note: {path} was another text (its checksum differs); it is kept as {kept}")


def download_interrupted(name: str) -> str:
    return f"Interrupted. What has come is kept. Next: harness data {name}"


def unknown_corpus(name: str, nearest: str, names: Sequence[str]) -> str:
    guess = f" Did you mean {nearest}?" if nearest else ""
    if not re.fullmatch(r"\w+", name):  # no name, but a path
        return f"There is no file {name!r}. Give a text file of yours, or one of {', '.join(names)}.{guess}"
    return f"There is no corpus {name!r}; there are {', '.join(names)}.{guess}"


def not_downloaded(kind: str, name: str, url: str, facts: Mapping[str, Any]) -> str:
    """Why a download failed, by the kinds of harness.corpora.download, and what to do."""
    return "\n".join(_NOT_DOWNLOADED[kind](name, url, facts))


def _offline(name: str, url: str, facts: Mapping[str, Any]) -> list[str]:
    return [f"{name} cannot be downloaded: {facts['why']}.", f"  {url}", *_without_network(name)]


def _refused(name: str, url: str, facts: Mapping[str, Any]) -> list[str]:
    answer = f"{facts['status']} {facts['reason']}".strip()
    later = ["Try again later."] if facts["status"] == 429 or facts["status"] >= 500 else []
    said = f"{name} cannot be downloaded: the server answers {answer}."
    return [said, f"  {url}", *later, *_without_network(name)]


def _truncated(name: str, url: str, facts: Mapping[str, Any]) -> list[str]:
    received, size = facts["received"], facts["size"]
    return [
        f"The connection broke. {received:,} of {size:,} bytes of {name} came, and are kept.",
        f"Next: harness data {name}   (it asks for the rest only)",
    ]


def _wrong_digest(name: str, url: str, facts: Mapping[str, Any]) -> list[str]:
    return [
        f"What came is not {name}, and was deleted. Its SHA-256 is",
        f"  {facts['actual']}, expected",
        f"  {facts['expected']}",
        f"  {url}",
        "Does a network that asks for a login answer in its place? Open the address in a browser.",
        *_without_network(name),
    ]


_NOT_DOWNLOADED: dict[str, Callable[[str, str, Mapping[str, Any]], list[str]]] = {
    "offline": _offline,
    "refused": _refused,
    "truncated": _truncated,
    "checksum": _wrong_digest,
}


def _without_network(name: str) -> list[str]:
    return [
        f"Have you a copy?  harness data {name} --from FILE",
        "A text that needs no network:  harness data tiny_tales",
    ]


def not_that_corpus(name: str, path: str, actual: str, expected: str) -> str:
    return "\n".join(
        [
            f"{path} is not {name}; nothing was changed. Its SHA-256 is",
            f"  {actual}, expected",
            f"  {expected}",
            "Was it saved as a web page, with other line endings, or only in part? Download it again.",
        ]
    )


def data_not_written(name: str, folder: str, problem: str) -> str:
    return "\n".join(
        [
            f"{name} cannot be written to {folder}: {problem}.",
            "Make room, or the folder writable; or set HARNESS_DATA_DIR to a folder of yours.",
        ]
    )


def not_read(path: str, problem: str) -> str:
    return f"{path} cannot be read: {problem}. Give the path of a text file that you may read."


def data_folder_missing(folder: str) -> str:
    return f"HARNESS_DATA_DIR is {folder}, which is not a folder. Make it, or unset HARNESS_DATA_DIR."


def made_otherwise(name: str) -> str:
    return "\n".join(
        [
            f"{name}, as made here, has another checksum than it should.",
            "Was harness/ changed? See:  git status harness",
        ]
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
