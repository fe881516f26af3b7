"""A backup holds what can't be made again, is whole or not there, and brings a home back."""

import io
import sqlite3
import tarfile
import threading
from pathlib import Path
from shutil import copytree

import pytest

from bot import backup
from bot.people import People
from homes import Home, article, write_articles
from rag import weights
from rag.errors import StoreUnavailable, UnreadableFile, WrongUse
from rag.records import Records
from test_people import ANSWER


def library(folder: Path, *seeds: int) -> Path:
    opened = Home.at(folder)
    opened.ingest(write_articles(folder.with_suffix(".jsonl"), [article(n) for n in seeds]))
    opened.close()
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with some articles, an answer that somebody got, and a judge of its own."""
    folder = library(tmp_path_factory.mktemp("backup") / "home", 1, 2, 3)
    people = People(folder)
    people.answered("a", ANSWER)
    people.close()
    weights.keep(folder, weights.load())
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to change."""
    return copytree(made, tmp_path / "home")


@pytest.fixture
def file(home: Path, tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar.gz"
    assert backup.write_file(home, path) == list(backup.NAMES)
    return path


def restored(file: Path, home: Path, force: bool = False) -> list[str]:
    with file.open("rb") as source:
        return backup.restore(home, source, force)


def state(folder: Path) -> tuple[object, ...]:
    """All that a reader meets in a home."""
    opened, people = Home.at(folder), People(folder)
    opened.index.mend()
    found = (opened.state(), people.turns("a"), weights.of_home(folder, weights.load().model))
    people.close()
    opened.close()
    return found


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.iterdir() if path.is_file() and path.suffix != ".lock")
    return {path.name: path.read_bytes() for path in files}


def test_a_restored_home_is_the_same_home(home: Path, file: Path, tmp_path: Path) -> None:
    assert restored(file, tmp_path / "new") == list(backup.NAMES)
    assert state(tmp_path / "new") == state(home)


def test_a_backup_holds_the_files_alone_and_for_its_owner_only(file: Path) -> None:
    with tarfile.open(file) as held:
        assert held.getnames() == list(backup.NAMES)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.glob(".*")] == []


def test_a_backup_taken_while_others_write_is_of_one_moment(home: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        with sqlite3.connect(home / "people.sqlite", timeout=30) as db:
            db.execute("CREATE TABLE pairs (a INTEGER, b INTEGER)")
            while not stop.is_set():
                db.execute("BEGIN")
                db.execute("INSERT INTO pairs VALUES (1, 0)")
                db.execute("UPDATE pairs SET b = a")
                db.commit()
        db.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(3):
            backup.write_file(home, tmp_path / f"{n}.tar.gz")
    finally:
        stop.set()
        writer.join()
    for n in range(3):
        restored(tmp_path / f"{n}.tar.gz", tmp_path / str(n))
        db = sqlite3.connect(tmp_path / str(n) / "people.sqlite")
        tables = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'pairs'").fetchone()
        if tables[0]:
            assert db.execute("SELECT count(*) FROM pairs WHERE a != b").fetchone() == (0,)
        db.close()


def test_a_home_that_holds_something_is_left_alone(home: Path, file: Path) -> None:
    before = contents(home)
    with pytest.raises(WrongUse, match="--force"):
        restored(file, home)
    assert contents(home) == before


def test_force_replaces_everything_and_takes_away_what_is_not_in_the_backup(
    tmp_path: Path, home: Path
) -> None:
    other = library(tmp_path / "other", 50, 51)
    stream = io.BytesIO()
    assert backup.write(other, stream) == ["wenbao.sqlite"]
    stream.seek(0)
    assert backup.restore(home, stream, force=True) == ["wenbao.sqlite"]
    assert state(home) == state(other)
    assert not (home / weights.FILE_NAME).exists()


def test_an_index_of_the_old_home_does_not_stay(home: Path, file: Path) -> None:
    assert (home / backup.REBUILT).is_dir()
    restored(file, home, force=True)
    assert not (home / backup.REBUILT).exists()


def tar_of(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as made:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("__", "/").replace("_sqlite", ".sqlite"))
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"no tar at all" * 99, id="another file"),
        pytest.param(tar_of(notes=b"x"), id="another tar"),
        pytest.param(tar_of(wenbao_sqlite=b"SQLite format 3\0" + b"x" * 5000), id="damaged"),
        pytest.param(tar_of(**{"..__..__wenbao_sqlite": b"x"}), id="out of the folder"),
    ],
)
def test_what_is_no_backup_changes_nothing(home: Path, content: bytes) -> None:
    before = contents(home)
    with pytest.raises(UnreadableFile, match="nothing was changed"):
        backup.restore(home, io.BytesIO(content), force=True)
    assert contents(home) == before
    assert (home / backup.REBUILT).is_dir()


def test_half_a_backup_changes_nothing(home: Path, file: Path) -> None:
    before, whole = contents(home), file.read_bytes()
    for size in (30, len(whole) // 3, len(whole) - 30):
        with pytest.raises(UnreadableFile):
            backup.restore(home, io.BytesIO(whole[:size]), force=True)
    assert contents(home) == before


@pytest.mark.parametrize("opened", [Records, People], ids=["index", "bot"])
def test_nothing_is_restored_while_somebody_has_the_home_open(
    home: Path, file: Path, opened: type[Records | People]
) -> None:
    before = contents(home)
    user = opened(home)
    with pytest.raises(StoreUnavailable, match="stop it"):
        restored(file, home, force=True)
    user.close()
    assert contents(home) == before
    restored(file, home, force=True)


def test_a_home_that_is_opened_while_a_backup_is_unpacked_is_left_alone(
    home: Path, file: Path
) -> None:
    class Slow(io.BytesIO):
        """Somebody opens the home before the first byte comes."""

        def read(self, size: int | None = -1) -> bytes:
            users.append(People(home))
            return super().read(size)

    users: list[People] = []
    before = contents(home)
    with pytest.raises(StoreUnavailable, match="stop it"):
        backup.restore(home, Slow(file.read_bytes()), force=True)
    for user in users:
        user.close()
    assert contents(home) == before
    assert (home / backup.REBUILT).is_dir()


def test_a_damaged_home_can_be_restored(home: Path, file: Path) -> None:
    (home / "wenbao.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    (home / "people.sqlite").write_bytes(b"nothing of the kind")
    assert restored(file, home, force=True) == list(backup.NAMES)
    Home.at(home).close()


def test_an_empty_home_has_no_backup(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no articles"):
        backup.write_file(tmp_path, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(home: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        backup.write_file(home, tmp_path / "gone" / "x")
