"""What a statement claims that can be looked up: its names, numbers, dates and addresses.

Each is found again in either script and any notation (1.7万 is 17,000, 雁塔 is Yanta, 去年 is the
year before the article's). Does not cover what else a statement says (support.py).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import unwrap

from rag.terms import STOP_WORDS, Concept, normalise, spoken, stands, written
from rag.words import numbers
from rag.words.glossary import bare, stem

_ADDRESS = re.compile(
    r"(?:https?:|www\.)[^\s，。；、）)]+|[\w.-]+@[\w.-]+|\b(?:[\w-]+\.)+[a-z]{2,7}\b(?:/[^\s，。；）)]*)?",
    re.IGNORECASE | re.ASCII,
)
_CAPITAL = re.compile(r"(?<=[a-z0-9,;] )[A-Z][a-z]{2,}")
_MONTHS = frozenset(numbers.MONTHS)
_DAY = re.compile(
    rf"(?<!\d)(?P<month>\d{{1,2}}) ?月 ?(?P<day>\d{{1,2}}) ?[日号]"
    rf"|\b(?P<before>{'|'.join(numbers.MONTHS)}) (?P<first>\d{{1,2}})(?:st|nd|rd|th)?\b"
    rf"|\b(?P<second>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<behind>{'|'.join(numbers.MONTHS)})\b"
)
_HAN = "零一二三四五六七八九十"
_FEW = range(2, 13)  # of how many an article may speak without a figure: by naming them
_SEPARATOR = re.compile(r"[、；;，,和与及]|\b(?:and|or)\b")
_SHORT = 1_000  # characters: a sentence or a passage, of which thousands may be remembered
_RELATIVE = {"前年": -2, "去年": -1, "上年": -1, "今年": 0, "本年": 0, "明年": 1, "后年": 2}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that can be looked up: a concept, or what a pattern finds.

    `few` is the concept's number if that is small, else 0.
    """

    concept: Concept | None = None
    pattern: re.Pattern[str] | None = None
    few: int = 0

    def stands_in(self, text: str) -> bool:
        """Whether a text has it."""
        plain = _made(_plain, text)
        if self.pattern and self.pattern.search(plain):
            return True
        if self.concept is None or (self.few and _has_few(plain, self.few)):
            return self.concept is not None
        sound = _made(spoken, plain) if self.concept.sounds else ""
        return stands(self.concept, _made(written, plain), sound)


def facts(statement: str, concepts: Sequence[Concept], *, same_script: bool) -> Iterator[Fact]:
    """The facts of an English or Chinese statement, given what it speaks of.

    `same_script` says that the passages are English as well: then a capital makes a name.
    """
    addresses = _ADDRESS.findall(statement)
    for address in addresses:
        yield Fact(pattern=re.compile(re.escape(_plain(address).rstrip(".,;:"))))
    days = dict(_days(_plain(statement)))
    yield from (Fact(pattern=pattern) for pattern in days.values())
    for concept in concepts:
        if concept.kind == "name":
            if not any(concept.surface in address.lower() for address in addresses):
                yield Fact(concept)
        elif few := _few(concept):
            is_share = re.search(rf"\b{concept.surface} per ?cent", _plain(statement))
            yield Fact(concept, _tenths(f"{few} percent") if is_share else None, few)
        elif concept.kind == "number" or concept.surface in _MONTHS:
            yield Fact(concept, days.get(concept.surface) or _tenths(concept.surface))
    if same_script:
        for name in _CAPITAL.findall(statement):
            if name.lower() not in STOP_WORDS and name.lower() not in _MONTHS:
                yield Fact(Concept(name, "name", (f" {stem(bare(name.lower()))} ",)))


def dated(text: str, date: str) -> str:
    """A text with the years that it speaks of as this year, last year and the like, behind it."""
    if not date[:4].isdigit():
        return text
    years = (f"{int(date[:4]) + by}年" for word, by in _RELATIVE.items() if word in text)
    return " ".join([text, *dict.fromkeys(years)])


def _days(plain: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    """The days of a normalised text that have a month, and what finds each: 3月5日, 5 March."""
    for match in _DAY.finditer(plain):
        name = match["before"] or match["behind"]
        month = int(match["month"] or 0) or numbers.MONTHS.index(name) + 1
        said = match["day"] or match["first"] or match["second"]
        day = int(said)
        if month > 12 or day > 31:
            continue
        name = numbers.MONTHS[month - 1]
        yield (
            said,
            re.compile(
                rf"(?<!\d)0?{month} ?月 ?0?{day} ?[日号]|{_han(month)}月{_han(day)}[日号]"
                rf"|\b{name} 0?{day}(?!\d)|\b0?{day}(?:st|nd|rd|th)?(?: of)? {name}\b"
                rf"|[-/.]0?{month}[-/.]0?{day}(?!\d)"
            ),
        )


def _han(number: int) -> str:
    """A number under a hundred as Chinese writes it: 十五, 三十一."""
    tens, ones = divmod(number, 10)
    front = ("" if tens < 2 else _HAN[tens]) + "十" if tens else ""
    return front + (_HAN[ones] if ones else "")


def _tenths(surface: str) -> re.Pattern[str] | None:
    """How Chinese may put so many tenths, where a share is some: thirty percent is 三成."""
    found = next(numbers.numerals(surface), None)
    if found is None or found.unit != "percent":
        return None
    value = float(found.value)
    tenths = int(value // 10)
    return re.compile(f"{_HAN[tenths]}成") if 0 < tenths < 10 and value == 10 * tenths else None


def _few(concept: Concept) -> int:
    """The small number that a concept is, 0 if it is none."""
    digit = concept.spellings[-1].strip().removeprefix("#") if concept.spellings else ""
    if not digit.isdigit() or int(digit) not in _FEW or concept.surface in _MONTHS:
        return 0
    is_figure = any(char.isdigit() for char in concept.surface)
    return 0 if is_figure else int(digit)


def _has_few(text: str, few: int) -> bool:
    """Whether a text speaks of so many, in a figure or by naming them one by one."""
    han = _HAN[few] if few < len(_HAN) else f"十{_HAN[few - 10]}"
    if han in text or (few == 2 and re.search("[两双]", text)):
        return True
    return len(_SEPARATOR.findall(text)) >= few - 1


def _made(make: Callable[[str], str], text: str) -> str:
    """What a function that remembers thousands of texts makes of one, which may be an article."""
    return make(text) if len(text) <= _SHORT else _made_of_article(make, text)


@lru_cache(maxsize=32)  # three for each article that a few questions at a time are about
def _made_of_article(make: Callable[[str], str], text: str) -> str:
    found: str = unwrap(make)(text)
    return found


@lru_cache(maxsize=4096)  # the sentences of a question's passages are asked again and again
def _plain(text: str) -> str:
    return normalise(text)
