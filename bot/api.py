"""The HTTP door: JSON and server-sent events for programs, and the chat page for people.

Reads `App`, never changes what an answer says: the body of `/v1/ask` is `render.to_json(answer)`.
Does not cover uploads, rate limits, metrics and the OpenAI-compatible route.
"""

import asyncio
import base64
import binascii
import hmac
import json
import logging
import re
import socket
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from fastapi.staticfiles import StaticFiles
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot import __version__
from bot.render import article_json, harmless, hit_json, to_json
from rag import errors
from rag.types import Question

if TYPE_CHECKING:
    from rag.answer import Answerer

    from bot.wiring import App

log = logging.getLogger(__name__)

WEB = Path(__file__).parent / "web"
# The longest question that settings allow (20,000 characters), each as two JSON escapes (12 bytes).
MAX_BODY_BYTES = 256 * 1024
PING_S = 15.0
PROBE_TIMEOUT_S = 5.0

# ── Errors: one table from what was raised to what is said ──────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Problem:
    """How an error looks outside; `detail` is said instead of the error's own words.

    Errors of the server get a `detail`, since their own words may name its paths and hosts.
    """

    status: int
    slug: str
    title: str
    detail: str = ""

    @property
    def type(self) -> str:
        """The stable name that clients may rely on."""
        return f"urn:wenbao:problem:{self.slug}"


_OPERATOR = "The operator of this server must act; its log says what to do."
_LATER = "Try again in a few seconds."

PROBLEMS: Mapping[type[Exception], Problem] = {
    errors.QuestionRejected: Problem(422, "question-rejected", "This question can't be taken"),
    errors.ArticleNotFound: Problem(404, "article-not-found", "No article has this id"),
    errors.UnreadableFile: Problem(422, "unreadable-file", "The file holds no page text"),
    errors.LlmUnavailable: Problem(503, "llm-away", "The language model is away", _LATER),
    errors.StoreUnavailable: Problem(503, "index-away", "The index is away", _LATER),
    errors.TryLater: Problem(503, "try-later", "Something is away for now", _LATER),
    errors.IndexMismatch: Problem(503, "index-mismatch", "The index needs a rebuild", _OPERATOR),
    errors.ModelUnavailable: Problem(503, "model-away", "The model is away", _OPERATOR),
    errors.BadSettings: Problem(500, "bad-settings", "The server is set up wrongly", _OPERATOR),
    errors.OperatorError: Problem(500, "operator", "The server needs attention", _OPERATOR),
    errors.WenbaoError: Problem(500, "internal", "Something went wrong", _OPERATOR),
    Exception: Problem(500, "internal", "Something went wrong", _OPERATOR),
}
_BY_STATUS: Mapping[int, Problem] = {
    400: Problem(400, "unreadable-body", "The body can't be read"),
    401: Problem(401, "key-needed", "An API key is needed"),
    404: Problem(404, "no-such-route", "There is nothing at this address"),
    405: Problem(405, "wrong-method", "This address doesn't take this method"),
    413: Problem(413, "body-too-large", "The body is too large"),
    415: Problem(415, "not-json", "The body must be JSON"),
    422: Problem(422, "invalid-request", "The request doesn't fit its schema"),
}


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


def problem_of(exc: Exception) -> Problem:
    """The table's row for an error: that of its nearest class."""
    return next(PROBLEMS[cls] for cls in type(exc).__mro__ if cls in PROBLEMS)


def _say(problem: Problem, detail: str, request_id: str) -> dict[str, object]:
    return {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "request_id": request_id,
    }


def _explain(exc: Exception, request_id: str) -> dict[str, object]:
    """The problem details of any error; logs those that the operator should see."""
    problem = problem_of(exc)
    if not isinstance(exc, errors.WenbaoError):
        log.error("request %s failed", request_id, exc_info=exc)
    elif problem.status >= 500:
        log.warning("request %s: %s: %s", request_id, type(exc).__name__, exc)
    return _say(problem, problem.detail or str(exc), request_id)


