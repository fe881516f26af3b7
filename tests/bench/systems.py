"""One retrieval system over one corpus, in a process of its own: `python systems.py NAME TASK OUT`.

Runs in the peers' environment (.venv-bench) or, for Wenbao, in the product's. TASK is JSON: the
`model` folder, the `corpus` as the JSONL file that Wenbao reads, the `questions` by set, the
`cache` of Wenbao's built model, `work`, an empty folder. OUT tells the rankings, the times and the
memory. What is measured of them is in peers.py.
"""

import importlib
import json
import logging
import re
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

TOP_K = 10
CANDIDATES = 30  # of each of the two searches that haystack joins
CHUNK_CHARS = 300
LATIN_FACTOR = 3  # an English passage says as much in three times the characters, as for Wenbao
CHINESE_SEPARATORS = ["\n\n", "\n", "。", "！", "？", "；", ". ", "? ", "! ", "，", ", ", " ", ""]
Span = tuple[str, int, int]  # of an article: its id, first and last character
Ask = Callable[[str], list[Span]]  # a question -> passages, best first


@dataclass(frozen=True, slots=True)
class Task:
    """What a system is to do."""

    model: str
    corpus: Path
    cache: Path
    work: Path
    questions: dict[str, list[tuple[str, str]]]  # set -> (question, its language)

    @property
    def articles(self) -> list[dict[str, str]]:
        """The corpus, one article a row."""
        lines = self.corpus.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@dataclass(frozen=True, slots=True)
class Built:
    """A system that is ready to be fed: `feed` gives how many passages it made of the corpus."""

    feed: Callable[[], int]
    ask: Ask
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an article; `text` has the title in front."""

    span: Span
    text: str


def chunks(articles: Sequence[dict[str, str]], separators: list[str] | None = None) -> list[Chunk]:
    """The articles cut by LangChain's splitter; with Chinese `separators` titles go in front."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    size = CHUNK_CHARS * (LATIN_FACTOR if _is_latin(articles) else 1)
    splitter = RecursiveCharacterTextSplitter(
        separators=separators,
        keep_separator="end" if separators else True,
        chunk_size=size,
        chunk_overlap=0 if separators else size // 10,
        add_start_index=True,
    )
    found = []
    for article in articles:
        front = f"{article['title']}\n" if separators and article["title"] else ""
        for document in splitter.create_documents([article["text"]]):
            start = int(document.metadata["start_index"])
            text = document.page_content
            span = (article["id"], start, start + len(text))
            found.append(Chunk(span, front + text))
    return found


def _is_latin(articles: Sequence[dict[str, str]]) -> bool:
    sample = "".join(article["text"][:200] for article in articles[:20])
    return len(re.findall("[A-Za-z]", sample)) > len(sample) / 2


def langchain(task: Task, separators: list[str] | None = None) -> Built:
    """LangChain's usual recipe: its splitter, its embeddings, Chroma's similarity search."""
    chroma: Any = importlib.import_module("langchain_chroma")
    huggingface: Any = importlib.import_module("langchain_huggingface")
    embeddings = huggingface.HuggingFaceEmbeddings(
        model_name=task.model,
        model_kwargs={"device": "cpu"},
        encode_kwargs={"prompt": "passage: ", "normalize_embeddings": True},
        query_encode_kwargs={"prompt": "query: ", "normalize_embeddings": True},
    )
    store = chroma.Chroma(
        "bench",
        embeddings,
        persist_directory=str(task.work / "chroma"),
        collection_configuration={"hnsw": {"space": "cosine"}},
    )

    def feed() -> int:
        pieces = chunks(task.articles, separators)
        places = [dict(zip(("id", "start", "end"), piece.span, strict=True)) for piece in pieces]
        for at in range(0, len(pieces), 5_000):  # Chroma takes 5,461 at most
            texts = [piece.text for piece in pieces[at : at + 5_000]]
            store.add_texts(texts, metadatas=places[at : at + 5_000])
        return len(pieces)

    def ask(question: str) -> list[Span]:
        found = [d.metadata for d in store.similarity_search(question, k=TOP_K)]
        return [(m["id"], m["start"], m["end"]) for m in found]

    packages = ("langchain-chroma", "langchain-huggingface", "langchain-text-splitters", "chromadb")
    return Built(feed, ask, packages)


def langchain_zh(task: Task) -> Built:
    """The recipe with separators for Chinese and the article's title in front of each chunk."""
    return langchain(task, CHINESE_SEPARATORS)


