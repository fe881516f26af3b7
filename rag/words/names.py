"""Names of people and places: where they stand in Chinese, and how they sound in pinyin.

Tone-free pinyin, v for ü. Does not cover given names with a rare reading (王乐 as Wang Yue), nor
romanisations other than pinyin, of which the usual ones are in `glossary.tsv` (Amoy is 厦门).
"""

import re
from collections.abc import Callable, Iterator, Sequence, Set
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from rag.metadata.places import stems
from rag.words.glossary import bare, name_readings

Knows = Callable[[str], object]  # whether the dictionary has an English word
Word = tuple[int, str, str]  # where it starts, the word, its part of speech

_PLACE = re.compile(
    r"(?:(?<=[省市州区县旗])|(?<![㐀-鿿])|(?<=[在和与及、的年]))(?![年和与在及对])"
    r"([㐀-鿿]{1,3}?[省市区县旗镇乡村])"
)
_COMMON_PLACE = re.compile(
    r"^(?:示范|实验|试验|贫困|开发|高新|经开|自贸|保税|风景|核心|美丽|特色|文明|历史|百强|传统|生态"
    r"|[古去今明全本该各哪几多城社地小园景某县区市这那两每乡农山新老我])"
    r"|[园山地社城小片校]区$|^[景学辖库灾牧林厂新]区$|[大强小各]县$|[城集]镇$|[超夜菜早集股楼]市$"
)
# What has a name of its own in a district or town; what stands before it names it, or doesn't.
_SITE = re.compile(r"(?:社区|街道|小区|小学|中学|学校|医院|大桥|公园|水库|胡同|[路街巷村寨屯])$")
_NO_SITE = re.compile(
    r"^(?:[哪这那每各全本该旧新老两几多]|重点|普通|乡镇|城市|农村|中心|公立|民办|附属|职业|特殊|盘山|环[城湖岛]|沿[河江海])"
)
# The hundred or so commonest surnames and some more, less those that mostly begin other words.
_SURNAMES = frozenset(
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦许何吕施张孔曹严华金魏陶姜戚谢邹喻苏潘葛范彭郎鲁韦马苗方俞"
    "任袁柳鲍史唐费岑薛雷贺倪汤滕殷罗毕郝邬安于傅卞齐康伍余卜顾孟黄穆萧肖尹姚邵汪祁毛狄米臧戴谈宋"
    "庞熊纪舒屈项祝董梁杜阮蓝闵席季贾路娄江童颜郭梅盛林钟徐邱骆高夏蔡田樊胡凌霍虞万柯管卢莫房裘解"
    "丁邓单洪左石崔吉龚程邢裴陆荣翁甄曲封储靳段焦牧侯宓全宁仇甘厉武符刘景詹束龙叶黎薄白蒲赖卓池乔"
    "闻翟谭姬申冉郦桑牛边燕冀尚温庄晏柴瞿阎慕连习艾向古易廖耿匡寇聂关荆游竺阳佘付佟单车饶曾沙丰巫覃"
    "冼逯晁阚逄谌缪牟隗鄢蔺麦敖泮"
)
_LONG_SURNAMES = (
    "ouyang sima shangguan zhuge situ yuchi moqi murong dongfang linghu huangfu gongsun xiahou"
    " zhangsun tantai duanmu"
).split()
_NO_NAME = re.compile(
    r"[性证松赛费票店馆厂厅院器机车品病法者员周花茶塔卜率节站路桥河湖村镇县市区]$"
)
_PROPER_TAGS = ("ns", "nr", "nz", "nt")
_PLACE_ENDS = "省市区县旗镇乡村"
_PINYIN_ENDS = (" sheng", " shi", " qu", " xian", " zhen", " xiang", " cun")
_MIN_SLIP, _MAX_SLIP = 7, 15  # letters of a name in which one wrong letter is looked for
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def segmented(run: str) -> list[Word]:
    """The words of a run of Chinese."""
    import rjieba

    found: list[Word] = []
    at = 0
    for word, tag in rjieba.tag(run):
        found.append((at, word, tag))
        at += len(word)
    return found


def is_in_dictionary(word: str) -> bool:
    """Whether the segmenter has a word, rather than guessed from its characters that it is one."""
    import rjieba

    return len(rjieba.cut(word, False)) == 1


