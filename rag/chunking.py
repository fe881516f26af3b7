"""Article -> sentences and passages, verbatim, with exact code-point offsets.

A passage is some whole sentences, 120 to 320 characters where the article allows it. A quotation
stays whole unless it is longer than a passage may be.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from rag.types import Article, Passage

if TYPE_CHECKING:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

MIN_CHARS = 120
MAX_CHARS = 320
GOAL_CHARS = 220
LATIN_FACTOR = 3  # an English passage says as much in about three times the characters
MAX_UNITS = 40  # sentences a passage; keeps text of nothing but tiny sentences linear
MAX_HEADING_CHARS = 240  # of what goes in front of a passage; a title can be of any length
_END = re.compile(
    r"(?<![。！？!?…])[。！？!?…]++[”’」』）)\"]*+(?!(?<=[!?”’\"])\s+[a-z])"
    r"|(?<!\b[A-Z])(?<!\b(?:Mr|Ms|Dr|St))(?<!\b(?:Mrs|Gen|Gov|Sen))"
    r"\.[”’\"]?(?=\s+[A-Z“\"]|\s*$)"
    r"|(?<=\n)|$"
)
_CLAUSE = re.compile(r"[，,；;：:。！？!?](?!\d)[”’」』）)]*")
MIN_CLAUSE = 7  # characters; a shorter piece stays with what follows it
_STOPS = '。！？!?….：:；;，,、”’」』）)"'  # what a sub-heading doesn't end with
_PLACE = re.compile(r"[㐀-鿿]{2,8}?(?:省|市|自治区|区|县|州|旗)")
Span = tuple[int, int]


def sentences(text: str) -> list[Span]:
    """The sentences of a text as ranges, without the white space around them.

    A quotation of several sentences is split too (see `_units` for what keeps it whole), but who
    said it stays with its last sentence: “…！”某某说。
    """
    spans: list[Span] = []
    start = 0
    for match in _END.finditer(text):
        if match.end() < len(text) and _attribution_follows(text, match):
            continue
        spans.extend(_trimmed(text, start, match.end()))
        start = match.end()
    return spans


def clauses(text: str, start: int, end: int) -> list[Span]:
    """The clauses of the sentence `text[start:end]`: together they are the sentence."""
    found: list[Span] = []
    begin = start
    for match in _CLAUSE.finditer(text, start, end):
        if match.end() - begin >= MIN_CLAUSE and end - match.end() >= MIN_CLAUSE:
            found.append((begin, match.end()))
            begin = match.end()
    return [*found, (begin, end)]


def _attribution_follows(text: str, end: re.Match[str]) -> bool:
    """Whether a quotation closes here that nobody was named for before: the name comes now."""
    if not end[0].endswith("”") or text[end.end()] in "\n“":
        return False
    near = max(0, end.start() - MAX_CHARS * LATIN_FACTOR)
    opening = text.rfind("“", near, end.start())
    if opening < 0 or "”" in text[opening : end.start()]:
        return False
    return text[opening - 1 : opening] in ("", "\n", "。", "”", "…", "！", "？")


def passages(article: Article) -> list[Passage]:
    """Cuts an article into passages; together they hold every sentence once."""
    return [
        Passage(
            passage_id=_passage_id(article, start, end),
            article_id=article.article_id,
            title=article.title,
            text=article.text[start:end],
            start=start,
            end=end,
            date=article.date,
            source=article.source,
        )
        for start, end in _pack(article.text, _units(article.text))
    ]


def context(article: Article) -> str:
    """What goes in front of a passage into the model and the lexical terms, never into a quote."""
    place = _PLACE.search(article.text[:200])
    heading = f"{article.title} {article.subtitle}".strip()[:MAX_HEADING_CHARS]
    extra = place[0] if place and place[0] not in heading else ""
    return " ".join(part for part in (heading, extra, article.date) if part)


def _passage_id(article: Article, start: int, end: int) -> str:
    parts = (article.article_id, str(start), context(article), article.text[start:end])
    return sha256("\0".join(parts).encode()).hexdigest()[:16]


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end


def _units(text: str) -> list[Span]:
    """Sentences, those of one quotation taken together, none longer than a passage."""
    units: list[Span] = []
    limit = _limit(text)
    for start, end in sentences(text):
        joined = (units[-1][0], end) if units else (start, end)
        if units and _is_open(text[slice(*units[-1])]) and joined[1] - joined[0] <= limit:
            units[-1] = joined
        else:
            units.append((start, end))
    return [piece for unit in units for piece in _cut(text, unit, limit)]


def _is_open(text: str) -> bool:
    """Whether a quotation is still open at the end of the text."""
    opened, closed = (sum(map(text.count, marks)) for marks in ("“「『", "”」』"))
    return opened > closed or text.count('"') % 2 == 1


def _limit(text: str) -> int:
    latin = sum(char.isascii() and char.isalpha() for char in text[:400])
    return MAX_CHARS * (LATIN_FACTOR if latin > len(text[:400]) / 2 else 1)


def _cut(text: str, unit: Span, limit: int) -> Iterator[Span]:
    """A sentence longer than a passage, cut at its clauses."""
    start, end = unit
    if end - start <= limit:
        yield unit
        return
    for document in _clause_splitter(limit).create_documents([text[start:end]]):
        at = start + int(document.metadata["start_index"])
        yield from _trimmed(text, at, at + len(document.page_content))


@lru_cache(maxsize=2)
def _clause_splitter(limit: int) -> "RecursiveCharacterTextSplitter":
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    return RecursiveCharacterTextSplitter(
        separators=["；", ";", "，", ", ", ",", "、", " ", ""],
        keep_separator="end",
        chunk_size=limit,
        chunk_overlap=0,
        add_start_index=True,
        strip_whitespace=False,
    )


def _pack(text: str, units: Sequence[Span]) -> list[Span]:
    """Groups neighbouring units so that passages come near the goal and end with a paragraph.

    The cheapest way to cut what stands before each unit is found from left to right.
    """
    scale = _limit(text) / MAX_CHARS
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(units) + 1):
        options = []
        for begin in range(end - 1, max(-1, end - 1 - MAX_UNITS), -1):
            size = (units[end - 1][1] - units[begin][0]) / scale
            if size > MAX_CHARS and begin < end - 1:
                break
            options.append((best[begin][0] + _size_cost(size), begin))
        cost, begin = min(options)
        best.append((cost + _end_cost(text, units, end), begin))
    groups: list[Span] = []
    at = len(units)
    while at:
        begin = best[at][1]
        groups.append((units[begin][0], units[at - 1][1]))
        at = begin
    return groups[::-1]


def _size_cost(size: float) -> float:
    """How bad a passage of `size` characters is; each costs a little, so that few are made."""
    return ((size - GOAL_CHARS) / GOAL_CHARS) ** 2 + (0.5 if size < MIN_CHARS else 0.0) + 0.1


def _end_cost(text: str, units: Sequence[Span], end: int) -> float:
    """How bad it is that a passage ends before `units[end]`."""
    if end == len(units):
        return 0.0
    stop = units[end - 1][1]
    if "\n" not in text[stop : units[end][0]]:
        return 0.25
    last = text[max(0, stop - 40) : stop]
    is_heading = ("\n" in last or len(last) < 40) and last[-1] not in _STOPS
    return 1.0 if is_heading else 0.0  # a sub-heading belongs to what follows it
