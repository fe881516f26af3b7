"""The one SQLite file of a home: its tables, a connection for each thread, and transactions.

What stands in the tables is the business of records.py and ledger.py. Readers may be many, in any
process; a writer holds the lock of ingest.py.
"""

import contextlib
import errno
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rag.errors import IndexMismatch, StoreUnavailable

FILE_NAME = "wenbao.sqlite"
LISTED = "(SELECT value FROM json_each(?))"  # as many values as one likes, in one variable
_VERSION = "2"
_CACHE_KIB = 32 * 1024  # of pages, a connection; SQLite's own 2 MiB hold less than a question reads
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
CREATE TABLE IF NOT EXISTS sketches (
    band INTEGER NOT NULL, article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    PRIMARY KEY (band, article_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sketches_by_article ON sketches (article_id);
CREATE VIRTUAL TABLE IF NOT EXISTS terms USING fts5(
    written, spoken, content='', tokenize="unicode61 remove_diacritics 0 tokenchars '_'"
);
CREATE VIRTUAL TABLE IF NOT EXISTS frequencies USING fts5vocab(terms, row);
CREATE TABLE IF NOT EXISTS reprints (
    article_id TEXT PRIMARY KEY REFERENCES articles (id) ON DELETE CASCADE,
    original TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reprints_by_original ON reprints (original);
CREATE TABLE IF NOT EXISTS issues (
    path TEXT PRIMARY KEY REFERENCES files (path) ON DELETE CASCADE, issue TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS issues_by_issue ON issues (issue);
"""
_DISK_FULL = (
    "The disk is full (or fails): free some space and run the command again; nothing is lost."
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_NEWEST = "issues_by_issue"  # made last, so that it is there when all the others are


class Database:
    """Reads and writes the file; one SQLite connection a thread."""

    def __init__(self, folder: Path) -> None:
        """Opens the file under `folder`; what isn't there is made.

        Raises:
            StoreUnavailable: if the folder can't be written or the file is damaged.
            IndexMismatch: if another version made it.
        """
        self.folder = folder
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        with translated(), contextlib.ExitStack() as opened:
            opened.callback(self.close)
            folder.mkdir(parents=True, exist_ok=True)
            if self._is_there("meta") and self.meta("version", _VERSION) != _VERSION:
                raise IndexMismatch(
                    f"{folder / FILE_NAME} was made by another version of Wenbao: move it away"
                    " and run `wenbao ingest` again."
                )
            if not self._is_there(_NEWEST):
                self._make()
            opened.pop_all()  # all is well: it stays open

    def close(self) -> None:
        """Closes every connection that this object opened."""
        for db in self._open:
            db.close()
        self._open.clear()
        self._local = threading.local()

    def _is_there(self, name: str) -> bool:
        found = self.now.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,))
        return found.fetchone() is not None

    def _make(self) -> None:
        """Makes what isn't there, all of it or nothing, whichever process is first."""
        with _transaction(self.now):
            for statement in _SCHEMA.split(";\n"):
                self.now.execute(statement)
            self.now.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (_VERSION,))

    @property
    def now(self) -> sqlite3.Connection:
        """This thread's connection."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(
                self.folder / FILE_NAME, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._open.append(db)  # to be closed, whatever the next lines say of it
            _use_wal(db)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._local.db = db
        return db

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """One transaction: all of what is written inside is kept, or none of it."""
        with translated(), _transaction(self.now):
            yield

    def meta(self, key: str, default: str = "") -> str:
        """A value kept beside the tables."""
        row = self.now.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else default

    def add_to_meta(self, more: Mapping[str, int]) -> None:
        """Counts numbers kept beside the tables up or down."""
        self.now.executemany(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key)"
            " DO UPDATE SET value = CAST(value AS INTEGER) + excluded.value",
            [(key, str(count)) for key, count in more.items()],
        )


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


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns what SQLite and the disk raise into one sentence that says what to do."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        words = str(exc)
        if "full" in words or "disk I/O" in words:  # what SQLite says depends on the file
            raise StoreUnavailable(_DISK_FULL) from exc
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
        if exc.errno in _FULL:
            raise StoreUnavailable(_DISK_FULL) from exc
        raise StoreUnavailable(
            f"{exc.filename or 'WENBAO_HOME'} can't be used ({exc.strerror}):"
            " set WENBAO_HOME to a folder of yours."
        ) from exc
