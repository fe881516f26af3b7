"""A LangChain chat model behind `Llm`: text as it is written, within limits, or LlmUnavailable.

Any OpenAI-compatible server serves. Does not cover what is asked (prompts.py), nor what is made of
a reply (replies.py, support.py).
"""

import logging
import math
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rag.errors import LlmUnavailable
from rag.written.breaker import Breaker

log = logging.getLogger(__name__)

Messages = Sequence[tuple[str, str]]  # (role, text) pairs

MAX_TOKENS = 2_000  # of a reply: what is longer is no brief answer, and somebody pays for it
MAX_CHARS = 8_000  # the same, for servers that don't count
FIRST_SHARE = 0.5  # of the time limit: who hasn't begun by then won't be done by its end
ATTEMPTS = 3
_PAUSES_S = (0.25, 4.0)  # before the next attempt: the first, the longest
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})  # worth another attempt
_NO_SCHEMA = frozenset({400, 404, 415, 422, 501})  # what a server says that has no such output


@dataclass(frozen=True, slots=True)
class Shaped:
    """The same request for a server that can be held to a JSON schema."""

    messages: Messages
    schema: Mapping[str, Any]


class Llm(Protocol):
    """Writes a reply to a conversation."""

    @property
    def name(self) -> str:
        """The model's name, as answers give it."""

    @property
    def limit_s(self) -> float:
        """The longest that a question may wait for it."""

    def complete(self, messages: Messages, deadline: float = math.inf) -> str:
        """The whole reply, by `deadline` on the monotonic clock.

        Raises:
            LlmUnavailable: if there is none in time.
        """

    def stream(
        self, messages: Messages, shaped: Shaped | None = None, deadline: float = math.inf
    ) -> Iterator[str]:
        """The reply in parts as it is written; to `shaped`, if that is given and can be had.

        Its last part comes by `deadline` on the monotonic clock.

        Raises:
            LlmUnavailable: while it is read, if it doesn't come to its end in time.
        """


class ChatModel:
    """An OpenAI-compatible server, through LangChain."""

    def __init__(self, model: str, base_url: str, api_key: str, timeout_s: float) -> None:
        self._model = model
        self._base_url = base_url
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._breaker = Breaker()
        self._takes_schema = True  # until the server says that it doesn't
        self._chat: Any = None

    @property
    def name(self) -> str:
        return self._model

    @property
    def limit_s(self) -> float:
        return self._timeout_s

    def complete(self, messages: Messages, deadline: float = math.inf) -> str:
        return "".join(self.stream(messages, None, deadline))

    def stream(
        self, messages: Messages, shaped: Shaped | None = None, deadline: float = math.inf
    ) -> Iterator[str]:
        run = _Run(min(deadline, time.monotonic() + self._timeout_s))
        if not run.left():
            raise LlmUnavailable("No time is left to ask the language model.")
        if not self._breaker.lets_through():
            raise LlmUnavailable("The language model has failed; it is left alone for a while.")
        work = threading.Thread(target=self._write, args=(run, messages, shaped), daemon=True)
        work.start()
        try:
            yield from run.parts(min(run.left(), self._timeout_s * FIRST_SHARE))
        except GeneratorExit:  # whoever reads has enough: the model can't answer, say
            self._breaker.succeeded()
            raise
        except Exception as exc:  # openai, httpx and langchain raise unrelated types
            self._breaker.failed()
            log.warning("the language model doesn't answer: %s", _named(exc))
            raise LlmUnavailable("The language model doesn't answer; try again later.") from exc
        else:
            self._breaker.succeeded()
        finally:
            run.stopped.set()

    def _write(self, run: "_Run", messages: Messages, shaped: Shaped | None) -> None:
        """Hands over the parts of a reply, then None; or what went wrong."""
        try:
            for part in self._parts(run, messages, shaped):
                run.queue.put(part)
                if run.stopped.is_set():
                    return
            run.queue.put(None)
        except Exception as exc:  # raised again where the reply is read
            run.queue.put(exc)

    def _parts(self, run: "_Run", messages: Messages, shaped: Shaped | None) -> Iterator[str]:
        if shaped and self._takes_schema:
            try:
                yield from self._begun(run, shaped.messages, shaped.schema)
                return
            except _NoSchema:
                log.info("the language model's server takes no schema; it is asked for plain text")
        for part in self._begun(run, messages, None):
            self._takes_schema = self._takes_schema and shaped is None  # now that plain text works
            yield part

    def _begun(
        self, run: "_Run", messages: Messages, schema: Mapping[str, Any] | None
    ) -> Iterator[str]:
        """The parts of a reply; attempts are made until it begins, as far as the time allows."""
        from tenacity import (
            Retrying,
            retry_if_exception,
            sleep_using_event,
            stop_after_attempt,
            stop_before_delay,
        )

        attempts = Retrying(
            retry=retry_if_exception(lambda exc: not run.stopped.is_set() and _is_passing(exc)),
            wait=_pause,
            stop=stop_after_attempt(ATTEMPTS) | stop_before_delay(run.left()),
            sleep=sleep_using_event(run.stopped),
            reraise=True,
        )
        first, rest = attempts(self._first, run, messages, schema)
        try:
            yield _text(first)
            for chunk in rest:
                yield _text(chunk)
        finally:
            rest.close()

    def _first(
        self, run: "_Run", messages: Messages, schema: Mapping[str, Any] | None
    ) -> tuple[Any, Any]:
        """The first part of a reply, and the others."""
        if run.stopped.is_set():
            raise TimeoutError
        extra: dict[str, Any] = {"response_format": dict(schema)} if schema else {}
        if self._base_url:
            extra["max_tokens"] = MAX_TOKENS  # what LangChain sends is for OpenAI itself
        try:
            rest = self._opened().stream(list(messages), extra_body=extra)
            return next(rest), rest
        except Exception as exc:  # any client's; what isn't about the schema goes on as it is
            if schema and _status(exc) in _NO_SCHEMA:
                raise _NoSchema from exc
            raise

    def _opened(self) -> Any:
        if self._chat is None:
            from langchain.chat_models import init_chat_model

            limit: dict[str, Any] = {} if self._base_url else {"max_tokens": MAX_TOKENS}
            self._chat = init_chat_model(
                self._model,
                model_provider="openai",
                base_url=self._base_url or None,
                api_key=self._api_key or "none",
                timeout=self._timeout_s,
                max_retries=0,  # attempts are ours, within the limit
                temperature=0,
                **limit,
            )
        return self._chat


