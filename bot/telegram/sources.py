"""What is indexed, as lists of articles that a tap opens: /sources and /latest."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from telegram import Update
from telegram.ext import CallbackQueryHandler, CommandHandler, filters

from bot import render_telegram
from bot.render import one_line
from bot.telegram import taps
from bot.telegram.desk import Context, Desk, Handler
from bot.telegram.inbox import Keyboard
from bot.telegram.meant import message_of_person
from bot.telegram.words import Words
from rag.types import Article

LATEST = 5
LIST = 8  # articles on a page: as many buttons as fit two rows
LIST_PAGES = 50  # then it is quicker to ask
_TITLE_CHARS = 60


@dataclass(frozen=True, slots=True)
class Sources:
    """Handlers of lists of articles."""

    desk: Desk

    def handlers(self) -> list[Handler]:
        """What to listen for."""
        new = filters.UpdateType.MESSAGE
        return [
            CommandHandler("sources", self.sources, new),
            CommandHandler("latest", self.latest, new),
            CallbackQueryHandler(self.turn, r"^s:[0-9]{1,9}$"),
        ]

    async def sources(self, update: Update, context: Context) -> None:
        """/sources: what is indexed, to leaf through, the newest first."""
        if message := message_of_person(update):
            text, rows = await self._list(await self.desk.words(message), 0)
            await self.desk.say(update, message, text, rows)

    async def turn(self, update: Update, context: Context) -> None:
        """Another page of that list."""
        query, words = await taps.tapped(self.desk, update)
        text, rows = await self._list(words, int((query.data or "s:0").split(":")[1]))
        await taps.end(query)
        await taps.replace(query, render_telegram.words(text), rows)

    async def latest(self, update: Update, context: Context) -> None:
        """/latest: the newest articles."""
        if not (message := message_of_person(update)):
            return
        words = await self.desk.words(message)
        articles = await asyncio.to_thread(self.desk.app.records.latest, LATEST)
        if not articles:
            await self.desk.say(update, message, words.nothing_indexed)
            return
        lines, row = await self._lines(articles, words, 0)
        await self.desk.say(update, message, "\n".join([words.latest, "", *lines]), (row,))

    async def _list(self, words: Words, page: int) -> tuple[str, Keyboard]:
        records = self.desk.app.records
        total = (await asyncio.to_thread(records.counts)).articles
        if not total:
            return words.nothing_indexed, ()
        pages = min(-(-total // LIST), LIST_PAGES)
        page = min(page, pages - 1)
        upto = await asyncio.to_thread(records.latest, (page + 1) * LIST)
        lines, row = await self._lines(upto[page * LIST :], words, page * LIST)
        head = words.sources.format(articles=total, page=page + 1, pages=pages)
        rows = [row[: LIST // 2], row[LIST // 2 :]]
        if pages > 1:
            turns = (("‹", f"s:{max(page - 1, 0)}"), ("›", f"s:{min(page + 1, pages - 1)}"))
            rows.append(turns)
        return "\n".join([head, "", *lines]), tuple(row for row in rows if row)

    async def _lines(
        self, articles: Sequence[Article], words: Words, before: int
    ) -> tuple[list[str], tuple[tuple[str, str], ...]]:
        """A line and a button for each article."""
        lines, row = [], []
        for n, article in enumerate(articles, start=before + 1):
            title = short(one_line(article.title)) or words.no_title
            place = " · ".join(filter(None, (article.date, short(one_line(article.source)))))
            lines.append(f"{n}. {title}" + (f"\n    {place}" if place else ""))
            number = await self.desk.kept(self.desk.members.number, article.article_id)
            row.append((str(n), f"o:0:{number}"))
        return lines, tuple(row)


def short(title: str) -> str:
    """A title that fits a line or two on a phone."""
    return title if len(title) <= _TITLE_CHARS else title[: _TITLE_CHARS - 1] + "…"
