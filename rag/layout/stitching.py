"""Where a body goes on: after the block before it, from an open end elsewhere, or from nothing.

Within a page's sections (sections.py) a body block goes on from the block before it, from a
block that stops in mid-sentence elsewhere on the page (a displaced tail), or from nothing (a loose
fragment); one assignment decides for all.
The weights in links.json are fitted on made pages (tests/bench/fit_links.py): log-odds, positive
favours.
Does not cover what the blocks are (roles.py), nor making Articles of them (pages.py).
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.layout import seams
from rag.layout.blocks import COMMAS, PAIRS, Block
from rag.layout.cues import NUMBERED, Cues
from rag.layout.habits import CLOSING_STARTS, OPENER, Habits, loose_start
from rag.layout.roles import Role
from rag.layout.sections import Section, sections_of

_MAX_PAIRS = (
    40_000  # open ends x tails; beyond it a file is no page, and only neighbours are joined
)
_HOPELESS = -9.0  # gain of a join without its seam, for which no seam can make up
Scores = NDArray[np.float64]
LOOSE = -1  # the head of a fragment that belongs to no article of the page


def linked(
    blocks: Sequence[Block], roles: Sequence[Role], habits: Habits
) -> tuple[list[Section], dict[int, int]]:
    """Sections and links."""
    sections = sections_of(blocks, roles)
    return sections, _links(blocks, roles, sections, habits)


# --- links ---------------------------------------------------------------------------------------


def _links(
    blocks: Sequence[Block],
    roles: Sequence[Role],
    sections: Sequence[Section],
    habits: Habits,
) -> dict[int, int]:
    """Body block -> the open block that it goes on from, or LOOSE.

    Blocks not named follow the block before them as a new paragraph.
    """
    view = View(blocks, roles, sections, habits)
    heads, tails = view.heads, list(view.tails)
    if len(heads) * len(tails) > _MAX_PAIRS:
        pairs = [(view.before.get(q), q) for q in tails]
        return {q: p for p, q in pairs if p in view.ends and view.gain(p, q) > 0}
    chosen = {tails[j]: heads[i] for i, j in _assigned(view, heads, tails)}
    strays = (q for q in tails if q not in chosen and (view.stays(q) < 0 or blocks[q].jump_in))
    return chosen | dict.fromkeys(strays, LOOSE)


def is_open(block: Block) -> bool:
    """Whether a body block stops before its sentence or quotation does."""
    last = block.core[-1:]
    return block.jump_out or bool(block.unclosed) or not (block.ends or last in "：:")


def _possible_tails(section: Section, blocks: Sequence[Block], roles: Sequence[Role]) -> list[int]:
    """The body blocks that could go on from another: no openers, nor the first below a title."""
    bodies = [i for i in section.items if roles[i] is Role.BODY]
    return [i for i in bodies[bool(section.heading) :] if not OPENER.match(blocks[i].text)]


# --- the cues of a join --------------------------------------------------------------------------

_COMMA_OR_END = re.compile(r"[，。,；;！？?、：:]")
_MANY = re.compile(r"[\d.%一二三四五六七八九十百千万亿两几多余]$")
_COUNTED = frozenset(
    "名个元人年月日万亿%条项家次公亩吨件位所座台户艘趟分度岁米斤只种批场处点多余时倍头棵株架班节本首篇幅张"
)
_ONLY_COUNTED = frozenset("名个元亿%岁亩吨")


@dataclass(frozen=True, slots=True)
class _Tail:
    """A body block as a possible tail: its telling terms against those of its host.

    The host is the article above it. `near` are the terms of its first 60 characters; `new` and
    `shared` are those of all that follows up to the next heading, by whether the host has them.
    `own` are the cues that it is a tail at all, whatever its head.
    """

    near: frozenset[str]
    new: frozenset[str]
    shared: frozenset[str]
    own: Cues

    def gain(self, matches: float) -> float:
        """-1 to 1: whether so many matching terms are more than chance, for the run's length."""
        return math.tanh(matches / math.sqrt(len(self.new) + len(self.shared) + 20) / 1.5)

    def share(self, terms: frozenset[str]) -> float:
        """The share of its first terms that an article has, 0 to 1."""
        return len(self.near & terms) / max(8, len(self.near))


