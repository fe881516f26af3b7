"""Bad weather for a fake Telegram: flood control, broken connections, its limits kept count of.

Whether a call is refused is told here; what a call does otherwise is not (telegram_methods.py).
"""

import random
from collections import defaultdict, deque
from dataclasses import dataclass, field

from telegram_judge import Refused


@dataclass(slots=True)
class Flood:
    seconds: int
    times: int
    until: float = 0.0


@dataclass
class Storm:
    """A share of messages that meet flood control, and a share whose connection breaks."""

    floods: float = 0.0
    drops: float = 0.0
    retry_after: float = 1.0
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    flooded: int = 0
    dropped: int = 0
    struck: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    _until: dict[int, float] = field(default_factory=dict)

    def strike(self, chat_id: int, now: float) -> bool:
        """Maybe refuses a message; True if it came before a retry_after was over."""
        if now < self._until.get(chat_id, 0.0):
            return True
        fate = self.dice.random()
        if fate < self.floods + self.drops:
            self.struck[chat_id].append(now)
        if fate < self.floods:
            self.flooded += 1
            self._until[chat_id] = now + self.retry_after
            raise Refused(429, "Too Many Requests", retry_after=self.retry_after)
        if fate < self.floods + self.drops:
            self.dropped += 1
            raise ConnectionAbortedError
        return False


@dataclass
class Limits:
    """How many messages in how many seconds Telegram takes; `broken` says what was too much."""

    chat: tuple[int, float] = (1, 1.0)
    group: tuple[int, float] = (20, 60.0)
    overall: tuple[int, float] = (30, 1.0)
    broken: list[str] = field(default_factory=list)
    _seen: dict[object, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def arrived(self, chat_id: int, now: float) -> None:
        """Counts a message."""
        rules = {("chat", chat_id): self.chat, "overall": self.overall}
        if chat_id < 0:
            rules["group", chat_id] = self.group
        for name, (most, seconds) in rules.items():
            seen = self._seen[name]
            while seen and seen[0] <= now - seconds:
                seen.popleft()
            seen.append(now)
            if len(seen) > most:
                self.broken.append(f"{name}: {len(seen)} in {seconds} s")
