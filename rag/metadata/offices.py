"""Offices as an article writes them: 市政协委员、云港渔业公司董事长, and what they are of.

An office is a noun phrase that ends with a title (局长), a trade (把桩师傅) or a standing (村民).
Does not cover whose it is (persons.py).
"""

import re

from rag.layout.blocks import CJK
from rag.words.names import segmented

_TITLES = (
    "书记|主席|主任|(?<!业)主委|委员|常委|执委|代表|董事长|总经理|经理|会长|理事长|理事|秘书长|秘书|局长|处长|科长|院长|校长|馆长|所长|站长"
    "|厂长|村长|镇长|乡长|县长|区长|市长|省长|州长|部长|司长|厅长|行长|社长|总裁|创始人|负责人|教授|研究员|工程师|设计师|医生|医师"
    "|护士|护士长|老师|教师|教练|律师|记者|通讯员|村民|居民|市民|农民|渔民|牧民|茶农|果农|工人|职工|同学|学生|小朋友|师傅|传承人"
    "|队长|组长|班长|园长|总监|专家|院士|主播|司机|船长|店主|店长|老板|经营者|志愿者|网格员|民警|法官|检察官|总理|总统|首相|大使"
    "|发言人|政委|干部|主持人|演员|导演|作家|诗人|画家|歌手|运动员|选手|冠军|家长|业主|商户|户主|大户|带头人|支书|技师|工匠|匠人"
    "|博士|主编|编辑|编导|总干事|董事|监事|股东|合伙人|首席执行官|顾问|参事|裁判|社员|房东|租客|顾客|游客|患者|学者|烈士|党员|股长|大队长|主人|成员"
    "|艺人|武生|青年|姑娘|小伙|老板娘|族人|助理|客商|戏迷|球迷"
)
_TITLE = re.compile(_TITLES + "|工[程坊业会厂作商信]|家庄|主[张要动导]|员会|师范|长[期江安]")
_TITLED = re.compile(rf"(?:{_TITLES})$")
_TRADE = re.compile(
    "[员长师家手者工民户匠主农商贩士生贤计妇星友警医娘]$"
)  # 烧灶工, 摊主, 造价师: any noun so built
_NO_TRADE = re.compile(
    "^(?:.?[大国人全自厂商一几各哪每农公搬回]家|[成人全动裁满]员|总?动员|[增生成特延擅周全]长|[人双分入着帮亲一二新]手|[或前后两]者"
    "|[人手开竣施动完加化军用务打员分]工|[人为惠便利全国移]民|[自民为]主|[用账窗门入开]户|[助三支涉惠]农|[工客协招会智电]商|.*[卫民新养再衍发产]生|.*[统设预审估共合]计|.*战士?|.?障者|[中西就行]医|[区县市省].|[明行]星|[网亲好]?友)$"
)
_LEADS = re.compile("v(?!n)|[mqa](?!n)")  # a verb or number before the nouns is no part of them
_LEADS_OFFICE = re.compile(
    "十|第|民[建革盟进]|九三|中国|原|前|副|总|工程|注册|退休|执行|研究|教|调研|理事|董事|编|老|高级|首席|名誉"
)
_LINK = re.compile(
    "(?:[就这即也]?是|记|据|源自|走近|对话|访|为|名?叫|请|请来|任|由|与|.?给|邀请|采访|见到|来到|走访|带领|陪同|联系|拜访|遇到|认识|告诉|记得|介绍|发现|看望|委托|听|说)"
)
_STOP_TAGS = ("u", "p", "d", "r", "c", "x", "y", "f", "e", "o", "z", "t")
# What the segmenter cuts in two behind a bare 区: 区住|建局总经济师, 县农牧和|科技局局长.
_OF_A_PLACE = re.compile("(?:^|[由、与])([省市县区州旗][^的在是有说里内上请邀由、]{0,10})$")
_LEAD = re.compile(  # what the tags let through, and no part of an office
    "[^的]{0,20}[由请](?=[省市县区州])|(?:主持|参加|出席)[^的]{1,6}的|另?[一几]?[名位]|[新时现]任"
)
_PLACE_ENDS = frozenset("省市区县州旗乡镇村街")
_TIME = re.compile("[前后时间中下日天年晚]$")
_ORGANISED = re.compile(
    "(?:政协|人大|委|局|会|公司|院|校|所|厅|站|社|社区|村|镇|乡|县|市|区|省|州|旗|厂|园|馆|[大中小]学|集团|银行|政府|中心|队|部|处|科|室|店|组"
    "|国|党|军|街道)$"
)
_RANK = re.compile(
    rf"的?[{CJK}]{{0,4}}?界的?委员$|(?:党组|党委|党总支|党支部)?(?:常务|执行|名誉|第一|首席|退休|高级|总|副|原)*(?:{_TITLES})$"
)
STYLED = re.compile(
    r"(委员(?![会们长])|书记|主席|主任|教授|老师|医生|大使|博士|院士|律师|同学|小朋友|师傅|常委|代表|总理|校长|局长|院长|馆长|会长)"
    "(?=说|表示|介绍|认为|建议|提出|指出|告诉|强调|的|在|[，。、：,])"
)
_TOLD = re.compile(
    rf"(?:[，,]?(?:今年)?\d{{2}}岁)?(?:[，,]?(?:是|现任|时任)|[，,]|的(?=[{CJK}]{{2,8}}[，,]))"
    rf"([{CJK}、]{{2,30}})(?=[。，,；;])"
)


