"""What is looked up for a question is what an unhurried search would rank the same."""

import json

import pytest

from bot.wiring import App
from conftest import SAMPLE
from rag import retrieve
from rag.retrieve import Retriever
from rag.terms import concepts
from rag.types import Question

EVERYTHING = 10**9
QUESTIONS = [
    Question(asked["question"], asked["lang"])
    for asked in map(
        json.loads, (SAMPLE / "questions.tune.jsonl").read_text("utf-8").splitlines()[:60:5]
    )
]
DATES = ("2023-01-01", "2024-03-31")


@pytest.fixture(scope="module")
def retriever(sample_app: App) -> Retriever:
    return sample_app.answerer._retriever


def ranked(retriever: Retriever, question: Question) -> list[str]:
    return [hit.passage.passage_id for hit in retriever.search(question).hits]


def test_leaving_common_phrases_out_changes_no_order_in_a_small_library(
    retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried = [ranked(retriever, question) for question in QUESTIONS]
    monkeypatch.setattr(retrieve, "_POSTINGS", EVERYTHING)
    assert [ranked(retriever, question) for question in QUESTIONS] == hurried


def test_common_phrases_are_left_out_behind_rarer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    often = {"雁塔": 3, "政协": 5, "建议": 90}
    found = concepts("雁塔政协建议", lambda _: ())

    def query() -> str:
        return retrieve.fts_query(found, lambda terms: {t: often[t] for t in terms if t in often})

    assert query() == 'written : "雁塔" OR written : "政协" OR written : "建议"'
    monkeypatch.setattr(retrieve, "_POSTINGS", 10)
    assert query() == 'written : "雁塔" OR written : "政协"'
    monkeypatch.setattr(retrieve, "_POSTINGS", 1)
    assert query() == 'written : "雁塔"'


FILTERS = [
    pytest.param({"since": DATES[0], "until": DATES[1]}, id="between"),
    pytest.param({"since": "2024-03-12"}, id="since"),
    pytest.param({"until": "2023-12-31"}, id="until"),
    pytest.param({"sources": ("p01.txt", "p02.txt", "p03.txt")}, id="sources"),
]


@pytest.mark.parametrize("filters", FILTERS)
def test_only_articles_that_the_filter_keeps_are_found(
    retriever: Retriever, sample_app: App, filters: dict[str, str]
) -> None:
    asked = Question("委员建议了什么", "zh", **filters)  # type: ignore[arg-type]
    found = {hit.passage.article_id for hit in retriever.search(asked).hits}
    kept = {
        a.article_id
        for a in sample_app.records.articles(limit=1_000)
        if (not asked.since or a.date >= asked.since)
        and (not asked.until or "" < a.date <= asked.until)
        and (not asked.sources or a.source in asked.sources)
    }
    assert found
    assert found <= kept


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("scanned", [EVERYTHING, 0], ids=["one-by-one", "in-the-index"])
def test_a_filter_that_keeps_many_finds_first_what_one_that_keeps_few_does(
    retriever: Retriever, monkeypatch: pytest.MonkeyPatch, filters: dict[str, str], scanned: int
) -> None:
    asked = [Question(q.text, q.language, **filters) for q in QUESTIONS]  # type: ignore[arg-type]
    monkeypatch.setattr(retrieve, "_FEW", EVERYTHING)
    monkeypatch.setattr(retrieve, "_SCANNED", EVERYTHING)
    all_of_them = [ranked(retriever, question)[:5] for question in asked]
    monkeypatch.setattr(retrieve, "_FEW", 0)
    monkeypatch.setattr(retrieve, "_SCANNED", scanned)
    some = [ranked(retriever, question)[:5] for question in asked]
    same = [a == b for a, b in zip(all_of_them, some, strict=True)]
    assert sum(same) >= 0.9 * len(same)


def test_the_index_is_asked_for_more_where_a_filter_keeps_little(
    retriever: Retriever, sample_app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieve, "_FEW", 0)
    monkeypatch.setattr(retrieve, "_SCANNED", 0)
    monkeypatch.setattr(retrieve, "CANDIDATES", 10)
    last = sample_app.records.articles(limit=1_000)[-1].article_id
    found = retriever.search(Question("天心区政协", "zh", article_ids=(last,))).hits
    assert {hit.passage.article_id for hit in found} == {last}
    assert len(found) == min(10, len(sample_app.records.passages_of([last])))


def test_a_filter_that_keeps_nothing_finds_nothing(retriever: Retriever) -> None:
    assert ranked(retriever, Question("天心区政协", "zh", since="2999-01-01")) == []
    assert ranked(retriever, Question("天心区政协", "zh", sources=("nope", "\ud800"))) == []
