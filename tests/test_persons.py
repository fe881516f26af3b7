"""The people of an article: names with their offices, wherever in a sentence they stand."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import readers
from rag.metadata.persons import Person, people_of
from rag.types import Article

DATA = Path(__file__).parent / "data"
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
        pytest.param(
            "区政协委员、注册造价师谭启航建议按楼层分摊。",
            "谭启航",
            "区政协委员、注册造价师",
            id="a-given-name-that-is-a-verb",
        ),
        pytest.param("律师界委员贺松林关心的是维护。", "贺松林", "律师界委员", id="circle"),
        pytest.param("银行界的委员龙芳提出办法。", "龙芳", "银行界的委员", id="circle-with-的"),
        pytest.param("瑶里镇镇长吴海帆解释说。", "吴海帆", "瑶里镇镇长", id="whole-place"),
        pytest.param("区住建局局长骆海平当场表示。", "骆海平", "区住建局局长", id="cut-in-two"),
        pytest.param(
            "县农牧和科技局副局长令狐昌明说。",
            "令狐昌明",
            "县农牧和科技局副局长",
            id="two-characters-of-surname",
        ),
        pytest.param(
            "县政协农业界委员艾力·买买提和技术员来了。",
            "艾力·买买提",
            "县政协农业界委员",
            id="dotted",
        ),
        pytest.param("旗政协主席乌兰托娅说路还长。", "乌兰托娅", "旗政协主席", id="no-surname"),
        pytest.param("有个叫邓清和的烧灶工，讲了往事。", "邓清和", "烧灶工", id="called"),
        pytest.param("教练叫甘伟强，带队七年。", "甘伟强", "教练", id="office-and-called"),
        pytest.param(
            "民建西固区基层委副主委韩卓则提出异议。", "韩卓", "民建西固区基层委副主委", id="adverb"
        ),
        pytest.param("五十八岁的葛二牛在采石场放炮。", "葛二牛", "", id="age-and-no-office"),
        pytest.param("他的妻子索菊香半年没说话。", "索菊香", "", id="kin"),
        pytest.param(
            "本报讯（记者 秦朗）窗口前排长队。", "秦朗", "记者", id="reporter-in-brackets"
        ),
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


def test_a_headline_gives_the_office_that_the_text_leaves_out() -> None:
    found = _people("苟秀蓉披上衣服就跑。", title="接生人——记通江县人大代表苟秀蓉")
    assert found["苟秀蓉"].office == "通江县人大代表"


def test_a_place_of_no_name_is_no_organisation() -> None:
    assert _people("镇长卢传福表示，夜校开班。")["卢传福"].organisation == ""


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
        "委员、居民代表和部门负责人坐到了一起。",
        "家里还有彭奶奶和孟先生。",
        "请河北工程大学的专家来做体检。",
        "大学生志愿者来辅导，游客戴上耳机。",
        "从网上卖黑木耳，戴帽子的人不多。",
    ],
)
def test_common_words_are_no_names(text: str) -> None:
    assert _people(text) == {}


@pytest.mark.parametrize(
    ("split", "names", "offices"),
    [
        pytest.param("tuned", (0.98, 0.98), (0.97, 0.97), id="those-the-rules-were-made-on"),
        pytest.param("first", (0.95, 0.90), (0.91, 0.87), id="labelled-later"),
        pytest.param("second", (0.97, 0.94), (0.94, 0.91), id="labelled-after-that"),
    ],
)
def test_the_people_of_whole_articles_are_found(
    split: str, names: tuple[float, float], offices: tuple[float, float]
) -> None:
    articles = {article.title: article for article in _labelled()}
    counts: Counter[str] = Counter()
    for row in _rows(DATA / "people.jsonl"):
        if row["split"] != split:
            continue
        found = {p.name: p.office for p in people_of(articles[row["title"]])}
        counts["found"] += len(found)
        counts["true"] += len(row["people"])
        counts["name"] += len(found.keys() & row["people"].keys())
        counts["office"] += len(found.items() & row["people"].items())
    for right, (precision, recall) in (("name", names), ("office", offices)):
        assert counts[right] / counts["found"] >= precision
        assert counts[right] / counts["true"] >= recall


def _labelled() -> list[Article]:
    """The articles that people.jsonl tells the people of."""
    files = (DATA / "sample/articles.jsonl", DATA / "tuning/taught.passages.jsonl")
    return [
        Article("a1", row["title"], row["text"], byline=row.get("byline", ""))
        for file in files
        for row in _rows(file)
    ]


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


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
