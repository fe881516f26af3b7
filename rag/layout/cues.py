"""What the lines of a page show: named cues of each block, and of each block after another.

A cue is a name and a number, mostly 0 to 1; those of 0 are left out. roles.py weighs them.
Does not cover which open end a block goes on from (stitching.py).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rag.layout import seams
from rag.layout.blocks import CJK_RUN, COMMAS, FINAL, FURNITURE, SECTION, Block, furniture_rest
from rag.layout.habits import (
    BYLINE,
    CLOSING_STARTS,
    DASH,
    OPENER,
    STARTERS,
    SURNAMES,
    Habits,
    loose,
)

Cues = dict[str, float]

# --- patterns. Each is linear: no nested or adjacent unbounded repeats. --------------------------

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
_CREDIT = re.compile(r"(?:摄|供图|/图|资料图片?|制图)[)）]?$")
_CAPTION = re.compile(r"(?:[▲△▼▽↑↓←→◀▶]|[（(]?[上下左右]?图[为:：])")
_COLUMN = re.compile(
    r"(?:在行动|巡礼|进行时|风采|走基层|一线|系列报道|特别报道|专题报道|大家谈|面对面)$"
)
_BULLET = re.compile(r"[■□●○◆◇▲△★☆▶►※◎◤◢]|[【\[［〖].{1,12}[】\]］〗]$")
_MARKS = "■□●○◆◇▲△★☆▶►※◎◤◢【】[]［］〖〗|丨·- 　"
_SIZES = (3, 6, 9, 12, 16, 20, 25, 30, 36, 45, 60, 100)
_SHORT = 45  # Chinese characters: what is longer is hardly a heading


def cues_of(blocks: Sequence[Block], habits: Habits) -> list[Cues]:
    """The cues of each block: by itself, beside its neighbours and between the texts around it."""
    plain = [_own(block, habits) for block in blocks]
    around = _surroundings(blocks, plain)
    found: list[Cues] = []
    for i, own in enumerate(plain):
        cues = own | around[i] | _place(i, blocks, habits)
        below = next((plain[j] for j in range(i + 1, len(blocks)) if "nothing" not in plain[j]), {})
        if "short" in own and "short" in below and below["length"] < own["length"]:
            cues["longer than below"] = own["length"] - below["length"]
        for name in ("byline", "dash", "opener", "long", "short", "final"):
            if name in below:
                cues[f"{name} below"] = 1.0
        if "short" in cues and not cues.keys() & {"final", "byline", "dash"}:
            unmarked = not below.keys() & {"byline", "dash", "opener"}
            cues["unmarked"] = habits.marked if unmarked else 0.0
        found.append(cues)
    return found


def _place(i: int, blocks: Sequence[Block], habits: Habits) -> Cues:
    """Where the block stands."""
    cues: Cues = {}
    block = blocks[i]
    if i == 0:
        cues["first"] = 1.0
    if i == len(blocks) - 1:
        cues["last"] = 1.0
    if block.gap > habits.gap:
        cues["wide above"] = 1.0
    if i + 1 < len(blocks) and blocks[i + 1].gap > habits.gap:
        cues["wide below"] = 1.0
    return cues


def _inside_last(block: Block) -> float:
    """Log-odds, -1.5 to 1.5, that a block without a final mark stops in mid-sentence."""
    return max(-1.5, min(1.5, seams.ends_inside(block.text) / 3))


# --- a block by itself ---------------------------------------------------------------------------


def _own(block: Block, habits: Habits) -> Cues:
    """The cues of the block's own text."""
    text, size = block.text, block.size
    is_short = size < _SHORT
    length = sum(size > limit for limit in _SIZES)
    cues: Cues = {
        "bias": 1.0,
        "length": length / 10,
        f"size {length}": 1.0,
        "short" if is_short else "long": 1.0,
    }
    flags = {
        "final": block.core[-1:] in FINAL,
        "question": block.core[-1:] in "？！?!",
        "open mark last": text[-1] in "，,、：:（(《“‘",
        "mid last": text[-1] in _MID_ENDS,
        "quoted last": text[-1] in "”」』",
        "unopened": bool(block.unopened),
        "unclosed": bool(block.unclosed),
        "stop inside": bool(_STOP_INSIDE.search(text[:100])),
        "opener": bool(OPENER.match(text)),
        "closing first": text[0] in CLOSING_STARTS,
        "starter": bool(STARTERS.match(text)),
        "jump": block.jump_in or block.jump_out,
        "indented": habits.indents and block.indented,
        "unindented": habits.indents and not block.indented,
    }
    commas = len(COMMAS.findall(text[:300]))
    flags[f"commas {min(4, commas)}{' short' if size < 20 else ''}"] = commas > 0
    cues |= {name: 1.0 for name, is_so in flags.items() if is_so}
    if not block.ends:
        cues["inside last"] = _inside_last(block)
    if is_short:
        cues |= _short(block)
        if "question" in cues:
            cues["question, short"] = 1.0
        if commas and "final" not in cues:
            cues["commas, no stop"] = 1.0
    cues |= _furniture(block)
    return cues


