"""How well two pieces of text go together at their seam: as one sentence that was cut in two.

Two log-odds, by the words and parts of speech beside the seam: that a text begins in mid-sentence,
and that it goes on from just this end; and how usual the two characters at the seam are as
neighbours. The weights in seams.json are fitted on cut sentences (tests/bench/fit_seams.py), the
pairs in pairs.txt are counted in running text (tests/bench/fit_pairs.py). Does not cover what the
texts are about (stitching.py).
"""

import json
import math
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from rag.words.names import segmented

_REACH = 12  # characters looked at on each side
Words = tuple[tuple[str, str], ...]  # up to three (word, part of speech) beside the seam
_NONE = ("", "-")
_DIGIT = re.compile(r"\d")
SEEN_AT_LEAST = (0.1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)  # times, by class


def end_of(text: str) -> Words:
    """The last words of a text, the last one first."""
    return tuple([*reversed(_words(text[-_REACH:])), _NONE, _NONE, _NONE][:3])


def start_of(text: str) -> Words:
    """The first words of a text."""
    return tuple([*_words(text[:_REACH]), _NONE, _NONE, _NONE][:3])


@lru_cache(maxsize=1024)
def _words(text: str) -> tuple[tuple[str, str], ...]:
    """Words and their parts of speech; asked for again by roles, seams and links of one page."""
    return tuple((word, tag) for _, word, tag in segmented(text))


def start_cues(start: Words) -> Iterable[str]:
    """What of a text's beginning tells whether a sentence begins there."""
    (word, a), (_, b), (_, c) = start
    yield from (f"^{word}", f"^{word[:1]}", f"^/{a}", f"^/{a}/{b}", f"^/{a}/{b}/{c}")
    yield f"^{word}/{b}"


def seam_cues(end: Words, start: Words) -> Iterable[str]:
    """What of both sides tells whether they belong together."""
    (before, z), (_, y), _ = end
    (after, a), (_, b), _ = start
    yield from (f"{z}|{a}", f"{y}/{z}|{a}", f"{z}|{a}/{b}", f"{y}/{z}|{a}/{b}")
    yield from (f"{before}|{a}", f"{z}|{after}", f"{before[-1:]}|{a}", f"{z}|{after[:1]}")
    at, whole = len(before[-4:]), 0
    for word, tag in _words(before[-4:] + after[:4]):
        if whole < at < whole + len(word):
            yield from ("~", f"~{len(word)}", f"~{tag}")
        whole += len(word)


def begins_inside(start: Words) -> float:
    """Log-odds that the text begins in the middle of a sentence."""
    weights = _weights()["start"]
    return weights["bias"] + sum(weights.get(cue, 0.0) for cue in start_cues(start))


def fits(end: Words, start: Words) -> float:
    """Log-odds that the start goes on from the end rather than from any other."""
    weights = _weights()["seam"]
    return weights["bias"] + sum(weights.get(cue, 0.0) for cue in seam_cues(end, start))


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


@lru_cache(maxsize=1)
def _weights() -> dict[str, dict[str, float]]:
    """The fitted weights."""
    path = Path(__file__).with_name("seams.json")
    weights: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))
    return weights
