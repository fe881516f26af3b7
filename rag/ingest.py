"""Files -> records -> index: skip what is unchanged, add, update, remove, and keep the ledger.

SQLite commits first, file by file, then the Chroma index is brought up to date once. Killed at any
point, the next run goes on from what was committed.
"""

import contextlib
import logging
import os
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from embeddings.embedder import Embedder
from rag import readers, recording
from rag.database import translated
from rag.errors import UnreadableFile
from rag.formats import web
from rag.formats.sandbox import Sandbox
from rag.readers import Sheet
from rag.records import Records
from rag.store import WRITER_WAIT_S, VectorIndex
from rag.types import Article

log = logging.getLogger(__name__)

Place = Path | str  # a file, a folder, or a URL
Sheets = Callable[[str], Iterator[Sheet]]  # as `readers.sheets` gives them
MAX_FETCHED = 1024 * 1024 * 1024  # bytes from the web in one ingest
_TOO_MUCH = "comes behind over 1 GB; ingest it by itself."


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
class Report:
    """What an ingest did, in articles; `articles` and `passages` are what is indexed now."""

    added: int
    updated: int
    unchanged: int
    removed: int
    failed: tuple[dict[str, str], ...]
    articles: int
    passages: int
    seconds: float
    moved: int = 0

    def to_json(self) -> dict[str, object]:
        """As INTERFACE has it."""
        return {**asdict(self), "failed": list(self.failed)}


@dataclass(slots=True)
class Watcher:
    """What an ingest tells while it runs; the defaults stay silent."""

    file_done: Callable[[FileReport], None] = field(default=lambda report: None)
    step: Callable[[str, int, int], None] = field(default=lambda what, done, total: None)
    waiting: Callable[[], None] = field(default=lambda: None)


def ingest(
    places: Sequence[Place],
    records: Records,
    index: VectorIndex,
    embedder: Embedder,
    *,
    sync: bool = False,
    watcher: Watcher | None = None,
    reach: web.Web | None = None,
) -> Report:
    """Makes the index hold the articles of these files, folders and web addresses.

    With `sync`, articles whose file is gone from these folders are removed.

    Raises:
        StoreUnavailable, IndexMismatch: nothing that was acknowledged is lost.
    """
    started, watcher = time.monotonic(), watcher or Watcher()
    records.check_model(embedder.name)
    with _fetched(places, reach) as sheets, _locked(index, watcher):
        records.check_model(embedder.name)  # another process may have been first
        with Sandbox() as sandbox:
            write = _Writer(records, embedder, watcher)
            reports = list(_read(places, sheets, records, sandbox, write, watcher))
        if sync:
            reports.extend(_sync(places, records, write))
        _remove(records.ledger.unplaced_articles(), records)  # what a killed run left behind
        recording.index_bare(records, embedder)
        records.drop_unused_vectors()
        if not index.is_fresh() or not index.is_sound():
            index.rebuild(lambda done, total: watcher.step("index", done, total))
        index.sweep()
    return _summed(reports, records, started)


def preview(
    places: Sequence[Place],
    records: Records,
    *,
    sync: bool = False,
    watcher: Watcher | None = None,
    reach: web.Web | None = None,
) -> Report:
    """What `ingest` would do, with nothing done; `articles` and `passages` are what is there."""
    started, watcher = time.monotonic(), watcher or Watcher()
    write = _Preview()
    sheets = partial(readers.sheets, reach=reach)
    with Sandbox() as sandbox:
        reports = list(_read(places, sheets, records, sandbox, write, watcher))
    if sync:
        reports.extend(_sync(places, records, write))
    return _summed(reports, records, started)


def remove(
    ids: Sequence[str],
    records: Records,
    index: VectorIndex,
    embedder: Embedder,
    wait_s: float = WRITER_WAIT_S,
) -> int:
    """Takes articles out; gives how many.

    Raises:
        ArticleNotFound: if one of them isn't there; then none is removed.
        StoreUnavailable: if somebody else changes the index for longer than `wait_s`.
    """
    wanted = set(ids)
    with index.writing(wait_s):
        for article_id in wanted:
            records.article(article_id)
        _remove(wanted, records)
        recording.index_bare(records, embedder)
        if not index.is_fresh():
            index.rebuild()
    return len(wanted)