def _short(block: Block) -> Cues:
    """What only a line that might be a heading can show."""
    text = block.text
    words = text.strip(_MARKS).replace(" ", "")
    names = text.lstrip("□■○●◎◇◆▲△☆★ /").split()
    flags = {
        "dash": bool(DASH.match(text)),
        "dash inside": "——" in text[1:],
        "numbered": bool(NUMBERED.match(text)),
        "byline": bool(BYLINE.match(text) or _BY_ENGLISH.match(text)),
        "names": len(names) <= 6 and bool(names) and all(map(_is_name, names)),
        "section": bool(SECTION.fullmatch(words)),
        "section, short": block.size <= 8 and bool(SECTION.fullmatch(words)),
        "column": bool(_COLUMN.search(text)),
        "bullet": bool(_BULLET.match(text)),
        "space": len(re.findall("[ \u3000]+", text)) == 1,
        "spaces": len(re.findall("[ \u3000]+", text)) > 1,
        "colon": bool(re.search("[：:丨｜|]", text[1:-1])),
        "quoted": "“" in text,
        "book": text[0] == "《",
        "latin": text.isascii(),
    }
    return {name: 1.0 for name, is_so in flags.items() if is_so}


def _is_name(word: str) -> bool:
    """Whether the word could be a Chinese person's name."""
    return 2 <= len(word) <= 3 and word[0] in SURNAMES and bool(CJK_RUN.fullmatch(word))


def _furniture(block: Block) -> Cues:
    """How much the block is made of dates, page numbers, editors, addresses; or says nothing."""
    text = block.text
    if not _LETTER.search(text):
        return {"nothing": 1.0}
    if block.size > 120 or len(text) > 240 or block.core[-1:] in FINAL:
        return {}
    cues: Cues = {}
    if _CREDIT.search(text):
        cues["credit"] = 1.0
    if _CAPTION.match(text):
        cues["caption"] = 1.0
    rest = furniture_rest(text)
    if not rest and FURNITURE.search(text):
        cues |= {"furniture": 1.0, "nothing": 1.0}
    elif rest and len(rest) <= min(6, 0.25 * len(text)) and not COMMAS.search(text):
        cues["mostly furniture"] = 1.0
    return cues


# --- between the texts around it -----------------------------------------------------------------


def _surroundings(blocks: Sequence[Block], own: Sequence[Cues]) -> list[Cues]:
    """How alike the texts around each short block are, and how it is taken up below.

    The sum of two cosines, of the text to the nearest headings and of 600 characters, is mostly
    under 0.08 where the article changes and over 0.12 inside one.
    """
    weight = _weights([block.terms for block in blocks])
    is_short = ["short" in cues and not cues.keys() & {"final", "opener"} for cues in own]
    alike = Counter(_pattern(b) for b, short in zip(blocks, is_short, strict=True) if short)
    found: list[Cues] = [{} for _ in blocks]
    for i in (i for i, short in enumerate(is_short) if short):
        siblings = min(2, alike[_pattern(blocks[i])] - 1)
        if siblings:
            found[i]["siblings"] = float(siblings)
        sides = (range(i - 1, max(-1, i - 13), -1), range(i + 1, min(len(blocks), i + 13)))
        before, after = (_windows(blocks, is_short, side) for side in sides)
        own_terms = blocks[i].terms
        size = max(1, len(own_terms))
        found[i]["told below"] = sum(term in after[0] for term in own_terms) / size
        found[i]["told above"] = sum(term in before[0] for term in own_terms) / size
        if before[0] and after[0]:
            cosines = sum(_cosine(a, b, weight) for a, b in zip(before, after, strict=True))
            found[i]["goes on"] = max(-2.5, min(3.0, 30.0 * (cosines - 0.1)))
    return found


