"""Trouble on Telegram: errors, flood control, broken connections, deaths of the process."""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot import render_telegram
from bot.people import People
from bot.telegram import preview
from bot.telegram.inbox import Inbox, Letter
from bot.telegram.limiter import Limits
from bot.telegram.members import Member
from fake_telegram import FakeTelegram
from fake_telegram import Limits as Judge
from rag.errors import IndexMismatch, LlmUnavailable, StoreUnavailable
from telegram_house import QUESTION, FakeApp, app_for, polling


@pytest.fixture
async def server() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as made:
        yield made


@pytest.fixture
async def app(server: FakeTelegram, tmp_path: Path) -> AsyncIterator[FakeApp]:
    made = app_for(server, tmp_path)
    async with polling(made):
        yield made


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
    server: FakeTelegram,
    app: FakeApp,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    question: str,
    words: str,
) -> None:
    app.answerer.script[question] = error
    message = server.private(question)
    (reply,) = await server.replies(1)
    assert words in reply.text
    assert str(error) not in reply.text
    assert reply.reply_to == message["message_id"]
    reference = re.search(r"[0-9a-f]{8}", reply.text)
    assert reference
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert reference[0] in record.getMessage()
    assert record.exc_info
    assert record.exc_info[1] is error
    server.private("still there?")
    assert await server.replies(2)


