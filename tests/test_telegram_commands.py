"""Commands, buttons and inline mode on Telegram, as people use them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.people import People
from bot.telegram import inline
from bot.telegram.members import Members, conversation
from fake_telegram import FakeTelegram, Sent
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


@pytest.fixture
async def server() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as made:
        yield made


@pytest.fixture
async def app(server: FakeTelegram, tmp_path: Path) -> AsyncIterator[FakeApp]:
    made = app_for(server, tmp_path)
    async with polling(made):
        yield made


# --- commands


async def test_start_greets_tells_how_much_is_indexed_and_gives_examples_to_tap(
    server: FakeTelegram, app: FakeApp
) -> None:
    app.records.kept = [replace(ARTICLE, title=f"Title <{i}>\u202e") for i in range(5)]
    server.private("/start")
    (reply,) = await server.replies(1)
    assert "Articles indexed: 5." in reply.text
    assert len(reply.choices) == 3
    for n, choice in enumerate(reply.choices):
        assert f"“Title <{n}>”" in choice
        assert choice in reply.text


async def test_start_in_a_group_shows_the_examples_without_a_keyboard_for_all(
    server: FakeTelegram, app: FakeApp
) -> None:
    server.group("/start@wenbao_bot")
    (reply,) = await server.replies(1)
    assert ARTICLE.title in reply.text
    assert reply.choices == ()


async def test_start_with_an_empty_index_says_what_to_do(
    server: FakeTelegram, app: FakeApp
) -> None:
    app.records.kept = []
    server.private("/start", language="zh-hans")
    (reply,) = await server.replies(1)
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
    server: FakeTelegram, app: FakeApp, text: str, language: str, words: str
) -> None:
    server.private(text, language=language)
    (reply,) = await server.replies(1)
    assert words in reply.text
    assert app.answerer.asked == []


async def test_the_menus_of_commands_are_set_per_scope_in_both_languages(
    server: FakeTelegram, tmp_path: Path
) -> None:
    server.private("hello", user_id=ADMIN)
    async with polling(app_for(server, tmp_path)):
        await server.until(lambda: len(server.commands) == 6)
    names = {scope: [each["command"] for each in menu] for scope, menu in server.commands.items()}
    assert names["default"] == names["default zh"]
    assert {"ask", "new", "sources", "latest", "lang", "privacy", "start"} < set(names["default"])
    assert set(names["all_group_chats"]) == {"ask", "new", "help"}
    assert {"stats", "ingest", "ban"} < set(names[f"chat{ADMIN} zh"])
    assert "stats" not in names["default"]


async def test_an_admin_who_never_wrote_costs_no_menu_but_their_own(
    server: FakeTelegram, app: FakeApp
) -> None:
    await server.until_called("setMyCommands", 5)
    await asyncio.sleep(0.1)
    assert sorted(server.commands) == [
        *("all_group_chats", "all_group_chats zh", "default", "default zh"),
    ]


async def test_new_forgets_the_conversation(server: FakeTelegram, app: FakeApp) -> None:
    for text in (QUESTION, "/new", "and when?"):
        server.private(text)
    replies = await server.replies(3)
    assert "forgotten our conversation" in replies[1].text
    assert app.answerer.questions[1].turns == ()


async def test_a_language_that_was_set_holds_for_answers_and_words(
    server: FakeTelegram, app: FakeApp
) -> None:
    for text in ("/lang zh", QUESTION, "/help"):
        server.private(text)
    replies = await server.replies(3)
    assert replies[0].text == "好了，以后用中文回答。"
    assert app.answerer.questions[0].language == "zh"
    assert replies[2].text.startswith("直接写下问题")
    server.private("/lang")
    menu = (await server.replies(4))[3]
    server.tap(menu, "English")
    await server.until(lambda: bool(server.edits))
    server.private("/help")
    assert "Write your question" in (await server.replies(5))[4].text


# --- what is indexed


async def test_sources_can_be_leafed_through_and_an_article_opened(
    server: FakeTelegram, app: FakeApp
) -> None:
    app.records.kept = [
        replace(long_article(5000), article_id="x" * 60 + str(i), title=f"题目{i}")
        for i in range(20)
    ]
    server.private("/sources")
    (listed,) = await server.replies(1)
    assert "20 articles. Page 1 of 3" in listed.text
    assert "1. 题目0\n    2023-06-01 · page.txt" in listed.text
    server.tap(listed, "›")
    await server.until(lambda: bool(server.edits))
    assert "9. 题目8" in server.edits[-1].text
    server.tap(listed, "9")
    opened = (await server.replies(2))[1]
    assert opened.parts("bold") == ["题目8"]
    assert "第0段" in opened.text
    server.tap(opened, "›")
    await server.until(lambda: len(server.edits) == 2)
    assert server.edits[-1].message_id == opened.message_id
    assert server.edits[-1].parts("bold") == ["题目8"]
    assert "第0段" not in server.edits[-1].text


async def test_latest_lists_the_newest_articles(server: FakeTelegram, app: FakeApp) -> None:
    server.private("/latest")
    (listed,) = await server.replies(1)
    assert f"1. {ARTICLE.title}" in listed.text
    server.tap(listed, "1")
    assert ARTICLE.text in (await server.replies(2))[1].text


# --- buttons under an answer


async def _answer(server: FakeTelegram) -> Sent:
    server.private(QUESTION)
    (reply,) = await server.replies(1)
    return reply


async def test_the_article_and_the_passages_open_under_an_answer(
    server: FakeTelegram, app: FakeApp
) -> None:
    reply = await _answer(server)
    server.tap(reply, "📄")
    article = (await server.replies(2))[1]
    assert article.text.endswith(ARTICLE.text)
    assert article.reply_to == reply.message_id
    server.tap(reply, "🔎")
    passages = (await server.replies(3))[2]
    assert passages.parts("expandable_blockquote") == [ARTICLE.text] * 2
    assert server.toasts == ["", ""]


async def test_the_articles_of_an_answer_follow_one_another(
    server: FakeTelegram, app: FakeApp
) -> None:
    other = replace(ARTICLE, article_id="other", title="另一篇", text="另一篇的正文。")
    app.records.kept.append(other)
    app.answerer.script["both?"] = lambda question: answered(
        question, "One [1], two [2].", cite(1, SHARING), cite(2, other.text, other)
    )
    server.private("both?")
    (reply,) = await server.replies(1)
    server.tap(reply, "📄")
    first = (await server.replies(2))[1]
    assert first.parts("bold") == [ARTICLE.title]
    server.tap(first, "📄")
    await server.until(lambda: bool(server.edits))
    assert server.edits[-1].parts("bold") == ["另一篇"]


async def test_what_was_removed_meanwhile_is_told_in_a_word(
    server: FakeTelegram, app: FakeApp
) -> None:
    reply = await _answer(server)
    app.records.kept = []
    server.tap(reply, "📄", language="zh")
    server.tap(reply, "🔎")
    await server.until(lambda: len(server.toasts) == 2)
    assert sorted(server.toasts) == ["That is no longer here.", "这条内容已经不在了。"]
    assert len(server.sent) == 1


async def test_a_vote_is_kept_with_the_question_and_shows_on_its_button(
    server: FakeTelegram, app: FakeApp
) -> None:
    reply = await _answer(server)
    server.tap(reply, "👎")
    await server.until_called("editMessageReplyMarkup")
    server.private("/feedback the year is wrong")
    assert "your comment is kept" in (await server.replies(2))[1].text
    (kept,) = app.people.feedback()
    assert (kept.vote, kept.comment, kept.question) == ("down", "the year is wrong", QUESTION)
    markup = server.message(501, reply.message_id)["reply_markup"]
    assert [each["text"] for each in markup["inline_keyboard"][0]][2:] == ["👍", "👎 ✓"]


async def test_a_comment_before_the_vote_waits_for_it(server: FakeTelegram, app: FakeApp) -> None:
    await _answer(server)
    server.private("/feedback too long")
    asked = (await server.replies(2))[1]
    assert not list(app.people.feedback())
    server.tap(asked, "👍")
    await server.until_called("answerCallbackQuery")
    (kept,) = app.people.feedback()
    assert (kept.vote, kept.comment) == ("up", "too long")


async def test_only_who_asked_may_rate(server: FakeTelegram, app: FakeApp) -> None:
    server.group(f"/ask {QUESTION}")
    (reply,) = await server.replies(1)
    server.tap(reply, "👎", user_id=7)
    await server.until(lambda: bool(server.toasts))
    assert server.toasts == ["Only the person who asked can rate this answer."]
    assert not list(app.people.feedback())


async def test_a_tap_that_someone_made_up_is_told_in_a_word(
    server: FakeTelegram, app: FakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await _answer(server)
    made_up = ["a:0:²", "a:x", "a:0:9999999999", "v:sideways:x", "l:fr", "p:-1:x", "s:x", "e:7"]
    for data in made_up:
        button = {"text": data, "callback_data": data}
        server.message(501, reply.message_id)["reply_markup"] = {"inline_keyboard": [[button]]}
        server.tap(reply, data)
    await server.until(lambda: len(server.toasts) == len(made_up))
    assert set(server.toasts) == {"That is no longer here."}
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
    server: FakeTelegram, app: FakeApp
) -> None:
    reply = await _answer(server)
    server.tap(reply, "👍")
    await server.until_called("editMessageReplyMarkup")
    server.group(f"/ask {QUESTION}")
    server.private("/privacy")
    menu = (await server.replies(3))[-1]
    server.tap(menu if menu.buttons[0][1] == "e" else server.sent[-2], "🗑")
    await server.until(lambda: bool(server.edits))
    rows = app.people.db.execute("SELECT count(*) FROM answers").fetchone()
    shown = app.people.db.execute("SELECT count(*) FROM telegram_answers").fetchone()
    assert (rows, shown, list(app.people.feedback())) == ((0,), (0,), [])


async def test_a_message_is_not_kept_longer_than_its_answer_takes(
    server: FakeTelegram, app: FakeApp
) -> None:
    await _answer(server)
    await done(app, 1)
    letters = app.people.db.execute("SELECT count(*) FROM telegram_letters").fetchone()
    assert letters == (0,)


# --- inline mode


async def test_an_inline_question_gives_an_answer_and_passages_to_send(
    server: FakeTelegram, app: FakeApp
) -> None:
    for text in ("wh", "what did Yanta", QUESTION):  # as it is typed
        server.ask_inline(text)
    await server.until(lambda: bool(server.inline))
    (given,) = server.inline
    results = given["results"]
    assert [each["id"] for each in results] == ["answer", "passage-0", "passage-1"]
    assert results[0]["title"] == "The answer"
    assert "<blockquote expandable>" in results[0]["input_message_content"]["message_text"]
    assert SHARING in results[1]["input_message_content"]["message_text"]
    assert app.answerer.asked == [QUESTION]


async def test_an_empty_inline_query_gets_a_hint(server: FakeTelegram, app: FakeApp) -> None:
    server.ask_inline("")
    await server.until(lambda: bool(server.inline))
    assert server.inline[0]["results"] == []
    assert server.inline[0]["button"]["text"] == "Write a question about the articles"


async def test_inline_questions_have_a_limit_for_the_day(
    server: FakeTelegram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inline, "PAUSE_S", 0.0)
    async with polling(app_for(server, tmp_path, telegram_user_day=1)):
        for n in range(inline._TRIES + 1):
            server.ask_inline(f"question {n}?")
            await server.until_called("answerInlineQuery", n + 1)
        await server.until(lambda: len(server.inline) == inline._TRIES + 1)
    buttons = [given.get("button", {}).get("text") for given in server.inline]
    assert buttons == [None] * inline._TRIES + ["No more questions today"]