def _problem_response(
    body: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    status = int(str(body["status"]))
    extra = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("Retry-After", "5")
    return JSONResponse(body, status, extra, media_type="application/problem+json")


async def _on_wenbao_error(request: Request, exc: Exception) -> Response:
    return _problem_response(_explain(exc, request.state.request_id))


async def _on_http_error(request: Request, exc: Exception) -> Response:
    """FastAPI's own errors (no such route, wrong method, unreadable body) and ours by status."""
    assert isinstance(exc, StarletteHTTPException)
    phrase = HTTPStatus(exc.status_code).phrase
    problem = _BY_STATUS.get(exc.status_code) or Problem(
        exc.status_code, phrase.lower().replace(" ", "-"), phrase
    )
    detail = exc.detail if exc.detail != phrase else problem.title + "."
    headers = dict(exc.headers or {}) | _allowed(request) if exc.status_code == 405 else exc.headers
    return _problem_response(_say(problem, detail, request.state.request_id), headers)


def _allowed(request: Request) -> dict[str, str]:
    """The Allow header over all routes of an address; the router knows only its first one."""
    for template, operations in request.app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", ".+", template), request.url.path):
            return {"Allow": ", ".join(method.upper() for method in operations)}
    return {}


async def _on_invalid(request: Request, exc: Exception) -> Response:
    """A body or parameter that doesn't fit; names each field, never repeats what was sent."""
    assert isinstance(exc, RequestValidationError)
    found = exc.errors()
    status, detail, faults = 422, "", [_fault(error) for error in found]
    if found[0]["type"] == "json_invalid":
        status, detail, faults = 400, "The body is not valid JSON.", []
    elif found[0]["type"] == "model_attributes_type" and not _says_json(request):
        status, detail, faults = 415, "Send JSON with Content-Type: application/json.", []
    body = _say(_BY_STATUS[status], detail or _sentence(faults), request.state.request_id)
    return _problem_response(body | ({"errors": faults} if faults else {}))


def _fault(error: Mapping[str, Any]) -> dict[str, str]:
    steps = (str(step) for step in error["loc"] if step not in ("body", "query", "path"))
    unknown = error["type"] == "extra_forbidden"
    words = "There is no such field" if unknown else str(error["msg"])
    where = harmless(".".join(steps))[:80]  # an unknown field's name is the caller's
    return {"field": where, "message": words.removeprefix("Value error, ")}


def _sentence(faults: Sequence[Mapping[str, str]]) -> str:
    return "; ".join(f"{f['field'] or 'body'}: {f['message']}" for f in faults) + "."


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


# ── The edge: what holds for every request, whatever it asks ────────────────────────────────────

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
# Swagger UI writes style elements and uses innerHTML; it still runs no script but its own files.
_DOCS_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_SECURE_HEADERS = {
    "Content-Security-Policy": _PAGE_CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Edge:
    """The outermost layer: a request id, the body limit, secure headers, the last resort."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever is raised below becomes a problem, unless half is sent."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.perf_counter(), 0

        async def send_secured(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _secure(MutableHeaders(scope=message), scope["path"], request_id)
            await send(message)

        try:
            await self._app(scope, _limited(scope, receive), send_secured)
        except Exception as exc:
            response = _problem_response(_explain(exc, request_id))
            if status:
                raise
            await response(scope, receive, send_secured)
        took_ms = 1000 * (time.perf_counter() - began)
        log.info("%s %r %d %.0f ms %s", scope["method"], scope["path"], status, took_ms, request_id)


def _request_id(given: str) -> str:
    """The caller's id when it is a plain one, else a new one."""
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _secure(headers: MutableHeaders, path: str, request_id: str) -> None:
    headers["X-Request-ID"] = request_id
    headers.setdefault("Cache-Control", "no-store" if path.startswith("/v1/") else "no-cache")
    for name, value in _SECURE_HEADERS.items():
        headers.setdefault(name, value)


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Reading that stops at MAX_BODY_BYTES, by what is declared and by what comes."""
    declared = Headers(scope=scope).get("content-length", "")
    read = int(declared) if declared.isdecimal() and int(declared) > MAX_BODY_BYTES else 0

    async def receive_limited() -> Message:
        nonlocal read
        message = await receive() if read <= MAX_BODY_BYTES else {"type": "", "body": b""}
        read += len(message.get("body", b""))
        if read > MAX_BODY_BYTES:
            raise HTTPException(413, f"A body has at most {MAX_BODY_BYTES} bytes.")
        return message

    return receive_limited


# ── Keys ────────────────────────────────────────────────────────────────────────────────────────

_BEARER = HTTPBearer(auto_error=False, description="One of the server's `WENBAO_API_KEYS`.")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


class Keys:
    """Who may do what: writing always needs a key, reading does once there are keys."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(key.encode() for key in keys)

    async def may_read(self, bearer: Bearer) -> None:
        """Let the request through, or answer 401."""
        if self._keys:
            self._check(bearer)

    async def may_write(self, bearer: Bearer) -> None:
        """Let the request through, or answer 401."""
        if not self._keys:
            raise _unauthorized("This server has no API key, so nothing can be changed over HTTP.")
        self._check(bearer)

    def _check(self, bearer: HTTPAuthorizationCredentials | None) -> None:
        if bearer is None:
            raise _unauthorized("Send an API key: Authorization: Bearer KEY.")
        given = bearer.credentials.encode("latin-1", "replace")  # as it came over the wire
        matches = [hmac.compare_digest(given, key) for key in self._keys]  # all, in equal time
        if True not in matches:
            raise _unauthorized("This API key is not known.")


def _unauthorized(detail: str) -> HTTPException:
    return HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})


