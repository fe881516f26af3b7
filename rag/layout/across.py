"""Which loose fragments of one page go on from open ends on other pages of the issue.

The choice is that of stitching.py, between the articles that stop in mid-sentence at their last
block and the fragments that no article of their own page took. Does not cover which pages are of
one issue (pages.py).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from rag.layout.blocks import Block
from rag.layout.habits import OPENER, Habits
from rag.layout.roles import Role
from rag.layout.sections import Section
from rag.layout.stitching import LOOSE, View, assigned, is_open

# What likeness has to outweigh where no jump marks say that a tail is elsewhere. A mark without its
# counterpart is worth nothing: the other half is on a page that isn't here.
UNMARKED = 8.0


def links_across(
    blocks: Sequence[Block],
    roles: Sequence[Role],
    threads: Sequence[Section],
    links: Mapping[int, int],
    page_of: Sequence[int],
    habits: Habits,
) -> dict[int, int]:
    """What changes in `links`: blocks that go on from blocks on other pages, and whom they leave.

    `threads` are the articles and fragments as each page by itself has them. A block with a jump
    mark may leave what its own page joined it to, for another with one.
    """
    bodies = [i for thread in threads for i in thread.items if roles[i] is Role.BODY]
    lasts = {thread.items[-1] for thread in threads if thread.heading and thread.items}
    firsts = {thread.items[0] for thread in threads if not thread.heading}
    heads = [i for i in bodies if is_open(blocks[i]) and (i in lasts or blocks[i].jump_out)]
    tails = [
        i for i in bodies if blocks[i].jump_in or (i in firsts and not OPENER.match(blocks[i].text))
    ]
    if not any(page_of[p] != page_of[q] for p in heads for q in tails):
        return {}
    view = View(blocks, roles, threads, habits, ends=(heads, tails))
    gains = view.gains(heads, tails)
    for i, p in enumerate(heads):
        for j, q in enumerate(tails):
            marks = blocks[p].jump_out + blocks[q].jump_in
            gains[i, j] -= (UNMARKED, np.inf, 0.0)[marks]
            settled = p not in lasts or q not in firsts
            if page_of[p] == page_of[q] or (settled and marks < 2):
                gains[i, j] = -np.inf
    found = {tails[j]: heads[i] for i, j in assigned(gains)}
    left = {q: LOOSE for q, p in links.items() if p in found.values()}
    return left | found
