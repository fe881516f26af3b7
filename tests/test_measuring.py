"""`wenbao evaluate` as a process: reports, bars, comparison, a kill half way, a fitted home."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import copytree

import pytest

from bot.wiring import App
from conftest import SAMPLE
from rag import weights
from rag.measuring import resume
from test_cli import Shell, complaint

TUNE = SAMPLE / "questions.tune.jsonl"


@pytest.fixture(scope="module")
def home(sample_app: App, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sample library, to measure."""
    return copytree(sample_app.settings.home, tmp_path_factory.mktemp("measured") / "home")


@pytest.fixture(scope="module")
def shell(home: Path, model_cache: Path) -> Shell:
    return Shell(home, model_cache, home.parent)


def questions(path: Path, answerable: int, unanswerable: int) -> Path:
    """So many of the tuning questions."""
    rows = [json.loads(line) for line in TUNE.read_text(encoding="utf-8").splitlines()]
    chosen = [row for row in rows if row["answerable"]][:answerable]
    chosen += [row for row in rows if not row["answerable"]][:unanswerable]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in chosen), "utf-8")
    return path


@pytest.fixture
def some(tmp_path: Path) -> Path:
    return questions(tmp_path / "some.jsonl", 5, 1)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    return questions(tmp_path / "many.jsonl", 24, 12)


def left(home: Path) -> list[Path]:
    return list((home / resume.FOLDER).glob("*.jsonl"))


def test_a_report_is_written_whole_and_compared_with(
    shell: Shell, home: Path, some: Path, tmp_path: Path
) -> None:
    first = shell.json("evaluate", some, "--json", "--report", tmp_path / "one")
    assert json.loads((tmp_path / "one" / "report.json").read_text("utf-8")) == first
    again = shell(
        *("evaluate", some, "--report", tmp_path / "two"),
        *("--compare", tmp_path / "one" / "report.json", "--fail-under", "verified_share=1"),
    )
    assert again.returncode == 0, again.stderr
    assert "6 questions compared" in again.stdout
    assert max(map(len, again.stdout.splitlines())) <= 80
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == ["report.html", "report.json"]
    second = json.loads((tmp_path / "two" / "report.json").read_text("utf-8"))
    recall = second["comparison"]["changes"]["evidence_recall"]
    assert (recall["value"], recall["low"], recall["high"]) == (0, 0, 0)
    assert left(home) == []


def test_wrong_use_asks_nothing(shell: Shell, some: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "no.json").write_text("{}")
    for args, status, said in (
        (("--fail-under", "hits=1"), 2, "verified_share"),
        (("--fail-under", "hit@3.poem=1"), 2, "poem"),
        (("--report", str(tmp_path / "file" / "x")), 2, "name another folder"),
        (("--compare", str(tmp_path / "no.json")), 1, "is no report"),
        (("--corpus", str(tmp_path / "gone")), 1, "does not exist"),
        (("--fit-refuse", "0.1", "--fit-wrong", "0.1"), 2, "name one"),
    ):
        assert said in complaint(shell("evaluate", some, *args), status)


@pytest.mark.slow
def test_a_killed_run_goes_on(shell: Shell, home: Path, many: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "bot", "evaluate", str(many)],
        env=shell.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while running.poll() is None:
        if any(path.read_bytes().count(b"\n") > 3 for path in left(home)):
            break
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    assert running.wait(30) == -signal.SIGKILL
    (path,) = left(home)
    done = path.read_bytes().count(b"\n")
    report = shell.json("evaluate", many, "--json")
    assert report["resumed"] == done
    assert len(report["questions"]) == 36
    assert left(home) == []


@pytest.mark.slow
def test_a_home_is_fitted_and_answers_by_it(shell: Shell, home: Path, many: Path) -> None:
    found = shell.json("evaluate", many, "--fit-wrong", "0.9", "--json")
    assert found["threshold"] == 0
    assert json.loads((home / weights.FILE_NAME).read_text("utf-8"))["threshold"] == 0
    report = shell.json("evaluate", many, "--json")
    refused = report["metrics"]["refused_unanswerable"]["value"]
    assert refused == pytest.approx(found["after"]["refused_unanswerable"], abs=1e-3)
    told = shell("evaluate", many, "--fit-refuse", "0.2")
    assert told.returncode == 0, told.stderr
    assert "fitted to 36 questions" in told.stdout
    assert json.loads((home / weights.FILE_NAME).read_text("utf-8"))["threshold"] > 0
    (home / weights.FILE_NAME).unlink()


def test_fitting_takes_no_option_of_a_report_and_no_handful_of_questions(
    shell: Shell, home: Path, some: Path
) -> None:
    told = shell("evaluate", some, "--fit", "--report", "x")
    assert told.returncode == 2
    assert "measures nothing" in told.stderr
    assert "too few" in complaint(shell("evaluate", some, "--fit"), 2)
    assert not (home / weights.FILE_NAME).exists()
