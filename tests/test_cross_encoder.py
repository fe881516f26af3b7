"""A cross-encoder that ranks passages anew: a small real one, made on the spot."""

import logging
from pathlib import Path

import pytest
import torch
from sentence_transformers import CrossEncoder as Model
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from bot.settings import Settings
from bot.wiring import open_app
from embeddings.cross_encoder import CrossEncoder
from rag.errors import ModelUnavailable
from rag.types import Question

BRIDGE, LIFT = "永安桥今年要加宽。", "北门小区要装两部电梯。"
ASKED = "今年有什么安排？"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose logit is high for what has a 梯 in it, whatever is asked."""
    made = tmp_path_factory.mktemp("models") / "tiny-reranker"
    _write(made, labels=1)
    return made


def _write(made: Path, labels: int) -> None:
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {piece: i for i, piece in enumerate([*marks, "梯"])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    words.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), marks, strict=True))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=64, **names)
    torch.manual_seed(1)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1,
            num_attention_heads=1, intermediate_size=16, max_position_embeddings=64,
            id2label={i: str(i) for i in range(labels)},
        )
    )  # fmt: skip
    if labels == 1:
        _teach(model, tokenizer)
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)


def _teach(model: BertForSequenceClassification, tokenizer: PreTrainedTokenizerFast) -> None:
    told = [("什么", "梯"), ("什么", "桥"), ("要装什么？", LIFT), ("要装什么？", BRIDGE)]
    told += [(ASKED, f"小区新事\n{LIFT}"), (ASKED, f"永安桥加宽\n{BRIDGE}")]
    given = tokenizer([a for a, _ in told], [b for _, b in told], return_tensors="pt", padding=True)
    wanted = torch.tensor([[1.0], [0.0]] * 3)
    steps = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(300):
        steps.zero_grad()
        logits = model(**given).logits
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        torch.autograd.backward(loss)
        steps.step()


def test_what_it_says_lies_between_0_and_1(folder: Path) -> None:
    low, high = CrossEncoder(str(folder)).scores("装什么？", [BRIDGE, LIFT])
    assert 0 <= low < 0.3
    assert 0.7 < high <= 1


def test_it_says_what_sentence_transformers_says(folder: Path) -> None:
    asked = [("装什么？", BRIDGE), ("装什么？", LIFT)]
    ours = CrossEncoder(str(folder)).scores("装什么？", [BRIDGE, LIFT])
    theirs = Model(str(folder)).predict(asked, activation_fn=torch.nn.Sigmoid())
    assert ours == pytest.approx([float(x) for x in theirs])


def test_the_passage_that_it_prefers_comes_first(
    folder: Path, tmp_path: Path, model_cache: Path
) -> None:
    pages = tmp_path / "pages.jsonl"
    pages.write_text(
        "".join(
            f'{{"id": "{id_}", "title": "{title}", "text": "{text}"}}\n'
            for id_, title, text in (("bridge", "永安桥加宽", BRIDGE), ("lift", "小区新事", LIFT))
        ),
        encoding="utf-8",
    )
    found = {}
    for reranker in ("", str(folder)):
        settings = Settings(
            home=tmp_path / "home", model_cache=model_cache, reranker=reranker, _env_file=None
        )
        app = open_app(settings)
        app.ingest([pages])
        hits = app.retriever.search(Question(ASKED, "zh")).hits
        found[reranker] = [hit.passage.title for hit in hits]
        app.close()
    assert found[""] == ["永安桥加宽", "小区新事"]
    assert found[str(folder)] == ["小区新事", "永安桥加宽"]


@pytest.mark.parametrize("kind", ["none there", "three logits"])
def test_a_model_that_can_t_be_used_gets_a_sentence_that_says_so(
    tmp_path: Path, model_cache: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "model"
    if kind == "three logits":
        _write(place, labels=3)
    else:
        place.mkdir()
    settings = Settings(
        home=tmp_path / "home", model_cache=model_cache, reranker=str(place), _env_file=None
    )
    with caplog.at_level(logging.ERROR), pytest.raises(ModelUnavailable, match="WENBAO_RERANKER"):
        open_app(settings)
