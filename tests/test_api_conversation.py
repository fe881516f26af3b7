"""What a page does beside asking: follow-ups, votes, examples, articles that it has already."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bot.keys import Keys
from newsroom import BRIDGE, LIBRARY, QUOTES, Newsroom, client_of, newsroom, serving
from rag.types import Article, Turn
from test_api import events_of, problem

TALK = "c-1234567890"
ASK = {"question": "when does the library come?", "conversation_id": TALK}


@pytest.fixture
def room(tmp_path: Path) -> Newsroom:
    return newsroom(tmp_path)


@pytest.fixture
async def client(room: Newsroom) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(room) as client:
        yield client


# ── Follow-ups ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_is_handed_on(
    client: httpx.AsyncClient, room: Newsroom, *, stream: bool
) -> None:
    for _ in range(2):
        await client.post("/v1/ask", json={**ASK, "stream": stream})
    assert room.asked[0].turns == ()
    quotes = tuple(quote for _, quote in QUOTES["librar"])
    assert room.asked[1].turns == (Turn(ASK["question"], "en", ("art/1",), quotes),)


async def test_questions_without_a_conversation_follow_on_nothing(
    client: httpx.AsyncClient, room: Newsroom
) -> None:
    for _ in range(2):
        await client.post("/v1/ask", json={"question": "bridge"})
    assert room.asked[1].turns == ()


async def test_two_keys_never_share_a_conversation(room: Newsroom) -> None:
    keys = [Keys(room.people).add(name) for name in ("one", "anyone")]
    for key in ("", *keys):
        async with client_of(room, key) as client:
            assert (await client.post("/v1/ask", json=ASK)).status_code == 200
    assert [question.turns for question in room.asked] == [(), (), ()]


@pytest.mark.parametrize(
    "name", ["short", "x" * 65, "with spaces", "http:a:b:c", "对话对话对话对话"]
)
async def test_a_conversation_has_a_plain_name(client: httpx.AsyncClient, name: str) -> None:
    response = await client.post("/v1/ask", json={**ASK, "conversation_id": name})
    problem(response, 422, "invalid-request")


# ── Votes ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_vote_is_kept_with_its_question(client: httpx.AsyncClient, room: Newsroom) -> None:
    answer = (await client.post("/v1/ask", json={"question": "bridge"})).json()
    vote = {"answer_id": answer["answer_id"], "vote": "down", "comment": "wrong year"}
    response = await client.post("/v1/feedback", json=vote)
    assert (response.status_code, response.content) == (204, b"")
    (kept,) = await asyncio.to_thread(lambda: list(room.people.feedback()))
    assert (kept.vote, kept.comment, kept.question) == ("down", "wrong year", "bridge")


async def test_a_vote_on_no_answer_is_a_problem(client: httpx.AsyncClient) -> None:
    vote = {"answer_id": "0" * 32, "vote": "up"}
    problem(await client.post("/v1/feedback", json=vote), 404, "answer-not-found")
    vote = {"answer_id": "x", "vote": "maybe"}
    problem(await client.post("/v1/feedback", json=vote), 422, "invalid-request")


async def test_an_answer_is_given_where_nothing_can_be_kept(
    client: httpx.AsyncClient, room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag.errors import StoreUnavailable

    def full(who: str, answer: object) -> str:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr(room.people, "answered", full)
    answer = (await client.post("/v1/ask", json={"question": "bridge"})).json()
    assert answer["citations"] and answer["answer_id"] == ""


# ── Examples, lists, articles ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lang", ["en", "zh"])
async def test_examples_ask_about_what_is_there(client: httpx.AsyncClient, lang: str) -> None:
    questions = (await client.get("/v1/examples", params={"lang": lang})).json()["questions"]
    text = "".join(questions)
    assert BRIDGE.title in text
    assert LIBRARY.title in text or "梁素芬" in text  # whom that article names
    problem(await client.get("/v1/examples?lang=fr"), 422, "invalid-request")


async def test_the_list_can_be_searched_by_title_and_date(sample_home: Path) -> None:
    from rag.records import Records

    records = Records(sample_home)
    everything = records.newest(None, 1_000)
    dated = sorted(a.date for a in everything if a.date)
    middle = dated[len(dated) // 2]
    some = records.newest(None, 1_000, since=middle)
    assert {a.article_id for a in some} == {a.article_id for a in everything if a.date >= middle}
    upto = records.newest(None, 1_000, until=middle)
    assert {a.article_id for a in upto} == {
        a.article_id for a in everything if "" < a.date <= middle
    }
    word = everything[0].title[1:4]
    assert [a.article_id for a in records.newest(None, 1_000, title=word)] == [
        a.article_id for a in everything if word in a.title
    ]
    assert records.newest(None, 10, title="%") == [a for a in everything if "%" in a.title]
    records.close()


async def test_the_filters_of_the_list_reach_it(client: httpx.AsyncClient, room: Newsroom) -> None:
    room.articles = [
        Article(f"a{n}", f"第{n}篇", "正文。", date=f"2024-0{n}-01") for n in range(1, 6)
    ]
    query = {"q": "篇", "since": "2024-02-01", "until": "2024-04-30", "limit": "2"}
    page = (await client.get("/v1/articles", params=query)).json()
    assert [a["article_id"] for a in page["articles"]] == ["a4", "a3"]
    page = (
        await client.get("/v1/articles", params={**query, "cursor": page["next_cursor"]})
    ).json()
    assert [a["article_id"] for a in page["articles"]] == ["a2"]
    problem(await client.get("/v1/articles?since=May"), 422, "invalid-request")


async def test_an_article_that_is_as_it_was_is_not_sent_again(
    client: httpx.AsyncClient, room: Newsroom
) -> None:
    first = await client.get("/v1/articles/art/1")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for sent in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = await client.get("/v1/articles/art/1", headers={"If-None-Match": sent})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    room.articles[0] = Article("art/1", LIBRARY.title, "别的正文。")
    changed = await client.get("/v1/articles/art/1", headers={"If-None-Match": tag})
    assert changed.status_code == 200 and changed.headers["etag"] != tag


# ── Streams that are cut ────────────────────────────────────────────────────────────────────────


async def test_a_stream_that_is_cut_anywhere_harms_nothing(room: Newsroom) -> None:
    """Cut behind each event, and within each: what came is whole events, and the server goes on."""
    body = {"question": ASK["question"], "stream": True}
    with serving(room) as address:
        async with httpx.AsyncClient(base_url=address) as client:
            whole = (await client.post("/v1/ask", json=body)).text
            blocks = whole.split("\n\n")[:-1]
            for count in range(len(blocks)):
                came = ""
                async with client.stream("POST", "/v1/ask", json=body) as response:
                    async for line in response.aiter_lines():
                        came += f"{line}\n"
                        if came.count("\n\n") > count:
                            break
                names = [name for name, _ in events_of(came)]
                assert names == [name for name, _ in events_of(whole)][: len(names)]
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.post("/v1/ask", json=body)).text.count("event: answer") == 1
