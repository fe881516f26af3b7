"""Answers and articles on Telegram: accepted as Telegram judges, cut to fit, nothing lost."""

import random
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answers import ARTICLE, FILES, REFUSAL, SITES, answer, answers, cite, random_answer
from bot import render, render_telegram
from rag.types import Answer, Citation, Passage
from telegram_judge import MAX_ENTITIES, MAX_UNITS, Refused, judge, judge_rich, units

# --- answers


def test_telegram_shows_each_cited_article_once_with_expandable_quotations() -> None:
    other = replace(ARTICLE, article_id="a2", title="A <b>bold</b> title & more", date="")
    third = cite(other, 3, "“数不清就管不住。”")
    made = answer("Sites [1], files [2], counts [3] <fast>.", SITES, FILES, third)
    (message,) = render_telegram.messages(made)
    assert message.html == (
        "Sites [¹], files [²], counts [³] &lt;fast&gt;.\n\n"
        "<b>浮梁：让老窑火照亮新日子</b>\n2024-03-12 · 人民政协报\n"
        f"<blockquote expandable>[¹] {SITES.quote}</blockquote>\n"
        f"<blockquote expandable>[²] {FILES.quote}</blockquote>\n\n"
        "<b>A &lt;b&gt;bold&lt;/b&gt; title &amp; more</b>\n人民政协报\n"
        "<blockquote expandable>[³] “数不清就管不住。”</blockquote>"
    )
    assert judge(message.html, "HTML").text == message.text


def test_a_quotation_that_is_cited_twice_comes_once_with_both_markers() -> None:
    (message,) = render_telegram.messages(answer("a [1] b [2]", SITES, replace(SITES, n=2)))
    assert message.text.count(SITES.quote) == 1
    assert f"[¹][²] {SITES.quote}" in message.text


def test_a_refusal_is_one_message_without_quotations() -> None:
    (message,) = render_telegram.messages(REFUSAL)
    assert message.html == message.text == "报道中没有提到。"


def test_a_quote_that_is_a_line_of_the_answer_is_quoted_there_and_not_again() -> None:
    text = f"From “{ARTICLE.title}” (2024-03-12):\n“{SITES.quote}” [1]\n“{FILES.quote}” [2]"
    (message,) = render_telegram.messages(answer(text, SITES, FILES))
    assert message.html == (
        f"From “<b>{ARTICLE.title}</b>” (2024-03-12):\n"
        f"<blockquote>“{SITES.quote}” [¹]</blockquote>\n"
        f"<blockquote>“{FILES.quote}” [²]</blockquote>\n\n"
        "[¹][²] 人民政协报"
    )


def test_a_rich_message_has_headings_and_holds_the_same_text() -> None:
    text = f"From “{ARTICLE.title}” (2024-03-12):\n“{SITES.quote}” [1]\nIt says <no> more [2]."
    (message,) = render_telegram.messages(answer(text, SITES, FILES))
    assert message.rich == (
        f"<p>From “<b>{ARTICLE.title}</b>” (2024-03-12):</p>"
        f"<blockquote>“{SITES.quote}” [¹]</blockquote>"
        "<p>It says &lt;no&gt; more [²].</p>"
        f"<h4>{ARTICLE.title}</h4><p>2024-03-12 · 人民政协报</p>"
        f"<blockquote>[²] {FILES.quote}</blockquote>"
    )


def test_a_list_that_is_quoted_in_one_line_keeps_the_lines_of_the_article() -> None:
    article = replace(ARTICLE, text="一是修路。\n二是栽树，见注[7]。\n\n三是办学。")
    line = "一是修路。 二是栽树，见注[7]。 三是办学。"
    made = answer(f"From “{ARTICLE.title}”:\n“{line}” [1]", cite(article, 1, article.text))
    (message,) = render_telegram.messages(made)
    assert f"<blockquote>“{article.text}” [¹]</blockquote>" in message.html
    assert message.text.count("二是栽树") == 1


@pytest.mark.parametrize(("language", "label"), [("en", "Gloss: "), ("zh", "大意：")])
@pytest.mark.parametrize("in_place", [True, False], ids=["in-the-answer", "below"])
def test_a_gloss_stands_under_its_quote(language: str, label: str, in_place: bool) -> None:
    glossed = replace(SITES, gloss="127 sites; 62 have no fence")
    text = f"“{SITES.quote}” [1]" if in_place else "There are 127 [1]."
    (message,) = render_telegram.messages(answer(text, glossed, language=language))
    after = message.html.split("</blockquote>")[1]
    assert after.startswith(f"\n<i>{label}127 sites; 62 have no fence</i>")


def test_a_follow_up_says_what_it_was_taken_for() -> None:
    (message,) = render_telegram.messages(answer("Yes.", understood="is it <so>?"))
    assert message.html == "<i>Understood as: is it &lt;so&gt;?</i>\n\nYes."


