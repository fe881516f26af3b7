"""What the bot keeps of people and chats: language, bans, invitations, counts, what was shown.

In the same SQLite file as the conversations (bot/people.py), in tables of its own. Does not cover
updates under way (inbox.py), nor questions, answers and votes, which people.py keeps.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from bot import people
from bot.people import People
from rag.database import translated

_SCHEMA = """
CREATE TABLE IF NOT EXISTS telegram_members (
    id INTEGER PRIMARY KEY, language TEXT NOT NULL DEFAULT 'auto',
    banned INTEGER NOT NULL DEFAULT 0, allowed INTEGER NOT NULL DEFAULT 0
);
DROP TABLE IF EXISTS telegram_places;  -- 0.1 kept there in which chats someone asked, for ever
CREATE TABLE IF NOT EXISTS telegram_counts (
    who TEXT, span TEXT, number INTEGER, n INTEGER NOT NULL, PRIMARY KEY (who, span, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS telegram_asked (
    chat INTEGER, message INTEGER, at REAL NOT NULL, digest BLOB NOT NULL, edit INTEGER NOT NULL,
    PRIMARY KEY (chat, message)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS telegram_asked_by_age ON telegram_asked (at);
CREATE TABLE IF NOT EXISTS telegram_answers (
    id TEXT PRIMARY KEY, who TEXT NOT NULL, at REAL NOT NULL, passages TEXT NOT NULL,
    vote TEXT NOT NULL DEFAULT '', comment TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS telegram_answers_by_who ON telegram_answers (who, at);
CREATE INDEX IF NOT EXISTS telegram_answers_by_age ON telegram_answers (at);
CREATE TABLE IF NOT EXISTS telegram_articles (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE
);
"""
_SPANS = {"minute": 60, "day": 86_400}  # seconds
_EDITABLE_S = 48 * 3600  # Telegram lets people edit this long

Lang = Literal["auto", "zh", "en"]
Span = Literal["minute", "day"]


@dataclass(frozen=True, slots=True)
class Member:
    """What is set for a person or a chat."""

    language: Lang = "auto"
    banned: bool = False
    allowed: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """So many questions of someone in a span; `who` is e.g. `user:7`."""

    who: str
    span: Span
    most: int


@dataclass(frozen=True, slots=True)
class Over:
    """A limit that is used up; `told` if they were told so in this span already."""

    span: Span
    told: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer that was sent: to whom, the passages behind it, what was said of it."""

    answer_id: str
    who: str
    passages: tuple[str, ...]
    vote: str
    comment: str


@dataclass(frozen=True, slots=True)
class Usage:
    """How much the bot is used."""

    asked: int
    people: int
    banned: int
    waiting: int


class Members:
    """Reads and writes what is kept of people and chats."""

    def __init__(self, kept: People) -> None:
        self._people = kept
        with translated():
            kept.db.executescript(_SCHEMA)

    # --- who may ask

    def member(self, member_id: int) -> Member:
        """What is set for a person or a chat."""
        with translated():
            row = self._people.db.execute(
                "SELECT language, banned, allowed FROM telegram_members WHERE id = ?", (member_id,)
            ).fetchone()
        return Member(row[0], bool(row[1]), bool(row[2])) if row else Member()

    def speak(self, member_id: int, language: Lang) -> None:
        """Sets in which language someone is answered."""
        self._set(member_id, "language", language)

    def ban(self, member_id: int, banned: bool) -> None:
        """Answers someone no more, or again."""
        self._set(member_id, "banned", banned)

    def allow(self, member_id: int) -> None:
        """Lets someone in where not everybody may ask."""
        self._set(member_id, "allowed", True)

    def _set(self, member_id: int, column: str, value: object) -> None:
        with translated():
            self._people.db.execute(
                f"INSERT INTO telegram_members (id, {column}) VALUES (?, ?)"
                f" ON CONFLICT (id) DO UPDATE SET {column} = excluded.{column}",
                (member_id, value),
            )

    def count(self, limits: Sequence[Limit]) -> Over | None:
        """Counts a question; the first limit that it is over, if there is one (0: no limit).

        It counts for no limit after that: who asks too much uses up nobody else's share.
        """
        now = time.time()
        with translated():
            db = self._people.db
            for limit in limits:
                number = int(now // _SPANS[limit.span])
                (n,) = db.execute(
                    "INSERT INTO telegram_counts VALUES (?, ?, ?, 1) ON CONFLICT (who, span,"
                    " number) DO UPDATE SET n = n + 1 RETURNING n",
                    (limit.who, limit.span, number),
                ).fetchone()
                if n == 1:  # a new span: the old ones have had their time
                    db.execute(
                        "DELETE FROM telegram_counts WHERE span = ? AND number < ?",
                        (limit.span, number),
                    )
                if limit.most and n > limit.most:
                    return Over(limit.span, told=n > limit.most + 1)
        return None

    def told_today(self, who: str) -> bool:
        """Whether someone heard today already that they may not ask; counts that they do now."""
        return self.count([Limit(f"told:{who}", "day", 1)]) is not None

    # --- what was asked and shown

    def is_news(self, chat_id: int, message_id: int, text: str, edit: int = 0) -> bool:
        """Whether a question is to be answered: it is new, or changed for the first time.

        `edit` is the update that changes it; that one may come again after a restart.
        """
        now = time.time()
        digest = blake2b(text.encode(errors="replace"), digest_size=16).digest()
        with translated():
            db = self._people.db
            db.execute("DELETE FROM telegram_asked WHERE at < ?", (now - _EDITABLE_S,))
            row = db.execute(
                "SELECT digest, edit FROM telegram_asked WHERE chat = ? AND message = ?",
                (chat_id, message_id),
            ).fetchone()
            if row and edit and edit != row[1] and (row[1] or row[0] == digest):
                return False
            db.execute(
                "INSERT OR REPLACE INTO telegram_asked VALUES (?, ?, ?, ?, ?)",
                (chat_id, message_id, now, digest, edit),
            )
        return True

    def showed(self, answer_id: str, who: str, passages: Sequence[str]) -> None:
        """Keeps which passages stand behind an answer, for as long as the answer."""
        now = time.time()
        with translated():
            db = self._people.db
            db.execute(
                "INSERT INTO telegram_answers (id, who, at, passages) VALUES (?, ?, ?, ?)",
                (answer_id, who, now, json.dumps(passages)),
            )
            old = now - people.KEPT_DAYS * 86_400
            db.execute("DELETE FROM telegram_answers WHERE at < ?", (old,))

    def shown(self, answer_id: str) -> Shown | None:
        """An answer that was sent."""
        return self._shown("id = ?", answer_id)

    def last_shown(self, who: str) -> Shown | None:
        """The last answer in a conversation."""
        return self._shown("who = ? ORDER BY at DESC LIMIT 1", who)

    def _shown(self, where: str, value: str) -> Shown | None:
        with translated():
            row = self._people.db.execute(
                f"SELECT id, who, passages, vote, comment FROM telegram_answers WHERE {where}",
                (value,),
            ).fetchone()
        return Shown(row[0], row[1], tuple(json.loads(row[2])), row[3], row[4]) if row else None

    def said(self, answer_id: str, vote: str, comment: str) -> None:
        """Keeps what was said of an answer, to show the vote and to join a later comment."""
        with translated():
            self._people.db.execute(
                "UPDATE telegram_answers SET vote = ?, comment = ? WHERE id = ?",
                (vote, comment, answer_id),
            )

    def number(self, article_id: str) -> int:
        """A short name for an article: a button holds 64 bytes, an id may be longer."""
        with translated():
            db = self._people.db
            db.execute("INSERT OR IGNORE INTO telegram_articles (id) VALUES (?)", (article_id,))
            (n,) = db.execute(
                "SELECT n FROM telegram_articles WHERE id = ?", (article_id,)
            ).fetchone()
        return int(n)

    def article_id(self, number: int) -> str:
        """The article of a short name; "" if there is none."""
        with translated():
            row = self._people.db.execute(
                "SELECT id FROM telegram_articles WHERE n = ?", (number,)
            ).fetchone()
        return str(row[0]) if row else ""

    # --- all of it

    def erase(self, member_id: int) -> None:
        """Deletes what is kept of a person, in all chats.

        A ban and an invitation stay, and so do the counts of today: else they would be no limits.
        """
        everywhere = conversation("%", member_id)
        with translated():
            db = self._people.db
            for table in ("answers", "votes", "telegram_answers"):
                db.execute(f"DELETE FROM {table} WHERE who LIKE ?", (everywhere,))
            db.execute("DELETE FROM telegram_asked WHERE chat = ?", (member_id,))
            db.execute("UPDATE telegram_members SET language = 'auto' WHERE id = ?", (member_id,))

    def usage(self) -> Usage:
        """How much the bot is used today."""
        today = int(time.time() // _SPANS["day"])
        with translated():
            db = self._people.db
            asked, members = db.execute(
                "SELECT coalesce(sum(n), 0), count(*) FROM telegram_counts"
                " WHERE span = 'day' AND number = ? AND who LIKE 'user:%'",
                (today,),
            ).fetchone()
            (banned,) = db.execute("SELECT count(*) FROM telegram_members WHERE banned").fetchone()
            (waiting,) = db.execute(
                "SELECT count(*) FROM telegram_updates WHERE payload <> ''"
            ).fetchone()
        return Usage(asked, members, banned, waiting)


def conversation(chat_id: int | Literal["%"], member_id: int) -> str:
    """The name of one person's conversation in one chat, as people.py keeps it."""
    return f"telegram:{chat_id}:{member_id}"
