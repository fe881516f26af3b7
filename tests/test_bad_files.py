"""Files from hell: each is one sentence, the rest is indexed, in little time and memory."""

import json
import os
from pathlib import Path

import pytest

import badfiles
from homes import start_ingest
from rag import readers
from rag.errors import UnreadableFile
from rag.formats.sandbox import Sandbox

_GOOD = "河边新修了一座桥\n\n桥长三百米，昨天通车，两岸的孩子上学不用再坐船。\n"


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return badfiles.make(tmp_path_factory.mktemp("bad"))


@pytest.mark.slow
def test_every_bad_file_is_one_sentence_and_the_rest_is_indexed(
    bad: list[Path], tmp_path: Path
) -> None:
    folder = bad[0].parent
    for i in range(3):
        (folder / f"good{i}.txt").write_text(_GOOD.replace("三百米", f"{i}百米"), encoding="utf-8")
    child = start_ingest(tmp_path / "home", folder)
    out, err = child.communicate(timeout=280)
    assert child.returncode == 0, err
    report = json.loads(out.splitlines()[-1])
    assert len(bad) >= 60
    assert (report["added"], len(report["failed"])) == (3, len(bad))
    for failed in report["failed"]:
        sentence = failed["error"].removeprefix(failed["path"]).strip()
        assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 200
        assert sentence.count(". ") == 0
    assert report["peak_mb"] < 1_000
    assert report["peak_mb_of_children"] < 1_000
    assert report["longest_s"] < 30


@pytest.mark.parametrize(
    "name",
    [
        *("truncated.pdf", "entities.docx", "50000-titles.txt"),
        *("locked.zip", "list-elsewhere.zip", "bzip2-bomb.zip"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    made = badfiles.FILES[name]
    content = made() if callable(made) else made
    assert isinstance(content, bytes)
    (tmp_path / name).write_bytes(content)
    with Sandbox() as sandbox:
        for sheet in readers.sheets(str(tmp_path / name)):
            with pytest.raises(UnreadableFile) as caught:
                readers.articles_of(sheet, sandbox)
            assert str(caught.value).startswith(f"{tmp_path}{os.sep}{name}")
