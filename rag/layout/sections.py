"""Cuts a page at its headings into sections: a heading and the body blocks down to the next.

Does not cover what the blocks are (roles.py), nor whether a body block belongs to the article that
it stands below (stitching.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rag.layout.blocks import Block
from rag.layout.habits import OPENER
from rag.layout.roles import HEADING, Role


@dataclass(frozen=True, slots=True)
class Section:
    """A heading (possibly none) and the body blocks up to the next; indexes of blocks."""

    heading: tuple[int, ...]
    items: tuple[int, ...]
    after_header: frozenset[int]  # items with a header right before them

    def moved(self, by: int) -> "Section":
        """The same section where its blocks stand behind so many others."""
        return Section(
            tuple(i + by for i in self.heading),
            tuple(i + by for i in self.items),
            frozenset(i + by for i in self.after_header),
        )


def sections_of(blocks: Sequence[Block], roles: Sequence[Role]) -> list[Section]:
    """The page cut at its headings, and at briefs that open with a dateline of their own."""
    sections: list[Section] = []
    heading: list[int] = []
    items: list[int] = []
    after_header: set[int] = set()
    is_after_header = False

    def close() -> None:
        if heading or items:
            sections.append(Section(tuple(heading), tuple(items), frozenset(after_header)))
        for part in (heading, items, after_header):
            part.clear()

    for i, role in enumerate(roles):
        if role is Role.FURNITURE:
            continue
        if role is Role.HEADER:
            is_after_header = True
            continue
        is_brief = items and role is Role.BODY and _is_brief(blocks, items, i, is_after_header)
        if is_brief or (items and role in HEADING and role is not Role.BYLINE):
            close()
        if role in HEADING:
            heading.append(i)
        else:
            items.append(i)
            if is_after_header:
                after_header.add(i)
        is_after_header = False
    close()
    return sections


def _is_brief(blocks: Sequence[Block], items: Sequence[int], i: int, after_header: bool) -> bool:
    """Whether a body block begins a new article that has no title."""
    opens = bool(OPENER.match(blocks[i].text)) and blocks[items[-1]].ends
    return opens and (after_header or bool(OPENER.match(blocks[items[0]].text)))
