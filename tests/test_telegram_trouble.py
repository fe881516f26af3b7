"""Trouble on Telegram: errors, flood control, broken connections, deaths of the process."""

import asyncio
import contextlib
import json
import logging
import re
from pathlib import Path

import pytest

from bot import render_telegram
from bot.people import People
from bot.telegram import preview
from bot.telegram.inbox import Inbox, Letter
from bot.telegram.limiter import Limits
from bot.telegram.members import Member
from fake_telegram import FakeTelegram
from rag.errors import IndexMismatch, LlmUnavailable, StoreUnavailable
from telegram_house import QUESTION, FakeApp, app_for, polling
from telegram_weather import Limits as Judge

# --- errors


@pytest.mark.parametrize(
    ("error", "question", "words"),
    [
        pytest.param(ValueError("secret"), "why?", "Something went wrong", id="bug"),
        pytest.param(ValueError("secret"), "为什么？", "我这边出了点问题", id="bug-in-chinese"),
        pytest.param(StoreUnavailable("locked"), "why?", "ask again in a minute", id="store"),
        pytest.param(LlmUnavailable("away"), "为什么？", "请过一分钟再问", id="llm-in-chinese"),
        pytest.param(IndexMismatch("other model"), "why?", "whoever runs me", id="operator"),
    ],
)
async def test_an_error_gives_the_asker_one_sentence_and_the_log_the_traceback_under_one_id(
    telegram: FakeTelegram,
    house: FakeApp,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    question: str,
    words: str,
) -> None:
    house.answerer.script[question] = error
    message = telegram.private(question)
    (reply,) = await telegram.replies(1)
    assert words in reply.text
    assert str(error) not in reply.text
    assert reply.reply_to == message["message_id"]
    reference = re.search(r"[0-9a-f]{8}", reply.text)
    assert reference
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert reference[0] in record.getMessage()
    assert record.exc_info
    assert record.exc_info[1] is error
    telegram.private("still there?")
    assert await telegram.replies(2)


