"""What the HTTP door says of an error: one table, and problem details as RFC 9457 has them.

Does not cover what a person at the terminal or on Telegram is told; those doors have their tables.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from bot.render import harmless
from rag import errors

log = logging.getLogger(__name__)


# ── One table from what was raised to what is said ──────────────────────────────────────────────


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


OPERATOR = "The operator of this server must act; its log says what to do."
_LATER = "Try again in a few seconds."
PROBLEMS: Mapping[type[Exception], Problem] = {
    errors.QuestionRejected: Problem(422, "question-rejected", "This question can't be taken"),
    errors.ArticleNotFound: Problem(404, "article-not-found", "No article has this id"),
    errors.UnreadableFile: Problem(422, "unreadable-file", "The file holds no page text"),
    errors.LlmUnavailable: Problem(503, "llm-away", "The language model is away", _LATER),
    errors.StoreUnavailable: Problem(503, "index-away", "The index is away", _LATER),
    errors.TryLater: Problem(503, "try-later", "Something is away for now", _LATER),
    errors.IndexMismatch: Problem(503, "index-mismatch", "The index needs a rebuild", OPERATOR),
    errors.ModelUnavailable: Problem(503, "model-away", "The model is away", OPERATOR),
    errors.BadSettings: Problem(500, "bad-settings", "The server is set up wrongly", OPERATOR),
    errors.OperatorError: Problem(500, "operator", "The server needs attention", OPERATOR),
    errors.WenbaoError: Problem(500, "internal", "Something went wrong", OPERATOR),
    Exception: Problem(500, "internal", "Something went wrong", OPERATOR),
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


def problem_of(exc: Exception) -> Problem:
    """The table's row for an error: that of its nearest class."""
    return next(PROBLEMS[cls] for cls in type(exc).__mro__ if cls in PROBLEMS)


# ── Problem details ─────────────────────────────────────────────────────────────────────────────


def say(problem: Problem, detail: str, request_id: str) -> dict[str, object]:
    """The problem details of a row of the table."""
    return {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "request_id": request_id,
    }


def explain(exc: Exception, request_id: str) -> dict[str, object]:
    """The problem details of any error; logs those that the operator should see."""
    problem = problem_of(exc)
    if not isinstance(exc, errors.WenbaoError):
        log.error("request %s failed", request_id, exc_info=exc)
    elif problem.status >= 500:
        log.warning("request %s: %s: %s", request_id, type(exc).__name__, exc)
    return say(problem, problem.detail or str(exc), request_id)


def response(body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Problem details as a response; one that is away says when to try again."""
    status = int(str(body["status"]))
    extra = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("Retry-After", "5")
    return JSONResponse(body, status, extra, media_type="application/problem+json")


# ── Handlers: what FastAPI calls with an error ──────────────────────────────────────────────────


async def on_wenbao_error(request: Request, exc: Exception) -> Response:
    """What was raised on purpose, by the table."""
    return response(explain(exc, request.state.request_id))


async def on_http_error(request: Request, exc: Exception) -> Response:
    """FastAPI's own errors (no such route, wrong method, unreadable body) and ours by status."""
    assert isinstance(exc, StarletteHTTPException)
    phrase = HTTPStatus(exc.status_code).phrase
    problem = _BY_STATUS.get(exc.status_code) or Problem(
        exc.status_code, phrase.lower().replace(" ", "-"), phrase
    )
    detail = exc.detail if exc.detail != phrase else problem.title + "."
    headers = dict(exc.headers or {}) | _allowed(request) if exc.status_code == 405 else exc.headers
    return response(say(problem, detail, request.state.request_id), headers)


def _allowed(request: Request) -> dict[str, str]:
    """The Allow header over all routes of an address; the router knows only its first one."""
    for template, operations in request.app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", ".+", template), request.url.path):
            return {"Allow": ", ".join(method.upper() for method in operations)}
    return {}


async def on_invalid(request: Request, exc: Exception) -> Response:
    """A body or parameter that doesn't fit; names each field, never repeats what was sent."""
    assert isinstance(exc, RequestValidationError)
    found = exc.errors()
    status, detail, faults = 422, "", [_fault(error) for error in found]
    if found[0]["type"] == "json_invalid":
        status, detail, faults = 400, "The body is not valid JSON.", []
    elif found[0]["type"] == "model_attributes_type" and not _says_json(request):
        status, detail, faults = 415, "Send JSON with Content-Type: application/json.", []
    body = say(_BY_STATUS[status], detail or _sentence(faults), request.state.request_id)
    return response(body | ({"errors": faults} if faults else {}))


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
