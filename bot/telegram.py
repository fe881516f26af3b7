"""The Telegram door: an update -> Answerer -> messages, by polling; no decisions about answers.

Answers every text in private chats; in groups only mentions of the bot, replies to it and /ask.
Edits, channels and other bots are left alone. Does not cover webhooks, inline mode, buttons,
streaming, limits or anything that is kept about people.
"""

import asyncio
import contextlib
import logging
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from telegram import (
    Bot,
    LinkPreviewOptions,
    Message,
    MessageEntity,
    ReplyParameters,
    Update,
)
from telegram.constants import ChatAction, ChatType, ParseMode
from telegram.error import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.ext import (
    Application,
    ApplicationBuilder,
    BaseUpdateProcessor,
    CommandHandler,
    ContextTypes,
    Defaults,
    MessageHandler,
    filters,
)

from bot import render
from bot.render import TelegramMessage
from rag.errors import BadSettings, QuestionRejected, TryLater, WenbaoError
from rag.types import Language

if TYPE_CHECKING:
    from bot.wiring import App

log = logging.getLogger(__name__)

_Application = Application[Any, Any, Any, Any, Any, Any]
_Context = ContextTypes.DEFAULT_TYPE
_T = TypeVar("_T")

_CONNECT_S, _REPLY_S = 10.0, 20.0
_PATIENCE_S = 600.0  # how long a message waits for flood control before it is given up
_TRIES = 4  # of a message whose connection broke
_TYPING_S = 4.5  # Telegram shows the action for 5 s
_TYPING_LAST_S = 1.0  # an action under way is waited for: after the answer it would look busy
_EXAMPLES = 3
_EXAMPLE_CHARS = 60

# --- words ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Words:
    greeting: str
    indexed: str
    nothing_indexed: str
    examples: str
    example: str
    help: str
    no_question: str
    only_text: str
    reference: str
    commands: tuple[tuple[str, str], ...]


_WORDS: Mapping[Language, _Words] = {
    "en": _Words(
        greeting="I am Wenbao. Ask me about what the newspaper reports; every answer quotes the "
        "articles that it comes from.",
        indexed="Articles indexed: {articles}.",
        nothing_indexed="No article is indexed yet: whoever runs me adds newspaper pages with "
        "`wenbao ingest`.",
        examples="For example:",
        example="What does “{title}” report?",
        help="Write your question, in English or Chinese. I answer from the indexed articles only "
        "and quote them: [1] in the answer is the quotation that begins with [1]; tap a long one "
        "to open it. When the articles don't tell, I say so.\n\nIn a group, mention me, reply to "
        "me, or write /ask and the question.",
        no_question="Write the question after /ask, for example: /ask who chaired the meeting?",
        only_text="I can read text only: please write your question.",
        reference=" (reference {reference})",
        commands=(
            ("start", "What I know, and examples"),
            ("ask", "Ask a question"),
            ("help", "How to ask and how to read the answers"),
        ),
    ),
    "zh": _Words(
        greeting="我是问报。您可以就报纸的报道向我提问，每个回答都引用所依据的原文。",
        indexed="现已收录 {articles} 篇文章。",
        nothing_indexed="还没有收录文章：请管理员用 `wenbao ingest` 加入报纸版面。",
        examples="例如：",
        example="《{title}》报道了什么？",
        help="直接写下问题即可，中文、英文都行。我只根据已收录的文章回答，并附上原文：回答里的 [1] "
        "对应以 [1] 开头的引文，较长的引文点一下即可展开。文章里没有的，我会直说。\n\n"
        "在群里，请 @我、回复我，或者用 /ask 加上问题。",
        no_question="请把问题写在 /ask 后面，例如：/ask 会议由谁主持？",
        only_text="我只能读文字，请把问题写下来。",
        reference="（编号 {reference}）",
        commands=(
            ("start", "收录了什么，可以怎么问"),
            ("ask", "提问"),
            ("help", "怎样提问，怎样读回答"),
        ),
    ),
}

