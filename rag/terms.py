"""Text to lexical terms: how a question in one script reaches text in the other.

A passage gives terms (pairs of neighbouring characters, stems, numbers) and syllables (tone-free
pinyin, character by character). A question gives concepts: things asked about, each with the
spellings that a passage may use for it; the best spelling counts, so many glosses of one English
word don't outweigh a name. Does not cover ranking (retrieve.py).
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from rag.words import names, numbers
from rag.words.glossary import MAX_WORDS, bare, simplified, stem
from rag.words.names import Word
from rag.words.numbers import Numeral

Gloss = Callable[[str], Sequence[str]]  # words of the other language, the English ones stemmed
Kind = Literal["name", "number", "word"]

_LATIN = "a-zà-öø-ÿāēīōūǎěǐǒǔǖǘǚǜ"
_TOKEN = re.compile(rf"[㐀-鿿]+|%|per cent\b|[{_LATIN}]+(?:'[a-z]+)*|{numbers.ARABIC}")
_CHINESE = re.compile(r"[㐀-鿿]+")
_ENGLISH_WORD = re.compile(rf"[{_LATIN}]+(?:['’-][a-zü]+)*")
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
# Function words, question words and courtesies: they say what kind of answer is wanted, not where.
STOP_WORDS = frozenset(
    """a about above after again all also am an and any are article articles as asked at be because
    been before being between both but by can could describe did do does doing during each
    every exactly explain few find for from further get give given had has have having he her here
    him his how i if in into is it its itself just know let like list long lot many me mention
    mentioned more most much must my name named no not of off on once one ones only or other our
    out over own page paper people please put reported reports s said same say says she should show
    so some such t tell than that the their them then there these they this those through to
    too under until up upon us use used very want was we were what when where whether which while
    who whom whose why will with within would you your according newspaper happen happened
    happening regarding concerning talk person""".split()
)
_STOP_CHINESE = re.compile(
    r"有多少|有哪些|有哪几|是什么|为什么|怎么样|怎样|怎么|如何|什么|哪些|哪个|哪里|哪儿|哪家|哪位"
    r"|哪一|哪几|哪年|哪天|哪|多少|几个|几家|几|多大|多长|多久|是谁|谁|何时|何地|何|为何|请问|是否|有没有"
    r"|能否|吗|呢|吧|啊|的|了|着|过|是|在|和|与|及|以及|对|从|把|被|将|为|于|由|向|到|也|都|就|还|又"
    r"|这|那|其|他|她|它|们|我|你|您|请|告诉|一下|关于|介绍|说说|报道|文章|报纸|里|中|会|要|能"
)


# Words that a question is worded with, whatever it is about.
_EMPTY_WORDS = frozenset(
    """时候 方面 问题 东西 地方 情况 意思 起来 出来 上去 下来 没有 应该 知道 觉得 具体 方式 原因
    事情 内容 接下来 列出来 列出 回事 怎么回事 啥意思 一起 提出 提到 说到 认为 表示 介绍 可能
    不可 想要 需要 时间""".split()
)
_AREAS = frozenset(
    "province city county district prefecture municipality township town village".split()
)
_PINYIN_AREAS = frozenset("sheng shi xian qu zhen xiang cun qi".split())
_CONTENT_TAGS = ("n", "v", "a", "i", "l", "j", "s", "z", "b", "e")


@dataclass(frozen=True, slots=True)
class Concept:
    """One thing asked about; `spellings` are substrings of normalised text, `sounds` of syllables.

    `surface` is how the asker wrote it. `solid` is false for a pair of characters that belong to
    two words, or to none that means much: it finds passages, but lacking it says nothing.
    """

    surface: str
    kind: Kind
    spellings: tuple[str, ...] = ()
    sounds: tuple[str, ...] = ()
    solid: bool = True


@dataclass(frozen=True, slots=True)
class PassageTerms:
    """What the lexical index keeps of a passage: FTS tokens, and the forms they were cut from."""

    terms: tuple[str, ...]
    sounds: tuple[str, ...]
    written: str
    spoken: str


def passage_terms(text: str) -> PassageTerms:
    """The terms of a passage (its title and place in front of it, if they are to be found)."""
    plain = normalise(text)
    form, sound = written(plain), spoken(plain)
    return PassageTerms(tuple(index_terms(form)), tuple(sound_terms(sound)), form, sound)


def normalise(text: str) -> str:
    """Full width to half, lower case, simplified characters, without zero-width ones."""
    plain = simplified(unicodedata.normalize("NFKC", text).lower())
    return re.sub(r"[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u00ad]", "", plain)


@lru_cache(maxsize=8192)  # sentences of pages that are asked about again and again
def written(plain: str) -> str:
    """The written form of normalised text, in which a spelling is a substring.

    ` 漯河市 #5 月 | the propos ... | #17000 `: tokens between spaces, `|` for punctuation between
    them; behind the text the numbers that it writes in another way than in Arabic digits.
    """
    parts: list[str] = []
    end = 0
    text = _ORDINAL.sub("", plain)
    for match in _TOKEN.finditer(text):
        if text[end : match.start()].strip():
            parts.append("|")
        parts.append(_token(match[0]))
        end = match.end()
    worth = [n.spelling for n in numbers.numerals(plain) if not n.is_plain]
    counted = [n.spelling for n in numbers.counted(plain)]
    return " " + " ".join([*parts, "|", *worth, *counted]) + " "


def stands(concept: "Concept", form: str, sound: str) -> bool:
    """Whether a concept stands in a text, given its written and spoken form."""
    return any(s in form for s in concept.spellings) or any(s in sound for s in concept.sounds)


def _token(text: str) -> str:
    if _CHINESE.match(text):
        return text
    if text[0].isdigit():
        return f"#{numbers.value(numbers.arabic(text))}"
    return "percent" if text in ("%", "per cent") else stem(bare(text))


def index_terms(form: str) -> Iterator[str]:
    """FTS tokens of written text: pairs of characters, stems, numbers (`n17000`)."""
    for token in re.findall(r"[㐀-鿿]+|[a-z]+|#[\d.]+", form):
        if _CHINESE.match(token):
            yield from spelling_terms(token)
        else:
            yield _safe(token)


def spelling_terms(spelling: str) -> list[str]:
    """The FTS tokens that stand one after another where this spelling stands."""
    if _CHINESE.fullmatch(spelling):
        if len(spelling) == 1:
            return [spelling]
        return [a + b for a, b in pairwise(spelling)]
    return [_safe(word) for word in spelling.split()]


def sound_terms(sound: str) -> list[str]:
    """FTS tokens of a run of syllables: neighbouring pairs, `yan_ta`."""
    syllables = sound.split()
    pairs = pairwise(syllables)
    return [f"{a}_{b}" for a, b in pairs if a != "|" and b != "|"]


def _safe(token: str) -> str:
    return "n" + token[1:].replace(".", "_") if token.startswith("#") else token


@lru_cache(maxsize=8192)
def spoken(plain: str) -> str:
    """Tone-free pinyin of normalised text, one syllable a character: ` | yan ta qu | `.

    `|` stands where something else than Chinese stands; behind the text names that may be read
    in another way.
    """
    said: list[str] = []
    others: list[str] = []
    for run in re.findall(r"[㐀-鿿]+|[^㐀-鿿]+", plain):
        if not _CHINESE.match(run):
            said.append("|")
            continue
        syllables = names.pinyin(run)
        said.extend(syllables)
        for other in names.surname_readings(run, syllables):
            others += ["|", *other]
    return f" {' '.join(said + others)} "


def concepts(question: str, gloss: Gloss, *, latin: bool = True) -> tuple[Concept, ...]:
    """The things a question asks about, in reading order.

    `latin` says that there may be English text, for which Chinese words get English spellings.
    """
    asked, plain = unicodedata.normalize("NFKC", question), normalise(question)
    found: list[Concept] = []
    at = 0
    for numeral in [*numbers.numerals(plain), None]:
        end = numeral.start if numeral else len(plain)
        for run in re.findall(r"[㐀-鿿]+|[^㐀-鿿]+", plain[at:end]):
            if _CHINESE.match(run):
                found.extend(_chinese_concepts(run, gloss, latin))
            else:
                found.extend(_english_concepts(run, asked, gloss))
        if numeral:
            found.append(_number_concept(numeral, plain))
            at = numeral.end
    unique: dict[tuple[tuple[str, ...], tuple[str, ...]], Concept] = {}
    for concept in found:
        unique.setdefault((concept.spellings, concept.sounds), concept)
    return tuple(unique.values())


def _number_concept(numeral: Numeral, plain: str) -> Concept:
    surface, spelling = plain[numeral.start : numeral.end], f" #{numeral.value} "
    if numeral.unit == "月" and numeral.value in _month_names():
        month = f" {stem(_month_names()[numeral.value])} "
        return Concept(f"{surface}月", "number", (f"{spelling}月", month))
    return Concept(surface, "number", (spelling,))


@lru_cache(maxsize=1)
def _month_names() -> dict[str, str]:
    return {str(i + 1): month for i, month in enumerate(numbers.MONTHS)}


def _chinese_concepts(run: str, gloss: Gloss, latin: bool) -> Iterator[Concept]:
    """Names, and pairs of characters of what is left when question words are taken out."""
    words = names.segmented(run)
    named = names.in_chinese(run, words)
    english_at = _english_at(words, gloss) if latin else {}
    for at, name in named:
        plain = names.without_suffix(name)
        english = tuple(_english_names(plain, gloss)) if latin else ()
        english_at |= dict.fromkeys(range(at, at + len(name) - 1), english)
        yield Concept(name, "name", (plain, *names.places().get(plain, ()), *english))
    solid = _solid_pairs(words) - {i for at, name in named for i in range(at, at + len(name) - 1)}
    start = 0
    for stop in [*_STOP_CHINESE.finditer(run), None]:
        end = stop.start() if stop else len(run)
        for i in range(start, end - 1):
            pair = run[i : i + 2]
            yield Concept(pair, "word", (pair, *english_at.get(i, ())), solid=i in solid)
        start = stop.end() if stop else end
    for digit in numbers.counted(run):
        if digit.value != "1":
            yield Concept(run[digit.start], "word", (f" {digit.spelling} ",), solid=False)


def _english_names(name: str, gloss: Gloss) -> Iterator[str]:
    """How written English text has a Chinese name."""
    for form in dict.fromkeys([*gloss(name), *map(_stemmed, names.in_english(name))]):
        yield f" {form} "


def _english_at(words: Sequence[Word], gloss: Gloss) -> dict[int, tuple[str, ...]]:
    """Where a pair of characters begins whose word English text may have: its spellings there.

    Two words that the glossary knows as one are one.
    """
    found: dict[int, tuple[str, ...]] = {}
    for (start, word, tag), (_, following, _) in pairwise([*words, (0, "", "")]):
        whole = word + following
        phrases = following and gloss(whole)
        if not phrases:
            whole = word
            phrases = gloss(word) if tag.startswith(_CONTENT_TAGS) else ()
        spellings = tuple(f" {p} " for p in phrases if not _stop_stems().issuperset(p.split()))
        if not phrases and tag.startswith(("nr", "ns")) and len(word) > 1:
            spellings = tuple(_english_names(word, gloss))
        for i in range(start, start + len(whole) - 1):
            found.setdefault(i, spellings)
    return found


@lru_cache(maxsize=1)
def _stop_stems() -> frozenset[str]:
    return frozenset(map(stem, STOP_WORDS))


def _solid_pairs(words: Sequence[Word]) -> set[int]:
    """Where a pair of characters begins that lies within one word that means something."""
    return {
        i
        for start, word, tag in words
        if tag.startswith(_CONTENT_TAGS) and word not in _EMPTY_WORDS
        for i in range(start, start + len(word) - 1)
    }


def _english_concepts(run: str, question: str, gloss: Gloss) -> Iterator[Concept]:
    words = [part for word in _ENGLISH_WORD.findall(run) for part in _unhyphened(word, gloss)]
    at = 0
    while at < len(words):
        size = names.person_size(words[at:], question, gloss, STOP_WORDS)
        if names.places_said(words[at]) and _is_area(words[at], words[at + 1 : at + 2], question):
            size = 0
        if size:
            yield _person(words[at : at + size])
        else:
            size = _phrase_size(words, at, gloss)
            concept = _english_concept(" ".join(words[at : at + size]), question, gloss)
            if concept:
                yield concept
            if concept and concept.kind == "name":
                if concept.sounds and (places := names.places_said(concept.surface)):
                    # 洱源 rather than 儿园 of a kindergarten, which sounds the same
                    yield Concept(concept.surface, "word", places, solid=False)
                if _is_area(concept.surface, words[at + size : at + size + 1], question):
                    size += 1  # the district of Yanta district, which Chinese often leaves out
        at += size


def _is_area(name: str, behind: Sequence[str], question: str) -> bool:
    """Whether what stands behind a name says what kind of place it is: Huoqiu xian."""
    if not behind or behind[0] in _AREAS:
        return bool(behind)
    is_together = re.search(rf"(?i:\b{re.escape(name)}) {behind[0]}\b", question)  # Xian is Xi'an
    return behind[0] in _PINYIN_AREAS and is_together is not None


def _unhyphened(word: str, gloss: Gloss) -> list[str]:
    """The parts of a hyphenated word that the glossary doesn't know as one."""
    return [word] if "-" not in word or gloss(word.replace("-", " ")) else word.split("-")


