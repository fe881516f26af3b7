"""Every answer is put together here: what it quotes is there, what is marked is cited."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import render, render_telegram
from rag import citations, evaluate
from rag.citations import Assembly, Cited, Line, Support
from rag.types import Answer, Article, Citation

FERRY = Article(
    "ferry",
    "海岛来了“公交船”",
    "渡船每天六班。[1]票价三元。\n岛上的医生说：“夜里也要有船。”",
    date="2022-11-24",
    source="p04.txt",
)
MILLET = Article("millet", "小米香飘更远", "合作社有社员210户。亩产提高两成。")
ARTICLES = {article.article_id: article for article in (FERRY, MILLET)}


def support(article: Article, quote: str, score: float = 0.5) -> Support:
    start = article.text.index(quote)
    return Support(article.article_id, start, start + len(quote), score)


def answer_of(cited: Cited) -> Answer:
    return Answer(
        question="?",
        language="zh",
        answer=cited.text,
        answer_plain=cited.plain,
        abstained=not cited.citations,
        reason=None if cited.citations else "not_in_articles",
        confidence=0.5,
        mode="extractive",
        model="extractive",
        citations=cited.citations,
    )


FARE = support(FERRY, "票价三元。", 0.91237)
NIGHT = support(FERRY, "夜里也要有船。", 0.4)
YIELD = support(MILLET, "亩产提高两成。", 0.7)
WRONG = [
    pytest.param(Support("gone", 0, 3, 0.5), id="an article that isn't there"),
    pytest.param(Support("ferry", 3, 3, 0.5), id="nothing"),
    pytest.param(Support("ferry", 5, 2, 0.5), id="backwards"),
    pytest.param(Support("ferry", -4, -1, 0.5), id="counted from the end"),
    pytest.param(Support("ferry", 0, 10_000, 0.5), id="beyond the end"),
]


def test_supports_are_numbered_in_the_order_of_their_first_use() -> None:
    cited = citations.assemble(
        [Line("甲", (NIGHT, YIELD)), Line("乙", (FARE,)), Line("丙", (YIELD,))], ARTICLES
    )
    assert cited.text == "甲 [1][2]\n乙 [3]\n丙 [2]"
    assert cited.plain == "甲\n乙\n丙"
    assert [c.quote for c in cited.citations] == ["夜里也要有船。", "亩产提高两成。", "票价三元。"]
    assert [c.n for c in cited.citations] == [1, 2, 3]


def test_a_citation_carries_what_its_article_says_of_itself() -> None:
    (citation,) = citations.assemble([Line("甲", (FARE,))], ARTICLES).citations
    assert citation == Citation(
        n=1,
        article_id="ferry",
        title="海岛来了“公交船”",
        date="2022-11-24",
        source="p04.txt",
        quote="票价三元。",
        start=10,
        end=15,
        answer_spans=((0, 1),),
        score=0.9124,
    )


def test_answer_spans_are_all_lines_that_a_quote_supports() -> None:
    cited = citations.assemble(
        [Line("据某报："), Line("三元一张", (FARE,)), Line("很便宜", (FARE,))], ARTICLES
    )
    (citation,) = cited.citations
    assert [cited.text[a:b] for a, b in citation.answer_spans] == ["三元一张", "很便宜"]


def test_a_line_that_names_a_support_twice_is_marked_once() -> None:
    cited = citations.assemble([Line("甲", (FARE, replace(FARE, score=0.1), FARE))], ARTICLES)
    assert cited.text == "甲 [1]"
    (citation,) = cited.citations
    assert (citation.score, citation.answer_spans) == (0.9124, ((0, 1),))


@pytest.mark.parametrize("wrong", WRONG)
def test_a_line_with_only_false_supports_is_left_out(wrong: Support) -> None:
    cited = citations.assemble([Line("假", (wrong,)), Line("真", (wrong, FARE))], ARTICLES)
    assert cited.text == "真 [1]"


@pytest.mark.parametrize("wrong", WRONG)
def test_nothing_is_left_where_no_line_has_a_true_support(wrong: Support) -> None:
    assert citations.assemble([Line("据："), Line("假", (wrong,))], ARTICLES) == Cited("", "", ())


def test_a_frame_stays_only_before_a_line_that_it_frames() -> None:
    false = Support("gone", 0, 1, 0.5)
    lines = [
        Line("据甲："),
        Line("假", (false,)),
        Line("据乙："),
        Line("假", (false,)),
        Line("真", (FARE,)),
        Line("据丙："),
    ]
    assert citations.assemble(lines, ARTICLES).plain == "据乙：\n真"


def test_what_looks_like_a_marker_in_an_article_is_none_of_ours() -> None:
    cited = citations.assemble([Line("渡船每天六班。[1]又见[２]", (FARE,))], ARTICLES)
    assert cited.text == "渡船每天六班。［1］又见［２］ [1]"
    assert citations.faults(answer_of(cited), ARTICLES) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1]", "［1］"),
        ("a[12]b[3]", "a［12］b［3］"),
        ("[[4]]", "[［4］]"),
        ("[a] [ 1 ] 【1】 (1)", "[a] [ 1 ] 【1】 (1)"),
        ("![x](http://e.example)", "![x］(http://e.example)"),
        ("[x][y] [z]: http://e.example", "[x］[y] [z］: http://e.example"),
        ("<b>5 < 6</b> <!-- --> <?x?>", "‹b>5 < 6‹/b> ‹!-- --> ‹?x?>"),
        ("", ""),
    ],
)
def test_what_would_be_a_marker_or_markup_is_disarmed(text: str, expected: str) -> None:
    assert citations.unmarked(text) == expected


GOOD = answer_of(citations.assemble([Line("甲", (FARE,)), Line("乙", (YIELD,))], ARTICLES))
FIRST, SECOND = GOOD.citations


def test_an_answer_that_keeps_its_promises_has_no_faults() -> None:
    assert citations.faults(GOOD, ARTICLES) == []


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (replace(GOOD, citations=(FIRST,)), "marker 2 has no citation"),
        (replace(GOOD, answer="甲 [1]"), "citation 2 has no marker"),
        (replace(GOOD, citations=(FIRST, replace(SECOND, quote="亩产"))), "citation 2 isn't"),
        (replace(GOOD, citations=(FIRST, replace(SECOND, article_id="x"))), "citation 2 isn't"),
        (
            replace(GOOD, citations=(FIRST, replace(SECOND, start=2, end=2, quote=""))),
            "citation 2 isn't",
        ),
        (
            replace(GOOD, citations=(FIRST, replace(SECOND, start=-7, end=-1, quote="产提高两成"))),
            "citation 2 isn't",
        ),
        (replace(GOOD, citations=(FIRST, replace(SECOND, n=1))), "same number"),
        (replace(GOOD, answer="甲", citations=()), "without a citation"),
        (replace(GOOD, abstained=True, reason="off_topic"), "refusal"),
        (replace(GOOD, answer="不", citations=(), abstained=True), "refusal"),
    ],
)
def test_every_broken_promise_is_a_fault(broken: Answer, fault: str) -> None:
    assert any(fault in each for each in citations.faults(broken, ARTICLES))


# --- whatever articles say and drafts hold --------------------------------------------------------

PIECES = [
    "[1]",
    "[2]",
    "［1］",
    "【3】",
    "[",
    "]",
    "1",
    "。",
    "\n",
    "雁塔区",
    " ",
    "𠮷",
    "\u200b",
    "[٣]",
]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)


@st.composite
def drafts(draw: st.DrawFn) -> tuple[dict[str, Article], list[Line]]:
    bodies = draw(st.lists(texts.filter(bool), min_size=1, max_size=3))
    articles = {f"a{i}": Article(f"a{i}", draw(texts), text) for i, text in enumerate(bodies)}
    places = st.integers(-3, 40)
    supports = st.builds(
        Support, st.sampled_from([*articles, "gone"]), places, places, st.floats(0, 1)
    )
    lines = st.builds(Line, texts, st.lists(supports, max_size=4).map(tuple))
    return articles, draw(st.lists(lines, max_size=6))


@given(drafts())
def test_every_answer_keeps_the_promises_of_the_interface(
    draft: tuple[dict[str, Article], list[Line]],
) -> None:
    articles, lines = draft
    answer = answer_of(citations.assemble(lines, articles))
    assert citations.faults(answer, articles) == []
    assert evaluate.kept_promises(answer, articles).problems == ()
    assert [c.n for c in answer.citations] == list(range(1, len(answer.citations) + 1))
    assert not re.search(r"\[\d+\]", answer.answer_plain)


@given(drafts())
def test_the_pieces_of_an_answer_make_it_up(
    draft: tuple[dict[str, Article], list[Line]],
) -> None:
    articles, lines = draft
    assembly = Assembly(articles)
    text, cited = "", list[Citation]()
    for line in lines:
        if piece := assembly.add(line):
            text += piece.text
            cited += piece.citations
            marked = {int(n) for n in re.findall(r"\[(\d+)\]", text)}
            assert marked == {citation.n for citation in cited}
    whole = assembly.cited()
    assert whole == citations.assemble(lines, articles)
    assert whole.text == text
    assert [(c.n, c.quote) for c in cited] == [(c.n, c.quote) for c in whole.citations]


@given(drafts())
def test_every_answer_span_is_a_line_that_its_quote_supports(
    draft: tuple[dict[str, Article], list[Line]],
) -> None:
    articles, lines = draft
    cited = citations.assemble(lines, articles)
    for citation in cited.citations:
        place = (citation.article_id, citation.start, citation.end)
        said = [citations.unmarked(line.text) for line in lines if place in _places(line.supports)]
        assert [cited.text[a:b] for a, b in citation.answer_spans] == said
        for _, end in citation.answer_spans:
            markers = re.match(r" ((?:\[\d+\])+)(?:\n|$)", cited.text[end:])
            assert markers
            assert f"[{citation.n}]" in markers[1]


def _places(supports: Sequence[Support]) -> list[tuple[str, int, int]]:
    return [(s.article_id, s.start, s.end) for s in supports]


@given(drafts())
def test_every_answer_can_be_shown_on_every_door(
    draft: tuple[dict[str, Article], list[Line]],
) -> None:
    articles, lines = draft
    answer = answer_of(citations.assemble(lines, articles))
    cited = render.to_json(answer)["citations"]
    assert isinstance(cited, list)
    assert len(cited) == len(answer.citations)
    shown = "\n".join(message.text for message in render_telegram.messages(answer))
    for citation in answer.citations:
        assert render_telegram.marked(f"[{citation.n}]") in shown
