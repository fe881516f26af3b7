"""sentence-transformers, the source of truth for models: load, embed, export to ONNX.

Importing torch takes seconds, so only building a model for serving (serving.py), models that
can't be served otherwise, and benchmarks come here.
"""

import contextlib
import hashlib
import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embeddings.embedder import Embedding, Reading, Vector, Vectors, no_tokens

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_EXPORT_SAMPLE = ["雁塔区 政协", "a longer sample, so that the batch is padded"]


class SentenceTransformerEmbedder:
    """Any sentence-transformers model, run by torch in fp32; gives no token vectors."""

    def __init__(self, model: "SentenceTransformer", name: str) -> None:
        self._model = model
        self._name = name
        self._prefixes = prefixes(model, name)

    @property
    def name(self) -> str:
        return self._name

    @property
    def dim(self) -> int:
        return int(self._model.get_embedding_dimension() or 0)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return self._encode(self._prefixes[1], texts)

    @property
    def taught(self) -> bool:
        return False

    def read(self, texts: Sequence[str]) -> list[Reading]:
        return [Reading(np.zeros(0, np.float32), no_tokens())] * len(texts)

    def embed_query(self, text: str) -> Embedding:
        return Embedding(self._encode(self._prefixes[0], [text])[0], no_tokens())

    def _encode(self, prefix: str, texts: Sequence[str]) -> Vectors:
        vectors = self._model.encode(
            [prefix + text for text in texts],
            prompt="",
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, np.float32).reshape(len(texts), self.dim)


def load(source: str) -> "SentenceTransformer":
    """The model of this name (hub) or folder.

    Raises:
        OSError, ValueError: if it can't be had.
    """
    with quiet():
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(
            source, device="cpu", model_kwargs={"attn_implementation": "eager"}
        )


def change(model: "SentenceTransformer", changes: Iterable[tuple[str, Vector]]) -> None:
    """Adds to the weights of a model's transformer.

    Raises:
        ValueError: if it has no such weight.
    """
    import torch

    transformer: Any = model[0]
    weights = dict(transformer.auto_model.named_parameters())
    with torch.no_grad():
        for name, added in changes:
            if name not in weights or tuple(weights[name].shape) != added.shape:
                raise ValueError(f"{name} of shape {added.shape} is no weight of this model")
            weights[name] += torch.from_numpy(added)


def fingerprint(model: "SentenceTransformer") -> str:
    """Eight hex digits over all weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if "pooler" not in name:
            digest.update(name.encode())
            digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()[:8]


def prefixes(model: "SentenceTransformer", name: str) -> tuple[str, str]:
    """What the model wants in front of a question and of a passage.

    E5 models older than sentence-transformers' prompts don't say it themselves.
    Source: their model cards.
    """
    prompts = {key: text for key, text in (model.prompts or {}).items() if text}
    if not prompts and "e5" in name.lower():
        return "query: ", "passage: "
    return prompts.get("query", ""), prompts.get("document", prompts.get("passage", ""))


def export_onnx(model: "SentenceTransformer", path: Path) -> None:
    """Writes the whole model (pooling and normalising included) as one fp32 ONNX graph.

    Inputs: what its tokenizer gives. Outputs: `sentence_embedding`, `token_embeddings`.
    """
    import torch

    tokenizer: Any = model.tokenizer
    sample = tokenizer(_EXPORT_SAMPLE, return_tensors="pt", padding=True)
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in sample]

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = model

        def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            features: dict[str, Any] = dict(zip(names, inputs, strict=True))
            for part in self.parts:
                features = part(features)
            unit = torch.nn.functional.normalize(features["sentence_embedding"], dim=-1)
            return unit, features["token_embeddings"]

    axes = {name: {0: "texts", 1: "tokens"} for name in (*names, "token_embeddings")}
    with quiet(), torch.inference_mode():
        torch.onnx.export(
            Graph().eval(),
            tuple(sample[name] for name in names),
            str(path),
            input_names=names,
            output_names=["sentence_embedding", "token_embeddings"],
            dynamic_axes={**axes, "sentence_embedding": {0: "texts"}},
            opset_version=17,
            dynamo=False,
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps loading reports and export warnings, which nobody can act on, off the screen."""
    loggers = [logging.getLogger(name) for name in ("transformers", "sentence_transformers")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            from transformers.utils import logging as transformers_logging

            transformers_logging.disable_progress_bar()
            transformers_logging.set_verbosity_error()
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
