"""What the HTTP door says of an error: one table, and problem details as RFC 9457 has them.

Said in Chinese to who reads Chinese; under OpenAI's routes in the shape that its clients know.
Does not cover what a person at the terminal or on Telegram is told; those doors have their tables.
"""

import logging
import re
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException as StarletteHTTPException

from bot.render import harmless
from rag import errors
from rag.types import Language

log = logging.getLogger(__name__)

OPENAI_ROUTES = ("/v1/chat/completions", "/v1/models")
Scope = MutableMapping[str, Any]


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
    errors.WrongUse: Problem(500, "internal", "Something went wrong", OPERATOR),  # of a command
    errors.WenbaoError: Problem(500, "internal", "Something went wrong", OPERATOR),
    Exception: Problem(500, "internal", "Something went wrong", OPERATOR),
}
_BY_STATUS: Mapping[int, Problem] = {
    400: Problem(400, "unreadable-body", "The body can't be read"),
    401: Problem(401, "key-needed", "An API key is needed"),
    403: Problem(403, "key-too-weak", "This API key doesn't open that"),
    404: Problem(404, "no-such-route", "There is nothing at this address"),
    405: Problem(405, "wrong-method", "This address doesn't take this method"),
    408: Problem(408, "too-slow", "The request took too long to come"),
    413: Problem(413, "body-too-large", "The body is too large"),
    415: Problem(415, "not-json", "The body must be JSON"),
    422: Problem(422, "invalid-request", "The request doesn't fit its schema"),
    429: Problem(429, "too-many-requests", "Too many requests in a short time"),
    503: Problem(503, "busy", "Too many questions at once"),
}
ANSWER_NOT_FOUND = Problem(404, "answer-not-found", "No answer has this id")
JOB_NOT_FOUND = Problem(404, "job-not-found", "No job has this id")
MODEL_NOT_FOUND = Problem(404, "model_not_found", "There is no such model")
NOT_READY = Problem(503, "not-ready", "Questions can't be answered now")
WRONG_TYPE = Problem(415, "wrong-type", "This isn't a type of file that can be read")

_ACT = "需要服务器管理员处理，办法记在日志里。"
_SOON = "请过几秒再试。"
_CHINESE: Mapping[str, tuple[str, str]] = {
    "question-rejected": (
        "这个问题没法处理",
        "问题不能为空，也不能太长；日期要写成 2024-05-31 这样。",
    ),
    "article-not-found": ("没有这篇文章", "没有这个编号的文章，可能已经移除。"),
    "answer-not-found": ("没有这个回答", "没有这个编号的回答，可能已经过期。"),
    "job-not-found": ("没有这个任务", "没有这个编号的任务，可能已经过期。"),
    "unreadable-file": ("文件读不出来", "文件里没有能读的报纸文字。"),
    "wrong-type": ("不是能读的文件类型", "请换成能读的文件类型再上传。"),
    "llm-away": ("语言模型暂时不在", _SOON),
    "index-away": ("暂时读不到文章", _SOON),
    "try-later": ("服务暂时不可用", _SOON),
    "busy": ("同时提问的人太多", _SOON),
    "too-many-requests": ("请求太频繁", "请稍等片刻再试。"),
    "not-ready": ("暂时不能回答问题", _ACT),
    "index-mismatch": ("索引需要重建", _ACT),
    "model-away": ("模型不在", _ACT),
    "bad-settings": ("服务器设置有误", _ACT),
    "operator": ("服务器需要处理", _ACT),
    "internal": ("服务器出错了", _ACT),
    "unreadable-body": ("请求读不出来", "请求的内容不是有效的格式。"),
    "key-needed": ("需要密钥", "请在 Authorization: Bearer 里附上有效的密钥。"),
    "key-too-weak": ("密钥权限不够", "这个密钥只能读，不能改动。"),
    "no-such-route": ("这个地址什么也没有", "请检查地址。"),
    "wrong-method": ("这个地址不接受这种方法", "请检查请求方法。"),
    "too-slow": ("请求发送得太慢", "请检查网络后重试。"),
    "body-too-large": ("内容太大", "请减小内容后重试。"),
    "not-json": ("内容必须是 JSON", "请用 Content-Type: application/json 发送 JSON。"),
    "invalid-request": ("请求不符合格式", "请求里有字段不符合格式。"),
}


class Refused(StarletteHTTPException):
    """A request that a route refuses under a problem of its own."""

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(problem.status, detail)
        self.problem = problem


