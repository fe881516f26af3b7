"""The server under the routes: one process or several over one index, and patience that ends.

Each worker process opens the house for itself; what one of them changes the others see at their
next question. Jobs are done by one of them. Does not cover TLS: a reverse proxy has it.
"""

import asyncio
import gc
import logging
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from bot import logs, metrics
from bot.api.routes import create_app
from bot.jobs import Worker
from rag.errors import BadSettings, WenbaoError

if TYPE_CHECKING:
    from bot.settings import Settings
    from bot.wiring import App

log = logging.getLogger(__name__)

HEAD_S = 10.0  # the longest time for a request's line and headers
MAX_HEAD_BYTES = 64 * 1024
STALL_S = 30.0  # a client that doesn't read for so long is given up
GRACE_S = 10  # what requests in flight get when the server ends
SWITCH_S = 0.001  # a question's thread hands over that soon to the event loop
_FIRST_QUESTIONS = ("王伟在西安提出了什么建议？", "What did Wang Wei propose in Xi'an?")


class Patience(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for ever for headers and for readers.

    Of the other servers those that don't wait for headers still wait for readers (DECISIONS.md).
    """

    # uvicorn narrows the type of asyncio's method too
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_bytes = 0
        self._between = False
        self._head = _Timer(HEAD_S, transport.abort)
        self._stall = _Timer(STALL_S, transport.abort)
        self._head.start()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._between and self.cycle.response_complete:  # empty lines begin no request
            self._head.start()
        if self._head.runs and self._head_bytes > MAX_HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0  # what came before was the body of another
        self._between = False
        self._head.start()

    def on_headers_complete(self) -> None:
        self._head.stop()
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._between = True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall.start()

    def resume_writing(self) -> None:
        self._stall.stop()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head.stop()
        self._stall.stop()
        super().connection_lost(exc)


class _Timer:
    """Does something after a time, unless it is stopped before."""

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        self._seconds = seconds
        self._action = action
        self._handle: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        return self._handle is not None

    def start(self) -> None:
        if self._handle is None:
            loop = asyncio.get_running_loop()
            self._handle = loop.call_later(self._seconds, self._action)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


# ── One process ─────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def working(app: "App", api: FastAPI) -> AsyncIterator[None]:
    """While the server runs: the thread that does jobs; at its end the last spans are sent."""
    sys.setswitchinterval(SWITCH_S)
    api.openapi()  # takes half a second, which no request should
    worker = Worker(api.state.door.jobs, lambda files, watcher: app.ingest(files, watcher=watcher))
    worker.start()
    try:
        yield
    finally:
        await asyncio.to_thread(worker.stop)
        await asyncio.to_thread(api.state.door.traces.close)


def settle(app: "App") -> None:
    """Loads what the first questions would load, and takes it from the garbage collector's rounds.

    A round through all of it (370,000 objects) stops every thread for 100 ms and more.
    """
    with suppress(WenbaoError):  # /readyz says what is away
        for text in _FIRST_QUESTIONS:
            app.answerer.search_now(app.answerer.question(text))
    gc.collect()
    gc.freeze()


def server(app: "App") -> uvicorn.Server:
    """A quiet server, not yet listening: it leaves logging as the process has set it up."""
    return uvicorn.Server(_config(create_app(app, partial(working, app)), app.settings))


def serve(app: "App") -> None:
    """Serve until a signal comes; requests in flight get 10 seconds to end.

    Raises:
        BadSettings: if the address can't be listened on.
    """
    with listening(app.settings) as listener:
        settle(app)
        server(app).run(sockets=[listener])


def _config(
    api: FastAPI | Callable[[], FastAPI], given: "Settings", workers: int = 1
) -> uvicorn.Config:
    return uvicorn.Config(
        api,
        factory=not isinstance(api, FastAPI),
        workers=workers,
        http=Patience,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        forwarded_allow_ips=given.trusted_proxies,
        timeout_graceful_shutdown=GRACE_S,
        timeout_worker_healthcheck=60,  # opening the house takes seconds
    )


# ── Several ─────────────────────────────────────────────────────────────────────────────────────


def serve_many(given: "Settings", workers: int) -> None:
    """Serve with several processes until a signal comes; one that dies is replaced.

    Raises:
        BadSettings: if the address can't be listened on.
    """
    with (
        listening(given) as listener,
        tempfile.TemporaryDirectory(prefix="wenbao-metrics-") as shared,
    ):
        os.environ[metrics.SHARED] = shared
        config = _config(partial(worker, given, workers), given, workers)
        Multiprocess(config, sockets=[listener]).run()


def worker(given: "Settings", workers: int) -> FastAPI:
    """What each process serves: a house of its own."""
    from bot.wiring import open_app

    logs.set_up(given.log_level, given.log_format)
    app = open_app(given, processes=workers)
    settle(app)

    @asynccontextmanager
    async def opened(api: FastAPI) -> AsyncIterator[None]:
        async with working(app, api):
            yield
        app.close()

    return create_app(app, opened)


@contextmanager
def listening(given: "Settings") -> Iterator[socket.socket]:
    """A socket that takes connections in.

    Raises:
        BadSettings: if the address can't be listened on.
    """
    host, port = given.host, given.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        raise BadSettings(
            f"Can't listen on {host}:{port} ({exc.strerror}); set WENBAO_HOST or WENBAO_PORT."
        ) from exc
    with listener:
        log.info("listening on http://%s:%d", host, port)
        yield listener
