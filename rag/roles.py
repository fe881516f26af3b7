"""What each block is on its page: header, kicker, title, byline, sub-heading, body or furniture.

Every block gets a score for every role, by itself and between the texts around it; the best-scored
sequence of roles over the page is found by dynamic programming (Viterbi).
Scores are log-odds by hand, fitted on made pages (Source: DECISIONS.md); positive favours.
Does not cover which heading belongs to which body (stitching.py).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, auto

from rag.blocks import CJK_RUN, COMMAS, FINAL, FURNITURE, SECTION, Block, furniture_rest
from rag.habits import BYLINE, CLOSING_STARTS, DASH, OPENER, STARTERS, SURNAMES, Habits, loose


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
_BETWEEN = (None, Role.BODY)  # where a header may stand: not between a heading and its text

# Score of one role after another; what isn't named is next to impossible. None: the page's start.
_FOLLOWS: dict[Role | None, dict[Role, float]] = {
    None: {Role.KICKER: -0.5, Role.TITLE: 0.0, Role.BODY: -1.5},
    Role.KICKER: {Role.TITLE: 0.0},
    Role.TITLE: {
        Role.TITLE: -1.5,
        Role.SUBTITLE: 0.0,
        Role.BYLINE: 0.0,
        Role.SUBHEAD: -3.0,
        Role.BODY: 0.0,
    },
    Role.SUBTITLE: {Role.SUBTITLE: -2.0, Role.BYLINE: 0.0, Role.SUBHEAD: -1.5, Role.BODY: 0.0},
    Role.BYLINE: {Role.BYLINE: -0.5, Role.SUBHEAD: -1.0, Role.BODY: 0.0, Role.TITLE: -3.0},
    Role.SUBHEAD: {Role.SUBHEAD: -4.0, Role.BODY: 0.0},
    Role.BODY: {
        Role.KICKER: -1.5,
        Role.TITLE: -0.5,
        Role.SUBHEAD: -0.5,
        Role.BYLINE: -2.0,
        Role.BODY: 0.0,
    },
}
_LAST: dict[Role | None, float] = {
    Role.BODY: 0.0,
    Role.BYLINE: -1.0,
}  # any other role at the page's end costs 4


# --- patterns. Each is linear: no nested or adjacent unbounded repeats. --------------------------

_OPENING = frozenset("“「『《（(【‘")
_MID_ENDS = frozenset(
    "的地得和与及或在将被把对从向由以为是其这该也都就不很还即则并而但让使令给跟同第每各某"
)
_LETTER = re.compile(r"\w")
_STOP_INSIDE = re.compile(r"[。；][”’」』）)]?\w")
NUMBERED = re.compile(
    r"(?:[一二三四五六七八九十]{1,3}[、.．]|[（(][一二三四五六七八九十\d]{1,3}[）)]|\d{1,2}[、.．)](?!\d)"
    r"|第[一二三四五六七八九十\d]{1,3}[，,、]|[①-⑩])"
)
_BY_ENGLISH = re.compile(r"[Bb][Yy] [A-Z][^.,;:!?]{2,50}$")
_CREDIT = re.compile(r"[^。，,！？]{0,30}(?:摄|供图|/图|资料图片?|制图)[)）]?$")
_COLUMN = re.compile(
    r"(?:在行动|巡礼|进行时|风采|走基层|一线|系列报道|特别报道|专题报道|大家谈|面对面)$"
)
_BULLET = re.compile(r"[■□●○◆◇▲△★☆▶►※◎◤◢]|[【\[［〖].{1,12}[】\]］〗]$")


# --- the best sequence ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """A short line between the texts around it; zeros where there is nothing to compare.

    `goes_on`: log-odds, -2.5 to 3, that the text after it continues the article before it.
    `told`: how much of the line's own wording the text after it takes up, -0.4 to 0.6.
    `siblings`: other short lines of the page that begin alike, as sub-headings of an article do.
    """

    goes_on: float = 0.0
    told: float = 0.0
    siblings: int = 0


@dataclass(frozen=True, slots=True)
class _Hints:
    """What a block and the one before it say about a change of role between them."""

    is_tight: bool  # set closer than usual on the page
    is_opener: bool
    is_cut: bool  # the block before stops in mid-sentence
    is_short_cut: bool  # and might be a heading
    is_stub: bool  # and probably is
    goes_on: float  # log-odds that the block begins in mid-sentence
    marked: float


def roles_of(blocks: Sequence[Block], habits: Habits) -> list[Role]:
    """The best-scored roles of the blocks, in order.

    The state is the last role that isn't transparent: a header or a line of furniture may stand
    anywhere, even inside a sentence, and doesn't break what goes on around it.
    """
    around = _surroundings(blocks)
    best: dict[Role | None, float] = {None: 0.0}
    steps: list[_Step] = []
    above: Block | None = None
    for i, block in enumerate(blocks):
        scores = _emission(block, around[i], is_first=i == 0)
        best, step = _step(best, scores, _hints(block, above, habits))
        steps.append(step)
        above = above if scores[Role.FURNITURE] > 0 else block
    state = max(best, key=lambda state: best[state] + _LAST.get(state, -4.0))
    roles: list[Role] = []
    for step in reversed(steps):
        state, role = step[state]
        roles.append(role)
    return roles[::-1]


_Step = dict[Role | None, tuple[Role | None, Role]]  # state -> the state before it, the role read


def _step(
    best: Mapping[Role | None, float], scores: Mapping[Role, float], hints: _Hints
) -> tuple[dict[Role | None, float], _Step]:
    """Read one more block: each state's best score, and how it was reached."""
    then: dict[Role | None, float] = {}
    step: _Step = {}
    for state, so_far in best.items():
        header = scores[Role.HEADER] - (0.0 if state in _BETWEEN else 4.0)
        passing, role = max((header, Role.HEADER), (scores[Role.FURNITURE], Role.FURNITURE))
        if so_far + passing > then.get(state, -math.inf):
            then[state], step[state] = so_far + passing, (state, role)
        for role, cost in _FOLLOWS[state].items():
            score = so_far + cost + scores[role] + _change(state, role, hints)
            if score > then.get(role, -math.inf):
                then[role], step[role] = score, (state, role)
    return then, step


