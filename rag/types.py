"""What flows through the house: frozen values, no behaviour beyond reading themselves.

All offsets are Unicode code points.
"""

from dataclasses import dataclass, field
from typing import Literal

Language = Literal["zh", "en"]
Reason = Literal["not_in_articles", "off_topic", "entity_not_found", "too_vague"]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A range of a page file's text that an article was built from.

    `path` names the file where it isn't the article's own: another page of the issue.
    """

    start: int
    end: int
    path: str = ""


@dataclass(frozen=True, slots=True)
class Printing:
    """Another article that prints the same text."""

    article_id: str
    title: str
    date: str
    source: str


@dataclass(frozen=True, slots=True)
class Article:
    """One article, rebuilt: `text` is the body, paragraphs joined by one newline.

    `date` is ISO 8601 or "" where the page gives none; `source` is what the page names as its
    newspaper, else the file's name; `fragments` are in reading order; `also_in` says where else
    the records have it.
    """

    article_id: str
    title: str
    text: str
    subtitle: str = ""
    byline: str = ""
    date: str = ""
    source: str = ""
    path: str = ""
    fragments: tuple[Fragment, ...] = ()
    also_in: tuple[Printing, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A few whole sentences of an article: `article.text[start:end] == text`."""

    passage_id: str
    article_id: str
    title: str
    text: str
    start: int
    end: int
    date: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found for a question, with the scores that ranked it (higher is better)."""

    passage: Passage
    score: float
    cosine: float = 0.0
    lexical: float = 0.0
    tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Citation:
    """An exact span of an article: `article.text[start:end] == quote`.

    `answer_spans` are the ranges of `Answer.answer` (markers included) that it supports; `gloss`
    says in the asker's language what a quote in another one holds, where anything can be said;
    `translated_by` names the model where that is a machine's translation.
    """

    n: int
    article_id: str
    title: str
    date: str
    source: str
    quote: str
    start: int
    end: int
    answer_spans: tuple[tuple[int, int], ...] = ()
    verified: bool = True
    score: float = 0.0
    gloss: str = ""
    translated_by: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question that was answered before in the same conversation, whole, and what it cited."""

    question: str
    language: Language
    article_ids: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, cleaned, and the language the answer is to be in.

    `article_ids` to `sources` say which articles may answer, each of them where it isn't empty:
    `since` and `until` are ISO dates and belong to the range, in which no undated article is.
    `turns` are the conversation so far, the latest last.
    """

    text: str
    language: Language
    top_k: int = 8
    article_ids: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    sources: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()

    @property
    def filtered(self) -> bool:
        """Whether not every article may answer."""
        return bool(self.article_ids or self.since or self.until or self.sources)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer as every door gives it; `abstained` means no citation and a `reason`.

    `understood` is the whole question that a follow-up was taken for, empty where it was whole.
    `llm_away` is for who counts: a language model should have written it and couldn't be had.
    """

    question: str
    language: Language
    answer: str
    answer_plain: str
    abstained: bool
    reason: Reason | None
    confidence: float
    mode: Literal["extractive", "written"]
    model: str
    citations: tuple[Citation, ...] = ()
    passages: tuple[Hit, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)
    note: str = ""
    understood: str = ""
    llm_away: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """First word of an answer under way: the passages it will draw on."""

    passages: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer under way, checked already: text with its markers, and new citations."""

    text: str
    citations: tuple[Citation, ...] = ()


Progress = Found | Piece | Answer
