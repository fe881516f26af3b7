"""Fits whether to answer at all to a question file of one's own: the judge's weights, a threshold.

The weights start from those that ship and move only as far as cross-validation says they may; the
threshold is chosen on probabilities of weights that had not seen the question. Does not cover the
weights of sentences, nor how those that ship are made (`make fit`).
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag import extract, judge, looking, metrics
from rag.errors import QuestionRejected, WrongUse
from rag.evaluate import TOP_K, Answerer, Progress
from rag.measuring import estimates
from rag.measuring.estimates import Estimate
from rag.measuring.questions import EvalQuestion, locate
from rag.metrics import Span
from rag.records import Records
from rag.retrieve import Retriever
from rag.types import Article, Question
from rag.weights import Weights, logistic

FOLDS = 5
LEAST = 10  # questions of each kind, below which cross-validation says nothing
# How strongly the weights are held to those that ship; the last one leaves them as they are.
PULLS = (1.0, 4.0, 16.0, 64.0, 1e6)
_NAMES = {"refused": "answerable questions refused", "wrong": "wrong answers"}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Case:
    """One question as the judge sees it.

    `row` are its features; `loss` is what an answer would have wrong, 0 to 1; below a probability
    of `floor` it is refused whatever the threshold, because a name is missing.
    """

    row: Floats
    answerable: bool
    loss: float
    floor: float


@dataclass(frozen=True, slots=True)
class Aim:
    """What the threshold may cost: a share of answerable questions refused, or of answers wrong."""

    of: Literal["refused", "wrong"]
    share: float


@dataclass(frozen=True, slots=True)
class Figures:
    """How a judge fares: the AUROC of its probabilities, and what its threshold does."""

    auroc: Estimate
    refused_answerable: float
    refused_unanswerable: float | None  # None: every question has an answer
    wrong: float

    def to_json(self) -> dict[str, object]:
        """By name, to six decimals; the AUROC as every estimate."""
        shares = {k: round(v, 6) for k, v in asdict(self).items() if isinstance(v, float)}
        return {"auroc": self.auroc.to_json(), "refused_unanswerable": None, **shares}


@dataclass(frozen=True, slots=True)
class Fitted:
    """New weights; what the old ones did on the questions, and the new ones on those held out."""

    weights: Weights
    refitted: bool  # False: only the threshold is new
    n: int
    before: Figures
    after: Figures

    def to_json(self) -> dict[str, object]:
        """What `wenbao evaluate --fit --json` prints."""
        return {
            "model": self.weights.model,
            "questions": self.n,
            "refitted": self.refitted,
            "threshold": self.weights.threshold,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
        }


# --- cases ---------------------------------------------------------------------------------------


def cases(
    questions: Sequence[EvalQuestion],
    answerer: Answerer,
    retriever: Retriever,
    records: Records,
    weights: Weights,
    progress: Progress | None = None,
) -> list[Case]:
    """What the judge sees of each question; a question that is rejected says nothing."""
    found = []
    for done, each in enumerate(questions, start=1):
        with contextlib.suppress(QuestionRejected):
            asked = answerer.question(each.text, top_k=TOP_K)
            found.append(_case(each, asked, retriever, records, weights))
        if progress:
            progress(done, len(questions))
    return found


def _case(
    each: EvalQuestion,
    question: Question,
    retriever: Retriever,
    records: Records,
    weights: Weights,
) -> Case:
    seen = looking.look(question, retriever, records, weights.sentence)
    findings, pool, chances = seen.findings, seen.pool, seen.chances
    quotes = extract.choose(question.text, extract.seen(pool, chances, findings))
    hopeless = not pool or judge.small_talk(question) or judge.is_vague(findings)
    missing = judge.missing_names(findings)
    return Case(
        judge.features(question, findings, pool, chances),
        each.answerable,
        _loss(each, [Span(q.article_id, q.start, q.end) for q in quotes], seen.articles),
        math.inf if hopeless else judge.SURE if missing else 0.0,
    )


def _loss(each: EvalQuestion, quotes: Sequence[Span], articles: Mapping[str, Article]) -> float:
    """1 less the evidence that is quoted, or where there is none, whether its article is."""
    if not each.answerable:
        return 1.0
    if each.evidence:
        places = locate(each, articles.values()).places
        return 1.0 - metrics.evidence_recall(quotes, places)
    wanted = set(each.passage_ids)
    return float(bool(wanted) and not wanted & {span.article_id for span in quotes})


# --- fitting -------------------------------------------------------------------------------------


def fit(some: Sequence[Case], shipped: Weights, now: Weights, aim: Aim, model: str) -> Fitted:
    """Weights for `model` that begin with those that ship; `now` are those that it has so far.

    Raises:
        WrongUse: if there are too few questions, or no threshold reaches the aim.
    """
    rows = np.array([case.row for case in some])
    labels = np.array([float(case.answerable) for case in some])
    answerable, unanswerable = int(labels.sum()), int((1 - labels).sum())
    if answerable < LEAST or (aim.of == "wrong" and unanswerable < LEAST):
        raise WrongUse(
            f"{answerable} questions that have an answer and {unanswerable} that have none are too"
            f" few to fit on; write at least {LEAST} of each."
        )
    before = np.array(logistic(judge.FEATURES, now.judge, rows))
    start = np.array([shipped.judge[name] for name in judge.FEATURES])
    held_out, found = np.array(logistic(judge.FEATURES, shipped.judge, rows)), start
    if unanswerable >= LEAST:
        pull, held_out = _cross_validated(rows, labels, start)
        found = newton(rows, labels, np.ones(len(labels)), pull, start)
    chosen = _threshold(held_out, some, aim)
    new = replace(
        shipped,
        model=model,
        judge=dict(zip(judge.FEATURES, (round(float(w), 4) for w in found), strict=True)),
        threshold=round(chosen, 4),
    )
    return Fitted(
        new,
        not np.array_equal(found, start),
        len(some),
        figures(before, some, now.threshold_for(model)),
        figures(held_out, some, new.threshold),
    )


def newton(
    rows: Floats,
    labels: Floats,
    weights: Floats,
    ridge: float = 1.0,
    start: Floats | None = None,
) -> Floats:
    """Weighted logistic regression by Newton's method, held to `start` (0) by `ridge`."""
    origin = np.zeros(rows.shape[1]) if start is None else start
    found = origin.copy()
    pull = ridge * np.eye(rows.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(rows @ found, -30, 30)))
        slope = rows.T @ (weights * (p - labels)) + pull @ (found - origin)
        curve = (rows * (weights * p * (1 - p))[:, None]).T @ rows + pull
        found -= np.linalg.solve(curve, slope)
    return found


