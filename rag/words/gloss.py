"""What a quote in another language speaks of: one line for whom can't read it, no translation.

Figures, names with their office, and the words that carry the matter, in the order of the quote:
"Yanta District CPPCC chairman He Wenbo propose · data sharing". Words are taken one by one from the
glossary; grammar, and much that only binds words, is left out. Does not cover what a word is called
(glossary.py), how a name is spelled (names.py), nor figures (figures.py).
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from rag.metadata import persons
from rag.metadata.offices import is_title
from rag.types import Language
from rag.words import chinese_gloss, names
from rag.words.figures import Figure, figures, is_counter
from rag.words.glossary import Glossary, Said, simplified
from rag.words.names import Word

Kind = Literal["figure", "place", "name", "word", "act", "small", "not", "link", "break"]

_MAX_CHARS = 1_000  # of a quote; what stands behind is not glossed
_SHORT, _WORDS, _MORE = 60, 24, 0.12  # words for up to so many characters; for each one more
_MOST = 40  # words of any gloss: what can be read at a glance
_LONG_PART = 7  # words after which a verb or name begins a new part
_RUN = re.compile(r"[㐀-鿿]+|[0-9]*[A-Za-z][A-Za-z0-9+-]*|[、，,；;。！？!?：:（）()《》\n—…]")
_CHINESE = re.compile(r"[㐀-鿿]")
_HIDDEN = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u00ad\ud800-\udfff]")
_NOTHING = "-"
_DONE = frozenset("了过掉")  # what stands before them is an act: 花了 is spend, no flower
_SPEAKER = re.compile(r"[员长席任人表家者记授师们众民方他她我组会协]$")
_ADDRESSED = frozenset(
    "先生 女士 小姐 奶奶 爷爷 大爷 大妈 大娘 大叔 大姐 大哥 大伯 大婶 阿姨 叔叔 师傅".split()
)
_BEFORE_TITLES = frozenset("任向于连应单全双时关包查谈祝成管")  # surnames that 任校长 has not
# What stands in no name, or hardly.
_BINDS = frozenset(
    "们也还又都就则一二三是的在和与从由对把被将给为向到等以因于不没这那其各全每某之现随"
)
_AREAS = dict(
    pair.split("=")
    for pair in "省= 市= 区=District 县=County 旗=Banner 镇=Town 乡=Township 村=Village".split()
)
_AREA = re.compile(
    r" (?:Province|City|Municipality|District|County|Township|Prefecture|New Area)\b.*$"
)
_LONGEST = 8  # characters of our own words
_NEGATIONS = frozenset(["not", "without", "cannot", "must not"])
_WEIGHTS: dict[Kind, float] = {"small": 0.5, "act": 1.8, "word": 2.0}  # what isn't here stays
_PER_WORD = 0.3  # less for each word more
_BESIDE = 1.0  # more beside what stays: 134 greenhouses
_STAY = ("figure", "name", "place")
_LIGHT = frozenset(
    "is has do make give use become can come go let see say want to from by for with than about all"
    " most more only also at".split()
)
_PLURALS = {"person": "people", "man": "men", "woman": "women", "child": "children"}
_UNCOUNTED = frozenset(
    "staff money equipment information data work water land aid advice furniture rice tea people"
    " elderly police cattle personnel housing news fish sheep grass salt garbage".split()
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """English for a stretch of the quote.

    `figure` counts the words behind it; `thing` is what an act is called where it is counted.
    """

    text: str
    kind: Kind
    figure: Figure | None = None
    thing: str = ""


_BREAK = _Piece("", "break")


def is_needed(quote: str, language: Language) -> bool:
    """Whether a quote is in another language."""
    return bool(_CHINESE.search(quote)) != (language == "zh")


def line(quote: str, language: Language, glossary: Glossary) -> str:
    """A gloss for whom reads `language` only; empty if the quote is in it, or says nothing.

    Parts between " · ", of letters, digits and a few signs only, so that no markup or marker can
    stand in it.
    """
    if not is_needed(quote, language):
        return ""
    return chinese_gloss.line(quote, glossary) if language == "zh" else _english(quote, glossary)


def _english(quote: str, glossary: Glossary) -> str:
    """At most 24 words for 60 characters, some more for longer ones."""
    plain = _HIDDEN.sub("", simplified(unicodedata.normalize("NFKC", quote[:_MAX_CHARS])))
    pieces = _done(list(_pieces(plain, glossary)))
    most = min(_MOST, _WORDS + round(_MORE * max(0, len(plain) - _SHORT)))
    parts = (_said(part) for part in _parts(_shortened(pieces, most)))
    return chinese_gloss.BETWEEN.join(dict.fromkeys(part for part in parts if part))


# --- a quote as pieces ----------------------------------------------------------------------------


def _pieces(plain: str, glossary: Glossary) -> Iterator[_Piece]:
    at = 0
    for start, end, piece in _sure(plain, glossary):
        yield from _between(plain[at:start], glossary)
        if piece.text or (piece.figure and piece.figure.counts):
            yield piece
        at = end
    yield from _between(plain[at:], glossary)


def _sure(plain: str, glossary: Glossary) -> list[tuple[int, int, _Piece]]:
    """People of whom the text says that they are, and figures, and where; 张一帆 holds no 1."""
    people = [
        (start, end, _Piece(_person(plain[start:end], glossary), "name"))
        for start, end in persons.spans(plain)
    ]
    inside = {at for start, end, _ in people for at in range(start, end)}
    counted = [
        (figure.start, figure.end, _Piece(figure.text, "figure", figure))
        for figure in figures(plain)
        if inside.isdisjoint(range(figure.start, figure.end))
    ]
    return sorted([*people, *counted], key=lambda each: each[0])


def _done(pieces: Sequence[_Piece]) -> list[_Piece]:
    """The pieces with an act behind an act as the thing that is done: finish renovation."""
    return [
        replace(piece, text=piece.thing, kind="word")
        if piece.thing and i and pieces[i - 1].kind == "act"
        else piece
        for i, piece in enumerate(pieces)
    ]


def _between(text: str, glossary: Glossary) -> Iterator[_Piece]:
    """The pieces of text without figures."""
    for match in _RUN.finditer(text):
        if _CHINESE.match(match[0]):
            yield from _run(match[0], glossary)
        elif match[0][0].isalnum():
            yield _Piece(match[0][:24], "name")
        else:
            yield _Piece(",", "link") if match[0] == "、" else _BREAK


def _run(run: str, glossary: Glossary) -> Iterator[_Piece]:
    """The pieces of a run of Chinese: its names, and the words between them."""
    words = names.segmented(run)
    at, actor = 0, False
    for start, name, piece in _named(run, words, glossary):
        if start >= at:
            yield from _words(run, _within(words, at, start), glossary, actor)
            yield piece
            at, actor = start + len(name), piece.kind == "name"
    yield from _words(run, _within(words, at, len(run)), glossary, actor)


def _set_phrases(run: str, glossary: Glossary) -> Iterator[tuple[int, str]]:
    """Our own words of three characters and more, which the segmenter may cut: 区民政局."""
    end = 0
    for start in range(len(run) - 2):
        for size in range(_LONGEST, 2, -1):
            word = run[start : start + size]
            if start >= end and len(word) == size and glossary.said_by_us(word):
                yield start, word
                end = start + size


def _within(words: Sequence[Word], start: int, end: int) -> list[Word]:
    """The words that stand between two places, those that lie across cut."""
    found = []
    for at, word, tag in words:
        cut = word[max(0, start - at) : max(0, end - at)]
        if cut:
            found.append((max(at, start), cut, tag))
    return found


def _named(run: str, words: Sequence[Word], glossary: Glossary) -> list[tuple[int, str, _Piece]]:
    """The names of a run, and where; of two that begin together the longer first."""
    found = [
        (start, word, piece)
        for start, word in _set_phrases(run, glossary)
        if (said := glossary.said_by_us(word))
        for piece in _word(word, "n", said, is_said=_may_act(run, start))
    ]
    for start, name in {*names.in_chinese(run, words), *_styled(words)}:
        if not names.is_place(name):
            if not _is_common(name, glossary):
                found.append((start, name, _Piece(_person(name, glossary), "name")))
        elif name in names.places() or _is_sound(start, name, words, glossary):
            found.append((start, name, _Piece(_place(name, glossary), "place")))
    return sorted(found, key=lambda each: (each[0], -len(each[1])))


def _styled(words: Sequence[Word]) -> Iterator[tuple[int, str]]:
    """A surname with a title: 许医生."""
    for (start, word, _), (_, title, _) in pairwise(words):
        is_surname = names.may_be_surname(word) and word not in _BEFORE_TITLES
        if is_surname and (is_title(title) or title in _ADDRESSED):
            yield start, word + title


def _person(name: str, glossary: Glossary) -> str:
    """A person as English has them: He Wenbo, Mr. Meng."""
    called = glossary.said_by_us(name[1:])
    if called and (is_title(name[1:]) or name[1:] in _ADDRESSED):
        return f"{called.thing} {names.in_pinyin(name[0], is_person=True)}"
    return names.in_pinyin(name, is_person=True)


def _is_common(name: str, glossary: Glossary) -> bool:
    """Whether it is a word that looks like a name, or begins with one: 祝贺信."""
    said = glossary.said(name)
    if said or is_title(name[1:]):
        return said is not None and not said.is_name
    begun = glossary.said(name[:2])
    return begun is not None and not begun.is_name and names.is_in_dictionary(name[:2])


def _is_sound(start: int, name: str, words: Sequence[Word], glossary: Glossary) -> bool:
    """Whether what ends like a place holds no word that a place's name can't: 因煤立区."""
    said = glossary.said(name)
    if said:
        return said.is_name
    if not _BINDS.isdisjoint(name[:2]):
        return False
    within = [(word, tag) for at, word, tag in words if start <= at < start + len(name) - 1]
    return all(
        tag[0] not in "pcdurvm" and not (len(word) > 1 and (k := glossary.said(word)) and k.is_ours)
        for word, tag in within
    )


def _place(name: str, glossary: Glossary) -> str:
    """A place with the kind it is of: Yanta District."""
    said = glossary.said(name)
    if name in names.places() and said and said.is_name:
        return _proper(said.thing)
    if said and said.is_ours:
        return said.thing.title() if said.thing.islower() else said.thing
    stem = name[:-1] if len(name) > 2 and name[-1] in _AREAS else name
    known = glossary.said(stem)
    proper = (
        _proper(known.thing) if known and known.is_name else names.in_pinyin(stem, is_person=False)
    )
    area = _AREAS.get(name[len(stem) :], "")
    return f"{proper} {area}".rstrip() if not proper.endswith(area) or not area else proper


def _proper(name: str) -> str:
    """A place's name without its kind, and an autonomous one without whose it is."""
    return name.split(maxsplit=1)[0] if "Autonomous" in name else _AREA.sub("", name)


