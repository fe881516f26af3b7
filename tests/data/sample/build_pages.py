"""Writes pages/*.txt from articles.jsonl. Run with: python build_pages.py

Cuts are given by the words before them, so that a layout can be read beside its page.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from pagemaker import (  # noqa: E402  (needs the path above)
    Heading,
    Layout,
    Line,
    PageArticle,
    Part,
    fragments,
    lay_out,
    mid_sentence_offsets,
)

ENCODINGS = {"p05.txt": "gb18030", "p06.txt": "utf-8-sig"}  # the others: utf-8


def read_articles() -> dict[str, list[PageArticle]]:
    """The articles of each page, in the order of articles.jsonl."""
    pages: dict[str, list[PageArticle]] = {}
    for line in (HERE / "articles.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        article = PageArticle(row["title"], row["text"], row["subtitle"], row["byline"])
        pages.setdefault(row["page"], []).append(article)
    return pages


def after(text: str, words: str) -> int:
    """The offset right after `words`, which stand once in the text and end in mid-sentence."""
    if text.count(words) != 1:
        raise ValueError(f"{words!r} stands {text.count(words)} times in the article")
    offset = text.index(words) + len(words)
    if offset not in mid_sentence_offsets(text):
        raise ValueError(f"{words!r} does not end in mid-sentence")
    return offset


@dataclass(frozen=True, slots=True)
class PageOf:
    """Makes the items of one page's layout."""

    articles: list[PageArticle]

    def heading(self, number: int, *, break_at: str = "", blocks: bool = False) -> Heading:
        """The article's heading; its title goes on in a new line after `break_at`."""
        if not break_at:
            return Heading(number)
        offset = self.articles[number].title.index(break_at) + len(break_at)
        return Heading(number, offset, "blocks" if blocks else "lines")

    def part(self, number: int, *cuts: str, since: str = "", until: str = "") -> Part:
        """The article's text from after `since` to the end of `until`, cut after each of `cuts`."""
        text = self.articles[number].text
        return Part(
            number,
            after(text, since) if since else 0,
            after(text, until) if until else len(text),
            tuple(after(text, words) for words in cuts),
        )


def page_1(page: PageOf) -> Layout:
    """A tail after another article: the head ends inside a quotation."""
    kiln_break = "做的都是流水线上的活，一天要"
    return Layout(
        (
            Line("第3版 协商·民生"),
            Line("2024年3月12日 星期二"),
            page.heading(2),
            page.part(2, "应当按楼层设系数，三层为1，每高一层", "必须由第三方机构"),
            page.heading(1),
            page.part(1, "把高龄补贴认证由一年一次的"),
            Line("文史春秋"),
            page.heading(0),
            page.part(
                0,
                "县政协随即把“古窑址保",
                "县里每年用于窑址看护的钱只有40万元，摊到",
                "并从沿线村庄聘请了54名护窑员，每人",
                until=kiln_break,
            ),
            page.heading(3),
            page.part(3),
            page.part(0, since=kiln_break),
            Line("责任编辑 陆原 版式设计 苗青"),
        )
    )


def page_2(page: PageOf) -> Layout:
    """As on the seed page: a tail stands two articles above its head, which comes last."""
    lake_break = "对赌不是为了分输赢,是让"
    return Layout(
        (
            Line("银龄·健康·生态"),
            page.heading(0),
            page.part(
                0,
                "没有算老人实际住在哪里;二是乡镇",
                "同时开通职称评定,让护理员",
                "预计今年10月上线,家属在",
            ),
            page.heading(1),
            page.part(1, "其余费用由医院和医保经办机构"),
            page.part(3, "按照州政协的建议,补偿资金六成直接", since=lake_break),
            Line("志愿者的一天"),
            page.heading(2),
            page.part(2, "又同消防救援大队、水务局签了"),
            page.heading(3),
            page.part(3, until=lake_break),
        )
    )


def page_3(page: PageOf) -> Layout:
    """In order, with long columns cut."""
    return Layout(
        (
            Line("产业振兴 地方政协在行动"),
            page.heading(0),
            page.part(0, "有11万吨要送到", "今年3月已经动工，明年6月投产，建成后"),
            page.heading(1),
            page.part(1, "文史委七个人加上四名", "区政协还把录音整理成48集音频，在"),
            Line("记者走基层"),
            page.heading(2),
            page.part(2, "三年来办了115期培训班，教会", "用玉米秸秆压成一种蜂窝盒，碎耳率"),
        )
    )


