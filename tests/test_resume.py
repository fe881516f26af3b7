"""An evaluation that was stopped goes on where it ended, and only if nothing changed."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evaluated import ARTICLES, QUESTIONS, SCRIPT, ScriptedAnswerer, library
from rag import evaluate
from rag.errors import StoreUnavailable
from rag.measuring import resume
from rag.records import Records
from rag.types import Answer, Question


class DyingAnswerer(ScriptedAnswerer):
    """Answers some questions, then fails."""

    def answer_now(self, question: Question) -> Answer:
        if len(self.asked) == 2:
            raise StoreUnavailable("The disk is full: free some space.")
        return super().answer_now(question)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with contextlib.closing(library(tmp_path / "records")) as made:
        yield made


@pytest.fixture
def stopped(tmp_path: Path, records: Records) -> Path:
    """A home with a run that ended after two answers."""
    kept = resume.Kept(tmp_path, "run")
    with pytest.raises(StoreUnavailable), contextlib.closing(kept):
        evaluate.run(QUESTIONS, DyingAnswerer(SCRIPT), records, kept=kept)
    return tmp_path


def files(home: Path) -> list[Path]:
    return list((home / resume.FOLDER).iterdir())


def test_a_stopped_run_goes_on_with_the_same_answers(stopped: Path, records: Records) -> None:
    kept, answerer = resume.Kept(stopped, "run"), ScriptedAnswerer(SCRIPT)
    report = evaluate.run(QUESTIONS, answerer, records, kept=kept)
    assert [question.text for question in answerer.asked] == [q.text for q in QUESTIONS[2:]]
    assert report.resumed == 2
    assert [o.answer for o in report.outcomes] == [SCRIPT[q.text] for q in QUESTIONS]
    kept.done()
    assert files(stopped) == []


def test_half_a_line_is_asked_again(stopped: Path, records: Records) -> None:
    (path,) = files(stopped)
    path.write_bytes(path.read_bytes()[:-20])
    kept, answerer = resume.Kept(stopped, "run"), ScriptedAnswerer(SCRIPT)
    assert evaluate.run(QUESTIONS, answerer, records, kept=kept).resumed == 1
    kept.close()
    again = resume.Kept(stopped, "run")
    assert all(again.find(question.id) for question in QUESTIONS)
    again.close()


def test_another_run_begins_anew(stopped: Path) -> None:
    with contextlib.closing(resume.Kept(stopped, "other")) as kept:
        assert kept.find("q1") is None


def test_what_nobody_took_up_is_swept(stopped: Path) -> None:
    (path,) = files(stopped)
    old = time.time() - (resume.KEPT_DAYS + 1) * 86_400
    os.utime(path, (old, old))
    resume.Kept(stopped, "other").close()
    assert [each.name for each in files(stopped)] == ["other.jsonl"]


def test_all_that_answers_depend_on_is_in_the_name(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text("{}", "utf-8")
    articles = list(ARTICLES.values())
    name = resume.fingerprint(path, articles, ["model@1"])
    assert name == resume.fingerprint(path, articles, ["model@1"])
    others = {
        resume.fingerprint(path, articles[:1], ["model@1"]),
        resume.fingerprint(path, [replace(articles[0], text="另"), articles[1]], ["model@1"]),
        resume.fingerprint(path, articles, ["model@2"]),
    }
    path.write_text("{ }", "utf-8")
    others.add(resume.fingerprint(path, articles, ["model@1"]))
    assert len(others) == 4
    assert name not in others
