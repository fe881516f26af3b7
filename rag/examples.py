"""Example questions made of what is indexed, each answered by an article of it.

They ask what the newest articles plainly say: what somebody or the members of a district proposed,
how many of a thing there are, which figures an article gives; else what it reports. Nothing is
searched: that they are answered is a test's business.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rag.records import Records
from rag.types import Article, Language
from rag.words import names

Kind = Literal["proposal", "members", "said", "how_many", "proposals", "figures", "title"]

MAX_CHARS = 60
_ARTICLES = 3  # looked at for each question that is wanted
_READ = 2_500  # characters of an article's beginning
_TITLE_CHARS = 28
_RUN = re.compile(r"[㐀-鿿]+")
_PROPOSES = "(?:则|还|也)?(?:建议|提议|主张|呼吁|提出，)"
_SAYS = "(?:则|还|也)?(?:说|介绍|认为|解释)"
_MEMBERS_PROPOSE = re.compile(r"委员们?(?:一致|纷纷|还)?(?:建议|提议|呼吁|提出)")
_FIGURES = 6  # so many make an article that gives figures
_FAR = re.compile("新疆|西藏|内蒙古|自治[州县]")  # whose names are said otherwise than in pinyin
_COUNT = re.compile(
    r"(?P<place>[㐀-鿿]{2,3}[区县])(?:现|共|目前)?有(?P<thing>(?![关些个人])[㐀-鿿]{2,12}?)"
    r"\d[\d.,]*[万亿]?多?(?P<unit>[个家所处座名])(?=[，。,；])"
)
_WORDS: dict[Language, dict[Kind, str]] = {
    "en": {
        "proposal": "What did {} propose?",
        "members": "What did the members in {} propose?",
        "proposals": "What is proposed in “{}”?",
        "figures": "Which figures does “{}” give?",
        "title": "What does “{}” report?",
    },
    "zh": {
        "proposal": "{}提出了什么建议？",
        "members": "{}的政协委员提了哪些建议？",
        "said": "{}说了什么？",
        "how_many": "{}有多少{}{}？",
        "title": "《{}》讲了什么？",
    },
}


@dataclass(frozen=True, slots=True)
class Example:
    """A question, and the article that it was made of."""

    text: str
    kind: Kind
    article_id: str


def examples(records: Records, language: Language, count: int) -> list[str]:
    """Up to `count` questions of up to 60 characters, the same for the same index."""
    return [example.text for example in found(records, language, count)]


def found(records: Records, language: Language, count: int) -> list[Example]:
    """As `examples`, with what each was made of: one an article, the newest first, kinds mixed."""
    chosen: list[Example] = []
    asked: set[str] = set()
    kinds: Counter[Kind] = Counter()
    for article in records.latest(_ARTICLES * count):
        possible = [each for each in _possible(article, language) if each.text not in asked]
        if possible and len(chosen) < count:
            best = min(possible, key=lambda each: (each.kind == "title", kinds[each.kind]))
            kinds[best.kind] += 1
            asked.add(best.text)
            chosen.append(best)
    return chosen


def _possible(article: Article, language: Language) -> Iterator[Example]:
    """What can be asked about an article, the telling questions first."""
    facts = _in_english(article) if language == "en" else _facts(article)
    for kind, values in (*facts, *_about_title(article)):
        if words := _WORDS[language].get(kind):
            text = words.format(*values)
            if len(text) < MAX_CHARS:
                yield Example(text, kind, article.article_id)


def _facts(article: Article) -> Iterator[tuple[Kind, Sequence[str]]]:
    """What an article's text tells, and the Chinese words to ask for it."""
    text = article.text[:_READ]
    people = _people(text)
    yield from (("proposal", [name]) for name in people if re.search(name + _PROPOSES, text))
    place = _place(f"{article.title}\n{article.subtitle}\n{text[:300]}")
    if place and _MEMBERS_PROPOSE.search(text):
        yield "members", [place]
    if (match := _COUNT.search(text)) and match["place"] == place:
        yield "how_many", [place, match["unit"], match["thing"]]
    known = (name for name in people if text.count(name) > 1)
    yield from (("said", [name]) for name in known if re.search(name + _SAYS, text))


def _in_english(article: Article) -> Iterator[tuple[Kind, Sequence[str]]]:
    """As `_facts`, with names as English has them; a person is somebody named more than once."""
    if _FAR.search(article.text):
        return
    for kind, (name, *_) in _facts(article):
        if kind == "proposal" and article.text.count(name) > 1:
            yield kind, [names.in_pinyin(name, is_person=True)]
        elif kind == "members":
            area = "District" if name[-1] == "区" else "County"
            plain = names.without_suffix(name)
            yield kind, [f"{names.in_pinyin(plain, is_person=False)} {area}"]


def _about_title(article: Article) -> Iterator[tuple[Kind, Sequence[str]]]:
    title = " ".join(article.title.split())
    if not title:
        return
    short = title if len(title) <= _TITLE_CHARS else f"{title[:_TITLE_CHARS]}…"
    if re.search(_PROPOSES, article.text):
        yield "proposals", [short]
    if len(re.findall(r"\d+", article.text)) >= _FIGURES:
        yield "figures", [short]
    yield "title", [short]


def _people(text: str) -> list[str]:
    """The people of a text, the most often named first."""
    named = Counter(
        name
        for run in _RUN.findall(text)
        for _, name in names.in_chinese(run, names.segmented(run))
        if len(name) == 3 and not names.is_place(name)
    )
    return [name for name, _ in named.most_common()]


def _place(text: str) -> str:
    """The first district or county that is named, or nothing."""
    for run in _RUN.findall(text):
        for _, name in sorted(names.in_chinese(run, names.segmented(run))):
            if len(name) > 2 and name[-1] in "区县" and name[0] not in "省市区县":
                return name
    return ""
