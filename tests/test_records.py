"""The record of truth keeps all of a change or nothing of it, and says plainly what is wrong."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embeddings.embedder import Tokens, Vector, no_tokens
from homes import CountingEmbedder, prose
from rag import chunking
from rag.database import FILE_NAME
from rag.errors import ArticleNotFound, IndexMismatch, StoreUnavailable
from rag.records import Counts, NewPassage, Records
from rag.terms import index_terms, passage_terms
from rag.types import Article, Fragment, Question


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "home")


def put(records: Records, *articles: Article, path: str = "/page.txt") -> None:
    """Records articles as an ingest does."""
    embedder = CountingEmbedder(8)
    with records.change():
        records.set_model(embedder.name)
        for article in articles:
            records.put_article(article)
            passages = chunking.passages(article)
            vectors = embedder.embed_passages([p.text for p in passages])
            tokens = [r.tokens for r in embedder.read([p.text for p in passages])]
            stored: dict[str, tuple[Vector, Tokens]] = {
                f"key of {p.text}": (vector, some)
                for p, vector, some in zip(passages, vectors, tokens, strict=True)
            }
            records.put_vectors(stored)
            records.put_passages(
                [NewPassage(p, 3, f"key of {p.text}", passage_terms(p.text)) for p in passages]
            )
        records.ledger.put_file(path, "digest", articles)


def one(seed: int, text: str = "", date: str = "") -> Article:
    return Article(
        article_id=f"a{seed}",
        title=f"第{seed}篇",
        text=text or prose(seed),
        date=date,
        fragments=(Fragment(seed, seed + 9), Fragment(0, 2)),
    )


# ---- what was put comes back -------------------------------------------------------------------


def test_an_article_comes_back_as_it_was_put(records: Records) -> None:
    article = replace(one(7), subtitle="副题", byline="记者 某", date="2024-03-05", source="日报")
    put(records, article)
    assert records.article("a7") == replace(article, path="/page.txt")


def test_passages_come_back_with_their_vectors_tokens_and_offsets(records: Records) -> None:
    article = one(1)
    put(records, article)
    found = records.passages_of(["a1"])
    assert [p.passage for p in found] == chunking.passages(article)
    assert all(np.linalg.norm(p.vector) == pytest.approx(1) for p in found)
    assert {p.row for p in found} == {
        p.row for p in records.passages_by_row([p.row for p in found])
    }
    ids = [p.passage.passage_id for p in found]
    front, tokens = records.tokens(ids)[ids[0]]
    assert (front, str(tokens.vectors.dtype), tokens.starts[0]) == (3, "int8", 0)
    assert {id_ for some, _ in records.vectors(ids, page=2) for id_ in some} == set(ids)


def test_a_model_without_tokens_has_none(records: Records) -> None:
    with records.change():
        article = one(1)
        records.put_article(article)
        passage = chunking.passages(article)[0]
        records.put_vectors({"k": (np.ones(4, np.float32), no_tokens())})
        records.put_passages([NewPassage(passage, 0, "k", passage_terms(passage.text))])
    ((_, tokens),) = records.tokens([passage.passage_id]).values()
    assert tokens.vectors.shape == (0, 0)


def test_counts_say_how_much_is_indexed(records: Records) -> None:
    assert records.counts() == Counts(0, 0, 0)
    put(records, one(1), one(2))
    put(records, one(3), path="/other.txt")
    assert records.counts() == Counts(3, len(records.passage_ids()), 2)


def test_articles_are_listed_by_id_a_page_at_a_time(records: Records) -> None:
    put(records, *(one(i) for i in range(5)))
    first = records.articles(limit=2)
    assert [a.article_id for a in first] == ["a0", "a1"]
    assert [a.article_id for a in records.articles(after="a1", limit=2)] == ["a2", "a3"]
    assert records.articles(after="a4") == []


def test_the_newest_articles_are_listed_a_page_at_a_time(records: Records) -> None:
    days = ["2024-05-01", "2024-06-01", "", "2024-06-01", "2024-04-30"]
    put(records, *(replace(one(i), date=day) for i, day in enumerate(days)))
    order = ["a1", "a3", "a0", "a4", "a2"]  # of one day by id, without a date at the end
    assert [a.article_id for a in records.newest()] == order
    for number, before in enumerate(order, 1):
        behind = (days[int(before[1])], before)
        assert [a.article_id for a in records.newest(behind, 2)] == order[number : number + 2]
    assert records.newest(title="\udcff") == []  # what a shell makes of a byte that is no text


def test_a_page_goes_on_where_its_article_was_taken_out(records: Records) -> None:
    put(records, *(replace(one(i), date=f"2024-05-0{5 - i}") for i in range(4)))
    (last,) = records.newest(limit=1)
    put(records, replace(one(9), date="2024-05-09"))
    with records.change():
        records.remove_article(last.article_id)
    assert [a.article_id for a in records.newest((last.date, last.article_id), 2)] == ["a1", "a2"]


def test_the_latest_articles_come_first(records: Records) -> None:
    put(records, one(1, date="2023-05-05"), one(2, date="2024-01-01"), one(3))
    assert [a.article_id for a in records.latest(2)] == ["a2", "a1"]


def test_a_file_lists_its_articles_in_its_order(records: Records) -> None:
    put(records, one(2), one(1))
    assert records.ledger.articles_of("/page.txt") == [("a2", "第2篇"), ("a1", "第1篇")]
    assert records.ledger.files() == {"/page.txt": "digest"}


@pytest.mark.parametrize("article_id", ["", "nope", "'; DROP TABLE articles --", "\ud800", "\0"])
def test_an_unknown_article_is_said_to_be_unknown(records: Records, article_id: str) -> None:
    with pytest.raises(ArticleNotFound, match="wenbao articles"):
        records.article(article_id)
    assert records.passages_of([article_id]) == []


def test_there_is_no_limit_to_how_many_ids_may_be_asked_for(records: Records) -> None:
    put(records, one(1))
    ids = [f"id{i}" for i in range(300_000)]
    assert records.passages_of([*ids, "a1"])
    assert records.known_keys(ids) == set()


# ---- words -------------------------------------------------------------------------------------


def test_words_find_the_passages_that_hold_them_and_know_how_rare_they_are(
    records: Records,
) -> None:
    put(records, one(1, text="雁塔区政协建议数据共享。"), one(2, text="碑林区政协调研。"))
    (row,) = records.lexical_rows('written : "雁塔"', 10)
    assert records.passages_by_row([row])[0].passage.article_id == "a1"
    assert records.lexical_rows('spoken : "yan_ta"', 10) == [row]
    assert records.frequencies(["雁塔", "政协", "没有"]) == {"雁塔": 1, "政协": 2}


def test_words_are_counted_anew_when_passages_come_or_go(records: Records) -> None:
    put(records, one(1, text="雁塔区政协建议。"))
    assert records.frequencies(["政协", "碑林"]) == {"政协": 1}
    put(records, one(2, text="碑林区政协调研。"), path="/other.txt")
    assert records.frequencies(["政协", "碑林"]) == {"政协": 2, "碑林": 1}

    def counted_in_a_change_that_fails() -> None:
        with records.change():
            records.remove_article("a1")
            assert records.frequencies(["政协", "碑林"]) == {"政协": 1, "碑林": 1}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        counted_in_a_change_that_fails()
    with records.change():
        records.remove_article("a2")
    assert records.frequencies(["政协", "碑林"]) == {"政协": 1}


def test_removing_everything_leaves_no_trace_of_a_word(records: Records, tmp_path: Path) -> None:
    put(records, *(one(i) for i in range(5)))
    with records.change():
        for i in range(5):
            records.remove_article(f"a{i}")
    assert records.counts() == Counts(0, 0, 1)
    assert records.mean_chars() == 1
    with closing(sqlite3.connect(records.folder / FILE_NAME)) as db:
        for table in ("articles", "placements", "passages", "vectors", "frequencies"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


# ---- filters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        (Question("?", "zh", since="2024-02-01"), "23"),
        (Question("?", "zh", until="2024-02-01"), "12"),
        (Question("?", "zh", since="2024-02-01", until="2024-02-01"), "2"),
        (Question("?", "zh", sources=("晚报",)), "34"),
        (Question("?", "zh", since="2024-01-01", sources=("晚报", "没有")), "3"),
        (Question("?", "zh", article_ids=("a1", "a3", "nope"), until="2024-02-01"), "1"),
        (Question("?", "zh", sources=("' OR 1 --", "\ud800")), ""),
        (Question("?", "zh"), "1234"),
    ],
    ids=["since", "until", "a-day", "source", "since-and-source", "articles", "hostile", "none"],
)
def test_a_filter_keeps_what_it_says(records: Records, question: Question, kept: str) -> None:
    dates = {1: "2024-01-31", 2: "2024-02-01", 3: "2024-12-01", 4: ""}
    for i, day in dates.items():
        source = "日报" if i < 3 else "晚报"
        put(records, replace(one(i, date=day), source=source), path=f"/{i}.txt")
    rows = [row for (row,) in records._db.execute("SELECT row FROM passages ORDER BY row DESC")]
    found = records.kept(question, rows)
    assert found == sorted(records.all_kept(question, 1_000), reverse=True)
    assert {p.passage.article_id for p in records.passages_by_row(found)} == {f"a{i}" for i in kept}
    assert records.all_kept(question, 1) == records.all_kept(question, 1_000)[:1]
    matching = records.lexical_rows('written : "区政"', 1_000)
    assert matching
    wide = records.lexical_rows_kept('written : "区政"', 3, question)
    assert wide == [row for row in matching if row in found][:3]
    assert records.lexical_rows('written : "区政"', 3, among=found) == wide


def test_the_nearest_of_some_rows_come_first(records: Records) -> None:
    put(records, *(one(i) for i in range(4)))
    ids, vectors = next(records.vectors(records.passage_ids()))
    rows = records.rows_of([*ids[::-1], "nope"])[::-1]
    order = np.argsort(-(vectors @ vectors[1]))
    expected = [rows[i] for i in order if i != 1]
    assert records.nearest(vectors[1], [r for r in rows if r != rows[1]], 3) == expected[:3]
    assert records.nearest(vectors[1], [], 3) == []


def test_the_terms_taken_out_are_those_put_in() -> None:
    """The lexical index is without content: taking out other terms than were put in breaks it."""
    for text in ("雁塔区2023年6月1日投入1.7万元，GDP增3.5%。", "He's at St. John's, 5 p.m."):
        terms = passage_terms(text)
        assert list(terms.terms) == list(index_terms(terms.written))


# ---- changes -----------------------------------------------------------------------------------


def test_a_change_that_fails_leaves_everything_as_it_was(records: Records) -> None:
    put(records, one(1))
    before = (records.counts(), records.revision, records.passage_ids())

    def fail() -> None:
        with records.change():
            records.remove_article("a1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (records.counts(), records.revision, records.passage_ids()) == before


def test_the_revision_grows_only_when_passages_come_or_go(records: Records) -> None:
    put(records, one(1))
    before = records.revision
    with records.change():
        records.ledger.put_file("/page.txt", "another digest", [one(1)])
    assert records.revision == before
    put(records, one(2), path="/other.txt")
    assert records.revision > before


def test_an_article_that_stands_in_no_file_is_known(records: Records) -> None:
    put(records, one(1), one(2))
    with records.change():
        records.ledger.put_file("/page.txt", "digest", [one(2)])
    assert records.ledger.unplaced_articles() == ["a1"]


def test_an_article_in_two_files_stays_when_one_of_them_goes(records: Records) -> None:
    put(records, one(1))
    with records.change():
        records.ledger.put_file("/copy.txt", "digest", [one(1)])
        records.ledger.remove_file("/page.txt")
    assert records.ledger.unplaced_articles() == []
    assert records.article("a1").path == "/copy.txt"


def test_a_vector_that_two_passages_share_stays_while_one_needs_it(records: Records) -> None:
    text = prose(1)
    put(records, one(1, text=text), one(2, text=text))
    with records.change():
        records.remove_article("a1")
    assert records.passages_of(["a2"])


def test_vectors_that_no_passage_needs_are_dropped(records: Records) -> None:
    put(records, one(1))
    with records.change():
        records.put_vectors({"left by a killed run": (np.ones(8, np.float32), no_tokens())})
    kept = len(records.passage_ids())
    records.drop_unused_vectors()
    assert records.known_keys(["left by a killed run"]) == set()
    assert len([id_ for ids, _ in records.vectors(records.passage_ids()) for id_ in ids]) == kept


# ---- the model ---------------------------------------------------------------------------------


def test_another_model_is_refused_with_what_to_do(records: Records) -> None:
    put(records, one(1))
    records.check_model("hashing@1")
    with pytest.raises(IndexMismatch, match=r"hashing@1, not by other@2: set WENBAO_MODEL back"):
        records.check_model("other@2")


def test_an_index_with_nothing_in_it_takes_any_model(records: Records) -> None:
    put(records, one(1))
    with records.change():
        records.remove_article("a1")
    records.check_model("other@2")


def test_records_of_another_version_are_refused_with_what_to_do(tmp_path: Path) -> None:
    Records(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db, db:
        db.execute("UPDATE meta SET value = '0' WHERE key = 'version'")
    with pytest.raises(IndexMismatch, match="move it away and run `wenbao ingest` again"):
        Records(tmp_path)


def test_records_from_before_filters_and_reprints_get_them(records: Records) -> None:
    put(records, one(1, date="2024-02-01"))
    for what in ("INDEX articles_to_filter", "TABLE reprints", "TABLE sketches", "TABLE issues"):
        records._db.execute(f"DROP {what}")
    with closing(Records(records.folder)) as again:
        assert again.all_kept(Question("?", "zh", since="2024-01-01"), 9)
        plan = again._db.execute(
            "EXPLAIN QUERY PLAN SELECT id FROM articles WHERE date > '2024' AND source = 'x'"
        ).fetchone()
    assert "COVERING INDEX articles_to_filter" in plan[-1]


# ---- many at once ------------------------------------------------------------------------------


def test_many_may_open_a_new_home_at_the_same_moment(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def open_it(_: int) -> Counts:
        start.wait()
        with closing(Records(tmp_path / "home")) as records:
            with records.change():
                records.set_model("m")
            return records.counts()

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(open_it, range(8))) == [Counts(0, 0, 0)] * 8


def test_a_reader_sees_the_state_before_a_change_until_it_is_done(records: Records) -> None:
    put(records, one(1))
    with closing(Records(records.folder)) as reader:
        with records.change():
            records.remove_article("a1")
            assert reader.counts().articles == 1
        assert reader.counts().articles == 0


def test_every_thread_may_read(records: Records) -> None:
    put(records, *(one(i) for i in range(20)))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda i: records.article(f"a{i % 20}").title, range(200)))
    assert found == [f"第{i % 20}篇" for i in range(200)]
    records.close()


# ---- what is wrong is said ---------------------------------------------------------------------


def test_a_home_that_cant_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="set WENBAO_HOME to a folder of yours"):
        Records(tmp_path / "file" / "home")


def test_a_file_that_is_no_database_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreUnavailable, match="restore a backup, or move WENBAO_HOME away"):
        Records(tmp_path)


def test_a_writer_that_holds_on_too_long_is_said_to_be_busy(records: Records) -> None:
    with closing(Records(records.folder)) as other, other.change():
        records._db.execute("PRAGMA busy_timeout = 10")
        with pytest.raises(StoreUnavailable, match="busy: try again"), records.change():
            pass


def test_a_question_that_sqlite_cant_parse_is_our_error_not_its_own(records: Records) -> None:
    with pytest.raises(StoreUnavailable):
        records.lexical_rows('written : "', 10)