def _summed(reports: Sequence[FileReport], records: Records, started: float) -> Report:
    counts = records.counts()
    return Report(
        added=sum(report.added for report in reports),
        updated=sum(report.updated for report in reports),
        unchanged=sum(report.unchanged for report in reports),
        removed=sum(report.removed for report in reports),
        failed=tuple({"path": r.path, "error": r.error} for r in reports if r.error),
        articles=counts.articles,
        passages=counts.passages,
        seconds=round(time.monotonic() - started, 3),
        moved=sum(report.moved for report in reports),
    )


# --- what is to be done --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
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


class _Ledger:
    """The files as they were read before this run, to find what is the same under another name."""

    def __init__(self, records: Records) -> None:
        self.digests = records.ledger.files()
        self._paths = {digest: path for path, digest in self.digests.items() if digest}
        self._names = sorted(self.digests)

    def moved_from(self, name: str, digest: str) -> str:
        """The file of this content that is gone, if this one is new."""
        old = self._paths.get(digest, "")
        if name in self.digests or not old or web.is_url(old) or not _is_gone(Path(old)):
            return ""
        return old

    def members(self, place: str) -> list[str]:
        """What was read under this name: the file itself, or the members of an archive."""
        own = [place] if place in self.digests else []
        inside = (bisect_left(self._names, place + end) for end in ("/", "0"))  # 0 comes after /
        return own + self._names[slice(*inside)]


@contextlib.contextmanager
def _fetched(places: Sequence[Place], reach: web.Web | None) -> Iterator[Sheets]:
    """What gives the sheets of a place; all that is on the web is fetched, which may take minutes.

    It lies on the disk until it is read: nobody else should wait for servers to answer.
    """
    pages: dict[str, list[tuple[Sheet, Path]]] = {}
    left = MAX_FETCHED
    with tempfile.TemporaryDirectory(prefix="wenbao-") as folder:
        for url in dict.fromkeys(str(place) for place in places if web.is_url(str(place))):
            pages[url] = []
            for n, sheet in enumerate(readers.sheets(url, reach)):
                left -= len(sheet.content)
                file = Path(folder, f"{len(pages)}-{n}")
                with translated():
                    file.write_bytes(sheet.content if left >= 0 else b"")
                error = sheet.error if left >= 0 else _TOO_MUCH
                pages[url].append((replace(sheet, content=b"", error=error), file))

        def sheets(place: str) -> Iterator[Sheet]:
            if place not in pages:
                yield from readers.sheets(place)
            for sheet, file in pages.get(place, ()):
                yield replace(sheet, content=file.read_bytes())

        yield sheets


@contextlib.contextmanager
def _locked(index: VectorIndex, watcher: Watcher) -> Iterator[None]:
    """While nobody else changes the index; whoever has to wait for that is told."""
    if index.is_being_written():
        watcher.waiting()
    with index.writing():
        yield


def _read(
    places: Sequence[Place],
    sheets: Sheets,
    records: Records,
    sandbox: Sandbox,
    write: "_Writer | _Preview",
    watcher: Watcher,
) -> Iterator[FileReport]:
    """Reads all files, one after another, and writes what is new in each."""
    names, missing = _walk(places)
    for report in missing:
        watcher.file_done(report)
        yield report
    ledger = _Ledger(records)
    for done, place in enumerate(names):
        watcher.step("files", done, len(names))
        seen, whole = set[str](), True
        for sheet in sheets(place):
            report = _read_sheet(sheet, ledger, records, sandbox, write)
            seen.add(sheet.name)
            whole = whole and not (report.error and sheet.name == place)
            watcher.file_done(report)
            yield report
        if whole and not web.is_url(place):
            yield from _take_out(
                [n for n in ledger.members(place) if n not in seen], records, write
            )
    watcher.step("files", len(names), len(names))


def _walk(places: Sequence[Place]) -> tuple[list[str], list[FileReport]]:
    """The files under some places, each once; and a report for each place that isn't there."""
    names: list[str] = []
    missing: list[FileReport] = []
    for place in places:
        if web.is_url(str(place)):
            names.append(str(place))
            continue
        try:
            names.extend(os.path.realpath(file) for file in readers.walk([Path(place)]))
        except UnreadableFile as exc:
            missing.append(FileReport(_printable(str(place)), error=str(exc)))
    return list(dict.fromkeys(names)), missing


def _printable(name: str) -> str:
    """A name as text; what isn't UTF-8 in it becomes question marks."""
    return name.encode(errors="replace").decode()


