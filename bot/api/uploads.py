"""Files that come in over HTTP: written as they come, refused at the first byte too many.

Takes multipart forms (field `files`, any number) and JSON (`{"name","text"}`); a name says only
the type, never a place. What is refused or cut off leaves nothing behind. Does not cover the size
of the whole request (edge.py), nor what becomes of the files (bot/jobs.py).
"""

import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

from bot import problems, schemas
from bot.api.door import Door
from rag import readers
from rag.database import translated
from rag.errors import UnreadableFile
from rag.formats.sandbox import Sandbox

MAX_FILES = 100
MAX_FILE_BYTES = readers.MAX_BYTES
SUFFIXES = tuple(each for each in readers.SUFFIXES if each != ".zip")  # a form holds many files
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\s]+')


@asynccontextmanager
async def received(request: Request, door: Door) -> AsyncIterator[tuple[Path, int]]:
    """The folder and number of the files in a request; it is removed unless a job is made of it.

    Raises:
        HTTPException, UnreadableFile: if a file, or the request, can't be taken.
    """
    folder = await door.quick(door.jobs.new_folder)
    try:
        form = _Form(folder) if _is_form(request) else None
        if form is None and not problems.says_json(request):
            raise HTTPException(415, "Send a multipart form of files, or JSON with a text.")
        names = await (
            _read_form(request, form, door) if form else _read_json(request, folder, door)
        )
        await door.reading(_check, folder, names)
        yield folder, len(names)
    except BaseException:
        await door.quick(shutil.rmtree, folder, ignore_errors=True)
        raise


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def _read_form(request: Request, form: "_Form", door: Door) -> list[str]:
    """The names of the files of a form, which lie in its folder now."""
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise HTTPException(400, "The form names no boundary.")
    parser = MultipartParser(boundary, form.callbacks())
    try:
        async for chunk in request.stream():
            await door.quick(parser.write, chunk)
        parser.finalize()
    except FormParserError as exc:
        raise HTTPException(400, "The form can't be read.") from exc
    finally:
        form.close()
    if not form.ended:
        raise HTTPException(400, "The form breaks off.")
    if not form.names:
        raise HTTPException(422, "The form holds no file: send one or more as `files`.")
    return form.names


async def _read_json(request: Request, folder: Path, door: Door) -> list[str]:
    body = await request.body()
    return [await door.quick(_write_json, body, folder)]


def _write_json(body: bytes, folder: Path) -> str:
    try:
        given = schemas.TextBody.model_validate(json.loads(body))
    except (ValueError, RecursionError) as exc:
        if isinstance(exc, ValidationError):
            raise RequestValidationError(exc.errors()) from exc
        raise HTTPException(400, "The body is not valid JSON.") from exc
    content = given.text.replace("\0", " ").encode()
    if len(content) > MAX_FILE_BYTES:
        raise _too_large()
    typed = given.name.lower().endswith(SUFFIXES)
    name = safe_name(given.name if typed else f"{given.name}.txt")
    with translated():
        (folder / f"0-{name}").write_bytes(content)
    return name


def _check(folder: Path, names: list[str]) -> None:
    """Refuses what is no text, whatever it is called, before anyone is told that it is taken."""
    with Sandbox() as sandbox:
        for number, name in enumerate(names):
            path = folder / f"{number}-{name}"
            try:
                readers.read_page(path, sandbox)
            except UnreadableFile as exc:
                raise UnreadableFile(str(exc).replace(str(path), name)) from exc


def safe_name(sent: str) -> str:
    """The last part of a file's name, as it can be kept on any disk.

    Raises:
        HTTPException: if it isn't of a type that can be read.
    """
    name = _UNSAFE.sub("_", sent.replace("\\", "/").rpartition("/")[2])
    stem, dot, suffix = name.rpartition(".")
    stem = stem.lstrip(".-") or "page"
    if dot + suffix.lower() not in SUFFIXES:
        kinds = ", ".join(SUFFIXES)
        raise problems.Refused(problems.WRONG_TYPE, f"Only files of these types: {kinds}.")
    while len(stem.encode()) > 150:
        stem = stem[:-1]
    return f"{stem}{dot}{suffix.lower()}"


def _too_large() -> HTTPException:
    most = MAX_FILE_BYTES // (1024 * 1024)
    return HTTPException(413, f"A file has at most {most} megabytes: split it into pages.")


@dataclass(slots=True)
class _Form:
    """Hears what the parser finds and writes each file as it comes."""

    folder: Path
    names: list[str] = field(default_factory=list)
    ended: bool = False
    _field: bytes = b""
    _value: bytes = b""
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _file: BinaryIO | None = None
    _written: int = 0

    def callbacks(self) -> "MultipartCallbacks":
        """What the parser calls."""
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self.close,
            "on_end": self._on_end,
        }

    def close(self) -> None:
        """Ends the file under way."""
        if self._file:
            self._file.close()
            self._file = None

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if options.get(b"name") != b"files" or b"filename" not in options:
            raise HTTPException(422, "The form holds something else than files under `files`.")
        if len(self.names) >= MAX_FILES:
            raise HTTPException(413, f"At most {MAX_FILES} files at a time.")
        name = safe_name(options[b"filename"].decode("utf-8", "replace"))
        with translated():
            self._file = (self.folder / f"{len(self.names)}-{name}").open("xb")
        self.names.append(name)
        self._written = 0

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._written += end - start
        if self._written > MAX_FILE_BYTES:
            raise _too_large()
        if self._file:
            with translated():
                self._file.write(data[start:end])

    def _on_end(self) -> None:
        self.ended = True
