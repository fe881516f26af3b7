"""The command line: one function a command, each a few lines.

Exit status: 0 done; 1 it ran and the result is bad; 2 wrong use; 3 something it needs is away.
"""

import contextlib
import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from bot import __version__
from rag.errors import (
    ArticleNotFound,
    BadSettings,
    QuestionRejected,
    UnreadableFile,
    WenbaoError,
    WrongUse,
)

if TYPE_CHECKING:
    from bot.keys import Keys
    from bot.people import People
    from bot.settings import Settings
    from bot.wiring import App
    from rag.ingest import FileReport, Report
    from rag.measuring.fitting import Aim
    from rag.records import Records
    from rag.types import Article

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Wenbao (问报): ask newspaper pages, get answers with the exact passages.",
)
_state = {"debug": False}
_STREAM = Path("-")

Places = Annotated[list[str], typer.Argument(help="Page files, folders, archives, URLs, feeds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Asked = Annotated[str, typer.Argument(help="The question, in English or Chinese.")]
Since = Annotated[str, typer.Option(help="Only articles of this day or later, YYYY-MM-DD.")]
Until = Annotated[str, typer.Option(help="Only articles of this day or earlier.")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Only these newspapers.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wenbao {__version__}")
        raise typer.Exit


@cli.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Wenbao (问报): ask newspaper pages, get answers with the exact passages."""
    _state["debug"] = debug


@cli.command()
def ingest(
    places: Places,
    as_json: AsJson = False,
    sync: Annotated[
        bool, typer.Option("--sync", help="Also remove articles whose file is gone.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Read pages, rebuild the articles, add or update what changed."""
    if dry_run:
        from rag.ingest import preview

        with contextlib.closing(_records()) as records, _progress(as_json) as watcher:
            report = preview(places, records, sync=sync, watcher=watcher)
    else:
        with _app() as app, _progress(as_json) as watcher:
            report = app.ingest(places, sync=sync, watcher=watcher)
    _print_json(report.to_json()) if as_json else _say(_summary(report, dry_run))
    if report.failed:
        raise typer.Exit(1)


@cli.command()
def parse(places: Places, as_json: AsJson = False) -> None:
    """Show the articles found on pages; store nothing."""
    from bot.render import article_json
    from rag import readers
    from rag.formats.sandbox import Sandbox

    names, failed = _walked(places)
    with Sandbox() as sandbox:
        for sheet in (sheet for name in names for sheet in readers.sheets(name)):
            try:
                articles = readers.articles_of(sheet, sandbox)
            except UnreadableFile as exc:
                _complain(str(exc))
                failed = True
                continue
            for article in articles:
                if as_json:
                    _print_json(article_json(article, with_text=True))
                else:
                    title = article.title or "(no title)"
                    _say(f"{title}  {article.date}  {article.byline}".rstrip())
                    _say(f"  {len(article.text):,} characters from {sheet.title}")
    if failed:
        raise typer.Exit(1)


@cli.command()
def articles(
    as_json: AsJson = False,
    people: Annotated[bool, typer.Option("--people", help="Who is named, with office.")] = False,
) -> None:
    """List what is indexed."""
    after, shown = "", 0
    with contextlib.closing(_records()) as records:
        while page := records.articles(after=after, limit=500):
            for article in page:
                _print_article(article, people, as_json)
            after, shown = page[-1].article_id, shown + len(page)
    if not shown and not as_json:
        _say("Nothing is indexed yet: `wenbao ingest PATH` reads page files.")


def _print_article(article: "Article", with_people: bool, as_json: bool) -> None:
    from bot.render import article_json
    from rag.metadata.persons import people_of

    people = people_of(article) if with_people else ()
    if as_json:
        named = {"people": [dataclasses.asdict(person) for person in people]} if with_people else {}
        _print_json(article_json(article, with_text=False) | named)
        return
    _say(f"{article.article_id}  {article.date or '-':10}  {article.title}")
    for printing in article.also_in:
        _say(f"{'':12}  also in {printing.source} {printing.date}".rstrip())
    for person in people:
        _say(f"{'':12}  {person.name}  {person.office}  {person.organisation}".rstrip())


@cli.command()
def remove(ids: Annotated[list[str], typer.Argument(help="Article ids.")]) -> None:
    """Take articles out."""
    with _app() as app:
        _say(f"removed {app.remove(ids)}")


@cli.command()
def ask(
    question: Asked,
    *,
    as_json: AsJson = False,
    lang: Annotated[str, typer.Option(help="auto, zh or en.")] = "auto",
    top_k: Annotated[int | None, typer.Option(help="Passages to draw on.", min=1, max=50)] = None,
    article: Annotated[list[str] | None, typer.Option(help="Only these articles.")] = None,
    since: Since = "",
    until: Until = "",
    source: Sources = None,
) -> None:
    """Answer a question, with the passages it comes from."""
    from bot import render

    if lang not in ("auto", "zh", "en"):
        raise typer.BadParameter("--lang is auto, zh or en")
    with _app() as app:
        asked = app.answerer.question(
            question,
            lang,
            top_k,
            article_ids=article or (),
            since=since,
            until=until,
            sources=source or (),
        )
        answer = app.answerer.answer_now(asked)
    _print_json(render.to_json(answer)) if as_json else _show(render.terminal(answer))


@cli.command()
def search(
    question: Asked,
    k: Annotated[int, typer.Option("-k", help="How many passages.", min=1, max=50)] = 8,
    as_json: AsJson = False,
    since: Since = "",
    until: Until = "",
    source: Sources = None,
) -> None:
    """Show the ranked passages alone."""
    from bot import render

    with _app() as app:
        asked = app.answerer.question(
            question, top_k=k, since=since, until=until, sources=source or ()
        )
        hits = app.answerer.search_now(asked)
    if as_json:
        _print_json({"passages": [render.hit_json(hit) for hit in hits]})
        return
    for rank, hit in enumerate(hits, 1):
        _say(f"{rank}. {hit.score:.3f}  {hit.passage.title}\n   {hit.passage.text}\n")


@cli.command()
def evaluate(
    questions: Annotated[Path, typer.Argument(help="Question file, JSON lines.")],
    *,
    corpus: Annotated[
        Path | None, typer.Option(help="Measure against a temporary index of these pages.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for report.json and report.html.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="An older report.json: what changed, in pairs.")
    ] = None,
    as_json: AsJson = False,
    fail_under: Annotated[
        list[str] | None, typer.Option(help="METRIC=VALUE, e.g. hit@3.zh=0.95; exit 1 below it.")
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Fit when to refuse to these questions, for this home.")
    ] = False,
    fit_refuse: Annotated[
        float | None, typer.Option(help="--fit: share of answerable refused, .05.", min=0, max=1)
    ] = None,
    fit_wrong: Annotated[
        float | None, typer.Option(help="--fit: instead, share of answers wrong.", min=0, max=1)
    ] = None,
) -> None:
    """Measure a question file: retrieval, citations, refusals, time. Stopped, it goes on."""
    from bot import measuring
    from rag.measuring import compare as comparing
    from rag.measuring import report as reporting
    from rag.measuring import report_table
    from rag.measuring.questions import read_questions

    if fit or fit_refuse is not None or fit_wrong is not None:
        if report or compare or fail_under:
            raise typer.BadParameter("--fit measures nothing: leave out the options of a report")
        _fit(questions, corpus, measuring.aim(fit_refuse, fit_wrong), as_json)
        return
    bars = [reporting.bar(text) for text in fail_under or ()]
    asked = read_questions(questions)
    reporting.check_groups(bars, asked)
    old = comparing.read_past(compare) if compare else None
    folder = measuring.report_folder(report) if report else None
    settings = _settings()
    with _app_over(corpus, settings, as_json) as (app, ingested), _bar("questions", as_json) as go:
        found = measuring.measured(app, settings, questions, asked, go, ingested)
    change = comparing.compare(comparing.past(found), old) if old else None
    if folder:
        measuring.write(folder, found, change)
    if as_json:
        _print_json(reporting.to_json(found, change))
    else:
        _show(report_table.table(found, change))
    if missed := reporting.missed(found, bars):
        for sentence in missed:
            _complain(sentence)
        raise typer.Exit(1)


def _fit(questions: Path, corpus: Path | None, aim: "Aim", as_json: bool) -> None:
    from bot import measuring
    from rag.measuring import report_table
    from rag.measuring.questions import read_questions
    from rag.weights import FILE_NAME

    asked, settings = read_questions(questions), _settings()
    with _app_over(corpus, settings, as_json) as (app, _), _bar("questions", as_json) as progress:
        found = measuring.fitted(app, settings, asked, aim, progress)
    if as_json:
        _print_json(found.to_json())
    else:
        _show(report_table.fitted(found, settings.home / FILE_NAME))


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port.", min=1, max=65_535)] = None,
    workers: Annotated[int, typer.Option(help="Processes that answer.", min=1, max=64)] = 1,
) -> None:
    """Run the HTTP server with the chat page."""
    from bot import api

    changed = {"host": host, "port": port}
    settings = _settings().model_copy(update={k: v for k, v in changed.items() if v is not None})
    with _app(settings) as app:
        _say(f"Wenbao listens on http://{settings.host}:{settings.port} (Ctrl-C ends it)")
        if workers == 1:
            api.serve(app)
    if workers > 1:  # the house was opened to see that it can be; each process opens its own
        api.serve_many(settings, workers)


keys = typer.Typer(no_args_is_help=True, help="API keys: make them, list them, take them away.")
cli.add_typer(keys, name="keys")


@keys.command("add")
def keys_add(
    name: Annotated[str, typer.Argument(help="Who or what the key is for.")],
    scope: Annotated[str, typer.Option(help="read or write; writing includes reading.")] = "write",
) -> None:
    """Make a key and show it, this once."""
    from bot.keys import SCOPES

    wanted = next((each for each in SCOPES if each == scope), None)
    if wanted is None:
        raise typer.BadParameter("--scope is read or write")
    with _keys() as known:
        key = known.add(name, wanted)
        closed = known.close_reading()
    typer.echo(key)
    _complain("Keep it now: only its hash is stored.")
    if not closed:
        _complain("Reading stays open to everybody until there is a key of scope read.")


@keys.command("list")
def keys_list(as_json: AsJson = False) -> None:
    """List the keys, without their words."""
    with _keys() as known:
        for key in known.listed():
            if as_json:
                _print_json({"name": key.name, "scope": key.scope, "made_at": key.made_at})
            else:
                _say(f"{key.name}  {key.scope}  {key.made_at}")


@keys.command("remove")
def keys_remove(name: Annotated[str, typer.Argument(help="The key's name.")]) -> None:
    """Take a key away, at once."""
    with _keys() as known:
        known.remove(name)
    _say(f"removed {name}")


@cli.command()
def telegram(
    webhook: Annotated[
        str, typer.Option(help="Public https address that Telegram calls; else the bot polls.")
    ] = "",
) -> None:
    """Run the Telegram bot."""
    from bot import telegram as door

    with _app() as app:
        door.run(app, webhook)


feedback = typer.Typer(no_args_is_help=True, help="What people thought of answers.")
cli.add_typer(feedback, name="feedback")


@feedback.command()
def export(
    path: Annotated[Path | None, typer.Argument(help="File to write; default: the screen.")] = None,
) -> None:
    """Write the votes as a question file for `wenbao evaluate`."""
    from bot import feedback as room

    with contextlib.closing(_people()) as people:
        lines = room.lines(people)
    if path is None:
        sys.stdout.writelines(lines)
        return
    path.write_text("".join(lines), encoding="utf-8")
    _say(f"{len(lines)} questions written to {path}")


@cli.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; - for standard output.")],
) -> None:
    """Write articles, people's answers and the fitted judge to one file, while all runs."""
    from bot import backup as backups

    home = _settings().home
    if file == _STREAM:
        kept = backups.write(home, sys.stdout.buffer)
    else:
        kept = backups.write_file(home, file)
    _say(
        f"{', '.join(kept)} of {home} are in {'the stream' if file == _STREAM else file}", err=True
    )


@cli.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `backup` wrote; - for standard input.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace what the home holds already.")
    ] = False,
) -> None:
    """Put a backup into the home; stop what runs there first."""
    from bot import backup as backups

    home = _settings().home
    with _opened(file) as source:
        found = backups.restore(home, source, force)
    _say(f"{', '.join(found)} are in {home}; the index is made again by the next command", err=True)


