"""No question makes retrieval raise, or SQLite read a word of it as its query language."""

import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homes import Home
from rag import generations
from rag.retrieve import Retriever, fts_query
from rag.terms import concepts
from rag.types import Question
from rag.words.glossary import Glossary, open_glossary

PAGES = Path(__file__).parent / "data" / "sample" / "pages"
DICE = random.Random(0)


@pytest.fixture(scope="module")
def glossary(tmp_path_factory: pytest.TempPathFactory) -> Glossary:
    return open_glossary(tmp_path_factory.mktemp("glossary"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copy(PAGES / "p01.txt", folder / "page.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generations, "verify", generations._probe)
        opened = Home.at(folder / "home")
        opened.ingest(folder / "page.txt")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def retriever(home: Home, glossary: Glossary) -> Retriever:
    return Retriever(home.records, home.index, home.embedder, glossary.lookup)


@pytest.mark.parametrize(
    "question",
    [
        pytest.param('"天心区" OR \'x\' "', id="quotes"),
        pytest.param("天心区* yanta* ^政协", id="stars"),
        pytest.param("NEAR(天心区 政协, 5) AND NOT OR", id="operators"),
        pytest.param("written : spoken : {written spoken} : 天心区", id="columns"),
        pytest.param("'; DROP TABLE terms; --", id="sql"),
        pytest.param('""""((((^^^^', id="only-marks"),
        pytest.param("🏮天心区😀", id="emoji"),
        pytest.param("天\0心\0区", id="nul"),
        pytest.param("天\u200b心\u200d区\ufeff\u202e", id="zero-width"),
        pytest.param("e\u0301" * 1_000, id="combining"),
        pytest.param("\U00020bb7" * 500, id="rare-ideographs"),
        pytest.param("①②③½²٣٤५ １２３", id="digits-of-all-scripts"),
        pytest.param("1" * 400, id="a-number-too-large-for-a-float"),
        pytest.param("9" * 310 + "万亿", id="a-scaled-number-too-large"),
        pytest.param("1,2.3.4万亿 " * 300, id="odd-numbers"),
        pytest.param("#5 n5 yan_ta a_b", id="our-own-notation"),
        pytest.param("'s 's''s-’’", id="apostrophes"),
        pytest.param("a" * 4_000, id="one-long-word"),
        pytest.param("xianshiyantaqu" * 280, id="one-long-name"),
        pytest.param("Zhang Wei Li Na " * 250, id="names"),
        pytest.param("The 天心 district’s 政协 1.7万 May 5th " * 100, id="mixed"),
        pytest.param("".join(DICE.choices("天心区政协电梯委员", k=4_000)), id="4000-characters"),
        pytest.param(
            "".join(chr(DICE.randrange(0x4E00, 0x9FFF)) for _ in range(4_000)), id="4000-words"
        ),
        pytest.param("区", id="one-character"),
        pytest.param("what is the of and to", id="only-stop-words"),
        pytest.param("是什么的了吗", id="only-chinese-stop-words"),
        pytest.param("Yanta区的CPPCC委员は何をتقترح", id="mixed-scripts"),
        pytest.param("\u202e雁塔\u2066区\u2069\u200f", id="bidi"),
        pytest.param("百分之百分之万亿万千百十成半点" * 9, id="pieces-of-numbers"),
        pytest.param("９９９，９９９．９９％" * 30, id="full-width-figures"),
        pytest.param("Zhaangjiannggg Xiaaoming Wangggjianzh " * 60, id="slips"),
        pytest.param("", id="empty"),
        pytest.param(" \n\t", id="blank"),
    ],
)
def test_a_hostile_question_is_answered_like_any_other(retriever: Retriever, question: str) -> None:
    started = time.process_time()
    found = retriever.search(Question(question, "zh"))
    assert len(found.concepts) == len(found.idf)
    assert all(len(match.concepts) == len(found.concepts) for match in found.matches)
    assert time.process_time() - started < 10


def test_marks_in_a_question_change_nothing(retriever: Retriever) -> None:
    plain = retriever.search(Question("天心区政协建议什么", "zh"))
    marked = retriever.search(Question('"(*天心区政协建议什么" ^:) *', "zh"))
    assert marked.concepts == plain.concepts


@given(question=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_query_is_one_that_sqlite_reads(
    home: Home, glossary: Glossary, question: str
) -> None:
    found = concepts(question, glossary.lookup)
    if query := fts_query(found, home.records.frequencies):
        home.records.lexical_rows(query, 5)


def test_a_query_of_thousands_of_terms_is_within_sqlites_limits(home: Home) -> None:
    """The depth of an expression is limited to 1,000; FTS5 keeps alternatives side by side."""
    query = " OR ".join(f'written : "天{chr(0x4E00 + i)}"' for i in range(20_000))
    assert isinstance(home.records.lexical_rows(query, 5), list)


def test_articles_that_arent_there_are_asked_in_vain(retriever: Retriever) -> None:
    asked = Question("天心区", "zh", article_ids=("nope", "\ud800", *map(str, range(40_000))))
    assert retriever.search(asked).matches == ()
