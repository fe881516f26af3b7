"""An HTML article page -> its title and body, without menus, related links and footers.

Does not cover lists of articles, nor pages that a script writes.
"""

from rag.document import Document, Line
from rag.errors import UnreadableFile


def document(text: str) -> Document:
    """The one article of a page, its title the only heading.

    Raises:
        UnreadableFile: if there is no article to be found.
    """
    from trafilatura import bare_extraction

    found = bare_extraction(
        text, with_metadata=True, include_comments=False, include_images=False, favor_recall=False
    )
    body = [] if found is None else [line.strip() for line in (found.text or "").split("\n")]
    body = [line for line in body if line]
    if found is None or not body:
        raise UnreadableFile("is an HTML page without an article; give the page of one article.")
    title = " ".join((found.title or "").split())
    if body[0] == title:
        del body[0]
    return Document(
        (Line(title or body[0], 1), *(Line(line) for line in (body if title else body[1:]))),
        byline=" ".join((found.author or "").split()),
        date=found.date or "",
        source=found.sitename or found.hostname or "",
    )
