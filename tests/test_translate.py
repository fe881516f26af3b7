"""Quotes translated by a model on this machine: a small real one, taught on the spot."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from rich.console import Console
from transformers import MarianConfig, MarianMTModel, MarianTokenizer

from answers import ANSWER, FILES, SITES
from bot import doctor, render, render_telegram
from bot.settings import Settings
from bot.wiring import App, open_app
from rag.answer import Answerer
from rag.errors import ModelUnavailable
from rag.translate import Translator
from rag.types import Citation

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")

KILNS = "what did Rao Jianzhang propose for the old kiln sites in Fuliang?"
SAID = {SITES.quote: "the county has many old kilns", FILES.quote: "each kiln gets a file"}
GLOSSED = replace(SITES, gloss="county · kiln sites")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows `SAID`, and nothing else."""
    made = tmp_path_factory.mktemp("models") / "tiny-zh-en"
    tokenizer = _tokenizer(made, list(SAID), list(SAID.values()))
    torch.manual_seed(1)
    size = len(tokenizer)
    pad, eos = tokenizer.pad_token_id, tokenizer.eos_token_id
    model = MarianMTModel(
        MarianConfig(
            vocab_size=size, d_model=32, encoder_layers=1, decoder_layers=1,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64,
            decoder_ffn_dim=64, max_position_embeddings=512, pad_token_id=pad, eos_token_id=eos,
            decoder_start_token_id=pad, forced_eos_token_id=None, dropout=0.0,
        )
    )  # fmt: skip
    _teach(model, tokenizer)
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made