class View:
    """The open ends and possible tails of one page, and the cues of each join."""

    def __init__(
        self,
        blocks: Sequence[Block],
        roles: Sequence[Role],
        sections: Sequence[Section],
        habits: Habits,
        ends: tuple[Sequence[int], Sequence[int]] | None = None,
    ) -> None:
        """Of all open ends and tails, or of those given as `ends`."""
        self.blocks, self.sections, self.habits = blocks, sections, habits
        if ends is None:
            bodies = (i for section in sections for i in section.items if roles[i] is Role.BODY)
            tails = (i for section in sections for i in _possible_tails(section, blocks, roles))
            ends = [i for i in bodies if is_open(blocks[i])], list(tails)
        self.heads = ends[0]
        self.telling = _telling(blocks, sections)
        self.home: dict[int, int] = {}
        self.place: dict[int, int] = {}
        self.terms: dict[int, frozenset[str]] = {}
        self.before = {b: a for section in sections for a, b in pairwise(section.items)}
        for number, section in enumerate(sections):
            self._enter(number, section)
        self.votes = _votes(blocks, sections, self.telling)
        self.voters = {q: votes.total() for q, votes in self.votes.items()}
        self.size = [sum(map(len, (self.telling[i] for i in s.items))) for s in sections]
        self.whole = max(1, sum(self.size))
        self.tails = {item: self._tail(item) for item in ends[1]}
        self.ends = {p: self._end(p) for p in self.heads}
        self.after = {a: b for b, a in self.before.items()}
        self._stays: dict[int, float] = {}

    def _enter(self, number: int, section: Section) -> None:
        """Note where a section's blocks stand, and the article's telling terms down to each."""
        lines = (*section.heading, *section.items)
        for place, item in enumerate(section.items):
            self.home[item], self.place[item] = number, place
            upto = place + len(section.heading) + 1
            read = (*lines[: min(3, upto)], *lines[max(3, upto - 12) : upto])
            self.terms[item] = frozenset[str]().union(*(self.telling[i] for i in read))

    def _tail(self, item: int) -> _Tail:
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
        return _Tail(frozenset(near), run - host, run & host, self._beginning(item, near))

    def _likeness(self, q: int, section: int) -> float:
        """How much more often than by chance a section alone shares terms with q's run; log."""
        votes = self.votes[q]
        share = self.size[section] / self.whole
        return math.log((votes[section] + 1) / (self.voters[q] * share + 1)) / 2

    def _beginning(self, q: int, near: set[str]) -> Cues:
        """How a block begins, and what binds it to the article above."""
        block, previous = self.blocks[q], self.before.get(q)
        clause = len(_COMMA_OR_END.split(block.text[:40], maxsplit=1)[0])
        cues = {
            "bias": 1.0,
            "loose": max(-1.0, min(1.5, loose_start(block, self.habits) / 4)),
            "begins": max(-2.0, min(2.0, seams.begins_inside(block.text) / 3)),
            "size": math.log(1 + block.size) / 4,
            "clause": math.log(1 + clause) / 3,
            "run": math.log(len(self.sections[self.home[q]].items) - self.place[q]),
        }
        if q in self.sections[self.home[q]].after_header:
            cues["after header"] = 1.0
        if previous is None:
            cues["first"] = 1.0
            return cues
        above = self.telling[previous]
        own = self.telling[q]
        cues["host, like"] = self._likeness(q, self.home[q])
        cues["host, near"] = len(near & self.terms[previous]) / max(8, len(near))
        cues["host, above"] = len(own & above) / max(8, min(len(own), len(above)))
        if is_open(self.blocks[previous]):
            cues["open above"] = 1.0
        return cues

    def _end(self, p: int) -> Cues:
        """How an open end stops."""
        cues = {"head size": math.log(1 + self.blocks[p].size) / 4}
        if self.blocks[p].ends:
            cues["ended"] = 1.0
        return cues

    def possible(self, p: int, q: int) -> bool:
        """Whether the block q might go on from p."""
        is_back = self.home[p] == self.home[q] and q < p
        jumps = self.blocks[p].jump_out and self.before.get(q) == p
        return not (p == q or is_back or jumps)

    def cues(self, p: int, q: int) -> Cues:
        """The cues that q goes on from p, named by how they stand to each other."""
        if self.before.get(q) == p:
            return {f"on {name}": value for name, value in self._next(p, q).items()}
        return {f"far {name}": value for name, value in self._displaced(p, q).items()}

    def home_cues(self, q: int) -> Cues:
        """The cues that q belongs to the article of the block above it."""
        above = self.before[q]
        if above in self.ends:
            return self.cues(above, q)
        return {f"below {name}": value for name, value in self._below(q).items()}

    def _below(self, q: int) -> Cues:
        """The cues that q is a new paragraph after the one above it."""
        tail, fragment = self.blocks[q], self.tails[q]
        by_chance = 0.08 * (len(fragment.new) + len(fragment.shared))
        cues = dict(fragment.own)
        cues["gain"] = fragment.gain(len(fragment.shared) - by_chance)
        if tail.text[0] in CLOSING_STARTS:
            cues["closing first"] = 1.0
        if tail.unopened:
            cues["unopened"] = float(len(tail.unopened))
        if tail.text[0] in _ONLY_COUNTED:
            cues["count missing"] = 1.0
        if NUMBERED.match(tail.text):
            cues["numbered"] = 1.0
        if not (COMMAS.search(tail.text) or tail.ends):
            cues["no prose"] = 1.0
        if self.habits.indents:
            cues["indented" if tail.indented else "unindented"] = 1.0
        return cues

    def stays(self, q: int) -> float:
        """Log-odds that q belongs to the article above it, rather than to none."""
        if q not in self._stays:
            weights = _weights()["home"]
            known = q in self.before
            self._stays[q] = _sum(weights, self.home_cues(q)) if known else 0.0
        return self._stays[q]

    def gain(self, p: int, q: int) -> float:
        """How much likelier the page is with q joined to p than with q where it stands; log."""
        return _sum(_weights()["both"], self.cues(p, q)) - max(0.0, self.stays(q))

    def gains(self, heads: Sequence[int], tails: Sequence[int]) -> Scores:
        """The gain of each pair, shape (heads, tails).

        Pairs that neither their ends nor their likeness make probable are left at 0.
        """
        weights = _weights()["both"]
        found = np.zeros((len(heads), len(tails)))
        share = np.array(self.size) / self.whole
        votes = np.array([[self.votes[q][n] for q in tails] for n in range(len(self.sections))])
        total = np.array([self.voters[q] for q in tails])
        like = np.log((votes + 1) / (share[:, None] * total[None, :] + 1)) / 2
        stays = np.array([max(0.0, self.stays(q)) for q in tails])
        begun = np.array([_sum(weights, self.tails[q].own, "far") for q in tails]) - stays
        place = {q: j for j, q in enumerate(tails)}
        quoted = [j for j, q in enumerate(tails) if self.blocks[q].unopened]
        for i, p in enumerate(heads):
            first = begun + _sum(weights, self.ends[p], "far")
            first += weights.get("far like", 0.0) * like[self.home[p]]
            near = [place[q] for q in (self.after.get(p),) if q in place]
            near += quoted if self.blocks[p].unclosed else []
            for j in {*np.flatnonzero(first > _HOPELESS).tolist(), *near}:
                if self.possible(p, tails[j]):
                    found[i, j] = self.gain(p, tails[j])
        return found

    def _next(self, p: int, q: int) -> Cues:
        """The cues that q is the rest of the paragraph p right before it."""
        head, tail, fragment = self.blocks[p], self.blocks[q], self.tails[q]
        by_chance = 0.08 * (len(fragment.new) + len(fragment.shared))
        cues = fragment.own | self.ends[p] | self._junction(p, q)
        cues["near"] = fragment.share(self.terms[p])
        cues["gain"] = fragment.gain(len(fragment.shared) - by_chance)
        if NUMBERED.match(tail.text):
            cues["numbered"] = 1.0
        if not (COMMAS.search(head.text) or COMMAS.search(tail.text) or tail.ends):
            cues["no prose"] = 1.0
        if self.habits.indents:
            cues["indented" if tail.indented else "unindented"] = 1.0
        return cues

    def _displaced(self, p: int, q: int) -> Cues:
        """The cues that q is the tail of p, which stands elsewhere on the page."""
        fragment, terms = self.tails[q], self.terms[p]
        matches = float(len(fragment.new & terms) - len(fragment.shared - terms))
        matches -= 0.0 if q in self.before else 0.05 * len(fragment.new)
        cues = fragment.own | self.ends[p] | self._junction(p, q)
        cues["near"], cues["gain"] = fragment.share(terms), fragment.gain(matches)
        cues["like"] = self._likeness(q, self.home[p])
        if self.votes[q] and max(self.votes[q], key=lambda s: self.votes[q][s]) == self.home[p]:
            cues["most like"] = 1.0
        if self.habits.indents:
            cues["indented" if self.blocks[q].indented else "unindented"] = 1.0
        if self.home[p] == self.home[q]:
            cues["same section"] = 1.0
        if p in self.after:
            cues["followed"] = 1.0
        return cues

    def _junction(self, p: int, q: int) -> Cues:
        """What the ends say: quotation balance, words cut in two, numbers and what they count."""
        head, tail = self.blocks[p], self.blocks[q]
        pairs = zip(reversed(head.unclosed), tail.unopened, strict=False)
        matched = sum(opening == PAIRS[closing] for opening, closing in pairs)
        counts = {
            "matched": matched,
            "unopened": len(tail.unopened) - matched,
            "unclosed": len(head.unclosed) - matched,
            "jump": head.jump_out and tail.jump_in,
            "ended, unmatched": head.ends and not matched,
        }
        cues = {name: float(count) for name, count in counts.items() if count}
        first = tail.text[0]
        if _MANY.search(head.text[-1:]):
            cues["counted" if first in _COUNTED else "not counted"] = 1.0
        elif first in _ONLY_COUNTED:
            cues["count missing"] = 1.0
        crossed = self.habits.crosses(head.text, tail.text)
        if crossed:
            cues["crossed" if crossed < 1.5 else "word crossed"] = 1.0  # a pair; three or more
        fits = seams.fits(head.text, tail.text)
        cues["fits"] = max(-2.0, min(2.0, fits / 3))
        cues["usual"] = max(-2.0, min(2.0, seams.usual(head.text, tail.text) / 3))
        return cues


