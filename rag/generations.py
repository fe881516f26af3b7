"""One generation of the Chroma index: a folder that is built, verified and sealed, then only read.

Chroma's files don't survive a kill while they are written, nor two writers (DECISIONS.md), so a
generation is never written again once it is in use. Does not cover which one is (store.py).

Run as `python -m rag.generations FOLDER COUNT` it is the probe: it opens a generation, counts and
asks it some of its own vectors, in a process of its own, since a damaged one may end the process.
"""

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from filelock import Timeout

from embeddings.embedder import Vector
from rag.errors import IndexMismatch, StoreUnavailable

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

log = logging.getLogger(__name__)

BATCH = 1_000  # rows a call; Chroma takes 5,461 at most
PROBE_TIMEOUT_S = 120
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
_MANIFEST = "manifest.json"
Progress = Callable[[int, int], None]
Vectors = Callable[[Iterable[str], int], Iterator[tuple[list[str], Vector]]]  # `Records.vectors`


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
class Generation:
    """A generation that is open in this process."""

    name: str
    count: int
    _client: "Client"
    _collection: "Collection"

    def nearest(self, vector: Vector, limit: int) -> list[str]:
        """The ids of the passages nearest to a unit vector, nearest first."""
        if not self.count:
            return []
        with translated():
            found = self._collection.query(
                query_embeddings=vector, n_results=min(limit, self.count), include=[]
            )
        return list(found["ids"][0])

    def close(self) -> None:
        """Lets go of its files."""
        self._client.close()


def load(folder: Path) -> Generation:
    """Opens a generation whose files are as they were when a child process opened them.

    Raises:
        StoreUnavailable: if it is damaged.
    """
    sealed = manifest(folder)
    if sealed is None or not is_sound(folder):
        raise StoreUnavailable("The vector index is damaged; it will be rebuilt.")
    with translated():
        client = _client(folder)
        try:
            collection = client.get_collection(_COLLECTION, embedding_function=None)
            if collection.count() != sealed.count:
                raise StoreUnavailable("The vector index is incomplete; it will be rebuilt.")
        except BaseException:
            client.close()
            raise
    return Generation(folder.name, sealed.count, client, collection)


# --- making one ----------------------------------------------------------------------------------


def build(work: Path, wanted: set[str], vectors: Vectors, progress: Progress | None) -> None:
    """Builds a generation from nothing but the vectors of the passages that are wanted.

    The threshold makes Chroma write its files now: those of an index that never reached it are
    written anew by every process that opens it.
    """
    hnsw: Any = {**_HNSW, "sync_threshold": min(BATCH, max(1, len(wanted)))}
    with _opened(work) as client:
        collection = client.create_collection(
            _COLLECTION, embedding_function=None, configuration={"hnsw": hnsw}
        )
        _add(collection, wanted, vectors, progress)
    verify(work, len(wanted))


def update(
    old: Path, work: Path, wanted: set[str], vectors: Vectors, progress: Progress | None
) -> int | None:
    """Makes a copy of a generation hold what is wanted; gives `Manifest.changed`.

    None if there is no old one, too much has changed, or the copy turns out to be damaged.
    """
    sealed = manifest(old)
    most = COPY_SHARE * len(wanted)
    if sealed is None or abs(sealed.count - len(wanted)) > most or not is_sound(old):
        return None
    copy = work.with_name(f"{work.name}-copy")  # Chroma opens no path twice if the first failed
    try:
        with translated():
            shutil.copytree(old, copy)
            (copy / _MANIFEST).unlink()
            with _opened(copy) as client:
                collection = client.get_collection(_COLLECTION, embedding_function=None)
                have = _ids(collection)
                changed = sealed.changed + len(have ^ wanted)
                pays = changed <= most
                if pays:
                    _delete(collection, have - wanted)
                    _add(collection, wanted - have, vectors, progress)
            if pays:
                verify(copy, len(wanted))
                os.replace(copy, work)
                return changed
    except StoreUnavailable as exc:
        log.warning("the vector index can't be updated (%s); it is built anew", exc)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    return None


def seal(work: Path, revision: int, count: int, changed: int) -> None:
    """Writes down what a verified generation holds, and has the disk keep all of it."""
    sealed = Manifest(revision, count, changed, status(work), _digests(work))
    (work / _MANIFEST).write_text(json.dumps(asdict(sealed)), encoding="utf-8")
    for path in work.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    for path in (work, *(p for p in work.rglob("*") if p.is_dir())):
        sync_folder(path)


def sync_folder(folder: Path) -> None:
    """Has the disk keep which files a folder holds."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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


def _add(
    collection: "Collection", ids: set[str], vectors: Vectors, progress: Progress | None
) -> None:
    done = 0
    for some, rows in vectors(ids, BATCH):
        collection.add(ids=some, embeddings=rows)
        done += len(some)
        if progress:
            progress(done, len(ids))


def _delete(collection: "Collection", ids: set[str]) -> None:
    gone = sorted(ids)
    for at in range(0, len(gone), BATCH):
        collection.delete(ids=gone[at : at + BATCH])


def _ids(collection: "Collection") -> set[str]:
    found: set[str] = set()
    for offset in range(0, collection.count(), 5_000):
        found.update(collection.get(limit=5_000, offset=offset, include=[])["ids"])
    return found


# --- whether it is what it should be -------------------------------------------------------------


def verify(folder: Path, count: int) -> None:
    """Opens a generation in a child process, with a time limit.

    Raises:
        StoreUnavailable: if it can't be opened, or holds something else than it should.
    """
    # -P and the path: the child imports what this process would, wherever it was started
    command = [sys.executable, "-P", "-m", "rag.generations", str(folder.resolve()), str(count)]
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


def manifest(folder: Path) -> Manifest | None:
    """What a generation held when it was verified; None if nothing (readable) is written there."""
    try:
        return Manifest(**json.loads((folder / _MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def is_sound(folder: Path) -> bool:
    """Whether a generation's files are those that were verified, untouched or restored."""
    sealed = manifest(folder)
    if sealed is None or not (folder / "chroma.sqlite3").is_file():
        return False
    try:
        return status(folder) == sealed.files or _digests(folder) == sealed.digests
    except OSError:
        return False


def status(folder: Path) -> dict[str, list[int]]:
    """Size and time of each index file."""
    found = [(name, path.stat()) for name, path in _files(folder)]
    return {name: [s.st_size, s.st_mtime_ns] for name, s in found}


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The index files; not Chroma's own SQLite file, which changes whenever it is opened."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".bin", ".pickle") and path.is_file():
            yield str(path.relative_to(folder)), path


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for name, path in _files(folder):
        with path.open("rb") as file:
            found[name] = file_digest(file, "sha256").hexdigest()
    return found


# --- what Chroma and the disk raise --------------------------------------------------------------


@contextlib.contextmanager
def translated() -> Iterator[None]:
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
