"""Inline mode: `@bot question` in any chat -> one answer and up to five passages to send there.

Telegram asks with every pause in typing: only what the asker stops at is answered. Does not keep
what is asked; no conversation goes on here.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from telegram import (
    InlineQuery,
    InlineQueryResultArticle,
    InlineQueryResultsButton,
    InputTextMessageContent,
    LinkPreviewOptions,
    Update,
)
from telegram.constants import ParseMode
from telegram.error import BadRequest
from telegram.ext import InlineQueryHandler

from bot import render_telegram
from bot.render import one_line
from bot.render_telegram import TelegramMessage
from bot.telegram.desk import Context, Desk, Handler
from bot.telegram.meant import language_of_code
from bot.telegram.members import Limit, Member, Over
from bot.telegram.words import WORDS
from rag.errors import QuestionRejected
from rag.types import Answer, Language

PASSAGES = 5
PAUSE_S = 0.4  # typing goes on within this
CACHE_S = 60
_TRIES = 5  # one question is several queries, as typing halts
_SHORTEST, _DESCRIPTION = 2, 160  # characters


@dataclass(frozen=True, slots=True)
class Inline:
    """The handler of inline queries."""

    desk: Desk
    latest: dict[int, int] = field(default_factory=dict)  # who -> the update that counts

    def handlers(self) -> list[Handler]:
        """What to listen for."""
        return [InlineQueryHandler(self.query)]

    async def query(self, update: Update, context: Context) -> None:
        """What is typed after the bot's name: results for what the asker stops at."""
        query = update.inline_query
        assert query  # the handler gets nothing else
        who = query.from_user.id
        member = await self.desk.kept(self.desk.members.member, who)
        language = _language(member, query)
        text = query.query.strip()
        if len(text) < _SHORTEST:
            await self._say(query, WORDS[language].inline_hint)
            return
        self.latest[who] = update.update_id
        await asyncio.sleep(PAUSE_S)
        if self.latest.get(who) != update.update_id:
            return
        del self.latest[who]
        if over := await self._over(who):
            words = WORDS[language]
            await self._say(query, words.inline_wait if over.span == "minute" else words.inline_day)
            return
        await self._answered(query, text, member)

    async def _answered(self, query: InlineQuery, text: str, member: Member) -> None:
        try:
            question = self.desk.app.answerer.question(text, member.language)
        except QuestionRejected:
            await self._say(query, WORDS[_language(member, query)].inline_hint)
            return
        answer = await self.desk.app.answerer.answer(question)
        if not (results := _results(answer)):
            await self._say(query, WORDS[answer.language].inline_none)
            return
        with _in_time():
            await query.answer(results, cache_time=CACHE_S, is_personal=True)

    async def _over(self, who: int) -> Over | None:
        settings = self.desk.app.settings
        limits = [
            Limit(f"inline:{who}", "minute", _TRIES * settings.telegram_user_minute),
            Limit(f"inline:{who}", "day", _TRIES * settings.telegram_user_day),
        ]
        return await self.desk.kept(self.desk.members.count, limits)

    async def _say(self, query: InlineQuery, text: str) -> None:
        button = InlineQueryResultsButton(text, start_parameter="inline")
        with _in_time():
            await query.answer([], cache_time=1, is_personal=True, button=button)


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    """Passes over a query that Telegram no longer holds: the asker typed on, or left."""
    try:
        yield
    except BadRequest as exc:
        if "too old" not in exc.message:
            raise


def _results(answer: Answer) -> list[InlineQueryResultArticle]:
    """The answer first, then passages."""
    found = []
    if not answer.abstained:
        first = render_telegram.messages(answer)[0]
        found.append(_result("answer", WORDS[answer.language].inline_answer, answer.answer, first))
    for n, hit in enumerate(answer.passages[:PASSAGES]):
        passage = hit.passage
        title = one_line(passage.title) or passage.date or "…"
        shown = render_telegram.passage_message(passage)
        found.append(_result(f"passage-{n}", title, passage.text, shown))
    return found


def _result(
    name: str, title: str, description: str, shown: TelegramMessage
) -> InlineQueryResultArticle:
    content = InputTextMessageContent(
        shown.html, ParseMode.HTML, link_preview_options=LinkPreviewOptions(is_disabled=True)
    )
    line = one_line(render_telegram.marked(description))
    return InlineQueryResultArticle(name, title, content, description=line[:_DESCRIPTION])


def _language(member: Member, query: InlineQuery) -> Language:
    if member.language == "auto":
        return language_of_code(query.from_user.language_code)
    return member.language
