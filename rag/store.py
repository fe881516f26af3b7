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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from embeddings.embedder import Vector
from rag.errors import StoreUnavailable
from rag.records import Records

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

log = logging.getLogger(__name__)

BATCH = 1_000  # rows a call; Chroma takes 5,461 at most
PROBE_TIMEOUT_S = 120
COPY_SHARE = 0.25  # a change smaller than this share of the index is made to a copy
_COLLECTION = "passages"
_HNSW = {"space": "cosine", "ef_construction": 200, "ef_search": 200, "max_neighbors": 32}
_SELF_QUERIES = 5
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a verified generation held when it was verified."""

    revision: int
    count: int
    files: dict[str, list[int]]


class VectorIndex:
    """Searches the current generation; notices when another one takes its place."""

    def __init__(self, folder: Path, records: Records) -> None:
        self._folder = folder / "vectors"
        self._records = records
        self._lock = threading.Lock()
        self._writer = FileLock(folder / "writer.lock")
        self._name = ""
        self._collection: Collection | None = None

    def search(self, vector: Vector, limit: int) -> list[str]:
        """The ids of the passages nearest to a unit vector, nearest first.

        A generation that turns out to be damaged is rebuilt on the way.

        Raises:
            StoreUnavailable: if there is no generation that can be read, nor can one be built.
        """
        try:
            return self._search(vector, limit)
        except StoreUnavailable:
            log.warning("the vector index can't be read; it is rebuilt from the records")
            with self.writing():
                self.close()
                self.rebuild(from_scratch=True)
            return self._search(vector, limit)

    def _search(self, vector: Vector, limit: int) -> list[str]:
        collection = self._current()
        with _translated():
            size = min(limit, collection.count()) if collection else 0
            if collection is None or not size:
                return []
            found = collection.query(query_embeddings=[vector], n_results=size, include=[])
        return list(found["ids"][0])

    @contextlib.contextmanager
    def writing(self, wait_s: float = 600) -> Iterator[None]:
        """Holds the one writer lock of this home; the lock dies with its process.

        Raises:
            StoreUnavailable: if another process holds it for longer than `wait_s`.
        """
        try:
            with self._writer.acquire(timeout=wait_s):
                yield
        except Timeout as exc:
            raise StoreUnavailable(
                "Another process is changing the index: wait for it to end, then try again."
            ) from exc

    def mend(self) -> None:
        """Rebuilds the index if it is missing, stale or damaged; does nothing while it is written.

        A stale generation still serves: what was removed is dropped when hits are looked up.
        """
        if self.is_fresh() and self.is_sound():
            return
        if self._named() and self.is_sound() and self._is_being_written():
            return
        with self.writing():
            if not (self.is_fresh() and self.is_sound()):
                self.rebuild()

    def _is_being_written(self) -> bool:
        try:
            with self._writer.acquire(timeout=0):
                return False
        except Timeout:
            return True

    def is_fresh(self) -> bool:
        """Whether the current generation holds just what the records hold."""
        manifest = _manifest(self._folder / self._named())
        return manifest is not None and manifest.revision == self._records.revision

    def is_sound(self) -> bool:
        """Whether the current generation's files are as they were when it was verified."""
        return _is_sound(self._folder / self._named())

    def rebuild(self, progress: Progress | None = None, *, from_scratch: bool = False) -> None:
        """Makes the index hold what the records hold; the caller holds the writer lock.

        Raises:
            StoreUnavailable: if it can't be built; the last generation stays in use.
        """
        revision, wanted = self._records.revision, self._records.passage_ids()
        name = f"gen-{revision:08d}-{os.urandom(3).hex()}"
        work = self._folder / f".{name}"
        try:
            with _translated():
                self._folder.mkdir(parents=True, exist_ok=True)
                self._fill(work, wanted, progress, from_scratch=from_scratch)
                _verify(work, len(wanted))
                _write_manifest(work, revision, len(wanted))
                _sync(work)
                os.replace(work, self._folder / name)
                self._point_to(name)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        self._tidy(name)

    def close(self) -> None:
        """Lets go of the open generation."""
        self._collection = None
        self._name = ""

    def _named(self) -> str:
        try:
            return (self._folder / "CURRENT").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def _current(self) -> "Collection | None":
        with self._lock:
            name = self._named()
            if name != self._name:
                self._collection = self._open(name) if name else None
                self._name = name
            return self._collection

    def _open(self, name: str) -> "Collection":
        folder = self._folder / name
        manifest = _manifest(folder)
        if manifest is None:
            raise StoreUnavailable("The vector index is incomplete; it will be rebuilt.")
        if not _is_sound(folder):  # touched since it was verified: by a restored backup, say
            _verify(folder, manifest.count)
            with contextlib.suppress(OSError):
                _write_manifest(folder, manifest.revision, manifest.count)
        with _translated():
            return _client(folder).get_collection(_COLLECTION, embedding_function=None)

    def _fill(
        self, work: Path, wanted: set[str], progress: Progress | None, *, from_scratch: bool
    ) -> None:
        """Fills a folder with the wanted passages, from a copy of the current one if that pays."""
        name = "" if from_scratch else self._named()
        have = self._copy(self._folder / name, work, wanted) if name else None
        client = _client(work)
        try:
            collection = (
                client.create_collection(
                    _COLLECTION,
                    embedding_function=None,
                    configuration={"hnsw": {**_HNSW, "sync_threshold": BATCH}},
                )
                if have is None
                else client.get_collection(_COLLECTION, embedding_function=None)
            )
            gone = sorted((have or set()) - wanted)
            for at in range(0, len(gone), BATCH):
                collection.delete(ids=gone[at : at + BATCH])
            new, done = wanted - (have or set()), 0
            for ids, vectors in self._records.vectors(new, BATCH):
                collection.add(ids=ids, embeddings=vectors)
                done += len(ids)
                if progress:
                    progress(done, len(new))
        finally:
            _release(client)

    def _copy(self, old: Path, work: Path, wanted: set[str]) -> set[str] | None:
        """Copies a sound generation and gives its ids; None if a new one is the better start."""
        if not _is_sound(old):
            return None
        shutil.copytree(old, work)
        (work / "manifest.json").unlink()
        client = _client(work)
        try:
            have = _ids(client.get_collection(_COLLECTION, embedding_function=None))
        finally:
            _release(client)
        if len(have ^ wanted) <= COPY_SHARE * len(wanted):
            return have
        shutil.rmtree(work)
        return None

    def _point_to(self, name: str) -> None:
        pointer = self._folder / "CURRENT.tmp"
        with pointer.open("w", encoding="utf-8") as file:
            file.write(name)
            file.flush()
            os.fsync(file.fileno())
        os.replace(pointer, self._folder / "CURRENT")
        _sync_folder(self._folder)

    def _tidy(self, name: str) -> None:
        """Keeps the generation in use and the one before, which readers may still have open."""
        kept = [name, *sorted(p.name for p in self._folder.glob("gen-*") if p.name != name)[-1:]]
        for path in [*self._folder.glob("gen-*"), *self._folder.glob(".gen-*")]:
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)