def is_title(text: str) -> bool:
    """Whether a text is a bare title: 主任."""
    return bool(re.fullmatch(_TITLES, text))


def ends_with_one(before: str) -> bool:
    """Whether a text ends with an office, behind which a name may stand."""
    if _TITLED.search(before):
        return True
    if not _TRADE.search(before):
        return False
    words = segmented(before[-10:])
    _, word, tag = words[-1]
    if word in "员师长户工" and len(words) > 1 and words[-2][2].startswith(("n", "v")):
        word, tag = words[-2][1] + word, "n"  # 快递员, which the segmenter cuts
    return tag.startswith(("n", "v", "b")) and len(word) > 1 and not _NO_TRADE.match(word)


def cuts_one(before: str, name: str) -> bool:
    """Whether a title runs across the place where a name is said to begin: 结构工|程师."""
    begin = len(before[-6:])
    titles = _TITLE.finditer(before[-6:] + name)
    return any(title.start() <= begin < title.end() for title in titles)


def office_at_end(before: str) -> str:
    """The office that a text ends with, as written, or ""."""
    clauses = re.split(r"[，。；：！？“”‘’（）()\n,;:!?]", before[-60:])
    phrase = _noun_phrase(clauses[-1])
    is_after_comma = before[-60:].removesuffix(clauses[-1])[-1:] in ("，", ",")
    if phrase == clauses[-1] and is_after_comma and _TITLED.search(clauses[-2]):
        earlier = _noun_phrase(clauses[-2])
        return f"{earlier}、{phrase}" if earlier else phrase
    return phrase


def office_around(text: str, head: int, end: int) -> str:
    """The office before, behind, or told of a name that ends at `end`, as written, or ""."""
    before = text[max(0, head - 60) : head]
    before = re.sub("名?叫$", "", before)
    if ends_with_one(before):
        return office_at_end(before)
    if styled := STYLED.match(text, end):
        return styled[1]
    return told_behind(text, end)


def told_behind(text: str, end: int) -> str:
    """彭水根是柘湾村党支部书记; 叶小舫，木雕传承人; 有个叫邓清和的烧灶工."""
    told = _TOLD.match(text, end)
    if not told or not ends_with_one(told[1]):
        return ""
    office = office_at_end(told[1])
    is_all = len(told[1]) - len(office) < 4  # else it may be another's, of whom the clause tells
    return office if is_all or told[0][0] in "是现时" else ""


def organisation_of(office: str) -> str:
    """What an office is of, as written, or "": the latest where it is several."""
    for part in reversed(re.split("[、兼]", office)):
        stem = re.sub("^(?:退休|原|前)", "", _RANK.sub("", part).removesuffix("的"))
        if stem != part and _ORGANISED.search(stem):
            return stem
    return ""


def _noun_phrase(clause: str) -> str:
    """The nouns that a clause ends with; words that begin no name of an office are cut off."""
    words = segmented(clause)
    begin = len(words)
    while begin and _belongs(words, begin - 1):
        begin -= 1
    while begin < len(words) - 1:
        _, word, tag = words[begin]
        if not (_LEADS.match(tag) or word in "、的") or _LEADS_OFFICE.match(word):
            break
        begin += 1
        if tag == "v" and word != "来自":  # 卖凉粉的摊主 is a 摊主
            begin = next((i + 1 for i in range(begin, len(words)) if words[i][1] == "的"), begin)
    if begin == len(words):
        return ""
    if len(words) - begin == 1 and begin and len(words[begin][1]) == 1:
        begin -= 1  # no office is one character: 快递|员
    start = words[begin][0] + (words[begin][1][0] in "年月日")  # 2023|年区 as it is cut at times
    whole = _OF_A_PLACE.search(clause[:start])
    if whole and not _TITLE.search(whole[1]):
        start = whole.start(1)
    if lead := _LEAD.match(clause, start):
        start = lead.end()
    # 把桩师傅, cut as if 把 were a preposition
    rare = re.search("的([^的、]{1,2})$", clause[:start])
    return clause[rare.start(1) :] if rare and not _LINK.fullmatch(rare[1]) else clause[start:]


def _belongs(words: list[tuple[int, str, str]], at: int) -> bool:
    """Whether a word may be part of the office that those behind it end."""
    _, word, tag = words[at]
    if at == len(words) - 1:
        return True
    _, before, before_tag = words[at - 1] if at else (0, "", "")
    if word == "、":
        return ends_with_one(before)
    if word == "的":  # 银行界的委员, but not 晒黑的渔民
        is_noun = before_tag.startswith(("n", "b")) and not before_tag.startswith("nr")
        return is_noun or before[-1:] in _PLACE_ENDS
    if _LINK.fullmatch(word):
        return False
    if (
        words[at + 1][1] in _PLACE_ENDS
        and len(word) > 1
        and not tag.startswith(("u", "p", "r", "x", "m", "t"))
    ):
        return not _TIME.search(word)  # 瑶里, which the segmenter takes for an adverb, before 镇
    is_part = word in _PLACE_ENDS or word in "委办处科局站所部厅室" or word.endswith("委")
    return (
        is_part
        or not tag.startswith(_STOP_TAGS)
        or bool(re.fullmatch("原|前|副|总|全国|本报|本刊|某|第.*", word))
    )
