"""Page text -> Articles: lines become blocks, blocks get roles, cut and displaced bodies rejoin.

Four steps, each a pure function over the whole page:

1. `_blocks`: lines; hard-wrapped lines are put together, jump marks (下转第2版) are taken off.
2. `_roles`: every block is a header, kicker, title, subtitle, byline, sub-heading, body or
   furniture; the best-scored sequence of roles over the page is found by dynamic programming.
3. `_links`: a body block goes on from the block before it, from an open end elsewhere on the page
   (a displaced tail), or from nothing (a loose fragment); one assignment decides for all.
4. `_article`: chains of blocks become Articles.

Scores are log-odds by hand, fitted on made pages (Source: DECISIONS.md); positive favours.
Does not cover tables, several pages of one issue, or text whose columns are interleaved by line.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum, auto
from itertools import pairwise

from rag.types import Article, Fragment


class Role(IntEnum):
    """What a block is on its page."""

    HEADER = auto()  # a column's or section's name, over articles but of none
    KICKER = auto()  # 引题: the line over the title
    TITLE = auto()
    SUBTITLE = auto()
    BYLINE = auto()
    SUBHEAD = auto()
    BODY = auto()
    FURNITURE = auto()  # dates, page numbers, editors, addresses


# --- characters and patterns. Each is linear: no nested or adjacent unbounded repeats. -----------

_CJK = "\u3400-\u9fff\uf900-\ufaff"
_FINAL = frozenset("。.;；…")
_ASKING = frozenset("？！?!")
_CLOSERS = "”’」』）)》〉】]\"'"
_PAIRS = {"”": "“", "’": "‘", "」": "「", "』": "『", "》": "《", "）": "（", ")": "("}
_OPENING = frozenset("“「『《（(【‘")
_BRACKETS = re.compile(f"[{re.escape(''.join([*_PAIRS, *_PAIRS.values()]))}]")
_COMMAS = re.compile(r"[,，、;；](?!\d)")
_WORD = re.compile(r"[A-Za-zÀ-ɏ]+|\d+(?:\.\d+)?%?")
_CJK_RUN = re.compile(f"[{_CJK}]+")
_LETTER = re.compile(r"\w")
_STOP_INSIDE = re.compile(r"[。；][”’」』）)]?\w")

_NUMBERED = re.compile(
    r"(?:[一二三四五六七八九十]{1,3}[、.．]|[（(][一二三四五六七八九十\d]{1,3}[）)]|\d{1,2}[、.．)](?!\d)"
    r"|第[一二三四五六七八九十\d]{1,3}[，,、]|[①-⑩])"
)
_DASH = re.compile(r"(?:——|—|－－|--|──|―)\s*(?=\S)")
_OPENER = re.compile(
    r"(?:本报|本刊|新华社|新华网|中新社|中新网|人民网|据新华社|据中新社|央视网)"
    rf"[{_CJK}\d、\s]{{0,20}}?(?:讯|电|消息|报道)(?:[\s　:：，,]|[（(]|题|[{_CJK}])"
    r"|[【\[（(][^】\]）)\n]{1,12}(?:讯|电|消息|报道)[】\]）)]"
    r"|(?:本报|本刊)记者\s*\S{2,4}\s*(?:报道|摄影报道)"
)
_OPENER_BYLINE = re.compile(
    r"[（(]\s*((?:本报|本刊|新华社)?(?:见习|实习|特约|首席)?(?:记者|通讯员)[^）)\n]{1,40})[）)]"
)
_REPORTER = (
    r"(?:本报|本刊|本网|新华社|中新社|人民网|光明网|特约|首席|见习|实习|驻[一-龥]{2,6}|融媒体?|全媒体?){0,4}"
    r"(?:记者|通讯员|评论员|撰稿人?|特派员|实习生|编译|作者|文字|摄影|图片|文/图|图/文|[文图](?=[\s:：/]))"
)
_BY_ENGLISH = re.compile(r"[Bb][Yy] [A-Z][^.,;:!?]{2,50}$")
_SURNAMES = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾"
    "丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤"
    "尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢路岳齐梅"
    "莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景"
    "单包司柏宁柯阮桂闵解强柴华车冉房边辜吉饶刁瞿戚丘古米池滕晋苑邬臧畅宫来嵺苟全褚廉简娄盖符奚"
    "木穆党燕郎邸冀谈姬屠连郜晏栾郁商蒙计喻揭窦迟宇敖糜鄢冷卓花仇艾蓝都巩稽井练仲乐虞卞封竺冼原"
    "官衣楚佟栗匡宗应台巫鞠僧桑荆谌银扬明沙薄伏岑习胥保和蔺"
)
_BYLINE = re.compile(
    rf"[□■○●◎◇◆▲△☆★/\s(（]*{_REPORTER}"
    rf"(?:\s*[:：/]|\s|(?=[{''.join(_SURNAMES)}][{_CJK}]{{1,3}}(?:$|[\s、)）])))"
    r"[^。！？，；,;!?]{0,60}$"
)
_DATE = re.compile(r"((?:19|20)\d{2})\s?[年\-/.]\s?(\d{1,2})\s?[月\-/.]\s?(\d{1,2})日?(?!\d)")
_PAPER = re.compile(
    rf"《?([{_CJK}]{{2,8}}(?:日报|晚报|早报|晨报|时报|商报|周报|都市报|法治报|法制报|青年报|政协报"
    r"|工人报|农民报|妇女报|教育报|文化报|科技报|经济报|消费报|证券报|证券|快报|导报|新报|公报)|参考消息|光明日报)》?"
)
_FURNITURE = re.compile(
    "|".join(
        (
            _DATE.pattern,
            r"[○〇零一二三四五六七八九]{4}年[一二三四五六七八九十]{1,2}月[一二三四五六七八九十]{1,3}日",
            r"\d{1,2}月\d{1,2}日",
            r"星期[一二三四五六日天]|周[一二三四五六日]",
            r"农历\S{2,12}",
            r"第?\s?[A-Z]?\d{1,3}[\-—至]?\d{0,3}\s?版|第[一二三四五六七八九十]{1,3}版|版面|今日\d+版|[第总]\s?\d+\s?[期号页]",
            r"(?<![A-Za-z\d])[A-Z]?\d{1,3}(?![A-Za-z\d.%])|-\s?\d{1,3}\s?-",
            r"[A-Za-z0-9._\-]{1,64}@[A-Za-z0-9.\-]{1,64}|(?:https?://|www\.)[!-~]{1,200}",
            rf"(?:本版|本期|值班|执行|责任|视觉|版式|美术|新媒体)?(?:责任编辑|编辑|责编|主编|校对|美编|组版|版式|设计|制图"
            rf"|检审|审读|监制|总监|编委|主任|策划|统筹|终审)\s?[:：/丨|\s]\s?(?:[{_CJK}]{{2,4}}(?:[\s、/]{{1,3}}|$)){{0,4}}",
            r"(?:投稿|编辑|电子|联系)?(?:邮箱|电话|热线|传真|微信|地址|邮编|网址|电邮)[:：]?[\d\-\s（）()]{0,24}",
            r"[Ee]-?mail\s?[:：]|[Tt]el\s?[:：]|ISSN|CN\s?\d{2}-\d{4}|国内统一(?:连续出版物号|刊号)|邮发代号|零售\S{1,8}元",
            r"Page\s\d{1,3}|PAGE\s\d{1,3}",
            _PAPER.pattern,
        )
    )
)
_CREDIT = re.compile(r"[^。，,！？]{0,30}(?:摄|供图|/图|资料图片?|制图)[)）]?$")
_SECTION_WORDS = (
    "要闻|新闻|综合|国内|国际|时政|经济|社会|文化|体育|专题|专版|专栏|副刊|观察|视点|视角|视野|关注|聚焦|评论"
    "|时评|理论|民生|法治|法制|科技|教育|健康|卫生|生态|环保|三农|农业|财经|金融|地方|区域|广告|简讯|短讯|快讯|动态"
    "|一线|基层|周刊|特刊|纵横|广角|在线|视窗|之窗|天地|园地|论坛|资讯|热点|焦点|时讯|速览|速递|连线|调查|特稿|特写"
    "|人物|读者|来信|声音|看台|播报|本版|今日|城市|都市|生活|旅游|文艺|文娱|娱乐|军事|产业|企业|市场|消费|服务|公告"
    "|声明|导读|图片|摄影|报道|深度|封面|头版|本市|全国|世界|天下|中国|百姓|民声|建言|议政|协商|履职|政协|委员|春秋"
    "|史话|学术|书画|收藏|教科文卫|港澳台|华人|统战|党派|民族|宗教|点击|链接|延伸|阅读|网事|新知|前沿|专刊|思考|声|篇|在行动|我们|与|·|和"
)
_SECTION = re.compile(rf"(?:{_SECTION_WORDS}){{1,6}}")
_COLUMN = re.compile(
    r"(?:在行动|巡礼|进行时|风采|走基层|一线|系列报道|特别报道|专题报道|大家谈|面对面)$"
)
_BULLET = re.compile(r"[■□●○◆◇▲△★☆▶►※◎◤◢]|[【\[［〖].{1,12}[】\]］〗]$")
_JUMP_OUT = re.compile(
    r"\s*[（(【▶►]?\s*(?:紧接|下转|转)(?:第?[\w]{1,4}版)[^。！？\n]{0,12}[）)】]?$"
)
_JUMP_IN = re.compile(
    r"[（(【◀◄]?\s*(?:紧接|上接|接)(?:第?[\w]{1,4}版)(?:[^）)】。！？\n]{0,20}[）)】])?\s*"
)

# How a piece of a cut sentence tends to begin, and how a paragraph does.
_MID_STARTS = frozenset("的了着们地得之与及或等者性化率、，。；：？！,;:?!%％”’」』）)》〉】·…—～~")
_MID_ENDS = frozenset(
    "的地得和与及或在将被把对从向由以为是其这该也都就不很还即则并而但让使令给跟同第每各某"
)
_CLOSING_STARTS = frozenset("、，。；：？！,;:?!%％”’」』）)》〉】")
_STARTERS = re.compile(
    r"[“「『《（(【]|据|日前|近日|近年|今年|去年|目前|当前|当日|当天|同时|此外|另外|其中|随后|之后|此前|如今|然而"
    r"|因此|对此|为此|为了?|在|当|从|自|但|而|记者|本报|新华社|与此|第[一二三四五]|首先|其次|最后|一是|二是|三是"
    r"|不过|除了|由于|虽然|尽管|这|该|我|他|她|\d{1,4}[年月日]|[一二三四五六七八九十]{1,2}[、是]|事实上|谈及|对于"
)


# --- 1. blocks -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Block:
    """One laid-out paragraph, piece of a paragraph or heading, as `page[start:end]`.

    `text` has its lines joined, `gap` counts the blank lines before it, `size` is its length in
    Chinese characters (a Latin word counts for two). `unopened` and `unclosed` are the brackets
    and quotation marks that pair with nothing inside it, in order.
    """

    start: int
    end: int
    text: str
    gap: int
    indented: bool = False
    jump_in: bool = False
    jump_out: bool = False
    unopened: str = ""
    unclosed: str = ""
    size: float = 0.0
    terms: Counter[str] = field(default_factory=Counter, repr=False)

    @property
    def core(self) -> str:
        """The text without the closing quotation marks and brackets at its end."""
        return self.text.rstrip(_CLOSERS)

    @property
    def ends(self) -> bool:
        """Whether it ends with a sentence's final mark."""
        return self.core[-1:] in _FINAL or self.core[-1:] in _ASKING


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that isn't blank, without its outer white space; `width` counts its indent too."""

    start: int
    end: int
    text: str
    gap: int
    indented: bool
    width: int


