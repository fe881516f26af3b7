"""Answers as rich messages: where Telegram takes them; everywhere else nobody notices."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest

from fake_telegram import FakeTelegram
from telegram_house import ARTICLE, OUTREACH, QUESTION, SHARING, FakeApp, app_for, polling


@pytest.fixture
async def house(telegram: FakeTelegram, tmp_path: Path) -> AsyncIterator[FakeApp]:
    made = app_for(telegram, tmp_path, telegram_rich=True)
    async with polling(made):
        yield made


def _tried(telegram: FakeTelegram) -> int:
    return len(telegram.called("sendRichMessage"))


async def test_an_answer_is_a_rich_message_where_telegram_takes_them(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    telegram.rich = "taken"
    question = telegram.group(f"/ask {QUESTION}", topic=5)
    (reply,) = await telegram.replies(1)
    assert reply.rich
    assert reply.text.split("\n") == [
        "A data-sharing platform [¹] and a policy outreach team [²].",
        ARTICLE.title,
        "2023-06-01 · page.txt",
        f"[¹] {SHARING}",
        f"[²] {OUTREACH}",
    ]
    assert (reply.reply_to, reply.thread_id) == (question["message_id"], 5)
    assert [text for text, _ in reply.buttons] == ["📄 Article", "🔎 More", "👍", "👎"]
    assert not telegram.called("sendMessage")


async def test_its_buttons_work_and_what_they_open_is_html(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    telegram.rich = "taken"
    telegram.private(QUESTION)
    (reply,) = await telegram.replies(1)
    telegram.tap(reply, "👍")
    await telegram.until_called("editMessageReplyMarkup")
    telegram.tap(reply, "📄")
    _, page = await telegram.replies(2)
    assert not page.rich
    assert page.parts("bold") == [ARTICLE.title]


@pytest.mark.parametrize("answer", ["unknown", "refused"])
async def test_one_refusal_and_html_goes_out_at_once_and_ever_after(
    telegram: FakeTelegram, house: FakeApp, answer: Literal["unknown", "refused"]
) -> None:
    telegram.rich = answer
    telegram.private(QUESTION)
    (reply,) = await telegram.replies(1)
    assert not reply.rich
    assert reply.parts("expandable_blockquote") == [f"[¹] {SHARING}", f"[²] {OUTREACH}"]
    telegram.rich = "taken"
    telegram.private("next?")
    replies = await telegram.replies(2)
    assert [each.rich for each in replies] == [False, False]
    assert _tried(telegram) == 1


async def test_flood_control_and_a_broken_connection_are_waited_for_and_refuse_nothing(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    telegram.rich = "taken"
    telegram.flood("sendRichMessage", 1)
    telegram.private(QUESTION)
    await telegram.replies(1)
    telegram.drop("sendRichMessage")
    telegram.private("next?")
    replies = await telegram.replies(2)
    assert [each.rich for each in replies] == [True, True]
    assert _tried(telegram) == 4
    assert not telegram.impatient


async def test_our_own_words_are_html(telegram: FakeTelegram, house: FakeApp) -> None:
    telegram.rich = "taken"
    telegram.private("/help")
    await telegram.replies(1)
    assert not _tried(telegram)


async def test_no_rich_message_is_tried_unless_that_is_set(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    telegram.rich = "taken"
    async with polling(app_for(telegram, tmp_path)):
        telegram.private(QUESTION)
        (reply,) = await telegram.replies(1)
    assert not reply.rich
    assert not _tried(telegram)