def _change(state: Role | None, role: Role, hints: _Hints) -> float:
    """Score of a change of role, beyond how usual it is."""
    if role is Role.TITLE and state is Role.TITLE:
        return 0.5 if hints.is_tight else -2.5
    if role is not Role.BODY:
        if state is not Role.BODY or not hints.is_cut:
            return 0.0
        return -1.5 if role is Role.SUBHEAD or hints.is_stub else -0.5
    if state is Role.BODY:
        return max(-3.0, min(3.0, hints.goes_on)) if hints.is_short_cut else 0.0
    opener = (2.5 if state in HEADING else -4.0) if hints.is_opener else 0.0
    unmarked = 1.5 * hints.marked if state is Role.TITLE and not hints.is_opener else 0.0
    return opener - unmarked - max(0.0, min(4.0, hints.goes_on))


def _hints(block: Block, before: Block | None, habits: Habits) -> _Hints:
    """The hints for one block."""
    is_cut = before is not None and not before.ends
    crosses = habits.crosses(before.text, block.text) if before else 0.0
    return _Hints(
        is_tight=block.gap < habits.gap or habits.gap == 0,
        is_opener=bool(OPENER.match(block.text)),
        is_cut=is_cut,
        is_short_cut=is_cut and before is not None and before.size < 60,
        is_stub=is_cut and before is not None and before.size < 30,
        goes_on=loose(block, habits) + crosses,
        marked=habits.marked,
    )


# --- how well a role fits a block by itself ------------------------------------------------------


