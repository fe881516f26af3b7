"""Serving a model without torch: exported once to ONNX, quantised to int8, checked, cached.

A built model is a folder `NAME-FINGERPRINT/` of `model.onnx`, `tokenizer.json`, `basis.npy` and
`model.json`. It is made beside its place and moved there whole, so a killed build leaves nothing.
"""

import json
import logging
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from embeddings import adapter, packaged
from embeddings.embedder import (
    TOKEN_SCALE,
    Embedder,
    Embedding,
    Reading,
    Tokens,
    Vector,
    Vectors,
)

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

log = logging.getLogger(__name__)

MIN_COSINE = 0.99  # of int8 to fp32, on the check texts; below it the int8 model is refused
BATCH_CHARS = 1_000  # padded, a run; the fastest here. Source: DECISIONS.md, threads and batches
TOKEN_DIM = 128  # dimensions kept of a token's vector. Source: DECISIONS.md, late interaction
_FORMAT = 4  # of a built folder; older ones are built again
Say = Callable[[str], None]
Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Built:
    """What `model.json` says of a built model."""

    name: str
    dim: int
    max_tokens: int
    query_prefix: str
    passage_prefix: str
    min_cosine: float
    taught: bool = False
    format: int = _FORMAT


class OnnxEmbedder:
    """Runs a built model with onnxruntime: one thread a run, as many runs as there are cores."""

    def __init__(self, folder: Path) -> None:
        self._built = Built(**json.loads((folder / "model.json").read_text(encoding="utf-8")))
        self._basis: NDArray[np.float32] = np.load(folder / "basis.npy")
        self._tokenizer = _tokenizer(folder / "tokenizer.json", self._built.max_tokens)
        self._session = session(folder / "model.onnx")
        self._inputs = {put.name for put in self._session.get_inputs()}
        self._workers = ThreadPoolExecutor(os.cpu_count() or 1, "embed")

    @property
    def name(self) -> str:
        return self._built.name

    @property
    def dim(self) -> int:
        return self._built.dim

    @property
    def taught(self) -> bool:
        return self._built.taught

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        found = self._run(self._built.passage_prefix, texts, _vector)
        return np.stack(found) if found else np.zeros((0, self.dim), np.float32)

    def read(self, texts: Sequence[str]) -> list[Reading]:
        return self._run(self._built.passage_prefix, texts, self._reading)

    def embed_query(self, text: str) -> Embedding:
        def embedding(output: "_Output") -> Embedding:
            return Embedding(output.vector, self._reading(output).tokens)

        (found,) = self._run(self._built.query_prefix, [text], embedding)
        return found

    def _reading(self, output: "_Output") -> Reading:
        states = output.states[: sum(output.encoding.attention_mask)]
        return Reading(states.sum(axis=0), _tokens(output, self._basis))

    def _run(
        self, prefix: str, texts: Sequence[str], keep: "Callable[[_Output], Kept]"
    ) -> list[Kept]:
        """What `keep` makes of the model's output for each text; short texts are run together."""

        def run(batch: Sequence[int]) -> list[tuple[int, Kept]]:
            encodings = self._tokenizer.encode_batch([prefix + texts[i] for i in batch])
            vectors, states = run_session(self._session, self._inputs, encodings)
            return [
                (i, keep(_Output(encoding, vectors[row], states[row], len(prefix))))
                for row, (i, encoding) in enumerate(zip(batch, encodings, strict=True))
            ]

        batches = list(_by_length(texts))
        results = map(run, batches) if len(batches) == 1 else self._workers.map(run, batches)
        found = dict(item for result in results for item in result)
        return [found[i] for i in range(len(texts))]


@dataclass(frozen=True, slots=True)
class _Output:
    """What the model gives for one text: its vector, and a state for each (padded) token."""

    encoding: "Encoding"
    vector: Vector
    states: Vector
    skip: int  # characters of the prefix


def _vector(output: _Output) -> Vector:
    return output.vector