def _person(words: Sequence[str]) -> Concept:
    """A person's name, in either order."""
    parts = [bare(word) for word in words]
    forms = [parts, parts[::-1]] if len(parts) == 2 else [[parts[0], parts[1] + parts[2]]]
    spellings = tuple(f" {_stemmed(' '.join(form))} " for form in forms)
    sounds = tuple(f" {sound} " for sound in dict.fromkeys(names.person_sounds(words)))
    return Concept(" ".join(parts), "name", spellings, sounds)


def _stemmed(words: str) -> str:
    """Each word as written text has it."""
    return " ".join(stem(bare(word)) for word in words.split())


def _phrase_size(words: Sequence[str], at: int, gloss: Gloss) -> int:
    """How many words from here on the glossary knows as one phrase (at least one)."""
    for size in range(min(MAX_WORDS, len(words) - at), 1, -1):
        phrase = words[at : at + size]
        if phrase[0] in STOP_WORDS or phrase[-1] in STOP_WORDS:
            continue
        if gloss(" ".join(phrase)):
            return size
    return 1


def _english_concept(word: str, question: str, gloss: Gloss) -> Concept | None:
    if word in numbers.MONTHS and (word != "may" or "May" in question or "MAY" in question):
        month = numbers.MONTHS.index(word) + 1
        return Concept(word, "word", (f" #{month} 月", f" {stem(word)} "))
    if word in STOP_WORDS:
        return None
    spellings = list(gloss(word.replace("-", " ")))
    if word.rsplit(maxsplit=1)[-1] in _AREAS:
        spellings += [names.without_suffix(spelling) for spelling in spellings]
    sounds = tuple(_sounds(word, spellings, question))
    if known := _known_places(word, spellings) if sounds else ():
        # What it is written as counts alone: Chengdu is 成都, not 程度, which sounds the same.
        spellings, sounds = [*spellings, *known], ()
    is_name = (
        bool(known)
        or _is_place(spellings)
        or (
            bool(sounds)
            and (not spellings or bool(names.places_said(word)) or _is_said_so(word, spellings))
        )
    )
    if word in numbers.SMALL:
        spellings.append(f" #{numbers.SMALL[word]} ")
    english = f" {_stemmed(word.replace('-', ' '))} "
    spelled = tuple(dict.fromkeys([english, *spellings]))
    return Concept(word, "name" if is_name else "word", spelled, sounds)


