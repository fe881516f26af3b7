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
from pathlib import Path
from typing import Literal

from rag.glossary import MAX_WORDS, name_readings, stem

Gloss = Callable[[str], Sequence[str]]
Word = tuple[int, str, str]  # where it starts, the word, its part of speech
Kind = Literal["name", "number", "word"]

_TOKEN = re.compile(r"[㐀-鿿]+|[a-zà-öø-ÿāēīōūǎěǐǒǔǖǘǚǜ]+(?:'[a-z]+)*|\d[\d,]*(?:\.\d+)?")
_CHINESE = re.compile(r"[㐀-鿿]+")
_ENGLISH_WORD = re.compile(r"[a-zà-öø-ÿāēīōūǎěǐǒǔǖǘǚǜ]+(?:['’-][a-zü]+)*|\d[\d,]*(?:\.\d+)?")
_NUMBER = re.compile(r"(\d[\d,]*(?:\.\d+)?) ?(万亿|亿|万|千|百|billion|million|thousand)?")
_SCALES = {
    "万亿": 10**12,
    "亿": 10**8,
    "万": 10**4,
    "千": 1000,
    "百": 100,
    "billion": 10**9,
    "million": 10**6,
    "thousand": 1000,
}
_DIGITS_READ = 40  # of a number; longer ones are none, and would overflow a float
_MONTHS = (
    "january february march april may june july august september october november december"
).split()
_NUMBER_WORDS = {
    word: str(i + 1)
    for i, word in enumerate(
        "one two three four five six seven eight nine ten eleven twelve".split()
    )
}
_COUNTED = re.compile(r"[一二三四五六七八九十两](?=[个家名位条项次年天月届期岁人种类大座所支])")
_DIGITS = {digit: str(i + 1) for i, digit in enumerate("一二三四五六七八九十")} | {"两": "2"}
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


_PLACE = re.compile(
    r"(?:(?<=[省市州区县旗])|(?<![㐀-鿿])|(?<=[在和与及、的年]))(?![年和与在及对])"
    r"([㐀-鿿]{1,3}?[省市区县旗镇乡村])"
)
_COMMON_PLACE = re.compile(
    r"^(?:示范|实验|试验|贫困|开发|高新|经开|自贸|保税|风景|核心|美丽|特色|文明|历史|百强|传统|生态"
    r"|[古去今明全本该各哪几多城社地小园景某县区市这那两每乡农山新老我])"
    r"|[园山地社城小片校]区$|^[景学辖库灾牧林厂新]区$|[大强小各]县$|[城集]镇$|[超夜菜早集股楼]市$"
)
# The hundred or so commonest surnames and some more, less those that mostly begin other words.
_SURNAMES = frozenset(
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦许何吕施张孔曹严华金魏陶姜戚谢邹喻苏潘葛范彭郎鲁韦马苗方俞"
    "任袁柳鲍史唐费岑薛雷贺倪汤滕殷罗毕郝邬安于傅卞齐康伍余卜顾孟黄穆萧肖尹姚邵汪祁毛狄米臧戴谈宋"
    "庞熊纪舒屈项祝董梁杜阮蓝闵席季贾路娄江童颜郭梅盛林钟徐邱骆高夏蔡田樊胡凌霍虞万柯管卢莫房裘解"
    "丁邓单洪左石崔吉龚程邢裴陆荣翁甄曲封储靳段焦牧侯宓全宁仇甘厉武符刘景詹束龙叶黎薄白蒲赖卓池乔"
    "闻翟谭姬申冉郦桑牛边燕冀尚温庄晏柴瞿阎慕连习艾向古易廖耿匡寇聂关荆游竺阳佘付佟单车饶曾沙丰巫"
)
_NO_NAME = re.compile(
    r"[性证松赛费票店馆厂厅院器机车品病法者员周花茶塔卜率节站路桥河湖村镇县市区]$"
)
# Words that a question is worded with, whatever it is about.
_EMPTY_WORDS = frozenset(
    """时候 方面 问题 东西 地方 情况 意思 起来 出来 上去 下来 没有 应该 知道 觉得 具体 方式 原因
    事情 内容 接下来 列出来 列出 回事 怎么回事 啥意思 一起 提出 提到 说到 认为 表示 介绍 可能
    不可 想要 需要 时间""".split()
)
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
    """Full width to half width, lower case, without zero-width characters."""
    plain = unicodedata.normalize("NFKC", text).lower()
    return re.sub(r"[\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\u00ad]", "", plain)


