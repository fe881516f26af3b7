"""Question files are read strictly, and their evidence is found where it is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluated import ARTICLES, HOW_MANY, KILN, LIFT
from rag.errors import UnreadableFile
from rag.measuring import questions
from rag.measuring.questions import read_questions
from rag.metrics import Span
from rag.types import Article

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
    assert read_questions(write(tmp_path / "q.jsonl", row)) == [HOW_MANY]


def test_a_retrieval_only_line_needs_no_answers(tmp_path: Path) -> None:
    row = {**ROW, "lang": "zh-Hant", "passage_ids": ["kiln"], "evidence": None}
    (question,) = read_questions(write(tmp_path / "q.jsonl", row))
    assert question.passage_ids == ("kiln",)
    assert (question.language, question.answers, question.evidence) == ("zh", (), ())


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(f"\ufeff\n{json.dumps(ROW)}\r\n\n", "utf-8")
    assert len(read_questions(path)) == 1


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
        read_questions(path)
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
        read_questions(path)


def test_a_folder_is_no_question_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="can't be read"):
        read_questions(tmp_path)


# --- evidence


def located(*evidence: str, articles: list[Article] | None = None) -> questions.Located:
    return questions.locate(replace(HOW_MANY, evidence=evidence), articles or [KILN, LIFT])


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
