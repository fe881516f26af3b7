"""Page text -> blocks: the lines of a page, or the paragraphs that hard-wrapped lines make.

Jump marks (下转第2版) and characters that nobody sees are taken off. Here too is what a line of
furniture is made of: dates, page numbers, editors, names of papers and sections. Does not cover
what a block is on its page (roles.py), nor putting the pieces of a cut paragraph together
(stitching.py).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, zip_longest

# --- characters and patterns. Each is linear: no nested or adjacent unbounded repeats. -----------

CJK = "\u3400-\u9fff\uf900-\ufaff"
FINAL = frozenset("。.;；…")
_ASKING = frozenset("？！?!")
_CLOSERS = "”’」』）)》〉】]\"'"
PAIRS = {"”": "“", "’": "‘", "」": "「", "』": "『", "》": "《", "）": "（", ")": "("}
_BRACKETS = re.compile(f"[{re.escape(''.join([*PAIRS, *PAIRS.values()]))}]")
COMMAS = re.compile(r"[,，、;；](?!\d)")
_WORD = re.compile(r"[A-Za-zÀ-ɏ]+|\d+(?:\.\d+)?%?")
CJK_RUN = re.compile(f"[{CJK}]+")
_LINE = re.compile(r"[^\n\r\f\v\x1c-\x1e\x85\u2028\u2029]+")
# Soft hyphens, marks of no width and control characters, but for those that are white space.
UNSEEN = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]+"
)
_JUMP_OUT = re.compile(
    r"\s*[（(【▶►]?\s*(?:紧接|下转|转)(?:第?[\w]{1,4}版)[^。！？\n]{0,12}[）)】]?$"
)
_JUMP_IN = re.compile(
    r"[（(【◀◄]?\s*(?:紧接|上接|接)(?:第?[\w]{1,4}版)(?:[^）)】。！？\n]{0,20}[）)】])?\s*"
)
_SIGNATURE = re.compile(r"[。！？!?.…][”’」』]?\s?[（(][^（(）)。]{2,30}[）)]$")
DATE = re.compile(r"((?:19|20)\d{2})\s?[年\-/.]\s?(\d{1,2})\s?[月\-/.]\s?(\d{1,2})日?(?!\d)")
PAPER = re.compile(
    rf"《?([{CJK}]{{2,8}}(?:日报|晚报|早报|晨报|时报|商报|周报|都市报|法治报|法制报|青年报|政协报"
    r"|工人报|农民报|妇女报|教育报|文化报|科技报|经济报|消费报|证券报|证券|快报|导报|新报|公报)|参考消息|光明日报)》?"
)
FURNITURE = re.compile(
    "|".join(
        (
            DATE.pattern,
            r"[○〇零一二三四五六七八九]{4}年[一二三四五六七八九十]{1,2}月[一二三四五六七八九十]{1,3}日",
            r"\d{1,2}月\d{1,2}日",
            r"星期[一二三四五六日天]|周[一二三四五六日]",
            r"农历\S{2,12}",
            r"第?\s?[A-Z]?\d{1,3}[\-—至]?\d{0,3}\s?版|第[一二三四五六七八九十]{1,3}版|版面|今日\d+版|[第总]\s?\d+\s?[期号页]",
            r"(?<![A-Za-z\d])[A-Z]?\d{1,3}(?![A-Za-z\d.%])|-\s?\d{1,3}\s?-",
            r"[A-Za-z0-9._\-]{1,64}@[A-Za-z0-9.\-]{1,64}|(?:https?://|www\.)[!-~]{1,200}",
            rf"(?:本版|本期|值班|执行|责任|视觉|版式|美术|新媒体)?(?:责任编辑|编辑|责编|主编|校对|美编|组版|版式|设计|制图"
            rf"|检审|审读|监制|总监|编委|主任|策划|统筹|终审)\s?[:：/丨|\s]\s?(?:[{CJK}]{{2,4}}(?:[\s、/]{{1,3}}|$)){{0,4}}",
            r"(?:投稿|编辑|电子|联系)?(?:邮箱|电话|热线|传真|微信|地址|邮编|网址|电邮)[:：]?[\d\-\s（）()]{0,24}",
            r"[Ee]-?mail\s?[:：]|[Tt]el\s?[:：]|ISSN|CN\s?\d{2}-\d{4}|国内统一(?:连续出版物号|刊号)|邮发代号|零售\S{1,8}元",
            r"Page\s\d{1,3}|PAGE\s\d{1,3}|\bC\s?M\s?Y\s?K\b",  # colour marks of the printer
            PAPER.pattern,
        )
    )
)
_SECTION_WORDS = (
    "要闻|新闻|综合|国内|国际|时政|经济|社会|文化|体育|专题|专版|专栏|副刊|观察|视点|视角|视野|关注|聚焦|评论"
    "|时评|理论|民生|法治|法制|科技|教育|健康|卫生|生态|环保|三农|农业|财经|金融|地方|区域|广告|简讯|短讯|快讯|动态"
    "|一线|基层|周刊|特刊|纵横|广角|在线|视窗|之窗|天地|园地|论坛|资讯|热点|焦点|时讯|速览|速递|连线|调查|特稿|特写"
    "|人物|读者|来信|声音|看台|播报|本版|今日|城市|都市|生活|旅游|文艺|文娱|娱乐|军事|产业|企业|市场|消费|服务|公告"
    "|声明|导读|图片|摄影|报道|深度|封面|头版|本市|全国|世界|天下|中国|百姓|民声|建言|议政|协商|履职|政协|委员|春秋"
    "|史话|学术|书画|收藏|教科文卫|港澳台|华人|统战|党派|民族|宗教|点击|链接|延伸|阅读|网事|新知|前沿|专刊|思考|看点|一周|访谈|广场|驿站|沙龙|课堂|讲堂|话题|快读|简明|影视|警方|理财|楼市|校园|声|篇|在行动|我们|与|·|和"
)
SECTION = re.compile(rf"(?:{_SECTION_WORDS}){{1,6}}")


# --- lines ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that isn't blank, without its outer white space.

    `width` in columns and `size` in characters count its indent too.
    """

    start: int
    end: int
    text: str
    gap: int
    indented: bool
    width: int
    size: int


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
        full = raw.rstrip()
        lines.append(
            _Line(start, start + len(text), text, gap, raw[0].isspace(), _width(full), len(full))
        )
        end = start + len(text)
    return lines


