"""Who is named in an article, with which office: the people table, by plain rules.

A name stands behind an office (市政协主席刘朝震), before one (李建国委员说), in a list that an
office ends (何广要等5名委员) or in a byline. Chinese names only; a person named without any office
is left out. Does not cover whether two articles mean the same person.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rag.blocks import CJK
from rag.habits import SURNAMES
from rag.names import segmented
from rag.places import Place, place_of
from rag.types import Article

_LONG_SURNAMES = "欧阳|司马|上官|诸葛|司徒|尉迟|慕容|东方|令狐|皇甫|公孙|夏侯|长孙|端木|澹台"
_OFFICES = (
    "书记|主席|主任|委员|常委|代表|董事长|总经理|经理|会长|理事长|理事|秘书长|秘书|局长|处长|科长|院长|校长|馆长|所长|站长|厂长"
    "|村长|镇长|乡长|县长|区长|市长|省长|州长|部长|司长|厅长|行长|社长|总裁|创始人|负责人|教授|研究员|工程师|设计师|医生|医师"
    "|护士|护士长|老师|教师|教练|律师|记者|通讯员|村民|居民|市民|农民|渔民|牧民|茶农|果农|工人|职工|同学|学生|小朋友|师傅|传承人"
    "|队长|组长|班长|园长|总监|专家|院士|主播|司机|船长|店主|店长|老板|经营者|志愿者|网格员|民警|法官|检察官|总理|总统|首相|大使"
    "|发言人|政委|干部|主持人|演员|导演|作家|诗人|画家|歌手|运动员|选手|冠军|家长|业主|商户|户主|种植户|养殖户|大户|带头人|支书"
    "|调解员|技术员|厨师|快递员|骑手|技师|工匠|匠人|养蜂人|接生人|发明家|企业家|艺术家|科学家|学者|博士|主编|编辑|编导|巡视员|调研员|总干事"
    "|董事|监事|股东|合伙人|首席执行官|总工程师|顾问|参事|馆员|站务员|列车长|机长|飞行员|航天员|裁判|馆主|窑主|社员|房东|租客|顾客|游客|患者"
)
_OFFICE = re.compile(rf"(?:{_OFFICES})(?=[{CJK}])")
_NAME = re.compile(rf"(?:{_LONG_SURNAMES})[{CJK}]{{1,2}}|[{''.join(SURNAMES)}][{CJK}]{{1,2}}")
_SAYS = (
    "说|表示|介绍|认为|指出|提出|强调|告诉|坦言|建议|回忆|透露|解释|感慨|笑|称|谈|主张|呼吁|提醒|补充|直言|给予|带|领|拿|看|"
    "参加|出席|主持|致辞|宣布|担任|散会|化身|要求|决定|希望|发现|了解|介绍说|深有|进一步|特别|一直|当场|随即|曾|已|正|也|就|则|却|都|还|又|的|在|和|与|及|"
    "等|对|向|把|从|是|有|为|给|同|来|去|到|将|被|让|用|家|今年|去年|每天|当选|走|站|坐|蹲|做|干|办|种|养|教|写|想|问|答|记得|算"
)
_THEN = re.compile(rf"(?:{_SAYS})|[^{CJK}]|$|(?:{_OFFICES})|小朋友|同学|一家|夫妇|先生|女士")
_AFTER = re.compile(
    rf"(?:{_OFFICES})(?=说|表示|介绍|认为|建议|提出|指出|告诉|强调|的|在|[，。、：,])"
)
_TOLD = re.compile(
    rf"({_NAME.pattern})(?:是|，|,|，是|,是)([{CJK}]{{0,24}}?(?:{_OFFICES}))(?=[。，,、；;]|的)"
)
_LIST = re.compile(
    rf"((?:[{CJK}]{{2,4}}、){{0,6}}[{CJK}]{{2,4}})等\d{{0,4}}[多余]?[名位个](?:[{CJK}]{{0,8}}?)({_OFFICES})"
)
_NOT_NAMES = re.compile(
    r"^(?:(.)\1|尚未|尚无|付出|荣誉|储备|储存|丰富|丰收|党委|党支|会议|会上|全国|全省|全市|高度|高质|任何|金融|华人|方面|方案|方式|成为|成立|成员|和谐|和平|平安|安全|安排|明确|明年|于是|于当|查看"
    "|水平|水利|江西|江苏|湖北|湖南|河南|河北|广东|广西|山东|山西|陕西|辽宁|安徽|宁夏|海南|黑龙|云南|贵州|温州|苏州|杭州|常州|常务|常委|常态"
    "|时代|时间|时候|单位|黄河|长江|马上|马路|应该|应对|应急|强调|强化|关于|关注|关系|项目|经济|计划|严格|解决|连续|连线|车间|车辆|白天|白色"
    "|古代|古城|农村|农业|农民|文化|文明|牛羊|毛利|花费|易地|包括|包含|向前|向上|向着|宣传|宣布|温度|郑重|左右|曲艺|游客|游戏|党员|党建|党组"
    "|都是|都市|商户|商业|商会|祝福|柴火|路上|路边|段时|钱从|雷达|龙头|万元|万人|万吨|田间|田地|石头|金牌|金额|房子|房屋|舒适|季度|元旦|许多|何时|何以|何处|谈到|谈起)"
)
_LEADING = re.compile("v(?!n)|[mqa](?!n)")  # a verb or number before the nouns is no part of them
_ORGANISED = re.compile(
    "(?:政协|人大|委|局|会|公司|院|校|所|厅|站|社|村|镇|乡|县|市|区|省|州|旗|厂|园|馆|学|集团|银行|政府|中心|队|部|处|科|室|店|组|国|党|军)$"
)
_STOP_TAGS = ("u", "p", "d", "r", "c", "x", "y", "f", "e", "o", "z", "t")
_REPORTER = re.compile(
    r"((?:本报|本刊|本网|新华社|特约|见习|实习|首席)*(?:记者|通讯员|评论员|摄影))[：:\s]*"
)


@dataclass(frozen=True, slots=True)
class Person:
    """A name in an article: `article.text[start:end] == name`, or both are -1 for the byline.

    `office` is as written (市政协常委); `organisation` is what it is of, with the place that the
    article is about where the text leaves it out (朝阳市政协), or "".
    """

    name: str
    office: str
    organisation: str
    start: int
    end: int


def people_of(article: Article) -> tuple[Person, ...]:
    """The people of an article and their offices, each name once, in the order of the text."""
    text = article.text
    found: dict[str, Person] = {}
    for person in (
        *_reporters(article),
        *_named(text),
        *_told(text),
        *_listed(text),
        *_styled(text),
    ):
        known = found.get(person.name)
        if known is None or (len(person.office) > len(known.office) and known.start >= 0):
            found[person.name] = person
    place = place_of(article)
    people = (_at_home(person, place) for person in found.values())
    return tuple(sorted(people, key=lambda person: (person.start < 0, person.start)))


def _at_home(person: Person, place: Place) -> Person:
    """With 市政协 as 朝阳市政协 where the article is about 朝阳市."""
    homes = (place.province, place.city, place.county)
    home = next((name for name in homes if name and name[-1] == person.organisation[:1]), "")
    if not home or person.organisation[:2] in ("市场", "区块", "区域", "州际"):
        return person
    return replace(person, organisation=home[:-1] + person.organisation)


# --- names behind an office ----------------------------------------------------------------------


def _named(text: str) -> Iterator[Person]:
    """市政协主席刘朝震, and those that follow with 、."""
    for match in _OFFICE.finditer(text):
        at = match.end()
        name = _name_at(text, at)
        while name:
            office, organisation = _office(text[: match.end()])
            yield Person(name, office, organisation, at, at + len(name))
            at += len(name)
            name = _name_at(text, at + 1) if text[at : at + 1] == "、" else ""
            at += 1


def _name_at(text: str, at: int) -> str:
    """The personal name that begins here, or ""."""
    match = _NAME.match(text, at)
    if not match or _NOT_NAMES.match(match.group()):
        return ""
    longest = match.group()
    least = 3 if re.match(_LONG_SURNAMES, longest) else 2
    best, most = "", 0.0
    ends = _word_ends(text[at : at + 8])
    for size in range(least, len(longest) + 1):
        name, rest = text[at : at + size], text[at + size :]
        score = 1.5 * bool(_THEN.match(rest)) + 1.0 * (size in ends) + 0.3 * (size > least)
        again = text.count(name)
        if again > 1:
            score += 1.0 + (size > least) * (again == text.count(name[:-1]))
        if score > most:
            best, most = name, score
    return best if most >= 1.5 else ""


def _word_ends(text: str) -> set[int]:
    """Where the segmenter ends words."""
    return {start + len(word) for start, word, _ in segmented(text)}


def _office(before: str) -> tuple[str, str]:
    """The office that a text ends with, as written, and what it is of."""
    clause = re.split(r"[，。；：！？“”‘’（）()\n,;:!?]", before[-60:])
    phrase = _noun_phrase(clause[-1])
    if len(clause) > 1 and before[-60:].rstrip(phrase)[-1:] in "，,":
        earlier = _noun_phrase(clause[-2])
        if re.search(rf"(?:{_OFFICES})$", earlier) and phrase == clause[-1]:
            phrase = f"{earlier}、{phrase}"
    last = phrase.rpartition("、")[2] if "、" in phrase else phrase
    stem = re.sub(
        rf"(?:党组|党委|党总支|党支部)?(?:常务|执行|名誉|第一|首席|总|副|原)*(?:{_OFFICES})$",
        "",
        last,
    )
    if "、" in phrase and not _ORGANISED.search(stem):
        return phrase, _office(phrase.rpartition("、")[0])[1]
    return phrase, stem if _ORGANISED.search(stem) else ""


def _noun_phrase(clause: str) -> str:
    """The nouns that a clause ends with; words that begin no name of an office are cut off."""
    words = segmented(clause)
    begin = len(words)
    while begin:
        _, word, tag = words[begin - 1]
        is_part = word in "、委办处科局站所部厅室省市区县州旗乡镇村街" or re.search("委$", word)
        is_link = word in ("是", "为", "叫", "请", "请来", "任")
        if is_link or (
            tag.startswith(_STOP_TAGS)
            and not is_part
            and not re.fullmatch("原|前|副|总|全国|第.*", word)
        ):
            break
        begin -= 1
    while begin < len(words) and (_LEADING.match(words[begin][2]) or words[begin][1] == "、"):
        if re.match(r"十|第|中国|原|副|总|工程|执行|研究|教|调研|理事|董事|编", words[begin][1]):
            break
        begin += 1
    return clause[words[begin][0] :] if begin < len(words) else ""


# --- other places of names -----------------------------------------------------------------------


def _styled(text: str) -> Iterator[Person]:
    """李建国委员说."""
    for match in _NAME.finditer(text):
        for size in (len(match.group()), len(match.group()) - 1):
            name = match.group()[:size]
            office = _AFTER.match(text, match.start() + size)
            if size > 1 and office and not _NOT_NAMES.match(name) and _is_free(text, match.start()):
                yield Person(name, office.group(), "", match.start(), match.start() + size)
                break


def _told(text: str) -> Iterator[Person]:
    """彭水根是柘湾村党支部书记; 叶小舫，木雕传承人."""
    for match in _TOLD.finditer(text):
        name = match[1]
        if text.count(name) < 2 or _NOT_NAMES.match(name) or not _is_free(text, match.start()):
            continue
        at = match.start() + match[0].index(match[2], len(name))
        office, organisation = _office(text[:at] + match[2])
        if office and office in match[2]:
            yield Person(name, office, organisation, match.start(), match.start() + len(name))


def _is_free(text: str, at: int) -> bool:
    """Whether no word runs across this place: a name begins here."""
    before = text[max(0, at - 6) : at]
    return (
        not before
        or len(before) in _word_ends(before + text[at : at + 4])
        or before[-1] in "，。、：；“,;:"
    )


def _listed(text: str) -> Iterator[Person]:
    """李建国、何广要等5名委员."""
    for match in _LIST.finditer(text):
        at = match.start(1)
        for name in match[1].split("、"):
            if _NAME.fullmatch(name) and not _NOT_NAMES.match(name):
                yield Person(name, match[2], "", at, at + len(name))
            at += len(name) + 1


def _reporters(article: Article) -> Iterator[Person]:
    """Those of the byline."""
    _, *parts = _REPORTER.split(article.byline)
    for office, names in zip(parts[::2], parts[1::2], strict=True):
        for name in re.findall(rf"[{CJK}]{{2,4}}", names):
            yield Person(name, office, "", -1, -1)
