"""Reads question and passage together: how likely each clause is to hold the answer.

A small network over the token vectors that are stored anyway, so that nothing is embedded again:
two layers of attention across the question's and the passage's tokens, then a logit a clause.
`reader.onnx` is trained with the embedding model (DECISIONS.md, teaching the model) and means
nothing with another one. Does not cover what is made of the logits (retrieve.py, extract.py).
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embeddings.embedder import TOKEN_SCALE, Tokens
from embeddings.serving import session
from rag.chunking import Span

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PATH = Path(__file__).with_name("reader.onnx")
MAX_ASKED, MAX_READ = 48, 400  # tokens, of a question and of a passage with its heading
LOWEST = -8.0  # about as sure as the network gets that a clause doesn't answer
Floats = NDArray[np.float32]


def logits(
    asked: Tokens, passages: Sequence[Tokens], clauses: Sequence[Sequence[Span]]
) -> list[list[float]]:
    """For each passage a logit for each of its clauses: ranges in the text that was embedded.

    What stands before the first clause is the heading. A clause behind MAX_READ tokens, or without
    any, gets the lowest logit.
    """
    found = [[LOWEST] * len(own) for own in clauses]
    some = [i for i, own in enumerate(clauses) if own and len(passages[i].starts)]
    if not some or not len(asked.starts):
        return found
    feeds = [_inputs(asked, passages[i], clauses[i]) for i in some]
    for i, feed, row in zip(some, feeds, _workers().map(_run, feeds), strict=True):
        is_read = feed["member"][0].any(axis=0)
        found[i] = [
            max(LOWEST, float(logit)) if known else LOWEST
            for logit, known in zip(row, is_read, strict=True)
        ]
    return found


def _inputs(asked: Tokens, passage: Tokens, clauses: Sequence[Span]) -> dict[str, Floats]:
    """The network's inputs, a batch of one; `member` says which token stands in which clause."""
    read = passage.vectors[:MAX_READ].astype(np.float32)
    starts = passage.starts[:MAX_READ].astype(np.int64)
    place = np.searchsorted([end for _, end in clauses], starts, side="right")
    inside = np.flatnonzero((starts >= clauses[0][0]) & (place < len(clauses)))
    member = np.zeros((len(read), len(clauses)), np.float32)
    member[inside, place[inside]] = 1
    question = asked.vectors[:MAX_ASKED].astype(np.float32)
    return {
        "asked": question[None] / np.float32(TOKEN_SCALE),
        "read": read[None] / np.float32(TOKEN_SCALE),
        "there": np.ones((1, len(read)), np.float32),
        "heading": (starts < clauses[0][0]).astype(np.float32)[None],
        "member": member[None],
    }


def _run(feed: dict[str, Floats]) -> Floats:
    row: Floats = _session().run(None, feed)[0][0]
    return row


@lru_cache(maxsize=1)
def _workers() -> ThreadPoolExecutor:
    """One thread a run, as many runs as there are cores."""
    return ThreadPoolExecutor(os.cpu_count() or 1, "read")


@lru_cache(maxsize=1)
def _session() -> "InferenceSession":
    return session(PATH)
