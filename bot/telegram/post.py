"""Letters -> Telegram: delivered in order, through flood control and broken connections.

Each is written down first (inbox.py) and struck out when Telegram has taken it. What Telegram
will never take is left out with a line in the log. Does not cover previews (preview.py).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
    ReplyKeyboardMarkup,
    ReplyParameters,
)
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    EndPointNotFound,
    Forbidden,
    NetworkError,
    RetryAfter,
)

from bot.telegram.clerk import Clerk
from bot.telegram.inbox import Inbox, Keyboard, Letter

log = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 30.0
_T = TypeVar("_T")


class Post:
    """Delivers letters, each until it is taken."""

    def __init__(self, bot: Bot, inbox: Inbox, kept: Clerk) -> None:
        self._bot, self._inbox, self._kept = bot, inbox, kept
        self._takes_rich = True  # until Telegram refuses one

    async def send(self, update_id: int, letters: Sequence[Letter]) -> None:
        """Writes letters down, then delivers them."""
        await self._delivered(await self._kept(self._inbox.write, update_id, letters))

    async def send_rest(self, update_id: int) -> None:
        """Delivers what was written down and has not arrived."""
        await self._delivered(await self._kept(self._inbox.letters, update_id))

    async def _delivered(self, letters: Sequence[tuple[int, Letter]]) -> None:
        for n, letter in letters:
            try:
                await self._one(letter)
            except Forbidden as exc:
                log.info("A message has no reader: %s", exc)
            except BadRequest as exc:
                log.warning("Telegram will never take this message: %s", exc)
            await self._kept(self._inbox.delivered, n)

    async def _one(self, letter: Letter) -> None:
        try:
            if not await self._sent_rich(letter):
                await self._put(letter, letter.html, ParseMode.HTML)
        except ChatMigrated as exc:
            moved = replace(letter, chat_id=exc.new_chat_id, edit=0, reply_to=None)
            await self._put(moved, letter.html, ParseMode.HTML)
        except BadRequest as exc:
            if "parse entities" not in exc.message:
                raise
            log.error("Telegram refuses our markup, so plain text goes out: %s", exc)
            await self._put(letter, letter.text, None)

    async def _sent_rich(self, letter: Letter) -> bool:
        """Whether Telegram took it as a rich message; one refusal, and no other is tried."""
        if not letter.rich or letter.edit or not self._takes_rich:
            return False
        # Commands and names in a quotation are no business of the reader's fingers.
        content = {"html": letter.rich, "skip_entity_detection": True}
        asked = {
            "chat_id": letter.chat_id,
            "rich_message": content,
            "reply_parameters": _answers(letter),
            "message_thread_id": letter.thread_id,
            "reply_markup": keyboard(letter.keyboard),
        }
        given = {name: value for name, value in asked.items() if value is not None}
        try:
            await patiently(lambda: self._bot.do_api_request("sendRichMessage", given))
        except (BadRequest, EndPointNotFound) as exc:
            log.warning("Telegram takes no rich messages, so HTML goes out: %s", exc)
            self._takes_rich = False
            return False
        return True

    async def _put(self, letter: Letter, text: str, parse_mode: str | None) -> None:
        if letter.edit:
            markup = keyboard(letter.keyboard)
            try:
                await patiently(
                    lambda: self._bot.edit_message_text(
                        text,
                        letter.chat_id,
                        letter.edit,
                        parse_mode=parse_mode,
                        reply_markup=markup,
                    )
                )
                return
            except BadRequest as exc:
                if "not modified" in exc.message:
                    return
                if "parse entities" in exc.message:
                    raise
                log.info("A message can't be edited, so a new one goes out: %s", exc)
        await self._sent(letter, text, parse_mode)

    async def _sent(self, letter: Letter, text: str, parse_mode: str | None) -> Message:
        markup = _choices(letter.choices) or keyboard(letter.keyboard)
        return await patiently(
            lambda: self._bot.send_message(
                letter.chat_id,
                text,
                parse_mode=parse_mode,
                reply_parameters=_answers(letter),
                message_thread_id=letter.thread_id,
                reply_markup=markup,
            )
        )


def keyboard(rows: Keyboard) -> InlineKeyboardMarkup | None:
    """Rows of (label, callback data) as Telegram's buttons."""
    if not rows:
        return None
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(label, callback_data=data) for label, data in row] for row in rows]
    )


def _answers(letter: Letter) -> ReplyParameters | None:
    """What a letter replies to, if that is still there."""
    if not letter.reply_to:
        return None
    return ReplyParameters(letter.reply_to, allow_sending_without_reply=True)


def _choices(texts: Sequence[str]) -> ReplyKeyboardMarkup | None:
    """A keyboard of texts to send, each on a line, gone after a tap."""
    if not texts:
        return None
    return ReplyKeyboardMarkup(
        [[text] for text in texts], resize_keyboard=True, one_time_keyboard=True
    )


async def patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    """The call's result, however long flood control lasts or Telegram is away.

    A reply that is late is asked for again: a message may then come twice, but none is lost.
    """
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except RetryAfter:
            continue  # the limiter knows how long
        except BadRequest:
            raise
        except NetworkError as exc:
            log.info("Telegram does not answer (%s); trying again.", type(exc).__name__)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
