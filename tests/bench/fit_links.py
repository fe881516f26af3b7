"""Fits rag/layout/links.json on made pages, after fit_pages. Run as that one.

For each open end: which block goes on from it, or none? For each block: is it a stray where it
stands? Log-linear choices (L-BFGS, L2), on pages read with the roles that the fitted field finds.
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from papers import Paper, Range, own_articles, papers
from rag.layout.blocks import Block, blocks_of
from rag.layout.cues import Cues
from rag.layout.habits import habits_of
from rag.layout.roles import roles_of
from rag.layout.stitching import View, sections_of

ROOT = Path(__file__).resolve().parents[2]
PAGES, DECAY = 300, 1.0
# Added to what is fitted: made pages hardly have jump marks, real ones hardly heads without a tail.
BELIEFS = {"torn jump": 6.0, "away jump": 6.0, "torn matched": 2.5, "torn bias": 1.0}
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


def choices(paper: Paper) -> tuple[list[Choice], list[tuple[Cues, bool]]]:
    """For each open end the cues of all blocks that may go on from it, and which one does.

    Also the cues of each block's place, and whether it is a stray there.
    """
    blocks = blocks_of(paper.text)
    habits = habits_of(paper.text, blocks)
    roles = roles_of(blocks, habits)
    view = View(blocks, roles, sections_of(blocks, roles), habits)
    truth = true_heads(blocks, paper)
    joins: list[Choice] = []
    for p in view.heads:
        tails = [q for q in view.tails if view.possible(p, q)]
        right = [k for k, q in enumerate(tails) if truth.get(q) == p]
        if tails and p in truth:
            joins.append(([view.cues(p, q) for q in tails], right[0] if right else NEW))
    owner = {i: o for o, i in owners(blocks, paper)}
    strays = [
        (view.place_cues(q), owner[q] != owner[above])
        for q in view.tails
        if (above := view.before.get(q)) in owner and q in owner
    ]
    return joins, strays


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
    """Fits and writes the weights."""
    made = papers(own_articles("taught"), range(20_000, 20_000 + PAGES))
    joins: list[Choice] = []
    strays: list[Choice] = []
    for paper in made:
        some, others = choices(paper)
        joins += some
        strays += [([cues], 0 if is_stray else NEW) for cues, is_stray in others]
    rows = {"join": fitted(joins, DECAY), "stray": fitted(strays, DECAY)}
    for cue, weight in BELIEFS.items():
        rows["join"][cue] = round(rows["join"].get(cue, 0.0) + weight, 2)
    text = json.dumps(rows, ensure_ascii=False, indent=0)
    (ROOT / "rag" / "layout" / "links.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
