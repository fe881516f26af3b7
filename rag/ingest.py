"""Files -> records -> index: skip what is unchanged, add, update, remove, and keep the ledger.

SQLite commits first, file by file (the pages of an issue together), then the Chroma index is
brought up to date once. Killed at any point, the next run goes on from what was committed.
"""

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from embeddings.embedder import Embedder
from rag import issues, readers, recording
from rag.database import translated
from rag.errors import UnreadableFile
from rag.formats import web
from rag.formats.sandbox import Sandbox
from rag.issues import Reading
from rag.plans import FileReport, Known, Plan, is_gone, plans_of
from rag.readers import Sheet
from rag.records import Records
from rag.store import WRITER_WAIT_S, VectorIndex

log = logging.getLogger(__name__)

Place = Path | str  # a file, a folder, or a URL
Sheets = Callable[[str], Iterator[Sheet]]  # as `readers.sheets` gives them
MAX_FETCHED = 1024 * 1024 * 1024  # bytes from the web in one ingest
_TOO_MUCH = "comes behind over 1 GB; ingest it by itself."


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
            desk = _Desk(records, sandbox, _Writer(records, embedder, watcher), watcher)
            reports = list(desk.read(places, sheets))
            reports.extend(desk.sync(places) if sync else ())
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
    sheets = partial(readers.sheets, reach=reach)
    with Sandbox() as sandbox:
        desk = _Desk(records, sandbox, _Preview(), watcher)
        reports = list(desk.read(places, sheets))
        reports.extend(desk.sync(places) if sync else ())
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


class _Desk:
    """Where files are looked at: one after another, but the pages of an issue together."""

    def __init__(
        self, records: Records, sandbox: Sandbox, write: "_Writer | _Preview", watcher: Watcher
    ) -> None:
        self._records, self._sandbox = records, sandbox
        self._write, self._watcher = write, watcher
        self._known = Known(records)
        self._held: list[Reading] = []  # pages of one issue

    def read(self, places: Sequence[Place], sheets: Sheets) -> Iterator[FileReport]:
        """Reads all files, and writes what is new in each."""
        names, missing = _walk(places)
        for report in missing:
            self._watcher.file_done(report)
            yield report
        for done, place in enumerate(names):
            self._watcher.step("files", done, len(names))
            seen, whole = set[str](), True
            for sheet in sheets(place):
                reading = self._look(sheet)
                seen.add(sheet.name)
                whole = whole and not (reading.error and sheet.name == place)
                yield from self._take(reading)
            if whole and not web.is_url(place):
                gone = [name for name in self._known.members(place) if name not in seen]
                yield from self._take_out(gone)
        yield from self._clear()
        self._watcher.step("files", len(names), len(names))

    def sync(self, places: Sequence[Place]) -> Iterator[FileReport]:
        """Takes files out of the ledger that are gone from the given folders.

        A folder that is away itself says nothing about its files: it may be a disk that isn't
        mounted.
        """
        paths = [Path(place) for place in places if not web.is_url(str(place))]
        roots = [Path(os.path.realpath(path)) for path in paths if not is_gone(path)]
        names = [name for name in self._records.ledger.files() if not web.is_url(name)]
        under = [n for n in names if any(Path(n).is_relative_to(root) for root in roots)]
        moved = self._write.moved
        yield from self._take_out([n for n in under if n not in moved and is_gone(Path(n))])

    def _look(self, sheet: Sheet) -> Reading:
        """What a file holds, unless it is unchanged."""
        name = sheet.name
        if name != _printable(name):
            error = f"{_printable(name)} has a name that is not UTF-8; rename it."
            return Reading(_printable(name), error=error)
        digest = issues.digest_of(sheet)
        if digest and self._known.digests.get(name) == digest:
            return Reading(name, digest, issue=self._records.ledger.issue_of(name))
        return issues.read(sheet, self._sandbox)

    def _take(self, reading: Reading) -> Iterator[FileReport]:
        """Puts a page to the others of its issue; settles what is complete."""
        if self._held and reading.issue != self._held[0].issue:
            yield from self._clear()
        self._held.append(reading)
        if not reading.issue or len(self._held) > issues.MOST:
            yield from self._clear()

    def _clear(self) -> Iterator[FileReport]:
        """Writes what the pages at hand hold; gives what became of each."""
        held, self._held = self._held, []
        reports = {report.path: report for report in self._settled(held)}
        for reading in held:
            report = reports.pop(reading.name, None) or self._as_it_was(reading)
            self._watcher.file_done(report)
            yield report
        yield from reports.values()

    def _as_it_was(self, reading: Reading) -> FileReport:
        if reading.error:
            return FileReport(reading.name, error=reading.error)
        return FileReport(
            reading.name, unchanged=len(self._records.ledger.articles_of(reading.name))
        )

    def _take_out(self, names: Sequence[str]) -> Iterator[FileReport]:
        """Takes files out of the ledger, with the articles that stand in no other."""
        if names:
            yield from self._clear()
        for name in names:
            yield from self._settled([Reading(name, held=())])

    def _settled(self, readings: Sequence[Reading]) -> Iterator[FileReport]:
        """Writes files that are new, changed or gone, with all other pages of their issues."""
        if all(reading.held is None for reading in readings):
            return
        moved = {r.name: self._known.moved_from(r.name, r.digest) for r in readings}
        others, crowded = self._others(readings, moved)
        asked = {reading.name for reading in readings}
        unread = {r.name for r in readings if r.held is None and r.issue not in crowded}
        whole = [r for r in readings if r.held is not None]
        whole += issues.again(unread | others, self._sandbox)
        found = issues.articles_of(whole, crowded)
        plans = plans_of(whole, found, moved, self._records)
        self._write.files(plans)
        for plan in plans:
            report = plan.report()
            if plan.name in asked:
                yield report
            elif report.added or report.updated or report.removed:
                yield replace(report, unchanged=0)

    def _others(
        self, readings: Sequence[Reading], moved: Mapping[str, str]
    ) -> tuple[set[str], set[str]]:
        """The other pages of the issues that some files are or were of; issues of too many."""
        names = {*moved, *moved.values()}
        touched = {r.issue for r in readings} | {self._records.ledger.issue_of(n) for n in names}
        others, crowded = set[str](), set[str]()
        for issue in touched - {""}:
            known = set(self._records.ledger.pages_of(issue, issues.MOST + 1))
            if len(known.union(r.name for r in readings if r.issue == issue)) > issues.MOST:
                crowded.add(issue)
            else:
                others |= known - names
        return others, crowded


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


