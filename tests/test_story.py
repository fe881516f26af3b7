"""One page, one index, three doors: the same question gets the same citations everywhere."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot import api, render, render_telegram
from bot.settings import Settings
from bot.wiring import App, open_app
from conftest import ROOT, SAMPLE

QUESTIONS = [
    "What did the Yanta district members propose to make things easier for old people?",
    "浮梁县政协委员对古窑址提出了哪些建议？",
    "How much does a lift cost?",
    "火星上的市长是谁？",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("story") / "home"


@pytest.fixture(scope="module")
def app(home: Path, model_cache: Path) -> Iterator[App]:
    """The house after one page was read."""
    opened = open_app(Settings(home=home, model_cache=model_cache, _env_file=None))
    assert opened.ingest([SAMPLE / "pages" / "p01.txt"]).added == 4
    yield opened
    opened.close()


@pytest.fixture
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(api.create_app(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://wenbao") as opened:
        yield opened


def on_the_command_line(app: App, question: str) -> dict[str, Any]:
    settings = app.settings
    done = subprocess.run(
        [sys.executable, "-m", "bot", "ask", question, "--json"],
        cwd=settings.home.parent,
        env={
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
            "WENBAO_HOME": str(settings.home),
            "WENBAO_MODEL_CACHE": str(settings.models),
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def same(answer: dict[str, Any]) -> dict[str, Any]:
    """All of an answer but the time that it took, and the name that votes know it by."""
    own = ("timings_ms", "answer_id")
    return {key: value for key, value in answer.items() if key not in own}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_every_door_gives_the_same_answer(
    app: App, client: httpx.AsyncClient, question: str
) -> None:
    answer = app.answerer.answer_now(app.answerer.question(question))
    http = (await client.post("/v1/ask", json={"question": question})).json()
    assert same(http) == same(render.to_json(answer))
    shell = await asyncio.to_thread(on_the_command_line, app, question)
    assert same(shell) == same(http)

    messages = render_telegram.messages(answer)
    text = "\n".join(message.text for message in messages)
    for citation in http["citations"]:
        article = (await client.get(f"/v1/articles/{citation['article_id']}")).json()
        assert article["text"][citation["start"] : citation["end"]] == citation["quote"]
        assert citation["quote"] in text
        assert render_telegram.marked(f"[{citation['n']}]") in text
    assert bool(http["citations"]) is not http["abstained"]


async def test_the_stream_ends_with_the_same_answer(app: App, client: httpx.AsyncClient) -> None:
    body = {"question": QUESTIONS[0], "stream": True}
    stream = (await client.post("/v1/ask", json=body)).text
    last = stream.split("event: answer\ndata: ")[1].split("\n")[0]
    answer = app.answerer.answer_now(app.answerer.question(QUESTIONS[0]))
    assert same(json.loads(last)) == same(render.to_json(answer))


async def test_the_headline_question_is_answered_from_the_right_article(
    client: httpx.AsyncClient,
) -> None:
    answer = (await client.post("/v1/ask", json={"question": QUESTIONS[0]})).json()
    assert {citation["title"] for citation in answer["citations"]} == {
        "西安市雁塔区政协 为老年人办事开“绿灯”"
    }
    assert "老年窗口" in answer["answer"]


async def test_a_removed_article_is_gone_from_every_door(
    app: App, client: httpx.AsyncClient
) -> None:
    """The last test here: it changes the library."""
    answer = app.answerer.answer_now(app.answerer.question(QUESTIONS[0]))
    cited = answer.citations[0].article_id
    assert app.remove([cited]) == 1
    http = (await client.post("/v1/ask", json={"question": QUESTIONS[0]})).json()
    assert cited not in {hit["article_id"] for hit in http["passages"]}
    assert (await client.get(f"/v1/articles/{cited}")).status_code == 404
    shell = await asyncio.to_thread(on_the_command_line, app, QUESTIONS[0])
    assert same(shell) == same(http)
