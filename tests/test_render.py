"""Answers as the doors show them: JSON by the contract, text that fits, nothing lost."""

import io
import json
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from bot import render
from fake_telegram import MAX_ENTITIES, MAX_UNITS, Refused, judge, units
from rag.types import Answer, Article, Citation, Fragment, Hit, Passage

ARTICLE = Article(
    article_id="a1",
    title="浮梁：让老窑火照亮新日子",
    text="清晨六点，瑶河上的雾还没散。全县登记在册的古窑址有127处，其中62处没有围栏。\n"
    "县政协建议给每一处窑址建一份档案。“数不清就管不住。”汪若兰说。",
    subtitle="古窑址保护利用纪事",
    byline="本报记者 方晓棠",
    date="2024-03-12",
    source="人民政协报",
    path="p01.txt",
    fragments=(Fragment(10, 60), Fragment(90, 120)),
)


def cite(article: Article, n: int, quote: str) -> Citation:
    start = article.text.index(quote)
    return Citation(
        n=n,
        article_id=article.article_id,
        title=article.title,
        date=article.date,
        source=article.source,
        quote=quote,
        start=start,
        end=start + len(quote),
        answer_spans=((0, 12),),
        score=0.75,
    )


def answer(text: str, *citations: Citation, **more: object) -> Answer:
    plain = re.sub(r"\s*\[\d+\]", "", text)
    made = Answer("?", "en", text, plain, False, None, 0.9, "extractive", "extractive", citations)
    return replace(made, **more)  # type: ignore[arg-type]


SITES = cite(ARTICLE, 1, "全县登记在册的古窑址有127处，其中62处没有围栏。")
FILES = cite(ARTICLE, 2, "县政协建议给每一处窑址建一份档案。")
ANSWER = answer("There are 127 kiln sites [1]; each gets a file [2].", SITES, FILES)
REFUSAL = answer("报道中没有提到。", abstained=True, reason="not_in_articles", language="zh")


# --- JSON


def test_json_has_the_keys_of_the_contract_and_no_other() -> None:
    passage = Passage("a1:0", "a1", ARTICLE.title, ARTICLE.text[:14], 0, 14)
    made = render.to_json(replace(ANSWER, passages=(Hit(passage, 0.5),), timings_ms={"total": 3}))
    assert list(made) == [
        *("question", "language", "answer", "answer_plain", "abstained", "reason", "confidence"),
        *("mode", "model", "citations", "passages", "timings_ms", "note", "understood"),
    ]
    assert json.loads(json.dumps(made))["citations"][0] == {
        "n": 1,
        "article_id": "a1",
        "title": ARTICLE.title,
        "date": "2024-03-12",
        "source": "人民政协报",
        "quote": SITES.quote,
        "start": SITES.start,
        "end": SITES.end,
        "answer_spans": [[0, 12]],
        "verified": True,
        "score": 0.75,
        "gloss": "",
    }
    assert made["passages"] == [
        {
            "passage_id": "a1:0",
            "article_id": "a1",
            "title": ARTICLE.title,
            "text": ARTICLE.text[:14],
            "start": 0,
            "end": 14,
            "score": 0.5,
        }
    ]
    assert made["timings_ms"] == {"embed": 0.0, "search": 0.0, "answer": 0.0, "total": 3.0}


def test_an_article_in_a_list_has_all_but_its_text() -> None:
    whole = render.article_json(ARTICLE, with_text=True)
    assert list(whole) == [
        *("article_id", "title", "subtitle", "byline", "date", "source", "text", "fragments"),
        *("path", "also_in"),
    ]
    assert whole["fragments"] == [{"start": 10, "end": 60}, {"start": 90, "end": 120}]
    listed = render.article_json(ARTICLE, with_text=False)
    assert listed == {key: value for key, value in whole.items() if key != "text"}


# --- harmless


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("a\x1b[31mred", "a[31mred", id="terminal-escape"),
        pytest.param("user\u202egpj.exe", "usergpj.exe", id="bidi-override"),
        pytest.param("雁\u200b塔\ufeff\u2060", "雁塔", id="zero-width"),
        pytest.param("hid\U000e0041den", "hidden", id="tag-characters"),
        pytest.param("a\r\nb\rc\u2028d\te", "a\nb\nc\nd e", id="line-ends-and-tabs"),
        pytest.param("👨\u200d👩\u200d👧 ❤\ufe0f", "👨\u200d👩\u200d👧 ❤\ufe0f", id="emoji-stay"),
        pytest.param("a\u200db", "ab", id="joiner-elsewhere"),
        pytest.param("x\ud800y", "x\ufffdy", id="lone-surrogate"),
        pytest.param("张  三《报》“a”—…", "张  三《报》“a”—…", id="nothing-visible-changes"),
    ],
)
def test_what_steers_or_hides_is_taken_out(raw: str, shown: str) -> None:
    assert render.harmless(raw) == shown


