"""The command line as a process of its own: what it prints, its exit status, its one sentence."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from shutil import copytree
from statistics import median
from typing import Any

import pytest

from bot.wiring import App
from conftest import ROOT, SAMPLE
from fakes import HashingEmbedder
from rag.records import Records

PAGE = SAMPLE / "pages" / "p01.txt"
KILNS = "what did Rao Jianzhang propose for the old kiln sites in Fuliang?"
HEAVY = ("chromadb", "torch", "onnxruntime", "fastapi", "telegram", "langchain", "transformers")
ARTICLE_KEYS = ["article_id", "title", "subtitle", "byline", "date", "source", "text", "fragments",
                "path", "also_in"]  # fmt: skip


class Shell:
    """Runs `python -m bot` in an environment of its own, from an empty folder."""

    def __init__(self, home: Path, models: Path, folder: Path) -> None:
        self._folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("WENBAO_", "COV"))}
        self.env = kept | {
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
            "WENBAO_HOME": str(home),
            "WENBAO_MODEL_CACHE": str(models),
        }

    def __call__(self, *args: str | Path, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "bot", *map(str, args)],
            cwd=self._folder,
            env=self.env | env,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    def json(self, *args: str | Path, status: int = 0) -> Any:
        """The one JSON value that a command prints."""
        (value,) = self.rows(*args, status=status)
        return value

    def rows(self, *args: str | Path, status: int = 0) -> list[Any]:
        """The JSON lines that a command prints."""
        done = self(*args)
        assert done.returncode == status, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def new(tmp_path: Path, model_cache: Path) -> Shell:
    """A shell whose home doesn't exist yet."""
    return Shell(tmp_path / "new", model_cache, tmp_path)


