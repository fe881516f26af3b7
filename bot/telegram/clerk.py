"""One thread that reads and writes what is kept, in the order in which it is asked."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Clerk:
    """Runs calls to SQLite beside the event loop; a slow disk holds up nobody's typing."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "wenbao-telegram")

    async def __call__(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What the call gives."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: call(*args, **kwargs))

    def close(self) -> None:
        """Ends when all is written."""
        self._thread.shutdown()