# ── What comes in and what goes out ─────────────────────────────────────────────────────────────

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
_ANSWER: dict[str, Any] = {
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
}
_EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["passages", "token", "citation", "answer", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
_STREAM = """event: passages
data: {"passages":[...]}

event: token
data: {"text":"..."}

event: citation
data: {"n":1,...}

event: answer
data: {...the whole Answer...}
"""


def _encodable(text: str) -> str:
    """JSON can escape half a character, which no encoding can write."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("This is not Unicode text")
    return text


def _whole(value: object) -> object:
    """JSON has one kind of number: 8.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, AfterValidator(_encodable)]
# Only documented here: the Answerer cleans and judges questions, the same for every door.
QuestionText = Annotated[Text, Field(json_schema_extra={"pattern": r"\w"})]
Depth = Annotated[int, Field(ge=1, le=50), BeforeValidator(_whole)]


class Incoming(BaseModel):
    """A request body: nothing unknown, nothing guessed."""

    model_config = ConfigDict(extra="forbid", strict=True)


class AskBody(Incoming):
    """A question and how to answer it."""

    question: QuestionText = Field(
        description="In English or Chinese.", examples=[_ANSWER["question"]]
    )
    lang: Literal["auto", "zh", "en"] = Field("auto", description="Language of the answer.")
    top_k: Depth | None = Field(None, description="Passages to draw on.")
    article_ids: list[Text] = Field([], max_length=100, description="Answer from these only.")
    conversation_id: Text | None = Field(None, max_length=128, description="Not used yet.")
    stream: bool = Field(False, description="Server-sent events instead of one JSON object.")


class SearchBody(Incoming):
    """A question and how many passages to give."""

    question: QuestionText = Field(examples=[_ANSWER["question"]])
    k: Depth = 8


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

    model_config = ConfigDict(title="Answer", json_schema_extra={"example": _ANSWER})


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


class ArticleJson(Outgoing):
    """What is known of an article, without its text."""

    article_id: str
    title: str
    subtitle: str
    byline: str
    date: str = Field(description='ISO 8601, or "" where the page gives none.')
    source: str
    fragments: list[FragmentJson]

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


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {s: {"model": ProblemJson, "description": HTTPStatus(s).phrase} for s in statuses}


# ── Routes ──────────────────────────────────────────────────────────────────────────────────────


