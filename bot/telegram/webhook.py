"""The route that Telegram calls with updates: only with the secret, and 200 only when written down.

Anything but 200 makes Telegram bring an update again. Does not cover TLS, which a proxy in front
ends, nor what becomes of an update (app.py).
"""

import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request, Response
from telegram import Bot, Update

from rag.errors import BadSettings, TryLater

log = logging.getLogger(__name__)

HEADER = "X-Telegram-Bot-Api-Secret-Token"
MAX_BYTES = 1024 * 1024  # an update is some kilobytes
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,256}")


def checked_secret(secret: str) -> str:
    """The secret, if it is one that Telegram takes and that nobody guesses.

    Raises:
        BadSettings: saying how to make one.
    """
    if not _SECRET.fullmatch(secret):
        raise BadSettings(
            "A webhook wants WENBAO_TELEGRAM_WEBHOOK_SECRET, 16 to 256 of A-Z a-z 0-9 _ and -:"
            ' make one with python3 -c "import secrets; print(secrets.token_urlsafe(32))".'
        )
    return secret


def checked_url(url: str, official: bool) -> str:
    """The address of a webhook, if Telegram can call it; `official` servers want https.

    Raises:
        BadSettings: if it can't.
    """
    parts = urlsplit(url)
    if parts.scheme not in (("https",) if official else ("https", "http")) or not parts.hostname:
        raise BadSettings(
            f"Telegram can't call {url or 'nothing'}: a webhook wants a public address such as"
            " https://bot.example.org/telegram."
        )
    return url


def webhook_route(
    bot: Bot, take: Callable[[Update], Awaitable[None]], secret: str, path: str = "/telegram"
) -> APIRouter:
    """A router with the one route that hands each update to `take`, which returns once it is kept.

    Raises:
        BadSettings: if the secret is none.
    """
    expected = checked_secret(secret).encode()
    router = APIRouter()

    @router.post(path, include_in_schema=False)
    async def webhook(request: Request) -> Response:
        given = request.headers.get(HEADER, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, expected):
            raise HTTPException(403, "The secret is missing or wrong.")
        try:
            update = Update.de_json(json.loads(await request.body()), bot)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            log.warning("A body that is no update was refused: %s", type(exc).__name__)
            raise HTTPException(400, "This is no update.") from exc
        try:
            await take(update)
        except TryLater as exc:
            log.error("An update could not be written down; Telegram brings it again: %s", exc)
            raise HTTPException(503, "Bring it again later.") from exc
        return Response()

    return router
