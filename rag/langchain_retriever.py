"""Our retriever as LangChain knows one, for chains that others build in Python.

Each document is a passage, verbatim; its metadata say where it stands: `article.text[start:end]`
is the document's `page_content`, in Unicode code points. Does not cover answers: their citations
are checked, and a chain that writes its own answer has to check its own.
"""

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from rag.answer import Answerer
from rag.types import Hit


class WenbaoRetriever(BaseRetriever):
    """A question -> the passages that answer it best, as documents with exact offsets."""

    answerer: Answerer
    k: int = 8
    since: str = ""
    until: str = ""
    sources: tuple[str, ...] = ()

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        question = self.answerer.question(
            query, top_k=self.k, since=self.since, until=self.until, sources=self.sources
        )
        return [document(hit) for hit in self.answerer.search_now(question)]


def document(hit: Hit) -> Document:
    """A hit as a document; its id is the passage's."""
    passage = hit.passage
    return Document(
        page_content=passage.text,
        id=passage.passage_id,
        metadata={
            "article_id": passage.article_id,
            "title": passage.title,
            "date": passage.date,
            "source": passage.source,
            "start": passage.start,
            "end": passage.end,
            "score": float(hit.score),
        },
    )
