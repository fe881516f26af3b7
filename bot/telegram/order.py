"""Updates in order: kept before they are confirmed, one after another in a chat, each done once.

Does not cover what they mean.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeGuard
from weakref import WeakValueDictionary

from telegram import Bot, Update
from telegram.ext import BaseUpdateProcessor

from bot.telegram.clerk import Clerk
from bot.telegram.inbox import Inbox
from bot.telegram.post import Post
from rag.errors import WenbaoError

log = logging.getLogger(__name__)

_MOST_TIMES = 3  # that one update is begun: it may be what ends the process
_AGAIN_S = 5.0  # until a full disk is tried again


class KeptQueue(asyncio.Queue[object]):
    """The queue between the poller and the handlers; what is put is on disk first."""

    def __init__(self, inbox: Inbox, kept: Clerk) -> None:
        super().__init__()
        self._inbox, self._kept = inbox, kept

    async def put(self, item: object) -> None:
        """Keeps an update, then queues it; the poller waits as long as it can't be kept."""
        while True:
            try:
                await self.take(item)
                return
            except WenbaoError as exc:
                log.error("An update can't be written down: %s", exc)
                await asyncio.sleep(_AGAIN_S)

    async def take(self, item: object) -> None:
        """Keeps an update, then queues it; one that came before is left out.

        Raises:
            StoreUnavailable: if it can't be kept.
        """
        if _is_kept(item) and not await self._kept(
            self._inbox.take, item.update_id, item.to_json()
        ):
            log.info("Update %s came before.", item.update_id)
            return
        await super().put(item)

    async def put_waiting(self, bot: Bot) -> None:
        """Queues what was not done when the last process ended."""
        for payload in await self._kept(self._inbox.waiting):
            await super().put(Update.de_json(json.loads(payload), bot))


class InOrder(BaseUpdateProcessor):
    """Updates of one chat one after another, of different chats at the same time."""

    def __init__(self, inbox: Inbox, kept: Clerk) -> None:
        # Those who wait for their chat hold a place too, so places must not run out: one busy
        # chat would block all others.
        super().__init__(max_concurrent_updates=1_000_000)
        self._inbox, self._kept = inbox, kept
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._post: Post | None = None
        self._gave_up: Callable[[Update], Awaitable[None]] | None = None

    def open(self, post: Post, gave_up: Callable[[Update], Awaitable[None]]) -> None:
        """Says who delivers what is left of an update, and who tells that one is given up."""
        self._post, self._gave_up = post, gave_up

    def close(self) -> None:
        """Begins nothing more: what waits stays written down for the next process."""
        self._closing = True

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        """Does an update when its turn comes."""
        task = asyncio.current_task()
        assert task  # always, inside a coroutine
        self._under_way.add(task)
        try:
            async with self._turn(update):
                if self._closing:
                    return
                if _is_kept(update):
                    await self._once(update, coroutine)
                else:
                    await coroutine
        finally:
            if isinstance(coroutine, Coroutine):
                coroutine.close()  # if it wasn't begun
            self._under_way.discard(task)

    def _turn(self, update: object) -> asyncio.Lock:
        chat = update.effective_chat if isinstance(update, Update) else None
        if not chat or (isinstance(update, Update) and update.callback_query):
            return asyncio.Lock()  # a tap on a button waits for no answer
        return self._locks.setdefault(chat.id, asyncio.Lock())

    async def _once(self, update: Update, coroutine: Awaitable[None]) -> None:
        assert self._post, "open() comes first"
        assert self._gave_up, "open() comes first"
        begun = await self._kept(self._inbox.begin, update.update_id)
        if begun.letters:
            await self._post.send_rest(update.update_id)
        elif begun.times > _MOST_TIMES:
            log.error("Update %s ended the process %s times.", update.update_id, _MOST_TIMES)
            await self._gave_up(update)
        else:
            await coroutine
        await self._kept(self._inbox.done, update.update_id)

    async def initialize(self) -> None:
        """Nothing to prepare."""

    async def shutdown(self) -> None:
        """Ends what didn't end in time; it is done by the next process."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)


def _is_kept(item: object) -> TypeGuard[Update]:
    """Whether something is an update that must not be lost: inline queries live for seconds."""
    return isinstance(item, Update) and not item.inline_query