# From an error's class to what the asker is told; the closest class counts.
_ERRORS: Mapping[type[Exception], Mapping[Language, str]] = {
    QuestionRejected: {
        "en": "I can't take this question: please ask in 1 to {max_chars} characters.",
        "zh": "这个问题我没法处理：请用 1 到 {max_chars} 个字提问。",
    },
    TryLater: {
        "en": "I can't get at the articles just now; please ask again in a minute.",
        "zh": "暂时读不到文章，请过一分钟再问。",
    },
    WenbaoError: {
        "en": "I can't answer until whoever runs me has put something right; please tell them.",
        "zh": "我出了需要管理员处理的问题，暂时无法回答，请告知管理员。",
    },
    Exception: {
        "en": "Something went wrong on my side; please ask again.",
        "zh": "我这边出了点问题，请再问一次。",
    },
}

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_LETTER = re.compile(r"[^\W\d_]")


def _language(message: Message, text: str) -> Language:
    """The asker's language: of what is asked, else of their Telegram."""
    if _HAN.search(text):
        return "zh"
    if _LETTER.search(text):
        return "en"
    code = message.from_user.language_code if message.from_user else None
    return "zh" if (code or "").lower().startswith("zh") else "en"


# --- what a message asks -------------------------------------------------------------------------


def asked(message: Message, bot: Bot) -> str | None:
    """The question in a message, or None where it is not meant for the bot.

    Of a bare mention or a bare /ask, the question is the text that it replies to.
    """
    text, command = message.text or "", _command(message)
    mentions = [entity for entity in message.entities if _is_mention(entity, message, bot)]
    if not (
        command or mentions or message.chat.type == ChatType.PRIVATE or _is_reply(message, bot)
    ):
        return None
    own = _without(text, [*command, *mentions])
    other = message.reply_to_message
    return own or ((other.text if other else None) or "")


def _command(message: Message) -> list[MessageEntity]:
    return [
        entity
        for entity in message.entities
        if entity.type == MessageEntity.BOT_COMMAND and entity.offset == 0
    ]


def _is_mention(entity: MessageEntity, message: Message, bot: Bot) -> bool:
    if entity.type == MessageEntity.TEXT_MENTION:
        return entity.user is not None and entity.user.id == bot.id
    name = f"@{bot.username}".lower()
    return entity.type == MessageEntity.MENTION and message.parse_entity(entity).lower() == name


def _is_reply(message: Message, bot: Bot) -> bool:
    """Whether it answers the bot; a forum's messages "answer" the one that opened the topic."""
    other = message.reply_to_message
    return bool(
        other and other.from_user and other.from_user.id == bot.id and not other.forum_topic_created
    )


def _without(text: str, entities: Sequence[MessageEntity]) -> str:
    """The text less these entities, whose offsets count UTF-16 units."""
    raw = text.encode("utf-16-le", "surrogatepass")
    for entity in sorted(entities, key=lambda each: each.offset, reverse=True):
        raw = raw[: 2 * entity.offset] + raw[2 * (entity.offset + entity.length) :]
    return raw.decode("utf-16-le", "surrogatepass").strip(" \n\t,，:：")


# --- sending -------------------------------------------------------------------------------------


async def send(message: Message, replies: Sequence[TelegramMessage]) -> None:
    """Sends the replies in order to where the message stands; the first one answers it.

    Raises:
        TelegramError: if one can't be delivered.
    """
    for number, reply in enumerate(replies):
        answers = ReplyParameters(message.message_id, allow_sending_without_reply=True)
        await _send(message, reply, None if number else answers)


async def _send(message: Message, reply: TelegramMessage, answers: ReplyParameters | None) -> None:
    async def deliver(text: str, parse_mode: str | None) -> None:
        await message.get_bot().send_message(
            message.chat_id,
            text,
            parse_mode=parse_mode,
            reply_parameters=answers,
            message_thread_id=_topic(message),
        )

    try:
        await _patiently(lambda: deliver(reply.html, ParseMode.HTML))
    except BadRequest as exc:
        if "parse entities" not in exc.message:
            raise
        log.error("Telegram refuses our markup, so plain text goes out: %s", exc)
        await _patiently(lambda: deliver(reply.text, None))


def _topic(message: Message) -> int | None:
    """The thread id, where it names a topic: elsewhere Telegram refuses it."""
    return message.message_thread_id if message.is_topic_message else None


