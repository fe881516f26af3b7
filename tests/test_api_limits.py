"""How much may come, how fast, from whom and from where; and what can be seen of it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from bot import api, logs
from bot.api import edge
from newsroom import Newsroom, client_of, newsroom, serving
from rag import answer, errors
from rag.types import Question
from test_api import problem

if TYPE_CHECKING:
    from bot.wiring import App

BRIDGE = {"question": "bridge"}


@pytest.fixture
def room(tmp_path: Path) -> Newsroom:
    return newsroom(tmp_path)


@pytest.fixture
async def client(room: Newsroom) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(room) as client:
        yield client


def fields(header: str) -> dict[str, int]:
    """The parameters of a RateLimit header."""
    return {k: int(v) for k, v in (part.split("=") for part in header.split(";")[1:])}


# ── Rates ───────────────────────────────────────────────────────────────────────────────────────


async def test_an_address_is_told_what_it_has_left_and_when_it_has_too_little(
    tmp_path: Path,
) -> None:
    async with client_of(newsroom(tmp_path, address_rate=3)) as client:
        for left in (2, 1, 0):
            response = await client.post("/v1/ask", json=BRIDGE)
            assert response.status_code == 200
            assert fields(response.headers["ratelimit"])["r"] == left
            assert fields(response.headers["ratelimit-policy"]) == {"q": 3, "w": 60}
        response = await client.post("/v1/ask", json=BRIDGE)
        problem(response, 429, "too-many-requests")
        assert 0 < int(response.headers["retry-after"]) <= 20
        assert fields(response.headers["ratelimit"])["r"] == 0
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/")).status_code == 200


async def test_a_key_has_a_rate_of_its_own_and_a_wrong_one_has_the_address(tmp_path: Path) -> None:
    room = newsroom(tmp_path, "first-key", address_rate=1, key_rate=100)
    async with client_of(room) as client:
        wrong = {"Authorization": "Bearer guess"}
        problem(await client.get("/v1/articles", headers=wrong), 401, "key-needed")
        problem(await client.get("/v1/articles", headers=wrong), 429, "too-many-requests")
        right = {"Authorization": "Bearer first-key"}
        response = await client.get("/v1/articles", headers=right)
        assert fields(response.headers["ratelimit"])["r"] == 99


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        pytest.param("10.0.0.1", "10.0.0.2", False, id="two addresses"),
        pytest.param("2001:db8::1", "2001:db8::ffff:1", True, id="one IPv6 network"),
        pytest.param("2001:db8::1", "2001:db8:0:1::1", False, id="two IPv6 networks"),
        pytest.param("::ffff:10.0.0.1", "::ffff:10.0.0.2", False, id="IPv4 in IPv6"),
    ],
)
async def test_a_rate_is_that_of_an_address(
    tmp_path: Path, first: str, second: str, *, shared: bool
) -> None:
    app = api.create_app(cast("Any", newsroom(tmp_path, address_rate=1)))
    statuses = []
    for host in (first, second):
        transport = httpx.ASGITransport(app=app, client=(host, 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://wenbao") as client:
            statuses.append((await client.get("/v1/articles")).status_code)
    assert statuses == [200, 429 if shared else 200]


# ── Many at once ────────────────────────────────────────────────────────────────────────────────


async def test_more_questions_than_fit_are_told_to_come_back(tmp_path: Path) -> None:
    room = newsroom(tmp_path, max_questions=3)
    room.delay_s = 1.5
    async with client_of(room) as client:
        asked = [client.post("/v1/ask", json=BRIDGE) for _ in range(8)]
        responses = await asyncio.gather(*asked)
        refused = [r for r in responses if r.status_code != 200]
        assert len(refused) == 5
        for response in refused:
            problem(response, 503, "busy")
            assert int(response.headers["retry-after"]) > 0
        room.delay_s = 0.0
        assert (await client.post("/v1/ask", json=BRIDGE)).status_code == 200


async def test_streams_that_are_left_free_their_places(tmp_path: Path) -> None:
    room = newsroom(tmp_path, max_questions=2)
    room.delay_s = 30
    body = {**BRIDGE, "stream": True}
    with serving(room) as address:
        async with httpx.AsyncClient(base_url=address) as client:
            for _ in range(4):
                for _ in range(100):
                    async with client.stream("POST", "/v1/ask", json=body) as response:
                        if response.status_code == 200:
                            break
                    await asyncio.sleep(0.1)
                assert response.status_code == 200


async def test_health_is_told_at_once_while_questions_are_answered(tmp_path: Path) -> None:
    room = newsroom(tmp_path)
    room.delay_s = 2.0
    async with client_of(room) as client:
        asked = [asyncio.ensure_future(client.post("/v1/ask", json=BRIDGE)) for _ in range(50)]
        await asyncio.sleep(0)
        assert (await client.get("/healthz")).status_code == 200
        assert not any(each.done() for each in asked)
        await asyncio.gather(*asked)


async def test_a_body_that_does_not_come_is_not_waited_for(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "BODY_GAP_S", 0.2)

    async def half() -> AsyncIterator[bytes]:
        yield b'{"question": "bri'
        await asyncio.sleep(5)

    with serving(room) as address:
        async with httpx.AsyncClient(base_url=address) as client:
            headers = {"Content-Type": "application/json"}
            response = await client.post("/v1/ask", content=half(), headers=headers)
    problem(response, 408, "too-slow")
    assert response.headers["connection"] == "close"


# ── Other origins ───────────────────────────────────────────────────────────────────────────────


async def test_an_origin_that_is_set_may_ask_and_no_other(tmp_path: Path) -> None:
    room = newsroom(tmp_path, "first-key", cors_origins="https://news.example, https://b.example")
    async with client_of(room) as client:
        asked = {
            "Origin": "https://news.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        leave = await client.options("/v1/ask", headers=asked)
        assert leave.status_code == 200
        assert leave.headers["access-control-allow-origin"] == "https://news.example"
        refused = await client.get("/v1/articles", headers={"Origin": "https://news.example"})
        problem(refused, 401, "key-needed")  # which the page can read
        assert refused.headers["access-control-allow-origin"] == "https://news.example"
        assert "RateLimit" in refused.headers["access-control-expose-headers"]
        other = await client.options("/v1/ask", headers={**asked, "Origin": "https://c.example"})
        assert "access-control-allow-origin" not in other.headers


# ── In the asker's language ─────────────────────────────────────────────────────────────────────


async def test_a_problem_is_told_in_the_language_of_whoever_reads_it(
    client: httpx.AsyncClient, room: Newsroom
) -> None:
    chinese = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
    body = problem(await client.get("/v1/articles/none", headers=chinese), 404, "article-not-found")
    assert body["title"] == "没有这篇文章"
    body = problem(await client.get("/v1/articles/none"), 404, "article-not-found")
    assert body["title"] == "No article has this id"
    room.fails = errors.StoreUnavailable("busy")
    response = await client.post("/v1/ask", json={"question": "书屋几点来？"})
    assert problem(response, 503, "index-away")["title"] == "暂时读不到文章"
    assert response.headers["content-language"] == "zh"
    response = await client.post("/v1/ask", json={"question": "bridge"}, headers=chinese)
    assert problem(response, 503, "index-away")["title"] == "The index is away"
    stream = await client.post("/v1/ask", json={"question": "书屋几点来？", "stream": True})
    assert "暂时读不到文章" in stream.text


# ── What can be seen ────────────────────────────────────────────────────────────────────────────


async def test_metrics_count_questions_refusals_and_time(
    client: httpx.AsyncClient, room: Newsroom
) -> None:
    await client.post("/v1/ask", json=BRIDGE)
    await client.post("/v1/ask", json={"question": "火星上有什么？", "stream": True})
    await client.get("/v1/articles/art/1")
    await client.get("/v1/articles/art/2")
    room.fails = errors.StoreUnavailable("busy")
    await client.post("/v1/ask", json=BRIDGE)
    room.fails = None
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    for line in (
        'wenbao_questions_total{door="http",lang="en"} 1.0',
        'wenbao_questions_total{door="stream",lang="zh"} 1.0',
        'wenbao_refusals_total{reason="not_in_articles"} 1.0',
        'wenbao_stage_seconds_count{stage="search"} 2.0',
        'wenbao_requests_total{route="/v1/ask",status="503"} 1.0',
        'wenbao_requests_total{route="/v1/articles/{article_id:path}",status="200"} 2.0',
        "wenbao_llm_failures_total 0.0",
        "wenbao_articles 2.0",
        "wenbao_jobs_waiting 0.0",
    ):
        assert line in lines, response.text


def test_a_line_of_the_log_is_json_with_the_id_of_its_request() -> None:
    record = logging.LogRecord("bot", logging.INFO, __file__, 1, "问 %s", ("a\nb",), None)
    logs.request_id.set("req-1")
    line = json.loads(logs.Lines().format(record))
    assert (line["message"], line["level"], line["request_id"]) == ("问 a\nb", "INFO", "req-1")
    assert "\n" not in logs.Lines().format(record)
    logs.request_id.set("")


async def test_the_work_behind_a_request_logs_under_its_id(
    client: httpx.AsyncClient, room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    asked = room.question

    def question(self: Newsroom, text: str, *args: Any, **kwargs: Any) -> Question:
        seen.append(logs.request_id.get())
        return asked(text, *args, **kwargs)

    monkeypatch.setattr(Newsroom, "question", question)
    await client.post("/v1/ask", json=BRIDGE, headers={"X-Request-ID": "req-42"})
    assert seen == ["req-42"]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_line_of_an_answer_has_the_id_of_its_request(
    sample_app: "App", monkeypatch: pytest.MonkeyPatch, *, stream: bool
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(answer.log, "info", lambda *args: seen.append(logs.request_id.get()))
    body = {"question": "火星上有什么？", "stream": stream}
    async with client_of(cast("Newsroom", sample_app)) as client:
        await client.post("/v1/ask", json=body, headers={"X-Request-ID": "req-42"})
    assert seen == ["req-42"]
