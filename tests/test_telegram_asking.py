"""Asking on Telegram: from a person's message to what Telegram gets, PTB unmodified."""

import asyncio
from collections.abc import AsyncIterator
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


@pytest.fixture
async def server() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as made:
        yield made


@pytest.fixture
async def app(server: FakeTelegram, tmp_path: Path) -> AsyncIterator[FakeApp]:
    made = app_for(server, tmp_path)
    async with polling(made):
        yield made


# --- private chats


async def test_a_private_question_is_answered_with_its_quotes(
    server: FakeTelegram, app: FakeApp
) -> None:
    question = server.private(QUESTION)
    (reply,) = await server.replies(1)
    assert reply.text.startswith("A data-sharing platform [¹] and a policy outreach team [²].")
    assert reply.parts("bold") == [ARTICLE.title]
    assert reply.parts("expandable_blockquote") == [f"[¹] {SHARING}", f"[²] {OUTREACH}"]
    assert "2023-06-01 · page.txt" in reply.text
    assert reply.reply_to == question["message_id"]
    assert reply.thread_id is None
    assert not reply.preview
    assert [text for text, _ in reply.buttons] == ["📄 Article", "🔎 More", "👍", "👎"]
    assert app.answerer.asked == [QUESTION]


async def test_an_answer_that_comes_at_once_needs_no_sign_of_life(
    server: FakeTelegram, app: FakeApp
) -> None:
    server.private(QUESTION)
    await server.replies(1)
    assert [call.method for call in server.calls if call.method.startswith("send")] == [
        "sendMessage"
    ]


async def test_typing_shows_while_an_answer_takes_its_time(
    server: FakeTelegram, app: FakeApp
) -> None:
    gate = app.answerer.gates[QUESTION] = asyncio.Event()
    server.private(QUESTION)
    await server.until_called("sendChatAction")
    assert server.sent == []
    gate.set()
    assert await server.replies(1)


async def test_typing_that_is_refused_is_left_out_and_does_not_stop_the_answer(
    server: FakeTelegram, app: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "QUIET_S", 0.02)
    monkeypatch.setattr(preview, "TYPING_S", 0.02)
    gate = app.answerer.gates[QUESTION] = asyncio.Event()
    server.flood("sendChatAction", seconds=60)
    server.private(QUESTION)
    await server.until_called("sendChatAction")
    await asyncio.sleep(0.3)  # time for many more
    gate.set()
    assert await server.replies(1)
    assert len(server.called("sendChatAction")) == 1


async def test_a_refusal_is_told_without_quotations(server: FakeTelegram, app: FakeApp) -> None:
    server.private("who won the cup?")
    (reply,) = await server.replies(1)
    assert reply.text == "Nothing on: who won the cup?"
    assert reply.entities == ()
    assert [text for text, _ in reply.buttons] == ["👍", "👎"]


async def test_a_question_that_was_deleted_is_answered_all_the_same(
    server: FakeTelegram, app: FakeApp
) -> None:
    gate = app.answerer.gates[QUESTION] = asyncio.Event()
    question = server.private(QUESTION)
    await server.until_called("sendChatAction")
    server.forget(question)
    gate.set()
    (reply,) = await server.replies(1)
    assert reply.reply_to is None


