"""The record of truth: one SQLite file of articles, passages, vectors, terms and the file ledger.

Everything else (the Chroma index) is rebuilt from here. Readers may be many, in any process; a
writer holds the lock of ingest.py. Does not cover vector search (store.py) nor ranking.
"""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embeddings.embedder import Tokens, Vector
from rag.errors import ArticleNotFound, IndexMismatch, StoreUnavailable
from rag.terms import PassageTerms, index_terms, sound_terms
from rag.types import Article, Fragment, Passage

FILE_NAME = "wenbao.sqlite"
_VERSION = "1"
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    path TEXT PRIMARY KEY, sha256 TEXT NOT NULL,
    ingested_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID;
CREATE TABLE articles (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, subtitle TEXT NOT NULL, byline TEXT NOT NULL,
    date TEXT NOT NULL, source TEXT NOT NULL, text TEXT NOT NULL,
    added_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID;
CREATE TABLE placements (
    path TEXT NOT NULL REFERENCES files (path) ON DELETE CASCADE, ordinal INTEGER NOT NULL,
    article_id TEXT NOT NULL REFERENCES articles (id), fragments TEXT NOT NULL,
    PRIMARY KEY (path, ordinal)
) WITHOUT ROWID;
CREATE INDEX placements_by_article ON placements (article_id);
CREATE TABLE passages (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    article_id TEXT NOT NULL REFERENCES articles (id), start INTEGER NOT NULL, end INTEGER NOT NULL,
    front INTEGER NOT NULL, key TEXT NOT NULL, written TEXT NOT NULL, spoken TEXT NOT NULL
);
CREATE INDEX passages_by_article ON passages (article_id, start);
CREATE INDEX passages_by_key ON passages (key);
CREATE TABLE vectors (
    key TEXT PRIMARY KEY, vector BLOB NOT NULL, tokens BLOB NOT NULL, places BLOB NOT NULL
);
CREATE VIRTUAL TABLE terms USING fts5(
    written, spoken, content='', tokenize="unicode61 remove_diacritics 0 tokenchars '_'"
);
CREATE VIRTUAL TABLE frequencies USING fts5vocab(terms, row);
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is indexed."""

    articles: int
    passages: int
    files: int


@dataclass(frozen=True, slots=True)
class NewPassage:
    """A passage ready to be recorded.

    `key` names the text that the model was given; `front` characters of it stand before the passage.
    """

    passage: Passage
    front: int
    key: str
    terms: PassageTerms


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as retrieval needs it: its vector and its terms."""

    row: int
    passage: Passage
    written: str
    spoken: str
    vector: Vector


class Records:
    """Reads and writes the record of truth; one SQLite connection a thread."""

    def __init__(self, folder: Path) -> None:
        """Opens the records under `folder`, made on first use.

        Raises:
            StoreUnavailable: if the folder can't be written or the file is damaged.
        """
        self.folder = folder
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        with translated():
            folder.mkdir(parents=True, exist_ok=True)
            db = self._db
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'vectors'").fetchone():
                with contextlib.suppress(sqlite3.OperationalError):  # another process was first
                    db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            if self._meta("version", _VERSION) != _VERSION:
                raise IndexMismatch(
                    f"{folder / FILE_NAME} was made by another version of Wenbao: move it away"
                    " and run `wenbao ingest` again."
                )

    def close(self) -> None:
        """Closes every connection that this object opened."""
        for db in self._open:
            db.close()
        self._open.clear()
        self._local = threading.local()

    @property
    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(
                self.folder / FILE_NAME, timeout=30, isolation_level=None, check_same_thread=False
            )
            db.executescript(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            )
            self._local.db = db
            self._open.append(db)
        return db

    # ---- reading -------------------------------------------------------------------------------

    def _meta(self, key: str, default: str = "") -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else default

    @property
    def revision(self) -> int:
        """Grows with every change of the passages."""
        with translated():
            return int(self._meta("revision", "0"))

    @property
    def model(self) -> str:
        """Name of the model that made the vectors; "" while there are none."""
        return self._meta("model")

    def check_model(self, name: str) -> None:
        """Refuses a model that didn't make this index.

        Raises:
            IndexMismatch: saying what to do.
        """
        if self.model not in ("", name):
            raise IndexMismatch(
                f"This index was made by the model {self.model}, not by {name}: set WENBAO_MODEL"
                " back, or choose another WENBAO_HOME and run `wenbao ingest` again."
            )

    def counts(self) -> Counts:
        """How much is indexed."""
        with translated():
            row = self._db.execute(
                "SELECT (SELECT count(*) FROM articles), (SELECT count(*) FROM passages),"
                " (SELECT count(*) FROM files)"
            ).fetchone()
        return Counts(*row)

    def articles(self, after: str = "", limit: int = 100) -> list[Article]:
        """Up to `limit` articles by id, behind the id `after`."""
        return self._articles("WHERE id > ? ORDER BY id LIMIT ?", after, limit)

    def latest(self, limit: int = 10) -> list[Article]:
        """The newest articles, by date, then by when they were added."""
        return self._articles("ORDER BY date DESC, added_at DESC, id LIMIT ?", limit)

    def article(self, article_id: str) -> Article:
        """One article.

        Raises:
            ArticleNotFound: if there is none with this id.
        """
        if article := self.find(article_id):
            return article
        raise ArticleNotFound(f"No article {article_id}: `wenbao articles` lists them.")

    def find(self, article_id: str) -> Article | None:
        """One article, or None if there is none with this id."""
        found = self._articles("WHERE id = ?", article_id)
        return found[0] if found else None

    def _articles(self, where: str, *values: object) -> list[Article]:
        with translated():
            rows = self._db.execute(
                "SELECT id, title, subtitle, byline, date, source, text FROM articles " + where,
                values,
            ).fetchall()
            return [self._placed(*row) for row in rows]

    def _placed(
        self, id_: str, title: str, subtitle: str, byline: str, date: str, source: str, text: str
    ) -> Article:
        path, fragments = self._db.execute(
            "SELECT path, fragments FROM placements WHERE article_id = ? ORDER BY path", (id_,)
        ).fetchone() or ("", "[]")
        return Article(
            article_id=id_,
            title=title,
            text=text,
            subtitle=subtitle,
            byline=byline,
            date=date,
            source=source,
            path=path,
            fragments=tuple(Fragment(*pair) for pair in json.loads(fragments)),
        )

    def files(self) -> dict[str, str]:
        """The ledger: path -> content hash."""
        with translated():
            return dict(self._db.execute("SELECT path, sha256 FROM files"))

    def articles_of(self, path: str) -> list[tuple[str, str]]:
        """(id, title) of the articles that a file gave, in its order."""
        with translated():
            return self._db.execute(
                "SELECT article_id, title FROM placements JOIN articles ON id = article_id"
                " WHERE path = ? ORDER BY ordinal",
                (path,),
            ).fetchall()

    def passages(self, where: str, values: Sequence[object]) -> list[StoredPassage]:
        with translated():
            rows = self._db.execute(
                "SELECT p.row, p.id, p.article_id, a.title, substr(a.text, p.start + 1, p.end -"
                " p.start), p.start, p.end, a.date, a.source, p.written, p.spoken, v.vector"
                " FROM passages p JOIN articles a ON a.id = p.article_id"
                f" JOIN vectors v ON v.key = p.key WHERE {where}",
                values,
            ).fetchall()
        return [
            StoredPassage(row, Passage(*rest), written, spoken, np.frombuffer(vector, np.float32))
            for row, *rest, written, spoken, vector in rows
        ]

    def passages_by_id(self, ids: Sequence[str]) -> list[StoredPassage]:
        """The passages with these ids that (still) exist."""
        return self.passages(f"p.id IN ({_marks(ids)})", ids)

    def passages_by_row(self, rows: Sequence[int]) -> list[StoredPassage]:
        """The passages with these row numbers that (still) exist."""
        return self.passages(f"p.row IN ({_marks(rows)})", rows)

    def passages_of(self, article_ids: Sequence[str]) -> list[StoredPassage]:
        """All passages of some articles, in reading order."""
        return self.passages(
            f"p.article_id IN ({_marks(article_ids)}) ORDER BY p.article_id, p.start", article_ids
        )

    def tokens(self, passage_ids: Sequence[str]) -> dict[str, tuple[int, Tokens]]:
        """The token vectors of some passages by passage id, each behind its `front`."""
        with translated():
            rows = self._db.execute(
                "SELECT p.id, p.front, v.tokens, v.places FROM passages p JOIN vectors v ON v.key = p.key"
                f" WHERE p.id IN ({_marks(passage_ids)})",
                passage_ids,
            ).fetchall()
        return {id_: (front, _tokens(tokens, places)) for id_, front, tokens, places in rows}

    def lexical_rows(self, query: str, limit: int) -> list[int]:
        """Row numbers of the passages that match an FTS5 query best."""
        with translated():
            rows = self._db.execute(
                "SELECT rowid FROM terms WHERE terms MATCH ? ORDER BY bm25(terms) LIMIT ?",
                (query, limit),
            ).fetchall()
        return [row for (row,) in rows]

    def frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many passages each term stands; terms that stand in none are left out."""
        with translated():
            found: dict[str, int] = {}
            for term in terms:
                row = self._db.execute(
                    "SELECT doc FROM frequencies WHERE term = ?", (term,)
                ).fetchone()
                if row:
                    found[term] = row[0]
            return found

    def mean_chars(self) -> float:
        """Mean length of the terms of a passage, in characters."""
        passages = max(1, int(self._meta("passages", "0")))
        return max(1, int(self._meta("chars", "0"))) / passages

    def passage_ids(self) -> set[str]:
        """The ids of all passages."""
        with translated():
            return {id_ for (id_,) in self._db.execute("SELECT id FROM passages")}

    def vectors(self, ids: Iterable[str], page: int = 1000) -> Iterator[tuple[list[str], Vector]]:
        """The vectors of some passages, `page` at a time; float32, shape (n, dim)."""
        wanted = sorted(ids)
        for at in range(0, len(wanted), page):
            some = wanted[at : at + page]
            with translated():
                rows = self._db.execute(
                    "SELECT p.id, v.vector FROM passages p JOIN vectors v ON v.key = p.key"
                    f" WHERE p.id IN ({_marks(some)})",
                    some,
                ).fetchall()
            if rows:
                stack = np.stack([np.frombuffer(vector, np.float32) for _, vector in rows])
                yield [id_ for id_, _ in rows], stack

    def known_keys(self, keys: Sequence[str]) -> set[str]:
        """Which of these model inputs have a vector already."""
        with translated():
            found: set[str] = set()
            for at in range(0, len(keys), 500):
                some = keys[at : at + 500]
                found.update(
                    key
                    for (key,) in self._db.execute(
                        f"SELECT key FROM vectors WHERE key IN ({_marks(some)})", some
                    )
                )
            return found

    # ---- writing -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """One transaction: all of what is written inside is kept, or none of it."""
        with translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute(
                    "INSERT INTO meta VALUES ('revision', '1') ON CONFLICT (key)"
                    " DO UPDATE SET value = CAST(value AS INTEGER) + 1"
                )
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def set_model(self, name: str) -> None:
        """Remembers which model makes the vectors."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('model', ?)", (name,))
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (_VERSION,))

    def put_file(self, path: str, digest: str, articles: Sequence[Article]) -> None:
        """Writes a file into the ledger, with the articles that it holds."""
        self._db.execute("DELETE FROM files WHERE path = ?", (path,))
        self._db.execute("INSERT INTO files (path, sha256) VALUES (?, ?)", (path, digest))
        self._db.executemany(
            "INSERT INTO placements VALUES (?, ?, ?, ?)",
            [
                (path, i, a.article_id, json.dumps([(f.start, f.end) for f in a.fragments]))
                for i, a in enumerate(articles)
            ],
        )

    def remove_file(self, path: str) -> None:
        """Takes a file out of the ledger; its articles stay until `remove_article`."""
        self._db.execute("DELETE FROM files WHERE path = ?", (path,))

    def put_article(self, article: Article) -> None:
        """Writes an article, over the one with its id if there is one."""
        self._db.execute(
            "INSERT INTO articles (id, title, subtitle, byline, date, source, text)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET title = excluded.title,"
            " subtitle = excluded.subtitle, byline = excluded.byline, date = excluded.date,"
            " source = excluded.source, text = excluded.text",
            (
                article.article_id,
                article.title,
                article.subtitle,
                article.byline,
                article.date,
                article.source,
                article.text,
            ),
        )

    def put_passages(self, passages: Sequence[NewPassage]) -> None:
        """Writes passages and their terms; their vectors must be there (`put_vectors`)."""
        for new in passages:
            p, terms = new.passage, new.terms
            cursor = self._db.execute(
                "INSERT INTO passages (id, article_id, start, end, front, key, written, spoken)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    p.passage_id,
                    p.article_id,
                    p.start,
                    p.end,
                    new.front,
                    new.key,
                    terms.written,
                    terms.spoken,
                ),
            )
            self._db.execute(
                "INSERT INTO terms (rowid, written, spoken) VALUES (?, ?, ?)",
                (cursor.lastrowid, " ".join(terms.terms), " ".join(terms.sounds)),
            )
        self._count(len(passages), sum(len(new.terms.written) for new in passages))

    def put_vectors(self, vectors: Mapping[str, tuple[Vector, Tokens]]) -> None:
        """Writes the vectors and tokens of model inputs, by key."""
        self._db.executemany(
            "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?)",
            [
                (
                    key,
                    np.asarray(vector, np.float32).tobytes(),
                    tokens.vectors.tobytes(),
                    np.stack([tokens.starts, tokens.ends]).tobytes(),
                )
                for key, (vector, tokens) in vectors.items()
            ],
        )

    def remove_passages(self, article_id: str) -> list[str]:
        """Takes the passages of an article out; gives the keys of vectors it no longer needs."""
        rows = self._db.execute(
            "SELECT row, key, written, spoken FROM passages WHERE article_id = ?", (article_id,)
        ).fetchall()
        for row, key, written, spoken in rows:
            self._db.execute(
                "INSERT INTO terms (terms, rowid, written, spoken) VALUES ('delete', ?, ?, ?)",
                (row, " ".join(index_terms(written)), " ".join(sound_terms(spoken))),
            )
            self._db.execute("DELETE FROM passages WHERE row = ?", (row,))
        self._count(-len(rows), -sum(len(written) for _, _, written, _ in rows))
        return [key for _, key, _, _ in rows]

    def drop_vectors(self, keys: Iterable[str]) -> None:
        """Drops those of these vectors that no passage needs any more."""
        self._db.executemany(
            "DELETE FROM vectors WHERE key = ?1 AND NOT EXISTS"
            " (SELECT 1 FROM passages WHERE key = ?1)",
            [(key,) for key in keys],
        )

    def remove_article(self, article_id: str) -> None:
        """Takes an article out; the files that hold it will be read anew when they are ingested."""
        self.drop_vectors(self.remove_passages(article_id))
        self._db.execute(
            "UPDATE files SET sha256 = '' WHERE path IN"
            " (SELECT path FROM placements WHERE article_id = ?)",
            (article_id,),
        )
        self._db.execute("DELETE FROM placements WHERE article_id = ?", (article_id,))
        self._db.execute("DELETE FROM articles WHERE id = ?", (article_id,))

    def unplaced_articles(self) -> list[str]:
        """Articles that stand in no file (any more)."""
        with translated():
            rows = self._db.execute(
                "SELECT id FROM articles WHERE id NOT IN (SELECT article_id FROM placements)"
            ).fetchall()
        return [id_ for (id_,) in rows]

    def _count(self, passages: int, chars: int) -> None:
        for key, more in (("passages", passages), ("chars", chars)):
            self._db.execute(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key)"
                " DO UPDATE SET value = CAST(value AS INTEGER) + excluded.value",
                (key, str(more)),
            )


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _tokens(tokens: bytes, places: bytes) -> Tokens:
    starts, ends = np.frombuffer(places, np.uint16).reshape(2, -1)
    vectors: NDArray[np.int8] = np.frombuffer(tokens, np.int8)
    return Tokens(vectors.reshape(len(starts), -1) if len(starts) else np.zeros((0, 0), np.int8), starts, ends)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns what SQLite and the disk raise into one sentence that says what to do."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        words = str(exc)
        if "full" in words:
            raise StoreUnavailable(
                "The disk is full: free some space and run the command again; nothing is lost."
            ) from exc
        if "locked" in words or "busy" in words:
            raise StoreUnavailable("The index is busy: try again in a moment.") from exc
        if "readonly" in words or "unable to open" in words:
            raise StoreUnavailable(
                "WENBAO_HOME can't be written: set it to a folder of yours."
            ) from exc
        raise StoreUnavailable(
            f"The index can't be read ({words}): restore a backup, or move WENBAO_HOME away and"
            " run `wenbao ingest` again."
        ) from exc
    except OSError as exc:
        raise StoreUnavailable(
            f"{exc.filename or 'WENBAO_HOME'} can't be used ({exc.strerror}):"
            " set WENBAO_HOME to a folder of yours."
        ) from exc
