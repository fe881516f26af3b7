"""Prints made-up newspaper pages in many layouts, and measures what a reader makes of them.

`printed` sets articles as a page: hard-wrapped or one line a paragraph, with or without blank
lines, kickers, bylines of many forms, captions, furniture, paragraphs cut by column ends, tails
away from their heads. The same random state gives the same page. It remembers whose every range
of the page is, so `measured` can tell a whole article from one with a foreign fragment inside.

Page text only: `pagemaker` lays out one page from a plan; here the plan is drawn too.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from random import Random

from pagemaker import PageArticle, mid_sentence_offsets
from rag.types import Article

DATA = Path(__file__).resolve().parent / "data"
_COLUMNS = (
    "综合新闻|民生视点|协商在一线|■ 乡村振兴|观察与思考|【基层连线】|委员建言 基层声音|"
    "本版关注|今日关注|经济新闻"
    "|●简讯|新春走基层|文化周刊|地方|声音|深度|要闻|国内|一线报道|凝心聚力谱新篇 "
    "县区政协在行动|记者调查|热点聚焦"
).split("|")
_TITLES = (
    "{0}，谁来管？|{0}，怎么办？|{0}，难在哪儿？|{0}为何这么难？|{0}了吗？|{0}，{1}|{0} {1}|"
    "{0}：{1}|“{0}”|{2}：“{0}”|{2}：{0}"
    "|从“{0}”到“{1}”|《{0}》出版|{0}、{1}|{0}|{0}！|今年，{0}|{0}，{1}！|一线观察丨{0}|"
    "财经聚焦｜{0}|（新春走基层）{0}"
).split("|")
_COLUMN_WORDS = (
    "委员 视线 专题 调研 银龄 健康 生态 协商 民生 乡村 观察 一线 周末 读书 法治 城事 乡音 "
    "文旅 议政 履职 关注 对话 人物 产业"
    " 速读 集萃 连线 视野 新知 家园 养老 教育 职教 社区 海岛 非遗"
).split()
_SUBHEADS = (
    "把难题摆到桌面上|一张图管到底|从等着办到主动办|算好长远账|让老手艺有饭吃|“两条腿”走路|"
    "人从哪里来|钱怎么花|看得见的变化"
    "|一、摸清家底|二、补上短板|三、守住底线|（一）建机制|（二）强队伍|还有哪些坎要过？|"
    "路通了 心近了|下一步怎么走|难在哪儿"
    "|多商量，少走弯路|账算清了，心就齐了|门开了，人来了|三笔钱，三个用处|一趟一趟，跑出来的办法|说得到，做得到|先修路，再种树|有人问，有人答"
).split("|")
_KICKERS = (
    "县里连续三年把修路列为民生实事 群众投票定方案|委员三次上门问需 部门当场认领|"
    "从一碗面里做出大文章 把小店连成一条街"
    "|调研走进三十个村 建议写满两本笔记|“问题清单”变“销号清单”|全市重点提案办理追踪之三|"
    "去年新增就业两万人 今年目标再提一成"
    "|一条老街的去留 牵动三代人的心|市人大常委会听取专项报告|政协搭台 部门唱戏 群众受益|"
    "新春走基层·田间地头看变化"
).split("|")
_SURNAMES, _GIVEN = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗", "文明华建国兰英晓雨晨思远若溪一舟"
_PAPERS = ("云港日报", "青石晚报", "西岭时报", "东川政协报", "江北都市报")
_TAILS = (0, 1, 1, 1, 2, 2, 3)  # displaced tails a page
STRANGER = -1  # owner of a tail whose head is on another page
_DAYS = "一二三四五六日"


@dataclass(frozen=True, slots=True)
class Style:
    """How a page is set."""

    name: str
    between: str = "\n\n"  # between paragraphs
    around: str = "\n\n"  # between articles
    indent: str = ""
    width: int = 0  # characters a line; 0: one line a paragraph
    half_width: bool = False


STYLES = (
    Style("blank lines"),
    Style("blank lines, half-width", half_width=True),
    Style("no blank lines", "\n", "\n"),
    Style("no blank lines, indented", "\n", "\n", "　　"),
    Style("blank line at articles", "\n", "\n\n"),
    Style("wrapped, indented", "\n", "\n", "　　", 22),
    Style("wrapped, blank lines", "\n\n", "\n\n", "", 28),
)
_HALF = str.maketrans("，：；（）？！", ",:;()?!")


@dataclass(frozen=True, slots=True)
class Piece:
    """A block of the page; `owner` is the article whose body it is, None for all else."""

    text: str
    role: str = "BODY"
    owner: int | None = None
    at: int = 0  # where it begins in its article
    apart: bool = False  # the first block of a heading, a column name: more space before it


@dataclass(frozen=True, slots=True)
class Range:
    """`page[start:end]` is of this article's body, from its offset `at` on."""

    start: int
    end: int
    owner: int
    at: int


