"""Prints how well pages become articles. Run with: PYTHONPATH=.:tests python tests/bench/pages.py

Made pages in every style, from articles that no weight was fitted on: the repository's `fit` and
`sample`, and Wikipedia's paragraphs where `../shared` has them (every second one, the half that
seams.npz wasn't fitted on). A page has up to three displaced tails.
"""

import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random

from pagemaker import PageArticle
from paper_issues import IssueScore, made
from paper_scores import Score, measured
from papers import own_articles, papers
from rag import pages
from rag.layout import seams
from seam_cases import cases

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared/eval/train/cmrc2018_dev/passages.jsonl"
SEED = ROOT.parent / "shared/seed/page.txt"


def encyclopaedia() -> list[PageArticle]:
    """Long paragraphs as articles, cut into paragraphs of a few sentences."""
    rows = map(json.loads, SHARED.read_text(encoding="utf-8").splitlines())
    found: list[PageArticle] = []
    for number, row in enumerate(rows):
        sentences = re.findall("[^。]+。[”」]?", row["text"].replace("\n", ""))
        clauses = [
            c for c in re.split("[，。；（）]", row["text"]) if re.fullmatch("[㐀-鿿]{8,20}", c)
        ]
        if number % 2 == 0 or len(row["text"]) < 250 or len(sentences) < 4 or not clauses:
            continue
        rng = Random(number)
        paragraphs: list[str] = []
        while sentences:
            size = rng.randint(1, 3)
            paragraphs.append("".join(sentences[:size]))
            del sentences[:size]
        title = row["source_title"] + rng.choice("： ") + rng.choice(clauses)
        found.append(PageArticle(title, "\n".join(paragraphs)))
    return found


def show(name: str, pool: Sequence[PageArticle], count: int) -> None:
    """One line a style and one for all."""
    scores: dict[str, Score] = defaultdict(Score)
    for paper in papers(pool, range(count)):
        score = measured(paper, pages.articles_of(paper.text, name="page.txt"))
        scores[paper.style].add(score)
        scores["all"].add(score)
    for style, score in scores.items():
        print(f"{name:14}{style:26}{score}")


def show_issues(pool: Sequence[PageArticle], count: int) -> None:
    """One line of how tails on other pages come home."""
    score = IssueScore()
    for issue in made(pool, range(count)):
        read = [
            pages.read(paper.text, name="page.txt", path=f"in/{number}.txt")
            for number, paper in enumerate(issue.pages)
        ]
        score.add(issue, pages.articles_of_issue(read))
    print(f"{'issues':40}{score}")


def show_seams(name: str, texts: Sequence[str]) -> None:
    """One line of how well the halves of cut sentences are told."""
    halves, begins = cases(texts, 2_000).told()
    print(f"{name:14}{'seams, AUC':26}other half {halves:.3f}  beginnings {begins:.3f}")


def main() -> None:
    """Prints all figures; the number of pages may be given."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 105
    show("own", own_articles("fit", "sample"), count)
    show_issues(own_articles("fit", "sample"), count // 3)
    show_seams("own", [article.text for article in own_articles("fit", "sample")])
    if SHARED.is_file():
        show("encyclopaedia", encyclopaedia(), count)
        show_seams("encyclopaedia", [article.text for article in encyclopaedia()])
    if SEED.is_file():
        text = SEED.read_text(encoding="utf-8")
        least = 60.0
        for _ in range(10):
            seams.forget()  # a page is met once
            start = time.process_time()
            pages.articles_of(text, name="page.txt")
            least = min(least, time.process_time() - start)
        print(f"{60 * len(text) / least / 7500:.0f} pages of 7,500 characters a minute")


if __name__ == "__main__":
    main()
