"""The record of truth: one SQLite file of articles, passages, vectors, terms and the file ledger.

Everything else (the Chroma index) is rebuilt from here. Readers may be many, in any process; a
writer holds the lock of ingest.py. Does not cover vector search (store.py) nor ranking.
"""

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embeddings.embedder import Tokens, Vector, no_tokens
from rag.errors import ArticleNotFound, IndexMismatch, StoreUnavailable
from rag.terms import PassageTerms, index_terms, sound_terms
from rag.types import Article, Fragment, Passage, Question

FILE_NAME = "wenbao.sqlite"
_LISTED = "(SELECT value FROM json_each(?))"  # as many values as one likes, in one variable
_VERSION = "2"
_CACHE_KIB = 32 * 1024  # of pages, a connection; SQLite's own 2 MiB hold less than a question reads
_REMEMBERED = 100_000  # terms whose frequency is kept in memory
_ORDERED = 5_000  # best rows of an FTS query among which a filter looks
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, sha256 TEXT NOT NULL,
    ingested_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS articles (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, subtitle TEXT NOT NULL, byline TEXT NOT NULL,
    date TEXT NOT NULL, source TEXT NOT NULL, text TEXT NOT NULL,
    added_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS articles_by_date ON articles (date, added_at);
CREATE INDEX IF NOT EXISTS articles_to_filter ON articles (date, source, id);
CREATE TABLE IF NOT EXISTS placements (
    path TEXT NOT NULL REFERENCES files (path) ON DELETE CASCADE, ordinal INTEGER NOT NULL,
    article_id TEXT NOT NULL REFERENCES articles (id), fragments TEXT NOT NULL,
    PRIMARY KEY (path, ordinal)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS placements_by_article ON placements (article_id);
CREATE TABLE IF NOT EXISTS passages (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    article_id TEXT NOT NULL REFERENCES articles (id), start INTEGER NOT NULL, end INTEGER NOT NULL,
    front INTEGER NOT NULL, key TEXT NOT NULL, written TEXT NOT NULL, spoken TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS passages_by_article ON passages (article_id, start);
CREATE INDEX IF NOT EXISTS passages_by_key ON passages (key);
CREATE TABLE IF NOT EXISTS vectors (
    key TEXT PRIMARY KEY, vector BLOB NOT NULL, tokens BLOB NOT NULL, places BLOB NOT NULL
);
CREATE VIRTUAL TABLE IF NOT EXISTS terms USING fts5(
    written, spoken, content='', tokenize="unicode61 remove_diacritics 0 tokenchars '_'"
);
CREATE VIRTUAL TABLE IF NOT EXISTS frequencies USING fts5vocab(terms, row);
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

    `key` names the text that the model was given; `front` characters of it stand before the
    passage.
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
        self._remembered: tuple[int, dict[str, int]] = (-1, {})
        with translated():
            folder.mkdir(parents=True, exist_ok=True)
            if self._is_there("meta") and self._meta("version", _VERSION) != _VERSION:
                raise IndexMismatch(
                    f"{folder / FILE_NAME} was made by another version of Wenbao: move it away"
                    " and run `wenbao ingest` again."
                )
            if not self._is_there("articles_to_filter"):
                self._make()

    def close(self) -> None:
        """Closes every connection that this object opened."""
        for db in self._open:
            db.close()
        self._open.clear()
        self._local = threading.local()

    def _is_there(self, name: str) -> bool:
        found = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,))
        return found.fetchone() is not None

    def _make(self) -> None:
        """Makes what isn't there, all of it or nothing, whichever process is first."""
        with _transaction(self._db):
            for statement in _SCHEMA.split(";\n"):
                self._db.execute(statement)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (_VERSION,))

    @property
    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(
                self.folder / FILE_NAME, timeout=30, isolation_level=None, check_same_thread=False
            )
            _use_wal(db)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._local.db = db
            self._open.append(db)
        return db

    # ---- reading -------------------------------------------------------------------------------

    def _meta(self, key: str, default: str = "") -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else default

    @property
    def revision(self) -> int:
        """Grows whenever passages come or go."""
        with translated():
            return int(self._meta("revision", "0"))

    @property
    def model(self) -> str:
        """Name of the model that made the vectors; "" while there are none."""
        with translated():
            made = self._db.execute("SELECT EXISTS (SELECT 1 FROM vectors)").fetchone()[0]
            return self._meta("model") if made else ""

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
        """How much is indexed; counting takes a millisecond for some ten thousand articles."""
        with translated():
            articles, files = self._db.execute(
                "SELECT (SELECT count(*) FROM articles), (SELECT count(*) FROM files)"
            ).fetchone()
            return Counts(articles, int(self._meta("passages", "0")), files)

    def articles(
        self,
        after: str = "",
        limit: int = 100,
        *,
        title: str = "",
        since: str = "",
        until: str = "",
    ) -> list[Article]:
        """Up to `limit` articles by id, behind the id `after`.

        Only those whose title holds `title`, dated from `since` to `until`, where these are given.
        """
        where, values = "WHERE id > ?", [after]
        if title:
            where += " AND instr(lower(title), lower(?))"
            values.append(title)
        if since or until:
            where += " AND date BETWEEN ? AND ?"
            values += [since or "0", until or "~"]
        return self._articles(f"{where} ORDER BY id LIMIT ?", *values, limit)

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
        found = self._articles("WHERE id = ?", article_id.encode(errors="replace").decode())
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

    def _passages(self, where: str, values: Sequence[object]) -> list[StoredPassage]:
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
        return self._passages(f"p.id IN {_LISTED}", (json.dumps(ids),))

    def passages_by_row(self, rows: Sequence[int]) -> list[StoredPassage]:
        """The passages with these row numbers that (still) exist."""
        return self._passages(f"p.row IN {_LISTED}", (json.dumps(rows),))

    def passages_of(self, article_ids: Sequence[str]) -> list[StoredPassage]:
        """All passages of some articles, in reading order."""
        return self._passages(
            f"p.article_id IN {_LISTED} ORDER BY p.article_id, p.start", (json.dumps(article_ids),)
        )

    def tokens(self, passage_ids: Sequence[str]) -> dict[str, tuple[int, Tokens]]:
        """The token vectors of some passages by passage id, each behind its `front`."""
        with translated():
            rows = self._db.execute(
                "SELECT p.id, p.front, v.tokens, v.places FROM passages p"
                f" JOIN vectors v ON v.key = p.key WHERE p.id IN {_LISTED}",
                (json.dumps(passage_ids),),
            ).fetchall()
        return {id_: (front, _tokens(tokens, places)) for id_, front, tokens, places in rows}

    def lexical_rows(self, query: str, limit: int, among: Sequence[int] | None = None) -> list[int]:
        """Row numbers of the passages that match an FTS5 query best, of all or of some rows."""
        some = "" if among is None else f"AND +rowid IN {_LISTED}"  # + keeps SQLite from a loop
        values = () if among is None else (json.dumps(among),)
        with translated():
            rows = self._db.execute(
                f"SELECT rowid FROM terms WHERE terms MATCH ? {some} ORDER BY bm25(terms) LIMIT ?",
                (query, *values, limit),
            ).fetchall()
        return [row for (row,) in rows]

    def lexical_rows_kept(self, query: str, limit: int, question: Question) -> list[int]:
        """As `lexical_rows`, of the passages that may answer a question with a wide filter."""
        rows = self.lexical_rows(query, _ORDERED)
        kept: list[int] = []
        at, many = 0, 2 * limit
        while at < len(rows) and len(kept) < limit:
            kept += self.kept(question, rows[at : at + many])
            at, many = at + many, 4 * many
        return kept[:limit]

    def rows_of(self, passage_ids: Sequence[str]) -> list[int]:
        """The row numbers of these passages, in the same order, as far as they (still) exist."""
        with translated():
            found = dict(
                self._db.execute(
                    f"SELECT id, row FROM passages WHERE id IN {_LISTED}",
                    (json.dumps(passage_ids),),
                )
            )
        return [found[id_] for id_ in passage_ids if id_ in found]

    def kept(self, question: Question, rows: Sequence[int]) -> list[int]:
        """Those of some rows whose article may answer a question, in the same order."""
        condition, values = _filter(question)
        with translated():
            found = self._db.execute(
                "SELECT p.row FROM passages p CROSS JOIN articles a ON a.id = p.article_id"
                f" WHERE p.row IN {_LISTED} AND {condition}",
                (json.dumps(rows), *values),
            ).fetchall()
        some = {row for (row,) in found}
        return [row for row in rows if row in some]

    def all_kept(self, question: Question, most: int) -> list[int]:
        """The rows of all passages whose article may answer a question, or the first `most`."""
        condition, values = _filter(question)
        with translated():
            rows = self._db.execute(
                "SELECT p.row FROM articles a CROSS JOIN passages p ON p.article_id = a.id"
                f" WHERE {condition} LIMIT ?",
                (*values, most),
            ).fetchall()
        return [row for (row,) in rows]

    def nearest(self, vector: Vector, rows: Sequence[int], limit: int) -> list[int]:
        """Those of some rows whose vectors are nearest to a unit vector, by looking at all."""
        with translated():
            found = self._db.execute(
                "SELECT p.row, v.vector FROM passages p JOIN vectors v ON v.key = p.key"
                f" WHERE p.row IN {_LISTED}",
                (json.dumps(rows),),
            ).fetchall()
        if not found:
            return []
        stack = np.frombuffer(b"".join(each for _, each in found), np.float32)
        cosines = stack.reshape(len(found), -1) @ vector
        return [found[i][0] for i in np.argsort(-cosines, kind="stable")[:limit]]

    def frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many passages each term stands; terms that stand in none are left out.

        SQLite counts a term's passages one by one, so counts are kept until passages come or go.
        """
        revision = self.revision
        if self._remembered[0] != revision or len(self._remembered[1]) > _REMEMBERED:
            self._remembered = (revision, {})
        known = self._remembered[1]
        if self._db.in_transaction:  # what is counted now may be taken back
            known = {}
        if new := [term for term in terms if term not in known]:
            with translated():
                rows = self._db.execute(
                    f"SELECT term, doc FROM frequencies WHERE term IN {_LISTED}", (json.dumps(new),)
                ).fetchall()
            known.update({**dict.fromkeys(new, 0), **dict(rows)})
        return {term: known[term] for term in terms if known[term]}

    def passage_count(self) -> int:
        """How many passages are indexed."""
        with translated():
            return int(self._meta("passages", "0"))

    def mean_chars(self) -> float:
        """Mean length of the terms of a passage, in characters."""
        with translated():
            passages, chars = (int(self._meta(key, "0")) for key in ("passages", "chars"))
        return max(1, chars) / max(1, passages)

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
                    f" WHERE p.id IN {_LISTED}",
                    (json.dumps(some),),
                ).fetchall()
            if rows:
                stack = np.stack([np.frombuffer(vector, np.float32) for _, vector in rows])
                yield [id_ for id_, _ in rows], stack

    def known_keys(self, keys: Sequence[str]) -> set[str]:
        """Which of these model inputs have a vector already."""
        with translated():
            rows = self._db.execute(
                f"SELECT key FROM vectors WHERE key IN {_LISTED}", (json.dumps(keys),)
            ).fetchall()
        return {key for (key,) in rows}

    # ---- writing -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """One transaction: all of what is written inside is kept, or none of it."""
        with translated(), _transaction(self._db):
            yield

    def set_model(self, name: str) -> None:
        """Remembers which model makes the vectors."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('model', ?)", (name,))

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
        for row, _, written, spoken in rows:
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

    def drop_unused_vectors(self) -> None:
        """Drops the vectors that a killed run made for passages that it didn't get to write."""
        unused = "key NOT IN (SELECT key FROM passages)"
        with translated():
            if self._db.execute(f"SELECT 1 FROM vectors WHERE {unused} LIMIT 1").fetchone():
                self._db.execute(f"DELETE FROM vectors WHERE {unused}")

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
        """Keeps the totals, and the revision: it grows when passages come or go."""
        totals = {"passages": passages, "chars": chars, "revision": 1 if passages else 0}
        self._db.executemany(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key)"
            " DO UPDATE SET value = CAST(value AS INTEGER) + excluded.value",
            [(key, str(more)) for key, more in totals.items()],
        )


