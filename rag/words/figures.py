"""Numbers, dates, times and measures of Chinese text as English has them.

5月31日 is May 31, 2万多斤 over 20,000 jin, 1.3亿元 130 million yuan. Stands on numbers.py for what
a number is worth. Does not cover the names of what is counted (gloss.py).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from rag.words import numbers
from rag.words.glossary import paired_lines

_HAN = "〇零一二三四五六七八九十"
_YEAR = r"(?:1[89]|20)\d\d|[一二][〇零一二三四五六七八九]{3}"
_MONTH = r"1[0-2]|0?[1-9]|十[一二]?|[一二三四五六七八九]"
_DAY = r"[12]\d|3[01]|0?[1-9]|[二三]?十[一二三四五六七八九]?|[一二三四五六七八九]"
_DATE = re.compile(
    rf"(?:(?P<year>{_YEAR})年)?(?<![\d.{_HAN}第])(?P<month>{_MONTH})月份?"
    rf"(?:(?P<day>{_DAY})[日号])?(?P<part>[初中底末]|[上中下]旬)?"
    rf"|(?P<only>{_YEAR})年(?P<end>[初中底末])?"
    rf"|(?<![\d.{_HAN}])(?P<alone>[12]\d|3[01]|[1-9])日(?!元)"
)
_PARTS = {"初": "early ", "上": "early ", "中": "mid-", "下": "late ", "底": "end of "}
_TIME = re.compile(
    r"(?P<daypart>清晨|凌晨|早上|早晨|上午|中午|下午|傍晚|晚上|夜里|深夜)?"
    rf"(?<![\d.{_HAN}第])(?P<hour>2[0-4]|1\d|\d|二?十[一二三四]?|[一二三四五六七八九两])[点时]"
    rf"(?P<minute>半|[0-5]\d分?|[{_HAN}]{{1,3}}分?)?(?P<sharp>整)?(?![{_HAN}\d个间多])"
)
_DAYPARTS = {
    part: said
    for parts, said in (
        ("清晨 凌晨 早上 早晨 上午", " a.m."),
        ("下午 傍晚 晚上", " p.m."),
        ("中午", " noon"),
        ("夜里 深夜", " at night"),
    )
    for part in parts.split()
}
_FRACTION = re.compile(
    rf"(?<!百)(?P<under>[{_HAN}百千万]{{1,2}}|\d+)分之(?P<over>[{_HAN}]{{1,2}}|\d+)"
)
_NTH = re.compile(rf"第(\d{{1,4}}|[{_HAN}]{{1,3}})")
_MONTHS = re.compile(r"(?<!\d)(1[0-2]|[1-9])月?[-~–—至到](1[0-2]|[1-9])月")
_BEFORE = (
    (re.compile("(?:超过|超|逾|突破|多达|高达)$"), "over "),
    (re.compile("(?:大约|约|将近|接近|近)$"), "about "),
    (re.compile("(?:不足|不到|低于)$"), "under "),
    (re.compile("至少$"), "at least "),
    (re.compile("(?:最多|至多)$"), "at most "),
)
_AFTER = (
    (re.compile("以上|多(?=[，。；、]|$)"), "{} or more"),
    (re.compile("以下|以内"), "{} or less"),
    (re.compile("左右|上下"), "about {}"),
)
_SINGLE = re.compile(
    rf"(?<![{_HAN}百千万亿几数第两])(?:(?<![下进这那每哪上另同统唯单专其之])一|[二三四五六七八九两十])"
)
_NO_UNIT = re.compile(
    "人[民员口大均才]|年[级度轻]|家[庭乡长里]|层次|位[于置]|名[额字单]|级别|方[案式]|个[人别]|次[年日]|期[间限]"
    "|场[所地合]|本[地报人]|大[学部家会]|支[持部]|所[有长在]|部[门分]|件事|天然|门[口前]|头发|口[号碑]|点[多半]|对于|字[镇路]"
)
_SESSION = re.compile("届|次(?:全体|常委会|常务|主席|会议|全会|大会)")  # 十二届六次会议
_LATIN = re.compile("[A-Za-z]")
_COUNTER, _NUMBERED = "-", "No."
_LONGEST_UNIT = 4


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that stands at `start:end` of the text.

    `counts` says what it leaves for the next word to say: "one" or "many" of it, or nothing;
    `alone` is its text where no such word follows.
    """

    start: int
    end: int
    text: str
    counts: str = ""
    alone: str = ""


def figures(plain: str) -> list[Figure]:
    """The figures of normalised Chinese text, in reading order; none overlap."""
    found: list[Figure] = []
    end = 0
    for figure in sorted(_all(plain), key=lambda each: (each.start, -each.end)):
        if figure.start >= end:
            found.append(figure)
            end = figure.end
    return found


def _all(plain: str) -> Iterator[Figure]:
    yield from (Figure(m.start(), m.end(), _date(m)) for m in _DATE.finditer(plain))
    yield from (Figure(m.start(), m.end(), _time(m)) for m in _TIME.finditer(plain) if _is_time(m))
    for match in _FRACTION.finditer(plain):
        over, under = _small(match["over"]), _small(match["under"])
        if over and under:
            yield Figure(match.start(), match.end(), f"{over}/{under}")
    for match in _NTH.finditer(plain):
        if number := _small(match[1]):
            yield _nth(plain, match.start(), match.end(), int(number))
    for match in _MONTHS.finditer(plain):
        first, last = (numbers.MONTHS[int(match[i]) - 1].capitalize() for i in (1, 2))
        yield Figure(match.start(), match.end(), f"{first}–{last}")
    for numeral in numbers.numerals(plain):
        if _LATIN.search(plain[max(0, numeral.start - 1) : numeral.end + 1]):
            continue  # 5G
        value = float(numeral.value)
        percent = numeral.unit == "percent"
        yield _figure(plain, numeral.start, numeral.end, value, is_percent=percent)
    for match in _SINGLE.finditer(plain):
        value = float(_small(match[0]) or 0)
        if _unit(plain, match.end())[0]:
            yield _figure(plain, match.start(), match.end(), value)