def _asking(app: "App", keys: Keys) -> APIRouter:
    router = APIRouter(
        prefix="/v1",
        tags=["questions"],
        dependencies=[Depends(keys.may_read)],
        responses=_problems(400, 401, 413, 415, 422, 503),
    )
    event_stream = {"text/event-stream": {"itemSchema": _EVENT, "example": _STREAM}}

    @router.post(
        "/ask",
        summary="Answer a question",
        response_model=AnswerJson,
        responses={200: {"content": event_stream}},
    )
    async def ask(body: AskBody, request: Request) -> Response:
        """Answer a question from the articles, with citations, or say that they don't hold it."""
        question = app.answerer.question(body.question, body.lang, body.top_k, body.article_ids)
        if body.stream:
            return EventSourceResponse(
                _events(app.answerer, question, request.state.request_id),
                headers={"X-Accel-Buffering": "no"},
            )
        return JSONResponse(to_json(await app.answerer.answer(question)))

    @router.post("/search", summary="Find passages", response_model=FoundJson)
    async def search(body: SearchBody) -> Response:
        """The passages that a question is about, best first."""
        question = app.answerer.question(body.question, top_k=body.k)
        hits = await app.answerer.search(question)
        return JSONResponse({"passages": [hit_json(hit) for hit in hits]})

    return router


def _reading(app: "App", keys: Keys) -> APIRouter:
    router = APIRouter(prefix="/v1/articles", tags=["articles"], responses=_problems(401, 422, 503))

    @router.get(
        "",
        summary="List articles",
        response_model=ArticlesJson,
        dependencies=[Depends(keys.may_read)],
    )
    async def articles(
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[
            str, AfterValidator(_decoded), Query(description="A `next_cursor`.")
        ] = "",
    ) -> Response:
        """List the articles, a page at a time."""
        found = await asyncio.to_thread(app.records.articles, cursor, limit + 1)
        page = found[:limit]
        more = _encoded(page[-1].article_id) if len(found) > limit else None
        shown = [_public(article_json(article, with_text=False)) for article in page]
        return JSONResponse({"articles": shown, "next_cursor": more})

    @router.get(
        "/{article_id:path}",
        summary="Read an article",
        response_model=WholeArticleJson,
        dependencies=[Depends(keys.may_read)],
        responses=_problems(404),
    )
    async def article(article_id: str) -> Response:
        """One article with its text."""
        found = await asyncio.to_thread(app.records.article, article_id)
        return JSONResponse(_public(article_json(found, with_text=True)))

    @router.delete(
        "/{article_id:path}",
        summary="Remove an article",
        status_code=204,
        dependencies=[Depends(keys.may_write)],
        responses=_problems(404),
    )
    async def remove(article_id: str) -> None:
        """Take an article out of the records and the index."""
        await asyncio.to_thread(app.remove, [article_id])

    return router


def _health(app: "App") -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Is it alive?")
    async def healthz() -> AliveJson:
        """The process runs and its event loop turns."""
        return AliveJson()

    @router.get(
        "/readyz", summary="Can it answer?", response_model=ReadyJson, responses=_problems(503)
    )
    async def readyz(request: Request) -> Response:
        """A question can be answered; if not, which part is away."""
        parts, counts = await _probe(app)
        if counts is not None and set(parts.values()) == {"ok"}:
            return JSONResponse(
                ReadyJson(parts=parts, articles=counts[0], passages=counts[1]).model_dump()
            )
        away = " and ".join(name for name, state in parts.items() if state == "away")
        problem = Problem(503, "not-ready", "Questions can't be answered now")
        body = _say(problem, f"Away: {away}. {_OPERATOR}", request.state.request_id)
        return _problem_response(body | {"parts": parts})

    return router


def _page() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page() -> Response:
        return FileResponse(WEB / "index.html")

    @router.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(_DOCS_PAGE, headers={"Content-Security-Policy": _DOCS_CSP})

    @router.get("/docs/start.js")
    async def docs_start() -> Response:
        return Response(_DOCS_START, media_type="text/javascript")

    return router


_DOCS_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Wenbao 问报 · HTTP API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<div id="docs"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_DOCS_START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#docs", deepLinking: true});\n'


# ── The steps behind the routes ─────────────────────────────────────────────────────────────────

_SENTENCE_END = re.compile(
    r"(?:[。！？!?]|\.(?=[\s”’\"'」』）)\[]|$))[”’\"'」』）)]*(?:\s*\[\d+\])*\s*|\n+"
)


def sentences(text: str) -> list[str]:
    """The text in pieces that end with a sentence and its markers; joined they are the text."""
    cuts = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    return [text[a:b] for a, b in pairwise(cuts) if a < b]


