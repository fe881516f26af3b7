"""What an English quote speaks of, in Chinese: the other direction of gloss.py.

Dates and figures, places, institutions and words that the glossary knows both ways; other names
stay as they are written. Does not restore the characters of a person's name.
"""

import re
from collections.abc import Iterator

from rag.terms import STOP_WORDS
from rag.words import names, numbers
from rag.words.glossary import MAX_WORDS, Glossary

BETWEEN = " · "
_MAX_CHARS, _MAX_PARTS = 1_000, 24
_MONTH = "|".join(month.capitalize() for month in numbers.MONTHS)
_DATE = re.compile(
    rf"\b(?P<month>{_MONTH})\b(?: (?P<day>[12]\d|3[01]|0?[1-9])(?!\d))?"
    r"(?:,? (?P<year>(?:19|20)\d\d)\b)?"
)
_WORD = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*")


def line(quote: str, glossary: Glossary) -> str:
    """Parts between " · " in the order of the quote; empty if there is nothing to say."""
    parts = list(dict.fromkeys(_parts(quote[:_MAX_CHARS], glossary)))
    return BETWEEN.join(parts[:_MAX_PARTS])


def _parts(quote: str, glossary: Glossary) -> Iterator[str]:
    at = 0
    for start, end, said in _figures(quote):
        if start >= at:
            yield from _words(quote[at:start], glossary)
            yield said
            at = end
    yield from _words(quote[at:], glossary)


def _figures(quote: str) -> list[tuple[int, int, str]]:
    """Dates and numbers: where, and in Chinese."""
    found = [(m.start(), m.end(), _date(m)) for m in _DATE.finditer(quote)]
    for numeral in numbers.numerals(quote):
        percent = "%" if numeral.unit == "percent" else ""
        found.append((numeral.start, numeral.end, f"{_number(float(numeral.value))}{percent}"))
    return sorted(found, key=lambda each: (each[0], -each[1]))


def _date(match: re.Match[str]) -> str:
    year = f"{match['year']}年" if match["year"] else ""
    day = f"{int(match['day'])}日" if match["day"] else ""
    return f"{year}{numbers.MONTHS.index(match['month'].lower()) + 1}月{day}"


def _number(value: float) -> str:
    for worth, scale in ((1e8, "亿"), (1e4, "万")):
        if value >= worth:
            return f"{value / worth:.8g}{scale}"
    return f"{value:.8g}"


def _words(text: str, glossary: Glossary) -> Iterator[str]:
    """The phrases of text without figures: known ones in Chinese, names as they are."""
    for sentence in re.split(r"[.,;:!?()\n]", text):
        yield from _phrases(_WORD.findall(sentence), sentence, glossary)


def _phrases(words: list[str], sentence: str, glossary: Glossary) -> Iterator[str]:
    at = 0
    while at < len(words):
        lower = [word.lower() for word in words[at : at + 3]]
        size = names.person_size(lower, sentence, glossary.lookup, STOP_WORDS)
        said = " ".join(words[at : at + size])
        if not size:
            size, said = _longest(words[at:], glossary)
        if said:
            yield said
        at += size


def _longest(words: list[str], glossary: Glossary) -> tuple[int, str]:
    """How many words the glossary knows as one, and their Chinese; a name stays as it is."""
    for size in range(min(MAX_WORDS, len(words)), 0, -1):
        some = words[:size]
        if STOP_WORDS.isdisjoint([some[0].lower(), some[-1].lower()]):
            phrase = " ".join(some)
            known = glossary.lookup(phrase, 1)
            if said := glossary.chinese(phrase):
                return size, said
            if known and names.without_suffix(known[0]) in names.places():
                return size, known[0]
    is_name = words[0][0].isupper() and words[0].lower() not in STOP_WORDS
    return 1, words[0][:24] if is_name else ""
