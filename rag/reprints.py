"""Whether an article is another one printed again: its text stands in the other's, numbers too.

Openers (本报讯, 新华社…电) don't count, nor do punctuation and white space. A reprint may leave
out or add a little; one that names another number is another article. Does not cover translations
or rewritten text.
"""

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GRAM = 5  # characters
_BANDS, _ROWS = 16, 4  # finds .998 of the pairs that share .76 of their grams, all from .85
_LEAST_SHARE = 0.95  # of a reprint's grams that stand in the original: four edits in 600 characters
_LEAST_LENGTH = 0.8  # of the longer one's
_SHORT = 200  # characters; below that all grams must
_OPENER = re.compile(r"\A.{0,60}?[讯电]\s*(?:[（(][^）)]{0,40}[）)])?", re.S)
_NUMBER = re.compile(r"\d+(?:\.\d+)?|[〇零一二两三四五六七八九十百千万亿]+")
_NOISE = re.compile(r"[\W_]+")
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SEEDS = np.random.default_rng(20240305).integers(1, 2**63, _BANDS * _ROWS, np.uint64)

Grams = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a text is compared: hashes of its runs of characters, sorted, and its numbers."""

    grams: Grams
    numbers: frozenset[str]
    chars: int

    def is_within(self, other: "Shape") -> bool:
        """Whether this text is a reprint of the other."""
        shorter, longer = sorted((self.chars, other.chars))
        if not shorter or shorter < _LEAST_LENGTH * longer or not self.numbers <= other.numbers:
            return False
        share = np.isin(self.grams, other.grams, assume_unique=True).mean()
        return bool(share >= (_LEAST_SHARE if shorter >= _SHORT else 1.0))

    def bands(self) -> list[int]:
        """Numbers of which reprints have at least one in common (MinHash, in bands)."""
        if not self.chars:
            return []
        least = np.array([_mixed(self.grams ^ seed).min() for seed in _SEEDS])
        rows = least.reshape(_BANDS, _ROWS)
        mixed = np.arange(1, _BANDS + 1, dtype=np.uint64)
        for column in rows.T:
            mixed = _mixed(mixed * _MIX[0] + column)
        return [int(band) for band in mixed.astype(np.int64)]


def shape(text: str) -> Shape:
    """The shape of an article's text."""
    plain = unicodedata.normalize("NFKC", _OPENER.sub("", text)).lower()
    numbers = frozenset(_NUMBER.findall(plain))
    words = _NOISE.sub("", plain)
    codes = np.frombuffer(words.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    size = min(_GRAM, len(codes))
    grams = np.zeros(len(codes) - size + 1 if size else 0, np.uint64)
    for at in range(size):
        grams = _mixed(grams * _MIX[1] + codes[at : at + len(grams)])
    return Shape(np.unique(grams), numbers, len(words))


def _mixed(values: Grams) -> Grams:
    """Spreads values over all 64 bits."""
    values = (values ^ (values >> np.uint64(30))) * _MIX[0]
    values = (values ^ (values >> np.uint64(27))) * _MIX[1]
    return values ^ (values >> np.uint64(31))
