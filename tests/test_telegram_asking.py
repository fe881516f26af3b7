"""Asking on Telegram: from a person's message to what Telegram gets, PTB unmodified."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bot.telegram import preview
from fake_telegram import FakeTelegram
from telegram_house import (
    ARTICLE,
    OUTREACH,
    QUESTION,
    SHARING,
    FakeApp,
    answered,
    app_for,
    cite,
    polling,
)
from telegram_judge import Json, units

# --- private chats


async def test_a_private_question_is_answered_with_its_quotes(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    question = telegram.private(QUESTION)
    (reply,) = await telegram.replies(1)
    assert reply.text.startswith("A data-sharing platform [¹] and a policy outreach team [²].")
    assert reply.parts("bold") == [ARTICLE.title]
    assert reply.parts("expandable_blockquote") == [f"[¹] {SHARING}", f"[²] {OUTREACH}"]
    assert "2023-06-01 · page.txt" in reply.text
    assert reply.reply_to == question["message_id"]
    assert reply.thread_id is None
    assert not reply.preview
    assert [text for text, _ in reply.buttons] == ["📄 Article", "🔎 More", "👍", "👎"]
    assert house.answerer.asked == [QUESTION]


async def test_an_answer_that_comes_at_once_needs_no_sign_of_life(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    telegram.private(QUESTION)
    await telegram.replies(1)
    assert [call.method for call in telegram.calls if call.method.startswith("send")] == [
        "sendMessage"
    ]


async def test_typing_shows_while_an_answer_takes_its_time(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    gate = house.answerer.gates[QUESTION] = asyncio.Event()
    telegram.private(QUESTION)
    await telegram.until_called("sendChatAction")
    assert telegram.sent == []
    gate.set()
    assert await telegram.replies(1)


async def test_typing_that_is_refused_is_left_out_and_does_not_stop_the_answer(
    telegram: FakeTelegram, house: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "QUIET_S", 0.02)
    monkeypatch.setattr(preview, "TYPING_S", 0.02)
    gate = house.answerer.gates[QUESTION] = asyncio.Event()
    telegram.flood("sendChatAction", seconds=60)
    telegram.private(QUESTION)
    await telegram.until_called("sendChatAction")
    await asyncio.sleep(0.3)  # time for many more
    gate.set()
    assert await telegram.replies(1)
    assert len(telegram.called("sendChatAction")) == 1


async def test_a_refusal_is_told_without_quotations(telegram: FakeTelegram, house: FakeApp) -> None:
    telegram.private("who won the cup?")
    (reply,) = await telegram.replies(1)
    assert reply.text == "Nothing on: who won the cup?"
    assert reply.entities == ()
    assert [text for text, _ in reply.buttons] == ["👍", "👎"]


async def test_a_question_that_was_deleted_is_answered_all_the_same(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    gate = house.answerer.gates[QUESTION] = asyncio.Event()
    question = telegram.private(QUESTION)
    await telegram.until_called("sendChatAction")
    telegram.forget(question)
    gate.set()
    (reply,) = await telegram.replies(1)
    assert reply.reply_to is None


async def test_a_photo_gets_a_word(telegram: FakeTelegram, house: FakeApp) -> None:
    photo = [{"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}]
    telegram.private("", photo=photo)
    (reply,) = await telegram.replies(1)
    assert reply.text == "I can read text only: please write your question."


async def test_what_someone_sends_through_the_inline_mode_is_no_question(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    bot = {"id": telegram.bot_id, "is_bot": True, "first_name": "Wenbao"}
    telegram.private("The answer, as they sent it.", via_bot=bot)
    telegram.private("next?")
    await telegram.replies(1)
    assert house.answerer.asked == ["next?"]


async def test_an_edited_question_is_answered_again_once(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    first = telegram.private("first?")
    await telegram.replies(1)
    telegram.edit(first, "first?")  # a reaction or a preview, no change of words
    telegram.edit(first, "changed?")
    (_, reply) = await telegram.replies(2)
    assert (reply.text, reply.reply_to) == ("Nothing on: changed?", first["message_id"])
    telegram.edit(first, "changed again?")
    telegram.private("last?")
    await telegram.replies(3)
    assert house.answerer.asked == ["first?", "changed?", "last?"]


async def test_a_long_answer_comes_in_several_messages_with_nothing_lost(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    article = replace(ARTICLE, text="第一段说得很长，一直没有说完。" * 700)
    quote = cite(1, article.text, article)
    text = "The <whole> story & more [1]."
    house.answerer.script["long?"] = lambda question: answered(question, text, quote)
    question = telegram.private("long?")
    house.answerer.script["next?"] = lambda question: answered(question, "after")
    telegram.private("next?")
    replies = await telegram.replies(4)
    assert [reply.text for reply in replies][3:] == ["after"]
    assert [reply.reply_to for reply in replies[:3]] == [question["message_id"], None, None]
    assert [bool(reply.buttons) for reply in replies[:3]] == [False, False, True]
    whole = "".join(reply.text for reply in replies[:3])
    heading = f"{ARTICLE.title}\n2023-06-01 · page.txt"
    assert whole == f"The <whole> story & more [¹].\n\n{heading}\n[¹] {article.text}"
    assert all(units(reply.text) <= 4096 for reply in replies)


async def test_a_follow_up_knows_what_was_asked_before(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    house.answerer.script["and when?"] = lambda question: replace(
        answered(question, "In June [1].", cite(1, SHARING)), understood="when did Yanta propose?"
    )
    telegram.private(QUESTION)
    await telegram.replies(1)
    telegram.private("and when?")
    replies = await telegram.replies(2)
    assert [turn.question for turn in house.answerer.questions[1].turns] == [QUESTION]
    assert replies[1].text.startswith("Understood as: when did Yanta propose?\n\nIn June [¹].")
    telegram.private("and what else?", user_id=7)
    await telegram.replies(3)
    assert house.answerer.questions[2].turns == ()


# --- groups


@pytest.mark.parametrize(
    ("text", "question"),
    [
        pytest.param(f"@wenbao_bot {QUESTION}", QUESTION, id="mention-first"),
        pytest.param("😀 说说 @Wenbao_Bot 雁塔", "😀 说说  雁塔", id="mention-inside-after-emoji"),
        pytest.param(f"@wenbao_bot, {QUESTION}", QUESTION, id="mention-with-a-comma"),
        pytest.param(f"/ask {QUESTION}", QUESTION, id="ask"),
        pytest.param(f"/ask@wenbao_bot {QUESTION}", QUESTION, id="ask-by-name"),
    ],
)
async def test_a_group_question_meant_for_the_bot_is_answered_in_its_topic(
    telegram: FakeTelegram, house: FakeApp, text: str, question: str
) -> None:
    message = telegram.group(text, topic=77)
    (reply,) = await telegram.replies(1)
    assert house.answerer.asked == [question]
    assert (reply.chat_id, reply.thread_id) == (-1001, 77)
    assert reply.reply_to == message["message_id"]


@pytest.mark.parametrize("privacy", [True, False], ids=["privacy-mode", "reads-all"])
async def test_a_group_is_left_alone_unless_the_bot_is_meant(
    telegram: FakeTelegram, house: FakeApp, privacy: bool
) -> None:
    telegram.privacy = privacy
    opened = telegram.group(
        "opens the topic", topic=9, forum_topic_created={"name": "t", "icon_color": 1}
    )
    opened["from"] = {"id": telegram.bot_id, "is_bot": True, "first_name": "Wenbao"}
    telegram.group(QUESTION)
    telegram.group(f"@someone_else {QUESTION}")
    telegram.group(f"/ask@other_bot {QUESTION}")
    telegram.group("mail@wenbao_bot is no mention")
    telegram.group(QUESTION, topic=9, reply_to_message=opened)
    other: Json = {"from": {"id": 9, "is_bot": True, "first_name": "B"}}
    telegram.group("@wenbao_bot from a bot", **other)
    telegram.channel(f"@wenbao_bot {QUESTION}")
    telegram.group("@wenbao_bot last?")
    await telegram.replies(1)
    await asyncio.sleep(0.1)
    assert house.answerer.asked == ["last?"]
    assert len(telegram.sent) == 1


async def test_a_reply_to_the_bot_is_a_question_and_needs_no_mention(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    telegram.group(f"@wenbao_bot {QUESTION}")
    (first,) = await telegram.replies(1)
    telegram.group("and when?", reply_to_message=telegram.message(-1001, first.message_id))
    replies = await telegram.replies(2)
    assert replies[1].text == "Nothing on: and when?"
    # A thread of replies is no topic: sending its id back would be refused.
    assert replies[1].thread_id is None


@pytest.mark.parametrize("said_in", ["text", "caption"])
async def test_a_bare_mention_in_reply_asks_what_it_replies_to(
    telegram: FakeTelegram, house: FakeApp, said_in: str
) -> None:
    asked = telegram.group("by the way") | {"text": "", said_in: "who chaired it?"}
    telegram.group("@wenbao_bot", reply_to_message=asked)
    await telegram.replies(1)
    assert house.answerer.asked == ["who chaired it?"]


# --- while an answer is written


@pytest.fixture
def _quick_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "QUIET_S", 0.05)
    monkeypatch.setattr(preview, "DRAFT_S", 0.05)
    monkeypatch.setattr(preview, "EDIT_S", 0.05)


@pytest.mark.usefixtures("_quick_previews")
async def test_a_private_chat_sees_a_draft_that_grows_into_the_answer(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    async def seen(n: int) -> None:
        await telegram.until(
            lambda: len(telegram.drafts) == n and bool(telegram.called("sendChatAction"))
        )

    house.answerer.pieces, house.answerer.paced = ["A data-sharing ", "platform [1] "], seen
    telegram.private(QUESTION)
    (reply,) = await telegram.replies(1)
    texts = [draft.parameters["text"] for draft in telegram.drafts]
    assert texts == ["A data-sharing …", "A data-sharing platform [¹] …"]
    assert len({draft.parameters["draft_id"] for draft in telegram.drafts}) == 1
    assert reply.text.startswith("A data-sharing platform [¹] and")
    assert max(draft.at for draft in telegram.drafts) < reply.at


@pytest.mark.usefixtures("_quick_previews")
async def test_a_group_sees_a_message_that_becomes_the_answer(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    async def seen(n: int) -> None:
        await telegram.until(lambda: len(telegram.sent) + len(telegram.edits) == n)

    house.answerer.pieces, house.answerer.paced = ["A data-sharing ", "platform [1] "], seen
    asked = telegram.group(f"/ask {QUESTION}", topic=5)
    await telegram.until(lambda: bool(telegram.edits) and bool(telegram.edits[-1].buttons))
    (first,) = telegram.sent
    assert (first.text, first.reply_to) == ("A data-sharing …", asked["message_id"])
    assert first.thread_id == 5
    assert {edit.message_id for edit in telegram.edits} == {first.message_id}
    assert telegram.edits[-1].text.startswith("A data-sharing platform [¹] and a policy")
    assert telegram.drafts == []


@pytest.mark.usefixtures("_quick_previews")
async def test_previews_that_meet_flood_control_are_left_out_and_the_answer_comes(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    async def tried(n: int) -> None:
        await telegram.until(lambda: not n or bool(telegram.called("sendMessageDraft")))
        await asyncio.sleep(0.2)  # time for another

    house.answerer.pieces, house.answerer.paced = (
        ["A data-sharing ", "platform [1] ", "and "],
        tried,
    )
    telegram.flood("sendMessageDraft", seconds=60)
    telegram.private(QUESTION)
    (reply,) = await telegram.replies(1)
    assert len(telegram.called("sendMessageDraft")) == 1
    assert telegram.drafts == []
    assert reply.text.startswith("A data-sharing platform [¹] and a policy")


@pytest.mark.usefixtures("_quick_previews")
async def test_an_answer_whose_preview_was_deleted_comes_as_a_new_message(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    house.answerer.pieces = ["A data-sharing "]
    gate = house.answerer.gates[QUESTION] = asyncio.Event()
    telegram.group(f"/ask {QUESTION}")
    (first,) = await telegram.replies(1)
    telegram.forget(telegram.message(-1001, first.message_id))
    gate.set()
    replies = await telegram.replies(2)
    assert replies[1].text.startswith("A data-sharing platform [¹] and a policy")


# --- order


async def test_order_is_kept_in_a_chat_and_other_chats_are_not_blocked(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    house = app_for(telegram, tmp_path, telegram_user_minute=0)
    async with polling(house):
        gate = house.answerer.gates["slow?"] = asyncio.Event()
        telegram.private("slow?", user_id=1)
        for number in range(20):
            telegram.private(f"quick {number}?", user_id=1)
            telegram.private(f"other {number}?", user_id=2 + number)
        await telegram.replies(20)
        assert await telegram.replies(0, chat_id=1) == []
        gate.set()
        replies = await telegram.replies(21, chat_id=1)
    quick = [f"Nothing on: quick {number}?" for number in range(20)]
    assert [reply.text for reply in replies] == ["Nothing on: slow?", *quick]


async def test_a_busy_chat_of_hundreds_of_questions_blocks_nobody(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    house = app_for(telegram, tmp_path, telegram_user_minute=0, telegram_user_day=0)
    async with polling(house):
        gate = house.answerer.gates["slow?"] = asyncio.Event()
        for _ in range(200):
            telegram.private("slow?", user_id=1)
        telegram.private("quick?", user_id=2)
        assert await telegram.replies(1, chat_id=2)
        gate.set()
        assert len(await telegram.replies(200, chat_id=1, timeout_s=20)) == 200
