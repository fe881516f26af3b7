"""What is usual on a page; and how a block begins: as a paragraph does, or in mid-sentence.

Roles and stitching both ask here. Does not cover how a block ends (blocks.py, stitching.py).
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.layout.blocks import CJK, CJK_RUN, Block

# --- patterns. Each is linear: no nested or adjacent unbounded repeats. --------------------------

DASH = re.compile(r"(?:——|—|－－|--|──|―)\s*(?=\S)")
OPENER = re.compile(
    r"(?:本报|本刊|新华社|新华网|中新社|中新网|人民网|据新华社|据中新社|央视网)"
    rf"[{CJK}\d、\s]{{0,20}}?(?:讯|电|消息|报道)(?:[\s　:：，,]|[（(]|题|[{CJK}])"
    r"|[【\[（(][^】\]）)\n]{1,12}(?:讯|电|消息|报道)[】\]）)]"
    r"|(?:本报|本刊)记者\s*\S{2,4}\s*(?:报道|摄影报道)"
)
_REPORTER = (
    r"(?:本报|本刊|本网|新华社|中新社|人民网|光明网|特约|首席|见习|实习|驻[一-龥]{2,6}|融媒体?|全媒体?){0,4}"
    r"(?:记者|通讯员|评论员|撰稿人?|特派员|实习生|编译|作者|文字|摄影|图片|文/图|图/文|[文图](?=[\s:：/]))"
)
SURNAMES = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾"
    "丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤"
    "尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢路岳齐梅"
    "莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景"
    "单包司柏宁柯阮桂闵解强柴华车冉房边辜吉饶刁瞿戚丘古米池滕晋苑邬臧畅宫来嵺苟全褚廉简娄盖符奚"
    "木穆党燕郎邸冀谈姬屠连郜晏栾郁商蒙计喻揭窦迟宇敖糜鄢冷卓花仇艾蓝都巩稽井练仲乐虞卞封竺冼原"
    "官衣楚佟栗匡宗应台巫鞠僧桑荆谌银扬明沙薄伏岑习胥保和蔺"
    "丰付佘储厉宓寇尚慕晁束泮牧狄缪肖荣蒲裘逄逯郦闻阚隗骆麦"
)
_SAID_BY = r"(?:来源|采写|撰文|口述|整理|策划|供稿|文[、/]?图|图[、/]?文|[文图])\s?[:：/／]"
BYLINE = re.compile(
    rf"[□■○●◎◇◆▲△☆★/\s(（]*(?:{_SAID_BY}|{_REPORTER}"
    rf"(?:\s*[:：/]|\s|(?=[{''.join(SURNAMES)}][{CJK}]{{1,3}}(?:$|[\s、)）]))))"
    r"[^。！？，；,;!?]{0,60}$"
)

# How a piece of a cut sentence tends to begin, and how a paragraph does.
_MID_STARTS = frozenset("的了着们地得之与及或等者性化率、，。；：？！,;:?!%％”’」』）)》〉】·…—～~")
CLOSING_STARTS = frozenset("、，。；：？！,;:?!%％”’」』）)》〉】")
STARTERS = re.compile(
    r"[“「『《（(【]|据|日前|近日|近年|今年|去年|目前|当前|当日|当天|同时|此外|另外|其中|随后|之后|此前|如今|然而"
    r"|因此|对此|为此|为了?|在|当|从|自|但|而|记者|本报|新华社|与此|第[一二三四五]|首先|其次|最后|一是|二是|三是"
    r"|不过|除了|由于|虽然|尽管|这|该|我|他|她|\d{1,4}[年月日]|[一二三四五六七八九十]{1,2}[、是]|事实上|谈及|对于"
)


# --- a page's habits -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Habits:
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

    def begins(self, block: Block) -> float:
        """Log-odds, -2 to 2, that the block's first character stands inside a run, not first."""
        first = block.text[0]
        if not CJK_RUN.match(first):
            return 0.0
        odds = (self.inner[first] + 1.0) / (self.starts[first] + self.first_share)
        return max(-2.0, min(2.0, 0.7 * math.log(odds * self.first_share)))

    def crosses(self, before: str, after: str) -> float:
        """What the page says for a word that begins `before` a cut and ends `after` it, 0 to 4."""
        if before[-1:] + after[:1] not in self.pairs:
            return 0.0
        longer = (before[-2:] + after[:1], before[-1:] + after[:2], before[-2:] + after[:2])
        return 1.0 + 0.7 * sum(word.isalnum() and word in self.text for word in longer)


def habits_of(page: str, blocks: Sequence[Block]) -> Habits:
    """The page's habits."""
    text = page[:100_000]
    long = [block for block in blocks if block.size > 40] or list(blocks)
    gaps = Counter(block.gap for block in blocks[1:])
    runs = CJK_RUN.findall(text)
    inner = Counter(char for run in runs for char in run[1:])
    marked = [_is_marker(b) for a, b in pairwise(blocks) if a.size < 40 and not _is_marker(a)]
    return Habits(
        text=text,
        gap=gaps.most_common(1)[0][0] if gaps else 0,
        indents=sum(block.indented for block in long) * 2 > len(long),
        marked=sum(marked) / max(3, len(marked)),
        starts=Counter(run[0] for run in runs),
        inner=inner,
        first_share=max(1, len(runs)) / max(1, inner.total()),
        pairs=frozenset(a + b for run in runs for a, b in pairwise(run)),
    )


def _is_marker(block: Block) -> bool:
    """Whether the block shows that a title stands right above it."""
    is_line = block.size < 60 and (DASH.match(block.text) or BYLINE.match(block.text))
    return bool(is_line or OPENER.match(block.text))


# --- how a block begins --------------------------------------------------------------------------


def loose(block: Block, habits: Habits) -> float:
    """Log-odds that the block begins in the middle of a sentence."""
    return loose_start(block, habits) + 4.0 * min(1, len(block.unopened))


def loose_start(block: Block, habits: Habits) -> float:
    """The same by its beginning alone."""
    if block.jump_in:
        return 6.0
    score = 0.4 * habits.begins(block)
    if block.text[0] in CLOSING_STARTS:
        score += 4.0
    elif block.text[0] in _MID_STARTS:
        score += 1.0
    elif OPENER.match(block.text):
        score -= 5.0
    elif STARTERS.match(block.text):
        score -= 1.8
    if habits.indents:
        score += -2.0 if block.indented else 1.0
    return score