def problem_of(exc: Exception) -> Problem:
    """The table's row for an error: that of its nearest class."""
    return next(PROBLEMS[cls] for cls in type(exc).__mro__ if cls in PROBLEMS)


def problem_for(status: int) -> Problem:
    """The row for a status."""
    phrase = HTTPStatus(status).phrase
    return _BY_STATUS.get(status) or Problem(status, phrase.lower().replace(" ", "-"), phrase)


# ── Problem details ─────────────────────────────────────────────────────────────────────────────


def tongue(scope: Scope) -> Language:
    """The language to speak in: that of the question once it is known, else the first accepted."""
    known: Language | None = scope["state"].get("language")
    accepted = Headers(scope=scope).get("accept-language", "")
    return known or ("zh" if accepted.strip().lower().startswith("zh") else "en")


def say(problem: Problem, detail: str, scope: Scope) -> dict[str, object]:
    """The problem details of a row of the table."""
    title = problem.title
    if tongue(scope) == "zh" and problem.slug in _CHINESE:
        title, detail = _CHINESE[problem.slug]
    return {
        "type": problem.type,
        "title": title,
        "status": problem.status,
        "detail": detail,
        "request_id": scope["state"]["request_id"],
    }


def explain(exc: Exception, scope: Scope) -> dict[str, object]:
    """The problem details of any error; logs those that the operator should see."""
    problem, request_id = problem_of(exc), scope["state"]["request_id"]
    if not isinstance(exc, errors.WenbaoError):
        log.error("request %s failed", request_id, exc_info=exc)
    elif problem.status >= 500:
        log.warning("request %s: %s: %s", request_id, type(exc).__name__, exc)
    return say(problem, problem.detail or str(exc), scope)


def in_openai_shape(body: Mapping[str, object]) -> dict[str, object]:
    """A problem as OpenAI's clients read it."""
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    status = int(str(body["status"]))
    kind = "server_error" if status >= 500 else kinds.get(status, "invalid_request_error")
    code = str(body["type"]).rpartition(":")[2]
    return {"error": {"message": body["detail"], "type": kind, "param": None, "code": code}}


def response(
    body: Mapping[str, object], scope: Scope, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Problem details as a response; one that is away says when to try again."""
    status = int(str(body["status"]))
    extra = {"Content-Language": tongue(scope), "Vary": "Accept-Language", **(headers or {})}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("Retry-After", "5")
    if scope["path"] in OPENAI_ROUTES:
        return JSONResponse(in_openai_shape(body), status, extra)
    return JSONResponse(body, status, extra, media_type="application/problem+json")


def refusal(
    status: int, detail: str, scope: Scope, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response of a layer that refuses a request by its status."""
    return response(say(problem_for(status), detail, scope), scope, headers)


# ── Handlers: what FastAPI calls with an error ──────────────────────────────────────────────────


async def on_wenbao_error(request: Request, exc: Exception) -> Response:
    """What was raised on purpose, by the table."""
    return response(explain(exc, request.scope), request.scope)


async def on_http_error(request: Request, exc: Exception) -> Response:
    """FastAPI's own errors (no such route, wrong method, unreadable body) and ours by status."""
    assert isinstance(exc, StarletteHTTPException)
    problem = exc.problem if isinstance(exc, Refused) else problem_for(exc.status_code)
    detail = exc.detail
    if detail == HTTPStatus(exc.status_code).phrase:
        detail = problem.title + "."
    headers = dict(exc.headers or {})
    if exc.status_code == 405:
        headers |= _allowed(request)
    return response(say(problem, detail, request.scope), request.scope, headers)


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
    elif found[0]["type"] == "model_attributes_type" and not says_json(request):
        status, detail, faults = 415, "Send JSON with Content-Type: application/json.", []
    body = say(_BY_STATUS[status], detail or _sentence(faults), request.scope)
    return response(body | ({"errors": faults} if faults else {}), request.scope)


def _fault(error: Mapping[str, Any]) -> dict[str, str]:
    steps = (str(step) for step in error["loc"] if step not in ("body", "query", "path"))
    unknown = error["type"] == "extra_forbidden"
    words = "There is no such field" if unknown else str(error["msg"])
    where = harmless(".".join(steps))[:80]  # an unknown field's name is the caller's
    return {"field": where, "message": words.removeprefix("Value error, ")}


def _sentence(faults: Sequence[Mapping[str, str]]) -> str:
    return "; ".join(f"{f['field'] or 'body'}: {f['message']}" for f in faults) + "."


def says_json(request: Request) -> bool:
    """Whether a request declares a body of JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")
