"""The Chroma index: generations of it, each built beside the last, verified, then swapped in.

Chroma's files don't survive a kill while they are written, nor two writers (DECISIONS.md), so a
generation is never written again once it is in use. CURRENT names the one in use. All of it can be
rebuilt from the records at any time, and is, when it is missing, stale or damaged.

Run as `python -m rag.store FOLDER COUNT` it is the probe: it opens a generation, counts and asks it
some of its own vectors, in a process of its own, since a damaged one may end the process.
"""

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from filelock import FileLock, Timeout

from embeddings.embedder import Vector
from rag.errors import IndexMismatch, StoreUnavailable
from rag.records import Records

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

log = logging.getLogger(__name__)

BATCH = 1_000  # rows a call; Chroma takes 5,461 at most
PROBE_TIMEOUT_S = 120
WRITER_WAIT_S = 600  # an ingest waits that long for another one
REPAIR_WAIT_S = 15  # a question that finds no index waits that long for whoever is making one
RETRY_S = 60  # a stale index that can't be mended still serves; tried again after that
COPY_SHARE = 0.25  # changes up to this share of the index are made to a copy, then it's built anew
_COLLECTION = "passages"
# Of 100,000 passages 200 finds .986 of the ten nearest in 2.7 ms, 400 .998 in 3.2, 800 all in 5.7.
_EF_SEARCH = 400
_HNSW = {
    "space": "cosine",
    "ef_construction": 200,
    "ef_search": _EF_SEARCH,
    "max_neighbors": 32,
}
_SELF_QUERIES = 5
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a verified generation held when it was verified.

    `changed` counts the rows added and deleted since it was built from scratch: Chroma never gives
    the room of a deleted one back. `files` are the size and time of each index file, `digests` its
    content.
    """

    revision: int
    count: int
    changed: int
    files: dict[str, list[int]]
    digests: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Generation:
    """A generation that is open in this process."""

    name: str
    client: "Client"
    collection: "Collection"
    count: int


class VectorIndex:
    """Searches the current generation; notices when another one takes its place."""

    def __init__(self, folder: Path, records: Records) -> None:
        self._folder = folder / "vectors"
        self._records = records
        self._lock = threading.Lock()
        self._writer = FileLock(folder / "writer.lock")
        self._open: list[_Generation] = []  # the current one last; another thread may use the first
        self._fresh_at: tuple[str, int] | None = None
        self._retry_at = 0.0

    def search(self, vector: Vector, limit: int) -> list[str]:
        """The ids of the passages nearest to a unit vector, nearest first.

        A generation that is missing, damaged or left stale by a killed writer is rebuilt first.

        Raises:
            StoreUnavailable: if there is no generation that can be read, nor can one be built.
            IndexMismatch: if the vector is of another model's length.
        """
        self._mend_what_was_left()
        tried = self._named()
        try:
            return self._search(vector, limit)
        except StoreUnavailable:
            if self._named() == tried:
                self._replace(tried)
            return self._search(vector, limit)

    def _search(self, vector: Vector, limit: int) -> list[str]:
        generation = self._current()
        if generation is None or not generation.count:
            return []
        with _translated():
            found = generation.collection.query(
                query_embeddings=vector, n_results=min(limit, generation.count), include=[]
            )
        return list(found["ids"][0])

    def _replace(self, damaged: str) -> None:
        """Builds another generation in the place of a damaged one, unless somebody else did."""
        log.warning("the vector index can't be read; it is rebuilt from the records")
        with self.writing(REPAIR_WAIT_S):
            if self._named() == damaged:
                self.rebuild(from_scratch=True)

    def _mend_what_was_left(self) -> None:
        """Mends an index that a killed writer left behind the records; quick if there is none."""
        state = (self._named(), self._records.revision)
        if state == self._fresh_at:
            return
        if self.is_fresh():
            self._fresh_at = state
        elif time.monotonic() >= self._retry_at:
            try:
                self.mend()
            except StoreUnavailable as exc:
                self._retry_at = time.monotonic() + RETRY_S
                log.warning("the vector index is behind the articles: %s", exc)

    @contextlib.contextmanager
    def writing(self, wait_s: float = WRITER_WAIT_S) -> Iterator[None]:
        """Holds the one writer lock of this home; the lock dies with its process.

        Raises:
            StoreUnavailable: if another process holds it for longer than `wait_s`.
        """
        with contextlib.ExitStack() as held:
            try:
                with _translated():
                    held.enter_context(self._writer.acquire(timeout=wait_s))
            except Timeout as exc:
                raise StoreUnavailable(
                    "Another process is changing the index: wait for it to end, then try again."
                ) from exc
            yield

    def mend(self) -> None:
        """Rebuilds the index if it is missing, stale or damaged.

        While it is being written a stale generation serves: what was removed is dropped when hits
        are looked up.

        Raises:
            StoreUnavailable: if it can't be built, or there is none and a writer takes too long.
        """
        if self.is_fresh() and self.is_sound():
            return
        if self._named() and self.is_sound() and self.is_being_written():
            return
        with self.writing(REPAIR_WAIT_S):
            if not (self.is_fresh() and self.is_sound()):
                self.rebuild()

    def is_being_written(self) -> bool:
        """Whether another process holds the writer lock just now."""
        try:
            with self.writing(0):
                return False
        except StoreUnavailable:
            return True

    def is_fresh(self) -> bool:
        """Whether the current generation holds just what the records hold."""
        if not (name := self._named()):
            return self._records.counts().passages == 0
        manifest = _manifest(self._folder / name)
        return manifest is not None and manifest.revision == self._records.revision

    def is_sound(self) -> bool:
        """Whether the current generation's files are as they were when it was verified."""
        name = self._named()
        return not name or _is_sound(self._folder / name)

    def rebuild(self, progress: Progress | None = None, *, from_scratch: bool = False) -> None:
        """Makes the index hold what the records hold; the caller holds the writer lock.

        Raises:
            StoreUnavailable: if it can't be built; the last generation stays in use.
        """
        before, revision = self._named(), self._records.revision
        wanted = self._records.passage_ids()
        name = f"gen-{revision:08d}-{os.urandom(3).hex()}"
        work = self._folder / f".{name}"
        try:
            with _translated():
                self._folder.mkdir(parents=True, exist_ok=True)
                changed = None if from_scratch else self._update(work, wanted, progress)
                if changed is None:
                    self._fill(work, wanted, progress)
                _write_manifest(work, revision, len(wanted), changed or 0)
                _sync(work)
                os.replace(work, self._folder / name)
                self._point_to(name)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        self._tidy(before, name)

    def sweep(self) -> None:
        """Removes what killed builds left behind; the caller holds the writer lock."""
        for path in self._folder.glob(".gen-*"):
            shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Lets go of the open generations."""
        with self._lock:
            while self._open:
                self._open.pop().client.close()

    def _named(self) -> str:
        try:
            return (self._folder / "CURRENT").read_text("utf-8", "replace").strip("\0 \n")
        except FileNotFoundError:
            return ""

    def _current(self) -> _Generation | None:
        with self._lock:
            if not (name := self._named()):
                return None
            if not self._open or self._open[-1].name != name:
                self._open.append(_open(self._folder / name))
                if len(self._open) > 2:  # by now nobody is still asking the one before the last
                    self._open.pop(0).client.close()
            return self._open[-1]

    def _update(self, work: Path, wanted: set[str], progress: Progress | None) -> int | None:
        """Makes a copy of the current generation hold what is wanted; gives `Manifest.changed`.

        None if there is none, too much has changed, or the copy turns out to be damaged.
        """
        old = self._folder / (self._named() or "none")
        manifest = _manifest(old)
        most = COPY_SHARE * len(wanted)
        if manifest is None or abs(manifest.count - len(wanted)) > most or not _is_sound(old):
            return None
        copy = work.with_name(f"{work.name}-copy")  # Chroma opens no path twice if the first failed
        try:
            with _translated():
                shutil.copytree(old, copy)
                (copy / "manifest.json").unlink()
                with _opened(copy) as client:
                    collection = client.get_collection(_COLLECTION, embedding_function=None)
                    have = _ids(collection)
                    changed = manifest.changed + len(have ^ wanted)
                    pays = changed <= most
                    if pays:
                        _delete(collection, have - wanted)
                        self._add(collection, wanted - have, progress)
                if pays:
                    _verify(copy, len(wanted))
                    os.replace(copy, work)
                    return changed
        except StoreUnavailable as exc:
            log.warning("the vector index can't be updated (%s); it is built anew", exc)
        finally:
            shutil.rmtree(copy, ignore_errors=True)
        return None

    def _fill(self, work: Path, wanted: set[str], progress: Progress | None) -> None:
        """Builds a generation from nothing but the records.

        The threshold makes Chroma write its files now: those of an index that never reached it are
        written anew by every process that opens it.
        """
        hnsw: Any = {**_HNSW, "sync_threshold": min(BATCH, max(1, len(wanted)))}
        with _opened(work) as client:
            collection = client.create_collection(
                _COLLECTION, embedding_function=None, configuration={"hnsw": hnsw}
            )
            self._add(collection, wanted, progress)
        _verify(work, len(wanted))

    def _add(self, collection: "Collection", ids: set[str], progress: Progress | None) -> None:
        done = 0
        for some, vectors in self._records.vectors(ids, BATCH):
            collection.add(ids=some, embeddings=vectors)
            done += len(some)
            if progress:
                progress(done, len(ids))

    def _point_to(self, name: str) -> None:
        pointer = self._folder / "CURRENT.tmp"
        with pointer.open("w", encoding="utf-8") as file:
            file.write(name)
            file.flush()
            os.fsync(file.fileno())
        os.replace(pointer, self._folder / "CURRENT")
        _sync_folder(self._folder)

    def _tidy(self, *kept: str) -> None:
        """Keeps the generation in use and the one before, which readers may still have open."""
        for path in [*self._folder.glob("gen-*"), *self._folder.glob(".gen-*")]:
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)


def _open(folder: Path) -> _Generation:
    """Opens a generation whose files are as they were when a child process opened them.

    Raises:
        StoreUnavailable: if it is damaged.
    """
    manifest = _manifest(folder)
    if manifest is None or not _is_sound(folder):
        raise StoreUnavailable("The vector index is damaged; it will be rebuilt.")
    with _translated():
        client = _client(folder)
        try:
            collection = client.get_collection(_COLLECTION, embedding_function=None)
            if collection.count() != manifest.count:
                raise StoreUnavailable("The vector index is incomplete; it will be rebuilt.")
        except BaseException:
            client.close()
            raise
    return _Generation(folder.name, client, collection, manifest.count)


def _client(folder: Path) -> "Client":
    import chromadb
    from chromadb.config import Settings

    settings = Settings(anonymized_telemetry=False, is_persistent=True)
    return cast("Client", chromadb.PersistentClient(str(folder), settings=settings))


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator["Client"]:
    """A client whose files are closed at the end, so that the folder can be moved."""
    client = _client(folder)
    try:
        yield client
    finally:
        client.close()


def _delete(collection: "Collection", ids: set[str]) -> None:
    gone = sorted(ids)
    for at in range(0, len(gone), BATCH):
        collection.delete(ids=gone[at : at + BATCH])


def _ids(collection: "Collection") -> set[str]:
    found: set[str] = set()
    for offset in range(0, collection.count(), 5_000):
        found.update(collection.get(limit=5_000, offset=offset, include=[])["ids"])
    return found


def _verify(folder: Path, count: int) -> None:
    """Opens a generation in a child process, with a time limit.

    Raises:
        StoreUnavailable: if it can't be opened, or holds something else than it should.
    """
    # -P and the path: the child imports what this process would, wherever it was started
    command = [sys.executable, "-P", "-m", "rag.store", str(folder.resolve()), str(count)]
    places = [str(Path(__file__).resolve().parents[1]), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=PROBE_TIMEOUT_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise StoreUnavailable("The vector index doesn't open: run `wenbao doctor`.") from exc
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")
        log.warning("probe of %s ended with %s", folder.name, done.returncode)
        log.debug("%s", said)
        raise _unavailable(said, "The vector index is damaged: run `wenbao doctor`.")


def _probe(folder: Path, count: int) -> None:
    """Opens a generation; its count must be right and its vectors must find themselves.

    One of the sample may fail to: the search is approximate.
    """
    with _opened(folder) as client:
        collection = client.get_collection(_COLLECTION, embedding_function=None)
        held = collection.count()
        if held != count:
            raise SystemExit(f"holds {held} passages, not {count}")
        offsets = sorted({held * i // _SELF_QUERIES for i in range(_SELF_QUERIES)} if held else ())
        lost = [at for at in offsets if not _finds_itself(collection, at)]
        if len(lost) > 1 or len(lost) == len(offsets) == 1:
            raise SystemExit(f"passages {lost} of {held} don't find themselves")


def _finds_itself(collection: "Collection", offset: int) -> bool:
    row: Any = collection.get(limit=1, offset=offset, include=["embeddings"])
    near = collection.query(query_embeddings=row["embeddings"], n_results=1, include=["distances"])
    return (near["distances"] or [[1.0]])[0][0] < 1e-3


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The index files; not Chroma's own SQLite file, which changes whenever it is opened."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".bin", ".pickle") and path.is_file():
            yield str(path.relative_to(folder)), path


def _status(folder: Path) -> dict[str, list[int]]:
    status = [(name, path.stat()) for name, path in _files(folder)]
    return {name: [s.st_size, s.st_mtime_ns] for name, s in status}


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for name, path in _files(folder):
        with path.open("rb") as file:
            found[name] = file_digest(file, "sha256").hexdigest()
    return found


def _write_manifest(folder: Path, revision: int, count: int, changed: int) -> None:
    manifest = Manifest(revision, count, changed, _status(folder), _digests(folder))
    (folder / "manifest.json").write_text(json.dumps(asdict(manifest)), encoding="utf-8")


def _manifest(folder: Path) -> Manifest | None:
    try:
        return Manifest(**json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _is_sound(folder: Path) -> bool:
    """Whether a generation's files are those that were verified, untouched or restored."""
    manifest = _manifest(folder)
    if manifest is None or not (folder / "chroma.sqlite3").is_file():
        return False
    try:
        return _status(folder) == manifest.files or _digests(folder) == manifest.digests
    except OSError:
        return False


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    for path in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
        _sync_folder(path)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turns what Chroma and the disk raise into one sentence that says what to do."""
    try:
        yield
    except (StoreUnavailable, IndexMismatch, Timeout):
        raise
    except OSError as exc:
        words = f"The vector index can't be written ({exc.strerror}): set WENBAO_HOME to a folder"
        raise _unavailable(str(exc), f"{words} of yours.") from exc
    except Exception as exc:  # Chroma raises several unrelated types from its Rust core
        if type(exc).__name__ == "InvalidDimensionException" or "dimension" in str(exc):
            raise IndexMismatch(
                "This index was made by another model: set WENBAO_MODEL back, or choose another"
                " WENBAO_HOME and run `wenbao ingest` again."
            ) from exc
        words = f"The vector index can't be used ({type(exc).__name__}): run `wenbao doctor`."
        raise _unavailable(str(exc), words) from exc


def _unavailable(said: str, otherwise: str) -> StoreUnavailable:
    """The error for what Chroma or the disk said: a full disk is told from the rest."""
    full = ("No space left", "disk is full", "File too large", "(code: 13)", "quota")
    if any(words in said for words in full):
        return StoreUnavailable(
            "The disk is full: free some space and run the command again; nothing is lost."
        )
    return StoreUnavailable(otherwise)


def main(arguments: Sequence[str]) -> None:
    """The probe."""
    _probe(Path(arguments[0]), int(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