def _emission(block: Block, around: _Surroundings, *, is_first: bool) -> dict[Role, float]:
    """How well each role fits the block by itself and between the texts around it."""
    heading = _heading_score(block)
    byline = _byline_score(block)
    dash = 4.0 if DASH.match(block.text) and block.size < 60 else 0.0
    numbered = 3.0 if NUMBERED.match(block.text) else 0.0
    title = heading - dash - 0.5 * numbered - 0.3 * min(5.0, max(0.0, 10 - block.size))
    inner = numbered + around.goes_on + 2.2 * around.siblings
    return {
        Role.TITLE: title + around.told,
        Role.KICKER: heading - dash - 1.0 - 0.3 * max(0.0, 12 - block.size),
        Role.SUBTITLE: heading + 0.15 * max(0.0, block.size - 30) + (dash or -3.5),
        Role.SUBHEAD: heading - 1.0 + inner - 0.12 * max(0.0, block.size - 10) - dash,
        Role.BYLINE: byline,
        Role.BODY: _body_score(block) - dash - max(0.0, byline),
        Role.HEADER: header_score(block, is_first=is_first),
        Role.FURNITURE: _furniture_score(block),
    }


def _heading_score(block: Block) -> float:
    """How much the block looks like a headline: of fair length, without running sentences."""
    score = -0.7 * max(0.0, 6 - block.size) - 0.25 * max(0.0, block.size - 34)
    if block.core[-1:] in FINAL:
        score -= 5.0
    elif block.text[-1] in frozenset("，,、：:（(《“‘"):
        score -= 4.0
    elif block.text[-1] in _MID_ENDS:
        score -= 2.5
    commas = len(COMMAS.findall(block.text[:300]))
    score -= 0.5 if commas == 1 and block.size < 20 else 1.2 * min(8, commas)
    if commas and STARTERS.match(block.text) and block.text[0] not in _OPENING:
        score -= 1.5
    if block.unopened or block.unclosed:
        score -= 3.0
    if OPENER.match(block.text):
        score -= 6.0
    if block.text[0] in CLOSING_STARTS or _STOP_INSIDE.search(block.text[:100]):
        score -= 4.0
    return max(score, -20.0)


def _body_score(block: Block) -> float:
    """How much the block looks like running text, or a piece of it."""
    score = min(3.0, max(-3.0, (block.size - 26) / 9))
    if block.core[-1:] in FINAL:
        score += 4.0
    score += (0.8 if block.size >= 30 else 0.3) * min(4, len(COMMAS.findall(block.text[:300])))
    if block.unopened or block.unclosed:
        score += 2.0
    if OPENER.match(block.text):
        score += 3.0
    if block.jump_in or block.jump_out or block.text[0] in CLOSING_STARTS:
        score += 3.0
    if block.size < 30 and not (block.core[-1:] in FINAL or block.unclosed):
        score -= 1.5
    return score


def _byline_score(block: Block) -> float:
    """How much the block looks like the names of those who wrote it."""
    if block.size > 60:
        return -20.0
    if BYLINE.match(block.text) or _BY_ENGLISH.match(block.text):
        return 6.0
    names = block.text.lstrip("□■○●◎◇◆▲△☆★ /").split()
    if names and len(names) <= 6 and all(_is_name(name) for name in names):
        return 1.5
    return -8.0


def _is_name(word: str) -> bool:
    """Whether the word could be a Chinese person's name."""
    return 2 <= len(word) <= 3 and word[0] in SURNAMES and bool(CJK_RUN.fullmatch(word))


def header_score(block: Block, *, is_first: bool) -> float:
    """How much the block looks like the name of a section or column."""
    if block.size > 40:
        return -20.0
    score = -2.8 - 0.3 * max(0.0, block.size - 12) + (1.5 if is_first else 0.0)
    if _COLUMN.search(block.text):
        score += 2.5
    words = block.text.strip("■□●○◆◇▲△★☆▶►※◎◤◢【】[]［］〖〗|丨·- 　").replace(" ", "")
    if SECTION.fullmatch(words):
        score += 7.0 if block.size <= 8 else 4.0
    if _BULLET.match(block.text):
        score += 3.0
    if block.core[-1:] in FINAL or COMMAS.search(block.text):
        score -= 4.0
    return score


