"""Numbers as newspapers write them: 1.7万, 2万多, 二十三, 百分之三十, 七成, 3.2 million.

Every notation has one value, so that 1.7万 meets 17,000. Does not cover fractions (三分之一), nor
how near a number is (近, about), nor small numbers in English words, which are words.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MONTHS = (
    "january february march april may june july august september october november december"
).split()
_ONES = "one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SMALL = {word: str(i + 1) for i, word in enumerate([*_ONES, *_TEENS[:3]])}
_WORTH = (
    {word: i + 1 for i, word in enumerate([*_ONES, *_TEENS])}
    | {word: 10 * (i + 2) for i, word in enumerate(_TENS)}
    | {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
)
_DIGITS = {digit: i + 1 for i, digit in enumerate("一二三四五六七八九")} | {"两": 2, "半": 0.5}
_SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
_MAX_DIGITS = 40  # longer ones are no numbers, and would overflow a float

ARABIC = r"\d[\d,]*(?:\.\d+)?"
_SCALE = r"(?:[十百千]?万亿|[十百千]?[万亿]|千(?![克米瓦卡赫伏帕升分])|百(?![分货姓]))"
_HAN = "零〇一二三四五六七八九十百千万亿两"
_ONE_HAN = "[一二三四五六七八九两]"
_NUMERAL = re.compile(
    rf"""百分之(?P<share>\d+(?:\.\d+)?|[{_HAN}点]+)
    |(?<![{_HAN}几])(?P<whole>{_ONE_HAN})成(?P<part>[一二三四五六七八九半])?
     (?=[多以左，、。的为是和至到]|$)
    |(?P<scaled>{ARABIC}[ ]?[多余来几]?{_SCALE}(?:{ARABIC}{_SCALE})*)[多余来]?
    |(?P<arabic>{ARABIC})
     (?:(?:st|nd|rd|th)\b|[ ](?P<power>hundred|thousand|(?:m|b|tr)illion)\b)?
    |(?<![几数好{_HAN}])(?P<han>(?:{_ONE_HAN}|十)[{_HAN}]+)(?:[多余来](?P<more>[万亿])?)?
    |\b(?P<words>(?:{"|".join(_TENS)})(?:[ -](?:{"|".join(_ONES)})\b)?|{"|".join(_TEENS + _ONES)})
     (?:[ ](?P<times>hundred|thousand|(?:m|b|tr)illion))?\b""",
    re.X,
)
_PERCENT = re.compile(r" ?(?:%|per ?cent\b)")
_COUNTED = re.compile(
    rf"(?<![{_HAN}几数第])(?:{_ONE_HAN}|十)(?=[个家名位条项次年月天届期岁人种类大座所支])"
)


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number that stands at `start:end` of normalised text.

    `is_plain` says that it is written in Arabic digits, without a scale.
    """

    start: int
    end: int
    value: str
    unit: Literal["", "percent", "月"] = ""
    is_plain: bool = False

    @property
    def spelling(self) -> str:
        """How written text has it."""
        return f"#{self.value} {self.unit}".strip()


def numerals(plain: str) -> Iterator[Numeral]:
    """The numbers of normalised text in reading order, but for those that `counted` gives."""
    for match in _NUMERAL.finditer(plain):
        if (worth := _worth(match)) is None:
            continue
        percent = _PERCENT.match(plain, match.end())
        end = percent.end() if percent else match.end()
        if percent or match["share"] or match["whole"]:
            yield Numeral(match.start(), end, worth, "percent", match["arabic"] is not None)
        else:
            unit: Literal["", "月"] = "月" if plain[end : end + 1] == "月" else ""
            is_plain = match["arabic"] is not None and match["power"] is None
            yield Numeral(match.start(), end, worth, unit, is_plain)


def counted(plain: str) -> Iterator[Numeral]:
    """Single Chinese digits that count something: 三 of 三家."""
    for match in _COUNTED.finditer(plain):
        value = str(_DIGITS.get(match[0], 10))
        unit: Literal["", "月"] = "月" if plain[match.end()] == "月" else ""
        yield Numeral(match.start(), match.end(), value, unit)


def value(number: float) -> str:
    """A number as written text has it."""
    return f"{number:g}" if number < 1e6 else str(int(number))


def arabic(digits: str) -> float:
    """The value of Arabic digits with commas."""
    return float(digits.replace(",", "")[:_MAX_DIGITS])


def _worth(match: re.Match[str]) -> str | None:
    """The value of what was found; None for what only looks like a number: 九三学社."""
    number: float | None
    if match["arabic"]:
        number = arabic(match["arabic"]) * _WORTH.get(match["power"], 1)
    elif match["scaled"]:
        number = _scaled(match["scaled"])
    elif match["words"]:
        number = _in_words(match["words"], match["times"])
    elif match["whole"]:
        number = 10 * (_DIGITS[match["whole"]] + _DIGITS.get(match["part"], 0) / 10)
        number += 4.5 if match["part"] == "半" else 0
    elif share := match["share"]:
        number = arabic(share) if share[0].isdigit() else _han(share)
    else:
        number = _han(match["han"])
        number = number and number * _SCALES.get(match["more"], 1)
    return None if number is None else value(float(f"{number:.4f}"))


def _scaled(text: str) -> float:
    """1.7万 is 17000, 1亿2000万 the sum."""
    total = 0.0
    for digits, scales in re.findall(rf"({ARABIC})[ 多余来几]*([十百千万亿]+)", text):
        part = arabic(digits)
        for scale in scales:
            part *= _SCALES[scale]
        total += part
    return total


def _in_words(text: str, power: str | None) -> float | None:
    if power is None and text in SMALL:
        return None
    return sum(_WORTH[word] for word in re.split("[ -]", text)) * _WORTH.get(power or "", 1)


def _han(text: str) -> float | None:
    """The value of a Chinese numeral, None if it isn't one."""
    whole, point, part = text.partition("点")
    if point:
        number, decimals = _han(whole), "".join(str(_DIGITS.get(c, 0)) for c in part)
        return None if number is None or not decimals else number + float(f"0.{decimals}")
    if re.fullmatch(r"[一二][零〇一二三四五六七八九]{3}", text):  # a year
        return float("".join(str(_DIGITS.get(c, 0)) for c in text))
    for scale in "亿万":
        if scale in text:
            head, _, rest = text.rpartition(scale)
            return _sum(_han(head), _SCALES[scale], rest)
    return _below_ten_thousand(text)


def _sum(head: float | None, scale: int, rest: str) -> float | None:
    """How much a head of 万 or 亿 and what follows it are: 两万五 is 25000."""
    if head is None:
        return None
    if rest in _DIGITS:
        return head * scale + _DIGITS[rest] * scale / 10
    tail = _han(rest.lstrip("零〇")) if rest else 0
    return None if tail is None else head * scale + tail


def _below_ten_thousand(text: str) -> float | None:
    match = re.fullmatch(
        rf"(?:({_ONE_HAN})千)?零?(?:({_ONE_HAN})百)?零?(?:({_ONE_HAN})?(十))?[零〇]?({_ONE_HAN})?",
        text,
    )
    if not text or match is None:
        return None
    thousands, hundreds, tens, ten, ones = match.groups()
    total = 1000 * _DIGITS.get(thousands, 0) + 100 * _DIGITS.get(hundreds, 0)
    total += 10 * _DIGITS.get(tens, 1) if ten else 0
    last = _DIGITS.get(ones, 0)
    if ones and not ten and text[-2:-1] in ("百", "千"):
        last *= _SCALES[text[-2]] / 10  # 三百五 is 350
    return total + last