@cli.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what is installed, what is indexed, what is missing and what mends it."""
    from bot import doctor as checks

    found = checks.examine(_settings())
    if as_json:
        _print_json(checks.to_json(found))
    else:
        _show(checks.table(found))
    if not all(check.ok for check in found):
        raise typer.Exit(3)


def main() -> None:
    """Runs a command; an error is one sentence and an exit status."""
    try:
        cli()
    except Exception as exc:  # whatever it is, a person gets one sentence
        if _state["debug"]:
            raise
        sentence, status = _translated(exc)
        _complain(sentence)
        sys.exit(status)


def _translated(exc: Exception) -> tuple[str, int]:
    """The one table of this door from an error to words and an exit status."""
    if isinstance(exc, QuestionRejected | ArticleNotFound | BadSettings | WrongUse):
        return str(exc), 2
    if isinstance(exc, UnreadableFile):
        return str(exc), 1
    if isinstance(exc, WenbaoError):
        return str(exc), 3
    return f"Something went wrong ({type(exc).__name__}): run again with --debug to see it.", 3


def _settings() -> "Settings":
    from bot import logs
    from bot.settings import load

    settings = load()
    if _state["debug"]:
        settings = settings.model_copy(update={"log_level": "DEBUG"})
    logs.set_up(settings.log_level, settings.log_format)
    return settings


@contextlib.contextmanager
def _app(settings: "Settings | None" = None) -> Iterator["App"]:
    from bot.wiring import open_app

    app = open_app(settings or _settings(), _complain)
    try:
        yield app
    finally:
        app.close()


@contextlib.contextmanager
def _app_over(
    corpus: Path | None, settings: "Settings", quiet: bool
) -> Iterator[tuple["App", "Report | None"]]:
    """The app over its own index, or over a temporary one of a corpus, as the home is fitted."""
    if corpus is None:
        with _app(settings) as app:
            yield app, None
        return
    from rag import weights

    with tempfile.TemporaryDirectory(prefix="wenbao-") as home:
        weights.carry(settings.home, Path(home))
        changed = {"home": Path(home), "model_cache": settings.models}
        with _app(settings.model_copy(update=changed)) as app:
            yield app, _corpus_ingested(app, corpus, quiet)


def _corpus_ingested(app: "App", corpus: Path, quiet: bool) -> "Report":
    from rag.ingest import Watcher

    with _bar("files", quiet) as step:
        report = app.ingest([corpus], watcher=Watcher(step=_of_files(step)))
    if not report.articles:
        errors = [failure["error"] for failure in report.failed]
        raise UnreadableFile(errors[0] if errors else f"{corpus} holds no article.")
    for failure in report.failed:
        _complain(failure["error"])
    return report


def _opened(file: Path) -> BinaryIO:
    if file == _STREAM:
        return sys.stdin.buffer
    try:
        return file.open("rb")
    except OSError as exc:
        raise UnreadableFile(f"{file} can't be read ({exc.strerror}); check the path.") from exc


def _people() -> "People":
    from bot.people import People

    return People(_settings().home)


def _records() -> "Records":
    from rag.records import Records

    return Records(_settings().home)


@contextlib.contextmanager
def _keys() -> Iterator["Keys"]:
    from bot.keys import Keys
    from bot.people import People

    settings = _settings()
    with contextlib.closing(People(settings.home)) as people:
        yield Keys(people, settings.keys())


def _walked(places: list[str]) -> tuple[list[str], bool]:
    """The files and addresses under some places, each once; and whether one isn't there."""
    from rag import readers
    from rag.formats import web

    files: dict[str, None] = {}
    failed = False
    for place in places:
        try:
            found = [place] if web.is_url(place) else map(str, readers.walk([Path(place)]))
            files.update(dict.fromkeys(found))
        except UnreadableFile as exc:
            _complain(str(exc))
            failed = True
    return list(files), failed


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def _say(text: str, err: bool = False) -> None:
    """Prints text, without what could steer the terminal."""
    from bot.render import harmless

    typer.echo(harmless(text), err=err)


