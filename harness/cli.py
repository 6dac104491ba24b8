"""The `harness` command, which imports late to answer fast."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.course.graph import CORE
from harness.course.katas import Course, Kata, UnknownKata, find_root, load_course, resolve_kata

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from harness.terminal.lines import Line

_INTERRUPTED = 130  # as a shell reports Ctrl-C


def _kata_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the completions of KATA: folders, or numbers once a digit is typed."""
    from click.shell_completion import CompletionItem

    root = find_root(Path.cwd())
    katas = load_course(root).katas if root else ()
    offered = {kata.number if incomplete[:1].isdigit() else kata.name: kata.title for kata in katas}
    return [
        CompletionItem(text, help=title) for text, title in offered.items() if text.startswith(incomplete)
    ]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="transformer-katas", message="harness %(version)s")
def main() -> None:
    """Learn how language models work by building one, test by test.

    Run `pytest` to see the next failing test; this command does the rest. It works in every folder of
    the repository. KATA is a number (3, 03, k03) or a folder's name.
    """


@main.command()
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON (schema: harness/commands/status.schema.json)."
)
@click.option("--check", is_flag=True, help="Exit with status 1 unless every kata is complete and unedited.")
@click.option("--times", is_flag=True, help="Show how long each test took you, and the expected time.")
def status(as_json: bool, check: bool, times: bool) -> None:
    """Show your progress and the next test."""
    from harness.commands import status as statuses
    from harness.progress.ledger import Ledger

    ledger = Ledger(_course())
    progress = ledger.progress()
    if as_json and times:
        raise click.UsageError("--times shows a table. Next: leave out --json, or --times")
    if as_json:
        click.echo(json.dumps(statuses.as_json(progress), indent=2))
    elif times:
        statuses.show_times(progress, ledger.stored)
    else:
        statuses.show_table(progress)
        _print(statuses.closing_lines(progress, ledger.stored, _course()))
    if check and not statuses.all_done(progress):
        sys.exit(1)


@main.command()
def verify() -> None:
    """Check this machine, and name a remedy for each failure.

    Python, packages, torch, training, folders and data are checked.
    """
    from harness.commands import verify as checks

    sys.exit(0 if checks.run_and_show(_course().root) else 1)


@main.command()
@click.argument("kata", required=False, shell_complete=_kata_names)
def hint(kata: str | None) -> None:
    """Show one more hint for the next failing test.

    There are three levels: a nudge, where to look, pseudocode.
    """
    from harness.commands import hint
    from harness.progress.ledger import Ledger

    course = _course()
    try:
        chosen = _kata(course, kata) if kata else None
        _print(hint.next_hint(course, Ledger(course).progress(), chosen))
    except hint.NoHint as reason:
        raise click.ClickException(str(reason)) from None


@main.command()
@click.argument("kata", required=False, shell_complete=_kata_names)
def watch(kata: str | None) -> None:
    """Run the tests whenever you save.

    The verdict is shown at once; single keys do the rest. Without KATA, follow your progress, as `pytest`
    alone does.
    """
    from harness.watch import words
    from harness.watch.loop import watch as watch_katas
    from harness.watch.spare import CannotWarm

    course = _course()
    chosen = _kata(course, kata) if kata else None
    try:
        watch_katas(course, chosen)
    except CannotWarm as error:
        raise click.ClickException(words.cannot_warm(error.status)) from None
    except KeyboardInterrupt:
        _print([words.GOODBYE])
        sys.exit(_INTERRUPTED)


@main.command()
@click.argument("kata", shell_complete=_kata_names)
@click.option("--undo", is_flag=True, help="Restore your code from before the last reset.")
def reset(kata: str, undo: bool) -> None:
    """Restore a kata's original stub; your code is backed up."""
    from harness.commands import reset as resets
    from harness.commands import words

    course = _course()
    chosen = _kata(course, kata)
    now = resets.utc_now()
    try:
        change = resets.undo(course, chosen, now) if undo else resets.reset(course, chosen, now)
    except resets.NothingToUndo:
        raise click.ClickException(words.nothing_to_undo(chosen)) from None
    except OSError as error:
        path = course.relative(Path(error.filename or chosen.stub))
        raise click.ClickException(
            words.not_changed(chosen, error.strerror or str(error), path, undo=undo)
        ) from None
    backup = course.relative(change.backup) if change and change.backup else ""
    if change is None:
        _print(words.already_original(chosen))
    elif change.restored:
        _print(words.was_restored(chosen, course.relative(change.restored), backup))
    else:
        _print(words.was_reset(chosen, backup))


