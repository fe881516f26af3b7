"""Keys that are kept as hashes, and rates that hold across processes."""

import time
from pathlib import Path

import pytest

from bot.keys import Key, Keys, Rates
from bot.people import FILE_NAME, People
from rag.errors import BadSettings


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path)


def test_a_key_opens_what_its_scope_says_until_it_is_removed(people: People) -> None:
    known = Keys(people)
    reader, writer = known.add("page", "read"), known.add("ops")
    assert known.of(reader.encode()) == Key("page", "read")
    assert known.of(writer.encode()) == Key("ops", "write")
    known.remove("page")
    assert known.of(reader.encode()) is None
    assert [(key.name, key.scope) for key in known.listed()] == [("ops", "write")]


def test_no_word_of_a_key_lies_on_the_disk(people: People, tmp_path: Path) -> None:
    key = Keys(people).add("ops")
    people.close()
    assert len(key) > 43
    for path in tmp_path.glob(f"{FILE_NAME}*"):
        assert key.removeprefix("wb_").encode() not in path.read_bytes()


@pytest.mark.parametrize("sent", [b"", b"wb_", b"first", b"first-key ", b"\xff\xfe"])
def test_what_is_no_key_opens_nothing(people: People, sent: bytes) -> None:
    known = Keys(people, ["first-key"])
    known.add("ops")
    assert known.of(sent) is None


def test_keys_of_the_environment_hold_beside_the_others(people: People) -> None:
    known = Keys(people, ["first-key"])
    added = known.add("ops")
    assert known.of(b"first-key") == Key("env-1", "write")
    assert known.of(added.encode()) == Key("ops", "write")


def test_reading_is_open_until_there_is_a_key_for_it(people: People) -> None:
    known = Keys(people)
    known.add("ops")
    assert known.any() and not known.close_reading()
    known.add("page", "read")
    assert known.close_reading() and Keys(people, ["a"]).close_reading()


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 65, "env-1", "../x", "钥匙"])
def test_a_name_that_cannot_be_used_is_told(people: People, name: str) -> None:
    with pytest.raises(BadSettings, match="name"):
        Keys(people).add(name)


def test_a_name_is_used_once_and_one_that_is_not_there_cannot_be_removed(people: People) -> None:
    known = Keys(people)
    known.add("ops")
    with pytest.raises(BadSettings, match="already"):
        known.add("ops")
    with pytest.raises(BadSettings, match="no key page"):
        known.remove("page")


def test_a_quota_is_used_up_and_comes_back_bit_by_bit(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    rates = Rates(people)
    assert [rates.take("a", 3).left for _ in range(3)] == [2, 1, 0]
    refused = rates.take("a", 3)
    assert (refused.refused, refused.left, refused.wait_s) == (True, 0, 20)
    assert not rates.take("b", 3).refused
    now[0] += 20
    assert not rates.take("a", 3).refused and rates.take("a", 3).refused
    now[0] += 600
    assert rates.take("a", 3).left == 2
    assert people.db.execute("SELECT asker FROM rates").fetchall() == [("a",)]  # b is forgotten


def test_processes_count_together(people: People, tmp_path: Path) -> None:
    here, there = Rates(people), Rates(People(tmp_path))
    taken = [rates.take("a", 10) for _ in range(6) for rates in (here, there)]
    assert [rate.refused for rate in taken] == [False] * 10 + [True] * 2
