"""API keys: made here, kept as hashes only, and limits on how often each may ask.

A key is 256 random bits. Nobody can try them all, so a plain fast hash is enough: slow hashes are
for passwords, which people choose, and would cost every request its time. Keys of WENBAO_API_KEYS
hold beside them; they stand in the environment and nowhere else.
Does not cover what a scope opens (api/gate.py).
"""

import hmac
import math
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, get_args

from bot.people import People
from rag.database import translated
from rag.errors import BadSettings

Scope = Literal["read", "write"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
WINDOW_S = 60  # rates are a minute's

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    name TEXT PRIMARY KEY, hash BLOB NOT NULL, scope TEXT NOT NULL,
    made_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rates (asker TEXT PRIMARY KEY, due REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS rates_by_age ON rates (due);
"""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Key:
    """Who holds a key, and what it opens: writing includes reading."""

    name: str
    scope: Scope
    made_at: str = ""


class Keys:
    """The keys of this home, and those of the environment."""

    def __init__(self, people: People, given: Sequence[str] = ()) -> None:
        """`given` are the keys of WENBAO_API_KEYS, which open everything."""
        self._people = people
        self._given = tuple((f"env-{n}", _hash(key)) for n, key in enumerate(given, 1))
        with translated():
            people.db.executescript(_SCHEMA)

    def add(self, name: str, scope: Scope = "write") -> str:
        """A new key, which can be shown now and never again.

        Raises:
            BadSettings: if the name can't be used or is taken.
        """
        if not _NAME.fullmatch(name) or name.startswith("env-"):
            raise BadSettings("A key's name has up to 64 letters, digits, dots, dashes or _.")
        key = f"wb_{secrets.token_urlsafe(32)}"
        with translated():
            added = self._people.db.execute(
                "INSERT OR IGNORE INTO keys (name, hash, scope) VALUES (?, ?, ?)",
                (name, _hash(key), scope),
            )
        if not added.rowcount:
            raise BadSettings(f"There is a key {name} already: `wenbao keys remove {name}` first.")
        return key

    def remove(self, name: str) -> None:
        """Takes a key away; it opens nothing from the next request on.

        Raises:
            BadSettings: if there is no such key.
        """
        with translated():
            gone = self._people.db.execute("DELETE FROM keys WHERE name = ?", (name,))
        if not gone.rowcount:
            raise BadSettings(f"There is no key {name}: `wenbao keys list` shows them.")

    def listed(self) -> list[Key]:
        """The keys that were added, by name; not those of the environment."""
        with translated():
            rows = self._people.db.execute("SELECT name, scope, made_at FROM keys ORDER BY name")
            return [Key(*row) for row in rows]

    def of(self, sent: bytes) -> Key | None:
        """The key that was sent, if it is one; compared with every one, in equal time."""
        hashed = sha256(sent).digest()
        with translated():
            rows = self._people.db.execute("SELECT name, scope, hash FROM keys").fetchall()
        known = [*rows, *((name, "write", digest) for name, digest in self._given)]
        found = [row for row in known if hmac.compare_digest(row[2], hashed)]
        return Key(found[0][0], found[0][1]) if found else None

    def close_reading(self) -> bool:
        """Whether reading needs a key: once there is one for it, or one in the environment."""
        if self._given:
            return True
        with translated():
            row = self._people.db.execute("SELECT 1 FROM keys WHERE scope = 'read' LIMIT 1")
            return row.fetchone() is not None

    def any(self) -> bool:
        """Whether there is any key at all."""
        with translated():
            found = self._people.db.execute("SELECT 1 FROM keys LIMIT 1").fetchone()
        return bool(self._given) or found is not None


def _hash(key: str) -> bytes:
    return sha256(key.encode()).digest()


@dataclass(frozen=True, slots=True)
class Rate:
    """Where an asker stands: `left` of `quota` requests now; more in `wait_s` seconds."""

    quota: int
    left: int
    wait_s: int
    refused: bool = False


class Rates:
    """How often each asker may come, counted across all processes of this home.

    The generic cell rate algorithm: one time an asker, the moment when all that was used is paid
    back, moved on by one statement. So no window has an edge at which twice as much is let through.
    """

    def __init__(self, people: People) -> None:
        self._people = people
        with translated():
            people.db.executescript(_SCHEMA)

    def take(self, asker: str, quota: int) -> Rate:
        """Takes one request of an asker's `quota` a minute, if one is left."""
        now, step = time.time(), WINDOW_S / quota
        with translated():
            self._people.db.execute("DELETE FROM rates WHERE due < ?", (now,))  # all paid back
            rows = self._people.db.execute(
                "INSERT INTO rates VALUES (:asker, :now + :step) ON CONFLICT (asker) DO UPDATE"
                " SET due = max(due, :now) + :step"
                " WHERE max(due, :now) + :step <= :now + :window + 1e-6 RETURNING due",
                {"asker": asker, "now": now, "step": step, "window": WINDOW_S},
            ).fetchall()  # all: only then is the change committed
            if not rows:
                (due,) = self._people.db.execute(
                    "SELECT due FROM rates WHERE asker = ?", (asker,)
                ).fetchone() or (now,)
                return Rate(quota, 0, max(1, math.ceil(due + step - WINDOW_S - now)), refused=True)
        ((due,),) = rows
        used = (due - now) / step
        return Rate(quota, max(0, math.floor(quota - used + 1e-6)), math.ceil(due - now))