def _votes(
    blocks: Sequence[Block], sections: Sequence[Section], telling: Sequence[frozenset[str]]
) -> dict[int, Counter[int]]:
    """For each item: how many terms of its run only one section has besides, by section.

    A run goes from the item to the section's end; its own section counts by what stands above.
    """
    first: list[dict[str, int]] = []  # a section's terms, and the place where each stands first
    homes: dict[str, list[int]] = {}
    for number, section in enumerate(sections):
        places: dict[str, int] = {}
        lines = [(-1, i) for i in section.heading] + list(enumerate(section.items))
        for place, i in lines:
            for term in telling[i]:
                if term not in places:
                    places[term] = place
                    homes.setdefault(term, []).append(number)
        first.append(places)
    votes: dict[int, Counter[int]] = {}
    for number, section in enumerate(sections):
        run: set[str] = set()
        others: Counter[int] = Counter()
        begun: Counter[int] = Counter()  # the run's terms that no other section has: their places
        for place in range(len(section.items) - 1, -1, -1):
            item = section.items[place]
            new = telling[item] - run
            run |= new
            del begun[place]
            for term in new:
                homes_of = homes[term]
                if len(homes_of) == 1 and first[number][term] < place:
                    begun[first[number][term]] += 1
                elif len(homes_of) == 2:
                    others[homes_of[homes_of[0] == number]] += 1
            votes[item] = others.copy()
            votes[item][number] = begun.total()
    return votes


