"""Example questions, asked for real: the article that each was made of answers it."""

import re
from pathlib import Path

import pytest

from bot.wiring import App
from rag.examples import MAX_CHARS, examples, found
from rag.records import Records
from rag.types import Article, Language

LANGUAGES: list[Language] = ["en", "zh"]
MANY = 24


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_example_is_answered_by_the_article_it_was_made_of(
    sample_app: App, language: Language
) -> None:
    answerer = sample_app.answerer
    for example in found(sample_app.records, language, MANY):
        answer = answerer.answer_now(answerer.question(example.text))
        assert answer.language == language, example
        assert not answer.abstained, example
        assert example.article_id in {c.article_id for c in answer.citations}, example


@pytest.mark.parametrize("language", LANGUAGES)
def test_examples_are_short_varied_and_of_one_language(sample_app: App, language: Language) -> None:
    made = found(sample_app.records, language, MANY)
    assert len({example.text for example in made}) == len(made) == MANY
    assert len({example.article_id for example in made}) == MANY
    assert all(len(example.text) < MAX_CHARS for example in made)
    assert len({example.kind for example in made[:8]}) >= 3
    for example in made:
        without_title = re.sub("“.*”", "", example.text)
        assert bool(re.search(r"[㐀-鿿]", without_title)) == (language == "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_index_gives_the_same_examples(sample_app: App, language: Language) -> None:
    some = examples(sample_app.records, language, 6)
    assert some == examples(sample_app.records, language, 6)
    assert some[:3] == examples(sample_app.records, language, 3)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_library_gives_none(tmp_path: Path, language: Language) -> None:
    records = Records(tmp_path)
    assert examples(records, language, 3) == []
    records.close()


def library(folder: Path, title: str, text: str) -> Records:
    """Records of one article, which nobody can search."""
    records = Records(folder)
    with records.change():
        records.put_article(Article("a1", title, text))
    return records


@pytest.mark.parametrize(
    ("text", "english", "chinese"),
    [
        (
            "委员丁一鸣建议修桥。丁一鸣说，桥老了。",
            "What did Ding Yiming propose?",
            "丁一鸣提出了什么建议？",
        ),
        (
            "临泽县政协组织视察。委员们建议延长灌溉时间。",
            "What did the members in Linze County propose?",
            "临泽县的政协委员提了哪些建议？",
        ),
        (
            "临泽县有农家书屋71家，都开了门。",
            "What does “小城故事” report?",
            "临泽县有多少家农家书屋？",
        ),
        ("天气很好，花开了。", "What does “小城故事” report?", "《小城故事》讲了什么？"),
    ],
    ids=["person", "members", "how many", "nothing"],
)
def test_an_example_asks_what_the_article_says(
    tmp_path: Path, text: str, english: str, chinese: str
) -> None:
    records = library(tmp_path, "小城故事", text)
    assert examples(records, "en", 1) == [english]
    assert examples(records, "zh", 1) == [chinese]
    records.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_title_of_any_kind_makes_a_short_question(tmp_path: Path, language: Language) -> None:
    for i, title in enumerate(["长" * 500, "{0} {title}", "[1] “” 》"]):
        records = library(tmp_path / str(i), title, "天气很好，花开了。")
        (question,) = examples(records, language, 2)
        assert len(question) < MAX_CHARS
        assert title[:8] in question
        records.close()
