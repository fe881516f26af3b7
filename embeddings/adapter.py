"""What the default model was taught: low-rank changes of its weights, and directions of its tokens.

Taught for questions in one language over passages in another, sentence by sentence (DECISIONS.md,
teaching the model); `tests/bench/training` is how. Added once, when the model is built for serving;
other models stay as they are.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from embeddings.embedder import Vector

PATH = Path(__file__).with_name("adapter.safetensors")
# Products whose inputs are too lopsided for int8 (DECISIONS.md).
FLOAT_PARTS = tuple(f"layer.{i}/output/dense" for i in (4, 5, 6, 7))
_BASIS = "token_basis"


def changes() -> Iterator[tuple[str, Vector]]:
    """The name of each changed weight of the transformer, and what is added to it."""
    arrays = _arrays()
    for name in (key.removesuffix(".up") for key in arrays if key.endswith(".up")):
        yield f"{name}.weight", arrays[f"{name}.up"] @ arrays[f"{name}.down"]


def version() -> str:
    """Eight hex digits of the file; what was built with another one is built again."""
    return f"{zlib.crc32(PATH.read_bytes()):08x}"


def token_basis() -> Vector:
    """The taught directions of token vectors, float32, shape (dim, k)."""
    return _arrays()[_BASIS]


def _arrays() -> dict[str, Vector]:
    from safetensors.numpy import load_file

    return {name: array.astype(np.float32) for name, array in load_file(PATH).items()}
