"""A file -> its text, and the articles that it holds.

Reads plain text (UTF-8, GB18030, UTF-16 with a byte order mark) and JSON lines with one article
each. Does not cover PDF, HTML, DOCX or archives, and never guesses at bytes that are not text.
All offsets are defined on the text that `read_page` returns: no byte order mark, LF line ends.
"""

import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from rag import pages
from rag.errors import UnreadableFile
from rag.types import Article, Fragment

MAX_BYTES = 20 * 1024 * 1024
PAGE_SUFFIXES = (".txt",)
JSONL_SUFFIXES = (".jsonl",)

_MAGIC = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP, DOCX or XLSX file"),
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
_FORMATS = "Wenbao reads .txt pages (UTF-8, GB18030 or UTF-16) and .jsonl articles"
# Share of everyday characters. Measured: text .95 and up, Big5 or noise read as GB18030 .65.
_MIN_COMMON = 0.75
_REQUIRED = ("id", "title", "text")
_OPTIONAL = ("date", "source", "subtitle", "byline")


def read_articles(path: Path) -> list[Article]:
    """The articles of one file, at least one.

    Raises:
        UnreadableFile: if the file can't be read or holds no article.
    """
    if path.suffix.lower() in JSONL_SUFFIXES:
        return read_articles_jsonl(path)
    articles = list(pages.articles_of(read_page(path), name=path.name, path=str(path)))
    if not articles:
        raise UnreadableFile(f"{path} holds no article; give a file with a newspaper page's text.")
    return articles


def read_page(path: Path) -> str:
    """The text of a page file, each line ended by one newline.

    Raises:
        UnreadableFile: in one sentence, if there is no text to be had.
    """
    text = _decode(_content(path), path)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise UnreadableFile(f"{path} is empty; give a file with a newspaper page's text.")
    return text


def read_articles_jsonl(path: Path) -> list[Article]:
    """One article a line: {"id","title","text"} and optional date, source, subtitle, byline.

    Raises:
        UnreadableFile: naming the first line that is no such object, or whose id came before.
    """
    articles: list[Article] = []
    first_line: dict[str, int] = {}
    end = -1
    for number, line in enumerate(read_page(path).split("\n"), start=1):
        start, end = end + 1, end + 1 + len(line)
        if not line.strip():
            continue
        article = _article_of_line(line, number, path, Fragment(start, end))
        if article.article_id in first_line:
            before = first_line[article.article_id]
            raise UnreadableFile(
                f'{path} line {number} repeats the id "{article.article_id}" of line {before}; '
                "give every article its own id."
            )
        first_line[article.article_id] = number
        articles.append(article)
    return articles


def walk(paths: Iterable[Path]) -> list[Path]:
    """The files to read: those named, and the .txt and .jsonl files of the folders, sorted.

    Hidden files and folders inside a named folder are left out; a file named outright never is.
    Each file comes once.

    Raises:
        UnreadableFile: if a path doesn't exist.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if _is_directory(path):
            found.update(dict.fromkeys(_files_under(path)))
        else:
            found[path] = None
    return list(found)


def _is_directory(path: Path) -> bool:
    """Whether the path, which must exist, is a folder."""
    return stat.S_ISDIR(_status(path).st_mode)


def _status(path: Path) -> os.stat_result:
    """The path's status, or UnreadableFile."""
    try:
        return path.stat()
    except PermissionError as exc:
        raise UnreadableFile(f"{path} may not be read; give this user permission.") from exc
    except (OSError, ValueError) as exc:
        raise UnreadableFile(f"{path} does not exist; check the path.") from exc


def _files_under(folder: Path) -> Iterator[Path]:
    """The page and article files under a folder, in sorted order, links to folders not followed."""

    def refuse(error: OSError) -> None:
        raise UnreadableFile(f"{error.filename} may not be read; give this user permission.")

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            suffix = Path(name).suffix.lower()
            if suffix in PAGE_SUFFIXES + JSONL_SUFFIXES and not name.startswith("."):
                yield Path(root) / name