def in_chinese(run: str, words: Sequence[Word]) -> list[tuple[int, str]]:
    """The names in a run of Chinese as written, and where."""
    return [*_people(words), *_places(run, words), *_sites(words)]


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


def _places(run: str, words: Sequence[Word]) -> Iterator[tuple[int, str]]:
    """Places as written, and where; a common word that ends like one is none."""
    ends = {start + len(word) for start, word, _ in words}
    for place in _PLACE.finditer(run):
        if place.end(1) in ends and not _COMMON_PLACE.search(place[1]):
            yield place.start(1), place[1]
    for start, word, _ in words:
        if word in places():
            yield start, word


def _sites(words: Sequence[Word]) -> Iterator[tuple[int, str]]:
    """Communities, roads, schools and the like that have a name, and where: 北雀社区, 洛阳路."""
    for (start, word, tag), (_, behind, _) in pairwise([*words, (0, "", "")]):
        whole = word + behind if _SITE.fullmatch(behind) else word
        name = _SITE.sub("", whole)
        is_proper = tag.startswith(_PROPER_TAGS) or not is_in_dictionary(name)
        if 1 < len(name) < len(whole) and is_proper and not _NO_SITE.search(whole):
            yield start, whole


def without_suffix(name: str) -> str:
    """雁塔 for 雁塔区: as passages often have it."""
    return name[:-1] if len(name) > 2 and name[-1] in _PLACE_ENDS else name


@lru_cache(maxsize=1)
def places() -> dict[str, tuple[str, ...]]:
    """Provinces, cities and the like named without 省 or 市, and what may stand for them."""
    rows = [line.split() for line in _lines("places.tsv")]
    plain = {name: () for first, *names in rows if first == "places" for name in names}
    return plain | {first: tuple(names) for first, *names in rows if first != "places"}


def pinyin(run: str) -> list[str]:
    """The syllables of a run of Chinese, one a character; 陕西 is shaan xi."""
    syllables = _reader()(run)
    for match in re.finditer("陕西", run):
        syllables[match.start()] = "shaan"
    return syllables


def surname_readings(run: str, syllables: Sequence[str]) -> Iterator[list[str]]:
    """Other readings where a name may begin: qin wei shuo for 覃伟说, which is tan wei shuo."""
    rare = _surname_readings()
    if rare.keys().isdisjoint(run):
        return
    for start, word, _ in segmented(run):
        sounds, no_name = rare.get(word[0], ((), ""))
        if len(run) > start + 1 and run[start + 1] not in no_name:
            for sound in sounds:
                if sound != syllables[start]:
                    yield [sound, *syllables[start + 1 : start + 3]]


@lru_cache(maxsize=4096)
def in_english(name: str) -> tuple[str, ...]:
    """How English text may write a Chinese name, as stemless words: he wenbo, wenbo he, yanta."""
    syllables = pinyin(name)
    whole = [
        syllables,
        *([r, *syllables[1:]] for r in _surname_readings().get(name[0], ((), ""))[0]),
    ]
    people = [[s[0], "".join(s[1:])] for s in whole if name[0] in _SURNAMES and 1 < len(s) < 4]
    forms = ["".join(syllables), *(" ".join(p) for p in people)]
    return (*forms, *(" ".join(reversed(p)) for p in people))


@lru_cache(maxsize=4096)
def in_pinyin(name: str, *, is_person: bool) -> str:
    """A Chinese name as English text prints it: He Wenbo, Yanta, Xi'an; Shan Lihua for 单丽华."""
    if len(parts := re.split("[·•]", name)) > 1:
        return " ".join(_together(pinyin(part)) for part in parts if part)
    syllables = pinyin(name)
    if is_person:
        if len(name) > 2 and "".join(syllables[:2]) in _LONG_SURNAMES:
            return f"{_together(syllables[:2])} {_together(syllables[2:])}"
        readings = _surname_readings().get(name[0], ((), ""))[0]
        syllables = [*(readings[:1] or syllables[:1]), *syllables[1:]]
        return f"{_together(syllables[:1])} {_together(syllables[1:])}".rstrip()
    return _together(syllables)


def _together(syllables: Sequence[str]) -> str:
    """Syllables as one capitalised word: xi an is Xi'an."""
    first, *rest = [s.replace("v", "u") for s in syllables] or [""]
    return "".join([first, *(f"'{s}" if s[:1] in "aeo" else s for s in rest)]).capitalize()