_LINE = re.compile(r"[^\n\r\f\v\x1c-\x1e\x85\u2028\u2029]+")


def _lines(page: str) -> list[_Line]:
    """The page's lines that are not blank."""
    lines: list[_Line] = []
    end = 0
    for match in _LINE.finditer(page):
        raw = match.group()
        text = raw.strip()
        if not text:
            continue
        start = match.start() + len(raw) - len(raw.lstrip())
        gap = max(0, page.count("\n", end, start) - 1)
        lines.append(
            _Line(start, start + len(text), text, gap, raw[0].isspace(), _width(raw.rstrip()))
        )
        end = start + len(text)
    return lines


def _width(text: str) -> int:
    """Columns on a terminal: two for a wide character."""
    return len(text) + sum(1 for c in text[:200] if c > "\u1100")


def _wrap_width(lines: Sequence[_Line]) -> int:
    """The column at which the page's lines were wrapped, 0 if they weren't.

    Wrapped pages have no long line, many that nearly fill the measure, and most of those stop
    between final marks though the text has commas.
    """
    widths = sorted(line.width for line in lines)
    if len(widths) < 4 or widths[-1] > 110:
        return 0
    measure = widths[int(0.98 * (len(widths) - 1))]
    full = [line for line in lines if line.width >= measure - 4]
    midway = [line for line in full if line.text.rstrip(_CLOSERS)[-1:] not in _FINAL]
    prose = [line for line in full if _COMMAS.search(line.text)]
    is_wrapped = (
        measure >= 16
        and len(full) >= max(3, 0.35 * len(lines))
        and len(midway) >= 0.6 * len(full)
        and len(prose) >= 0.3 * len(full)
    )
    return measure if is_wrapped else 0


