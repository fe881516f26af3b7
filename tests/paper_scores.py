"""Measures what a reader made of a printed page: articles whole, titles, tails, foreign fragments.

Does not cover the pages themselves (papers.py), nor tails on other pages (paper_issues.py).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from papers import Paper
from rag.types import Article


@dataclass(slots=True)
class Score:
    """Counts over articles and tails."""

    articles: int = 0
    whole: int = 0
    titled: int = 0
    tails: int = 0
    joined: int = 0
    foreign: int = 0  # found articles with more than ten characters of another one inside

    def add(self, other: "Score") -> None:
        """Count the other's as well."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def __str__(self) -> str:
        n, t = max(1, self.articles), max(1, self.tails)
        return (
            f"{self.articles:5} articles  whole {self.whole / n:.3f}  titles {self.titled / n:.3f}"
            f"  foreign {self.foreign / n:.3f}  tails {self.joined / t:.3f} of {self.tails}"
        )


def measured(paper: Paper, found: Sequence[Article]) -> Score:
    """What was found of a page."""
    score = Score(articles=len(paper.articles), tails=len(paper.tails))
    shares = [_shares(paper, article) for article in found]
    score.foreign = sum(sum(n > 10 for n in share.values()) > 1 for share in shares)
    for number, true in enumerate(paper.articles):
        holder = max(range(len(found)), key=lambda i: f1(true.text, found[i].text), default=None)
        if holder is None:
            continue
        score.whole += f1(true.text, found[holder].text) > 0.97
        score.titled += bare(true.title) == bare(found[holder].title)
        at = paper.tails.get(number)
        if at is not None:
            seam = bare(true.text[max(0, at - 8) : at + 8])
            score.joined += any(seam in bare(article.text) for article in found)
    return score


def _shares(paper: Paper, article: Article) -> Counter[int]:
    """How many characters of the found article are whose."""
    shares: Counter[int] = Counter()
    for fragment in article.fragments:
        for r in paper.ranges:
            common = min(r.end, fragment.end) - max(r.start, fragment.start)
            if common > 0:
                shares[r.owner] += common
    return shares


def bare(text: str) -> str:
    """Without white space."""
    return re.sub(r"\s+", "", text)


def f1(a: str, b: str) -> float:
    """F1 of six-grams."""
    left, right = _six_grams(a), _six_grams(b)
    return 2 * (left & right).total() / (left.total() + right.total())


def _six_grams(text: str) -> Counter[str]:
    chars = bare(text)
    return Counter(chars[i : i + 6] for i in range(max(1, len(chars) - 5)))
