"""A question file -> what became of every question, and what that says of the index.

Every question takes the path that the doors take, one after the other. Does not cover showing or
judging the report (report.py), the formulas (metrics.py), nor making an index of a corpus.
"""

import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from rag import metrics
from rag.errors import QuestionRejected, UnreadableFile
from rag.ingest import Report as IngestReport
from rag.metrics import Estimate, RiskPoint, Span
from rag.records import Counts, Records
from rag.types import Answer, Article, Citation, Language, Question, Reason

if sys.platform != "win32":
    import resource


TOP_K = 10  # so that recall@10 can be measured
MARKER = re.compile(r"\[([0-9]+)\]")
REJECTED = "The question was rejected."
Progress = Callable[[int, int], None]  # questions done, questions in all


class Answerer(Protocol):
    """What is measured: rag.answer.Answerer, or a scripted one in tests."""

    def question(self, text: str, lang: str = "auto", top_k: int | None = None) -> Question:
        """The question, cleaned; raises QuestionRejected."""

    def answer_now(self, question: Question) -> Answer:
        """The answer as every door gives it."""


# --- question files ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EvalQuestion:
    """One line of a question file; each of `answers` is a choice of alternatives."""

    id: str
    text: str
    language: Language
    answerable: bool
    answers: tuple[tuple[str, ...], ...] = ()
    evidence: tuple[str, ...] = ()
    passage_ids: tuple[str, ...] = ()
    kind: str = ""


def read_questions(path: Path) -> list[EvalQuestion]:
    """The questions of a JSONL file, at least one; unknown keys are ignored.

    Raises:
        UnreadableFile: naming the first line that is wrong, and what is wrong with it.
    """
    questions: dict[str, EvalQuestion] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            question = _question(line)
        except ValueError as exc:
            raise UnreadableFile(f"{path} line {number} {exc}.") from exc
        if question.id in questions:
            raise UnreadableFile(
                f'{path} line {number} repeats the id "{question.id}"; give every question its own.'
            )
        questions[question.id] = question
    if not questions:
        raise UnreadableFile(f"{path} holds no question; write one JSON object a line.")
    return list(questions.values())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError as exc:
        raise UnreadableFile(f"{path} does not exist; check the path.") from exc
    except UnicodeDecodeError as exc:
        raise UnreadableFile(f"{path} is not UTF-8 text; save it as UTF-8.") from exc
    except OSError as exc:
        raise UnreadableFile(f"{path} can't be read ({exc.strerror}); check the path.") from exc


def _question(line: str) -> EvalQuestion:
    """One line; ValueError says what is wrong, as the end of a sentence."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise ValueError("is not JSON; write one object a line") from exc
    if not isinstance(row, dict):
        raise ValueError("is no object; write one question a line")
    if not isinstance(row.get("answerable"), bool):
        raise ValueError('has no "answerable"; write true or false')
    return EvalQuestion(
        id=_text(row, "id"),
        text=_text(row, "question"),
        language=_language(_text(row, "lang")),
        answerable=row["answerable"],
        answers=tuple(_alternatives(entry) for entry in _texts(row, "answers")),
        evidence=_texts(row, "evidence"),
        passage_ids=_texts(row, "passage_ids"),
        kind=_text(row, "kind") if row.get("kind") is not None else "",
    )


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'has no text under "{key}"; add it')
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError(f'holds half a character under "{key}"; save it again as UTF-8')
    return value


def _texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of texts; a missing one is empty."""
    values = row.get(key) or []
    if not isinstance(values, list):
        raise ValueError(f'has no list under "{key}"; write ["...", ...]')
    return tuple(_text({key: value}, key) for value in values)


def _alternatives(entry: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in entry.split("|") if part.strip())
    if not found:
        raise ValueError(f'has no answer in "{entry}"; write "one|another"')
    return found