def _telling(blocks: Sequence[Block], sections: Sequence[Section]) -> list[frozenset[str]]:
    """The terms of each block that not many of the page's sections have."""
    seen: Counter[str] = Counter()
    for section in sections:
        seen.update({term for i in (*section.heading, *section.items) for term in blocks[i].terms})
    most = 0.4 * (1 + len(sections))
    return [frozenset(t for t in block.terms if seen[t] <= most) for block in blocks]


# --- the assignment ------------------------------------------------------------------------------


def _assigned(view: View, heads: Sequence[int], tails: Sequence[int]) -> list[tuple[int, int]]:
    """The (head, tail) places, at most one for each, of the greatest sum of scores."""
    if not heads or not tails:
        return []
    return assigned(view.gains(heads, tails))


def assigned(gains: Scores) -> list[tuple[int, int]]:
    """The (row, column) places, at most one for each, of the greatest sum of positive gains."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(np.maximum(gains, 0.0), maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if gains[row, column] > 0]


def _sum(weights: Mapping[str, float], cues: Cues, kind: str = "") -> float:
    """The cues' weighted sum; of a kind of join where one is named."""
    before = f"{kind} " if kind else ""
    return sum(value * weights.get(before + name, 0.0) for name, value in cues.items())


@lru_cache(maxsize=1)
def _weights() -> dict[str, dict[str, float]]:
    """The fitted weights: of what goes on from an end, of where a block belongs, and of both."""
    path = Path(__file__).with_name("links.json")
    weights: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))
    names = {name for row in weights.values() for name in row}
    both = {name: sum(row.get(name, 0.0) for row in weights.values()) for name in names}
    return {**weights, "both": both}