async def test_a_question_that_is_too_long_is_told_so_without_an_id_or_a_traceback(
    server: FakeTelegram, app: FakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    server.private("为" * 3000)
    (reply,) = await server.replies(1)
    assert reply.text == "这个问题我没法处理：请用 1 到 2000 个字提问。"
    assert not [each for each in caplog.records if each.levelno > logging.WARNING]


async def test_a_tap_that_fails_says_so_on_the_button(
    server: FakeTelegram, app: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.private(QUESTION)
    (reply,) = await server.replies(1)

    def broken(article_id: str) -> None:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(app.records, "find", broken)
    server.tap(reply, "📄", language="zh")
    await server.until(lambda: bool(server.toasts))
    assert re.search("请过一分钟再问。（编号 [0-9a-f]{8}）", server.toasts[0])


async def test_an_error_over_a_group_s_own_talk_is_told_to_the_log_alone(
    server: FakeTelegram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.privacy = False
    async with polling(app_for(server, tmp_path)) as door:
        found, errors = door.desk.members.member, [StoreUnavailable("locked")]

        def unlucky(member_id: int) -> Member:
            if errors:
                raise errors.pop()
            return found(member_id)

        monkeypatch.setattr(door.desk.members, "member", unlucky)
        server.group("nothing for a bot")
        server.group("/ask last?")
        (reply,) = await server.replies(1)
    assert not errors
    assert reply.text == "Nothing on: last?"


async def test_an_error_in_a_group_takes_the_place_of_the_words_so_far(
    server: FakeTelegram, app: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "QUIET_S", 0.02)

    async def seen(n: int) -> None:
        await server.until(lambda: len(server.sent) == n)

    app.answerer.pieces, app.answerer.paced = ["Half an "], seen
    app.answerer.script["why?"] = ValueError("bug")
    server.group("/ask why?")
    await server.until(lambda: bool(server.edits))
    assert len(server.sent) == 1
    assert server.edits[-1].text.startswith("Something went wrong")


# --- Telegram says no, or nothing


async def test_flood_control_is_waited_for_and_the_answer_comes_once(
    server: FakeTelegram, app: FakeApp
) -> None:
    server.flood("sendMessage", seconds=1, times=2)
    server.private(QUESTION)
    await server.replies(1)
    server.private("next?")
    replies = await server.replies(2)
    assert [call.method for call in server.calls].count("sendMessage") == 4
    assert server.impatient == 0
    assert [reply.text for reply in replies][1:] == ["Nothing on: next?"]


async def test_a_broken_connection_is_tried_again(server: FakeTelegram, app: FakeApp) -> None:
    server.drop("sendMessage", times=2)
    server.private(QUESTION)
    assert len(await server.replies(1)) == 1


async def test_an_answer_whose_receipt_is_lost_comes_twice_rather_than_never(
    server: FakeTelegram, app: FakeApp
) -> None:
    server.drop_reply("sendMessage")
    server.private("why?")
    replies = await server.replies(2)
    assert [reply.text for reply in replies] == ["Nothing on: why?"] * 2
    assert app.answerer.asked == ["why?"]


async def test_markup_that_telegram_refuses_goes_out_as_plain_text(
    server: FakeTelegram, app: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = render_telegram.TelegramMessage("<oops>A & B", "A & B")
    monkeypatch.setattr(render_telegram, "messages", lambda _answer: [bad])
    server.private(QUESTION)
    (reply,) = await server.replies(1)
    assert reply.text == "A & B"


async def test_an_asker_who_blocked_the_bot_is_no_error(
    server: FakeTelegram, app: FakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    await server.until_called("setMyCommands", 5)  # an admin who never wrote has no menu
    caplog.clear()
    server.blocked.add(501)
    server.private(QUESTION)
    await server.until_called("sendMessage")
    server.private("hello?", user_id=7)
    await server.replies(1)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


async def test_telegram_s_own_limits_are_kept(server: FakeTelegram, tmp_path: Path) -> None:
    server.limits = Judge(chat=(1, 0.1), group=(4, 1.0), overall=(5, 0.2))
    app = app_for(server, tmp_path, telegram_chat_minute=0, telegram_user_minute=0)
    async with polling(app, Limits(chat=(1, 0.1), group=(4, 1.0), overall=(5, 0.2))):
        for n in range(8):
            server.group(f"/ask {n}?", user_id=1)
            for user in range(5):
                server.private(f"{n}?", user_id=10 + user)
        await server.replies(48, timeout_s=60)
    assert server.limits.broken == []


# --- once


async def test_an_update_that_comes_again_is_answered_once(
    server: FakeTelegram, app: FakeApp
) -> None:
    message = server.private("once?")
    await server.replies(1)
    server.again(message)
    server.private("next?")
    replies = await server.replies(2)
    assert [reply.text for reply in replies] == ["Nothing on: once?", "Nothing on: next?"]


async def test_an_update_that_comes_again_after_a_restart_is_answered_once(
    server: FakeTelegram, tmp_path: Path
) -> None:
    async with polling(app_for(server, tmp_path)):
        message = server.private("once?")
        await server.replies(1)
    server.again(message)
    async with polling(app_for(server, tmp_path)):
        server.private("next?")
        replies = await server.replies(2)
    assert [reply.text for reply in replies] == ["Nothing on: once?", "Nothing on: next?"]


async def test_stopping_finishes_the_answer_that_was_begun_and_leaves_the_rest_for_later(
    server: FakeTelegram, tmp_path: Path
) -> None:
    app = app_for(server, tmp_path)
    gate = app.answerer.gates["slow?"] = asyncio.Event()
    async with polling(app):
        server.private("slow?")
        server.private("later?")
        await server.until_called("sendChatAction")
        asyncio.get_running_loop().call_later(0.2, gate.set)
    assert [sent.text for sent in server.sent] == ["Nothing on: slow?"]
    async with polling(app_for(server, tmp_path)):
        replies = await server.replies(2)
    assert replies[1].text == "Nothing on: later?"


async def _die(server: FakeTelegram, app: FakeApp, until: asyncio.Event) -> None:
    """Works until an event, then ends as a killed process does: nothing is finished."""

    async def work() -> None:
        async with polling(app):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.wait_for(until.wait(), 20)
    for each in asyncio.all_tasks() - {asyncio.current_task()}:
        if "Application" in each.get_name() or "Updater" in each.get_name() or each is task:
            each.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_an_answer_that_was_not_delivered_when_the_process_died_comes_after_the_restart(
    server: FakeTelegram, tmp_path: Path
) -> None:
    people = People(tmp_path)
    inbox = Inbox(people)
    server.private("hello")  # so that the chat is known
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
    app = app_for(server, tmp_path)
    async with polling(app):
        replies = await server.replies(2)
    assert [reply.text for reply in replies] == ["two", "Nothing on: hello"]
    assert app.answerer.asked == ["hello"]


async def test_an_update_that_ends_the_process_every_time_is_given_up_with_a_word(
    server: FakeTelegram, tmp_path: Path
) -> None:
    for _ in range(3):
        app = app_for(server, tmp_path)
        app.answerer.gates["deadly?"] = asyncio.Event()
        if not server.called("getUpdates"):
            server.private("deadly?")
        begun = asyncio.Event()
        app.answerer.script["deadly?"] = ValueError("never reached")

        async def watch(begun: asyncio.Event = begun, app: FakeApp = app) -> None:
            while not app.answerer.asked:
                await asyncio.sleep(0.02)
            begun.set()

        watcher = asyncio.create_task(watch())
        await _die(server, app, begun)
        await watcher
        app.people.close()
    app = app_for(server, tmp_path)
    async with polling(app):
        (reply,) = await server.replies(1)
    assert reply.text.startswith("I began to answer this several times")
    assert app.answerer.asked == []


# --- Telegram away


async def test_the_bot_survives_telegram_going_away(server: FakeTelegram, app: FakeApp) -> None:
    await server.stop()
    await asyncio.sleep(0.2)
    server.private(QUESTION)
    await server.start()
    assert await server.replies(1)


async def test_a_second_poller_is_named_in_the_log(
    server: FakeTelegram, app: FakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with polling(app_for(server, tmp_path / "other")):
        async with asyncio.timeout(20):
            while "another process polls with this token" not in caplog.text:
                await asyncio.sleep(0.05)


async def test_the_token_shows_in_no_log(
    server: FakeTelegram, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        app = app_for(server, tmp_path)
        app.answerer.script["bug?"] = ValueError("bug")
        async with polling(app):
            server.flood("sendMessage", seconds=1)
            server.drop("getUpdates")
            server.private("bug?")
            await server.replies(1)
    assert "Update" in caplog.text
    assert "Telegram does not answer" in caplog.text
    assert server.token not in caplog.text
    assert server.token.split(":")[1] not in caplog.text