class _NoSchema(Exception):
    """The server can't be held to a schema."""


class _Unfit(Exception):
    """What came is no reply."""


@dataclass(slots=True)
class _Run:
    """A request under way: parts come in from one thread and are read in another."""

    deadline: float
    queue: "queue.SimpleQueue[str | Exception | None]" = field(default_factory=queue.SimpleQueue)
    stopped: threading.Event = field(default_factory=threading.Event)

    def left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())

    def parts(self, first_s: float) -> Iterator[str]:
        """The parts of the reply, each in time; the client's own limit begins anew with each."""
        chars = 0
        limit = first_s
        while (part := self._next(limit)) is not None:
            chars += len(part)
            if chars > MAX_CHARS:
                raise _Unfit("endless")
            limit = self.left()
            if not limit:  # parts may come as fast as they are read, for ever
                raise TimeoutError
            if part:
                yield part
        if not chars:
            raise _Unfit("empty")

    def _next(self, limit_s: float) -> str | None:
        try:
            part = self.queue.get(timeout=max(limit_s, 0.001))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(part, Exception):
            raise part
        return part


def _text(chunk: Any) -> str:
    """The text of a part; a reply that was cut off at the limit isn't one."""
    if chunk.response_metadata.get("finish_reason") == "length":
        raise _Unfit("endless")
    return str(chunk.text)


def _named(exc: Exception) -> str:
    """What went wrong, for the log; never what a server wrote, which may hold the key."""
    return f"{type(exc).__name__} {exc if isinstance(exc, _Unfit) else _status(exc) or ''}".strip()


def _status(exc: BaseException) -> int:
    """The HTTP status that an error of the client stands for, 0 if none."""
    return int(getattr(exc, "status_code", 0) or 0)


def _is_passing(exc: BaseException) -> bool:
    """Whether what went wrong may be right the next time: not a wrong key, nor a wrong request."""
    from openai import APIConnectionError

    return isinstance(exc, APIConnectionError) or _status(exc) in _PASSING


def _pause(state: Any) -> float:
    """How long to wait before the next attempt: what the server says, else longer each time."""
    from tenacity import wait_random_exponential

    exc = state.outcome.exception()
    said = getattr(getattr(exc, "response", None), "headers", {}).get("retry-after", "")
    if said.replace(".", "", 1).isdigit():
        return float(said)
    shortest, longest = _PAUSES_S
    return shortest + wait_random_exponential(multiplier=shortest, max=longest)(state)
