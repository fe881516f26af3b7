"""The formulas: worked out by hand on small cases, and within their bounds on all."""

from itertools import pairwise
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import metrics
from rag.metrics import Bin, RiskPoint, Span

NONE: frozenset[int] = frozenset()
BOTH = frozenset({0, 1})
FIRST, SECOND = frozenset({0}), frozenset({1})

rankings = st.lists(st.frozensets(st.integers(0, 4), max_size=3), max_size=12)
shares = st.floats(0, 1)


def spans(article: str, *ranges: tuple[int, int]) -> list[Span]:
    return [Span(article, start, end) for start, end in ranges]


# --- retrieval


def test_ranks_count_from_the_first_hit_that_holds_something_wanted() -> None:
    ranking = [NONE, NONE, SECOND, FIRST]
    assert [metrics.hit(ranking, k) for k in (1, 3, 5)] == [0, 1, 1]
    assert metrics.reciprocal_rank(ranking, 10) == pytest.approx(1 / 3)
    assert metrics.reciprocal_rank(ranking, 2) == 0
    assert [metrics.recall(ranking, 2, k) for k in (2, 3, 4)] == [0, 0.5, 1]


def test_an_item_found_twice_is_recalled_once() -> None:
    assert metrics.recall([FIRST, FIRST], 2, 10) == 0.5


@pytest.mark.parametrize(
    ("ranking", "wanted", "ndcg"),
    [
        pytest.param([NONE, FIRST], 1, 1 / log2(3), id="one item at rank two"),
        pytest.param([FIRST, SECOND], 2, 1.0, id="two items in two passages"),
        pytest.param([BOTH], 2, 1.0, id="two items in one passage"),
        pytest.param([FIRST, FIRST, FIRST], 1, 1.0, id="the same again adds and costs nothing"),
        pytest.param([FIRST], 2, 1 / (1 + 1 / log2(3)), id="one of two is not there"),
        pytest.param([FIRST, BOTH], 2, (1 + 1 / log2(3)) / 2, id="the better passage comes later"),
        pytest.param([], 3, 0.0, id="nothing found"),
    ],
)
def test_ndcg_compares_with_the_best_order(
    ranking: list[frozenset[int]], wanted: int, ndcg: float
) -> None:
    assert metrics.ndcg(ranking, wanted, 10) == pytest.approx(ndcg)


@given(rankings, st.integers(1, 10))
def test_retrieval_measures_lie_between_zero_and_one_and_grow_with_k(
    ranking: list[frozenset[int]], k: int
) -> None:
    for measure in (metrics.hit, metrics.reciprocal_rank):
        assert 0 <= measure(ranking, k) <= measure(ranking, k + 1) <= 1
    assert 0 <= metrics.recall(ranking, 5, k) <= metrics.recall(ranking, 5, k + 1) <= 1
    assert 0 <= metrics.ndcg(ranking, 5, k) <= 1 + 1e-12
    assert metrics.reciprocal_rank(ranking, k) <= metrics.hit(ranking, k)
    assert bool(metrics.ndcg(ranking, 5, k)) == bool(metrics.hit(ranking, k))


# --- citations


@pytest.mark.parametrize(
    ("start", "end", "covers"),
    [
        pytest.param(10, 20, True, id="the same"),
        pytest.param(0, 100, True, id="all around"),
        pytest.param(5, 15, True, id="half"),
        pytest.param(5, 14, False, id="less than half"),
        pytest.param(12, 16, False, id="inside but short"),
        pytest.param(20, 30, False, id="beside"),
    ],
)
def test_half_of_the_evidence_covers_it(start: int, end: int, covers: bool) -> None:
    assert metrics.covers(Span("a", start, end), Span("a", 10, 20)) is covers


def test_another_article_covers_nothing() -> None:
    assert not metrics.covers(Span("b", 10, 20), Span("a", 10, 20))


