"""Which loose fragments of one page go on from open ends on other pages of the issue.

The choice is that of stitching.py, between the articles that stop in mid-sentence at their last
block and the fragments that no article of their own page took. Does not cover which pages are of
one issue (pages.py).
"""

from collections.abc import Sequence

import numpy as np

from rag.layout.blocks import Block
from rag.layout.habits import OPENER, Habits
from rag.layout.roles import Role
from rag.layout.stitching import Section, View, assigned, is_open

UNMARKED = 3.0  # what likeness has to outweigh where no jump marks say that a tail is elsewhere
HALF_MARKED = 1.0  # where one of the two has a mark


def links_across(
    blocks: Sequence[Block],
    roles: Sequence[Role],
    threads: Sequence[Section],
    page_of: Sequence[int],
    habits: Habits,
) -> dict[int, int]:
    """Fragment's first block -> the block on another page that it goes on from.

    `threads` are the articles and fragments as each page by itself has them.
    """
    heads, tails = _heads(threads, blocks, roles), _tails(threads, blocks, roles)
    if not any(page_of[p] != page_of[q] for p in heads for q in tails):
        return {}
    view = View(blocks, roles, threads, habits, ends=(heads, tails))
    gains = view.gains(heads, tails)
    for i, p in enumerate(heads):
        for j, q in enumerate(tails):
            marks = blocks[p].jump_out + blocks[q].jump_in
            gains[i, j] -= (UNMARKED, HALF_MARKED, 0.0)[marks]
            if page_of[p] == page_of[q]:
                gains[i, j] = -np.inf
    return {tails[j]: heads[i] for i, j in assigned(gains)}


def _heads(threads: Sequence[Section], blocks: Sequence[Block], roles: Sequence[Role]) -> list[int]:
    """The open ends that nothing on their page goes on from."""
    lasts = [s.items[-1] for s in threads if s.heading and s.items]
    return [i for i in lasts if roles[i] is Role.BODY and is_open(blocks[i])]


def _tails(threads: Sequence[Section], blocks: Sequence[Block], roles: Sequence[Role]) -> list[int]:
    """The first blocks of fragments."""
    firsts = [s.items[0] for s in threads if not s.heading]
    return [i for i in firsts if roles[i] is Role.BODY and not OPENER.match(blocks[i].text)]
