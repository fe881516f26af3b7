"""Logging, set up once: lines for people, or JSON lines for machines, with the request's id.

Does not cover what is logged: never a key, a token or, above DEBUG, the text of a question.
"""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

Format = Literal["text", "json"]
request_id: ContextVar[str] = ContextVar("request_id", default="")


class Lines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": at,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            "exception": self.formatException(record.exc_info) if record.exc_info else "",
        }
        return json.dumps({k: v for k, v in line.items() if v}, ensure_ascii=False)


def set_up(level: str, kind: Format) -> None:
    """Sets up the root logger, unless somebody did already."""
    handler = logging.StreamHandler()
    if kind == "json":
        handler.setFormatter(Lines())
    else:
        words = "%(asctime)s %(levelname)s %(name)s %(message)s"
        handler.setFormatter(logging.Formatter(words))
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its URLs carry the bot's token
