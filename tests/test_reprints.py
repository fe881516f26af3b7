"""The same story in two papers is found to be one; two stories with one pattern are not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homes import prose
from rag import reprints

STORY = prose(1, 12)


def is_reprint(text: str, of: str) -> bool:
    first, second = reprints.shape(text), reprints.shape(of)
    near = set(first.bands()) & set(second.bands())
    return bool(near) and first.is_within(second)


@pytest.mark.parametrize(
    "text",
    [
        STORY,
        f"本报讯（记者 林某）{STORY}",
        f"新华社西安3月5日电（记者林某 王某）{STORY}",
        STORY.replace("。", "。\n　　"),
        STORY.replace("，", ","),
        STORY[: len(STORY) * 9 // 10].rpartition("。")[0],
    ],
    ids=["same", "opener", "agency", "paragraphs", "punctuation", "cut"],
)
def test_the_same_story_is_a_reprint(text: str) -> None:
    assert is_reprint(text, STORY)


@pytest.mark.parametrize(
    "text",
    [
        prose(2, 12),
        STORY + prose(3, 6),
        STORY[: len(STORY) // 2],
        STORY.replace("第1号", "第2号", 1),
        "",
        "。",
    ],
    ids=["another", "much-longer", "half", "another-number", "empty", "mark"],
)
def test_another_story_is_none(text: str) -> None:
    assert not is_reprint(text, STORY)


def test_a_brief_with_another_name_is_another_brief() -> None:
    brief = "区教育局昨天任命林一为实验小学校长，任期三年，仪式在学校礼堂举行。"
    assert is_reprint(brief, brief)
    assert not is_reprint(brief.replace("林一", "王二"), brief)


@given(st.text(max_size=400))
def test_any_text_has_a_shape_and_is_within_itself(text: str) -> None:
    shape = reprints.shape(text)
    assert shape.is_within(shape) == bool(shape.chars)
    assert len(shape.bands()) == (16 if shape.chars else 0)
    assert all(-(2**63) <= band < 2**63 for band in shape.bands())


def test_a_very_long_text_has_its_shape_soon() -> None:
    started = time.process_time()
    reprints.shape("河边的桥修好了，" * 120_000).bands()
    assert time.process_time() - started < 5
