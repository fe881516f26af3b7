"""Answerer: the path of one question, top to bottom."""

import asyncio
import contextvars
import logging
import os
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from embeddings.embedder import Embedder
from rag import (
    citations,
    conversation,
    extract,
    holders,
    judge,
    looking,
    phrases,
    quoting,
    weights,
)
from rag.citations import Assembly, Cited
from rag.errors import LlmUnavailable, QuestionRejected
from rag.language import is_chinese
from rag.llm import Llm
from rag.quoting import Look
from rag.records import Records
from rag.retrieve import Retriever
from rag.translate import LIMIT_S, Translator
from rag.types import (
    Answer,
    Article,
    Found,
    Hit,
    Language,
    Piece,
    Progress,
    Question,
    Turn,
)
from rag.written import orders
from rag.written.writing import Writer

log = logging.getLogger(__name__)

EXTRACTIVE = "extractive"
MAX_TOP_K = 50
MAX_PARTS = 5  # questions asked at once that are each looked up; more are read as one
STREAMS = 32  # answers that come about at the same time where most wait for a language model
CORES = os.cpu_count() or 1  # where none does: more would only get in each other's way


@dataclass(frozen=True, slots=True)
class _Extract:
    """The extractive answer, and the pieces that it is shown in."""

    pieces: tuple[Piece, ...]
    answer: Answer


