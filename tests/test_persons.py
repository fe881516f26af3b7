"""The people of an article: names with their offices, wherever in a sentence they stand."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import readers
from rag.persons import Person, people_of
from rag.types import Article

SEED = Path(__file__).resolve().parents[2] / "shared/seed/page.txt"


def _people(text: str, title: str = "", byline: str = "") -> dict[str, Person]:
    article = Article("a1", title, text, byline=byline)
    return {person.name: person for person in people_of(article)}


@pytest.mark.parametrize(
    ("text", "name", "office"),
    [
        pytest.param("县交通局局长沈大江说，桥不长。", "沈大江", "县交通局局长", id="behind"),
        pytest.param("市委书记单义要求抓好落实。", "单义", "市委书记", id="two-characters"),
        pytest.param(
            "柳河乡党委书记、乡长欧阳春介绍了做法。",
            "欧阳春",
            "柳河乡党委书记、乡长",
            id="two-offices",
        ),
        pytest.param(
            "市政协委员，云港渔业公司董事长卫兰建议。",
            "卫兰",
            "市政协委员、云港渔业公司董事长",
            id="two-offices-and-a-comma",
        ),
        pytest.param("会后，李建国委员说，这事要办。", "李建国", "委员", id="before"),
        pytest.param("李建国、何广要等5名委员受聘。", "何广要", "委员", id="list"),
        pytest.param("村民罗桂花笑着说，不绕路了。", "罗桂花", "村民", id="occupation"),
        pytest.param(
            "彭水根是柘湾村党支部书记。大水那年，彭水根守了十一夜。",
            "彭水根",
            "柘湾村党支部书记",
            id="told",
        ),
        pytest.param("记者见到了馆长闻思远。", "闻思远", "馆长", id="object-of-a-verb"),
    ],
)
def test_a_name_has_its_office(text: str, name: str, office: str) -> None:
    assert _people(text)[name].office == office


def test_those_of_the_byline_are_people_too() -> None:
    found = _people("桥修好了。", byline="通讯员 易小川 本报记者 卫兰")
    assert {name: p.office for name, p in found.items()} == {
        "易小川": "通讯员",
        "卫兰": "本报记者",
    }
    assert {(p.start, p.end) for p in found.values()} == {(-1, -1)}


def test_an_organisation_is_named_with_the_place_that_the_article_is_about() -> None:
    found = _people("市政协主席韩晓枫表示，要助推提案落实。", title="江苏省无锡市政协视察老街")
    assert found["韩晓枫"].organisation == "无锡市政协"
    assert found["韩晓枫"].office == "市政协主席"


@pytest.mark.parametrize(
    "text",
    [
        "会议由党委书记主持。",
        "常委会会议讨论了方案。",
        "推进县域经济高质量发展。",
        "全国人大代表常常来。",
    ],
)
def test_common_words_are_no_names(text: str) -> None:
    assert _people(text) == {}


@given(st.text(alphabet="市政协委员主席李建国说，、。“”（）书记等5名\n王", max_size=60))
def test_a_name_stands_where_it_is_said_to(text: str) -> None:
    for person in people_of(Article("a1", "", text)):
        assert person.start < 0 or text[person.start : person.end] == person.name


@pytest.mark.skipif(not SEED.exists(), reason="the seed page is not part of the repository")
def test_everyone_of_the_seed_page_has_the_right_office() -> None:
    people = {p.name: p.office for a in readers.read_articles(SEED) for p in people_of(a)}
    assert people == {
        "单义": "市委书记",
        "刘朝震": "朝阳市政协主席",
        "马久林": "市政协常委",
        "崔士学": "市政协常委",
        "宋廷春": "市政协经济委主任",
        "迟源": "通讯员",
        "王金晶": "本报记者",
        "路强": "记者",
        "杨斌": "无锡市惠山区政协委员、锡西文创园董事长",
        "陆一宁": "小朋友",
        "郑皓华": "市政协委员、北仑门生活艺术服务有限公司董事长",
        "韩晓枫": "市政协副主席",
        "胡蕙": "通讯员",
        "江迪": "本报记者",
        "何文波": "十三届全国政协委员、中国钢铁工业协会党委书记、执行会长",
        "李元丽": "本报记者",
        "李宁馨": "记者",
        "杨晨": "区政协委员",
        "李建国": "委员",
        "何广要": "委员",
        "史洪涛": "区政协副主席",
        "董晓枫": "区政协主席",
        "王有强": "本报记者",
        "刘勇": "通讯员",
        "缙敬磊": "通讯员",
    }
