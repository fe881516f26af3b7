"""What holds for every request, whatever it asks: an id, limits in size and time, secure headers.

Does not cover who may ask (gate.py), nor sockets on which no request comes about (run.py).
"""

import asyncio
import contextlib
import logging
import re
import time
import uuid

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot import logs, problems, traces
from bot.metrics import Metrics

log = logging.getLogger(__name__)

# The longest question that settings allow (20,000 characters), each as two JSON escapes (12 bytes).
MAX_BODY_BYTES = 256 * 1024
BODY_GAP_S = 15.0  # the longest pause within a body
BODY_S = 60.0  # the longest time for a whole one
UPLOAD_S = 600.0
# How much, and how long, is read on of a body that is refused already.
DRAINED_BYTES, DRAINED_S = 4 * 1024 * 1024, 1.0

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
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
    """The outermost layer: a request id, the body's limits, secure headers, the last resort."""

    def __init__(self, app: ASGIApp, metrics: Metrics, max_upload_bytes: int) -> None:
        self._app = app
        self._metrics = metrics
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever is raised below becomes a problem, unless half is sent."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope)
        request_id = _request_id(sent.get("x-request-id", ""))
        logs.request_id.set(request_id)
        traces.carried.set({name: sent[name] for name in traces.CARRIED if name in sent})
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.perf_counter(), 0

        async def send_secured(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _secure(MutableHeaders(scope=message), scope["path"], request_id)
            await send(message)

        try:
            await self._app(scope, self._limited(scope, receive), send_secured)
        except Exception as exc:  # whatever it is, the client gets problem details
            response = problems.response(problems.explain(exc, scope), scope)
            if status:
                raise
            await response(scope, receive, send_secured)
        took_s = time.perf_counter() - began
        self._metrics.requested(_template(scope), status, took_s)
        log.info(
            "%s %r %d %.0f ms %s", scope["method"], scope["path"], status, 1000 * took_s, request_id
        )

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """Reading that stops at the limits, by what is declared and by what comes, and when."""
        uploads = (scope["method"], scope["path"]) == ("POST", "/v1/articles")
        most = self._max_upload_bytes if uploads else MAX_BODY_BYTES
        ends = time.monotonic() + (UPLOAD_S if uploads else BODY_S)
        declared = Headers(scope=scope).get("content-length", "")
        read = int(declared) if declared.isdecimal() and int(declared) > most else 0
        whole = False

        async def receive_limited() -> Message:
            nonlocal read, whole
            if whole:
                return await receive()
            message: Message = {"type": "", "more_body": True}
            if read <= most:
                message = await _in_time(receive, ends)
            read += len(message.get("body", b""))
            if read > most:
                if message.get("more_body", False):
                    await _drain(receive)
                raise HTTPException(413, f"A body has at most {most} bytes.", _CLOSE)
            whole = not message.get("more_body", False)
            return message

        return receive_limited


_CLOSE = {"Connection": "close"}  # else the server would go on reading what nobody wants


async def _in_time(receive: Receive, ends: float) -> Message:
    try:
        async with asyncio.timeout(min(BODY_GAP_S, max(0.0, ends - time.monotonic()))):
            return await receive()
    except TimeoutError as exc:
        raise HTTPException(408, "The body took too long to come.", _CLOSE) from exc


async def _drain(receive: Receive) -> None:
    """Reads on for a moment: who is still sending when the line is cut never sees the answer."""
    left = DRAINED_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAINED_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _request_id(given: str) -> str:
    """The caller's id when it is a plain one, else a new one."""
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _secure(headers: MutableHeaders, path: str, request_id: str) -> None:
    headers["X-Request-ID"] = request_id
    headers.setdefault("Cache-Control", "no-store" if path.startswith("/v1/") else "no-cache")
    for name, value in _SECURE_HEADERS.items():
        headers.setdefault(name, value)


def _template(scope: Scope) -> str:
    """The route that served a request; every address of its own would be a measure of its own."""
    path: str = getattr(scope.get("route"), "path", "")
    return path or "other"
