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
from bot.telegram.inbox import Keyboard
from bot.telegram.meant import asked, asker, message_of_person
from bot.telegram.members import Lang, Limit, conversation
from bot.telegram.preview import Preview
from rag.types import Answer, Piece, Question, Turn


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
        member = asker(message)
        edit = update.update_id if update.edited_message else 0
        kept = self.desk.kept
        if not await kept(
            self.desk.members.is_news, message.chat_id, message.message_id, text, edit
        ):
            return
        if over := await kept(self.desk.members.count, self._limits(message, member)):
            if not over.told:
                await self.desk.say(update, message, getattr(words, over.span))
            return
        who = conversation(message.chat_id, member)
        language, turns = await kept(self._before, who, member)
        question = self.desk.app.answerer.question(text, language, turns=turns)
        answer, shown_in = await self._answered(update, message, question)
        buttons = await kept(self._after, who, answer)
        pages = render_telegram.messages(answer)
        rich = self.desk.app.settings.telegram_rich
        await self.desk.reply(update, message, pages, buttons, edit=shown_in, rich=rich)

    async def other(self, update: Update, context: Context) -> None:
        """A private message without text: a photo, a sticker, a voice."""
        if message := message_of_person(update):
            await self.desk.say(update, message, (await self.desk.words(message)).only_text)

    def _limits(self, message: Message, member: int) -> list[Limit]:
        settings = self.desk.app.settings
        if self.desk.is_admin(member):
            return []
        limits = [
            Limit(f"user:{member}", "minute", settings.telegram_user_minute),
            Limit(f"user:{member}", "day", settings.telegram_user_day),
        ]
        if message.chat.type != ChatType.PRIVATE:
            limits += [
                Limit(f"chat:{message.chat_id}", "minute", settings.telegram_chat_minute),
                Limit(f"chat:{message.chat_id}", "day", settings.telegram_chat_day),
            ]
        return limits

    def _before(self, who: str, member: int) -> tuple[Lang, tuple[Turn, ...]]:
        """What is kept that a question needs: the language that was set, the conversation."""
        return self.desk.members.member(member).language, self.desk.app.people.turns(who)

    def _after(self, who: str, answer: Answer) -> Keyboard:
        """Keeps an answer; gives the buttons that go with it."""
        members = self.desk.members
        answer_id = self.desk.app.people.answered(who, answer)
        passages = [hit.passage.passage_id for hit in answer.passages]
        members.showed(answer_id, who, passages)
        cited = dict.fromkeys(citation.article_id for citation in answer.citations)
        numbers = [members.number(article_id) for article_id in cited]
        near = bool(passages) and answer.reason not in ("off_topic", "too_vague")
        return answer_keyboard(answer_id, answer.language, numbers, near)

    async def _answered(
        self, update: Update, message: Message, question: Question
    ) -> tuple[Answer, int]:
        """The answer, and the message in which its beginning was shown already (0: none)."""
        in_group = message.chat.type != ChatType.PRIVATE
        kept, inbox = self.desk.kept, self.desk.inbox
        begun = await kept(inbox.preview, update.update_id) if in_group else 0
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
