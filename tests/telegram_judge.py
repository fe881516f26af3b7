"""What Telegram makes of the text and the buttons of a message, as far as a text bot can tell.

Where Telegram mends in silence (nested quotations, a hundred entities) it refuses, so that a bot
that passes here passes there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, NoReturn

Json = dict[str, Any]

MAX_UNITS = 4096
MAX_ENTITIES = 100
MAX_BUTTONS = 100
MAX_CALLBACK_BYTES = 64


class Refused(Exception):
    """What the Bot API answers with `"ok": false`."""

    def __init__(self, code: int, description: str, **parameters: float) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


# --- HTML as Telegram judges it ------------------------------------------------------------------

_KINDS = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
}
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ENTITY = re.compile(r"&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-z]+));?")
_TAG = re.compile(r"<(/?)([a-zA-Z0-9-]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>")
_ATTRIBUTE = re.compile(r"\s*([^\s=>\"']+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+))?")
_DROPPED = re.compile("[\r\u2028-\u202e\u0333\u033f\u030a]")
_BLANKED = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f]")


def cleaned(text: str) -> str:
    """The text as Telegram keeps it: some signs vanish, other controls become spaces."""
    return _BLANKED.sub(" ", _DROPPED.sub("", text))


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text without its markup, and the entities, in UTF-16 units."""

    text: str
    entities: tuple[Json, ...] = ()


@dataclass(slots=True)
class _Open:
    name: str
    kind: str
    start: int


def judge(text: str, parse_mode: str = "") -> Parsed:
    """What Telegram makes of the text of a message.

    Raises:
        Refused: 400, in Telegram's words.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(400, "Bad Request: strings must be encoded in UTF-8") from None
    if parse_mode not in ("", "HTML"):
        raise Refused(400, "Bad Request: unsupported parse_mode")
    parsed = _trimmed(_parsed(text) if parse_mode else Parsed(cleaned(text)))
    if not parsed.text:
        raise Refused(400, "Bad Request: message text is empty")
    if units(parsed.text) > MAX_UNITS:
        raise Refused(400, "Bad Request: message is too long")
    if len(parsed.entities) > MAX_ENTITIES:
        raise Refused(400, "Bad Request: too many entities (Telegram would drop some)")
    return parsed


def units(text: str) -> int:
    """UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def _parsed(markup: str) -> Parsed:
    out: list[str] = []
    length = position = 0
    stack: list[_Open] = []
    entities: list[Json] = []
    while position < len(markup):
        if markup[position] == "<":
            position = _tag(markup, position, length, stack, entities)
            continue
        match = _ENTITY.match(markup, position)
        piece = _decoded(match) if match else None
        if match and piece is not None:
            position = match.end()
        else:  # up to the next sign that may mean something
            ends = (markup.find(sign, position + 1) for sign in "<&")
            end = min((at for at in ends if at > 0), default=len(markup))
            piece, position = markup[position:end], end
        kept = cleaned(piece)
        out.append(kept)
        length += units(kept)
    if stack:
        _bad_markup(f'can\'t find end tag corresponding to start tag "{stack[-1].name}"')
    entities.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    return Parsed("".join(out), tuple(entities))


def _decoded(match: re.Match[str]) -> str | None:
    decimal, hexadecimal, name = match.groups()
    if name:
        return _NAMED.get(name)
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else None


def _tag(markup: str, at: int, length: int, stack: list[_Open], entities: list[Json]) -> int:
    """Reads the tag at `at`; gives the position after it."""
    match = _TAG.match(markup, at)
    offset = len(markup[:at].encode())
    if not match:
        _bad_markup(f"unclosed start tag at byte offset {offset}")
    name = match[2].lower()
    if match[1]:
        _close(name, offset, length, stack, entities)
        return match.end()
    attributes = dict(_attributes(match[3], offset))
    if name not in _KINDS or (name == "span" and attributes.get("class") != "tg-spoiler"):
        _bad_markup(f'unsupported start tag "{name}" at byte offset {offset}')
    kind = _KINDS[name]
    if kind == "blockquote" and "expandable" in attributes:
        kind = "expandable_blockquote"
    around = [each.kind for each in stack]
    if any(each in ("pre", "code") for each in around):
        _bad_markup(f"entities can't be nested in code at byte offset {offset}")
    if "blockquote" in kind and any("blockquote" in each for each in around):
        _bad_markup(f"blockquote entities can't be nested, at byte offset {offset}")
    stack.append(_Open(name, kind, length))
    return match.end()