def _by_length(texts: Sequence[str]) -> Iterator[list[int]]:
    """Positions of texts of about the same length, a batch at a time."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * len(texts[i]) > BATCH_CHARS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def run_session(
    session: "InferenceSession", inputs: set[str], encodings: Sequence["Encoding"]
) -> tuple[Vector, Vector]:
    """Sentence vectors (n, dim) and token states (n, tokens, dim) of padded encodings."""
    fields = {
        "input_ids": [encoding.ids for encoding in encodings],
        "attention_mask": [encoding.attention_mask for encoding in encodings],
        "token_type_ids": [encoding.type_ids for encoding in encodings],
    }
    feed = {name: np.array(rows, np.int64) for name, rows in fields.items() if name in inputs}
    vectors, states = session.run(["sentence_embedding", "token_embeddings"], feed)
    return vectors, states


def _tokens(output: _Output, basis: Vector) -> Tokens:
    """The tokens behind the prefix, special ones left out, turned into the basis and to int8."""
    offsets = np.array(output.encoding.offsets, np.int64).reshape(-1, 2)
    real = np.array(output.encoding.special_tokens_mask) == 0
    kept = real & (offsets[:, 1] > output.skip)
    rows = output.states[kept] @ basis
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
    places = np.clip(offsets[kept] - output.skip, 0, 65_535).astype(np.uint16)
    return Tokens(np.rint(rows * TOKEN_SCALE).astype(np.int8), places[:, 0], places[:, 1])


def load(source: str, cache: Path, say: Say = log.info) -> Embedder:
    """The model ready for serving; builds it under `cache` the first time (about half a minute).

    `source` is "packaged", a hub name or a folder. A model whose quantised form is off runs in
    fp32; one that can't be exported is run by sentence-transformers itself.

    Raises:
        OSError, ValueError: if the model can't be had.
    """
    cache.mkdir(parents=True, exist_ok=True)
    built = f"{source}-{adapter.version()}" if source == "packaged" else source
    pointer = cache / f"{_slug(built)}.json"
    folder = _known(pointer)
    if folder is None:
        with FileLock(cache / ".build.lock"):
            folder = _known(pointer) or _build(source, cache, pointer, say)
    if folder is None:
        from embeddings import sentence_transformer as st

        model = st.load(source)
        label = Path(source).name if Path(source).is_dir() else source
        return st.SentenceTransformerEmbedder(model, f"{label}@{st.fingerprint(model)}")
    return OnnxEmbedder(folder)


def _slug(source: str) -> str:
    return "".join(char if char.isalnum() or char in "-." else "-" for char in source)


def _known(pointer: Path) -> Path | None:
    """The folder a pointer names, if it holds a model built by this version."""
    try:
        folder = pointer.parent / str(json.loads(pointer.read_text(encoding="utf-8"))["folder"])
        built = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError):
        return None
    return folder if built.get("format") == _FORMAT else None


def _build(source: str, cache: Path, pointer: Path, say: Say) -> Path | None:
    from embeddings import sentence_transformer as st

    say("Preparing the embedding model for this machine: once, about half a minute ...")
    work = Path(tempfile.mkdtemp(dir=cache, prefix=".build-"))
    try:
        origin, label = _origin(source, work)
        model = st.load(origin)
        if source == "packaged":
            st.change(model, adapter.changes())
        label = f"{label}@{st.fingerprint(model)}"
        try:
            st.export_onnx(model, work / "fp32.onnx")
        except Exception as exc:  # torch raises whatever a model's own code does
            log.warning("%s can't be exported (%s); sentence-transformers runs it", source, exc)
            return None
        ready = work / "ready"
        ready.mkdir()
        built = _quantise(model, label, work, ready, taught=source == "packaged")
        if built.min_cosine < MIN_COSINE:
            say(f"{source} loses too much in int8 ({built.min_cosine:.3f}); it runs in fp32.")
            os.replace(work / "fp32.onnx", ready / "model.onnx")
        folder = cache / _slug(label)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(ready, folder)
        pointer.write_text(json.dumps({"folder": folder.name}), encoding="utf-8")
        return folder
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _origin(source: str, work: Path) -> tuple[str, str]:
    """Where sentence-transformers finds the model, and what it is called."""
    if source != "packaged":
        return source, Path(source).name if Path(source).is_dir() else source
    if (path := packaged.data_file()) is None:
        return packaged.HUB_NAME, packaged.NAME
    packaged.unpack(path, work / packaged.NAME)
    return str(work / packaged.NAME), packaged.NAME


def _quantise(model: Any, label: str, work: Path, ready: Path, *, taught: bool) -> Built:
    """Writes the int8 model beside its tokenizer, and measures it against the fp32 one."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from embeddings import sentence_transformer as st

    logging.getLogger().addFilter(_no_preprocess_advice)
    try:
        quantize_dynamic(
            work / "fp32.onnx",
            ready / "model.onnx",
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=_float_nodes(work / "fp32.onnx") if taught else [],
        )
    finally:
        logging.getLogger().removeFilter(_no_preprocess_advice)
    model.tokenizer.backend_tokenizer.save(str(ready / "tokenizer.json"))
    max_tokens = int(min(model.max_seq_length or 512, 512))
    query_prefix, passage_prefix = st.prefixes(model, label)
    tokenizer = _tokenizer(ready / "tokenizer.json", max_tokens)
    network = session(ready / "model.onnx")
    inputs = {put.name for put in network.get_inputs()}
    basis = adapter.token_basis() if taught else _basis(tokenizer, network, inputs)
    np.save(ready / "basis.npy", basis)
    texts = [passage_prefix + text for text in _check_texts()]
    served = np.concatenate(
        [run_session(network, inputs, b)[0] for b in _batches(tokenizer, texts)]
    )
    true = model.encode(texts, prompt="", normalize_embeddings=True, show_progress_bar=False)
    cosines = (served * np.asarray(true)).sum(axis=1)
    built = Built(
        name=label,
        dim=served.shape[1],
        max_tokens=max_tokens,
        query_prefix=query_prefix,
        passage_prefix=passage_prefix,
        min_cosine=round(float(cosines.min()), 4),
        taught=taught,
    )
    (ready / "model.json").write_text(json.dumps(asdict(built), indent=1), encoding="utf-8")
    return built