def _language(tag: str) -> Language:
    """zh or en, of which the file may name a variety (zh-Hant)."""
    match tag.lower().replace("_", "-").split("-")[0]:
        case "zh":
            return "zh"
        case "en":
            return "en"
        case _:
            raise ValueError('has another "lang" than zh or en; these two are measured')


# --- evidence ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Located:
    """A question's evidence, each piece with all its places (none: it is in `missing`)."""

    places: tuple[tuple[Span, ...], ...]
    missing: tuple[str, ...]


def locate(question: EvalQuestion, articles: Iterable[Article]) -> Located:
    """Where the evidence stands verbatim; what stands nowhere so, where it does but for whitespace.

    Offsets are true ones either way. The title of an article is not searched: nothing cites it.
    """
    articles = list(articles)
    places = tuple(_places(text, articles) for text in question.evidence)
    pairs = zip(question.evidence, places, strict=True)
    return Located(places, tuple(text for text, found in pairs if not found))


def _places(evidence: str, articles: Sequence[Article]) -> tuple[Span, ...]:
    for find in (_verbatim, _but_for_whitespace):
        found = tuple(
            Span(article.article_id, start, end)
            for article in articles
            for start, end in find(evidence, article.text)
        )
        if found:
            return found
    return ()


def _verbatim(evidence: str, text: str) -> Iterator[tuple[int, int]]:
    start = text.find(evidence)
    while start >= 0:
        yield start, start + len(evidence)
        start = text.find(evidence, start + 1)


def _but_for_whitespace(evidence: str, text: str) -> Iterator[tuple[int, int]]:
    ranges = list(_verbatim("".join(evidence.split()), "".join(text.split())))
    if ranges:
        kept = [i for i, char in enumerate(text) if not char.isspace()]
        yield from ((kept[start], kept[end - 1] + 1) for start, end in ranges)


# --- one question --------------------------------------------------------------------------------