def _is_wrapped(line: _Line, following: _Line, measure: int) -> bool:
    """Whether the next line goes on with this one's paragraph: its first word didn't fit here."""
    if following.gap or following.indented or not _furniture_rest(line.text):
        return False
    word = re.match(r"[!-~]{1,40}", following.text)
    needed = len(word.group()) + 1 if word else 4
    return line.width + needed > measure


def _blocks(page: str) -> list[_Block]:
    """The page's blocks: lines, or where lines are hard-wrapped, the paragraphs they make."""
    lines = _lines(page)
    measure = _wrap_width(lines)
    groups: list[list[_Line]] = []
    for line in lines:
        last = groups[-1][-1] if groups else None
        if last and measure and _is_wrapped(last, line, measure):
            groups[-1].append(line)
        else:
            groups.append([line])
    return [block for group in groups if (block := _block(group)).text]


def _block(group: Sequence[_Line]) -> _Block:
    """The block of one or more lines, without its jump marks."""
    text = group[0].text
    for line in group[1:]:
        text = _joined(text, line.text)
    start, end = group[0].start, group[-1].end
    jump_in, jump_out = _JUMP_IN.match(text), None
    if jump_in and len(group) == 1:
        start, text = start + jump_in.end(), text[jump_in.end() :]
    if len(group) == 1 and (jump_out := _JUMP_OUT.search(text, max(0, len(text) - 30))):
        end, text = start + jump_out.start(), text[: jump_out.start()]
    unopened, unclosed = _unpaired(text)
    return _Block(
        start=start,
        end=end,
        text=text,
        gap=group[0].gap,
        indented=group[0].indented,
        jump_in=bool(jump_in),
        jump_out=bool(jump_out),
        unopened=unopened,
        unclosed=unclosed,
        size=_size(text),
        terms=_terms(text),
    )


def _joined(before: str, after: str) -> str:
    """Two pieces of one sentence: a space only between Latin words."""
    is_latin = before[-1:].isascii() and after[:1].isascii()
    if is_latin and after[:1].isalnum() and (before[-1:].isalnum() or before[-1:] in ",.;:!?)\"'"):
        return f"{before} {after}"
    return before + after


def _unpaired(text: str) -> tuple[str, str]:
    """The closing marks that nothing opened, and the opening marks that nothing closed."""
    unopened: list[str] = []
    unclosed: list[str] = []
    for match in _BRACKETS.finditer(text):
        mark = match.group()
        opening = _PAIRS.get(mark)
        if opening is None:
            unclosed.append(mark)
        elif unclosed and unclosed[-1] == opening:
            unclosed.pop()
        elif not unclosed and mark not in "’)":
            unopened.append(mark)
    return "".join(unopened[:4]), "".join(unclosed[-4:])


def _size(text: str) -> float:
    """Length in Chinese characters; a Latin word or a number counts for two."""
    sample = text[:600]
    latin = _WORD.findall(sample)
    return len(sample) - sum(map(len, latin)) + 2 * len(latin) - sample.count(" ")


def _terms(text: str) -> Counter[str]:
    """Counts of character pairs, Latin words and numbers in the text's beginning."""
    sample = text[:1500]
    terms = Counter(a + b for run in _CJK_RUN.findall(sample) for a, b in pairwise(run))
    terms.update(word.lower() for word in _WORD.findall(sample) if len(word) > 1)
    return terms


# --- 2. roles ------------------------------------------------------------------------------------

_TRANSPARENT = (Role.HEADER, Role.FURNITURE)
_BETWEEN = (None, Role.BODY)  # where a header may stand: not between a heading and its text
_HEADING = (Role.KICKER, Role.TITLE, Role.SUBTITLE, Role.BYLINE)

# Score of one role after another; what isn't named is next to impossible. None: the page's start.
_FOLLOWS: dict[Role | None, dict[Role, float]] = {
    None: {Role.KICKER: -0.5, Role.TITLE: 0.0, Role.BODY: -1.5},
    Role.KICKER: {Role.TITLE: 0.0},
    Role.TITLE: {
        Role.TITLE: -1.5,
        Role.SUBTITLE: 0.0,
        Role.BYLINE: 0.0,
        Role.SUBHEAD: -3.0,
        Role.BODY: 0.0,
    },
    Role.SUBTITLE: {Role.SUBTITLE: -2.0, Role.BYLINE: 0.0, Role.SUBHEAD: -1.5, Role.BODY: 0.0},
    Role.BYLINE: {Role.BYLINE: -0.5, Role.SUBHEAD: -1.0, Role.BODY: 0.0, Role.TITLE: -3.0},
    Role.SUBHEAD: {Role.SUBHEAD: -4.0, Role.BODY: 0.0},
    Role.BODY: {
        Role.KICKER: -1.5,
        Role.TITLE: -0.5,
        Role.SUBHEAD: -0.5,
        Role.BYLINE: -2.0,
        Role.BODY: 0.0,
    },
}
_LAST: dict[Role | None, float] = {
    Role.BODY: 0.0,
    Role.BYLINE: -1.0,
}  # any other role at the page's end costs 4


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """A short line between the texts around it; zeros where there is nothing to compare.

    `goes_on`: log-odds, -2.5 to 3, that the text after it continues the article before it.
    `told`: how much of the line's own wording the text after it takes up, -0.4 to 0.6.
    `siblings`: other short lines of the page that begin alike, as sub-headings of an article do.
    """

    goes_on: float = 0.0
    told: float = 0.0
    siblings: int = 0


@dataclass(frozen=True, slots=True)
class _Hints:
    """What a block and the one before it say about a change of role between them."""

    is_tight: bool  # set closer than usual on the page
    is_opener: bool
    is_cut: bool  # the block before stops in mid-sentence
    is_short_cut: bool  # and might be a heading
    is_stub: bool  # and probably is
    goes_on: float  # log-odds that the block begins in mid-sentence
    marked: float


@dataclass(frozen=True, slots=True)
class _Habits:
    """What is usual on this page, learnt from its own text.

    `gap` is the usual number of blank lines; `indents`, whether paragraphs do; `marked`, the share
    of short lines with a dash line, byline or opener right below. `starts` and `inner` count the
    characters at the beginning of a run of Chinese (after punctuation) and inside one, which
    `first_share` compares; `pairs` are all pairs of neighbours.
    """

    text: str
    gap: int
    indents: bool
    marked: float
    starts: Counter[str]
    inner: Counter[str]
    first_share: float
    pairs: frozenset[str]

    def begins(self, block: _Block) -> float:
        """Log-odds, -2 to 2, that the block's first character stands inside a run, not first."""
        first = block.text[0]
        if not _CJK_RUN.match(first):
            return 0.0
        odds = (self.inner[first] + 1.0) / (self.starts[first] + self.first_share)
        return max(-2.0, min(2.0, 0.7 * math.log(odds * self.first_share)))

    def crosses(self, before: str, after: str) -> float:
        """What the page says for a word that begins `before` a cut and ends `after` it, 0 to 4."""
        if before[-1:] + after[:1] not in self.pairs:
            return 0.0
        longer = (before[-2:] + after[:1], before[-1:] + after[:2], before[-2:] + after[:2])
        return 1.0 + 0.7 * sum(word.isalnum() and word in self.text for word in longer)


