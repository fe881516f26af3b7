"""Prints the pages of made-up issues, and measures whether tails on other pages come home.

An article stops in mid-sentence on one page and goes on on another, half of them with jump marks.
The pages are those of papers.py, in one style an issue.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from pagemaker import PageArticle
from paper_scores import bare
from papers import STYLES, Paper, cuts, printed
from rag.types import Article

_STYLES = [style for style in STYLES if not (style.english or style.half_width)]


@dataclass(frozen=True, slots=True)
class Crossing:
    """An article on two pages; `seam` is what stands around its cut, without white space."""

    seam: str
    marked: bool


@dataclass(frozen=True, slots=True)
class Issue:
    """The pages, and what goes from one to another."""

    pages: tuple[Paper, ...]
    crossings: tuple[Crossing, ...]


@dataclass(slots=True)
class IssueScore:
    """Counts over articles and crossings; `wrong` are articles joined to what isn't theirs."""

    articles: int = 0
    crossings: int = 0
    joined: int = 0
    marked: int = 0
    marked_joined: int = 0
    wrong: int = 0

    def add(self, issue: Issue, found: Sequence[Sequence[Article]]) -> None:
        """Count what was found of an issue."""
        self.articles += sum(len(page.articles) for page in issue.pages)
        bodies = [bare(article.text) for articles in found for article in articles]
        for crossing in issue.crossings:
            home = any(crossing.seam in body for body in bodies)
            self.crossings += 1
            self.joined += home
            self.marked += crossing.marked
            self.marked_joined += home and crossing.marked
        for article in (article for articles in found for article in articles):
            if any(fragment.path for fragment in article.fragments):
                body = bare(article.text)
                self.wrong += not any(crossing.seam in body for crossing in issue.crossings)

    def __str__(self) -> str:
        plain, joined = self.crossings - self.marked, self.joined - self.marked_joined
        return (
            f"{self.articles:5} articles  joined across pages: marked"
            f" {self.marked_joined / max(1, self.marked):.3f} of {self.marked},"
            f" unmarked {joined / max(1, plain):.3f} of {plain}"
            f"  wrongly {self.wrong / max(1, self.articles):.4f}"
        )


def made(pool: Sequence[PageArticle], seeds: Iterable[int]) -> Iterator[Issue]:
    """An issue of two to four pages for each seed; every page but one has a tail of another."""
    for seed in seeds:
        rng = Random(seed)
        count = rng.randint(2, 4)
        chosen = rng.sample(pool, min(len(pool), 5 * count))
        torn = [a for a in chosen[:count] if _places(a.text)][: count - 1]
        rest = [a for a in chosen if a not in torn]
        yield _issue(torn, [rest[n::count] for n in range(count)], rng)


def _places(text: str) -> list[int]:
    return [o for o in cuts(text) if len(text) // 4 < o < len(text) - 40]


def _issue(torn: Sequence[PageArticle], pages: list[list[PageArticle]], rng: Random) -> Issue:
    """Each torn article begins on one page and ends on the next."""
    style = rng.choice(_STYLES)
    found: list[Paper] = []
    crossings: list[Crossing] = []
    before: tuple[PageArticle, int] | None = None
    into = ""
    for number, articles in enumerate(pages):
        stranger, at = before or (None, None)
        away, out, words, before = None, "", "", None
        if number < len(torn):
            text, cut = torn[number].text, rng.choice(_places(torn[number].text))
            words, before = text[max(0, cut - 12) : cut], (torn[number], cut)
            articles.insert(0, torn[number])
            away = (0, words)
            out = rng.choice(("", "（下转第3版）"))
        page = printed(
            articles,
            rng,
            style,
            stranger=stranger,
            stranger_at=at,
            away=away,
            marks=(out, into),
        )
        into = "（上接第1版）" if out else ""
        if before and page.articles[0].text.endswith(words):
            seam = before[0].text[max(0, before[1] - 8) : before[1] + 8]
            crossings.append(Crossing(bare(seam), bool(out)))
        found.append(page)
    return Issue(tuple(found), tuple(crossings))