async def test_a_question_that_is_too_long_is_told_so_without_an_id_or_a_traceback(
    telegram: FakeTelegram, house: FakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    telegram.private("为" * 3000)
    (reply,) = await telegram.replies(1)
    assert reply.text == "这个问题我没法处理：请用 1 到 2000 个字提问。"
    assert not [each for each in caplog.records if each.levelno > logging.WARNING]


async def test_a_tap_that_fails_says_so_on_the_button(
    telegram: FakeTelegram, house: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    telegram.private(QUESTION)
    (reply,) = await telegram.replies(1)

    def broken(article_id: str) -> None:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(house.records, "find", broken)
    telegram.tap(reply, "📄", language="zh")
    await telegram.until(lambda: bool(telegram.toasts))
    assert re.search("请过一分钟再问。（编号 [0-9a-f]{8}）", telegram.toasts[0])


async def test_an_error_over_a_group_s_own_talk_is_told_to_the_log_alone(
    telegram: FakeTelegram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    telegram.privacy = False
    async with polling(app_for(telegram, tmp_path)) as door:
        found, errors = door.desk.members.member, [StoreUnavailable("locked")]

        def unlucky(member_id: int) -> Member:
            if errors:
                raise errors.pop()
            return found(member_id)

        monkeypatch.setattr(door.desk.members, "member", unlucky)
        telegram.group("nothing for a bot")
        telegram.group("/ask last?")
        (reply,) = await telegram.replies(1)
    assert not errors
    assert reply.text == "Nothing on: last?"


async def test_an_error_in_a_group_takes_the_place_of_the_words_so_far(
    telegram: FakeTelegram, house: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "QUIET_S", 0.02)

    async def seen(n: int) -> None:
        await telegram.until(lambda: len(telegram.sent) == n)

    house.answerer.pieces, house.answerer.paced = ["Half an "], seen
    house.answerer.script["why?"] = ValueError("bug")
    telegram.group("/ask why?")
    await telegram.until(lambda: bool(telegram.edits))
    assert len(telegram.sent) == 1
    assert telegram.edits[-1].text.startswith("Something went wrong")


# --- Telegram says no, or nothing


async def test_flood_control_is_waited_for_and_the_answer_comes_once(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    telegram.flood("sendMessage", seconds=1, times=2)
    telegram.private(QUESTION)
    await telegram.replies(1)
    telegram.private("next?")
    replies = await telegram.replies(2)
    assert [call.method for call in telegram.calls].count("sendMessage") == 4
    assert telegram.impatient == 0
    assert [reply.text for reply in replies][1:] == ["Nothing on: next?"]


async def test_a_broken_connection_is_tried_again(telegram: FakeTelegram, house: FakeApp) -> None:
    telegram.drop("sendMessage", times=2)
    telegram.private(QUESTION)
    assert len(await telegram.replies(1)) == 1


async def test_an_answer_whose_receipt_is_lost_comes_twice_rather_than_never(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    telegram.drop_reply("sendMessage")
    telegram.private("why?")
    replies = await telegram.replies(2)
    assert [reply.text for reply in replies] == ["Nothing on: why?"] * 2
    assert house.answerer.asked == ["why?"]


async def test_markup_that_telegram_refuses_goes_out_as_plain_text(
    telegram: FakeTelegram, house: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = render_telegram.TelegramMessage("<oops>A & B", "A & B")
    monkeypatch.setattr(render_telegram, "messages", lambda _answer: [bad])
    telegram.private(QUESTION)
    (reply,) = await telegram.replies(1)
    assert reply.text == "A & B"


async def test_an_asker_who_blocked_the_bot_is_no_error(
    telegram: FakeTelegram, house: FakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    await telegram.until_called("setMyCommands", 5)  # an admin who never wrote has no menu
    caplog.clear()
    telegram.blocked.add(501)
    telegram.private(QUESTION)
    await telegram.until_called("sendMessage")
    telegram.private("hello?", user_id=7)
    await telegram.replies(1)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


async def test_telegram_s_own_limits_are_kept(telegram: FakeTelegram, tmp_path: Path) -> None:
    telegram.limits = Judge(chat=(1, 0.1), group=(4, 1.0), overall=(5, 0.2))
    house = app_for(telegram, tmp_path, telegram_chat_minute=0, telegram_user_minute=0)
    async with polling(house, Limits(chat=(1, 0.1), group=(4, 1.0), overall=(5, 0.2))):
        for n in range(8):
            telegram.group(f"/ask {n}?", user_id=1)
            for user in range(5):
                telegram.private(f"{n}?", user_id=10 + user)
        await telegram.replies(48, timeout_s=60)
    assert telegram.limits.broken == []


# --- once


async def test_an_update_that_comes_again_is_answered_once(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    message = telegram.private("once?")
    await telegram.replies(1)
    telegram.again(message)
    telegram.private("next?")
    replies = await telegram.replies(2)
    assert [reply.text for reply in replies] == ["Nothing on: once?", "Nothing on: next?"]


async def test_an_update_that_comes_again_after_a_restart_is_answered_once(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    async with polling(app_for(telegram, tmp_path)):
        message = telegram.private("once?")
        await telegram.replies(1)
    telegram.again(message)
    async with polling(app_for(telegram, tmp_path)):
        telegram.private("next?")
        replies = await telegram.replies(2)
    assert [reply.text for reply in replies] == ["Nothing on: once?", "Nothing on: next?"]


async def test_stopping_finishes_the_answer_that_was_begun_and_leaves_the_rest_for_later(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    house = app_for(telegram, tmp_path)
    gate = house.answerer.gates["slow?"] = asyncio.Event()
    async with polling(house):
        telegram.private("slow?")
        telegram.private("later?")
        await telegram.until_called("sendChatAction")
        asyncio.get_running_loop().call_later(0.2, gate.set)
    assert [sent.text for sent in telegram.sent] == ["Nothing on: slow?"]
    async with polling(app_for(telegram, tmp_path)):
        replies = await telegram.replies(2)
    assert replies[1].text == "Nothing on: later?"


async def _die(telegram: FakeTelegram, house: FakeApp, until: asyncio.Event) -> None:
    """Works until an event, then ends as a killed process does: nothing is finished."""

    async def work() -> None:
        async with polling(house):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.wait_for(until.wait(), 20)
    for each in asyncio.all_tasks() - {asyncio.current_task()}:
        if "Application" in each.get_name() or "Updater" in each.get_name() or each is task:
            each.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_an_answer_that_was_not_delivered_when_the_process_died_comes_after_the_restart(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    people = People(tmp_path)
    inbox = Inbox(people)
    telegram.private("hello")  # so that the chat is known
    update = {
        "update_id": 5,
        "message": {
            "message_id": 3,
            "date": 1,
            "chat": {"id": 501, "type": "private"},
            "from": {"id": 501, "is_bot": False, "first_name": "Lin"},
            "text": "half delivered?",
        },
    }
    assert inbox.take(5, json.dumps(update))
    inbox.begin(5)
    written = inbox.write(5, [Letter(501, "one", "one"), Letter(501, "two", "two")])
    inbox.delivered(written[0][0])
    people.close()
    house = app_for(telegram, tmp_path)
    async with polling(house):
        replies = await telegram.replies(2)
    assert [reply.text for reply in replies] == ["two", "Nothing on: hello"]
    assert house.answerer.asked == ["hello"]


async def test_an_update_that_ends_the_process_every_time_is_given_up_with_a_word(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    for _ in range(3):
        house = app_for(telegram, tmp_path)
        house.answerer.gates["deadly?"] = asyncio.Event()
        if not telegram.called("getUpdates"):
            telegram.private("deadly?")
        begun = asyncio.Event()
        house.answerer.script["deadly?"] = ValueError("never reached")

        async def watch(begun: asyncio.Event = begun, house: FakeApp = house) -> None:
            while not house.answerer.asked:
                await asyncio.sleep(0.02)
            begun.set()

        watcher = asyncio.create_task(watch())
        await _die(telegram, house, begun)
        await watcher
        house.people.close()
    house = app_for(telegram, tmp_path)
    async with polling(house):
        (reply,) = await telegram.replies(1)
    assert reply.text.startswith("I began to answer this several times")
    assert house.answerer.asked == []


# --- Telegram away


async def test_the_bot_survives_telegram_going_away(telegram: FakeTelegram, house: FakeApp) -> None:
    await telegram.stop()
    await asyncio.sleep(0.2)
    telegram.private(QUESTION)
    await telegram.start()
    assert await telegram.replies(1)


async def test_a_second_poller_is_named_in_the_log(
    telegram: FakeTelegram, house: FakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with polling(app_for(telegram, tmp_path / "other")):
        async with asyncio.timeout(20):
            while "another process polls with this token" not in caplog.text:
                await asyncio.sleep(0.05)


async def test_the_token_shows_in_no_log(
    telegram: FakeTelegram, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        house = app_for(telegram, tmp_path)
        house.answerer.script["bug?"] = ValueError("bug")
        async with polling(house):
            telegram.flood("sendMessage", seconds=1)
            telegram.drop("getUpdates")
            telegram.private("bug?")
            await telegram.replies(1)
    assert "Update" in caplog.text
    assert "Telegram does not answer" in caplog.text
    assert telegram.token not in caplog.text
    assert telegram.token.split(":")[1] not in caplog.text
