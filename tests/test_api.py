"""The HTTP door: every route, over an answerer that quotes real articles."""

import asyncio
import inspect
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from bot import api, problems, render, schemas
from bot.api import asking
from bot.settings import Settings
from newsroom import BRIDGE, LIBRARY, Newsroom, client_of, newsroom, serving
from rag import errors
from rag.types import Article, Question

if TYPE_CHECKING:
    from bot.wiring import App


@pytest.fixture
def room(tmp_path: Path) -> Newsroom:
    return newsroom(tmp_path)


@pytest.fixture
async def client(room: Newsroom) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(room) as client:
        yield client


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key, of a server that has keys."""
    async with client_of(newsroom(tmp_path, "first-key, 第二把钥匙")) as client:
        yield client


def problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem details in a response, which are checked to be whole."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"urn:wenbao:problem:{slug}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"]
    return body


def events_of(text: str) -> list[tuple[str, Any]]:
    blocks = [dict(line.split(": ", 1) for line in b.split("\n")) for b in text.split("\n\n") if b]
    return [(block["event"], json.loads(block["data"])) for block in blocks if "event" in block]


# ── Asking ──────────────────────────────────────────────────────────────────────────────────────


async def test_an_answer_over_http_is_the_answer_of_render(
    client: httpx.AsyncClient, room: Newsroom
) -> None:
    response = await client.post("/v1/ask", json={"question": "when does the library come?"})
    asked = await asyncio.to_thread(room.question, "when does the library come?")
    expected = render.to_json(await room.answer(asked))
    assert response.status_code == 200
    answer_id = response.json()["answer_id"]
    assert response.json() == expected | {"answer_id": answer_id}
    assert len(answer_id) == 32
    schemas.AnswerJson.model_validate(response.json(), extra="forbid")
    assert "周五傍晚到港" in response.content.decode("utf-8")


async def test_every_quote_over_http_stands_at_its_offsets(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/v1/ask", json={"question": "书屋几点来？"})).json()
    assert len(answer["citations"]) == 2
    for citation in answer["citations"]:
        article = (await client.get("/v1/articles/" + citation["article_id"])).json()
        assert article["text"][citation["start"] : citation["end"]] == citation["quote"]


async def test_what_is_asked_for_reaches_the_answerer(
    client: httpx.AsyncClient, room: Newsroom
) -> None:
    body = {
        "question": "bridge",
        "lang": "zh",
        "top_k": 3.0,
        "article_ids": ["art/2"],
        "since": "2024-01-01",
        "until": "2024-12-31",
        "sources": ["海港日报"],
        "conversation_id": "c-12345678",
        "stream": False,
    }
    answer = (await client.post("/v1/ask", json=body)).json()
    days = ("2024-01-01", "2024-12-31")
    assert room.asked == [Question("bridge", "zh", 3, ("art/2",), *days, ("海港日报",))]
    assert answer["language"] == "zh"


async def test_the_filters_of_a_search_reach_the_answerer(
    client: httpx.AsyncClient, room: Newsroom
) -> None:
    filters = {"since": "2024-01-01", "until": "2024-12-31", "sources": ["海港日报"]}
    await client.post("/v1/search", json={"question": "bridge", "k": 2, **filters})
    days = ("2024-01-01", "2024-12-31")
    assert room.asked == [Question("bridge", "en", 2, (), *days, ("海港日报",))]


@pytest.mark.parametrize("route", ["/v1/ask", "/v1/search"])
async def test_a_date_that_is_none_is_one_clear_problem(sample_app: "App", route: str) -> None:
    async with client_of(cast("Newsroom", sample_app)) as client:
        response = await client.post(route, json={"question": "bridge", "until": "May"})
    detail = problem(response, 422, "question-rejected")["detail"]
    assert detail == "“May” is no date: write it as 2024-05-31."


async def test_a_refusal_is_an_answer_without_citations(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/v1/ask", json={"question": "火星上有什么？"})).json()
    assert answer["abstained"]
    assert answer["reason"] == "not_in_articles"
    assert answer["citations"] == []


async def test_a_stream_gives_passages_tokens_citations_and_the_whole_answer_last(
    client: httpx.AsyncClient, room: Newsroom
) -> None:
    body = {"question": "书屋几点来？", "stream": True}
    response = await client.post("/v1/ask", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "书屋" in response.text
    events = events_of(response.text)
    assert [name for name, _ in events] == [
        *("passages", "token", "citation", "token", "citation", "answer"),
    ]
    asked = await asyncio.to_thread(room.question, "书屋几点来？")
    whole = render.to_json(await room.answer(asked))
    assert events[0][1] == {"passages": whole["passages"]}
    assert "".join(data["text"] for name, data in events if name == "token") == whole["answer"]
    assert [data for name, data in events if name == "citation"] == whole["citations"]
    assert events[-1][1] == whole | {"answer_id": events[-1][1]["answer_id"]}


@pytest.mark.parametrize(
    ("error", "slug"),
    [
        pytest.param(errors.LlmUnavailable("http://10.0.0.7 is away"), "llm-away", id="ours"),
        pytest.param(ZeroDivisionError("/srv/secret"), "internal", id="a-bug"),
    ],
)
async def test_a_stream_that_fails_ends_with_an_error_event(
    client: httpx.AsyncClient, room: Newsroom, error: Exception, slug: str
) -> None:
    room.fails = error
    response = await client.post("/v1/ask", json={"question": "bridge", "stream": True})
    [(name, data)] = events_of(response.text)
    assert name == "error"
    assert data["type"] == f"urn:wenbao:problem:{slug}"
    assert str(error) not in response.text


async def test_a_bad_question_is_a_plain_error_even_when_a_stream_was_asked_for(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post("/v1/ask", json={"question": " ", "stream": True})
    problem(response, 422, "question-rejected")


async def test_a_slow_stream_is_kept_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PING_S", 0.05)
    room = newsroom(tmp_path)
    room.delay_s = 0.3
    with serving(room) as address:
        body = {"question": "bridge", "stream": True}
        async with (
            httpx.AsyncClient() as client,
            client.stream("POST", address + "/v1/ask", json=body) as response,
        ):
            lines = [line async for line in response.aiter_lines()]
    assert lines[0] == ": ping"
    assert "event: answer" in lines


async def test_an_answer_that_nobody_waits_for_is_given_up(tmp_path: Path) -> None:
    room = newsroom(tmp_path)
    room.delay_s = 30
    with serving(room) as address:
        body = {"question": "bridge", "stream": True}
        async with (
            httpx.AsyncClient() as client,
            client.stream("POST", address + "/v1/ask", json=body) as response,
        ):
            assert response.status_code == 200
        for _ in range(1_500):
            if room.given_up:
                break
            await asyncio.sleep(0.02)
    assert room.given_up


async def test_search_gives_the_ranked_passages(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/search", json={"question": "bridge", "k": 1})
    assert list(response.json()) == ["passages"]
    [passage] = response.json()["passages"]
    assert passage["text"] == LIBRARY.text
    schemas.FoundJson.model_validate(response.json(), extra="forbid")


# ── Articles ────────────────────────────────────────────────────────────────────────────────────


async def test_the_list_pages_through_every_article_once(
    client: httpx.AsyncClient, room: Newsroom
) -> None:
    days = ["2024-05-02", "2024-05-03", "", "2024-05-03", "", "2024-05-01", "2024-05-03"]
    room.articles = [
        Article(f"编号/{n:02}", f"第{n}篇", "正文。", date=day) for n, day in enumerate(days)
    ]
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/articles", params=query)).json()
        schemas.ArticlesJson.model_validate(page, extra="forbid")
        seen += [article["article_id"] for article in page["articles"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert seen == [f"编号/{n:02}" for n in (1, 3, 6, 0, 5, 2, 4)]


async def test_the_list_leaves_texts_and_paths_out(client: httpx.AsyncClient) -> None:
    page = (await client.get("/v1/articles")).json()
    assert page["next_cursor"] is None
    assert [a["title"] for a in page["articles"]] == [BRIDGE.title, LIBRARY.title]
    assert not {"text", "path"} & set(page["articles"][0])


@pytest.mark.parametrize("cursor", ["???", "é", "A", "abcde", "x" * 2_000])
async def test_a_cursor_that_is_not_ours_is_refused(client: httpx.AsyncClient, cursor: str) -> None:
    response = await client.get("/v1/articles", params={"cursor": cursor})
    body = problem(response, 422, "invalid-request")
    assert [fault["field"] for fault in body["errors"]] == ["cursor"]


@pytest.mark.parametrize("path", ["/v1/articles/art/1", "/v1/articles/art%2F1"])
async def test_an_article_comes_with_its_text(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.json()["text"] == LIBRARY.text
    assert "/srv/secret" not in response.text
    schemas.WholeArticleJson.model_validate(response.json(), extra="forbid")


async def test_an_unknown_article_is_not_found(client: httpx.AsyncClient) -> None:
    problem(await client.get("/v1/articles/none"), 404, "article-not-found")


async def test_an_article_can_be_removed_with_a_key(tmp_path: Path) -> None:
    room = newsroom(tmp_path, "first-key")
    async with client_of(room, "first-key") as client:
        response = await client.delete("/v1/articles/art/1")
        assert (response.status_code, response.content) == (204, b"")
        assert room.articles == [BRIDGE]
        problem(await client.delete("/v1/articles/art/1"), 404, "article-not-found")


# ── Keys ────────────────────────────────────────────────────────────────────────────────────────

READING = [
    pytest.param("POST", "/v1/ask", {"question": "bridge"}, id="ask"),
    pytest.param("POST", "/v1/search", {"question": "bridge"}, id="search"),
    pytest.param("GET", "/v1/articles", None, id="articles"),
    pytest.param("GET", "/v1/articles/art/1", None, id="article"),
]


async def test_nothing_can_be_removed_while_the_server_has_no_key(
    client: httpx.AsyncClient, room: Newsroom
) -> None:
    response = await client.delete("/v1/articles/art/1", headers={"Authorization": "Bearer "})
    problem(response, 401, "key-needed")
    assert len(room.articles) == 2


@pytest.mark.parametrize(("method", "path", "body"), READING)
@pytest.mark.parametrize(
    "sent", [b"", b"Bearer wrong", b"Basic Zmlyc3Qta2V5", b"Bearer first-key2", b"Bearer \xff\xe4"]
)
async def test_reading_needs_a_key_once_there_are_keys(
    guarded: httpx.AsyncClient, method: str, path: str, body: object, sent: bytes
) -> None:
    headers = {b"Authorization": sent} if sent else {}
    response = await guarded.request(method, path, json=body, headers=headers)
    problem(response, 401, "key-needed")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "body"), READING)
@pytest.mark.parametrize("key", ["first-key", "第二把钥匙"])
async def test_any_of_the_keys_opens_reading(
    guarded: httpx.AsyncClient, method: str, path: str, body: object, key: str
) -> None:
    headers = {b"Authorization": b"Bearer " + key.encode()}
    response = await guarded.request(method, path, json=body, headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/static/app.js", "/static/style.css", "/healthz", "/readyz", "/docs"]
)
async def test_the_page_and_the_health_routes_need_no_key(
    guarded: httpx.AsyncClient, path: str
) -> None:
    assert (await guarded.get(path)).status_code == 200


async def test_removing_needs_a_key_that_is_known(guarded: httpx.AsyncClient) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        response = await guarded.delete("/v1/articles/art/1", headers=headers)
        problem(response, 401, "key-needed")


async def test_the_words_of_a_key_are_never_logged(
    guarded: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="bot")
    await guarded.get("/v1/articles", headers={"Authorization": "Bearer first-key"})
    await guarded.get("/v1/articles", headers={"Authorization": "Bearer guessed-key"})
    assert "/v1/articles" in caplog.text
    assert "-key" not in caplog.text


# ── Errors ──────────────────────────────────────────────────────────────────────────────────────


def test_every_error_class_has_its_own_row_in_the_table() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass)]
    assert classes
    assert [c for c in classes if c not in problems.PROBLEMS] == []


@pytest.mark.parametrize(
    "error", [c for c in problems.PROBLEMS if c is not Exception], ids=lambda c: c.__name__
)
async def test_every_error_becomes_its_problem(
    client: httpx.AsyncClient, room: Newsroom, error: type[Exception]
) -> None:
    room.fails = error("These are its words.")
    row = problems.PROBLEMS[error]
    response = await client.post("/v1/ask", json={"question": "bridge"})
    body = problem(response, row.status, row.slug)
    assert ("These are its words." in body["detail"]) == (row.status < 500)
    assert ("retry-after" in response.headers) == (row.status == 503)


async def test_a_bug_is_a_problem_that_tells_nothing_and_is_logged(
    client: httpx.AsyncClient, room: Newsroom, caplog: pytest.LogCaptureFixture
) -> None:
    room.fails = KeyError("/srv/secret")
    response = await client.post("/v1/ask", json={"question": "bridge"})
    body = problem(response, 500, "internal")
    assert "secret" not in response.text
    assert body["request_id"] in caplog.text
    assert "Traceback" in caplog.text
    assert response.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("content", "status", "slug"),
    [
        pytest.param(b'{"question": ', 400, "unreadable-body", id="cut-off"),
        pytest.param(b'{"question": "\xff\xfe"}', 400, "unreadable-body", id="not-utf-8"),
        pytest.param(b"[" * 100_000, 400, "unreadable-body", id="nested-too-deep"),
        pytest.param(b'{"top_k": %s}' % (b"9" * 5_000), 400, "unreadable-body", id="huge-number"),
        pytest.param(b"", 422, "invalid-request", id="empty"),
        pytest.param(b"[]", 422, "invalid-request", id="a-list"),
        pytest.param(b"null", 422, "invalid-request", id="null"),
        pytest.param(b'{"question": 5}', 422, "invalid-request", id="a-number"),
        pytest.param(b'{"question": "\\ud800"}', 422, "invalid-request", id="half-a-character"),
        pytest.param(b'{"question": "a", "\\udc00": 1}', 422, "invalid-request", id="odd-field"),
        pytest.param(b'{"question": "a", "top_k": 0}', 422, "invalid-request", id="top-k-0"),
        pytest.param(b'{"question": "a", "top_k": 1e999}', 422, "invalid-request", id="infinite"),
        pytest.param(b'{"question": "a", "lang": "fr"}', 422, "invalid-request", id="french"),
        pytest.param(b'{"question": "a", "stream": "yes"}', 422, "invalid-request", id="yes"),
        pytest.param(b'{"question": "  \\n "}', 422, "question-rejected", id="blank"),
        pytest.param(b'{"question": "%s"}' % (b"a" * 10_000), 422, "question-rejected", id="long"),
    ],
)
async def test_a_bad_body_gets_one_clear_problem(
    client: httpx.AsyncClient, content: bytes, status: int, slug: str
) -> None:
    headers = {"Content-Type": "application/json"}
    response = await client.post("/v1/ask", content=content, headers=headers)
    body = problem(response, status, slug)
    assert len(body["detail"]) < 300


async def test_an_unknown_field_is_named(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/ask", json={"question": "a", "topk": 3})
    body = problem(response, 422, "invalid-request")
    assert body["errors"] == [{"field": "topk", "message": "There is no such field"}]
    assert body["detail"] == "topk: There is no such field."


async def test_a_form_is_told_to_be_json(client: httpx.AsyncClient) -> None:
    problem(await client.post("/v1/ask", data={"question": "a"}), 415, "not-json")


async def test_an_unknown_address_and_a_wrong_method_are_problems(
    client: httpx.AsyncClient,
) -> None:
    problem(await client.get("/v1/nothing"), 404, "no-such-route")
    problem(await client.get("/static/../api.py"), 404, "no-such-route")
    problem(await client.get("/static/%2e%2e/api.py"), 404, "no-such-route")
    response = await client.get("/v1/ask")
    problem(response, 405, "wrong-method")
    assert response.headers["allow"] == "POST"
    response = await client.post("/v1/articles/art/1")
    problem(response, 405, "wrong-method")
    assert response.headers["allow"] == "GET, DELETE"


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused_while_it_is_read(
    tmp_path: Path, *, chunked: bool
) -> None:
    body = b'{"question": "' + b"a" * 2_000_000 + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 50_000):
            yield body[at : at + 50_000]

    with serving(newsroom(tmp_path)) as address:
        async with httpx.AsyncClient(base_url=address) as client:
            headers = {"Content-Type": "application/json"}
            content = pieces() if chunked else body
            response = await client.post("/v1/ask", content=content, headers=headers)
            problem(response, 413, "body-too-large")
            assert (await client.get("/healthz")).status_code == 200


async def test_who_is_still_sending_too_much_hears_that_it_is_too_much(tmp_path: Path) -> None:
    async def status(address: str) -> int:
        async with httpx.AsyncClient(base_url=address) as client:
            return (await client.post("/v1/ask", content=b"a" * 2_000_000)).status_code

    with serving(newsroom(tmp_path)) as address:
        for _ in range(5):
            assert await asyncio.gather(*(status(address) for _ in range(8))) == [413] * 8


# ── Health ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_running_process_is_alive_and_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json()["status"] == "ok"
    ready = (await client.get("/readyz")).json()
    assert ready["status"] == "ready"
    assert ready["parts"] == {"articles": "ok", "index": "ok", "model": "ok"}
    assert ready["articles"] == 2


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        pytest.param(
            errors.StoreUnavailable("/srv/secret is busy"),
            {"articles": "away", "index": "unknown", "model": "unknown"},
            id="records",
        ),
        pytest.param(
            errors.IndexMismatch("made by another"),
            {"articles": "ok", "index": "away", "model": "unknown"},
            id="index",
        ),
        pytest.param(
            errors.ModelUnavailable("no model"),
            {"articles": "ok", "index": "ok", "model": "away"},
            id="model",
        ),
    ],
)
async def test_readyz_tells_which_part_is_away(
    client: httpx.AsyncClient, room: Newsroom, error: Exception, parts: dict[str, str]
) -> None:
    room.fails = error
    response = await client.get("/readyz")
    body = problem(response, 503, "not-ready")
    assert body["parts"] == parts
    assert "secret" not in response.text
    assert (await client.get("/healthz")).status_code == 200


# ── The edge ────────────────────────────────────────────────────────────────────────────────────


async def test_a_request_id_is_kept_or_made(client: httpx.AsyncClient) -> None:
    kept = await client.get("/healthz", headers={"X-Request-ID": "req-42_a.b"})
    assert kept.headers["x-request-id"] == "req-42_a.b"
    for odd in (b"a b", b"x" * 65, b"\xe9", b"<script>"):
        made = await client.get("/healthz", headers={b"X-Request-ID": odd})
        assert len(made.headers["x-request-id"]) == 32


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/v1/articles", "/nothing", "/docs"])
async def test_every_response_is_hardened(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


async def test_the_page_has_no_inline_code_and_asks_no_other_host(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/")).text
    script = (await client.get("/static/app.js")).text
    style = (await client.get("/static/style.css")).text
    assert "<style" not in page
    assert " style=" not in page
    assert " onclick=" not in page
    assert "innerHTML" not in script
    for text in (page.replace("http://www.w3.org/2000/svg", ""), script, style):
        assert "http://" not in text
        assert "https://" not in text
    assert "style-src 'self';" in (await client.get("/")).headers["content-security-policy"]


async def test_long_answers_are_compressed_and_streams_are_not(
    client: httpx.AsyncClient, room: Newsroom
) -> None:
    room.articles = [Article(f"a{n}", "标题" * 20, "正文。") for n in range(50)]
    assert (await client.get("/v1/articles")).headers["content-encoding"] == "gzip"
    body = {"question": "书屋", "stream": True}
    assert "content-encoding" not in (await client.post("/v1/ask", json=body)).headers


async def test_other_origins_get_no_leave(client: httpx.AsyncClient) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    response = await client.options("/v1/ask", headers=asked)
    assert response.status_code == 405
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_the_docs_describe_the_answer_and_load_only_from_here(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/docs")).text
    assert "://" not in page
    for path in (
        "/docs/start.js",
        "/docs/assets/swagger-ui-bundle.js",
        "/docs/assets/swagger-ui.css",
    ):
        assert (await client.get(path)).status_code == 200
    document = (await client.get("/openapi.json")).json()
    answer = document["components"]["schemas"]["AnswerJson"]
    schemas.AnswerJson.model_validate(answer["example"], extra="forbid")
    ask = document["paths"]["/v1/ask"]["post"]
    assert ask["operationId"] == "ask"
    assert set(ask["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    since = document["components"]["schemas"]["AskBody"]["properties"]["since"]
    assert since["anyOf"] == [{"format": "date"}, {"const": ""}]
    for status in ("404", "422"):  # 404: an article to ask that isn't there
        assert set(ask["responses"][status]["content"]) == {"application/problem+json"}


async def test_every_route_has_an_example_of_what_it_takes_and_gives(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    bodies = [
        (f"{method} {path}", content["schema"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for part in (operation.get("requestBody", {}), *operation["responses"].values())
        for kind, content in part.get("content", {}).items()
        if kind in ("application/json", "application/problem+json")
    ]
    assert len({route for route, _ in bodies}) >= 12
    bare = [route for route, schema in bodies if not _shows(document, schema)]
    assert bare == []


def _shows(document: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether a schema has an example, or every field has one that must be there."""
    if reference := schema.get("$ref"):
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    fields = schema.get("properties", {})
    needed = [fields[name] for name in schema.get("required", fields)]
    shown = [{"example", "examples", "enum", "const", "default"} & set(each) for each in needed]
    return "example" in schema or (bool(shown) and all(shown))


@pytest.mark.parametrize("model", schemas.Outgoing.__subclasses__(), ids=lambda m: m.__name__)
def test_an_example_is_what_its_schema_says(model: type[schemas.Outgoing]) -> None:
    extra = cast("dict[str, Any]", model.model_config.get("json_schema_extra") or {})
    if example := extra.get("example"):
        model.model_validate(example, extra="forbid")


def test_a_taken_port_is_told_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        values = {"home": tmp_path, "port": taken.getsockname()[1]}
        settings = Settings.model_validate(values)
        with pytest.raises(errors.BadSettings, match="WENBAO_PORT"):
            api.serve(cast("App", Newsroom(settings)))