@dataclass(frozen=True, slots=True)
class Paper:
    """A printed page and the truth about it. `tails`: article -> offset at which it was torn."""

    text: str
    style: str
    articles: tuple[PageArticle, ...]
    ranges: tuple[Range, ...]
    roles: tuple[tuple[int, int, str], ...]  # start, end and role of every line
    tails: dict[int, int] = field(default_factory=dict)


# --- articles to print ---------------------------------------------------------------------------


def own_articles(*names: str) -> list[PageArticle]:
    """Those of the repository: `sample`, `fit`, `taught`."""
    found: list[PageArticle] = []
    for name in names:
        sample = name == "sample"
        path = DATA / ("sample/articles.jsonl" if sample else f"tuning/{name}.passages.jsonl")
        rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        found += [_sample(row) if sample else _tuning(row) for row in rows]
    return found


def fitting_articles(*more: Path) -> list[PageArticle]:
    """All that weights may be fitted on: the tuning articles but for `fit`, and files like them."""
    tuning = sorted((DATA / "tuning").glob("*.passages.jsonl"))
    paths = [*(path for path in tuning if path.stem != "fit.passages"), *more]
    rows = (line for path in paths for line in path.read_text(encoding="utf-8").splitlines())
    return [_tuning(json.loads(row)) for row in rows]


def _sample(row: dict[str, str]) -> PageArticle:
    return PageArticle(row["title"], row["text"], row["subtitle"], row["byline"])


def _tuning(row: dict[str, str]) -> PageArticle:
    title, dash, subtitle = row["title"].partition("——")
    first, _, rest = row["text"].partition("\n")
    is_byline = len(first) < 40 and re.search("记者|通讯员", first)
    byline, text = (first, rest) if is_byline else ("", row["text"])
    return PageArticle(title, text, f"——{subtitle}" if dash and title else "", byline)


# --- a page --------------------------------------------------------------------------------------