# --- plain and terminal


def shown(made: Answer, width: int, colour: bool = False) -> str:
    out = io.StringIO()
    system = "truecolor" if colour else None
    Console(file=out, width=width, force_terminal=colour, color_system=system).print(  # type: ignore[arg-type]
        render.terminal(made)
    )
    return out.getvalue()


def test_plain_text_lists_each_article_once_with_its_quotes() -> None:
    assert render.plain(ANSWER) == (
        "There are 127 kiln sites [1]; each gets a file [2].\n\n"
        "浮梁：让老窑火照亮新日子 · 2024-03-12 · 人民政协报\n"
        "[1] 全县登记在册的古窑址有127处，其中62处没有围栏。\n"
        "[2] 县政协建议给每一处窑址建一份档案。"
    )


def test_the_terminal_shows_answer_then_sources_with_their_quotes() -> None:
    assert shown(ANSWER, 80) == (
        "There are 127 kiln sites [1]; each gets a file [2].\n\n"
        "浮梁：让老窑火照亮新日子 · 2024-03-12 · 人民政协报\n"
        "  [1] 全县登记在册的古窑址有127处，其中62处没有围栏。\n"
        "  [2] 县政协建议给每一处窑址建一份档案。\n"
    )


@pytest.mark.parametrize("width", [12, 20, 33, 47, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(width: int) -> None:
    text = shown(replace(ANSWER, note="The language model was away."), width)
    lines = text.splitlines()
    assert max(cell_len(line) for line in lines) <= width
    assert not any(re.match(r"\s*[，。；！？”]", line) for line in lines)
    for part in (ANSWER.answer, SITES.quote, FILES.quote, "The language model was away."):
        assert "".join(part.split()) in "".join(text.split())


def test_a_refusal_looks_different_even_without_colour() -> None:
    assert shown(REFUSAL, 60) == "✗ 报道中没有提到。\n"
    assert "\x1b[33m" in shown(REFUSAL, 60, colour=True)


def test_a_quote_cannot_steer_the_terminal() -> None:
    article = replace(ARTICLE, text="前\x1b]0;owned\x07\x1b[2J后[red]。", title="t\x1b[1m")
    text = shown(answer("x [1]", cite(article, 1, article.text)), 60)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]" in text


# --- Telegram


def test_telegram_shows_each_cited_article_once_with_expandable_quotations() -> None:
    other = replace(ARTICLE, article_id="a2", title="A <b>bold</b> title & more", date="")
    third = cite(other, 3, "“数不清就管不住。”")
    made = answer("Sites [1], files [2], counts [3] <fast>.", SITES, FILES, third)
    (message,) = render.telegram(made)
    assert message.html == (
        "Sites [1], files [2], counts [3] &lt;fast&gt;.\n\n"
        "<b>浮梁：让老窑火照亮新日子</b>\n2024-03-12 · 人民政协报\n"
        f"<blockquote expandable>[1] {SITES.quote}</blockquote>\n"
        f"<blockquote expandable>[2] {FILES.quote}</blockquote>\n\n"
        "<b>A &lt;b&gt;bold&lt;/b&gt; title &amp; more</b>\n人民政协报\n"
        "<blockquote expandable>[3] “数不清就管不住。”</blockquote>"
    )
    assert judge(message.html, "HTML").text == message.text


def test_a_quotation_that_is_cited_twice_comes_once_with_both_markers() -> None:
    (message,) = render.telegram(answer("a [1] b [2]", SITES, replace(SITES, n=2)))
    assert message.text.count(SITES.quote) == 1
    assert f"[1][2] {SITES.quote}" in message.text


def test_a_refusal_is_one_message_without_quotations() -> None:
    (message,) = render.telegram(REFUSAL)
    assert message.html == message.text == "报道中没有提到。"


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
    messages = render.telegram(answer("甲乙。" * 500 + "[1]", quote))
    assert len(messages) == 2
    assert quote.quote in messages[1].text
    assert (article.title in messages[1].text) is with_heading


def test_paragraphs_that_fit_are_kept_whole() -> None:
    paragraphs = ["甲。" * 400, "乙。" * 1900, "丙。" * 1500]
    texts = [message.text for message in render.telegram(answer("\n\n".join(paragraphs)))]
    assert texts == [paragraphs[0], paragraphs[1], paragraphs[2]]


def test_a_paragraph_that_does_not_fit_is_cut_between_sentences() -> None:
    text = "这是一句完整的话，它有一点长。" * 600
    messages = render.telegram(answer(text))
    assert len(messages) == 3
    assert all(message.text.endswith("。") for message in messages)
    assert "".join(message.text for message in messages) == text


def test_text_without_any_break_is_cut_between_characters_that_people_see() -> None:
    family = "👨\u200d👩\u200d👧"
    text = "é" + family * 1200 + "🇨🇳" * 500
    messages = render.telegram(answer(text))
    assert "".join(message.text for message in messages) == text
    assert all(units(message.text) <= MAX_UNITS for message in messages)
    assert all(message.text.startswith(("é", family, "🇨🇳")) for message in messages)


def test_a_message_holds_no_more_entities_than_telegram_keeps() -> None:
    article = replace(ARTICLE, text="".join(chr(0x4E00 + i) for i in range(300)))
    quotes = [cite(article, n + 1, article.text[n]) for n in range(300)]
    messages = render.telegram(answer("x", *quotes))
    counts = [len(judge(message.html, "HTML").entities) for message in messages]
    assert max(counts) <= MAX_ENTITIES
    assert sum(counts) == 301


# Random answers. Texts mix what breaks splitters: scripts, emoji, markup, marks, long runs.
_WORDS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            *(
                "雁塔区政协。",
                "“少跑腿”，",
                "a sentence. ",
                "<b>",
                "</blockquote>",
                "&amp;",
                "&lt;",
            ),
            *(
                "👨\u200d👩\u200d👧",
                "🇨🇳",
                "e\u0301",
                "\u202e",
                "\u200b",
                "[12]",
                "[1]",
                "\n",
                "\n\n",
            ),
            *(
                "x" * 500,
                "长" * 900,
                "𠮷" * 700,
                " " * 40,
                "？！”",
                "<a href='tg://x'>",
                "\x00\x1b",
            ),
        ]
    ),
)


