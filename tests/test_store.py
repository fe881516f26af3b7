"""The vector index: readers follow the writer, and no damage outlives the next question."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from homes import CountingEmbedder, Home, article, prose, write_articles
from rag import chunking, generations
from rag.errors import IndexMismatch, StoreUnavailable
from rag.generations import Progress, Vectors
from rag.records import NewPassage, Records
from rag.store import VectorIndex
from rag.terms import PassageTerms
from rag.types import Article, Passage


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of twelve articles, probed in a child process as it is outside of tests."""
    folder = tmp_path_factory.mktemp("made")
    articles = write_articles(folder / "articles.jsonl", [article(i) for i in range(12)])
    home = Home.at(folder / "home")
    home.ingest(articles)
    home.close()
    return folder / "home"


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Iterator[Home]:
    """A copy of it."""
    shutil.copytree(made, tmp_path / "home")
    opened = Home.at(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe in this process, for tests that damage nothing: no two seconds for a child."""
    monkeypatch.setattr(generations, "verify", generations._probe)


def current(home: Home) -> Path:
    name = (home.folder / "vectors" / "CURRENT").read_text(encoding="utf-8")
    return home.folder / "vectors" / name


def _manifest(home: Home) -> generations.Manifest:
    manifest = generations.manifest(current(home))
    assert manifest is not None
    return manifest


def add(home: Home, seed: int) -> Article:
    """Commits an article to the records, and leaves the index behind as a killed writer does."""
    added = Article(f"z{seed}", f"新{seed}", prose(seed))
    passages = chunking.passages(added)
    vectors = home.embedder.embed_passages([p.text for p in passages])
    tokens = [r.tokens for r in home.embedder.read([p.text for p in passages])]
    keys = [f"{seed} {i}" for i in range(len(passages))]
    with home.records.change():
        home.records.put_article(added)
        home.records.put_vectors(dict(zip(keys, zip(vectors, tokens, strict=True), strict=True)))
        home.records.put_passages(
            [
                NewPassage(p, 0, key, PassageTerms((), (), "", ""))
                for p, key in zip(passages, keys, strict=True)
            ]
        )
        home.records.ledger.put_file(f"/{seed}", "x", [added])
    return added


def _count_builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many passages each generation held that was built from nothing."""
    built: list[int] = []
    build = generations.build

    def counted(work: Path, ids: set[str], vectors: Vectors, say: Progress | None) -> None:
        built.append(len(ids))
        build(work, ids, vectors, say)

    monkeypatch.setattr(generations, "build", counted)
    return built


# ---- searching ---------------------------------------------------------------------------------


def test_the_nearest_passages_come_first(home: Home) -> None:
    wanted = chunking.passages(home.records.article("a00004"))[0].text
    found = home.nearest(f"第4篇\n{wanted}", limit=5)
    assert found[0] == wanted
    assert len(found) == 5


def test_the_search_agrees_with_an_exact_one(home: Home) -> None:
    ids, vectors = next(home.records.vectors(home.records.passage_ids()))
    asked = home.embedder.embed_query("社区养老食堂的补贴政策").vector
    exact = [ids[i] for i in np.argsort(-(vectors @ asked))[:10]]
    assert home.index.search(asked, 10) == exact


def test_an_empty_home_finds_nothing_and_is_fresh(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home")
    assert home.nearest("雁塔") == []
    assert home.index.is_fresh()
    assert home.index.is_sound()
    home.index.mend()
    assert not (home.folder / "vectors").exists()


def test_more_may_be_asked_for_than_there_is(home: Home) -> None:
    passages = home.records.counts().passages
    asked = home.embedder.embed_query("x").vector
    assert len(home.index.search(asked, 10_000)) == passages


def test_a_vector_of_another_length_is_said_to_be_of_another_model(home: Home) -> None:
    before = home.generations()
    with pytest.raises(IndexMismatch, match="set WENBAO_MODEL back"):
        home.index.search(np.ones(7, np.float32), 3)
    assert home.generations() == before


# ---- the swap ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick_probe")
def test_a_reader_notices_the_swap(home: Home) -> None:
    reader = Home.at(home.folder)
    assert reader.nearest("第900号") != []
    added = add(home, 900)
    with home.index.writing():
        home.index.rebuild()
    assert added.text.startswith(reader.nearest(chunking.passages(added)[0].text, 1)[0])
    reader.close()


@pytest.mark.usefixtures("quick_probe")
def test_a_small_change_is_made_to_a_copy_and_a_large_one_from_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = _count_builds(monkeypatch)
    add(home, 1000)
    home.index.mend()
    assert not built
    for seed in range(1001, 1012):
        add(home, seed)
    home.index.mend()
    assert built
    assert home.index.is_fresh()


@pytest.mark.usefixtures("quick_probe")
def test_an_index_of_many_changes_is_built_anew(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chroma never gives the room of a deleted row back."""
    built = _count_builds(monkeypatch)
    for i in range(6):
        home.remove(f"a{i:05d}")
        assert _manifest(home).changed <= generations.COPY_SHARE * _manifest(home).count
    assert 0 < len(built) < 6
    assert _manifest(home).count == len(home.records.passage_ids())


@pytest.mark.parametrize("articles", [1, 2, 12])
@pytest.mark.usefixtures("quick_probe")
def test_a_generation_stays_as_it_was_verified_whoever_opens_it(
    tmp_path: Path, articles: int
) -> None:
    """Chroma writes the files of a small index anew when it is opened, unless told otherwise."""
    home = Home.at(tmp_path / "home")
    for i in range(articles):
        add(home, i)
    home.index.mend()
    for _ in range(2):
        reader = Home.at(home.folder)
        reader.nearest("雁塔")
        reader.close()
    assert generations.status(current(home)) == _manifest(home).files
    home.close()


@pytest.mark.usefixtures("quick_probe")
def test_only_the_current_generation_and_the_one_before_are_kept(home: Home) -> None:
    (home.folder / "vectors" / ".gen-00000001-killed").mkdir()
    for seed in range(4):
        before = current(home).name
        add(home, 2000 + seed)
        home.index.mend()
        assert home.generations() == sorted(["CURRENT", before, current(home).name])


@pytest.mark.usefixtures("quick_probe")
def test_swaps_leave_no_files_and_threads_open(home: Home) -> None:
    def held() -> tuple[int, int]:
        return len([*Path("/proc/self/fd").iterdir()]), len([*Path("/proc/self/task").iterdir()])

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("counts open files with /proc")
    seen = []
    for seed in range(8):
        add(home, 3000 + seed)
        home.index.mend()
        home.nearest("雁塔")
        seen.append(held())
    assert seen[-1][0] <= seen[2][0] + 3
    assert seen[-1][1] <= seen[2][1] + 3


@pytest.mark.usefixtures("quick_probe")
def test_questions_are_answered_while_generations_are_swapped(home: Home) -> None:
    reader = Home.at(home.folder)
    wanted = chunking.passages(reader.records.article("a00003"))[0].text
    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(reader.nearest, f"第3篇\n{wanted}", 1) for _ in range(200)]
        for _ in range(4):
            with home.index.writing():
                home.index.rebuild(from_scratch=True)
        assert {tuple(each.result()) for each in asked} == {(wanted,)}
    reader.close()


# ---- damage ------------------------------------------------------------------------------------


def _truncate(folder: Path) -> None:
    for path in folder.rglob("*.bin"):
        os.truncate(path, path.stat().st_size // 2)


def _overwrite(folder: Path) -> None:
    path = max(folder.rglob("*.bin"), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 64] = os.urandom(64)
    path.write_bytes(content)


def _overwrite_sqlite(folder: Path) -> None:
    (folder / "chroma.sqlite3").write_bytes(os.urandom(100_000))


def _forget(folder: Path) -> None:
    (folder.parent / "CURRENT").unlink()


def _point_nowhere(folder: Path) -> None:
    (folder.parent / "CURRENT").write_text("gen-00000000-gone", encoding="utf-8")


def _point_with_noise(folder: Path) -> None:
    (folder.parent / "CURRENT").write_bytes(b"\0\xff\0")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated-files": _truncate,
    "overwritten-bytes": _overwrite,
    "no-sqlite-file": lambda folder: (folder / "chroma.sqlite3").unlink(),
    "empty-sqlite-file": lambda folder: os.truncate(folder / "chroma.sqlite3", 0),
    "overwritten-sqlite-file": _overwrite_sqlite,
    "no-manifest": lambda folder: (folder / "manifest.json").unlink(),
    "no-generation": shutil.rmtree,
    "no-pointer": _forget,
    "pointer-to-nowhere": _point_nowhere,
    "pointer-of-noise": _point_with_noise,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.usefixtures("quick_probe")
def test_the_next_question_after_damage_is_answered(home: Home, damage: str) -> None:
    before = home.state()
    home.index.close()
    DAMAGE[damage](current(home))
    again = Home.at(home.folder)
    assert again.state() == before
    assert again.index.is_fresh()
    assert again.index.is_sound()
    again.close()


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.usefixtures("quick_probe")
def test_an_ingest_over_a_damaged_index_mends_it(home: Home, tmp_path: Path, damage: str) -> None:
    home.index.close()
    DAMAGE[damage](current(home))
    home.ingest(write_articles(tmp_path / "more.jsonl", [article(77)]))
    assert home.nearest(prose(77)[:40], 1)[0] in prose(77)
    assert home.index.is_fresh()


@pytest.mark.usefixtures("quick_probe")
def test_a_copy_that_turns_out_to_be_damaged_is_built_anew(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.index.close()
    content = bytearray((current(home) / "chroma.sqlite3").read_bytes())
    for at in range(4096, len(content) - 512, 4096):
        content[at : at + 512] = os.urandom(512)
    (current(home) / "chroma.sqlite3").write_bytes(content)
    added = add(home, 400)
    with caplog.at_level(logging.WARNING):
        home.index.mend()
    assert "it is built anew" in caplog.text
    assert home.nearest(added.text[:40], 1)[0] in added.text


@pytest.mark.usefixtures("quick_probe")
def test_what_a_killed_writer_left_stale_is_mended_by_the_next_question(home: Home) -> None:
    home.nearest("x")
    added = add(home, 500)
    assert not home.index.is_fresh()
    assert home.nearest(added.text[:40], 1)[0] in added.text
    assert home.index.is_fresh()


def test_a_stale_index_serves_while_another_writes(home: Home) -> None:
    writer = Home.at(home.folder)
    add(home, 500)
    with writer.index.writing(), ThreadPoolExecutor(1) as thread:
        assert len(thread.submit(home.nearest, "雁塔").result(timeout=5)) == 3
    assert not home.index.is_fresh()
    writer.close()


def test_a_stale_index_that_cant_be_mended_serves_and_isnt_tried_with_every_question(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def no_space(*_: object) -> None:
        tried.append(1)
        raise OSError(28, "No space left on device")

    add(home, 500)
    monkeypatch.setattr(generations, "build", no_space)
    monkeypatch.setattr(generations, "update", no_space)
    assert len(home.nearest("雁塔")) == len(home.nearest("雁塔")) == 3
    assert tried == [1]


@pytest.mark.usefixtures("quick_probe")
def test_many_questions_after_damage_rebuild_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = _count_builds(monkeypatch)
    _truncate(current(home))
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: home.nearest("雁塔"), range(12)))
    assert all(len(each) == 3 for each in found)
    assert len(built) == 1


@pytest.mark.usefixtures("quick_probe")
def test_a_restored_backup_with_other_file_times_is_not_rebuilt(home: Home) -> None:
    for path in current(home).rglob("*"):
        os.utime(path, (1, 1))
    before = home.generations()
    assert len(home.nearest("雁塔")) == 3
    assert home.generations() == before


# ---- the probe ---------------------------------------------------------------------------------


def test_the_probe_runs_wherever_the_process_stands(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a file of the same name as a module lies."""
    (tmp_path / "elsewhere").mkdir()
    for name in ("rag.py", "json.py", "chromadb.py"):
        (tmp_path / "elsewhere" / name).write_text("raise SystemExit(9)", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "site-packages" in p or "." not in p])
    generations.verify(current(home), home.records.counts().passages)


def _shred(folder: Path) -> None:
    for path in folder.rglob("*.bin"):
        path.write_bytes(b"\xa5" * max(path.stat().st_size, 64))


@pytest.mark.parametrize("damage", [_shred, DAMAGE["empty-sqlite-file"]], ids=["bin", "sqlite"])
def test_the_probe_tells_damage_and_outlives_it(
    home: Home, damage: Callable[[Path], object]
) -> None:
    """Chroma may end the process that opens damaged files: no `except` would help."""
    damage(current(home))
    with pytest.raises(StoreUnavailable, match="damaged"):
        generations.verify(current(home), home.records.counts().passages)


def test_the_probe_tells_a_wrong_count(home: Home) -> None:
    with pytest.raises(SystemExit, match="holds"):
        generations._probe(current(home), 1)


def test_the_probe_doesnt_wait_for_ever(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **limits: object) -> None:
        raise subprocess.TimeoutExpired(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(StoreUnavailable, match="doesn't open"):
        generations.verify(current(home), 1)


# ---- one writer --------------------------------------------------------------------------------


def test_a_second_writer_waits_and_then_says_so(home: Home) -> None:
    other = Home.at(home.folder)
    with home.index.writing(), ThreadPoolExecutor(1) as thread:

        def write() -> None:
            with other.index.writing(0.1):
                pass

        with pytest.raises(StoreUnavailable, match="Another process is changing the index"):
            thread.submit(write).result()
    write()
    other.close()


def test_a_lock_that_cant_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    records = Records(tmp_path / "home")
    (tmp_path / "file").touch()
    index = VectorIndex(tmp_path / "file", records)
    with pytest.raises(StoreUnavailable, match="WENBAO_HOME"), index.writing():
        pass
    records.close()


# ---- size --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("quick_probe")
def test_more_rows_than_one_call_takes_and_more_ids_than_sqlite_has_variables(
    tmp_path: Path,
) -> None:
    """5,461 rows a call is Chroma's limit, 32,766 variables is SQLite's."""
    total = 33_000
    home = Home.at(tmp_path / "home", CountingEmbedder(8))
    dice = np.random.default_rng(0)
    rows = dice.standard_normal((total, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    _put_rows(home, rows)
    home.index.mend()
    assert _manifest(home).count == total
    assert home.index.search(rows[32_900], 1) == ["p32900"]
    with home.records.change():
        home.records.remove_article("w00")
    home.index.mend()  # by a copy, all of whose ids are read
    assert len(home.records.passage_ids()) == total - 1_000
    assert home.index.search(rows[5], 1) != ["p00005"]
    home.close()


def _put_rows(home: Home, rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    none = home.embedder.read([""])[0].tokens
    for at in range(0, len(rows), 1_000):
        some = range(at, at + 1_000)
        article_id = f"w{at // 1_000:02d}"
        with home.records.change():
            home.records.set_model("m")
            home.records.put_article(Article(article_id, "", "文" * 1_000))
            home.records.ledger.put_file(f"/{at}", "x", [Article(article_id, "", "")])
            home.records.put_vectors({f"k{i}": (rows[i], none) for i in some})
            home.records.put_passages(
                [
                    NewPassage(
                        Passage(f"p{i:05d}", article_id, "", "文", i - at, i - at + 1),
                        0,
                        f"k{i}",
                        PassageTerms((), (), "", ""),
                    )
                    for i in some
                ]
            )