async def _events(
    answerer: "Answerer", question: Question, request_id: str
) -> AsyncIterator[bytes]:
    """passages, tokens, citations, answer; or an error in place of what is still to come."""
    asking = asyncio.ensure_future(answerer.answer(question))
    try:
        while not (await asyncio.wait({asking}, timeout=PING_S))[0]:
            yield KEEPALIVE_COMMENT
        answer = asking.result()
        body = to_json(answer)
        yield _event("passages", {"passages": body["passages"]})
        for sentence in sentences(answer.answer):
            yield _event("token", {"text": sentence})
        for citation in cast("list[object]", body["citations"]):
            yield _event("citation", citation)
        yield _event("answer", body)
    except Exception as exc:  # the status line is gone: only an event can still say it
        yield _event("error", _explain(exc, request_id))
    finally:
        asking.cancel()


def _event(name: str, body: object) -> bytes:
    return format_sse_event(event=name, data_str=json.dumps(body, ensure_ascii=False))


def _public(article: Mapping[str, object]) -> dict[str, object]:
    """Without the path, which tells where this server keeps its files."""
    return {name: value for name, value in article.items() if name != "path"}


def _encoded(article_id: str) -> str:
    return base64.urlsafe_b64encode(article_id.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    """The article id in a cursor.

    Raises:
        ValueError: if the cursor is none of ours.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return base64.b64decode(padded, b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error) as exc:
        raise ValueError("This is no cursor of this list") from exc


async def _probe(app: "App") -> tuple[dict[str, str], tuple[int, int] | None]:
    """Each part's state (ok, away, unknown), and the numbers of articles and passages."""
    parts = {"articles": "ok", "index": "ok", "model": "ok"}
    counts: tuple[int, int] | None = None
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            counted = await asyncio.to_thread(app.records.counts)
            counts = (counted.articles, counted.passages)
            await app.answerer.search(app.answerer.question("新闻", top_k=1))
    except errors.ModelUnavailable as exc:
        parts["model"] = "away"
        log.warning("not ready: %s", exc)
    except (errors.WenbaoError, TimeoutError) as exc:
        parts |= {"index": "away", "model": "unknown"}
        if counts is None:
            parts |= {"articles": "away", "index": "unknown"}
        log.warning("not ready: %s", str(exc) or "no reply in time")
    return parts, counts


# ── Putting it together ─────────────────────────────────────────────────────────────────────────


def create_app(app: "App") -> FastAPI:
    """The whole HTTP door over an open App, which stays the caller's to close."""
    api = FastAPI(
        title="Wenbao 问报",
        summary="Ask the newspaper: answers with citations one can check.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    keys = Keys(app.settings.keys())
    for router in (_asking(app, keys), _reading(app, keys), _health(app), _page()):
        api.include_router(router)
    api.mount("/static", StaticFiles(directory=WEB))
    api.mount("/docs/assets", StaticFiles(packages=[("fastapi_offline", "static")]))
    api.add_exception_handler(errors.WenbaoError, _on_wenbao_error)
    api.add_exception_handler(StarletteHTTPException, _on_http_error)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    api.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)
    api.add_middleware(Edge)
    _finish(api.openapi())
    return api


def _finish(document: dict[str, Any]) -> None:
    """Mends what FastAPI can't say: it drops nulls from examples and calls problems plain JSON."""
    document["components"]["schemas"]["AnswerJson"]["example"] = _ANSWER
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if int(status) >= 400 and "application/json" in content:
                    content["application/problem+json"] = content.pop("application/json")


def serve(app: "App") -> None:
    """Serve until a signal comes; requests in flight get 10 seconds to end.

    Raises:
        BadSettings: if the address can't be listened on.
    """
    host, port = app.settings.host, app.settings.port
    with _listen(host, port) as listener:
        log.info("listening on http://%s:%d", host, port)
        server(app).run(sockets=[listener])


def server(app: "App") -> uvicorn.Server:
    """A quiet server, not yet listening: it leaves logging as the process has set it up."""
    return uvicorn.Server(
        uvicorn.Config(
            create_app(app),
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=10,
        )
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        raise errors.BadSettings(
            f"Can't listen on {host}:{port} ({exc.strerror}); set WENBAO_HOST or WENBAO_PORT."
        ) from exc
