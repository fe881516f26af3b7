"""Uploads that wait to be read in: kept in a table, done one after the other, never lost.

A job's files lie in a folder of its own until it is done; then they stay under the hash of their
content and their name, so that the same page sent twice is one page, and two different pages of
one name are two. Whichever process holds `jobs.lock` works; what it left half done when it died
is begun again. The index's own writer lock, shared with the command line, is taken by the ingest.
Does not cover how uploads come in (api/uploads.py) nor what is read from them (rag/ingest.py).
"""

import json
import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from bot.people import People
from rag.database import translated
from rag.errors import WenbaoError
from rag.ingest import Report, Watcher
from rag.plans import FileReport

log = logging.getLogger(__name__)

State = Literal["queued", "running", "done", "failed"]
KEPT_DAYS = 7
MAX_TRIES = 3  # a job that ended its process that often has failed
ABANDONED_S = 900.0  # an upload that no job owns after that long was cut off by a crash
_SWEEP_S = 60.0
_TURN_S = 0.1  # between two jobs: others that wait for the writer lock look for it every 0.05 s
_PAUSE_S = 0.5  # between two looks for jobs that another process took in

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, at REAL NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL,
    files INTEGER NOT NULL, files_done INTEGER NOT NULL, report TEXT, error TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, at);
"""
_COLUMNS = "id, state, files, files_done, report, error"
Ingest = Callable[[Sequence[Path], Watcher], Report]


@dataclass(frozen=True, slots=True)
class Job:
    """How far an upload has come; `report` is what its ingest did, without paths of this server."""

    job_id: str
    state: State
    files: int
    files_done: int
    report: Mapping[str, object] | None
    error: str | None


class Jobs:
    """The table of jobs, and the folder where their files lie."""

    def __init__(self, people: People, folder: Path) -> None:
        self._people = people
        self.folder = folder
        with translated():
            people.db.executescript(_SCHEMA)

    def new_folder(self) -> Path:
        """An empty folder for the files of an upload under way."""
        with translated():
            made = self.folder / f".{uuid.uuid4().hex}"
            made.mkdir(parents=True)
        return made

    def add(self, made: Path, files: int) -> str:
        """Makes a job of the files in a folder of `new_folder`; gives its id."""
        job_id = made.name.removeprefix(".")
        with translated():
            self._people.db.execute(
                "INSERT INTO jobs VALUES (?, ?, 'queued', 0, ?, 0, NULL, NULL)",
                (job_id, time.time(), files),
            )
        return job_id

    def find(self, job_id: str) -> Job | None:
        """A job, or None if there is none with this id (any more)."""
        with translated():
            row = self._people.db.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job_id,)
            ).fetchone()
        return _job(row) if row else None

    def waiting(self) -> int:
        """How many jobs aren't done yet."""
        with translated():
            row = self._people.db.execute(
                "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')"
            ).fetchone()
        return int(row[0])

    # ---- for the one who works ------------------------------------------------------------------

    def recover(self) -> None:
        """Queues again what a process that died was at, and sweeps up; the caller holds the lock.

        Nobody else works then: what is `running` is running no more.
        """
        with translated():
            self._people.db.execute(
                "UPDATE jobs SET state = 'failed', error = 'It ended its process again and again.'"
                " WHERE state = 'running' AND tries >= ?",
                (MAX_TRIES,),
            )
            self._people.db.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
            self._people.db.execute(
                "DELETE FROM jobs WHERE at < ? AND state IN ('done', 'failed')",
                (time.time() - KEPT_DAYS * 86_400,),
            )
            self._sweep()

    def _sweep(self) -> None:
        for left in self.folder.glob(".*"):
            job = self.find(left.name.removeprefix("."))
            owned = job is not None and job.state in ("queued", "running")
            if not owned and (job or _age_s(left) > ABANDONED_S):
                shutil.rmtree(left, ignore_errors=True)

    def take(self) -> Job | None:
        """The next job, which is running from now on; None where none waits."""
        with translated():
            rows = self._people.db.execute(
                "UPDATE jobs SET state = 'running', tries = tries + 1, files_done = 0 WHERE id ="
                " (SELECT id FROM jobs WHERE state = 'queued' ORDER BY at LIMIT 1)"
                f" RETURNING {_COLUMNS}"
            ).fetchall()
        return _job(rows[0]) if rows else None

    def step(self, job: Job, files_done: int) -> None:
        """Writes down how far a job has come."""
        with translated():
            self._people.db.execute(
                "UPDATE jobs SET files_done = ? WHERE id = ?", (files_done, job.job_id)
            )

    def put_back(self, job: Job) -> None:
        """Queues a job again that was stopped; it counts as not tried."""
        with translated():
            self._people.db.execute(
                "UPDATE jobs SET state = 'queued', tries = tries - 1 WHERE id = ?", (job.job_id,)
            )

    def end(self, job: Job, report: Mapping[str, object] | None, error: str | None) -> None:
        """Writes down what became of a job."""
        with translated():
            self._people.db.execute(
                "UPDATE jobs SET state = ?, report = ?, error = ?, files_done = files WHERE id = ?",
                (
                    "failed" if error else "done",
                    json.dumps(report, ensure_ascii=False) if report else None,
                    error,
                    job.job_id,
                ),
            )


