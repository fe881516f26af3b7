"""The HTTP door: JSON and server-sent events for programs, and the chat page for people.

Reads `App`, never changes what an answer says: the body of `/v1/ask` is `render.to_json(answer)`.
Here are the routes, what holds for every request, and the server; bodies are in schemas.py, errors
in problems.py. Does not cover uploads, rate limits, metrics and the OpenAI-compatible route.
"""

import asyncio
import hmac
import json
import logging
import re
import socket
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot import __version__, problems, schemas
from bot.render import article_json, hit_json, to_json
from rag import errors
from rag.types import Question

if TYPE_CHECKING:
    from bot.wiring import App
    from rag.answer import Answerer


log = logging.getLogger(__name__)
WEB = Path(__file__).parent / "web"

# The longest question that settings allow (20,000 characters), each as two JSON escapes (12 bytes).
MAX_BODY_BYTES = 256 * 1024
PING_S = 15.0
PROBE_TIMEOUT_S = 5.0


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
        except Exception as exc:  # whatever it is, the client gets problem details
            response = problems.response(problems.explain(exc, request_id))
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


# ── Routes ──────────────────────────────────────────────────────────────────────────────────────


def _asking(app: "App", keys: Keys) -> APIRouter:
    router = APIRouter(
        prefix="/v1",
        tags=["questions"],
        dependencies=[Depends(keys.may_read)],
        responses=schemas.problems(400, 401, 413, 415, 422, 503),
    )
    event_stream = {"text/event-stream": {"itemSchema": schemas.EVENT, "example": schemas.STREAM}}

    @router.post(
        "/ask",
        summary="Answer a question",
        response_model=schemas.AnswerJson,
        responses={200: {"content": event_stream}},
    )
    async def ask(body: schemas.AskBody, request: Request) -> Response:
        """Answer a question from the articles, with citations, or say that they don't hold it."""
        question = app.answerer.question(
            body.question,
            body.lang,
            body.top_k,
            article_ids=body.article_ids,
            since=body.since,
            until=body.until,
            sources=body.sources,
        )
        if body.stream:
            return EventSourceResponse(
                _events(app.answerer, question, request.state.request_id),
                headers={"X-Accel-Buffering": "no"},
            )
        return JSONResponse(to_json(await app.answerer.answer(question)))

    @router.post("/search", summary="Find passages", response_model=schemas.FoundJson)
    async def search(body: schemas.SearchBody) -> Response:
        """The passages that a question is about, best first."""
        question = app.answerer.question(
            body.question,
            top_k=body.k,
            since=body.since,
            until=body.until,
            sources=body.sources,
        )
        hits = await app.answerer.search(question)
        return JSONResponse({"passages": [hit_json(hit) for hit in hits]})

    return router


def _reading(app: "App", keys: Keys) -> APIRouter:
    router = APIRouter(
        prefix="/v1/articles", tags=["articles"], responses=schemas.problems(401, 422, 503)
    )

    @router.get(
        "",
        summary="List articles",
        response_model=schemas.ArticlesJson,
        dependencies=[Depends(keys.may_read)],
    )
    async def articles(
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[schemas.Cursor, Query(description="A `next_cursor`.")] = "",
    ) -> Response:
        """List the articles, a page at a time."""
        found = await asyncio.to_thread(app.records.articles, cursor, limit + 1)
        page = found[:limit]
        more = schemas.encoded_cursor(page[-1].article_id) if len(found) > limit else None
        shown = [_public(article_json(article, with_text=False)) for article in page]
        return JSONResponse({"articles": shown, "next_cursor": more})

    @router.get(
        "/{article_id:path}",
        summary="Read an article",
        response_model=schemas.WholeArticleJson,
        dependencies=[Depends(keys.may_read)],
        responses=schemas.problems(404),
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
        responses=schemas.problems(404),
    )
    async def remove(article_id: str) -> None:
        """Take an article out of the records and the index."""
        await asyncio.to_thread(app.remove, [article_id])

    return router


def _health(app: "App") -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Is it alive?")
    async def healthz() -> schemas.AliveJson:
        """The process runs and its event loop turns."""
        return schemas.AliveJson()

    @router.get(
        "/readyz",
        summary="Can it answer?",
        response_model=schemas.ReadyJson,
        responses=schemas.problems(503),
    )
    async def readyz(request: Request) -> Response:
        """A question can be answered; if not, which part is away."""
        parts, counts = await _probe(app)
        if counts is not None and set(parts.values()) == {"ok"}:
            return JSONResponse(
                schemas.ReadyJson(parts=parts, articles=counts[0], passages=counts[1]).model_dump()
            )
        away = " and ".join(name for name, state in parts.items() if state == "away")
        problem = problems.Problem(503, "not-ready", "Questions can't be answered now")
        body = problems.say(problem, f"Away: {away}. {problems.OPERATOR}", request.state.request_id)
        return problems.response(body | {"parts": parts})

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
        yield _event("error", problems.explain(exc, request_id))
    finally:
        asking.cancel()


def _event(name: str, body: object) -> bytes:
    return format_sse_event(event=name, data_str=json.dumps(body, ensure_ascii=False))


def _public(article: Mapping[str, object]) -> dict[str, object]:
    """Without the path, which tells where this server keeps its files."""
    return {name: value for name, value in article.items() if name != "path"}


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
    api.add_exception_handler(errors.WenbaoError, problems.on_wenbao_error)
    api.add_exception_handler(StarletteHTTPException, problems.on_http_error)
    api.add_exception_handler(RequestValidationError, problems.on_invalid)
    api.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)
    api.add_middleware(Edge)
    _finish(api.openapi())
    return api


def _finish(document: dict[str, Any]) -> None:
    """Mends what FastAPI can't say: it drops nulls from examples and calls problems plain JSON."""
    document["components"]["schemas"]["AnswerJson"]["example"] = schemas.ANSWER
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
