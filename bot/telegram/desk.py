"""What every handler needs: the house, what is kept, and a way to speak in the asker's language."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from telegram import Bot, Message, Update, User
from telegram.ext import Application, BaseHandler, ContextTypes

from bot import render_telegram
from bot.render_telegram import TelegramMessage
from bot.telegram.clerk import Clerk
from bot.telegram.inbox import Inbox, Keyboard, Letter
from bot.telegram.limiter import Limiter
from bot.telegram.meant import asker, language_of, language_of_code, topic
from bot.telegram.members import Members
from bot.telegram.post import Post
from bot.telegram.words import WORDS, Words
from rag.types import Language

if TYPE_CHECKING:
    from bot.wiring import App

TelegramApp = Application[Any, Any, Any, Any, Any, Any]
Context = ContextTypes.DEFAULT_TYPE
Handler = BaseHandler[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Desk:
    """The house behind the Telegram door; `kept` runs what reads and writes its tables."""

    app: "App"
    bot: Bot
    inbox: Inbox
    members: Members
    limiter: Limiter
    post: Post
    kept: Clerk

    def is_admin(self, user_id: int) -> bool:
        """Whether someone may index and ban."""
        return user_id in self.app.settings.admins()

    async def language(self, message: Message, text: str = "") -> Language:
        """The language to speak to someone in: what they set, else wrote, else have."""
        set_to = (await self.kept(self.members.member, asker(message))).language
        return language_of(message, text) if set_to == "auto" else set_to

    async def language_of_person(self, user: User) -> Language:
        """The language to speak to someone in who writes nothing: what they set, else have."""
        set_to = (await self.kept(self.members.member, user.id)).language
        return language_of_code(user.language_code) if set_to == "auto" else set_to

    async def words(self, message: Message, text: str = "") -> Words:
        """Our sentences in the asker's language."""
        return WORDS[await self.language(message, text)]

    async def say(
        self,
        update: Update,
        message: Message,
        text: str,
        keyboard: Keyboard = (),
        choices: Sequence[str] = (),
        edit: int = 0,
    ) -> None:
        """Sends our own words to where a message stands, as a reply to it."""
        letter = replace(
            _letter(message, render_telegram.words(text)),
            reply_to=message.message_id,
            keyboard=keyboard,
            choices=tuple(choices),
            edit=edit,
        )
        await self.post.send(update.update_id, [letter])

    async def reply(
        self,
        update: Update,
        message: Message,
        pages: Sequence[TelegramMessage],
        keyboard: Keyboard = (),
        edit: int = 0,
        rich: bool = False,
    ) -> None:
        """Sends messages in order, the first one a reply, the last one with the buttons."""
        letters = [
            replace(_letter(message, page), rich=page.rich if rich else "") for page in pages
        ]
        letters[0] = replace(letters[0], reply_to=message.message_id, edit=edit)
        letters[-1] = replace(letters[-1], keyboard=keyboard)
        await self.post.send(update.update_id, letters)


def _letter(message: Message, page: TelegramMessage) -> Letter:
    return Letter(message.chat_id, page.html, page.text, topic(message))