def written(plain: str) -> str:
    """The written form of normalised text, in which a spelling is a substring.

    ` 漯河市 #5 月 | the propos ...`: tokens between spaces, `|` for punctuation between them.
    """
    parts: list[str] = []
    end = 0
    for match in _TOKEN.finditer(plain):
        if plain[end : match.start()].strip():
            parts.append("|")
        parts.append(_token(match[0]))
        end = match.end()
    scaled = [f"#{value}" for value in _scaled_numbers(plain)]
    counted = [f"#{_DIGITS[digit]}" for digit in _COUNTED.findall(plain)]
    return " " + " ".join([*parts, "|", *scaled, *counted]) + " "


def _token(text: str) -> str:
    if _CHINESE.match(text):
        return text
    return f"#{_number(text)}" if text[0].isdigit() else stem(_bare(text))


def _bare(word: str) -> str:
    """A Latin word without accents and without 's; ü is v, as it is typed."""
    word = re.sub(r"[üǖǘǚǜ]", "v", word.split("'s", maxsplit=1)[0]).replace("'", "")
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))


def _number(token: str) -> str:
    value = float(token.replace(",", "")[:_DIGITS_READ])
    return f"{value:g}" if value < 1e6 else str(int(value))


def _scaled_numbers(plain: str) -> Iterator[str]:
    """1.7万 is 17000, so that it meets 17,000 of the other language."""
    for match in _NUMBER.finditer(plain):
        if match[2]:
            value = float(match[1].replace(",", "")[:_DIGITS_READ]) * _SCALES[match[2]]
            yield _number(f"{value:.4f}")


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


def spoken(plain: str) -> str:
    """Tone-free pinyin of normalised text, one syllable a character: ` | yan ta qu | `.

    `|` stands where something else than Chinese stands.
    """
    lazy_pinyin = _reader()
    said: list[str] = []
    for run in re.findall(r"[㐀-鿿]+|[^㐀-鿿]+", plain):
        if not _CHINESE.match(run):
            said.append("|")
            continue
        syllables = lazy_pinyin(run)
        for i, syllable in enumerate(syllables):
            is_shaanxi = run[i : i + 2] == "陕西"
            said.append("shaan" if is_shaanxi else syllable)
    return f" {' '.join(said)} "


@lru_cache(maxsize=1)
def _reader() -> Callable[[str], list[str]]:
    """pypinyin, taught the names that CC-CEDICT reads otherwise: 漯河 is luo he."""
    from pypinyin import lazy_pinyin, load_phrases_dict

    load_phrases_dict({word: [[s] for s in sounds] for word, sounds in name_readings()})
    return lazy_pinyin


def concepts(question: str, gloss: Gloss) -> tuple[Concept, ...]:
    """The things a question asks about, in reading order."""
    plain = normalise(question)
    found: list[Concept] = []
    for run in re.findall(r"[㐀-鿿]+|[^㐀-鿿]+", plain):
        if _CHINESE.match(run):
            found.extend(_chinese_concepts(run))
        else:
            found.extend(_english_concepts(run, question, gloss))
    found.extend(Concept(f"#{v}", "number", (f" #{v} ",)) for v in _scaled_numbers(plain))
    unique: dict[tuple[tuple[str, ...], tuple[str, ...]], Concept] = {}
    for concept in found:
        unique.setdefault((concept.spellings, concept.sounds), concept)
    return tuple(unique.values())


def _chinese_concepts(run: str) -> Iterator[Concept]:
    """Names, and pairs of characters of what is left when question words are taken out."""
    words = _segmented(run)
    named = [*_people(words), *_places(run, words)]
    for _, name in named:
        plain = _without_suffix(name)
        yield Concept(name, "name", (plain, *places().get(plain, ())))
    solid = _solid_pairs(words) - {i for at, name in named for i in range(at, at + len(name) - 1)}
    start = 0
    for stop in [*_STOP_CHINESE.finditer(run), None]:
        end = stop.start() if stop else len(run)
        for i in range(start, end - 1):
            yield Concept(run[i : i + 2], "word", (run[i : i + 2],), solid=i in solid)
        start = stop.end() if stop else end


