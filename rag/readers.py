"""Files, archives and addresses -> their text, and the articles that they hold.

This file chooses: each format is read in a file of its own (from_*.py), those of foreign libraries
in a child process (sandbox.py). Text pages and JSON lines with one article each are read here.
All offsets are defined on the text that `read_page` returns: no byte order mark, LF line ends,
marks of Markdown and HTML taken off. Does not cover pictures of pages.
"""

import contextlib
import io
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from rag import pages
from rag.errors import UnreadableFile
from rag.formats import document, encodings, from_zip, web
from rag.formats.document import Document
from rag.formats.sandbox import Sandbox
from rag.pages import Page
from rag.types import Article, Fragment

MAX_BYTES = 20 * 1024 * 1024
MAX_BYTES_PDF = 100 * 1024 * 1024
SUFFIXES = (".txt", ".md", ".markdown", ".html", ".htm", ".pdf", ".docx", ".jsonl", ".zip")

MAX_CHARS = 1_000_000  # of a page file or of one article; a newspaper page has some 7,500
MAX_LINES = 20_000  # of a page file

_MAGIC = (
    (b"PK\x05\x06", "an empty ZIP file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"RIFF", "an image or a recording"),
    (b"\x1f\x8b", "a gzip file"),
    (b"7z\xbc\xaf", "a 7z file"),
    (b"Rar!", "a RAR file"),
    (b"\xd0\xcf\x11\xe0", "an old Word or Excel file"),
    (b"{\\rtf", "an RTF file"),
)
_PRINTABLE_MAGIC = (b"BM", b"RIFF")  # text may begin like this; only with a NUL byte is it binary
_ZIP_MAGIC = b"PK\x03\x04"
_PDF_MAGIC, _PDF_HEAD = b"%PDF-", 1024  # it may stand behind other bytes
_FORMATS = "Wenbao reads .txt, .md, .html, .pdf, .docx, .jsonl and .zip"
_WEB_KINDS = {"text/html": ".html", "application/xhtml+xml": ".html", "text/markdown": ".md"}
_HTML = re.compile(r"\s*(?:<\?xml[^>]{0,200}>\s*)?<(?:!doctype\s+html|html)\b", re.I)
_REQUIRED = ("id", "title", "text")
_OPTIONAL = ("date", "source", "subtitle", "byline")


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the ledger knows as one file: `name` is its path, its path in an archive, or its URL.

    `error` says why there is no content: the second half of a sentence.
    """

    name: str
    content: bytes = b""
    suffix: str = ""
    charset: str = ""
    error: str = ""

    @property
    def title(self) -> str:
        """The file's own name: the source of articles whose page names none."""
        if web.is_url(self.name):
            return urlsplit(self.name).hostname or self.name
        return self.name.replace(os.sep, "/").rpartition("/")[2]


def read_articles(path: Path) -> list[Article]:
    """The articles of one file, or of all files in an archive, at least one.

    Raises:
        UnreadableFile: if the file can't be read or holds no article.
    """
    with Sandbox() as sandbox:
        return [a for sheet in sheets(str(path)) for a in articles_of(sheet, sandbox)]


def read_page(path: Path, sandbox: Sandbox | None = None) -> str:
    """The text of a page file, each line ended by one newline.

    Who reads many gives them one `sandbox`, which is not closed.

    Raises:
        UnreadableFile: in one sentence, if there is no text to be had.
    """
    sheet = next(sheets(str(path)))
    with contextlib.ExitStack() as stack, _named(sheet.name):
        return _document(sheet, sandbox or stack.enter_context(Sandbox())).text


def articles_of(sheet: Sheet, sandbox: Sandbox) -> list[Article]:
    """The articles of a sheet by itself, at least one.

    Raises:
        UnreadableFile: in one sentence that names the sheet.
    """
    found = read(sheet, sandbox)
    return list(pages.articles_of_issue([found])[0]) if isinstance(found, Page) else found


def read(sheet: Sheet, sandbox: Sandbox) -> Page | list[Article]:
    """The page that a sheet holds, which may go on in others, or its articles, at least one.

    Raises:
        UnreadableFile: in one sentence that names the sheet.
    """
    with _named(sheet.name):
        found = _document(sheet, sandbox)
        if sheet.suffix == ".jsonl":
            return _articles_of_lines(sheet, found.text)
        if len(found.lines) > MAX_LINES or sum(len(line.text) for line in found.lines) > MAX_CHARS:
            raise UnreadableFile(
                f"has over {MAX_CHARS:,} characters or {MAX_LINES:,} lines; split it into pages."
            )
        held = document.read(found, name=sheet.title, path=sheet.name)
        if not (held.sections if isinstance(held, Page) else held):
            raise UnreadableFile("holds no article; give a file with a newspaper page's text.")
        return held


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Puts the name in front of what is raised inside: together they are the sentence."""
    try:
        yield
    except UnreadableFile as exc:
        raise UnreadableFile(f"{name} {exc}") from exc.__cause__


# --- where sheets come from ----------------------------------------------------------------------


def walk(paths: Iterable[Path]) -> list[Path]:
    """The files to read: those named, and those of the folders that have a suffix we read.

    Page 2 comes before page 10. Hidden files and folders inside a named folder are left out; a
    file named outright never is. Each file comes once.

    Raises:
        UnreadableFile: if a path doesn't exist.
    """
    found: dict[Path, None] = {}
    for path in paths:
        with _named(str(path)):
            if stat.S_ISDIR(_status(path).st_mode):
                found.update(dict.fromkeys(_files_under(path)))
            else:
                found[path] = None
    return list(found)


def sheets(place: str, reach: web.Web | None = None) -> Iterator[Sheet]:
    """What a path or a URL holds: one sheet, or those of an archive or a feed, at least one.

    One that can't be had is there too, with its `error`.
    """
    try:
        if web.is_url(place):
            yield from _sheets_of_web(place, reach or web.Web())
        else:
            yield from _sheets_of_file(place)
    except UnreadableFile as exc:
        yield Sheet(place, error=str(exc))


def _sheets_of_file(place: str) -> Iterator[Sheet]:
    path = Path(place)
    with _opened(path) as file:
        head = file.read(_PDF_HEAD)
        file.seek(0)
        if head.startswith(_ZIP_MAGIC):
            yield from _sheets_of_zip(place, path.suffix.lower(), file)
            return
        most = MAX_BYTES_PDF if _PDF_MAGIC in head else MAX_BYTES
        content = _content(file, most)
    yield Sheet(place, content, path.suffix.lower())


def _content(file: IO[bytes], most: int) -> bytes:
    content = file.read(most + 1)
    if len(content) > most:
        raise UnreadableFile(f"is larger than {most // (1024 * 1024)} MB; split it into pages.")
    return content


def _sheets_of_zip(place: str, suffix: str, file: IO[bytes]) -> Iterator[Sheet]:
    """The members of an archive; a Word file, which is one too, as a whole."""
    archive = from_zip.Archive(file)
    names = archive.names()
    if "word/document.xml" in names:
        file.seek(0)
        yield Sheet(place, _content(file, MAX_BYTES), ".docx")
        return
    if suffix == ".docx" or "[Content_Types].xml" in names or "mimetype" in names:
        raise UnreadableFile(f"is an Office or e-book file without pages; {_FORMATS}.")
    found = False
    for info in sorted(archive.members(), key=lambda info: _natural(info.filename)):
        name = from_zip.printable_name(info)
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES:
            continue
        found = True
        try:
            if ".." in name.split("/") or name.startswith("/"):
                raise UnreadableFile("has a name that leads out of its ZIP file; rename it.")
            most = MAX_BYTES_PDF if suffix == ".pdf" else MAX_BYTES
            yield Sheet(f"{place}/{name}", archive.read(info, most), suffix)
        except UnreadableFile as exc:
            yield Sheet(f"{place}/{name}", error=str(exc))
    if not found:
        raise UnreadableFile(f"is a ZIP file without a page; {_FORMATS}.")


def _sheets_of_web(url: str, reach: web.Web) -> Iterator[Sheet]:
    fetched = reach.fetch(url)
    listed = web.entries(fetched)
    if listed is None:
        yield from _sheets_of_reply(url, fetched)
        return
    if not listed:
        raise UnreadableFile("is a feed without entries; try again later.")
    for entry in listed:
        try:
            yield from _sheets_of_reply(entry, reach.fetch(entry))
        except UnreadableFile as exc:
            yield Sheet(entry, error=str(exc))


def _sheets_of_reply(url: str, fetched: web.Fetched) -> Iterator[Sheet]:
    suffix = _WEB_KINDS.get(fetched.kind) or Path(urlsplit(fetched.url).path).suffix.lower()
    if fetched.content.startswith(_ZIP_MAGIC):
        yield from _sheets_of_zip(url, suffix, io.BytesIO(fetched.content))
    else:
        yield Sheet(url, fetched.content, suffix, fetched.charset)


def _status(path: Path) -> os.stat_result:
    """The path's status, or UnreadableFile."""
    try:
        return path.stat()
    except PermissionError as exc:
        raise UnreadableFile("may not be read; give this user permission.") from exc
    except (OSError, ValueError) as exc:
        raise UnreadableFile("does not exist; check the path.") from exc


def _files_under(folder: Path) -> Iterator[Path]:
    """The files under a folder that have a suffix we read; links to folders aren't followed."""

    def refuse(error: OSError) -> None:
        raise UnreadableFile(f"holds {error.filename}, which may not be read; give permission.")

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted((name for name in folders if name[0] != "."), key=_natural)
        for name in sorted(names, key=_natural):
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield Path(root) / name


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers by value: 第2版 before 第10版."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(int(part[:18]), "") if part[0] in "0123456789" else (-1, part) for part in parts]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """An ordinary file, open for reading."""
    mode = _status(path).st_mode
    if stat.S_ISDIR(mode):
        raise UnreadableFile("is a folder; name a file in it, or ingest the folder.")
    if not stat.S_ISREG(mode):
        raise UnreadableFile(f"is no ordinary file; {_FORMATS}.")
    try:
        with path.open("rb") as file:
            yield file
    except PermissionError as exc:
        raise UnreadableFile("may not be read; give this user permission.") from exc
    except OSError as exc:
        raise UnreadableFile(f"can't be read ({exc.strerror}); check the disk.") from exc


# --- what a sheet holds --------------------------------------------------------------------------


def _document(sheet: Sheet, sandbox: Sandbox) -> Document:
    """The text of a sheet, by what it is rather than by what it is called."""
    if sheet.error:
        raise UnreadableFile(sheet.error)
    content = sheet.content
    if _PDF_MAGIC in content[:_PDF_HEAD]:
        return sandbox.document("pdf", content)
    if content.startswith(_ZIP_MAGIC):
        if sheet.suffix != ".docx":
            raise UnreadableFile("is a ZIP file in a ZIP file; unpack it.")
        return sandbox.document("docx", content)
    _refuse_binary(sheet)
    is_html = sheet.suffix in (".html", ".htm")
    text = encodings.text_of(content, sheet.charset or encodings.html_charset(content) * is_html)
    if not text.strip():
        raise UnreadableFile("is empty; give a file with a newspaper page's text.")
    if is_html or _HTML.match(text):
        return sandbox.document("html", text.encode())
    if sheet.suffix in (".md", ".markdown"):
        return sandbox.document("markdown", text.encode())
    return document.plain(text)


def _refuse_binary(sheet: Sheet) -> None:
    """Raise UnreadableFile if the bytes are another format's, or not what the name promises."""
    has_nul = b"\x00" in sheet.content
    for magic, name in _MAGIC:
        if sheet.content.startswith(magic) and (has_nul or magic not in _PRINTABLE_MAGIC):
            raise UnreadableFile(f"is {name}; {_FORMATS}: save its text as one of these.")
    if sheet.suffix in (".pdf", ".docx", ".zip") and sheet.content:
        raise UnreadableFile(f"is no {sheet.suffix[1:].upper()} file; save or download it again.")


def _articles_of_lines(sheet: Sheet, text: str) -> list[Article]:
    """One article a line: {"id","title","text"} and optional date, source, subtitle, byline."""
    articles: list[Article] = []
    first_line: dict[str, int] = {}
    end = -1
    for number, line in enumerate(text.split("\n"), start=1):
        start, end = end + 1, end + 1 + len(line)
        if not line.strip():
            continue
        article = _article_of_line(line, number, sheet, Fragment(start, end))
        if article.article_id in first_line:
            before = first_line[article.article_id]
            raise UnreadableFile(
                f'line {number} repeats the id "{article.article_id}" of line {before}; '
                "give every article its own id."
            )
        first_line[article.article_id] = number
        articles.append(article)
    return articles


def _article_of_line(line: str, number: int, sheet: Sheet, where: Fragment) -> Article:
    """The article of one JSON line (its fragment is the line), or UnreadableFile."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise UnreadableFile(
            f"line {number} is not JSON; write one object a line with id, title and text."
        ) from exc
    if wrong := _fault(row):
        raise UnreadableFile(f"line {number} {wrong}")
    extra = {key: row[key] for key in _OPTIONAL if row.get(key)}
    return Article(
        article_id=row["id"],
        title=row["title"],
        text=row["text"],
        path=sheet.name,
        fragments=(where,),
        **({"source": sheet.title} | extra),
    )


def _fault(row: object) -> str:
    """What is wrong with the object of a line, "" if nothing is."""
    if not isinstance(row, dict):
        return "is not an object with id, title and text."
    for key in (*_REQUIRED, *_OPTIONAL):
        if not isinstance(row.get(key, None if key in _REQUIRED else ""), str):
            return f'has no text under "{key}"; add it.'
    if not _is_unicode("".join(value for value in row.values() if isinstance(value, str))):
        return "holds half a character; save it again as UTF-8."
    if not row["id"].strip() or not row["text"].strip():
        return "has an empty id or text; fill it in."
    return f"holds more than {MAX_CHARS:,} characters; split it." * (len(row["text"]) > MAX_CHARS)


def _is_unicode(text: str) -> bool:
    """Whether the text can be encoded: JSON escapes can smuggle in half a surrogate pair."""
    return not any("\ud800" <= c <= "\udfff" for c in text)