def _float_nodes(path: Path) -> list[str]:
    """The matrix products of the taught model that lose too much in int8."""
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    products = [node.name for node in graph.node if node.op_type == "MatMul"]
    return [name for name in products if any(part in name for part in adapter.FLOAT_PARTS)]


def _no_preprocess_advice(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()


def _batches(tokenizer: "Tokenizer", texts: Sequence[str]) -> Iterator[list["Encoding"]]:
    for at in range(0, len(texts), 4):
        yield tokenizer.encode_batch(list(texts[at : at + 4]))


def _check_texts() -> list[str]:
    path = Path(__file__).with_name("check_texts.txt")
    return path.read_text(encoding="utf-8").split("\n\n")


def _basis(tokenizer: "Tokenizer", session: "InferenceSession", inputs: set[str]) -> Vector:
    """The main directions of token vectors, shape (dim, TOKEN_DIM), from random word pieces.

    Random pieces do as well as real text here, so nothing has to be shipped.
    Source: DECISIONS.md, late interaction.
    """
    pieces = sorted(piece.replace("▁", "") for piece in tokenizer.get_vocab())
    chinese = [piece for piece in pieces if piece and all("一" <= c <= "鿿" for c in piece)]
    latin = [piece for piece in pieces if len(piece) > 2 and piece.isascii() and piece.isalpha()]
    dice = random.Random(0)
    texts = ["".join(dice.sample(chinese, 40)) for _ in range(60) if len(chinese) > 999]
    texts += [" ".join(dice.sample(latin, 40)) for _ in range(60)]
    rows = []
    for batch in _batches(tokenizer, texts):
        _, states = run_session(session, inputs, batch)
        for encoding, state in zip(batch, states, strict=True):
            rows.append(state[np.array(encoding.special_tokens_mask) == 0])
    tokens = np.concatenate(rows)
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True) + 1e-9
    _, _, directions = np.linalg.svd(tokens, full_matrices=False)
    basis: Vector = np.ascontiguousarray(directions[:TOKEN_DIM].T, np.float32)
    return basis


def _tokenizer(path: Path, max_tokens: int) -> "Tokenizer":
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    pad = tokenizer.padding or {}
    pad_id = next((i for t in ("<pad>", "[PAD]") if (i := tokenizer.token_to_id(t)) is not None), 0)
    tokenizer.enable_padding(pad_id=pad.get("pad_id", pad_id))
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def session(path: Path) -> "InferenceSession":
    """An ONNX network that runs on one thread a call, and tells nobody that it does."""
    from onnxruntime import InferenceSession, SessionOptions, disable_telemetry_events

    disable_telemetry_events()
    options = SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
