"""Passages are the article's own words, whole sentences, and every word stands in one of them."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import chunking
from rag.chunking import MAX_CHARS, MAX_HEADING_CHARS, MIN_CHARS, context, sentences
from rag.types import Article

SENTENCE = "区政协委员在调研后建议，尽快打通部门之间的数据壁垒，让企业少跑一趟路。"
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="雁塔区说。！？…“”「」『』‘’；，、：\n \u3000aB.!?\"'12\u200b\U00020000"),
    st.lists(
        st.sampled_from(
            [
                SENTENCE,
                "“甲。乙！”",
                "小标题\n",
                "某某说，",
                "Mr. Li said so. ",
                '"Go." ',
                "字" * 350,
            ]
        ),
        max_size=40,
    ).map("".join),
)


def article(text: str, title: str = "") -> Article:
    return Article(article_id="a", title=title, text=text)


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


def passages(text: str) -> list[str]:
    return [passage.text for passage in chunking.passages(article(text))]


def covered(text: str, spans: list[tuple[int, int]]) -> str:
    """The characters that stand in the spans, each as often as it is covered."""
    return "".join(text[start:end] for start, end in spans)


def bare(text: str) -> str:
    return "".join(text.split())


# ---- sentences -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("甲来了。乙走了！丙呢？", ["甲来了。", "乙走了！", "丙呢？"], id="chinese"),
        pytest.param("甲来了。乙走了", ["甲来了。", "乙走了"], id="no-end-mark"),
        pytest.param("没有标点的一行", ["没有标点的一行"], id="no-mark-at-all"),
        pytest.param("真的？！走吧……", ["真的？！", "走吧……"], id="marks-in-a-row"),
        pytest.param("小标题\n正文。\n\n  又一段。", ["小标题", "正文。", "又一段。"], id="lines"),
        pytest.param(
            "“快来！快看！”何文波说。大家笑了。",
            ["“快来！", "快看！”何文波说。", "大家笑了。"],
            id="who-said-it-comes-after",
        ),
        pytest.param(
            "何文波说：“快来！”大家笑了。",
            ["何文波说：“快来！”", "大家笑了。"],
            id="who-said-it-before",
        ),
        pytest.param("“好！”“坏！”", ["“好！”", "“坏！”"], id="one-quotation-after-another"),
        pytest.param("“好！”\n第二段。", ["“好！”", "第二段。"], id="a-quotation-ends-a-paragraph"),
        pytest.param(
            "“一。”王说。他又说：“二。”三。",
            ["“一。”王说。", "他又说：“二。”", "三。"],
            id="two-quotations",
        ),
        pytest.param(
            "He paid 3.5 million. The U.S. Government agreed. Mr. Li left.",
            ["He paid 3.5 million.", "The U.S. Government agreed.", "Mr. Li left."],
            id="english",
        ),
        pytest.param(
            '"We go!" she said. "Why?" asked he.',
            ['"We go!" she said.', '"Why?" asked he.'],
            id="said",
        ),
        pytest.param(
            "增长3.5%。网址是www.example.com。",
            ["增长3.5%。", "网址是www.example.com。"],
            id="dots",
        ),
        pytest.param("", [], id="nothing"),
        pytest.param(" \n\u3000", [], id="blank"),
        pytest.param("。", ["。"], id="only-a-mark"),
    ],
)
def test_a_text_is_cut_where_its_sentences_end(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


@given(TEXTS)
def test_sentences_are_in_order_and_hold_every_character_once(text: str) -> None:
    spans = sentences(text)
    assert all(start < end for start, end in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert bare(covered(text, spans)) == bare(text)


# ---- passages ------------------------------------------------------------------------------------


@given(TEXTS)
def test_the_clauses_of_a_sentence_are_the_sentence(text: str) -> None:
    for start, end in sentences(text):
        cut = chunking.clauses(text, start, end)
        assert [cut[0][0], cut[-1][1]] == [start, end]
        assert all(a[1] == b[0] for a, b in pairwise(cut))


def test_a_sentence_is_cut_at_its_clauses_but_not_within_a_number() -> None:
    text = "会上，委员们围绕停车难提出建议：增设共享车位1,200个，开放机关停车场。"
    cut = [text[start:end] for start, end in chunking.clauses(text, 0, len(text))]
    assert cut == ["会上，委员们围绕停车难提出建议：", "增设共享车位1,200个，", "开放机关停车场。"]


@given(TEXTS)
def test_every_character_stands_in_just_one_passage_at_its_offset(text: str) -> None:
    found = chunking.passages(article(text))
    assert all(text[p.start : p.end] == p.text for p in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert bare("".join(p.text for p in found)) == bare(text)
    assert len({p.passage_id for p in found}) == len(found)


@given(st.lists(st.integers(15, 90), min_size=8, max_size=60), st.integers(2, 12))
def test_passages_of_ordinary_sentences_are_120_to_320_characters(
    lengths: list[int], sentences_a_paragraph: int
) -> None:
    text = ""
    for i, length in enumerate(lengths):
        text += "字" * (length - 1) + "。" + ("\n" if i % sentences_a_paragraph == 0 else "")
    assert all(MIN_CHARS <= len(passage) <= MAX_CHARS for passage in passages(text))


def test_a_passage_is_whole_sentences() -> None:
    text = "".join(f"第{i}条。{SENTENCE}" for i in range(40))
    ends = {end for _, end in sentences(text)}
    assert all(p.end in ends for p in chunking.passages(article(text)))


def test_passages_end_with_a_paragraph_where_they_can() -> None:
    paragraph = SENTENCE * 6
    assert passages("\n".join([paragraph] * 5)) == [paragraph] * 5


@pytest.mark.parametrize("marks", ["“”", "「」", "『』", '""'])
def test_a_quotation_is_not_torn(marks: str) -> None:
    quotation = f"他说：{marks[0]}{SENTENCE * 5}{marks[1]}"
    text = SENTENCE * 4 + quotation + SENTENCE * 4
    (holder,) = [p for p in passages(text) if SENTENCE + SENTENCE in p and "他说：" in p]
    assert quotation in holder


def test_a_quotation_longer_than_a_passage_is_cut_between_its_sentences() -> None:
    found = passages("他说：“" + SENTENCE * 20 + "”" + SENTENCE * 4)
    assert len(found) > 2
    assert all(len(passage) <= MAX_CHARS for passage in found)
    assert all(passage.endswith(("。", "”")) for passage in found)


def test_a_sub_heading_goes_with_what_follows_it() -> None:
    text = "\n".join([SENTENCE * 6, "打通数据壁垒", SENTENCE * 5, "政策送上门", SENTENCE * 5])
    found = passages(text)
    assert [p.split("\n")[0] for p in found[1:]] == ["打通数据壁垒", "政策送上门"]


def test_a_short_quotation_on_its_own_line_is_no_sub_heading() -> None:
    text = "\n".join([SENTENCE * 5, "“好，就这么办。”", SENTENCE * 7])
    assert passages(text)[0].endswith("“好，就这么办。”")


def test_a_sentence_longer_than_a_passage_is_cut_at_its_clauses() -> None:
    found = passages("一个很长的分句，" * 100)
    assert all(len(passage) <= MAX_CHARS for passage in found)
    assert all(passage.endswith("，") for passage in found)


def test_an_english_passage_may_be_three_times_as_long() -> None:
    found = passages("The committee proposed that districts share what they know. " * 60)
    assert all(MIN_CHARS * 3 <= len(passage) <= MAX_CHARS * 3 for passage in found)


def test_an_article_shorter_than_a_passage_is_one() -> None:
    assert passages("很短。") == ["很短。"]


def test_the_same_article_gives_the_same_ids_and_another_title_others() -> None:
    first, again = (chunking.passages(article(SENTENCE * 20, "标题")) for _ in range(2))
    other = chunking.passages(article(SENTENCE * 20, "另一个标题"))
    assert first == again
    assert {p.passage_id for p in first}.isdisjoint(p.passage_id for p in other)


def test_a_changed_sentence_leaves_the_ids_of_the_passages_before_it() -> None:
    text = "\n".join([SENTENCE * 6] * 4)
    before = [p.passage_id for p in chunking.passages(article(text))]
    after = [p.passage_id for p in chunking.passages(article(text[:-5] + "别的话。"))]
    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]


# ---- what goes in front --------------------------------------------------------------------------


def test_title_place_and_date_go_in_front_of_a_passage_but_not_into_it() -> None:
    found = Article(
        "a", "区政协建言", "本报讯 西安市雁塔区政协……", subtitle="副题", date="2023-06-01"
    )
    assert context(found) == "区政协建言 副题 西安市 2023-06-01"
    assert passages(found.text) == ["本报讯 西安市雁塔区政协……"]


def test_a_title_of_any_length_adds_little_to_each_passage() -> None:
    assert len(context(article("正文。", title="长" * 100_000))) <= MAX_HEADING_CHARS


# ---- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("雁" * 200_000, id="no-mark"),
        pytest.param(SENTENCE * 5_600, id="ordinary"),
        pytest.param("“" + "啊！" * 100_000, id="never-closed"),
        pytest.param("！" * 199_999 + "a", id="marks"),
        pytest.param(". " + " " * 199_000 + ".", id="spaces"),
        pytest.param("啊。" * 100_000, id="tiny-sentences", marks=pytest.mark.slow),
        pytest.param("啊！”" * 66_000, id="closing-marks-alone", marks=pytest.mark.slow),
        pytest.param("啊\n" * 100_000, id="tiny-lines", marks=pytest.mark.slow),
        pytest.param("a! " * 66_000, id="lower-case-follows", marks=pytest.mark.slow),
    ],
)
def test_200_000_characters_on_one_line_take_seconds(text: str) -> None:
    """A quadratic step would take minutes."""
    started = time.process_time()
    found = chunking.passages(article(text))
    assert time.process_time() - started < 20
    assert bare("".join(p.text for p in found)) == bare(text)