def _read_sheet(
    sheet: Sheet,
    ledger: _Ledger,
    records: Records,
    sandbox: Sandbox,
    write: "_Writer | _Preview",
) -> FileReport:
    """Reads a file unless it is unchanged; gives what became of it."""
    name = sheet.name
    if name != _printable(name):
        error = f"{_printable(name)} has a name that is not UTF-8; rename it."
        return FileReport(_printable(name), error=error)
    digest = "" if sheet.error else sha256(sheet.content).hexdigest()
    if digest and ledger.digests.get(name) == digest:
        return FileReport(name, unchanged=len(dict(records.ledger.articles_of(name))))
    try:
        articles = _once(readers.articles_of(sheet, sandbox))
    except UnreadableFile as exc:
        return FileReport(name, error=str(exc))
    plan = _plan(name, digest, articles, ledger.moved_from(name, digest), records)
    write.file(plan)
    return plan.report()


def _plan(
    name: str, digest: str, articles: Sequence[Article], moved_from: str, records: Records
) -> _Plan:
    changed = tuple(article for article in articles if not _is_recorded(article, records))
    paths = [name, moved_from]
    before = {id_ for path in paths for id_, _ in records.ledger.articles_of(path)}
    lost = before - {article.article_id for article in articles}
    lost -= records.ledger.elsewhere(lost, paths)
    return _Plan(
        name,
        digest,
        articles=tuple(articles),
        changed=changed,
        new=tuple(a for a in changed if records.find(a.article_id) is None),
        gone=tuple(records.article(article_id) for article_id in sorted(lost)),
        moved_from=moved_from,
    )


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


def _once(articles: Sequence[Article]) -> list[Article]:
    """A page may print an article twice; it is kept once."""
    return list({article.article_id: article for article in articles}.values())


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


def _sync(
    places: Sequence[Place], records: Records, write: "_Writer | _Preview"
) -> Iterator[FileReport]:
    """Takes files out of the ledger that are gone from the given folders.

    A folder that is away itself says nothing about its files: it may be a disk that isn't mounted.
    """
    paths = [Path(place) for place in places if not web.is_url(str(place))]
    roots = [Path(os.path.realpath(path)) for path in paths if not _is_gone(path)]
    names = [name for name in records.ledger.files() if not web.is_url(name)]
    under = [n for n in names if any(Path(n).is_relative_to(root) for root in roots)]
    gone = [name for name in under if name not in write.moved and _is_gone(Path(name))]
    yield from _take_out(gone, records, write)


def _take_out(
    names: Sequence[str], records: Records, write: "_Writer | _Preview"
) -> Iterator[FileReport]:
    """Takes files out of the ledger, with the articles that stand in no other."""
    for name in names:
        plan = _plan(name, "", [], "", records)
        write.file(plan)
        yield FileReport(name, removed=len(plan.gone))


def _is_gone(path: Path) -> bool:
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


# --- doing it ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Preview:
    """Writes nothing; `moved` are the files that would be in the ledger no more."""

    moved: set[str] = field(default_factory=set)

    def file(self, plan: _Plan) -> None:
        self.moved.add(plan.moved_from)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes what a file asks for into the records."""

    records: Records
    embedder: Embedder
    watcher: Watcher
    moved: frozenset[str] = frozenset()

    def file(self, plan: _Plan) -> None:
        """Records the articles that changed, then the file."""
        leaving = {article.article_id for article in plan.gone}
        for passages in recording.record(plan.changed, leaving, self.records, self.embedder):
            self.watcher.step("passages", passages, 0)
        self._put(plan)

    def _put(self, plan: _Plan) -> None:
        """Writes the ledger, and takes out what is in no file any more."""
        ledger = self.records.ledger
        with self.records.change():
            if plan.moved_from:
                ledger.remove_file(plan.moved_from)
                for article in plan.articles:  # the source may be the file's name
                    self.records.put_article(article)
            if plan.digest:
                ledger.put_file(plan.name, plan.digest, plan.articles)
            else:
                ledger.remove_file(plan.name)
            for article in plan.gone:
                self.records.remove_article(article.article_id)


def _remove(ids: Iterable[str], records: Records) -> None:
    ids = sorted(ids)
    if not ids:
        return
    with records.change():
        for article_id in ids:
            records.remove_article(article_id)
