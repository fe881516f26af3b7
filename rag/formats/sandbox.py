"""Formats whose libraries can't be trusted with a stranger's file, read in a child process.

The child has little memory, a time limit for each file, and writes no file; when it dies, the file
is refused and the next one gets a new child. On systems without `resource` only time is limited.

Run as `python -m rag.formats.sandbox` it is the child: on its standard input come a line
"KIND SIZE" and SIZE bytes, on its output go a line "ok SIZE" or "refused SIZE" and SIZE bytes of
UTF-8.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Literal

from rag.errors import UnreadableFile
from rag.formats.document import Document, Line

Kind = Literal["pdf", "docx", "html", "markdown"]
TIME_LIMIT_S = 20
MEMORY_LIMIT = 512 * 1024 * 1024  # of addresses; the libraries themselves take about 250 MB of it
MAX_CHARS = 5_000_000
_TOO_MUCH = "takes too much time or memory to read, or is damaged; save it anew, or split it."


class Sandbox:
    """Reads documents, one after another; its child starts with the first and ends with it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def document(self, kind: Kind, content: bytes) -> Document:
        """The document that a file of this kind holds.

        Raises:
            UnreadableFile: with what is wrong with it, the second half of a sentence.
        """
        child = self._child = self._child or _start()
        timer = threading.Timer(TIME_LIMIT_S, child.kill)
        timer.start()
        try:
            status, reply = _asked(child, kind, content)
        except (OSError, ValueError) as exc:
            self.close()
            raise UnreadableFile(_TOO_MUCH) from exc
        finally:
            timer.cancel()
        if status != "ok":
            raise UnreadableFile(reply)
        fields = json.loads(reply)
        lines = tuple(Line(text, level) for text, level in fields.pop("lines"))
        return Document(lines, **fields)

    def close(self) -> None:
        """Ends the child."""
        if self._child:
            self._child.kill()
            self._child.communicate()
            self._child = None


def _start() -> "subprocess.Popen[bytes]":
    # -P and the path: the child imports what this process would, wherever it was started
    places = [str(Path(__file__).resolve().parents[2]), *sys.path]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "rag.formats.sandbox"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**_no_secrets(), "PYTHONPATH": os.pathsep.join(filter(None, places))},
    )


def _no_secrets() -> dict[str, str]:
    """The environment without our settings, which hold keys and tokens."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WENBAO_")}


def _asked(child: "subprocess.Popen[bytes]", kind: str, content: bytes) -> tuple[str, str]:
    """What the child says of a file: ok or refused, and the reply."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{kind} {len(content)}\n".encode())
    child.stdin.write(content)
    child.stdin.flush()
    status, size = child.stdout.readline().decode().split()
    reply = child.stdout.read(int(size))
    if len(reply) < int(size):
        raise ValueError("the child died")
    return status, reply.decode()


# --- the child -----------------------------------------------------------------------------------


def _limit() -> None:
    """Takes from this process what it needs not."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _read(kind: str, content: bytes) -> Document:
    from rag.formats import from_docx, from_html, from_markdown, from_pdf

    def text(of: Callable[[str], Document]) -> Document:
        return of(content.decode())

    document = {
        "pdf": lambda: from_pdf.document(content),
        "docx": lambda: from_docx.document(content),
        "html": lambda: text(from_html.document),
        "markdown": lambda: text(from_markdown.document),
    }[kind]()
    if sum(len(line.text) for line in document.lines) > MAX_CHARS:
        raise UnreadableFile(f"holds more than {MAX_CHARS:,} characters; split it.")
    return document


def _reply(kind: str, content: bytes) -> tuple[str, str]:
    try:
        fields = asdict(_read(kind, content))
    except UnreadableFile as exc:
        return "refused", str(exc)
    except Exception:  # foreign libraries raise what they like of a stranger's file
        return "refused", _TOO_MUCH
    fields["lines"] = [(line["text"], line["level"]) for line in fields["lines"]]
    return "ok", json.dumps(fields)


def _serve(asked: IO[bytes], replies: IO[bytes]) -> None:
    while line := asked.readline():
        kind, size = line.decode().split()
        status, reply = _reply(kind, asked.read(int(size)))
        encoded = reply.encode("utf-8", "replace")
        replies.write(f"{status} {len(encoded)}\n".encode() + encoded)
        replies.flush()


def main() -> None:
    """The child."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    _limit()
    _serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
