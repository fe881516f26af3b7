"""The server as processes and sockets: clients that take their time, workers, a quiet end."""

import asyncio
import contextlib
import gc
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import httpx
import pytest

from bot.api import run
from bot.wiring import App
from conftest import ROOT
from embeddings.embedder import Embedder
from homes import write_articles
from newsroom import Newsroom, newsroom, serving
from rag.answer import Answerer
from rag.errors import StoreUnavailable
from rag.records import Records
from rag.retrieve import Findings, Retriever
from rag.types import Article, Question

HEAD = b"GET /healthz HTTP/1.1\r\nHost: wenbao\r\n"


@pytest.fixture
def room(tmp_path: Path) -> Newsroom:
    return newsroom(tmp_path)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "HEAD_S", 0.5)
    monkeypatch.setattr(run, "STALL_S", 0.5)


def connected(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def is_closed(client: socket.socket) -> bool:
    """Whether the server hangs up, within the ten seconds of a read."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def status(client: socket.socket) -> int:
    """Of the next response, which is read to its end: it may come in several pieces."""
    response = http.client.HTTPResponse(client)
    response.begin()
    response.read()
    return response.status


# ── Patience ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "sent", [b"", b"GET", HEAD, HEAD + b"X-Slow: "], ids=["silent", "a word", "half", "in a header"]
)
def test_a_head_that_does_not_come_is_not_waited_for(room: Newsroom, sent: bytes) -> None:
    with serving(room) as address, connected(address) as client:
        client.sendall(sent)
        assert is_closed(client)


def test_a_head_that_drips_has_no_more_time(room: Newsroom) -> None:
    with serving(room) as address, connected(address) as client:
        client.sendall(HEAD + b"X-Slow: ")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):  # whichever byte finds the door shut
            while time.monotonic() < began + 8:
                client.sendall(b"a")
                time.sleep(0.1)
        assert time.monotonic() < began + 6


def test_a_second_request_on_a_connection_has_its_own_time(room: Newsroom) -> None:
    with serving(room) as address, connected(address) as client:
        for _ in range(3):
            client.sendall(HEAD + b"\r\n")
            assert status(client) == 200
            time.sleep(0.3)
        client.sendall(HEAD)
        assert is_closed(client)


def test_empty_lines_behind_a_request_have_no_more_time(room: Newsroom) -> None:
    with serving(room) as address, connected(address) as client:
        client.sendall(HEAD + b"\r\n")
        assert status(client) == 200
        client.sendall(b"\r\n")
        assert is_closed(client)


def test_a_head_in_two_pieces_behind_a_long_body_is_taken(room: Newsroom) -> None:
    body = b"{" + b" " * 2 * run.MAX_HEAD_BYTES
    size = f"Content-Length: {len(body)}\r\n\r\n".encode()
    with serving(room) as address, connected(address) as client:
        client.sendall(b"POST /v1/ask HTTP/1.1\r\nHost: wenbao\r\n" + size + body)
        assert status(client) == 415
        client.sendall(HEAD)
        time.sleep(0.2)
        client.sendall(b"\r\n")
        assert status(client) == 200


def test_a_head_without_end_is_cut(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "HEAD_S", 60.0)
    with serving(room) as address, connected(address) as client:
        client.sendall(HEAD + b"X-Long: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                client.sendall(b"X" * 10_000)
                time.sleep(0.01)
        assert is_closed(client)


def test_a_reader_that_stops_reading_is_given_up(room: Newsroom) -> None:
    room.articles = [Article("a", "标题", "".join(map(chr, range(0x4E00, 0x9FA0))) * 300)]
    with serving(room) as address, connected(address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /v1/articles/a HTTP/1.1\r\nHost: wenbao\r\n\r\n")
        time.sleep(2.5)
        got = 0
        with contextlib.suppress(ConnectionResetError):
            while chunk := client.recv(1 << 20):
                got += len(chunk)
        assert got < 10_000_000


def test_a_slow_answer_is_waited_for(room: Newsroom) -> None:
    room.delay_s = 1.5
    with serving(room) as address:
        answer = httpx.post(f"{address}/v1/ask", json={"question": "bridge"}, timeout=10)
    assert answer.json()["citations"]


def test_a_hundred_that_dawdle_keep_nobody_out(room: Newsroom) -> None:
    with serving(room) as address:
        dawdlers = [connected(address) for _ in range(100)]
        for client in dawdlers:
            client.sendall(HEAD)
        assert httpx.get(f"{address}/healthz").status_code == 200
        assert all(is_closed(client) for client in dawdlers)
        for client in dawdlers:
            client.close()


# ── Processes ───────────────────────────────────────────────────────────────────────────────────


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def command(
    home: Path, models: Path, *options: str, before: Sequence[str] = (), **env: str
) -> Iterator[tuple[str, int]]:
    """`wenbao serve` as a person starts it; gives its address and process id."""
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WENBAO_")}
    env = kept | {
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "WENBAO_HOME": str(home),
        "WENBAO_MODEL_CACHE": str(models),
        "WENBAO_LOG_LEVEL": "INFO",
        "WENBAO_LOG_FORMAT": "json",
        **env,
    }
    line = [sys.executable, "-m", "bot", *before, "serve", "--port", str(port), *options]
    address = f"http://127.0.0.1:{port}"
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(line, env=env, cwd=home, stdout=subprocess.DEVNULL, stderr=log) as process,
    ):
        try:
            wait_for(address)
            yield address, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def wait_for(address: str) -> None:
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{address}/readyz", timeout=10).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"{address} doesn't come")


@pytest.mark.slow
def test_several_processes_answer_over_one_index_and_see_what_is_new(
    sample_home: Path, model_cache: Path, tmp_path: Path
) -> None:
    key = {"Authorization": "Bearer first-key"}
    rates = {"WENBAO_ADDRESS_RATE": "0", "WENBAO_KEY_RATE": "0"}
    lines = [
        {"id": "new", "title": "石塘渔港开出夜间渡轮", "text": "石塘渔港每晚八点半开出夜间渡轮。"}
    ]
    page = write_articles(tmp_path / "new.jsonl", lines)
    with (
        command(
            sample_home, model_cache, "--workers", "2", WENBAO_API_KEYS="first-key", **rates
        ) as (address, _),
        httpx.Client(base_url=address, headers=key, timeout=60) as client,
    ):
        sent = client.post("/v1/articles", files=[("files", (page.name, page.read_bytes()))])
        job = f"/v1/jobs/{sent.json()['job_id']}"
        while client.get(job).json()["state"] not in ("done", "failed"):
            time.sleep(0.05)
        seen = [asked(address, key) for _ in range(20)]  # on connections of their own
        assert all("new" in ids for ids in seen), seen
        counted = client.get("/metrics").text
    log = [json.loads(line) for line in (sample_home / "log").read_text("utf-8").splitlines()]
    assert len([line for line in log if line["message"].startswith("Started server process")]) == 2
    searches = [line for line in counted.splitlines() if '"/v1/search",status="200"' in line]
    assert searches == ['wenbao_requests_total{route="/v1/search",status="200"} 20.0']
    assert "first-key" not in (sample_home / "log").read_text("utf-8")


def asked(address: str, headers: dict[str, str]) -> Sequence[str]:
    body = {"question": "石塘渔港夜间渡轮"}
    found = httpx.post(f"{address}/v1/search", json=body, headers=headers, timeout=60).json()
    return [passage["article_id"] for passage in found["passages"]]


@pytest.mark.slow
def test_debug_reaches_every_process(sample_home: Path, model_cache: Path) -> None:
    quiet = {"WENBAO_LOG_LEVEL": "WARNING"}
    with command(sample_home, model_cache, "--workers", "2", before=["--debug"], **quiet):
        pass
    log = (sample_home / "log").read_text("utf-8")
    assert log.count("Started server process") == 2


def test_the_collector_does_not_go_through_what_questions_need(sample_app: App) -> None:
    try:
        run.settle(sample_app)
        assert gc.get_freeze_count() > 100_000
        for question in ("What did the members in Yanta propose?", "雁塔区的委员提了哪些建议？"):
            sample_app.answerer.answer_now(sample_app.answerer.question(question))
        assert len(gc.get_objects()) < 20_000
    finally:
        gc.unfreeze()


@dataclass
class Counting:
    """A retriever by shape: takes its time and counts who asks at once."""

    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def search(self, question: Question) -> Findings:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.05)
        with self.lock:
            self.now -= 1
        raise StoreUnavailable("Nothing is here.")


@pytest.mark.parametrize(("processes", "at_once"), [(1, 4), (2, 2), (9, 1)])
async def test_the_processes_of_a_machine_share_its_cores(
    processes: int, at_once: int, hashing_embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.answer.CORES", 4)
    counting = Counting()
    shared = Answerer(
        cast("Records", None), cast("Retriever", counting), hashing_embedder, processes=processes
    )
    asked = (shared.search(Question("桥", "zh")) for _ in range(10))
    await asyncio.gather(*asked, return_exceptions=True)
    assert counting.most == at_once


@pytest.mark.slow
async def test_a_server_that_is_told_to_end_lets_answers_under_way_end(
    sample_home: Path, model_cache: Path
) -> None:
    body = {"question": "浮梁县政协委员对古窑址提出了哪些建议？", "stream": True}
    with command(sample_home, model_cache) as (address, pid):
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            asked = [client.build_request("POST", "/v1/ask", json=body) for _ in range(8)]
            sent = [client.send(request, stream=True) for request in asked]
            answers = await asyncio.gather(*sent)  # all begun, none read
            os.kill(pid, signal.SIGTERM)
            texts = await asyncio.gather(*(answer.aread() for answer in answers))
        assert all(b"event: answer" in text for text in texts)
