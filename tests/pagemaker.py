"""Lays out articles as the text of a newspaper page, as messy as real ones.

What goes wrong on a real page: a column ends in the middle of a sentence and the rest is the next
block; an article's tail stands before or after other articles; column headers and date lines stand
between articles. A `Layout` says where each of these happens; `lay_out` applies it, and
`fragments` gives the ranges of the page that a reader should find again.

Page text only: no images, no columns in space, no recognition errors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Literal

BLOCK_SEPARATOR = "\n\n"
COLUMN_HEADERS = (
    "协商在一线",
    "委员建言 基层声音",
    "文史春秋",
    "民生视点",
    "观察与思考",
    "凝心聚力谱新篇 县区政协在行动",
)
# A column never ends after these, or the cut would not be in mid-sentence ...
_NOT_BEFORE_A_CUT = frozenset("。！？!?；;：:…—”’》）)、，,\n“‘《（( ")
# ... and never begins with these: printers pull them up to the line above.
_NOT_AFTER_A_CUT = frozenset("。！？!?；;：:…—”’》）)、，,.%\n ")


@dataclass(frozen=True, slots=True)
class PageArticle:
    """One article as it should be read: `text` is its paragraphs joined by a newline."""

    title: str
    text: str
    subtitle: str = ""
    byline: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A block that belongs to no article: a column header, a date, the page's editors."""

    text: str


@dataclass(frozen=True, slots=True)
class Heading:
    """Title, subtitle and byline of an article.

    `title_break` is the offset of a space in the title at which it goes on in a new line of the
    same block, or in a block of its own.
    """

    article: int
    title_break: int | None = None
    break_into: Literal["lines", "blocks"] = "lines"


