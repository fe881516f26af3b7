"""Settings -> real objects; the only file that names concrete classes."""

import contextlib
import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.people import People
from bot.settings import Settings
from embeddings import serving
from embeddings.cross_encoder import CrossEncoder
from embeddings.embedder import Embedder
from rag import weights
from rag.answer import Answerer
from rag.database import translated
from rag.errors import ModelUnavailable
from rag.llm import ChatModel, Llm
from rag.records import Records
from rag.retrieve import Retriever
from rag.store import WRITER_WAIT_S, VectorIndex
from rag.translate import Translator
from rag.words import gloss
from rag.words.glossary import open_glossary

if TYPE_CHECKING:
    from rag.ingest import Place, Report, Watcher

log = logging.getLogger(__name__)

_DISK = (errno.ENOSPC, errno.EACCES, errno.EROFS)  # other OSErrors mean that there is no such model


@dataclass(frozen=True, slots=True)
class App:
    """Everything a door needs."""

    settings: Settings
    records: Records
    index: VectorIndex
    embedder: Embedder
    retriever: Retriever
    answerer: Answerer
    people: People

    def ingest(
        self,
        places: Sequence["Place"],
        *,
        sync: bool = False,
        watcher: "Watcher | None" = None,
    ) -> "Report":
        """See `rag.ingest.ingest`."""
        from rag import ingest  # reading pages is no part of a question

        return ingest.ingest(
            places, self.records, self.index, self.embedder, sync=sync, watcher=watcher
        )

    def remove(self, ids: Sequence[str], wait_s: float = WRITER_WAIT_S) -> int:
        """See `rag.ingest.remove`."""
        from rag import ingest

        return ingest.remove(ids, self.records, self.index, self.embedder, wait_s)

    def close(self) -> None:
        """Lets go of the files."""
        self.people.close()
        self.index.close()
        self.records.close()


def open_app(
    settings: Settings, say: Callable[[str], None] = log.info, *, processes: int = 1
) -> App:
    """The whole house, ready to answer; the first time on a machine it builds the model.

    It takes its share of a machine on which so many processes answer.

    Raises:
        StoreUnavailable, IndexMismatch, ModelUnavailable: saying what to do.
    """
    with contextlib.ExitStack() as opened:
        records = opened.enter_context(contextlib.closing(Records(settings.home)))
        embedder = _embedder(settings, say)
        records.check_model(embedder.name)
        index = opened.enter_context(contextlib.closing(VectorIndex(settings.home, records)))
        index.mend()
        with translated():
            glossary = open_glossary(settings.models, settings.glossary)
        reranker = open_reranker(settings)
        people = opened.enter_context(contextlib.closing(People(settings.home)))
        opened.pop_all()  # from here on the App closes them
    retriever = Retriever(records, index, embedder, glossary.lookup, reranker)
    answerer = Answerer(
        records,
        retriever,
        embedder,
        _llm(settings),
        gloss=lambda quote, language: gloss.line(quote, language, glossary),
        top_k=settings.top_k,
        max_chars=settings.max_chars,
        translator=Translator(settings.translator) if settings.translator else None,
        fitted=weights.of_home(settings.home, embedder.name),
        processes=processes,
    )
    return App(settings, records, index, embedder, retriever, answerer, people)


def _embedder(settings: Settings, say: Callable[[str], None]) -> Embedder:
    with translated():
        settings.models.mkdir(parents=True, exist_ok=True)
    try:
        return serving.load(settings.model, settings.models, say)
    except (OSError, ValueError, ImportError, RuntimeError) as exc:
        if isinstance(exc, OSError) and exc.errno in _DISK:
            with translated():
                raise
        raise ModelUnavailable(
            f"The embedding model {settings.model} can't be had ({type(exc).__name__}): check"
            " WENBAO_MODEL, or leave it unset for the model that comes with Wenbao."
        ) from exc


def open_reranker(settings: Settings) -> CrossEncoder | None:
    """The cross-encoder that is set, if one is.

    Raises:
        ModelUnavailable: saying what to do.
    """
    if not settings.reranker:
        return None
    try:
        return CrossEncoder(settings.reranker)
    except (OSError, ValueError, ImportError, RuntimeError) as exc:
        raise ModelUnavailable(
            f"The reranker {settings.reranker} can't be had ({type(exc).__name__}): set"
            " WENBAO_RERANKER to a CrossEncoder with one logit, or leave it unset."
        ) from exc


def _llm(settings: Settings) -> Llm | None:
    if not settings.llm:
        return None
    return ChatModel(
        settings.llm.removeprefix("openai:"),
        settings.llm_base_url,
        settings.llm_api_key.get_secret_value(),
        settings.llm_timeout_s,
    )