@given(*[st.tuples(st.integers(0, 30), st.integers(1, 30))] * 2)
def test_covering_is_counting_common_characters(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    quote, evidence = (Span("a", start, start + length) for start, length in (one, other))
    common = set(range(quote.start, quote.end)) & set(range(evidence.start, evidence.end))
    assert metrics.covers(quote, evidence) == (len(common) * 2 >= other[1])


def test_evidence_that_stands_twice_is_covered_at_either_place() -> None:
    evidence = [[Span("a", 0, 4), Span("b", 50, 54)], [Span("a", 10, 20)]]
    assert metrics.covered(Span("b", 50, 60), evidence) == FIRST
    assert metrics.covered(Span("a", 0, 20), evidence) == BOTH


def test_citations_are_measured_by_the_evidence_they_cover() -> None:
    evidence = [spans("a", (0, 10)), spans("a", (20, 40)), []]
    citations = [*spans("a", (0, 15), (5, 12)), *spans("b", (0, 30))]
    assert metrics.evidence_recall(citations, evidence) == pytest.approx(1 / 3)
    assert metrics.covering(citations, evidence) == 2
    assert metrics.quote_chars(citations, evidence) == (15 + 7, 10)


def test_no_citation_recalls_no_evidence() -> None:
    evidence = [spans("a", (0, 10))]
    assert metrics.evidence_recall([], evidence) == 0
    assert metrics.quote_chars([], evidence) == (0, 0)


# --- answers


def test_answers_are_found_whatever_their_width_case_and_spacing() -> None:
    wanted = [("7月1日", "July 1"), ("ＧＤＰ 增长",), ("三成",)]
    texts = ["It starts on JULY\u00a01 .", "今年gdp增\n长很快"]
    assert metrics.answer_recall(wanted, texts) == pytest.approx(2 / 3)


def test_an_answer_torn_between_two_texts_is_not_found() -> None:
    assert metrics.answer_recall([("绿灯",)], ["绿", "灯"]) == 0


def test_character_f1_takes_the_nearest_alternative_of_each_answer() -> None:
    assert metrics.character_f1([("刘朝震",)], "刘朝震") == 1
    assert metrics.character_f1([("完全不同的", "刘朝震")], "主席刘朝震") == pytest.approx(6 / 8)
    assert metrics.character_f1([("甲乙",), ("丙",)], "甲丙") == pytest.approx(4 / 5)
    assert metrics.character_f1([("甲",)], "") == 0


@given(st.lists(st.lists(st.text(max_size=5), min_size=1), min_size=1, max_size=4), st.text())
def test_answer_measures_lie_between_zero_and_one(answers: list[list[str]], text: str) -> None:
    assert 0 <= metrics.answer_recall(answers, [text]) <= 1
    assert 0 <= metrics.character_f1(answers, text) <= 1


# --- abstention


def test_the_risk_coverage_curve_gives_answers_by_falling_confidence() -> None:
    curve = metrics.risk_coverage([0.5, 0.9, 0.7, 0.7], [1, 0, 1, 0], asked=8)
    assert curve == [
        RiskPoint(1 / 8, 0, 0.9),
        RiskPoint(3 / 8, 1 / 3, 0.7),
        RiskPoint(4 / 8, 0.5, 0.5),
    ]


def test_no_answer_makes_no_curve() -> None:
    assert metrics.risk_coverage([], [], asked=5) == []


@given(st.lists(st.tuples(shares, shares), min_size=1))
def test_the_risk_curve_ends_at_the_mean_loss(answers: list[tuple[float, float]]) -> None:
    losses = [loss for _, loss in answers]
    curve = metrics.risk_coverage([c for c, _ in answers], losses, asked=len(answers))
    assert curve[-1].coverage == 1
    assert curve[-1].risk == pytest.approx(sum(losses) / len(losses))
    assert all(a.confidence > b.confidence for a, b in pairwise(curve))


def test_calibration_puts_confidences_beside_what_came_true() -> None:
    bins = metrics.calibration([0.05, 0.95, 1.0, 0.9, 0.92], [False, True, True, True, False], 10)
    assert bins[0] == Bin(0.05, 0.0, 1)
    assert bins[1].confidence == pytest.approx(0.9425)
    assert (bins[1].answerable, bins[1].n) == (0.75, 4)
    assert metrics.calibration_error(bins) == pytest.approx((0.05 + 4 * 0.1925) / 5)


def test_nothing_asked_has_no_calibration() -> None:
    assert metrics.calibration([], [], 10) == []
    assert metrics.calibration_error([]) is None