@main.command()
def update() -> None:
    """Bring the course up to date around your code.

    Your files are copied first, and what you wrote stays. Tests, pages and the harness become those of the
    course.
    """
    from harness.commands import repository, update_words
    from harness.commands import update as updates
    from harness.commands.reset import utc_now

    course = _course()
    try:
        _print(update_words.updated(course, updates.update(course, utc_now())))
    except (updates.CannotUpdate, repository.GitMissing, repository.GitFailed) as error:
        raise click.ClickException(update_words.cannot_update(course, error)) from None


@main.command()
@click.argument("kata", shell_complete=_kata_names)
@click.option(
    "--give-up",
    "giving_up",
    is_flag=True,
    help="Show it even if the kata is not complete (this is recorded).",
)
def solution(kata: str, giving_up: bool) -> None:
    """Show your code next to the reference.

    The kata must be complete.
    """
    from harness.commands import solution as solutions
    from harness.commands import words
    from harness.commands.reset import utc_now
    from harness.progress.ledger import Ledger
    from harness.progress.words import not_saved

    course = _course()
    progress = Ledger(course).of(_kata(course, kata))
    if not progress.complete and not solutions.gave_up(course, progress.kata):
        if not giving_up:
            raise click.ClickException(words.solution_refused(progress))
        try:
            solutions.give_up(course, progress.kata, utc_now().isoformat(timespec="seconds"))
        except OSError as error:
            _print([not_saved(".harness/", error.strerror or str(error))])
    solutions.show(progress.kata)


_SOLUTIONS = click.option(
    "--solutions", is_flag=True, help="Use the reference solutions instead of your own katas."
)


def _run_dir(_: click.Context, __: click.Parameter, value: str | None) -> Path | None:
    """Return the folder; an empty name would mean the current one."""
    from harness.training.words import EMPTY_RUN_DIR

    if value is not None and not value.strip():
        raise click.BadParameter(EMPTY_RUN_DIR)
    return None if value is None else Path(value)


_RUN_TO_READ = click.option(
    "--run-dir",
    type=click.Path(file_okay=False),
    callback=_run_dir,
    help="The run's folder. [the newest in runs/]",
)


@main.command()
@_SOLUTIONS
@click.option(
    "--config", help="A YAML or JSON file, or the name of one in katas/k09_capstone/configs/. [laptop]"
)
@click.option("--data", help="The text to train on: a corpus (see `harness data`) or a file.")
@click.option(
    "--run-dir", type=click.Path(file_okay=False), callback=_run_dir, help="A new folder for the run."
)
@click.option("--resume", is_flag=True, help="Resume the run in --run-dir.")
@click.option(
    "--parts",
    help="What later katas take the place of: some of tokens,modern,optimizers, or core for none."
    " [those that you have completed; with --solutions, core]",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change the configuration, e.g. training.max_steps=100.",
)
def train(
    solutions: bool,
    config: str | None,
    data: str | None,
    run_dir: Path | None,
    resume: bool,
    parts: str | None,
    changes: tuple[str, ...],
) -> None:
    """Train a language model with your katas.

    Ctrl-C saves the run, --resume continues it.
    """
    from harness.progress.ledger import Ledger
    from harness.training import capstone, words
    from harness.training.parts import completed_parts, parse_parts
    from harness.training.request import TrainingRequest

    course = _course()
    with _report_errors(course, solutions=solutions):
        used = parse_parts(parts, course) if parts is not None else None
        if used is None and not resume and not solutions:
            used = completed_parts(Ledger(course).progress())
        built = capstone.load_capstone(course, course.katas if solutions else ())
        request = TrainingRequest(config, data, run_dir, resume, changes, used, solutions)
        outcome = capstone.train(course, built, request)
    if outcome.prints:
        _print(
            words.trained(
                outcome.summary,
                _relative(outcome.run.path),
                outcome.losses,
                interrupted=outcome.interrupted,
                solutions=solutions,
                limit=outcome.limit,
                restatement=outcome.restatement,
                per_character=outcome.tokens_per_character,
            )
        )
    if outcome.interrupted:
        sys.exit(_INTERRUPTED)


