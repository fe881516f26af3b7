"""Who may come in: the key that was sent, how often it may ask, how many questions fit at once.

Stands around every route under /v1/; the routes then ask for the scope that they need. Counts are
kept for each key, and for each address where no key was sent (of an IPv6 address its network).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot import problems
from bot.api.door import Door
from bot.keys import WINDOW_S, Key, Rate
from rag.errors import StoreUnavailable

QUESTIONS = ("/v1/ask", "/v1/search", "/v1/chat/completions")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sent a request, and what is open to everybody."""

    key: Key | None
    sent: bool
    reading_is_open: bool
    rate: Rate | None
    there_are_keys: bool

    @property
    def name(self) -> str:
        """The name that conversations are kept under; no key has the empty one."""
        return self.key.name if self.key else ""


class Gate:
    """The layer in front of the routes."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door
        self._asking = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer 429 or 503."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        visitor = await self._door.quick(self._look, scope)
        scope["state"]["visitor"] = visitor
        headers = _headers(visitor.rate) if visitor.rate else {}
        if visitor.rate and visitor.rate.refused:
            again = {"Retry-After": str(visitor.rate.wait_s)}
            words = f"At most {visitor.rate.quota} requests a minute; come back a little later."
            await problems.refusal(429, words, scope, headers | again)(scope, receive, send)
        elif scope["path"] in QUESTIONS and self._asking >= self._door.app.settings.max_questions:
            words = "As many questions as fit are being answered; try again in a moment."
            again = {"Retry-After": "2"}
            await problems.refusal(503, words, scope, headers | again)(scope, receive, send)
        else:
            await self._let_in(scope, receive, _with(headers, send))

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["path"] in QUESTIONS
        self._asking += asks
        try:
            await self._app(scope, receive, send)
        finally:
            self._asking -= asks

    def _look(self, scope: Scope) -> Visitor:
        keys, settings = self._door.keys, self._door.app.settings
        kind, _, words = Headers(scope=scope).get("authorization", "").partition(" ")
        sent = words.strip().encode("latin-1") if kind.lower() == "bearer" else b""
        key = keys.of(sent) if sent else None
        quota = settings.key_rate if key else settings.address_rate
        asker = f"key:{key.name}" if key else f"from:{_network(scope)}"
        rate = self._rate(asker, quota) if quota else None
        return Visitor(key, bool(sent), not keys.close_reading(), rate, keys.any())

    def _rate(self, asker: str, quota: int) -> Rate | None:
        """None where nothing can be written: a full disk shuts nobody out."""
        try:
            return self._door.rates.take(asker, quota)
        except StoreUnavailable:
            return None


def _network(scope: Scope) -> str:
    host = (scope.get("client") or ("", 0))[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and not address.ipv4_mapped:
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


def _headers(rate: Rate) -> dict[str, str]:
    """As draft-ietf-httpapi-ratelimit-headers-10 has them."""
    return {
        "RateLimit-Policy": f'"minute";q={rate.quota};w={WINDOW_S}',
        "RateLimit": f'"minute";r={rate.left};t={rate.wait_s}',
    }


def _with(headers: Mapping[str, str], send: Send) -> Send:
    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return send_with


# ── What the routes ask for ─────────────────────────────────────────────────────────────────────

_BEARER = HTTPBearer(
    auto_error=False, description="A key of `wenbao keys add`, or one of `WENBAO_API_KEYS`."
)
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


def visitor(request: Request) -> Visitor:
    """Who sent this request."""
    found: Visitor = request.state.visitor
    return found


async def may_read(request: Request, bearer: Bearer) -> None:
    """Let the request through, or answer 401."""
    who = visitor(request)
    if who.key is None and not who.reading_is_open:
        raise _unauthorized(who)


async def may_write(request: Request, bearer: Bearer) -> None:
    """Let the request through, or answer 401 or 403."""
    who = visitor(request)
    if who.key is None:
        raise _unauthorized(who)
    if who.key.scope != "write":
        raise HTTPException(403, "This key only reads; changing things needs one that writes.")


def _unauthorized(who: Visitor) -> HTTPException:
    if who.sent and who.there_are_keys:
        words = "This API key is not known."
    elif who.there_are_keys:
        words = "Send an API key: Authorization: Bearer KEY."
    else:
        words = "This server has no API key, so nothing can be changed over HTTP."
    return HTTPException(401, words, {"WWW-Authenticate": "Bearer"})
