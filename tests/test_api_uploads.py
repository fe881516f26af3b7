"""Pages over HTTP: uploads that are refused while they come, and jobs that outlive the server."""

import asyncio
import gzip
import io
import json
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from filelock import FileLock

from bot import jobs, schemas
from bot.api import articles, uploads
from bot.jobs import Jobs, Worker
from bot.keys import Keys
from bot.settings import Settings
from bot.wiring import open_app
from newsroom import Newsroom, client_of, newsroom, serving
from rag.errors import StoreUnavailable
from rag.ingest import Report, Watcher
from test_api import problem

PAGE = "河口镇停电\n河口镇今天上午停电两小时。\n"
NOTHING = Report(0, 0, 0, 0, (), 0, 0, 0.0)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_PAUSE_S", 0.02)


@pytest.fixture
def room(tmp_path: Path) -> Newsroom:
    return newsroom(tmp_path, "first-key")


@pytest.fixture
async def client(room: Newsroom) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(room, "first-key") as client:
        yield client


@pytest.fixture
def desk(room: Newsroom) -> Iterator[httpx.Client]:
    """A client of a server that works."""
    with (
        serving(room) as address,
        httpx.Client(base_url=address, headers={"Authorization": "Bearer first-key"}) as client,
    ):
        yield client


def files(*named: tuple[str, bytes | str]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (n, c.encode() if isinstance(c, str) else c)) for n, c in named]


def left_behind(room: Newsroom) -> list[str]:
    """All that lies in the folder of uploads."""
    return [str(path) for path in (room.settings.home / "uploads").rglob("*")]


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """The job, once it has ended."""
    for _ in range(1_500):
        job: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").json()
        schemas.JobJson.model_validate(job, extra="forbid")
        if job["state"] in ("done", "failed"):
            return job
        threading.Event().wait(0.02)
    raise AssertionError(job)


# ── What is taken in ────────────────────────────────────────────────────────────────────────────


def test_files_become_articles_and_a_job_tells_how_far(desk: httpx.Client, room: Newsroom) -> None:
    sent = files(("a.txt", PAGE), ("b.TXT", PAGE + "又"), ("a.txt", PAGE + "再"))
    response = desk.post("/v1/articles", files=sent)
    assert response.status_code == 202
    job_id = response.json()["job_id"]
    assert response.headers["location"] == f"/v1/jobs/{job_id}"
    job = ended(desk, job_id)
    assert (job["state"], job["files"], job["files_done"]) == ("done", 3, 3)
    assert job["error"] is None and job["report"]["added"] == 3
    assert [a.title for a in room.articles[2:]] == ["a", "b", "a"]
    assert not [path for path in left_behind(room) if "/." in path]


def test_a_text_becomes_an_article(desk: httpx.Client, room: Newsroom) -> None:
    response = desk.post("/v1/articles", json={"name": "停电", "text": PAGE})
    assert ended(desk, response.json()["job_id"])["report"]["added"] == 1
    assert (room.articles[-1].title, room.articles[-1].text) == ("停电", PAGE)


def test_a_file_that_holds_no_article_is_told_without_paths(
    desk: httpx.Client, room: Newsroom
) -> None:
    response = desk.post("/v1/articles", files=files(("a.txt", PAGE), ("b.txt", "坏" + PAGE)))
    job = ended(desk, response.json()["job_id"])
    assert job["report"]["failed"] == [{"file": "b.txt", "error": "b.txt holds no article."}]
    assert [Path(p).name for p in left_behind(room) if p.endswith(".txt")] == ["a.txt"]


def test_the_same_page_sent_twice_lies_there_once(desk: httpx.Client, room: Newsroom) -> None:
    for _ in range(2):
        response = desk.post("/v1/articles", files=files(("a.txt", PAGE)))
        ended(desk, response.json()["job_id"])
    assert len([path for path in left_behind(room) if path.endswith(".txt")]) == 1


async def test_a_job_that_is_not_there_is_a_problem(client: httpx.AsyncClient) -> None:
    problem(await client.get(f"/v1/jobs/{'0' * 32}"), 404, "job-not-found")
    problem(await client.get("/v1/jobs/..%2f"), 404, "no-such-route")
    problem(await client.get("/v1/jobs/x"), 422, "invalid-request")


# ── What is refused, and leaves nothing behind ──────────────────────────────────────────────────


