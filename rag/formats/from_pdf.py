"""A PDF with a text layer -> its text in reading order, columns one after another.

Characters become lines by where they stand; lines are put in order by `reading_order`; a
paragraph goes on over the end of its column. Does not cover vertical text, nor pictures of pages.
"""

import ctypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from rag.errors import UnreadableFile
from rag.formats.document import Document, plain
from rag.formats.encodings import is_plausible

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

MAX_PAGES = 2_000
_HEADING_SIZE = 1.25  # of the body's size
_GUTTER = 0.8  # least width of white between columns, in characters of the body
_BAND = 1.2  # white above a heading that parts a page, the same
_INDENT = 1.2  # of a paragraph's first line, in characters of its own
_SHORT = 1.7  # white at the end of a paragraph's last line, the same
_LATIN = re.compile(r"[A-Za-z0-9,;:.!?)%'\"’”]")


@dataclass(frozen=True, slots=True)
class Box:
    """A line of text, or a part of it within a column; y grows upwards as in the file."""

    left: float
    bottom: float
    right: float
    top: float
    size: float
    text: str


def document(content: bytes) -> Document:
    """The text of a PDF, a paragraph a line, blank lines around what stands apart.

    Raises:
        UnreadableFile: if it is damaged, locked, or holds pictures alone.
    """
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as exc:
        if "password" in str(exc).lower():
            raise UnreadableFile("is a PDF with a password; save it without one.") from exc
        raise UnreadableFile("is a damaged PDF; save or download it again.") from exc
    if len(pdf) > MAX_PAGES:
        raise UnreadableFile(f"has {len(pdf)} pages; split it into at most {MAX_PAGES} pages.")
    text = "\n\n".join(filter(None, _texts(pdf)))
    if not text:
        raise UnreadableFile(
            "is a PDF of pictures without text; it needs OCR first, for instance by ocrmypdf."
        )
    if not is_plausible(text):
        raise UnreadableFile("is a PDF whose fonts hide its characters; it needs OCR.")
    return plain(text)


def _texts(pdf: "PdfDocument") -> Iterator[str]:
    """The text of each page."""
    import pypdfium2

    for number in range(len(pdf)):
        try:
            page = pdf[number]
            boxes = _boxes(page)
            page.close()
        except pypdfium2.PdfiumError as exc:
            raise UnreadableFile(f"is a PDF whose page {number + 1} is damaged.") from exc
        yield "\n".join(paragraphs(reading_order(boxes)))


@dataclass(slots=True)
class _Run:
    """A line under way."""

    box: tuple[float, float, float, float]
    size: float
    text: str
    spaced: bool = False


def _boxes(page: "PdfPage") -> list[Box]:
    """The lines of a page, parted where there is room for a gutter."""
    runs: list[_Run] = []
    spaced = False
    for char, (left, bottom, right, top), size in _characters(page):
        if char.isspace():
            spaced = True
            continue
        run = runs[-1] if runs else None
        if run and _goes_on(run, left, bottom, top, size):
            gap = left - run.box[2]
            run.text += (" " if spaced and gap > 0.1 * size else "") + char
            old = run.box
            run.box = (old[0], min(old[1], bottom), max(old[2], right), max(old[3], top))
        else:
            runs.append(_Run((left, bottom, right, top), size, char))
        spaced = False
    return [Box(*run.box, run.size, run.text) for run in runs]


def _goes_on(run: _Run, left: float, bottom: float, top: float, size: float) -> bool:
    """Whether a character stands next to a run, on its line and of its size."""
    middle, gap = (bottom + top) / 2, left - run.box[2]
    return (
        run.box[1] <= middle <= run.box[3]
        and 0.75 < size / run.size < 1.33
        and -0.6 * size < gap < 0.95 * size
    )


def _characters(
    page: "PdfPage",
) -> Iterator[tuple[str, tuple[float, float, float, float], float]]:
    """Each character of a page with its box (left, bottom, right, top) and its height."""
    from pypdfium2 import raw

    text = page.get_textpage()
    rect = raw.FS_RECTF()
    for i in range(text.count_chars()):
        code = raw.FPDFText_GetUnicode(text.raw, i)
        if not code or not raw.FPDFText_GetLooseCharBox(text.raw, i, ctypes.byref(rect)):
            continue
        char = "-" if code in (2, 0xFFFE) else chr(code)  # a hyphen that broke a word
        if 0xD800 <= code <= 0xDFFF or (ord(char) < 32 and not char.isspace()):
            continue
        left, right = sorted((rect.left, rect.right))
        bottom, top = sorted((rect.bottom, rect.top))
        yield char, (left, bottom, right, top), max(1.0, top - bottom)
    text.close()


# --- reading order -------------------------------------------------------------------------------


def reading_order(boxes: Sequence[Box]) -> list[list[Box]]:
    """The lines of a page by column, in the order in which they are read."""
    if not boxes:
        return []
    weights = [box.size for box in boxes for _ in range(min(len(box.text), 50))]
    return list(_ordered(list(boxes), median(weights), 0))


