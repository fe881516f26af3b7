"""What each line of a page is: titles, bylines, sub-headings and furniture in their many forms."""

import re
from pathlib import Path

import pytest

from paper_scores import Score, measured
from papers import own_articles, papers
from rag import pages, readers
from rag.types import Article

SCHOOL = (
    "3月8日，青石县第二小学的新校舍交付使用，一千二百名学生搬进了亮堂的教室。",
    "校长何静思介绍，新校舍有三十六间教室、两间实验室和一座食堂，全部按八级抗震设计。",
    "“以前一下雨就往桶里接水，现在再也不用了。”五年级学生周小舟说。",
)
WHEAT = (
    "连日来，西岭市一百二十万亩冬小麦陆续返青，农技人员分成四十个小组下到田间。",
    "市农业农村局副局长梁大可说，今年一类苗占到八成五，是近六年最好的一年。",
    "合作社社员马春生一早就在地里追肥，他家种了九十亩，盼着五月有个好收成。",
)
FERRY = (
    "记者昨日从云港市交通运输局获悉，往返云港与小岙岛的渡轮四月起每天增加三班。",
    "小岙岛有居民四千余人，过去末班船下午四点就开走，误了船只能在码头过夜。",
    "岛上的渔民许阿海说，增班以后，海鲜当天就能送进城里的早市。",
)
TITLES = ("青石二小师生搬进新校舍", "西岭百万亩冬小麦返青", "小岙岛渡轮四月起增班")


def _read(*lines: str, between: str = "\n\n") -> tuple[Article, ...]:
    return pages.articles_of(between.join(lines) + "\n", name="page.txt")


def _page_with(line: str) -> tuple[Article, ...]:
    """A page whose second article has the line between its title and its text."""
    return _read(TITLES[0], *SCHOOL, TITLES[1], line, *WHEAT, TITLES[2], *FERRY)


def _text(paragraphs: tuple[str, ...]) -> str:
    return "\n".join(paragraphs)


# ── titles ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "title",
    [
        "新桥通车",
        "冬麦返青",
        "返青了！",
        "麦苗长势如何？",
        "“科技组”下田",
        "西岭：百万亩冬麦起身",
        "田间来了“麦医生”，丰收有了底气",
        "农技下田 麦苗返青",
        "梁大可：今年是近六年最好的一年",
        "120万亩冬小麦长势好于常年",
        "一线观察丨春管看西岭",
        "农技员下田，麦苗返青快，合作社社员盼着五月好收成",
    ],
)
def test_a_title_without_byline_is_found_between_two_texts(title: str) -> None:
    found = _read(TITLES[0], *SCHOOL, title, *WHEAT, TITLES[2], *FERRY)
    assert [article.title for article in found] == [TITLES[0], title, TITLES[2]]
    assert found[1].text == _text(WHEAT)


@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_a_title_in_two_lines_is_one_title(between: str) -> None:
    lines = ("农技下田分成四十组", "西岭百万亩冬麦返青")
    found = _read(TITLES[0], *SCHOOL, *lines, *WHEAT, between=between)
    assert [article.title for article in found] == [TITLES[0], " ".join(lines)]


def test_briefs_of_one_paragraph_keep_their_short_titles() -> None:
    titles = ("校舍翻新", "冬麦返青", "渡轮增班")
    texts = (SCHOOL[0], WHEAT[0], FERRY[0])
    lines = (line for pair in zip(titles, texts, strict=True) for line in pair)
    found = _read("简讯", *lines)
    assert [(a.title, a.text) for a in found] == list(zip(titles, texts, strict=True))


# ── bylines and furniture ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "byline",
    [
        "本报记者 林思远",
        "本报记者林思远",
        "□ 本报记者 林思远 通讯员 何若溪",
        "■本报记者 林思远",
        "见习记者 林思远",
        "文/图 林思远",
        "文、图/林思远",
        "（记者 林思远）",
        "作者：林思远",
        "来源：西岭日报",
        "通讯员 何若溪 本报记者 林思远",
        "全媒体记者 林思远",
        "林思远 何若溪",
    ],
)
@pytest.mark.parametrize("opener", ["", "本报讯 "], ids=["plain", "opener"])
def test_a_byline_is_no_part_of_the_title_or_the_text(byline: str, opener: str) -> None:
    texts = (opener + WHEAT[0], *WHEAT[1:])
    found = _read(TITLES[0], *SCHOOL, TITLES[1], byline, *texts, TITLES[2], *FERRY)
    assert [article.title for article in found] == list(TITLES)
    assert (found[1].byline, found[1].text) == (byline, _text(texts))