def test_what_looks_like_a_marker_in_a_quote_stays_as_it_is() -> None:
    article = replace(ARTICLE, text="见注[1]。")
    (message,) = render_telegram.messages(answer("x [1]", cite(article, 1, article.text)))
    assert message.text.endswith("[¹] 见注[1]。")


def test_an_article_is_paged_under_its_heading_with_nothing_lost() -> None:
    article = replace(ARTICLE, title="长题目" * 200, text="一句话，有点长。" * 1500)
    pages = render_telegram.article_pages(article, with_id=True)
    for page in pages:
        assert judge(page.html, "HTML").text == page.text
        assert units(page.text) <= MAX_UNITS
        assert page.text.split("\n")[1].endswith("· a1")
    text = "".join(page.text.split("\n\n", 1)[1] for page in pages)
    assert text == article.text


def test_passages_come_a_few_on_a_page() -> None:
    passages = [
        Passage(f"p{n}", "a1", f"<{n}>", "引文。" * 700, 0, 2100, "2024-03-12") for n in range(7)
    ]
    pages = render_telegram.passage_pages(passages)
    assert all(judge(page.html, "HTML").text == page.text for page in pages)
    text = "".join(page.text for page in pages)
    assert text.count("引文。") == 4900
    assert all(f"<{n}>" in text for n in range(7))


def test_our_own_words_always_fit_a_message() -> None:
    long = render_telegram.words("No article " + "😀<" * 3000)
    assert long.text.startswith("No article 😀<") and long.text.endswith(" …")
    assert MAX_UNITS - 10 < units(long.text) <= MAX_UNITS


def test_a_preview_is_the_beginning_that_fits() -> None:
    shown = render_telegram.preview("A <b> [1] " + "很长。" * 4000)
    assert shown.text.startswith("A <b> [¹] 很长。")
    assert shown.text.endswith("。 …")
    assert 4000 < units(judge(shown.html, "HTML").text) <= MAX_UNITS
    assert render_telegram.preview(" \n").text == "…"


@pytest.mark.parametrize(
    ("length", "with_heading"),
    [
        pytest.param(4056, True, id="beside-its-heading"),
        pytest.param(4092, False, id="just-alone"),
    ],
)
def test_a_quotation_that_fits_a_message_is_never_cut(length: int, with_heading: bool) -> None:
    article = replace(ARTICLE, text=("一句话。" * 1100)[:length])
    quote = cite(article, 1, article.text)
    messages = render_telegram.messages(answer("甲乙。" * 500 + "[1]", quote))
    assert len(messages) == 2
    assert quote.quote in messages[1].text
    assert (article.title in messages[1].text) is with_heading


def test_paragraphs_that_fit_are_kept_whole() -> None:
    paragraphs = ["甲。" * 400, "乙。" * 1900, "丙。" * 1500]
    texts = [message.text for message in render_telegram.messages(answer("\n\n".join(paragraphs)))]
    assert texts == [paragraphs[0], paragraphs[1], paragraphs[2]]


def test_a_paragraph_that_does_not_fit_is_cut_between_sentences() -> None:
    text = "这是一句完整的话，它有一点长。" * 600
    messages = render_telegram.messages(answer(text))
    assert len(messages) == 3
    assert all(message.text.endswith("。") for message in messages)
    assert "".join(message.text for message in messages) == text


def test_text_without_any_break_is_cut_between_characters_that_people_see() -> None:
    family = "👨\u200d👩\u200d👧"
    text = "é" + family * 1200 + "🇨🇳" * 500
    messages = render_telegram.messages(answer(text))
    assert "".join(message.text for message in messages) == text
    assert all(units(message.text) <= MAX_UNITS for message in messages)
    assert all(message.text.startswith(("é", family, "🇨🇳")) for message in messages)


def test_a_message_holds_no_more_entities_than_telegram_keeps() -> None:
    article = replace(ARTICLE, text="".join(chr(0x4E00 + i) for i in range(300)))
    quotes = [cite(article, n + 1, article.text[n]) for n in range(300)]
    messages = render_telegram.messages(answer("x", *quotes))
    counts = [len(judge(message.html, "HTML").entities) for message in messages]
    assert max(counts) <= MAX_ENTITIES
    assert sum(counts) == 301


# --- random answers