def zipped() -> bytes:
    """A small file that would be a large one."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"\0" * 10_000_000)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "status", "slug"),
    [
        pytest.param("a.exe", b"MZ", 415, "wrong-type", id="a program"),
        pytest.param("a", PAGE.encode(), 415, "wrong-type", id="no type"),
        pytest.param("txt", PAGE.encode(), 415, "wrong-type", id="a type alone"),
        pytest.param("a.png.txt", b"\x89PNG\r\n\x1a\n" + b"\0" * 99, 422, "unreadable-file",
                     id="a picture under another name"),
        pytest.param("a.zip", zipped(), 415, "wrong-type", id="a zip bomb"),
        pytest.param("a.txt", zipped(), 422, "unreadable-file", id="a zip bomb as text"),
        pytest.param("a.pdf", PAGE.encode(), 422, "unreadable-file", id="a text as PDF"),
        pytest.param("a.txt", gzip.compress(b"a" * 10**7), 422, "unreadable-file", id="gzip"),
        pytest.param("a.txt", b"", 422, "unreadable-file", id="empty"),
        pytest.param("a.txt", b"a" * 30_000, 413, "body-too-large", id="too large"),
    ],
)  # fmt: skip
async def test_what_is_no_page_is_refused(
    client: httpx.AsyncClient,
    room: Newsroom,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: bytes,
    status: int,
    slug: str,
) -> None:
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", 25_000)
    sent = files(("good.txt", PAGE), (name, content))
    response = await client.post("/v1/articles", files=sent)
    assert str(room.settings.home) not in problem(response, status, slug)["detail"]
    assert left_behind(room) == []


@pytest.mark.parametrize(
    "name",
    ["../../x.txt", "..\\..\\x.txt", "/etc/x.txt", "C:\\x.txt", "a\x00/../x.txt", "....//x.txt"],
)
async def test_a_name_never_says_where_a_file_goes(
    client: httpx.AsyncClient, room: Newsroom, name: str
) -> None:
    assert (await client.post("/v1/articles", json={"name": name, "text": PAGE})).status_code == 202
    (path,) = [path for path in left_behind(room) if path.endswith(".txt")]
    assert Path(path).name == "0-x.txt"
    assert Path(path).parent.parent == room.settings.home / "uploads"


async def test_too_many_files_are_refused(
    client: httpx.AsyncClient, room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_FILES", 2)
    sent = files(*((f"{n}.txt", PAGE) for n in range(3)))
    problem(await client.post("/v1/articles", files=sent), 413, "body-too-large")
    assert left_behind(room) == []


BOUNDED = {"Content-Type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        pytest.param(BOUNDED, PART + PAGE.encode(), 400, id="cut-off"),
        pytest.param(BOUNDED, b"nonsense", 400, id="no form"),
        pytest.param(BOUNDED, b"--x--\r\n", 422, id="no file"),
        pytest.param(BOUNDED, PART.replace(b"files", b"other") + b"\r\n--x--", 422, id="a field"),
        pytest.param(BOUNDED, PART.replace(b"; filename", b"; f"), 422, id="no file name"),
        pytest.param({"Content-Type": "multipart/form-data"}, PART, 400, id="no boundary"),
        pytest.param({"Content-Type": "text/plain"}, PAGE.encode(), 415, id="plain text"),
        pytest.param({"Content-Type": "application/json"}, b"{", 400, id="half JSON"),
        pytest.param({"Content-Type": "application/json"}, b"[" * 99_999, 400, id="deep JSON"),
        pytest.param({"Content-Type": "application/json"}, b'{"name":"a"}', 422, id="no text"),
        pytest.param({"Content-Type": "application/json"}, b'{"name":"a","text":"\\ud800"}', 422,
                     id="half a character"),
    ],
)  # fmt: skip
async def test_a_broken_upload_leaves_nothing(
    client: httpx.AsyncClient,
    room: Newsroom,
    headers: dict[str, str],
    content: bytes,
    status: int,
) -> None:
    response = await client.post("/v1/articles", content=content, headers=headers)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert left_behind(room) == []


def test_an_upload_whose_sender_goes_away_leaves_nothing(room: Newsroom) -> None:
    def dribble() -> Iterator[bytes]:
        yield PART + b"a" * 100_000
        raise InterruptedError

    with serving(room) as address:
        headers = {**BOUNDED, "Authorization": "Bearer first-key"}
        with pytest.raises(InterruptedError):
            httpx.post(f"{address}/v1/articles", content=dribble(), headers=headers)
        for _ in range(1_500):
            if not left_behind(room):
                break
            threading.Event().wait(0.02)
    assert left_behind(room) == []


async def test_a_whole_upload_has_a_limit(tmp_path: Path) -> None:
    room = newsroom(tmp_path, "first-key", upload_mb=1)
    async with client_of(room, "first-key") as client:
        sent = files(*((f"{n}.txt", "a" * 400_000) for n in range(3)))
        problem(await client.post("/v1/articles", files=sent), 413, "body-too-large")
    assert left_behind(room) == []


# ── Who may ─────────────────────────────────────────────────────────────────────────────────────

WRITING = [("POST", "/v1/articles"), ("DELETE", "/v1/articles/a"), ("GET", f"/v1/jobs/{'0' * 32}")]


@pytest.mark.parametrize(("method", "path"), WRITING)
@pytest.mark.parametrize("keys", ["", "first-key"])
async def test_every_writing_route_refuses_without_a_key(
    tmp_path: Path, method: str, path: str, keys: str
) -> None:
    room = newsroom(tmp_path, keys)
    async with client_of(room) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}):
            response = await client.request(method, path, json={}, headers=headers)
            problem(response, 401, "key-needed")
    assert left_behind(room) == []


@pytest.mark.parametrize(("method", "path"), WRITING)
async def test_a_key_that_reads_does_not_write(tmp_path: Path, method: str, path: str) -> None:
    room = newsroom(tmp_path)
    key = Keys(room.people).add("page", "read")
    async with client_of(room, key) as client:
        assert (await client.get("/v1/articles")).status_code == 200
        problem(await client.request(method, path, json={}), 403, "key-too-weak")


# ── Jobs ────────────────────────────────────────────────────────────────────────────────────────


def kept_jobs(room: Newsroom) -> Jobs:
    return Jobs(room.people, room.settings.home / "uploads")


def queue(known: Jobs, *names: str) -> str:
    folder = known.new_folder()
    for number, name in enumerate(names):
        (folder / f"{number}-{name}").write_text(PAGE + name, encoding="utf-8")
    return known.add(folder, len(names))


def until(known: Jobs, job_id: str, *states: str) -> jobs.Job:
    for _ in range(1_500):
        job = known.find(job_id)
        if job and job.state in states:
            return job
        threading.Event().wait(0.02)
    raise AssertionError(job)


def test_a_job_that_was_under_way_when_its_process_died_is_done_by_the_next(room: Newsroom) -> None:
    known = kept_jobs(room)
    job_id = queue(known, "a.txt", "b.txt")
    assert known.take() is not None  # and here that process is gone
    given: list[Sequence[Path]] = []

    def ingest(paths: Sequence[Path], watcher: Watcher) -> Report:
        given.append(paths)
        return NOTHING

    worker = Worker(known, ingest)
    worker.start()
    until(known, job_id, "done")
    worker.stop()
    assert [path.name for path in given[0]] == ["a.txt", "b.txt"]


def test_a_job_that_kills_its_process_is_not_tried_for_ever(room: Newsroom) -> None:
    known = kept_jobs(room)
    job_id = queue(known, "a.txt")
    for _ in range(jobs.MAX_TRIES):
        known.recover()
        assert known.take() is not None
    known.recover()
    job = known.find(job_id)
    assert job and job.state == "failed" and job.error
    assert known.take() is None


def test_a_server_that_ends_breaks_off_and_the_job_waits(room: Newsroom) -> None:
    known = kept_jobs(room)
    job_id = queue(known, "a.txt")
    began = threading.Event()

    def ingest(paths: Sequence[Path], watcher: Watcher) -> Report:
        began.set()
        while True:
            try:
                watcher.step("passages", 0, 0)
            except Exception as exc:  # as the index translates what is raised in it
                raise StoreUnavailable("translated") from exc

    worker = Worker(known, ingest)
    worker.start()
    assert began.wait(30)
    worker.stop()
    assert until(known, job_id, "queued").error is None


def test_who_waits_for_the_writer_lock_waits_for_one_job_and_not_for_all(room: Newsroom) -> None:
    known = kept_jobs(room)
    first, *_ = [queue(known, f"{n}.txt") for n in range(8)]
    place = room.settings.home / "writer.lock"

    def ingest(paths: Sequence[Path], watcher: Watcher) -> Report:
        with FileLock(place):
            threading.Event().wait(0.2)
        return NOTHING

    worker = Worker(known, ingest)
    worker.start()
    until(known, first, "running", "done")
    with FileLock(place):
        left = known.waiting()
    worker.stop()
    assert left >= 4


def test_only_one_process_works_at_a_time(room: Newsroom) -> None:
    known = kept_jobs(room)
    at_once: list[int] = []
    busy = threading.Semaphore(1)

    def ingest(paths: Sequence[Path], watcher: Watcher) -> Report:
        at_once.append(busy.acquire(blocking=False))
        threading.Event().wait(0.05)
        busy.release()
        return NOTHING

    workers = [Worker(kept_jobs(room), ingest) for _ in range(3)]
    for worker in workers:
        worker.start()
    ids = [queue(known, f"{n}.txt") for n in range(4)]
    for job_id in ids:
        until(known, job_id, "done")
    for worker in workers:
        worker.stop()
    assert at_once == [True] * 4


@pytest.mark.parametrize(
    "error", [StoreUnavailable("/srv/secret is full"), KeyError("/srv/secret")], ids=repr
)
def test_a_job_that_fails_says_so_and_the_next_is_done(room: Newsroom, error: Exception) -> None:
    known = kept_jobs(room)

    def ingest(paths: Sequence[Path], watcher: Watcher) -> Report:
        if paths[0].name == "bad.txt":
            raise error
        return NOTHING

    worker = Worker(known, ingest)
    bad, good = queue(known, "bad.txt"), queue(known, "good.txt")
    worker.start()
    job = until(known, bad, "failed")
    until(known, good, "done")
    worker.stop()
    assert job.error and "secret" not in job.error
    assert not [path for path in left_behind(room) if "bad" in path]


def test_what_a_crash_cut_off_is_swept_and_what_waits_is_not(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = kept_jobs(room)
    waiting = queue(known, "a.txt")
    cut_off = known.new_folder()
    known.recover()
    assert cut_off.exists()
    monkeypatch.setattr(jobs, "ABANDONED_S", -1.0)
    known.recover()
    assert not cut_off.exists()
    assert (known.folder / f".{waiting}" / "0-a.txt").exists()


async def test_removing_waits_for_a_writer_only_so_long(
    sample_home: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(articles, "REMOVE_WAIT_S", 0.2)
    given = {"home": sample_home, "api_keys": "first-key", "model_cache": model_cache}
    app = open_app(Settings.model_validate(given))
    article_id = app.records.articles(limit=1)[0].article_id
    async with client_of(cast("Newsroom", app), "first-key") as client:
        with app.index.writing():  # an ingest, say
            problem(await client.delete("/v1/articles/none"), 404, "article-not-found")
            busy = await client.delete(f"/v1/articles/{article_id}")
            problem(busy, 503, "index-away")
            assert int(busy.headers["retry-after"]) > 0
        assert (await client.delete(f"/v1/articles/{article_id}")).status_code == 204
        problem(await client.get(f"/v1/articles/{article_id}"), 404, "article-not-found")
    app.close()


async def test_what_is_uploaded_to_a_real_house_is_found_at_once(
    sample_home: Path, model_cache: Path
) -> None:
    given = {"home": sample_home, "api_keys": "first-key", "model_cache": model_cache}
    app = open_app(Settings.model_validate(given))
    page = (
        "石塘渔港开出夜间渡轮\n本报讯 九月三日起，石塘渔港每晚八点半开出一班夜间渡轮，票价四元。\n"
    )
    with serving(cast("Newsroom", app)) as address:
        headers = {"Authorization": "Bearer first-key"}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
            sent = await client.post("/v1/articles", json={"name": "f.txt", "text": page})
            job_id = sent.json()["job_id"]
            for _ in range(600):
                job = (await client.get(f"/v1/jobs/{job_id}")).json()
                if job["state"] == "done":
                    break
                await asyncio.sleep(0.05)
            assert job["report"]["added"] == 1, json.dumps(job)
            found = await client.post("/v1/search", json={"question": "石塘渔港夜间渡轮票价"})
    app.close()
    assert "四元" in found.json()["passages"][0]["text"]
