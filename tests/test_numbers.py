"""One value for every way to write a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.terms import normalise
from rag.words import numbers


def values(text: str) -> list[str]:
    plain = normalise(text)
    return [n.spelling for n in [*numbers.numerals(plain), *numbers.counted(plain)]]


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("1.7万", "#17000"),
        ("１．７万", "#17000"),
        ("17,000", "#17000"),
        ("17000", "#17000"),
        ("17 thousand", "#17000"),
        ("2万多斤", "#20000"),
        ("20多万人", "#200000"),
        ("1万2千", "#12000"),
        ("1亿2000万元", "#120000000"),
        ("5百万", "#5000000"),
        ("30亿元", "#3000000000"),
        ("3 billion yuan", "#3000000000"),
        ("1.2万亿", "#1200000000000"),
        ("1.2 trillion", "#1200000000000"),
        ("3.2 million", "#3200000"),
        ("320万", "#3200000"),
        ("30%", "#30 percent"),
        ("30％", "#30 percent"),
        ("30 percent", "#30 percent"),
        ("30 per cent", "#30 percent"),
        ("百分之三十", "#30 percent"),
        ("百分之30", "#30 percent"),
        ("百分之三点五", "#3.5 percent"),
        ("七成以上", "#70 percent"),
        ("七成半", "#75 percent"),
        ("thirty percent", "#30 percent"),
        ("二十三", "#23"),
        ("twenty-three", "#23"),
        ("十八位", "#18"),
        ("三百五", "#350"),
        ("一百零五", "#105"),
        ("两万五", "#25000"),
        ("一亿二千万", "#120000000"),
        ("三十多万", "#300000"),
        ("二〇二四年", "#2024"),
        ("31st", "#31"),
        ("三家", "#3"),
        ("十个", "#10"),
        ("5月", "#5 月"),
        ("五月", "#5 月"),
        ("十一月", "#11 月"),
    ],
)
def test_every_notation_has_one_value(text: str, spelling: str) -> None:
    assert values(text) == [spelling]


@pytest.mark.parametrize(
    "text",
    "十四五规划 九三学社 十分 几十人 数百人 一成不变 三五成群 千万 万一 三三两两".split(),
)
def test_what_only_looks_like_a_number_is_none(text: str) -> None:
    assert values(text) == []


@pytest.mark.parametrize("text", ["5千克", "5 千米", "5百分点"])
def test_a_unit_is_no_scale(text: str) -> None:
    assert values(text) == ["#5"]


@given(st.integers(1, 9_999))
def test_chinese_numerals_are_read_as_they_are_written(number: int) -> None:
    assert values(f"{in_chinese(number)}元")[:1] == [f"#{number}"] or number <= 10


@given(
    st.text(
        alphabet="零〇一二三四五六七八九十百千万亿两点分之成多余半0123456789.,% 月个", max_size=30
    )
)
def test_any_text_of_number_signs_is_read(text: str) -> None:
    for numeral in numbers.numerals(text):
        assert 0 <= numeral.start < numeral.end <= len(text)


def in_chinese(number: int) -> str:
    """A number below 10,000 as it is read aloud."""
    digits, text = str(number), ""
    for place, digit in zip("千百十 "[4 - len(digits) :], digits, strict=True):
        text += "零" if digit == "0" else "零一二三四五六七八九"[int(digit)] + place.strip()
    while "零零" in text:
        text = text.replace("零零", "零")
    return text.rstrip("零")
