"""Markdown -> lines: the marks taken off, headings known."""

from rag.formats.document import Document, Line


def document(text: str) -> Document:
    """The lines of a Markdown file; tables, lists and quotes a line each, pictures left out."""
    from markdown_it import MarkdownIt

    lines: list[Line] = []
    level = 0
    for token in MarkdownIt("commonmark").enable("table").parse(_without_front_matter(text)):
        if token.type == "heading_open":
            level = int(token.tag[1:])
        elif token.type == "heading_close":
            level = 0
        elif token.type == "inline":
            words = "".join(_words(child.type, child.content) for child in token.children or ())
            lines += [Line(part.strip(), level) for part in words.split("\n") if part.strip()]
        elif token.type in ("fence", "code_block"):
            lines += [Line(part.strip()) for part in token.content.split("\n") if part.strip()]
    return Document(tuple(lines))


def _words(kind: str, content: str) -> str:
    """What is read of an inline token."""
    if kind in ("text", "code_inline"):
        return content
    return "\n" if kind in ("softbreak", "hardbreak") else ""


def _without_front_matter(text: str) -> str:
    """The text behind a leading block of settings between two lines of three dashes."""
    if not text.startswith("---\n"):
        return text
    end = text.find("\n---\n", 3)
    return text[end + 5 :] if end >= 0 else text
