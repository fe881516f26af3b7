"""Fits rag/layout/roles.json on made pages. Run with: PYTHONPATH=.:tests python this_file

A conditional random field by stochastic gradient (AdaGrad, L2), on pages printed from the
repository's own `taught` articles; the pages of `bench/pages.py` are of other articles.
"""

import json
import math
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from papers import Paper, own_articles, papers
from rag.layout.blocks import Block, blocks_of
from rag.layout.cues import Cues, changes_of, cues_of
from rag.layout.habits import habits_of
from rag.layout.roles import FOLLOWS, TRANSPARENT, Role, State

ROOT = Path(__file__).resolve().parents[2]
STATES: list[State] = list(FOLLOWS)
PAGES, ROUNDS, RATE, DECAY = 700, 5, 0.3, 3e-5
# Added to what is fitted: real pages have more titles without a byline, and fewer sub-headings and
# cut stubs, than the made ones; lines set closer than usual don't occur on those at all.
BELIEFS = {
    "own": {
        "bias": {"TITLE": 1.1, "SUBHEAD": 0.4},
        "final below": {"BODY": -1.1},
        "spaces": {"TITLE": 3.0},
    },
    "change": {"closer": {"TITLE>TITLE": 4.0}},
}
Array = NDArray[Any]
Example = tuple[list[Cues], list[Cues], list[Role]]


def true_roles(blocks: list[Block], paper: Paper) -> list[Role]:
    """The role of the printed line that each block overlaps most."""
    found: list[Role] = []
    for block in blocks:
        shared: dict[str, int] = defaultdict(int)
        for start, end, role in paper.roles:
            shared[role] += max(0, min(end, block.end) - max(start, block.start))
        found.append(Role[max(shared, key=lambda role: shared[role])])
    return found


def example(paper: Paper) -> Example:
    """Cues, changes and true roles of a page."""
    blocks = blocks_of(paper.text)
    habits = habits_of(paper.text, blocks)
    cues = cues_of(blocks, habits)
    return cues, changes_of(blocks, cues, habits), true_roles(blocks, paper)


def _arrays(cues: Cues, index: dict[str, int]) -> tuple[Array, Array]:
    """Which cues, and their values."""
    return np.array([index[name] for name in cues]), np.array(list(cues.values()))


def _sums(potentials: Array, n: int) -> tuple[Array, Array]:
    """Log-sums of all paths to each block's states, and from them to the page's end."""
    step = potentials[:, :, :n].copy()
    stays, diagonal = np.logaddexp(potentials[:, :, n], potentials[:, :, n + 1]), np.arange(n)
    step[:, diagonal, diagonal] = np.logaddexp(step[:, diagonal, diagonal], stays)
    alpha, beta = np.full((len(step) + 1, n), -np.inf), np.zeros((len(step) + 1, n))
    alpha[0, 0] = 0.0
    for t in range(len(step)):
        alpha[t + 1] = np.logaddexp.reduce(alpha[t][:, None] + step[t], axis=0)
    for t in range(len(step) - 1, -1, -1):
        beta[t] = np.logaddexp.reduce(step[t] + beta[t + 1][None, :], axis=1)
    return alpha, beta


