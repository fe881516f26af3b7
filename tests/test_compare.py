"""Two reports beside each other: only the same questions, in pairs, and what changed for which."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluated import (
    COST,
    HOW_MANY,
    KILN,
    MAYOR,
    QUESTIONS,
    SCRIPT,
    answered,
    cite,
    measured,
    refused,
)
from rag.errors import UnreadableFile
from rag.evaluate import EvalReport
from rag.measuring import compare
from rag.measuring import report as reporting
from rag.measuring.compare import Comparison

WORSE = {**SCRIPT, HOW_MANY.text: answered("雾 [1]。", cite(1, KILN, "雾还没散"), confidence=0.1)}


@pytest.fixture
def good(tmp_path: Path) -> EvalReport:
    return measured(tmp_path / "good")


@pytest.fixture
def bad(tmp_path: Path) -> EvalReport:
    return measured(tmp_path / "bad", script=WORSE)


def between(new: EvalReport, old: EvalReport) -> Comparison:
    return compare.compare(compare.past(new), compare.past(old))


def test_what_changed_is_told_measure_by_measure(good: EvalReport, bad: EvalReport) -> None:
    found = between(bad, good)
    recall = found.changes["evidence_recall"]
    assert (recall.old, recall.new, recall.difference.value) == (1.0, 0.5, -0.5)
    assert recall.difference.n == 2
    assert found.changes["hit@3"].difference.value == 0
    assert found.changes["auroc"].old == 1.0
    assert found.changes["auroc"].new == pytest.approx(2 / 3)
    assert "peak_memory_mb" not in found.changes
    assert (found.mended, found.broken, found.unmatched) == ((), ("q1",), ())
    assert between(good, bad).mended == ("q1",)


def test_a_report_compared_with_itself_has_no_change(good: EvalReport) -> None:
    found = between(good, good)
    assert {change.difference.value for change in found.changes.values()} == {0.0}
    assert not any(change.certain for change in found.changes.values())


def test_a_citation_more_weighs_in_though_the_old_answer_had_none(tmp_path: Path) -> None:
    old = measured(tmp_path / "old", [COST], {COST.text: refused()})
    now = measured(tmp_path / "now", [COST])
    assert "citation_precision" not in between(now, old).changes  # undefined then
    assert between(now, old).changes["evidence_recall"].difference.value == 1


def test_only_questions_that_ask_the_same_are_compared(tmp_path: Path, good: EvalReport) -> None:
    changed = replace(MAYOR, text="书记是谁？")
    asked = [HOW_MANY, replace(COST, id="new"), changed]
    now = measured(tmp_path / "now", asked, {**SCRIPT, changed.text: refused()})
    found = between(now, good)
    assert found.n == 1
    assert set(found.unmatched) == {"new", "q2", "q3", "q4"}


def test_a_difference_on_many_questions_is_certain(tmp_path: Path) -> None:
    asked = [replace(HOW_MANY, id=str(i)) for i in range(30)]
    found = between(measured(tmp_path / "now", asked), measured(tmp_path / "old", asked, WORSE))
    assert found.changes["evidence_recall"].certain


def test_a_written_report_is_read_as_it_was(tmp_path: Path, good: EvalReport) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(reporting.to_json(good)), "utf-8")
    read = compare.read_past(path)
    assert [q.id for q in read.questions] == [q.id for q in QUESTIONS]
    found = compare.compare(compare.past(good), read)
    assert {round(change.difference.value or 0, 3) for change in found.changes.values()} == {0.0}
    json.dumps(reporting.to_json(good, found), allow_nan=False)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", "报".encode("gb18030")])
def test_what_is_no_report_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "report.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"report\.json"):
        compare.read_past(path)