@main.command()
@_SOLUTIONS
@_RUN_TO_READ
@click.option(
    "--gpt2", is_flag=True, help="Let GPT-2 write, by kata 16, instead of a run (see: harness data)."
)
@click.option("--prompt", default="\n", help="The text that the model continues. [a line break]")
@click.option(
    "--max-new-tokens", type=int, help="How many tokens to generate. [500, or 100 of GPT-2, which is slower]"
)
@click.option(
    "--temperature",
    default=0.8,
    show_default=True,
    help="Below 1 more predictable, above 1 more varied; 0 always takes the likeliest.",
)
@click.option("--top-k", type=int, help="Draw only from the K likeliest tokens.")
@click.option(
    "--top-p", type=float, help="Draw only from the likeliest tokens that together have probability P."
)
@click.option(
    "--seed",
    type=click.IntRange(-(2**63), 2**64 - 1),  # what torch takes
    default=0,
    show_default=True,
    help="The same seed gives the same text.",
)
def sample(
    solutions: bool, run_dir: Path | None, gpt2: bool, prompt: str, max_new_tokens: int | None, **options: Any
) -> None:
    """Generate text with a trained model.

    Once kata 14 is complete, its cache is used with the models of kata 12: the same text, in less time.
    """
    from harness.progress.ledger import Ledger
    from harness.terminal.lines import printable
    from harness.training import capstone, pretrained

    if gpt2 and run_dir:
        raise click.UsageError(
            "--gpt2 writes with GPT-2, not with a run. Next: leave out --run-dir, or --gpt2"
        )
    course = _course()
    solved = course.katas if solutions else ()
    if max_new_tokens is None:
        max_new_tokens = 100 if gpt2 else 500
    with_reference = "harness sample --gpt2 --solutions" if gpt2 else "harness demo"
    with _report_errors(course, solutions=solutions, with_reference=with_reference):
        if gpt2:
            text = pretrained.write(course, solved, prompt, max_new_tokens, **options)
        else:
            built = capstone.load_capstone(course, solved)
            folder = run_dir or capstone.newest_run(course)
            cached = solutions or capstone.has_cache(Ledger(course).progress())
            text = capstone.sample(built, folder, prompt, max_new_tokens, cached=cached, **options)
    click.echo(printable(text))


@main.command()
@_SOLUTIONS
@_RUN_TO_READ
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="The port of the page. [8642, or a free one if it is in use]",
)
@click.option("--no-open", is_flag=True, help="Print the address, and open no browser.")
def play(solutions: bool, run_dir: Path | None, port: int | None, no_open: bool) -> None:
    """Play with your model, in a browser.

    Write token by token, choose other tokens, look at what each head reads, at the curves of your runs, and
    at your course. Katas that are not complete are replaced by the reference. Only this computer can open the
    page. Ctrl-C ends it. Needs: pip install -e ".[play]"
    """
    from harness.play import serving, words

    course = _course()
    try:
        with _report_errors(course, solutions=solutions, with_reference="harness play --solutions"):
            serving.serve(course, run_dir, solutions=solutions, port=port, opens=not no_open, show=_print)
    except KeyboardInterrupt:
        _print([words.ENDED])
        sys.exit(_INTERRUPTED)


@main.command()
@_SOLUTIONS
@click.option("--rung", "names", multiple=True, help="Climb only this rung; may be repeated.")
@click.option(
    "--budget", type=click.FloatRange(min=0, min_open=True), help="End each rung after so many seconds."
)
@click.option("--target", type=float, default=1.88, show_default=True, help="Nats per character to reach.")
@click.option("--data", default="tiny_shakespeare", show_default=True, help="A corpus or a file.")
def ladder(solutions: bool, names: tuple[str, ...], budget: float | None, target: float, data: str) -> None:
    """Measure what each part of the course gains.

    Models are trained to the same loss, rung by rung: with the core's parts, then also with the tokens of
    kata 10, the model of kata 12, the optimizers of kata 13, and at last in the sizes that kata 11 advises.
    Your complete katas are used, and the reference for the others. Ctrl-C keeps what is there.
    """
    from harness.progress.ledger import Ledger
    from harness.training import capstone, climbing
    from harness.training.rungs import Goal

    course = _course()
    reference = course.katas if solutions else capstone.unfinished(Ledger(course).progress())
    with _report_errors(course, solutions=solutions):
        goal = Goal(target, float("inf") if budget is None else budget)
        interrupted = climbing.climb_all(course, reference, names, goal, data, _print)
    if interrupted:
        sys.exit(_INTERRUPTED)


