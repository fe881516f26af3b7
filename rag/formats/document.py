"""What the reader of a format gives: lines of text, and which of them are headings.

Where a format says what a heading is (Markdown, HTML, Word), its sections are the articles; text
without headings is a page, whose articles are found by `pages.articles_of`.
"""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise

from rag import pages
from rag.layout.blocks import PAPER, blocks_of
from rag.layout.habits import DASH, habits_of
from rag.layout.roles import Role, roles_of
from rag.types import Article, Fragment

_BYLINE = re.compile(
    r"(?:本报|本刊|新华社)?(?:见习|实习|特约|首席)?(?:记者|通讯员|作者)[\s：:/／|]?.{1,40}"
)
_FULL_STOPS = ("。", "！", "？", ".", "”")
_BYLINE_STOPS = "。！？，；"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text without a newline; `level` is a heading's, 1 the highest, 0 is body."""

    text: str
    level: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A file's text by lines, and what the format itself says of its one article."""

    lines: tuple[Line, ...]
    byline: str = ""
    date: str = ""
    source: str = ""

    @property
    def text(self) -> str:
        """What all offsets count on."""
        return "\n".join(line.text for line in self.lines)


def plain(text: str) -> Document:
    """A document without headings."""
    return Document(tuple(Line(line) for line in text.split("\n")))


def read(document: Document, *, name: str, path: str) -> pages.Page | list[Article]:
    """The page that a document is, or its articles in its order where its headings tell them.

    `name` is the source where it names none.
    """
    level = _title_level(document.lines)
    if not level:
        return pages.read(document.text, name=name, path=path)
    starts = [i for i, line in enumerate(document.lines) if line.level == level]
    front = document.lines[: starts[0]]
    masthead = "\n".join(line.text for line in front)
    found = _preface(front, name, path)
    day = document.date or pages.first_day([masthead])
    paper = PAPER.search(masthead)
    source = document.source or (paper.group(1) if paper else "") or name
    places = _places(document.lines)
    titles = _together(starts, document.lines)
    ends = [*(title[0] for title in titles[1:]), len(document.lines)]
    for title, end in zip(titles, ends, strict=True):
        section = document.lines[title[0] : end]
        heads = {i - title[0] for i in title}
        if article := _section(section, heads, places[title[0] : end], document.byline, day):
            found.append(replace(article, source=source, path=path))
    return found


def _title_level(lines: Sequence[Line]) -> int:
    """The level of the headings that are titles of articles; 0 if there are no headings.

    A single highest heading without text of its own is the newspaper's name: what stands below it
    are the titles.
    """
    headings = [(i, line.level) for i, line in enumerate(lines) if line.level]
    if not headings:
        return 0
    top = min(level for _, level in headings)
    first, level = headings[0]
    alone = sum(each == top for _, each in headings) == 1 and level == top
    if alone and len(headings) > 1:
        between = lines[first + 1 : headings[1][0]]
        if not any(_is_prose(line.text.strip()) for line in between):
            return headings[1][1] if _many(headings[1][1], headings) else top
    return top


def _together(starts: Sequence[int], lines: Sequence[Line]) -> list[list[int]]:
    """The headings of titles' level, those that no text stands between together."""
    found = [[starts[0]]]
    for above, below in pairwise(starts):
        if any(line.text.strip() for line in lines[above + 1 : below]):
            found.append([])
        found[-1].append(below)
    return found


def _is_prose(text: str) -> bool:
    """Whether a line is of an article rather than of a masthead."""
    return len(text) > 60 or text.endswith(_FULL_STOPS)


def _many(level: int, headings: Sequence[tuple[int, int]]) -> bool:
    return sum(each == level for _, each in headings) > 1


def _places(lines: Sequence[Line]) -> list[int]:
    """Where each line starts in the document's text."""
    places, at = [], 0
    for line in lines:
        places.append(at)
        at += len(line.text) + 1
    return places


def _preface(front: Sequence[Line], name: str, path: str) -> list[Article]:
    """The articles before the first title; a masthead alone is none."""
    if not any(line.text.strip() for line in front if not line.level):
        return []
    text = "\n".join(line.text for line in front)
    return [a for a in pages.articles_of(text, name=name, path=path) if len(a.text) > 80]


def _section(
    lines: Sequence[Line], heads: Set[int], places: Sequence[int], byline: str, day: str
) -> Article | None:
    """The article of a title, in one line or more, and what follows it; None where nothing does."""
    body = [i for i, line in enumerate(lines) if i not in heads and line.text.strip()]
    if body and not byline and _is_byline(lines[body[0]]):
        byline = lines[body.pop(0)].text.strip()
    if not body:
        return None
    text = "\n".join(lines[i].text.strip() for i in body)
    first = [lines[i].text for i in body[:3]]
    title, subtitle = _title([" ".join(lines[i].text.split()) for i in sorted(heads)], first)
    return Article(
        article_id=pages.article_id(title, day, text),
        title=title,
        text=text,
        subtitle=subtitle,
        byline=byline,
        date=day,
        fragments=tuple(_fragments(lines, places, body)),
    )


def _title(headings: Sequence[str], below: Sequence[str]) -> tuple[str, str]:
    """Which of the lines over a text are its title, and which stand above or below that."""
    if len(headings) == 1:
        return headings[0], ""
    lines = [*headings, *below]
    blocks = [block for line in lines for block in blocks_of(line)]
    roles = roles_of(blocks, habits_of("\n".join(lines), blocks))
    titles = [line for line, role in zip(headings, roles, strict=False) if role is Role.TITLE]
    if not titles:
        return " ".join(headings), ""
    others = (DASH.sub("", line, count=1) for line in headings if line not in titles)
    return " ".join(titles), " ".join(others)


def _is_byline(line: Line) -> bool:
    text = line.text.strip()
    return bool(_BYLINE.fullmatch(text)) and not any(stop in text for stop in _BYLINE_STOPS)


def _fragments(
    lines: Sequence[Line], places: Sequence[int], body: Sequence[int]
) -> Iterator[Fragment]:
    """The ranges of some lines, without the white space around them."""
    for i in body:
        text = lines[i].text
        start = places[i] + len(text) - len(text.lstrip())
        yield Fragment(start, start + len(text.strip()))
