"""A newspaper page in columns reads as its articles, wherever its lines stand in the file."""

from pathlib import Path

import pytest

from newspaper import Story, page
from rag import readers
from rag.formats import from_pdf
from rag.formats.from_pdf import Box
from rag.types import Article

SAMPLE = Path(__file__).parent / "data" / "sample" / "pages"
HEADER = "河源晚报　2024年3月5日　星期二　第03版"


@pytest.fixture(scope="module")
def articles() -> list[Article]:
    """Whole articles of the sample pages, to be set anew."""
    paths = sorted(SAMPLE.glob("*.txt"))[:6]
    found = [a for path in paths for a in readers.read_articles(path) if a.title]
    return [a for a in found if 300 < len(a.text) < 1_500 and len(a.title) < 24]


def _story(article: Article, left: float, top: float, columns: int, indent: bool = True) -> Story:
    room = columns * 190.0 + (columns - 1) * 18.0
    return Story(
        article.title,
        article.text.split("\n"),
        left,
        top,
        columns,
        width=190.0,
        title_size=min(26.0, room / (len(article.title) + 1)),
        indent=indent,
    )


def _plain(text: str) -> str:
    return "".join(text.split())


def _read(tmp_path: Path, content: bytes) -> list[Article]:
    path = tmp_path / "page.pdf"
    path.write_bytes(content)
    return readers.read_articles(path)


def _layouts(articles: list[Article]) -> dict[str, list[Story]]:
    a, b, c = articles[:3]
    return {
        "one-over-two": [
            _story(a, 40, 1200, 4),
            _story(b, 40, 760, 2),
            _story(c, 456, 760, 2),
        ],
        "three-side-by-side": [
            _story(a, 40, 1200, 2),
            _story(b, 456, 1200, 1),
            _story(c, 664, 1200, 1),
        ],
        "stacked": [
            _story(a, 40, 1200, 3),
            _story(b, 40, 860, 3),
            _story(c, 40, 520, 3),
        ],
        "no-indents": [_story(a, 40, 1200, 4, indent=False), _story(b, 40, 760, 3, indent=False)],
    }


@pytest.mark.parametrize("shuffled", [None, 1], ids=["in-order", "shuffled"])
@pytest.mark.parametrize("layout", ["one-over-two", "three-side-by-side", "stacked", "no-indents"])
def test_a_page_in_columns_reads_as_the_articles_that_were_set(
    articles: list[Article], tmp_path: Path, layout: str, shuffled: int | None
) -> None:
    stories = _layouts(articles)[layout]
    found = {a.title: a for a in _read(tmp_path, page(HEADER, stories, shuffled))}
    for story in stories:
        assert story.title in found
        assert _plain(found[story.title].text) == _plain("".join(story.paragraphs))
        assert found[story.title].date == "2024-03-05"
        assert found[story.title].source == "河源晚报"


def test_fragments_are_ranges_of_the_text_that_the_reader_gave(
    articles: list[Article], tmp_path: Path
) -> None:
    content = page(HEADER, _layouts(articles)["one-over-two"])
    found = _read(tmp_path, content)
    text = readers.read_page(tmp_path / "page.pdf")
    for article in found:
        pieces = "".join(text[f.start : f.end] for f in article.fragments)
        assert _plain(pieces) == _plain(article.text)


def test_paragraphs_go_on_over_the_end_of_a_column(articles: list[Article]) -> None:
    story = _story(articles[0], 40, 1200, 4)
    text = from_pdf.document(page(HEADER, [story])).text
    assert [p for p in text.split("\n") if p in story.paragraphs] == list(story.paragraphs)


def _box(left: float, top: float, text: str, size: float = 10, width: float = 100) -> Box:
    return Box(left, top - size, left + width, top, size, text)


def test_columns_are_read_one_after_another() -> None:
    boxes = [_box(x, y, f"{x}{y}") for y in (100, 85, 70) for x in (0, 130, 260)]
    order = [box for column in from_pdf.reading_order(boxes) for box in column]
    assert [(b.left, b.top) for b in order] == [
        (x, y) for x in (0, 130, 260) for y in (100, 85, 70)
    ]


def test_a_heading_over_one_column_parts_the_page_below_it() -> None:
    above = [_box(x, y, "甲") for x in (0, 130) for y in (200, 185)]
    heading = _box(0, 150, "乙", size=20)
    below = [_box(x, y, "丙") for x in (0, 130) for y in (120, 105)]
    order = [box for column in from_pdf.reading_order([*above, heading, *below]) for box in column]
    assert [box.text for box in order] == ["甲"] * 4 + ["乙"] + ["丙"] * 4


def test_a_hyphen_at_the_end_of_a_line_is_taken_out_of_a_word() -> None:
    column = [_box(0, 100, "The new brid-"), _box(0, 85, "ge is open. It is"), _box(0, 70, "long.")]
    assert from_pdf.paragraphs([column]) == ["The new bridge is open. It is long."]


def test_an_empty_page_has_no_order() -> None:
    assert from_pdf.reading_order([]) == []
