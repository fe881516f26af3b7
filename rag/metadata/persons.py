"""Who is named in an article, with which office: the people table, by plain rules.

The byline's reporters, the names that stand in the text (fullnames.py), lists of them, and the
office around each (offices.py), or the headline's. Does not cover names in other scripts than
Chinese, nor whether two articles mean the same person.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rag.layout.blocks import CJK
from rag.layout.habits import SURNAMES
from rag.metadata.fullnames import DOTTED, Read, by_words, names_in
from rag.metadata.offices import ends_with_one, office_around, organisation_of
from rag.metadata.places import Place, place_of
from rag.types import Article

_LIST = re.compile(
    rf"((?:[{CJK}]{{2,4}}、){{0,6}}[{CJK}]{{2,4}}?)等?\d{{0,4}}[多余两三四五六七八九十]?[名位个]([{CJK}]{{2,10}}?)(?![{CJK}]{{0,2}}员)"
)
_REPORTER = re.compile(
    r"((?:本报|本刊|本网|新华社|特约|见习|实习|首席)*(?:记者|通讯员|评论员|实习生|摄影))[：:\s]*"
)
_NO_REPORTER = frozenset(
    ("整理", "摄", "文并摄", "报道", "摄影报道", "综合", "综合报道", "供图", "采写")
)


@dataclass(frozen=True, slots=True)
class Person:
    """A name in an article: `article.text[start:end] == name`, or both are -1 for the byline.

    `office` is as written (市政协常委), "" where the text gives none; `organisation` is what it is
    of, with the place that the article is about where the text leaves it out (朝阳市政协), or "".
    """

    name: str
    office: str
    organisation: str
    start: int
    end: int


def people_of(article: Article) -> tuple[Person, ...]:
    """The people of an article and their offices, each name once, in the order of the text."""
    headed = {person.name: person.office for person in _named(Read.of(article.title))}
    read = Read.of(article.text, frozenset(headed))
    found: dict[str, Person] = {}
    for person in (*_of_byline(article.byline), *_reporters(read.text), *_named(read)):
        known = found.get(person.name)
        if known is None or (len(person.office) > len(known.office) and known.start >= 0):
            found[person.name] = person
    for name in headed.keys() & found.keys():
        if not found[name].office:
            office = headed[name]
            found[name] = replace(found[name], office=office, organisation=organisation_of(office))
    place = place_of(article)
    people = (_at_home(person, place) for person in found.values())
    return tuple(sorted(people, key=lambda person: (person.start < 0, person.start)))


def _at_home(person: Person, place: Place) -> Person:
    """With 市政协 as 朝阳市政协 where the article is about 朝阳市; a bare 镇 is none."""
    organisation = person.organisation
    homes = (place.county, place.city, place.province)
    home = next((name for name in homes if name and name[-1] == organisation[:1]), "")
    if home and organisation[:2] not in ("市场", "区块", "区域", "州际"):
        organisation = home[:-1] + organisation
    is_named = len(organisation) > 2 or organisation in ("政协", "人大")
    return replace(person, organisation=organisation if is_named else "")


def spans(text: str) -> list[tuple[int, int]]:
    """Where a text names people, in its order; no two overlap."""
    read = Read.of(text)
    found = {span for span, _ in names_in(read)}
    found |= {(one.start, one.end) for one in (*_reporters(text), *_listed(read))}
    kept: list[tuple[int, int]] = []
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


# --- reporters -----------------------------------------------------------------------------------


def _of_byline(byline: str) -> Iterator[Person]:
    """Those of the byline."""
    _, *parts = _REPORTER.split(byline)
    for office, names in zip(parts[::2], parts[1::2], strict=True):
        for name in re.findall(rf"{DOTTED.pattern}|[{CJK}]{{2,4}}", names):
            if name in _NO_REPORTER:
                continue
            yield Person(name, office, "", -1, -1)


def _reporters(text: str) -> Iterator[Person]:
    """（记者 秦朗 通讯员 方晓棠）: a blank parts name and office."""
    for match in _REPORTER.finditer(text):
        at = match.end()
        while at and text[at - 1] in "：: \u3000、":
            name = re.compile(rf"({DOTTED.pattern}|[{CJK}]{{2,4}})(?![{CJK}·])").match(text, at)
            if not name or _REPORTER.match(text, at) or name[1] in _NO_REPORTER:
                break
            yield Person(name[1], match[1], "", at, name.end())
            at = name.end() + 1


# --- names and offices in the text ---------------------------------------------------------------


def _named(read: Read) -> Iterator[Person]:
    """Those in the text, each with each office that it has somewhere."""
    text = read.text
    heads = dict(names_in(read))
    for name in dict.fromkeys(text[start:end] for start, end in heads):
        for match in re.finditer(re.escape(name), text):
            head = heads.get(match.span())
            office = office_around(text, match.start() if head is None else head, match.end())
            if office or head is not None:
                yield Person(name, office, organisation_of(office), *match.span())
    yield from _listed(read)


def _listed(read: Read) -> Iterator[Person]:
    """李建国、何广要等5名委员; 界别的白露、石磊等5位委员, where 白露 begins behind 的."""
    for match in _LIST.finditer(read.text):
        first, *others = match[1].split("、")
        starts = range(len(first) - 1 if others else 0)
        cut = next((i for i in starts if _may_begin(read, match.start(1) + i)), 0)
        names = [first[cut:], *others]
        if not ends_with_one(match[2]) or any(name[0] not in SURNAMES for name in names):
            continue
        at = match.start(1) + cut
        for name in names:
            if len(name) < 4 and by_words(read, at, at + len(name)) >= 1.0:
                yield Person(name, match[2], "", at, at + len(name))
            at += len(name) + 1


def _may_begin(read: Read, at: int) -> bool:
    """Whether a word begins here that may be a name."""
    return at in read.words and read.text[at] in SURNAMES
