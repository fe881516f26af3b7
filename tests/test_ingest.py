"""Ingesting: what is unchanged costs nothing, and nothing that was acknowledged is ever lost."""

import json
import os
import random
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homes import (
    CountingEmbedder,
    Home,
    article,
    kill_ingest,
    prose,
    start_ingest,
    write_articles,
    write_mixed,
)
from rag import generations
from rag.errors import ArticleNotFound, IndexMismatch, StoreUnavailable
from rag.ingest import Report, Watcher
from rag.plans import FileReport
from rag.types import Question

PAGES = Path(__file__).parent / "data" / "sample" / "pages"

pytestmark = pytest.mark.usefixtures("quick_probe")


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """A folder of three files with eight articles."""
    folder = tmp_path / "papers"
    folder.mkdir()
    write_articles(folder / "a.jsonl", [article(i) for i in range(3)])
    write_articles(folder / "b.jsonl", [article(i) for i in range(3, 6)])
    write_articles(folder / "c.jsonl", [article(i) for i in range(6, 8)])
    return folder


def changes(report: Report) -> tuple[int, int, int, int]:
    return report.added, report.updated, report.unchanged, report.removed


# ---- the same files again ----------------------------------------------------------------------


def test_the_same_files_again_change_nothing_and_say_so(home: Home, papers: Path) -> None:
    first = home.ingest(papers)
    assert changes(first) == (8, 0, 0, 0)
    before, generations = home.state(), home.generations()
    home.embedder.embedded.clear()
    again = home.ingest(papers)
    assert changes(again) == (0, 0, 8, 0)
    assert home.embedder.embedded == []
    assert (home.state(), home.generations()) == (before, generations)


def test_the_sample_pages_may_be_ingested_twice(home: Home) -> None:
    first = home.ingest(PAGES)
    again = home.ingest(PAGES)
    assert first.added == again.unchanged == first.articles == again.articles > 24
    assert (first.failed, again.added, again.updated, again.removed) == ((), 0, 0, 0)


def test_a_report_reads_as_the_interface_says(home: Home, papers: Path) -> None:
    report = home.ingest(papers, papers / "none.txt").to_json()
    failed = report.pop("failed")
    assert isinstance(report.pop("seconds"), float)
    passages = home.records.counts().passages
    done = {"added": 8, "updated": 0, "unchanged": 0, "removed": 0, "moved": 0}
    assert report == {**done, "articles": 8, "passages": passages}
    assert failed == [
        {
            "path": str(papers / "none.txt"),
            "error": f"{papers / 'none.txt'} does not exist; check the path.",
        }
    ]


def test_a_watcher_hears_of_each_file_and_step(home: Home, papers: Path) -> None:
    files: list[FileReport] = []
    steps: list[tuple[str, int, int]] = []
    home.ingest(papers, watcher=Watcher(files.append, lambda *step: steps.append(step)))
    assert [(Path(f.path).name, f.added) for f in files] == [
        ("a.jsonl", 3),
        ("b.jsonl", 3),
        ("c.jsonl", 2),
    ]
    passages = home.records.counts().passages
    assert sum(done for what, done, _ in steps if what == "passages") == passages
    assert steps[-1] == ("index", passages, passages)


# ---- changes -----------------------------------------------------------------------------------


def test_an_id_whose_text_changes_is_updated_and_only_new_passages_are_embedded(
    home: Home, papers: Path
) -> None:
    home.ingest(papers)
    before = set(home.embedder.embedded)
    home.embedder.embedded.clear()
    changed = article(1)
    changed["text"] += "\n" + prose(99)
    write_articles(papers / "a.jsonl", [article(0), changed, article(2)])
    report = home.ingest(papers)
    assert changes(report) == (0, 1, 7, 0)
    assert home.embedder.embedded
    assert before.isdisjoint(home.embedder.embedded)
    assert all("第99号" in text or "第1号" in text for text in home.embedder.embedded)
    assert home.nearest(prose(99)[:60], 1)[0] in changed["text"]
    assert home.index.is_fresh()