def _complain(sentence: str) -> None:
    _say(sentence, err=True)


def _show(renderable: Any) -> None:
    from rich.console import Console

    Console().print(renderable)


def _summary(report: "Report", dry_run: bool = False) -> str:
    changes = ("added", "updated", "unchanged", "removed")
    counts = ", ".join(f"{getattr(report, name)} {name}" for name in changes)
    if report.moved:
        counts += f" ({report.moved} of the unchanged moved)"
    if dry_run:
        counts = f"would be: {counts}"
    files = "file" if len(report.failed) == 1 else "files"
    failed = f", {len(report.failed)} {files} failed" if report.failed else ""
    return (
        f"{counts}{failed}: {report.articles} articles, {report.passages} passages indexed"
        f" ({report.seconds:.1f} s)"
    )


def _file_line(report: "FileReport") -> str:
    changes = ("added", "updated", "unchanged", "removed")
    parts = [f"{n} {what}" for what in changes if (n := getattr(report, what))]
    return f"{Path(report.path).name}: {', '.join(parts) or 'no articles'}"


@contextlib.contextmanager
def _progress(as_json: bool) -> Iterator[Any]:
    """A watcher that prints a line a file, and a bar on a terminal."""
    from rag.ingest import Watcher

    if as_json:
        yield Watcher()
        return
    with _bar("files", quiet=not sys.stderr.isatty()) as step:

        def told(report: "FileReport") -> None:
            if report.error:
                _complain(report.error)
            else:
                _say(_file_line(report))

        def waiting() -> None:
            _complain("Another process is changing the index: waiting for it to end.")

        yield Watcher(file_done=told, step=_of_files(step), waiting=waiting)


def _of_files(step: Callable[[int, int], None]) -> Callable[[str, int, int], None]:
    """What an ingest tells, as far as it is about files."""

    def moved(what: str, done: int, total: int) -> None:
        if what == "files":
            step(done, total)

    return moved


@contextlib.contextmanager
def _bar(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on the error stream: done, rate, time left."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    named = Progress.get_default_columns()[:2]
    columns = (*named, MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


if __name__ == "__main__":
    main()
