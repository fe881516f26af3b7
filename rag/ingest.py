"""Files -> records -> index: skip what is unchanged, add, update, remove, and keep the ledger.

SQLite commits first, file by file, then the Chroma index is brought up to date once. Killed at any
point, the next run goes on from what was committed.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import file_digest, sha256
from pathlib import Path

from embeddings.embedder import Embedder, Tokens, Vector, joined, summed
from rag import chunking, readers
from rag.errors import UnreadableFile
from rag.records import NewPassage, Records
from rag.store import VectorIndex
from rag.terms import passage_terms
from rag.types import Article

log = logging.getLogger(__name__)

READ_AHEAD = 512  # passages embedded at a time, so that batches can be sorted by length


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file: counts of articles, or why it couldn't be read."""

    path: str
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    error: str = ""


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

    def to_json(self) -> dict[str, object]:
        """As INTERFACE has it."""
        return {**asdict(self), "failed": list(self.failed)}


@dataclass(slots=True)
class Watcher:
    """What an ingest tells while it runs; the defaults stay silent."""

    file_done: Callable[[FileReport], None] = field(default=lambda report: None)
    step: Callable[[str, int, int], None] = field(default=lambda what, done, total: None)


def ingest(
    paths: Sequence[Path],
    records: Records,
    index: VectorIndex,
    embedder: Embedder,
    *,
    sync: bool = False,
    watcher: Watcher | None = None,
) -> Report:
    """Makes the index hold the articles of these files and folders.

    With `sync`, articles whose file is gone from these folders are removed.

    Raises:
        StoreUnavailable, IndexMismatch: nothing that was acknowledged is lost.
    """
    started, watcher = time.monotonic(), watcher or Watcher()
    records.check_model(embedder.name)
    with index.writing():
        records.check_model(embedder.name)  # another process may have been first
        reports = list(_ingest_files(paths, records, embedder, watcher))
        if sync:
            reports.extend(_sync(paths, records))
        _remove(records.unplaced_articles(), records)  # what a killed run left behind
        records.drop_unused_vectors()
        if not index.is_fresh() or not index.is_sound():
            index.rebuild(lambda done, total: watcher.step("index", done, total))
        index.sweep()
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
    )


def remove(ids: Sequence[str], records: Records, index: VectorIndex) -> int:
    """Takes articles out; gives how many.

    Raises:
        ArticleNotFound: if one of them isn't there; then none is removed.
    """
    wanted = set(ids)
    with index.writing():
        for article_id in wanted:
            records.article(article_id)
        _remove(wanted, records)
        if not index.is_fresh():
            index.rebuild()
    return len(wanted)


def _ingest_files(
    paths: Sequence[Path], records: Records, embedder: Embedder, watcher: Watcher
) -> Iterator[FileReport]:
    files, missing = _walk(paths)
    for report in missing:
        watcher.file_done(report)
        yield report
    ledger = records.files()
    for done, path in enumerate(files):
        watcher.step("files", done, len(files))
        try:
            report = _ingest_file(path, ledger, records, embedder, watcher)
        except UnreadableFile as exc:
            report = FileReport(_printable(path), error=str(exc))
        watcher.file_done(report)
        yield report
    watcher.step("files", len(files), len(files))


def _walk(paths: Sequence[Path]) -> tuple[list[Path], list[FileReport]]:
    """The files under some paths, each once; and a report for each path that isn't there."""
    files: list[Path] = []
    missing: list[FileReport] = []
    for path in paths:
        try:
            files.extend(readers.walk([path]))
        except UnreadableFile as exc:
            missing.append(FileReport(_printable(path), error=str(exc)))
    return list(dict.fromkeys(Path(os.path.realpath(file)) for file in files)), missing


def _printable(path: Path) -> str:
    """A path as text; what isn't UTF-8 in it becomes question marks."""
    return str(path).encode(errors="replace").decode()


def _ingest_file(
    path: Path, ledger: dict[str, str], records: Records, embedder: Embedder, watcher: Watcher
) -> FileReport:
    name, digest = str(path), _digest(path)
    if name != _printable(path):
        raise UnreadableFile(f"{_printable(path)} has a name that is not UTF-8; rename it.")
    before = dict(records.articles_of(name))
    if ledger.get(name) == digest:
        return FileReport(name, unchanged=len(before))
    articles = _once(readers.read_articles(path))
    changed = [article for article in articles if not _is_recorded(article, records)]
    new = [article for article in changed if records.find(article.article_id) is None]
    for some in _batches(changed):
        _record(some, records, embedder)
        watcher.step("passages", sum(map(len, some.values())), 0)
    gone = _put_file(name, digest, articles, records)
    replaced = _replaced(gone, new)
    return FileReport(
        name,
        added=len(new) - replaced,
        updated=len(changed) - len(new) + replaced,
        unchanged=len(articles) - len(changed),
        removed=len(gone) - replaced,
    )


