"""What each block is on its page: header, kicker, title, byline, sub-heading, body or furniture.

A linear-chain conditional random field over the page: cues (cues.py) weigh for each role and for
each change of role, and the best-scored sequence is found by dynamic programming (Viterbi).
The weights in roles.json are fitted on made pages (tests/bench/fit_pages.py).
Does not cover which heading belongs to which body (stitching.py).
"""

import json
import math
from collections.abc import Mapping, Sequence
from enum import IntEnum, auto
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from rag.blocks import Block
from rag.cues import Cues, changes_of, cues_of
from rag.habits import Habits


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
Change = tuple[State, Role]
Weights = Mapping[str, Mapping[int, float]]  # cue -> role -> weight
ChangeWeights = Mapping[str, Mapping[Change, float]]
K = TypeVar("K")
_Step = dict[State, tuple[State, Role]]  # state -> the state before it, the role read


def roles_of(blocks: Sequence[Block], habits: Habits) -> list[Role]:
    """The best-scored roles of the blocks, in order.

    A header or a line of furniture may stand anywhere, even inside a sentence, and doesn't break
    what goes on around it.
    """
    own, change = _weights()
    cues = cues_of(blocks, habits)
    return best(cues, changes_of(blocks, cues, habits), own, change)


def best(
    cues: Sequence[Cues], changes: Sequence[Cues], own: Weights, change: ChangeWeights
) -> list[Role]:
    """The best-scored roles under the weights."""
    scores: dict[State, float] = {None: 0.0}
    steps: list[_Step] = []
    for block, joint in zip(cues, changes, strict=True):
        scores, step = _step(scores, weighed(block, own), weighed(joint, change))
        steps.append(step)
    state = max(scores, key=lambda state: scores[state])
    roles: list[Role] = []
    for step in reversed(steps):
        state, role = step[state]
        roles.append(role)
    return roles[::-1]


def weighed(cues: Cues, weights: Mapping[str, Mapping[K, float]]) -> dict[K, float]:
    """The sum of the cues' weights, for each role or change."""
    total: dict[K, float] = {}
    for name, value in cues.items():
        for key, weight in weights.get(name, {}).items():
            total[key] = total.get(key, 0.0) + value * weight
    return total


def _step(
    scores: Mapping[State, float], own: Mapping[int, float], change: Mapping[Change, float]
) -> tuple[dict[State, float], _Step]:
    """Read one more block: each state's best score, and how it was reached."""
    then: dict[State, float] = {}
    step: _Step = {}
    for state, so_far in scores.items():
        for role in (*FOLLOWS[state], *TRANSPARENT):
            score = so_far + own.get(role, 0.0) + change.get((state, role), 0.0)
            after = state if role in TRANSPARENT else role
            if score > then.get(after, -math.inf):
                then[after], step[after] = score, (state, role)
    return then, step


@lru_cache(maxsize=1)
def _weights() -> tuple[Weights, ChangeWeights]:
    """The fitted weights of roles and of changes."""
    path = Path(__file__).with_name("roles.json")
    rows = json.loads(path.read_text(encoding="utf-8"))
    own = {cue: {int(Role[r]): w for r, w in by.items()} for cue, by in rows["own"].items()}
    change = {cue: {_change(k): w for k, w in by.items()} for cue, by in rows["change"].items()}
    return own, change


def _change(name: str) -> Change:
    """A change by its name: TITLE>BODY, >TITLE at the page's start."""
    before, _, role = name.partition(">")
    return (Role[before] if before else None), Role[role]
