"""Votes as a question file: what was right is evidence, what was wrong is left for the editor."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from answers import ANSWER, FILES, REFUSAL, SITES
from bot import feedback
from bot.__main__ import cli
from bot.people import People
from rag.measuring.questions import read_questions


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path)


def rows(people: People) -> list[dict[str, object]]:
    return [json.loads(line) for line in feedback.lines(people)]


def test_an_answer_that_was_voted_up_gives_its_quotes_as_evidence(people: People) -> None:
    answer_id = people.answered("a", replace(ANSWER, question="how many kilns?"))
    people.vote(answer_id, "up", "well found")
    (row,) = rows(people)
    assert row == {
        "id": f"feedback-{answer_id}",
        "question": "how many kilns?",
        "lang": "en",
        "answerable": True,
        "answers": [],
        "evidence": [SITES.quote, FILES.quote],
        "passage_ids": [],
        "kind": "feedback",
        "comment": "well found",
    }


def test_an_answer_that_was_voted_down_is_left_for_the_editor(people: People) -> None:
    people.vote(people.answered("a", ANSWER), "down")
    (row,) = rows(people)
    assert (row["evidence"], row["quoted"]) == ([], [SITES.quote, FILES.quote])
    assert row["review"] == feedback.REVIEW


@pytest.mark.parametrize(("vote", "answerable"), [("up", False), ("down", True)])
def test_a_refusal_says_whether_the_articles_tell(
    people: People, vote: str, answerable: bool
) -> None:
    people.vote(people.answered("a", REFUSAL), "up" if vote == "up" else "down")
    assert rows(people)[0]["answerable"] is answerable


def test_a_question_that_was_voted_on_twice_comes_once_with_the_last_vote(people: People) -> None:
    people.vote(people.answered("a", ANSWER), "down")
    people.vote(people.answered("b", ANSWER), "up")
    (row,) = rows(people)
    assert row["evidence"]


def test_the_command_writes_a_file_that_evaluate_reads(
    people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.vote(people.answered("a", replace(ANSWER, question="甲？", language="zh")), "up")
    people.vote(people.answered("a", replace(ANSWER, question="b?")), "down")
    monkeypatch.setenv("WENBAO_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "votes.jsonl"
    done = CliRunner().invoke(cli, ["feedback", "export", str(path)])
    assert (done.exit_code, done.output) == (0, f"2 questions written to {path}\n")
    assert [each.text for each in read_questions(path)] == ["甲？", "b?"]
    shown = CliRunner().invoke(cli, ["feedback", "export"])
    assert shown.output == path.read_text(encoding="utf-8")
