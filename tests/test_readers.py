"""A file is either text, article lines, or one clear sentence."""

import json
import os
from pathlib import Path

import pytest

from rag import readers
from rag.errors import UnreadableFile
from rag.types import Fragment

PAGE = "河边新修了一座桥\n\n桥长三百米，昨天通车，两岸的孩子上学不用再坐船。\n"
ROW = {"id": "a1", "title": "新桥通车", "text": "桥长三百米。"}


def _write(tmp_path: Path, content: bytes, name: str = "page.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def _write_rows(tmp_path: Path, *rows: object) -> Path:
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return _write(tmp_path, lines.encode(), "passages.jsonl")


def _sentence_of(path: Path) -> str:
    with pytest.raises(UnreadableFile) as caught:
        readers.read_articles(path)
    return str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16"])
def test_a_page_reads_the_same_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    assert readers.read_page(_write(tmp_path, PAGE.encode(encoding))) == PAGE


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_of_either_byte_order_reads_with_its_mark(tmp_path: Path, encoding: str) -> None:
    content = "\ufeff".encode(encoding) + PAGE.encode(encoding)
    assert readers.read_page(_write(tmp_path, content)) == PAGE


@pytest.mark.parametrize("end", ["\r\n", "\r"], ids=["windows", "old-mac"])
def test_lines_end_in_one_newline_and_fragments_count_on_that(tmp_path: Path, end: str) -> None:
    path = _write(tmp_path, PAGE.replace("\n", end).encode())
    text = readers.read_page(path)
    (article,) = readers.read_articles(path)
    assert text == PAGE
    assert [text[f.start : f.end] for f in article.fragments] == article.text.split("\n")


@pytest.mark.parametrize("encoding", ["big5", "utf-16-le", "utf-16-be"])
def test_encodings_without_a_mark_are_told_apart(tmp_path: Path, encoding: str) -> None:
    text = "縣裡新建的圖書館開門迎客，讀書會每週舉辦一次，歡迎鄉親參加。\n"
    assert readers.read_page(_write(tmp_path, text.encode(encoding))) == text


def test_traditional_characters_in_gbk_are_text(tmp_path: Path) -> None:
    text = "縣裡新建的圖書館開門迎客，讀書會每週舉辦一次，歡迎鄉親參加。\n"
    assert readers.read_page(_write(tmp_path, text.encode("gbk"))) == text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "empty", id="no-bytes"),
        pytest.param(b" \n\t\r\n\xe3\x80\x80", "empty", id="white-space-only"),
        pytest.param(b"\xef\xbb\xbf", "empty", id="byte-order-mark-only"),
        pytest.param(b"%PDF-1.7\n...", "PDF", id="pdf"),
        pytest.param(b"PK\x03\x04\x14\x00", "ZIP", id="zip"),
        pytest.param(b"\x89PNG\r\n\x1a\n", "PNG", id="png"),
        pytest.param(b"\xff\xd8\xff\xe0", "JPEG", id="jpeg"),
        pytest.param(b"GIF89a", "GIF", id="gif"),
        pytest.param("桥".encode() + b"\x00\x01", "binary", id="nul-bytes"),
        pytest.param(bytes(range(128, 256)) * 20, "UTF-8", id="noise"),
        pytest.param("Le pont rénové à Sète, l’été. ".encode("cp1252") * 9, "UTF-8", id="latin"),
        pytest.param(b"\xff\xfe\x00", "UTF-8", id="half-a-utf-16-unit"),
        pytest.param(PAGE.encode()[:-3] + b"\xe6", "UTF-8", id="utf-8-cut-in-a-character"),
        pytest.param("第05版\n2023年6月1日 星期四\n".encode(), "no article", id="furniture-only"),
    ],
)
def test_a_file_without_a_page_is_one_sentence_with_its_path(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = _write(tmp_path, content)
    sentence = _sentence_of(path)
    assert words in sentence
    assert str(path) in sentence
    assert "\n" not in sentence


def test_text_that_begins_like_an_image_is_still_text(tmp_path: Path) -> None:
    assert readers.read_page(_write(tmp_path, b"BMW opens a plant.")) == "BMW opens a plant."


def test_a_file_over_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_BYTES", 1024 * 1024)
    assert "1 MB" in _sentence_of(_write(tmp_path, b"a" * (1024 * 1024 + 1)))


def test_a_missing_file_and_a_folder_say_so(tmp_path: Path) -> None:
    assert "does not exist" in _sentence_of(tmp_path / "gone.txt")
    assert "folder" in _sentence_of(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    assert "ordinary" in _sentence_of(tmp_path / "pipe.txt")


def test_a_file_that_may_not_be_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path, PAGE.encode())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "permission" in _sentence_of(path)


def test_article_lines_keep_their_ids_and_optional_fields(tmp_path: Path) -> None:
    path = _write_rows(tmp_path, ROW, ROW | {"id": "a2", "date": "2024-05-01", "source": "河报"})
    first, second = readers.read_articles(path)
    assert (first.article_id, first.title, first.text) == ("a1", "新桥通车", "桥长三百米。")
    assert (first.source, first.date) == ("passages.jsonl", "")
    assert (second.article_id, second.date, second.source) == ("a2", "2024-05-01", "河报")


def test_the_fragment_of_an_article_line_is_the_line(tmp_path: Path) -> None:
    path = _write_rows(tmp_path, ROW, ROW | {"id": "a2"})
    text = readers.read_page(path)
    fragments = [article.fragments for article in readers.read_articles(path)]
    assert [json.loads(text[f.start : f.end])["id"] for (f,) in fragments] == ["a1", "a2"]
    assert fragments[0] == (Fragment(0, text.index("\n")),)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param("{", "not JSON", id="not-json"),
        pytest.param("[" * 100_000, "not JSON", id="nested-too-deep"),
        pytest.param("[1]", "not an object", id="a-list"),
        pytest.param('{"id": "b", "title": "t"}', '"text"', id="no-text"),
        pytest.param('{"id": 7, "title": "t", "text": "x"}', '"id"', id="a-number-for-an-id"),
        pytest.param('{"id": "b", "title": "t", "text": "x", "date": null}', '"date"', id="null"),
        pytest.param('{"id": "b", "title": "t", "text": " "}', "empty", id="blank-text"),
        pytest.param('{"id": "b", "title": "t", "text": "\\ud800"}', "half", id="half-a-pair"),
        pytest.param(json.dumps(ROW), "repeats", id="an-id-twice"),
    ],
)
def test_a_bad_article_line_is_named_by_number(tmp_path: Path, line: str, words: str) -> None:
    content = f"{json.dumps(ROW)}\n\n{line}\n".encode()
    sentence = _sentence_of(_write(tmp_path, content, "passages.jsonl"))
    assert "line 3" in sentence
    assert words in sentence


def test_walking_a_folder_goes_in_natural_order_and_takes_what_can_be_read(tmp_path: Path) -> None:
    for name in (
        "第10版.txt",
        "第2版.txt",
        "a/2.txt",
        "a/1.jsonl",
        "a/note.rst",
        ".hidden.txt",
        ".git/x.txt",
        "c.PDF",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    found = [str(path.relative_to(tmp_path)) for path in readers.walk([tmp_path])]
    assert found == ["c.PDF", "第2版.txt", "第10版.txt", "a/1.jsonl", "a/2.txt"]


def test_a_file_named_outright_is_always_tried_and_comes_once(tmp_path: Path) -> None:
    named = _write(tmp_path, b"x", "scan.pdf")
    page = _write(tmp_path, b"x", "page.txt")
    assert readers.walk([named, tmp_path, page]) == [named, page]


def test_walking_a_path_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="does not exist"):
        readers.walk([tmp_path / "gone"])
