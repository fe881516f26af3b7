"""The bodies that come in over HTTP and go out, as pydantic checks them and `/docs` shows them.

Does not cover what the fields of an answer are filled with (render.py), nor what is said of a body
that doesn't fit (problems.py).
"""

import base64
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from bot import __version__, samples
from rag.types import Article

# ── What comes in ───────────────────────────────────────────────────────────────────────────────


def _encodable(text: str) -> str:
    """JSON can escape half a character, which no encoding can write."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("This is not Unicode text")
    return text


def whole(value: object) -> object:
    """JSON has one kind of number: 8.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _day(text: str) -> str:
    if len(text) != 10 or date.fromisoformat(text).isoformat() != text:
        raise ValueError("Write a day as 2024-05-31")
    return text


def encoded_cursor(article: Article) -> str:
    """The cursor that goes on behind an article."""
    place = f"{article.date} {article.article_id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decoded_cursor(cursor: str) -> str:
    """The date and id in a cursor; of one that isn't ours some place in the list."""
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    return base64.b64decode(padded, b"-_").decode(errors="replace")


Text = Annotated[str, AfterValidator(_encodable)]

# Only documented here: the Answerer cleans and judges questions, the same for every door.
HAS_TEXT = r"[^\s\u0000]"  # \w would be ASCII alone, as JSON Schema reads it
QuestionText = Annotated[Text, Field(json_schema_extra={"pattern": HAS_TEXT})]
Depth = Annotated[int, Field(ge=1, le=50), BeforeValidator(whole)]
Cursor = Annotated[
    str,
    Field(pattern="^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{2,3})?$", max_length=1_000),
    AfterValidator(decoded_cursor),
]
Words = Annotated[Text, Field(max_length=200)]
Day = Annotated[str, AfterValidator(_day), Field(json_schema_extra={"format": "date"})]
JobId = Annotated[str, Field(pattern="^[0-9a-f]{32}$", examples=[samples.JOB_ID])]
_A_DAY: dict[str, Any] = {"anyOf": [{"format": "date"}, {"const": ""}]}
Since = Annotated[
    Text,
    Field(
        description="Only articles of this day or later.",
        examples=["2024-01-31"],
        json_schema_extra=_A_DAY,
    ),
]
Until = Annotated[
    Text,
    Field(
        description="Only articles of this day or earlier.",
        examples=["2024-12-31"],
        json_schema_extra=_A_DAY,
    ),
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
        description="In English or Chinese.", examples=[samples.ANSWER["question"]]
    )
    lang: Literal["auto", "zh", "en"] = Field("auto", description="Language of the answer.")
    top_k: Depth | None = Field(None, description="Passages to draw on.")
    article_ids: list[Text] = Field([], max_length=100, description="Answer from these only.")
    since: Since = ""
    until: Until = ""
    sources: Sources = []
    conversation_id: str | None = Field(
        None,
        pattern="^[A-Za-z0-9_-]{8,64}$",
        description="A random name of your making: questions under it follow on one another.",
        examples=["c-4f1d9a7be2"],
    )
    stream: bool = Field(False, description="Server-sent events instead of one JSON object.")


class SearchBody(Incoming):
    """A question and how many passages to give."""

    question: QuestionText = Field(examples=[samples.ANSWER["question"]])
    k: Depth = 8
    since: Since = ""
    until: Until = ""
    sources: Sources = []


class FeedbackBody(Incoming):
    """A vote on an answer."""

    answer_id: str = Field(pattern="^[0-9a-f]{32}$", examples=[samples.ANSWER["answer_id"]])
    vote: Literal["up", "down"]
    comment: Text = Field("", max_length=2_000, examples=["The year is wrong."])


class TextBody(Incoming):
    """A page's text, as it would stand in a file."""

    name: Text = Field(
        min_length=1, max_length=200, description="Names the type: .txt, .md, .html, .jsonl."
    )
    text: Text = Field(min_length=1, json_schema_extra={"pattern": HAS_TEXT})

    model_config = ConfigDict(json_schema_extra={"example": samples.TEXT})


