"""Commands for everybody: what is known, what is kept, language, forgetting, feedback.

Does not cover /ask (asking.py), lists of articles (sources.py), nor what admins may do (admin.py).
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from telegram import Message, Update
from telegram.constants import ChatType
from telegram.ext import CommandHandler, MessageHandler, filters

from bot import people
from bot.people import Vote
from bot.render import one_line
from bot.telegram import inbox
from bot.telegram.buttons import language_keyboard, vote_keyboard
from bot.telegram.desk import Context, Desk, Handler
from bot.telegram.meant import argument, asker, message_of_person
from bot.telegram.members import Lang, conversation
from bot.telegram.words import LANGUAGES, MODEL_ELSEWHERE, WORDS
from rag.examples import examples as examples_of
from rag.types import Language

if TYPE_CHECKING:
    from bot.wiring import App

EXAMPLES = 3
_COMMENT_CHARS = 1_000


def examples(app: "App", language: Language, count: int) -> list[str]:
    """Questions that the indexed articles answer."""
    return [one_line(question) for question in examples_of(app.records, language, count)]


@dataclass(frozen=True, slots=True)
class Commands:
    """Handlers of commands."""

    desk: Desk

    def handlers(self) -> list[Handler]:
        """What to listen for."""
        new = filters.UpdateType.MESSAGE
        named = {
            "start": self.start,
            "help": self.help,
            "new": self.new,
            "lang": self.lang,
            "feedback": self.feedback,
            "privacy": self.privacy,
        }
        return [CommandHandler(name, call, new) for name, call in named.items()]

    def unknown(self) -> Handler:
        """For commands that nobody else listens for, in private chats."""
        private = filters.UpdateType.MESSAGE & filters.ChatType.PRIVATE
        return MessageHandler(private & filters.COMMAND, self.help)

    async def start(self, update: Update, context: Context) -> None:
        """/start: what the bot is, how much it has read, and questions to try."""
        if not (message := message_of_person(update)):
            return
        language = await self.desk.language(message)
        words, app = WORDS[language], self.desk.app
        private = message.chat.type == ChatType.PRIVATE
        articles = (await asyncio.to_thread(app.records.counts)).articles
        text = f"{words.greeting}\n\n{words.nothing_indexed}"
        questions: list[str] = []
        if articles:
            questions = await asyncio.to_thread(examples, app, language, EXAMPLES)
            text = f"{words.greeting}\n\n{words.indexed.format(articles=articles)}"
        if questions:
            text += "\n\n" + "\n".join([words.examples, *(f"· {each}" for each in questions)])
        if private and not app.settings.admins():  # else nobody could learn their number
            text += "\n\n" + words.no_admin.format(id=asker(message))
        await self.desk.say(update, message, text, choices=questions if private else ())

    async def help(self, update: Update, context: Context) -> None:
        """/help and, in private chats, a command that we don't know."""
        if not (message := message_of_person(update)):
            return
        words = await self.desk.words(message)
        more = words.admin_help if self.desk.is_admin(asker(message)) else ""
        await self.desk.say(update, message, words.help + more)

    async def new(self, update: Update, context: Context) -> None:
        """/new: the conversation so far counts no more."""
        if message := message_of_person(update):
            await self.desk.kept(self.desk.app.people.forget, _who(message))
            words = await self.desk.words(message)
            await self.desk.say(update, message, words.forgotten)

    async def lang(self, update: Update, context: Context) -> None:
        """/lang auto|zh|en: the language of answers; without a word, buttons."""
        if not (message := message_of_person(update)):
            return
        chosen = argument(message).lower()
        if chosen in ("auto", "zh", "en"):
            speak = self.desk.members.speak
            await self.desk.kept(speak, asker(message), cast("Lang", chosen))
            language = await self.desk.language(message)
            text = WORDS[language].language_set.format(now=LANGUAGES[language][chosen])
            await self.desk.say(update, message, text)
            return
        language = await self.desk.language(message)
        now = (await self.desk.kept(self.desk.members.member, asker(message))).language
        text = WORDS[language].language.format(now=LANGUAGES[language][now])
        await self.desk.say(update, message, text, language_keyboard(language))

    async def feedback(self, update: Update, context: Context) -> None:
        """/feedback TEXT: a comment that goes with the last answer."""
        if not (message := message_of_person(update)):
            return
        words, comment = await self.desk.words(message), argument(message)[:_COMMENT_CHARS]
        if not comment:
            await self.desk.say(update, message, words.feedback_how)
            return
        who, members, kept = _who(message), self.desk.members, self.desk.kept
        last = await kept(members.last_shown, who)
        if not last:
            await self.desk.say(update, message, words.feedback_none)
            return
        await kept(members.said, last.answer_id, last.vote, comment)
        if last.vote:
            vote = self.desk.app.people.vote
            await kept(vote, last.answer_id, cast("Vote", last.vote), comment, who)
            await self.desk.say(update, message, words.feedback_kept)
        else:  # a comment alone doesn't tell whether the answer was right
            rows = vote_keyboard(last.answer_id)
            await self.desk.say(update, message, words.feedback_ask, rows)

    async def privacy(self, update: Update, context: Context) -> None:
        """/privacy: what is kept, for how long, and a button that deletes it."""
        if not (message := message_of_person(update)):
            return
        language = await self.desk.language(message)
        elsewhere = MODEL_ELSEWHERE[language] if self.desk.app.settings.llm else ""
        text = WORDS[language].privacy.format(
            days=people.KEPT_DAYS,
            votes=people.VOTES_KEPT_DAYS,
            updates=inbox.KEPT_DAYS,
            model=elsewhere,
        )
        await self.desk.say(update, message, text, (((WORDS[language].erase_button, "e"),),))


def _who(message: Message) -> str:
    return conversation(message.chat_id, asker(message))
