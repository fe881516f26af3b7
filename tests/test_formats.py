"""Markdown, HTML, Word and ZIP give articles, with ranges of the text that the reader gives."""

import io
import os
import zipfile
from pathlib import Path

import docx
import pytest

from rag import readers
from rag.errors import UnreadableFile
from rag.formats import sandbox
from rag.formats.sandbox import Sandbox
from rag.types import Article

TITLE = "河边新修了一座桥"
BRIDGE = "桥长三百米，昨天上午通车，两岸的孩子上学不用再坐船，也不必绕路走老街。"
KEEPER = "桥工老秦说，他守了三十年渡口，今天第一次走着过河，从东岸到西岸只用了五分钟。"
LIBRARY = "新图书馆周一不闭馆，二楼留给孩子，三楼有旧报纸，坐在窗边能看见河。"


def _write(tmp_path: Path, name: str, content: bytes | str) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _sentence_of(path: Path) -> str:
    with pytest.raises(UnreadableFile) as caught:
        readers.read_articles(path)
    return str(caught.value)


def _check_fragments(path: Path, articles: list[Article]) -> None:
    text = readers.read_page(path)
    for article in articles:
        pieces = [text[f.start : f.end] for f in article.fragments]
        assert pieces == article.text.split("\n")


# ---- Markdown ----------------------------------------------------------------------------------


def test_the_headings_of_a_markdown_page_are_its_titles(tmp_path: Path) -> None:
    page = (
        "---\ntags: [a]\n---\n# 河边报 2024年3月5日\n\n## 新桥通车\n\n记者 林某\n\n"
        f"{BRIDGE}\n\n### 渡口\n\n**桥工**{KEEPER[2:]}\n\n## 图书馆 *开门*\n\n> {LIBRARY}\n\n"
        "![图](a.png)\n"
    )
    path = _write(tmp_path, "page.md", page)
    first, second = readers.read_articles(path)
    assert (first.title, first.text) == ("新桥通车", f"{BRIDGE}\n渡口\n{KEEPER}")
    assert (first.byline, second.byline) == ("记者 林某", "")
    assert (second.title, second.text) == ("图书馆 开门", LIBRARY)
    _check_fragments(path, [first, second])


def test_one_heading_with_sub_headings_is_one_article(tmp_path: Path) -> None:
    page = f"# 新桥通车\n\n{BRIDGE}\n\n## 渡口\n\n{KEEPER}\n\n## 别处\n\n{LIBRARY}\n"
    (article,) = readers.read_articles(_write(tmp_path, "page.md", page))
    assert (article.title, article.text.count("\n")) == ("新桥通车", 4)


def test_markdown_without_headings_is_a_page(tmp_path: Path) -> None:
    path = _write(tmp_path, "page.md", f"{TITLE}\n\n{BRIDGE}\n\n{KEEPER}\n")
    (article,) = readers.read_articles(path)
    assert article.title == TITLE


# ---- HTML --------------------------------------------------------------------------------------

HTML = f"""<html><head><meta charset="{{}}"><title>新桥通车</title></head><body>
<div class="menu"><ul><li><a href="/">首页</a></li><li><a href="/n">新闻</a></li></ul></div>
<div class="content"><h1>新桥通车</h1>
<p>　　{BRIDGE}</p><p>　　{KEEPER}</p><p>　　{BRIDGE}</p></div>
<div class="related"><ul><li><a href="/1">{LIBRARY[:12]}</a></li></ul></div>
<div class="footer">版权所有</div></body></html>"""


@pytest.mark.parametrize("encoding", ["utf-8", "gb2312", "big5"])
def test_an_html_page_gives_its_article_alone_in_any_encoding(
    tmp_path: Path, encoding: str
) -> None:
    text = HTML.format(encoding)
    if encoding == "big5":
        text = text.replace("两", "兩").replace("桥", "橋").replace("长", "長").replace("学", "學")
    path = _write(tmp_path, "page.html", text.encode(encoding, "ignore"))
    (article,) = readers.read_articles(path)
    assert article.text.count("\n") == 2
    assert not any(word in article.text for word in ("首页", "版权", LIBRARY[:12]))
    _check_fragments(path, [article])


@pytest.mark.parametrize("encoding", ["undefined", "idna", "unicode_escape", "utf-7", "rot13"])
def test_an_encoding_that_no_page_has_is_passed_over(tmp_path: Path, encoding: str) -> None:
    page = HTML.format(encoding).replace("桥工", r"\ud800 +2AA-")
    path = _write(tmp_path, "page.html", page)
    (article,) = readers.read_articles(path)
    assert r"\ud800 +2AA-老秦" in article.text


def test_html_under_another_name_is_known_by_its_beginning(tmp_path: Path) -> None:
    path = _write(tmp_path, "page.txt", "<!DOCTYPE html>\n" + HTML.format("utf-8"))
    (article,) = readers.read_articles(path)
    assert article.title == "新桥通车"


# ---- Word --------------------------------------------------------------------------------------


