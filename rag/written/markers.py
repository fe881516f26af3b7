"""The ways that people and models mark a passage: [1], [1, 2], 【1】, (1), [^1], [1†source], more.

Does not cover our own markers, which are `[1]` and nothing else (citations.py).
"""

import re
from dataclasses import dataclass

_NUMBERS = r"\d{1,3}(?:\s*(?:[,，、;；&和与–-]|and)\s*\^?\d{1,3})*"
_NAMED = r"(?:passages?|sources?|refs?\.?|paragraphs?|p\.|段落|文段|来源|第|材料|资料)"
_LEAD = rf"(?:see\s+|见)?(?:{_NAMED}[\s:：#]*(?=\d))?\^?"
_TAIL = r"(?:\s*[段条则篇])?(?:\s*†[^\[\]【】]{0,80})?"
QUOTED = (
    r"“[^“”\n]{1,400}”|「[^「」\n]{1,400}」|『[^『』\n]{1,400}』"
    r'|"[^"\n]{1,400}"|‘[^‘’\n]{1,400}’|«[^«»\n]{1,400}»|《[^《》\n]{1,400}》'
)
_QUOTE = rf"(?:\s*[:：,，|-]?\s*(?P<quote>{QUOTED}))?"
SLOT = re.compile("\ue000(\\d+)\ue001")
# In brackets, with or without the words that are quoted.
BRACKETS = re.compile(
    rf"[\[【［]\s*{_LEAD}\s*(?P<numbers>{_NUMBERS}){_TAIL}{_QUOTE}\s*[\]】］]", re.IGNORECASE
)
# In parentheses a number may be anything; at the end of a sentence, or named, it is a marker.
PARENTHESES = re.compile(
    r"(?<=\S)\s{0,3}[(（]\s*(?:"
    rf"(?:see\s+|见)?{_NAMED}[\s:：#]*(?P<named>{_NUMBERS}){_TAIL}"
    r"|(?P<bare>\d{1,2}(?:\s*[,，、;；]\s*\d{1,2})*)"
    r")\s*[)）](?=\s*(?:[。．.!！?？;；(（\ue000]|$))",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Marker:
    """What one marker says: the numbers of passages, and words of theirs."""

    numbers: tuple[int, ...]
    quote: str = ""


def lifted(text: str) -> tuple[str, list[Marker]]:
    """A text with a `SLOT` in the place of each marker, and the markers."""
    found: list[Marker] = []

    def lift(match: re.Match[str]) -> str:
        groups = match.groupdict()
        numbers = groups.get("numbers") or groups.get("named") or groups["bare"]
        quote = (groups.get("quote") or "")[1:-1].strip()
        found.append(Marker(tuple(_numbers(numbers)), quote))
        return f" \ue000{len(found) - 1}\ue001"

    slotted = BRACKETS.sub(lift, text.replace("\ue000", "").replace("\ue001", ""))
    return PARENTHESES.sub(lift, slotted), found


def defused(text: str) -> str:
    """A text in which nothing in brackets reads as a marker: [1] becomes 〔1〕."""
    return BRACKETS.sub(lambda match: f"〔{match[0][1:-1]}〕", text)


def _numbers(text: str) -> list[int]:
    """`1, 3-5` gives 1, 3, 4 and 5."""
    found: list[int] = []
    for first, last in re.findall(r"(\d{1,3})(?:\s*[–-]\s*\^?(\d{1,3}))?", text):
        begin, end = int(first), int(last or first)
        found += range(begin, end + 1) if begin <= end <= begin + 20 else [begin, end]
    return found
