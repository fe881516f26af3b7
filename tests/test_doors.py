"""Fifty questions at every door: the command line's, JSON, SSE, OpenAI and Telegram cite alike."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from html import unescape
from typing import Any

import httpx
import pytest

from bot import api, render, render_telegram
from bot.wiring import App
from conftest import SAMPLE
from rag.langchain_retriever import WenbaoRetriever
from rag.types import Answer
from test_api import events_of

COUNT = 50


def questions() -> list[str]:
    """Some of the tuning half, of every kind and in both languages."""
    lines = (SAMPLE / "questions.tune.jsonl").read_text(encoding="utf-8").splitlines()
    every = max(1, len(lines) // COUNT)
    return [json.loads(line)["question"] for line in lines[::every]][:COUNT]


@pytest.fixture(scope="module")
def answers(sample_app: App) -> dict[str, Answer]:
    """What the command line prints, which asks `answer_now`."""
    answerer = sample_app.answerer
    return {text: answerer.answer_now(answerer.question(text)) for text in questions()}


@pytest.fixture
async def client(sample_app: App) -> AsyncIterator[httpx.AsyncClient]:
    # a rate would end these questions before their time
    given = sample_app.settings.model_copy(update={"address_rate": 0})
    app = api.create_app(replace(sample_app, settings=given))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://wenbao", timeout=60
    ) as opened:
        yield opened


def cited(answer: Answer) -> list[object]:
    return [render.citation_json(citation) for citation in answer.citations]


def test_there_are_fifty_questions_of_which_most_are_answered(answers: dict[str, Answer]) -> None:
    assert len(answers) == COUNT
    assert sum(bool(answer.citations) for answer in answers.values()) > COUNT / 2


async def test_json_cites_as_the_command_line_does(
    client: httpx.AsyncClient, answers: dict[str, Answer]
) -> None:
    for text, answer in answers.items():
        body = (await client.post("/v1/ask", json={"question": text})).json()
        assert body["citations"] == cited(answer), text
        assert body["answer"] == answer.answer


async def test_a_stream_cites_as_the_command_line_does(
    client: httpx.AsyncClient, answers: dict[str, Answer]
) -> None:
    for text, answer in answers.items():
        response = await client.post("/v1/ask", json={"question": text, "stream": True})
        events = events_of(response.text)
        assert [data for name, data in events if name == "citation"] == cited(answer), text
        assert events[-1][0] == "answer" and events[-1][1]["citations"] == cited(answer)
        said = "".join(data["text"] for name, data in events if name == "token")
        assert answer.answer.startswith(said)


async def test_openai_cites_as_the_command_line_does(
    client: httpx.AsyncClient, answers: dict[str, Answer]
) -> None:
    for text, answer in answers.items():
        body = {"model": "wenbao", "messages": [{"role": "user", "content": text}]}
        done = (await client.post("/v1/chat/completions", json=body)).json()
        assert done["wenbao"]["citations"] == cited(answer), text
        content = done["choices"][0]["message"]["content"]
        places = [
            (each["url_citation"]["title"], each["url_citation"]["start_index"])
            for each in done["choices"][0]["message"]["annotations"]
        ]
        assert content == answer.answer
        assert places == [
            (c.title or c.source, start) for c in answer.citations for start, _ in c.answer_spans
        ]


def test_telegram_shows_the_quotes_that_the_command_line_shows(answers: dict[str, Answer]) -> None:
    for text, answer in answers.items():
        shown = "\n".join(message.text for message in render_telegram.messages(answer))
        html = unescape("\n".join(message.html for message in render_telegram.messages(answer)))
        for citation in answer.citations:
            quote = render.harmless(citation.quote).split("\n")[0].strip()
            marker = render_telegram.marked(f"[{citation.n}]")
            assert marker in shown and quote in shown and quote in html, text


def test_langchain_gets_the_passages_with_their_exact_places(
    sample_app: App, answers: dict[str, Answer]
) -> None:
    retriever = WenbaoRetriever(answerer=sample_app.answerer, k=8)
    for text in list(answers)[:10]:
        documents = retriever.invoke(text)
        passages = [hit.passage for hit in answers[text].passages]
        assert [document.id for document in documents] == [p.passage_id for p in passages]
        for document in documents:
            place = document.metadata
            article = sample_app.records.article(place["article_id"])
            assert article.text[place["start"] : place["end"]] == document.page_content
            assert (article.title, article.date) == (place["title"], place["date"])


def test_langchain_filters_as_questions_do(sample_app: App, answers: dict[str, Answer]) -> None:
    documents = _found(sample_app, next(iter(answers)), since="2024-01-01")
    assert all(document.metadata["date"] >= "2024-01-01" for document in documents)


def _found(app: App, text: str, **filters: str) -> Sequence[Any]:
    return WenbaoRetriever(answerer=app.answerer, **filters).invoke(text)  # type: ignore[arg-type]