async def test_a_photo_gets_a_word(server: FakeTelegram, app: FakeApp) -> None:
    photo = [{"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}]
    server.private("", photo=photo)
    (reply,) = await server.replies(1)
    assert reply.text == "I can read text only: please write your question."


async def test_what_someone_sends_through_the_inline_mode_is_no_question(
    server: FakeTelegram, app: FakeApp
) -> None:
    bot = {"id": server.bot_id, "is_bot": True, "first_name": "Wenbao"}
    server.private("The answer, as they sent it.", via_bot=bot)
    server.private("next?")
    await server.replies(1)
    assert app.answerer.asked == ["next?"]


async def test_an_edited_question_is_answered_again_once(
    server: FakeTelegram, app: FakeApp
) -> None:
    first = server.private("first?")
    await server.replies(1)
    server.edit(first, "first?")  # a reaction or a preview, no change of words
    server.edit(first, "changed?")
    (_, reply) = await server.replies(2)
    assert (reply.text, reply.reply_to) == ("Nothing on: changed?", first["message_id"])
    server.edit(first, "changed again?")
    server.private("last?")
    await server.replies(3)
    assert app.answerer.asked == ["first?", "changed?", "last?"]


async def test_a_long_answer_comes_in_several_messages_with_nothing_lost(
    server: FakeTelegram, app: FakeApp
) -> None:
    article = replace(ARTICLE, text="第一段说得很长，一直没有说完。" * 700)
    quote = cite(1, article.text, article)
    text = "The <whole> story & more [1]."
    app.answerer.script["long?"] = lambda question: answered(question, text, quote)
    question = server.private("long?")
    app.answerer.script["next?"] = lambda question: answered(question, "after")
    server.private("next?")
    replies = await server.replies(4)
    assert [reply.text for reply in replies][3:] == ["after"]
    assert [reply.reply_to for reply in replies[:3]] == [question["message_id"], None, None]
    assert [bool(reply.buttons) for reply in replies[:3]] == [False, False, True]
    whole = "".join(reply.text for reply in replies[:3])
    heading = f"{ARTICLE.title}\n2023-06-01 · page.txt"
    assert whole == f"The <whole> story & more [¹].\n\n{heading}\n[¹] {article.text}"
    assert all(units(reply.text) <= 4096 for reply in replies)


async def test_a_follow_up_knows_what_was_asked_before(server: FakeTelegram, app: FakeApp) -> None:
    app.answerer.script["and when?"] = lambda question: replace(
        answered(question, "In June [1].", cite(1, SHARING)), understood="when did Yanta propose?"
    )
    server.private(QUESTION)
    await server.replies(1)
    server.private("and when?")
    replies = await server.replies(2)
    assert [turn.question for turn in app.answerer.questions[1].turns] == [QUESTION]
    assert replies[1].text.startswith("Understood as: when did Yanta propose?\n\nIn June [¹].")
    server.private("and what else?", user_id=7)
    await server.replies(3)
    assert app.answerer.questions[2].turns == ()


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
    server: FakeTelegram, app: FakeApp, text: str, question: str
) -> None:
    message = server.group(text, topic=77)
    (reply,) = await server.replies(1)
    assert app.answerer.asked == [question]
    assert (reply.chat_id, reply.thread_id) == (-1001, 77)
    assert reply.reply_to == message["message_id"]


@pytest.mark.parametrize("privacy", [True, False], ids=["privacy-mode", "reads-all"])
async def test_a_group_is_left_alone_unless_the_bot_is_meant(
    server: FakeTelegram, app: FakeApp, privacy: bool
) -> None:
    server.privacy = privacy
    opened = server.group(
        "opens the topic", topic=9, forum_topic_created={"name": "t", "icon_color": 1}
    )
    opened["from"] = {"id": server.bot_id, "is_bot": True, "first_name": "Wenbao"}
    server.group(QUESTION)
    server.group(f"@someone_else {QUESTION}")
    server.group(f"/ask@other_bot {QUESTION}")
    server.group("mail@wenbao_bot is no mention")
    server.group(QUESTION, topic=9, reply_to_message=opened)
    other: Json = {"from": {"id": 9, "is_bot": True, "first_name": "B"}}
    server.group("@wenbao_bot from a bot", **other)
    server.channel(f"@wenbao_bot {QUESTION}")
    server.group("@wenbao_bot last?")
    await server.replies(1)
    await asyncio.sleep(0.1)
    assert app.answerer.asked == ["last?"]
    assert len(server.sent) == 1


async def test_a_reply_to_the_bot_is_a_question_and_needs_no_mention(
    server: FakeTelegram, app: FakeApp
) -> None:
    server.group(f"@wenbao_bot {QUESTION}")
    (first,) = await server.replies(1)
    server.group("and when?", reply_to_message=server.message(-1001, first.message_id))
    replies = await server.replies(2)
    assert replies[1].text == "Nothing on: and when?"
    # A thread of replies is no topic: sending its id back would be refused.
    assert replies[1].thread_id is None


async def test_a_bare_mention_in_reply_asks_what_it_replies_to(
    server: FakeTelegram, app: FakeApp
) -> None:
    asked = server.group("who chaired it?")
    server.group("@wenbao_bot", reply_to_message=asked)
    await server.replies(1)
    assert app.answerer.asked == ["who chaired it?"]


# --- while an answer is written


@pytest.fixture
def _quick_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "QUIET_S", 0.05)
    monkeypatch.setattr(preview, "DRAFT_S", 0.05)
    monkeypatch.setattr(preview, "EDIT_S", 0.05)


