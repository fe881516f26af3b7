"""When to refuse, fitted to one's own questions: held-out figures, a threshold that holds."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.wiring import App
from conftest import SAMPLE
from rag import judge, weights
from rag.errors import WrongUse
from rag.measuring import fitting
from rag.measuring.fitting import Aim, Case, Fitted
from rag.measuring.questions import read_questions
from rag.weights import Weights

SHIPPED = weights.load()
REFUSED = Aim("refused", 0.05)


def cases(n: int = 200, telling: str = "words_known", seed: int = 7) -> list[Case]:
    """Questions of which one feature tells, but for some noise, whether they have an answer."""
    dice = np.random.default_rng(seed)
    made = []
    for i in range(n):
        row = dice.normal(0, 0.1, len(judge.FEATURES))
        row[0] = 1.0
        has_answer = i % 4 > 0
        row[judge.FEATURES.index(telling)] = dice.normal(1.0 if has_answer else -1.0, 0.6)
        made.append(Case(row, has_answer, 0.1 if has_answer else 1.0, 0.0))
    return made


def fit(some: list[Case], aim: Aim = REFUSED) -> Fitted:
    return fitting.fit(some, SHIPPED, SHIPPED, aim, SHIPPED.model)


# --- fitting


def test_the_judge_learns_what_tells_on_these_questions() -> None:
    found = fit(cases())
    assert found.refitted
    assert (found.before.auroc.value or 1) < 0.85
    assert (found.after.auroc.value or 0) > 0.9
    assert found.weights.judge["words_known"] > SHIPPED.judge["words_known"] + 1
    assert found.weights.sentence == SHIPPED.sentence


def test_what_was_held_out_foretells_new_questions() -> None:
    found, fresh = fit(cases()), cases(seed=8)
    rows = np.array([case.row for case in fresh])
    new = np.array(weights.logistic(judge.FEATURES, found.weights.judge, rows))
    told = fitting.figures(new, fresh, found.weights.threshold)
    assert told.auroc.value == pytest.approx(found.after.auroc.value, abs=0.05)
    assert told.refused_answerable == pytest.approx(found.after.refused_answerable, abs=0.05)


def test_where_nothing_tells_the_weights_stay() -> None:
    dice = np.random.default_rng(1)
    noise = [replace(case, answerable=bool(dice.integers(2))) for case in cases(60)]
    found = fit(noise)
    moved = [abs(found.weights.judge[name] - SHIPPED.judge[name]) for name in judge.FEATURES[1:]]
    assert max(moved) < 4.5
    assert 0.3 < (found.after.auroc.value or 0) < 0.7


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2])
def test_the_threshold_refuses_no_larger_share_than_was_said(share: float) -> None:
    after = fit(cases(), Aim("refused", share)).after
    assert share - 0.02 < after.refused_answerable <= share


@pytest.mark.parametrize("share", [0.11, 0.15, 0.25])
def test_the_threshold_has_no_larger_share_wrong_than_was_said(share: float) -> None:
    after = fit(cases(), Aim("wrong", share)).after
    assert after.wrong <= share


def test_an_aim_out_of_reach_is_told() -> None:
    with pytest.raises(WrongUse, match=r"least share of wrong answers .* is 0\.1"):
        fit(cases(), Aim("wrong", 0.01))


def test_without_unanswerable_questions_only_the_threshold_is_fitted() -> None:
    found = fit([case for case in cases() if case.answerable])
    assert not found.refitted
    assert found.weights.judge == SHIPPED.judge
    assert found.after.auroc.value is None
    assert found.after.refused_answerable <= 0.05


@pytest.mark.parametrize("aim", [REFUSED, Aim("wrong", 0.2)])
def test_a_few_questions_are_too_few(aim: Aim) -> None:
    with pytest.raises(WrongUse, match="at least 10 of each"):
        fit(cases(12), aim)


def test_what_is_refused_anyway_is_counted_as_refused() -> None:
    some = [replace(case, floor=math.inf) if i < 40 else case for i, case in enumerate(cases())]
    told = fitting.figures(np.ones(len(some)), some, 0.0)
    assert told.refused_answerable == pytest.approx(30 / 150)


def test_newton_finds_the_weights_that_made_the_labels() -> None:
    dice = np.random.default_rng(3)
    rows = np.hstack([np.ones((4000, 1)), dice.normal(size=(4000, 2))])
    true = np.array([-0.5, 2.0, 0.0])
    labels = (dice.random(4000) < 1 / (1 + np.exp(-rows @ true))).astype(float)
    found = fitting.newton(rows, labels, np.ones(4000))
    assert found == pytest.approx(true, abs=0.15)
    held = fitting.newton(rows, labels, np.ones(4000), ridge=1e9, start=np.ones(3))
    assert held == pytest.approx(np.ones(3), abs=1e-3)


# --- kept in a home


def test_a_home_prefers_its_own_judge(tmp_path: Path) -> None:
    assert weights.of_home(tmp_path, SHIPPED.model) == SHIPPED
    own = replace(SHIPPED, judge=dict.fromkeys(judge.FEATURES, 0.5), threshold=0.25)
    weights.keep(tmp_path, own)
    assert weights.of_home(tmp_path, SHIPPED.model) == own
    assert [path.name for path in tmp_path.iterdir()] == [weights.FILE_NAME]
    other = tmp_path / "other"
    other.mkdir()
    weights.carry(tmp_path, other)
    assert weights.of_home(other, SHIPPED.model) == own


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"model": "another@1"}, id="another model"),
        pytest.param({"base": "0" * 16}, id="another version"),
        pytest.param({"threshold": "high"}, id="a wrong value"),
        pytest.param(None, id="no JSON"),
    ],
)
def test_a_judge_that_does_not_fit_is_passed_over(
    tmp_path: Path, changed: dict[str, object] | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = weights.keep(tmp_path, replace(SHIPPED, threshold=0.25))
    kept = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**kept, **changed}) if changed else "{", "utf-8")
    assert weights.of_home(tmp_path, SHIPPED.model) == SHIPPED
    assert "fit again" in caplog.text


def test_a_threshold_of_another_model_does_not_count() -> None:
    found = Weights("e5@1", {}, {}, 0.4)
    assert (found.threshold_for("e5@2"), found.threshold_for("minilm@1")) == (0.4, 0.0)


# --- on pages


def test_cases_are_what_the_answerer_judges(sample_app: App) -> None:
    asked = read_questions(SAMPLE / "questions.tune.jsonl")[:12]
    seen: list[tuple[int, int]] = []
    found = fitting.cases(
        asked,
        sample_app.answerer,
        sample_app.retriever,
        sample_app.records,
        SHIPPED,
        lambda done, n: seen.append((done, n)),
    )
    assert seen[-1] == (12, 12)
    assert [case.answerable for case in found] == [each.answerable for each in asked]
    rows = np.array([case.row for case in found])
    threshold = SHIPPED.threshold_for(sample_app.embedder.name)
    for each, case, p in zip(
        asked, found, weights.logistic(judge.FEATURES, SHIPPED.judge, rows), strict=True
    ):
        answer = sample_app.answerer.answer_now(sample_app.answerer.question(each.text, top_k=10))
        assert answer.abstained == (p < max(case.floor, threshold))
        if not answer.abstained:
            assert answer.confidence == pytest.approx(p, abs=1e-3)


def test_an_article_that_is_removed_meanwhile_is_passed_over(
    sample_app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = read_questions(SAMPLE / "questions.tune.jsonl")[:1]
    monkeypatch.setattr(sample_app.records, "find", lambda article_id: None)
    (case,) = fitting.cases(
        asked, sample_app.answerer, sample_app.retriever, sample_app.records, SHIPPED
    )
    assert case.floor == math.inf
