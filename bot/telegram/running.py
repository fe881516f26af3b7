"""The bot at work: polling or a webhook, until a signal; a Telegram that is away is waited for."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI
from telegram import Update
from telegram.error import BadRequest, InvalidToken, NetworkError, RetryAfter, TelegramError

from bot.telegram.app import TelegramDoor, announce, build, polling_trouble
from bot.telegram.limiter import Limits, seconds
from bot.telegram.webhook import MAX_BYTES, checked_secret, checked_url, webhook_route
from rag.errors import BadSettings

if TYPE_CHECKING:
    from bot.wiring import App

log = logging.getLogger(__name__)

UPDATES = [
    Update.MESSAGE,
    Update.EDITED_MESSAGE,
    Update.CALLBACK_QUERY,
    Update.INLINE_QUERY,
]
FINISH_S = 20.0  # what was begun has this long to end; the rest is done after the next start
_ANSWERS_AT_ONCE = 32  # threads: with a language model, most of them wait for it
_OFFICIAL = "https://api.telegram.org/"
_LONGEST_PAUSE_S = 30.0


def run(app: "App", webhook_url: str = "") -> None:
    """Answers until it is stopped by a signal; what was begun is finished.

    Raises:
        BadSettings: if there is no token, Telegram refuses it, or a webhook can't be.
    """
    hush()
    asyncio.run(_until_stopped(app, webhook_url or app.settings.telegram_webhook_url))


async def _until_stopped(app: "App", url: str) -> None:
    loop, task, stop = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    assert task  # always, inside a coroutine
    loop.set_default_executor(ThreadPoolExecutor(_ANSWERS_AT_ONCE))
    _on_signal(loop, task.cancel)
    try:
        async with webhook(app, url) if url else polling(app):
            _on_signal(loop, stop.set)
            await stop.wait()
    except asyncio.CancelledError:
        log.info("Stopped before Telegram answered.")


def _on_signal(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, call)


@contextlib.asynccontextmanager
async def polling(app: "App", limits: Limits | None = None) -> AsyncIterator[TelegramDoor]:
    """The bot at work, asking Telegram for updates.

    Raises:
        BadSettings: if there is no token or Telegram refuses it.
    """
    door = build(app, limits)
    updater = door.application.updater
    assert updater  # there is one unless it is switched off
    async with _open(door):
        await updater.start_polling(
            bootstrap_retries=-1, allowed_updates=UPDATES, error_callback=_polling_failed
        )
        try:
            yield door
        finally:
            door.order.close()
            await updater.stop()


@contextlib.asynccontextmanager
async def webhook(
    app: "App", url: str, limits: Limits | None = None
) -> AsyncIterator[TelegramDoor]:
    """The bot at work, called by Telegram at a public address that leads to our host and port.

    Raises:
        BadSettings: if token, address or secret are missing or refused, or the port is taken.
    """
    settings = app.settings
    secret = checked_secret(settings.telegram_webhook_secret.get_secret_value())
    checked_url(url, settings.telegram_base_url.startswith(_OFFICIAL))
    door = build(app, limits)
    path = urlsplit(url).path or "/"
    web = FastAPI(openapi_url=None, max_body_size=MAX_BYTES)
    web.include_router(webhook_route(door.desk.bot, door.queue.take, secret, path))
    async with _open(door), _listening(web, settings.host, settings.port):
        try:
            await _until_there(
                lambda: door.desk.bot.set_webhook(url, secret_token=secret, allowed_updates=UPDATES)
            )
        except BadRequest as exc:
            raise BadSettings(f"Telegram refuses the webhook {url}: {exc.message}.") from exc
        log.info("Telegram calls %s; listening on %s:%s", url, settings.host, settings.port)
        try:
            yield door
        finally:
            door.order.close()


@contextlib.asynccontextmanager
async def _open(door: TelegramDoor) -> AsyncIterator[None]:
    """Handlers at work, first on what the last process left."""
    application = door.application
    try:
        await _until_there(application.initialize)
    except InvalidToken:  # its message holds the token
        raise BadSettings(
            "Telegram refuses WENBAO_TELEGRAM_TOKEN: copy the token again from @BotFather."
        ) from None
    await door.queue.put_waiting(door.desk.bot)
    await application.start()
    menus = asyncio.create_task(announce(door.desk))
    try:
        yield
    finally:
        menus.cancel()
        door.order.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                await application.stop()
        await asyncio.gather(menus, return_exceptions=True)
        await application.shutdown()
        door.desk.kept.close()


@contextlib.asynccontextmanager
async def _listening(web: FastAPI, host: str, port: int) -> AsyncIterator[None]:
    try:
        listener = socket.create_server((host, port))
    except OSError as exc:
        raise BadSettings(
            f"Can't listen on {host}:{port} ({exc.strerror}): set WENBAO_HOST and WENBAO_PORT."
        ) from exc
    server = _Server(uvicorn.Config(web, access_log=False, log_config=None))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """A server that leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _until_there(call: Callable[[], Awaitable[object]]) -> None:
    """Makes a call until Telegram answers it."""
    pause = 1.0
    while True:
        try:
            await call()
            return
        except RetryAfter as exc:
            pause = seconds(exc.retry_after)
        except (BadRequest, InvalidToken):
            raise
        except NetworkError as exc:
            log.warning("Polling: %s", polling_trouble(exc))
        await asyncio.sleep(pause)
        pause = min(1.5 * pause, _LONGEST_PAUSE_S)


def _polling_failed(error: TelegramError) -> None:
    log.warning("Polling: %s", polling_trouble(error))


def hush() -> None:
    """Keeps the token out of the log, and python-telegram-bot to one type for durations."""
    os.environ.setdefault("PTB_TIMEDELTA", "true")  # else it warns at every flood control
    # Lines of httpx and httpcore hold URLs, and those the token; so do debug lines of telegram.
    for name, level in (("httpx", "WARNING"), ("httpcore", "WARNING"), ("telegram", "INFO")):
        logging.getLogger(name).setLevel(level)
    telegram = logging.getLogger("telegram.ext")
    if _tells_no_token not in telegram.filters:
        telegram.addFilter(_tells_no_token)


def _tells_no_token(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], InvalidToken))
