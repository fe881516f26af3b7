"""A question on Telegram: an update -> Answerer -> messages; no decisions about answers.

Answers every text in private chats; in groups only mentions of the bot, replies to it and /ask.
A question that is edited is answered once more. Does not cover inline mode (inline.py).
"""

from dataclasses import dataclass

from telegram import Message, Update
from telegram.constants import ChatType
from telegram.ext import CommandHandler, MessageHandler, filters

from bot import render_telegram
from bot.telegram.buttons import answer_keyboard
from bot.telegram.desk import Context, Desk, Handler
from bot.telegram.meant import asked, message_of_person
from bot.telegram.members import Limit, Over, conversation
from bot.telegram.preview import Preview
from rag.types import Answer, Piece, Question


@dataclass(frozen=True, slots=True)
class Asking:
    """Handlers of what people ask."""

    desk: Desk

    def handlers(self) -> list[Handler]:
        """What to listen for."""
        either = filters.UpdateType.MESSAGE | filters.UpdateType.EDITED_MESSAGE
        private = filters.UpdateType.MESSAGE & filters.ChatType.PRIVATE
        return [
            CommandHandler("ask", self.question, either),
            MessageHandler(either & filters.TEXT & ~filters.COMMAND, self.question),
            MessageHandler(private & ~filters.TEXT & ~filters.StatusUpdate.ALL, self.other),
        ]

    async def question(self, update: Update, context: Context) -> None:
        """A text or /ask: answers it if it is meant for the bot."""
        message = message_of_person(update)
        text = asked(message, self.desk.bot) if message else None
        if message and text is not None:
            await self.ask(update, message, text)

    async def ask(self, update: Update, message: Message, text: str) -> None:
        """Answers a question where it was asked."""
        words = await self.desk.words(message, text)
        if not text.strip():
            await self.desk.say(update, message, words.no_question)
            return
        if not await self._is_news(update, message, text):
            return
        if over := await self._over(message):
            if not over.told:
                await self.desk.say(update, message, getattr(words, over.span))
            return
        who = conversation(message.chat_id, _asker(message))
        answer, shown_in = await self._answered(update, message, await self._question(who, text))
        await self._send(update, message, who, answer, shown_in)

    async def other(self, update: Update, context: Context) -> None:
        """A private message without text: a photo, a sticker, a voice."""
        if message := message_of_person(update):
            await self.desk.say(update, message, (await self.desk.words(message)).only_text)

    async def _is_news(self, update: Update, message: Message, text: str) -> bool:
        edit = update.update_id if update.edited_message else 0
        news = self.desk.members.is_news
        return await self.desk.kept(news, message.chat_id, message.message_id, text, edit)

    async def _over(self, message: Message) -> Over | None:
        asker = _asker(message)
        if self.desk.is_admin(asker):
            return None
        settings = self.desk.app.settings
        limits = [
            Limit(f"user:{asker}", "minute", settings.telegram_user_minute),
            Limit(f"user:{asker}", "day", settings.telegram_user_day),
        ]
        if message.chat.type != ChatType.PRIVATE:
            limits += [
                Limit(f"chat:{message.chat_id}", "minute", settings.telegram_chat_minute),
                Limit(f"chat:{message.chat_id}", "day", settings.telegram_chat_day),
            ]
        return await self.desk.kept(self.desk.members.count, limits)

    async def _question(self, who: str, text: str) -> Question:
        _, chat_id, asker = who.split(":")
        kept, members = self.desk.kept, self.desk.members
        await kept(members.asks, int(asker), int(chat_id))
        language = (await kept(members.member, int(asker))).language
        turns = await kept(self.desk.app.people.turns, who)
        return self.desk.app.answerer.question(text, language, turns=turns)

    async def _answered(
        self, update: Update, message: Message, question: Question
    ) -> tuple[Answer, int]:
        """The answer, and the message in which its beginning was shown already (0: none)."""
        begun = await self.desk.kept(self.desk.inbox.preview, update.update_id)
        preview = Preview(self.desk, message, update.update_id, begun)
        answer: Answer | None = None
        async with preview.shown():
            async for step in self.desk.app.answerer.stream(question):
                if isinstance(step, Piece):
                    preview.text += step.text
                elif isinstance(step, Answer):
                    answer = step
        if answer is None:
            raise RuntimeError("The stream ended without an answer.")
        return answer, preview.message_id

    async def _send(
        self, update: Update, message: Message, who: str, answer: Answer, shown_in: int
    ) -> None:
        kept, members = self.desk.kept, self.desk.members
        answer_id = await kept(self.desk.app.people.answered, who, answer)
        passages = [hit.passage.passage_id for hit in answer.passages]
        await kept(members.showed, answer_id, who, passages)
        cited = dict.fromkeys(citation.article_id for citation in answer.citations)
        numbers = [await kept(members.number, article_id) for article_id in cited]
        keyboard = answer_keyboard(answer_id, answer.language, numbers, bool(passages))
        pages = render_telegram.messages(answer)
        await self.desk.reply(update, message, pages, keyboard, edit=shown_in)


def _asker(message: Message) -> int:
    """Who asks; a channel or a group that writes as itself counts as its chat."""
    if message.sender_chat or not message.from_user:
        return (message.sender_chat or message.chat).id
    return message.from_user.id