def _words(run: str, words: Sequence[Word], glossary: Glossary, actor: bool) -> Iterator[_Piece]:
    """The pieces of words; `actor` says that a person's name stands before them."""
    at = 0
    while at < len(words):
        size, said = _longest(words, at, glossary)
        start = words[at][0]
        word = "".join(word for _, word, _ in words[at : at + size])
        tag = words[at + size - 1][2]
        if said:
            behind = words[at + size][1] if at + size < len(words) else ""
            if behind in _DONE and said.act:
                yield from _word(word, tag, replace(said, thing=""))
            elif not (at and words[at - 1][2] == "r" and is_counter(word)):
                is_said = (actor and at == 0) or _may_act(run, start)
                yield from _word(word, tag, said, is_said=is_said)
        elif len(word) > 1:
            yield from _unknown(word, tag, glossary)
        at += size


def _may_act(run: str, start: int) -> bool | None:
    """Whether one who acts stands before a word; None if that can't be told."""
    if run[:start].endswith("的"):
        return False
    return start == 0 or bool(_SPEAKER.search(run[:start])) or None


def _longest(words: Sequence[Word], at: int, glossary: Glossary) -> tuple[int, Said | None]:
    """How many words from here on are known as one, and what they are called."""
    for size in range(min(4, len(words) - at), 1, -1):
        word = "".join(word for _, word, _ in words[at : at + size])
        if said := glossary.said_by_us(word):
            return size, said
        if size == 2 and 2 < len(word) < 6 and (said := glossary.said(word)):
            return size, said
    return 1, _known(words[at][1], glossary)


