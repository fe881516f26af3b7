"""What an article says of itself: place, day, reporter, organisation."""

import pytest

from rag.places import Folio, Place, folio_of, metadata_of, place_of
from rag.types import Article


def _article(text: str, title: str = "", date: str = "") -> Article:
    return Article("a1", title, text, byline="本报记者 卫兰", date=date)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("雁塔区政协组织委员视察。", Place("陕西省", "西安市", "雁塔区")),
        ("在江苏无锡，老街换了模样。", Place("江苏省", "无锡市")),
        ("辽宁省朝阳市政协召开会议。", Place("辽宁省", "朝阳市")),
        ("北京市朝阳区的胡同里。", Place("北京市", "", "朝阳区")),
        ("福建省福州市鼓楼区发放补贴。", Place("福建省", "福州市", "鼓楼区")),
        ("江苏省南京市鼓楼区发放补贴。", Place("江苏省", "南京市", "鼓楼区")),
        ("养蜂人追着花走。", Place()),
    ],
)
def test_a_place_has_its_province_and_city(text: str, place: Place) -> None:
    assert place_of(_article(text)) == place


@pytest.mark.parametrize(
    ("text", "issue", "day"),
    [
        ("5月31日下午，委员们来到法院。", "2023-06-02", "2023-05-31"),
        ("12月30日，桥通车了。", "2024-01-03", "2023-12-30"),
        ("昨日，新馆开门迎客。", "2024-03-01", "2024-02-29"),
        ("2月29日，新馆开门迎客。", "2025-02-01", ""),
        ("2022年3月5日，新馆开门迎客。", "", "2022-03-05"),
        ("3月5日，新馆开门迎客。", "", ""),
        ("13月45日，没有这一天。", "2024-01-03", ""),
    ],
)
def test_a_day_is_taken_from_the_text_in_the_issues_year(text: str, issue: str, day: str) -> None:
    assert metadata_of(_article(text), issue=issue).date == day


def test_the_articles_own_date_stands_for_the_issues() -> None:
    assert metadata_of(_article("昨日开馆。", date="2024-05-06")).date == "2024-05-05"


def test_reporter_and_organisation_are_named() -> None:
    found = metadata_of(_article("云港市文化局日前公布了名单。"))
    assert (found.organisation, found.reporter) == ("云港市文化局", "本报记者 卫兰")


@pytest.mark.parametrize(
    ("line", "folio"),
    [
        ("云港日报 2024年5月6日 星期一 第07版", Folio("07")),
        ("A04 要闻", Folio("A04", "要闻")),
        ("4 版 2024年5月6日 综合新闻", Folio("4", "综合新闻")),
        ("第三版 副刊", Folio("三", "副刊")),
        ("云港市第3版规划昨天公布，两岸都修路。", Folio()),
    ],
)
def test_a_page_gives_its_number_and_section(line: str, folio: Folio) -> None:
    assert folio_of(f"{line}\n\n八座便民桥连起柳河两岸\n\n桥修好了。\n") == folio
