"""A newsroom by the shape of an App: real articles, real offsets, answers from whole sentences."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx

from bot import api
from bot.people import People
from bot.settings import Settings
from rag import errors
from rag.ingest import Report, Watcher
from rag.plans import FileReport
from rag.types import (
    Answer,
    Article,
    Citation,
    Found,
    Hit,
    Language,
    Passage,
    Piece,
    Progress,
    Question,
    Turn,
)

if TYPE_CHECKING:
    from bot.wiring import App


LIBRARY = Article(
    "art/1",
    "河口镇的流动书屋开进渔港",
    "九月十二日，河口镇的第一辆流动书屋停在了渔港码头。驾驶员𠮷田海生说，车上有两千四百册书。\n"
    "镇文化站站长梁素芬建议，书屋每周二、周五傍晚到港，让出海回来的人也能借书。"
    "她还提出，给船员办一张不用押金的借书证。\n渔民们说，等船的时候终于有事可做了。",
    subtitle="——一辆车、两千四百册书和一群晚归的人",
    byline="本报记者 柳青禾",
    date="2024-09-13",
    source="河口日报",
    path="/srv/secret/pages/p1.txt",
)
BRIDGE = Article(
    "art/2",
    "青石岭吊桥通车",
    "青石岭吊桥昨日通车，全长三百二十六米。以前孩子上学要绕行七公里，现在只需走十分钟。",
    date="2024-10-02",
    source="p2.txt",
)
NOTHING_SAID = {"zh": "这些文章里没有答案。", "en": "The articles do not answer this."}
QUOTES = {
    "librar": [(LIBRARY, "书屋每周二、周五傍晚到港"), (LIBRARY, "给船员办一张不用押金的借书证")],
    "书屋": [(LIBRARY, "书屋每周二、周五傍晚到港"), (LIBRARY, "给船员办一张不用押金的借书证")],
    "bridge": [(BRIDGE, "全长三百二十六米")],
    "whole": [(LIBRARY, LIBRARY.text[30:])],
}


@dataclass
class Newsroom:
    """An App by shape: keeps articles in memory and quotes them when a keyword falls."""

    settings: Settings
    articles: list[Article] = field(default_factory=lambda: [LIBRARY, BRIDGE])
    asked: list[Question] = field(default_factory=list)
    fails: Exception | None = None
    delay_s: float = 0.0
    given_up: bool = False
    people: People = field(init=False)

    def __post_init__(self) -> None:
        self.people = People(self.settings.home)

    @property
    def answerer(self) -> "Newsroom":
        return self

    @property
    def records(self) -> "Shelf":
        return Shelf(self)

    def question(
        self,
        text: str,
        lang: str = "auto",
        top_k: int | None = None,
        *,
        article_ids: Sequence[str] = (),
        since: str = "",
        until: str = "",
        sources: Sequence[str] = (),
        turns: Sequence[Turn] = (),
    ) -> Question:
        off_the_loop()
        text = " ".join(text.split())
        if not text:
            raise errors.QuestionRejected("The question is empty.")
        if len(text) > self.settings.max_chars:
            raise errors.QuestionRejected(f"Ask in {self.settings.max_chars} characters or fewer.")
        guess = "zh" if any("\u3400" <= char <= "\u9fff" for char in text) else "en"
        language = cast("Language", guess if lang == "auto" else lang)
        return Question(
            text,
            language,
            top_k or 8,
            tuple(article_ids),
            since,
            until,
            tuple(sources),
            tuple(turns),
        )

    async def search(self, question: Question) -> list[Hit]:
        return self.search_now(question)

    def search_now(self, question: Question) -> list[Hit]:
        self.asked.append(question)
        if self.fails:
            raise self.fails
        whole = [
            Passage(f"{a.article_id}:0", a.article_id, a.title, a.text, 0, len(a.text))
            for a in self.articles
        ]
        return [Hit(passage, 0.9 - i / 10) for i, passage in enumerate(whole)][: question.top_k]

    async def answer(self, question: Question) -> Answer:
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.given_up = True
            raise
        hits = await self.search(question)
        found = [q for word, qs in QUOTES.items() if word in question.text.lower() for q in qs]
        text, citations = "", []
        for n, (article, quote) in enumerate(found, 1):
            sentence = f"{quote}。[{n}]"
            start = article.text.index(quote)
            spans = ((len(text), len(text) + len(sentence)),)
            citations.append(_citation(n, article, start, start + len(quote), spans))
            text += sentence
        return Answer(
            question=question.text,
            language=question.language,
            answer=text or NOTHING_SAID[question.language],
            answer_plain=text or NOTHING_SAID[question.language],
            abstained=not found,
            reason=None if found else "not_in_articles",
            confidence=0.9 if found else 0.1,
            mode="extractive",
            model="extractive",
            citations=tuple(citations),
            passages=tuple(hits),
            timings_ms={"embed": 3.0, "search": 4.0, "answer": 1.0, "total": 8.0},
        )

    async def stream(self, question: Question) -> AsyncIterator[Progress]:
        answer = await self.answer(question)
        yield Found(answer.passages)
        at = 0
        for citation in answer.citations:
            end = citation.answer_spans[-1][1]
            yield Piece(answer.answer[at:end], (citation,))
            at = end
        if at < len(answer.answer):
            yield Piece(answer.answer[at:])
        yield answer

    def ingest(self, paths: Sequence[Path], *, watcher: Watcher) -> Report:
        """Takes each file in as one article; a text of 坏 is none."""
        off_the_loop()
        failed: list[dict[str, str]] = []
        for path in paths:
            watcher.step("files", 0, len(paths))
            text = path.read_text("utf-8")
            if "坏" in text:
                failed.append({"path": str(path), "error": f"{path} holds no article."})
            else:
                self.articles.append(Article(f"up/{len(self.articles)}", path.stem, text))
            watcher.file_done(FileReport(str(path)))
        n = len(self.articles)
        return Report(len(paths) - len(failed), 0, 0, 0, tuple(failed), n, n, 0.1)

    def remove(self, ids: Sequence[str], wait_s: float = 600.0) -> int:
        off_the_loop()
        for article_id in ids:
            self.records.article(article_id)
        self.articles = [a for a in self.articles if a.article_id not in ids]
        return len(ids)


@dataclass(frozen=True)
class Counted:
    articles: int
    passages: int
    files: int = 1


@dataclass
class Shelf:
    """Records by shape; refuses to be read on the event loop."""

    room: Newsroom

    def newest(
        self,
        behind: tuple[str, str] | None = None,
        limit: int = 100,
        *,
        title: str = "",
        since: str = "",
        until: str = "",
    ) -> list[Article]:
        off_the_loop()
        ordered = sorted(self.room.articles, key=lambda a: a.article_id)
        ordered.sort(key=lambda a: a.date, reverse=True)
        places = [(a.date, a.article_id) for a in ordered]
        rest = ordered[places.index(behind) + 1 :] if behind in places else ordered
        dated = [a for a in rest if (since or "") <= a.date <= (until or "~")]
        return [a for a in dated if title in a.title][:limit]

    def latest(self, limit: int = 10) -> list[Article]:
        off_the_loop()
        return sorted(self.room.articles, key=lambda a: a.date, reverse=True)[:limit]

    def article(self, article_id: str) -> Article:
        off_the_loop()
        for article in self.room.articles:
            if article.article_id == article_id:
                return article
        raise errors.ArticleNotFound(f"No article {article_id}: `wenbao articles` lists them.")

    def counts(self) -> Counted:
        off_the_loop()
        if isinstance(self.room.fails, errors.StoreUnavailable):
            raise self.room.fails
        return Counted(len(self.room.articles), len(self.room.articles))


def _citation(
    n: int, article: Article, start: int, end: int, spans: tuple[tuple[int, int], ...]
) -> Citation:
    return Citation(
        n=n,
        article_id=article.article_id,
        title=article.title,
        date=article.date,
        source=article.source,
        quote=article.text[start:end],
        start=start,
        end=end,
        answer_spans=spans,
        score=0.9,
    )


def off_the_loop() -> None:
    """Fails where the caller would block the event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise AssertionError("the disk was read on the event loop")


def newsroom(home: Path, keys: str = "", **values: object) -> Newsroom:
    values = {"home": home, "api_keys": keys, "max_chars": 200, "address_rate": 0, **values}
    return Newsroom(Settings.model_validate(values))


@contextmanager
def serving(room: Newsroom) -> Iterator[str]:
    """The door on a loopback port, in a thread; gives its address."""
    server = api.server(cast("App", room))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)


def client_of(room: Newsroom, key: str = "") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=api.create_app(cast("App", room)))
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(transport=transport, base_url="http://wenbao", headers=headers)