def _ordered(boxes: list[Box], body: float, depth: int) -> Iterator[list[Box]]:
    """Parts a region at white above headings, then at gutters, then at its widest white band."""
    if len(boxes) < 2 or depth > 200:
        yield _by_rows(boxes)
        return
    parts = (
        _cut_above_headings(boxes, body)
        or _cut(boxes, _GUTTER * body, across=False)
        or _cut_widest(boxes, body)
    )
    if not parts:
        yield _by_rows(boxes)
        return
    for part in parts:
        yield from _ordered(part, body, depth + 1)


def _cut(boxes: list[Box], least: float, across: bool) -> list[list[Box]]:
    """The parts of a region between its white bands of at least that width; [] if it has none.

    From top to bottom where the bands go across, else from left to right.
    """
    order = sorted(boxes, key=lambda b: -b.top if across else b.left)
    parts, end = [[order[0]]], _end(order[0], across)
    for box in order[1:]:
        gap = (end - box.top) if across else (box.left - end)
        if gap >= least:
            parts.append([])
        parts[-1].append(box)
        end = min(end, box.bottom) if across else max(end, box.right)
    return parts if len(parts) > 1 else []


def _end(box: Box, across: bool) -> float:
    return box.bottom if across else box.right


def _cut_above_headings(boxes: list[Box], body: float) -> list[list[Box]]:
    """The parts of a region at its wide white bands below which a heading stands."""
    found: list[list[Box]] = []
    for part in _cut(boxes, _BAND * body, across=True):
        if not found or max(_first_row(part), key=lambda b: b.size).size > _HEADING_SIZE * body:
            found.append(part)
        else:
            found[-1] = found[-1] + part
    return found if len(found) > 1 else []


def _first_row(part: Sequence[Box]) -> list[Box]:
    top = max(box.top for box in part)
    return [box for box in part if box.top > top - 0.5 * box.size]


def _cut_widest(boxes: list[Box], body: float) -> list[list[Box]]:
    """The two parts of a region with columns in it, above and below its widest white band."""
    if max(b.right for b in boxes) - min(b.left for b in boxes) <= 0 or not _has_rows(boxes):
        return []
    order = sorted(boxes, key=lambda b: -b.top)
    best, at, end = 0.05 * body, 0, order[0].bottom
    for i, box in enumerate(order[1:], start=1):
        if end - box.top > best:
            best, at = end - box.top, i
        end = min(end, box.bottom)
    return [order[:at], order[at:]] if at else []


def _has_rows(boxes: Sequence[Box]) -> bool:
    """Whether some lines stand beside one another, so that their order is in question."""
    order = sorted(boxes, key=lambda b: -b.top)
    return any(a.bottom + 0.5 * a.size < b.top for a, b in pairwise(order))


def _by_rows(boxes: Sequence[Box]) -> list[Box]:
    """Lines from top to bottom, those beside one another from left to right."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda b: -b.top):
        middle = (box.top + box.bottom) / 2
        if rows and rows[-1][0].bottom <= middle <= rows[-1][0].top:
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row, key=lambda b: b.left)]


# --- paragraphs ----------------------------------------------------------------------------------


def paragraphs(columns: Sequence[Sequence[Box]]) -> list[str]:
    """The paragraphs of lines in reading order; "" stands where something else begins."""
    found: list[str] = []
    before: tuple[Box, float] | None = None  # the last line, and its column's right edge
    for column in columns:
        left, right = min(b.left for b in column), max(b.right for b in column)
        for box in column:
            if before is None or _differs(before[0], box):
                found += [*([""] if found else []), box.text]
            elif _goes_on_with(*before, box, left, right):
                found[-1] = _joined(found[-1], box.text)
            else:
                found.append(box.text)
            before = (box, right)
    return found


def _differs(before: Box, box: Box) -> bool:
    """Whether a line is of another size than the one before."""
    return not 0.87 < box.size / before.size < 1.15


def _goes_on_with(before: Box, edge: float, box: Box, left: float, right: float) -> bool:
    """Whether a line goes on with the paragraph of the line before, in its column or the next."""
    beside = before.bottom <= (box.bottom + box.top) / 2 <= before.top and box.left > before.right
    if beside and edge == right:
        return True
    lowest = before.bottom - 1.6 * before.size
    if box.top < lowest and edge == right:
        return False  # white between them
    return before.right > edge - _SHORT * before.size and box.left < left + _INDENT * box.size


def _joined(text: str, more: str) -> str:
    if text.endswith(("-", "\u00ad")) and more[:1].islower() and text[-2:-1].isalpha():
        return text[:-1] + more
    space = " " if _LATIN.match(text[-1:]) and more[:1].isascii() and more[:1].isalnum() else ""
    return f"{text}{space}{more}"