def _solid_pairs(words: Sequence[Word]) -> set[int]:
    """Where a pair of characters begins that lies within one word that means something."""
    return {
        i
        for start, word, tag in words
        if tag.startswith(_CONTENT_TAGS) and word not in _EMPTY_WORDS
        for i in range(start, start + len(word) - 1)
    }


def _segmented(run: str) -> list[Word]:
    """The words of a run of Chinese."""
    import rjieba

    found: list[Word] = []
    at = 0
    for word, tag in rjieba.tag(run):
        found.append((at, word, tag))
        at += len(word)
    return found


def _places(run: str, words: Sequence[Word]) -> Iterator[tuple[int, str]]:
    """Places as written, and where; a common word that ends like one is none."""
    ends = {start + len(word) for start, word, _ in words}
    for place in _PLACE.finditer(run):
        if place.end(1) in ends and not _COMMON_PLACE.search(place[1]):
            yield place.start(1), place[1]
    for start, word, _ in words:
        if word in places():
            yield start, word


def _people(words: Sequence[Word]) -> Iterator[tuple[int, str]]:
    """Names of three characters, and where: 贺松林, also where the segmenter cut behind 贺."""
    for i, (start, word, tag) in enumerate(words):
        if word[0] not in _SURNAMES or not tag.startswith("nr"):
            continue
        if len(word) > 2 and not _NO_NAME.search(word[:3]):
            yield start, word[:3]
        elif len(word) == 1 and i + 1 < len(words):
            _, given, given_tag = words[i + 1]
            if len(given) == 2 and given_tag.startswith("n"):
                yield start, word + given


def _without_suffix(name: str) -> str:
    """雁塔 for 雁塔区: as passages often have it."""
    return name[:-1] if len(name) > 2 and name[-1] in "省市区县旗镇乡村" else name