@dataclass(frozen=True, slots=True)
class Part:
    """`text[start:end]` of an article, in one place on the page; each cut begins a new block."""

    article: int
    start: int
    end: int
    cuts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """What stands on the page, from top to bottom."""

    items: tuple[Line | Heading | Part, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    text: str
    article: int | None = None
    start: int = 0


def lay_out(articles: Sequence[PageArticle], layout: Layout) -> str:
    """The page's text: blocks separated by a blank line, a newline at the end.

    Raises:
        ValueError: if the layout loses, repeats or misplaces something of an article.
    """
    check_layout(articles, layout)
    return BLOCK_SEPARATOR.join(block.text for block in _blocks(articles, layout)) + "\n"


def fragments(
    articles: Sequence[PageArticle], layout: Layout
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """For each article the (start, end) ranges of the page that hold its body, in reading order."""
    check_layout(articles, layout)
    found: list[list[tuple[int, int, int]]] = [[] for _ in articles]
    position = 0
    for block in _blocks(articles, layout):
        if block.article is not None:
            found[block.article].append((block.start, position, position + len(block.text)))
        position += len(block.text) + len(BLOCK_SEPARATOR)
    return tuple(tuple((start, end) for _, start, end in sorted(ranges)) for ranges in found)


def check_layout(articles: Sequence[PageArticle], layout: Layout) -> None:
    """Passes if each article has one heading, right above its beginning, and all of its text once.

    Raises:
        ValueError: if not.
    """
    headings = [item.article for item in layout.items if isinstance(item, Heading)]
    if sorted(headings) != list(range(len(articles))):
        raise ValueError(f"each article needs one heading, found headings of {headings}")
    for above, below in pairwise((*layout.items, Line(""))):
        headed = above.article if isinstance(above, Heading) else None
        begun = below.article if isinstance(below, Part) and below.start == 0 else None
        if headed != begun:
            raise ValueError(f"an article begins right below its heading, not {above}, {below}")
    for number, article in enumerate(articles):
        parts = sorted(
            (item for item in layout.items if isinstance(item, Part) and item.article == number),
            key=lambda part: part.start,
        )
        edges = [0, *(part.end for part in parts)]
        if [part.start for part in parts] != edges[:-1] or edges[-1] != len(article.text):
            raise ValueError(f"the parts do not make up the text of {article.title!r}: {parts}")
        for part in parts:
            bounds = (part.start, *part.cuts, part.end)
            if any(left >= right for left, right in pairwise(bounds)):
                raise ValueError(f"cuts lie inside their part and in order, not {part}")


def mid_sentence_offsets(text: str) -> tuple[int, ...]:
    """Where a column can end in mid-sentence: not beside punctuation, not within a number."""
    return tuple(
        offset
        for offset in range(1, len(text))
        if text[offset - 1] not in _NOT_BEFORE_A_CUT
        and text[offset] not in _NOT_AFTER_A_CUT
        and not (text[offset - 1].isascii() and text[offset].isascii())
    )


def in_open_quotation(text: str, offset: int) -> bool:
    """Whether text[:offset] ends inside “ ” that are still open."""
    return text.count("“", 0, offset) > text.count("”", 0, offset)


def random_layout(
    articles: Sequence[PageArticle],
    rng: Random,
    *,
    cut_probability: float = 0.25,
    header_probability: float = 0.3,
    max_displaced: int = 1,
) -> Layout:
    """A layout drawn at random, the same for the same state of `rng`.

    Articles come in any order; a paragraph of 40 characters or more is cut in two with
    `cut_probability`; up to `max_displaced` tails stand away from their heads.
    """
    order = rng.sample(range(len(articles)), len(articles))
    wanted = rng.randint(0, max_displaced) if len(articles) > 1 else 0
    splits = {
        number: rng.choice(offsets)
        for number in rng.sample(order, min(wanted, len(order)))
        if (offsets := _tail_offsets(articles[number].text))
    }
    groups: list[list[Line | Heading | Part]] = []
    for number in order:
        text = articles[number].text
        head = Part(number, 0, splits.get(number, len(text)))
        groups.append([Heading(number), _with_cuts(text, head, rng, cut_probability)])
        if rng.random() < header_probability:
            groups[-1].insert(0, Line(rng.choice(COLUMN_HEADERS)))
    for number, split in splits.items():
        text = articles[number].text
        tail = _with_cuts(text, Part(number, split, len(text)), rng, cut_probability)
        groups.insert(_slot_for_tail(groups, number, rng), [tail])
    return Layout(tuple(item for group in groups for item in group))


def _slot_for_tail(
    groups: Sequence[Sequence[Line | Heading | Part]], article: int, rng: Random
) -> int:
    """A place between groups that is not right below the article's own head."""
    own = next(i for i, group in enumerate(groups) if Heading(article) in group)
    return rng.choice([slot for slot in range(len(groups) + 1) if slot != own + 1])


def _tail_offsets(text: str) -> tuple[int, ...]:
    """Mid-sentence offsets that leave a fair head and a tail of some length."""
    return tuple(o for o in mid_sentence_offsets(text) if len(text) // 3 < o < len(text) - 20)


def _with_cuts(text: str, part: Part, rng: Random, probability: float) -> Part:
    """The part with some of its paragraphs cut in two, in mid-sentence."""
    possible = mid_sentence_offsets(text)
    cuts: list[int] = []
    for start, end in _paragraphs(text, part):
        offsets = [offset for offset in possible if start + 5 <= offset <= end - 5]
        if end - start >= 40 and offsets and rng.random() < probability:
            cuts.append(rng.choice(offsets))
    return Part(part.article, part.start, part.end, tuple(cuts))


def _paragraphs(text: str, part: Part) -> Iterator[tuple[int, int]]:
    """(start, end) of each paragraph, or piece of one, that the part holds."""
    start = part.start
    for line in text[part.start : part.end].split("\n"):
        if line:
            yield start, start + len(line)
        start += len(line) + 1


def _blocks(articles: Sequence[PageArticle], layout: Layout) -> Iterator[_Block]:
    """The page's blocks, from top to bottom."""
    for item in layout.items:
        if isinstance(item, Line):
            yield _Block(item.text)
        elif isinstance(item, Heading):
            yield from _heading_blocks(articles[item.article], item)
        else:
            text = articles[item.article].text
            for start, end in _paragraphs(text, item):
                cuts = [cut for cut in item.cuts if start < cut < end]
                for left, right in pairwise((start, *cuts, end)):
                    yield _Block(text[left:right], item.article, left)


def _heading_blocks(article: PageArticle, heading: Heading) -> Iterator[_Block]:
    title = article.title
    if heading.title_break is not None:
        first, rest = title[: heading.title_break], title[heading.title_break :].lstrip()
        title = (BLOCK_SEPARATOR if heading.break_into == "blocks" else "\n").join((first, rest))
    for text in (*title.split(BLOCK_SEPARATOR), article.subtitle, article.byline):
        if text:
            yield _Block(text)
