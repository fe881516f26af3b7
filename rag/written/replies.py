"""A model's reply, as it comes -> statements, each with the passages and words that it points to.

A reply is untrusted and takes many shapes: lines with markers, JSON, thoughts first, a list of
sources behind. Each statement comes out as plain text: no markup, nothing hidden, no marker.
Does not cover whether a statement is true (support.py).
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from rag.chunking import sentences
from rag.prompts import CANNOT_ANSWER
from rag.written import markers

MAX_STATEMENTS = 24
MAX_STATEMENT_CHARS = 600

_MARK = markers.BRACKETS.pattern.replace("?P<numbers>", "?:").replace("?P<quote>", "?:")
_BEHIND = re.compile(  # markers behind the end of their sentence, which may come once more
    rf"(?P<end>(?<![。！？!?….])[。！？!?….]++[”’」』》）)\"]*+)(?P<marks>(?:\s*{markers.SLOT.pattern})+)[。.]?"
)
_NEXT = re.compile(  # a sentence ends here, marker and all, and the next one has begun
    rf"(?:(?<=[。！？!?….”」』])(?:\s{{0,3}}{_MARK})+[。.]?"
    rf"|(?:\s{{0,3}}{_MARK})+\s{{0,3}}[。！？!?.]+)"
    r"\s{0,3}(?=[㐀-鿿“「A-Z])",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"[\]】］]")  # without which no line need be looked through again
_BULLET = re.compile(r"^\s*(?:[-*•·]\s+|\d{1,2}[.)]\s+|\d{1,2}[、）]\s*|[(（]\d{1,2}[)）]\s*)+")
_SOURCES = re.compile(
    r"^[\s#*]*(?:sources?|references?|citations?|notes?|参考(?:文献|资料)?|来源|引用|出处|注释?)"
    r"[\s*]*[:：]?[\s*]*$",
    re.IGNORECASE,
)
_THOUGHT = re.compile(r"^\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_THINKS = re.compile(r"^\s*<(?:t(?:h(?:i(?:n(?:k(?:i(?:n(?:g?)?)?)?)?)?)?)?)?(?:$|>)", re.I)
_FENCE = re.compile(r"^\s*```\w*\s*")
_ARRAY = re.compile(r'"statements"\s*:\s*\[')
_IMAGE = re.compile(r"!\[[^\]]{0,200}\](?:\([^)]{0,500}\)|\[[^\]]{0,200}\])")
_LINK = re.compile(r"\[([^\]]{0,200})\](?:\([^)]{0,500}\)|\[[^\]\d]{1,200}\])")
_TAG = re.compile(r"<[/!?a-zA-Z][^<>]*>")
_MARKUP = re.compile(r"\*\*|__|~~|`+|^\s*(?:#{1,6}|>+|\|)\s+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of a reply; `numbers` are the passages that it names, `quotes` their words."""

    text: str
    numbers: tuple[int, ...] = ()
    quotes: tuple[str, ...] = ()


def statements(parts: Iterable[str]) -> Iterator[Statement]:
    """The statements of a reply, each as soon as it is whole; the same however it is cut up.

    None follow where the model says that it can't answer.
    """
    seen: set[str] = set()
    for statement in _all(iter(parts)):
        if statement is None or len(seen) >= MAX_STATEMENTS:
            return
        if statement.text not in seen and len(statement.text) <= MAX_STATEMENT_CHARS:
            seen.add(statement.text)
            yield statement


def _all(parts: Iterator[str]) -> Iterator[Statement | None]:
    reply = ""
    for part in parts:
        reply += part
        if _has_begun(reply):
            break
    reply = _FENCE.sub("", _THOUGHT.sub("", reply).lstrip("\ufeff"))
    if _THINKS.match(reply):
        return
    if reply.lstrip().startswith("{"):
        yield from _from_json(reply, parts)
    else:
        yield from _from_text(reply, parts)


def _has_begun(reply: str) -> bool:
    """Whether what is there tells the shape of the reply: thoughts are over, a fence has ended."""
    rest = _THOUGHT.sub("", reply).lstrip("\ufeff \n\r\t")
    if not rest or _THINKS.match(rest) or "```".startswith(rest[:3]):
        return "\n" in rest and rest.startswith("```") and bool(_FENCE.sub("", rest))
    return True


def _from_json(reply: str, parts: Iterator[str]) -> Iterator[Statement]:
    """The statements of a JSON object, each when its own object is whole."""
    decoder = json.JSONDecoder()
    at = -1
    for part in _with_ends(parts):
        reply += part
        if at < 0 and (array := _ARRAY.search(reply)):
            at = array.end()
        while at >= 0 and (begin := reply.find("{", at)) >= 0:
            try:
                found, at = decoder.raw_decode(reply, begin)
            except (ValueError, RecursionError):
                break
            yield from _stated(found)


def _with_ends(parts: Iterator[str]) -> Iterator[str]:
    """Nothing first, then the parts put together so that each ends an object."""
    held = ""
    yield ""
    for part in parts:
        held += part
        if "}" in part:
            yield held
            held = ""
    yield held


def _stated(found: object) -> Iterator[Statement]:
    """One object of the schema, of whose fields none can be relied on."""
    if not isinstance(found, dict) or not isinstance(found.get("text"), str):
        return
    named = found.get("passage")
    own = [n for n in (named if isinstance(named, list) else [named]) if isinstance(n, int)]
    quote = found.get("quote")
    quotes = [quote] if isinstance(quote, str) and quote.strip() else []
    for each in _of_row(" ".join(found["text"].split())):
        yield Statement(
            each.text,
            tuple(dict.fromkeys([*own, *each.numbers])),
            tuple(dict.fromkeys([*quotes, *each.quotes])),
        )


def _from_text(reply: str, parts: Iterator[str]) -> Iterator[Statement | None]:
    """The statements of lines; a line is read as far as a marked sentence ends in it."""
    rows = _rows(reply, parts)
    for row in rows:
        if CANNOT_ANSWER in row:
            yield None
        if _SOURCES.match(row):
            return
        yield from _of_row(row)


def _rows(reply: str, parts: Iterator[str]) -> Iterator[str]:
    for part in chain([""], parts):
        reply += part
        while True:
            row, newline, rest = reply.partition("\n")
            if _CLOSED.search(row) and (cut := _NEXT.search(row)):
                yield row[: cut.end()]
                reply = reply[cut.end() :]
            elif newline:
                yield row
                reply = rest
            else:
                break
    yield reply


def _of_row(row: str) -> Iterator[Statement]:
    """Each sentence of a line without its markers."""
    slotted, found = markers.lifted(_BULLET.sub("", _plain(row)))
    line = _BEHIND.sub(r"\g<marks>\g<end>", slotted)
    for start, end in sentences(line):
        own = [found[int(slot[1])] for slot in markers.SLOT.finditer(line, start, end)]
        text = " ".join(markers.SLOT.sub(" ", line[start:end]).split())
        text = re.sub(r" +(?=[。.,，!！?？;；])", "", text)
        if re.search(r"\w", text):
            numbers = dict.fromkeys(n for marker in own for n in marker.numbers)
            quotes = tuple(marker.quote for marker in own if marker.quote)
            yield Statement(text, tuple(numbers), quotes)


def _plain(row: str) -> str:
    """A line without markup and without what can't be seen."""
    seen = "".join(c for c in row if unicodedata.category(c) not in ("Cf", "Cc", "Co", "Cs", "Cn"))
    flat = _MARKUP.sub("", _TAG.sub("", _LINK.sub(r"\1", _IMAGE.sub("", seen))))
    return flat.replace("<", "‹").replace(">", "›")
