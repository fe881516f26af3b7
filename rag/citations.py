"""Markers and quotes -> verified citations; what can't be verified is dropped.

A draft is a list of lines, each a statement with the exact spans that support it. Every answer of
every mode is put together here and checked here: `article.text[start:end] == quote`, every `[n]`
has its citation, every citation is marked. Does not cover what is said (extract.py, llm.py).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rag.types import Answer, Article, Citation, Piece

_OWN_MARKER = re.compile(r"\[(\d+)\]")
# What some doors would render: a tag, a markdown image or link.
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_LINK = re.compile(r"\](?=\(|\[|:\s*(?:http|data|javascript))")


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


class Assembly:
    """An answer that is put together line by line: supports are numbered by first use.

    A line whose supports are all false is left out, and so is a frame with nothing behind it.
    """

    def __init__(
        self, articles: Mapping[str, Article], gloss: Callable[[str], str] = lambda _: ""
    ) -> None:
        """`gloss` says what a quote holds for whom can't read it, "" where all can."""
        self._articles = articles
        self._gloss = gloss
        self._frame: Line | None = None  # waits for a line that it frames
        self._text = self._plain = ""
        self._citations: dict[tuple[str, int, int], Citation] = {}

    def add(self, line: Line) -> Piece | None:
        """What a line adds to the answer: text that goes on from the last, and new citations."""
        exact = {_place(s): s for s in reversed(line.supports) if is_exact(s, self._articles)}
        if not exact:
            self._frame = self._frame if line.supports else line
            return None
        begun, known = len(self._text), len(self._citations)
        if self._frame:
            self._say(unmarked(self._frame.text), "")
            self._frame = None
        self._cite(unmarked(line.text), list(reversed(exact.values())))
        return Piece(self._text[begun:], tuple(self._citations.values())[known:])

    def cited(self) -> Cited:
        """The answer so far."""
        return Cited(self._text, self._plain, tuple(self._citations.values()))

    def _cite(self, shown: str, supports: Sequence[Support]) -> None:
        begin = len(self._text) + 1 if self._text else 0
        marks = ""
        for support in supports:
            place = _place(support)
            article = self._articles[support.article_id]
            known = self._citations.get(place) or self._glossed(support, article)
            spans = (*known.answer_spans, (begin, begin + len(shown)))
            self._citations[place] = replace(known, answer_spans=spans)
            marks += f"[{known.n}]"
        self._say(shown, f" {marks}")

    def _glossed(self, support: Support, article: Article) -> Citation:
        new = _citation(len(self._citations) + 1, support, article)
        return replace(new, gloss=self._gloss(new.quote))

    def _say(self, shown: str, marks: str) -> None:
        newline = "\n" if self._text else ""
        self._text += newline + shown + marks
        self._plain += newline + shown


def assemble(lines: Iterable[Line], articles: Mapping[str, Article]) -> Cited:
    """The answer that lines make."""
    assembly = Assembly(articles)
    for line in lines:
        assembly.add(line)
    return assembly.cited()


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
    """Text in which nothing reads as a marker of ours, as a tag or as a link.

    [1] in an article becomes ［1］, <b> ‹b>, and the bracket before an address is full width.
    """
    return _LINK.sub("］", _TAG.sub("‹", _OWN_MARKER.sub(r"［\1］", text)))


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
