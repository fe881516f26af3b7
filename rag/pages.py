"""Page text -> Articles: lines become blocks, blocks get roles, cut and displaced bodies rejoin.

Five steps, each a pure function over the whole page, or over the pages of an issue:

1. `blocks.blocks_of`: lines; hard-wrapped ones are put together, jump marks are taken off.
2. `roles.roles_of`: every block is a header, kicker, title, subtitle, byline, sub-heading, body or
   furniture, by its cues (`cues.py`) and what is usual on the page (`habits.habits_of`).
3. `stitching.linked`: sections, and which body block goes on from which (`seams.py`).
4. `across.links_across`: loose fragments go on from open ends on other pages of the issue.
5. `_article`, here: chains of blocks become Articles.

Does not cover tables, or text whose columns are interleaved by line.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from rag.layout.across import links_across
from rag.layout.blocks import DATE, PAPER, UNSEEN, Block, blocks_of, joined
from rag.layout.habits import DASH, habits_of
from rag.layout.roles import HEADING, TRANSPARENT, Role, roles_of
from rag.layout.sections import Section
from rag.layout.stitching import LOOSE, linked
from rag.types import Article, Fragment

_MAX_CHARS = 60_000  # what is longer is no single page, and is joined with no other
_OPENER_BYLINE = re.compile(
    r"[（(]\s*((?:本报|本刊|新华社)?(?:见习|实习|特约|首席)?(?:记者|通讯员)[^）)\n]{1,40})[）)]"
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it was read: its blocks, what each is, and which goes on from which.

    `paper` and `day` are what the page names as its own, "" where it doesn't.
    """

    text: str
    name: str
    path: str
    blocks: Sequence[Block]
    roles: Sequence[Role]
    sections: Sequence[Section]
    links: dict[int, int]
    paper: str
    day: str

    @property
    def issue(self) -> str:
        """The same for pages of one issue: of one paper, day and folder; "" where none is told."""
        folder, _, file = self.path.replace("\\", "/").rpartition("/")
        day = self.day or first_day([file, folder.rpartition("/")[2]])
        is_page = day and len(self.text) < _MAX_CHARS and "://" not in folder
        return "\0".join((folder, self.paper, day)) if is_page else ""


def articles_of(text: str, *, name: str, path: str = "") -> tuple[Article, ...]:
    """The articles of one page, in the order of their headings; loose fragments have no title.

    `name` is the file's, the source where the page names no newspaper. `fragments` are ranges of
    `text`; put together without white space they are the article's text without white space.
    """
    return articles_of_issue([read(text, name=name, path=path)])[0]


def read(text: str, *, name: str, path: str = "") -> Page:
    """A page, read by itself."""
    blocks = blocks_of(text)
    if not blocks:
        return Page(text, name, path, (), (), (), {}, "", "")
    habits = habits_of(text, blocks)
    roles = roles_of(blocks, habits)
    sections, links = linked(blocks, roles, habits)
    furniture = [b.text for b, role in zip(blocks, roles, strict=True) if role in TRANSPARENT]
    paper, day = _paper(furniture), first_day(furniture)
    return Page(text, name, path, blocks, roles, sections, links, paper, day)


def articles_of_issue(pages: Sequence[Page]) -> list[tuple[Article, ...]]:
    """The articles of each page; a tail on another page is joined to its head, and is with it.

    Its fragments there say in which file they are.
    """
    issue = _together(pages)
    threads = _threads(issue.sections, issue.links)
    if len(pages) > 1:
        lines = [Section(tuple(heading), tuple(items), frozenset()) for heading, items in threads]
        habits = habits_of("\n".join(page.text for page in pages), issue.blocks)
        across = links_across(issue.blocks, issue.roles, lines, issue.links, issue.page_of, habits)
        issue.links.update(across)
        threads = _threads(issue.sections, issue.links) if across else threads
    found: list[list[Article]] = [[] for _ in pages]
    for heading, items in threads:
        number = issue.page_of[(*heading, *items)[0]]
        found[number].append(_article(heading, items, issue, pages[number]))
    return [tuple(articles) for articles in found]


@dataclass(frozen=True, slots=True)
class _Issue:
    """Pages one behind the other: their blocks, and which page each is on."""

    blocks: list[Block]
    roles: list[Role]
    sections: list[Section]
    links: dict[int, int]
    page_of: list[int]
    pages: Sequence[Page]


def _together(pages: Sequence[Page]) -> _Issue:
    issue = _Issue([], [], [], {}, [], pages)
    for number, page in enumerate(pages):
        at = len(issue.blocks)
        issue.blocks.extend(page.blocks)
        issue.roles.extend(page.roles)
        issue.page_of.extend([number] * len(page.blocks))
        issue.links.update({at + b: LOOSE if a == LOOSE else at + a for b, a in page.links.items()})
        issue.sections.extend(section.moved(at) for section in page.sections)
    return issue


# --- threads of blocks ---------------------------------------------------------------------------


