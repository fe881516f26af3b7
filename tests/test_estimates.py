"""How sure a measure is: intervals that are right, the same each time, and paired for two runs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.measuring import estimates
from rag.measuring.estimates import Estimate

shares = st.floats(0, 1)


# --- of one run


def test_the_interval_of_a_mean_is_near_the_normal_one() -> None:
    found = estimates.mean([0.0, 1.0] * 200)
    assert (found.value, found.n) == (0.5, 400)
    assert found.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.01)
    assert found.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.01)


def test_resampling_in_blocks_draws_as_many_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = estimates.mean([0.0, 1.0] * 50)
    monkeypatch.setattr(estimates, "_BLOCK", 7_777)
    assert estimates.mean([0.0, 1.0] * 50) == whole


def test_a_ratio_weighs_each_question_by_its_whole() -> None:
    found = estimates.ratio([1, 3, 0], [1, 6, 0])
    assert (found.value, found.n) == pytest.approx((4 / 7, 2))


def test_quantiles_lie_between_neighbours() -> None:
    assert estimates.quantile([10.0, 20.0, 30.0, 40.0], 0.5).value == 25
    assert estimates.quantile([10.0, 20.0], 0.95).value == pytest.approx(19.5)


def test_nothing_measured_is_an_estimate_without_a_value() -> None:
    nothing = Estimate(None, 0)
    assert estimates.mean([]) == estimates.ratio([0], [0]) == estimates.quantile([], 0.5) == nothing
    assert nothing.to_json() == {"value": None, "n": 0, "low": None, "high": None}


def test_the_same_questions_give_the_same_interval() -> None:
    values = [0.1, 0.4, 0.9, 0.2]
    assert estimates.mean(values) == estimates.mean(values)


@given(st.lists(shares, min_size=1, max_size=40))
def test_an_interval_holds_its_mean_and_stays_within_the_values(values: list[float]) -> None:
    found = estimates.mean(values)
    assert found.value == pytest.approx(sum(values) / len(values))
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert min(values) - 1e-12 <= found.low <= found.value <= found.high <= max(values) + 1e-12


def test_auroc_counts_the_pairs_in_the_right_order_and_ties_as_half() -> None:
    assert estimates.auroc([0.9, 0.8], [0.1]).value == 1
    assert estimates.auroc([0.9, 0.5], [0.5, 0.7]).value == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert estimates.auroc([0.3, 0.3], [0.3]).value == 0.5


@pytest.mark.parametrize(("yes", "no"), [([], [0.5]), ([0.5], []), ([], [])])
def test_auroc_needs_both_kinds_of_question(yes: list[float], no: list[float]) -> None:
    assert estimates.auroc(yes, no) == Estimate(None, 0)


@given(*[st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9]), min_size=1, max_size=8)] * 2)
def test_auroc_is_the_share_of_pairs_won(yes: list[float], no: list[float]) -> None:
    won = sum((a > b) + (a == b) / 2 for a in yes for b in no)
    found = estimates.auroc(yes, no)
    assert found.value == pytest.approx(won / (len(yes) * len(no)))
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.high <= 1


# --- of two


def test_a_paired_difference_is_surer_than_two_intervals_apart() -> None:
    old = [float(i % 7 == 0) for i in range(200)]
    new = [1.0 if i % 20 == 3 else value for i, value in enumerate(old)]
    ones = [1.0] * 200
    found = estimates.difference(
        estimates.ratio_of(new, ones), estimates.ratio_of(old, ones), len(new)
    )
    assert found.value == pytest.approx(np.mean(new) - np.mean(old))
    assert found.low is not None
    assert found.low > 0
    apart = estimates.mean(new).low
    assert apart is not None
    assert apart < (estimates.mean(old).high or 0)


def test_a_run_differs_from_itself_by_nothing() -> None:
    statistic = estimates.quantile_of([1.0, 5.0, 2.0, 9.0], 0.5)
    assert estimates.difference(statistic, statistic, 4) == Estimate(0.0, 4, 0.0, 0.0)


def test_a_difference_needs_both_sides() -> None:
    same, both = (
        estimates.auroc_of([0.5, 0.6], labels) for labels in ([True, True], [True, False])
    )
    assert estimates.difference(same, both, 2) == Estimate(None, 0)
