"""An OpenAI-compatible server on loopback that does what a test says; real HTTP, no model."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Mood = Literal[
    "answers",
    "fails",  # 500
    "refuses",  # 401
    "is busy",  # 429 with Retry-After, `busy` times
    "is silent",
    "begins late",
    "dribbles",  # a comment now and then, never a word
    "stops half way",  # the connection ends in the middle
    "hangs half way",
    "never ends",
    "is cut off",  # at the limit of tokens
    "talks nonsense",  # a web page
    "is empty",
    "declines",  # the model won't
]
_STATUS: dict[Mood, int] = {"fails": 500, "refuses": 401, "is busy": 429}
PART = 7  # characters of a part of a streamed reply


@dataclass
class ChatServer:
    """What it does next, what it was asked; `released` lets go of those that it keeps waiting.

    `shaped` is its reply to who asks for JSON; where it is empty it knows no such thing.
    """

    url: str
    reply: str = "Hello."
    shaped: str = ""
    mood: Mood = "answers"
    busy: int = 1
    retry_after: str = "0"
    delay_s: float = 0.0  # between parts
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    sent: int = 0  # parts of all streams
    released: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    chat: ChatServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        chat = self.chat
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        chat.asked.append(body)
        chat.keys.append(self.headers["Authorization"].removeprefix("Bearer "))
        is_shaped = "response_format" in body
        if chat.mood == "is busy" and chat.busy > 0:
            chat.busy -= 1
            self._refuse(429, {"Retry-After": chat.retry_after})
        elif chat.mood in ("fails", "refuses"):
            self._refuse(_STATUS[chat.mood])
        elif chat.mood == "is silent":
            chat.released.wait()
        elif chat.mood == "talks nonsense":
            self._send(200, b"<html>Welcome to nginx!</html>", "text/html")
        elif is_shaped and not chat.shaped:
            self._refuse(400)
        else:
            self._stream(chat.shaped if is_shaped else chat.reply)

    def _refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        self._send(status, b'{"error": {"message": "not today"}}', headers=headers)

    def _send(
        self,
        status: int,
        body: bytes,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, reply: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(OSError):  # the client has gone
            for event in self._events(reply):
                self._write(event.encode())
                self.chat.sent += 1
            if self.chat.mood == "stops half way":
                self.close_connection = True
                return
            self._write(b"data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its base has it
        pass

    def _events(self, reply: str) -> Iterator[str]:
        chat = self.chat
        mood = chat.mood
        if mood == "begins late":
            chat.released.wait(60)
        while mood == "dribbles" and not chat.released.wait(0.05):
            yield ": still here\n\n"
        if mood == "is empty":
            reply = ""
        yield _chunk({"role": "assistant", "content": ""})
        if mood == "declines":
            yield _chunk({"refusal": "I can't help with that."})
            reply = ""
        parts = [reply[at : at + PART] for at in range(0, len(reply), PART)]
        breaks_off = mood in ("stops half way", "hangs half way")
        half = len(parts) // 2 if breaks_off else len(parts)
        for part in parts[:half]:
            yield _chunk({"content": part})
            chat.released.wait(chat.delay_s)
        while mood == "never ends" and not chat.released.is_set():
            yield _chunk({"content": "and so on and "})
        if mood == "hangs half way":
            chat.released.wait(60)
        if not breaks_off:
            yield _chunk({}, "length" if mood == "is cut off" else "stop")


def _chunk(delta: dict[str, Any], finish: str | None = None) -> str:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """A server that runs while the block does."""
    handler: type[_Handler] = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        chat = ChatServer(f"http://127.0.0.1:{server.server_port}/v1")
        handler.chat = chat
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield chat
        finally:
            chat.released.set()
            server.shutdown()
            thread.join()
