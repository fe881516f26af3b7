"""Files, archives and addresses -> their text, and the articles that they hold.

This file chooses: each format is read in a file of its own (from_*.py), those of foreign libraries
in a child process (sandbox.py). Text pages and JSON lines with one article each are read here.
All offsets are defined on the text that `read_page` returns: no byte order mark, LF line ends,
marks of Markdown and HTML taken off. Does not cover pictures of pages.
"""

import io
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from rag import document, encodings, from_zip, web
from rag.document import Document
from rag.errors import UnreadableFile
from rag.sandbox import Kind, Sandbox
from rag.types import Article, Fragment

MAX_BYTES = 20 * 1024 * 1024
MAX_BYTES_PDF = 100 * 1024 * 1024
SUFFIXES = (".txt", ".md", ".markdown", ".html", ".htm", ".pdf", ".docx", ".jsonl", ".zip")

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
_FORMATS = "Wenbao reads .txt, .md, .html, .pdf, .docx, .jsonl and .zip"
_WEB_KINDS = {"text/html": ".html", "application/xhtml+xml": ".html", "text/markdown": ".md"}
_HTML = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S)
_REQUIRED = ("id", "title", "text")
_OPTIONAL = ("date", "source", "subtitle", "byline")


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the ledger knows as one file: `name` is its path, its path in an archive, or its URL."""

    name: str
    content: bytes
    suffix: str = ""
    charset: str = ""

    @property
    def title(self) -> str:
        """The file's own name: the source of articles whose page names none."""
        if web.is_url(self.name):
            return urlsplit(self.name).hostname or self.name
        return PurePosixPath(self.name.replace(os.sep, "/")).name


def read_articles(path: Path) -> list[Article]:
    """The articles of one file, or of all files in an archive, at least one.

    Raises:
        UnreadableFile: if the file can't be read or holds no article.
    """
    with Sandbox() as sandbox:
        return [a for sheet in sheets(str(path)) for a in articles_of(_whole(sheet), sandbox)]


def read_page(path: Path) -> str:
    """The text of a page file, each line ended by one newline.

    Raises:
        UnreadableFile: in one sentence, if there is no text to be had.
    """
    (sheet,) = sheets(str(path))
    with Sandbox() as sandbox:
        return _document(_whole(sheet), sandbox).text
