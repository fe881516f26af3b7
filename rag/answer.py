"""Answerer: the path of one question, top to bottom."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from embeddings.embedder import Embedder
from rag import citations, extract, judge, llm, prompts, weights
from rag.chunking import sentences
from rag.citations import Cited, Line, Support
from rag.errors import LlmUnavailable, QuestionRejected
from rag.llm import Llm
from rag.records import Records
from rag.retrieve import Findings, Retriever, unit
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

log = logging.getLogger(__name__)

EXTRACTIVE = "extractive"
MAX_TOP_K = 50
HELD = 0.2  # a sentence that holds all of a statement's names and numbers, in token matches

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
_DEGRADED: dict[Language, str] = {
    "en": "The language model is away; these are the passages themselves.",
    "zh": "语言模型暂时不可用，以下为原文摘录。",
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
        fitted: weights.Weights | None = None,
    ) -> None:
        self._records = records
        self._retriever = retriever
        self._embedder = embedder
        self._model = model
        self._top_k = top_k
        self._max_chars = max_chars
        self._weights = fitted or weights.load()
        self._threshold = self._weights.threshold_for(embedder.name)

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
        return await asyncio.to_thread(self.answer_now, question)

    async def stream(self, question: Question) -> AsyncIterator[Progress]:
        """The answer as it comes about: the passages, pieces of checked text, the whole Answer.

        The pieces put together begin the answer's text, unless its `note` says that the language
        model failed half way: then the last item replaces all that came before.
        """
        answer = await self.answer(question)
        yield Found(answer.passages)
        known: set[int] = set()
        for line in answer.answer.splitlines(keepends=True):
            new = [c for c in answer.citations if f"[{c.n}]" in line and c.n not in known]
            known |= {c.n for c in new}
            yield Piece(line, tuple(new))
        yield answer

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
        started = time.perf_counter()
        findings = self._retriever.search(question)
        searched = time.perf_counter()
        articles = self._articles(findings)
        findings = _current(findings, articles)
        pool = extract.candidates(findings, articles)
        rows = extract.features(question.text, findings, pool)
        chances = extract.chances(self._weights.sentence, rows)
        verdict = self._judge(question, findings, pool, chances)
        answer = (
            self._refusal(question, verdict, findings)
            if verdict.reason
            else self._answer(question, findings, articles, pool, chances, verdict)
        )
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
        return replace(answer, timings_ms={name: round(ms, 2) for name, ms in timings.items()})

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
    ) -> Answer:
        note = ""
        if self._model is not None:
            try:
                cited = self._written(self._model, question, findings, articles)
                if cited.citations:
                    return self._said(question, findings, cited, verdict, self._model.name)
            except LlmUnavailable:
                note = _DEGRADED[question.language]
        quotes = extract.choose(question.text, extract.seen(pool, chances, findings))
        parts = extract.parts(question.text)
        if len(parts) > 1:
            by_part, their_articles = self._part_by_part(question, parts)
            if {quote.article_id for quote in by_part} != {quotes[0].article_id}:
                quotes, articles = by_part, their_articles
        cited = citations.assemble(framed(quotes, articles, question.language), articles)
        said = self._said(question, findings, cited, verdict, EXTRACTIVE)
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

    def _written(
        self,
        model: Llm,
        question: Question,
        findings: Findings,
        articles: Mapping[str, Article],
    ) -> Cited:
        hits = [h for h in findings.hits if h.passage.article_id in articles][: question.top_k]
        reply = model.complete(prompts.messages(question.text, question.language, hits))
        return citations.assemble(llm.lines(reply, hits, self._support), articles)

    def _support(self, statement: str, hit: Hit) -> Support | None:
        """The sentence of a passage that says what a statement says, by tokens and names."""
        passage = hit.passage
        spans = sentences(passage.text)
        asked = unit(self._embedder.embed_query(statement).tokens)
        texts = [passage.text[a:b] for a, b in spans]
        read = self._embedder.read(texts)
        if not spans:
            return None
        held = self._retriever.holding(statement, texts)
        scores = [
            float((asked @ unit(reading.tokens).T).max(axis=1).mean())
            if len(asked) and len(reading.tokens.starts)
            else 0.0
            for reading in read
        ]
        best = int(np.argmax(np.array(scores) + HELD * np.array(held)))
        a, b = spans[best]
        return Support(passage.article_id, passage.start + a, passage.start + b, scores[best])

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
        return self._refusal(question, judge.Verdict(0.0, "not_in_articles"), findings)


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
