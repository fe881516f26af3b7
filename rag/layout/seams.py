"""How well two pieces of text go together at their seam: as one sentence that was cut in two.

Three log-odds, by the characters beside the seam: that a text begins in mid-sentence, that one ends
there, and that the one goes on from just this other; and how usual the two characters at the seam
are as neighbours. A network of two towers, one reading an end backwards and one a beginning, gives
the three: the fit is the dot product of what they make of their sides. The weights in seams.npz are
fitted on cut sentences (tests/bench/fit_seams.py), the pairs in pairs.txt are counted in running
text (tests/bench/fit_pairs.py). Does not cover what the texts are about (stitching.py).
"""

import math
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_DIGIT = re.compile(r"\d")
NOTHING, UNKNOWN = 0, 1  # rows of the table of characters; the known ones follow
SEEN_AT_LEAST = (0.1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)  # times, by class
Floats = NDArray[np.float32]


class _Layer(NamedTuple):
    weights: Floats  # (inputs, outputs)
    bias: Floats

    def of(self, x: Floats) -> Floats:
        """What the layer makes of its inputs."""
        found: Floats = x @ self.weights + self.bias
        return found


class _Tower(NamedTuple):
    """Reads the characters on one side of a seam, the nearest first."""

    inner: tuple[_Layer, ...]
    fit: _Layer
    odds: _Layer

    def read(self, x: Floats) -> tuple[Floats, float]:
        """The side's vector, and the log-odds that a sentence was cut there."""
        for layer in self.inner:
            x = _gelu(layer.of(x))
        return self.fit.of(x), float(self.odds.of(x)[0])


class _Net(NamedTuple):
    rows: dict[str, int]
    table: Floats  # (characters, width)
    reach: int  # characters read on each side
    ends: _Tower
    starts: _Tower

    def characters(self, text: str) -> Floats:
        """The vectors of the first characters, one behind another; digits are one character."""
        rows = [self.rows.get(char, UNKNOWN) for char in _DIGIT.sub("0", text[: self.reach])]
        return self.table[rows + [NOTHING] * (self.reach - len(rows))].ravel()


def begins_inside(text: str) -> float:
    """Log-odds that the text begins in the middle of a sentence."""
    return _start(text[: _net().reach])[1]


def ends_inside(text: str) -> float:
    """Log-odds that the text ends in the middle of a sentence, not as a clause or heading does."""
    return _end(text[-_net().reach :])[1]


def fits(before: str, after: str) -> float:
    """How much likelier than by chance the second text goes on from the first; log."""
    reach = _net().reach
    return float(_end(before[-reach:])[0] @ _start(after[:reach])[0])


@lru_cache(maxsize=4096)
def _end(text: str) -> tuple[Floats, float]:
    """The vector of an end, and the log-odds that it is none."""
    net = _net()
    return net.ends.read(net.characters(text[::-1]))


@lru_cache(maxsize=4096)
def _start(text: str) -> tuple[Floats, float]:
    """The vector of a beginning, and the log-odds that it is none."""
    net = _net()
    return net.starts.read(net.characters(text))


def forget() -> None:
    """Drops what was read of the pages so far; for measuring."""
    _end.cache_clear()
    _start.cache_clear()


def usual(before: str, after: str) -> float:
    """How much more often one text's last character stands before the other's first than by chance.

    The log of the ratio; 0 for a character that is not known.
    """
    followers, totals, size = _pairs()
    first, second = _DIGIT.sub("0", before[-1:]), _DIGIT.sub("0", after[:1])
    if first not in totals or second not in totals:
        return 0.0
    count = next((n for n, seen in enumerate(followers[first], 1) if second in seen), 0)
    together = SEEN_AT_LEAST[count]
    return math.log(together * size / ((totals[first] + 1) * (totals[second] + 1)))


@lru_cache(maxsize=1)
def _pairs() -> tuple[dict[str, list[str]], dict[str, float], float]:
    """Each character's followers by how often, its own count, and the count of all."""
    followers: dict[str, list[str]] = {}
    totals: dict[str, float] = {}
    for line in Path(__file__).with_name("pairs.txt").read_text(encoding="utf-8").splitlines():
        first, *classes = line.split("\t")
        followers[first] = classes
        totals[first] = sum(SEEN_AT_LEAST[n] * len(seen) for n, seen in enumerate(classes, 1))
    return followers, totals, sum(totals.values())


def _gelu(x: Floats) -> Floats:
    """The Gaussian error linear unit, by its usual tanh form."""
    found: Floats = 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))
    return found


@lru_cache(maxsize=1)
def _net() -> _Net:
    """The fitted network; weights are kept in int8 with a scale a column."""
    with np.load(Path(__file__).with_name("seams.npz")) as arrays:
        kept = {name: arrays[name] for name in arrays.files}

    def matrix(name: str) -> Floats:
        found: Floats = kept[name].astype(np.float32) * kept[f"{name} scale"]
        return found

    def tower(side: str) -> _Tower:
        first, second, fit, odds = (
            _Layer(matrix(f"{side} {name}"), kept[f"{side} {name} bias"])
            for name in ("first", "second", "fit", "odds")
        )
        return _Tower((first, second), fit, odds)

    table = matrix("table")
    characters = kept["characters"].tobytes().decode()
    rows = {char: row for row, char in enumerate(characters, UNKNOWN + 1)}
    reach = len(kept["ends first"]) // table.shape[1]
    return _Net(rows, table, reach, tower("ends"), tower("starts"))
