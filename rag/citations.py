"""Markers and quotes -> verified citations; what can't be verified is dropped.

A draft is a list of lines, each a statement with the exact spans that support it. Every answer of
every mode is put together here and checked here: `article.text[start:end] == quote`, every `[n]`
has its citation, every citation is marked. Does not cover what is said (extract.py, llm.py).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag.types import Answer, Article, Citation

# The ways that people and models write a marker: [1], [1, 2], 【1】, ［1］.
MARKER = re.compile(r"[\[【［]\s*(\d{1,3}(?:\s*[,，、;；]\s*\d{1,3})*)\s*[\]】］]")
_OWN_MARKER = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Support:
    """A span of an article that supports a line; offsets are code points of `article.text`."""

    article_id: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Line:
    """A part of an answer: the statement and its supports; a frame line has none."""

    text: str
    supports: tuple[Support, ...] = ()


@dataclass(frozen=True, slots=True)
class Cited:
    """The text of an answer with its markers, without them, and its citations."""

    text: str
    plain: str
    citations: tuple[Citation, ...]


def assemble(lines: Sequence[Line], articles: Mapping[str, Article]) -> Cited:
    """Numbers the supports by first use, sets the markers and builds the citations.

    A line whose supports are all false is left out, and so is a frame with nothing behind it.
    """
    numbers: dict[tuple[str, int, int], int] = {}
    spans: dict[int, list[tuple[int, int]]] = {}
    found: dict[int, Citation] = {}
    text, plain = "", ""
    for line in _kept(lines, articles):
        shown = unmarked(line.text)
        marks = ""
        for support in line.supports:
            n = numbers.setdefault(_place(support), len(numbers) + 1)
            found.setdefault(n, _citation(n, support, articles[support.article_id]))
            spans.setdefault(n, []).append((_at(text), _at(text) + len(shown)))
            marks += f"[{n}]"
        text += ("\n" if text else "") + shown + (f" {marks}" if marks else "")
        plain += ("\n" if plain else "") + shown
    citations = tuple(
        replace(citation, answer_spans=tuple(spans[n])) for n, citation in sorted(found.items())
    )
    return Cited(text, plain, citations)


def _at(text: str) -> int:
    """Where the next line of an answer begins."""
    return len(text) + 1 if text else 0


def _kept(lines: Sequence[Line], articles: Mapping[str, Article]) -> list[Line]:
    """The lines to show, each with its true supports, each of these once."""
    kept: list[Line] = []
    frame: list[Line] = []  # waits for a line that it frames
    for line in lines:
        exact = {_place(s): s for s in reversed(line.supports) if is_exact(s, articles)}
        if exact:
            kept += [*frame, replace(line, supports=tuple(reversed(exact.values())))]
        if exact or not line.supports:
            frame = [] if exact else [line]
    return kept


def _place(support: Support) -> tuple[str, int, int]:
    return support.article_id, support.start, support.end


def is_exact(support: Support, articles: Mapping[str, Article]) -> bool:
    """Whether a support is a non-empty range of an article that is there."""
    article = articles.get(support.article_id)
    return article is not None and 0 <= support.start < support.end <= len(article.text)


def _citation(n: int, support: Support, article: Article) -> Citation:
    return Citation(
        n=n,
        article_id=article.article_id,
        title=article.title,
        date=article.date,
        source=article.source,
        quote=article.text[support.start : support.end],
        start=support.start,
        end=support.end,
        score=round(support.score, 4),
    )


def unmarked(text: str) -> str:
    """Text in which nothing reads as a marker of ours: [1] in an article becomes ［1］."""
    return _OWN_MARKER.sub(r"［\1］", text)


def numbers_in(markers: str) -> list[int]:
    """The numbers of one marker: `1, 2` gives 1 and 2."""
    return [int(number) for number in re.findall(r"\d+", markers)]


def faults(answer: Answer, articles: Mapping[str, Article]) -> list[str]:
    """What is wrong with an answer, in words; empty if every promise is kept."""
    found = [
        f"citation {c.n} isn't a span of its article"
        for c in answer.citations
        if not is_exact(Support(c.article_id, c.start, c.end, c.score), articles)
        or articles[c.article_id].text[c.start : c.end] != c.quote
    ]
    marked = {int(n) for n in _OWN_MARKER.findall(answer.answer)}
    cited = {c.n for c in answer.citations}
    if len(cited) < len(answer.citations):
        found.append("two citations have the same number")
    found += [f"marker {n} has no citation" for n in sorted(marked - cited)]
    found += [f"citation {n} has no marker" for n in sorted(cited - marked)]
    if answer.abstained and (answer.citations or answer.reason is None):
        found.append("a refusal with citations or without a reason")
    if not answer.abstained and not answer.citations:
        found.append("an answer without a citation")
    return found