def test_a_word_file_with_headings_gives_its_articles(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("新桥通车", 1)
    document.add_paragraph(BRIDGE)
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "桥长", "三百米"
    document.add_heading("图书馆开门", 1)
    document.add_paragraph(LIBRARY)
    path = tmp_path / "page.docx"
    document.save(str(path))
    first, second = readers.read_articles(path)
    assert (first.title, first.text) == ("新桥通车", f"{BRIDGE}\n桥长\n三百米")
    assert (second.title, second.text) == ("图书馆开门", LIBRARY)
    _check_fragments(path, [first, second])


def test_a_word_file_without_headings_is_a_page(tmp_path: Path) -> None:
    document = docx.Document()
    for line in (TITLE, BRIDGE, KEEPER):
        document.add_paragraph(line)
    path = tmp_path / "page.docx"
    document.save(str(path))
    (article,) = readers.read_articles(path)
    assert article.title == TITLE


# ---- ZIP ---------------------------------------------------------------------------------------


def _zip(members: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return written.getvalue()


def _page(title: str, text: str) -> bytes:
    return f"{title}\n\n{text}\n".encode()


def test_the_members_of_an_archive_are_read_in_natural_order(tmp_path: Path) -> None:
    members = {
        "第10版.txt": _page("图书馆周一也开门了", LIBRARY),
        "第2版.md": f"# 新桥通车\n\n{BRIDGE}\n".encode(),
        "图.png": b"\x89PNG",
        "__MACOSX/._第2版.md": b"\0",
        ".hidden.txt": b"x",
    }
    path = _write(tmp_path, "issue.zip", _zip(members))
    articles = readers.read_articles(path)
    assert [a.title for a in articles] == ["新桥通车", "图书馆周一也开门了"]
    assert [a.path for a in articles] == [f"{path}/第2版.md", f"{path}/第10版.txt"]
    assert articles[1].source == "第10版.txt"


def test_names_in_gbk_are_readable(tmp_path: Path) -> None:
    name = "第二版.txt".encode("gbk").decode("cp437")
    content = bytearray(_zip({name: _page("新桥通车", BRIDGE)}))
    unmarked = name.encode("cp437")
    content = bytearray(bytes(content).replace(name.encode(), unmarked))
    assert content != _zip({name: _page("新桥通车", BRIDGE)})
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.index(magic)
        content[start + at + 1] &= ~0x08
        length = start + (26 if magic == b"PK\x03\x04" else 28)
        content[length : length + 2] = len(unmarked).to_bytes(2, "little")
    end = content.rindex(b"PK\x05\x06")
    directory = content.index(b"PK\x01\x02")
    content[end + 12 : end + 16] = (end - directory).to_bytes(4, "little")
    content[end + 16 : end + 20] = directory.to_bytes(4, "little")
    path = _write(tmp_path, "issue.zip", bytes(content))
    (article,) = readers.read_articles(path)
    assert article.path.endswith("/第二版.txt")


def test_a_bad_member_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = _write(tmp_path, "x.zip", _zip({"a.txt": b"\0", "b.txt": _page(TITLE, BRIDGE)}))
    with Sandbox() as box:
        bad, good = readers.sheets(str(path))
        with pytest.raises(UnreadableFile, match=r"x\.zip/a\.txt is binary"):
            readers.articles_of(bad, box)
        assert readers.articles_of(good, box)[0].title == TITLE


# ---- the child process -------------------------------------------------------------------------


def test_a_file_that_takes_too_long_is_refused_and_the_next_one_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Sandbox() as box:
        assert box.document("markdown", b"# a\n\nb\n").text == "a\nb"
        with monkeypatch.context() as patch:
            patch.setattr(sandbox, "TIME_LIMIT_S", 0.2)
            with pytest.raises(UnreadableFile, match="too much time or memory"):
                box.document("markdown", b"[a](" * 300_000)
        assert box.document("markdown", b"# a\n\nb\n").text == "a\nb"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux shows it")
def test_the_child_is_told_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WENBAO_LLM_API_KEY", "sk-secret")
    with Sandbox() as box:
        box.document("markdown", b"# a\n")
        assert box._child is not None
        known = Path(f"/proc/{box._child.pid}/environ").read_bytes()
    assert b"PYTHONPATH" in known
    assert b"sk-secret" not in known


def test_a_child_that_dies_is_replaced() -> None:
    with Sandbox() as box:
        box.document("markdown", b"# a\n")
        assert box._child is not None
        os.kill(box._child.pid, 9)
        with pytest.raises(UnreadableFile, match="too much time or memory"):
            box.document("markdown", b"# a\n")
        assert box.document("markdown", b"# a\n").text == "a"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("page.pdf", b"plain text", "is no PDF"),
        ("page.docx", b"plain text", "is no DOCX"),
        ("page.zip", b"plain text", "is no ZIP"),
        ("page.docx", _zip({"a.txt": b"x"}), "Office"),
        ("page.md", b"", "empty"),
    ],
    ids=["pdf", "docx", "zip", "docx-without-text", "empty"],
)
def test_what_is_not_what_its_name_says_is_one_sentence(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    sentence = _sentence_of(_write(tmp_path, name, content))
    assert words in sentence
    assert sentence.startswith(str(tmp_path / name))