def _habits(page: str, blocks: Sequence[_Block]) -> _Habits:
    """The page's habits."""
    text = page[:100_000]
    long = [block for block in blocks if block.size > 40] or list(blocks)
    gaps = Counter(block.gap for block in blocks[1:])
    runs = _CJK_RUN.findall(text)
    inner = Counter(char for run in runs for char in run[1:])
    marked = [_is_marker(b) for a, b in pairwise(blocks) if a.size < 40 and not _is_marker(a)]
    return _Habits(
        text=text,
        gap=gaps.most_common(1)[0][0] if gaps else 0,
        indents=sum(block.indented for block in long) * 2 > len(long),
        marked=sum(marked) / max(3, len(marked)),
        starts=Counter(run[0] for run in runs),
        inner=inner,
        first_share=max(1, len(runs)) / max(1, inner.total()),
        pairs=frozenset(a + b for run in runs for a, b in pairwise(run)),
    )


def _is_marker(block: _Block) -> bool:
    """Whether the block shows that a title stands right above it."""
    is_line = block.size < 60 and (_DASH.match(block.text) or _BYLINE.match(block.text))
    return bool(is_line or _OPENER.match(block.text))


def _roles(blocks: Sequence[_Block], habits: _Habits) -> list[Role]:
    """The best-scored roles of the blocks, in order.

    The state is the last role that isn't transparent: a header or a line of furniture may stand
    anywhere, even inside a sentence, and doesn't break what goes on around it.
    """
    around = _surroundings(blocks)
    best: dict[Role | None, float] = {None: 0.0}
    steps: list[_Step] = []
    above: _Block | None = None
    for i, block in enumerate(blocks):
        scores = _emission(block, around[i], is_first=i == 0)
        best, step = _step(best, scores, _hints(block, above, habits))
        steps.append(step)
        above = above if scores[Role.FURNITURE] > 0 else block
    state = max(best, key=lambda state: best[state] + _LAST.get(state, -4.0))
    roles: list[Role] = []
    for step in reversed(steps):
        state, role = step[state]
        roles.append(role)
    return roles[::-1]


_Step = dict[Role | None, tuple[Role | None, Role]]  # state -> the state before it, the role read


def _step(
    best: Mapping[Role | None, float], scores: Mapping[Role, float], hints: _Hints
) -> tuple[dict[Role | None, float], _Step]:
    """Read one more block: each state's best score, and how it was reached."""
    then: dict[Role | None, float] = {}
    step: _Step = {}
    for state, so_far in best.items():
        header = scores[Role.HEADER] - (0.0 if state in _BETWEEN else 4.0)
        passing, role = max((header, Role.HEADER), (scores[Role.FURNITURE], Role.FURNITURE))
        if so_far + passing > then.get(state, -math.inf):
            then[state], step[state] = so_far + passing, (state, role)
        for role, cost in _FOLLOWS[state].items():
            score = so_far + cost + scores[role] + _change(state, role, hints)
            if score > then.get(role, -math.inf):
                then[role], step[role] = score, (state, role)
    return then, step


def _emission(block: _Block, around: _Surroundings, *, is_first: bool) -> dict[Role, float]:
    """How well each role fits the block by itself and between the texts around it."""
    heading = _heading_score(block)
    byline = _byline_score(block)
    dash = 4.0 if _DASH.match(block.text) and block.size < 60 else 0.0
    numbered = 3.0 if _NUMBERED.match(block.text) else 0.0
    title = heading - dash - 0.5 * numbered - 0.3 * min(5.0, max(0.0, 10 - block.size))
    inner = numbered + around.goes_on + 2.2 * around.siblings
    return {
        Role.TITLE: title + around.told,
        Role.KICKER: heading - dash - 1.0 - 0.3 * max(0.0, 12 - block.size),
        Role.SUBTITLE: heading + 0.15 * max(0.0, block.size - 30) + (dash or -3.5),
        Role.SUBHEAD: heading - 1.0 + inner - 0.12 * max(0.0, block.size - 10) - dash,
        Role.BYLINE: byline,
        Role.BODY: _body_score(block) - dash - max(0.0, byline),
        Role.HEADER: _header_score(block, is_first=is_first),
        Role.FURNITURE: _furniture_score(block),
    }


def _heading_score(block: _Block) -> float:
    """How much the block looks like a headline: of fair length, without running sentences."""
    score = -0.7 * max(0.0, 6 - block.size) - 0.25 * max(0.0, block.size - 34)
    if block.core[-1:] in _FINAL:
        score -= 5.0
    elif block.text[-1] in frozenset("，,、：:（(《“‘"):
        score -= 4.0
    elif block.text[-1] in _MID_ENDS:
        score -= 2.5
    commas = len(_COMMAS.findall(block.text[:300]))
    score -= 0.5 if commas == 1 and block.size < 20 else 1.2 * min(8, commas)
    if commas and _STARTERS.match(block.text) and block.text[0] not in _OPENING:
        score -= 1.5
    if block.unopened or block.unclosed:
        score -= 3.0
    if _OPENER.match(block.text):
        score -= 6.0
    if block.text[0] in _CLOSING_STARTS or _STOP_INSIDE.search(block.text[:100]):
        score -= 4.0
    return max(score, -20.0)


def _body_score(block: _Block) -> float:
    """How much the block looks like running text, or a piece of it."""
    score = min(3.0, max(-3.0, (block.size - 26) / 9))
    if block.core[-1:] in _FINAL:
        score += 4.0
    score += (0.8 if block.size >= 30 else 0.3) * min(4, len(_COMMAS.findall(block.text[:300])))
    if block.unopened or block.unclosed:
        score += 2.0
    if _OPENER.match(block.text):
        score += 3.0
    if block.jump_in or block.jump_out or block.text[0] in _CLOSING_STARTS:
        score += 3.0
    if block.size < 30 and not (block.core[-1:] in _FINAL or block.unclosed):
        score -= 1.5
    return score


def _byline_score(block: _Block) -> float:
    """How much the block looks like the names of those who wrote it."""
    if block.size > 60:
        return -20.0
    if _BYLINE.match(block.text) or _BY_ENGLISH.match(block.text):
        return 6.0
    names = block.text.lstrip("□■○●◎◇◆▲△☆★ /").split()
    if names and len(names) <= 6 and all(_is_name(name) for name in names):
        return 1.5
    return -8.0