def _content(path: Path) -> bytes:
    """The bytes of an ordinary file of at most MAX_BYTES."""
    status = _status(path)
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableFile(f"{path} is a folder; name a file in it, or ingest the folder.")
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFile(f"{path} is no ordinary file; {_FORMATS}.")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except PermissionError as exc:
        raise UnreadableFile(f"{path} may not be read; give this user permission.") from exc
    except OSError as exc:
        raise UnreadableFile(f"{path} can't be read ({exc.strerror}); check the disk.") from exc
    if len(content) > MAX_BYTES:
        limit = MAX_BYTES // (1024 * 1024)
        raise UnreadableFile(f"{path} is larger than {limit} MB; split it into pages.")
    return content


def _decode(content: bytes, path: Path) -> str:
    """Bytes -> text: by byte order mark, then UTF-8, then GB18030, each strictly."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        _refuse_binary(content, path)
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8-sig" or _is_plausible(text):
            return text
    raise UnreadableFile(f"{path} is not text in UTF-8, GB18030 or UTF-16; save it as UTF-8.")


def _refuse_binary(content: bytes, path: Path) -> None:
    """Raise UnreadableFile if the bytes are another format's, or hold a NUL."""
    has_nul = b"\x00" in content
    for magic, name in _MAGIC:
        if content.startswith(magic) and (has_nul or magic not in _PRINTABLE_MAGIC):
            raise UnreadableFile(f"{path} is {name}; {_FORMATS}: save its text as one of these.")
    if has_nul:
        raise UnreadableFile(f"{path} is binary; {_FORMATS}: save its text as one of these.")


def _is_plausible(text: str) -> bool:
    """Whether decoded text is made of common characters, and not of another encoding's bytes.

    GB18030 accepts almost any bytes; what it makes of Latin-1, Big5 or noise is rare ideographs
    and private-use code points.
    """
    sample = [c for c in text[:20_000] if not c.isspace()]
    if not sample:
        return True
    return sum(map(_is_common, sample)) >= _MIN_COMMON * len(sample)


def _is_common(char: str) -> bool:
    """Whether the printable character is ASCII or everyday Chinese, simplified or traditional.

    GB2312 has the everyday simplified characters, the first level of Big5 the traditional ones.
    """
    if not char.isprintable():
        return False
    for encoding, first, last in (("gb2312", 0xB0, 0xF7), ("big5", 0xA4, 0xC6)):
        try:
            byte = char.encode(encoding)[0]
        except UnicodeEncodeError:
            continue
        if byte < 0x80 or 0xA1 <= byte <= 0xA3 or first <= byte <= last:
            return True
    return False


def _article_of_line(line: str, number: int, path: Path, where: Fragment) -> Article:
    """The article of one JSON line (its fragment is the line), or UnreadableFile."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise UnreadableFile(
            f"{path} line {number} is not JSON; write one object a line with id, title and text."
        ) from exc
    if not isinstance(row, dict):
        raise UnreadableFile(f"{path} line {number} is not an object with id, title and text.")
    for key in (*_REQUIRED, *_OPTIONAL):
        if not isinstance(row.get(key, None if key in _REQUIRED else ""), str):
            raise UnreadableFile(f'{path} line {number} has no text under "{key}"; add it.')
    if not _is_unicode("".join(row[key] for key in row if isinstance(row[key], str))):
        raise UnreadableFile(
            f"{path} line {number} holds half a character; save it again as UTF-8."
        )
    if not row["id"].strip() or not row["text"].strip():
        raise UnreadableFile(f"{path} line {number} has an empty id or text; fill it in.")
    extra = {key: row[key] for key in _OPTIONAL if row.get(key)}
    return Article(
        article_id=row["id"],
        title=row["title"],
        text=row["text"],
        path=str(path),
        fragments=(where,),
        **({"source": path.name} | extra),
    )


def _is_unicode(text: str) -> bool:
    """Whether the text can be encoded: JSON escapes can smuggle in half a surrogate pair."""
    return not any("\ud800" <= c <= "\udfff" for c in text)
