"""A reply is untrusted and takes many shapes: statements come out, with what they point to."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.written import markers, replies
from rag.written.replies import MAX_STATEMENTS, Statement


def said(reply: str) -> list[tuple[str, list[int]]]:
    """Each statement with the numbers of the passages that it names."""
    return [(each.text, list(each.numbers)) for each in replies.statements([reply])]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param("委员走访了小区[1]。", [("委员走访了小区。", [1])], id="before-the-stop"),
        pytest.param("委员走访了小区。[1]", [("委员走访了小区。", [1])], id="behind-the-stop"),
        pytest.param("走访了小区 。 [1]。", [("走访了小区。", [1])], id="stop-said-twice"),
        pytest.param("Members went there [1, 2].", [("Members went there.", [1, 2])], id="list"),
        pytest.param("They went [1][2].", [("They went.", [1, 2])], id="two-markers"),
        pytest.param("They went. [1] [2]", [("They went.", [1, 2])], id="two-markers-behind"),
        pytest.param("小区走访过【1】。", [("小区走访过。", [1])], id="chinese-brackets"),
        pytest.param("走访过［１、２］。", [("走访过。", [1, 2])], id="full-width"),
        pytest.param("走访过[1，2；1]。", [("走访过。", [1, 2])], id="said-twice"),
        pytest.param("They went (1).", [("They went.", [1])], id="parentheses"),
        pytest.param("They went. (1)", [("They went.", [1])], id="parentheses-behind"),
        pytest.param("走访过（1、2）。", [("走访过。", [1, 2])], id="chinese-parentheses"),
        pytest.param("They went [^1].", [("They went.", [1])], id="footnote"),
        pytest.param("They went [1†source].", [("They went.", [1])], id="dagger"),
        pytest.param("走访过【2†来源】。", [("走访过。", [2])], id="chinese-dagger"),
        pytest.param("They went [passage 2].", [("They went.", [2])], id="named"),
        pytest.param("They went (see passages 1 and 2).", [("They went.", [1, 2])], id="see"),
        pytest.param("走访过[第3段]。", [("走访过。", [3])], id="named-in-chinese"),
        pytest.param("They went [1-3].", [("They went.", [1, 2, 3])], id="range"),
        pytest.param("They went [1: “小区”].", [("They went.", [1])], id="with-its-words"),
        pytest.param('They went [1 "小区。又"].', [("They went.", [1])], id="with-a-stop"),
        pytest.param("They went.[1] They left.[2]", [("They went.", [1]), ("They left.", [2])],
                     id="no-space"),
        pytest.param("“要走访。”[1]“要补助！”[2]", [("“要走访。”", [1]), ("“要补助！”", [2])],
                     id="behind-a-quotation"),
        pytest.param("He said “go.” [1] Then he left [2].",
                     [("He said “go.”", [1]), ("Then he left.", [2])], id="english-quotation"),
        pytest.param("[1] They went.", [("They went.", [1])], id="in-front"),
        pytest.param("They [1] went [2].", [("They went.", [1, 2])], id="inside"),
        pytest.param("They went [1]", [("They went", [1])], id="no-stop"),
        pytest.param("They went [1]\n\nThey left [2]", [("They went", [1]), ("They left", [2])],
                     id="lines"),
        pytest.param("Did they go? [1] Yes! [2]", [("Did they go?", [1]), ("Yes!", [2])],
                     id="question"),
        pytest.param("They went.", [("They went.", [])], id="none"),
        pytest.param("A lift (2) is new [1].", [("A lift (2) is new.", [1])], id="no-marker"),
    ],
)  # fmt: skip
def test_markers_are_read_in_every_form(reply: str, expected: list[tuple[str, list[int]]]) -> None:
    assert said(reply) == expected


@pytest.mark.parametrize(
    ("reply", "quote"),
    [
        ("They went [1: “走访了小区”].", "走访了小区"),
        ("They went [1: “走访。了‘小区’”].", "走访。了‘小区’"),
        ("They went [1 「走访了」].", "走访了"),
        ('They went [passage 1: "went there"].', "went there"),
        ('They went [2, "走访“老”小区"].', "走访“老”小区"),
    ],
)
def test_the_words_that_a_marker_quotes_are_read(reply: str, quote: str) -> None:
    (statement,) = replies.statements([reply])
    assert (statement.text, statement.quotes) == ("They went.", (quote,))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param("占21.1%。[1]", ["占21.1%。"], id="decimal"),
        pytest.param("1036个单元[1]。", ["1036个单元。"], id="number-first"),
        pytest.param("On 2024-03-12 they went [1].", ["On 2024-03-12 they went."], id="iso-date"),
        pytest.param("They went on March 5, 2024. [1]", ["They went on March 5, 2024."], id="date"),
        pytest.param("3月5日走访。[1]", ["3月5日走访。"], id="chinese-date"),
        pytest.param("Mr. Wang and Dr. Li went. [1]", ["Mr. Wang and Dr. Li went."], id="titles"),
        pytest.param("- 走访小区[1]\n- 补助电梯[1]", ["走访小区", "补助电梯"], id="dashes"),
        pytest.param("1. They went [1].\n2) They left [2].", ["They went.", "They left."],
                     id="english-numbers"),
        pytest.param("1、走访小区[1]\n（2）补助电梯[1]\n3）照护老人[2]",
                     ["走访小区", "补助电梯", "照护老人"], id="chinese-numbers"),
        pytest.param("* **Lifts**: members went [1]", ["Lifts: members went"], id="bold"),
        pytest.param("18 went [1]", ["18 went"], id="a-figure"),
        pytest.param("-18 degrees [1]", ["-18 degrees"], id="below-zero"),
        pytest.param("## 走访小区 [1]", ["走访小区"], id="heading"),
        pytest.param("They went [1].\nSources:\n[1] A page", ["They went."], id="list-of-sources"),
        pytest.param("他们走访[1]。\n\n**参考资料**\n1. 某报", ["他们走访。"], id="来源"),
        pytest.param("<think>Was it [2]?</think>\nThey went [1].", ["They went."], id="thoughts"),
        pytest.param("<think>It never ends [1].", [], id="endless-thought"),
        pytest.param("They went [1].\nThey went [1].", ["They went."], id="said-twice"),
    ],
)  # fmt: skip
def test_a_reply_is_cut_into_its_sentences(reply: str, expected: list[str]) -> None:
    assert [text for text, _ in said(reply)] == expected


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("<script>alert()</script><b>They went</b> [1].", "alert()They went."),
        ("![x](http://evil.example/?q=1)They went [1].", "They went."),
        ("[They went](http://evil.example) [1].", "They went."),
        ("They `went` ~~home~~ [1].", "They went home."),
        ("They\u200b we\u202ent\x1b[31m [1].", "They went[31m."),
        ("5 < 6 [1].", "5 ‹ 6."),
    ],
    ids=["tags", "image", "link", "code", "hidden", "less"],
)
def test_a_statement_is_plain_text(reply: str, text: str) -> None:
    assert [each for each, _ in said(reply)] == [text]


@pytest.mark.parametrize(
    "reply",
    ["", " \n\t", "[1]", "。[1]", "...", "- [1]\n- [2]", "CANNOT_ANSWER", "CANNOT_ANSWER.\n",
     "I think: CANNOT_ANSWER [1]", "\x00\x01[", "[" * 5000, "。" * 5000, "{", "```", "<think>",
     '{"statements": []}', '{"other": [{"text": "They went."}]}'],
)  # fmt: skip
def test_a_reply_that_says_nothing_gives_no_statement(reply: str) -> None:
    assert said(reply) == []


def test_what_follows_a_refusal_to_answer_is_not_read() -> None:
    assert said("They went [1].\nCANNOT_ANSWER\nThey left [1].") == [("They went.", [1])]


def test_statements_are_read_from_json() -> None:
    row = {"passage": 2, "quote": "走访", "text": "They went."}
    other = {"passages": 1, "text": "They\nleft [3]."}
    reply = json.dumps({"statements": [row, other]})
    assert list(replies.statements([reply])) == [
        Statement("They went.", (2,), ("走访",)),
        Statement("They left.", (3,)),
    ]


@pytest.mark.parametrize(
    "row", [7, None, "They went [1].", [], {"text": 1}, {"passage": "2"}, {"text": ""}]
)
def test_json_of_another_shape_is_no_statement(row: object) -> None:
    assert said(json.dumps({"statements": [row]})) == []


def test_json_that_is_nested_without_end_is_no_statement() -> None:
    assert said('{"statements": [{"text": ' + "[" * 7_000 + "}") == []


@pytest.mark.parametrize(
    "reply", ["They went [1].\nT", "They went [1]. They", '{"statements": [{"text": "A."}']
)
def test_a_statement_leaves_as_soon_as_it_is_whole(reply: str) -> None:
    def under_way() -> Iterator[str]:
        yield from reply
        raise AssertionError("the reply was read on")

    assert next(replies.statements(under_way())).text


def test_no_more_statements_are_read_than_an_answer_takes() -> None:
    reply = "".join(f"They went to place {n} [1].\n" for n in range(500))
    assert len(said(reply)) == MAX_STATEMENTS


PIECES = [
    *("[1]", "[2]", "【1】", "［２］", "[1, 2]", "(1)", "[^1]", "[1: “they", "went”]", "。", ". "),
    *("!", "?", "\n", "18", "21.1%", "10万", "They went", "委员", "“", "”", "- ", "1、", "**"),
    *("CANNOT", "\u2028", "٣", "<think>", "</think>", "{", '"statements": [', '{"text": "A."}'),
    *("```json\n", "](", "<b>", "Sources:\n", "\ue0001\ue001"),
]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=14).map("".join)


@given(texts)
@example("9" * 400 + "[1]")
def test_every_statement_of_any_reply_is_one_line_of_plain_text(reply: str) -> None:
    for statement in replies.statements([reply]):
        assert statement.text == " ".join(statement.text.split()) != ""
        assert not re.search(r"[<>\ue000\ue001\u200b\u202e]|!\[.*\]\(", statement.text)
        assert markers.BRACKETS.sub("", statement.text) == statement.text


@given(texts, st.lists(st.integers(0, 60), max_size=6))
def test_a_reply_says_the_same_however_it_is_cut_up(reply: str, cuts: list[int]) -> None:
    places = sorted({min(cut, len(reply)) for cut in cuts} | {0, len(reply)})
    parts = [reply[a:b] for a, b in pairwise(places)]
    assert list(replies.statements(parts)) == list(replies.statements(list(reply)))


@given(st.integers(1, 20), st.integers(0, 50))
def test_a_reply_of_any_length_takes_time_in_proportion(n: int, m: int) -> None:
    reply = "".join("They went. " * m + f"They went {i} [1]. " for i in range(n))
    assert len(said(reply)) <= MAX_STATEMENTS
