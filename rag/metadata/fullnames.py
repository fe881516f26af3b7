"""Where the full names of people stand in a Chinese text, by all that speaks for each.

A name is a surname with a character or two, and something that says it is a person: an office
before it (市政协主席刘朝震) or behind it (李建国委员), a verb of saying, an age, a kin, a headline
that has it; the segmenter and repetition say where it ends. Names without a known surname count
behind an office only. Does not cover people of whom only a part is named (彭奶奶).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rag.layout.blocks import CJK
from rag.layout.habits import SURNAMES
from rag.metadata.offices import STYLED, cuts_one, ends_with_one, is_title, told_behind
from rag.words.names import is_in_dictionary, may_be_surname, segmented

# --- what is looked for. Each is linear: no nested or adjacent unbounded repeats. ----------------

_LONG_SURNAME = re.compile(
    "(?:欧阳|司马|上官|诸葛|司徒|尉迟|慕容|东方|令狐|皇甫|公孙|夏侯|长孙|端木|澹台|呼延|轩辕|宇文|南宫|独孤|拓跋|司空|闻人"
    "|申屠)(?![伯叔婶姨爷奶总])"
)
_RARE = frozenset("索茶贝楼芮满闫况仝农释宿班尉海妥南雍桂修阳占亢来仵门鹿苌敬续战银初朴赫肇")
# Those of them that mean nothing else.
_SURE_SURNAME = re.compile(
    "(?:欧阳|司马|上官|诸葛|司徒|尉迟|慕容|令狐|皇甫|夏侯|端木|澹台|呼延|轩辕|宇文|拓跋)(?![伯叔婶姨爷奶总])"
)
DOTTED = re.compile(rf"[{CJK}]{{1,8}}(?:[·•][{CJK}]{{1,8}}){{1,4}}")
_KIN = re.compile(
    "(?:妻子|丈夫|爱人|老伴|儿子|女儿|父亲|母亲|爸爸|妈妈|哥哥|弟弟|姐姐|妹妹|孙子|孙女|侄子|侄女|儿媳|女婿|叫|叫做|岁的|老人|老汉"
    "|搭档|同事|徒弟|邻居|老乡|嫂子|大姐|大哥|大爷|大娘|兄弟|兄妹|姐妹|姐弟|夫妻|夫妇|父子|父女|母子|母女)$"
)
_SAYS = re.compile(
    "说|表示|介绍|认为|指出|提出|强调|告诉|坦言|建议|回忆|透露|解释|感慨|笑着|笑道|笑称|称|谈到|主张|呼吁|提醒|补充|直言|回应|提议|要求"
    r"|希望|担心|算了一|算过一|致辞|关心的|回答|摆摆手|点点头|摇摇头|叹|(?:，|,)?今年\d|[，,]\d{2}岁"
)
_KIN_BEHIND = re.compile(
    "[和与跟同](?:[他她]的?)?(?:妻子|丈夫|爱人|老伴|儿子|女儿|父亲|母亲|爸爸|妈妈|哥哥|弟弟|姐姐|妹妹|孙子|孙女|儿媳|女婿|家人)"
    "|兄弟|兄妹|姐妹|姐弟|夫妻|夫妇|父子|父女|母子|母女|两口子|一家[人三四五六]"
)
_GOES_ON = re.compile(
    "[的在和与及等对向把从是有为给同来去到将被让用家带领拿看望曾已正也就则却都还又便仍走站坐蹲做干办种养教写想问答算没不当早一以所]"
    "|参加|出席|主持|宣布|担任|决定|发现|进一步|特别|每天|当选|夫妇|先生|女士|这样|常|连|今年|去年"
)
_ADVERB = frozenset("则也却就还又都便仍了是在说和与及等称的给谈带")  # seldom in a name
_NO_GIVEN = re.compile(
    "(?:先生|女士|奶奶|爷爷|大爷|大妈|大娘|大姐|大哥|阿姨|师傅|老[师爹伯汉板太]|同学|政协|人大|政府|委员|部门|某|委|级|工商|民[政族]|[上下出起到过好完]"
    "|.?[的了着不边各]|.[后前里内外时展节赛]|.[县市区镇乡村省局])"
)
_BEFORE = re.compile(r"(?:^|[的在由让请给对和与跟同是被把向比有像见了]|[^\w]|其中)$")
_RANKED = re.compile("(?:书记|主席|主任|[局院校会镇乡县市厅部馆所站]长|总?经理|主委|名叫|叫)$")
_NOT_IN_DOTTED = re.compile("[在和与是的说]|表示|介绍|认为|告诉|工作")
_PLAIN_TAGS = ("v", "d", "p", "m", "r", "u", "f", "q", "t")
_PLACE = re.compile("[岭山河沟村湾桥路街塘港坪镇乡川江湖岛县市区州寨屯园庄]$")
_ODD_TAGS = ("tg", "zg", "b")  # which the segmenter gives to names that it doesn't know
_ENOUGH = 4.0  # of `_weight`: tuned on the articles of tests/data/people.jsonl marked so


@dataclass(frozen=True, slots=True)
class Read:
    """A text, and its words with their tags by where they begin."""

    text: str
    words: dict[int, tuple[str, str]]
    known: frozenset[str] = frozenset()  # names of people that are certain

    @classmethod
    def of(cls, text: str, known: frozenset[str] = frozenset()) -> "Read":
        """A text, read."""
        return cls(text, {at: (word, tag) for at, word, tag in segmented(text)}, known)


def names_in(read: Read) -> Iterator[tuple[tuple[int, int], int]]:
    """Where names stand, and where their office ends: the first of those with 、 between."""
    text, last, head = read.text, -1, 0
    dotted = dict(_dotted(text))
    for start in range(len(text)):
        if start < last:
            continue
        is_next = start == last + 1 and text[last] in "、和"
        if start in dotted:
            end = dotted[start]
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


def _name_end(read: Read, start: int, *, is_next: bool) -> int:
    """Where the personal name ends that begins here; 0 if none does."""
    least = start + (3 if _LONG_SURNAME.match(read.text, start) else 2)
    weights = [
        (_weight(read, start, end, is_next=is_next), end)
        for end in (least, least + 1)
        if re.fullmatch(f"[{CJK}]+", read.text[start:end]) and end <= len(read.text)
    ]
    weight, end = max(weights, default=(0.0, 0))
    return end if weight >= _ENOUGH else 0


def _weight(read: Read, start: int, end: int, *, is_next: bool) -> float:
    """How much speaks for a personal name from `start` to `end`; 0 if nothing says it is one."""
    text = read.text
    before, name = text[max(0, start - 12) : start], text[start:end]
    is_short = end - start == 2
    if cuts_one(before, name) or _NO_GIVEN.match(text, start + 1) or is_title(name[1:]):
        return 0.0
    if is_short and name[1] in _ADVERB:
        return 0.0
    if is_short and start not in read.words and not _RANKED.search(before):
        return 0.0  # 党界 in 农工党界别
    is_office = ends_with_one(before)
    is_cued = is_office or is_next or bool(_KIN.search(before)) or name in read.known
    is_cued = is_cued or bool(_SURE_SURNAME.match(name))
    is_said = _is_said(text, end) or (not is_office and bool(STYLED.match(text, end)))
    is_free = start in read.words and bool(_BEFORE.search(before))
    is_new = not before.endswith(("在", "到", "从", "去", "来自")) and _is_new(read, start, end)
    if not (is_cued or (is_free and (is_said or is_new))):
        return 0.0
    weight = 0.8 if not is_cued else 3.0 if _RANKED.search(before) else 2.0
    weight += 2.0 if is_said else _behind(read, end)
    if not is_short and _swallows(text, name, end):
        weight -= 3.0
    return weight + by_words(read, start, end) + _by_repetition(text, name)


def _is_said(text: str, end: int) -> bool:
    """Whether what follows a name is what people do: 说, 则提出, 是柘湾村党支部书记."""
    is_verb = _SAYS.match(text, end) or (
        text[end : end + 1] in _ADVERB and _SAYS.match(text, end + 1)
    )
    is_kin = _KIN_BEHIND.match(text, end)
    is_told = text.startswith("是", end) and told_behind(text, end)
    return bool(is_verb or is_kin or is_told)


def _behind(read: Read, end: int) -> float:
    """What the text behind a name says for its end."""
    if not re.match(rf"[{CJK}]", read.text[end : end + 1]):
        return 1.0
    word, tag = read.words.get(end, ("", ""))
    is_other_word = tag.startswith(_PLAIN_TAGS) and is_in_dictionary(word)
    return 0.7 if is_other_word or is_title(word) or _GOES_ON.match(read.text, end) else -1.0


def _swallows(text: str, name: str, end: int) -> bool:
    """Whether a name seems to end with a word that belongs behind it: 韩卓|则; but 叫邓清和的."""
    is_called = name[-1] == "和" and text.startswith("的", end)
    return name[-1] in _ADVERB and not is_called and text.count(name) == 1


def by_words(read: Read, start: int, end: int) -> float:
    """What the segmenter says of a name from `start` to `end`."""
    word, tag = read.words.get(start, ("", ""))
    if len(word) > 1 and not is_in_dictionary(word):
        tag = "nr" if len(word) == 3 or (len(word) == 2 and tag != "v") else tag
    weight = 1.0 if start in read.words else 0.5 if start + 1 in read.words else 0.0
    weight += 1.0 * (end in read.words or end >= len(read.text))
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


def _is_new(read: Read, start: int, end: int) -> bool:
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
    for match in DOTTED.finditer(text):
        dot = re.search("[·•]", match[0])
        start = match.start() + (dot.start() if dot else 0) - 1
        while start > match.start() and not (
            text[start - 1] in "的和与、" or ends_with_one(text[max(0, start - 8) : start])
        ):
            start -= 1
        yield start, _first_word_end(text, match)


def _first_word_end(text: str, match: re.Match[str]) -> int:
    """Where the last part of a dotted name ends."""
    begin = max(match[0].rfind("·"), match[0].rfind("•")) + match.start() + 1
    end = begin
    if behind := _NOT_IN_DOTTED.search(text, begin + 2, match.end()):
        return behind.start()  # 热合曼|在社区, which the segmenter cuts elsewhere
    for _, word, tag in segmented(text[begin : match.end()]):
        goes_on = _SAYS.match(text, end) or _GOES_ON.match(text, end) or tag == "v"
        if end > begin + 1 and goes_on:
            break
        end += len(word)
    return end


def _foreign_end(read: Read, start: int) -> int:
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
