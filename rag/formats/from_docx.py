"""A Word file (.docx) -> lines: paragraphs and table rows in order, headings by their styles."""

import re
from io import BytesIO

from rag.errors import UnreadableFile
from rag.formats.document import Document, Line

_HEADING = re.compile(r"(?:heading|标题)\s*([1-9])", re.I)


def document(content: bytes) -> Document:
    """The lines of a Word file.

    Raises:
        UnreadableFile: if it is damaged.
    """
    import docx
    from docx.opc.exceptions import OpcError
    from docx.table import Table
    from lxml.etree import LxmlError

    try:
        opened = docx.Document(BytesIO(content))
        lines: list[Line] = []
        for item in opened.iter_inner_content():
            if isinstance(item, Table):
                rows = [" ".join(cell.text.split()) for row in item.rows for cell in row.cells]
                lines += [Line(row) for row in rows if row]
            else:
                level = _level(item.style.name if item.style else "")
                texts = [part.strip() for part in item.text.split("\n")]
                lines += [Line(part, level) for part in texts if part]
    except (OpcError, LxmlError, KeyError, ValueError, OSError, AttributeError) as exc:
        raise UnreadableFile("is a damaged Word file; open it in Word and save it anew.") from exc
    return Document(tuple(lines))


def _level(style: str | None) -> int:
    """The heading level of a style, 0 for body text."""
    if style in ("Title", "标题"):
        return 1
    match = _HEADING.match(style or "")
    return int(match[1]) if match else 0