UPLOAD: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "files": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": "string", "format": "binary"},
                    }
                },
                "required": ["files"],
                "additionalProperties": False,
            },
            "encoding": {"files": {"contentType": "text/plain"}},
        },
        "application/json": {
            "schema": TextBody.model_json_schema(),
            "example": samples.TEXT,
        },
    },
}


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
    translated_by: str = Field(
        "", description="The model, where `gloss` is a machine's translation of the quote."
    )

    model_config = ConfigDict(title="Citation", json_schema_extra={"example": samples.CITATION})


class PassageJson(Outgoing):
    """A few whole sentences of an article: `article.text[start:end] == text`."""

    passage_id: str
    article_id: str
    title: str
    text: str
    start: int
    end: int
    score: float

    model_config = ConfigDict(title="Passage", json_schema_extra={"example": samples.PASSAGE})


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
    answer_id: str = Field("", description="What `/v1/feedback` names it by.")

    model_config = ConfigDict(title="Answer", json_schema_extra={"example": samples.ANSWER})


class FoundJson(Outgoing):
    """The passages found, best first."""

    passages: list[PassageJson]

    model_config = ConfigDict(
        title="Found", json_schema_extra={"example": {"passages": [samples.PASSAGE]}}
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

    model_config = ConfigDict(title="Article", json_schema_extra={"example": samples.ARTICLE})


class WholeArticleJson(ArticleJson):
    """An article with its text, which all offsets count in."""

    text: str

    model_config = ConfigDict(
        title="WholeArticle",
        json_schema_extra={"example": {**samples.ARTICLE, "text": "委员们建议,要打通数据壁垒。"}},
    )


class ArticlesJson(Outgoing):
    """One page of the list, ordered by id."""

    articles: list[ArticleJson]
    next_cursor: str | None = Field(description="For the next page; null at the end.")

    model_config = ConfigDict(
        title="Articles",
        json_schema_extra={"example": {"articles": [samples.ARTICLE], "next_cursor": None}},
    )


class TakenJson(Outgoing):
    """An upload was taken in."""

    job_id: str

    model_config = ConfigDict(
        title="Taken", json_schema_extra={"example": {"job_id": samples.JOB_ID}}
    )


class FailedJson(Outgoing):
    """A file that couldn't be read, and why."""

    file: str
    error: str

    model_config = ConfigDict(title="Failed")


class ReportJson(Outgoing):
    """What became of an upload, in articles; `articles` and `passages` are what is indexed now."""

    added: int
    updated: int
    unchanged: int
    removed: int
    failed: list[FailedJson]
    articles: int
    passages: int
    seconds: float
    moved: int = Field(description="Of the unchanged, those that stood in a file that is gone.")

    model_config = ConfigDict(title="Report")


class JobJson(Outgoing):
    """How far an upload is."""

    job_id: str
    state: Literal["queued", "running", "done", "failed"]
    files: int
    files_done: int
    report: ReportJson | None = Field(description="Once it is done.")
    error: str | None = Field(description="Why it failed.")

    model_config = ConfigDict(
        title="Job",
        json_schema_extra={
            "example": {
                "job_id": samples.JOB_ID,
                "state": "done",
                "files": 1,
                "files_done": 1,
                "report": samples.REPORT,
                "error": None,
            }
        },
    )


class QuestionsJson(Outgoing):
    """Questions to begin with."""

    questions: list[str]

    model_config = ConfigDict(
        title="Questions",
        json_schema_extra={"example": {"questions": [samples.ANSWER["question"]]}},
    )


class AliveJson(Outgoing):
    """The process runs."""

    status: Literal["ok"] = "ok"
    version: str = __version__

    model_config = ConfigDict(title="Alive")


class ReadyJson(Outgoing):
    """Questions can be answered."""

    status: Literal["ready"] = "ready"
    parts: dict[str, str]
    articles: int
    passages: int

    model_config = ConfigDict(
        title="Ready",
        json_schema_extra={
            "example": {
                "status": "ready",
                "parts": {"articles": "ok", "index": "ok", "model": "ok"},
                "articles": 12,
                "passages": 96,
            }
        },
    )


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
