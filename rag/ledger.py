"""The ledger: which file was read with which content, and which article stands where.

It also knows which article is a reprint of which: only the original has passages. Does not cover
articles and passages themselves (records.py).
"""

import json
from collections.abc import Collection, Sequence

from rag.database import LISTED, Database, translated
from rag.types import Article, Fragment, Printing


class Ledger:
    """Reads and writes the ledger; what writes belongs into `Records.change`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- files ---------------------------------------------------------------------------------

    def files(self) -> dict[str, str]:
        """Path -> content hash."""
        with translated():
            return dict(self._database.now.execute("SELECT path, sha256 FROM files"))

    def articles_of(self, path: str) -> list[tuple[str, str]]:
        """(id, title) of the articles that a file gave, in its order."""
        with translated():
            return self._database.now.execute(
                "SELECT article_id, title FROM placements JOIN articles ON id = article_id"
                " WHERE path = ? ORDER BY ordinal",
                (path,),
            ).fetchall()

    def elsewhere(self, ids: Collection[str], paths: Collection[str]) -> set[str]:
        """Which of some articles stand in another file than these."""
        with translated():
            rows = self._database.now.execute(
                f"SELECT DISTINCT article_id FROM placements WHERE article_id IN {LISTED}"
                f" AND path NOT IN {LISTED}",
                (json.dumps(list(ids)), json.dumps(list(paths))),
            ).fetchall()
        return {id_ for (id_,) in rows}

    def issue_of(self, path: str) -> str:
        """The issue that a file is a page of, "" where none is known."""
        with translated():
            row = self._database.now.execute(
                "SELECT issue FROM issues WHERE path = ?", (path,)
            ).fetchone()
        return str(row[0]) if row else ""

    def pages_of(self, issue: str, limit: int) -> list[str]:
        """The files that are pages of an issue, up to `limit`, by name."""
        with translated():
            rows = self._database.now.execute(
                "SELECT path FROM issues WHERE issue = ? ORDER BY path LIMIT ?", (issue, limit)
            ).fetchall()
        return [path for (path,) in rows]

    def put_file(
        self, path: str, digest: str, articles: Sequence[Article], issue: str = ""
    ) -> None:
        """Writes a file into the ledger, with the articles that it holds."""
        db = self._database.now
        db.execute("DELETE FROM files WHERE path = ?", (path,))
        db.execute("INSERT INTO files (path, sha256) VALUES (?, ?)", (path, digest))
        db.executemany(
            "INSERT INTO placements VALUES (?, ?, ?, ?)",
            [
                (path, i, a.article_id, json.dumps([_listed(f) for f in a.fragments]))
                for i, a in enumerate(articles)
            ],
        )
        if issue:
            db.execute("INSERT INTO issues VALUES (?, ?)", (path, issue))

    def remove_file(self, path: str) -> None:
        """Takes a file out of the ledger; its articles stay until they are removed themselves."""
        self._database.now.execute("DELETE FROM files WHERE path = ?", (path,))

    def displace(self, article_id: str) -> None:
        """Takes an article out of its files, which will be read anew when they are ingested."""
        db = self._database.now
        db.execute(
            "UPDATE files SET sha256 = '' WHERE path IN"
            " (SELECT path FROM placements WHERE article_id = ?)",
            (article_id,),
        )
        db.execute("DELETE FROM placements WHERE article_id = ?", (article_id,))

    def unplaced_articles(self) -> list[str]:
        """Articles that stand in no file (any more)."""
        return self._ids(
            "SELECT id FROM articles WHERE id NOT IN (SELECT article_id FROM placements)"
        )

    # ---- reprints ------------------------------------------------------------------------------

    def likely_originals(self, bands: Sequence[int]) -> list[tuple[str, str]]:
        """(id, text) of the articles with passages that share one of some bands, oldest first."""
        with translated():
            return self._database.now.execute(
                "SELECT id, text FROM articles WHERE id IN (SELECT article_id FROM sketches"
                f" WHERE band IN {LISTED}) ORDER BY rowid",
                (json.dumps(bands),),
            ).fetchall()

    def put_original(self, article_id: str, bands: Sequence[int]) -> None:
        """Lets later articles be found to be reprints of this one."""
        self._database.now.executemany(
            "INSERT OR IGNORE INTO sketches VALUES (?, ?)", [(band, article_id) for band in bands]
        )

    def put_reprint(self, article_id: str, original: str) -> None:
        """Says that an article, with all its reprints, is a reprint of another."""
        db = self._database.now
        db.execute("DELETE FROM sketches WHERE article_id = ?", (article_id,))
        db.execute("UPDATE reprints SET original = ? WHERE original = ?", (original, article_id))
        db.execute("INSERT OR REPLACE INTO reprints VALUES (?, ?)", (article_id, original))

    def forget_likeness(self, article_id: str) -> None:
        """Lets an article be neither original nor reprint; its reprints are `bare_articles` now."""
        db = self._database.now
        db.execute("DELETE FROM sketches WHERE article_id = ?", (article_id,))
        db.execute("DELETE FROM reprints WHERE ?1 IN (article_id, original)", (article_id,))

    def bare_articles(self) -> list[str]:
        """Articles that have no passages though they are no reprints, oldest first."""
        return self._ids(
            "SELECT id FROM articles a WHERE NOT EXISTS"
            " (SELECT 1 FROM passages WHERE article_id = a.id) AND NOT EXISTS"
            " (SELECT 1 FROM reprints WHERE article_id = a.id) ORDER BY rowid"
        )

    def also_in(self, article_id: str) -> tuple[Printing, ...]:
        """Where else the article was printed: its original and that one's other reprints."""
        with translated():
            rows = self._database.now.execute(
                "WITH first (id) AS (SELECT coalesce("
                "(SELECT original FROM reprints WHERE article_id = ?1), ?1))"
                " SELECT a.id, a.title, a.date, a.source FROM articles a, first"
                " WHERE (a.id = first.id OR a.id IN"
                " (SELECT article_id FROM reprints WHERE original = first.id)) AND a.id != ?1"
                " ORDER BY a.date, a.rowid",
                (article_id,),
            ).fetchall()
        return tuple(Printing(*row) for row in rows)

    def _ids(self, query: str) -> list[str]:
        with translated():
            return [id_ for (id_,) in self._database.now.execute(query)]


def _listed(fragment: Fragment) -> tuple[int | str, ...]:
    """A fragment as the ledger has it: the file only where it is another."""
    where = (fragment.path,) if fragment.path else ()
    return (fragment.start, fragment.end, *where)