def haystack(task: Task) -> Built:
    """BM25 and embedding retrieval over haystack's in-memory store, joined by their ranks."""
    core: Any = importlib.import_module("haystack")
    stores: Any = importlib.import_module("haystack.document_stores.in_memory")
    retrievers: Any = importlib.import_module("haystack.components.retrievers.in_memory")
    joiners: Any = importlib.import_module("haystack.components.joiners")
    writers: Any = importlib.import_module("haystack.components.writers")
    embedders: Any = importlib.import_module(
        "haystack_integrations.components.embedders.sentence_transformers"
    )
    device = core.utils.ComponentDevice.from_str("cpu")
    common = {
        "model": task.model,
        "device": device,
        "progress_bar": False,
        "normalize_embeddings": True,
    }
    store = stores.InMemoryDocumentStore(embedding_similarity_function="cosine")

    index = core.Pipeline()
    index.add_component(
        "embed", embedders.SentenceTransformersDocumentEmbedder(**common, prefix="passage: ")
    )
    index.add_component("write", writers.DocumentWriter(store))
    index.connect("embed", "write")

    query = core.Pipeline()
    query.add_component(
        "embed", embedders.SentenceTransformersTextEmbedder(**common, prefix="query: ")
    )
    dense = retrievers.InMemoryEmbeddingRetriever(store, top_k=CANDIDATES)
    words = retrievers.InMemoryBM25Retriever(store, top_k=CANDIDATES)
    query.add_component("dense", dense)
    query.add_component("words", words)
    query.add_component("join", joiners.DocumentJoiner("reciprocal_rank_fusion", top_k=TOP_K))
    query.connect("embed.embedding", "dense.query_embedding")
    query.connect("dense", "join")
    query.connect("words", "join")
    index.warm_up()
    query.warm_up()

    def feed() -> int:
        pieces = chunks(task.articles, CHINESE_SEPARATORS)
        documents = [core.Document(content=p.text, meta={"span": p.span}) for p in pieces]
        index.run({"embed": {"documents": documents}})
        return len(pieces)

    def ask(question: str) -> list[Span]:
        answer = query.run({"embed": {"text": question}, "words": {"query": question}})
        return [document.meta["span"] for document in answer["join"]["documents"]]

    return Built(feed, ask, ("haystack-ai", "sentence-transformers-haystack"))


def txtai(task: Task) -> Built:
    """txtai's hybrid index: its BM25 and faiss, their scores added half and half."""
    library: Any = importlib.import_module("txtai")
    # It takes the prefixes "query: " and "passage: " from the model's folder.
    index = library.Embeddings(
        path=task.model, method="sentence-transformers", hybrid=True, gpu=False
    )
    spans: list[Span] = []

    def feed() -> int:
        pieces = chunks(task.articles, CHINESE_SEPARATORS)
        spans.extend(piece.span for piece in pieces)
        index.index((i, piece.text, None) for i, piece in enumerate(pieces))
        return len(pieces)

    def ask(question: str) -> list[Span]:
        return [spans[int(i)] for i, _ in index.search(question, TOP_K)]

    return Built(feed, ask, ("txtai", "faiss-cpu"))


def wenbao(task: Task) -> Built:
    """Ours, as a door uses it: the ledger, the terms, the token vectors and the verified index."""
    from embeddings.serving import load
    from rag.ingest import ingest
    from rag.records import Records
    from rag.retrieve import Retriever
    from rag.store import VectorIndex
    from rag.types import Language, Question
    from rag.words.glossary import open_glossary

    embedder = load("packaged", task.cache)
    records = Records(task.work)
    index = VectorIndex(task.work, records)
    retriever = Retriever(records, index, embedder, open_glossary(task.cache).lookup)

    def feed() -> int:
        return ingest([task.corpus], records, index, embedder).passages

    languages = {q: language for some in task.questions.values() for q, language in some}

    def ask(question: str) -> list[Span]:
        language: Language = "en" if languages[question] == "en" else "zh"
        hits = retriever.search(Question(question, language, TOP_K)).hits[:TOP_K]
        return [(h.passage.article_id, h.passage.start, h.passage.end) for h in hits]

    return Built(feed, ask, ("chromadb", "onnxruntime"))


SYSTEMS: dict[str, Callable[[Task], Built]] = {
    "langchain": langchain,
    "langchain-zh": langchain_zh,
    "haystack": haystack,
    "txtai": txtai,
    "wenbao": wenbao,
}
OURS = "wenbao"


def main() -> None:
    """Feeds the system, asks it every question, writes what came of it."""
    name, task_file, out = sys.argv[1:]
    logging.disable(logging.WARNING)
    row = json.loads(Path(task_file).read_text(encoding="utf-8"))
    paths = {key: Path(row[key]) for key in ("corpus", "cache", "work")}
    task = Task(model=row["model"], questions=row["questions"], **paths)
    built = SYSTEMS[name](task)
    began = time.perf_counter()
    passages = built.feed()
    seconds = time.perf_counter() - began
    sets = {key: _asked(built.ask, [q for q, _ in some]) for key, some in task.questions.items()}
    result = {
        "passages": passages,
        "ingest_s": seconds,
        "peak_mb": peak_mb(),
        "versions": {package: version(package) for package in built.packages},
        "sets": sets,
    }
    Path(out).write_text(json.dumps(result), encoding="utf-8")


def _asked(ask: Ask, questions: Sequence[str]) -> dict[str, list[Any]]:
    """The rankings and the times of questions that are asked one after the other."""
    for question in questions[:3]:
        ask(question)  # the first ones load what later ones find loaded
    found: dict[str, list[Any]] = {"rankings": [], "ms": []}
    for question in questions:
        began = time.perf_counter()
        found["rankings"].append(ask(question))
        found["ms"].append((time.perf_counter() - began) * 1000)
    return found


def peak_mb() -> float:
    """The most memory that this process held at once; not its parent's, as `ru_maxrss` may be."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(ln for ln in status.read_text().splitlines() if ln.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