Share = tuple[float, float]  # what was reached, of how much


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one question.

    `scores` holds, by the name of a measure, this question's part and whole of it; a measure that
    doesn't concern the question is not there. `ranks` are the best ranks of what was wanted, None
    where it isn't among the passages. `covered` says for each citation which evidence it covers.
    `problems` are broken promises of INTERFACE. `loss` is 0 for a right answer, 1 for a wrong one.
    """

    question: EvalQuestion
    answer: Answer
    ms: float
    scores: Mapping[str, Share]
    ranks: tuple[int | None, ...]
    covered: tuple[frozenset[int], ...]
    missing_evidence: tuple[str, ...]
    missing_passage_ids: tuple[str, ...]
    problems: tuple[str, ...]
    loss: float | None


def judged(
    question: EvalQuestion, answer: Answer, ms: float, articles: Mapping[str, Article]
) -> Outcome:
    """An answer, measured against what its question wanted; `articles` are all, by id."""
    located = locate(question, articles.values())
    ranking = _ranking(question, located, answer)
    spans = [Span(c.article_id, c.start, c.end) for c in answer.citations]
    promises = kept_promises(answer, articles)
    scores = {
        **_retrieval_scores(question, ranking),
        **_answer_scores(question, answer),
        **_citation_scores(question, located, spans),
        "verified_share": (promises.sound, promises.sound + len(promises.problems)),
        **_refusal_scores(question, answer),
    }
    wanted = question.evidence or question.passage_ids
    return Outcome(
        question=question,
        answer=answer,
        ms=ms,
        scores=scores,
        ranks=tuple(_rank(i, ranking) for i in range(len(wanted))),
        covered=tuple(metrics.covered(span, located.places) for span in spans),
        missing_evidence=located.missing,
        missing_passage_ids=tuple(id_ for id_ in question.passage_ids if id_ not in articles),
        problems=promises.problems,
        loss=_loss(question, answer, scores),
    )


def _ranking(question: EvalQuestion, located: Located, answer: Answer) -> list[frozenset[int]]:
    """What each passage holds: evidence, or a wanted article where the file names no evidence.

    Ranks are those of passages: two passages of an article take two ranks.
    """
    passages = [hit.passage for hit in answer.passages]
    if question.evidence:
        spans = [Span(p.article_id, p.start, p.end) for p in passages]
        return [metrics.covered(span, located.places) for span in spans]
    wanted = question.passage_ids
    return [frozenset(i for i, id_ in enumerate(wanted) if id_ == p.article_id) for p in passages]


def _rank(item: int, ranking: Sequence[frozenset[int]]) -> int | None:
    return next((rank for rank, held in enumerate(ranking, start=1) if item in held), None)


def _retrieval_scores(
    question: EvalQuestion, ranking: Sequence[frozenset[int]]
) -> dict[str, Share]:
    wanted = len(question.evidence or question.passage_ids)
    if not (question.answerable and wanted):
        return {}
    hits = {f"hit@{k}": (metrics.hit(ranking, k), 1.0) for k in (1, 3, 5)}
    return {
        **hits,
        "recall@10": (metrics.recall(ranking, wanted, 10), 1.0),
        "mrr@10": (metrics.reciprocal_rank(ranking, 10), 1.0),
        "ndcg@10": (metrics.ndcg(ranking, wanted, 10), 1.0),
    }


def _answer_scores(question: EvalQuestion, answer: Answer) -> dict[str, Share]:
    """A refusal holds no answer, whatever words it is made of."""
    if not (question.answerable and question.answers):
        return {}
    texts = [] if answer.abstained else [answer.answer_plain, *(c.quote for c in answer.citations)]
    said = "" if answer.abstained else answer.answer_plain
    return {
        "answer_recall": (metrics.answer_recall(question.answers, texts), 1.0),
        "character_f1": (metrics.character_f1(question.answers, said), 1.0),
    }


def _citation_scores(
    question: EvalQuestion, located: Located, citations: Sequence[Span]
) -> dict[str, Share]:
    """Precision and compression are pooled, so that each citation weighs the same."""
    if not (question.answerable and question.evidence):
        return {}
    evidence = located.places
    return {
        "evidence_recall": (metrics.evidence_recall(citations, evidence), 1.0),
        "citation_precision": (metrics.covering(citations, evidence), len(citations)),
        "quote_compression": metrics.quote_chars(citations, evidence),
    }


def _refusal_scores(question: EvalQuestion, answer: Answer) -> dict[str, Share]:
    name = "refused_answerable" if question.answerable else "refused_unanswerable"
    return {name: (float(answer.abstained), 1.0)}


def _loss(question: EvalQuestion, answer: Answer, scores: Mapping[str, Share]) -> float | None:
    """1 less evidence recall, else less answer recall; None for a refusal or nothing to judge by.

    An answer to a question that the articles don't answer is all wrong.
    """
    if answer.abstained:
        return None
    if not question.answerable:
        return 1.0
    judge = next((name for name in ("evidence_recall", "answer_recall") if name in scores), None)
    return 1.0 - scores[judge][0] if judge else None


# --- promises ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Promises:
    """How many citations keep every promise of INTERFACE, and each promise that is broken."""

    sound: int
    problems: tuple[str, ...]


def kept_promises(answer: Answer, articles: Mapping[str, Article]) -> Promises:
    """Checks the invariants of INTERFACE; a citation breaks one at most. `articles` by id."""
    marked = {int(match[1]) for match in MARKER.finditer(answer.answer)}
    numbers = Counter(citation.n for citation in answer.citations)
    citations = [_citation_problem(c, marked, numbers, articles) for c in answer.citations]
    orphans = [f"[{n}] has no citation" for n in sorted(marked - set(numbers))]
    problems = (*citations, *orphans, _refusal_problem(answer))
    return Promises(citations.count(""), tuple(problem for problem in problems if problem))


def _citation_problem(
    citation: Citation,
    marked: set[int],
    numbers: Mapping[int, int],
    articles: Mapping[str, Article],
) -> str:
    n = f"citation {citation.n}"
    article = articles.get(citation.article_id)
    if article is None:
        return f"{n} names the article {citation.article_id}, which is not there"
    if not _is_exact(citation, article):
        return f"{n} is not what the article says at {citation.start} to {citation.end}"
    if not citation.verified:
        return f"{n} is not marked as verified"
    if citation.n not in marked:
        return f"{n} is not marked in the answer"
    if numbers[citation.n] > 1:
        return f"{n} is there {numbers[citation.n]} times"
    return ""


def _is_exact(citation: Citation, article: Article) -> bool:
    start, end = citation.start, citation.end
    inside = 0 <= start < end <= len(article.text)
    return inside and article.text[start:end] == citation.quote


def _refusal_problem(answer: Answer) -> str:
    if answer.abstained and answer.citations:
        return "a refusal has citations"
    if answer.abstained and answer.reason not in get_args(Reason):
        return f"a refusal has the reason {answer.reason}"
    if not answer.abstained and not answer.citations:
        return "an answer has no citation"
    return ""


# --- all questions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measure:
    """How a measure is called, which way is good, and whether it sums the scores of questions."""

    name: str
    label: str
    digits: int = 3
    best: Literal["high", "low"] = "high"
    pooled: bool = True


GROUPS: tuple[tuple[str, tuple[Measure, ...]], ...] = (
    (
        "Retrieval",
        (
            Measure("hit@1", "hit@1"),
            Measure("hit@3", "hit@3"),
            Measure("hit@5", "hit@5"),
            Measure("recall@10", "recall@10"),
            Measure("mrr@10", "MRR@10"),
            Measure("ndcg@10", "nDCG@10"),
        ),
    ),
    (
        "Answers",
        (Measure("answer_recall", "answer recall"), Measure("character_f1", "character F1")),
    ),
    (
        "Citations",
        (
            Measure("evidence_recall", "evidence recall"),
            Measure("citation_precision", "citation precision"),
            Measure("quote_compression", "quote compression", 2, "low"),
            Measure("verified_share", "verified share"),
        ),
    ),
    (
        "Abstention",
        (
            Measure("auroc", "AUROC of confidence", pooled=False),
            Measure("refused_unanswerable", "unanswerable refused"),
            Measure("refused_answerable", "answerable refused", best="low"),
        ),
    ),
    (
        "Cost",
        (
            Measure("p50_ms", "p50 ms a question", 1, "low", pooled=False),
            Measure("p95_ms", "p95 ms a question", 1, "low", pooled=False),
            Measure("ingest_seconds", "seconds to ingest", 1, "low", pooled=False),
            Measure("ingest_passages_per_s", "passages/s to ingest", 1, pooled=False),
            Measure("peak_memory_mb", "peak memory, MB", 0, "low", pooled=False),
        ),
    ),
)
MEASURES: Mapping[str, Measure] = {m.name: m for _, measures in GROUPS for m in measures}
_POOLED = tuple(name for name in MEASURES if MEASURES[name].pooled)


@dataclass(frozen=True, slots=True)
class EvalReport:
    """What a question file says about an index; `metrics` by name, in the order of GROUPS."""

    outcomes: tuple[Outcome, ...]
    metrics: Mapping[str, Estimate]
    by_language: Mapping[str, Mapping[str, Estimate]]
    by_kind: Mapping[str, Mapping[str, Estimate]]
    risk_coverage: tuple[RiskPoint, ...]
    counts: Counts
    model: str
    embedding_model: str
    created: datetime
    seconds: float
    cores: int


def run(
    questions: Sequence[EvalQuestion],
    answerer: Answerer,
    records: Records,
    progress: Progress | None = None,
    ingested: IngestReport | None = None,
) -> EvalReport:
    """Asks every question and measures the answers; `ingested` says what the corpus took.

    Raises:
        StoreUnavailable, IndexMismatch: as the doors meet them; a rejected question is a refusal.
    """
    created, started = datetime.now(UTC), time.perf_counter()
    articles = {article.article_id: article for article in _articles(records)}
    outcomes = []
    for done, question in enumerate(questions, start=1):
        answer, ms = _asked(question, answerer)
        outcomes.append(judged(question, answer, ms, articles))
        if progress:
            progress(done, len(questions))
    return EvalReport(
        outcomes=tuple(outcomes),
        metrics=measured(outcomes) | _cost(ingested),
        by_language=_by(outcomes, lambda o: o.question.language, get_args(Language)),
        by_kind=_by(outcomes, lambda o: o.question.kind, sorted({q.kind for q in questions})),
        risk_coverage=tuple(_risk_coverage(outcomes)),
        counts=records.counts(),
        model=", ".join(sorted({o.answer.model for o in outcomes if o.answer.model})),
        embedding_model=records.model,
        created=created,
        seconds=time.perf_counter() - started,
        cores=os.cpu_count() or 1,
    )


def _articles(records: Records) -> Iterator[Article]:
    page = records.articles()
    while page:
        yield from page
        page = records.articles(after=page[-1].article_id)


def _asked(question: EvalQuestion, answerer: Answerer) -> tuple[Answer, float]:
    """The answer as a door would give it, and the milliseconds that it took."""
    started = time.perf_counter()
    try:
        answer = answerer.answer_now(answerer.question(question.text, top_k=TOP_K))
    except QuestionRejected as exc:
        answer = _rejection(question, str(exc))
    return answer, (time.perf_counter() - started) * 1000


def _rejection(question: EvalQuestion, why: str) -> Answer:
    return Answer(
        question=question.text,
        language=question.language,
        answer=why,
        answer_plain=why,
        abstained=True,
        reason="too_vague",
        confidence=0.0,
        mode="extractive",
        model="",
        note=REJECTED,
    )


def _by(
    outcomes: Sequence[Outcome], key: Callable[[Outcome], str], names: Iterable[str]
) -> dict[str, dict[str, Estimate]]:
    """The measures of each group that has a name and a question."""
    groups = {name: [o for o in outcomes if key(o) == name] for name in names if name}
    return {name: measured(some) for name, some in groups.items() if some}


def measured(outcomes: Sequence[Outcome]) -> dict[str, Estimate]:
    """Every measure that questions alone give, in the order of GROUPS."""
    ms = [o.ms for o in outcomes]
    found = {name: _pooled(name, outcomes) for name in _POOLED} | {
        "auroc": metrics.auroc(
            [o.answer.confidence for o in outcomes if o.question.answerable],
            [o.answer.confidence for o in outcomes if not o.question.answerable],
        ),
        "p50_ms": metrics.quantile(ms, 0.50),
        "p95_ms": metrics.quantile(ms, 0.95),
    }
    return {name: found[name] for name in MEASURES if name in found}


def _pooled(name: str, outcomes: Sequence[Outcome]) -> Estimate:
    shares = [o.scores[name] for o in outcomes if name in o.scores]
    return metrics.ratio([part for part, _ in shares], [whole for _, whole in shares])


def _risk_coverage(outcomes: Sequence[Outcome]) -> list[RiskPoint]:
    given = [(o.answer.confidence, o.loss) for o in outcomes if o.loss is not None]
    return metrics.risk_coverage([c for c, _ in given], [loss for _, loss in given], len(outcomes))


def _cost(ingested: IngestReport | None) -> dict[str, Estimate]:
    """What was measured once, so without an interval."""
    cost = {}
    if ingested:
        n, seconds = ingested.passages, ingested.seconds
        cost["ingest_seconds"] = Estimate(seconds, n)
        cost["ingest_passages_per_s"] = Estimate(n / seconds if seconds else None, n)
    if (peak := peak_memory_mb()) is not None:
        cost["peak_memory_mb"] = Estimate(peak, 1)
    return cost


def peak_memory_mb() -> float | None:
    """The most memory that this process has held, in MB of 10^6 bytes; None on Windows."""
    if sys.platform == "win32":
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