def _width(text: str) -> int:
    """Columns on a terminal: two for a wide character."""
    return len(text) + sum(1 for c in text[:200] if c > "\u1100")


def _measured(lines: Sequence[_Line]) -> tuple[int, Sequence[_Line]]:
    """The column at which the page's lines were wrapped, 0 if they weren't; and the lines.

    Some printers count columns, some characters; then each character is two columns wide. The
    right one is that by which more lines are just alike.
    """
    if len(lines) < 4 or max(line.width for line in lines) > 110:
        return 0, lines
    by_characters = [replace(line, width=2 * line.size) for line in lines]
    kinds = [(*_usual_width(kind), kind) for kind in (lines, by_characters)]
    measure, _, chosen = max(kinds, key=lambda kind: kind[1])
    return (measure if _is_column(chosen, measure) else 0), chosen


def _usual_width(lines: Sequence[_Line]) -> tuple[int, int]:
    """The width that most lines have within four columns, and how many have it within two."""
    counts = Counter(line.width for line in lines)
    near = {width: sum(counts[width - less] for less in range(5)) for width in counts}
    measure = max(near, key=lambda width: (near[width], width))
    return measure, sum(counts[measure - less] for less in range(3))


def _is_column(lines: Sequence[_Line], measure: int) -> bool:
    """Whether lines were wrapped at this width.

    Then few are longer, many nearly fill the measure, and most of those stop between final marks
    though the text has commas.
    """
    longer = sum(line.width > measure + 4 for line in lines)
    full = [line for line in lines if measure - 4 <= line.width <= measure + 4]
    midway = [line for line in full if line.text.rstrip(_CLOSERS)[-1:] not in FINAL]
    prose = [line for line in full if COMMAS.search(line.text)]
    return (
        measure >= 16
        and longer <= 0.2 * len(lines)
        and len(full) >= max(3, 0.35 * len(lines))
        and len(midway) >= 0.6 * len(full)
        and len(prose) >= 0.3 * len(full)
    )


def _sets_apart(lines: Sequence[_Line], measure: int) -> bool:
    """Whether the page's paragraphs begin with an indent or a blank line.

    Then a line needn't be full to be wrapped: digits and letters make some lines narrower.
    """
    ends = [b for a, b in pairwise(lines) if a.width < 0.7 * measure and a.text[-1] in FINAL]
    return sum(line.indented or line.gap > 0 for line in ends) >= max(1, 0.7 * len(ends))


