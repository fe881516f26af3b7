"""The bodies that come in over HTTP and go out, as pydantic checks them and `/docs` shows them.

Does not cover what the fields of an answer are filled with (render.py), nor what is said of a body
that doesn't fit (problems.py).
"""

import base64
import binascii
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from bot import __version__

# ── Examples ────────────────────────────────────────────────────────────────────────────────────

_ARTICLE_ID = "a-7d1f0c2b9e"
_CITATION: dict[str, Any] = {
    "n": 1,
    "article_id": _ARTICLE_ID,
    "title": "西安市雁塔区政协献策优化营商环境",
    "date": "2023-06-01",
    "source": "page.txt",
    "quote": "委员们建议,要打通数据壁垒",
    "start": 62,
    "end": 75,
    "answer_spans": [[0, 56]],
    "verified": True,
    "score": 0.87,
    "gloss": "",
}
_PASSAGE: dict[str, Any] = {
    "passage_id": f"{_ARTICLE_ID}:0",
    "article_id": _ARTICLE_ID,
    "title": "西安市雁塔区政协献策优化营商环境",
    "text": "委员们建议,要打通数据壁垒,各部门真正实现数据互联互通。",
    "start": 62,
    "end": 90,
    "score": 0.91,
}
ANSWER: dict[str, Any] = {
    "question": "what did Yanta district propose?",
    "language": "en",
    "answer": "The articles report (in Chinese): 委员们建议,要打通数据壁垒 [1]",
    "answer_plain": "The articles report (in Chinese): 委员们建议,要打通数据壁垒",
    "abstained": False,
    "reason": None,
    "confidence": 0.93,
    "mode": "extractive",
    "model": "extractive",
    "citations": [_CITATION],
    "passages": [_PASSAGE],
    "timings_ms": {"embed": 4, "search": 6, "answer": 3, "total": 13},
    "note": "",
    "understood": "",
}
EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["passages", "token", "citation", "answer", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
STREAM = """event: passages
data: {"passages":[...]}

event: token
data: {"text":"..."}

event: citation
data: {"n":1,...}

event: answer
data: {...the whole Answer...}
"""


# ── What comes in ───────────────────────────────────────────────────────────────────────────────


def _encodable(text: str) -> str:
    """JSON can escape half a character, which no encoding can write."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("This is not Unicode text")
    return text


def _whole(value: object) -> object:
    """JSON has one kind of number: 8.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def encoded_cursor(article_id: str) -> str:
    """The cursor that goes on behind an article."""
    return base64.urlsafe_b64encode(article_id.encode()).decode().rstrip("=")


def decoded_cursor(cursor: str) -> str:
    """The article id in a cursor.

    Raises:
        ValueError: if the cursor is none of ours.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return base64.b64decode(padded, b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error) as exc:
        raise ValueError("This is no cursor of this list") from exc


Text = Annotated[str, AfterValidator(_encodable)]

# Only documented here: the Answerer cleans and judges questions, the same for every door.
QuestionText = Annotated[Text, Field(json_schema_extra={"pattern": r"\w"})]
Depth = Annotated[int, Field(ge=1, le=50), BeforeValidator(_whole)]
Cursor = Annotated[str, AfterValidator(decoded_cursor)]
Since = Annotated[
    Text, Field(description="Only articles of this day or later.", examples=["2024-01-31"])
]
Until = Annotated[
    Text, Field(description="Only articles of this day or earlier.", examples=["2024-12-31"])
]
Sources = Annotated[
    list[Text], Field(max_length=100, description="Only articles of these newspapers.")
]


class Incoming(BaseModel):
    """A request body: nothing unknown, nothing guessed."""

    model_config = ConfigDict(extra="forbid", strict=True)


class AskBody(Incoming):
    """A question and how to answer it."""

    question: QuestionText = Field(
        description="In English or Chinese.", examples=[ANSWER["question"]]
    )
    lang: Literal["auto", "zh", "en"] = Field("auto", description="Language of the answer.")
    top_k: Depth | None = Field(None, description="Passages to draw on.")
    article_ids: list[Text] = Field([], max_length=100, description="Answer from these only.")
    since: Since = ""
    until: Until = ""
    sources: Sources = []
    conversation_id: Text | None = Field(None, max_length=128, description="Not used yet.")
    stream: bool = Field(False, description="Server-sent events instead of one JSON object.")


class SearchBody(Incoming):
    """A question and how many passages to give."""

    question: QuestionText = Field(examples=[ANSWER["question"]])
    k: Depth = 8
    since: Since = ""
    until: Until = ""
    sources: Sources = []


# ── What goes out ───────────────────────────────────────────────────────────────────────────────


class Outgoing(BaseModel):
    """A response; later versions may add fields."""


class CitationJson(Outgoing):
    """`article.text[start:end] == quote`, in Unicode code points."""

    n: int
    article_id: str
    title: str
    date: str
    source: str
    quote: str
    start: int
    end: int
    answer_spans: list[tuple[int, int]] = Field(description="Ranges of `answer` that it supports.")
    verified: bool
    score: float
    gloss: str = Field("", description="What a quote in another language holds, in words.")

    model_config = ConfigDict(title="Citation", json_schema_extra={"example": _CITATION})


class PassageJson(Outgoing):
    """A few whole sentences of an article: `article.text[start:end] == text`."""

    passage_id: str
    article_id: str
    title: str
    text: str
    start: int
    end: int
    score: float

    model_config = ConfigDict(title="Passage", json_schema_extra={"example": _PASSAGE})


class AnswerJson(Outgoing):
    """A cited answer, or a plain no with its reason."""

    question: str
    language: Literal["zh", "en"]
    answer: str = Field(description="With a marker [n] for every citation.")
    answer_plain: str
    abstained: bool
    reason: Literal["not_in_articles", "off_topic", "entity_not_found", "too_vague"] | None
    confidence: float
    mode: Literal["extractive", "written"]
    model: str
    citations: list[CitationJson]
    passages: list[PassageJson]
    timings_ms: dict[str, float]
    note: str = Field("", description="One line beside the answer, such as: the model is away.")
    understood: str = Field("", description="The whole question that a follow-up was taken for.")

    model_config = ConfigDict(title="Answer", json_schema_extra={"example": ANSWER})


class FoundJson(Outgoing):
    """The passages found, best first."""

    passages: list[PassageJson]

    model_config = ConfigDict(
        title="Found", json_schema_extra={"example": {"passages": [_PASSAGE]}}
    )


class FragmentJson(Outgoing):
    """A range of the page file's text that the article was built from, in code points."""

    start: int
    end: int

    model_config = ConfigDict(title="Fragment")


class PrintingJson(Outgoing):
    """Another article that prints the same text."""

    article_id: str
    title: str
    date: str
    source: str

    model_config = ConfigDict(title="Printing")


class ArticleJson(Outgoing):
    """What is known of an article, without its text."""

    article_id: str
    title: str
    subtitle: str
    byline: str
    date: str = Field(description='ISO 8601, or "" where the page gives none.')
    source: str
    fragments: list[FragmentJson]
    also_in: list[PrintingJson]

    model_config = ConfigDict(title="Article")


class WholeArticleJson(ArticleJson):
    """An article with its text, which all offsets count in."""

    text: str

    model_config = ConfigDict(title="WholeArticle")


class ArticlesJson(Outgoing):
    """One page of the list, ordered by id."""

    articles: list[ArticleJson]
    next_cursor: str | None = Field(description="For the next page; null at the end.")

    model_config = ConfigDict(title="Articles")


class AliveJson(Outgoing):
    """The process runs."""

    status: Literal["ok"] = "ok"
    version: str = __version__

    model_config = ConfigDict(title="Alive")


class ReadyJson(Outgoing):
    """Questions can be answered."""

    status: Literal["ready"] = "ready"
    parts: dict[str, str] = Field(examples=[{"articles": "ok", "index": "ok", "model": "ok"}])
    articles: int
    passages: int

    model_config = ConfigDict(title="Ready")


class ProblemJson(BaseModel):
    """Problem details, RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[dict[str, str]] | None = None
    parts: dict[str, str] | None = None

    model_config = ConfigDict(
        title="Problem",
        json_schema_extra={
            "example": {
                "type": "urn:wenbao:problem:question-rejected",
                "title": "This question can't be taken",
                "status": 422,
                "detail": "The question is empty.",
                "request_id": "6f1c0a52e6a44d0d9b8a3a1c7b1a1b0e",
            }
        },
    )


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route's documentation says of these statuses."""
    return {s: {"model": ProblemJson, "description": HTTPStatus(s).phrase} for s in statuses}