def _is_name(word: str) -> bool:
    """Whether the word could be a Chinese person's name."""
    return 2 <= len(word) <= 3 and word[0] in _SURNAMES and bool(_CJK_RUN.fullmatch(word))


def _header_score(block: _Block, *, is_first: bool) -> float:
    """How much the block looks like the name of a section or column."""
    if block.size > 40:
        return -20.0
    score = -2.8 - 0.3 * max(0.0, block.size - 12) + (1.5 if is_first else 0.0)
    if _COLUMN.search(block.text):
        score += 2.5
    words = block.text.strip("■□●○◆◇▲△★☆▶►※◎◤◢【】[]［］〖〗|丨·- 　").replace(" ", "")
    if _SECTION.fullmatch(words):
        score += 7.0 if block.size <= 8 else 4.0
    if _BULLET.match(block.text):
        score += 3.0
    if block.core[-1:] in _FINAL or _COMMAS.search(block.text):
        score -= 4.0
    return score


def _furniture_score(block: _Block) -> float:
    """How much the block is made of dates, page numbers, editors, addresses; or says nothing."""
    if not _LETTER.search(block.text):
        return 8.0
    if block.size > 120 or len(block.text) > 240 or block.core[-1:] in _FINAL:
        return -20.0
    rest = _furniture_rest(block.text)
    if not rest:
        return 7.0 if _FURNITURE.search(block.text) else -8.0
    if len(rest) <= min(6, 0.25 * len(block.text)) and not _COMMAS.search(block.text):
        return 4.0
    if _CREDIT.fullmatch(block.text) and block.size <= 24:
        return 3.0
    return -12.0


def _furniture_rest(text: str) -> str:
    """The letters of a line that no pattern of furniture or section name covers."""
    rest = re.sub(r"[\W_]+", "", _FURNITURE.sub(" ", text))
    return _SECTION.sub("", rest)


def _surroundings(blocks: Sequence[_Block]) -> list[_Surroundings]:
    """What stands around each block; only short ones are looked at.

    The sum of two cosines, of the text to the nearest headings and of 600 characters, is mostly
    under 0.08 where the article changes and over 0.12 inside one.
    """
    weight = _weights([block.terms for block in blocks])
    is_short = [block.size < 45 and _heading_score(block) > -3.0 for block in blocks]
    alike = Counter(_pattern(b) for b, short in zip(blocks, is_short, strict=True) if short)
    found = [_Surroundings()] * len(blocks)
    for i in (i for i, short in enumerate(is_short) if short):
        sides = (range(i - 1, max(-1, i - 13), -1), range(i + 1, min(len(blocks), i + 13)))
        before, after = (_windows(blocks, is_short, side) for side in sides)
        if not before[0] or not after[0]:
            continue
        cosines = sum(_cosine(a, b, weight) for a, b in zip(before, after, strict=True))
        own = blocks[i].terms
        told = sum(term in after[0] for term in own) / max(1, len(own))
        found[i] = _Surroundings(
            goes_on=max(-2.5, min(3.0, 30.0 * (cosines - 0.1))),
            told=min(0.6, told - 0.2) * 2.0,
            siblings=min(2, alike[_pattern(blocks[i])] - 1),
        )
    return found


def _pattern(block: _Block) -> str:
    """How a line begins: its first two characters, or one where a dash divides it (看人——...)."""
    return block.text[0] + "——" if "——" in block.text[1:] else block.text[:2]


def _windows(
    blocks: Sequence[_Block], is_short: Sequence[bool], indexes: range
) -> tuple[Counter[str], Counter[str]]:
    """The terms of the nearest running text: 300 characters or to a heading, and 600."""
    near: Counter[str] | None = None
    terms: Counter[str] = Counter()
    size = 0.0
    for i in indexes:
        if near is None and size > (120 if is_short[i] else 300):
            near = terms.copy()
        if size > 600:
            break
        if not is_short[i]:
            terms.update(blocks[i].terms)
            size += blocks[i].size
    return (terms if near is None else near), terms


def _cosine(a: Counter[str], b: Counter[str], weight: dict[str, float]) -> float:
    """Cosine of two weighted term counts, 0 to 1."""
    dot = sum(a[term] * b[term] * weight[term] for term in a.keys() & b.keys())
    norms = (sum(n * n * weight[term] for term, n in x.items()) for x in (a, b))
    return dot / math.sqrt(math.prod(norms)) if dot else 0.0


def _weights(groups: Sequence[Iterable[str]]) -> dict[str, float]:
    """Inverse document frequency of each term over groups of distinct terms."""
    seen: Counter[str] = Counter()
    for group in groups:
        seen.update(dict.fromkeys(group, 1))
    return {term: math.log((1 + len(groups)) / count) for term, count in seen.items()}


def _hints(block: _Block, before: _Block | None, habits: _Habits) -> _Hints:
    """The hints for one block."""
    is_cut = before is not None and not before.ends
    crosses = habits.crosses(before.text, block.text) if before else 0.0
    return _Hints(
        is_tight=block.gap < habits.gap or habits.gap == 0,
        is_opener=bool(_OPENER.match(block.text)),
        is_cut=is_cut,
        is_short_cut=is_cut and before is not None and before.size < 60,
        is_stub=is_cut and before is not None and before.size < 30,
        goes_on=_loose(block, habits) + crosses,
        marked=habits.marked,
    )


def _change(state: Role | None, role: Role, hints: _Hints) -> float:
    """Score of a change of role, beyond how usual it is."""
    if role is Role.TITLE and state is Role.TITLE:
        return 0.5 if hints.is_tight else -2.5
    if role is not Role.BODY:
        if state is not Role.BODY or not hints.is_cut:
            return 0.0
        return -1.5 if role is Role.SUBHEAD or hints.is_stub else -0.5
    if state is Role.BODY:
        return max(-3.0, min(3.0, hints.goes_on)) if hints.is_short_cut else 0.0
    opener = (2.5 if state in _HEADING else -4.0) if hints.is_opener else 0.0
    unmarked = 1.5 * hints.marked if state is Role.TITLE and not hints.is_opener else 0.0
    return opener - unmarked - max(0.0, min(4.0, hints.goes_on))


def _loose(block: _Block, habits: _Habits) -> float:
    """Log-odds that the block begins in the middle of a sentence."""
    return _start(block, habits) + 4.0 * min(1, len(block.unopened))


def _start(block: _Block, habits: _Habits) -> float:
    """The same by its beginning alone."""
    if block.jump_in:
        return 6.0
    score = 0.4 * habits.begins(block)
    if block.text[0] in _CLOSING_STARTS:
        score += 4.0
    elif block.text[0] in _MID_STARTS:
        score += 1.0
    elif _OPENER.match(block.text):
        score -= 5.0
    elif _STARTERS.match(block.text):
        score -= 1.8
    if habits.indents:
        score += -2.0 if block.indented else 1.0
    return score


