"""Checks the sample: articles, pages and questions against each other. Run with: python check.py"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

from build_pages import ENCODINGS, HERE, layouts

from pagemaker import Layout, Line, PageArticle, Part, fragments, lay_out, mid_sentence_offsets

Row = dict[str, Any]

KINDS = frozenset(
    [
        "who",
        "when",
        "where",
        "how_many",
        "which",
        "list",
        "why",
        "definition",
        "yes_no",
        "proposal",
        "pinyin",
        "two_article",
        "cross",
        "unanswerable",
        "near_miss",
    ]
)
UNANSWERABLE_KINDS = frozenset({"unanswerable", "near_miss"})
ARTICLE_KEYS = ["page", "title", "subtitle", "byline", "date", "text"]
QUESTION_KEYS = [
    "id",
    "question",
    "lang",
    "answerable",
    "answers",
    "evidence",
    "passage_ids",
    "kind",
]
HALVES = ("tune", "test")


def read_rows(name: str) -> list[Row]:
    """The JSON objects of a file beside this one, one a line."""
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


def check_articles(articles: Sequence[Row], pages: dict[str, str]) -> None:
    """Keys, lengths, and dates that stand on the article's own page."""
    assert len(articles) >= 26
    assert len({article["title"] for article in articles}) == len(articles)
    for article in articles:
        assert list(article) == ARTICLE_KEYS, article["title"]
        assert 250 <= len(article["text"]) <= 1800, (article["title"], len(article["text"]))
        assert all(line and line == line.strip() for line in article["text"].split("\n"))
        if article["date"]:
            day = date.fromisoformat(article["date"])
            written = f"{day.year}年{day.month}月{day.day}日"
            assert written in pages[article["page"]], article["title"]
    assert sum(not article["byline"] for article in articles) >= 6
    assert sum(not article["date"] for article in articles) >= 6
    assert any(re.search(r"[？?]$", article["title"]) for article in articles)
    assert any("《" in article["title"] for article in articles)
    assert any(re.search(r"^\w{2,3}[：:]", article["title"]) for article in articles)


def check_pages(
    pages: dict[str, str], laid_out: dict[str, tuple[list[PageArticle], Layout]]
) -> None:
    """The files are what build_pages makes, and hold the disorders that the sample promises."""
    assert len(pages) >= 7
    cuts = headers = displaced = 0
    tail_first = tail_later = tail_by_header = False
    for name, (articles, layout) in laid_out.items():
        page = lay_out(articles, layout)
        assert pages[name] == page, f"{name} is not what build_pages writes: run it again"
        assert 3 <= len(articles) <= 5, name
        for article, ranges in zip(articles, fragments(articles, layout), strict=True):
            pieces = "".join(page[start:end] for start, end in ranges)
            assert _bare(pieces) == _bare(article.text), article.title
            displaced += any(right[0] < left[1] for left, right in pairwise(ranges))
        lines = [item for item in layout.items if isinstance(item, Line)]
        headers += sum(_is_column_header(line) for line in lines)
        for position, item in enumerate(layout.items):
            if not isinstance(item, Part):
                continue
            text = articles[item.article].text
            inside = [*item.cuts, *([item.start] if item.start else [])]
            assert set(inside) <= set(mid_sentence_offsets(text)), (name, inside)
            cuts += len(item.cuts)
            if item.start:
                heads = [i for i, other in enumerate(layout.items) if _is_head(other, item.article)]
                tail_first |= position < heads[0]
                tail_later |= position > heads[0] + 1
                beside = layout.items[max(position - 1, 0) : position + 2]
                tail_by_header |= any(_is_column_header(other) for other in beside)
    assert cuts >= 12, cuts
    assert headers >= 6, headers
    assert tail_first and tail_later and tail_by_header
    assert any("\n" in block for page in pages.values() for block in page.strip().split("\n\n"))
    assert set(ENCODINGS.values()) == {"gb18030", "utf-8-sig"}
    assert (HERE / "pages" / "p06.txt").read_bytes().startswith(b"\xef\xbb\xbf")
    print(f"{len(pages)} pages, {cuts} cuts, {headers} headers, {displaced} tails above heads")