def _known(word: str, glossary: Glossary) -> Said | None:
    """What a word is called; single characters have too many senses to take them from anywhere."""
    said = glossary.said(word)
    return said if said and (said.is_ours or len(word) > 1) else None


def _word(word: str, tag: str, said: Said, *, is_said: bool | None = None) -> Iterator[_Piece]:
    """The piece of a known word; `is_said` whether one who acts stands before it."""
    text = said.thing or said.act
    if text == _NOTHING:
        return
    if said.is_name:
        text = text if word[-1] in _AREAS else _proper(text)
        yield _Piece(text, "place" if tag == "ns" else "name")
    elif text in ("and", "or"):
        yield _Piece(text, "link")
    elif text in _NEGATIONS:
        yield _Piece(text, "not")
    elif said.act and (is_said or not said.thing or (tag == "v" and is_said is None)):
        yield _Piece(said.act, "small" if said.act in _LIGHT else "act", thing=said.thing)
    elif tag[0] in "cprduyefz" or text in _LIGHT:
        yield _Piece(text, "small")
    else:
        yield _Piece(text, "act" if tag == "v" else "word")


def _unknown(word: str, tag: str, glossary: Glossary) -> Iterator[_Piece]:
    """A word that nobody knows: its parts, or a place as it sounds."""
    if tag[0] == "r":  # 这部, 每位
        return
    parts = list(_cut(word, glossary)) if tag[0] not in "il" else []  # no idiom is its parts
    if parts and all(said for _, said in parts):
        for part, said in parts:
            if said:
                yield from _word(part, "n" if tag[0] != "v" else tag, said)
    elif tag.startswith(("ns", "nt")):
        yield _Piece(names.in_pinyin(word, is_person=False), "place")


