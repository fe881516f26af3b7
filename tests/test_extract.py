"""Choosing sentences: what kind of answer is wanted, and how much of the article is quoted."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.extract import Sentence, choose
from rag.sentences import Kind, kind_of


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("what did Yanta district propose?", "proposal"),
        ("政协委员提出了哪些建议？", "proposal"),
        ("which three measures were taken?", "list"),
        ("遇到了哪几个难题", "list"),
        ("how many companies met the standard", "how_many"),
        ("全县种了多少亩", "how_many"),
        ("when does the ferry leave?", "when"),
        ("哪年开工", "when"),
        ("who is Yang Bin?", "who"),
        ("带队的是谁", "who"),
        ("where is the garden", "where"),
        ("为什么要合并", "why"),
        ("tell me about the kiln", "other"),
    ],
)
def test_a_question_tells_what_kind_of_answer_it_wants(question: str, kind: Kind) -> None:
    assert kind_of(question) == kind


def sentences(*items: tuple[str, float], article: str = "a") -> list[Sentence]:
    """Sentences one after another in an article, each with its probability."""
    found, at = [], 0
    for text, probability in items:
        found.append(Sentence(article, at, at + len(text), text, probability))
        at += len(text)
    return found


def test_a_fact_is_answered_by_its_sentence_alone() -> None:
    some = sentences(("河边有人巡查。", 0.05), ("队伍现在有214人。", 0.9), ("天黑了。", 0.04))
    (quote,) = choose("队伍有多少人", some)
    assert (quote.start, quote.end) == (some[1].start, some[1].end)


def test_a_likely_neighbour_joins_the_quote() -> None:
    some = sentences(("她种了木耳。", 0.4), ("卖出46吨。", 0.6), ("天黑了。", 0.01))
    (quote,) = choose("卖了多少木耳", some)
    assert (quote.start, quote.end) == (some[0].start, some[1].end)


def test_what_a_leading_pronoun_refers_to_comes_along() -> None:
    some = sentences(("委员石某关心养护。", 0.02), ("他把办法写进了公约。", 0.8))
    (quote,) = choose("养护怎么办", some)
    assert quote.start == 0


def test_a_list_takes_the_other_items_of_an_enumeration() -> None:
    some = sentences(
        ("其一，统一分级标准。", 0.6), ("其二，补贴包装。", 0.02), ("其三，建冷库。", 0.01)
    )
    quotes = choose("采取了哪几项措施", some)
    assert {q.start for q in quotes} == {s.start for s in some}


def test_proposals_come_one_by_one_without_the_ceremony() -> None:
    some = sentences(
        ("委员们视察了大厅。", 0.7),
        ("委员们建议，打通数据。", 0.6),
        ("委员还建议，上门办事。", 0.3),
    )
    quotes = choose("委员们提出了什么建议", some)
    assert sorted(q.start for q in quotes) == [some[1].start, some[2].start]


def test_two_sides_of_a_question_may_come_from_two_articles() -> None:
    kiln = [Sentence("kiln", 0, 10, "游客31万人次。", 0.6, (3.0, 0.0))]
    boats = [Sentence("boats", 0, 10, "旅客23万人次。", 0.1, (0.0, 3.0))]
    quotes = choose("看窑的游客和坐船的旅客各有多少", [*kiln, *boats])
    assert {q.article_id for q in quotes} == {"kiln", "boats"}


def test_nothing_to_choose_from_is_no_quote() -> None:
    assert choose("谁", []) == []


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=60), st.floats(0, 1)), min_size=1, max_size=30),
    st.sampled_from(["谁", "哪些", "建议什么", "how many and who", "list"]),
)
def test_quotes_are_ranges_of_sentences_and_never_overlap(
    items: list[tuple[str, float]], question: str
) -> None:
    some = sentences(*items)
    quotes = sorted(choose(question, some), key=lambda quote: quote.start)
    assert quotes
    starts, ends = {s.start for s in some}, {s.end for s in some}
    assert all(q.start in starts and q.end in ends and q.start < q.end for q in quotes)
    assert all(a.end <= b.start for a, b in pairwise(quotes))


def test_of_many_proposals_those_of_the_person_asked_about_are_taken() -> None:
    rao, hu, she = sentences(
        ("饶某建议分级施策。", 0.9), ("胡某建议由村里流转。", 0.6), ("她还建议给补偿。", 0.4)
    )
    (quote,) = choose("what did Hu Mou propose?", [rao, replace(hu, names_asked=True), she])
    assert (quote.start, quote.end) == (hu.start, she.end)
    quotes = choose("what did they propose?", [rao, hu, she])
    assert min(quote.start for quote in quotes) == rao.start