@pytest.mark.usefixtures("_quick_previews")
async def test_a_private_chat_sees_a_draft_that_grows_into_the_answer(
    server: FakeTelegram, app: FakeApp
) -> None:
    async def seen(n: int) -> None:
        await server.until(
            lambda: len(server.drafts) == n and bool(server.called("sendChatAction"))
        )

    app.answerer.pieces, app.answerer.paced = ["A data-sharing ", "platform [1] "], seen
    server.private(QUESTION)
    (reply,) = await server.replies(1)
    texts = [draft.parameters["text"] for draft in server.drafts]
    assert texts == ["A data-sharing …", "A data-sharing platform [¹] …"]
    assert len({draft.parameters["draft_id"] for draft in server.drafts}) == 1
    assert reply.text.startswith("A data-sharing platform [¹] and")
    assert max(draft.at for draft in server.drafts) < reply.at


@pytest.mark.usefixtures("_quick_previews")
async def test_a_group_sees_a_message_that_becomes_the_answer(
    server: FakeTelegram, app: FakeApp
) -> None:
    async def seen(n: int) -> None:
        await server.until(lambda: len(server.sent) + len(server.edits) == n)

    app.answerer.pieces, app.answerer.paced = ["A data-sharing ", "platform [1] "], seen
    asked = server.group(f"/ask {QUESTION}", topic=5)
    await server.until(lambda: bool(server.edits) and bool(server.edits[-1].buttons))
    (first,) = server.sent
    assert (first.text, first.reply_to) == ("A data-sharing …", asked["message_id"])
    assert first.thread_id == 5
    assert {edit.message_id for edit in server.edits} == {first.message_id}
    assert server.edits[-1].text.startswith("A data-sharing platform [¹] and a policy")
    assert server.drafts == []


@pytest.mark.usefixtures("_quick_previews")
async def test_previews_that_meet_flood_control_are_left_out_and_the_answer_comes(
    server: FakeTelegram, app: FakeApp
) -> None:
    async def tried(n: int) -> None:
        await server.until(lambda: not n or bool(server.called("sendMessageDraft")))
        await asyncio.sleep(0.2)  # time for another

    app.answerer.pieces, app.answerer.paced = ["A data-sharing ", "platform [1] ", "and "], tried
    server.flood("sendMessageDraft", seconds=60)
    server.private(QUESTION)
    (reply,) = await server.replies(1)
    assert len(server.called("sendMessageDraft")) == 1
    assert server.drafts == []
    assert reply.text.startswith("A data-sharing platform [¹] and a policy")


@pytest.mark.usefixtures("_quick_previews")
async def test_an_answer_whose_preview_was_deleted_comes_as_a_new_message(
    server: FakeTelegram, app: FakeApp
) -> None:
    app.answerer.pieces = ["A data-sharing "]
    gate = app.answerer.gates[QUESTION] = asyncio.Event()
    server.group(f"/ask {QUESTION}")
    (first,) = await server.replies(1)
    server.forget(server.message(-1001, first.message_id))
    gate.set()
    replies = await server.replies(2)
    assert replies[1].text.startswith("A data-sharing platform [¹] and a policy")


# --- order


async def test_order_is_kept_in_a_chat_and_other_chats_are_not_blocked(
    server: FakeTelegram, tmp_path: Path
) -> None:
    app = app_for(server, tmp_path, telegram_user_minute=0)
    async with polling(app):
        gate = app.answerer.gates["slow?"] = asyncio.Event()
        server.private("slow?", user_id=1)
        for number in range(20):
            server.private(f"quick {number}?", user_id=1)
            server.private(f"other {number}?", user_id=2 + number)
        await server.replies(20)
        assert await server.replies(0, chat_id=1) == []
        gate.set()
        replies = await server.replies(21, chat_id=1)
    quick = [f"Nothing on: quick {number}?" for number in range(20)]
    assert [reply.text for reply in replies] == ["Nothing on: slow?", *quick]


async def test_a_busy_chat_of_hundreds_of_questions_blocks_nobody(
    server: FakeTelegram, tmp_path: Path
) -> None:
    app = app_for(server, tmp_path, telegram_user_minute=0, telegram_user_day=0)
    async with polling(app):
        gate = app.answerer.gates["slow?"] = asyncio.Event()
        for _ in range(200):
            server.private("slow?", user_id=1)
        server.private("quick?", user_id=2)
        assert await server.replies(1, chat_id=2)
        gate.set()
        assert len(await server.replies(200, chat_id=1, timeout_s=20)) == 200
