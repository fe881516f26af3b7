"""Who may ask at all: bans and invitations, before any handler sees an update.

Whoever may not hears so once a day in a private chat. Does not cover how much (asking.py).
"""

from dataclasses import dataclass

from telegram import Update
from telegram.constants import ChatType
from telegram.ext import ApplicationHandlerStop, TypeHandler

from bot.telegram import taps
from bot.telegram.desk import Context, Desk, Handler
from bot.telegram.meant import asker, message_of_person


@dataclass(frozen=True, slots=True)
class Gate:
    """The handler that stands before all others."""

    desk: Desk

    def handler(self) -> Handler:
        """Listens for everything."""
        return TypeHandler(Update, self.check)

    async def check(self, update: Update, context: Context) -> None:
        """Lets an update through, or ends it here."""
        user, chat = update.effective_user, update.effective_chat
        message = update.message or update.edited_message
        who = asker(message) if message else user.id if user else 0
        if self.desk.is_admin(who):
            return
        member = await self.desk.kept(self.desk.members.member, who)
        if member.banned:
            await self._refuse(update, who, "banned")
        elif not (member.allowed or await self._is_open_to(who, chat.id if chat else who)):
            await self._refuse(update, who, "closed")

    async def _is_open_to(self, who: int, chat_id: int) -> bool:
        allowed = self.desk.app.settings.allowed()
        if not allowed or {who, chat_id} & allowed:
            return True
        return (await self.desk.kept(self.desk.members.member, chat_id)).allowed

    async def _refuse(self, update: Update, who: int, reason: str) -> None:
        if update.callback_query:
            query, words = await taps.tapped(self.desk, update)
            await taps.end(query, getattr(words, reason).format(id=who))
        message = message_of_person(update)
        if message and message.chat.type == ChatType.PRIVATE:
            told = await self.desk.kept(self.desk.members.told_today, str(who))
            if not told:
                words = await self.desk.words(message)
                await self.desk.say(update, message, getattr(words, reason).format(id=who))
        raise ApplicationHandlerStop
