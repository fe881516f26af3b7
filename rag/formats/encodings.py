"""Bytes -> text: UTF-8, GB18030, Big5 or UTF-16, told apart strictly, never guessed from noise.

What is raised here is the second half of a sentence whose first is the file's name.
"""

import codecs
import re
from functools import lru_cache

from rag.errors import UnreadableFile

# Share of everyday characters. Measured: text .95 and up, Big5 or noise read as GB18030 .65.
_MIN_COMMON = 0.75
_MIN_COMMON_RARE = 0.9  # where an encoding is tried that few files have
_SAMPLE = 20_000
# What a page may call its encoding; Python knows more by name, some of which are none (undefined,
# idna) or let half a character through (unicode_escape, utf-7).
_CHARSETS = frozenset(
    "utf-8 utf-16 utf-16-le utf-16-be gb18030 gbk gb2312 hz big5 big5hkscs cp950 ascii cp1252"
    " iso8859-1 iso8859-15".split()
)
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w-]{2,20})", re.I)


def text_of(content: bytes, charset: str = "") -> str:
    """The text of a file, lines ended by one newline; `charset` is what a server said of it.

    Raises:
        UnreadableFile: if the bytes are no text.
    """
    text = _by_mark(content)
    if text is None and charset:
        text = _named(content, charset)
    if text is None:
        text = _with_nul(content) if b"\0" in content else _by_likeness(content)
    if text is None:
        raise UnreadableFile("is not text in UTF-8, GB18030, Big5 or UTF-16; save it as UTF-8.")
    return text.lstrip("\ufeff\ufffe").replace("\r\n", "\n").replace("\r", "\n")


def html_charset(content: bytes) -> str:
    """The encoding that the head of an HTML page names, or ""."""
    match = _META.search(content[:4096])
    return match[1].decode("ascii") if match else ""


def is_plausible(text: str, least: float = _MIN_COMMON) -> bool:
    """Whether text is made of common characters, and not of another encoding's bytes.

    GB18030 accepts almost any bytes; what it makes of Latin-1, Big5 or noise is rare ideographs
    and private-use code points.
    """
    sample = [c for c in text[:_SAMPLE] if not c.isspace()]
    return not sample or sum(map(_is_common, sample)) >= least * len(sample)


def _by_mark(content: bytes) -> str | None:
    """By byte order mark."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = _decoded(content, "utf-16")
        return text if text is not None and is_plausible(text) else None
    return _decoded(content, "utf-8-sig") if content.startswith(b"\xef\xbb\xbf") else None


def _named(content: bytes, charset: str) -> str | None:
    """By the name that somebody gave; gb2312 and gbk are read as their successor."""
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        return None
    if name not in _CHARSETS:
        return None
    text = _decoded(content, "gb18030" if name in ("gb2312", "gbk") else name)
    return text if text is not None and is_plausible(text) else None


def _by_likeness(content: bytes) -> str | None:
    text = _decoded(content, "utf-8")
    if text is not None:
        return text
    for encoding, least in (("gb18030", _MIN_COMMON), ("big5hkscs", _MIN_COMMON_RARE)):
        text = _decoded(content, encoding)
        if text is not None and is_plausible(text, least):
            return text
    return None


def _with_nul(content: bytes) -> str | None:
    """UTF-16 without its mark: the only text that holds NUL bytes."""
    for encoding in ("utf-16-le", "utf-16-be"):
        text = _decoded(content, encoding)
        if text is not None and "\0" not in text and is_plausible(text, _MIN_COMMON_RARE):
            return text
    raise UnreadableFile("is binary; save its text as a .txt page in UTF-8.")


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


@lru_cache(maxsize=65_536)
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