def _threads(
    sections: Sequence[Section], links: dict[int, int]
) -> list[tuple[tuple[int, ...], list[int]]]:
    """Each article's heading and body blocks in reading order, displaced tails in their places."""
    runs: dict[int, list[int]] = {}
    starts: list[tuple[tuple[int, ...], int]] = []
    for section in sections:
        if not section.items:
            starts.append((section.heading, section.heading[0]))
            continue
        start = section.items[0]
        starts.append((section.heading, start))
        for item, previous in zip(section.items, (None, *section.items), strict=False):
            if item in links and links[item] != previous:
                start = item
                if item != section.items[0]:
                    starts.append(((), item))
            runs.setdefault(start, []).append(item)
    tail_of = {links[start]: start for start in runs if links.get(start, LOOSE) != LOOSE}
    roots = [(h, start) for h, start in starts if h or start not in tail_of.values()]
    threads, done = [], set[int]()
    for heading, start in roots + starts:
        if start not in done:
            threads.append((heading, _thread(start, runs, tail_of, done)))
    return sorted(threads, key=lambda thread: (*thread[0], *thread[1])[0])


def _thread(
    start: int, runs: dict[int, list[int]], tail_of: dict[int, int], done: set[int]
) -> list[int]:
    """The blocks of a run, each open end followed by its tail's run."""
    items: list[int] = []
    pending = list(reversed(runs.get(start, [])))
    done.add(start)
    while pending:
        item = pending.pop()
        items.append(item)
        tail = tail_of.get(item)
        if tail is not None and tail not in done:
            done.add(tail)
            pending.extend(reversed(runs[tail]))
    return items


# --- articles ------------------------------------------------------------------------------------


def _article(heading: Sequence[int], items: Sequence[int], issue: _Issue, page: Page) -> Article:
    """The article of a heading and its body; a heading without body is kept as text."""
    if not items:
        heading, items = (), heading
    blocks, roles = issue.blocks, issue.roles
    words = {role: [blocks[i].text for i in heading if roles[i] is role] for role in HEADING}
    title = " ".join(words[Role.TITLE])
    text = _text(items, issue.links, blocks)
    day = page.day or _dateline(text)
    subtitles = [DASH.sub("", line, count=1) for line in words[Role.SUBTITLE]]
    return Article(
        article_id=article_id(title, day, text),
        title=title,
        text=text,
        subtitle=" ".join(words[Role.KICKER] + subtitles),
        byline=" ".join(words[Role.BYLINE]) or _opener_byline(text),
        date=day,
        source=page.paper or page.name,
        path=page.path,
        fragments=tuple(_fragments(items, issue, page)),
    )


def article_id(title: str, day: str, text: str) -> str:
    """The same for the same article wherever its file lies, and whatever its format is."""
    content = "\0".join((title, day, text)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).hexdigest()[:12]


def _text(items: Sequence[int], links: dict[int, int], blocks: Sequence[Block]) -> str:
    """The body: paragraphs by line, cut ones whole again."""
    paragraphs: list[list[str]] = []
    previous = None
    for item in items:
        if previous is not None and links.get(item) == previous:
            paragraphs[-1].append(blocks[item].text)
        else:
            paragraphs.append([blocks[item].text])
        previous = item
    return "\n".join(_rejoined(pieces) for pieces in paragraphs)


def _rejoined(pieces: Sequence[str]) -> str:
    """The pieces of one paragraph put together."""
    text = [pieces[0]]
    for before, after in pairwise(pieces):
        text.append(joined(before[-1:], after)[1:])
    return "".join(text)


def _fragments(items: Iterable[int], issue: _Issue, home: Page) -> Iterator[Fragment]:
    """The blocks' ranges, without the characters that are in no text."""
    for i in items:
        block, page = issue.blocks[i], issue.pages[issue.page_of[i]]
        path = "" if page is home else page.path
        start = block.start
        for unseen in UNSEEN.finditer(page.text, block.start, block.end):
            if unseen.start() > start:
                yield Fragment(start, unseen.start(), path)
            start = unseen.end()
        if block.end > start:
            yield Fragment(start, block.end, path)


# --- what the page and the opener say ------------------------------------------------------------


def _opener_byline(text: str) -> str:
    """The reporters named in the text's opener, as in 本报讯(记者 ...)."""
    match = _OPENER_BYLINE.search(text[:80])
    return " ".join(match.group(1).split()) if match else ""


def _dateline(text: str) -> str:
    """The ISO date of an opener that gives its year, else ""."""
    opening = text[:60]
    match = DATE.search(opening)
    if not match or not re.search(r"[讯电]", opening[: match.end() + 3]):
        return ""
    return _iso(match)


def first_day(lines: Iterable[str]) -> str:
    """The first full date of some lines that a calendar has, as ISO 8601, else ""."""
    days = (_iso(match) for line in lines for match in DATE.finditer(line))
    return next(filter(None, days), "")


def _iso(match: re.Match[str]) -> str:
    """A date as ISO 8601, "" if no calendar has it."""
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError:
        return ""


def _paper(furniture: Iterable[str]) -> str:
    """The newspaper that the page's furniture names, else ""."""
    names = (match.group(1) for line in furniture if (match := PAPER.search(line)))
    return next(names, "")
