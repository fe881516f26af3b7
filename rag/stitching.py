"""Where a body goes on: after the block before it, from an open end elsewhere, or from nothing.

A page is cut at its headings into sections. A body block goes on from the block before it, from a
block that stops in mid-sentence elsewhere on the page (a displaced tail), or from nothing (a loose
fragment); one assignment decides for all.
Scores are log-odds by hand, fitted on made pages (Source: DECISIONS.md); positive favours.
Does not cover what the blocks are (roles.py), nor making Articles of them (pages.py).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.blocks import COMMAS, PAIRS, Block
from rag.habits import OPENER, Habits, loose, loose_start
from rag.roles import HEADING, NUMBERED, Role, header_score

_MAX_PAIRS = (
    40_000  # open ends x tails; beyond it a file is no page, and only neighbours are joined
)
LOOSE = -1  # the head of a fragment that belongs to no article of the page


@dataclass(frozen=True, slots=True)
class Section:
    """A heading (possibly none) and the body blocks up to the next; indexes of blocks."""

    heading: tuple[int, ...]
    items: tuple[int, ...]
    after_header: frozenset[int]  # items with a header right before them


def linked(
    blocks: Sequence[Block], roles: list[Role], habits: Habits
) -> tuple[list[Section], dict[int, int]]:
    """Sections and links; heads that were read as headers or kickers become body (in `roles`)."""
    sections = _sections(blocks, roles)
    links = _links(blocks, roles, sections, habits)
    misread = [p for p in links.values() if p != LOOSE and roles[p] is not Role.BODY]
    if not misread:
        return sections, links
    for p in misread:
        roles[p] = Role.BODY
    sections = _sections(blocks, roles)
    return sections, _links(blocks, roles, sections, habits)


# --- sections ------------------------------------------------------------------------------------


def _sections(blocks: Sequence[Block], roles: Sequence[Role]) -> list[Section]:
    """The page cut at its headings, and at briefs that open with a dateline of their own."""
    sections: list[Section] = []
    heading: list[int] = []
    items: list[int] = []
    after_header: set[int] = set()
    is_after_header = False

    def close() -> None:
        if heading or items:
            sections.append(Section(tuple(heading), tuple(items), frozenset(after_header)))
        for part in (heading, items, after_header):
            part.clear()

    for i, role in enumerate(roles):
        if role is Role.FURNITURE:
            continue
        if role is Role.HEADER:
            is_after_header = True
            continue
        is_brief = items and role is Role.BODY and _is_brief(blocks, items, i, is_after_header)
        if is_brief or (items and role in HEADING and role is not Role.BYLINE):
            close()
        if role in HEADING:
            heading.append(i)
        else:
            items.append(i)
            if is_after_header:
                after_header.add(i)
        is_after_header = False
    close()
    return sections


def _is_brief(blocks: Sequence[Block], items: Sequence[int], i: int, after_header: bool) -> bool:
    """Whether a body block begins a new article that has no title."""
    opens = bool(OPENER.match(blocks[i].text)) and blocks[items[-1]].ends
    return opens and (after_header or bool(OPENER.match(blocks[items[0]].text)))


# --- links ---------------------------------------------------------------------------------------


def _links(
    blocks: Sequence[Block],
    roles: Sequence[Role],
    sections: Sequence[Section],
    habits: Habits,
) -> dict[int, int]:
    """Body block -> the open block that it goes on from, or LOOSE.

    Blocks not named follow the block before them as a new paragraph. The open block may be one
    that was read as a header or kicker: then it was the last line of the article above.
    """
    bodies = (i for section in sections for i in section.items if roles[i] is Role.BODY)
    heads = [i for i in bodies if _is_open(blocks[i])]
    stubs = _stubs(blocks, roles)
    tails = [i for section in sections for i in _possible_tails(section, blocks, roles)]
    view = _View(blocks, sections, tails, stubs, habits)
    heads += stubs
    if len(heads) * len(tails) > _MAX_PAIRS:
        pairs = [(view.before.get(q), q) for q in tails]
        return {q: p for p, q in pairs if p in set(heads) and view.direct(p, q) > 0}
    scores = [[max(0.0, view.score(p, q)) for q in tails] for p in heads]
    chosen = {tails[j]: heads[i] for i, j in _assignment(scores)}
    return chosen | {q: LOOSE for q in tails if q not in chosen and view.is_stray(q, chosen)}


def _is_open(block: Block) -> bool:
    """Whether a body block stops before its sentence or quotation does."""
    last = block.core[-1:]
    return block.jump_out or bool(block.unclosed) or not (block.ends or last in "：:")


def _stubs(blocks: Sequence[Block], roles: Sequence[Role]) -> dict[int, int]:
    """Headers and kickers right below a body block that might be its article's last, cut line."""
    lines = [i for i, role in enumerate(roles) if role is not Role.FURNITURE]
    return {
        i: above
        for above, i in pairwise(lines)
        if roles[above] is Role.BODY
        and roles[i] in (Role.HEADER, Role.KICKER)
        and _is_open(blocks[i])
        and header_score(blocks[i], is_first=False) < 0
    }