async def _patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    """The call's result, through flood control and broken connections.

    A reply that is late is not asked for again: the message may have arrived.
    """
    deadline = time.monotonic() + _PATIENCE_S
    broken = 0
    while True:
        try:
            return await call()
        except RetryAfter as exc:
            pause = _seconds(exc.retry_after) + 0.1
            if time.monotonic() + pause > deadline:
                raise
        except (BadRequest, TimedOut):
            raise
        except NetworkError:
            broken += 1
            if broken == _TRIES:
                raise
            pause = 0.25 * 2**broken
        await asyncio.sleep(pause)


def _seconds(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else value


@contextlib.asynccontextmanager
async def _typing(message: Message) -> AsyncIterator[None]:
    """Shows that the bot is writing, for as long as the block runs."""
    done = asyncio.Event()
    task = asyncio.create_task(_type(message, done))
    try:
        yield
    finally:
        done.set()
        _, late = await asyncio.wait({task}, timeout=_TYPING_LAST_S)
        for each in late:
            each.cancel()


async def _type(message: Message, done: asyncio.Event) -> None:
    with contextlib.suppress(TelegramError):  # a courtesy: its failure is nobody's concern
        while True:
            await message.get_bot().send_chat_action(
                message.chat_id, ChatAction.TYPING, message_thread_id=_topic(message)
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), _TYPING_S)
                return


class _InOrder(BaseUpdateProcessor):
    """Updates of one chat one after another, of different chats at the same time."""

    def __init__(self) -> None:
        # Those who wait for their chat hold a place too, so places must not run out: one busy
        # chat would block all others.
        super().__init__(max_concurrent_updates=1_000_000)
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        chat = update.effective_chat if isinstance(update, Update) else None
        lock = self._locks.setdefault(chat.id, asyncio.Lock()) if chat else asyncio.Lock()
        async with lock:
            await coroutine

    async def initialize(self) -> None:
        """Nothing to prepare."""

    async def shutdown(self) -> None:
        """Nothing to release."""


# --- handlers ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Door:
    app: "App"

    async def question(self, update: Update, context: _Context) -> None:
        """A text or /ask: answers it if it is meant for the bot."""
        message = _meant(update)
        text = asked(message, context.bot) if message else None
        if not message or text is None:
            return
        if not text.strip():
            await self._say(message, self._words(message, text).no_question)
            return
        question = self.app.answerer.question(text)
        async with _typing(message):
            answer = await self.app.answerer.answer(question)
        await send(message, render.telegram(answer))

    async def start(self, update: Update, context: _Context) -> None:
        """/start: what the bot is, how much it has read, and questions to try."""
        if message := _meant(update):
            language = _language(message, "")
            await self._say(message, await asyncio.to_thread(self._greeting, language))

    async def help(self, update: Update, context: _Context) -> None:
        """/help and, in private chats, a command that we don't know."""
        if message := _meant(update):
            await self._say(message, self._words(message).help)

    async def other(self, update: Update, context: _Context) -> None:
        """A private message without text: a photo, a sticker, a voice."""
        if message := _meant(update):
            await self._say(message, self._words(message).only_text)

    async def failed(self, update: object, context: _Context) -> None:
        """Whatever a handler raised: one sentence to the asker, the traceback to the log."""
        error = context.error
        if not isinstance(update, Update):
            log.warning("Polling: %s", _polling_trouble(error))
            return
        if isinstance(error, Forbidden):
            log.info("An answer had no reader: %s", error)
            return
        message = update.effective_message
        text = asked(message, context.bot) if message else None
        language = _language(message, text or "") if message else "en"
        words, reference = self._sentence(error, language), secrets.token_hex(4)
        if not isinstance(error, QuestionRejected):
            log.error("Update %s failed, reference %s", update.update_id, reference, exc_info=error)
            words += _WORDS[language].reference.format(reference=reference)
        if message:
            try:
                await self._say(message, words)
            except TelegramError as exc:
                log.warning("The asker could not be told of %s: %s", reference, exc)

    async def announce(self, application: _Application) -> None:
        """Sets the menu of commands; the bot works without it."""
        bot: Bot = application.bot
        try:
            await bot.set_my_commands(_WORDS["en"].commands)
            await bot.set_my_commands(_WORDS["zh"].commands, language_code="zh")
        except TelegramError as exc:
            log.warning("The menu of commands could not be set: %s", exc)
        log.info("Answering as @%s", bot.username)

    def _greeting(self, language: Language) -> str:
        words = _WORDS[language]
        articles = self.app.records.counts().articles
        if not articles:
            return f"{words.greeting}\n\n{words.nothing_indexed}"
        titles = [article.title for article in self.app.records.latest(_EXAMPLES) if article.title]
        examples = [words.example.format(title=_short(title)) for title in titles]
        known = words.indexed.format(articles=articles)
        return "\n\n".join([words.greeting, known, "\n".join([words.examples, *examples])])

    def _sentence(self, error: Exception | None, language: Language) -> str:
        kind = next((each for each in type(error).__mro__ if each in _ERRORS), Exception)
        return _ERRORS[kind][language].format(max_chars=self.app.settings.max_chars)

    def _words(self, message: Message, text: str = "") -> _Words:
        return _WORDS[_language(message, text)]

    async def _say(self, message: Message, words: str) -> None:
        await send(message, [render.telegram_text(words)])


