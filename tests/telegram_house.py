"""The house behind the Telegram door in tests: a scripted Answerer, real SQLite for people."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bot.people import People
from bot.settings import Settings
from bot.telegram import running
from bot.telegram.app import TelegramDoor
from bot.telegram.limiter import Limits
from fake_telegram import FakeTelegram
from rag.errors import ArticleNotFound, QuestionRejected
from rag.ingest import Report, Watcher
from rag.store import VectorIndex
from rag.types import (
    Answer,
    Article,
    Citation,
    Found,
    Hit,
    Passage,
    Piece,
    Progress,
    Question,
    Turn,
)

if TYPE_CHECKING:
    from bot.wiring import App

ARTICLE = Article(
    article_id="yanta",
    title="西安市雁塔区政协：为小微企业支招",
    text="委员们走访了四十家企业。建议建立数据共享平台，让企业少跑腿。再组建一支政策宣讲小分队。",
    date="2023-06-01",
    source="page.txt",
)
SHARING = "建议建立数据共享平台，让企业少跑腿。"
OUTREACH = "再组建一支政策宣讲小分队。"
QUESTION = "what did Yanta district propose?"
AT_ONCE = Limits((1000, 0.01), (1000, 0.01), (1000, 0.01))
ADMIN = 900


def cite(n: int, quote: str, article: Article = ARTICLE) -> Citation:
    start = article.text.index(quote)
    place = (article.article_id, article.title, article.date, article.source)
    return Citation(n, *place, quote, start, start + len(quote))


def answered(question: Question, text: str, *citations: Citation) -> Answer:
    none = not citations
    passages = tuple(
        Hit(Passage(f"yanta:{n}", "yanta", ARTICLE.title, c.quote, c.start, c.end), 0.5)
        for n, c in enumerate(citations)
    )
    return Answer(
        question=question.text,
        language=question.language,
        answer=text,
        answer_plain=re.sub(r"\s*\[\d+\]", "", text),
        abstained=none,
        reason="not_in_articles" if none else None,
        confidence=0.1 if none else 0.9,
        mode="extractive",
        model="extractive",
        citations=citations,
        passages=passages,
    )


@dataclass
class ScriptedAnswerer:
    """Answers from a script and keeps what it was asked; an error in the script is raised.

    `pieces` come first; `paced` is awaited before each and before the answer, with how many came.
    """

    script: dict[str, Exception | Callable[[Question], Answer]] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    pieces: Sequence[str] = ()
    paced: Callable[[int], Awaitable[None]] | None = None
    asked: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def question(
        self,
        text: str,
        lang: str = "auto",
        top_k: int | None = None,
        *,
        turns: Sequence[Turn] = (),
    ) -> Question:
        if len(text) > 2_000:
            raise QuestionRejected("The question has more than 2,000 characters.")
        chinese = lang == "zh" or (lang == "auto" and re.search("[\u4e00-\u9fff]", text))
        return Question(text, "zh" if chinese else "en", turns=tuple(turns))

    async def answer(self, question: Question) -> Answer:
        self.asked.append(question.text)
        self.questions.append(question)
        if gate := self.gates.get(question.text):
            await gate.wait()
        step = self.script.get(question.text)
        if isinstance(step, Exception):
            raise step
        if step:
            return step(question)
        if question.text == QUESTION:
            text = "A data-sharing platform [1] and a policy outreach team [2]."
            return answered(question, text, cite(1, SHARING), cite(2, OUTREACH))
        return answered(question, f"Nothing on: {question.text}")

    async def stream(self, question: Question) -> AsyncIterator[Progress]:
        yield Found(())
        for n, text in enumerate(self.pieces):
            if self.paced:
                await self.paced(n)
            yield Piece(text)
        if self.paced:
            await self.paced(len(self.pieces))
        yield await self.answer(question)


@dataclass(frozen=True)
class FakeCounts:
    articles: int
    passages: int = 7
    files: int = 1


@dataclass(frozen=True)
class _Stored:
    passage: Passage


@dataclass
class FakeRecords:
    kept: list[Article] = field(default_factory=lambda: [ARTICLE])

    def counts(self) -> FakeCounts:
        return FakeCounts(len(self.kept))

    def latest(self, limit: int) -> list[Article]:
        return self.kept[:limit]

    def find(self, article_id: str) -> Article | None:
        return next((each for each in self.kept if each.article_id == article_id), None)

    def passages_by_id(self, ids: Sequence[str]) -> list[_Stored]:
        article = self.find("yanta")
        if not article:
            return []
        return [
            _Stored(Passage(each, "yanta", article.title, article.text, 0, len(article.text)))
            for each in ids
        ]


@dataclass
class FakeApp:
    """What the door is given; `ingested` are the files that admins sent."""

    settings: Settings
    people: People
    answerer: ScriptedAnswerer = field(default_factory=ScriptedAnswerer)
    records: FakeRecords = field(default_factory=FakeRecords)
    ingested: dict[str, bytes] = field(default_factory=dict)
    ingest_steps: Callable[[Watcher], None] = lambda watcher: None
    failed: str = ""
    index: VectorIndex | None = None

    def ingest(self, paths: Sequence[Path], *, watcher: Watcher | None = None) -> Report:
        (path,) = paths
        self.ingested[path.name] = path.read_bytes()
        self.ingest_steps(watcher or Watcher())
        failed = ({"path": str(path), "error": self.failed},) if self.failed else ()
        if failed and path.suffix != ".zip":
            return Report(0, 0, 0, 0, failed, 3, 7, 0.1)
        return Report(2, 1, 0, 0, failed, 3, 7, 0.1)

    def remove(self, ids: Sequence[str]) -> int:
        for article_id in ids:
            if not self.records.find(article_id):
                raise ArticleNotFound(f"No article {article_id}: `wenbao articles` lists them.")
        self.records.kept = [each for each in self.records.kept if each.article_id not in ids]
        return len(ids)


def app_for(server: FakeTelegram, home: Path, **settings: object) -> FakeApp:
    known = {
        "home": home,
        "telegram_token": server.token,
        "telegram_base_url": server.base_url,
        "telegram_admins": str(ADMIN),
    }
    return FakeApp(Settings.model_validate(known | settings), People(home))


async def done(app: FakeApp, updates: int) -> None:
    """Waits until so many updates are done, answered or passed over."""
    query = "SELECT count(*) FROM telegram_updates WHERE payload = ''"
    async with asyncio.timeout(20):
        while app.people.db.execute(query).fetchone() != (updates,):
            await asyncio.sleep(0.02)


def polling(
    app: FakeApp, limits: Limits | None = AT_ONCE
) -> contextlib.AbstractAsyncContextManager[TelegramDoor]:
    """The door at work, as `run` has it but for the signals."""
    running.hush()
    return running.polling(cast("App", app), limits)


def webhook(app: FakeApp, url: str) -> contextlib.AbstractAsyncContextManager[TelegramDoor]:
    """The same, called by Telegram."""
    running.hush()
    return running.webhook(cast("App", app), url, AT_ONCE)


def long_article(chars: int) -> Article:
    """An article of so many characters."""
    text = "".join(f"第{n}段说得很长，一直没有说完。" for n in range(chars // 14 + 1))[:chars]
    return replace(ARTICLE, text=text)
