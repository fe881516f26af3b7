"""The Chroma index: generations of it, each built beside the last, verified, then swapped in.

CURRENT names the generation in use. All of it can be rebuilt from the records at any time, and is,
when it is missing, stale or damaged. Does not cover what a generation is (generations.py).
"""

import contextlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from embeddings.embedder import Vector
from rag import generations
from rag.errors import StoreUnavailable
from rag.generations import Generation, Progress, translated
from rag.records import Records

log = logging.getLogger(__name__)

WRITER_WAIT_S = 600  # an ingest waits that long for another one
REPAIR_WAIT_S = 15  # a question that finds no index waits that long for whoever is making one
RETRY_S = 60  # a stale index that can't be mended still serves; tried again after that


class VectorIndex:
    """Searches the current generation; notices when another one takes its place."""

    def __init__(self, folder: Path, records: Records) -> None:
        self._folder = folder / "vectors"
        self._records = records
        self._lock = threading.Lock()
        self._writer = FileLock(folder / "writer.lock")
        self._open: list[Generation] = []  # the current one last; another thread may use the first
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
        return generation.nearest(vector, limit) if generation else []

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
                with translated():
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
        manifest = generations.manifest(self._folder / name)
        return manifest is not None and manifest.revision == self._records.revision

    def is_sound(self) -> bool:
        """Whether the current generation's files are as they were when it was verified."""
        name = self._named()
        return not name or generations.is_sound(self._folder / name)

    def rebuild(self, progress: Progress | None = None, *, from_scratch: bool = False) -> None:
        """Makes the index hold what the records hold; the caller holds the writer lock.

        Raises:
            StoreUnavailable: if it can't be built; the last generation stays in use.
        """
        before, revision = self._named(), self._records.revision
        wanted, vectors = self._records.passage_ids(), self._records.vectors
        name = f"gen-{revision:08d}-{os.urandom(3).hex()}"
        work = self._folder / f".{name}"
        try:
            with translated():
                self._folder.mkdir(parents=True, exist_ok=True)
                changed = None
                if before and not from_scratch:
                    old = self._folder / before
                    changed = generations.update(old, work, wanted, vectors, progress)
                if changed is None:
                    generations.build(work, wanted, vectors, progress)
                generations.seal(work, revision, len(wanted), changed or 0)
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
                self._open.pop().close()

    def _named(self) -> str:
        try:
            return (self._folder / "CURRENT").read_text("utf-8", "replace").strip("\0 \n")
        except FileNotFoundError:
            return ""

    def _current(self) -> Generation | None:
        with self._lock:
            if not (name := self._named()):
                return None
            if not self._open or self._open[-1].name != name:
                self._open.append(generations.load(self._folder / name))
                if len(self._open) > 2:  # by now nobody is still asking the one before the last
                    self._open.pop(0).close()
            return self._open[-1]

    def _point_to(self, name: str) -> None:
        pointer = self._folder / "CURRENT.tmp"
        with pointer.open("w", encoding="utf-8") as file:
            file.write(name)
            file.flush()
            os.fsync(file.fileno())
        os.replace(pointer, self._folder / "CURRENT")
        generations.sync_folder(self._folder)

    def _tidy(self, *kept: str) -> None:
        """Keeps the generation in use and the one before, which readers may still have open."""
        for path in [*self._folder.glob("gen-*"), *self._folder.glob(".gen-*")]:
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)
