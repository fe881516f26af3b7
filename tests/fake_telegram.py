"""A strict Bot API server for tests: real HTTP on loopback, in the test's own event loop.

    async with FakeTelegram() as telegram:
        ...  # point the bot at telegram.base_url with telegram.token
        telegram.private("hello")
        (reply,) = await telegram.replies(1)

Polling with offsets and one poller only, or a webhook with its secret and redelivery; messages,
edits, drafts, taps on buttons, inline queries, files; privacy mode in groups; flood control and
broken connections, by a schedule; Telegram's own limits, kept as a list of what broke them.
Here is the wire; people stand in telegram_town.py, methods in telegram_methods.py, trouble in
telegram_weather.py, and telegram_judge.py judges texts and buttons.
"""

import asyncio
import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, unquote

from telegram_judge import Json, Refused
from telegram_methods import METHODS, Call, Methods
from telegram_town import Sent
from telegram_weather import Flood, Limits, Storm

MESSAGES = (  # what limits count
    *("sendmessage", "sendrichmessage", "editmessagetext", "editmessagereplymarkup"),
)


@dataclass
class FakeTelegram(Methods):
    """The server and the people who write to the bot. State outlives `stop` and `start`."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    impatient: int = 0  # calls that came before a retry_after was over
    storm: Storm = field(default_factory=Storm)
    limits: Limits | None = None

    def __post_init__(self) -> None:
        """Makes what belongs to this server alone."""
        super().__post_init__()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._floods: dict[str, Flood] = {}
        self._drops: Counter[str] = Counter()
        self._late_drops: Counter[str] = Counter()

    @property
    def base_url(self) -> str:
        """What goes into WENBAO_TELEGRAM_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/bot"

    async def __aenter__(self) -> Self:
        """Starts."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stops."""
        await self.stop()

    async def start(self) -> None:
        """Listens, on the same port as before if it did already."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Goes away, cutting every connection."""
        if not self._server:
            return
        self._server.close()
        for writer in list(self._open):
            writer.close()
        if self._courier:
            self._courier.cancel()
            await asyncio.gather(self._courier, return_exceptions=True)
            self._courier = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    # --- what a test does

    def flood(self, method: str, seconds: int, times: int = 1) -> None:
        """Answer the next `times` calls with 429, and any that come before it is over."""
        self._floods[method.lower()] = Flood(seconds, times)

    def drop(self, method: str, times: int = 1) -> None:
        """Close the connection of the next calls before they do anything."""
        self._drops[method.lower()] += times

    def drop_reply(self, method: str, times: int = 1) -> None:
        """Do what the next calls ask for, then close the connection without a word."""
        self._late_drops[method.lower()] += times

    def called(self, method: str) -> list[Call]:
        """The requests for one method."""
        return [call for call in self.calls if call.method == method]

    async def replies(
        self, count: int, chat_id: int | None = None, timeout_s: float = 20.0
    ) -> list[Sent]:
        """What the bot sent (to one chat), once there are `count` of them."""

        def found() -> list[Sent]:
            return [sent for sent in self.sent if chat_id in (None, sent.chat_id)]

        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(lambda: len(found()) >= count)
        return found()

    async def until_called(self, method: str, count: int = 1, timeout_s: float = 20.0) -> None:
        """Waits for the `count`-th call of a method, which may not be done yet."""
        await self.until(lambda: len(self.called(method)) >= count, timeout_s)

    async def until(self, so: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Waits until something is so that the bot's calls bring about."""
        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(so)

    # --- HTTP

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._open.add(writer)
        try:
            while request := await _request(reader):
                reply = await self._replied(*request)
                if reply is None:
                    break
                writer.write(reply)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test stops the server
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _replied(self, path: str, parameters: Json) -> bytes | None:
        """The bytes of the response; None closes the connection instead."""
        try:
            if path.startswith("/file/"):
                return self._file(path)
            result = await self._called(path, parameters)
        except Refused as exc:
            return _response(
                exc.code,
                {
                    "ok": False,
                    "error_code": exc.code,
                    "description": exc.description,
                    **({"parameters": exc.parameters} if exc.parameters else {}),
                },
            )
        except ConnectionAbortedError:
            return None
        return _response(200, {"ok": True, "result": result})

    async def _called(self, path: str, parameters: Json) -> object:
        match = re.fullmatch(r"/bot([^/]+)/(\w+)", path)
        if not match:
            raise Refused(404, "Not Found")
        if unquote(match[1]) != self.token:
            raise Refused(401, "Unauthorized")
        name = match[2].lower()
        method = METHODS.get(name)
        if not method:
            raise Refused(404, "Not Found: method not found")
        self.calls.append(Call(match[2], dict(parameters), time.monotonic()))
        self._tell()
        if self._drops[name]:
            self._drops[name] -= 1
            raise ConnectionAbortedError
        self._flooded(name)
        values = {key: _value(key, raw) for key, raw in parameters.items()}
        chat_id = (
            int(values.get("chat_id", 0))
            if str(values.get("chat_id", 0)).lstrip("-").isdigit()
            else 0
        )
        if name in MESSAGES:
            now = time.monotonic()
            self.impatient += self.storm.strike(chat_id, now)
            if self.limits:
                self.limits.arrived(chat_id, now)
        result = await method(self, values)
        if self._late_drops[name]:
            self._late_drops[name] -= 1
            raise ConnectionAbortedError
        return result

    def _file(self, path: str) -> bytes:
        token, _, name = path.removeprefix("/file/bot").partition("/")
        content = self._files.get(name.removeprefix("documents/"))
        if unquote(token) != self.token or content is None:
            return _response(404, {"ok": False, "error_code": 404, "description": "Not Found"})
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n"
        return head.encode() + content

    def _flooded(self, name: str) -> None:
        flood = self._floods.get(name)
        now = time.monotonic()
        if not flood:
            return
        if now < flood.until:
            self.impatient += 1
        elif flood.times:
            flood.times -= 1
            flood.until = now + flood.seconds
        else:
            return
        left = max(1, round(flood.until - now))
        raise Refused(429, f"Too Many Requests: retry after {left}", retry_after=left)


async def _request(reader: asyncio.StreamReader) -> tuple[str, Json] | None:
    """One HTTP/1.1 request: its path and its parameters; None when the client is done."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    path, _, query = first.split(" ")[1].partition("?")
    if headers.get("content-type", "").startswith("application/json"):
        return path, dict(json.loads(body or b"{}"))
    form = parse_qs(body.decode() or query, keep_blank_values=True, strict_parsing=False)
    return path, {name: values[-1] for name, values in form.items()}


_STRUCTURED = {
    *("allowed_updates", "commands", "reply_parameters", "link_preview_options", "scope"),
    *("reply_markup", "results", "button", "rich_message"),
}


def _value(name: str, value: Any) -> Any:
    if name not in _STRUCTURED or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise Refused(400, f"Bad Request: can't parse {name} JSON object") from None


def _response(status: int, body: Json) -> bytes:
    content = json.dumps(body, ensure_ascii=False).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(content)}\r\n\r\n".encode() + content
