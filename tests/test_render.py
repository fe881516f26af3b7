"""Answers as the doors show them: JSON by the contract, text that fits, nothing lost."""

import io
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from answers import ANSWER, ARTICLE, FILES, REFUSAL, SITES, answer, cite, texts
from bot import render
from rag.types import Answer, Hit, Passage

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
        "translated_by": "",
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


@given(text=texts(6), width=st.integers(8, 60))
@settings(max_examples=200, deadline=None)
def test_wrapping_keeps_to_the_width_and_loses_no_character(text: str, width: int) -> None:
    text = render.harmless(text)
    lines = render.wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= width for line in lines)
