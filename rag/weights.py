"""The fitted weights: of a sentence that answers (extract.py) and of an answer at all (judge.py).

`weights.json` is written by `make fit` and names the embedding model that it was fitted with.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PATH = Path(__file__).with_name("weights.json")


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights by feature name; below `threshold` a question counts as unanswered."""

    model: str
    sentence: Mapping[str, float]
    judge: Mapping[str, float]
    threshold: float


@lru_cache(maxsize=1)
def load() -> Weights:
    """The weights that ship with the package."""
    return Weights(**json.loads(PATH.read_text(encoding="utf-8")))


def logistic(
    names: Sequence[str], weights: Mapping[str, float], rows: NDArray[np.float64]
) -> list[float]:
    """The probability of each row of features, shape (n, len(names))."""
    ordered = np.array([weights[name] for name in names])
    return [float(p) for p in 1 / (1 + np.exp(-np.clip(rows @ ordered, -30, 30)))]