def test_an_id_whose_source_is_corrected_is_updated_and_nothing_is_embedded(
    home: Home, papers: Path
) -> None:
    home.ingest(papers)
    home.embedder.embedded.clear()
    write_articles(
        papers / "a.jsonl", [article(0, source="晚报"), article(1, byline="某"), article(2)]
    )
    assert changes(home.ingest(papers)) == (0, 2, 6, 0)
    assert home.records.article("a00000").source == "晚报"
    assert home.records.article("a00001").byline == "某"
    assert home.embedder.embedded == []


def test_updated_and_removed_ids_of_one_file_are_counted_apart(home: Home, papers: Path) -> None:
    home.ingest(papers)
    write_articles(papers / "a.jsonl", [article(0, text=prose(50)), article(1)])
    assert changes(home.ingest(papers)) == (0, 1, 6, 1)
    with pytest.raises(ArticleNotFound):
        home.records.article("a00002")


@pytest.mark.parametrize(
    ("old", "new"),
    [("58万元", "60万元"), ("钱从哪里来？", "钱由谁来出？")],
    ids=["in-the-text", "in-the-title"],
)
def test_a_page_article_that_is_corrected_is_updated(
    home: Home, tmp_path: Path, old: str, new: str
) -> None:
    path = tmp_path / "page.txt"
    text = (PAGES / "p01.txt").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    first = home.ingest(path)
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    report = home.ingest(path)
    assert changes(report) == (0, 1, first.articles - 1, 0)
    assert report.articles == first.articles
    assert home.records.counts().passages == len(home.state()[2])


def test_a_file_that_becomes_unreadable_keeps_its_articles(home: Home, papers: Path) -> None:
    home.ingest(papers)
    (papers / "a.jsonl").write_bytes(b"\0\1\2")
    report = home.ingest(papers)
    assert [Path(f["path"]).name for f in report.failed] == ["a.jsonl"]
    assert report.articles == 8


def test_a_moved_file_is_not_read_as_new(home: Home, papers: Path) -> None:
    home.ingest(papers)
    home.embedder.embedded.clear()
    (papers / "a.jsonl").rename(papers / "z.jsonl")
    report = home.ingest(papers)
    assert (*changes(report), report.moved) == (0, 0, 8, 0, 3)
    assert home.embedder.embedded == []
    assert home.records.counts().files == 3
    moved = home.records.article("a00000")
    assert (moved.path, moved.source) == (str(papers / "z.jsonl"), "z.jsonl")
    again = home.ingest(papers, sync=True)
    assert (*changes(again), again.moved) == (0, 0, 8, 0, 0)


def test_a_copy_is_not_a_move(home: Home, papers: Path) -> None:
    home.ingest(papers)
    shutil.copy(papers / "a.jsonl", papers / "z.jsonl")
    report = home.ingest(papers)
    assert (report.unchanged, report.moved) == (11, 0)
    assert home.records.counts().files == 4
    assert home.records.article("a00000").path == str(papers / "a.jsonl")


def test_a_dry_run_says_what_would_change_and_changes_nothing(home: Home, papers: Path) -> None:
    assert changes(home.preview(papers)) == (8, 0, 0, 0)
    home.ingest(papers)
    before = home.state()
    write_articles(papers / "a.jsonl", [article(0, text=prose(50)), article(1), article(9)])
    (papers / "b.jsonl").unlink()
    (papers / "c.jsonl").rename(papers / "d.jsonl")
    (papers / "bad.txt").write_bytes(b"\0")
    report = home.preview(papers, sync=True)
    assert (*changes(report), report.moved) == (1, 1, 3, 4, 2)
    assert len(report.failed) == 1
    assert home.state() == before
    done = home.ingest(papers, sync=True)
    assert (*changes(done), done.moved, done.failed) == (1, 1, 3, 4, 2, report.failed)


# ---- archives ----------------------------------------------------------------------------------


