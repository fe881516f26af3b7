"""An HTML article page -> its title and body, without menus, related links and footers.

Does not cover lists of articles, nor pages that a script writes.
"""

from rag.errors import UnreadableFile
from rag.formats.document import Document, Line


def document(text: str) -> Document:
    """The one article of a page, its title the only heading.

    Raises:
        UnreadableFile: if there is no article to be found.
    """
    from trafilatura import bare_extraction
    from trafilatura.settings import Document as Extracted
    from trafilatura.settings import use_config

    config = use_config()
    config.set("DEFAULT", "MIN_EXTRACTED_SIZE", "60")  # Chinese says more in as many characters
    found = bare_extraction(
        text, with_metadata=True, include_comments=False, include_images=False, config=config
    )
    said = found.as_dict() if isinstance(found, Extracted) else {}
    body = [line.strip() for line in (said.get("text") or "").split("\n") if line.strip()]
    if not body:
        raise UnreadableFile("is an HTML page without an article; give the page of one article.")
    title = " ".join((said.get("title") or "").split())
    if title in body[:5]:
        body = body[body.index(title) + 1 :]
    return Document(
        (Line(title or body[0], 1), *(Line(line) for line in (body if title else body[1:]))),
        byline=" ".join((said.get("author") or "").split()),
        date=said.get("date") or "",
        source=said.get("sitename") or said.get("hostname") or "",
    )