@pytest.mark.parametrize(
    "line",
    [
        "2024年3月9日 星期六 第3版",
        "星期六",
        "03",
        "03 要闻",
        "责任编辑 林思远 版式 何若溪",
        "本版责编：林思远 美编：何若溪 校对：周一",
        "新闻热线：0971-8888123",
        "扫码关注青石日报公众号",
        "www.example.com",
        "广告热线：62345678",
        "国内统一刊号：CN62-0001 邮发代号：53-1",
        "图为农技人员在田间。林思远 摄",
        "本报记者 林思远 摄",
    ],
)
def test_furniture_in_the_midst_of_a_text_is_in_no_article(line: str) -> None:
    found = _read(TITLES[0], *SCHOOL, TITLES[1], WHEAT[0], line, *WHEAT[1:], TITLES[2], *FERRY)
    assert [article.title for article in found] == list(TITLES)
    assert [article.text for article in found] == [_text(t) for t in (SCHOOL, WHEAT, FERRY)]


def test_names_in_brackets_behind_the_last_sentence_end_an_article() -> None:
    signed = (*SCHOOL[:2], SCHOOL[2] + "（林思远 何若溪）")
    found = _read(TITLES[0], *signed, TITLES[1], *WHEAT)
    assert [article.text for article in found] == [_text(signed), _text(WHEAT)]


def test_a_page_that_is_nothing_but_headings_loses_none_of_its_text() -> None:
    assert [article.text for article in _read("综合新闻", "乡村振兴")] != []


# ── hard-wrapped lines ───────────────────────────────────────────────────────────────────────────


def _wrapped(paragraph: str, width: int) -> list[str]:
    return re.findall(f".{{1,{width}}}", paragraph)


@pytest.mark.parametrize("width", [16, 21, 34])
def test_lines_wrapped_without_indent_or_blank_lines_are_paragraphs_again(width: int) -> None:
    lines = [
        line
        for title, text in zip(TITLES, (SCHOOL, WHEAT, FERRY), strict=True)
        for line in (title, *(line for p in text for line in _wrapped(p, width)))
    ]
    found = _read(*lines, between="\n")
    assert [article.title for article in found] == list(TITLES)
    bare = [re.sub(r"\s", "", article.text) for article in found]
    assert bare == ["".join(t) for t in (SCHOOL, WHEAT, FERRY)]


def test_a_heading_wider_than_the_column_is_not_taken_for_a_wrapped_line() -> None:
    title = "西岭百万亩冬小麦陆续返青四十个农技小组下到田间"
    text = [line for p in (*WHEAT, *FERRY) for line in _wrapped(p, 16)]
    (article,) = _read(title, *text, between="\n")
    assert article.title == title


# ── pages whose format tells the headings ────────────────────────────────────────────────────────


def test_a_markdown_heading_in_several_lines_is_one_heading(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    heads = (
        f"# {TITLES[0]}\n\n{_text(SCHOOL)}\n\n# 农技小组进村\n\n# {TITLES[1]}\n\n# ——春管一线见闻"
    )
    path.write_text(f"{heads}\n\n本报记者 林思远\n\n{_text(WHEAT)}\n", encoding="utf-8")
    first, second = readers.read_articles(path)
    assert (first.title, first.subtitle) == (TITLES[0], "")
    assert second.byline == "本报记者 林思远"
    assert TITLES[1] in second.title
    assert "春管一线见闻" in second.subtitle
    assert "农技小组进村" in second.title + second.subtitle


# ── many pages ───────────────────────────────────────────────────────────────────────────────────


def test_titles_of_made_pages_are_right() -> None:
    """A bar a little under what 90 pages gave; see `tests/bench/pages.py`."""
    score = Score()
    for paper in papers(own_articles("fit", "sample"), range(2000, 2090)):
        score.add(measured(paper, pages.articles_of(paper.text, name="page.txt")))
    assert score.titled / score.articles >= 0.88