def _attributes(text: str, offset: int) -> Iterator[tuple[str, str]]:
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _ATTRIBUTE.match(text, position)
        if not match:
            _bad_markup(f"empty attribute name in the tag at byte offset {offset}")
        yield match[1].lower(), (match[2] or "").strip("\"'")
        position = match.end()


def _close(name: str, offset: int, length: int, stack: list[_Open], entities: list[Json]) -> None:
    if not stack:
        _bad_markup(f"unexpected end tag at byte offset {offset}")
    opened = stack.pop()
    if name not in ("", opened.name):
        _bad_markup(
            f'unmatched end tag at byte offset {offset}, expected "</{opened.name}>", '
            f'found "</{name}>"'
        )
    if length > opened.start:
        entities.append(
            {"type": opened.kind, "offset": opened.start, "length": length - opened.start}
        )


def _bad_markup(reason: str) -> NoReturn:
    raise Refused(400, f"Bad Request: can't parse entities: {reason}")


def _trimmed(parsed: Parsed) -> Parsed:
    """Without the whitespace at both ends; entities are moved and clipped."""
    space = " \n\t\xa0"
    text = parsed.text.lstrip(space)
    shift = units(parsed.text) - units(text)
    text = text.rstrip(space)
    entities = []
    for entity in parsed.entities:
        start = max(entity["offset"] - shift, 0)
        end = min(entity["offset"] + entity["length"] - shift, units(text))
        if end > start:
            entities.append({**entity, "offset": start, "length": end - start})
    return Parsed(text, tuple(entities))


# --- rich messages -------------------------------------------------------------------------------

MAX_RICH_CHARS = 32_768
MAX_RICH_BLOCKS = 500
_RICH_BLOCKS = {"p", "blockquote", *(f"h{n}" for n in range(1, 7))}
_RICH_INLINE = {"b", "i"}


def judge_rich(content: Json) -> list[str]:
    """The blocks of a rich message, each as its text.

    Knows the tags that this bot writes, of the many that Telegram knows.

    Raises:
        Refused: 400.
    """
    if set(content) - {"html", "is_rtl", "skip_entity_detection"} or "html" not in content:
        raise Refused(400, "Bad Request: can't parse InputRichMessage")
    parser = _RichParser(convert_charrefs=True)
    parser.feed(content["html"])
    parser.close()
    if parser.stack or "<" in parser.rawdata:
        _bad_markup("unclosed tag")
    blocks = ["".join(block).strip() for block in parser.blocks]
    if not any(blocks) or len(blocks) > MAX_RICH_BLOCKS:
        raise Refused(400, "Bad Request: RICH_MESSAGE_EMPTY or too many blocks")
    if sum(map(len, blocks)) > MAX_RICH_CHARS:
        raise Refused(400, "Bad Request: message is too long")
    return blocks


class _RichParser(HTMLParser):
    def __init__(self, *, convert_charrefs: bool) -> None:
        super().__init__(convert_charrefs=convert_charrefs)
        self.stack: list[str] = []
        self.blocks: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br" and self.stack and not attrs:
            self.blocks[-1].append("\n")
            return
        known = _RICH_INLINE if self.stack else _RICH_BLOCKS
        if tag not in known or attrs:
            _bad_markup(f'unsupported start tag "{tag}"')
        if not self.stack:
            self.blocks.append([])
        self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            _bad_markup(f'unexpected end tag "{tag}"')

    def handle_data(self, data: str) -> None:
        if not self.stack:
            _bad_markup("text outside of a block")
        self.blocks[-1].append(re.sub(r"\s+", " ", data))  # line ends count only as <br>


# --- buttons -------------------------------------------------------------------------------------


def judged_markup(markup: Json) -> Json:
    """The buttons under a message.

    Raises:
        Refused: 400, in Telegram's words.
    """
    if "inline_keyboard" in markup:
        buttons = [button for row in markup["inline_keyboard"] for button in row]
        if len(buttons) > MAX_BUTTONS:
            raise Refused(400, "Bad Request: reply markup is too long")
        for button in buttons:
            if not button.get("text", "").strip():
                raise Refused(400, "Bad Request: inline keyboard button text must be non-empty")
            if not 1 <= len(button.get("callback_data", "").encode()) <= MAX_CALLBACK_BYTES:
                raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
    elif "keyboard" in markup:
        for row in markup["keyboard"]:
            for button in row:
                if not (button if isinstance(button, str) else button.get("text", "")).strip():
                    raise Refused(400, "Bad Request: keyboard button text must be non-empty")
    else:
        raise Refused(400, "Bad Request: object expected as reply markup")
    return markup
