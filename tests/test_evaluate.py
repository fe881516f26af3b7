"""The evaluation: every question scored, every promise checked, a report that can be trusted."""

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from evaluated import (
    ARTICLES,
    COST,
    HOW_MANY,
    KILN,
    LIFTS,
    MAYOR,
    PRICE,
    QUESTIONS,
    SCRIPT,
    SITES,
    ScriptedAnswerer,
    answered,
    cite,
    library,
    measured,
    refused,
)
from rag import evaluate
from rag.evaluate import EvalReport
from rag.ingest import Report as IngestReport
from rag.measuring import report as reporting
from rag.measuring import report_table
from rag.measuring.measures import MEASURES
from rag.measuring.questions import EvalQuestion
from rag.records import Records
from rag.types import Answer


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with contextlib.closing(library(tmp_path / "home")) as made:
        yield made


@pytest.fixture
def report(tmp_path: Path) -> EvalReport:
    return measured(tmp_path / "measured")


def printed(report: EvalReport) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(report_table.table(report))
    return out.getvalue()


# --- one question


def judged(question: EvalQuestion, answer: Answer) -> evaluate.Outcome:
    return evaluate.judged(question, answer, 12.0, ARTICLES)


def test_a_question_is_scored_by_hand() -> None:
    outcome = judged(COST, SCRIPT[COST.text])
    assert outcome.ranks == (3,)
    assert outcome.covered == (frozenset({0}), frozenset())
    scores = {name: part / whole for name, (part, whole) in outcome.scores.items()}
    assert scores == pytest.approx(
        {
            "hit@1": 0,
            "hit@3": 1,
            "hit@5": 1,
            "recall@10": 1,
            "mrr@10": 1 / 3,
            "ndcg@10": 0.5,
            "answer_recall": 1,  # in the quote
            "character_f1": scores["character_f1"],
            "evidence_recall": 1,
            "citation_precision": 1 / 2,
            "quote_compression": len(PRICE.quote) / len("要花58万元左右"),
            "verified_share": 1,
            "refused_answerable": 0,
        }
    )
    assert outcome.loss == 0


def test_without_evidence_passages_are_ranked_by_their_article() -> None:
    outcome = judged(LIFTS, SCRIPT[LIFTS.text])
    assert outcome.ranks == (1,)
    assert outcome.scores["recall@10"] == (1.0, 1.0)
    assert "evidence_recall" not in outcome.scores
    assert outcome.scores["refused_answerable"] == (1.0, 1.0)


def test_a_refusal_answers_nothing_even_if_its_words_hold_the_answer() -> None:
    words = replace(refused(), answer="没有提到127处。", answer_plain="没有提到127处。")
    outcome = judged(HOW_MANY, words)
    assert outcome.scores["answer_recall"] == outcome.scores["character_f1"] == (0.0, 1.0)
    assert outcome.scores["evidence_recall"] == (0.0, 1.0)
    assert outcome.loss is None


def test_an_answer_to_an_unanswerable_question_is_all_wrong() -> None:
    outcome = judged(MAYOR, SCRIPT[HOW_MANY.text])
    assert outcome.loss == 1
    assert outcome.scores == {"verified_share": (1, 1), "refused_unanswerable": (0, 1)}


def test_evidence_that_is_nowhere_counts_as_not_found() -> None:
    question = replace(HOW_MANY, evidence=(*HOW_MANY.evidence, "没有这句话"))
    outcome = judged(question, SCRIPT[HOW_MANY.text])
    assert outcome.missing_evidence == ("没有这句话",)
    assert outcome.ranks == (2, None)
    assert outcome.scores["evidence_recall"] == outcome.scores["recall@10"] == (0.5, 1.0)


def test_a_wanted_article_that_is_not_indexed_is_reported() -> None:
    outcome = judged(replace(LIFTS, passage_ids=("lift", "gone")), refused())
    assert outcome.missing_passage_ids == ("gone",)
    assert outcome.ranks == (1, None)


# --- promises


