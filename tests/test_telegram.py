"""The Telegram door: from a person's message to what Telegram gets, python-telegram-bot unmodified.

The server is the strict fake; behind the door stands a scripted Answerer.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from bot import render, telegram
from bot.settings import Settings
from fake_telegram import FakeTelegram, Json, units
from rag.errors import (
    BadSettings,
    IndexMismatch,
    LlmUnavailable,
    QuestionRejected,
    StoreUnavailable,
)
from rag.types import Answer, Article, Citation, Question

if TYPE_CHECKING:
    from bot.wiring import App

ARTICLE = Article(
    article_id="yanta",
    title="西安市雁塔区政协：为小微企业支招",
    text="委员们走访了四十家企业。建议建立数据共享平台，让企业少跑腿。再组建一支政策宣讲小分队。",
    date="2023-06-01",
    source="page.txt",
)
SHARING = "建议建立数据共享平台，让企业少跑腿。"
OUTREACH = "再组建一支政策宣讲小分队。"
QUESTION = "what did Yanta district propose?"


def cite(n: int, quote: str, article: Article = ARTICLE) -> Citation:
    start = article.text.index(quote)
    place = (article.article_id, article.title, article.date, article.source)
    return Citation(n, *place, quote, start, start + len(quote))


def answered(question: Question, text: str, *citations: Citation) -> Answer:
    plain = re.sub(r"\s*\[\d+\]", "", text)
    none = not citations
    return Answer(
        question=question.text,
        language=question.language,
        answer=text,
        answer_plain=plain,
        abstained=none,
        reason="not_in_articles" if none else None,
        confidence=0.1 if none else 0.9,
        mode="extractive",
        model="extractive",
        citations=citations,
    )


@dataclass
class ScriptedAnswerer:
    """Answers from a script and keeps what it was asked; an error in the script is raised."""

    script: dict[str, Exception | Callable[[Question], Answer]] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def question(
        self,
        text: str,
        lang: str = "auto",
        top_k: int | None = None,
        article_ids: Sequence[str] = (),
    ) -> Question:
        if len(text) > 2_000:
            raise QuestionRejected("The question has more than 2,000 characters.")
        return Question(text, "zh" if re.search("[\u4e00-\u9fff]", text) else "en")

    async def answer(self, question: Question) -> Answer:
        self.asked.append(question.text)
        if gate := self.gates.get(question.text):
            await gate.wait()
        step = self.script.get(question.text)
        if isinstance(step, Exception):
            raise step
        if step:
            return step(question)
        if question.text == QUESTION:
            text = "A data-sharing platform [1] and a policy outreach team [2]."
            return answered(question, text, cite(1, SHARING), cite(2, OUTREACH))
        return answered(question, f"Nothing on: {question.text}")


@dataclass(frozen=True)
class FakeCounts:
    articles: int
    passages: int = 0
    files: int = 0


@dataclass
class FakeRecords:
    kept: list[Article] = field(default_factory=lambda: [ARTICLE])

    def counts(self) -> FakeCounts:
        return FakeCounts(len(self.kept))

    def latest(self, limit: int) -> list[Article]:
        return self.kept[:limit]


@dataclass
class FakeApp:
    settings: Settings
    answerer: ScriptedAnswerer = field(default_factory=ScriptedAnswerer)
    records: FakeRecords = field(default_factory=FakeRecords)


def app_for(server: FakeTelegram, token: str | None = None) -> FakeApp:
    known = {
        "telegram_token": server.token if token is None else token,
        "telegram_base_url": server.base_url,
    }
    return FakeApp(Settings.model_validate(known))


def build(app: FakeApp) -> Any:
    return telegram.build(cast("App", app))


@contextlib.asynccontextmanager
async def polling(app: FakeApp) -> AsyncIterator[None]:
    """The door at work, as `run` has it but for the signals."""
    application = build(app)
    async with application:
        await application.post_init(application)
        await application.updater.start_polling(
            timeout=2,
            bootstrap_retries=-1,
            allowed_updates=["message"],
            error_callback=lambda error: application.create_task(
                application.process_error(update=None, error=error)
            ),
        )
        await application.start()
        yield
        await application.updater.stop()
        await application.stop()


@pytest.fixture
async def server() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as made:
        yield made


@pytest.fixture
async def app(server: FakeTelegram) -> AsyncIterator[FakeApp]:
    made = app_for(server)
    async with polling(made):
        yield made


# --- private chats


async def test_a_private_question_is_answered_with_its_quotes(
    server: FakeTelegram, app: FakeApp
) -> None:
    question = server.private(QUESTION)
    (reply,) = await server.replies(1)
    assert reply.text.startswith("A data-sharing platform [1] and a policy outreach team [2].")
    assert reply.parts("bold") == [ARTICLE.title]
    assert reply.parts("expandable_blockquote") == [f"[1] {SHARING}", f"[2] {OUTREACH}"]
    assert "2023-06-01 · page.txt" in reply.text
    assert reply.reply_to == question["message_id"]
    assert reply.thread_id is None
    assert not reply.preview
    assert app.answerer.asked == [QUESTION]


async def test_typing_shows_before_the_answer(server: FakeTelegram, app: FakeApp) -> None:
    server.private(QUESTION)
    await server.replies(1)
    order = [call.method for call in server.calls if call.method.startswith("send")]
    assert order == ["sendChatAction", "sendMessage"]


async def test_typing_that_is_refused_does_not_stop_the_answer(
    server: FakeTelegram, app: FakeApp
) -> None:
    server.flood("sendChatAction", seconds=60)
    server.private(QUESTION)
    assert await server.replies(1)


async def test_a_refusal_is_told_without_quotations(server: FakeTelegram, app: FakeApp) -> None:
    server.private("who won the cup?")
    (reply,) = await server.replies(1)
    assert reply.text == "Nothing on: who won the cup?"
    assert reply.entities == ()


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


async def test_a_photo_gets_a_word_and_an_edit_gets_none(
    server: FakeTelegram, app: FakeApp
) -> None:
    first = server.private("first?")
    await server.replies(1)
    server.edit(first, "changed?")
    photo = [{"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}]
    server.private("", photo=photo)
    replies = await server.replies(2)
    assert [reply.text for reply in replies] == [
        "Nothing on: first?",
        "I can read text only: please write your question.",
    ]
    assert app.answerer.asked == ["first?"]


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
    whole = "".join(reply.text for reply in replies[:3])
    heading = f"{ARTICLE.title}\n2023-06-01 · page.txt"
    assert whole == f"{text}\n\n{heading}\n[1] {article.text}"
    assert all(units(reply.text) <= 4096 for reply in replies)


# --- commands


async def test_start_greets_tells_how_much_is_indexed_and_gives_examples(
    server: FakeTelegram, app: FakeApp
) -> None:
    app.records.kept = [replace(ARTICLE, title=f"Title <{i}>\u202e") for i in range(5)]
    server.private("/start")
    (reply,) = await server.replies(1)
    assert "Articles indexed: 5." in reply.text
    assert reply.text.endswith("What does “Title <2>” report?")
    assert reply.text.count("report?") == 3


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
    ],
)
async def test_commands_are_answered_in_the_language_of_the_asker(
    server: FakeTelegram, app: FakeApp, text: str, language: str, words: str
) -> None:
    server.private(text, language=language)
    (reply,) = await server.replies(1)
    assert words in reply.text
    assert app.answerer.asked == []


async def test_the_menu_of_commands_is_set_in_both_languages(
    server: FakeTelegram, app: FakeApp
) -> None:
    assert sorted(server.commands) == ["", "zh"]
    names = [[each["command"] for each in menu] for menu in server.commands.values()]
    assert names == [["start", "ask", "help"]] * 2


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
    assert server.called("sendChatAction")[0].parameters["message_thread_id"] == "77"


async def test_a_group_is_left_alone_unless_the_bot_is_meant(
    server: FakeTelegram, app: FakeApp
) -> None:
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


# --- order


async def test_order_is_kept_in_a_chat_and_other_chats_are_not_blocked(
    server: FakeTelegram, app: FakeApp
) -> None:
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
    server: FakeTelegram, app: FakeApp
) -> None:
    gate = app.answerer.gates["slow?"] = asyncio.Event()
    for _ in range(300):
        server.private("slow?", user_id=1)
    server.private("quick?", user_id=2)
    assert await server.replies(1, chat_id=2)
    gate.set()
    assert len(await server.replies(300, chat_id=1, timeout_s=20)) == 300


# --- trouble


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
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


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


async def test_markup_that_telegram_refuses_goes_out_as_plain_text(
    server: FakeTelegram, app: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = render.TelegramMessage("<oops>A & B", "A & B")
    monkeypatch.setattr(render, "telegram", lambda _answer: [bad])
    server.private(QUESTION)
    (reply,) = await server.replies(1)
    assert reply.text == "A & B"


async def test_an_asker_who_blocked_the_bot_is_no_error(
    server: FakeTelegram, app: FakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    server.blocked.add(501)
    server.private(QUESTION)
    await server.until_called("sendMessage")
    server.private("hello?", user_id=7)
    await server.replies(1)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


async def test_stopping_finishes_the_answer_that_was_begun(server: FakeTelegram) -> None:
    app = app_for(server)
    gate = app.answerer.gates[QUESTION] = asyncio.Event()
    async with polling(app):
        server.private(QUESTION)
        await server.until_called("sendChatAction")
        asyncio.get_running_loop().call_later(0.2, gate.set)
    assert len(server.sent) == 1


async def test_what_was_answered_is_not_answered_again_after_a_restart(
    server: FakeTelegram,
) -> None:
    for number in range(2):
        async with polling(app_for(server)):
            server.private(f"question {number}?")
            await server.replies(number + 1)
    assert [sent.text for sent in server.sent] == [f"Nothing on: question {n}?" for n in range(2)]


async def test_the_bot_survives_telegram_going_away(server: FakeTelegram, app: FakeApp) -> None:
    await server.stop()
    await asyncio.sleep(0.2)
    server.private(QUESTION)
    await server.start()
    assert await server.replies(1, timeout_s=10)


async def test_a_second_poller_is_named_in_the_log(
    server: FakeTelegram, app: FakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    async with polling(app_for(server)):
        async with asyncio.timeout(5):
            while "another process polls with this token" not in caplog.text:
                await asyncio.sleep(0.05)


async def test_the_token_shows_in_no_log(
    server: FakeTelegram, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        app = app_for(server)
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


# --- starting


async def test_a_missing_token_says_what_to_do(server: FakeTelegram) -> None:
    with pytest.raises(BadSettings, match=r"WENBAO_TELEGRAM_TOKEN is not set: .*@BotFather"):
        build(app_for(server, token=" "))


RUN = """
import logging, sys
sys.path[:0] = sys.argv[3:]
logging.basicConfig(level=logging.DEBUG)
import test_telegram as tests
from bot import telegram
from rag.errors import BadSettings
server = tests.FakeTelegram(token=sys.argv[2], port=int(sys.argv[1]))
app = tests.app_for(server)
try:
    telegram.run(app)
