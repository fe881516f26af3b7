"""Files -> records -> index: skip what is unchanged, add, update, remove, and keep the ledger.

SQLite commits first, file by file, then the Chroma index is brought up to date once. Killed at any
point, the next run goes on from what was committed.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path

from embeddings.embedder import Embedder, Tokens, joined
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
        reports = list(_ingest_files(paths, records, embedder, watcher))
        if sync:
            reports.extend(_sync(paths, records))
        _remove(records.unplaced_articles(), records)  # what a killed run left behind
        if not index.is_fresh() or not index.is_sound():
            index.rebuild(lambda done, total: watcher.step("index", done, total))
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
    with index.writing():
        for article_id in ids:
            records.article(article_id)
        _remove(ids, records)
        index.rebuild()
    return len(ids)


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
            report = FileReport(str(path), error=str(exc))
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
            missing.append(FileReport(str(path), error=str(exc)))
    return list(dict.fromkeys(file.resolve() for file in files)), missing


def _ingest_file(
    path: Path, ledger: dict[str, str], records: Records, embedder: Embedder, watcher: Watcher
) -> FileReport:
    name, digest = str(path), _digest(path)
    before = dict(records.articles_of(name))
    if ledger.get(name) == digest:
        return FileReport(name, unchanged=len(before))
    articles = _once(readers.read_articles(path))
    new = [article for article in articles if not _is_recorded(article, records)]
    for some in _batches(new):
        _record(some, records, embedder)
        watcher.step("passages", len(some), 0)
    with records.change():
        records.put_file(name, digest, articles)
    gone = set(before) - {article.article_id for article in articles}
    gone &= set(records.unplaced_articles())
    _remove(gone, records)
    titles = set(before.values())
    updated = sum(a.article_id in before or (a.title in titles and bool(gone)) for a in new)
    return FileReport(
        name,
        added=len(new) - updated,
        updated=updated,
        unchanged=len(articles) - len(new),
        removed=max(0, len(gone) - updated),
    )


def _once(articles: Sequence[Article]) -> list[Article]:
    """A page may print an article twice; it is kept once."""
    return list({article.article_id: article for article in articles}.values())


def _is_recorded(article: Article, records: Records) -> bool:
    """Whether the records hold this very article; where ids are given, the id alone can't tell."""
    found = records.find(article.article_id)
    return found is not None and (found.title, found.subtitle, found.date, found.text) == (
        article.title,
        article.subtitle,
        article.date,
        article.text,
    )


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
    """Embeds what has no vector yet and commits the articles."""
    new = {p.new.key: p for prepared in articles.values() for p in prepared}
    known = records.known_keys(list(new))
    wanted = {key: p for key, p in new.items() if key not in known}
    vectors = embedder.embed_passages([p.text for p in wanted.values()])
    tokens = _tokens(list(wanted.values()), embedder)
    with records.change():
        records.set_model(embedder.name)
        records.put_vectors(dict(zip(wanted, zip(vectors, tokens, strict=True), strict=True)))
        freed: list[str] = []
        for article, prepared in articles.items():
            freed += records.remove_passages(article.article_id)
            records.put_article(article)
            records.put_passages([p.new for p in prepared])
        records.drop_vectors(freed)


def _tokens(passages: Sequence[_Prepared], embedder: Embedder) -> list[Tokens]:
    """The tokens of each passage: its heading and its sentences, each read for itself.

    A token that was read alone says what its own sentence says, not what the title says; that is
    worth more than context both for ranking and for choosing sentences (DECISIONS.md).
    """
    spans = [[(0, p.new.front), *_sentences(p)] for p in passages]
    texts = {p.text[s:e] for p, some in zip(passages, spans, strict=True) for s, e in some if e > s}
    ordered = sorted(texts)
    read = dict(zip(ordered, embedder.embed_tokens(ordered), strict=True))
    return [
        joined([(s, read[p.text[s:e]]) for s, e in some if e > s])
        for p, some in zip(passages, spans, strict=True)
    ]


def _sentences(prepared: _Prepared) -> Iterator[tuple[int, int]]:
    """The ranges of a passage's sentences in the text that the model is given."""
    for start, end in chunking.sentences(prepared.new.passage.text):
        yield start + prepared.new.front, end + prepared.new.front


def _sync(paths: Sequence[Path], records: Records) -> Iterator[FileReport]:
    """Takes files out of the ledger that are gone from the given folders."""
    roots = [path.resolve() for path in paths]
    for name in records.files():
        path = Path(name)
        if not path.exists() and any(path.is_relative_to(root) for root in roots):
            ids = {article_id for article_id, _ in records.articles_of(name)}
            with records.change():
                records.remove_file(name)
            gone = ids & set(records.unplaced_articles())
            _remove(gone, records)
            yield FileReport(name, removed=len(gone))


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
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
