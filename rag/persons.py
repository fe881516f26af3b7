"""Who is named in an article, with which office: the people table, by plain rules.

A name is a surname with a character or two, and something that says it is a person: an office
before it (市政协主席刘朝震) or behind it (李建国委员), a verb of saying, an age, a kin. All that
speaks for a name is added up; then the offices around it are read. Does not cover names in other
scripts than Chinese, people of whom only a part is named (彭奶奶), nor whether two articles mean
the same person.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rag.blocks import CJK
from rag.habits import SURNAMES
from rag.names import is_in_dictionary, may_be_surname, segmented
from rag.offices import cuts_one, ends_with_one, office_at_end, organisation_of
from rag.places import Place, place_of
from rag.types import Article

# --- what is looked for. Each is linear: no nested or adjacent unbounded repeats. ----------------

_LONG_SURNAME = re.compile(
    "(?:欧阳|司马|上官|诸葛|司徒|尉迟|慕容|东方|令狐|皇甫|公孙|夏侯|长孙|端木|澹台|呼延|轩辕|宇文|南宫|独孤|拓跋|司空|闻人"
    "|申屠)(?![伯叔婶姨爷奶总])"
)
_RARE = frozenset("索茶贝楼芮满闫信户撒火况仝班尉海妥南雍桂修阳占亢来仵门鹿苌勾敬续铁战银初朴赫肇乜兀")
_DOTTED = re.compile(rf"[{CJK}]{{1,8}}(?:[·•][{CJK}]{{1,8}})+")
_KIN = re.compile(
    "(?:妻子|丈夫|爱人|老伴|儿子|女儿|父亲|母亲|爸爸|妈妈|哥哥|弟弟|姐姐|妹妹|孙子|孙女|侄子|侄女|儿媳|女婿|叫|叫做|岁的|老人|老汉"
    "|搭档|同事|徒弟|邻居|老乡|嫂子|大姐|大哥|大爷|大娘)$"
)
_SAYS = re.compile(
    "说|表示|介绍|认为|指出|提出|强调|告诉|坦言|建议|回忆|透露|解释|感慨|笑着|笑道|笑称|称|谈到|主张|呼吁|提醒|补充|直言|回应|提议|要求"
    r"|希望|担心|算了一|算过一|致辞|关心的|回答|摆摆手|点点头|摇摇头|叹|(?:，|,)?今年\d|[，,]\d{2}岁"
)
_GOES_ON = re.compile(
    "[的在和与及等对向把从是有为给同来去到将被让用家带领拿看望曾已正也就则却都还又便仍走站坐蹲做干办种养教写想问答算没不当早一以所]"
    "|参加|出席|主持|宣布|担任|决定|发现|进一步|特别|每天|当选|夫妇|先生|女士|这样|常|连|今年|去年"
)
_ADVERB = frozenset("则也却就还又都便仍了是在说和与及等称的给谈")  # behind a whole name, seldom in one
_NO_GIVEN = re.compile(
    "(?:先生|女士|奶奶|爷爷|大爷|大妈|大娘|大姐|大哥|阿姨|师傅|老师|同学|政协|人大|政府|委员|部门|某|委|级|工商|民[政族]|[上下出起到过好完]|.?[的了着不边各]|.[后前里内外时展节赛]|.[县市区镇乡村省局])"
)
_BEFORE = re.compile(r"(?:^|[的在由让请给对和与跟同是被把向比有像见了]|[^\w]|其中)$")
_STYLED = re.compile(
    r"(委员|书记|主席|主任|教授|老师|医生|大使|博士|院士|律师|同学|小朋友|师傅|常委|代表|总理|校长|局长|院长|馆长|会长)"
    "(?=说|表示|介绍|认为|建议|提出|指出|告诉|强调|的|在|[，。、：,])"
)
_TOLD = re.compile(
    rf"(?:[，,]?(?:今年)?\d{{2}}岁)?(?:[，,]?(?:是|现任|时任)|[，,]|的(?=[{CJK}]{{2,8}}[，,]))"
    rf"([{CJK}、]{{2,30}})(?=[。，,；;])"
)
_LIST = re.compile(
    rf"((?:[{CJK}]{{2,4}}、){{0,6}}[{CJK}]{{2,4}}?)等?\d{{0,4}}[多余两三四五六七八九十]?[名位个]([{CJK}]{{2,10}}?)(?![{CJK}]{{0,2}}员)"
)
_REPORTER = re.compile(
    r"((?:本报|本刊|本网|新华社|特约|见习|实习|首席)*(?:记者|通讯员|评论员|实习生|摄影))[：:\s]*"
)
_RANKED = re.compile("(?:书记|主席|主任|[局院校会镇乡县市厅部馆所站]长|总?经理|主委|名叫|叫)$")
_NO_REPORTER = frozenset(("整理", "摄", "文并摄", "报道", "摄影报道", "综合", "综合报道", "供图", "采写"))
_PLAIN_TAGS = ("v", "d", "p", "m", "r", "u", "f", "q", "t")
_PLACE = re.compile("[岭山河沟村湾桥路街塘港坪镇乡川江湖岛县市区州寨屯园庄]$")
_ODD_TAGS = ("tg", "zg", "b")  # which the segmenter gives to names that it doesn't know
_ENOUGH = 4.0  # of `_weight`: tuned on the articles of tests/data/people.jsonl marked so


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


@dataclass(frozen=True, slots=True)
class _Read:
    """A text, and its words with their tags by where they begin."""

    text: str
    words: dict[int, tuple[str, str]]
    known: frozenset[str] = frozenset()  # names of people that are certain

    @classmethod
    def of(cls, text: str, known: frozenset[str] = frozenset()) -> "_Read":
        """A text, read."""
        return cls(text, {at: (word, tag) for at, word, tag in segmented(text)}, known)


def people_of(article: Article) -> tuple[Person, ...]:
    """The people of an article and their offices, each name once, in the order of the text."""
    headed = {person.name: person.office for person in _named(_Read.of(article.title))}
    read = _Read.of(article.text, frozenset(headed))
    found: dict[str, Person] = {}
    for person in (*_of_byline(article.byline), *_reporters(read.text), *_named(read)):
        known = found.get(person.name)
        if known is None or (len(person.office) > len(known.office) and known.start >= 0):
            found[person.name] = person
    for name in headed.keys() & found.keys():
        if not found[name].office:
            office = headed[name]
            found[name] = replace(
                found[name], office=office, organisation=organisation_of(office)
            )
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


# --- reporters -----------------------------------------------------------------------------------


def _of_byline(byline: str) -> Iterator[Person]:
    """Those of the byline."""
    _, *parts = _REPORTER.split(byline)
    for office, names in zip(parts[::2], parts[1::2], strict=True):
        for name in re.findall(rf"{_DOTTED.pattern}|[{CJK}]{{2,4}}", names):
            if name in _NO_REPORTER:
                continue
            yield Person(name, office, "", -1, -1)


def _reporters(text: str) -> Iterator[Person]:
    """（记者 秦朗 通讯员 方晓棠）: a blank parts name and office."""
    for match in _REPORTER.finditer(text):
        at = match.end()
        while at and text[at - 1] in "：: \u3000、":
            name = re.compile(rf"({_DOTTED.pattern}|[{CJK}]{{2,4}})(?![{CJK}·])").match(text, at)
            if not name or _REPORTER.match(text, at) or name[1] in _NO_REPORTER:
                break
            yield Person(name[1], match[1], "", at, name.end())
            at = name.end() + 1


# --- names ---------------------------------------------------------------------------------------


def _named(read: _Read) -> Iterator[Person]:
    """Those in the text, each with each office that it has somewhere."""
    text = read.text
    heads = dict(_names(read))
    for name in dict.fromkeys(text[start:end] for start, end in heads):
        for match in re.finditer(re.escape(name), text):
            head = heads.get(match.span())
            office = _office(text, match.start() if head is None else head, match.end())
            if office or head is not None:
                yield Person(name, office, organisation_of(office), *match.span())
    yield from _listed(read)


def _names(read: _Read) -> Iterator[tuple[tuple[int, int], int]]:
    """Where names stand, and where their office ends: the first of those with 、 between."""
    text, last, head = read.text, -1, 0
    dotted = {start: (start, end) for start, end in _dotted(text)}
    for start in range(len(text)):
        if start <= last - 1:
            continue
        is_next = start == last + 1 and text[last] in "、和"
        if start in dotted:
            end = dotted[start][1]
        elif _may_begin(text, start):
            end = _name_end(read, start, is_next=is_next)
        else:
            end = _foreign_end(read, start)
        if end:
            head = head if is_next else start
            last = end
            yield (start, end), head


def _may_begin(text: str, start: int) -> bool:
    """Whether a surname stands here."""
    char = text[start]
    is_short = char not in "区员" and (char in SURNAMES | _RARE or may_be_surname(char))
    return is_short or bool(_LONG_SURNAME.match(text, start))


def _name_end(read: _Read, start: int, *, is_next: bool) -> int:
    """Where the personal name ends that begins here; 0 if none does."""
    least = start + (3 if _LONG_SURNAME.match(read.text, start) else 2)
    weights = [
        (_weight(read, start, end, is_next=is_next), end)
        for end in (least, least + 1)
        if re.fullmatch(f"[{CJK}]+", read.text[start:end]) and end <= len(read.text)
    ]
    weight, end = max(weights, default=(0.0, 0))
    return end if weight >= _ENOUGH else 0


def _weight(read: _Read, start: int, end: int, *, is_next: bool) -> float:
    """How much speaks for a personal name from `start` to `end`."""
    text = read.text
    before, name, rest = text[max(0, start - 12) : start], text[start:end], text[end : end + 8]
    is_office = ends_with_one(before)
    is_cued = is_office or is_next or bool(_KIN.search(before)) or name in read.known
    is_styled = not is_office and bool(_STYLED.match(rest))
    is_said = bool(_SAYS.match(rest) or (_SAYS.match(rest[1:]) and rest[0] in _ADVERB))
    is_said = is_said or (rest[:1] == "是" and bool(_told(text, end)))
    is_free = start in read.words and bool(_BEFORE.search(before))
    if cuts_one(before, name) or (len(name) == 2 and name[1] in _ADVERB):
        return 0.0
    is_new = _is_new(read, start, end)
    is_place = before.endswith(("在", "到", "从", "去", "来自"))
    speaks = is_cued or (is_free and (is_styled or is_said or (is_new and not is_place)))
    if _NO_GIVEN.match(text, start + 1) or not speaks:
        return 0.0
    weight = (3.0 if _RANKED.search(before) else 2.0) if is_cued else 0.8
    if is_said or is_styled:
        weight += 2.0
    elif not re.match(rf"[{CJK}]", rest):
        weight += 1.0
    elif _GOES_ON.match(rest) or _is_plain(*read.words.get(end, ("", ""))):
        weight += 0.7
    else:
        weight -= 1.0
    weight += _by_words(read, start, end)
    if name[-1] in _ADVERB and end - start == 3 and rest[:1] + name[-1] != "的和" and text.count(name) == 1:
        weight -= 3.0
    return weight + _by_repetition(text, name)


def _is_plain(word: str, tag: str) -> bool:
    """Whether a word is no part of a name: a verb, an adverb and the like, and no guess."""
    return tag.startswith(_PLAIN_TAGS) and is_in_dictionary(word)


def _by_words(read: _Read, start: int, end: int) -> float:
    """What the segmenter says of a name from `start` to `end`."""
    word, tag = read.words.get(start, ("", ""))
    if len(word) > 1 and not is_in_dictionary(word):
        tag = "nr" if len(word) == 3 or (len(word) == 2 and tag != "v") else tag
    weight = (1.0 if start in read.words else 0.5 if start + 1 in read.words else 0.0) + 1.0 * (end in read.words or end >= len(read.text))
    if tag.startswith("nr"):
        return weight + (1.5 if start + len(word) <= end else 1.0)
    if tag in _ODD_TAGS:
        return weight
    if len(word) > 1:  # a common word; nouns are names at times
        is_noun = tag.startswith("n") and not tag.startswith("nt")
        return weight - (0.5 if is_noun and start + len(word) < end else 2.0 if is_noun else 3.0)
    _, given_tag = read.words.get(start + 1, ("", ""))
    if given_tag.startswith(("f", "t", "u", "r", "m", "p", "s", "c")):
        weight -= 1.5
    weight += 1.0 * given_tag.startswith("nr")
    if tag.startswith(_PLAIN_TAGS) and word != "曾":
        weight -= 1.5 if given_tag.startswith("v") else 1.0
    return weight - 3.0 * (tag == "c")


def _is_new(read: _Read, start: int, end: int) -> bool:
    """Whether it is one word that the segmenter made up, and took for a name: 张美婷."""
    word, tag = read.words.get(start, ("", ""))
    return (
        len(word) == 3 == end - start
        and tag.startswith("nr")
        and word[0] in SURNAMES
        and word[0] not in "车井木强"
        and not _PLACE.search(word)
        and not is_in_dictionary(word)
    )


def _by_repetition(text: str, name: str) -> float:
    """A name comes again whole: 李继周 where 李继 has 周 behind it each time."""
    times, shorter = text.count(name), text.count(name[:-1])
    if len(name) == 3 and times > 1:
        return 0.5 + 2.0 * (times == shorter)
    return 0.5 * (times > 1)


def _dotted(text: str) -> Iterator[tuple[int, int]]:
    """艾力·买买提, cut off from the office before and the words behind."""
    for match in _DOTTED.finditer(text):
        dot = re.search("[·•]", match[0])
        assert dot
        first = match.start() + dot.start()
        start = next(
            (
                at
                for at in range(first - 1, match.start(), -1)
                if ends_with_one(text[max(0, at - 8) : at]) or text[at - 1] in "的和与、"
            ),
            match.start(),
        )
        end = _first_word_end(text, match)
        yield start, end


def _first_word_end(text: str, match: re.Match[str]) -> int:
    """Where the last part of a dotted name ends."""
    begin = max(match[0].rfind("·"), match[0].rfind("•")) + match.start() + 1
    end = begin
    for _, word, tag in segmented(text[begin : match.end()]):
        goes_on = _SAYS.match(text, end) or _GOES_ON.match(text, end) or tag == "v"
        if end > begin + 1 and goes_on:
            break
        end += len(word)
    return end


def _foreign_end(read: _Read, start: int) -> int:
    """Where a name without a known surname ends, behind an office: 乌兰托娅, 额尔敦, 茶秀英."""
    before = read.text[max(0, start - 12) : start]
    if start not in read.words or not (ends_with_one(before) or _KIN.search(before)):
        return 0
    if before.endswith("岁的") or read.text[start] in "小老阿大":
        return 0
    end, made_up = start, False
    while end in read.words and re.fullmatch(f"[{CJK}]+", read.words[end][0]):
        word, tag = read.words[end]
        is_over = _SAYS.match(read.text, end) or _GOES_ON.match(read.text, end)
        if end > start and (is_over or end - start > 3):
            break
        is_name = tag.startswith(("nr", "ns", "nz"))
        is_new = len(word) > 1 and not is_in_dictionary(word)
        if not (is_name or (is_new and end > start)) or _PLACE.search(word):
            return 0
        made_up |= is_new or tag.startswith("nr")
        end += len(word)
    name = read.text[start:end].removesuffix("家")
    is_person = made_up and 2 <= len(name) <= 5 and not cuts_one(before, name)
    return start + len(name) if is_person else 0


# --- offices around a name -----------------------------------------------------------------------


def _office(text: str, head: int, end: int) -> str:
    """The office before, behind, or told of a name that ends at `end`, as written, or ""."""
    before = text[max(0, head - 60) : head]
    before = re.sub("名?叫$", "", before)
    if ends_with_one(before):
        return office_at_end(before)
    if styled := _STYLED.match(text, end):
        return styled[1]
    return _told(text, end)


def _told(text: str, end: int) -> str:
    """彭水根是柘湾村党支部书记; 叶小舫，木雕传承人; 有个叫邓清和的烧灶工."""
    told = _TOLD.match(text, end)
    return office_at_end(told[1]) if told and ends_with_one(told[1]) else ""


def _listed(read: _Read) -> Iterator[Person]:
    """李建国、何广要等5名委员."""
    for match in _LIST.finditer(read.text):
        names = match[1].split("、")
        if not ends_with_one(match[2]) or any(name[0] not in SURNAMES for name in names):
            continue
        at = match.start(1)
        for name in names:
            if len(name) < 4 and _by_words(read, at, at + len(name)) >= 1.0:
                yield Person(name, match[2], "", at, at + len(name))
            at += len(name) + 1
