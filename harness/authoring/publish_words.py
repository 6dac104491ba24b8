"""What `harness publish-solutions` prints, and the messages of its commits."""

from __future__ import annotations

from harness.authoring.publish import BRANCH, CannotPublish, Published
from harness.terminal.lines import Line, plural


def published(what: Published) -> list[Line]:
    """What the branch is now, and what to do with it."""
    count = f"{plural(len(what.katas), 'commit')}, one a kata"
    news = "is" if what.changed else "is still"
    kata = what.katas[-1]
    return [
        Line(f"The branch {BRANCH} {news} {count}, on top of {what.name} ({what.base[:7]}).", "good"),
        Line(f"What a learner writes:  git diff {what.name} {BRANCH} -- katas/{kata[:3]}*"),
        Line(f"To publish it:  git push --force origin {BRANCH}"),
    ]


def commit_message(kata: str) -> str:
    """What the commit of a kata says, by its folder's name."""
    title = kata[4:].replace("_", " ")
    return f"Kata {kata[1:3]} {title}: the solution\n\nsolutions/{kata}/{kata[4:]}.py takes the stub's place."


def cannot_publish(error: CannotPublish) -> str:
    """What is in the way, and what to type."""
    return _REASONS[error.kind].format(**error.facts)


_REASONS: dict[str, str] = {
    "no git": "git is needed, and is not installed (https://git-scm.com). Install it, then try again.",
    "no repository": "{folder} is no git repository, so it can have no branch. Go to a clone of it.",
    "inside": "{folder} is only a part of a git repository; this needs one of its own. Go to a clone.",
    "checked out": f"The branch {BRANCH} is checked out in {{folder}}, and would change under it."
    " There, type: git switch main",
    "no commit": "There is no commit {base!r} to start from. Name another:"
    " harness publish-solutions --from REF",
    "no katas": "The commit {base!r} holds no kata with a solution. Name another:"
    " harness publish-solutions --from REF",
    "git failed": "git {command} failed:\n  {said}\nThe branch is as it was. Mend that, then try again.",
}
