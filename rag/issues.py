"""Files as they are looked at, and the pages of one issue read as one: what jumps is joined.

What the files of an issue hold depends on all of them, so when one changes the others are read
again. Does not cover which open end a tail belongs to (layout/across.py), nor the ledger.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from rag import pages, readers
from rag.errors import UnreadableFile
from rag.formats.sandbox import Sandbox
from rag.pages import Page
from rag.readers import Sheet
from rag.types import Article

MOST = 48  # pages; more files of one day in a folder are no issue, and each is read by itself


@dataclass(frozen=True, slots=True)
class Reading:
    """A file as it was looked at; `held` is None where it is unchanged or can't be read.

    `issue` names the issue that it is a page of, "" where none is told.
    """

    name: str
    digest: str = ""
    held: Page | tuple[Article, ...] | None = None
    issue: str = ""
    error: str = ""


def digest_of(sheet: Sheet) -> str:
    """What names the content of a sheet; "" where there is none."""
    return "" if sheet.error else sha256(sheet.content).hexdigest()


def read(sheet: Sheet, sandbox: Sandbox) -> Reading:
    """What a sheet holds, or why it can't be read."""
    try:
        found = readers.read(sheet, sandbox)
    except UnreadableFile as exc:
        return Reading(sheet.name, error=str(exc))
    if isinstance(found, Page):
        return Reading(sheet.name, digest_of(sheet), found, found.issue)
    return Reading(sheet.name, digest_of(sheet), tuple(found))


def again(names: Collection[str], sandbox: Sandbox) -> Iterator[Reading]:
    """What some files hold, those in an archive too; what is gone or unreadable is left out."""
    places = {name: _place(name) for name in names}
    for place in sorted(set(places.values()) - {""}):
        for sheet in readers.sheets(place):
            if sheet.name in names and not sheet.error:
                reading = read(sheet, sandbox)
                if not reading.error:
                    yield reading


def _place(name: str) -> str:
    """The file that a name leads to: itself, or the archive that it lies in; "" if none."""
    paths = (Path(name), *Path(name).parents)
    return next((str(path) for path in paths if path.is_file()), "")


def articles_of(readings: Sequence[Reading], crowded: Collection[str]) -> dict[str, list[Article]]:
    """The articles of each file, the pages of an issue read as one unless it is `crowded`."""
    found: dict[str, list[Article]] = {}
    ordered = sorted(readings, key=lambda reading: (reading.issue, reading.name))
    for issue, group in groupby(ordered, key=lambda reading: reading.issue):
        some = list(group)
        together = [some] if issue and issue not in crowded else [[each] for each in some]
        for part in together:
            found |= _articles(part)
    return found


def _articles(readings: Sequence[Reading]) -> dict[str, list[Article]]:
    held = [reading.held for reading in readings if isinstance(reading.held, Page)]
    of_pages = iter(pages.articles_of_issue(held))
    return {
        r.name: _once(next(of_pages) if isinstance(r.held, Page) else r.held or ())
        for r in readings
    }


def _once(articles: Sequence[Article]) -> list[Article]:
    """A page may print an article twice; it is kept once."""
    return list({article.article_id: article for article in articles}.values())