def _furniture_score(block: Block) -> float:
    """How much the block is made of dates, page numbers, editors, addresses; or says nothing."""
    if not _LETTER.search(block.text):
        return 8.0
    if block.size > 120 or len(block.text) > 240 or block.core[-1:] in FINAL:
        return -20.0
    rest = furniture_rest(block.text)
    if not rest:
        return 7.0 if FURNITURE.search(block.text) else -8.0
    if len(rest) <= min(6, 0.25 * len(block.text)) and not COMMAS.search(block.text):
        return 4.0
    if _CREDIT.fullmatch(block.text) and block.size <= 24:
        return 3.0
    return -12.0


# --- between the texts around it -----------------------------------------------------------------


def _surroundings(blocks: Sequence[Block]) -> list[_Surroundings]:
    """What stands around each block; only short ones are looked at.

    The sum of two cosines, of the text to the nearest headings and of 600 characters, is mostly
    under 0.08 where the article changes and over 0.12 inside one.
    """
    weight = _weights([block.terms for block in blocks])
    is_short = [block.size < 45 and _heading_score(block) > -3.0 for block in blocks]
    alike = Counter(_pattern(b) for b, short in zip(blocks, is_short, strict=True) if short)
    found = [_Surroundings()] * len(blocks)
    for i in (i for i, short in enumerate(is_short) if short):
        sides = (range(i - 1, max(-1, i - 13), -1), range(i + 1, min(len(blocks), i + 13)))
        before, after = (_windows(blocks, is_short, side) for side in sides)
        if not before[0] or not after[0]:
            continue
        cosines = sum(_cosine(a, b, weight) for a, b in zip(before, after, strict=True))
        own = blocks[i].terms
        told = sum(term in after[0] for term in own) / max(1, len(own))
        found[i] = _Surroundings(
            goes_on=max(-2.5, min(3.0, 30.0 * (cosines - 0.1))),
            told=min(0.6, told - 0.2) * 2.0,
            siblings=min(2, alike[_pattern(blocks[i])] - 1),
        )
    return found


def _pattern(block: Block) -> str:
    """How a line begins: its first two characters, or one where a dash divides it (看人——...)."""
    return block.text[0] + "——" if "——" in block.text[1:] else block.text[:2]


def _windows(
    blocks: Sequence[Block], is_short: Sequence[bool], indexes: range
) -> tuple[Counter[str], Counter[str]]:
    """The terms of the nearest running text: 300 characters or to a heading, and 600."""
    near: Counter[str] | None = None
    terms: Counter[str] = Counter()
    size = 0.0
    for i in indexes:
        if near is None and size > (120 if is_short[i] else 300):
            near = terms.copy()
        if size > 600:
            break
        if not is_short[i]:
            terms.update(blocks[i].terms)
            size += blocks[i].size
    return (terms if near is None else near), terms


def _cosine(a: Counter[str], b: Counter[str], weight: dict[str, float]) -> float:
    """Cosine of two weighted term counts, 0 to 1."""
    dot = sum(a[term] * b[term] * weight[term] for term in a.keys() & b.keys())
    norms = (sum(n * n * weight[term] for term, n in x.items()) for x in (a, b))
    return dot / math.sqrt(math.prod(norms)) if dot else 0.0


def _weights(groups: Sequence[Iterable[str]]) -> dict[str, float]:
    """Inverse document frequency of each term over groups of distinct terms."""
    seen: Counter[str] = Counter()
    for group in groups:
        seen.update(dict.fromkeys(group, 1))
    return {term: math.log((1 + len(groups)) / count) for term, count in seen.items()}
