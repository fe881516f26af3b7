"""The bridge between a question in one script and text in the other."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag import terms
from rag.terms import Concept, concepts, passage_terms

WORDS = {
    "xi'an": ("西安", "西安市"),
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
        pytest.param("on May 31", "may", "5月31日下午", id="a month"),
        pytest.param("on 31 May", "31", "5月31日下午", id="a day"),
        pytest.param("more than 17,000 words", "17,000", "1.7万字的调研成果", id="ten thousands"),
        pytest.param("1.7万字", "#17000", "a report of 17,000 characters", id="and back"),
        pytest.param("3.2 million people", "#3200000", "320万人", id="millions"),
        pytest.param("５月", "5", "5月31日", id="full width"),
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
    ],
)
def test_names_are_told_from_words(question: str, names: list[str]) -> None:
    assert [c.surface for c in concepts(question, gloss) if c.kind == "name"] == names


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
    found = terms.readings(word)
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