def _age_s(folder: Path) -> float:
    """How long nothing came into a folder; 0 for one that was taken away meanwhile."""
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _job(row: tuple[str, State, int, int, str | None, str | None]) -> Job:
    job_id, state, files, files_done, report, error = row
    return Job(job_id, state, files, files_done, json.loads(report) if report else None, error)


class _Stopped(BaseException):
    """The server ends; the ingest breaks off where it can go on the next time.

    Not an Exception: those are translated on their way into errors of the index.
    """


class Worker:
    """Does the jobs, in a thread of its own, while this process holds the lock."""

    def __init__(self, jobs: Jobs, ingest: Ingest) -> None:
        self._jobs = jobs
        self._ingest = ingest
        self._stop = threading.Event()
        self._lock = FileLock(jobs.folder.parent / "jobs.lock")
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begins to work as soon as no other process does."""
        self._thread.start()

    def stop(self, wait_s: float = 20.0) -> None:
        """Breaks off; the job under way is queued again."""
        self._stop.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_S):
            try:
                with self._lock.acquire(timeout=0):
                    self._jobs.recover()
                    self._work()
            except Timeout:
                continue
            except Exception as exc:  # the disk may be full now and have room later
                log.error("jobs can't be done now: %s", exc)
                self._stop.wait(10)

    def _work(self) -> None:
        swept = time.monotonic()
        while not self._stop.is_set():
            if job := self._jobs.take():
                self._do(job)
                self._stop.wait(_TURN_S)
            else:
                self._stop.wait(_PAUSE_S)
            if time.monotonic() > swept + _SWEEP_S:
                self._jobs.recover()
                swept = time.monotonic()

    def _do(self, job: Job) -> None:
        given = self._jobs.folder / f".{job.job_id}"
        files: list[Path] = []
        report, error = None, None
        try:
            with translated():
                files = _placed(given, self._jobs.folder)
            report = self._ingest(files, self._watcher(job))
        except _Stopped:
            self._jobs.put_back(job)
            return
        except WenbaoError as exc:
            log.warning("job %s: %s", job.job_id, exc)
            error = "The articles couldn't be taken in now; try again later."
        except Exception:  # whatever it is, the next job gets its turn
            log.exception("job %s", job.job_id)
            error = "Something went wrong; the server's log says what."
        _drop([Path(each["path"]) for each in report.failed] if report else files)
        self._jobs.end(job, _public(report) if report else None, error)
        shutil.rmtree(given, ignore_errors=True)

    def _watcher(self, job: Job) -> Watcher:
        done = 0

        def file_done(report: FileReport) -> None:
            nonlocal done
            done += 1
            self._jobs.step(job, done)

        def step(what: str, at: int, total: int) -> None:
            if self._stop.is_set():
                raise _Stopped

        return Watcher(file_done, step)


def _placed(given: Path, kept: Path) -> list[Path]:
    """The files of a job where they stay; they are linked, so that a job can be begun again."""
    files = []
    for file in sorted(given.iterdir()):
        with file.open("rb") as content:
            digest = file_digest(content, "sha256").hexdigest()
        name = file.name.partition("-")[2]  # without the number that keeps two of a name apart
        place = kept / digest[:32] / name
        place.parent.mkdir(exist_ok=True)
        if not place.exists():
            os.link(file, place)
        files.append(place)
    return files


def _drop(files: Sequence[Path]) -> None:
    """Removes files that this job placed: a link to each still lies in the job's own folder."""
    for file in files:
        if file.exists() and file.stat().st_nlink > 1:
            shutil.rmtree(file.parent, ignore_errors=True)


def _public(report: Report) -> dict[str, object]:
    """A report without paths, which tell where this server keeps its files."""
    shown = report.to_json()
    failed = []
    for each in report.failed:
        path = Path(each["path"])
        words = each["error"].replace(str(path), path.name)
        failed.append({"file": path.name, "error": words.replace(str(path.parent), "")})
    return {**shown, "failed": failed}