except BadSettings as exc:
    print(exc)
    sys.exit(3)
"""


async def _started(server: FakeTelegram, token: str) -> asyncio.subprocess.Process:
    here = Path(__file__).parent
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN, str(server.port), token, str(here), str(here.parent)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if not name.startswith("WENBAO_")},
    )


async def test_run_waits_for_telegram_answers_and_stops_on_a_signal(server: FakeTelegram) -> None:
    await server.stop()  # its port stays
    process = await _started(server, server.token)
    await asyncio.sleep(1.5)
    assert process.returncode is None
    await server.start()
    server.private(QUESTION)
    (reply,) = await server.replies(1, timeout_s=30)
    assert f"[1] {SHARING}" in reply.text
    assert sorted(server.commands) == ["", "zh"]
    process.send_signal(signal.SIGTERM)
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert server.token.encode() not in output


async def test_run_says_when_telegram_refuses_the_token_without_showing_it(
    server: FakeTelegram,
) -> None:
    process = await _started(server, "111:some-wrong-token")
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 3
    assert "Telegram refuses WENBAO_TELEGRAM_TOKEN" in output.decode()
    assert b"some-wrong-token" not in output


# --- the server, since the rest leans on it


async def _get(server: FakeTelegram, method: str, **parameters: object) -> Json:
    async with httpx.AsyncClient() as client:
        url = f"{server.base_url}{server.token}/{method}"
        return cast("Json", (await client.post(url, json=parameters)).json())


async def test_updates_come_again_until_an_offset_confirms_them(server: FakeTelegram) -> None:
    server.private("one")
    server.private("two")
    first = (await _get(server, "getUpdates"))["result"]
    assert (await _get(server, "getUpdates"))["result"] == first
    offset = first[0]["update_id"] + 1
    assert (await _get(server, "getUpdates", offset=offset))["result"] == first[1:]
    assert (await _get(server, "getUpdates", offset=offset + 1))["result"] == []
    assert first[0]["message"]["from"]["is_bot"] is False


async def test_a_second_poller_ends_the_first_with_a_conflict(server: FakeTelegram) -> None:
    first = asyncio.create_task(_get(server, "getUpdates", timeout=20))
    await server.until_called("getUpdates")
    second = asyncio.create_task(_get(server, "getUpdates", timeout=20))
    assert (await first)["error_code"] == 409
    server.private("hello")
    assert len((await second)["result"]) == 1


@pytest.mark.parametrize(
    ("parameters", "description"),
    [
        pytest.param({"chat_id": 5, "text": "x"}, "chat not found", id="nobody"),
        pytest.param({"text": "x" * 4097}, "message is too long", id="too-long"),
        pytest.param({"text": " "}, "message text is empty", id="empty"),
        pytest.param({"text": "<b>", "parse_mode": "HTML"}, "can't parse entities", id="markup"),
        pytest.param({"text": "x", "message_thread_id": 4}, "message thread not found", id="topic"),
        pytest.param(
            {"text": "x", "reply_parameters": {"message_id": 999}},
            "message to be replied not found",
            id="reply",
        ),
    ],
)
async def test_the_server_refuses_what_telegram_refuses(
    server: FakeTelegram, parameters: Json, description: str
) -> None:
    server.private("hello")
    reply = await _get(server, "sendMessage", **{"chat_id": 501, **parameters})
    assert (reply["ok"], reply["error_code"]) == (False, 400)
    assert description in reply["description"]
    assert server.sent == []


async def test_the_server_keeps_to_its_flood_control(server: FakeTelegram) -> None:
    server.private("hello")
    server.flood("sendMessage", seconds=1)
    for _ in range(2):
        reply = await _get(server, "sendMessage", chat_id=501, text="x")
        assert reply["error_code"] == 429
        assert reply["parameters"] == {"retry_after": 1}
    assert server.impatient == 1
    await asyncio.sleep(1)
    assert (await _get(server, "sendMessage", chat_id=501, text="x"))["ok"]