@pytest.mark.parametrize(
    ("answer", "sound", "problem"),
    [
        pytest.param(answered("有 [1]。", SITES), 1, "", id="all kept"),
        pytest.param(refused(), 0, "", id="an honest refusal"),
        pytest.param(
            answered("有 [1]。", replace(SITES, start=0)),
            0,
            "not what the article says",
            id="moved",
        ),
        pytest.param(
            answered("有 [1]。", replace(SITES, quote="126处")), 0, "not what", id="reworded"
        ),
        pytest.param(
            answered("有 [1]。", replace(SITES, start=-9, end=-1, quote=KILN.text[-9:-1])),
            0,
            "not what",
            id="counted from the end",
        ),
        pytest.param(
            answered("有 [1]。", replace(SITES, start=3, end=3, quote="")),
            0,
            "not what",
            id="empty",
        ),
        pytest.param(
            answered("有 [1]。", replace(SITES, article_id="gone")), 0, "not there", id="no article"
        ),
        pytest.param(
            answered("有 [1]。", replace(SITES, verified=False)), 0, "verified", id="unverified"
        ),
        pytest.param(answered("有。", SITES), 0, "not marked in", id="no marker"),
        pytest.param(answered("有 [1][12]。", SITES), 1, "[12] has no", id="an orphan marker"),
        pytest.param(answered("有 [1]。", SITES, SITES), 0, "2 times", id="a number twice"),
        pytest.param(answered("有。"), 0, "an answer has no citation", id="uncited"),
        pytest.param(
            replace(SCRIPT[HOW_MANY.text], abstained=True, reason="off_topic"),
            1,
            "a refusal has citations",
            id="a refusal that cites",
        ),
        pytest.param(replace(refused(), reason=None), 0, "the reason None", id="no reason"),
    ],
)
def test_every_promise_is_checked(answer: Answer, sound: int, problem: str) -> None:
    promises = evaluate.kept_promises(answer, ARTICLES)
    assert promises.sound == sound
    assert problem in " ".join(promises.problems)
    assert bool(promises.problems) == bool(problem)


def test_a_broken_promise_lowers_the_verified_share_and_is_printed(records: Records) -> None:
    script = {**SCRIPT, HOW_MANY.text: answered("有 [1][7]。", SITES)}
    report = evaluate.run(QUESTIONS, ScriptedAnswerer(script), records)
    assert reporting.metric(report, "verified_share").value == pytest.approx(3 / 4)
    assert "q1: promise broken: [7] has no citation" in printed(report)


# --- the report


def test_questions_are_asked_in_order_as_a_door_asks_and_ten_deep(records: Records) -> None:
    answerer, seen = ScriptedAnswerer(SCRIPT), list[tuple[int, int]]()
    evaluate.run(QUESTIONS, answerer, records, lambda done, n: seen.append((done, n)))
    assert [question.text for question in answerer.asked] == [q.text for q in QUESTIONS]
    assert {question.top_k for question in answerer.asked} == {10}
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_measures_are_over_all_and_by_language_and_kind(report: EvalReport) -> None:
    def value(name: str) -> tuple[float | None, int]:
        found = reporting.metric(report, name)
        return found.value, found.n

    assert value("hit@1") == pytest.approx((1 / 3, 3))
    assert value("hit@3.zh") == (1.0, 1.0)
    assert value("mrr@10.en") == pytest.approx(((1 / 3 + 1) / 2, 2))
    assert value("evidence_recall.how_many") == (1, 2)
    assert value("citation_precision") == pytest.approx((2 / 3, 2))  # of three citations
    assert value("verified_share") == (1, 2)
    assert value("auroc") == (1, 4)
    assert value("refused_answerable") == pytest.approx((1 / 3, 3))
    assert value("refused_unanswerable.unanswerable") == (1.0, 1.0)
    assert value("auroc.how_many") == (None, 0)
    assert [(p.coverage, p.risk) for p in report.risk_coverage] == [(0.5, 0)]