def _cut(word: str, glossary: Glossary) -> Iterator[tuple[str, Said | None]]:
    """A word as the longest known parts, from its beginning."""
    at = 0
    while at < len(word):
        for size in range(len(word) - at, 0, -1):
            said = _known(word[at : at + size], glossary)
            if said or size == 1:
                yield word[at : at + size], said
                at += size
                break


# --- pieces as parts ------------------------------------------------------------------------------


def _shortened(pieces: Sequence[_Piece], most: int) -> list[_Piece]:
    """The pieces without as many of the lightest as it takes to have `most` words."""
    over = sum(_size(piece) for piece in pieces) - most
    if over <= 0:
        return list(pieces)
    loose = [i for i, piece in enumerate(pieces) if piece.kind not in ("break", "link")]
    gone: set[int] = set()
    for i in sorted(loose, key=lambda i: (_weight(pieces, i), -i)):
        if over <= 0:
            break
        gone.add(i)
        over -= _size(pieces[i])
    return [piece for i, piece in enumerate(pieces) if i not in gone]


def _weight(pieces: Sequence[_Piece], at: int) -> float:
    """How much a piece says: more beside a name or figure, nothing when it was said before."""
    piece = pieces[at]
    if piece.kind in ("word", "act") and any(piece.text == other.text for other in pieces[:at]):
        return 0.0
    beside = any(other.kind in _STAY for other in pieces[max(0, at - 1) : at + 2] if other != piece)
    return _WEIGHTS.get(piece.kind, 9.0) + _BESIDE * beside - _PER_WORD * _size(piece)


def _size(piece: _Piece) -> int:
    return len(piece.text.split()) if piece.text != "," else 0


def _parts(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces that stand together; a verb or a name begins anew what is long already."""
    part: list[_Piece] = []
    for piece in pieces:
        is_long = sum(map(_size, part)) >= _LONG_PART
        begins = piece.kind in ("act", "place", "figure") or (
            piece.kind == "name" and part and part[-1].kind != "word"
        )
        if piece.kind == "break" or (is_long and begins):
            yield part
            part = []
        if piece.kind != "break":
            part = [*part, piece]
    yield part


def _said(part: Sequence[_Piece]) -> str:
    """A part as it is shown: counted things as many, no link at either end."""
    pieces = _stripped(list(part))
    if all(piece.kind in ("small", "link", "not") for piece in pieces):
        return ""
    said = _counted(pieces)
    return re.sub(r" ,", ",", " ".join(text for text in said if text))


def _stripped(pieces: list[_Piece]) -> list[_Piece]:
    kept: list[_Piece] = []
    for piece in pieces:
        if piece.kind == "link" and (not kept or kept[-1].kind == "link"):
            continue
        if kept and piece.kind == "figure" and kept[-1].text == "by":
            kept[-1] = replace(kept[-1], text="from")
        if said := _unrepeated(kept[-1].text if kept else "", piece):
            kept.append(said)
    while kept and kept[-1].kind == "link":
        kept.pop()
    return kept


def _unrepeated(before: str, piece: _Piece) -> _Piece | None:
    """A piece without its first word where that was the last: finance bureau, bureau director."""
    first, _, rest = piece.text.partition(" ")
    if not before or piece.kind == "figure" or before.rsplit(maxsplit=1)[-1] != first:
        return piece
    return replace(piece, text=rest) if rest else None


def _counted(pieces: Sequence[_Piece]) -> list[str]:
    """The texts, with the thing behind a number as one or many: 18 CPPCC members."""
    said = [piece.text for piece in pieces]
    for i, piece in enumerate(pieces):
        if piece.figure is None or not piece.figure.counts:
            continue
        if pieces[i + 1 : i + 2] and pieces[i + 1].thing:
            said[i + 1] = pieces[i + 1].thing
        end = i + 1 + bool(pieces[i + 1 : i + 2] and pieces[i + 1].thing)
        while end < len(pieces) and pieces[end].kind == "word":
            end += 1
        if end == i + 1:
            said[i] = (
                piece.figure.alone if piece.figure.counts == "many" or end == len(pieces) else ""
            )
        elif piece.figure.counts == "many":
            said[end - 1] = _many(said[end - 1])
    return said


def _many(thing: str) -> str:
    """A thing's plural: of CPPCC member, the last word's."""
    head, space, last = thing.rpartition(" ")
    if last in _UNCOUNTED or last.endswith("s") or thing.startswith("the "):
        return thing
    if last in _PLURALS:
        return head + space + _PLURALS[last]
    if re.search(r"[^aeiou]y$", last):
        return f"{thing[:-1]}ies"
    return f"{thing}es" if re.search(r"(?:x|ch|sh|z)$", last) else f"{thing}s"
