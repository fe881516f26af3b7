"""Who may do what on Telegram: bans, invitations, limits, and what admins do."""

import asyncio
from pathlib import Path

import pytest

from bot.people import People
from bot.telegram import admin
from bot.telegram.admin import file_name
from bot.telegram.members import Limit, Members, Over
from fake_telegram import FakeTelegram
from rag.ingest import Watcher
from telegram_house import ADMIN, ARTICLE, QUESTION, FakeApp, app_for, done, polling
from telegram_judge import Json

# --- limits


async def test_a_person_over_the_limit_hears_so_once_and_others_are_served(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    house = app_for(telegram, tmp_path, telegram_user_minute=2)
    async with polling(house):
        for n in range(5):
            telegram.private(f"{n}?")
        await telegram.replies(3)
        telegram.private("other?", user_id=7)
        for _ in range(3):
            telegram.private("admin?", user_id=ADMIN)
        await telegram.replies(7)
    mine = [sent.text for sent in telegram.sent if sent.chat_id == 501]
    assert mine[:2] == ["Nothing on: 0?", "Nothing on: 1?"]
    assert mine[2].startswith("That's a lot of questions at once")
    assert len(mine) == 3
    assert len([sent for sent in telegram.sent if sent.chat_id == ADMIN]) == 3


async def test_a_group_has_a_limit_for_the_day(telegram: FakeTelegram, tmp_path: Path) -> None:
    async with polling(app_for(telegram, tmp_path, telegram_chat_day=1)):
        telegram.group("/ask a?", user_id=1)
        telegram.group("/ask 甲？", user_id=2)
        replies = await telegram.replies(2)
    assert replies[1].text.startswith("今天的提问次数用完了")


def test_who_asks_too_much_uses_up_nobody_else_s_share(tmp_path: Path) -> None:
    members = Members(People(tmp_path))
    group = Limit("chat:-1", "day", 3)
    for _ in range(5):
        members.count([Limit("user:1", "day", 2), group])
    assert members.count([Limit("user:2", "day", 2), group]) is None
    assert members.count([Limit("user:3", "day", 2), group]) == Over("day", told=False)


# --- who may ask


async def test_a_banned_person_hears_so_once_and_gets_no_answer(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    telegram.private("/ban 501", user_id=ADMIN)
    await telegram.replies(1)
    for _ in range(3):
        telegram.private(QUESTION)
    telegram.group(f"/ask {QUESTION}")
    await done(house, 5)
    telegram.private("/unban 501", user_id=ADMIN)
    await telegram.replies(2, chat_id=ADMIN)
    telegram.private("again?")
    replies = await telegram.replies(2, chat_id=501)
    assert "decided so" in replies[0].text
    assert replies[1].text == "Nothing on: again?"
    assert house.answerer.asked == ["again?"]


async def test_someone_is_banned_by_a_reply_and_an_admin_never_is(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    rude = telegram.group("rude", user_id=7)
    telegram.group("/ban", user_id=ADMIN, reply_to_message=rude)
    telegram.group(f"/ban {ADMIN}", user_id=ADMIN)
    replies = await telegram.replies(2)
    assert replies[0].text.startswith("7 gets no answers")
    assert replies[1].text.startswith("Reply to a message of theirs")


async def test_a_ban_on_a_group_that_writes_as_itself_touches_no_other_group(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    def nameless(chat_id: int) -> Json:  # Telegram gives all of them the same sender
        group = {"id": chat_id, "type": "supergroup", "title": "Readers"}
        stand_in = {"id": 1087968824, "is_bot": True, "first_name": "Group"}
        return {"chat_id": chat_id, "from": stand_in, "sender_chat": group}

    rude = telegram.group("/ask rude?", **nameless(-1001))
    telegram.group("/ban", user_id=ADMIN, reply_to_message=rude)
    assert (await telegram.replies(2))[1].text.startswith("-1001 gets no answers")
    telegram.group("/ask rude again?", **nameless(-1001))
    telegram.group("/ask kind?", **nameless(-1009))
    await telegram.replies(1, chat_id=-1009)
    telegram.group("/ask last?", user_id=7)
    await telegram.replies(3, chat_id=-1001)
    assert house.answerer.asked == ["rude?", "kind?", "last?"]


async def test_a_closed_bot_answers_invited_people_and_groups_only(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    house = app_for(telegram, tmp_path, telegram_allowed="1, -1001")
    async with polling(house):
        telegram.private("one?", user_id=1)
        telegram.private("two?", user_id=2)
        telegram.group("/ask group?", user_id=3)
        telegram.group("/ask elsewhere?", chat_id=-1009, user_id=3)
        await telegram.replies(3)
        assert "your number is 2" in (await telegram.replies(1, chat_id=2))[0].text
        telegram.private("/allow 2", user_id=ADMIN)
        await telegram.replies(1, chat_id=ADMIN)
        telegram.private("two?", user_id=2)
        await telegram.replies(2, chat_id=2)
    assert sorted(house.answerer.asked) == ["group?", "one?", "two?"]
    assert not [sent for sent in telegram.sent if sent.chat_id == -1009]


# --- what admins do


async def test_stats_count_what_is_indexed_and_asked(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    telegram.private(QUESTION)
    (reply,) = await telegram.replies(1)
    telegram.tap(reply, "👍")
    await telegram.until_called("editMessageReplyMarkup")
    telegram.private("/stats", user_id=ADMIN)
    text = (await telegram.replies(2))[1].text
    assert "1 articles, 7 passages, 1 files" in text
    assert "1 questions by 1 people" in text
    assert "1 up, 0 down" in text


async def test_a_file_that_an_admin_sends_is_indexed_with_progress(
    telegram: FakeTelegram, house: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "STEP_S", 0.05)
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def steps(watcher: Watcher) -> None:
        watcher.step("passages", 3, 8)
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()

    house.ingest_steps = steps
    telegram.file("第一版".encode(), "../../第 一版.txt", user_id=ADMIN)
    (told,) = await telegram.replies(1)
    assert told.text == "Reading 第 一版.txt … 3 of 8"
    gate.set()
    done = "第 一版.txt: 2 added, 1 updated, 0 unchanged. 3 articles in all."
    await telegram.until(lambda: bool(telegram.edits) and telegram.edits[-1].text == done)
    assert house.ingested == {"第 一版.txt": "第一版".encode()}
    assert (house.settings.home / admin.FOLDER / "第 一版.txt").is_file()


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        pytest.param("page.exe", None, "these I can: .txt", id="type"),
        pytest.param("page.txt", 30_000_000, "too large: up to 20 MB", id="size"),
    ],
)
async def test_a_file_of_another_type_or_too_large_is_refused(
    telegram: FakeTelegram, house: FakeApp, name: str, size: int | None, words: str
) -> None:
    telegram.file(b"x", name, user_id=ADMIN, size=size)
    (reply,) = await telegram.replies(1)
    assert words in reply.text
    assert not telegram.called("getFile")


async def test_a_file_that_can_t_be_read_is_told_with_the_reason(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    house.failed = "page.txt holds no article; give a file with a newspaper page's text."
    telegram.file(b"x", "page.txt", user_id=ADMIN)
    (reply,) = await telegram.replies(1)
    assert reply.text == f"page.txt was not indexed: {house.failed}"
    telegram.file(b"x", "pages.zip", user_id=ADMIN)
    reply = (await telegram.replies(2))[1]
    assert reply.text.startswith("pages.zip: 2 added, 1 updated")
    assert reply.text.endswith(f"Not all of it: {house.failed}")


async def test_a_file_of_anybody_else_is_not_taken(telegram: FakeTelegram, house: FakeApp) -> None:
    telegram.file(b"x", "page.txt")
    (reply,) = await telegram.replies(1)
    assert reply.text.startswith("I can read text only")
    assert not telegram.called("getFile")


async def test_articles_are_removed_by_id(telegram: FakeTelegram, house: FakeApp) -> None:
    for text in ("/remove", "/remove nobody", f"/remove {ARTICLE.article_id}"):
        telegram.private(text, user_id=ADMIN)
    replies = [sent.text for sent in await telegram.replies(3)]
    assert replies[0].startswith("Write the ids")
    assert replies[1].startswith("No article nobody")
    assert replies[2] == "Removed: 1."
    assert house.records.kept == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param("../../etc/passwd.txt", "passwd.txt", id="path"),
        pytest.param("C:\\pages\\p.txt", "p.txt", id="windows"),
        pytest.param("...hidden.txt", "hidden.txt", id="hidden"),
        pytest.param("a\u202etxt.exe\x00.jsonl", "atxt.exe.jsonl", id="bidi"),
        pytest.param("长" * 300 + ".txt", "长" * 80 + ".txt", id="long"),
        pytest.param("", "page.txt", id="none"),
        pytest.param(".txt", "page.txt", id="suffix-only"),
    ],
)
def test_a_file_name_can_t_lead_out_of_its_folder(given: str, kept: str) -> None:
    assert file_name(given) == kept