@main.command()
def demo() -> None:
    """Train for a minute and sample.

    Your complete katas are used, and the reference for the others.
    """
    from harness.progress.ledger import Ledger
    from harness.terminal.lines import printable
    from harness.training import capstone, words
    from harness.training.parts import completed_parts, katas_of

    course = _course()
    progress = Ledger(course).progress()
    parts = completed_parts(progress)
    behind = [each for each in progress if each.kata.track == CORE or each.kata in katas_of(course, parts)]
    reference = capstone.unfinished(progress)
    _print(words.demo_parts(behind, reference))
    with _report_errors(course):
        built = capstone.load_capstone(course, reference)
        shown = capstone.demonstrate(course, built, parts)
    click.echo(printable(shown.text))
    _print(words.demo_end(behind))
    if shown.interrupted:
        sys.exit(_INTERRUPTED)


@main.group()
def pair() -> None:
    """Pair programming with timed turns.

    Driver and navigator swap when a test turns green or the time is up. The end of every test run says
    whether to swap; `harness watch` runs the tests when the time is up.
    """


@pair.command("start")
@click.argument("ana")
@click.argument("bo")
@click.option("--minutes", type=float, default=7.0, show_default=True, help="The length of a turn.")
def pair_start(ana: str, bo: str, minutes: float) -> None:
    """Start a session: ANA drives, BO navigates. A name may include an address: "Ana <ana@example.org>"."""
    from harness.pairing import commands as pairs

    _run_pair_command(lambda course, now: pairs.start(course, ana, bo, minutes, now))


@pair.command("next")
def pair_next() -> None:
    """Swap now."""
    from harness.pairing import commands as pairs

    _run_pair_command(pairs.swap)


@pair.command("status")
def pair_status() -> None:
    """Show whose turn it is, and for how long."""
    from harness.pairing import commands as pairs

    _run_pair_command(pairs.status)


@pair.command("stop")
def pair_stop() -> None:
    """End the session and print a summary.

    It has Co-authored-by lines for the commit.
    """
    from harness.pairing import commands as pairs

    _run_pair_command(pairs.stop)


def _run_pair_command(command: Callable[[Course, float], list[Line]]) -> None:
    from harness.pairing.commands import NotNow

    try:
        _print(command(_course(), time.time()))
    except NotNow as reason:
        raise click.ClickException(str(reason)) from None


@main.command()
@click.argument("name", required=False)
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="Copy it from a file, or gpt2 from a folder; NAME is then tiny_shakespeare by default.",
)
def data(name: str | None, source: Path | None) -> None:
    """List the texts to train on, or get the one named; `harness data gpt2` gets GPT-2's weights.

    With NAME, a text is generated or downloaded, and checked. Texts are searched for in the folder named by
    HARNESS_DATA_DIR, where new ones are saved, and in data/.
    """
    from harness.commands import data as texts
    from harness.corpora import catalogue, storage, words

    root = _course().root
    try:
        if source:
            _print(texts.take(root, name or texts.DEFAULT, source))
        else:
            _print(texts.obtain(root, name) if name else texts.listing(root))
    except catalogue.UnknownCorpus as error:
        raise click.UsageError(str(error)) from None
    except storage.NotObtained as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo(words.download_interrupted(name or texts.DEFAULT), err=True)
        sys.exit(2)


@main.command()
@click.argument("kata", required=False, shell_complete=_kata_names)
@click.option("--all", "everything", is_flag=True, help="Ask all questions, due or not.")
def review(kata: str | None, everything: bool) -> None:
    """Ask the review questions that are due.

    Those of a completed kata come after 1, 3, 7 and 21 days; one that you did not know comes again the next
    day. With KATA, ask the questions of that kata. Think, then press a key for the answer, or type the
    number; q quits. Without a terminal, questions are printed with their answers.
    """
    from harness.commands import review as reviews
    from harness.commands.review_words import no_questions
    from harness.course import questions

    if kata and everything:
        raise click.UsageError("--all means every kata. Next: leave out --all, or KATA")
    course, columns = _course(), shutil.get_terminal_size().columns
    try:
        cards = list(questions.cards([_kata(course, kata)] if kata else course.katas))
    except questions.BadReview as error:
        path = course.relative(questions.review_path(error.kata))
        raise click.ClickException(no_questions(error.kata, path, error.problem)) from None
    if not kata and not everything:
        cards = reviews.due_now(course, cards, _print)
    if sys.stdin.isatty() and sys.stdout.isatty():
        note = functools.partial(reviews.note, course, _print)
        reviews.Dialogue(_print, _read_key, _read_line, note, columns).ask(cards)
    else:
        reviews.show_all(cards, _print, columns)


