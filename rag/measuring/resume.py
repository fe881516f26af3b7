"""Answers of an evaluation that was stopped, so that the next run goes on where it ended.

One JSON line an answer, in a file named by all that answers depend on: another question file,
corpus, setting, model, or another state of Wenbao's own code, begins anew. A run that ends takes
the file away: what it found is in its report, and to run again means to measure again.
"""

import hashlib
import time
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from rag.evaluate import Timed
from rag.types import Article

FOLDER = "evaluations"
KEPT_DAYS = 7  # what was not taken up again by then is swept
_LINE = TypeAdapter(tuple[str, Timed])
_PACKAGES = ("rag", "embeddings")


def fingerprint(questions: Path, articles: Iterable[Article], settings: Iterable[str]) -> str:
    """What answers depend on, as 16 hexadecimal digits; `settings` include the model's name."""
    made = hashlib.sha256(questions.read_bytes())
    for article in articles:
        made.update(repr(article).encode(errors="replace"))
    for setting in settings:
        made.update(f"\0{setting}".encode(errors="replace"))
    house = Path(__file__).parents[2]
    files = (f for package in _PACKAGES for f in (house / package).rglob("*.*"))
    for file in sorted(f for f in files if f.suffix != ".pyc"):
        made.update(file.read_bytes())
    return made.hexdigest()[:16]


class Kept:
    """The answers given so far, added to as they come; see `rag.evaluate.Kept`."""

    def __init__(self, home: Path, name: str) -> None:
        """Takes up the file of this fingerprint, if a run of it was stopped."""
        folder = home / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        self._path = folder / f"{name}.jsonl"
        size, self._given = _read(self._path)
        self._file = self._path.open("ab")
        self._file.truncate(size)

    def find(self, question_id: str) -> Timed | None:
        return self._given.get(question_id)

    def add(self, question_id: str, timed: Timed) -> None:
        self._file.write(_LINE.dump_json((question_id, timed)) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Leaves the answers for the next run."""
        self._file.close()

    def done(self) -> None:
        """Takes the file away: nothing is left to go on with."""
        self.close()
        self._path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[int, dict[str, Timed]]:
    """The answers that a file holds, and how far it can be read: a kill leaves half a line."""
    size, given = 0, dict[str, Timed]()
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        try:
            question_id, timed = _LINE.validate_json(line)
        except ValidationError:
            break
        if line.endswith(b"\n"):
            size += len(line)
            given[question_id] = timed
    return size, given


def _sweep(folder: Path) -> None:
    old = time.time() - KEPT_DAYS * 86_400
    for path in folder.glob("*.jsonl"):
        if path.stat().st_mtime < old:
            path.unlink(missing_ok=True)
