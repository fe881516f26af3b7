"""The command line: one function a command, each a few lines.

Exit status: 0 done; 1 it ran and the result is bad; 2 wrong use; 3 something it needs is away.
"""

import contextlib
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot import __version__
from rag.errors import (
    ArticleNotFound,
    BadSettings,
    QuestionRejected,
    UnreadableFile,
    WenbaoError,
)

if TYPE_CHECKING:
    from bot.settings import Settings
    from bot.wiring import App
    from rag.ingest import FileReport, Report
    from rag.records import Records

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Wenbao (问报): ask newspaper pages, get answers with the exact passages.",
)
_state = {"debug": False}

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
    from rag.sandbox import Sandbox

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
def articles(as_json: AsJson = False) -> None:
    """List what is indexed."""
    from bot.render import article_json

    after, shown = "", 0
    with contextlib.closing(_records()) as records:
        while page := records.articles(after=after, limit=500):
            for article in page:
                if as_json:
                    _print_json(article_json(article, with_text=False))
                else:
                    _say(f"{article.article_id}  {article.date or '-':10}  {article.title}")
                    for printing in article.also_in:
                        _say(f"{'':12}  also in {printing.source} {printing.date}".rstrip())
            after, shown = page[-1].article_id, shown + len(page)
    if not shown and not as_json:
        _say("Nothing is indexed yet: `wenbao ingest PATH` reads page files.")


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
    corpus: Annotated[
        Path | None, typer.Option(help="Measure against a temporary index of these pages.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Folder for report.json.")] = None,
    as_json: AsJson = False,
    fail_under: Annotated[
        list[str] | None, typer.Option(help="METRIC=VALUE, e.g. hit@3.zh=0.95; exit 1 below it.")
    ] = None,
) -> None:
    """Measure a question file: retrieval, citations, refusals, time."""
    from rag import evaluate as evaluation
    from rag import report as reporting

    try:
        bars = [reporting.bar(text) for text in fail_under or ()]
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    asked = evaluation.read_questions(questions)
    with _app_over(corpus) as (app, ingested), _bar("questions", as_json) as progress:
        found = evaluation.run(asked, app.answerer, app.records, progress, ingested)
    if report:
        report.mkdir(parents=True, exist_ok=True)
        text = json.dumps(reporting.to_json(found), ensure_ascii=False, indent=1)
        (report / "report.json").write_text(text, encoding="utf-8")
    _print_json(reporting.to_json(found)) if as_json else _show(reporting.table(found))
    if missed := reporting.missed(found, bars):
        for sentence in missed:
            _complain(sentence)
        raise typer.Exit(1)


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port.", min=1, max=65_535)] = None,
) -> None:
    """Run the HTTP server with the chat page."""
    from bot import api

    changed = {"host": host, "port": port}
    settings = _settings().model_copy(update={k: v for k, v in changed.items() if v is not None})
    with _app(settings) as app:
        _say(f"Wenbao listens on http://{settings.host}:{settings.port} (Ctrl-C ends it)")
        api.serve(app)


@cli.command()
def telegram() -> None:
    """Run the Telegram bot (polling)."""
    from bot import telegram as door

    with _app() as app:
        door.run(app)


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
    if isinstance(exc, QuestionRejected | ArticleNotFound | BadSettings):
        return str(exc), 2
    if isinstance(exc, UnreadableFile):
        return str(exc), 1
    if isinstance(exc, WenbaoError):
        return str(exc), 3
    return f"Something went wrong ({type(exc).__name__}): run again with --debug to see it.", 3


def _settings() -> "Settings":
    from bot.settings import load

    settings = load()
    level = "DEBUG" if _state["debug"] else settings.log_level
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if not _state["debug"]:
        logging.getLogger("httpx").setLevel(logging.WARNING)
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
def _app_over(corpus: Path | None) -> Iterator[tuple["App", "Report | None"]]:
    """The app over its own index, or over a temporary one of a corpus."""
    if corpus is None:
        with _app() as app:
            yield app, None
        return
    settings = _settings()
    with tempfile.TemporaryDirectory(prefix="wenbao-") as home:
        changed = {"home": Path(home), "model_cache": settings.models}
        with _app(settings.model_copy(update=changed)) as app:
            yield app, app.ingest([corpus])


def _records() -> "Records":
    from rag.records import Records

    return Records(_settings().home)


def _walked(places: list[str]) -> tuple[list[str], bool]:
    """The files and addresses under some places, each once; and whether one isn't there."""
    from rag import readers, web

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

        def moved(what: str, done: int, total: int) -> None:
            if what == "files":
                step(done, total)

        def waiting() -> None:
            _complain("Another process is changing the index: waiting for it to end.")

        yield Watcher(file_done=told, step=moved, waiting=waiting)


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
