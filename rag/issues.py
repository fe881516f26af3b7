"""Files as they are looked at, and the pages of one issue read as one: what jumps is joined.

What the files of an issue hold depends on all of them, so when one changes the others are read
again. Does not cover which open end a tail belongs to (layout/across.py), nor the ledger.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from rag import pages, readers
from rag.errors import UnreadableFile
from rag.formats import web
from rag.formats.sandbox import Sandbox
from rag.pages import Page
from rag.readers import Sheet
from rag.records import Records
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


class Known:
    """The files as they were read before this run, to find what is the same under another name."""

    def __init__(self, records: Records) -> None:
        self.digests = records.ledger.files()
        self._paths = {digest: path for path, digest in self.digests.items() if digest}
        self._names = sorted(self.digests)

    def moved_from(self, name: str, digest: str) -> str:
        """The file of this content that is gone, if this one is new."""
        old = self._paths.get(digest, "")
        if name in self.digests or not old or web.is_url(old) or not is_gone(Path(old)):
            return ""
        return old

    def members(self, place: str) -> list[str]:
        """What was read under this name: the file itself, or the members of an archive."""
        own = [place] if place in self.digests else []
        inside = (bisect_left(self._names, place + end) for end in ("/", "0"))  # 0 comes after /
        return own + self._names[slice(*inside)]


def is_gone(path: Path) -> bool:
    """Whether nothing is there; what may not be looked at isn't gone.

    Nor is what lies in an archive that is there: reading the archive says what became of it.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return not any(parent.is_file() for parent in path.parents)
    except OSError:
        return False
    return False


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
