"""The bridge between a question in one script and text in the other."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.terms import Concept, concepts, passage_terms
from rag.words import names

WORDS = {
    "xi'an": ("西安", "西安市"),
    "xian": ("西安",),
    "amoy": ("厦门",),
    "elevators": ("电梯",),
    "yuan": ("元",),
    "jin": ("斤",),
    "women": ("女人",),
    "wuxi": ("无锡", "无锡市"),
    "district": ("区",),
    "propose": ("提议", "建议"),
    "long": ("长", "长期"),
    "may": ("可能",),
    "business environment": ("营商环境",),
}


def gloss(phrase: str) -> Sequence[str]:
    """A dictionary of a few words."""
    return WORDS.get(phrase, ())


def meets(concept: Concept, text: str) -> bool:
    """Whether a passage with this text holds what a concept asks for."""
    passage = passage_terms(text)
    return any(s in passage.written for s in concept.spellings) or any(
        s in passage.spoken for s in concept.sounds
    )


def found(question: str, surface: str) -> Concept:
    return next(c for c in concepts(question, gloss) if c.surface == surface)


@pytest.mark.parametrize(
    ("question", "surface", "text"),
    [
        pytest.param("What did Yanta propose?", "yanta", "雁塔区政协建议", id="a district"),
        pytest.param("what did yanta propose", "yanta", "雁塔区政协建议", id="in lower case"),
        pytest.param("Where is Luohe?", "luohe", "河南省漯河市", id="a rare reading"),
        pytest.param("Companies in Xi'an", "xi'an", "陕西省西安市", id="an apostrophe"),
        pytest.param("Companies in Xi’an", "xi’an", "陕西省西安市", id="a typographic apostrophe"),
        pytest.param("Yanta's proposal", "yanta's", "雁塔区", id="a possessive"),
        pytest.param("in Lüliang", "lüliang", "山西省吕梁市", id="ü"),
        pytest.param("in Lvliang", "lvliang", "山西省吕梁市", id="v for ü"),
        pytest.param("in Luliang", "luliang", "山西省吕梁市", id="u for ü"),
        pytest.param("in Shaanxi", "shaanxi", "陕西省", id="Shaanxi"),
        pytest.param("in Shanxi", "shanxi", "山西省", id="Shanxi"),
        pytest.param("Who is He Wenbo?", "he wenbo", "会长何文波说", id="family name first"),
        pytest.param("Who is Wenbo He?", "wenbo he", "会长何文波说", id="family name last"),
        pytest.param("who is li jianguo", "li jianguo", "委员李建国", id="a name in lower case"),
        pytest.param("Who is Yang Bin?", "yang bin", "董事长杨斌", id="two syllables"),
        pytest.param("Yang Bin's studio", "yang bin", "董事长杨斌", id="whose"),
        pytest.param("Who is Shan Yi?", "shan yi", "会长单义介绍", id="the surname Shan"),
        pytest.param("Who is Qin Wei?", "qin wei", "委员覃伟说", id="the surname Qin"),
        pytest.param("Who is Qiu Ming?", "qiu ming", "仇明说", id="the surname Qiu"),
        pytest.param("Who is Xie Jun?", "xie jun", "委员解军建议", id="the surname Xie"),
        pytest.param("Who is Ou Min?", "ou min", "委员区敏建议", id="the surname Ou"),
        pytest.param("Who is Zha Wei?", "zha wei", "委员查伟建议", id="the surname Zha"),
        pytest.param("Who is Zeng Li?", "zeng li", "委员曾丽建议", id="the surname Zeng"),
        pytest.param("Who is Piao Yong?", "piao yong", "委员朴勇建议", id="the surname Piao"),
        pytest.param("Who is Yuchi Gong?", "yuchi gong", "尉迟恭建议", id="Yuchi"),
        pytest.param("Who is Moqi Ming?", "moqi ming", "万俟明建议", id="Moqi"),
        pytest.param("in Chongqing", "chongqing", "重庆市", id="Chongqing"),
        pytest.param("in Lu'an", "lu'an", "安徽省六安市", id="Lu'an"),
        pytest.param("in Taizhou", "taizhou", "浙江省台州市", id="Taizhou"),
        pytest.param("in Xiamen", "xiamen", "厦门市", id="Xiamen"),
        pytest.param("in Amoy", "amoy", "厦门市", id="Amoy"),
        pytest.param("in Yueqing", "yueqing", "乐清市", id="Yueqing"),
        pytest.param("on Changbai Mountain", "changbai", "长白山", id="Changbai"),
        pytest.param("in Xian", "xian", "西安市", id="without an apostrophe"),
        pytest.param("in XIAN", "xian", "西安市", id="in capitals"),
        pytest.param("in xian", "xian", "西安市", id="Xi'an in lower case"),
        pytest.param("in LYULIANG", "lyuliang", "吕梁市", id="lyu for lü"),
        pytest.param("HE Wenbo said", "he wenbo", "何文博说", id="family name in capitals"),
        pytest.param("Who is He Wen-bo?", "he wen bo", "何文博说", id="a hyphen"),
        pytest.param("Who is He Wen Bo?", "he wen bo", "何文博说", id="three words"),
        pytest.param("Who is Ouyang Wenbo?", "ouyang wenbo", "欧阳文博说", id="a long surname"),
        pytest.param("what xian huiyi says", "xian huiyi", "冼慧仪说", id="a surname like a word"),
        pytest.param("Yanta district", "yanta", "在雁塔举行", id="a district without 区"),
        pytest.param("Yantaqu", "yantaqu", "在雁塔举行", id="qu for a district"),
        pytest.param("Hebei Province", "hebei", "河北的委员", id="a province without 省"),
        pytest.param("in Shenzen", "shenzen", "深圳市", id="a letter left out"),
        pytest.param("in Shenzhne", "shenzhne", "深圳市", id="two letters swapped"),
        pytest.param("in Guangzou", "guangzou", "广州市", id="a slip that is pinyin too"),
        pytest.param("in Shijiazuang", "shijiazuang", "石家庄", id="a slip in a long name"),
        pytest.param("Rao Jianzhnag", "rao jianzhnag", "饶建章提出", id="a slip in a person"),
        pytest.param("Ｓｈｅｎｚｈｅｎ", "shenzhen", "深圳", id="full-width letters"),
        pytest.param("in Yanta", "yanta", "雁塔區政協", id="traditional characters"),
        pytest.param("臺灣的委員", "台湾", "台湾", id="a traditional question"),
        pytest.param("elevators", "elevators", "加装电梯", id="a plural"),
        pytest.param("on May 31st", "31st", "5月31日下午", id="an ordinal"),
        pytest.param("more than 20,000 jin", "20,000", "2万多斤", id="more than"),
        pytest.param("more than 20,000 jin", "jin", "2万多斤", id="a unit"),
        pytest.param("2万多斤", "2万多", "more than 20,000 jin", id="more than, and back"),
        pytest.param("5月31日", "5月", "on May 31", id="a month, and back"),
        pytest.param("30 percent", "30 percent", "占百分之三十", id="percent"),
        pytest.param("百分之三十", "百分之三十", "by 30%", id="percent, and back"),
        pytest.param("what percent", "percent", "占30%", id="the word percent"),
        pytest.param("二十三人", "二十三", "23 people", id="a Chinese numeral"),
        pytest.param("23 people", "23", "二十三人", id="a Chinese numeral, and back"),
        pytest.param("3 billion yuan", "3 billion", "30亿元", id="billions"),
        pytest.param("何文博说了什么", "何文博", "He Wenbo said", id="a person in English"),
        pytest.param("何文博说了什么", "何文博", "Wenbo He said", id="a person the other way"),
        pytest.param("翟志刚说了什么", "翟志刚", "Zhai Zhigang said", id="a surname in English"),
        pytest.param("雁塔区的提案", "雁塔区", "in Yanta District", id="a district in English"),
        pytest.param("陕西的提案", "陕西", "in Shaanxi", id="Shaanxi in English"),
        pytest.param("西安的提案", "西安", "in Xi'an", id="Xi'an in English"),
        pytest.param("on May 31", "may", "5月31日下午", id="a month"),
        pytest.param("on 31 May", "31", "5月31日下午", id="a day"),
        pytest.param("more than 17,000 words", "17,000", "1.7万字的调研成果", id="ten thousands"),
        pytest.param("1.7万字", "1.7万", "a report of 17,000 characters", id="and back"),
        pytest.param("3.2 million people", "3.2 million", "320万人", id="millions"),
        pytest.param("５月", "5月", "5月31日", id="full width"),
    ],
)
def test_a_thing_asked_about_meets_the_passage_that_speaks_of_it(
    question: str, surface: str, text: str
) -> None:
    assert meets(found(question, surface), text)


@pytest.mark.parametrize(
    ("question", "surface", "text"),
    [
        pytest.param("in Shaanxi", "shaanxi", "山西省", id="Shaanxi is not Shanxi"),
        pytest.param("in Shanxi", "shanxi", "陕西省", id="Shanxi is not Shaanxi"),
        pytest.param("Who is He Wenbo?", "he wenbo", "何文海说", id="another given name"),
        pytest.param("more than 17,000 words", "17,000", "170亩", id="another number"),
        pytest.param("in Yanta", "yanta", "雁。塔", id="across a full stop"),
        pytest.param("陕西的提案", "陕西", "in Shanxi", id="陕西 is not Shanxi"),
        pytest.param("Who is Ou Min?", "ou min", "雁塔区民政", id="a district is no surname"),
        pytest.param("Who is Li Jing?", "li jing", "李金说", id="a short name has no slips"),
        pytest.param("in Changzhou", "changzhou", "漳州市", id="another city is no slip"),
        pytest.param(
            "what did Chengdu propose?", "chengdu", "农户的积极程度不一", id="a-known-city"
        ),
    ],
)
def test_a_likeness_is_no_match(question: str, surface: str, text: str) -> None:
    assert not meets(found(question, surface), text)


@pytest.mark.parametrize(
    ("question", "names"),
    [
        pytest.param(
            "西安市碑林区政协提了哪些建议？", ["西安市", "碑林区"], id="city and district"
        ),
        pytest.param("苏州有多少人？", ["苏州"], id="a city without its suffix"),
        pytest.param("李建国卖了多少斤番茄？", ["李建国"], id="a person"),
        pytest.param("贺松林是怎么建议的？", ["贺松林"], id="a person whose name is cut in two"),
        pytest.param("胡玉莲出了什么主意", ["胡玉莲"], id="a person with a verb stuck to the name"),
        pytest.param("城区的超市有多少家？", [], id="common words that end like places"),
        pytest.param("谁跟谁一起张罗的？", [], id="a common word that begins with a surname"),
        pytest.param("红烧肉怎么做？", [], id="no name"),
        pytest.param("汪清村里有几个点？", [], id="a place-like ending inside another word"),
        pytest.param("Who won the Wuxi marathon?", ["wuxi"], id="a name that the dictionary knows"),
        pytest.param("How long is it?", [], id="an English word that could be pinyin"),
        pytest.param("Can Wuxi hold it?", ["wuxi"], id="an English word before a name"),
        pytest.param("events in yanta, xi'an", ["yanta", "xi'an"], id="two places"),
        pytest.param("3 billion yuan in May", [], id="units and months"),
        pytest.param("Women propose it. Long may it last", [], id="words at the start"),
        pytest.param("三家企业二十三人", [], id="counted things"),
        pytest.param("北雀社区的老人怎么上楼？", ["北雀社区"], id="a community"),
        pytest.param("福台路小学几点放学？", ["福台路小学"], id="a school named for a road"),
        pytest.param("哪些社区和学校有食堂？", [], id="any community"),
        pytest.param("老旧小区和乡镇医院缺什么？", [], id="a kind of estate, of hospital"),
        pytest.param("那条盘山路修了多久？", [], id="a kind of road"),
    ],
)
def test_names_are_told_from_words(question: str, names: list[str]) -> None:
    assert [c.surface for c in concepts(question, gloss) if c.kind == "name"] == names


def test_a_name_in_pinyin_is_every_county_that_sounds_so() -> None:
    (yunyang,) = (c for c in concepts("the orange festival in Yunyang", gloss) if c.kind == "name")
    assert all(meets(yunyang, text) for text in ("云阳县", "十堰市郧阳区"))


@pytest.mark.parametrize("question", ["floods in Huoqiu xian", "Huoqiu qu, what floods?"])
def test_a_kind_of_place_in_pinyin_is_no_name_of_its_own(question: str) -> None:
    assert {c.surface for c in concepts(question, gloss) if c.kind == "name"} == {"huoqiu"}


def test_a_city_that_is_called_as_a_county_is_stays_a_city() -> None:
    names_asked = [c for c in concepts("night school in Beilin, Xian", gloss) if c.kind == "name"]
    assert [c.surface for c in names_asked] == ["beilin", "xian"]


def test_english_spellings_can_be_left_out() -> None:
    for concept in concepts("何文博在雁塔区卖杨桃", gloss, latin=False):
        assert all(spelling.isalnum() for spelling in concept.spellings)


def test_pairs_across_two_words_find_but_say_nothing() -> None:
    pairs = {c.surface: c.solid for c in concepts("企业产品合格", gloss) if c.kind == "word"}
    assert pairs["企业"]
    assert not pairs["业产"]
    assert not pairs["品合"]


def test_a_phrase_that_the_dictionary_knows_is_one_thing() -> None:
    surfaces = [c.surface for c in concepts("improve the business environment", gloss)]
    assert "business environment" in surfaces
    assert "business" not in surfaces


def test_both_ways_to_name_a_region_meet() -> None:
    assert meets(found("北京的银行", "北京"), "京津冀三地银保监局")


def test_function_words_alone_ask_about_nothing() -> None:
    assert concepts("What is it?", gloss) == ()
    assert concepts("是什么？", gloss) == ()
    assert concepts("", gloss) == ()


HOSTILE = [
    pytest.param("🙂" * 4000, id="emoji"),
    pytest.param("\x00" * 4000, id="NUL"),
    pytest.param("雁塔\x00区\x00" * 800, id="NUL between"),
    pytest.param("a" * 4000, id="one long word"),
    pytest.param("xian" * 1000, id="one word of many readings"),
    pytest.param("Xian " * 800, id="many words of many readings"),
    pytest.param("a-" * 2000, id="hyphens"),
    pytest.param("a'" * 2000, id="apostrophes"),
    pytest.param("区" * 4000, id="one character"),
    pytest.param("西安市" * 1333, id="places"),
    pytest.param("1," * 2000, id="commas in a number"),
    pytest.param("9" * 4000, id="a long number"),
    pytest.param("9" * 350 + "万亿", id="a number too large for a float"),
    pytest.param("的" * 4000, id="function words"),
    pytest.param("\u200b\u202e" * 2000, id="zero width"),
    pytest.param("\ud800雁塔", id="half a surrogate pair"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_read_quickly(text: str) -> None:
    concepts("雁塔 Yanta", gloss)  # the dictionaries load once
    passage_terms("雁塔")
    start = time.perf_counter()
    concepts(text, gloss)
    passage_terms(text)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("word", ["xian" * 6, "a" * 24, "nananananana", "lianxianxianlian", ""])
def test_a_word_has_few_readings(word: str) -> None:
    found = names.readings(word)
    assert len(found) <= 6
    assert all(reading.replace(" ", "") == word for reading in found)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_terms(text: str) -> None:
    for concept in concepts(text, gloss):
        assert concept.surface
        assert all(concept.spellings)
    passage = passage_terms(text)
    assert all(term and " " not in term for term in (*passage.terms, *passage.sounds))


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="雁塔区政协委员建议数据企业环境西安市漯河", min_size=2, max_size=12))
def test_a_question_meets_its_own_words(text: str) -> None:
    for concept in concepts(text, gloss):
        if concept.kind == "word":
            assert meets(concept, text)
