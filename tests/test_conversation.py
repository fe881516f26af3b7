"""Follow-ups: what they may mean, and that they are answered as their whole question would be."""

import json
from collections.abc import Iterator

import pytest

from bot.wiring import App
from conftest import SAMPLE
from rag import conversation
from rag.types import Answer, Language, Question, Turn

ROWS = [
    json.loads(line)
    for line in (SAMPLE / "follow_ups.jsonl").read_text(encoding="utf-8").splitlines()
]
NAMES = ("雁塔区", "无锡", "奇台县", "贺松林", "yanta", "wuxi", "qitai", "he songlin", "long fang")


def named(text: str) -> list[str]:
    return sorted((n for n in NAMES if n in text.lower()), key=text.lower().index)


def whole(before: str, asked: str, *, quotes: tuple[str, ...] = ()) -> list[str]:
    language: Language = "en" if asked.isascii() else "zh"
    turn = Turn(before, language, ("a1",), quotes)
    found = conversation.readings(Question(asked, language, turns=(turn,)), named)
    return [("in a1: " if reading.article_ids else "") + reading.text for reading in found]


@pytest.mark.parametrize(
    ("before", "asked", "meant"),
    [
        ("雁塔区提出了什么建议？", "那无锡呢？", "无锡提出了什么建议？"),
        ("雁塔区种了多少亩芒果？", "那奇台县的冬小麦呢？", "奇台县种了多少亩冬小麦？"),
        ("雁塔区2021年花了多少钱？", "2022年呢？", "雁塔区2022年花了多少钱？"),
        ("What did Yanta district propose?", "and in Wuxi?", "What did Wuxi propose?"),
        ("What did Yanta propose in 2021?", "what about 2022?", "What did Yanta propose in 2022?"),
        ("What did Long Fang propose?", "And He Songlin?", "What did He Songlin propose?"),
        (
            "How many mu of mangoes does Wuxi grow?",
            "What about winter wheat in Qitai?",
            "How many mu of winter wheat does Qitai grow?",
        ),
    ],
)
def test_the_same_may_be_asked_about_something_else(before: str, asked: str, meant: str) -> None:
    assert whole(before, asked) == [meant]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("when did they open it?", "in a1: when did they open it?"),
        ("and how many members took part?", "in a1: how many members took part?"),
        ("那他们的主席是谁？", "in a1: 他们的主席是谁？"),
        ("谁提的？", "in a1: 谁提的？"),
    ],
)
def test_what_points_back_is_asked_of_the_articles_cited_before(asked: str, meant: str) -> None:
    assert whole("What did they say?", asked)[0] == meant


def test_a_pronoun_gets_its_person_from_the_question_or_the_quotes() -> None:
    assert (
        whole("What did Long Fang propose?", "how old is she?")[0] == "in a1: how old is Long Fang?"
    )
    before = "谁关心加装以后的事？"
    asked = whole(before, "他建议了什么？", quotes=("律师界委员贺松林关心的是加装以后的事。",))
    assert asked[0] == "in a1: 贺松林建议了什么？"
    assert (
        whole("What did Long Fang say?", "what is her job?")[0] == "in a1: what is Long Fang's job?"
    )


def test_a_whole_question_stays_as_it_is() -> None:
    assert whole("雁塔区提出了什么建议？", "无锡有多少家企业？") == ["无锡有多少家企业？"]
    assert whole("What did Wuxi do?", "What did Yanta district propose?") == [
        "What did Yanta district propose?"
    ]
    alone = Question("那无锡呢？", "zh")
    assert conversation.readings(alone, named) == (alone,)


def test_a_question_without_a_name_may_be_a_new_one() -> None:
    assert (
        whole("What did Wuxi do?", "how many boats were bought")[-1] == "how many boats were bought"
    )


@pytest.mark.parametrize(
    "asked", ["？", "呢？", "and?", "那", "what about ?", "he", "\u200b", "那那那呢"]
)
def test_scraps_of_a_follow_up_are_taken_as_they_are(asked: str) -> None:
    assert whole("雁塔区提出了什么建议？", asked)


def _asked(app: App) -> Iterator[tuple[dict[str, object], Answer, Answer]]:
    """Each row with the answer to its follow-up and to the whole question."""
    answerer = app.answerer
    for row in ROWS:
        turns: tuple[Turn, ...] = ()
        for text in row["turns"]:
            said = answerer.answer_now(answerer.question(text, turns=turns))
            ids = tuple(dict.fromkeys(c.article_id for c in said.citations))
            quotes = tuple(c.quote for c in said.citations)
            turns += (Turn(said.understood or said.question, said.language, ids, quotes),)
        follow = answerer.answer_now(answerer.question(row["question"], turns=turns))
        yield row, follow, answerer.answer_now(answerer.question(row["whole"]))


def _covers(answer: Answer, evidence: str) -> bool:
    return any(
        evidence in c.quote or (c.quote in evidence and 2 * len(c.quote) >= len(evidence))
        for c in answer.citations
    )


@pytest.mark.slow
def test_follow_ups_find_the_evidence_of_their_whole_questions(sample_app: App) -> None:
    follow, whole_ones, refused = 0, 0, 0
    for row, answer, plain in _asked(sample_app):
        if row["answerable"]:
            evidence = row["evidence"]
            assert isinstance(evidence, list)
            follow += all(_covers(answer, e) for e in evidence)
            whole_ones += all(_covers(plain, e) for e in evidence)
        else:
            refused += answer.abstained
        assert answer.question == row["question"]
    assert follow >= 0.9 * whole_ones and whole_ones >= 25
    assert refused >= 8  # of 12


def test_what_was_understood_is_told(sample_app: App) -> None:
    answerer = sample_app.answerer
    turns = (Turn("How many followers does Cui Jinshu have?", "en"),)
    answer = answerer.answer_now(answerer.question("how old is she?", turns=turns))
    assert answer.question == "how old is she?"
    assert answer.understood.startswith("how old is Cui Jinshu? (in “")
    assert "60" in answer.answer
    plain = answerer.answer_now(answerer.question("How old is Cui Jinshu?", turns=turns))
    assert not plain.understood
