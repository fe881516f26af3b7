"""Telegram's own limits, kept before it has to say so: messages a second and a minute.

Each message counts from the moment of Telegram's reply, since only then it is sure to have
arrived: however long one is on the way, no window at Telegram's end holds more than is allowed.
Does not cover trying again (post.py) nor what people may ask (members.py).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from telegram.error import RetryAfter
from telegram.ext import BaseRateLimiter

_NOT_MESSAGES = ("sendChatAction", "sendMessageDraft")
_IDLE_CHATS = 1000  # beyond so many, chats that may write at once are forgotten


@dataclass(frozen=True, slots=True)
class Limits:
    """What Telegram allows: so many messages in so many seconds."""

    chat: tuple[int, float] = (1, 1.0)
    group: tuple[int, float] = (20, 60.0)
    overall: tuple[int, float] = (30, 1.0)


class _Window:
    """Messages under way, and those of the last `seconds`."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.seconds = most, seconds
        self.under_way = 0
        self._done: deque[float] = deque()

    def wait_s(self, now: float) -> float:
        """Seconds until there may be room; 0 if there is."""
        while self._done and self._done[0] <= now - self.seconds:
            self._done.popleft()
        if self.under_way + len(self._done) < self.most:
            return 0.0
        return self._done[0] + self.seconds - now if self._done else 0.01

    def ended(self, now: float) -> None:
        self.under_way -= 1
        self._done.append(now)

    def idle(self, now: float) -> bool:
        return not self.wait_s(now) and not self.under_way and not self._done


class Limiter(BaseRateLimiter[None]):
    """Lets messages out as fast as Telegram takes them; others' chats never wait for one."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._overall = _Window(*self._limits.overall)
        self._chats: dict[int, tuple[_Window, ...]] = {}
        self._held: dict[int, float] = {}  # until when a chat takes no message
        self._quiet: dict[int, float] = {}  # until when it takes no typing and no draft

    async def initialize(self) -> None:
        """Nothing to prepare."""

    async def shutdown(self) -> None:
        """Nothing to release."""

    async def process_request(
        self,
        callback: Callable[..., Coroutine[Any, Any, Any]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: None,
    ) -> Any:
        """The result of the call, made when it is allowed."""
        chat_id = data.get("chat_id")
        if not isinstance(chat_id, int):
            return await callback(*args, **kwargs)
        windows = await self._turn(chat_id) if _is_message(endpoint) else ()
        try:
            return await callback(*args, **kwargs)
        except RetryAfter as exc:
            held = self._held if windows else self._quiet
            held[chat_id] = _now() + seconds(exc.retry_after)
            raise
        finally:
            for window in windows:
                window.ended(_now())

    def free(self, chat_id: int) -> bool:
        """Whether a message would go out at once: what can be left out waits for nobody."""
        now = _now()
        if self._quiet.get(chat_id, 0.0) <= now:
            self._quiet.pop(chat_id, None)
        return chat_id not in self._quiet and not self._wait_s(chat_id, now)

    async def _turn(self, chat_id: int) -> Iterable[_Window]:
        """Waits until a message may go to a chat; gives the windows in which it counts."""
        wait = self._wait_s(chat_id, _now())
        while wait:
            await asyncio.sleep(wait)
            wait = self._wait_s(chat_id, _now())
        windows = (self._overall, *self._windows(chat_id))
        for window in windows:
            window.under_way += 1
        return windows

    def _wait_s(self, chat_id: int, now: float) -> float:
        held = self._held.get(chat_id, 0.0) - now
        if held <= 0:
            self._held.pop(chat_id, None)
        windows = (self._overall, *self._windows(chat_id))
        return max(held, 0.0, *(window.wait_s(now) for window in windows))

    def _windows(self, chat_id: int) -> tuple[_Window, ...]:
        if chat_id not in self._chats:
            self._forget_idle()
            chat, group = self._limits.chat, self._limits.group
            kinds = (chat, group) if chat_id < 0 else (chat,)  # groups have negative ids
            self._chats[chat_id] = tuple(_Window(*kind) for kind in kinds)
        return self._chats[chat_id]

    def _forget_idle(self) -> None:
        if len(self._chats) < _IDLE_CHATS:
            return
        now = _now()
        for chat_id, windows in list(self._chats.items()):
            if all(window.idle(now) for window in windows):
                del self._chats[chat_id]


def seconds(value: float | timedelta) -> float:
    """A duration as python-telegram-bot gives it."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def _is_message(endpoint: str) -> bool:
    return endpoint.startswith(("send", "edit", "copy", "forward")) and (
        endpoint not in _NOT_MESSAGES
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