def page_4(page: PageOf) -> Layout:
    """A tail right below a column header; a title in two blocks."""
    boat_break = "亏损的部分由县财政"
    return Layout(
        (
            Line("2022年11月24日 星期四 第5版"),
            page.heading(0),
            page.part(0, "一位产妇半夜临产,等了五个小时", until=boat_break),
            page.heading(2),
            page.part(2),
            Line("民生视点"),
            page.part(0, since=boat_break),
            page.heading(1),
            page.part(1, "监督报告列出问题67个,提出了"),
            page.heading(3, break_at="旱坡地上寻良策", blocks=True),
            page.part(3, "敖汉的委员把家底和难处", "加工利润的三成"),
        )
    )


def page_5(page: PageOf) -> Layout:
    """A tail right above a column header."""
    orange_break = "县里试用48架无人机吊运，一架一天"
    return Layout(
        (
            Line("2023年9月21日 星期四"),
            Line("第7版 委员·视线"),
            page.heading(1),
            page.part(1, "其中一家专做橙皮精油，产品", until=orange_break),
            page.heading(2),
            page.part(
                2, "却悄悄准备着考公务员，理由", "遇到拿不准的病，十分钟", "有4名心梗病人因为心电图"
            ),
            page.part(1, since=orange_break),
            Line("凝心聚力谱新篇 县区政协在行动"),
            page.heading(0),
            page.part(0, "条件是全部装上油烟"),
            page.heading(3),
            page.part(3, "平台不得用“最快送达时间”作为派单"),
        )
    )


def page_6(page: PageOf) -> Layout:
    """A tail above its head: the head comes last and ends inside a quotation."""
    pit_break = "“如果一律客土、一律种树,至少"
    return Layout(
        (
            Line("绿水青山 我们守护"),
            page.heading(2),
            page.part(2, "凑足了缺口还", "年纪最大的认领人是79岁的朱银松,他"),
            page.heading(1),
            page.part(1, "由绣娘在家里分头绣,合作社"),
            page.part(
                0,
                "正是她的坚持,遗址博物馆没有把",
                "由文旅部门实行预约入园,每天限1.2万人,本区",
                since=pit_break,
            ),
            page.heading(3),
            page.part(3),
            Line("生态文明建设巡礼"),
            page.heading(0),
            page.part(0, "取土样3100份,测酸碱度、重金属", until=pit_break),
        )
    )


def page_7(page: PageOf) -> Layout:
    """A title in two lines; a tail at the very end."""
    opera_break = "“要让它住在"
    return Layout(
        (
            page.heading(0, break_at="断了十四年的路接上了"),
            page.part(0, "湖北按村道设计，宽四米半，谁也", "雨季两边各派"),
            Line("文化传承 薪火相继"),
            page.heading(1),
            page.part(1, "教材不讲大道理，一课教一个", until=opera_break),
            Line("专题调研"),
            page.heading(2),
            page.part(2, "中央再奖励3亿元，寻乌一年", "也就是在保底补偿之外，水质"),
            page.part(1, since=opera_break),
        )
    )


def page_8(page: PageOf) -> Layout:
    """In order; a date line between two articles."""
    return Layout(
        (
            Line("基层协商"),
            page.heading(0),
            page.part(0, "政府补3元,每份还差1.8元,吃饭的人", "可以用“时间银行”的办法,请"),
            page.heading(1),
            page.part(1, "一学年约需58万元,走教的经历"),
            Line("2024年6月6日 星期四 编辑 方禾 校对 庄敏"),
            page.heading(2),
            page.part(2, "合作社登记、评估、修缮,再统一", "租给一对西安来的年轻夫妻"),
            page.heading(3),
            page.part(3),
        )
    )


LAYOUTS = {
    "p01.txt": page_1,
    "p02.txt": page_2,
    "p03.txt": page_3,
    "p04.txt": page_4,
    "p05.txt": page_5,
    "p06.txt": page_6,
    "p07.txt": page_7,
    "p08.txt": page_8,
}


def layouts() -> dict[str, tuple[list[PageArticle], Layout]]:
    """Each page's articles and layout."""
    return {
        name: (articles, LAYOUTS[name](PageOf(articles)))
        for name, articles in read_articles().items()
    }


def _bare(text: str) -> str:
    return re.sub(r"\s", "", text)


def build() -> None:
    """Rewrites all pages; fails if an article can't be read back from its page."""
    for name, (articles, layout) in layouts().items():
        text = lay_out(articles, layout)
        for article, ranges in zip(articles, fragments(articles, layout), strict=True):
            pieces = "".join(text[start:end] for start, end in ranges)
            assert _bare(pieces) == _bare(article.text), f"{name}: {article.title} is not whole"
            assert _bare(article.title) in _bare(text), f"{name}: {article.title} has no title"
        raw = text.encode(ENCODINGS.get(name, "utf-8"))
        (HERE / "pages" / name).write_bytes(raw)
        print(f"{name}: {len(articles)} articles, {len(text)} characters, {len(raw)} bytes")


if __name__ == "__main__":
    build()