def _possible_tails(section: Section, blocks: Sequence[Block], roles: Sequence[Role]) -> list[int]:
    """The body blocks that could go on from another: no openers, nor the first below a title."""
    bodies = [i for i in section.items if roles[i] is Role.BODY]
    return [i for i in bodies[bool(section.heading) :] if not OPENER.match(blocks[i].text)]


# --- scores of joins -----------------------------------------------------------------------------

_COMMA_OR_END = re.compile(r"[，。,；;！？?、：:]")
_MANY = re.compile(r"[\d.%一二三四五六七八九十百千万亿两几多余]$")
_COUNTED = frozenset(
    "名个元人年月日万亿%条项家次公亩吨件位所座台户艘趟分度岁米斤只种批场处点多余时倍头棵株架班节本首篇幅张"
)
_ONLY_COUNTED = frozenset("名个元亿%岁亩吨")


@dataclass(frozen=True, slots=True)
class _Fragment:
    """A body block as a possible tail: its telling terms against those of its host.

    The host is the article above it. `near` are the terms of its first 60 characters; `new` and
    `shared` are those of all that follows up to the next heading, by whether the host has them.
    `prior`: log-odds that it is a tail at all, by its place and beginning and what binds it there.
    """

    near: frozenset[str]
    new: frozenset[str]
    shared: frozenset[str]
    prior: float
    has_host: bool

    def gain(self, matches: float) -> float:
        """-1 to 1: whether so many matching terms are more than chance, for the run's length."""
        return math.tanh(matches / math.sqrt(len(self.new) + len(self.shared) + 20) / 1.5)

    def share(self, terms: frozenset[str]) -> float:
        """The share of its first terms that an article has, 0 to 1."""
        return len(self.near & terms) / max(8, len(self.near))


class _View:
    """Scores of joins on one page."""

    def __init__(
        self,
        blocks: Sequence[Block],
        sections: Sequence[Section],
        tails: Iterable[int],
        stubs: Mapping[int, int],
        habits: Habits,
    ) -> None:
        self.blocks, self.sections, self.habits, self.stubs = blocks, sections, habits, stubs
        self.telling = _telling(blocks, sections)
        self.home: dict[int, int] = {}
        self.place: dict[int, int] = {}
        self.terms: dict[int, frozenset[str]] = {}
        self.before = {b: a for section in sections for a, b in pairwise(section.items)}
        for number, section in enumerate(sections):
            self._enter(number, section)
        self.tails = {item: self._fragment(item) for item in tails}
        for stub, above in stubs.items():
            self.home[stub] = self.home[above]
            self.terms[stub] = self.terms[above] | self.telling[stub]

    def _enter(self, number: int, section: Section) -> None:
        """Note where a section's blocks stand, and the article's telling terms down to each."""
        lines = (*section.heading, *section.items)
        for place, item in enumerate(section.items):
            self.home[item], self.place[item] = number, place
            upto = place + len(section.heading) + 1
            read = (*lines[: min(3, upto)], *lines[max(3, upto - 12) : upto])
            self.terms[item] = frozenset[str]().union(*(self.telling[i] for i in read))

    def _fragment(self, item: int) -> _Fragment:
        """The block as a possible tail."""
        section = self.sections[self.home[item]]
        items = section.items[self.place[item] :][:12]
        near, size = set[str](), 0.0
        for i in items:
            near |= self.telling[i]
            size += self.blocks[i].size
            if size >= 60:
                break
        run = frozenset[str]().union(*(self.telling[i] for i in items))
        previous = self.before.get(item)
        host = frozenset[str]() if previous is None else self.terms[previous]
        prior = self._prior(item, near, item in section.after_header)
        return _Fragment(frozenset(near), run - host, run & host, prior, previous is not None)

    def _prior(self, q: int, near: set[str], is_after_header: bool) -> float:
        """Log-odds that a block is a displaced tail, whatever its head."""
        block, previous, own = self.blocks[q], self.before.get(q), self.telling[q]
        clause = len(_COMMA_OR_END.split(block.text[:40], maxsplit=1)[0])
        score = 1.4 + loose_start(block, self.habits) + (0.8 if is_after_header else 0.0)
        score -= 0.6 * math.log(1 + block.size) + 0.7 * math.log(1 + clause)
        if previous is None:
            return score + 2.1
        above = self.telling[previous]
        score -= 1.3 if _is_open(self.blocks[previous]) else 0.0
        score -= 12.0 * len(near & self.terms[previous]) / max(8, len(near))
        return score - 15.0 * len(own & above) / max(8, min(len(own), len(above)))

    def score(self, p: int, q: int) -> float:
        """Log-odds that q goes on from p; 0 or less: it doesn't."""
        if p == q or (self.home[p] == self.home[q] and q < p):
            return -math.inf
        return self.direct(p, q) if self.before.get(q) == p else self.displaced(p, q)

    def direct(self, p: int, q: int) -> float:
        """Log-odds that q is the rest of the paragraph p right before it."""
        head, tail, fragment = self.blocks[p], self.blocks[q], self.tails[q]
        by_chance = 0.08 * (len(fragment.new) + len(fragment.shared))
        score = 3.9 + self._junction(head, tail) + 2.0 * fragment.share(self.terms[p])
        score += 2.3 * fragment.gain(len(fragment.shared) - by_chance)
        score -= 3.3 if q in self.sections[self.home[q]].after_header else 0.0
        score -= 4.0 if NUMBERED.match(tail.text) or head.ends else 0.0
        if not (COMMAS.search(head.text) or COMMAS.search(tail.text) or tail.ends):
            score -= 5.0
        return score + (-3.0 if self.habits.indents and tail.indented else 0.0)

    def displaced(self, p: int, q: int) -> float:
        """Log-odds that q is the tail of p, which stands elsewhere on the page."""
        fragment, terms = self.tails[q], self.terms[p]
        is_last = p == self.sections[self.home[p]].items[-1]
        score = fragment.prior + (3.2 if is_last else 0.5 if p in self.stubs else 1.5)
        if score < -6.0:
            return score
        score += self._junction(self.blocks[p], self.blocks[q])
        if score < -5.2:
            return score  # what follows adds 5.2 at most
        matches = float(len(fragment.new & terms) - len(fragment.shared - terms))
        matches -= 0.0 if fragment.has_host else 0.05 * len(fragment.new)
        return score + 1.9 * fragment.share(terms) + 3.3 * fragment.gain(matches)

    def is_stray(self, q: int, chosen: dict[int, int]) -> bool:
        """Whether an unplaced block is no part of the article that it stands in."""
        previous = self.before.get(q)
        if previous is None:
            return False
        is_robbed = previous in chosen.values()
        return loose(self.blocks[q], self.habits) >= (0.0 if is_robbed else 4.0)

    def _junction(self, head: Block, tail: Block) -> float:
        """What the ends say: quotation balance, words cut in two, numbers and what they count."""
        score = 4.0 if head.jump_out and tail.jump_in else 0.0
        pairs = zip(reversed(head.unclosed), tail.unopened, strict=False)
        matched = sum(opening == PAIRS[closing] for opening, closing in pairs)
        score += 2.2 * matched - 1.3 * (len(tail.unopened) - matched)
        score -= 1.3 * (len(head.unclosed) - matched)
        if head.ends and not matched:
            score -= 3.0
        first = tail.text[0]
        if _MANY.search(head.text[-1:]):
            score += 2.0 if first in _COUNTED else -0.7
        elif first in _ONLY_COUNTED:
            score -= 1.0
        return score + 1.6 * self.habits.crosses(head.text, tail.text)


