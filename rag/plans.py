"""What an ingest has to do: files as they were read, against what was recorded of them before.

Does not cover reading them (readers.py, issues.py), nor doing it (ingest.py).
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rag.formats import web
from rag.issues import Reading
from rag.records import Records
from rag.types import Article


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file: counts of articles, or why it couldn't be read.

    `moved` of the unchanged ones stood in a file that is gone.
    """

    path: str
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    error: str = ""
    moved: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file that is new or changed asks for.

    `changed` includes `new`; `gone` stood in this file and stand in none any more; `moved_from` is
    the file that this one was.
    """

    name: str
    digest: str
    articles: tuple[Article, ...] = ()
    changed: tuple[Article, ...] = ()
    new: tuple[Article, ...] = ()
    gone: tuple[Article, ...] = ()
    moved_from: str = ""
    issue: str = ""

    def report(self) -> FileReport:
        """What it comes to, in articles."""
        replaced = _replaced(self.gone, self.new)
        unchanged = len(self.articles) - len(self.changed)
        return FileReport(
            self.name,
            added=len(self.new) - replaced,
            updated=len(self.changed) - len(self.new) + replaced,
            unchanged=unchanged,
            removed=len(self.gone) - replaced,
            moved=unchanged if self.moved_from else 0,
        )


def plans_of(
    readings: Sequence[Reading],
    found: Mapping[str, list[Article]],
    moved: Mapping[str, str],
    records: Records,
) -> list[Plan]:
    """What files ask for that are written together."""
    paths = [*(reading.name for reading in readings), *filter(None, moved.values())]
    kept = {article.article_id for articles in found.values() for article in articles}
    plans: list[Plan] = []
    written = set[str]()
    for reading in readings:
        articles, moved_from = tuple(found[reading.name]), moved.get(reading.name, "")
        changed = tuple(article for article in articles if not _is_recorded(article, records))
        changed = tuple(article for article in changed if article.article_id not in written)
        written |= {article.article_id for article in changed}
        before = (records.ledger.articles_of(path) for path in (reading.name, moved_from))
        lost = {id_ for rows in before for id_, _ in rows} - kept
        lost -= records.ledger.elsewhere(lost, paths)
        kept |= lost  # of the first that loses it
        plans.append(
            Plan(
                reading.name,
                reading.digest,
                articles=articles,
                changed=changed,
                new=tuple(a for a in changed if records.find(a.article_id) is None),
                gone=tuple(records.article(article_id) for article_id in sorted(lost)),
                moved_from=moved_from,
                issue=reading.issue,
            )
        )
    return plans


def _replaced(gone: Sequence[Article], new: Sequence[Article]) -> int:
    """How many new articles stand for one that is gone: under its title, or with its text."""
    left, found = list(gone), 0
    for article in new:
        for old in left:
            if article.title == old.title or article.text == old.text:
                left.remove(old)
                found += 1
                break
    return found


def _is_recorded(article: Article, records: Records) -> bool:
    """Whether the records hold this very article; where ids are given, the id alone can't tell.

    In another file it may be under another source or byline: the first file's stay.
    """
    found = records.find(article.article_id)
    if found is None:
        return False
    same = (
        found
        if found.path == article.path
        else replace(found, source=article.source, byline=article.byline)
    )
    here = replace(same, path=article.path, fragments=article.fragments, also_in=())
    return here == article


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