def _is_wrapped(
    line: _Line, following: _Line, after: _Line | None, measure: int, *, set_apart: bool
) -> bool:
    """Whether the next line goes on with this one's paragraph: its first word didn't fit here.

    `after` is the line after the next: a paragraph of its own tells that the next ends one.
    """
    if following.gap or following.indented or not furniture_rest(line.text):
        return False
    if line.width > measure + 4:
        return False  # a heading, wider than the column
    if _JUMP_OUT.search(line.text, max(0, len(line.text) - 30)):
        return False
    if set_apart:
        is_last = after is None or after.indented or after.gap > 0
        if (is_last or following.width > measure + 4) and not _ends(following):
            return False  # a heading, or a piece of a cut paragraph
        if line.text[-1] not in FINAL:
            return line.width > 0.75 * measure and bool(furniture_rest(following.text))
    elif following.width < measure - 4 and not _ends(following) and _ends(line):
        return False  # a heading below a paragraph that fills its last line
    word = re.match(r"[!-~]{1,40}", following.text)
    needed = len(word.group()) + 1 if word else 4
    return line.width + needed > measure


def _ends(line: _Line) -> bool:
    """Whether a sentence ends with the line."""
    return line.text.rstrip(_CLOSERS)[-1:] in FINAL | _ASKING


def furniture_rest(text: str) -> str:
    """The letters of a line that no pattern of furniture or section name covers."""
    rest = re.sub(r"[\W_]+", "", FURNITURE.sub(" ", text))
    return SECTION.sub("", rest)


# --- blocks --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
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
    terms: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def core(self) -> str:
        """The text without the closing quotation marks and brackets at its end."""
        return self.text.rstrip(_CLOSERS)

    @property
    def ends(self) -> bool:
        """Whether it ends with a sentence's final mark, or with names in brackets behind one."""
        last = self.core[-1:]
        return last in FINAL or last in _ASKING or bool(_SIGNATURE.search(self.text[-40:]))


def blocks_of(page: str) -> list[Block]:
    """The page's blocks: lines, or where lines are hard-wrapped, the paragraphs they make."""
    measure, lines = _measured(_lines(page))
    set_apart = _sets_apart(lines, measure)
    groups: list[list[_Line]] = []
    for line, after in zip_longest(lines, lines[1:]):
        last = groups[-1][-1] if groups else None
        if last and measure and _is_wrapped(last, line, after, measure, set_apart=set_apart):
            groups[-1].append(line)
        else:
            groups.append([line])
    return _with_jumps([_block(group) for group in groups])


def _with_jumps(blocks: Sequence[Block]) -> list[Block]:
    """The blocks with text; a jump mark in a line of its own is the next or the last block's."""
    found: list[Block] = []
    jumps_in = False
    for block in blocks:
        if block.text:
            found.append(replace(block, jump_in=True) if jumps_in else block)
            jumps_in = False
        elif block.jump_out and found:
            found[-1] = replace(found[-1], jump_out=True)
        jumps_in = jumps_in or (block.jump_in and not block.text)
    return found


def _block(group: Sequence[_Line]) -> Block:
    """The block of one or more lines, without its jump marks."""
    text = group[0].text
    for line in group[1:]:
        text = joined(text, line.text)
    start, end = group[0].start, group[-1].end
    last = group[-1]
    jump_out = _JUMP_OUT.search(last.text, max(0, len(last.text) - 30))
    if jump_out:
        end, text = last.start + jump_out.start(), text[: len(text) - len(jump_out.group())]
    jump_in = _JUMP_IN.match(group[0].text)
    if jump_in and start + jump_in.end() <= end:
        start, text = start + jump_in.end(), text[jump_in.end() :]
    text = UNSEEN.sub("", text).strip()
    unopened, unclosed = _unpaired(text)
    return Block(
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


def joined(before: str, after: str) -> str:
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
        opening = PAIRS.get(mark)
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


def _terms(text: str) -> frozenset[str]:
    """Character pairs, Latin words and numbers in the text's beginning."""
    sample = text[:1500]
    terms = {run[i : i + 2] for run in CJK_RUN.findall(sample) for i in range(len(run) - 1)}
    return frozenset(terms.union(w.lower() for w in _WORD.findall(sample) if len(w) > 1))