def _date(match: re.Match[str]) -> str:
    if only := match["only"]:
        return _PARTS.get(match["end"] or "", "end of " if match["end"] else "") + _year(only)
    if match["alone"]:
        return f"the {_ordinal(int(match['alone']))}"
    month = numbers.MONTHS[int(_small(match["month"]) or 1) - 1].capitalize()
    day = f" {_small(match['day'])}" if match["day"] else ""
    part = match["part"] or ""
    year = f"{',' if day else ''} {_year(match['year'])}" if match["year"] else ""
    return _PARTS.get(part[:1], "end of " if part else "") + month + day + year


def _year(text: str) -> str:
    return "".join(_small(char) for char in text)


def _is_time(match: re.Match[str]) -> bool:
    """Whether it is the time of day rather than three points (三点建议)."""
    return bool(match["daypart"] or match["minute"] or match["sharp"])


def _time(match: re.Match[str]) -> str:
    said = match["minute"] or ""
    minute = 30 if said == "半" else int(_small(said.rstrip("分").lstrip("零〇")) or 0)
    return f"{_small(match['hour'])}:{minute:02}{_DAYPARTS.get(match['daypart'] or '', '')}"


def _figure(plain: str, start: int, end: int, value: float, *, is_percent: bool = False) -> Figure:
    """A number with what is said before it, behind it and of its unit."""
    is_more = plain[end : end + 1] in ("多", "余")
    end += is_more
    is_more = is_more or any(c in plain[start:end] for c in "多余")
    if _SESSION.match(plain, end):
        return _nth(plain, start, end, int(value))
    unit, size = ("%", 0) if is_percent else _unit(plain, end)
    end += size
    if size and unit[0] != _COUNTER and plain[end : end + 1] == "半":
        value, end = value + 0.5, end + 1
    text, counts, alone = _measured(value, unit)
    start, before = _before(plain, start, "over " if is_more else "")
    end, behind = _behind(plain, end)
    text = text or (f"{value:g}" if before else "")
    text, alone = (behind.format(before + each) if each else "" for each in (text, alone))
    return Figure(start, end, text, counts, alone)


def _measured(value: float, unit: str) -> tuple[str, str, str]:
    """A number and its unit: `text`, `counts` and `alone` of the figure."""
    one, _, many = unit.partition("/")
    number = f"{value:g}" if unit == "%" else _number(value)
    if unit == "%":
        return f"{number}%", "", f"{number}%"
    if not unit:
        year = number.replace(",", "") if 1900 <= value < 2100 else number
        return year, "", year
    if one == _NUMBERED:
        return f"{one} {number}", "", f"{one} {number}"
    if one != _COUNTER:
        said = f"{number} {one if value <= 1 else many}"
        return said, "", said
    if value == 1:
        return "", "one", "1 person" if many else ""
    return number, "many", f"{number} {many}".rstrip()


def _before(plain: str, start: int, said: str) -> tuple[int, str]:
    """Where a figure begins with what limits it, and that in English."""
    for pattern, words in _BEFORE:
        if match := pattern.search(plain[max(0, start - 2) : start]):
            return start - len(match[0]), words
    return start, said


def _behind(plain: str, end: int) -> tuple[int, str]:
    """Where a figure ends with what limits it, and that as a template."""
    for pattern, words in _AFTER:
        if match := pattern.match(plain, end):
            return match.end(), words
    return end, "{}"


def _nth(plain: str, start: int, end: int, number: int) -> Figure:
    unit, size = _unit(plain, end)
    one = unit.partition("/")[0]
    said = f" {one}" if one not in ("", _COUNTER, _NUMBERED, "time", "session") else ""
    return Figure(start, end + size, _ordinal(number) + said)


def _unit(plain: str, at: int) -> tuple[str, int]:
    """The unit that stands at `at`, as one/many, and how many characters it is long."""
    if _NO_UNIT.match(plain, at):
        return "", 0
    for size in range(_LONGEST_UNIT, 0, -1):
        unit = _units().get(plain[at : at + size])
        if unit and len(plain) >= at + size:
            return unit, size
    return "", 0


def is_counter(word: str) -> bool:
    """Whether a word only stands between a number, or this and each, and what is counted."""
    return _units().get(word, "").startswith(_COUNTER)


@lru_cache(maxsize=1)
def _units() -> dict[str, str]:
    lines = paired_lines("units.tsv")
    return {word: f"{one}/{many}" if many else one for one, many, words in lines for word in words}


def _number(value: float) -> str:
    for power, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= power:
            return f"{value / power:.6g} {name}"
    return f"{value:,.10g}"


def _ordinal(number: int) -> str:
    last = number % 10 if not 10 < number % 100 < 14 else 0
    return f"{number:,}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def _small(text: str) -> str:
    """The value of a number below a hundred; empty if it is none."""
    if text.isdigit() and text.isascii():
        return str(int(text))
    ones = {char: i for i, char in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
    tens, ten, rest = text.rpartition("十")
    if not ten:
        return str(ones[text]) if text in ones else ""
    if any(part and part not in ones for part in (tens, rest)):
        return ""
    return str(10 * ones.get(tens, 1) + ones.get(rest, 0))
