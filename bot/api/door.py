"""What the routes share, made once for an open App."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from bot.jobs import Jobs
from bot.keys import Keys, Rates
from bot.metrics import Metrics
from bot.traces import Traces
from rag.errors import StoreUnavailable
from rag.types import Answer

if TYPE_CHECKING:
    from bot.wiring import App

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Threads for one kind of work, which so waits behind no other."""

    def __init__(self, count: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(count, name)

    async def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the work gives; the event loop goes on meanwhile."""
        call = partial(contextvars.copy_context().run, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


@dataclass(frozen=True, slots=True)
class Door:
    """The house behind the routes, and what is kept at the door.

    Answers have the Answerer's own threads; `quick` is for short work on the disk, `slow` for what
    waits for the writer lock, `reading` for uploads, which may take long to open.
    """

    app: "App"
    keys: Keys
    rates: Rates
    jobs: Jobs
    metrics: Metrics = field(default_factory=Metrics)
    traces: Traces = field(default_factory=Traces)
    quick: Threads = field(default_factory=lambda: Threads(4, "quick"))
    slow: Threads = field(default_factory=lambda: Threads(1, "slow"))
    reading: Threads = field(default_factory=lambda: Threads(1, "reading"))

    @classmethod
    def of(cls, app: "App") -> "Door":
        """The door of an open App."""
        people = app.people
        return cls(
            app,
            Keys(people, app.settings.keys()),
            Rates(people),
            Jobs(people, app.settings.home / "uploads"),
        )

    async def keep(self, door: str, who: str, answer: Answer) -> str:
        """Counts and keeps an answer; gives its id, or "" where nothing can be written now."""
        self.metrics.answered(door, answer)
        self.traces.answered(door, answer)
        try:
            return await self.quick(self.app.people.answered, who, answer)
        except StoreUnavailable:  # an answer is worth more than a vote on it
            return ""