def _meant(update: Update) -> Message | None:
    """The new message of a person; None for what else an update brings."""
    message = update.message
    if not message or message.is_automatic_forward:
        return None
    by_bot = message.from_user and message.from_user.is_bot and not message.sender_chat
    return None if by_bot else message


def _short(title: str) -> str:
    title = " ".join(title.split())
    return title if len(title) <= _EXAMPLE_CHARS else title[: _EXAMPLE_CHARS - 1] + "…"


def _polling_trouble(error: Exception | None) -> str:
    if isinstance(error, Conflict):
        return "another process polls with this token; stop one of the two."
    return f"Telegram does not answer ({error}); trying again."


# --- building and running ------------------------------------------------------------------------


def build(app: "App") -> _Application:
    """The bot, ready to poll.

    Raises:
        BadSettings: if there is no token.
    """
    token = app.settings.telegram_token.get_secret_value().strip()
    if not token:
        raise BadSettings(
            "WENBAO_TELEGRAM_TOKEN is not set: make a bot with /newbot at @BotFather in Telegram, "
            "then put the token that it gives into the environment or .env."
        )
    _hush()
    door = _Door(app)
    application: _Application = (
        ApplicationBuilder()
        .token(token)
        .base_url(app.settings.telegram_base_url)
        .defaults(Defaults(link_preview_options=LinkPreviewOptions(is_disabled=True)))
        .concurrent_updates(_InOrder())
        .connect_timeout(_CONNECT_S)
        .read_timeout(_REPLY_S)
        .write_timeout(_REPLY_S)
        .pool_timeout(_REPLY_S)
        .post_init(door.announce)
        .build()
    )
    new = filters.UpdateType.MESSAGE
    private = new & filters.ChatType.PRIVATE
    application.add_handlers(
        [
            CommandHandler("start", door.start, new),
            CommandHandler("help", door.help, new),
            CommandHandler("ask", door.question, new),
            MessageHandler(private & filters.COMMAND, door.help),
            MessageHandler(new & filters.TEXT & ~filters.COMMAND, door.question),
            MessageHandler(private & ~filters.TEXT & ~filters.StatusUpdate.ALL, door.other),
        ]
    )
    application.add_error_handler(door.failed)
    return application


def run(app: "App") -> None:
    """Polls until it is stopped by a signal; what was begun is finished.

    Raises:
        BadSettings: if there is no token, or Telegram refuses it.
    """
    application = build(app)
    try:
        application.run_polling(bootstrap_retries=-1, allowed_updates=[Update.MESSAGE])
    except InvalidToken:  # its message holds the token
        raise BadSettings(
            "Telegram refuses WENBAO_TELEGRAM_TOKEN: copy the token again from @BotFather."
        ) from None


def _hush() -> None:
    """Keeps the token out of the log, and python-telegram-bot to one type for durations."""
    os.environ.setdefault("PTB_TIMEDELTA", "true")  # else it warns at every flood control
    # Lines of httpx and httpcore hold URLs, and those the token; so do debug lines of telegram.
    for name, level in (("httpx", "WARNING"), ("httpcore", "WARNING"), ("telegram", "INFO")):
        logging.getLogger(name).setLevel(level)
    telegram = logging.getLogger("telegram.ext")
    if _tells_no_token not in telegram.filters:
        telegram.addFilter(_tells_no_token)


def _tells_no_token(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], InvalidToken))