# --- doing it ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Preview:
    """Writes nothing; `moved` are the files that would be in the ledger no more."""

    moved: set[str] = field(default_factory=set)

    def files(self, plans: Sequence[Plan]) -> None:
        self.moved.update(plan.moved_from for plan in plans)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes what a file asks for into the records."""

    records: Records
    embedder: Embedder
    watcher: Watcher
    moved: frozenset[str] = frozenset()

    def files(self, plans: Sequence[Plan]) -> None:
        """Records the articles that changed, then the files, all of them or none."""
        leaving = {article.article_id for plan in plans for article in plan.gone}
        changed = {article.article_id: article for plan in plans for article in plan.changed}
        found = recording.record(list(changed.values()), leaving, self.records, self.embedder)
        for passages in found:
            self.watcher.step("passages", passages, 0)
        with self.records.change():
            for plan in plans:
                self._put(plan)
            for article_id in sorted(leaving):
                self.records.remove_article(article_id)

    def _put(self, plan: Plan) -> None:
        """Writes a file into the ledger, or takes it out."""
        ledger = self.records.ledger
        if plan.moved_from:
            ledger.remove_file(plan.moved_from)
            for article in plan.articles:  # the source may be the file's name
                self.records.put_article(article)
        if plan.digest:
            ledger.put_file(plan.name, plan.digest, plan.articles, plan.issue)
        else:
            ledger.remove_file(plan.name)


def _remove(ids: Iterable[str], records: Records) -> None:
    ids = sorted(ids)
    if not ids:
        return
    with records.change():
        for article_id in ids:
            records.remove_article(article_id)
