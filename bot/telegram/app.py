"""The Telegram door put together: handlers, the menu of commands, what happens on an error.

Does not cover how updates come (running.py).
"""

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telegram import (
    BotCommandScopeAllGroupChats,
    BotCommandScopeChat,
    BotCommandScopeDefault,
    LinkPreviewOptions,
    Message,
    Update,
)
from telegram.error import Conflict, Forbidden, TelegramError
from telegram.ext import ApplicationBuilder, Defaults

from bot.telegram import taps
from bot.telegram.admin import Admin
from bot.telegram.asking import Asking
from bot.telegram.buttons import Buttons
from bot.telegram.clerk import Clerk
from bot.telegram.commands import Commands
from bot.telegram.desk import Context, Desk, TelegramApp
from bot.telegram.gate import Gate
from bot.telegram.inbox import Inbox
from bot.telegram.inline import Inline
from bot.telegram.limiter import Limiter, Limits
from bot.telegram.meant import asked, message_of_person
from bot.telegram.members import Members
from bot.telegram.order import InOrder, KeptQueue
from bot.telegram.post import Post
from bot.telegram.sources import Sources
from bot.telegram.words import WORDS, of_error
from rag.errors import BadSettings, QuestionRejected
from rag.types import Language

if TYPE_CHECKING:
    from bot.wiring import App

log = logging.getLogger(__name__)

_CONNECT_S, _REPLY_S = 10.0, 20.0
_CONNECTIONS = 64
_IN_GROUPS = ("ask", "new", "help")


@dataclass(frozen=True, slots=True)
class TelegramDoor:
    """The bot, ready to be given updates."""

    application: TelegramApp
    desk: Desk
    queue: KeptQueue
    order: InOrder


def build(app: "App", limits: Limits | None = None) -> TelegramDoor:
    """The bot, ready to be given updates; `limits` are Telegram's own unless they are given.

    Raises:
        BadSettings: if there is no token.
    """
    token = app.settings.telegram_token.get_secret_value().strip()
    if not token:
        raise BadSettings(
            "WENBAO_TELEGRAM_TOKEN is not set: make a bot with /newbot at @BotFather in Telegram, "
            "then put the token that it gives into the environment or .env."
        )
    kept, inbox, limiter = Clerk(), Inbox(app.people), Limiter(limits)
    queue, order = KeptQueue(inbox, kept), InOrder(inbox, kept)
    application: TelegramApp = (
        ApplicationBuilder()
        .token(token)
        .base_url(app.settings.telegram_base_url)
        .base_file_url(app.settings.telegram_base_url.removesuffix("/bot") + "/file/bot")
        .defaults(Defaults(link_preview_options=LinkPreviewOptions(is_disabled=True)))
        .concurrent_updates(order)
        .update_queue(queue)
        .rate_limiter(limiter)
        .connection_pool_size(_CONNECTIONS)
        .connect_timeout(_CONNECT_S)
        .read_timeout(_REPLY_S)
        .write_timeout(_REPLY_S)
        .pool_timeout(_REPLY_S)
        .build()
    )
    bot = application.bot
    post = Post(bot, inbox, kept)
    desk = Desk(app, bot, inbox, Members(app.people), limiter, post, kept)
    trouble = Trouble(desk)
    order.open(post, trouble.gave_up)
    _listen(application, desk)
    application.add_error_handler(trouble.failed)
    return TelegramDoor(application, desk, queue, order)


def _listen(application: TelegramApp, desk: Desk) -> None:
    application.add_handler(Gate(desk).handler(), group=-1)
    commands = Commands(desk)
    application.add_handlers(
        [
            *commands.handlers(),
            *Sources(desk).handlers(),
            *Admin(desk).handlers(),
            *Asking(desk).handlers(),
            commands.unknown(),
            *Buttons(desk).handlers(),
            *Inline(desk).handlers(),
        ]
    )


async def announce(desk: Desk) -> None:
    """Sets the menus of commands, per scope and language; the bot works without them."""
    bot = desk.bot
    try:
        for language, words in WORDS.items():
            code = None if language == "en" else language
            groups = [each for each in words.commands if each[0] in _IN_GROUPS]
            await bot.set_my_commands(words.commands, BotCommandScopeDefault(), code)
            await bot.set_my_commands(groups, BotCommandScopeAllGroupChats(), code)
        log.info("Answering as @%s", bot.username)
    except TelegramError as exc:
        log.warning("The menu of commands could not be set: %s", exc)
    for admin in sorted(desk.app.settings.admins()):
        try:
            for language, words in WORDS.items():
                code = None if language == "en" else language
                both = [*words.commands, *words.admin_commands]
                await bot.set_my_commands(both, BotCommandScopeChat(admin), code)
        except TelegramError as exc:  # until an admin has written to the bot
            log.info("Admin %s has no menu of commands yet: %s", admin, exc)


@dataclass(frozen=True, slots=True)
class Trouble:
    """The one place where what went wrong becomes a sentence and a line in the log."""

    desk: Desk

    async def failed(self, update: object, context: Context) -> None:
        """Whatever a handler raised: one sentence to the asker, the traceback to the log."""
        error = context.error
        if not isinstance(update, Update):
            log.warning("Polling: %s", polling_trouble(error))
            return
        if isinstance(error, Forbidden):
            log.info("An answer had no reader: %s", error)
            return
        reference = ""
        if not isinstance(error, QuestionRejected):
            reference = secrets.token_hex(4)
            log.error("Update %s failed, reference %s", update.update_id, reference, exc_info=error)
        message, query = message_of_person(update), update.callback_query
        text = asked(message, self.desk.bot) if message else None
        if message and text is not None:  # a group's own talk is none of our business
            language = await self.desk.language(message, text)
            await self._tell(update, message, self._sentence(error, language, reference))
        if query:
            language = await self.desk.language_of_person(query.from_user)
            await taps.end(query, self._sentence(error, language, reference))

    async def gave_up(self, update: Update) -> None:
        """An update that ended the process again and again: says so, and it is done."""
        if message := message_of_person(update):
            await self._tell(update, message, (await self.desk.words(message)).gave_up)

    def _sentence(self, error: BaseException | None, language: Language, reference: str) -> str:
        sentence = of_error(error, language, self.desk.app.settings.max_chars)
        return sentence + (WORDS[language].reference.format(reference=reference) * bool(reference))

    async def _tell(self, update: Update, message: Message, sentence: str) -> None:
        shown_in = await self.desk.kept(self.desk.inbox.preview, update.update_id)
        await self.desk.say(update, message, sentence, edit=shown_in)


def polling_trouble(error: BaseException | None) -> str:
    """What the log says when no updates come."""
    if isinstance(error, Conflict):
        return "another process polls with this token; stop one of the two."
    return f"Telegram does not answer ({error}); trying again."
