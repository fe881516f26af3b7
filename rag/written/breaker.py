"""A circuit breaker: a server that keeps failing is left alone for a while.

Our own because of what is counted. A stream ends well, ends badly, or is left by its reader, who
has what he wanted or is gone: then the server has begun a reply, so it is there. pybreaker counts
that as a failure and holds its lock for a whole call, purgatory isn't safe between threads.
"""

import threading
import time
from collections.abc import Callable

FAILURES = 3  # running, after which nothing is let through
REST_S = 30.0  # then one request is, to see whether the server is back


class Breaker:
    """Says whether a request may go out, from how the last ones ended."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._next = 0.0  # when the next request may go out, once there were enough failures

    def lets_through(self) -> bool:
        """Whether a request may go out now; the one that may after a rest keeps others back."""
        with self._lock:
            if self._failures < FAILURES:
                return True
            if self._clock() < self._next:
                return False
            self._next = self._clock() + REST_S
            return True

    def succeeded(self) -> None:
        """The server did what was asked, or as much of it as anybody wanted."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """The server didn't."""
        with self._lock:
            self._failures += 1
            self._next = self._clock() + REST_S