@pytest.fixture(scope="module")
def home(sample_app: App, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sample library, which the tests here only read."""
    return copytree(sample_app.settings.home, tmp_path_factory.mktemp("cli") / "home")


@pytest.fixture(scope="module")
def shell(home: Path, model_cache: Path) -> Shell:
    """A shell over the sample library, to read."""
    return Shell(home, model_cache, home.parent)


@pytest.fixture(scope="module")
def answer(shell: Shell) -> Any:
    """What `ask --json` prints."""
    return shell.json("ask", KILNS, "--json")


def complaint(done: "subprocess.CompletedProcess[str]", status: int) -> str:
    """The one sentence on standard error, where there is nothing else."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    (sentence,) = done.stderr.splitlines()
    assert re.fullmatch(r"\S.*[.]", sentence)
    return sentence


# --- what the commands do -------------------------------------------------------------------------


def test_pages_are_ingested_listed_and_removed(new: Shell) -> None:
    added = new.json("ingest", PAGE, "--json")
    assert list(added) == [
        *("added", "updated", "unchanged", "removed", "failed", "articles", "passages", "seconds"),
        "moved",
    ]
    assert (added["added"], added["articles"], added["failed"]) == (4, 4, [])
    again = new("ingest", PAGE)
    assert again.returncode == 0
    assert again.stdout.splitlines()[0] == "p01.txt: 4 unchanged"
    assert "0 added, 0 updated, 4 unchanged, 0 removed: 4 articles" in again.stdout

    listed = new.rows("articles", "--json")
    assert len(listed) == 4
    assert [key for key in ARTICLE_KEYS if key != "text"] == list(listed[0])
    assert listed == sorted(listed, key=lambda row: str(row["article_id"]))

    cited = next(row["article_id"] for row in listed if "窑火" in row["title"])
    assert new("remove", cited).stdout == "removed 1\n"
    left = [row["article_id"] for row in new.rows("articles", "--json")]
    assert cited not in left
    assert new.json("remove", *left[:2], "--json") == {"removed": 2}


def test_keys_are_made_listed_and_removed(new: Shell) -> None:
    made = new("keys", "add", "page", "--scope", "read")
    assert re.fullmatch(r"wb_[\w-]{43}\n", made.stdout)
    assert new.rows("keys", "list", "--json")[0]["scope"] == "read"
    assert made.stdout.strip() not in new("keys", "list").stdout
    assert "already" in complaint(new("keys", "add", "page"), 2)
    assert new("keys", "remove", "page").stdout == "removed page\n"
    assert "no key page" in complaint(new("keys", "remove", "page"), 2)
    assert new("keys", "add", "page", "--scope", "all").returncode == 2
    as_json = new.json("keys", "add", "desk", "--json")
    assert (as_json["name"], as_json["scope"]) == ("desk", "write")
    assert new.json("keys", "remove", "desk", "--json") == {"removed": "desk"}


def test_a_backup_goes_to_a_file_or_a_stream_and_comes_back(
    shell: Shell, new: Shell, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "backup.tar.gz"
    kept = ["wenbao.sqlite", "people.sqlite"]
    made = shell.json("backup", file, "--json")
    assert made == {"home": str(home), "file": str(file), "kept": kept}
    restored = new.json("restore", file, "--json")
    assert restored == {"home": str(tmp_path / "new"), "file": str(file), "restored": kept}
    assert new.rows("articles", "--json") == shell.rows("articles", "--json")
    assert "holds wenbao.sqlite, people.sqlite already" in complaint(new("restore", file), 2)
    assert "gone.tar.gz can't be read" in complaint(new("restore", "gone.tar.gz"), 1)
    assert "name a file" in shell("backup", "-", "--json").stderr


def test_votes_that_cannot_be_written_are_one_sentence(new: Shell, tmp_path: Path) -> None:
    assert new("feedback", "export", tmp_path / "votes.jsonl").stdout.startswith("0 questions")
    said = complaint(new("feedback", "export", tmp_path / "gone" / "votes.jsonl"), 2)
    assert "votes.jsonl can't be written" in said


def test_parse_gives_the_articles_and_stores_nothing(new: Shell, tmp_path: Path) -> None:
    parsed = new.rows("parse", PAGE, "--json")
    text = PAGE.read_text(encoding="utf-8")
    assert len(parsed) == 4
    for article in parsed:
        assert list(article) == ARTICLE_KEYS
        assert article["fragments"]
        for part in article["fragments"]:
            assert 0 <= part["start"] < part["end"] <= len(text)
    plain = new("parse", PAGE)
    assert plain.returncode == 0
    assert parsed[0]["title"] in plain.stdout
    assert not (tmp_path / "new").exists()


def test_a_dry_run_needs_no_model_and_stores_nothing(new: Shell) -> None:
    told = new("ingest", "--dry-run", PAGE)
    assert told.returncode == 0
    assert "would be: 4 added, 0 updated, 0 unchanged, 0 removed: 0 articles" in told.stdout
    assert new.rows("articles", "--json") == []


@pytest.mark.parametrize("command", ["parse", "ingest"])
def test_a_private_address_is_refused_in_one_sentence(new: Shell, command: str) -> None:
    more = ["--dry-run"] if command == "ingest" else []
    said = complaint(new(command, *more, "http://127.0.0.1:9/page.html"), 1)
    assert "leads to a private address" in said


def test_an_answer_in_json_is_the_answer_of_the_interface(answer: Any, sample_app: App) -> None:
    assert set(answer) >= {
        *("question", "language", "answer", "answer_plain", "abstained", "reason", "confidence"),
        *("mode", "model", "citations", "passages", "timings_ms"),
    }
    assert (answer["question"], answer["language"]) == (KILNS, "en")
    assert (answer["abstained"], answer["reason"]) == (False, None)
    assert answer["citations"]
    for n, citation in enumerate(answer["citations"], 1):
        assert list(citation) == [
            *("n", "article_id", "title", "date", "source", "quote", "start", "end"),
            *("answer_spans", "verified", "score", "gloss", "translated_by"),
        ]
        article = sample_app.records.article(citation["article_id"])
        assert article.text[citation["start"] : citation["end"]] == citation["quote"]
        assert (citation["n"], citation["verified"]) == (n, True)
        assert f"[{n}]" in answer["answer"]
        assert f"[{n}]" not in answer["answer_plain"]
    assert set(answer["timings_ms"]) == {"embed", "search", "answer", "total"}


def test_an_answer_for_people_holds_its_quotes(shell: Shell, answer: Any) -> None:
    done = shell("ask", KILNS)
    assert done.returncode == 0
    shown = "".join(done.stdout.split())
    for citation in answer["citations"]:
        assert "".join(citation["quote"].split()) in shown


def test_the_options_of_ask_reach_the_answer(shell: Shell, answer: Any) -> None:
    article = answer["passages"][-1]["article_id"]
    options = ("--lang", "zh", "--top-k", "1", "--article", article)
    narrow = shell.json("ask", KILNS, "--json", *options)
    assert narrow["language"] == "zh"
    assert [hit["article_id"] for hit in narrow["passages"]] == [article]


def test_days_and_newspapers_narrow_what_is_asked_and_searched(shell: Shell) -> None:
    filters = ("--since", "2022-01-01", "--until", "2022-12-31", "--source", "p04.txt")
    listed = shell.rows("articles", "--json")
    kept = {row["article_id"] for row in listed if row["source"] == "p04.txt" and row["date"]}
    for command in ("ask", "search"):
        found = shell.json(command, KILNS, "--json", *filters)["passages"]
        assert found
        assert {hit["article_id"] for hit in found} <= kept


def test_a_date_that_is_none_is_one_sentence(shell: Shell) -> None:
    for command in ("ask", "search"):
        assert "“May” is no date" in complaint(shell(command, KILNS, "--since", "May"), 2)


def test_search_gives_the_ranked_passages_alone(shell: Shell) -> None:
    found = shell.json("search", KILNS, "-k", "3", "--json")
    assert list(found) == ["passages"]
    assert len(found["passages"]) == 3
    for hit in found["passages"]:
        assert list(hit) == [
            *("passage_id", "article_id", "title", "text", "start", "end", "score"),
        ]
    scores = [hit["score"] for hit in found["passages"]]
    assert scores == sorted(scores, reverse=True)


def test_a_question_file_is_measured_and_its_bars_count(shell: Shell, tmp_path: Path) -> None:
    lines = (SAMPLE / "questions.tune.jsonl").read_text(encoding="utf-8").splitlines()
    some = tmp_path / "some.jsonl"
    some.write_text("\n".join(lines[:5]), encoding="utf-8")
    bars = ("--fail-under", "hit@3=0", "--fail-under", "verified_share=1.01")
    done = shell("evaluate", some, "--json", "--report", tmp_path / "report", *bars)
    assert "verified_share" in complaint(done, 1)
    written = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert written == json.loads(done.stdout)


def test_doctor_says_what_it_looked_at(shell: Shell) -> None:
    done = shell("doctor", "--json")
    found = json.loads(done.stdout)
    assert {"version", "ok", "checks"} <= set(found)
    assert done.returncode == (0 if found["ok"] else 3)
    for check in found["checks"]:
        assert {"what", "ok", "found"} <= set(check)


# --- what can go wrong ----------------------------------------------------------------------------


def test_a_missing_path_is_one_sentence(new: Shell) -> None:
    assert "nowhere.txt does not exist" in complaint(new("parse", "nowhere.txt"), 1)


def test_a_missing_path_does_not_keep_the_others_from_being_read(new: Shell) -> None:
    done = new("parse", "nowhere.txt", PAGE, "--json")
    assert len(done.stdout.splitlines()) == 4
    assert "nowhere.txt" in complaint(done, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\x89PNG\r\n\x1a\n\x00\x00", "PNG", id="picture"),
        pytest.param(b"%PDF-1.7\n\x00\xff", "PDF", id="pdf"),
        pytest.param(bytes(range(256)) * 40, "binary", id="binary"),
    ],
)
def test_a_file_that_is_no_page_is_one_sentence(
    new: Shell, tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    assert words in complaint(new("parse", "bad.txt"), 1)


def test_one_bad_file_among_ten_is_reported_and_nine_are_indexed(
    new: Shell, tmp_path: Path
) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    for n in range(9):
        row = {"id": f"a{n}", "title": f"第{n}篇", "text": f"第{n}区的委员走访了{n + 2}个小区。"}
        (folder / f"{n}.jsonl").write_text(json.dumps(row), encoding="utf-8")
    (folder / "bad.txt").write_bytes(b"\x00\x01\x02")
    done = new("ingest", folder)
    assert "bad.txt is binary" in complaint(done, 1)
    assert "9 added, 0 updated, 0 unchanged, 0 removed, 1 file failed: 9 articles" in done.stdout
    report = new.json("ingest", folder / "bad.txt", "--json", status=1)
    (failed,) = report["failed"]
    assert list(failed) == ["path", "error"]
    assert failed["path"].endswith("bad.txt")
    assert (report["added"], report["articles"]) == (0, 9)


@pytest.mark.parametrize(
    ("question", "words"),
    [("长" * 10_000, "10,000 characters"), ("  ", "empty")],
    ids=["too-long", "empty"],
)
def test_a_question_that_cannot_be_taken_is_wrong_use(
    shell: Shell, question: str, words: str
) -> None:
    assert words in complaint(shell("ask", question), 2)


def test_an_article_that_is_not_there_is_wrong_use(shell: Shell) -> None:
    assert "nope" in complaint(shell("ask", KILNS, "--article", "nope"), 2)


@pytest.mark.parametrize(
    "args",
    [
        ("ask",),
        ("ask", "?", "--lang", "fr"),
        ("ask", "?", "--top-k", "0"),
        ("search", "?", "-k", "many"),
        ("publish",),
        ("ingest",),
        ("ingest", ""),
        ("parse", "page.txt", ""),
        ("evaluate", "q.jsonl", "--fail-under", "hit@3"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_told_without_a_traceback(new: Shell, args: tuple[str, ...]) -> None:
    done = new(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_made_is_one_sentence(new: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for command in (("articles",), ("ingest", str(PAGE)), ("ask", "谁？")):
        complaint(new(*command, WENBAO_HOME=str(tmp_path / "file" / "home")), 3)


def test_a_mistyped_setting_is_one_sentence(new: Shell) -> None:
    assert "WENBAO_HOEM" in complaint(new("articles", WENBAO_HOEM="/srv"), 2)
    assert "WENBAO_TOP_K" in complaint(new("articles", WENBAO_TOP_K="many"), 2)


def test_an_index_of_another_model_is_refused_and_kept(
    tmp_path: Path, sample_home: Path, model_cache: Path
) -> None:
    records = Records(sample_home)
    with records.change():
        records.set_model(HashingEmbedder().name)
    records.close()
    shell = Shell(sample_home, model_cache, tmp_path)
    assert "hashing@1" in complaint(shell("ask", KILNS), 3)
    assert "hashing@1" in complaint(shell("ingest", PAGE), 3)
    assert len(shell.rows("articles", "--json")) > 20


@pytest.mark.slow
def test_a_model_that_cannot_be_had_is_one_sentence(new: Shell) -> None:
    done = new("ask", "谁？", WENBAO_MODEL="./no-such-model", HF_HUB_OFFLINE="1")
    assert done.returncode == 3
    assert "WENBAO_MODEL" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_debug_shows_where_it_went_wrong(new: Shell) -> None:
    done = new("--debug", "articles", WENBAO_TOP_K="many")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "BadSettings" in done.stderr


def test_an_odd_name_and_an_odd_terminal_are_no_trouble(new: Shell, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.txt")).write_bytes(PAGE.read_bytes())
    done = new("parse", ".", "--json", PYTHONUTF8="0", PYTHONIOENCODING="ascii:strict")
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["path"] for line in done.stdout.splitlines()} == {"?.txt"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
def test_an_output_that_takes_no_more_is_one_sentence(new: Shell) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bot", "parse", PAGE],
            cwd=new._folder,
            env=new.env,
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
    assert "No space left" in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert done.returncode == 3


def test_what_pages_say_cannot_steer_the_terminal(new: Shell, tmp_path: Path) -> None:
    row = {"id": "a", "title": "标题\x1b[2J\x1b]0;owned\x07", "text": "正文。", "date": "\x1b[31m"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row), encoding="utf-8")
    done = new("parse", "a.jsonl")
    assert "标题" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert "\x07" not in done.stdout


# --- starting -------------------------------------------------------------------------------------


def test_help_takes_less_than_a_second(new: Shell) -> None:
    def seconds() -> float:
        started = time.monotonic()
        done = new("--help")
        taken = time.monotonic() - started
        assert done.returncode == 0
        for (
            command
        ) in "ingest parse articles remove ask search evaluate serve telegram doctor".split():
            assert f" {command} " in done.stdout
        return taken

    assert median(seconds() for _ in range(3)) < 1


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """The modules that `--help` imports."""
    code = (
        "import sys\n"
        "sys.argv = ['wenbao', '--help']\n"
        "from bot.__main__ import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    print('\\n'.join(['MODULES', *sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.partition("MODULES\n")[2].splitlines())


@pytest.mark.parametrize("module", HEAVY)
def test_help_imports_nothing_heavy(imported: set[str], module: str) -> None:
    assert "typer" in imported
    assert module not in imported


def test_the_version_is_told(new: Shell) -> None:
    assert re.fullmatch(r"wenbao \d+\.\d+\.\d+\n", new("--version").stdout)
