"""Answerer: the path of one question, top to bottom."""

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

from embeddings.embedder import Embedder
from rag import citations, extract, judge, weights
from rag.citations import Assembly, Cited, Line, Support
from rag.errors import LlmUnavailable, QuestionRejected
from rag.llm import Llm
from rag.records import Records
from rag.retrieve import Findings, Retriever
from rag.types import (
    Answer,
    Article,
    Found,
    Hit,
    Language,
    Piece,
    Progress,
    Question,
    Reason,
    Turn,
)
from rag.writing import Writer

log = logging.getLogger(__name__)

EXTRACTIVE = "extractive"
MAX_TOP_K = 50
STREAMS = 32  # answers that come about at the same time; most wait for a language model

_REFUSALS: dict[Language, dict[Reason, str]] = {
    "en": {
        "not_in_articles": "The articles don't say.",
        "off_topic": "That is not something the indexed articles speak of. Ask me about the news"
        " in them, for example who proposed what, when, where or how many.",
        "entity_not_found": "The articles don't mention {missing}.",
        "too_vague": "Please say a little more: which place, person or topic do you mean?",
    },
    "zh": {
        "not_in_articles": "收录的文章没有提到。",
        "off_topic": "收录的文章不涉及这个话题。"
        "可以问我报道里的内容，比如谁提出了什么、时间、地点、数量。",
        "entity_not_found": "收录的文章没有提到{missing}。",
        "too_vague": "请说得再具体一些：您想问哪个地方、哪个人或哪件事？",
    },
}
_NEAREST: dict[Language, str] = {
    "en": " The nearest article is “{title}”.",
    "zh": "最接近的文章是《{title}》。",
}
_FRAMES: dict[Language, str] = {
    "en": "From “{title}”{date}:",
    "zh": "据《{title}》{date}：",
}
_AWAY: dict[Language, str] = {
    "en": "The language model is away; these are the passages themselves.",
    "zh": "语言模型暂时不可用，以下为原文摘录。",
}
_UNUSABLE: dict[Language, str] = {
    "en": "The language model wrote nothing that the articles bear out; these are the passages"
    " themselves.",
    "zh": "语言模型没有写出能在文章中核实的内容，以下为原文摘录。",
}
_WITHHELD: dict[Language, str] = {
    "en": "An answer was withheld because its citations didn't hold.",
    "zh": "引文未能通过核对，答案不予显示。",
}