def test_the_json_report_holds_all_measures_and_questions(report: EvalReport) -> None:
    found = json.loads(json.dumps(reporting.to_json(report), allow_nan=False))
    assert list(found["metrics"]) == [name for name in MEASURES if not name.startswith("ingest")]
    assert set(found["metrics"]["hit@3"]) == {"value", "n", "low", "high"}
    assert set(found["by_language"]) == {"zh", "en"}
    assert set(found["by_kind"]) == {"how_many", "unanswerable"}
    assert found["model"] == "extractive"
    assert (found["articles"], found["passages"]) == (2, 0)
    assert found["machine"]["cores"] >= 1
    first = found["questions"][0]
    assert (first["id"], first["ranks"], first["abstained"]) == ("q1", [2], False)
    assert first["citations"][0]["quote"] == SITES.quote
    assert first["citations"][0]["covers"] == [0]
    assert first["ms"] >= 0


def test_the_cost_of_ingesting_is_reported_where_there_was_any(records: Records) -> None:
    ingested = IngestReport(2, 0, 0, 0, (), articles=2, passages=60, seconds=1.5)
    report = evaluate.run(QUESTIONS, ScriptedAnswerer(SCRIPT), records, ingested=ingested)
    assert reporting.metric(report, "ingest_seconds").value == 1.5
    assert reporting.metric(report, "ingest_passages_per_s").value == 40


def test_peak_memory_is_at_least_that_of_python(report: EvalReport) -> None:
    peak = reporting.metric(report, "peak_memory_mb").value
    assert peak is None or 10 < peak < 1_000_000


def test_a_rejected_question_is_a_refusal_that_is_told(records: Records) -> None:
    long = replace(HOW_MANY, id="long", text="古" * 101)
    report = evaluate.run([long, *QUESTIONS], ScriptedAnswerer(SCRIPT), records)
    assert reporting.metric(report, "hit@3.zh").value == 0.5
    assert reporting.metric(report, "refused_answerable.zh").value == 0.5
    assert report.model == "extractive"
    assert "long: question rejected: The question is too long" in printed(report)


def test_an_empty_index_is_measured_too(tmp_path: Path) -> None:
    records = Records(tmp_path)
    script = {q.text: replace(refused(), passages=()) for q in QUESTIONS}
    report = evaluate.run(QUESTIONS, ScriptedAnswerer(script), records)
    records.close()
    assert reporting.metric(report, "recall@10").value == 0
    text = printed(report)
    assert "q1: evidence is in no article: 全县登记在册的古窑址有127处" in text
    assert "q3: no article has this id: lift" in text
    json.dumps(reporting.to_json(report), allow_nan=False)


@pytest.mark.parametrize(
    ("question", "answer", "wrong"),
    [
        pytest.param(HOW_MANY, SCRIPT[HOW_MANY.text], [], id="right"),
        pytest.param(MAYOR, refused(), [], id="rightly refused"),
        pytest.param(
            LIFTS, refused(), ["refused, though there is an answer"], id="wrongly refused"
        ),
        pytest.param(
            MAYOR,
            SCRIPT[HOW_MANY.text],
            ["answered, though there is no answer"],
            id="wrongly answered",
        ),
        pytest.param(
            HOW_MANY,
            answered("有 [1]。", cite(1, KILN, "雾还没散")),
            ["evidence not cited", "answer not given"],
            id="another quote",
        ),
        pytest.param(
            replace(LIFTS, passage_ids=("gone",)),
            SCRIPT[COST.text],
            ["not among the passages"],
            id="not found",
        ),
        pytest.param(
            HOW_MANY, answered("有127处 [1][7]。", SITES), ["[7] has no citation"], id="an orphan"
        ),
    ],
)
def test_a_miss_says_what_went_wrong(
    question: EvalQuestion, answer: Answer, wrong: list[str]
) -> None:
    assert evaluate.misses(judged(question, answer)) == wrong


def test_curves_are_over_the_questions_that_they_concern(report: EvalReport) -> None:
    assert evaluate.hit_curve(report.outcomes) == pytest.approx([1 / 3, 2 / 3, *[1.0] * 8])
    assert [(p.coverage, p.risk) for p in evaluate.risk_coverage(report.outcomes)] == [(0.5, 0)]
    assert sum(each.n for each in evaluate.calibration(report.outcomes)) == 4
    assert evaluate.hit_curve([o for o in report.outcomes if not o.question.answerable]) == []