def _put_file(
    name: str, digest: str, articles: Sequence[Article], records: Records
) -> list[Article]:
    """Writes the ledger; gives the articles that stood in this file and stand in none any more."""
    before = {article_id for article_id, _ in records.articles_of(name)}
    lost = before - {article.article_id for article in articles}
    with records.change():
        records.put_file(name, digest, articles)
        if lost:
            lost &= set(records.unplaced_articles())
        gone = [records.article(article_id) for article_id in sorted(lost)]
        for article in gone:
            records.remove_article(article.article_id)
    return gone


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
    return replace(same, path="", fragments=()) == replace(article, path="", fragments=())


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A passage with its terms, and the text that the model is given of it."""

    new: NewPassage
    text: str


def _batches(articles: Sequence[Article]) -> Iterator[dict[Article, list[_Prepared]]]:
    """The articles with their passages, enough at a time to sort by length, few enough to hold."""
    some: dict[Article, list[_Prepared]] = {}
    held = 0
    for article in articles:
        some[article] = _prepare(article)
        held += len(some[article])
        if held >= READ_AHEAD:
            yield some
            some, held = {}, 0
    if some:
        yield some


def _prepare(article: Article) -> list[_Prepared]:
    heading = chunking.context(article)
    front = f"{heading}\n" if heading else ""
    prepared = []
    for passage in chunking.passages(article):
        text = front + passage.text
        key = sha256(text.encode()).hexdigest()
        new = NewPassage(passage, len(front), key, passage_terms(text))
        prepared.append(_Prepared(new, text))
    return prepared


def _record(
    articles: Mapping[Article, list[_Prepared]], records: Records, embedder: Embedder
) -> None:
    """Embeds what has no vector yet, then commits the articles, all of them together."""
    new = {p.new.key: p for prepared in articles.values() for p in prepared}
    known = records.known_keys(list(new))
    wanted = [p for key, p in new.items() if key not in known]
    for at in range(0, len(wanted), READ_AHEAD):
        _embed(wanted[at : at + READ_AHEAD], records, embedder)
    with records.change():
        freed: list[str] = []
        for article, prepared in articles.items():
            freed += records.remove_passages(article.article_id)
            records.put_article(article)
            records.put_passages([p.new for p in prepared])
        records.drop_vectors(freed)


def _embed(some: Sequence[_Prepared], records: Records, embedder: Embedder) -> None:
    keys = [p.new.key for p in some]
    found = _embedded(some, embedder)
    with records.change():
        records.set_model(embedder.name)
        records.put_vectors(dict(zip(keys, found, strict=True)))


def _embedded(some: Sequence[_Prepared], embedder: Embedder) -> list[tuple[Vector, Tokens]]:
    """The vector and the tokens of each passage; its heading and its sentences are read alone.

    A token that was read alone says what its own sentence says, not what the title says; that is
    worth more than context both for ranking and for choosing sentences (DECISIONS.md).
    """
    spans = [[(s, e) for s, e in ((0, p.new.front), *_sentences(p)) if e > s] for p in some]
    texts = {p.text[s:e] for p, places in zip(some, spans, strict=True) for s, e in places}
    ordered = sorted(texts)
    read = dict(zip(ordered, embedder.read(ordered), strict=True))
    pieces = [
        [(s, read[p.text[s:e]]) for s, e in places] for p, places in zip(some, spans, strict=True)
    ]
    vectors: Iterable[Vector] = (
        [summed([reading for _, reading in own]) for own in pieces]
        if embedder.taught
        else embedder.embed_passages([p.text for p in some])
    )
    tokens = [joined([(start, reading.tokens) for start, reading in own]) for own in pieces]
    return list(zip(vectors, tokens, strict=True))


def _sentences(prepared: _Prepared) -> Iterator[tuple[int, int]]:
    """The ranges of a passage's sentences in the text that the model is given."""
    for start, end in chunking.sentences(prepared.new.passage.text):
        yield start + prepared.new.front, end + prepared.new.front


def _sync(paths: Sequence[Path], records: Records) -> Iterator[FileReport]:
    """Takes files out of the ledger that are gone from the given folders.

    A folder that is away itself says nothing about its files: it may be a disk that isn't mounted.
    """
    roots = [Path(os.path.realpath(path)) for path in paths if not _is_gone(path)]
    for name in records.files():
        path = Path(name)
        if any(path.is_relative_to(root) for root in roots) and _is_gone(path):
            yield FileReport(name, removed=len(_put_file(name, "", [], records)))
            with records.change():
                records.remove_file(name)


def _is_gone(path: Path) -> bool:
    """Whether nothing is there; what may not be looked at isn't gone."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _remove(ids: Iterable[str], records: Records) -> None:
    ids = sorted(ids)
    if not ids:
        return
    with records.change():
        for article_id in ids:
            records.remove_article(article_id)


def _digest(path: Path) -> str:
    """The content hash of a file; "" where it can't be read, which reading it will explain."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