class Answerer:
    """Answers from the articles, or says that they don't tell."""

    def __init__(
        self,
        records: Records,
        retriever: Retriever,
        embedder: Embedder,
        model: Llm | None = None,
        *,
        top_k: int = 8,
        max_chars: int = 2_000,
    ) -> None:
        self._records = records
        self._retriever = retriever
        self._embedder = embedder
        self._model = model
        self._writer = Writer(model, embedder, retriever) if model else None
        self._threads = ThreadPoolExecutor(STREAMS, "answer")
        self._top_k = top_k
        self._max_chars = max_chars
        self._weights = weights.load()
        # Weights of one model say little about another's scores: then only what is missing refuses.
        fitted = self._weights.model.split("@")[0] == embedder.name.split("@")[0]
        self._threshold = self._weights.threshold if fitted else 0.0

    @property
    def written(self) -> Counter[str]:
        """How many written sentences were `kept`, `repaired` and `dropped` so far."""
        return Counter(self._writer.counts if self._writer else ())

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
        """A question as it can be asked; `turns` is the conversation that it goes on.

        Raises:
            QuestionRejected: if it is empty or too long, or a date is none.
            ArticleNotFound: if one of the articles isn't there.
        """
        clean = " ".join(text.encode("utf-8", "ignore").decode().replace("\0", " ").split())
        if not clean:
            raise QuestionRejected("The question is empty: write what you want to know.")
        if len(clean) > self._max_chars:
            raise QuestionRejected(
                f"The question has {len(clean):,} characters; {self._max_chars:,} are allowed."
            )
        for article_id in article_ids:
            self._records.article(article_id)
        for day in filter(None, (since, until)):
            if not _is_date(day):
                raise QuestionRejected(f"“{day[:40]}” is no date: write it as 2024-05-31.")
        if since and until and since > until:
            raise QuestionRejected(f"No day is since {since} and until {until}: swap the two.")
        language: Language = "zh" if lang == "zh" or (lang != "en" and is_chinese(clean)) else "en"
        count = min(max(1, top_k or self._top_k), MAX_TOP_K)
        return Question(
            clean,
            language,
            count,
            tuple(article_ids),
            since,
            until,
            tuple(sources),
            tuple(turns),
        )

    async def answer(self, question: Question) -> Answer:
        """See `answer_now`; the event loop goes on meanwhile."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.answer_now, question)

    async def stream(self, question: Question) -> AsyncIterator[Progress]:
        """The answer as it comes about: the passages, pieces of checked text, the whole Answer.

        The pieces put together begin the answer's text, unless its `note` says that the language
        model failed half way: then the last item replaces all that came before. Who leaves early
        ends the writing too.
        """
        loop = asyncio.get_running_loop()
        steps = self._steps(question)
        while (step := await loop.run_in_executor(self._threads, next, steps, None)) is not None:
            yield step

    async def search(self, question: Question) -> list[Hit]:
        """The ranked passages alone."""
        return await asyncio.to_thread(self.search_now, question)

    def search_now(self, question: Question) -> list[Hit]:
        """The ranked passages alone."""
        return self._retriever.search(question).hits[: question.top_k]

    def answer_now(self, question: Question) -> Answer:
        """Answers from the articles, or says that they don't tell.

        Raises:
            StoreUnavailable: if the index can't be read.
        """
        *_, answer = self._steps(question)
        assert isinstance(answer, Answer)
        return answer

    def _steps(self, question: Question) -> Iterator[Progress]:
        """The path of a question; see `stream`."""
        started = time.perf_counter()
        findings = self._retriever.search(question)
        searched = time.perf_counter()
        articles = self._articles(findings)
        findings = _current(findings, articles)
        pool = extract.candidates(findings, articles)
        rows = extract.features(question.text, findings, pool)
        chances = extract.chances(self._weights.sentence, rows)
        verdict = self._judge(question, findings, pool, chances)
        yield Found(tuple(findings.hits[: question.top_k]))
        if verdict.reason:
            answer = self._refusal(question, verdict, findings)
            yield Piece(answer.answer)
        else:
            answer = yield from self._answer(question, findings, articles, pool, chances, verdict)
        answer = self._checked(answer, question, findings, articles)
        ended = time.perf_counter()
        timings = {
            "embed": findings.embed_ms,
            "search": (searched - started) * 1000 - findings.embed_ms,
            "answer": (ended - searched) * 1000,
            "total": (ended - started) * 1000,
        }
        log.info(
            "hits=%d best=%.3f citations=%d reason=%s total_ms=%.1f",
            len(findings.matches),
            findings.hits[0].score if findings.matches else 0.0,
            len(answer.citations),
            answer.reason,
            timings["total"],
        )
        yield replace(answer, timings_ms={name: round(ms, 2) for name, ms in timings.items()})

    def _articles(self, findings: Findings) -> dict[str, Article]:
        """The articles of the passages, as far as they are still there."""
        ids = dict.fromkeys(hit.passage.article_id for hit in findings.hits)
        found = (self._records.find(article_id) for article_id in ids)
        return {article.article_id: article for article in found if article}

    def _judge(
        self,
        question: Question,
        findings: Findings,
        pool: Sequence[extract.Candidate],
        chances: Sequence[float],
    ) -> judge.Verdict:
        if judge.small_talk(question):
            return judge.Verdict(0.0, "off_topic")
        if not pool:
            return judge.Verdict(0.0, "not_in_articles")
        row = judge.features(question, findings, pool, chances)
        (probability,) = weights.logistic(judge.FEATURES, self._weights.judge, row[None, :])
        return judge.verdict(probability, findings, self._threshold)

    def _answer(
        self,
        question: Question,
        findings: Findings,
        articles: Mapping[str, Article],
        pool: Sequence[extract.Candidate],
        chances: Sequence[float],
        verdict: judge.Verdict,
    ) -> Generator[Piece, None, Answer]:
        """The pieces of an answer, then the answer: written if that can be had, else an extract."""
        note, shown = "", False
        if self._model is not None and self._writer is not None:
            assembly = Assembly(articles)
            try:
                known = {
                    (c.match.hit.passage.article_id, c.start, c.end): p
                    for c, p in zip(pool, chances, strict=True)
                }
                for line in self._writer.lines(question, findings, articles, known):
                    if piece := assembly.add(line):
                        shown = True
                        yield piece
                if shown:
                    name = self._model.name
                    return self._said(question, findings, assembly.cited(), verdict, name)
                note = _UNUSABLE[question.language]
            except LlmUnavailable:
                note = _AWAY[question.language]
        quotes = extract.choose(question.text, extract.seen(pool, chances, findings))
        parts = extract.parts(question.text)
        if len(parts) > 1:
            by_part, their_articles = self._part_by_part(question, parts)
            if {quote.article_id for quote in by_part} != {quotes[0].article_id}:
                quotes, articles = by_part, their_articles
        assembly = Assembly(articles)
        pieces = map(assembly.add, framed(quotes, articles, question.language))
        for piece in filter(None, pieces):
            if not shown:  # else the whole answer takes the place of what was shown
                yield piece
        said = self._said(question, findings, assembly.cited(), verdict, EXTRACTIVE)
        return replace(said, note=note)

    def _part_by_part(
        self, question: Question, parts: Sequence[str]
    ) -> tuple[list[extract.Quote], dict[str, Article]]:
        """The quotes that answer each of several questions asked at once, and their articles."""
        quotes: list[extract.Quote] = []
        articles: dict[str, Article] = {}
        for text in parts:
            findings = self._retriever.search(replace(question, text=text))
            own = self._articles(findings)
            pool = extract.candidates(findings, own)
            chances = extract.chances(
                self._weights.sentence, extract.features(text, findings, pool)
            )
            quotes += extract.choose(text, extract.seen(pool, chances, findings))
            articles |= own
        return extract.merged(quotes), articles

    def _said(
        self,
        question: Question,
        findings: Findings,
        cited: Cited,
        verdict: judge.Verdict,
        model: str,
    ) -> Answer:
        return Answer(
            question=question.text,
            language=question.language,
            answer=cited.text,
            answer_plain=cited.plain,
            abstained=False,
            reason=None,
            confidence=round(verdict.confidence, 4),
            mode="extractive" if model == EXTRACTIVE else "written",
            model=model,
            citations=cited.citations,
            passages=tuple(findings.hits[: question.top_k]),
        )

    def _refusal(self, question: Question, verdict: judge.Verdict, findings: Findings) -> Answer:
        reason = verdict.reason or "not_in_articles"
        missing = [_as_asked(name, question.text) for name in verdict.missing]
        separator = "、" if question.language == "zh" else ", "
        words = _REFUSALS[question.language][reason].format(missing=separator.join(missing))
        if findings.hits and reason in ("not_in_articles", "entity_not_found"):
            title = citations.unmarked(findings.hits[0].passage.title)
            words += _NEAREST[question.language].format(title=title) if title else ""
        return Answer(
            question=question.text,
            language=question.language,
            answer=words,
            answer_plain=words,
            abstained=True,
            reason=reason,
            confidence=round(verdict.confidence, 4),
            mode="extractive",
            model=EXTRACTIVE,
            passages=tuple(findings.hits[: question.top_k]),
        )

    def _checked(
        self,
        answer: Answer,
        question: Question,
        findings: Findings,
        articles: Mapping[str, Article],
    ) -> Answer:
        """The answer, if it keeps every promise; else a refusal: no citation, no answer."""
        faults = citations.faults(answer, articles)
        if not faults:
            return answer
        log.error("withheld an answer: %s", "; ".join(faults))
        refusal = self._refusal(question, judge.Verdict(0.0, "not_in_articles"), findings)
        return replace(refusal, note=_WITHHELD[question.language])


def _current(findings: Findings, articles: Mapping[str, Article]) -> Findings:
    """The findings without passages of articles that were removed or changed meanwhile."""
    kept = [
        match
        for match in findings.matches
        if (passage := match.hit.passage).article_id in articles
        and articles[passage.article_id].text[passage.start : passage.end] == passage.text
    ]
    return replace(findings, matches=tuple(kept))


def framed(
    quotes: Sequence[extract.Quote], articles: Mapping[str, Article], language: Language
) -> list[Line]:
    """The extractive answer: quotes in reading order, those of one article under its title."""
    lines: list[Line] = []
    for article_id in dict.fromkeys(quote.article_id for quote in quotes):
        if article_id not in articles:
            continue
        article = articles[article_id]
        date = f" ({article.date})" if article.date else ""
        title = article.title or article.source
        lines.append(Line(_FRAMES[language].format(title=title, date=date)))
        own = sorted((q for q in quotes if q.article_id == article_id), key=lambda q: q.start)
        for quote in own:
            text = " ".join(article.text[quote.start : quote.end].split())
            shown = f"“{text}”" if not text.startswith("“") else text
            support = Support(article_id, quote.start, quote.end, quote.probability)
            lines.append(Line(shown, (support,)))
    return lines


def _is_date(text: str) -> bool:
    """Whether a text is a day of the calendar as articles are dated: 2024-05-31."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _as_asked(name: str, question: str) -> str:
    """A name in the asker's own capitals, and harmless as a marker."""
    found = re.search(re.escape(name), question, re.IGNORECASE)
    return citations.unmarked(found[0] if found else name)


def is_chinese(text: str) -> bool:
    """Whether a question is asked in Chinese: more Chinese characters than Latin words."""
    chinese = sum("㐀" <= char <= "鿿" for char in text)
    latin = len([word for word in text.split() if any(c.isascii() and c.isalpha() for c in word)])
    return chinese > latin
