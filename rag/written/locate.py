"""Where a quote stands in a text: as it is, or but for width, quotation marks, spaces, punctuation.

Pure. Does not cover quotes with other words in them: who writes those hasn't quoted.
"""

import re
import unicodedata
from functools import lru_cache

from rag.chunking import Span

_GAP = re.compile(r"\.{3,}|…+|\[…\]|（略）")  # where a quote leaves something out
_WIDEST_GAP = 120  # characters that a gap may stand for
_KEPT = frozenset("%‰+")  # signs without which a figure is another one
_DASHES = frozenset("-–—−~～")


def locate(quote: str, text: str) -> Span | None:
    """The range of `text` that a quote is taken from, None if there is none."""
    if quote.strip() and (at := text.find(quote)) >= 0:
        return at, at + len(quote)
    letters, places = _letters(text)
    found: list[Span] = []
    for part in _GAP.split(quote):
        wanted, _ = _letters(part)
        if not wanted:
            continue
        begin = found[-1][1] if found else 0
        at = letters.find(wanted, begin)
        if at < 0 or (found and at - begin > _WIDEST_GAP):
            return None
        found.append((at, at + len(wanted)))
    if not found:
        return None
    return places[found[0][0]], places[found[-1][1] - 1] + 1


@lru_cache(maxsize=256)  # the passages of a question are looked through once a statement
def _letters(text: str) -> tuple[str, tuple[int, ...]]:
    """What tells texts apart: letters and figures, and where in the text each of them stands.

    A point between two figures makes another figure, so it stays; a comma there doesn't.
    """
    letters: list[str] = []
    places: list[int] = []
    for at, char in enumerate(text):
        for plain in unicodedata.normalize("NFKC", char).lower():
            if plain.isalnum() or plain in _KEPT:
                kept = plain
            elif plain != "," and _is_between_figures(text, at):
                kept = "-" if plain in _DASHES else plain
            else:
                continue
            letters.append(kept)
            places.append(at)
    return "".join(letters), tuple(places)


def _is_between_figures(text: str, at: int) -> bool:
    return 0 < at < len(text) - 1 and text[at - 1].isdigit() and text[at + 1].isdigit()