def _zip(path: Path, **members: list[dict[str, str]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, articles in members.items():
            lines = [json.dumps(each, ensure_ascii=False) for each in articles]
            archive.writestr(f"{name}.jsonl", "\n".join(lines))
    return path


def test_the_members_of_an_archive_are_files_of_the_ledger(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "issue.zip"
    _zip(path, a=[article(0)], b=[article(1), article(2)])
    assert changes(home.ingest(tmp_path)) == (3, 0, 0, 0)
    assert home.records.article("a00001").path == f"{path}/b.jsonl"
    assert changes(home.ingest(tmp_path, sync=True)) == (0, 0, 3, 0)
    _zip(path, b=[article(1), article(2, text=prose(9))], c=[article(3)])
    assert changes(home.ingest(tmp_path)) == (1, 1, 1, 1)
    path.write_bytes(path.read_bytes()[:80])
    broken = home.ingest(tmp_path, sync=True)
    assert (len(broken.failed), broken.removed, broken.articles) == (1, 0, 3)
    path.unlink()
    assert changes(home.ingest(tmp_path, sync=True)) == (0, 0, 0, 3)


# ---- reprints ----------------------------------------------------------------------------------


def _reprint(seed: int, of: int, **fields: str) -> dict[str, str]:
    """The same text under another title, in another paper, with another opener."""
    text = f"本报讯（记者 林某）{prose(of)}"
    return article(seed, text=text, source="晚报", date="2024-03-06", **fields)


def test_a_reprint_is_searched_once_and_both_papers_are_named(home: Home, tmp_path: Path) -> None:
    first = article(1, source="日报", date="2024-03-05")
    path = write_articles(tmp_path / "a.jsonl", [first, article(2), _reprint(3, of=1)])
    home.ingest(path)
    found = home.nearest(prose(1)[:60], 20)
    assert len(found) == len(set(found))
    assert [p.source for p in home.records.article("a00001").also_in] == ["晚报"]
    assert [p.article_id for p in home.records.article("a00003").also_in] == ["a00001"]
    assert home.records.article("a00002").also_in == ()
    assert home.records.passages_of(["a00003"]) == []
    evening = Question("?", "zh", sources=("晚报",))
    kept = home.records.passages_by_row(home.records.all_kept(evening, 99))
    assert {p.passage.article_id for p in kept} == {"a00001"}


def test_the_reprint_steps_in_when_the_original_goes(home: Home, tmp_path: Path) -> None:
    rows = [article(1), _reprint(2, of=1), _reprint(3, of=1)]
    path = write_articles(tmp_path / "a.jsonl", rows)
    home.ingest(path)
    home.remove("a00001")
    assert home.records.passages_of(["a00002"])
    assert [p.article_id for p in home.records.article("a00002").also_in] == ["a00003"]
    assert home.state()[1] == home.state()[2]
    write_articles(path, [article(2, text=prose(70)), _reprint(3, of=1)])
    home.ingest(path)
    assert home.records.article("a00002").also_in == ()
    assert home.records.passages_of(["a00003"])


def test_a_longer_printing_becomes_the_original(home: Home, tmp_path: Path) -> None:
    write_articles(tmp_path / "a.jsonl", [article(1)])
    home.ingest(tmp_path)
    longer = f"{prose(1)}\n{prose(80, sentences=2)}"
    write_articles(tmp_path / "b.jsonl", [article(2, text=longer)])
    home.ingest(tmp_path)
    assert home.records.passages_of(["a00001"]) == []
    assert "第80号" in "".join(p.passage.text for p in home.records.passages_of(["a00002"]))


def test_an_edited_page_embeds_only_what_was_edited(home: Home, tmp_path: Path) -> None:
    """The new article isn't taken for a reprint of the one that it replaces."""
    path = tmp_path / "page.txt"
    text = (PAGES / "p01.txt").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    home.ingest(path)
    home.embedder.embedded.clear()
    path.write_text(text.replace("58万元", "五十八万元", 1), encoding="utf-8")
    home.ingest(path)
    assert 0 < len(home.embedder.embedded) <= 2
    assert all(article.also_in == () for article in home.records.articles())


def test_an_article_in_two_files_is_kept_once_and_until_both_are_gone(
    home: Home, tmp_path: Path
) -> None:
    folder = tmp_path / "twice"
    folder.mkdir()
    for name in ("1.txt", "2.txt"):
        shutil.copy(PAGES / "p01.txt", folder / name)
    one = home.ingest(folder).added
    assert changes(home.ingest(folder)) == (0, 0, 2 * one, 0)
    (folder / "1.txt").unlink()
    assert changes(home.ingest(folder, sync=True)) == (0, 0, one, 0)
    assert home.records.counts().articles == one
    (folder / "2.txt").unlink()
    assert changes(home.ingest(folder, sync=True)) == (0, 0, 0, one)
    assert home.records.counts().articles == 0


def test_files_named_twice_are_read_once(home: Home, papers: Path) -> None:
    (papers / "link.jsonl").symlink_to(papers / "a.jsonl")
    assert changes(home.ingest(papers, papers / "a.jsonl", papers / ".")) == (8, 0, 0, 0)


# ---- removing ----------------------------------------------------------------------------------


def test_a_removed_article_is_gone_everywhere_until_its_file_is_ingested_again(
    home: Home, papers: Path
) -> None:
    home.ingest(papers)
    before = home.state()
    assert home.remove("a00001", "a00004", "a00001") == 2
    articles, passages, indexed = home.state()
    assert len(articles) == 6
    assert passages == indexed
    assert changes(home.ingest(papers)) == (2, 0, 6, 0)
    assert home.state() == before


def test_none_is_removed_if_one_is_unknown(home: Home, papers: Path) -> None:
    home.ingest(papers)
    with pytest.raises(ArticleNotFound):
        home.remove("a00001", "nope")
    assert home.records.counts().articles == 8
    assert home.remove() == 0


def test_sync_removes_the_articles_of_files_that_are_gone(home: Home, papers: Path) -> None:
    home.ingest(papers)
    (papers / "b.jsonl").unlink()
    assert changes(home.ingest(papers)) == (0, 0, 5, 0)
    report = home.ingest(papers, sync=True)
    assert changes(report) == (0, 0, 5, 3)
    assert report.articles == 5
    assert home.index.is_fresh()


def test_sync_touches_only_the_given_folders(home: Home, papers: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_articles(other / "d.jsonl", [article(20)])
    home.ingest(papers, other)
    shutil.rmtree(other)
    assert changes(home.ingest(papers, sync=True)) == (0, 0, 8, 0)
    assert home.records.counts().articles == 9


def test_sync_of_a_folder_that_is_away_itself_removes_nothing(home: Home, papers: Path) -> None:
    """It may be a disk that isn't mounted."""
    home.ingest(papers)
    papers.rename(papers.with_name("away"))
    report = home.ingest(papers, sync=True)
    assert len(report.failed) == 1
    assert (report.removed, report.articles) == (0, 8)


# ---- bad input ---------------------------------------------------------------------------------


def test_one_bad_file_among_ten_is_reported_and_nine_are_indexed(
    home: Home, tmp_path: Path
) -> None:
    for i in range(9):
        write_articles(tmp_path / f"{i}.jsonl", [article(i)])
    (tmp_path / "5b.txt").write_bytes(b"%PDF-1.7 \0")
    report = home.ingest(tmp_path)
    assert (report.added, report.articles) == (9, 9)
    (failed,) = report.failed
    assert "5b.txt is a damaged PDF" in failed["error"]


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


@pytest.mark.parametrize(
    "make",
    [Path.touch, Path.mkdir, _fifo, _loop, _dangling, lambda p: p.write_bytes(b"\0")],
    ids=["empty", "folder", "pipe", "link-to-itself", "link-to-nothing", "binary"],
)
@pytest.mark.timeout(20)
def test_what_is_no_page_is_reported_and_holds_nothing_up(
    home: Home, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    write_articles(folder / "good.jsonl", [article(1)])
    make(folder / "bad.txt")
    report = home.ingest(folder)
    assert report.added == 1
    assert len(report.failed) == (0 if (folder / "bad.txt").is_dir() else 1)


def test_a_file_name_that_is_not_utf_8_is_reported_readably(home: Home, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xb1\xa8.jsonl")
    try:
        write_articles(tmp_path / name, [article(1)])
    except OSError:
        pytest.skip("this file system has no such names")
    write_articles(tmp_path / "good.jsonl", [article(2)])
    report = home.ingest(tmp_path)
    assert report.added == 1
    (failed,) = report.failed
    assert "not UTF-8; rename it" in failed["error"]
    assert "".join(failed.values()).isprintable()


def test_a_home_that_holds_nothing_yet_isnt_indexed(home: Home, tmp_path: Path) -> None:
    report = home.ingest(tmp_path / "none")
    assert (report.articles, len(report.failed)) == (0, 1)
    assert not (home.folder / "vectors").exists()


def test_an_index_made_by_another_model_is_refused_with_what_to_do(
    home: Home, papers: Path
) -> None:
    home.ingest(papers)
    before = home.state()
    other = Home.at(home.folder, CountingEmbedder(16, name="other@2"))
    with pytest.raises(
        IndexMismatch, match=r"set WENBAO_MODEL back, or choose another WENBAO_HOME"
    ):
        other.ingest(papers)
    assert home.state() == before
    other.close()


def test_another_model_may_follow_once_nothing_is_indexed(home: Home, papers: Path) -> None:
    home.ingest(papers)
    home.remove(*(a.article_id for a in home.records.articles()))
    other = Home.at(home.folder, CountingEmbedder(16, name="other@2"))
    assert changes(other.ingest(papers)) == (8, 0, 0, 0)
    assert len(other.nearest("雁塔")) == 3
    other.close()


def test_a_very_long_article_is_embedded_in_pieces_and_survives_an_end_in_between(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.recording.READ_AHEAD", 4)
    path = write_articles(tmp_path / "long.jsonl", [article(1, text=prose(1, 200))])
    embed = CountingEmbedder.embed_passages
    sizes: list[int] = []

    def embed_twice(self: CountingEmbedder, texts: list[str]) -> object:
        sizes.append(len(texts))
        if len(sizes) == 3:
            raise KeyboardInterrupt
        return embed(self, texts)

    monkeypatch.setattr(CountingEmbedder, "embed_passages", embed_twice)
    with pytest.raises(KeyboardInterrupt):
        home.ingest(path)
    assert home.records.counts().articles == 0
    monkeypatch.setattr(CountingEmbedder, "embed_passages", embed)
    home.embedder.embedded.clear()
    report = home.ingest(path)
    assert len(home.embedder.embedded) == report.passages - 8
    assert max(sizes) == 4


# ---- the disk ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory; `mount -o remount,size=...` gives it another size."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        _mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk))
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def _mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True, capture_output=True)


@pytest.mark.parametrize("size", ["100k", "400k", "900k", "1600k"])
def test_a_full_disk_is_said_in_one_sentence_and_nothing_is_lost(
    small_disk: Path, tmp_path: Path, size: str
) -> None:
    _mount("-o", f"remount,size={size}", str(small_disk))
    folder = tmp_path / "papers"
    folder.mkdir()
    for i in range(12):
        write_articles(folder / f"{i:02d}.jsonl", [article(5 * i + j) for j in range(5)])

    def ingest() -> Report:
        return Home.at(small_disk / "home").ingest(folder)

    with pytest.raises(StoreUnavailable, match=r"disk is full.*free some space"):
        ingest()
    _mount("-o", "remount,size=64m", str(small_disk))
    home = Home.at(small_disk / "home")
    kept = home.records.counts().articles
    report = home.ingest(folder)
    assert report.added == 60 - kept
    clean = Home.at(tmp_path / "clean")
    clean.ingest(folder)
    assert home.state() == clean.state()
    home.close()
    clean.close()


def test_a_disk_that_fills_while_the_index_is_built_loses_nothing(
    home: Home, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    home.ingest(papers)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", full)
        patch.setattr(generations, "build", lambda *_: full(papers, papers))
        write_articles(papers / "d.jsonl", [article(30)])
        with pytest.raises(StoreUnavailable, match=r"disk is full.*nothing is lost"):
            home.ingest(papers)
        assert len(home.nearest("雁塔")) == 3
    assert home.generations()[0] == "CURRENT"
    assert not any(name.startswith(".gen") for name in home.generations())
    assert changes(home.ingest(papers)) == (0, 0, 9, 0)
    assert home.nearest(f"第30篇\n{prose(30)[:200]}", 1)[0] in prose(30)


def test_a_home_that_cant_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="set WENBAO_HOME to a folder of yours"):
        Home.at(tmp_path / "file" / "home")


# ---- processes ---------------------------------------------------------------------------------


def _killed_rounds(tmp_path: Path, rounds: int, seed: int) -> None:
    """Kills an ingest again and again; then a whole one must give what a clean one gives."""
    folder = write_mixed(tmp_path / "papers")
    dice = random.Random(seed)
    home = Home.at(tmp_path / "home")
    before = 0
    for round_ in range(rounds):
        kill_ingest(home.folder, folder, dice.uniform(0.0, 2.0))
        assert home.records.counts().articles >= before, "an acknowledged article is gone"
        before = home.records.counts().articles
        if round_ % 2:
            home.nearest("雁塔")
    clean = Home.at(tmp_path / "clean")
    clean.ingest(folder)
    report = home.ingest(folder)
    assert report.articles == 158
    assert home.state() == clean.state()
    assert home.nearest(prose(1_003)[:80]) == clean.nearest(prose(1_003)[:80])
    assert any(article.also_in for article in home.records.articles("", 999))
    assert len(home.generations()) <= 3
    assert _vector_keys(home) == _vector_keys(clean)
    home.close()
    clean.close()


def _vector_keys(home: Home) -> list[str]:
    return [key for (key,) in home.records._db.execute("SELECT key FROM vectors ORDER BY key")]


@pytest.mark.parametrize("rounds", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_ingests_that_are_killed_leave_what_a_clean_one_leaves(tmp_path: Path, rounds: int) -> None:
    _killed_rounds(tmp_path, rounds, seed=rounds)


@pytest.mark.slow
def test_two_thousand_files_take_no_more_memory_than_two_hundred(tmp_path: Path) -> None:
    """The peak of an ingest of its own process; what grows is the list of files."""
    peaks = {}
    for many in (200, 2_000):
        folder = tmp_path / str(many)
        folder.mkdir()
        for i in range(many):
            text = f"第{i}号桥昨天通车了\n\n{prose(i, 3)}\n"
            (folder / f"{i}.txt").write_text(text, encoding="utf-8")
        child = start_ingest(tmp_path / f"home{many}", folder)
        out = child.communicate(timeout=280)[0]
        report = json.loads(out.splitlines()[-1])
        assert (report["failed"], report["articles"]) == ([], many)
        peaks[many] = report["peak_mb"]
    assert peaks[2_000] < peaks[200] + 60


def test_two_processes_that_ingest_at_once_both_end_well(tmp_path: Path) -> None:
    for name, first in (("a", 0), ("b", 30)):
        write_articles(tmp_path / f"{name}.jsonl", [article(first + i) for i in range(30)])
    shared = write_articles(tmp_path / "shared.jsonl", [article(90)])
    children = [
        start_ingest(tmp_path / "home", tmp_path / f"{name}.jsonl", shared) for name in ("a", "b")
    ]
    for child in children:
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
        assert '"failed": []' in out
    home = Home.at(tmp_path / "home")
    articles, passages, indexed = home.state()
    assert len(articles) == 61
    assert passages == indexed
    home.close()


def test_a_reader_is_answered_while_another_process_writes(home: Home, tmp_path: Path) -> None:
    home.ingest(write_articles(tmp_path / "first.jsonl", [article(i) for i in range(20)]))
    wanted = home.nearest(f"第3篇\n{prose(3)[:200]}", 1)
    child = start_ingest(
        home.folder, write_articles(tmp_path / "more.jsonl", [article(i) for i in range(20, 120)])
    )
    asked = 0
    while child.poll() is None:
        assert home.nearest(f"第3篇\n{prose(3)[:200]}", 1) == wanted
        asked += 1
        time.sleep(0.02)
    assert child.communicate()[1] == ""
    assert child.returncode == 0
    assert asked > 10
    assert home.nearest(f"第110篇\n{prose(110)[:200]}", 1)[0] in prose(110)
