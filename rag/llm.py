"""A LangChain chat model behind `Llm`, and its reply -> lines with supports.

Any OpenAI-compatible server serves. What it writes is untrusted: each sentence must point to a
passage that was shown, hold no figure that the passage hasn't, and is tied to the sentence there
that says so; others are dropped.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Any, Protocol

from rag.chunking import sentences
from rag.citations import MARKER, Line, Support, numbers_in
from rag.errors import LlmUnavailable
from rag.prompts import CANNOT_ANSWER
from rag.terms import normalise, written
from rag.types import Hit

log = logging.getLogger(__name__)

# Markers that stand behind the end of their sentence, which may come once more behind them.
_BEHIND = re.compile(
    rf"(?P<end>[。！？!?….]+[”’」』）)\"]*)(?P<markers>(?:\s*{MARKER.pattern})+)[。.]?"
)
_BULLET = re.compile(r"^\s*(?:[-*•·]\s+|\d{1,2}[.)]\s+|\d{1,2}[、）]\s*|[(（]\d{1,2}[)）]\s*)+")
_NUMBER = re.compile(r"#[\d.]+")
_UNSCALED = re.compile(r"#[\d.]+ (?=[万亿千百]|[mb]illion|thousand)")  # 1.2 of 1.2 million
Best = Callable[[str, Hit], Support | None]


class Llm(Protocol):
    """Writes a reply to a conversation."""

    @property
    def name(self) -> str:
        """The model's name, as answers give it."""

    def complete(self, messages: Sequence[tuple[str, str]]) -> str:
        """The whole reply.

        Raises:
            LlmUnavailable: if there is none in time.
        """


class ChatModel:
    """An OpenAI-compatible server, through LangChain."""

    def __init__(self, model: str, base_url: str, api_key: str, timeout_s: float) -> None:
        self._model = model
        self._base_url = base_url
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._chat: Any = None

    @property
    def name(self) -> str:
        return self._model

    def complete(self, messages: Sequence[tuple[str, str]]) -> str:
        try:
            chat = self._opened()
            return _within(self._timeout_s, lambda: str(chat.invoke(list(messages)).text))
        except Exception as exc:  # openai, httpx and langchain raise unrelated types
            log.warning("the language model doesn't answer: %s", type(exc).__name__)
            raise LlmUnavailable("The language model doesn't answer; try again later.") from exc

    def _opened(self) -> Any:
        if self._chat is None:
            from langchain.chat_models import init_chat_model

            self._chat = init_chat_model(
                self._model,
                model_provider="openai",
                base_url=self._base_url or None,
                api_key=self._api_key or "none",
                timeout=self._timeout_s,
                max_retries=0,  # a late reply isn't asked for once more behind the asker's back
                temperature=0,
            )
        return self._chat


def _within(timeout_s: float, work: Callable[[], str]) -> str:
    """What `work` gives, if in time; the client's own limit begins anew with every byte it reads.

    Raises:
        TimeoutError: if it takes longer; it is left to itself then.
    """
    done: Future[str] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as exc:  # raised again where the result is waited for
            done.set_exception(exc)

    Thread(target=run, daemon=True).start()
    return done.result(timeout_s)


def lines(reply: str, hits: Sequence[Hit], best: Best) -> list[Line]:
    """The sentences of a reply that can be tied to a passage; `best` finds the span in it."""
    if CANNOT_ANSWER in reply:
        return []
    found: list[Line] = []
    for sentence, numbers in _cited(reply):
        shown = [hits[n - 1] for n in numbers if 1 <= n <= len(hits)]
        kept = [s for hit in shown if (s := best(sentence, hit))]
        if kept and _figures_agree(sentence, shown):
            found.append(Line(sentence, tuple(kept)))
        else:
            log.info("dropped a sentence that no shown passage supports")
    return found


def _cited(reply: str) -> Iterator[tuple[str, list[int]]]:
    """Each sentence without its markers, and the numbers that stood in it."""
    for row in reply.splitlines():
        bare = _BULLET.sub("", row.replace("**", ""))
        line = _BEHIND.sub(r"\g<markers>\g<end>", bare)
        for start, end in sentences(line):
            sentence = line[start:end]
            numbers = [n for marker in MARKER.finditer(sentence) for n in numbers_in(marker[1])]
            text = re.sub(
                r" +(?=[。.,，!！?？;；])", "", " ".join(MARKER.sub("", sentence).split())
            )
            if re.search(r"\w", text):
                yield text, list(dict.fromkeys(numbers))


def _figures_agree(sentence: str, shown: Sequence[Hit]) -> bool:
    """Whether every figure of a sentence stands in one of its passages, in whatever notation."""
    passages = [hit.passage for hit in shown]
    there = " | ".join(f"{p.title} | {p.date} | {p.text}" for p in passages)
    said = _UNSCALED.sub("", written(normalise(sentence)))
    return set(_NUMBER.findall(said)) <= set(_NUMBER.findall(written(normalise(there))))