@main.command()
@click.argument("katas", nargs=-1, metavar="[KATA]...", shell_complete=_kata_names)
@click.option(
    "--fix", is_flag=True, help="Write the generated files: stubs, the list of original tests, pages."
)
def check(katas: tuple[str, ...], fix: bool) -> None:
    """Check the course, for maintainers.

    Generated files must be up to date, and no kata may lack a part. With KATA, check only these katas.
    """
    from harness.authoring import gate
    from harness.terminal.lines import plural

    course = _course()
    chosen = [_kata(course, kata) for kata in katas]
    for path in gate.fix(course) if fix else []:
        click.echo(f"wrote {path}")
    count = 0
    for problem in gate.check(course, chosen):
        click.echo(str(problem), err=True)
        count += 1
    click.echo(f"{plural(len(chosen or course.katas), 'kata')} checked, {plural(count, 'problem')}")
    sys.exit(1 if count else 0)


@main.command()
@click.argument("checks", nargs=-1, metavar="[CHECK]...")
def validate(checks: tuple[str, ...]) -> None:
    """Run all tests, notebooks and checks.

    A table shows their results and times. With CHECK, run only these: lint, types, check, solutions, harness,
    notebooks, coverage (tox.ini has them).
    """
    from harness.authoring import validate as validation
    from harness.authoring import validate_words as words

    try:
        ran = validation.validate(_course().root, checks)
    except validation.CannotValidate as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    validation.show(ran)
    failed = list(dict.fromkeys(each.check for each in ran if not each.good))
    _print(words.closing(len(ran), failed, sum(each.seconds for each in ran)))
    sys.exit(1 if failed else 0)


@main.command("publish-solutions")
@click.option(
    "--from", "base", default="main", show_default=True, metavar="REF", help="The commit to start from."
)
def publish_solutions(base: str) -> None:
    """Build the local branch `solutions`.

    It has solutions in place of the stubs, one commit per kata. Only committed files count. The working tree,
    the index and other branches are not changed.
    """
    from harness.authoring import publish
    from harness.authoring import publish_words as words
    from harness.commands.repository import GitFailed, GitMissing

    try:
        _print(words.published(publish.publish(_course().root, base, words.commit_message)))
    except (publish.CannotPublish, GitMissing, GitFailed) as error:
        raise click.ClickException(words.cannot_publish(error)) from None


@contextlib.contextmanager
def _report_errors(
    course: Course, *, solutions: bool = False, with_reference: str = "harness demo"
) -> Iterator[None]:
    """Turn errors of the request or of the katas into messages."""
    from harness.corpora.storage import NotObtained
    from harness.explain.outside_tests import read_kata_error
    from harness.explain.words import failed_in_katas
    from harness.terminal.lines import printable
    from harness.training.request import CannotTrain

    try:
        yield
    except (CannotTrain, NotObtained) as error:
        raise click.ClickException(printable(str(error))) from None
    except Exception as error:
        failure = read_kata_error(course, error)
        _print(failed_in_katas(failure, solutions=solutions, with_reference=with_reference))
        sys.exit(1)


def _relative(path: Path) -> str:
    """Return the path to type: relative if it is below the current folder."""
    below = path.absolute().is_relative_to(Path.cwd())
    return os.path.relpath(path) if below else str(path)


def _course() -> Course:
    from harness.course.words import NOT_A_COURSE

    root = find_root(Path.cwd())
    if root is None:
        raise click.ClickException(NOT_A_COURSE)
    return load_course(root)


def _kata(course: Course, argument: str) -> Kata:
    try:
        return resolve_kata(course, argument)
    except UnknownKata as error:
        raise click.UsageError(str(error)) from None


def _read_key(prompt: str) -> str:
    """Show a prompt, return the next key, and erase the prompt."""
    from harness.terminal.lines import encodable

    text = encodable(prompt, sys.stdout.encoding)
    click.echo(text, nl=False)
    try:
        return click.getchar()  # in raw mode only during this call
    except EOFError:
        return "\x04"
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    finally:
        click.echo(f"\r{' ' * len(text)}\r", nl=False)


def _read_line(prompt: str) -> str:
    """Show a prompt and return what is typed before Enter; q at the end of the input."""
    from harness.terminal.lines import encodable

    try:
        return input(encodable(prompt, sys.stdout.encoding))
    except EOFError:
        return "q"
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _print(lines: Iterable[Line]) -> None:
    from harness.terminal.show import show

    show(lines)
