"""The Embedder protocol: what the rest of the house may ask of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Vectors = NDArray[np.float32]
TOKEN_SCALE = 127.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text's tokens as directions: int8, shape (n, k), 127 is 1.0; rows have about length 1.

    `starts` and `ends` are the code-point offsets of each token in the text; uint16, shape (n,).
    n is 0 for a model that gives no token vectors.
    """

    vectors: NDArray[np.int8]
    starts: NDArray[np.uint16]
    ends: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Reading:
    """A text read for itself: its tokens, and the sum of all its states, float32, shape (dim,).

    The sum is of length 0 for a model that gives no states.
    """

    total: Vector
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Embedding:
    """A question's unit vector, float32, shape (dim,), and its tokens."""

    vector: Vector
    tokens: Tokens


class Embedder(Protocol):
    """Turns text into unit vectors, so that a dot product is a cosine."""

    @property
    def name(self) -> str:
        """Model name and fingerprint; an index built under another name is refused."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def taught(self) -> bool:
        """Whether this is the model that ours was taught with (adapter.py).

        Then a passage's vector is the sum of its sentences' readings, so that each is read once,
        and its tokens are what the reader knows. Others embed passages whole.
        """

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Embed n passages; float32, shape (n, dim), each row of length 1."""

    def read(self, texts: Sequence[str]) -> list[Reading]:
        """Read n texts, each for itself."""

    def embed_query(self, text: str) -> Embedding:
        """Embed one question, with its tokens."""


def no_tokens() -> Tokens:
    """The tokens of a model that gives none."""
    none = np.zeros(0, np.uint16)
    return Tokens(np.zeros((0, 0), np.int8), none, none)


def summed(readings: Sequence[Reading]) -> Vector:
    """The unit vector of a text from the readings of its parts; shape (dim,)."""
    total: Vector = np.sum([reading.total for reading in readings], axis=0, dtype=np.float32)
    return total / max(float(np.linalg.norm(total)), 1e-9)


def joined(parts: Sequence[tuple[int, Tokens]]) -> Tokens:
    """The tokens of a text from those of its parts, each with the offset of the part."""
    some = [(start, tokens) for start, tokens in parts if len(tokens.starts)]
    if not some:
        return no_tokens()
    return Tokens(
        np.concatenate([tokens.vectors for _, tokens in some]),
        np.concatenate([_moved(tokens.starts, start) for start, tokens in some]),
        np.concatenate([_moved(tokens.ends, start) for start, tokens in some]),
    )


def _moved(places: NDArray[np.uint16], by: int) -> NDArray[np.uint16]:
    return np.minimum(places.astype(np.int64) + by, 65_535).astype(np.uint16)
