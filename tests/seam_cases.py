"""Sentences cut at random, to see how well a cut's other half and a beginning are told.

AUC: how often what is right scores higher than what is not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from pagemaker import mid_sentence_offsets
from rag.layout import seams

_BEGINS = re.compile(r"[。！？!?]”?\n?(?=.)|\n")
_SHOWN = 40  # characters on each side


@dataclass(frozen=True, slots=True)
class Cases:
    """Texts cut in two, as (end, start) pairs; and the beginnings of sentences."""

    cut: list[tuple[str, str]]
    begun: list[str]

    def told(self) -> tuple[float, float]:
        """AUC of a start against another cut's start, and of starts against beginnings."""
        others = [start for _, start in Random(7).sample(self.cut, len(self.cut))]
        right = [_fit(end, start) for end, start in self.cut]
        wrong = [_fit(end, other) for (end, _), other in zip(self.cut, others, strict=True)]
        inside = [seams.begins_inside(start) for _, start in self.cut]
        return auc(right, wrong), auc(inside, [seams.begins_inside(text) for text in self.begun])


def cases(texts: Sequence[str], count: int) -> Cases:
    """So many cuts and beginnings, drawn at random; the same for the same texts."""
    rng = Random(3)
    usable = [text for text in texts if mid_sentence_offsets(text)]
    cut: list[tuple[str, str]] = []
    begun: list[str] = []
    for text in rng.choices(usable, k=count):
        at = rng.choice(mid_sentence_offsets(text))
        cut.append((text[max(0, at - _SHOWN) : at], text[at : at + _SHOWN]))
        begins = [0, *(found.end() for found in _BEGINS.finditer(text))]
        start = rng.choice([start for start in begins if start < len(text) - 20] or [0])
        begun.append(text[start : start + _SHOWN])
    return Cases(cut, begun)


def _fit(end: str, start: str) -> float:
    """Both numbers of a seam, as their logs add up."""
    return seams.fits(end, start) + seams.usual(end, start) / 2


def auc(high: Sequence[float], low: Sequence[float]) -> float:
    """How often one of the first is higher than one of the second; ties count half."""
    above, below = np.array(high)[:, None], np.array(low)
    return float((above > below).mean() + (above == below).mean() / 2)
