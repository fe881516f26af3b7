"""The chat page's files as they lie there: what no browser needs to be asked for."""

import re

import pytest

from page_server import WEB

FILES = sorted(path for path in WEB.iterdir() if path.is_file())
SVG = "http://www.w3.org/2000/svg"
HTML_FROM_TEXT = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|setHTML|createContextualFragment|DOMParser|srcdoc"
    r"|document\.write|\beval\(|new Function"
)


@pytest.mark.parametrize("name", [path.name for path in FILES])
def test_no_file_makes_markup_of_text_or_names_another_host(name: str) -> None:
    text = (WEB / name).read_text(encoding="utf-8").replace(SVG, "")
    assert not HTML_FROM_TEXT.search(text)
    assert not re.search(r"https?://|url\(|@import|@font-face", text)
    assert len(text.splitlines()) < 500


def test_the_page_has_no_inline_code() -> None:
    page = (WEB / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert re.findall(r"<script[^>]*>(.*?)</script>", page) == [""]


def test_every_file_is_asked_for_by_another() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in FILES}
    asked = {"index.html"}
    asked |= set(re.findall(r'"static/([\w.]+)"', texts["index.html"]))
    asked |= {name for text in texts.values() for name in re.findall(r'from "\./([\w.]+)"', text)}
    assert asked == set(texts)
