"""Articles -> passages with terms and vectors, in the records; reprints without any.

What has a vector already isn't embedded again. The caller holds the writer lock.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from embeddings.embedder import Embedder, Tokens, Vector, joined, summed
from rag import chunking, reprints
from rag.records import NewPassage, Records
from rag.terms import passage_terms
from rag.types import Article

READ_AHEAD = 512  # passages embedded at a time, so that batches can be sorted by length


def record(
    articles: Sequence[Article], leaving: Collection[str], records: Records, embedder: Embedder
) -> Iterator[int]:
    """Records articles that are new or changed; gives the number of passages, batch by batch.

    `leaving` are the ids of articles about to be removed: nothing becomes their reprint.
    """
    for some in _batches(articles, leaving, records):
        _record(some, leaving, records, embedder)
        yield sum(map(len, some.values()))


def index_bare(records: Records, embedder: Embedder) -> None:
    """Gives passages to the articles whose original is gone; the first of them is it now."""
    for article_id in records.ledger.bare_articles():
        for _ in record([records.article(article_id)], (), records, embedder):
            pass


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A passage with its terms, and the text that the model is given of it."""

    new: NewPassage
    text: str


def _batches(
    articles: Sequence[Article], leaving: Collection[str], records: Records
) -> Iterator[dict[Article, list[_Prepared]]]:
    """The articles with their passages, enough at a time to sort by length, few enough to hold.

    A reprint has none.
    """
    some: dict[Article, list[_Prepared]] = {}
    held = 0
    for article in articles:
        likeness = _likeness(article, leaving, records)
        some[article] = [] if likeness.original else _prepare(article)
        held += len(some[article])
        if held >= READ_AHEAD or len(some) >= READ_AHEAD:
            yield some
            some, held = {}, 0
    if some:
        yield some


def _prepare(article: Article) -> list[_Prepared]:
    heading = chunking.context(article)
    front = f"{heading}\n" if heading else ""
    prepared = []
    for passage in chunking.passages(article):
        text = front + passage.text
        key = sha256(text.encode()).hexdigest()
        new = NewPassage(passage, len(front), key, passage_terms(text))
        prepared.append(_Prepared(new, text))
    return prepared


def _record(
    articles: Mapping[Article, list[_Prepared]],
    leaving: Collection[str],
    records: Records,
    embedder: Embedder,
) -> None:
    """Embeds what has no vector yet, then commits the articles, all of them together."""
    new = {p.new.key: p for prepared in articles.values() for p in prepared}
    known = records.known_keys(list(new))
    wanted = [p for key, p in new.items() if key not in known]
    for at in range(0, len(wanted), READ_AHEAD):
        _embed(wanted[at : at + READ_AHEAD], records, embedder)
    with records.change():
        freed: list[str] = []
        for article, prepared in articles.items():
            freed += records.remove_passages(article.article_id)
            records.put_article(article)
            freed += _settle(article, prepared, leaving, records)
        records.drop_vectors(freed)


@dataclass(frozen=True, slots=True)
class _Likeness:
    """An article among those recorded: the one it is a reprint of, and those that are its own."""

    bands: list[int]
    original: str = ""
    reprints: tuple[str, ...] = ()


def _likeness(article: Article, leaving: Collection[str], records: Records) -> _Likeness:
    """Finds the reprints of an article; those about to be removed don't count, nor does itself."""
    shape = reprints.shape(article.text)
    bands = shape.bands()
    own: list[str] = []
    for id_, text in records.ledger.likely_originals(bands):
        if id_ == article.article_id or id_ in leaving:
            continue
        other = reprints.shape(text)
        if shape.is_within(other):
            return _Likeness(bands, original=id_)
        if other.is_within(shape):
            own.append(id_)
    return _Likeness(bands, reprints=tuple(own))


def _settle(
    article: Article, prepared: Sequence[_Prepared], leaving: Collection[str], records: Records
) -> list[str]:
    """Writes an article's passages, or that it is a reprint; gives the keys that it frees.

    An article that turns out not to be one after all stays bare until `index_bare`.
    """
    ledger = records.ledger
    ledger.forget_likeness(article.article_id)
    found = _likeness(article, leaving, records)
    if found.original:
        ledger.put_reprint(article.article_id, found.original)
        return [p.new.key for p in prepared]
    freed = [key for id_ in found.reprints for key in records.remove_passages(id_)]
    for id_ in found.reprints:
        ledger.put_reprint(id_, article.article_id)
    if prepared:
        ledger.put_original(article.article_id, found.bands)
        records.put_passages([p.new for p in prepared])
    return freed


def _embed(some: Sequence[_Prepared], records: Records, embedder: Embedder) -> None:
    keys = [p.new.key for p in some]
    found = _embedded(some, embedder)
    with records.change():
        records.set_model(embedder.name)
        records.put_vectors(dict(zip(keys, found, strict=True)))


def _embedded(some: Sequence[_Prepared], embedder: Embedder) -> list[tuple[Vector, Tokens]]:
    """The vector and the tokens of each passage; its heading and its sentences are read alone.

    A token that was read alone says what its own sentence says, not what the title says; that is
    worth more than context both for ranking and for choosing sentences (DECISIONS.md).
    """
    spans = [[(s, e) for s, e in ((0, p.new.front), *_sentences(p)) if e > s] for p in some]
    texts = {p.text[s:e] for p, places in zip(some, spans, strict=True) for s, e in places}
    ordered = sorted(texts)
    read = dict(zip(ordered, embedder.read(ordered), strict=True))
    pieces = [
        [(s, read[p.text[s:e]]) for s, e in places] for p, places in zip(some, spans, strict=True)
    ]
    vectors: Iterable[Vector] = (
        [summed([reading for _, reading in own]) for own in pieces]
        if embedder.taught
        else embedder.embed_passages([p.text for p in some])
    )
    tokens = [joined([(start, reading.tokens) for start, reading in own]) for own in pieces]
    return list(zip(vectors, tokens, strict=True))


def _sentences(prepared: _Prepared) -> Iterator[tuple[int, int]]:
    """The ranges of a passage's sentences in the text that the model is given."""
    for start, end in chunking.sentences(prepared.new.passage.text):
        yield start + prepared.new.front, end + prepared.new.front
