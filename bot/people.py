"""What is kept about those who ask: their last answers, and what they thought of them.

One SQLite file apart from the articles, so that nobody's question waits for an ingest. An answer
is kept for `KEPT_DAYS`, a vote with its question for `VOTES_KEPT_DAYS`. `who` is a
door's name for one conversation, e.g. `telegram:CHAT:USER`; conversations never meet.
Does not cover what a follow-up means (rag/conversation.py).
"""

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rag.database import translated
from rag.types import Answer, Language, Turn

FILE_NAME = "people.sqlite"
KEPT_DAYS = 30
VOTES_KEPT_DAYS = 365  # time enough to export them
TURNS = 4  # a conversation reaches back this far
PAUSE_S = 3600.0  # after this long a conversation is over

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    id TEXT PRIMARY KEY, who TEXT NOT NULL, at REAL NOT NULL, question TEXT NOT NULL,
    language TEXT NOT NULL, abstained INTEGER NOT NULL, cited TEXT NOT NULL, live INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_who ON answers (who, at);
CREATE INDEX IF NOT EXISTS answers_by_age ON answers (at);
CREATE TABLE IF NOT EXISTS votes (
    answer_id TEXT PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, vote TEXT NOT NULL,
    comment TEXT NOT NULL, question TEXT NOT NULL, language TEXT NOT NULL,
    abstained INTEGER NOT NULL, cited TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS votes_by_age ON votes (at);
"""

Vote = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """A vote, the question it is about, and the quotes that the answer gave."""

    answer_id: str
    vote: Vote
    comment: str
    question: str
    language: Language
    abstained: bool
    quotes: tuple[str, ...]


class People:
    """Reads and writes what is kept about people; one connection a thread, many processes."""

    def __init__(self, folder: Path) -> None:
        """Opens the file under `folder`, made on first use.

        Raises:
            StoreUnavailable: if the folder can't be written or the file is damaged.
        """
        self._path = folder / FILE_NAME
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        with translated():
            folder.mkdir(parents=True, exist_ok=True)
            self.db.executescript(_SCHEMA)

    @property
    def db(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit; what other rooms keep has tables of its own."""
        if not hasattr(self._local, "db"):
            db = sqlite3.connect(
                self._path, timeout=10.0, isolation_level=None, check_same_thread=False
            )
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            self._local.db = db
            self._open.append(db)
        found: sqlite3.Connection = self._local.db
        return found

    def close(self) -> None:
        """Closes every connection that this object opened."""
        for db in self._open:
            db.close()
        self._open.clear()
        self._local = threading.local()

    def turns(self, who: str) -> tuple[Turn, ...]:
        """The conversation so far, the latest turn last; empty after a long pause."""
        with translated():
            rows = self.db.execute(
                "SELECT question, language, cited FROM answers"
                " WHERE who = ? AND live AND at > ? ORDER BY at DESC LIMIT ?",
                (who, time.time() - PAUSE_S, TURNS),
            ).fetchall()
        return tuple(
            Turn(
                question,
                language,
                tuple(dict.fromkeys(article_id for article_id, _ in json.loads(cited))),
                tuple(quote for _, quote in json.loads(cited)),
            )
            for question, language, cited in reversed(rows)
        )

    def answered(self, who: str, answer: Answer) -> str:
        """Keeps an answer; gives the id that a vote names it by. `who` may be empty."""
        answer_id = uuid.uuid4().hex
        cited = [(c.article_id, c.quote) for c in answer.citations]
        now = time.time()
        with translated():
            self.db.execute(
                "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    answer_id,
                    who,
                    now,
                    answer.understood or answer.question,
                    answer.language,
                    answer.abstained,
                    json.dumps(cited, ensure_ascii=False),
                    bool(who) and answer.reason != "off_topic",
                ),
            )
            self.db.execute("DELETE FROM answers WHERE at < ?", (now - KEPT_DAYS * 86_400,))
            self.db.execute("DELETE FROM votes WHERE at < ?", (now - VOTES_KEPT_DAYS * 86_400,))
        return answer_id

    def forget(self, who: str) -> None:
        """Ends a conversation: nothing said so far counts for the next question."""
        with translated():
            self.db.execute("UPDATE answers SET live = 0 WHERE who = ?", (who,))

    def erase(self, who: str) -> int:
        """Deletes all that is kept of a conversation, votes too; gives how many rows."""
        with translated():
            gone = [
                self.db.execute(f"DELETE FROM {table} WHERE who = ?", (who,)).rowcount
                for table in ("answers", "votes")
            ]
        return sum(gone)

    def vote(self, answer_id: str, vote: Vote, comment: str = "", who: str | None = None) -> bool:
        """Keeps what someone thought of an answer, their last word counting.

        False if there is no such answer, or (`who` given) it was another's.
        """
        with translated():
            done = self.db.execute(
                "INSERT OR REPLACE INTO votes"
                " SELECT id, ?, who, ?, ?, question, language, abstained, cited FROM answers"
                " WHERE id = ? AND (? IS NULL OR who = ?)",
                (time.time(), vote, comment, answer_id, who, who),
            )
        return done.rowcount > 0

    def feedback(self) -> Iterator[Feedback]:
        """Every vote, the oldest first."""
        with translated():
            rows = self.db.execute(
                "SELECT answer_id, vote, comment, question, language, abstained, cited"
                " FROM votes ORDER BY at"
            ).fetchall()
        for answer_id, vote, comment, question, language, abstained, cited in rows:
            quotes = tuple(quote for _, quote in json.loads(cited))
            yield Feedback(answer_id, vote, comment, question, language, bool(abstained), quotes)
