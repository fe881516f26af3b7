"""Commands, buttons and inline mode on Telegram, as people use them."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from bot.people import People
from bot.telegram import inline
from bot.telegram.members import Members, conversation
from fake_telegram import FakeTelegram
from rag.types import Question
from telegram_house import (
    ADMIN,
    ARTICLE,
    QUESTION,
    SHARING,
    FakeApp,
    answered,
    app_for,
    cite,
    done,
    long_article,
    polling,
)
from telegram_town import Sent

# --- commands


async def test_start_greets_tells_how_much_is_indexed_and_gives_examples_to_tap(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    house.records.kept = [replace(ARTICLE, title=f"Title <{i}>\u202e") for i in range(5)]
    telegram.private("/start")
    (reply,) = await telegram.replies(1)
    assert "Articles indexed: 5." in reply.text
    assert len(reply.choices) == 3
    for n, choice in enumerate(reply.choices):
        assert f"“Title <{n}>”" in choice
        assert choice in reply.text


async def test_start_in_a_group_shows_the_examples_without_a_keyboard_for_all(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    telegram.group("/start@wenbao_bot")
    (reply,) = await telegram.replies(1)
    assert ARTICLE.title in reply.text
    assert reply.choices == ()


async def test_start_tells_a_person_their_number_as_long_as_there_is_no_admin(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    async with polling(app_for(telegram, tmp_path, telegram_admins="")):
        telegram.private("/start")
        telegram.group("/start@wenbao_bot")
        replies = await telegram.replies(2)  # two chats, in either order
    to_group, to_person = sorted(replies, key=lambda sent: sent.chat_id)
    assert "Your number is 501" in to_person.text
    assert "501" not in to_group.text


async def test_start_with_an_empty_index_says_what_to_do(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    house.records.kept = []
    telegram.private("/start", language="zh-hans")
    (reply,) = await telegram.replies(1)
    assert "wenbao ingest" in reply.text
    assert reply.text.startswith("我是问报")


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        pytest.param("/help", "en", "Write your question", id="help"),
        pytest.param("/help", "zh", "直接写下问题即可", id="help-in-chinese"),
        pytest.param("/nonsense", "en", "Write your question", id="unknown-command"),
        pytest.param("/ask", "zh", "请把问题写在 /ask 后面", id="ask-without-a-question"),
        pytest.param("/feedback", "en", "Tap 👍 or 👎", id="feedback-without-a-word"),
        pytest.param("/feedback good", "en", "given you no answer yet", id="feedback-on-nothing"),
        pytest.param("/stats", "en", "Write your question", id="admins-only"),
        pytest.param("/ban 7", "en", "Write your question", id="admins-only-ban"),
        pytest.param("/privacy", "en", "for 30 days", id="privacy"),
    ],
)
async def test_commands_are_answered_in_the_language_of_the_asker(
    telegram: FakeTelegram, house: FakeApp, text: str, language: str, words: str
) -> None:
    telegram.private(text, language=language)
    (reply,) = await telegram.replies(1)
    assert words in reply.text
    assert house.answerer.asked == []


async def test_the_menus_of_commands_are_set_per_scope_in_both_languages(
    telegram: FakeTelegram, tmp_path: Path
) -> None:
    telegram.private("hello", user_id=ADMIN)
    async with polling(app_for(telegram, tmp_path)):
        await telegram.until(lambda: len(telegram.commands) == 6)
    names = {scope: [each["command"] for each in menu] for scope, menu in telegram.commands.items()}
    assert names["default"] == names["default zh"]
    assert {"ask", "new", "sources", "latest", "lang", "privacy", "start"} < set(names["default"])
    assert set(names["all_group_chats"]) == {"ask", "new", "help"}
    assert {"stats", "ingest", "ban"} < set(names[f"chat{ADMIN} zh"])
    assert "stats" not in names["default"]


async def test_an_admin_who_never_wrote_costs_no_menu_but_their_own(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    await telegram.until_called("setMyCommands", 5)
    await asyncio.sleep(0.1)
    assert sorted(telegram.commands) == [
        *("all_group_chats", "all_group_chats zh", "default", "default zh"),
    ]


async def test_new_forgets_the_conversation(telegram: FakeTelegram, house: FakeApp) -> None:
    for text in (QUESTION, "/new", "and when?"):
        telegram.private(text)
    replies = await telegram.replies(3)
    assert "forgotten our conversation" in replies[1].text
    assert house.answerer.questions[1].turns == ()


async def test_a_language_that_was_set_holds_for_answers_and_words(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    for text in ("/lang zh", QUESTION, "/help"):
        telegram.private(text)
    replies = await telegram.replies(3)
    assert replies[0].text == "好了，以后用中文回答。"
    assert house.answerer.questions[0].language == "zh"
    assert replies[2].text.startswith("直接写下问题")
    telegram.private("/lang")
    menu = (await telegram.replies(4))[3]
    telegram.tap(menu, "English")
    await telegram.until(lambda: bool(telegram.edits))
    telegram.private("/help")
    assert "Write your question" in (await telegram.replies(5))[4].text


# --- what is indexed


async def test_sources_can_be_leafed_through_and_an_article_opened(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    house.records.kept = [
        replace(long_article(5000), article_id="x" * 60 + str(i), title=f"题目{i}")
        for i in range(20)
    ]
    telegram.private("/sources")
    (listed,) = await telegram.replies(1)
    assert "20 articles. Page 1 of 3" in listed.text
    assert "1. 题目0\n    2023-06-01 · page.txt" in listed.text
    telegram.tap(listed, "›")
    await telegram.until(lambda: bool(telegram.edits))
    assert "9. 题目8" in telegram.edits[-1].text
    telegram.tap(listed, "9")
    opened = (await telegram.replies(2))[1]
    assert opened.parts("bold") == ["题目8"]
    assert "第0段" in opened.text
    telegram.tap(opened, "›")
    await telegram.until(lambda: len(telegram.edits) == 2)
    assert telegram.edits[-1].message_id == opened.message_id
    assert telegram.edits[-1].parts("bold") == ["题目8"]
    assert "第0段" not in telegram.edits[-1].text


async def test_latest_lists_the_newest_articles(telegram: FakeTelegram, house: FakeApp) -> None:
    telegram.private("/latest")
    (listed,) = await telegram.replies(1)
    assert f"1. {ARTICLE.title}" in listed.text
    telegram.tap(listed, "1")
    assert ARTICLE.text in (await telegram.replies(2))[1].text


# --- buttons under an answer


async def _answer(telegram: FakeTelegram) -> Sent:
    telegram.private(QUESTION)
    (reply,) = await telegram.replies(1)
    return reply


async def test_the_article_and_the_passages_open_under_an_answer(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    reply = await _answer(telegram)
    telegram.tap(reply, "📄")
    article = (await telegram.replies(2))[1]
    assert article.text.endswith(ARTICLE.text)
    assert article.reply_to == reply.message_id
    telegram.tap(reply, "🔎")
    passages = (await telegram.replies(3))[2]
    assert passages.parts("expandable_blockquote") == [ARTICLE.text] * 2
    assert telegram.toasts == ["", ""]


async def test_the_articles_of_an_answer_follow_one_another(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    other = replace(ARTICLE, article_id="other", title="另一篇", text="另一篇的正文。")
    house.records.kept.append(other)
    house.answerer.script["both?"] = lambda question: answered(
        question, "One [1], two [2].", cite(1, SHARING), cite(2, other.text, other)
    )
    telegram.private("both?")
    (reply,) = await telegram.replies(1)
    telegram.tap(reply, "📄")
    first = (await telegram.replies(2))[1]
    assert first.parts("bold") == [ARTICLE.title]
    telegram.tap(first, "📄")
    await telegram.until(lambda: bool(telegram.edits))
    assert telegram.edits[-1].parts("bold") == ["另一篇"]


async def test_what_was_removed_meanwhile_is_told_in_a_word(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    reply = await _answer(telegram)
    house.records.kept = []
    telegram.tap(reply, "📄", language="zh")
    telegram.tap(reply, "🔎")
    await telegram.until(lambda: len(telegram.toasts) == 2)
    assert sorted(telegram.toasts) == ["That is no longer here.", "这条内容已经不在了。"]
    assert len(telegram.sent) == 1


async def test_a_vote_is_kept_with_the_question_and_shows_on_its_button(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    reply = await _answer(telegram)
    telegram.tap(reply, "👎")
    await telegram.until_called("editMessageReplyMarkup")
    telegram.private("/feedback the year is wrong")
    assert "your comment is kept" in (await telegram.replies(2))[1].text
    (kept,) = house.people.feedback()
    assert (kept.vote, kept.comment, kept.question) == ("down", "the year is wrong", QUESTION)
    markup = telegram.message(501, reply.message_id)["reply_markup"]
    assert [each["text"] for each in markup["inline_keyboard"][0]][2:] == ["👍", "👎 ✓"]


async def test_a_comment_before_the_vote_waits_for_it(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    await _answer(telegram)
    telegram.private("/feedback too long")
    asked = (await telegram.replies(2))[1]
    assert not list(house.people.feedback())
    telegram.tap(asked, "👍")
    await telegram.until_called("answerCallbackQuery")
    (kept,) = house.people.feedback()
    assert (kept.vote, kept.comment) == ("up", "too long")


async def test_only_who_asked_may_rate(telegram: FakeTelegram, house: FakeApp) -> None:
    telegram.group(f"/ask {QUESTION}")
    (reply,) = await telegram.replies(1)
    telegram.tap(reply, "👎", user_id=7)
    await telegram.until(lambda: bool(telegram.toasts))
    assert telegram.toasts == ["Only the person who asked can rate this answer."]
    assert not list(house.people.feedback())


async def test_a_tap_that_someone_made_up_is_told_in_a_word(
    telegram: FakeTelegram, house: FakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await _answer(telegram)
    made_up = ["a:0:²", "a:x", "a:0:9999999999", "v:sideways:x", "l:fr", "p:-1:x", "s:x", "e:7"]
    for data in made_up:
        button = {"text": data, "callback_data": data}
        telegram.message(501, reply.message_id)["reply_markup"] = {"inline_keyboard": [[button]]}
        telegram.tap(reply, data)
    await telegram.until(lambda: len(telegram.toasts) == len(made_up))
    assert set(telegram.toasts) == {"That is no longer here."}
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_deleting_reaches_all_chats_of_a_person_and_nobody_else(tmp_path: Path) -> None:
    people = People(tmp_path)
    members = Members(people)
    everyone = [conversation(chat, who) for who in (7, 17, 70) for chat in (who, -1001)]
    for who in everyone:
        answer_id = people.answered(
            who, answered(Question("q?", "en"), "Yes [1].", cite(1, SHARING))
        )
        members.showed(answer_id, who, ["yanta:0"])
        people.vote(answer_id, "up", "good", who)
    members.erase(7)
    for table in ("answers", "votes", "telegram_answers"):
        left = people.db.execute(f"SELECT who FROM {table}").fetchall()
        assert sorted(who for (who,) in left) == sorted(everyone[2:])


async def test_all_that_is_kept_can_be_deleted_with_a_tap(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    reply = await _answer(telegram)
    telegram.tap(reply, "👍")
    await telegram.until_called("editMessageReplyMarkup")
    telegram.group(f"/ask {QUESTION}")
    telegram.private("/privacy")
    menu = (await telegram.replies(3))[-1]
    telegram.tap(menu if menu.buttons[0][1] == "e" else telegram.sent[-2], "🗑")
    await telegram.until(lambda: bool(telegram.edits))
    rows = house.people.db.execute("SELECT count(*) FROM answers").fetchone()
    shown = house.people.db.execute("SELECT count(*) FROM telegram_answers").fetchone()
    assert (rows, shown, list(house.people.feedback())) == ((0,), (0,), [])


async def test_a_message_is_not_kept_longer_than_its_answer_takes(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    await _answer(telegram)
    await done(house, 1)
    letters = house.people.db.execute("SELECT count(*) FROM telegram_letters").fetchone()
    assert letters == (0,)


# --- inline mode


async def test_an_inline_question_gives_an_answer_and_passages_to_send(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    for text in ("wh", "what did Yanta", QUESTION):  # as it is typed
        telegram.ask_inline(text)
    await telegram.until(lambda: bool(telegram.inline))
    (given,) = telegram.inline
    results = given["results"]
    assert [each["id"] for each in results] == ["answer", "passage-0", "passage-1"]
    assert results[0]["title"] == "The answer"
    assert "<blockquote expandable>" in results[0]["input_message_content"]["message_text"]
    assert SHARING in results[1]["input_message_content"]["message_text"]
    assert house.answerer.asked == [QUESTION]


async def test_an_inline_question_that_finds_nothing_is_told_so(
    telegram: FakeTelegram, house: FakeApp
) -> None:
    telegram.ask_inline("who walked on Mars?")
    await telegram.until(lambda: bool(telegram.inline))
    (given,) = telegram.inline
    assert given["results"] == []
    assert given["button"]["text"] == "The articles don't say"


async def test_an_empty_inline_query_gets_a_hint(telegram: FakeTelegram, house: FakeApp) -> None:
    telegram.ask_inline("")
    await telegram.until(lambda: bool(telegram.inline))
    assert telegram.inline[0]["results"] == []
    assert telegram.inline[0]["button"]["text"] == "Write a question about the articles"


async def test_inline_questions_have_a_limit_for_the_day(
    telegram: FakeTelegram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inline, "PAUSE_S", 0.0)
    async with polling(app_for(telegram, tmp_path, telegram_user_day=1)):
        for n in range(inline._TRIES + 1):
            telegram.ask_inline(f"question {n}?")
            await telegram.until_called("answerInlineQuery", n + 1)
        await telegram.until(lambda: len(telegram.inline) == inline._TRIES + 1)
    buttons = [given.get("button", {}).get("text") for given in telegram.inline]
    assert buttons == ["The articles don't say"] * inline._TRIES + ["No more questions today"]