def check_question(row: Row, articles: Sequence[Row]) -> set[str]:
    """One question's keys and values; the titles of the articles that hold its evidence."""
    assert list(row) == QUESTION_KEYS, row["id"]
    assert row["lang"] in ("zh", "en") and row["kind"] in KINDS, row["id"]
    assert bool(re.search(r"[\u4e00-\u9fff]", row["question"])) == (row["lang"] == "zh"), row["id"]
    assert row["passage_ids"] == [], row["id"]
    assert row["answerable"] == (row["kind"] not in UNANSWERABLE_KINDS), row["id"]
    assert bool(row["answers"]) == bool(row["evidence"]) == row["answerable"], row["id"]
    titles = set()
    for span in row["evidence"]:
        holders = [article["title"] for article in articles if span in article["text"]]
        assert len(holders) == 1, (row["id"], span, holders)
        assert "\n" not in span and 4 <= len(span) <= 120, (row["id"], span)
        titles.add(holders[0])
    for entry in row["answers"]:
        alternatives = entry.split("|")
        assert any(words in span for words in alternatives for span in row["evidence"]), row["id"]
        assert all(len(words) >= 2 for words in alternatives), row["id"]
    articles_asked = {"two_article": 2, "unanswerable": 0, "near_miss": 0}.get(row["kind"], 1)
    assert len(titles) == articles_asked, row["id"]
    return titles


def check_questions(articles: Sequence[Row]) -> None:
    """Both files: counts by language and kind, the same mix, no article asked about in both."""
    halves = {half: read_rows(f"questions.{half}.jsonl") for half in HALVES}
    asked: dict[str, set[str]] = {}
    for half, rows in halves.items():
        assert [row["id"] for row in rows] == [f"s-{half}-{n:03}" for n in range(1, len(rows) + 1)]
        asked[half] = set().union(*(check_question(row, articles) for row in rows))
        print(f"{half}: {len(rows)} questions about {len(asked[half])} articles", _mix(rows))
    assert not asked["tune"] & asked["test"]
    assert asked["tune"] | asked["test"] == {article["title"] for article in articles}
    both = [row for rows in halves.values() for row in rows]
    assert len({row["question"] for row in both}) == len(both) >= 172
    assert sum(row["answerable"] for row in both) >= 140
    refused = [row for row in both if not row["answerable"]]
    assert len(refused) >= 32
    assert 0.4 <= sum(row["kind"] == "near_miss" for row in refused) / len(refused) <= 0.6
    assert {row["kind"] for row in both} == KINDS
    assert sum(row["kind"] == "pinyin" and row["lang"] == "en" for row in both) >= 24
    assert sum(row["kind"] == "two_article" for row in both) >= 12
    tune, test = (Counter((row["lang"], row["kind"]) for row in halves[half]) for half in HALVES)
    assert all(abs(tune[key] - test[key]) <= 1 for key in tune | test), (tune, test)
    for rows in halves.values():
        assert sum(row["lang"] == "en" for row in rows) * 2 == len(rows)


def _mix(rows: Iterable[Row]) -> dict[str, int]:
    return dict(Counter(f"{row['lang']} {row['kind']}" for row in rows).most_common())


def _is_column_header(item: object) -> bool:
    """A line that is neither a date nor a page number nor the page's editors."""
    return isinstance(item, Line) and not re.search(r"\d|编辑", item.text)


def _is_head(item: object, article: int) -> bool:
    return isinstance(item, Part) and item.article == article and item.start == 0


def _bare(text: str) -> str:
    return re.sub(r"\s", "", text)


def check() -> None:
    """Passes, or stops at the first thing that is wrong."""
    laid_out = layouts()
    pages = {
        name: (HERE / "pages" / name).read_text(encoding=ENCODINGS.get(name, "utf-8"))
        for name in laid_out
    }
    articles = read_rows("articles.jsonl")
    check_articles(articles, pages)
    check_pages(pages, laid_out)
    check_questions(articles)
    print(f"{len(articles)} articles, {sum(len(a['text']) for a in articles)} characters: all good")


if __name__ == "__main__":
    check()