def _pattern(block: Block) -> str:
    """How a line begins: its first two characters, or one where a dash divides it (看人——...)."""
    return block.text[0] + "——" if "——" in block.text[1:] else block.text[:2]


def _windows(
    blocks: Sequence[Block], is_short: Sequence[bool], indexes: range
) -> tuple[frozenset[str], frozenset[str]]:
    """The terms of the nearest running text: 300 characters or to a heading, and 600."""
    near: frozenset[str] | None = None
    read: list[frozenset[str]] = []
    size = 0.0
    for i in indexes:
        if near is None and size > (120 if is_short[i] else 300):
            near = frozenset[str]().union(*read)
        if size > 600:
            break
        if not is_short[i]:
            read.append(blocks[i].terms)
            size += blocks[i].size
    terms = frozenset[str]().union(*read)
    return (terms if near is None else near), terms


def _cosine(a: frozenset[str], b: frozenset[str], weight: dict[str, float]) -> float:
    """Cosine of two weighted sets of terms, 0 to 1."""
    dot = sum(map(weight.__getitem__, a & b))
    norms = (sum(map(weight.__getitem__, terms)) for terms in (a, b))
    return dot / math.sqrt(math.prod(norms)) if dot else 0.0


def _weights(groups: Sequence[Iterable[str]]) -> dict[str, float]:
    """Inverse document frequency of each term over groups of distinct terms."""
    seen: Counter[str] = Counter()
    for group in groups:
        seen.update(group)
    most = [math.log((1 + len(groups)) / count) for count in range(1, len(groups) + 1)]
    return {term: most[count - 1] for term, count in seen.items()}


# --- a block after another -----------------------------------------------------------------------


def changes_of(blocks: Sequence[Block], cues: Sequence[Cues], habits: Habits) -> list[Cues]:
    """The cues of each block's beginning after the block above it, furniture left out."""
    found: list[Cues] = []
    above: Block | None = None
    for block, own in zip(blocks, cues, strict=True):
        found.append(_change(above, block, habits))
        above = above if "nothing" in own else block
    return found


def _change(above: Block | None, block: Block, habits: Habits) -> Cues:
    """The cues of a block after the one above it."""
    cues: Cues = {"bias": 1.0}
    if block.gap < habits.gap or habits.gap == 0:
        cues["tight"] = 1.0
    if block.gap < habits.gap:
        cues["closer"] = 1.0
    if above is None:
        return cues
    goes_on = max(-1.0, min(1.0, loose(block, habits) / 4))
    cues["loose"] = goes_on
    begins = max(-1.5, min(1.5, seams.begins_inside(block.text) / 3))
    cues["begins"] = begins
    if above.ends:
        asks = above.size < _SHORT and above.core[-1] not in FINAL
        cues["asked" if asks else "ended"] = 1.0
        return cues
    crossed = habits.crosses(above.text, block.text)
    kind = "cut" if above.size >= 60 else "short cut" if above.size >= 26 else "stub"
    cues |= {kind: 1.0, f"{kind}, loose": goes_on, "crossed": crossed / 4}
    fits = seams.fits(above.text, block.text) / 3
    cues |= {f"{kind}, begins": begins, f"{kind}, fits": max(-1.5, min(1.5, fits))}
    cues[f"{kind}, inside last"] = _inside_last(above)
    if block.unopened and above.unclosed:
        cues["closes"] = 1.0
    return cues