# --- 3. links ------------------------------------------------------------------------------------

_MAX_PAIRS = (
    40_000  # open ends x tails; beyond it a file is no page, and only neighbours are joined
)
_LOOSE = -1  # the head of a fragment that belongs to no article of the page


@dataclass(frozen=True, slots=True)
class _Section:
    """A heading (possibly none) and the body blocks up to the next; indexes of blocks."""

    heading: tuple[int, ...]
    items: tuple[int, ...]
    after_header: frozenset[int]  # items with a header right before them


def _sections(blocks: Sequence[_Block], roles: Sequence[Role]) -> list[_Section]:
    """The page cut at its headings, and at briefs that open with a dateline of their own."""
    sections: list[_Section] = []
    heading: list[int] = []
    items: list[int] = []
    after_header: set[int] = set()
    is_after_header = False

    def close() -> None:
        if heading or items:
            sections.append(_Section(tuple(heading), tuple(items), frozenset(after_header)))
        for part in (heading, items, after_header):
            part.clear()

    for i, role in enumerate(roles):
        if role is Role.FURNITURE:
            continue
        if role is Role.HEADER:
            is_after_header = True
            continue
        is_brief = items and role is Role.BODY and _is_brief(blocks, items, i, is_after_header)
        if is_brief or (items and role in _HEADING and role is not Role.BYLINE):
            close()
        if role in _HEADING:
            heading.append(i)
        else:
            items.append(i)
            if is_after_header:
                after_header.add(i)
        is_after_header = False
    close()
    return sections


def _is_brief(blocks: Sequence[_Block], items: Sequence[int], i: int, after_header: bool) -> bool:
    """Whether a body block begins a new article that has no title."""
    opens = bool(_OPENER.match(blocks[i].text)) and blocks[items[-1]].ends
    return opens and (after_header or bool(_OPENER.match(blocks[items[0]].text)))


def _is_open(block: _Block) -> bool:
    """Whether a body block stops before its sentence or quotation does."""
    last = block.core[-1:]
    return block.jump_out or bool(block.unclosed) or not (block.ends or last in "：:")


def _links(
    blocks: Sequence[_Block],
    roles: Sequence[Role],
    sections: Sequence[_Section],
    habits: _Habits,
) -> dict[int, int]:
    """Body block -> the open block that it goes on from, or _LOOSE.

    Blocks not named follow the block before them as a new paragraph. The open block may be one
    that was read as a header or kicker: then it was the last line of the article above.
    """
    bodies = (i for section in sections for i in section.items if roles[i] is Role.BODY)
    heads = [i for i in bodies if _is_open(blocks[i])]
    stubs = _stubs(blocks, roles)
    tails = [i for section in sections for i in _possible_tails(section, blocks, roles)]
    view = _View(blocks, sections, tails, stubs, habits)
    heads += stubs
    if len(heads) * len(tails) > _MAX_PAIRS:
        pairs = [(view.before.get(q), q) for q in tails]
        return {q: p for p, q in pairs if p in set(heads) and view.direct(p, q) > 0}
    scores = [[max(0.0, view.score(p, q)) for q in tails] for p in heads]
    chosen = {tails[j]: heads[i] for i, j in _assignment(scores)}
    return chosen | {q: _LOOSE for q in tails if q not in chosen and view.is_stray(q, chosen)}


def _stubs(blocks: Sequence[_Block], roles: Sequence[Role]) -> dict[int, int]:
    """Headers and kickers right below a body block that might be its article's last, cut line."""
    lines = [i for i, role in enumerate(roles) if role is not Role.FURNITURE]
    return {
        i: above
        for above, i in pairwise(lines)
        if roles[above] is Role.BODY
        and roles[i] in (Role.HEADER, Role.KICKER)
        and _is_open(blocks[i])
        and _header_score(blocks[i], is_first=False) < 0
    }


def _possible_tails(
    section: _Section, blocks: Sequence[_Block], roles: Sequence[Role]
) -> list[int]:
    """The body blocks that could go on from another: no openers, nor the first below a title."""
    bodies = [i for i in section.items if roles[i] is Role.BODY]
    return [i for i in bodies[bool(section.heading) :] if not _OPENER.match(blocks[i].text)]


_COMMA_OR_END = re.compile(r"[，。,；;！？?、：:]")
_MANY = re.compile(r"[\d.%一二三四五六七八九十百千万亿两几多余]$")
_COUNTED = frozenset(
    "名个元人年月日万亿%条项家次公亩吨件位所座台户艘趟分度岁米斤只种批场处点多余时倍头棵株架班节本首篇幅张"
)
_ONLY_COUNTED = frozenset("名个元亿%岁亩吨")


@dataclass(frozen=True, slots=True)
class _Fragment:
    """A body block as a possible tail: its telling terms against those of its host.

    The host is the article above it. `near` are the terms of its first 60 characters; `new` and
    `shared` are those of all that follows up to the next heading, by whether the host has them.
    `prior`: log-odds that it is a tail at all, by its place and beginning and what binds it there.
    """

    near: frozenset[str]
    new: frozenset[str]
    shared: frozenset[str]
    prior: float
    has_host: bool

    def gain(self, matches: float) -> float:
        """-1 to 1: whether so many matching terms are more than chance, for the run's length."""
        return math.tanh(matches / math.sqrt(len(self.new) + len(self.shared) + 20) / 1.5)

    def share(self, terms: frozenset[str]) -> float:
        """The share of its first terms that an article has, 0 to 1."""
        return len(self.near & terms) / max(8, len(self.near))


