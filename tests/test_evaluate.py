"""The evaluation: question files, evidence found where it is, and a report that can be trusted."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rag import evaluate
from rag import report as reporting
from rag.errors import QuestionRejected, UnreadableFile
from rag.evaluate import EvalQuestion, EvalReport
from rag.ingest import Report as IngestReport
from rag.metrics import Span
from rag.records import Records
from rag.report import Bar
from rag.types import Answer, Article, Citation, Hit, Passage, Question

KILN = Article(
    article_id="kiln",
    title="让老窑火照亮新日子",
    text="清晨六点，瑶河上的雾还没散。全县登记在册的古窑址有127处，其中62处没有围栏。\n"
    "县政协建议给每一处窑址建一份档案。“数不清就管不住。”汪若兰说。",
)
LIFT = Article(
    article_id="lift",
    title="加装电梯，钱从哪里来？",
    text="住在七楼的彭奶奶今年81岁。一部电梯连同管线迁改要花58万元左右。\n"
    "委员建议由低层住户少出、高层住户多出，其余由财政补助。",
)
ARTICLES = {article.article_id: article for article in (KILN, LIFT)}

HOW_MANY = EvalQuestion(
    id="q1",
    text="古窑址有多少处？",
    language="zh",
    answerable=True,
    answers=(("127处", "127"),),
    evidence=("全县登记在册的古窑址有127处",),
    kind="how_many",
)
COST = EvalQuestion(
    id="q2",
    text="What does a lift cost?",
    language="en",
    answerable=True,
    answers=(("58万元", "580,000"),),
    evidence=("要花58万元左右",),
    kind="how_many",
)
LIFTS = EvalQuestion(
    id="q3", text="Which article is about lifts?", language="en", answerable=True,
    passage_ids=("lift",),
)  # fmt: skip
MAYOR = EvalQuestion(
    id="q4", text="市长是谁？", language="zh", answerable=False, kind="unanswerable"
)
QUESTIONS = [HOW_MANY, COST, LIFTS, MAYOR]


def passage(article: Article, start: int, end: int) -> Hit:
    text = article.text[start:end]
    id_ = f"{article.article_id}-{start}"
    return Hit(Passage(id_, article.article_id, article.title, text, start, end), score=0.5)


def cite(n: int, article: Article, quote: str) -> Citation:
    start = article.text.index(quote)
    return Citation(n, article.article_id, article.title, "", "", quote, start, start + len(quote))


def answered(text: str, *citations: Citation, confidence: float = 0.9) -> Answer:
    plain = evaluate.MARKER.sub("", text)
    hits = (passage(LIFT, 0, 15), passage(KILN, 0, 40), passage(LIFT, 15, 60))
    return Answer(
        "?", "zh", text, plain, False, None, confidence, "extractive", "extractive", citations, hits
    )


def refused(confidence: float = 0.1) -> Answer:
    no = answered("报道中没有提到。", confidence=confidence)
    return replace(no, abstained=True, reason="not_in_articles")


SITES = cite(1, KILN, "全县登记在册的古窑址有127处，其中62处没有围栏。")
PRICE = cite(1, LIFT, "一部电梯连同管线迁改要花58万元左右。")
SCRIPT = {
    HOW_MANY.text: answered("共有127处 [1]。", SITES, confidence=0.9),
    COST.text: answered("About this much [1], says she [2].", PRICE, cite(2, LIFT, "彭奶奶")),
    LIFTS.text: refused(0.3),
    MAYOR.text: refused(0.2),
}


class ScriptedAnswerer:
    """Answers by heart, and keeps what it was asked."""

    def __init__(self, script: dict[str, Answer]) -> None:
        self.script = script
        self.asked: list[Question] = []

    def question(self, text: str, lang: str = "auto", top_k: int | None = None) -> Question:
        if len(text) > 100:
            raise QuestionRejected("The question is too long; ask a shorter one.")
        assert lang == "auto"
        assert top_k is not None
        return Question(text, "zh", top_k)

    def answer_now(self, question: Question) -> Answer:
        self.asked.append(question)
        return self.script[question.text]


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    made = Records(tmp_path / "home")
    with made.change():
        for article in ARTICLES.values():
            made.put_article(article)
    yield made
    made.close()


@pytest.fixture
def report(records: Records) -> EvalReport:
    return evaluate.run(QUESTIONS, ScriptedAnswerer(SCRIPT), records)


def printed(report: EvalReport) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(reporting.table(report))
    return out.getvalue()


# --- question files


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return path


ROW = {"id": "q1", "question": "古窑址有多少处？", "lang": "zh", "answerable": True}


def test_a_question_file_is_read_as_the_interface_has_it(tmp_path: Path) -> None:
    row = {
        **ROW,
        "answers": ["127处 | 127"],
        "evidence": ["全县登记在册的古窑址有127处"],
        "passage_ids": [],
        "kind": "how_many",
        "answers_en": ["127"],
    }
    assert evaluate.read_questions(write(tmp_path / "q.jsonl", row)) == [HOW_MANY]


def test_a_retrieval_only_line_needs_no_answers(tmp_path: Path) -> None:
    row = {**ROW, "lang": "zh-Hant", "passage_ids": ["kiln"], "evidence": None}
    (question,) = evaluate.read_questions(write(tmp_path / "q.jsonl", row))
    assert question.passage_ids == ("kiln",)
    assert (question.language, question.answers, question.evidence) == ("zh", (), ())


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(f"\ufeff\n{json.dumps(ROW)}\r\n\n", "utf-8")
    assert len(evaluate.read_questions(path)) == 1


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        pytest.param("{", "is not JSON", id="broken"),
        pytest.param('["a"]', "is no object", id="a list"),
        pytest.param(json.dumps(ROW), 'repeats the id "q1"', id="the same id"),
        pytest.param(json.dumps({**ROW, "id": 7}), '"id"', id="a number as id"),
        pytest.param(json.dumps({**ROW, "question": " "}), '"question"', id="no question"),
        pytest.param(json.dumps({**ROW, "lang": "de"}), '"lang"', id="another language"),
        pytest.param(json.dumps({**ROW, "answerable": 1}), '"answerable"', id="no bool"),
        pytest.param(json.dumps({**ROW, "answers": "127"}), '"answers"', id="no list"),
        pytest.param(json.dumps({**ROW, "answers": ["|"]}), "no answer", id="no alternative"),
        pytest.param(json.dumps({**ROW, "evidence": [""]}), '"evidence"', id="empty evidence"),
        pytest.param(json.dumps({**ROW, "id": "\ud800"}), "half a", id="half a character"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: str, problem: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n\n{row}\n", "utf-8")
    with pytest.raises(UnreadableFile, match="line 3") as caught:
        evaluate.read_questions(path)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(None, "does not exist", id="missing"),
        pytest.param(b"\n\n", "holds no question", id="empty"),
        pytest.param("古窑址".encode("gb18030"), "not UTF-8", id="another encoding"),
    ],
)
def test_a_file_without_questions_is_refused(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    path = tmp_path / "q.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=problem):
        evaluate.read_questions(path)


def test_a_folder_is_no_question_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="can't be read"):
        evaluate.read_questions(tmp_path)


# --- evidence


def located(*evidence: str, articles: list[Article] | None = None) -> evaluate.Located:
    return evaluate.locate(replace(HOW_MANY, evidence=evidence), articles or [KILN, LIFT])


def test_evidence_is_found_in_every_place_where_it_stands() -> None:
    found = located("政协", "建议", "81岁")
    texts = [[ARTICLES[s.article_id].text[s.start : s.end] for s in p] for p in found.places]
    assert texts == [["政协"], ["建议", "建议"], ["81岁"]]
    assert found.missing == ()


def test_evidence_broken_by_a_line_end_is_found_at_its_true_offsets() -> None:
    found = located("没有围栏。县政 协建议")
    start = KILN.text.index("没有围栏")
    end = KILN.text.index("建议") + 2
    assert found.places == ((Span("kiln", start, end),),)


def test_evidence_that_stands_nowhere_is_reported() -> None:
    found = located("63处没有围栏", "62处没有围栏")
    assert found.missing == ("63处没有围栏",)
    assert [len(places) for places in found.places] == [0, 1]


@given(
    st.text(alphabet="甲乙a \n\u3000", min_size=1).filter(str.strip),
    st.data(),
)
def test_any_cut_of_an_article_is_found_with_or_without_its_whitespace(
    text: str, data: st.DataObject
) -> None:
    article = Article("a", "", text)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    cut = text[start:end]
    if not cut.strip():
        return
    assert Span("a", start, end) in located(cut, articles=[article]).places[0]
    bare = "".join(cut.split())
    (places,) = located(bare, articles=[article]).places
    assert places
    assert {"".join(text[s.start : s.end].split()) for s in places} == {bare}


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
    assert list(found["metrics"]) == [
        name for name in evaluate.MEASURES if not name.startswith("ingest")
    ]
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


# --- the table


def test_the_table_fits_into_a_hundred_columns(report: EvalReport) -> None:
    text = printed(report)
    assert "…" not in text
    lines = text.splitlines()
    hit = next(line for line in lines if line.startswith("   hit@3"))
    assert hit.split() == ["hit@3", *("1.000", "1.00–1.00", "3"), *("1.000", "1.00–1.00", "1"),
                           *("1.000", "1.00–1.00", "2")]  # fmt: skip
    order = [line.strip() for line in lines]
    labels = [m.label for name, m in evaluate.MEASURES.items() if name in report.metrics]
    rows = [next(i for i, line in enumerate(order) if line.startswith(label)) for label in labels]
    assert rows == sorted(rows)


def test_a_single_language_has_no_column_for_the_other(records: Records) -> None:
    report = evaluate.run([HOW_MANY, MAYOR], ScriptedAnswerer(SCRIPT), records)
    assert "Chinese" in printed(report)
    assert "English" not in printed(report)


def test_text_of_a_question_file_can_not_steer_the_terminal(records: Records) -> None:
    nasty = replace(HOW_MANY, id="\x1b[31m[red]", kind="\x1b]0;x\x07[b]", evidence=("\x1b[2J没有",))
    report = evaluate.run([nasty], ScriptedAnswerer(SCRIPT), records)
    text = printed(report)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]" in text
    assert "[b]" in text


def test_many_warnings_are_cut_short(records: Records) -> None:
    missing = tuple(f"没有第{i}句" for i in range(9))
    report = evaluate.run([replace(HOW_MANY, evidence=missing)], ScriptedAnswerer(SCRIPT), records)
    assert printed(report).count("evidence is in no article") == 6
    assert "and 4 more" in printed(report)


# --- bars


def test_a_bar_names_a_measure_and_a_number() -> None:
    assert reporting.bar("hit@3.zh=0.95") == Bar("hit@3.zh", 0.95)


@pytest.mark.parametrize("text", ["hit@4=1", "hit@3", "hit@3=", "hit@3=nan", "hit@3=much", "=1"])
def test_a_wrong_bar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"measure|METRIC=VALUE"):
        reporting.bar(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("hit@3=1", "", id="reached"),
        pytest.param("hit@1=0.5", "hit@1 is 0.3333, under 0.5.", id="too low"),
        pytest.param("refused_answerable=0.4", "", id="low is good"),
        pytest.param(
            "refused_answerable=0.1", "refused_answerable is 0.3333, over 0.1.", id="too high"
        ),
        pytest.param("p95_ms=60000", "", id="fast enough"),
        pytest.param(
            "auroc.how_many=0.5", "auroc.how_many was measured on no question.", id="none"
        ),
        pytest.param("ingest_seconds=9", "ingest_seconds was measured on no question.", id="cost"),
    ],
)
def test_a_bar_is_a_minimum_or_where_low_is_good_a_maximum(
    report: EvalReport, text: str, problem: str
) -> None:
    assert reporting.missed(report, [reporting.bar(text)]) == ([problem] if problem else [])


def test_a_group_that_is_not_there_is_told(report: EvalReport) -> None:
    with pytest.raises(ValueError, match="how_many"):
        reporting.metric(report, "hit@3.list")
