"""Stand-ins that behave: what they give has the properties that the house relies on."""

import math
from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np

from embeddings.embedder import TOKEN_SCALE, Embedding, Reading, Tokens, Vector, Vectors, no_tokens
from rag.errors import LlmUnavailable
from rag.llm import Messages, Shaped


class HashingEmbedder:
    """An embedder without a model: texts that share character pairs are close.

    Each character and each pair of neighbours is hashed to a direction, so that ranking is real,
    the same on every machine and in every run. It knows no meaning: 雁塔 and Yanta are strangers.
    """

    def __init__(self, dim: int = 256, name: str = "hashing@1") -> None:
        self._dim = dim
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def dim(self) -> int:
        return self._dim

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return np.array([self._vector(text) for text in texts], np.float32).reshape(-1, self._dim)

    def embed_query(self, text: str) -> Embedding:
        return Embedding(self._vector(text), self._tokens(text))

    @property
    def taught(self) -> bool:
        return False

    def read(self, texts: Sequence[str]) -> list[Reading]:
        return [Reading(self._vector(text), self._tokens(text)) for text in texts]

    def _vector(self, text: str) -> Vector:
        total = np.zeros(self._dim, np.float32)
        for _, gram in _grams(text):
            total += self._direction(gram)
        return _unit(total if total.any() else self._direction(""))

    def _tokens(self, text: str) -> Tokens:
        """One token a pair of characters."""
        pairs = [(at, gram) for at, gram in _grams(text) if len(gram) == 2]
        if not pairs:
            return no_tokens()
        rows = np.array([self._direction(gram) for _, gram in pairs]) * TOKEN_SCALE
        starts = np.array([at for at, _ in pairs], np.uint16)
        ends = (starts + 2).astype(np.uint16)
        return Tokens(np.rint(rows).astype(np.int8), starts, ends)

    def _direction(self, gram: str) -> Vector:
        dice = np.random.default_rng(crc32(gram.encode()))
        return _unit(dice.standard_normal(self._dim).astype(np.float32))


class ScriptedLlm:
    """A language model that gives its replies one after another and keeps what it was asked.

    With no reply left it is away.
    """

    def __init__(self, *replies: str, name: str = "scripted") -> None:
        self._replies = list(replies)
        self._name = name
        self.asked: list[list[tuple[str, str]]] = []

    @property
    def name(self) -> str:
        return self._name

    @property
    def limit_s(self) -> float:
        return 20.0

    def complete(self, messages: Messages, deadline: float = math.inf) -> str:
        self.asked.append(list(messages))
        if not self._replies:
            raise LlmUnavailable("The script has no reply left.")
        return self._replies.pop(0)

    def stream(
        self, messages: Messages, shaped: Shaped | None = None, deadline: float = math.inf
    ) -> Iterator[str]:
        """A character at a time."""
        yield from self.complete(messages)


def _grams(text: str) -> Iterator[tuple[int, str]]:
    """Characters and pairs of neighbours with their offsets; case and spaces don't count."""
    text = "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
    for at, char in enumerate(text):
        if not char.isspace():
            yield at, char
            if at + 1 < len(text) and not text[at + 1].isspace():
                yield at, text[at : at + 2]


def _unit(vector: Vector) -> Vector:
    scaled: Vector = vector / np.linalg.norm(vector)
    return scaled