class _View:
    """Scores of joins on one page."""

    def __init__(
        self,
        blocks: Sequence[_Block],
        sections: Sequence[_Section],
        tails: Iterable[int],
        stubs: Mapping[int, int],
        habits: _Habits,
    ) -> None:
        self.blocks, self.sections, self.habits, self.stubs = blocks, sections, habits, stubs
        self.telling = _telling(blocks, sections)
        self.home: dict[int, int] = {}
        self.place: dict[int, int] = {}
        self.terms: dict[int, frozenset[str]] = {}
        self.before = {b: a for section in sections for a, b in pairwise(section.items)}
        for number, section in enumerate(sections):
            self._enter(number, section)
        self.tails = {item: self._fragment(item) for item in tails}
        for stub, above in stubs.items():
            self.home[stub] = self.home[above]
            self.terms[stub] = self.terms[above] | self.telling[stub]

    def _enter(self, number: int, section: _Section) -> None:
        """Note where a section's blocks stand, and the article's telling terms down to each."""
        lines = (*section.heading, *section.items)
        for place, item in enumerate(section.items):
            self.home[item], self.place[item] = number, place
            upto = place + len(section.heading) + 1
            read = (*lines[: min(3, upto)], *lines[max(3, upto - 12) : upto])
            self.terms[item] = frozenset[str]().union(*(self.telling[i] for i in read))

    def _fragment(self, item: int) -> _Fragment:
        """The block as a possible tail."""
        section = self.sections[self.home[item]]
        items = section.items[self.place[item] :][:12]
        near, size = set[str](), 0.0
        for i in items:
            near |= self.telling[i]
            size += self.blocks[i].size
            if size >= 60:
                break
        run = frozenset[str]().union(*(self.telling[i] for i in items))
        previous = self.before.get(item)
        host = frozenset[str]() if previous is None else self.terms[previous]
        prior = self._prior(item, near, item in section.after_header)
        return _Fragment(frozenset(near), run - host, run & host, prior, previous is not None)

    def _prior(self, q: int, near: set[str], is_after_header: bool) -> float:
        """Log-odds that a block is a displaced tail, whatever its head."""
        block, previous, own = self.blocks[q], self.before.get(q), self.telling[q]
        clause = len(_COMMA_OR_END.split(block.text[:40], maxsplit=1)[0])
        score = 1.4 + _start(block, self.habits) + (0.8 if is_after_header else 0.0)
        score -= 0.6 * math.log(1 + block.size) + 0.7 * math.log(1 + clause)
        if previous is None:
            return score + 2.1
        above = self.telling[previous]
        score -= 1.3 if _is_open(self.blocks[previous]) else 0.0
        score -= 12.0 * len(near & self.terms[previous]) / max(8, len(near))
        return score - 15.0 * len(own & above) / max(8, min(len(own), len(above)))

    def score(self, p: int, q: int) -> float:
        """Log-odds that q goes on from p; 0 or less: it doesn't."""
        if p == q or (self.home[p] == self.home[q] and q < p):
            return -math.inf
        return self.direct(p, q) if self.before.get(q) == p else self.displaced(p, q)

    def direct(self, p: int, q: int) -> float:
        """Log-odds that q is the rest of the paragraph p right before it."""
        head, tail, fragment = self.blocks[p], self.blocks[q], self.tails[q]
        by_chance = 0.08 * (len(fragment.new) + len(fragment.shared))
        score = 3.9 + self._junction(head, tail) + 2.0 * fragment.share(self.terms[p])
        score += 2.3 * fragment.gain(len(fragment.shared) - by_chance)
        score -= 3.3 if q in self.sections[self.home[q]].after_header else 0.0
        score -= 4.0 if _NUMBERED.match(tail.text) or head.ends else 0.0
        if not (_COMMAS.search(head.text) or _COMMAS.search(tail.text) or tail.ends):
            score -= 5.0
        return score + (-3.0 if self.habits.indents and tail.indented else 0.0)

    def displaced(self, p: int, q: int) -> float:
        """Log-odds that q is the tail of p, which stands elsewhere on the page."""
        fragment, terms = self.tails[q], self.terms[p]
        is_last = p == self.sections[self.home[p]].items[-1]
        score = fragment.prior + (3.2 if is_last else 0.5 if p in self.stubs else 1.5)
        if score < -6.0:
            return score
        score += self._junction(self.blocks[p], self.blocks[q])
        if score < -5.2:
            return score  # what follows adds 5.2 at most
        matches = float(len(fragment.new & terms) - len(fragment.shared - terms))
        matches -= 0.0 if fragment.has_host else 0.05 * len(fragment.new)
        return score + 1.9 * fragment.share(terms) + 3.3 * fragment.gain(matches)

    def is_stray(self, q: int, chosen: dict[int, int]) -> bool:
        """Whether an unplaced block is no part of the article that it stands in."""
        previous = self.before.get(q)
        if previous is None:
            return False
        is_robbed = previous in chosen.values()
        return _loose(self.blocks[q], self.habits) >= (0.0 if is_robbed else 4.0)

    def _junction(self, head: _Block, tail: _Block) -> float:
        """What the ends say: quotation balance, words cut in two, numbers and what they count."""
        score = 4.0 if head.jump_out and tail.jump_in else 0.0
        pairs = zip(reversed(head.unclosed), tail.unopened, strict=False)
        matched = sum(opening == _PAIRS[closing] for opening, closing in pairs)
        score += 2.2 * matched - 1.3 * (len(tail.unopened) - matched)
        score -= 1.3 * (len(head.unclosed) - matched)
        if head.ends and not matched:
            score -= 3.0
        first = tail.text[0]
        if _MANY.search(head.text[-1:]):
            score += 2.0 if first in _COUNTED else -0.7
        elif first in _ONLY_COUNTED:
            score -= 1.0
        return score + 1.6 * self.habits.crosses(head.text, tail.text)


def _telling(blocks: Sequence[_Block], sections: Sequence[_Section]) -> list[frozenset[str]]:
    """The terms of each block that not many of the page's sections have."""
    seen: Counter[str] = Counter()
    for section in sections:
        seen.update({term for i in (*section.heading, *section.items) for term in blocks[i].terms})
    most = 0.4 * (1 + len(sections))
    return [frozenset(t for t in block.terms if seen[t] <= most) for block in blocks]


