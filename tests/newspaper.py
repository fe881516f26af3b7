"""Sets articles as a newspaper page in PDF: a title over its columns, lines cut where they end."""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

FONT = "STSong-Light"  # every reader of PDFs knows it; nothing is embedded
WIDTH, HEIGHT, MARGIN = 900.0, 1300.0, 40.0
_LEADING = 1.45
_NO_START = "，。；：、？！”）》"  # what no line begins with


@dataclass(frozen=True, slots=True)
class Story:
    """An article and the room that it gets: columns from `left`, each `width` wide."""

    title: str
    paragraphs: Sequence[str]
    left: float
    top: float
    columns: int
    width: float
    gutter: float = 18.0
    size: float = 10.0
    title_size: float = 24.0
    indent: bool = True


@dataclass(frozen=True, slots=True)
class _Drawn:
    x: float
    y: float
    size: float
    text: str


def page(header: str, stories: Sequence[Story], shuffled: int | None = None) -> bytes:
    """A PDF of one page; with `shuffled`, its lines stand in the file in any order."""
    pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    drawn = [_Drawn(MARGIN, HEIGHT - 30, 9, header)]
    for story in stories:
        drawn += _set(story)
    if shuffled is not None:
        random.Random(shuffled).shuffle(drawn)
    written = io.BytesIO()
    canvas = Canvas(written, pagesize=(WIDTH, HEIGHT))
    for line in drawn:
        canvas.setFont(FONT, line.size)
        canvas.drawString(line.x, line.y, line.text)
    canvas.save()
    return written.getvalue()


def _set(story: Story) -> list[_Drawn]:
    """The lines of a story: its title, then its columns, as even as can be."""
    drawn = [_Drawn(story.left, story.top, story.title_size, story.title)]
    lines = [line for text in story.paragraphs for line in _broken(text, story)]
    many = -(-len(lines) // story.columns)
    for i, line in enumerate(lines):
        column, row = divmod(i, many)
        x = story.left + column * (story.width + story.gutter)
        y = story.top - story.title_size - 6 - row * story.size * _LEADING
        drawn.append(_Drawn(x, y, story.size, line))
    return drawn


def _broken(text: str, story: Story) -> list[str]:
    """A paragraph in lines as wide as the column."""
    lines = [""]
    room = story.width - (2 * story.size if story.indent else 0)
    used = 0.0
    for char in text:
        wide = pdfmetrics.stringWidth(char, FONT, story.size)
        if used + wide > room:
            kept = lines[-1][-1:] if char in _NO_START else ""  # goes down with what follows it
            lines[-1] = lines[-1][: len(lines[-1]) - len(kept)]
            lines.append(kept)
            used, room = pdfmetrics.stringWidth(kept, FONT, story.size), story.width
        lines[-1] += char
        used += wide
    return [("　　" if story.indent else "") + lines[0], *lines[1:]]