def is_place(name: str) -> bool:
    """Whether a name that `in_chinese` gave is a place's rather than a person's."""
    return name[-1] in _PLACE_ENDS or name in places()


def may_be_surname(char: str) -> bool:
    """Whether a personal name may begin with this character."""
    return char in _SURNAMES or char in _surname_readings()


@lru_cache(maxsize=1)
def _surname_readings() -> dict[str, tuple[tuple[str, ...], str]]:
    """Surnames with a reading of their own: the readings, and what makes no name behind them."""
    rows = [[*line.split("\t"), ""] for line in _lines("surnames.tsv")]
    return {char: (tuple(sounds.split()), no_name) for char, sounds, no_name, *_ in rows}


@lru_cache(maxsize=1)
def _family_sounds() -> frozenset[str]:
    rare = (sound for sounds, _ in _surname_readings().values() for sound in sounds)
    return frozenset([*(_reader()(char)[0] for char in _SURNAMES), *rare, *_LONG_SURNAMES])


@lru_cache(maxsize=1)
def _reader() -> Callable[[str], list[str]]:
    """pypinyin, taught the names that CC-CEDICT reads otherwise: 漯河 is luo he."""
    from pypinyin import lazy_pinyin, load_phrases_dict

    load_phrases_dict({word: [[s] for s in sounds] for word, sounds in name_readings()})
    return lazy_pinyin


def sounds_of(word: str) -> Iterator[str]:
    """Ways to read one English word as pinyin: `yantaqu` is yan ta qu, and yan ta for short."""
    plain = _typed(word)
    for reading in (*readings(plain), *_slips(plain)):
        yield reading
        umlaut = re.sub(r"\b([ln])u\b", r"\1v", reading)
        if umlaut != reading:  # Luliang is 吕梁, as signs without dots have it
            yield umlaut
        if reading.count(" ") > 1 and reading.endswith(_PINYIN_ENDS):
            yield reading.rpartition(" ")[0]


def _typed(word: str) -> str:
    """A word as it is cut into syllables: without apostrophes and hyphens; lyu is lv."""
    plain = bare(re.sub("[ -]", "", word))
    return re.sub("([ln])yu(?!e?[an])", r"\1v", plain)


def person_sounds(words: Sequence[str]) -> Iterator[str]:
    """Ways to read the words of a personal name as pinyin, family name first."""
    parts = [_typed(word) for word in words]
    if len(parts) == 3:
        yield " ".join(parts)
        yield " ".join([parts[2], *parts[:2]])
        return
    for a in _cuts(parts[0]):
        for b in _cuts(parts[1]):
            yield f"{a} {b}"
            yield f"{b} {a}"


def person_size(words: Sequence[str], question: str, knows: Knows, stops: Set[str]) -> int:
    """How many of these words, from the first, are a Chinese person's name; 0 if they are none.

    Yang Bin, He Wenbo, Wenbo He, HE Wenbo, He Wen-bo, li jianguo. `knows` says whether the
    dictionary has a word, `stops` are function words.
    """
    for size in (3, 2):
        some = [re.sub(r"['’]s$", "", word) for word in words[:size]]
        if len(some) == size and _is_person(some, question, knows, stops):
            return size
    return 0


def _is_person(words: Sequence[str], question: str, knows: Knows, stops: Set[str]) -> bool:
    counts = [_syllable_counts(word) for word in words]
    if not all(counts) or knows(" ".join(words)):
        return False
    known = [bool(knows(word)) for word in words]
    if any(k and 1 not in count for k, count in zip(known, counts, strict=True)):
        return False  # Long Shanghai
    plain = [_typed(word) for word in words]
    family = [word in _family_sounds() for word in plain]
    if len(words) == 3:
        is_short = all(1 in count for count in counts)
        return is_short and (family[0] or family[2]) and _is_capital(words, question)
    rare = [not k and word not in stops for k, word in zip(known, plain, strict=True)]
    if not any(family) and not any(1 in n and r for n, r in zip(counts, rare, strict=True)):
        return False
    if _is_capital(words, question):
        return True
    could_be = all(r or f for r, f in zip(rare, family, strict=True)) and any(rare)
    return could_be and stops.isdisjoint(plain) and _stand_together(words, question)


