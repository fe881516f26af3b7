"""What is kept about those who ask, and for how long."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot import people
from bot.people import People
from rag.types import Answer, Citation

ANSWER = Answer(
    question="what did Yanta propose?",
    language="en",
    answer="“共享数据” [1]",
    answer_plain="“共享数据”",
    abstained=False,
    reason=None,
    confidence=0.9,
    mode="extractive",
    model="extractive",
    citations=(Citation(1, "a1", "雁塔区政协", "2023-06-01", "page.txt", "共享数据", 0, 4),),
)


@pytest.fixture
def kept(tmp_path: Path) -> People:
    return People(tmp_path)


def test_a_conversation_is_its_last_turns_whole_questions_first(kept: People) -> None:
    for n in range(people.TURNS + 2):
        kept.answered("a", replace(ANSWER, question=f"and {n}?", understood=f"what of {n}?"))
    turns = kept.turns("a")
    assert [turn.question for turn in turns] == [f"what of {n}?" for n in range(2, 6)]
    assert (turns[-1].article_ids, turns[-1].quotes) == (("a1",), ("共享数据",))


def test_conversations_never_meet_and_nameless_ones_leave_none(kept: People) -> None:
    kept.answered("a", ANSWER)
    kept.answered("", ANSWER)
    assert not kept.turns("b") and not kept.turns("")


def test_a_conversation_ends_when_forgotten_or_after_a_pause(
    kept: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.answered("a", ANSWER)
    kept.forget("a")
    assert not kept.turns("a")
    kept.answered("a", ANSWER)
    assert kept.turns("a")
    monkeypatch.setattr(people, "PAUSE_S", 0.0)
    assert not kept.turns("a")


def test_a_vote_keeps_the_question_and_the_last_word_counts(kept: People) -> None:
    answer_id = kept.answered("a", ANSWER)
    assert kept.vote(answer_id, "up") and kept.vote(answer_id, "down", "wrong year", who="a")
    assert not kept.vote(answer_id, "up", who="b") and not kept.vote("no such", "up")
    (feedback,) = kept.feedback()
    assert (feedback.vote, feedback.comment) == ("down", "wrong year")
    assert (feedback.question, feedback.quotes) == (ANSWER.question, ("共享数据",))


def test_old_answers_go_and_votes_stay(kept: People, monkeypatch: pytest.MonkeyPatch) -> None:
    old = kept.answered("a", ANSWER)
    kept.vote(old, "up")
    monkeypatch.setattr(people, "KEPT_DAYS", -1)
    kept.answered("a", ANSWER)
    assert not kept.turns("a") and not kept.vote(old, "up") and len(list(kept.feedback())) == 1


def test_votes_go_too_after_their_time(kept: People, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.vote(kept.answered("a", ANSWER), "up")
    monkeypatch.setattr(people, "VOTES_KEPT_DAYS", -1)
    kept.answered("a", ANSWER)
    assert not list(kept.feedback())


def test_all_that_is_kept_of_someone_can_be_erased(kept: People) -> None:
    kept.vote(kept.answered("a", ANSWER), "up")
    kept.answered("b", ANSWER)
    assert kept.erase("a") == 2 and not kept.turns("a") and kept.turns("b")
    assert not list(kept.feedback())


def test_two_processes_share_it(kept: People, tmp_path: Path) -> None:
    kept.answered("a", ANSWER)
    other = People(tmp_path)
    assert other.turns("a") == kept.turns("a")
    other.close()
