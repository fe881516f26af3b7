"""What each block is on its page: header, kicker, title, byline, sub-heading, body or furniture.

A linear-chain conditional random field over the page: cues (cues.py) weigh for each role and for
each change of role, and the best-scored sequence is found by dynamic programming (Viterbi).
The weights in roles.json are fitted on made pages (tests/bench/fit_pages.py).
Does not cover which heading belongs to which body (stitching.py).
"""

import json
from collections.abc import Mapping, Sequence
from enum import IntEnum, auto
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.layout.blocks import FINAL, Block
from rag.layout.cues import Cues, changes_of, cues_of
from rag.layout.habits import Habits
from rag.layout.looks import looks_of


class Role(IntEnum):
    """What a block is on its page."""

    HEADER = auto()  # a column's or section's name, over articles but of none
    KICKER = auto()  # 引题: the line over the title
    TITLE = auto()
    SUBTITLE = auto()
    BYLINE = auto()
    SUBHEAD = auto()
    BODY = auto()
    FURNITURE = auto()  # dates, page numbers, editors, addresses


TRANSPARENT = (Role.HEADER, Role.FURNITURE)
HEADING = (Role.KICKER, Role.TITLE, Role.SUBTITLE, Role.BYLINE)

State = Role | None  # the last role that isn't transparent; None: the page's start
_K, _T, _S, _B, _H, _X = (
    Role.KICKER,
    Role.TITLE,
    Role.SUBTITLE,
    Role.BYLINE,
    Role.SUBHEAD,
    Role.BODY,
)
FOLLOWS: dict[State, tuple[Role, ...]] = {
    None: (_K, _T, _X),
    _K: (_T,),
    _T: (_T, _S, _B, _H, _X),
    _S: (_S, _B, _H, _X),
    _B: (_B, _H, _X, _T),
    _H: (_H, _X),
    _X: (_K, _T, _H, _B, _X),
}
MAX_TITLE = 40  # characters of a lone first line that is taken for a title
Scores = NDArray[np.float64]
Weights = Mapping[str, Scores]
_STATES = tuple(FOLLOWS)
_COLUMNS = (*(state for state in _STATES if state), *TRANSPARENT)  # the roles, as scores have them


def roles_of(blocks: Sequence[Block], habits: Habits) -> list[Role]:
    """The best-scored roles of the blocks, in order.

    A header or a line of furniture may stand anywhere, even inside a sentence, and doesn't break
    what goes on around it.
    """
    own, change, legal = _weights()
    cues, changes = shown(blocks, habits)
    scores = [
        legal + _weighed(block, own) + _weighed(joint, change)
        for block, joint in zip(cues, changes, strict=True)
    ]
    return _with_title(_with_text(_best(scores), cues), blocks)


def shown(blocks: Sequence[Block], habits: Habits) -> tuple[list[Cues], list[Cues]]:
    """All cues of the blocks, and those of each after the one above it."""
    own = cues_of(blocks, habits)
    cues = [each | more for each, more in zip(own, looks_of(blocks, own), strict=True)]
    return cues, changes_of(blocks, cues, habits)


def _with_text(roles: list[Role], cues: Sequence[Cues]) -> list[Role]:
    """The roles; where a page would have no text, what doesn't look like furniture is text."""
    if any(role in (Role.BODY, Role.SUBHEAD) for role in roles) or roles.count(Role.TITLE) > 1:
        return roles
    return [Role.FURNITURE if "nothing" in each else Role.BODY for each in cues]


def _with_title(roles: list[Role], blocks: Sequence[Block]) -> list[Role]:
    """The roles; where nothing is a title, a first line that isn't a sentence is one.

    The weights were fitted on whole pages: a text of two lines looks like a column's name to them.
    """
    if len(blocks) < 2 or Role.TITLE in roles or roles[0] is Role.FURNITURE:
        return roles
    first = blocks[0].text
    is_title = len(first) <= MAX_TITLE and first[-1] not in FINAL
    return [Role.TITLE, *roles[1:]] if is_title else roles


def _weighed(cues: Cues, weights: Weights) -> Scores | float:
    """The sum of the cues' weights."""
    return sum(value * weights[name] for name, value in cues.items() if name in weights)


def _best(scores: Sequence[Scores]) -> list[Role]:
    """The path of the greatest sum; `scores` of each block have shape (states, roles)."""
    size = len(_STATES)
    so_far = np.full(size, -np.inf)
    so_far[0] = 0.0  # the page's start
    states = np.arange(size)
    steps: list[tuple[list[int], list[int]]] = []  # for each state: the one before it, the role
    for block in scores:
        totals = so_far[:, None] + block
        passing = totals[:, size - 1 :]  # headers and furniture leave the state as it is
        before, roles = states.copy(), passing.argmax(axis=1) + size - 1
        so_far = passing.max(axis=1)
        reached = totals[:, : size - 1]
        best = reached.max(axis=0)
        better = np.flatnonzero(best > so_far[1:])
        so_far[better + 1] = best[better]
        before[better + 1], roles[better + 1] = reached.argmax(axis=0)[better], better
        steps.append((before.tolist(), roles.tolist()))
    state = int(so_far.argmax())
    found: list[Role] = []
    for before_each, role_each in reversed(steps):
        found.append(_COLUMNS[role_each[state]])
        state = before_each[state]
    return found[::-1]


@lru_cache(maxsize=1)
def _weights() -> tuple[Weights, Weights, Scores]:
    """The fitted weights of roles and of changes, and 0 for what may follow, else -inf."""
    path = Path(__file__).with_name("roles.json")
    rows = json.loads(path.read_text(encoding="utf-8"))
    column = {role.name: i for i, role in enumerate(_COLUMNS)}
    line = {state.name if state else "": i for i, state in enumerate(_STATES)}
    own = {cue: np.zeros(len(column)) for cue in rows["own"]}
    change = {cue: np.zeros((len(line), len(column))) for cue in rows["change"]}
    legal = np.full((len(line), len(column)), -np.inf)
    for cue, by_role in rows["own"].items():
        for name, weight in by_role.items():
            own[cue][column[name]] = weight
    for cue, by_change in rows["change"].items():
        for name, weight in by_change.items():
            before, _, role = name.partition(">")
            change[cue][line[before], column[role]] = weight
    for state, roles in FOLLOWS.items():
        for role_after in (*roles, *TRANSPARENT):
            legal[line[state.name if state else ""], column[role_after.name]] = 0.0
    return own, change, legal
