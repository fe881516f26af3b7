"""The formulas of an evaluation: what one question scores, and the curves over many.

Pure: values in, values out. Does not cover asking the questions (evaluate.py), finding the evidence
(questions.py), nor how sure a measure is (estimates.py).
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2


@dataclass(frozen=True, slots=True)
class Span:
    """A range of an article's text, in code points."""

    article_id: str
    start: int
    end: int


Evidence = Sequence[Sequence[Span]]  # what supports the answer, each with all of its places
Ranking = Sequence[frozenset[int]]  # best first: which of the wanted items each hit holds


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions of like confidence: how confident on the mean, and the share that had an answer."""

    confidence: float
    answerable: float
    n: int


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """When only answers of at least this `confidence` are given.

    `coverage` is the share of all questions answered then, `risk` the mean loss of those answers.
    """

    coverage: float
    risk: float
    confidence: float


# --- retrieval -----------------------------------------------------------------------------------


def hit(ranking: Ranking, k: int) -> float:
    """1 if one of the first k holds something wanted, else 0."""
    return float(any(ranking[:k]))


def recall(ranking: Ranking, wanted: int, k: int) -> float:
    """Share of the `wanted` items that the first k hold together."""
    return len(frozenset[int]().union(*ranking[:k])) / wanted


def reciprocal_rank(ranking: Ranking, k: int) -> float:
    """1 / rank of the first of k that holds something wanted, else 0."""
    return next((1 / rank for rank, held in enumerate(ranking[:k], start=1) if held), 0.0)


def ndcg(ranking: Ranking, wanted: int, k: int) -> float:
    """Discounted gain of the first k over that of the best order; a hit gains what it holds anew.

    The best order is made greedily of the hits at hand, then one hit for each item in none of them.
    With one wanted item this is the usual binary nDCG.
    """
    gained = _dcg(_gains(ranking)[:k])
    best = _dcg(_best_gains(ranking, wanted)[:k])
    return gained / max(gained, best)  # where greedy is not the best order, the given one may be


def _gains(ranking: Ranking) -> list[int]:
    """How many items each hit holds that none before it held."""
    seen: frozenset[int] = frozenset()
    gains = []
    for held in ranking:
        gains.append(len(held - seen))
        seen |= held
    return gains


def _best_gains(ranking: Ranking, wanted: int) -> list[int]:
    seen: frozenset[int] = frozenset()
    gains = []
    while best := max((held - seen for held in ranking), key=len, default=None):
        gains.append(len(best))
        seen |= best
    return gains + [1] * (wanted - len(seen))


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, start=1))


# --- citations -----------------------------------------------------------------------------------


def covers(span: Span, evidence: Span) -> bool:
    """Whether the overlap of the two is at least half of the evidence."""
    if span.article_id != evidence.article_id:
        return False
    overlap = min(span.end, evidence.end) - max(span.start, evidence.start)
    return overlap > 0 and 2 * overlap >= evidence.end - evidence.start


def covered(span: Span, evidence: Evidence) -> frozenset[int]:
    """Which pieces of the evidence a passage or a citation covers, in any of their places."""
    return frozenset(
        i for i, places in enumerate(evidence) if any(covers(span, place) for place in places)
    )


def evidence_recall(citations: Sequence[Span], evidence: Evidence) -> float:
    """Share of the evidence that some citation covers; there must be evidence."""
    return recall([covered(span, evidence) for span in citations], len(evidence), len(citations))


def covering(citations: Sequence[Span], evidence: Evidence) -> int:
    """How many citations cover some evidence: the upper part of citation precision."""
    return sum(bool(covered(span, evidence)) for span in citations)


def quote_chars(citations: Sequence[Span], evidence: Evidence) -> tuple[int, int]:
    """Characters of the citations that cover evidence, and of the evidence that they cover.

    The first over the second is quote compression. Evidence covered twice is counted once;
    citations that cover none are left to citation precision.
    """
    useful = [span for span in citations if covered(span, evidence)]
    places = [
        next((place for place in some if any(covers(span, place) for span in useful)), None)
        for some in evidence
    ]
    return _chars(useful), _chars([place for place in places if place])


def _chars(spans: Sequence[Span]) -> int:
    return sum(span.end - span.start for span in spans)


# --- answers -------------------------------------------------------------------------------------


def folded(text: str) -> str:
    """The text as answers are compared: NFKC, case folded, no whitespace."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def answer_recall(answers: Sequence[Sequence[str]], texts: Sequence[str]) -> float:
    """Share of the wanted answers of which one alternative stands in one of the texts."""
    said = [folded(text) for text in texts]
    found = (any(folded(a) in text for a in some for text in said) for some in answers)
    return sum(found) / len(answers)


def character_f1(answers: Sequence[Sequence[str]], text: str) -> float:
    """F1 of the text's characters against the wanted answers together, as multisets.

    Of each answer's alternatives, the one nearest to the text counts.
    """
    said = Counter(folded(text))
    nearest = (
        max((Counter(folded(a)) for a in some), key=lambda a: _f1(a, said)) for some in answers
    )
    return _f1(sum(nearest, Counter[str]()), said)


def _f1(wanted: Counter[str], said: Counter[str]) -> float:
    total = wanted.total() + said.total()
    return 2 * (wanted & said).total() / total if total else 0.0


# --- abstention ----------------------------------------------------------------------------------


def risk_coverage(
    confidences: Sequence[float], losses: Sequence[float], asked: int
) -> list[RiskPoint]:
    """The risk-coverage curve of the answers given, most confident first.

    `losses` run from 0 (right) to 1 (wrong), one an answer; `asked` counts the refused too.
    """
    order = sorted(range(len(confidences)), key=lambda i: -confidences[i])
    points: dict[float, RiskPoint] = {}
    lost = 0.0
    for given, i in enumerate(order, start=1):
        lost += losses[i]
        points[confidences[i]] = RiskPoint(given / asked, lost / given, confidences[i])
    return list(points.values())  # of equal confidences the last, since they come together


def calibration(confidences: Sequence[float], answerable: Sequence[bool], bins: int) -> list[Bin]:
    """The confidences from 0 to 1 in bins of like width; empty ones are left out."""
    found: dict[int, list[tuple[float, bool]]] = {}
    for confidence, has_answer in zip(confidences, answerable, strict=True):
        found.setdefault(min(int(confidence * bins), bins - 1), []).append((confidence, has_answer))
    return [
        Bin(sum(c for c, _ in some) / len(some), sum(a for _, a in some) / len(some), len(some))
        for _, some in sorted(found.items())
    ]


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Mean distance of confidence from share, each question weighing the same; None without any."""
    n = sum(each.n for each in bins)
    return sum(each.n * abs(each.confidence - each.answerable) for each in bins) / n if n else None
