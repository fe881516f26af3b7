"""The record of truth: articles, passages, vectors and terms, and the ledger of files beside them.

Everything else (the Chroma index) is rebuilt from here. Does not cover the file itself
(database.py), the ledger (ledger.py), vector search (store.py) nor ranking.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embeddings.embedder import Tokens, Vector, no_tokens
from rag import filters
from rag.database import LISTED, Database, translated
from rag.errors import ArticleNotFound, IndexMismatch
from rag.ledger import Ledger
from rag.terms import PassageTerms, index_terms, sound_terms
from rag.types import Article, Fragment, Passage, Question

_REMEMBERED = 100_000  # terms whose frequency is kept in memory
_ORDERED = 5_000  # best rows of an FTS query among which a filter looks


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
        self._database = Database(folder)
        self.ledger = Ledger(self._database)
        self._remembered: tuple[int, dict[str, int]] = (-1, {})

    def close(self) -> None:
        """Closes every connection that this object opened."""
        self._database.close()

    @property
    def folder(self) -> Path:
        """Where the file lies."""
        return self._database.folder

    @property
    def _db(self) -> sqlite3.Connection:
        return self._database.now

    # ---- reading -------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Grows whenever passages come or go."""
        with translated():
            return int(self._database.meta("revision", "0"))

    @property
    def model(self) -> str:
        """Name of the model that made the vectors; "" while there are none."""
        with translated():
            made = self._db.execute("SELECT EXISTS (SELECT 1 FROM vectors)").fetchone()[0]
            return self._database.meta("model") if made else ""

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
            return Counts(articles, int(self._database.meta("passages", "0")), files)

    def articles(self, after: str = "", limit: int = 100) -> list[Article]:
        """Up to `limit` articles by id, behind the id `after`."""
        return self._articles("WHERE id > ? ORDER BY id LIMIT ?", after, limit)

    def newest(
        self,
        behind: tuple[str, str] | None = None,
        limit: int = 100,
        *,
        title: str = "",
        since: str = "",
        until: str = "",
    ) -> list[Article]:
        """Up to `limit` articles, the last date first, behind the one of that date and id.

        Only those whose title holds `title`, dated from `since` to `until`, where these are given.
        """
        where, values = "WHERE TRUE", list[str | int]()
        if behind:
            date, article_id = behind
            where += " AND (date < ? OR date = ? AND id > ?)"
            values += [date, date, article_id]
        if title:
            where += " AND instr(lower(title), lower(?))"
            values.append(title)
        if since or until:
            where += " AND date BETWEEN ? AND ?"
            values += [since or "0", until or "~"]
        return self._articles(f"{where} ORDER BY date DESC, id LIMIT ?", *values, limit)

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

    def _articles(self, where: str, *values: str | int) -> list[Article]:
        values = tuple(
            v.encode(errors="replace").decode() if isinstance(v, str) else v for v in values
        )
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
            also_in=self.ledger.also_in(id_),
        )

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
        return self._passages(f"p.id IN {LISTED}", (json.dumps(ids),))

    def passages_by_row(self, rows: Sequence[int]) -> list[StoredPassage]:
        """The passages with these row numbers that (still) exist."""
        return self._passages(f"p.row IN {LISTED}", (json.dumps(rows),))

    def passages_of(self, article_ids: Sequence[str]) -> list[StoredPassage]:
        """All passages of some articles, in reading order."""
        return self._passages(
            f"p.article_id IN {LISTED} ORDER BY p.article_id, p.start", (json.dumps(article_ids),)
        )

    def tokens(self, passage_ids: Sequence[str]) -> dict[str, tuple[int, Tokens]]:
        """The token vectors of some passages by passage id, each behind its `front`."""
        with translated():
            rows = self._db.execute(
                "SELECT p.id, p.front, v.tokens, v.places FROM passages p"
                f" JOIN vectors v ON v.key = p.key WHERE p.id IN {LISTED}",
                (json.dumps(passage_ids),),
            ).fetchall()
        return {id_: (front, _tokens(tokens, places)) for id_, front, tokens, places in rows}

    def lexical_rows(self, query: str, limit: int, among: Sequence[int] | None = None) -> list[int]:
        """Row numbers of the passages that match an FTS5 query best, of all or of some rows."""
        some = "" if among is None else f"AND +rowid IN {LISTED}"  # + keeps SQLite from a loop
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
                    f"SELECT id, row FROM passages WHERE id IN {LISTED}",
                    (json.dumps(passage_ids),),
                )
            )
        return [found[id_] for id_ in passage_ids if id_ in found]

    def kept(self, question: Question, rows: Sequence[int]) -> list[int]:
        """Those of some rows whose article may answer a question, in the same order."""
        condition, values = filters.condition(question)
        with translated():
            found = self._db.execute(
                "SELECT p.row FROM passages p CROSS JOIN articles a ON a.id = p.article_id"
                f" WHERE p.row IN {LISTED} AND {condition}",
                (json.dumps(rows), *values),
            ).fetchall()
        some = {row for (row,) in found}
        return [row for row in rows if row in some]

    def all_kept(self, question: Question, most: int) -> list[int]:
        """The rows of all passages whose article may answer a question, or the first `most`."""
        condition, values = filters.condition(question)
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
                f" WHERE p.row IN {LISTED}",
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
                    f"SELECT term, doc FROM frequencies WHERE term IN {LISTED}", (json.dumps(new),)
                ).fetchall()
            known.update({**dict.fromkeys(new, 0), **dict(rows)})
        return {term: known[term] for term in terms if known[term]}

    def passage_count(self) -> int:
        """How many passages are indexed."""
        with translated():
            return int(self._database.meta("passages", "0"))

    def mean_chars(self) -> float:
        """Mean length of the terms of a passage, in characters."""
        with translated():
            passages, chars = (int(self._database.meta(key, "0")) for key in ("passages", "chars"))
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
                    f" WHERE p.id IN {LISTED}",
                    (json.dumps(some),),
                ).fetchall()
            if rows:
                stack = np.stack([np.frombuffer(vector, np.float32) for _, vector in rows])
                yield [id_ for id_, _ in rows], stack

    def known_keys(self, keys: Sequence[str]) -> set[str]:
        """Which of these model inputs have a vector already."""
        with translated():
            rows = self._db.execute(
                f"SELECT key FROM vectors WHERE key IN {LISTED}", (json.dumps(keys),)
            ).fetchall()
        return {key for (key,) in rows}

    # ---- writing -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """One transaction: all of what is written inside is kept, or none of it."""
        with self._database.change():
            yield

    def set_model(self, name: str) -> None:
        """Remembers which model makes the vectors."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('model', ?)", (name,))

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
        self.ledger.displace(article_id)
        self.ledger.forget_likeness(article_id)
        self._db.execute("DELETE FROM articles WHERE id = ?", (article_id,))

    def _count(self, passages: int, chars: int) -> None:
        """Keeps the totals, and the revision: it grows when passages come or go."""
        self._database.add_to_meta(
            {"passages": passages, "chars": chars, "revision": 1 if passages else 0}
        )


def _tokens(tokens: bytes, places: bytes) -> Tokens:
    starts, ends = np.frombuffer(places, np.uint16).reshape(2, -1)
    if not len(starts):
        return no_tokens()
    vectors: NDArray[np.int8] = np.frombuffer(tokens, np.int8)
    return Tokens(vectors.reshape(len(starts), -1), starts, ends)