def _stand_together(words: Sequence[str], question: str) -> bool:
    """Whether the words stand side by side, however they are written."""
    return re.search(rf"\b{'[ -]'.join(map(re.escape, words))}\b", question, re.I) is not None


def _syllable_counts(word: str) -> set[int]:
    """How many syllables a word may have; xi'an has two."""
    counts = {cut.count(" ") + 1 for cut in _cuts(_typed(word))}
    return {n for n in counts if n > 1 or not re.search("['’]", word)}


def _is_capital(words: Sequence[str], question: str) -> bool:
    """Whether all words are capitalised (behind a hyphen they needn't be), one not in capitals."""
    first, *rest = (re.escape(word) for word in words)
    pattern = rf"\b{_capital(first)}" + "".join(rf"(?: {_capital(w)}|-(?i:{w}))" for w in rest)
    found = re.search(pattern, question)
    return found is not None and (not found[0].isupper() or not question.isupper())


def _capital(word: str) -> str:
    return f"(?:{word.capitalize()}|{word.upper()})"


def _cuts(word: str) -> tuple[str, ...]:
    """All ways to read a word as one to three syllables; one slip of the hand is mended."""
    whole = (word,) if word in _all_syllables() else ()
    cut = whole + tuple(r for r in readings(word) if r.count(" ") < 3)
    return cut or tuple(r for r in _mended(word) if r.count(" ") < 3)


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


@lru_cache(maxsize=1024)
def _slips(word: str) -> tuple[str, ...]:
    """Well-known places that differ by one slip from a long word that is no name itself."""
    if not _MIN_SLIP <= len(word) <= _MAX_SLIP or word in _known_sounds():
        return ()
    near = _one_slip_away(word) & _place_sounds().keys()
    return tuple(_place_sounds()[sound] for sound in sorted(near))


@lru_cache(maxsize=1024)
def _mended(word: str) -> tuple[str, ...]:
    """Readings of what differs by one slip from a long word that can't be pinyin: jianzhnag."""
    if not _MIN_SLIP <= len(word) <= _MAX_SLIP or not (word.isascii() and word.isalpha()):
        return ()
    near = sorted(_one_slip_away(word))
    return tuple(reading for other in near for reading in readings(other)[:2])[:48]


def _one_slip_away(word: str) -> set[str]:
    """What one letter less, more or other gives, or two letters swapped."""
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    less = {a + b[1:] for a, b in cuts if b}
    swapped = {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    other = {a + c + b[1:] for a, b in cuts if b for c in _LETTERS}
    more = {a + c + b for a, b in cuts for c in _LETTERS}
    return less | swapped | other | more


def places_said(word: str) -> tuple[str, ...]:
    """Places known under this pinyin, as they stand in text: 洱源 for Eryuan."""
    return tuple(dict.fromkeys(_known_sounds().get(_typed(word), ())))


@lru_cache(maxsize=1)
def _place_sounds() -> dict[str, str]:
    """Pinyin of well-known places, written together, and by the syllable."""
    found = (" ".join(pinyin(name)) for name in places())
    return {sound.replace(" ", ""): sound for sound in found}


@lru_cache(maxsize=1)
def _known_sounds() -> dict[str, list[str]]:
    """Pinyin of all names in CC-CEDICT, written together, and the places that sound so.

    Those of CC-CEDICT with and without 县 and the like at their end, and those of the gazetteer:
    Yunyang is 云阳 and 郧阳.
    """
    found: dict[str, list[str]] = {}
    for name in sorted({*places(), *stems()}, key=lambda name: (name not in places(), name)):
        found.setdefault("".join(pinyin(name)), []).append(name)
    for word, sounds in name_readings():
        if word.startswith("陕西"):
            continue  # Shaanxi; Shanxi is 山西
        found.setdefault("".join(sounds), [])
        if word[-1] in _PLACE_ENDS and len(word) > 2:
            for said in ("".join(sounds), "".join(sounds[:-1])):
                found.setdefault(said, []).append(word[:-1])
    return found


@lru_cache(maxsize=1)
def _all_syllables() -> frozenset[str]:
    """Those that begin or end a name; a file, since pypinyin's tables take long to load."""
    return frozenset(word for line in _lines("syllables.txt") for word in line.split())


def _lines(name: str) -> list[str]:
    """The lines of a data file beside this module, without its comments."""
    lines = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