def _unsplit(made: Answer) -> str:
    """All that a reader must get, put together here without the code under test."""
    text = render.harmless(made.answer).strip()
    lines, parts, shown = f"\n{text}\n", [text, made.note], set()
    for each in made.citations:
        quote = render.harmless(each.quote).strip()
        if quote and f"\n“{quote}” [{each.n}]\n" in lines:
            shown.add((each.article_id, each.start, each.end))
    for key in dict.fromkeys(each.article_id for each in made.citations):
        mine = [each for each in made.citations if each.article_id == key]
        spans = list(dict.fromkeys((each.start, each.end) for each in mine))
        marks = ["".join(f"[{c.n}]" for c in mine if (c.start, c.end) == span) for span in spans]
        left = [n for n, span in enumerate(spans) if (key, *span) not in shown]
        place = " · ".join(filter(None, (mine[0].date, mine[0].source)))
        if not left and render.one_line(mine[0].title) in text:
            rest = [each for each in (mine[0].date, mine[0].source) if each]
            rest = [each for each in rest if each != mine[0].date or each not in text]
            parts += [*marks, " · ".join(rest)] if rest else []
            continue
        parts += [mine[0].title, place]
        parts += [marks[n] + _quote(mine, spans[n]) for n in left]
    label = f"Understood as: {made.understood}" if made.understood else ""
    return render.harmless("\n".join([label, *parts]))


def _quote(citations: list[Citation], span: tuple[int, int]) -> str:
    return next(each.quote for each in citations if (each.start, each.end) == span)


def _letters(text: str) -> str:
    """The text without whitespace, glosses and the raised signs of markers."""
    back = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
    return "".join(text.translate(back).split()).replace("Gloss:A<gloss>.", "")


def _check(made: Answer) -> None:
    """Accepted, nothing lost, nothing added, whitespace lost at seams only."""
    messages = render_telegram.messages(made)
    for message in messages:
        parsed = judge(message.html, "HTML")
        assert units(message.text) <= MAX_UNITS
        assert parsed.text == judge(message.text).text
        assert message.text == message.text.strip()
        rich = "\n".join(judge_rich({"html": message.rich}))
        assert rich.split() == message.text.split()
    assert _letters("".join(message.text for message in messages)) == _letters(_unsplit(made))
    unbroken = "".join(message.text for message in render_telegram.messages(made, 10**9))
    position = 0
    for message in messages:
        found = unbroken.index(message.text, position)
        assert not unbroken[position:found].strip()
        position = found + len(message.text)
    assert position == len(unbroken)


@given(made=answers())
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_telegram_accepts_any_answer_and_nothing_of_it_is_lost(made: Answer) -> None:
    _check(made)


@pytest.mark.slow
def test_telegram_accepts_ten_thousand_random_answers_and_nothing_of_them_is_lost() -> None:
    dice = random.Random(5)
    for _ in range(10_000):
        _check(random_answer(dice))


@given(made=answers(), max_units=st.integers(60, 400))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_splitting_is_right_at_any_size(made: Answer, max_units: int) -> None:
    messages = render_telegram.messages(made, max_units)
    assert all(units(message.text) <= max_units for message in messages)
    assert _letters("".join(message.text for message in messages)) == _letters(_unsplit(made))


# --- the judge itself, since the rest leans on it


@pytest.mark.parametrize(
    ("markup", "reason"),
    [
        pytest.param("<h1>x</h1>", "unsupported start tag", id="unknown-tag"),
        pytest.param("<b>x", "can't find end tag", id="never-closed"),
        pytest.param("<b>x<i>y</b></i>", "unmatched end tag", id="crossed"),
        pytest.param("x</b>", "unexpected end tag", id="never-opened"),
        pytest.param("a < b", "unclosed start tag", id="bare-less-than"),
        pytest.param(
            "<blockquote>a<blockquote>b</blockquote></blockquote>", "nested", id="nested-quotations"
        ),
        pytest.param("<b>  \n </b>", "message text is empty", id="empty"),
        pytest.param("x" * 4097, "message is too long", id="too-long"),
        pytest.param("😀" * 2049, "message is too long", id="too-long-in-utf-16"),
    ],
)
def test_the_judge_refuses_what_telegram_refuses(markup: str, reason: str) -> None:
    with pytest.raises(Refused, match=re.escape(reason)) as caught:
        judge(markup, "HTML")
    assert caught.value.code == 400


@pytest.mark.parametrize(
    "markup",
    ["", "bare", "<p>x", "<p>x</b>", "<pre>x</pre>", "<p><p>x</p></p>", "<p class=y>x</p>"],
)
def test_the_judge_refuses_a_rich_message_of_other_shape(markup: str) -> None:
    with pytest.raises(Refused):
        judge_rich({"html": markup})


def test_the_judge_counts_after_parsing_and_in_utf_16() -> None:
    parsed = judge(
        " <b>&lt;&amp;&quot;&#x1F600;</b>&nbsp; <blockquote expandable>q</blockquote>", "HTML"
    )
    assert parsed.text == '<&"😀&nbsp; q'
    assert parsed.entities == (
        {"type": "bold", "offset": 0, "length": 5},
        {"type": "expandable_blockquote", "offset": 12, "length": 1},
    )
    assert judge("<b>" + "&amp;" * 4096 + "</b>", "HTML").text == "&" * 4096
    assert judge("a < b & c").text == "a < b & c"
