"""Pages into the house and out: ingest, parse, articles, remove."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.commands import opening
from bot.commands.terminal import AsJson, Places, bar_of_files, complain, print_json, say
from rag.errors import UnreadableFile

if TYPE_CHECKING:
    from rag.ingest import Report, Watcher
    from rag.plans import FileReport
    from rag.types import Article

_CHANGES = ("added", "updated", "unchanged", "removed")


def ingest(
    places: Places,
    as_json: AsJson = False,
    sync: Annotated[
        bool, typer.Option("--sync", help="Also remove articles whose file is gone.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Read pages, rebuild the articles, add or update what changed."""
    _check_named(places)
    if dry_run:
        from rag.ingest import preview

        with opening.records() as records, _watching(as_json) as watcher:
            report = preview(places, records, sync=sync, watcher=watcher)
    else:
        with opening.app() as app, _watching(as_json) as watcher:
            report = app.ingest(places, sync=sync, watcher=watcher)
    print_json(report.to_json()) if as_json else say(_summary(report, dry_run))
    if report.failed:
        raise typer.Exit(1)


def parse(places: Places, as_json: AsJson = False) -> None:
    """Show the articles found on pages; store nothing."""
    _check_named(places)
    from bot.render import article_json
    from rag import readers
    from rag.formats.sandbox import Sandbox

    names, failed = _walked(places)
    with Sandbox() as sandbox:
        for sheet in (sheet for name in names for sheet in readers.sheets(name)):
            try:
                articles = readers.articles_of(sheet, sandbox)
            except UnreadableFile as exc:
                complain(str(exc))
                failed = True
                continue
            for article in articles:
                if as_json:
                    print_json(article_json(article, with_text=True))
                else:
                    title = article.title or "(no title)"
                    say(f"{title}  {article.date}  {article.byline}".rstrip())
                    say(f"  {len(article.text):,} characters from {sheet.title}")
    if failed:
        raise typer.Exit(1)


def articles(
    as_json: AsJson = False,
    people: Annotated[bool, typer.Option("--people", help="Who is named, with office.")] = False,
) -> None:
    """List what is indexed."""
    after, shown = "", 0
    with opening.records() as records:
        while page := records.articles(after=after, limit=500):
            for article in page:
                _print_article(article, people, as_json)
            after, shown = page[-1].article_id, shown + len(page)
    if not shown and not as_json:
        say("Nothing is indexed yet: `wenbao ingest PATH` reads page files.")


def remove(
    ids: Annotated[list[str], typer.Argument(help="Article ids.")], as_json: AsJson = False
) -> None:
    """Take articles out."""
    with opening.app() as app:
        removed = app.remove(ids)
    print_json({"removed": removed}) if as_json else say(f"removed {removed}")


def _print_article(article: "Article", with_people: bool, as_json: bool) -> None:
    from bot.render import article_json
    from rag.metadata.persons import people_of

    people = people_of(article) if with_people else ()
    if as_json:
        named = {"people": [dataclasses.asdict(person) for person in people]} if with_people else {}
        print_json(article_json(article, with_text=False) | named)
        return
    say(f"{article.article_id}  {article.date or '-':10}  {article.title}")
    for printing in article.also_in:
        say(f"{'':12}  also in {printing.source} {printing.date}".rstrip())
    for person in people:
        say(f"{'':12}  {person.name}  {person.office}  {person.organisation}".rstrip())


def _check_named(places: list[str]) -> None:
    """Refuses the path "", which is a variable that wasn't set and would mean this very folder."""
    if not all(places):
        raise typer.BadParameter("a path is empty: name a file, a folder or an address")


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
            complain(str(exc))
            failed = True
    return list(files), failed


# --- what an ingest tells ------------------------------------------------------------------------


@contextlib.contextmanager
def _watching(as_json: bool) -> Iterator["Watcher"]:
    """A watcher that prints a line a file, and a bar on a terminal."""
    from rag.ingest import Watcher

    if as_json:
        yield Watcher()
        return
    with bar_of_files(quiet=False) as step:
        yield Watcher(file_done=_tell, step=step, waiting=_wait)


def _tell(report: "FileReport") -> None:
    if report.error:
        complain(report.error)
    else:
        say(_file_line(report))


def _wait() -> None:
    complain("Another process is changing the index: waiting for it to end.")


def _file_line(report: "FileReport") -> str:
    parts = [f"{n} {what}" for what in _CHANGES if (n := getattr(report, what))]
    return f"{Path(report.path).name}: {', '.join(parts) or 'no articles'}"


def _summary(report: "Report", dry_run: bool) -> str:
    counts = ", ".join(f"{getattr(report, name)} {name}" for name in _CHANGES)
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
