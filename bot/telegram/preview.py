"""What an asker sees while an answer comes about: that the bot types, then the words so far.

Private chats get a draft, groups a message that is edited and becomes the answer. All of it is a
courtesy: what Telegram does not take at once is left out. Does not cover the answer itself.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from telegram import Message, ReplyParameters
from telegram.constants import ChatAction, ChatType, ParseMode
from telegram.error import TelegramError

from bot import render_telegram
from bot.telegram.desk import Desk
from bot.telegram.meant import topic

log = logging.getLogger(__name__)

QUIET_S = 0.3  # an answer that comes within this needs no sign of life
DRAFT_S, EDIT_S = 0.7, 1.5  # between two previews
TYPING_S = 4.5  # Telegram shows the action for 5 s
# A preview under way is waited for: after the answer it would look busy, and a message in a group
# must be known before it can become the answer.
_LAST_DRAFT_S, _LAST_EDIT_S = 1.0, 25.0


class Preview:
    """The sign of life for one answer; `text` is what of it is known."""

    def __init__(self, desk: Desk, message: Message, update_id: int, message_id: int = 0) -> None:
        self.text = ""
        self.message_id = message_id  # of the message in a group that becomes the answer
        self._desk, self._message, self._update_id = desk, message, update_id
        self._private = message.chat.type == ChatType.PRIVATE
        self._shown = ""
        self._typed_at = -TYPING_S

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Shows what is known for as long as the block runs."""
        done = asyncio.Event()
        task = asyncio.create_task(self._go_on(done))
        try:
            yield
        finally:
            done.set()
            _, late = await asyncio.wait(
                {task}, timeout=_LAST_DRAFT_S if self._private else _LAST_EDIT_S
            )
            for each in late:
                each.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _go_on(self, done: asyncio.Event) -> None:
        pause = QUIET_S
        while not await _is_set_within(done, pause):
            try:
                await self._show()
            except TelegramError as exc:
                log.debug("A preview was left out: %s", exc)
            if self._shown:
                pause = DRAFT_S if self._private else EDIT_S

    async def _show(self) -> None:
        if not self._desk.limiter.free(self._message.chat_id):
            return
        if not self.text:
            await self._type()
        elif self.text != self._shown:
            self._shown = self.text
            await (self._draft() if self._private else self._edit())

    async def _type(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._typed_at + TYPING_S:
            return
        self._typed_at = now
        await self._desk.bot.send_chat_action(
            self._message.chat_id, ChatAction.TYPING, message_thread_id=topic(self._message)
        )

    async def _draft(self) -> None:
        await self._desk.bot.send_message_draft(
            self._message.chat_id,
            self._update_id,
            render_telegram.preview(self._shown).html,
            message_thread_id=topic(self._message),
            parse_mode=ParseMode.HTML,
        )

    async def _edit(self) -> None:
        chat_id, markup = self._message.chat_id, render_telegram.preview(self._shown).html
        if self.message_id:
            await self._desk.bot.edit_message_text(
                markup, chat_id, self.message_id, parse_mode=ParseMode.HTML
            )
            return
        sent = await self._desk.bot.send_message(
            chat_id,
            markup,
            parse_mode=ParseMode.HTML,
            reply_parameters=ReplyParameters(
                self._message.message_id, allow_sending_without_reply=True
            ),
            message_thread_id=topic(self._message),
        )
        self.message_id = sent.message_id
        await self._desk.kept(self._desk.inbox.previewed, self._update_id, sent.message_id)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
