"""All that a home can't make again, in one file: the articles, what is kept of people, the judge.

A backup is a gzipped tar of the home's SQLite files, each copied by SQLite while others may write,
and of its fitted judge. The vector index and the built models are made again from these. Does not
cover `.env`, which holds keys and belongs elsewhere.
"""

import contextlib
import gzip
import os
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO

from bot import people
from rag import database, weights
from rag.database import translated
from rag.errors import StoreUnavailable, UnreadableFile, WrongUse

DATABASES = (database.FILE_NAME, people.FILE_NAME)
NAMES = (*DATABASES, weights.FILE_NAME)
REBUILT = "vectors"  # the folder that the records make again
_MEGABYTE = 1 << 20
_BROKEN = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    sqlite3.DatabaseError,
    FileExistsError,  # a name that is there twice
)


def write(home: Path, target: BinaryIO) -> list[str]:
    """Writes the backup of a home to an open file; gives the names of what it holds.

    Raises:
        WrongUse: if there is nothing to keep.
        StoreUnavailable: if the home can't be read.
    """
    if not (home / database.FILE_NAME).exists():
        raise WrongUse(f"{home} holds no articles to keep: set WENBAO_HOME.")
    there = [name for name in NAMES if (home / name).exists()]
    with (
        translated(),
        tempfile.TemporaryDirectory(prefix="wenbao-") as folder,
        gzip.open(target, "wb", compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w|") as made,
    ):
        for name in there:
            copied = Path(folder) / name
            _copy(home / name, copied)
            made.add(copied, name)
            copied.unlink()
    return there


def write_file(home: Path, path: Path) -> list[str]:
    """See `write`; the file is there whole or not at all, and for its owner only."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with translated():
            handle = os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as target:
            there = write(home, target)
            target.flush()
            os.fsync(target.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return there


def restore(home: Path, source: BinaryIO, force: bool = False) -> list[str]:
    """Puts a backup into a home where nothing runs; gives the names of what it held.

    Everything is unpacked and checked before the first file is put in its place.

    Raises:
        WrongUse: if the home holds something and `force` is not set.
        UnreadableFile: if this is no whole backup.
        StoreUnavailable: if the home can't be written, or somebody has it open.
    """
    held = [name for name in NAMES if (home / name).exists()]
    if held and not force:
        raise WrongUse(
            f"{home} holds {', '.join(held)} already: back it up, then restore with --force."
        )
    with translated():
        home.mkdir(parents=True, exist_ok=True)
        _check_unused(home)
        with tempfile.TemporaryDirectory(dir=home, prefix=".restore-") as new:
            found = _unpacked(source, Path(new))
            _check_unused(home)  # unpacking may have taken minutes
            for name in NAMES:
                _put(Path(new) / name, home / name)
            shutil.rmtree(home / REBUILT, ignore_errors=True)
    return found


def _copy(source: Path, target: Path) -> None:
    """A copy as of one moment, whatever is written meanwhile."""
    if source.name not in DATABASES:
        shutil.copyfile(source, target)
        return
    with (
        contextlib.closing(sqlite3.connect(source, timeout=30)) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)
        # One file alone: what opens it later turns its own journal on again.
        new.execute("PRAGMA journal_mode = DELETE")


def _unpacked(source: BinaryIO, folder: Path) -> list[str]:
    """The files of a backup, checked; nothing else that the tar may hold is looked at."""
    try:
        with (
            gzip.open(source) as packed,
            tarfile.open(fileobj=packed, mode="r|") as held,
        ):
            for member in held:
                content = held.extractfile(member) if member.name in NAMES else None
                if content:
                    with (folder / member.name).open("xb") as target:
                        shutil.copyfileobj(content, target, _MEGABYTE)
            while packed.read(_MEGABYTE):  # to the checksum at the end
                pass
        found = [name for name in NAMES if (folder / name).exists()]
        for name in set(found) & set(DATABASES):
            _check(folder / name)
    except _BROKEN as exc:
        raise UnreadableFile(
            f"This is no whole backup ({type(exc).__name__}): nothing was changed; name a file that"
            " `wenbao backup` wrote."
        ) from exc
    if database.FILE_NAME not in found:
        raise UnreadableFile("This is no backup of Wenbao: nothing was changed.")
    return found


def _check(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        (said,) = db.execute("PRAGMA quick_check").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(said)


def _put(new: Path, place: Path) -> None:
    """Puts a file in its place, or takes the old one away where the backup has none."""
    for leftover in ("-wal", "-shm"):  # of the old file: they would be read into the new one
        place.with_name(place.name + leftover).unlink(missing_ok=True)
    if new.exists():
        os.replace(new, place)
    else:
        place.unlink(missing_ok=True)


def _check_unused(home: Path) -> None:
    """Refuses a home that a server, a bot or an ingest has open, and would go on writing to.

    Whoever reads a database in WAL mode keeps a lock on it until he closes it; asked for all of it,
    SQLite says so. A damaged one says nothing: to restore is what mends it.
    """
    for path in (home / name for name in DATABASES if (home / name).exists()):
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as db:
            try:
                db.execute("PRAGMA locking_mode = EXCLUSIVE")
                db.execute("SELECT 1 FROM sqlite_master").fetchone()
            except sqlite3.DatabaseError as exc:
                if "locked" in str(exc):
                    raise StoreUnavailable(
                        f"Something works on {home}: stop it, then restore again."
                    ) from exc
