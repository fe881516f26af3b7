"""Whether the passages answer the question at all: a probability, and why not where they don't.

A cosine threshold can't tell (the cosines of answerable and unanswerable questions overlap almost
wholly); how much of the question is met, and where it isn't, can. Weights: `weights.json`, fitted
by `make fit` on the tuning half of the sample questions and on development data.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.extract import Candidate, fits_kind, kind_of
from rag.retrieve import Findings
from rag.terms import STOP_WORDS, Concept
from rag.types import Question, Reason

FEATURES = (
    "bias best second late sharp cosine cosine_margin score_margin coverage around article"
    " missing absent names_here names_article numbers_here kind weakest weakest_article"
    " many_concepts few_concepts cross cross_late cross_cosine cross_coverage cross_weakest"
).split()
_SMALL_TALK = re.compile(
    r"^\W*(?:hi|hello|hey|thanks?|thank you|good (?:morning|evening|night)|bye|who are you|how are"
    r" you|what can you do|你好|您好|谢谢|早上好|晚上好|再见|你是谁|你能做什么|在吗|哈喽)\W*$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How likely the passages answer; `reason` is set where they are taken not to."""

    confidence: float
    reason: Reason | None = None
    missing: tuple[str, ...] = ()


def small_talk(question: Question) -> bool:
    """Whether this is a greeting or the like, which no article can answer."""
    return _SMALL_TALK.match(question.text) is not None


def is_vague(findings: Findings) -> bool:
    """Whether nothing in the question says what it is about."""
    return not findings.concepts


def missing_names(findings: Findings) -> tuple[str, ...]:
    """Names that the question asks about and that no article holds, as the asker wrote them."""
    return tuple(
        concept.surface
        for concept, idf in zip(findings.concepts, findings.idf, strict=True)
        if concept.kind == "name" and idf == 0 and concept.surface not in STOP_WORDS
    )


def verdict(probability: float, findings: Findings, threshold: float) -> Verdict:
    """Puts a probability into words.

    A name that no article holds is a reason of its own: the passages speak of something else.
    """
    missing = missing_names(findings)
    if is_vague(findings):
        return Verdict(min(probability, threshold / 2), "too_vague")
    if probability >= threshold:
        return Verdict(probability, None)
    if missing:
        return Verdict(probability, "entity_not_found", missing)
    met = [idf for idf in findings.idf if idf > 0]
    return Verdict(probability, "not_in_articles" if met else "off_topic")


def features(
    question: Question, findings: Findings, pool: Sequence[Candidate], chances: Sequence[float]
) -> NDArray[np.float64]:
    """What the judge sees; shape (len(FEATURES),)."""
    if not pool:
        return np.array([1.0] + [0.0] * (len(FEATURES) - 1))
    order = sorted(range(len(pool)), key=lambda i: -chances[i])
    best = pool[order[0]]
    idf = np.maximum(np.array(findings.idf), 0.1)
    rare = np.where(np.array(findings.idf) > 0, idf, 4.0)  # what stands nowhere is rarest of all
    hits = findings.hits
    article = best.match.hit.passage.article_id
    in_article = _met([c for c in pool if c.match.hit.passage.article_id == article])
    cosines = sorted((hit.cosine for hit in hits), reverse=True)
    scores = [hit.score for hit in hits]
    cross = float(_is_cross(question, best.text))
    around = _share(_met([best], around=True), rare)
    late, sharp = (best.late - 0.8) * 10, (best.sharp - 0.8) * 10
    cosine = (cosines[0] - 0.8) * 10
    weakest = _weakest([c for c in pool if c.match is best.match])
    return np.array(
        [
            1.0,
            _logit(chances[order[0]]),
            _logit(chances[order[1]]) if len(order) > 1 else -4.0,
            late,
            sharp,
            cosine,
            (cosines[0] - float(np.mean(cosines[1:10] or cosines))) * 20,
            (scores[0] - float(np.mean(scores[1:6] or scores))) * 10,
            _share(best.here, rare),
            around,
            _share(in_article, rare),
            float(np.mean([value == 0 for value in findings.idf] or [1.0])),
            float(bool(missing_names(findings))),
            _kind_share(findings.concepts, best.around, "name"),
            _kind_share(findings.concepts, in_article, "name"),
            _kind_share(findings.concepts, best.around, "number"),
            float(fits_kind(kind_of(question.text), best.text)),
            weakest,
            _weakest([c for c in pool if c.match.hit.passage.article_id == article]),
            min(len(findings.concepts), 12) / 6,
            float(len(findings.concepts) < 2),
            cross,
            cross * late,
            cross * cosine,
            cross * around,
            cross * weakest,
        ]
    )


def _met(pool: Sequence[Candidate], *, around: bool = True) -> tuple[bool, ...]:
    """Which concepts stand in any of these sentences' passages."""
    rows = [c.around if around else c.here for c in pool]
    return tuple(any(column) for column in zip(*rows, strict=True))


def _share(met: Sequence[bool], weights: NDArray[np.float64]) -> float:
    total = float(weights.sum())
    return float(np.array(met, float) @ weights) / total if total and len(met) else 0.0


def _weakest(pool: Sequence[Candidate]) -> float:
    """How well the worst-met third of the question's tokens is met by any of these sentences."""
    best = np.sort(np.max([c.row for c in pool], axis=0, initial=0.0))
    return float((best[: max(1, len(best) // 3)].mean() - 0.75) * 10) if len(best) else 0.0


def _kind_share(found: Sequence[Concept], met: Sequence[bool], kind: str) -> float:
    """1 where every concept of this kind is met, also where there is none."""
    of_kind = [m for c, m in zip(found, met, strict=True) if c.kind == kind]
    return sum(of_kind) / len(of_kind) if of_kind else 1.0


def _is_cross(question: Question, text: str) -> bool:
    """Whether question and passage are in different scripts."""
    chinese = sum("一" <= char <= "鿿" for char in text)
    return (question.language == "zh") != (chinese > len(text) / 4)


def _logit(chance: float) -> float:
    bounded = min(max(chance, 1e-4), 1 - 1e-4)
    return math.log(bounded / (1 - bounded))