def _assignment(scores: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The (row, column) pairs, at most one a row and column, of the greatest sum of scores.

    Kuhn's algorithm with prices ("Hungarian"), O(rows^2 x columns); scores of 0 are no pair.
    """
    if not scores or not scores[0]:
        return []
    if len(scores) > len(scores[0]):
        turned = [list(column) for column in zip(*scores, strict=True)]
        return [(row, column) for column, row in _assignment(turned)]
    row_price, column_price = [0.0] * (len(scores) + 1), [0.0] * (len(scores[0]) + 1)
    row_of = [0] * len(column_price)  # counted from 1; column 0 holds the row being placed
    for row in range(1, len(row_price)):
        row_of[0] = row
        _place(scores, row_price, column_price, row_of)
    pairs = [(row - 1, column - 1) for column, row in enumerate(row_of) if row and column]
    return [(row, column) for row, column in pairs if scores[row][column] > 0]


def _place(
    scores: Sequence[Sequence[float]],
    row_price: list[float],
    column_price: list[float],
    row_of: list[int],
) -> None:
    """Give the row in column 0 a column, moving others along the cheapest path; in place."""
    came_from, slack = [0] * len(row_of), [math.inf] * len(row_of)
    waiting, done, column = set(range(1, len(row_of))), [0], 0
    while row_of[column]:
        row = row_of[column]
        for k in waiting:
            cost = -scores[row - 1][k - 1] - row_price[row] - column_price[k]
            if cost < slack[k]:
                slack[k], came_from[k] = cost, column
        column = min(waiting, key=lambda k: slack[k])
        step = slack[column]
        for k in done:
            row_price[row_of[k]] += step
            column_price[k] -= step
        for k in waiting:
            slack[k] -= step
        waiting.remove(column)
        done.append(column)
    while column:
        row_of[column], column = row_of[came_from[column]], came_from[column]


# --- 4. articles ---------------------------------------------------------------------------------


def articles_of(text: str, *, name: str, path: str = "") -> tuple[Article, ...]:
    """The articles of one page, in the order of their headings; loose fragments have no title.

    `name` is the file's, the source where the page names no newspaper. `fragments` are ranges of
    `text`; put together without white space they are the article's text without white space.
    """
    blocks = _blocks(text)
    if not blocks:
        return ()
    habits = _habits(text, blocks)
    roles = _roles(blocks, habits)
    sections, links = _linked(blocks, roles, habits)
    furniture = [b.text for b, role in zip(blocks, roles, strict=True) if role in _TRANSPARENT]
    issue = _Issue(_paper(furniture) or name, _issue_date(furniture), path)
    return tuple(
        _article(heading, items, links, blocks, roles, issue)
        for heading, items in _threads(sections, links)
    )


def _linked(
    blocks: Sequence[_Block], roles: list[Role], habits: _Habits
) -> tuple[list[_Section], dict[int, int]]:
    """Sections and links; heads that were read as headers or kickers become body (in `roles`)."""
    sections = _sections(blocks, roles)
    links = _links(blocks, roles, sections, habits)
    misread = [p for p in links.values() if p != _LOOSE and roles[p] is not Role.BODY]
    if not misread:
        return sections, links
    for p in misread:
        roles[p] = Role.BODY
    sections = _sections(blocks, roles)
    return sections, _links(blocks, roles, sections, habits)


@dataclass(frozen=True, slots=True)
class _Issue:
    """What a page says of all its articles."""

    source: str
    date: str
    path: str


def _threads(
    sections: Sequence[_Section], links: dict[int, int]
) -> list[tuple[tuple[int, ...], list[int]]]:
    """Each article's heading and body blocks in reading order, displaced tails in their places."""
    runs: dict[int, list[int]] = {}
    starts: list[tuple[tuple[int, ...], int]] = []
    for section in sections:
        if not section.items:
            starts.append((section.heading, section.heading[0]))
            continue
        start = section.items[0]
        starts.append((section.heading, start))
        for item, previous in zip(section.items, (None, *section.items), strict=False):
            if item in links and links[item] != previous:
                start = item
                if item != section.items[0]:
                    starts.append(((), item))
            runs.setdefault(start, []).append(item)
    tail_of = {links[start]: start for start in runs if links.get(start, _LOOSE) != _LOOSE}
    roots = [(h, start) for h, start in starts if h or start not in tail_of.values()]
    threads, done = [], set[int]()
    for heading, start in roots + starts:
        if start not in done:
            threads.append((heading, _thread(start, runs, tail_of, done)))
    return sorted(threads, key=lambda thread: (*thread[0], *thread[1])[0])


def _thread(
    start: int, runs: dict[int, list[int]], tail_of: dict[int, int], done: set[int]
) -> list[int]:
    """The blocks of a run, each open end followed by its tail's run."""
    items: list[int] = []
    pending = list(reversed(runs.get(start, [])))
    done.add(start)
    while pending:
        item = pending.pop()
        items.append(item)
        tail = tail_of.get(item)
        if tail is not None and tail not in done:
            done.add(tail)
            pending.extend(reversed(runs[tail]))
    return items


def _article(
    heading: Sequence[int],
    items: Sequence[int],
    links: dict[int, int],
    blocks: Sequence[_Block],
    roles: Sequence[Role],
    issue: _Issue,
) -> Article:
    """The article of a heading and its body; a heading without body is kept as text."""
    if not items:
        heading, items = (), heading
    words = {role: [blocks[i].text for i in heading if roles[i] is role] for role in _HEADING}
    title = " ".join(words[Role.TITLE])
    text = _text(items, links, blocks)
    day = issue.date or _dateline(text)
    subtitles = [_DASH.sub("", line, count=1) for line in words[Role.SUBTITLE]]
    return Article(
        article_id=_article_id(title, day, text),
        title=title,
        text=text,
        subtitle=" ".join(words[Role.KICKER] + subtitles),
        byline=" ".join(words[Role.BYLINE]) or _opener_byline(text),
        date=day,
        source=issue.source,
        path=issue.path,
        fragments=_fragments(blocks[i] for i in items),
    )


def _article_id(title: str, day: str, text: str) -> str:
    """The same for the same article wherever its file lies."""
    content = "\0".join((title, day, text)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).hexdigest()[:12]


def _text(items: Sequence[int], links: dict[int, int], blocks: Sequence[_Block]) -> str:
    """The body: paragraphs by line, cut ones whole again."""
    paragraphs: list[list[str]] = []
    previous = None
    for item in items:
        if previous is not None and links.get(item) == previous:
            paragraphs[-1].append(blocks[item].text)
        else:
            paragraphs.append([blocks[item].text])
        previous = item
    return "\n".join(_rejoined(pieces) for pieces in paragraphs)


def _rejoined(pieces: Sequence[str]) -> str:
    """The pieces of one paragraph put together."""
    text = [pieces[0]]
    for before, after in pairwise(pieces):
        text.append(_joined(before[-1:], after)[1:])
    return "".join(text)


def _fragments(blocks: Iterable[_Block]) -> tuple[Fragment, ...]:
    """The blocks' ranges."""
    return tuple(Fragment(block.start, block.end) for block in blocks)


def _opener_byline(text: str) -> str:
    """The reporters named in the text's opener, as in 本报讯(记者 ...)."""
    match = _OPENER_BYLINE.search(text[:80])
    return " ".join(match.group(1).split()) if match else ""


def _dateline(text: str) -> str:
    """The ISO date of an opener that gives its year, else ""."""
    opening = text[:60]
    match = _DATE.search(opening)
    if not match or not re.search(r"[讯电]", opening[: match.end() + 3]):
        return ""
    return _iso(match)


def _issue_date(furniture: Iterable[str]) -> str:
    """The first full date of the page's furniture, else ""."""
    dates = (_iso(match) for line in furniture if (match := _DATE.search(line)))
    return next((day for day in dates if day), "")


def _iso(match: re.Match[str]) -> str:
    """A date as ISO 8601, "" if no calendar has it."""
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError:
        return ""


def _paper(furniture: Iterable[str]) -> str:
    """The newspaper that the page's furniture names, else ""."""
    names = (match.group(1) for line in furniture if (match := _PAPER.search(line)))
    return next(names, "")