class Answerer:
    """Answers from the articles, or says that they don't tell."""

    def __init__(
        self,
        records: Records,
        retriever: Retriever,
        embedder: Embedder,
        model: Llm | None = None,
        *,
        gloss: Callable[[str, Language], str] = lambda quote, language: "",
        top_k: int = 8,
        max_chars: int = 2_000,
        fitted: weights.Weights | None = None,
        processes: int = 1,
        translator: Translator | None = None,
    ) -> None:
        """`processes` that answer on this machine share its cores."""
        self._records = records
        self._gloss = gloss
        self._retriever = retriever
        self._embedder = embedder
        self._model = model
        self._translator = translator
        self._writer = Writer(model, embedder, retriever) if model else None
        self._threads = ThreadPoolExecutor(
            STREAMS if model else max(1, CORES // processes), "answer"
        )
        self._top_k = top_k
        self._max_chars = max_chars
        self._weights = fitted or weights.load()
        self._threshold = self._weights.threshold_for(embedder.name)

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
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        return await loop.run_in_executor(self._threads, context.run, self.answer_now, question)

    async def stream(self, question: Question) -> AsyncIterator[Progress]:
        """The answer as it comes about: the passages, pieces of checked text, the whole Answer.

        The pieces put together begin the answer's text, unless its `note` says that the language
        model failed half way: then the last item replaces all that came before. Who leaves early
        ends the writing too.
        """
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        go_on = partial(context.run, next, self._steps(question), None)
        while (step := await loop.run_in_executor(self._threads, go_on)) is not None:
            yield step

    async def search(self, question: Question) -> list[Hit]:
        """The ranked passages alone; the event loop goes on meanwhile."""
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        return await loop.run_in_executor(self._threads, context.run, self.search_now, question)

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
        deadline = time.monotonic() + (self._model.limit_s if self._model else 0.0)
        look = self._look(question, deadline)
        yield Found(tuple(look.findings.hits[: question.top_k]))
        if look.verdict.reason:
            answer = self._refusal(look)
            yield Piece(answer.answer)
        else:
            answer = yield from self._answer(look, deadline)
        answer = self._translated(self._checked(answer, look), deadline)
        found, findings = look.question, look.findings
        if (found.text, found.article_ids) != (question.text, question.article_ids):
            answer = replace(answer, question=question.text, understood=self._understood(look))
        total_ms = (time.perf_counter() - started) * 1000
        timings = {
            "embed": findings.embed_ms,
            "search": look.search_ms,
            "answer": total_ms - findings.embed_ms - look.search_ms,
            "total": total_ms,
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

    def _look(self, question: Question, deadline: float) -> Look:
        """What is found for a question: for a follow-up, for the reading that is answered best."""
        named = self._retriever.names_in
        if conversation.is_whole(question, named):
            return self._looked(question)
        last = self._with_articles(question.turns[-1])
        asked = replace(question, turns=(*question.turns[:-1], last))
        readings = conversation.readings(asked, named)
        if self._model and conversation.leans(asked, named):
            read = self._retriever.concepts
            if whole := conversation.rewritten(asked, read, self._model, deadline):
                readings = tuple(dict.fromkeys([*readings, whole]))
        looks = [self._looked(reading) for reading in readings]
        return max(looks, key=partial(_aptness, question))

    def _looked(self, question: Question) -> Look:
        """What is found for one reading, of one question or several, and whether it answers."""
        whole = self._looked_at_once(question)
        asked = extract.parts(question.text)
        if not 1 < len(asked) <= MAX_PARTS:
            return whole
        looks = [self._looked_at_once(replace(question, text=text)) for text in asked]
        return quoting.apart(whole, looks)

    def _looked_at_once(self, question: Question) -> Look:
        """What is found for a question read as one, and whether it answers."""
        seen = looking.look(question, self._retriever, self._records, self._weights.sentence)
        findings, pool, chances = seen.findings, seen.pool, seen.chances
        verdict = self._judge(question, seen)
        return Look(findings, seen.articles, pool, chances, seen.search_ms, question, verdict)

    def _with_articles(self, turn: Turn) -> Turn:
        """A turn with the article that it was most likely about, where that isn't known."""
        if turn.article_ids:
            return turn
        hits = self._retriever.search(Question(turn.question, turn.language)).hits[:1]
        return replace(turn, article_ids=tuple(hit.passage.article_id for hit in hits))

    def _understood(self, look: Look) -> str:
        """The whole question that a follow-up was taken for, in words."""
        question = look.question
        titles = [look.articles[i].title for i in question.article_ids if i in look.articles]
        if not titles:
            return question.text
        return phrases.ABOUT[question.language].format(
            question=question.text.rstrip("?？ "), title=citations.unmarked(titles[0])
        )

    def _judge(self, question: Question, seen: looking.Sight) -> judge.Verdict:
        findings, pool, chances = seen.findings, seen.pool, seen.chances
        if judge.small_talk(question):
            return judge.Verdict(0.0, "off_topic")
        if not pool:
            return judge.Verdict(0.0, "not_in_articles")
        row = judge.features(question, findings, pool, chances)
        (probability,) = weights.logistic(judge.FEATURES, self._weights.judge, row[None, :])
        verdict = judge.verdict(probability, findings, self._threshold)
        is_one = len(extract.parts(question.text)) == 1
        if verdict.reason is None and is_one and holders.lacks(question.text, seen.best_article()):
            return judge.Verdict(min(probability, self._threshold / 2), "not_in_articles")
        return verdict

    def _answer(self, look: Look, deadline: float) -> Generator[Piece, None, Answer]:
        """The pieces of an answer, then the answer: written if that can be had, else an extract.

        The extract is there before the model is asked: where that fails at the last moment, nothing
        is left to be done.
        """
        extracted = self._extract(look)
        if self._writer is None:
            yield from extracted.pieces
            return extracted.answer
        question = look.question
        assembly = self._assembly(look.articles, question)
        known = look.known()
        lines = self._writer.lines(question, look.findings, look.articles, known, deadline)
        away = False
        try:
            yield from filter(None, map(assembly.add, lines))
            if (cited := assembly.cited()).citations:
                return self._said(look, cited, self._writer.name)
        except LlmUnavailable:
            away = True
        if not assembly.cited().citations:  # else the answer takes the place of what was shown
            yield from extracted.pieces
        note = (phrases.AWAY if away else phrases.UNUSABLE)[question.language]
        return replace(extracted.answer, note=note, llm_away=away)

    def _extract(self, look: Look) -> _Extract:
        question = look.question
        quotes, articles = quoting.quoted(look)
        assembly = self._assembly(articles, question)
        pieces = map(assembly.add, quoting.framed(quotes, articles, question.language))
        shown = tuple(filter(None, pieces))
        answer = self._said(look, assembly.cited(), EXTRACTIVE)
        return _Extract(shown, replace(answer, note=quoting.untold(look)))

    def _assembly(self, articles: Mapping[str, Article], question: Question) -> Assembly:
        return Assembly(articles, lambda quote: self._gloss(quote, question.language))

    def _said(self, look: Look, cited: Cited, model: str) -> Answer:
        question = look.question
        return Answer(
            question=question.text,
            language=question.language,
            answer=cited.text,
            answer_plain=cited.plain,
            abstained=False,
            reason=None,
            confidence=round(look.verdict.confidence, 4),
            mode="extractive" if model == EXTRACTIVE else "written",
            model=model,
            citations=cited.citations,
            passages=tuple(look.findings.hits[: question.top_k]),
        )

    def _refusal(self, look: Look) -> Answer:
        question, verdict, findings = look.question, look.verdict, look.findings
        reason = verdict.reason or "not_in_articles"
        missing = [_as_asked(name, question.text) for name in verdict.missing]
        separator = "、" if question.language == "zh" else ", "
        words = phrases.REFUSALS[question.language][reason].format(missing=separator.join(missing))
        if not findings.hits and not self._records.passage_count():
            words = phrases.EMPTY[question.language]
        if findings.hits and reason in ("not_in_articles", "entity_not_found"):
            title = citations.unmarked(findings.hits[0].passage.title)
            if title and not orders.is_order(title):
                words += phrases.NEAREST[question.language].format(title=title)
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

    def _checked(self, answer: Answer, look: Look) -> Answer:
        """The answer, if it keeps every promise; else a refusal: no citation, no answer."""
        others = {c.article_id for c in answer.citations} - look.articles.keys()
        found = {i: article for i in others if (article := self._records.find(i))}
        faults = citations.faults(answer, {**look.articles, **found})
        if not faults:
            return answer
        log.error("withheld an answer: %s", "; ".join(faults))
        refusal = self._refusal(replace(look, verdict=judge.Verdict(0.0, "not_in_articles")))
        return replace(refusal, note=phrases.WITHHELD[look.question.language])

    def _translated(self, answer: Answer, deadline: float) -> Answer:
        """The answer with its quotes translated, as far as a model has left time for that."""
        if self._translator is None:
            return answer
        left_s = deadline - time.monotonic() if self._model else LIMIT_S
        cited = self._translator.translated(answer.citations, answer.language, min(LIMIT_S, left_s))
        return replace(answer, citations=cited)


def _aptness(asked: Question, look: Look) -> tuple[bool, float]:
    """How well a reading of a question suits: whether it is answered, and how surely.

    A follow-up is most likely about the articles of the turn before, else a question of its own,
    as which it is refused.
    """
    is_answered = look.verdict.reason is None
    if look.question.article_ids != asked.article_ids:
        likely = 0.3
    else:
        likely = 0.0 if look.question.text != asked.text else 0.2 if is_answered else 0.5
    return is_answered, look.verdict.confidence + likely


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
