"""Figures of Chinese text in English."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.words.figures import figures


def said(text: str) -> list[str]:
    return [figure.text or figure.alone for figure in figures(text)]


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("5月31日", "May 31"),
        ("2023年5月", "May 2023"),
        ("2024年1月1日", "January 1, 2024"),
        ("二〇二四年五月三十一日", "May 31, 2024"),
        ("十一月16日", "November 16"),
        ("2月底", "end of February"),
        ("6月中旬", "mid-June"),
        ("1-5月", "January–May"),
        ("5月到9月", "May–September"),
        ("1958年", "1958"),
        ("2019年底", "end of 2019"),
        ("清晨五点四十分", "5:40 a.m."),
        ("早上7点半", "7:30 a.m."),
        ("七点零五分", "7:05"),
        ("1.7万", "17,000"),
        ("2万多斤", "over 20,000 jin"),
        ("1.3亿元", "130 million yuan"),
        ("8.30亿元", "830 million yuan"),
        ("1.2万亿元", "1.2 trillion yuan"),
        ("21亿美元", "2.1 billion US dollars"),
        ("超过500万元", "over 5 million yuan"),
        ("不足100人", "under 100 people"),
        ("约760万元", "about 7.6 million yuan"),
        ("3000元左右", "about 3,000 yuan"),
        ("八成以上", "80% or more"),
        ("23.5%", "23.5%"),
        ("百分之三十", "30%"),
        ("三分之二", "2/3"),
        ("一亩", "1 mu"),
        ("一吨半", "1.5 tons"),
        ("七十三岁", "73 years old"),
        ("1级", "1 level"),
        ("15日", "the 15th"),
        ("第9届", "9th"),
        ("第三", "3rd"),
        ("十二届六次会议", "12th|6th"),
        ("14000.5", "14,000.5"),
        ("中央1号", "No. 1"),
        ("7次", "7 times"),
    ],
)
def test_a_figure_is_said_in_english(text: str, english: str) -> None:
    assert said(text) == english.split("|")


@pytest.mark.parametrize(
    "text", ["下一步", "进一步", "这一天", "统一", "第一书记的一", "九三学社", "近一半"]
)
def test_what_only_looks_like_a_figure_is_none(text: str) -> None:
    assert all(figure.text in ("", "1st") for figure in figures(text))


@pytest.mark.parametrize(
    ("text", "number", "alone"),
    [("18名政协委员", "18", "18 people"), ("312家企业", "312", "312"), ("三点建议", "3", "3")],
)
def test_what_is_counted_is_left_to_the_words(text: str, number: str, alone: str) -> None:
    (figure,) = figures(text)
    assert (figure.text, figure.counts, figure.alone) == (number, "many", alone)


def test_one_of_a_thing_needs_no_number() -> None:
    (figure,) = figures("一位老人")
    assert (figure.text, figure.counts) == ("", "one")


@given(
    st.text(
        alphabet="〇零一二三四五六七八九十百千万亿两第年月日点半分之多余约近至到元人个0123456789.,%-",
        max_size=40,
    )
)
def test_any_text_of_number_signs_is_read(text: str) -> None:
    end = 0
    for figure in figures(text):
        assert end <= figure.start < figure.end <= len(text)
        end = figure.end