def _filter(question: Question) -> tuple[str, list[str]]:
    """The condition in SQL that an article `a` may answer a question, and its values."""
    parts, values = ["1"], []
    if question.article_ids:
        parts.append(f"a.id IN {_LISTED}")
        values.append(json.dumps(question.article_ids))
    if question.since or question.until:
        parts.append("a.date BETWEEN ? AND ?")  # no "", which is before every digit
        values += [question.since or "0", question.until or "~"]
    if question.sources:
        parts.append(f"a.source IN {_LISTED}")
        values.append(json.dumps(question.sources))
    return " AND ".join(parts), values


def _use_wal(db: sqlite3.Connection) -> None:
    """Sets the journal; SQLite doesn't wait by itself while another process sets it too."""
    for _ in range(100):
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc):
                raise
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def _tokens(tokens: bytes, places: bytes) -> Tokens:
    starts, ends = np.frombuffer(places, np.uint16).reshape(2, -1)
    if not len(starts):
        return no_tokens()
    vectors: NDArray[np.int8] = np.frombuffer(tokens, np.int8)
    return Tokens(vectors.reshape(len(starts), -1), starts, ends)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns what SQLite and the disk raise into one sentence that says what to do."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        words = str(exc)
        if "full" in words or "disk I/O" in words:  # what SQLite says depends on the file
            raise StoreUnavailable(
                "The disk is full (or fails): free some space and run the command again; nothing"
                " is lost."
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