@lru_cache(maxsize=1)
def places() -> dict[str, tuple[str, ...]]:
    """Provinces, cities and the like named without 省 or 市, and what may stand for them."""
    lines = Path(__file__).with_name("places.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line[:1] != "#"]
    plain = {name: () for first, *names in rows if first == "places" for name in names}
    return plain | {first: tuple(names) for first, *names in rows if first != "places"}


def _english_concepts(run: str, question: str, gloss: Gloss) -> Iterator[Concept]:
    words = [part for word in _ENGLISH_WORD.findall(run) for part in _unhyphened(word, gloss)]
    at = 0
    while at < len(words):
        name = _personal_name(words, at, question, gloss)
        size = 2 if name else _phrase_size(words, at, gloss)
        if concept := name or _english_concept(words, at, size, question, gloss):
            yield concept
        at += size


def _unhyphened(word: str, gloss: Gloss) -> list[str]:
    """The parts of a hyphenated word that the glossary doesn't know as one."""
    return [word] if "-" not in word or gloss(word.replace("-", " ")) else word.split("-")


def _personal_name(words: Sequence[str], at: int, question: str, gloss: Gloss) -> Concept | None:
    """Two neighbouring words that are a Chinese name: Yang Bin, He Wenbo, Wenbo He, li jianguo."""
    pair = [_bare(re.sub(r"['’]s$", "", word)) for word in words[at : at + 2]]
    if len(pair) < 2 or not all(_syllable_counts(word) for word in pair):
        return None
    capital = re.search(
        r"\b" + r" ".join(re.escape(word.capitalize()) for word in words[at : at + 2]), question
    )
    if not capital and any(word in STOP_WORDS or gloss(word) for word in pair):
        return None
    if gloss(" ".join(pair)) or not any(n == 1 for word in pair for n in _syllable_counts(word)):
        return None
    sounds = [f" {a} {b} " for a in _cuts(pair[0]) for b in _cuts(pair[1])]
    sounds += [f" {b} {a} " for a in _cuts(pair[0]) for b in _cuts(pair[1])]
    return Concept(" ".join(pair), "name", (f" {stem(pair[0])} {stem(pair[1])} ",), tuple(sounds))


def _cuts(word: str) -> tuple[str, ...]:
    """All ways to read a word as one to three syllables."""
    whole = (word,) if word in _all_syllables() else ()
    return whole + tuple(r for r in readings(word) if r.count(" ") < 3)


def _syllable_counts(word: str) -> set[int]:
    return {reading.count(" ") + 1 for reading in _cuts(word)}


def _phrase_size(words: Sequence[str], at: int, gloss: Gloss) -> int:
    """How many words from here on the glossary knows as one phrase (at least one)."""
    for size in range(min(MAX_WORDS, len(words) - at), 1, -1):
        phrase = words[at : at + size]
        if phrase[0] in STOP_WORDS or phrase[-1] in STOP_WORDS:
            continue
        if all(word[0].isalpha() for word in phrase) and gloss(" ".join(phrase)):
            return size
    return 1


def _english_concept(
    words: Sequence[str], at: int, size: int, question: str, gloss: Gloss
) -> Concept | None:
    word = " ".join(words[at : at + size])
    if word[0].isdigit():
        value = _number(word)
        return Concept(word, "number", (f" #{value} ",))
    if word in _MONTHS and _is_written_as_name(word, question):
        return _month(words, at)
    if word in STOP_WORDS:
        return None
    spellings = list(gloss(word.replace("-", " ")) or gloss(_bare(word)))
    sounds = tuple(_sounds(word, spellings, question))
    if word in _NUMBER_WORDS:
        spellings.append(f" #{_NUMBER_WORDS[word]} ")
    english = " " + " ".join(stem(_bare(part)) for part in word.split()) + " "
    is_name = bool(sounds) and (not spellings or _is_said_so(word, spellings))
    return Concept(word, "name" if is_name else "word", (english, *spellings), sounds)


def _is_said_so(word: str, spellings: Sequence[str]) -> bool:
    """Whether an English word is a Chinese name's own sound: Wuxi is 无锡, but Long isn't 长."""
    said = _bare(re.sub(r"['’ -]", "", re.sub(r"['’]s$", "", word)))
    return any("".join(spoken(spelling).split()).strip("|") == said for spelling in spellings[:8])


def _is_written_as_name(word: str, question: str) -> bool:
    return re.search(rf"\b{word.capitalize()}\b", question) is not None or word != "may"


def _month(words: Sequence[str], at: int) -> Concept:
    month = _MONTHS.index(words[at]) + 1
    return Concept(words[at], "word", (f" #{month} 月", f" {stem(words[at])} "))


def _sounds(word: str, spellings: Sequence[str], question: str) -> Iterator[str]:
    """Ways to read a word as pinyin; a word that the dictionary knows only if it is a name."""
    word = re.sub(r"['’]s$", "", word)
    parts = re.split(r"['’ -]", word)
    written_as_name = any(part.capitalize() in question for part in parts if part)
    if not written_as_name and (spellings or re.search(r"(?:er|est|ly|ied)$", word)):
        return
    for reading in readings(_bare(re.sub(r"['’ -]", "", word))):
        yield f" {reading} "
        umlaut = re.sub(r"\b([ln])u\b", r"\1v", reading)
        if umlaut != reading:  # Luliang is 吕梁, as signs without dots have it
            yield f" {umlaut} "


@lru_cache(maxsize=4096)
def readings(word: str) -> tuple[str, ...]:
    """All ways to cut a word into two to five pinyin syllables: `yanta` is `yan ta`."""
    found: list[str] = []

    def cut(rest: str, done: tuple[str, ...]) -> None:
        if not rest:
            if len(done) > 1:
                found.append(" ".join(done))
            return
        if len(done) == 5:
            return
        for size in range(min(6, len(rest)), 0, -1):
            if rest[:size] in _all_syllables():
                cut(rest[size:], (*done, rest[:size]))

    if word.isascii() and word.isalpha() and len(word) <= 24:
        cut(word, ())
    return tuple(sorted(set(found), key=lambda reading: (reading.count(" "), reading)))[:6]


@lru_cache(maxsize=1)
def _all_syllables() -> frozenset[str]:
    """Those that begin or end a name; a file, since pypinyin's tables take long to load."""
    lines = Path(__file__).with_name("syllables.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