def _tokenizer(made: Path, chinese: list[str], english: list[str]) -> Any:
    made.mkdir()
    pieces = ["</s>", "<unk>"]
    for name, kind, texts in (("source", "char", chinese), ("target", "word", english)):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_prefix=str(made / name), model_type=kind,
            vocab_size=120, hard_vocab_limit=False, bos_id=-1, minloglevel=2,
        )  # fmt: skip
        cut = sentencepiece.SentencePieceProcessor(model_file=str(made / f"{name}.model"))
        pieces += [cut.id_to_piece(i) for i in range(len(cut))]
        (made / f"{name}.model").rename(made / f"{name}.spm")
    names = dict.fromkeys([*pieces, "<pad>"])
    (made / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    source, target, words = (str(made / n) for n in ("source.spm", "target.spm", "vocab.json"))
    return MarianTokenizer(source, target, words)


def _teach(model: Any, tokenizer: Any) -> None:
    batch = tokenizer(
        list(SAID), text_target=list(SAID.values()), return_tensors="pt", padding=True
    )
    batch["labels"][batch["labels"] == tokenizer.pad_token_id] = -100
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model only waits for others
    steps = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(80):
        steps.zero_grad()
        model(**batch).loss.backward()
        steps.step()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def endless(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model, which never comes to an end."""
    made = tmp_path_factory.mktemp("models") / "endless"
    tokenizer = MarianTokenizer.from_pretrained(folder)
    model = MarianMTModel.from_pretrained(folder)
    model.final_logits_bias[:, tokenizer.eos_token_id] = -1e9
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def translator(folder: Path) -> Translator:
    return Translator(str(folder))


def said(translator: Translator, *citations: Citation, limit_s: float = 60.0) -> list[str]:
    return [c.gloss for c in translator.translated(citations, "en", limit_s)]


def test_a_quote_is_translated_and_labelled_with_the_models_name(translator: Translator) -> None:
    first, second = translator.translated([GLOSSED, FILES], "en", 60.0)
    assert first == replace(GLOSSED, gloss=SAID[SITES.quote], translated_by="tiny-zh-en")
    assert second.gloss == SAID[FILES.quote]


def test_who_reads_the_quote_needs_no_translation(translator: Translator) -> None:
    assert translator.translated([SITES], "zh") == (SITES,)


def test_what_is_not_in_the_askers_language_is_no_translation(translator: Translator) -> None:
    english = replace(GLOSSED, quote="Each kiln gets a file.")
    assert translator.translated([english], "zh", 60.0) == (english,)


def test_what_never_ends_is_no_translation(endless: Path) -> None:
    assert said(Translator(str(endless)), GLOSSED) == [GLOSSED.gloss]


def test_what_takes_too_long_keeps_its_gloss_and_costs_no_more_than_its_time(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = Translator(str(folder))
    assert said(slow, GLOSSED, limit_s=0.001) == [GLOSSED.gloss]
    assert said(slow, GLOSSED, limit_s=0.0) == [GLOSSED.gloss]
    assert [record.getMessage() for record in caplog.records if record.name == "rag.translate"] == [
        "the translation model took too long: glosses stand in"
    ]
    assert said(slow, GLOSSED) == [SAID[SITES.quote]]


def test_a_model_that_cannot_be_had_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "config.json").write_text("{}")
    away = Translator(str(tmp_path))
    for _ in range(2):
        assert said(away, GLOSSED) == [GLOSSED.gloss]
    (record,) = [record for record in caplog.records if record.name == "rag.translate"]
    assert record.levelno == logging.WARNING
    assert "check WENBAO_TRANSLATOR" in record.getMessage()
    with pytest.raises(ModelUnavailable, match="can't be had"):
        away.load()


def test_a_model_that_fails_costs_no_answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Translator(str(folder))
    broken.load()
    assert broken._loaded
    monkeypatch.setattr(broken._loaded[1], "generate", lambda **_: 1 / 0)
    assert said(broken, GLOSSED) == [GLOSSED.gloss]
    assert "failed (ZeroDivisionError)" in caplog.text


def test_no_markup_and_no_marker_comes_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forging = Translator(str(folder))
    forging.load()
    assert forging._loaded
    text = "see [1] and <b>the</b>\n\u200b[file](http://a.example)"
    monkeypatch.setattr(forging._loaded[0], "decode", lambda *_, **__: text)
    (line,) = said(forging, GLOSSED)
    assert not {"[1]", "<b>", "](", "\n", "\u200b"} & {
        line[i : i + n] for n in (1, 2, 3) for i in range(len(line))
    }


# --- in the house ---------------------------------------------------------------------------------


def test_an_answer_carries_translations_where_settings_name_a_model(
    sample_app: App, folder: Path
) -> None:
    changed = {"translator": str(folder)}
    app = open_app(sample_app.settings.model_copy(update=changed))
    assert isinstance(app.answerer._translator, Translator)
    app.close()


def test_only_the_line_under_a_quote_is_another(
    sample_app: App, translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = sample_app
    monkeypatch.setattr(translator, "_translation", lambda quote, *_: f"In English: {quote[:2]}")
    own = Answerer(
        app.records, app.retriever, app.embedder, gloss=app.answerer._gloss, translator=translator
    )
    question = own.question(KILNS)
    answer, plain = own.answer_now(question), app.answerer.answer_now(question)
    assert plain.citations and all(not c.translated_by for c in plain.citations)
    for ours, other in zip(answer.citations, plain.citations, strict=True):
        assert ours.gloss == f"In English: {ours.quote[:2]}"
        assert replace(ours, gloss=other.gloss, translated_by="") == other
    assert answer.answer == plain.answer


def test_every_door_labels_a_translation() -> None:
    shown = replace(GLOSSED, gloss="the county has many old kilns", translated_by="tiny-zh-en")
    answer = replace(ANSWER, citations=(shown, FILES))
    label = "achine translation (tiny-zh-en): the county has many old kilns"
    console = Console(width=200, record=True)
    console.print(render.terminal(answer))
    assert label in console.export_text()
    assert any(label in message.text for message in render_telegram.messages(answer))
    assert render.citation_json(shown)["translated_by"] == "tiny-zh-en"


@pytest.mark.parametrize("is_there", [True, False])
def test_the_doctor_says_whether_the_model_loads(
    folder: Path, tmp_path: Path, is_there: bool
) -> None:
    source = folder if is_there else tmp_path / "nothing"
    settings = Settings(home=tmp_path, translator=str(source), _env_file=None)
    (check,) = [c for c in doctor.examine(settings) if c.what == "translation model"]
    assert check.ok is is_there
    assert str(source) in check.found
    assert "WENBAO_TRANSLATOR" in check.mend or is_there
