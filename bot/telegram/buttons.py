"""Buttons under messages: an article or passages to leaf through, votes, language, erasing.

Callback data is KIND:ARGUMENTS, at most 64 bytes. Anyone in a group may read on; only who asked
may rate an answer. Does not cover the inline mode (inline.py).
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from telegram import CallbackQuery, Message, Update
from telegram.error import TelegramError
from telegram.ext import CallbackQueryHandler

from bot import render_telegram
from bot.people import Vote
from bot.render_telegram import TelegramMessage
from bot.telegram import taps
from bot.telegram.desk import Context, Desk, Handler
from bot.telegram.inbox import Keyboard
from bot.telegram.members import Lang, conversation
from bot.telegram.post import keyboard as as_buttons
from bot.telegram.words import LANGUAGES, WORDS
from rag.types import Language

_VOTES: tuple[tuple[Vote, str], ...] = (("up", "👍"), ("down", "👎"))
_ARTICLES = 5  # of an answer that can be opened with a tap


def answer_keyboard(
    answer_id: str, language: Language, articles: Sequence[int], passages: bool, vote: str = ""
) -> Keyboard:
    """The row under an answer; `articles` are short numbers of those that it cites."""
    words = WORDS[language]
    row = []
    if articles:
        shown = ".".join(map(str, articles[:_ARTICLES]))
        row.append((words.article_button, f"a:0:{shown}"))
    if passages:
        row.append((words.passages_button, f"p:0:{answer_id}"))
    votes = [(sign + " ✓" * (name == vote), f"v:{name}:{answer_id}") for name, sign in _VOTES]
    return ((*row, *votes),)


def vote_keyboard(answer_id: str) -> Keyboard:
    """Only the votes."""
    return (tuple((sign, f"v:{name}:{answer_id}") for name, sign in _VOTES),)


def language_keyboard(language: Language) -> Keyboard:
    """The languages to choose from."""
    return (((WORDS[language].auto_button, "l:auto"), ("中文", "l:zh"), ("English", "l:en")),)


@dataclass(frozen=True, slots=True)
class Buttons:
    """Handlers of taps on buttons."""

    desk: Desk

    def handlers(self) -> list[Handler]:
        """What to listen for."""
        number = "[0-9]{1,9}"
        known = {
            rf"^[ao]:{number}:{number}(\.{number})*$": self.article,
            rf"^p:{number}:\w+$": self.passages,
            r"^v:(up|down):\w+$": self.vote,
            r"^l:(auto|zh|en)$": self.speak,
            r"^e$": self.erase,
        }
        found = [CallbackQueryHandler(call, pattern) for pattern, call in known.items()]
        return [*found, CallbackQueryHandler(self.gone)]

    async def article(self, update: Update, context: Context) -> None:
        """A page of an article: a new message, or the next page in the one that shows it."""
        query, words = await taps.tapped(self.desk, update)
        _, page, numbers = (query.data or "").split(":")
        shown, *others = map(int, numbers.split("."))
        article_id = await self.desk.kept(self.desk.members.article_id, shown)
        article = await asyncio.to_thread(self.desk.app.records.find, article_id)
        if not article:
            await taps.end(query, words.gone)
            return
        pages = render_telegram.article_pages(
            article, with_id=self.desk.is_admin(query.from_user.id)
        )
        at = min(int(page), len(pages) - 1)
        rows = [_leaves(f"a:{{}}:{numbers}", at, len(pages))]
        if others:  # the others of the answer, this one last
            turned = ".".join(map(str, [*others, shown]))
            rows.append(((f"{words.article_button} ⟳ {len(others) + 1}", f"a:0:{turned}"),))
        await self._turn(update, query, pages[at], tuple(row for row in rows if row), "a:")

    async def passages(self, update: Update, context: Context) -> None:
        """A page of the passages behind an answer."""
        query, words = await taps.tapped(self.desk, update)
        _, page, answer_id = (query.data or "").split(":")
        shown = await self.desk.kept(self.desk.members.shown, answer_id)
        found = await asyncio.to_thread(
            self.desk.app.records.passages_by_id, shown.passages if shown else ()
        )
        by_id = {stored.passage.passage_id: stored.passage for stored in found}
        passages = [by_id[each] for each in (shown.passages if shown else ()) if each in by_id]
        pages = render_telegram.passage_pages(passages)
        if not pages:
            await taps.end(query, words.gone)
            return
        at = min(int(page), len(pages) - 1)
        leaves = _leaves(f"p:{{}}:{answer_id}", at, len(pages))
        await self._turn(update, query, pages[at], (leaves,) if leaves else (), "p:")

    async def vote(self, update: Update, context: Context) -> None:
        """👍 or 👎: kept with the question, shown on the button."""
        query, words = await taps.tapped(self.desk, update)
        _, name, answer_id = (query.data or "").split(":")
        kept, members = self.desk.kept, self.desk.members
        shown = await kept(members.shown, answer_id)
        message = taps.message_of(query)
        if not shown or not message:
            await taps.end(query, words.gone)
            return
        who = conversation(message.chat_id, query.from_user.id)
        vote = cast("Vote", name)
        if not await kept(self.desk.app.people.vote, answer_id, vote, shown.comment, who):
            await taps.end(query, words.vote_other if who != shown.who else words.gone)
            return
        await kept(members.said, answer_id, vote, shown.comment)
        await taps.end(query, words.vote_kept)
        await self._show_vote(message, vote)

    async def speak(self, update: Update, context: Context) -> None:
        """A language of the answers."""
        query, _ = await taps.tapped(self.desk, update)
        chosen = (query.data or "").removeprefix("l:")
        await self.desk.kept(self.desk.members.speak, query.from_user.id, cast("Lang", chosen))
        language = await self.desk.language_of_person(query.from_user)
        text = WORDS[language].language_set.format(now=LANGUAGES[language][chosen])
        await taps.end(query, text)
        await taps.replace(query, render_telegram.words(text))

    async def erase(self, update: Update, context: Context) -> None:
        """Deletes all that is kept of who taps."""
        query, words = await taps.tapped(self.desk, update)
        await self.desk.kept(self.desk.members.erase, query.from_user.id)
        await taps.end(query, words.erased)
        await taps.replace(query, render_telegram.words(words.erased))

    async def gone(self, update: Update, context: Context) -> None:
        """A button of an older version, or a tap that someone made up."""
        query, words = await taps.tapped(self.desk, update)
        await taps.end(query, words.gone)

    async def _turn(
        self,
        update: Update,
        query: CallbackQuery,
        page: TelegramMessage,
        rows: Keyboard,
        kind: str,
    ) -> None:
        """Shows a page: in its own message if the button stands there, else in a new one."""
        await taps.end(query)
        message = taps.message_of(query)
        if not message:
            return
        if _only_leafs(message, kind):
            await taps.replace(query, page, rows)
        else:
            await self.desk.reply(update, message, [page], rows)

    async def _show_vote(self, message: Message, vote: Vote) -> None:
        """The chosen sign gets a tick."""
        if not message.reply_markup:
            return
        rows = tuple(
            tuple(
                (button.text.removesuffix(" ✓") + " ✓" * data.startswith(f"v:{vote}:"), data)
                for button in row
                if isinstance(data := button.callback_data, str)
            )
            for row in message.reply_markup.inline_keyboard
        )
        with contextlib.suppress(TelegramError):
            await message.edit_reply_markup(as_buttons(rows))


def _only_leafs(message: Message, kind: str) -> bool:
    """Whether a message is one to leaf through, no answer."""
    rows = message.reply_markup.inline_keyboard if message.reply_markup else ()
    return all(
        isinstance(button.callback_data, str) and button.callback_data.startswith(kind)
        for row in rows
        for button in row
    )


def _leaves(pattern: str, at: int, pages: int) -> tuple[tuple[str, str], ...]:
    """Buttons to the page before and after; none where there is one page."""
    if pages < 2:
        return ()
    before, after = max(at - 1, 0), min(at + 1, pages - 1)
    return (
        ("‹", pattern.format(before)),
        (f"{at + 1} / {pages}", pattern.format(at)),
        ("›", pattern.format(after)),
    )