def _client(folder: Path) -> "ClientAPI":
    import chromadb

    settings = chromadb.Settings(anonymized_telemetry=False, is_persistent=True)
    return chromadb.PersistentClient(str(folder), settings=settings)


def _release(client: "ClientAPI") -> None:
    """Closes the files of a generation that is about to be moved."""
    close: Any = getattr(client, "close", None)
    if close:
        close()


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
    command = [sys.executable, "-m", "rag.store", str(folder), str(count)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=PROBE_TIMEOUT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise StoreUnavailable("The vector index doesn't open; it will be rebuilt.") from exc
    if done.returncode != 0:
        log.warning("probe of %s ended with %s", folder.name, done.returncode)
        log.debug("%s", done.stderr.decode(errors="replace"))
        raise StoreUnavailable("The vector index is damaged; it will be rebuilt.")


def _probe(folder: Path, count: int) -> None:
    """Opens a generation; its count must be right and its vectors must find themselves."""
    collection = _client(folder).get_collection(_COLLECTION, embedding_function=None)
    held = collection.count()
    if count not in (-1, held):
        raise SystemExit(f"holds {held} passages, not {count}")
    for offset in sorted({held * i // _SELF_QUERIES for i in range(_SELF_QUERIES)}):
        row: Any = collection.get(limit=1, offset=offset, include=["embeddings"])
        if row["ids"]:
            near = collection.query(
                query_embeddings=row["embeddings"], n_results=min(3, held), include=["distances"]
            )
            if (near["distances"] or [[1.0]])[0][0] > 1e-3:
                raise SystemExit(f"{row['ids'][0]} doesn't find itself")


def _content(folder: Path) -> dict[str, list[int]]:
    """Sizes and times of the index files; Chroma's own SQLite file changes when it is opened."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in (".bin", ".pickle")]
    status = [(path, path.stat()) for path in files if path.is_file()]
    return {str(p.relative_to(folder)): [s.st_size, s.st_mtime_ns] for p, s in status}


def _write_manifest(folder: Path, revision: int, count: int) -> None:
    manifest = Manifest(revision, count, _content(folder))
    (folder / "manifest.json").write_text(json.dumps(asdict(manifest)), encoding="utf-8")


def _manifest(folder: Path) -> Manifest | None:
    try:
        return Manifest(**json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _is_sound(folder: Path) -> bool:
    manifest = _manifest(folder)
    return (
        manifest is not None
        and (folder / "chroma.sqlite3").is_file()
        and _content(folder) == manifest.files
    )


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
    except StoreUnavailable:
        raise
    except OSError as exc:
        raise StoreUnavailable(
            f"The vector index can't be written ({exc.strerror}): free some space and run"
            " `wenbao ingest` again; nothing is lost."
        ) from exc
    except Exception as exc:  # Chroma raises several unrelated types from its Rust core
        raise StoreUnavailable(
            f"The vector index can't be used ({type(exc).__name__}): run `wenbao doctor`."
        ) from exc


def main(arguments: Sequence[str]) -> None:
    """The probe."""
    _probe(Path(arguments[0]), int(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
