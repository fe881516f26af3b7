"""How sure a measure is: its value over the questions, and a 95 % interval by bootstrap over them.

A difference of two runs is resampled in pairs: the same questions are drawn from both.
Does not cover what one question scores (metrics.py).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
SEED = 20_261_123
_BLOCK = 2_000_000  # numbers held at a time while resampling

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]  # shape (resamples, n): which n questions each resample drew
Statistic = Callable[[Rows], Floats]  # one number a row; NaN where it is not defined


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measure over `n` questions and its 95 % interval; None: not defined on them."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, object]:
        """{"value", "n", "low", "high"}, to six decimals."""
        ends = (None if x is None else round(x, 6) for x in (self.value, self.low, self.high))
        value, low, high = ends
        return {"value": value, "n": self.n, "low": low, "high": high}


# --- of one run ----------------------------------------------------------------------------------


def mean(values: Sequence[float]) -> Estimate:
    """The mean."""
    return ratio(values, [1.0] * len(values))


def ratio(parts: Sequence[float], wholes: Sequence[float]) -> Estimate:
    """The sum of the parts over that of the wholes; questions with a whole of 0 are left out."""
    pairs = [(part, whole) for part, whole in zip(parts, wholes, strict=True) if whole]
    statistic = ratio_of([part for part, _ in pairs], [whole for _, whole in pairs])
    return _estimate(len(pairs), statistic)


def quantile(values: Sequence[float], q: float) -> Estimate:
    """The q quantile, 0 to 1, linear between neighbours."""
    return _estimate(len(values), quantile_of(values, q))


def auroc(answerable: Sequence[float], unanswerable: Sequence[float]) -> Estimate:
    """How often an answerable question has the higher confidence of a pair; a tie is one half."""
    labels = [True] * len(answerable) + [False] * len(unanswerable)
    return _estimate(len(labels), auroc_of([*answerable, *unanswerable], labels))


def value(statistic: Statistic, n: int) -> float:
    """A statistic on all n questions; NaN where it is not defined."""
    return float(statistic(np.arange(n)[None, :])[0]) if n else np.nan


# --- of two --------------------------------------------------------------------------------------


def difference(new: Statistic, old: Statistic, n: int) -> Estimate:
    """The new less the old, over the same n questions; each statistic counts them alike."""

    def statistic(rows: Rows) -> Floats:
        return new(rows) - old(rows)

    return _estimate(n, statistic)


# --- statistics ----------------------------------------------------------------------------------


def ratio_of(parts: Sequence[float], wholes: Sequence[float]) -> Statistic:
    """See `ratio`; undefined where the wholes are 0 together."""
    part, whole = np.array(parts, float), np.array(wholes, float)

    def statistic(rows: Rows) -> Floats:
        return _divided(part[rows].sum(1), whole[rows].sum(1))

    return statistic


def quantile_of(values: Sequence[float], q: float) -> Statistic:
    """See `quantile`."""
    measured = np.array(values, float)

    def statistic(rows: Rows) -> Floats:
        return np.asarray(np.quantile(measured[rows], q, axis=1), float)

    return statistic


def auroc_of(confidences: Sequence[float], answerable: Sequence[bool]) -> Statistic:
    """See `auroc`; undefined where all questions drawn are of one kind."""
    scores = np.array(confidences, float)
    order = np.argsort(scores, kind="stable")
    positive = np.array(answerable, float)[order]
    ties = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0)

    def statistic(rows: Rows) -> Floats:
        drawn = _times_drawn(rows)[:, order]
        above = np.add.reduceat(drawn * positive, ties, axis=1)
        below = np.add.reduceat(drawn * (1 - positive), ties, axis=1)
        beaten = np.cumsum(below, axis=1) - below / 2
        return _divided((above * beaten).sum(1), above.sum(1) * below.sum(1))

    return statistic


# --- resampling ----------------------------------------------------------------------------------


def _estimate(n: int, statistic: Statistic) -> Estimate:
    """The statistic on all n, between the 2.5 and 97.5 percentiles of it on the resamples."""
    found = value(statistic, n)
    if not np.isfinite(found):
        return Estimate(None, 0)
    resampled = np.concatenate([statistic(rows) for rows in _resamples(n)])
    low, high = np.percentile(resampled[np.isfinite(resampled)], (2.5, 97.5))
    # The value is inside but for rounding, or where few resamples are defined.
    return Estimate(found, n, min(float(low), found), max(float(high), found))


def _resamples(n: int) -> Iterator[Rows]:
    """The same RESAMPLES draws of n from n each time, in blocks that fit into memory."""
    draw = np.random.default_rng(SEED)
    block = min(RESAMPLES, max(1, _BLOCK // n))
    for done in range(0, RESAMPLES, block):
        yield draw.integers(0, n, size=(min(block, RESAMPLES - done), n))


def _times_drawn(rows: Rows) -> Floats:
    """How often each resample drew each question; shape as `rows`."""
    count, n = rows.shape
    flat = (rows + n * np.arange(count)[:, None]).ravel()
    return np.bincount(flat, minlength=count * n).reshape(count, n).astype(float)


def _divided(upper: Floats, lower: Floats) -> Floats:
    """upper / lower; NaN where lower is 0."""
    divided: Floats = np.full(upper.shape, np.nan)
    return np.divide(upper, lower, out=divided, where=lower != 0)
