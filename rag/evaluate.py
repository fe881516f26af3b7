"""Questions -> what became of each, and what that says of the index.

Every question takes the path that the doors take, one after the other. Does not cover question
files (questions.py), the formulas (metrics.py), showing or judging the report (report.py), nor
making an index of a corpus.
"""

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, get_args

from rag import metrics
from rag.errors import QuestionRejected
from rag.ingest import Report as IngestReport
from rag.measuring import estimates
from rag.measuring.estimates import Estimate
from rag.measuring.measures import MEASURES, POOLED
from rag.measuring.questions import EvalQuestion, Located, locate
from rag.metrics import Bin, RiskPoint, Span
from rag.records import Counts, Records
from rag.types import Answer, Article, Citation, Language, Question, Reason

if sys.platform != "win32":
    import resource


TOP_K = 10  # so that recall@10 can be measured
BINS = 10  # of the calibration curve
MARKER = re.compile(r"\[([0-9]+)\]")
REJECTED = "The question was rejected."
Progress = Callable[[int, int], None]  # questions done, questions in all


class Answerer(Protocol):
    """What is measured: rag.answer.Answerer, or a scripted one in tests."""

    def question(self, text: str, lang: str = "auto", top_k: int | None = None) -> Question:
        """The question, cleaned; raises QuestionRejected."""

    def answer_now(self, question: Question) -> Answer:
        """The answer as every door gives it."""


@dataclass(frozen=True, slots=True)
class Timed:
    """An answer and the milliseconds that it took."""

    answer: Answer
    ms: float


class Kept(Protocol):
    """Answers of an earlier run that was stopped: rag.measuring.resume.Kept."""

    def find(self, question_id: str) -> Timed | None:
        """The answer that is kept, or None."""

    def add(self, question_id: str, timed: Timed) -> None:
        """Keeps an answer."""


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


def misses(outcome: Outcome) -> list[str]:
    """What went wrong with a question, in words; empty if nothing did."""
    question, answer, scores = outcome.question, outcome.answer, outcome.scores
    wrong = {
        "rejected": answer.note == REJECTED,
        "refused, though there is an answer": question.answerable and answer.abstained,
        "answered, though there is no answer": not (question.answerable or answer.abstained),
        "evidence not cited": not answer.abstained and _lacks(scores, "evidence_recall"),
        "answer not given": not answer.abstained and _lacks(scores, "answer_recall"),
        "not among the passages": _lacks(scores, "recall@10"),
    }
    return [what for what, is_so in wrong.items() if is_so] + list(outcome.problems)


def _lacks(scores: Mapping[str, Share], name: str) -> bool:
    part, whole = scores.get(name, (1.0, 1.0))
    return part < whole


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
class EvalReport:
    """What a question file says about an index; `metrics` by name, in the order of MEASURES.

    `resumed` counts the answers that an earlier run had given.
    """

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
    resumed: int = 0


def run(
    questions: Sequence[EvalQuestion],
    answerer: Answerer,
    records: Records,
    progress: Progress | None = None,
    ingested: IngestReport | None = None,
    kept: Kept | None = None,
) -> EvalReport:
    """Asks every question that `kept` has no answer of, and measures the answers.

    `ingested` says what the corpus took.

    Raises:
        StoreUnavailable, IndexMismatch: as the doors meet them; a rejected question is a refusal.
    """
    created, started = datetime.now(UTC), time.perf_counter()
    articles = {article.article_id: article for article in all_articles(records)}
    outcomes, resumed = [], 0
    for done, question in enumerate(questions, start=1):
        timed = kept.find(question.id) if kept else None
        resumed += timed is not None
        timed = timed or _asked(question, answerer, kept)
        outcomes.append(judged(question, timed.answer, timed.ms, articles))
        if progress:
            progress(done, len(questions))
    return EvalReport(
        outcomes=tuple(outcomes),
        metrics=measured(outcomes) | _cost(ingested),
        by_language=_by(outcomes, lambda o: o.question.language, get_args(Language)),
        by_kind=_by(outcomes, lambda o: o.question.kind, sorted({q.kind for q in questions})),
        risk_coverage=tuple(risk_coverage(outcomes)),
        counts=records.counts(),
        model=", ".join(sorted({o.answer.model for o in outcomes if o.answer.model})),
        embedding_model=records.model,
        created=created,
        seconds=time.perf_counter() - started,
        cores=os.cpu_count() or 1,
        resumed=resumed,
    )


def all_articles(records: Records) -> Iterator[Article]:
    """Every article, by id."""
    page = records.articles()
    while page:
        yield from page
        page = records.articles(after=page[-1].article_id)


def _asked(question: EvalQuestion, answerer: Answerer, kept: Kept | None) -> Timed:
    """The answer as a door would give it, kept for a later run if this one is stopped."""
    started = time.perf_counter()
    try:
        answer = answerer.answer_now(answerer.question(question.text, top_k=TOP_K))
    except QuestionRejected as exc:
        answer = _rejection(question, str(exc))
    timed = Timed(answer, (time.perf_counter() - started) * 1000)
    if kept:
        kept.add(question.id, timed)
    return timed


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
    """Every measure that questions alone give, in the order of MEASURES."""
    ms = [o.ms for o in outcomes]
    found = {name: _pooled(name, outcomes) for name in POOLED} | {
        "auroc": estimates.auroc(
            [o.answer.confidence for o in outcomes if o.question.answerable],
            [o.answer.confidence for o in outcomes if not o.question.answerable],
        ),
        "p50_ms": estimates.quantile(ms, 0.50),
        "p95_ms": estimates.quantile(ms, 0.95),
    }
    return {name: found[name] for name in MEASURES if name in found}


# --- curves --------------------------------------------------------------------------------------


def hit_curve(outcomes: Sequence[Outcome]) -> list[float]:
    """hit@k for each k from 1 to TOP_K; empty where no question wants a passage."""
    asked = [o for o in outcomes if "hit@1" in o.scores]
    best = [min((rank for rank in o.ranks if rank), default=TOP_K + 1) for o in asked]
    return [sum(r <= k for r in best) / len(best) for k in range(1, TOP_K + 1) if best]


def risk_coverage(outcomes: Sequence[Outcome]) -> list[RiskPoint]:
    """What is wrong of the answers given, if only the most confident were."""
    given = [(o.answer.confidence, o.loss) for o in outcomes if o.loss is not None]
    return metrics.risk_coverage([c for c, _ in given], [loss for _, loss in given], len(outcomes))


def calibration(outcomes: Sequence[Outcome]) -> list[Bin]:
    """How often there was an answer, by tenths of confidence."""
    confidences = [o.answer.confidence for o in outcomes]
    return metrics.calibration(confidences, [o.question.answerable for o in outcomes], BINS)


# --- measures ------------------------------------------------------------------------------------


def _pooled(name: str, outcomes: Sequence[Outcome]) -> Estimate:
    shares = [o.scores[name] for o in outcomes if name in o.scores]
    return estimates.ratio([part for part, _ in shares], [whole for _, whole in shares])


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