def _telling(blocks: Sequence[Block], sections: Sequence[Section]) -> list[frozenset[str]]:
    """The terms of each block that not many of the page's sections have."""
    seen: Counter[str] = Counter()
    for section in sections:
        seen.update({term for i in (*section.heading, *section.items) for term in blocks[i].terms})
    most = 0.4 * (1 + len(sections))
    return [frozenset(t for t in block.terms if seen[t] <= most) for block in blocks]


# --- the assignment ------------------------------------------------------------------------------


def _assignment(scores: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The (row, column) pairs, at most one a row and column, of the greatest sum of scores.

    Kuhn's algorithm with prices ("Hungarian"), O(rows^2 x columns); scores of 0 are no pair.
    """
    if not scores or not scores[0]:
        return []
    if len(scores) > len(scores[0]):
        turned = [list(column) for column in zip(*scores, strict=True)]
        return [(row, column) for column, row in _assignment(turned)]
    row_price, column_price = [0.0] * (len(scores) + 1), [0.0] * (len(scores[0]) + 1)
    row_of = [0] * len(column_price)  # counted from 1; column 0 holds the row being placed
    for row in range(1, len(row_price)):
        row_of[0] = row
        _place(scores, row_price, column_price, row_of)
    pairs = [(row - 1, column - 1) for column, row in enumerate(row_of) if row and column]
    return [(row, column) for row, column in pairs if scores[row][column] > 0]


def _place(
    scores: Sequence[Sequence[float]],
    row_price: list[float],
    column_price: list[float],
    row_of: list[int],
) -> None:
    """Give the row in column 0 a column, moving others along the cheapest path; in place."""
    came_from, slack = [0] * len(row_of), [math.inf] * len(row_of)
    waiting, done, column = set(range(1, len(row_of))), [0], 0
    while row_of[column]:
        row = row_of[column]
        for k in waiting:
            cost = -scores[row - 1][k - 1] - row_price[row] - column_price[k]
            if cost < slack[k]:
                slack[k], came_from[k] = cost, column
        column = min(waiting, key=lambda k: slack[k])
        step = slack[column]
        for k in done:
            row_price[row_of[k]] += step
            column_price[k] -= step
        for k in waiting:
            slack[k] -= step
        waiting.remove(column)
        done.append(column)
    while column:
        row_of[column], column = row_of[came_from[column]], came_from[column]
