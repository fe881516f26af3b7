"""An OpenAI-compatible server on loopback that does what a test says; real HTTP, no model."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Mood = Literal["answers", "fails", "refuses", "is silent", "dribbles", "talks nonsense", "is empty"]
_STATUS: dict[Mood, int] = {"fails": 500, "refuses": 401}


@dataclass
class ChatServer:
    """What it does next, what it was asked; `released` lets go of those that it keeps waiting."""

    url: str
    reply: str = "Hello."
    mood: Mood = "answers"
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def completion(self) -> bytes:
        message = {"role": "assistant", "content": self.reply}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "scripted",
            "choices": [] if self.mood == "is empty" else [choice],
            "usage": usage,
        }
        return json.dumps(body).encode()


class _Handler(BaseHTTPRequestHandler):
    chat: ChatServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        chat = self.chat
        body = self.rfile.read(int(self.headers["Content-Length"]))
        chat.asked.append(json.loads(body))
        chat.keys.append(self.headers["Authorization"].removeprefix("Bearer "))
        if chat.mood == "is silent":
            chat.released.wait()
        elif chat.mood == "dribbles":
            self._dribble()
        elif chat.mood == "talks nonsense":
            self._send(200, b"<html>Welcome to nginx!</html>", "text/html")
        elif chat.mood in _STATUS:
            self._send(_STATUS[chat.mood], b'{"error": {"message": "not today"}}')
        else:
            self._send(200, chat.completion())

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _dribble(self) -> None:
        """A byte now and then: no single read takes long, the whole reply takes for ever."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not self.chat.released.wait(0.05):
            try:
                self.wfile.write(b" ")
            except OSError:
                return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its base has it
        pass


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