class Field:
    """The weights while they are fitted: matrices by cue, of roles and of changes."""

    def __init__(self, examples: list[Example]) -> None:
        self.own = {
            name: i
            for i, name in enumerate(sorted({n for c, _, _ in examples for x in c for n in x}))
        }
        self.joint = {
            name: i
            for i, name in enumerate(sorted({n for _, c, _ in examples for x in c for n in x}))
        }
        n = len(STATES)
        self.legal = np.full((n, n + 2), -np.inf)  # from a state to a state, a header, furniture
        for i, state in enumerate(STATES):
            for role in FOLLOWS[state]:
                self.legal[i, STATES.index(role)] = 0.0
            self.legal[i, n:] = 0.0
        self.u = np.zeros((len(self.own), n + 2))
        self.v = np.zeros((len(self.joint), n, n + 2))
        self.gu, self.gv = np.full_like(self.u, 1e-2), np.full_like(self.v, 1e-2)

    def column(self, role: Role) -> int:
        return len(STATES) + TRANSPARENT.index(role) if role in TRANSPARENT else STATES.index(role)

    def learn(self, page: Example) -> float:
        """One step of gradient; the log-loss before it."""
        cues, changes, truth = page
        n, size = len(STATES), len(cues)
        own, joint = [_arrays(c, self.own) for c in cues], [_arrays(c, self.joint) for c in changes]
        potentials = np.stack(
            [
                (values @ self.u[rows])[None, :] + np.tensordot(more, self.v[lines], 1) + self.legal
                for (rows, values), (lines, more) in zip(own, joint, strict=True)
            ]
        )
        alpha, beta = _sums(potentials, n)
        loss, state = np.logaddexp.reduce(alpha[-1]), 0
        total = loss
        gu, gv = np.zeros_like(self.u), np.zeros_like(self.v)
        for t in range(size):
            stays = beta[t + 1][:, None]
            after = np.hstack([np.broadcast_to(beta[t + 1], (n, n)), stays, stays])
            p = np.exp(alpha[t][:, None] + potentials[t] + after - total)
            column = self.column(truth[t])
            loss -= potentials[t][state, column]
            p[state, column] -= 1.0
            state = state if column >= n else column
            np.add.at(gu, own[t][0], own[t][1][:, None] * p.sum(axis=0)[None, :])
            np.add.at(gv, joint[t][0], joint[t][1][:, None, None] * p[None])
        self._step(gu, gv, size)
        return float(loss)

    def _step(self, gu: Array, gv: Array, size: int) -> None:
        """AdaGrad with decay towards 0."""
        for weights, gradient, squares in ((self.u, gu, self.gu), (self.v, gv, self.gv)):
            whole = gradient + DECAY * size * weights
            squares += whole * whole  # noqa: PLW2901  # in place
            weights -= RATE * whole / np.sqrt(squares)  # noqa: PLW2901

    def as_rows(self) -> dict[str, dict[str, dict[str, float]]]:
        """As roles.json has them; the smallest weights are left out."""
        n = len(STATES)
        names = [(s.name if s else "") for s in STATES] + [r.name for r in TRANSPARENT]
        own = {
            k: {
                names[j]: round(float(self.u[i, j]), 2)
                for j in range(1, n + 2)
                if abs(self.u[i, j]) > 0.02
            }
            for k, i in self.own.items()
        }
        change = {
            k: {
                f"{names[s]}>{names[j]}": round(float(self.v[i, s, j]), 2)
                for s in range(n)
                for j in range(1, n + 2)
                if np.isfinite(self.legal[s, j]) and abs(self.v[i, s, j]) > 0.02
            }
            for k, i in self.joint.items()
        }
        return {"own": own, "change": change}


def legal(page: Example) -> bool:
    """Whether the true roles can be read at all."""
    state: State = None
    for role in page[2]:
        if role in TRANSPARENT:
            continue
        if role not in FOLLOWS[state]:
            return False
        state = role
    return True


def main() -> None:
    """Fits and writes the weights."""
    examples = [example(p) for p in papers(own_articles("taught"), range(10_000, 10_000 + PAGES))]
    usable = [e for e in examples if legal(e)]
    print(len(examples), "pages,", len(usable), "usable")
    field, rng = Field(usable), Random(0)
    for round_ in range(ROUNDS):
        rng.shuffle(usable)
        losses = [field.learn(page) for page in usable]
        print(round_, f"{math.fsum(losses) / sum(len(e[0]) for e in usable):.4f} nats a block")
    rows = field.as_rows()
    for part, cues in BELIEFS.items():
        for cue, weights in cues.items():
            known = rows[part].setdefault(cue, {})
            known.update({k: round(known.get(k, 0.0) + w, 2) for k, w in weights.items()})
    text = json.dumps(rows, ensure_ascii=False, indent=0)
    (ROOT / "rag" / "layout" / "roles.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
