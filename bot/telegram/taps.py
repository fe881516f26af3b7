"""Taps on buttons: who tapped, the end of the waiting sign, another text in the same message."""

import contextlib

from telegram import CallbackQuery, Message, Update
from telegram.constants import ParseMode
from telegram.error import TelegramError

from bot.render_telegram import TelegramMessage
from bot.telegram.desk import Desk
from bot.telegram.inbox import Keyboard
from bot.telegram.post import keyboard
from bot.telegram.words import WORDS, Words


async def tapped(desk: Desk, update: Update) -> tuple[CallbackQuery, Words]:
    """The tap in an update, and our sentences in the language of who tapped."""
    query = update.callback_query
    assert query  # handlers of taps get nothing else
    return query, WORDS[await desk.language_of_person(query.from_user)]


async def end(query: CallbackQuery, text: str = "") -> None:
    """Ends the waiting sign on a button, with a short word; too late is too late."""
    with contextlib.suppress(TelegramError):
        await query.answer(text[:200] or None)


async def replace(query: CallbackQuery, page: TelegramMessage, rows: Keyboard = ()) -> None:
    """Shows another page where the button stands; tapped twice, it shows it already."""
    with contextlib.suppress(TelegramError):
        await query.edit_message_text(
            page.html, parse_mode=ParseMode.HTML, reply_markup=keyboard(rows)
        )


def message_of(query: CallbackQuery) -> Message | None:
    """The message under which a button stands, if Telegram still gives it."""
    return query.message if isinstance(query.message, Message) else None