@st.composite
def _texts(draw: st.DrawFn, parts: int) -> str:
    return "".join(draw(st.lists(_WORDS, max_size=parts))) * draw(st.sampled_from([1, 1, 2, 9]))


@st.composite
def _answers(draw: st.DrawFn) -> Answer:
    articles = [
        Article(
            article_id=f"a{i}",
            title=draw(_texts(3)),
            text="始" + draw(_texts(12)) + "终",
            date=draw(st.sampled_from(["", "2024-03-12"])),
            source=draw(st.sampled_from(["", "page.txt", "<人民>报 & Co"])),
        )
        for i in range(draw(st.integers(0, 3)))
    ]
    citations = []
    for n in range(1, draw(st.integers(0, 6)) + 1 if articles else 1):
        article = draw(st.sampled_from(articles))
        start = draw(st.integers(0, len(article.text) - 1))
        end = draw(st.integers(start + 1, len(article.text)))
        citations.append(replace(cite(article, n, "始"), start=start, end=end))
        citations[-1] = replace(citations[-1], quote=article.text[start:end])
    note = draw(st.sampled_from(["", "", "The model was <away>."]))
    return answer("An answer. " + draw(_texts(12)), *citations, note=note)


def _unsplit(made: Answer) -> str:
    """All that a reader must get, put together here without the code under test."""
    parts = [made.answer, made.note]
    for key in dict.fromkeys(each.article_id for each in made.citations):
        mine = [each for each in made.citations if each.article_id == key]
        parts += [mine[0].title, " · ".join(filter(None, (mine[0].date, mine[0].source)))]
        for span in dict.fromkeys((each.start, each.end) for each in mine):
            same = [each for each in mine if (each.start, each.end) == span]
            parts += ["".join(f"[{each.n}]" for each in same), same[0].quote]
    return render.harmless("\n".join(parts))


def _letters(text: str) -> str:
    return "".join(text.split())


@given(made=_answers())
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_telegram_accepts_any_answer_and_nothing_of_it_is_lost(made: Answer) -> None:
    messages = render.telegram(made)
    for message in messages:
        parsed = judge(message.html, "HTML")
        assert units(message.text) <= MAX_UNITS
        assert parsed.text == judge(message.text).text
        assert message.text == message.text.strip()
        assert all(entity["type"] != "blockquote" for entity in parsed.entities)
    assert _letters("".join(message.text for message in messages)) == _letters(_unsplit(made))
    unbroken = "".join(message.text for message in render.telegram(made, max_units=10**9))
    position = 0
    for message in messages:  # seams are whitespace, and whitespace is lost nowhere else
        found = unbroken.index(message.text, position)
        assert not unbroken[position:found].strip()
        position = found + len(message.text)
    assert position == len(unbroken)


@given(made=_answers(), max_units=st.integers(60, 400))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_splitting_is_right_at_any_size(made: Answer, max_units: int) -> None:
    messages = render.telegram(made, max_units)
    assert all(units(message.text) <= max_units for message in messages)
    assert _letters("".join(message.text for message in messages)) == _letters(_unsplit(made))


@given(text=_texts(6), width=st.integers(8, 60))
@settings(max_examples=200, deadline=None)
def test_wrapping_keeps_to_the_width_and_loses_no_character(text: str, width: int) -> None:
    text = render.harmless(text)
    lines = render.wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= width for line in lines)


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
