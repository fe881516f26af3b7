"""The fitted weights: of a sentence that answers (sentences.py) and of an answer at all (judge.py).

`weights.json` is written by `make fit` and names the embedding model that it was fitted with. A
home may hold a judge of its own, written by `wenbao evaluate --fit` (fitting.py).
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

log = logging.getLogger(__name__)

PATH = Path(__file__).with_name("weights.json")
FILE_NAME = "judge.json"


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights by feature name; below `threshold` a question counts as unanswered."""

    model: str
    sentence: Mapping[str, float]
    judge: Mapping[str, float]
    threshold: float

    def threshold_for(self, model: str) -> float:
        """The threshold; 0 for another model, about whose scores these weights say little."""
        same = self.model.partition("@")[0] == model.partition("@")[0]
        return self.threshold if same else 0.0


@dataclass(frozen=True, slots=True)
class Own:
    """The judge of a home: for which model, and from which shipped weights (`base`) it was made."""

    model: str
    base: str
    judge: dict[str, float]
    threshold: float


_OWN = TypeAdapter(Own)


@lru_cache(maxsize=1)
def load() -> Weights:
    """The weights that ship with the package."""
    return Weights(**json.loads(PATH.read_text(encoding="utf-8")))


def of_home(home: Path, model: str) -> Weights:
    """The weights that ship, with the home's own judge if it was fitted for this very model.

    A judge made from other shipped weights is passed over: its features may mean something else.
    """
    try:
        own = _OWN.validate_json((home / FILE_NAME).read_bytes())
    except FileNotFoundError:
        return load()
    except (OSError, ValidationError) as exc:
        log.warning("%s can't be read (%s): fit again", home / FILE_NAME, type(exc).__name__)
        return load()
    if (own.model, own.base) != (model, _base()):
        log.warning("%s was fitted for another model or version: fit again", home / FILE_NAME)
        return load()
    return replace(load(), model=model, judge=own.judge, threshold=own.threshold)


def keep(home: Path, fitted: Weights) -> Path:
    """Writes the judge of a home, whole or not at all; gives its file."""
    own = Own(fitted.model, _base(), dict(fitted.judge), fitted.threshold)
    home.mkdir(parents=True, exist_ok=True)
    unfinished = home / f"{FILE_NAME}.{os.getpid()}.new"
    unfinished.write_bytes(_OWN.dump_json(own, indent=1) + b"\n")
    os.replace(unfinished, home / FILE_NAME)
    return home / FILE_NAME


def carry(home: Path, other: Path) -> None:
    """Gives another home the judge of this one, if it has one."""
    if (home / FILE_NAME).is_file():
        shutil.copyfile(home / FILE_NAME, other / FILE_NAME)


def _base() -> str:
    return hashlib.sha256(PATH.read_bytes()).hexdigest()[:16]


def logistic(
    names: Sequence[str], weights: Mapping[str, float], rows: NDArray[np.float64]
) -> list[float]:
    """The probability of each row of features, shape (n, len(names))."""
    ordered = np.array([weights[name] for name in names])
    return [float(p) for p in 1 / (1 + np.exp(-np.clip(rows @ ordered, -30, 30)))]