def _cross_validated(rows: Floats, labels: Floats, start: Floats) -> tuple[float, Floats]:
    """The pull that foretells held-out questions best, and their probabilities under it."""
    tried = {pull: _held_out(rows, labels, start, pull) for pull in PULLS}
    best = min(PULLS, key=lambda pull: _surprise(tried[pull], labels))
    return best, tried[best]


def _held_out(rows: Floats, labels: Floats, start: Floats, pull: float) -> Floats:
    """The probability of each question by weights that were fitted without it."""
    found = np.zeros(len(labels))
    folds = _folds(labels)
    for fold in range(FOLDS):
        train = folds != fold
        fitted = newton(rows[train], labels[train], np.ones(train.sum()), pull, start)
        found[~train] = 1 / (1 + np.exp(-np.clip(rows[~train] @ fitted, -30, 30)))
    return found


def _folds(labels: Floats) -> NDArray[np.int64]:
    """The fold of each question: in turn, apart for those that have an answer and those without."""
    folds = np.zeros(len(labels), np.int64)
    for kind in (0.0, 1.0):
        folds[labels == kind] = np.arange((labels == kind).sum()) % FOLDS
    return folds


def _surprise(probabilities: Floats, labels: Floats) -> float:
    """The mean log loss."""
    p = np.clip(probabilities, 1e-6, 1 - 1e-6)
    return float(-np.where(labels > 0, np.log(p), np.log(1 - p)).mean())


# --- the threshold -------------------------------------------------------------------------------


def figures(probabilities: Floats, some: Sequence[Case], threshold: float) -> Figures:
    """What a judge of these probabilities does with this threshold."""
    answerable = np.array([case.answerable for case in some])
    given = _given(probabilities, some, threshold)
    return Figures(
        estimates.auroc(list(probabilities[answerable]), list(probabilities[~answerable])),
        _cost(given, some, Aim("refused", 0)),
        _mean(~given[~answerable]) if not answerable.all() else None,
        _cost(given, some, Aim("wrong", 0)),
    )


def _threshold(probabilities: Floats, some: Sequence[Case], aim: Aim) -> float:
    """The highest that refuses no larger share, or the lowest that has no larger share wrong.

    Raises:
        WrongUse: if there is none.
    """
    ordered = np.unique(probabilities)
    between = [0.0, *((ordered[:-1] + ordered[1:]) / 2)]
    costs = [_cost(_given(probabilities, some, threshold), some, aim) for threshold in between]
    fit_for = [t for t, cost in zip(between, costs, strict=True) if cost <= aim.share]
    if not fit_for:
        raise WrongUse(
            f"The least share of {_NAMES[aim.of]} that a threshold reaches on these questions is"
            f" {min(costs):.3f}; name that or more."
        )
    return float(max(fit_for) if aim.of == "refused" else min(fit_for))


def _cost(given: NDArray[np.bool_], some: Sequence[Case], aim: Aim) -> float:
    """The share of answerable questions refused, or of the answers given that are wrong."""
    if aim.of == "refused":
        return _mean(~given[np.array([case.answerable for case in some])])
    return _mean(np.array([case.loss for case in some])[given])


def _given(probabilities: Floats, some: Sequence[Case], threshold: float) -> NDArray[np.bool_]:
    """Which questions are answered."""
    floors = np.array([case.floor for case in some])
    found: NDArray[np.bool_] = probabilities >= np.maximum(floors, threshold)
    return found


def _mean(values: NDArray[np.bool_] | Floats) -> float:
    """The mean; of nothing 0, as where no answer is given none is wrong."""
    return float(values.mean()) if len(values) else 0.0
