"""Quotes in the asker's language, by a translation model on this machine, for whom has one.

Any sequence-to-sequence model that transformers loads (Marian, NLLB, M2M100 ...), from a folder or
the hub. It is loaded for the first quote, in a thread of its own that takes one quote at a time;
what isn't there in time, isn't whole or isn't in the asker's language keeps its gloss. Does not
cover glosses (words/gloss.py), nor whether a translation is right: it is labelled as a machine's.
"""

import logging
import threading
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from rag.citations import unmarked
from rag.errors import ModelUnavailable
from rag.types import Citation, Language
from rag.words import gloss
from rag.written import orders
from rag.written.writing import is_in

log = logging.getLogger(__name__)

LIMIT_S = 5.0  # for all quotes of an answer
MAX_CHARS = 400  # of a quote; what stands behind is not translated
MAX_TOKENS = 300  # of a translation
# What models for many languages call ours: NLLB, mBART, M2M100.
_CODES: dict[Language, tuple[str, ...]] = {
    "en": ("eng_Latn", "en_XX", "__en__"),
    "zh": ("zho_Hans", "zh_CN", "__zh__"),
}
_TOLD = {"__en__": "en", "__zh__": "zh"}  # what M2M100's tokenizer is told for its tokens


class Translator:
    """A model that has its own thread; nothing that it does costs an answer more than its time."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._worker = ThreadPoolExecutor(1, "translate")
        self._loading = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None  # its tokenizer, the model
        self._failed = False

    @property
    def name(self) -> str:
        """What its translations are labelled with."""
        return Path(self._source).name if Path(self._source).is_dir() else self._source

    def load(self) -> None:
        """Makes it ready, if it isn't.

        Raises:
            ModelUnavailable: saying what to do.
        """
        with self._loading:
            if self._loaded is None:
                self._loaded = _load(self._source)

    def translated(
        self, citations: Sequence[Citation], language: Language, limit_s: float = LIMIT_S
    ) -> tuple[Citation, ...]:
        """The citations, with a translation as the gloss of each foreign quote where there is one.

        It takes `limit_s` at most; what isn't translated by then keeps its gloss.
        """
        foreign = [c for c in citations if gloss.is_needed(c.quote, language)]
        found: dict[int, str] = {}
        if foreign and not self._failed and limit_s > 0:
            deadline = time.monotonic() + limit_s
            job = self._worker.submit(self._fill, found, foreign, language, deadline)
            try:
                job.result(limit_s)
            except TimeoutError:
                job.cancel()
                log.warning("the translation model took too long: glosses stand in")
        said = dict(found)
        return tuple(
            replace(c, gloss=said[c.n], translated_by=self.name) if said.get(c.n) else c
            for c in citations
        )

    def _fill(
        self,
        found: dict[int, str],
        foreign: Sequence[Citation],
        language: Language,
        deadline: float,
    ) -> None:
        """Puts the translation of each quote under its number, as long as there is time."""
        try:
            self.load()
            for citation in foreign:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return
                found[citation.n] = self._translation(citation.quote, language, left_s)
        except ModelUnavailable as exc:
            self._failed = True
            log.warning("%s Glosses stand in.", exc)
        except Exception as exc:  # whatever a model raises, the answer goes out
            log.warning("the translation model failed (%s): glosses stand in", type(exc).__name__)

    def _translation(self, quote: str, language: Language, limit_s: float) -> str:
        """A quote in a language; "" where what comes out is cut off or in another one."""
        assert self._loaded is not None
        tokenizer, model = self._loaded
        foreign: Language = "en" if language == "zh" else "zh"
        target = _code(tokenizer, language)
        if target and (source := _code(tokenizer, foreign)):
            tokenizer.src_lang = _TOLD.get(source, source)
        asked = tokenizer(orders.visible(quote)[:MAX_CHARS], return_tensors="pt", truncation=True)
        first = {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(target)} if target else {}
        (ids,) = model.generate(
            **asked,
            max_new_tokens=MAX_TOKENS,
            max_time=limit_s,
            num_beams=1,
            do_sample=False,
            **first,
        )
        if int(ids[-1]) not in (tokenizer.eos_token_id, tokenizer.pad_token_id):
            return ""
        said = orders.visible(tokenizer.decode(ids, skip_special_tokens=True))
        line = " ".join(unmarked(said).split())
        return line if any(map(str.isalpha, line)) and is_in(language, line) else ""


def _code(tokenizer: Any, language: Language) -> str:
    """The token that stands for a language, "" for a model of one pair of languages."""
    vocabulary = tokenizer.get_vocab()
    return next((code for code in _CODES[language] if code in vocabulary), "")


def _load(source: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
        from transformers.utils import logging as reports

        reports.disable_progress_bar()  # nobody waits for it
        reports.set_verbosity_error()
        warnings.filterwarnings("ignore", "Recommended: pip install sacremoses")
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForSeq2SeqLM.from_pretrained(source)
    except Exception as exc:  # transformers, the hub and the loaders raise unrelated types
        raise ModelUnavailable(
            f"The translation model {source} can't be had ({type(exc).__name__}): check"
            " WENBAO_TRANSLATOR, or leave it unset."
        ) from exc
    model.eval()
    # A model's own settings for generating may ask for beams, lengths or penalties that ours undo.
    model.generation_config.max_length = None
    return tokenizer, model
