"""Updates and the messages that answer them, kept until they are delivered.

An update is written down before Telegram is told that it came, and an answer before its first
message is sent; each goes when it is done. So nothing is lost when the process dies, and nothing
is done twice but the one message that was on its way just then: Telegram has no key by which it
could know a repetition, and an answer that comes twice is the lesser evil than none.
Does not cover sending (post.py) nor what is kept of people (members.py).
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bot.people import People
from rag.database import translated

KEPT_DAYS = 8  # after a week without updates Telegram begins its numbers anew

_SCHEMA = """
CREATE TABLE IF NOT EXISTS telegram_updates (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, payload TEXT NOT NULL,
    begun INTEGER NOT NULL DEFAULT 0, preview INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS telegram_updates_by_age ON telegram_updates (at);
CREATE INDEX IF NOT EXISTS telegram_updates_waiting ON telegram_updates (id) WHERE payload <> '';
CREATE TABLE IF NOT EXISTS telegram_letters (
    n INTEGER PRIMARY KEY AUTOINCREMENT, update_id INTEGER NOT NULL, letter TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS telegram_letters_by_update ON telegram_letters (update_id);
"""

Keyboard = tuple[tuple[tuple[str, str], ...], ...]  # rows of (label, callback data)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message on its way; `edit` names a message that it takes the place of.

    `choices` are texts that the reader can send with a tap; `rich` is the same text for servers
    that take rich messages, "" where none is to be tried.
    """

    chat_id: int
    html: str
    text: str
    thread_id: int | None = None
    reply_to: int | None = None
    keyboard: Keyboard = ()
    choices: tuple[str, ...] = ()
    edit: int = 0
    rich: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """How often an update was begun, this time counted, and whether letters are left of it."""

    times: int
    letters: bool


class Inbox:
    """Reads and writes what is under way."""

    def __init__(self, people: People) -> None:
        self._people = people
        with translated():
            people.db.executescript(_SCHEMA)

    def take(self, update_id: int, payload: str) -> bool:
        """Writes an update down; False if it came before."""
        now = time.time()
        with translated():
            db = self._people.db
            new = db.execute(
                "INSERT OR IGNORE INTO telegram_updates (id, at, payload) VALUES (?, ?, ?)",
                (update_id, now, payload),
            ).rowcount
            db.execute(
                "DELETE FROM telegram_updates WHERE at < ? AND payload = ''",
                (now - KEPT_DAYS * 86_400,),
            )
        return new > 0

    def waiting(self) -> list[str]:
        """The updates that are not done, the oldest first."""
        with translated():
            rows = self._people.db.execute(
                "SELECT payload FROM telegram_updates WHERE payload <> '' ORDER BY id"
            ).fetchall()
        return [payload for (payload,) in rows]

    def begin(self, update_id: int) -> Begun:
        """Counts that an update is begun."""
        with translated():
            db = self._people.db
            row = db.execute(
                "UPDATE telegram_updates SET begun = begun + 1 WHERE id = ? RETURNING begun",
                (update_id,),
            ).fetchone()
            letters = db.execute(
                "SELECT 1 FROM telegram_letters WHERE update_id = ?", (update_id,)
            ).fetchone()
        return Begun(row[0] if row else 1, letters is not None)

    def preview(self, update_id: int) -> int:
        """The message that shows the beginning of an answer; 0 if none does."""
        with translated():
            row = self._people.db.execute(
                "SELECT preview FROM telegram_updates WHERE id = ?", (update_id,)
            ).fetchone()
        return int(row[0]) if row else 0

    def previewed(self, update_id: int, message_id: int) -> None:
        """Keeps which message shows the beginning of an answer."""
        with translated():
            self._people.db.execute(
                "UPDATE telegram_updates SET preview = ? WHERE id = ?", (message_id, update_id)
            )

    def write(self, update_id: int, letters: Sequence[Letter]) -> list[tuple[int, Letter]]:
        """Keeps letters until they are delivered, all or none; gives their numbers."""
        rows = [(update_id, json.dumps(asdict(letter), ensure_ascii=False)) for letter in letters]
        with translated():
            db = self._people.db
            db.execute("BEGIN IMMEDIATE")
            try:
                db.executemany(
                    "INSERT INTO telegram_letters (update_id, letter) VALUES (?, ?)", rows
                )
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
        return self.letters(update_id)

    def letters(self, update_id: int) -> list[tuple[int, Letter]]:
        """What is still to be delivered for an update, in order."""
        with translated():
            rows = self._people.db.execute(
                "SELECT n, letter FROM telegram_letters WHERE update_id = ? ORDER BY n",
                (update_id,),
            ).fetchall()
        return [(n, _letter(text)) for n, text in rows]

    def delivered(self, n: int) -> None:
        """A letter has arrived."""
        with translated():
            self._people.db.execute("DELETE FROM telegram_letters WHERE n = ?", (n,))

    def done(self, update_id: int) -> None:
        """Nothing is left to do for an update: only its number stays."""
        with translated():
            db = self._people.db
            db.execute("DELETE FROM telegram_letters WHERE update_id = ?", (update_id,))
            db.execute("UPDATE telegram_updates SET payload = '' WHERE id = ?", (update_id,))


def _letter(text: str) -> Letter:
    fields = json.loads(text)
    rows = fields.pop("keyboard")
    keyboard = tuple(tuple((label, value) for label, value in row) for row in rows)
    return Letter(**fields | {"keyboard": keyboard, "choices": tuple(fields["choices"])})