def _known_places(word: str, spellings: Sequence[str]) -> tuple[str, ...]:
    """The provinces and larger cities that an English word may be."""
    said = names.places_said(word)
    is_known = _is_place(spellings) or not names.places().keys().isdisjoint(said)
    return said if is_known else ()


def _is_place(spellings: Sequence[str]) -> bool:
    """Whether the likeliest meaning of an English word is a place: Lhasa, Canton."""
    return bool(spellings) and names.without_suffix(spellings[0]) in names.places()


def _is_said_so(word: str, spellings: Sequence[str]) -> bool:
    """Whether an English word is a Chinese name's own sound: Wuxi is 无锡, but Long isn't 长."""
    said = bare(re.sub(r"[ -]", "", word))
    return any("".join(names.pinyin(s)) == said for s in spellings[:8] if len(s) > 1)


def _sounds(word: str, spellings: Sequence[str], question: str) -> Iterator[str]:
    """Ways to read a word as pinyin; a word that the dictionary knows only if it is a name."""
    parts = re.split(r"['’ -]", re.sub(r"['’]s$", "", word))
    capital = [part for part in parts if part.capitalize() in question]
    if not (capital or (question.isupper() and not spellings)) and (
        spellings or re.search(r"(?:er|est|ly|ied)$", word)
    ):
        return
    for sound in dict.fromkeys(names.sounds_of(word)):
        yield f" {sound} "