def printed(
    articles: Sequence[PageArticle],
    rng: Random,
    style: Style,
    *,
    stranger: PageArticle | None = None,
    tails: Sequence[int] = _TAILS,
) -> Paper:
    """A page of these articles, drawn at random; of the stranger it has a tail only."""
    signed, short = rng.choice((0.0, 0.4, 0.9, 1.0)), rng.choice((0.0, 0.0, 0.2, 0.6))
    articles = [
        _dressed(_shortened(article, rng) if rng.random() < short else article, rng, signed)
        for article in articles
    ]
    if style.half_width:
        articles = [_in_half_width(article) for article in articles]
    torn = _torn(articles, rng, tails)
    lost = rng.choice(list(torn)) if torn and rng.random() < 0.06 else None
    if lost is not None:  # its tail is on another page
        article = articles[lost]
        articles[lost] = replace(article, text=article.text[: torn.pop(lost)])
    groups = [_group(n, article, torn.get(n), rng) for n, article in enumerate(articles)]
    for number, at in torn.items():
        tail = _pieces(number, articles[number].text, at, None, rng)
        if rng.random() < 0.2:
            tail.insert(0, Piece(_column(rng), "HEADER", apart=True))
        elif rng.random() < 0.1:
            tail[0] = replace(tail[0], text=f"（上接第{rng.randint(1, 4)}版）{tail[0].text}")
        own = next(i for i, group in enumerate(groups) if any(p.owner == number for p in group))
        slots = [slot for slot in range(len(groups) + 1) if slot != own + 1]
        groups.insert(rng.choice(slots), tail)
    if stranger is not None:
        at = rng.choice([o for o in _cuts(stranger.text) if o > len(stranger.text) // 3])
        tail = _pieces(STRANGER, stranger.text, at, None, rng)
        groups.insert(rng.randint(0, len(groups)), tail)
    pieces = [piece for group in groups for piece in group]
    return _set(_furnished(pieces, rng), articles, torn, style)


def _torn(articles: Sequence[PageArticle], rng: Random, tails: Sequence[int]) -> dict[int, int]:
    """Which articles have a displaced tail, and where they are torn."""
    wanted = rng.choice(tails) if len(articles) > 2 else 0
    torn: dict[int, int] = {}
    for number in rng.sample(range(len(articles)), wanted):
        text = articles[number].text
        offsets = [o for o in _cuts(text) if len(text) // 4 < o < len(text) - 25]
        if offsets:
            torn[number] = rng.choice(offsets)
    return torn


def _cuts(text: str) -> list[int]:
    """Where a column may end; half-width marks are like full-width ones."""
    return [o for o in mid_sentence_offsets(text) if "\n" not in text[o - 2 : o + 2]]


def _shortened(article: PageArticle, rng: Random) -> PageArticle:
    """Its first paragraphs."""
    paragraphs = article.text.split("\n")
    return replace(article, text="\n".join(paragraphs[: rng.randint(1, 3)]))


def _dressed(article: PageArticle, rng: Random, signed: float) -> PageArticle:
    """The article with another title, its byline elsewhere, or with sub-headings."""
    if rng.random() < 0.2:
        words, others = _clause(article.text, rng), _clause(article.text, rng)
        title = rng.choice(_TITLES).format(words, others, _person(rng))
        article = replace(article, title=title, subtitle="")
    if rng.random() > signed:
        article = replace(article, byline="")
    elif not article.byline and not re.match(r"本报|新华社|[（(]", article.text):
        article = _signed(article, rng)
    paragraphs = article.text.split("\n")
    if len(paragraphs) > 4 and rng.random() < 0.25:
        heads = rng.sample(_SUBHEADS, 2)
        if rng.random() < 0.25:
            sign = rng.choice("看谋问")
            heads = [f"{sign}{a}——{b}" for a, b in zip(("眼前", "长远"), heads, strict=True)]
        paragraphs.insert(3, heads[1])
        paragraphs.insert(rng.randint(0, 1), heads[0])
    return replace(article, text="\n".join(paragraphs))


def _signed(article: PageArticle, rng: Random) -> PageArticle:
    """The article with a reporter: over the text, in its opener or behind it."""
    one, other = _person(rng), _person(rng)
    bylines = (
        f"本报记者 {one}",
        f"□ 本报记者 {one} 通讯员 {other}",
        one,
        f"文/{one}",
        f"记者：{one}",
    )
    day = f"{rng.randint(1, 12)}月{rng.randint(1, 28)}日"
    wire = f"新华社{rng.choice(('北京', '西安', '兰州'))}{day}电（记者{one}、{other}）"
    opener, closer = rng.choice(
        (
            ("", ""),
            ("", ""),
            ("", ""),
            (f"本报讯（记者 {one}）", ""),
            (wire, ""),
            ("", f"（{one}）"),
        )
    )
    if opener or closer:
        return replace(article, text=opener + article.text + closer)
    return replace(article, byline=rng.choice(bylines))


def _in_half_width(article: PageArticle) -> PageArticle:
    return PageArticle(
        article.title.translate(_HALF),
        article.text.translate(_HALF),
        article.subtitle.translate(_HALF),
        article.byline.translate(_HALF),
    )


def _column(rng: Random) -> str:
    """The name of a column or section."""
    if rng.random() < 0.5:
        return rng.choice(_COLUMNS)
    words = rng.choice(("", "·", " ", "·")).join(rng.sample(_COLUMN_WORDS, rng.randint(2, 3)))
    return rng.choice(("{}", "{}", "■ {}", "【{}】", "第7版 {}", "{}·第3版")).format(words)


def _person(rng: Random) -> str:
    return rng.choice(_SURNAMES) + "".join(rng.sample(_GIVEN, rng.randint(1, 2)))


def _group(number: int, article: PageArticle, torn: int | None, rng: Random) -> list[Piece]:
    """Column name, heading and the body down to where it is torn."""
    heading = _heading(article, rng)
    body = _pieces(number, article.text, 0, torn, rng)
    if rng.random() < 0.15:
        caption = Piece(f"图为{_clause(article.text, rng)}。{_person(rng)} 摄", "FURNITURE")
        body.insert(rng.randint(0, len(body)), caption)
    if torn is not None and rng.random() < 0.1:
        body[-1] = replace(body[-1], text=body[-1].text + f"（下转第{rng.randint(2, 8)}版）")
    if rng.random() < 0.25:
        heading.insert(0, Piece(_column(rng), "HEADER", apart=True))
    return heading + body


def _heading(article: PageArticle, rng: Random) -> list[Piece]:
    """Title, subtitle and byline; the title sometimes in two lines."""
    title = article.title
    lines = [title]
    breaks = [m.start() for m in re.finditer(r"(?<=.{6}) (?=.{6})", title)]
    if breaks and rng.random() < 0.6:
        at = rng.choice(breaks)
        lines = [title[:at], title[at + 1 :]]
    found = [Piece(line, "TITLE", apart=i == 0) for i, line in enumerate(lines) if line]
    if title and rng.random() < 0.14:
        own = " ".join(_clause(article.text, rng) for _ in range(rng.randint(2, 3)))
        found = [Piece(rng.choice((own, rng.choice(_KICKERS))), "KICKER", apart=True), *found]
    if article.subtitle:
        found.append(Piece(article.subtitle, "SUBTITLE"))
    if article.byline:
        found.append(Piece(article.byline, "BYLINE"))
    return found


def _clause(text: str, rng: Random) -> str:
    clauses = [c for c in re.split(r"[，。、：；“”（）\n,:;()]", text) if 6 <= len(c) <= 16]
    return rng.choice(clauses or ["活动现场"])


def _pieces(
    number: int, text: str, start: int, end: int | None, rng: Random, cut: float = 0.25
) -> list[Piece]:
    """The paragraphs of `text[start:end]`, some cut in mid-sentence by a column end."""
    end = len(text) if end is None else end
    possible = set(_cuts(text))
    pieces: list[Piece] = []
    at = start
    for line in text[start:end].split("\n"):
        paragraph = text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0]
        inside = [o for o in range(at + 5, at + len(line) - 5) if o in possible]
        bounds = [at, at + len(line)]
        if len(line) >= 40 and inside and rng.random() < cut:
            bounds.insert(1, rng.choice(inside))
        for left, right in pairwise(bounds):
            if text[left:right].strip():
                role = "SUBHEAD" if _is_subhead(paragraph) else "BODY"
                pieces.append(Piece(text[left:right], role, number, left))
        at += len(line) + 1
    return pieces


def _is_subhead(line: str) -> bool:
    return (len(line) < 26 and not re.search("[。！？!?；;：:…”）.)]$", line)) or line in _SUBHEADS


def _furnished(pieces: list[Piece], rng: Random) -> list[Piece]:
    """The page with its date line, editors and page numbers, some of them in the midst of it."""
    paper, day = (
        rng.choice(_PAPERS),
        f"{rng.randint(2019, 2025)}年{rng.randint(1, 12)}月{rng.randint(1, 28)}日",
    )
    star, number = f"星期{rng.choice(_DAYS)}", rng.randint(1, 16)
    tops: tuple[list[str], ...] = (
        [f"{paper} {day} {star} 第{number:02}版"],
        [day, star, paper],
        [f"A{number:02} 要闻", day.replace("年", ".").replace("月", ".").rstrip("日")],
        [f"{number} 版 {day}"],
        [],
        [],
    )
    editors = (
        f"责任编辑 {_person(rng)} 版式 {_person(rng)}",
        f"本版编辑：{_person(rng)} 美编：{_person(rng)} 校对：{_person(rng)}",
        "邮箱：news@example.com 电话：029-88888888",
        f"□ 责编 {_person(rng)}",
    )
    top = [Piece(line, "FURNITURE", apart=True) for line in rng.choice(tops)]
    foot = [Piece(rng.choice(editors), "FURNITURE", apart=True)] if rng.random() < 0.5 else []
    found = [*pieces, *foot]
    if rng.random() < 0.3:
        strays = (str(number), day, f"第{number}版", editors[0], paper)
        found.insert(rng.randint(1, len(found)), Piece(rng.choice(strays), "FURNITURE"))
    return top + found if rng.random() < 0.8 else [*found, *top]


def _set(
    pieces: Sequence[Piece], articles: Sequence[PageArticle], torn: dict[int, int], style: Style
) -> Paper:
    """The page's text, and whose each range of it is."""
    page: list[str] = []
    ranges: list[Range] = []
    roles: list[tuple[int, int, str]] = []
    position = 0
    for i, piece in enumerate(pieces):
        text = piece.text
        is_paragraph = piece.owner is not None and (not piece.at or _begins(piece, articles))
        gap = (style.around if piece.apart else style.between) if i else ""
        page.append(gap + (style.indent if is_paragraph else ""))
        position += len(page[-1])
        lines = _wrapped(text, style, indented=is_paragraph) if piece.owner is not None else [text]
        at = piece.at
        for j, line in enumerate(lines):
            page.append(("\n" if j else "") + line)
            position += len(page[-1])
            roles.append((position - len(line), position, piece.role))
            if piece.owner is not None:
                ranges.append(Range(position - len(line), position, piece.owner, at))
            at += len(line)
    page.append("\n")
    return Paper("".join(page), style.name, tuple(articles), tuple(ranges), tuple(roles), torn)


def _begins(piece: Piece, articles: Sequence[PageArticle]) -> bool:
    if piece.owner is None:
        return False
    return piece.owner == STRANGER or articles[piece.owner].text[piece.at - 1] == "\n"


def _wrapped(text: str, style: Style, *, indented: bool) -> list[str]:
    """The lines of a paragraph; a final mark hangs rather than begins a line."""
    if not style.width:
        return [text]
    lines: list[str] = []
    rest, room = text, style.width - (len(style.indent) if indented else 0)
    while len(rest) > room:
        cut = room + (rest[room] in "。，、：；？！”）》,.:;?!)")
        lines.append(rest[:cut])
        rest, room = rest[cut:], style.width
    return [*lines, rest] if rest else lines


# --- what a reader made of it --------------------------------------------------------------------


@dataclass(slots=True)
class Score:
    """Counts over articles and tails."""

    articles: int = 0
    whole: int = 0
    titled: int = 0
    tails: int = 0
    joined: int = 0
    foreign: int = 0  # found articles with more than ten characters of another one inside

    def add(self, other: "Score") -> None:
        """Count the other's as well."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def __str__(self) -> str:
        n, t = max(1, self.articles), max(1, self.tails)
        return (
            f"{self.articles:5} articles  whole {self.whole / n:.3f}  titles {self.titled / n:.3f}"
            f"  foreign {self.foreign / n:.3f}  tails {self.joined / t:.3f} of {self.tails}"
        )


def measured(paper: Paper, found: Sequence[Article]) -> Score:
    """What was found of a page."""
    score = Score(articles=len(paper.articles), tails=len(paper.tails))
    shares = [_shares(paper, article) for article in found]
    score.foreign = sum(sum(n > 10 for n in share.values()) > 1 for share in shares)
    for number, true in enumerate(paper.articles):
        holder = max(range(len(found)), key=lambda i: f1(true.text, found[i].text), default=None)
        if holder is None:
            continue
        score.whole += f1(true.text, found[holder].text) > 0.97
        score.titled += bare(true.title) == bare(found[holder].title)
        at = paper.tails.get(number)
        if at is not None:
            seam = bare(true.text[max(0, at - 8) : at + 8])
            score.joined += any(seam in bare(article.text) for article in found)
    return score


def _shares(paper: Paper, article: Article) -> Counter[int]:
    """How many characters of the found article are whose."""
    shares: Counter[int] = Counter()
    for fragment in article.fragments:
        for r in paper.ranges:
            common = min(r.end, fragment.end) - max(r.start, fragment.start)
            if common > 0:
                shares[r.owner] += common
    return shares


def bare(text: str) -> str:
    """Without white space."""
    return re.sub(r"\s+", "", text)


def f1(a: str, b: str) -> float:
    """F1 of six-grams."""
    left, right = _six_grams(a), _six_grams(b)
    return 2 * (left & right).total() / (left.total() + right.total())


def _six_grams(text: str) -> Counter[str]:
    chars = bare(text)
    return Counter(chars[i : i + 6] for i in range(max(1, len(chars) - 5)))


def papers(
    pool: Sequence[PageArticle], seeds: Iterable[int], tails: Sequence[int] = _TAILS
) -> Iterator[Paper]:
    """A page for each seed, the styles in turn; one in twenty has a stranger's tail."""
    for seed in seeds:
        rng = Random(seed)
        chosen = rng.sample(pool, min(len(pool), rng.randint(4, 9)))
        stranger = chosen.pop() if rng.random() < 0.05 else None
        yield printed(chosen, rng, STYLES[seed % len(STYLES)], stranger=stranger, tails=tails)
