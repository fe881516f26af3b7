"""A question -> hits: dense from Chroma and lexical from FTS5, fused by score, then token by token.

score = cosine
      + LEXICAL x (BM25, a share of it from the whole article / the best of the question)
      + LATE x (mean over the question's tokens of the best match with a passage token).
The weights are fitted on development data (DECISIONS.md).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from embeddings.embedder import TOKEN_SCALE, Embedder, Tokens, Vector, no_tokens
from rag.records import Records, StoredPassage
from rag.store import VectorIndex
from rag.terms import Concept, Gloss, concepts, sound_terms, spelling_terms
from rag.types import Hit, Question

CANDIDATES = 60  # from each of the two searches
RERANKED = 24  # how many of the best fused are matched token by token
LEXICAL = 0.05
LATE = 1.5
PHRASES = 64  # of a question that are looked up; a long one has hundreds, the rarest tell most
ARTICLE_SHARE = 0.3  # of a passage's BM25 that comes from its whole article
_K1, _B = 1.2, 0.75


@dataclass(frozen=True, slots=True)
class Match:
    """How a question's concepts and tokens meet one passage.

    `concepts` says for each concept of the question its BM25 part, 0 where it doesn't stand there.
    `front` is how many characters the model was given in front of the passage, which the offsets
    of `tokens` count too.
    """

    hit: Hit
    concepts: tuple[float, ...]
    written: str
    spoken: str
    tokens: Tokens = field(default_factory=no_tokens)
    front: int = 0


@dataclass(frozen=True, slots=True)
class Findings:
    """All that retrieval knows of a question: matches best first, and how rare each concept is.

    `idf` is 0 for a concept that stands in no passage at all.
    """

    matches: tuple[Match, ...]
    concepts: tuple[Concept, ...]
    idf: tuple[float, ...]
    tokens: Tokens
    embed_ms: float

    @property
    def hits(self) -> list[Hit]:
        """The passages alone, best first."""
        return [match.hit for match in self.matches]


class Retriever:
    """Searches the library; holds no state of its own."""

    def __init__(
        self, records: Records, index: VectorIndex, embedder: Embedder, gloss: Gloss
    ) -> None:
        self._records = records
        self._index = index
        self._embedder = embedder
        self._gloss = gloss

    def search(self, question: Question) -> Findings:
        """The passages that answer a question best.

        Raises:
            StoreUnavailable: if the index can't be read.
        """
        started = time.perf_counter()
        asked = self._embedder.embed_query(question.text)
        embed_ms = (time.perf_counter() - started) * 1000
        found = concepts(question.text, self._gloss)
        passages = self._candidates(question, asked.vector, found)
        idf, parts = self._lexical(found, passages)
        matches = _fuse(passages, asked.vector, parts)
        top = self._late(matches[:RERANKED], asked.tokens)
        ranked = sorted(top, key=lambda match: -match.hit.score)
        return Findings(tuple(ranked), found, idf, asked.tokens, embed_ms)

    def _candidates(
        self, question: Question, vector: Vector, found: Sequence[Concept]
    ) -> list[StoredPassage]:
        if question.article_ids:
            return self._records.passages_of(question.article_ids)
        dense = self._records.passages_by_id(self._index.search(vector, CANDIDATES))
        seen = {passage.row for passage in dense}
        query = fts_query(found, self._records.frequencies)
        rows = self._records.lexical_rows(query, CANDIDATES) if query else []
        return dense + self._records.passages_by_row([row for row in rows if row not in seen])

    def _lexical(
        self, found: Sequence[Concept], passages: Sequence[StoredPassage]
    ) -> tuple[tuple[float, ...], NDArray[np.float64]]:
        """idf of each concept, and the BM25 part of each passage (rows) and concept (columns)."""
        total = max(1, self._records.counts().passages)
        mean = self._records.mean_chars()
        lengths = np.array([len(passage.written) for passage in passages], float)
        norms = _K1 * (1 - _B + _B * lengths / mean)
        parts = np.zeros((len(passages), len(found)))
        highest = []
        for column, concept in enumerate(found):
            frequency = self._frequency(concept)
            idf = [math.log(1 + (total - df + 0.5) / (df + 0.5)) if df else 0.0 for df in frequency]
            counts = np.array([_counts(concept, passage) for passage in passages], float)
            if len(passages) and counts.size:
                gains = counts * (_K1 + 1) / (counts + norms[:, None]) * np.array(idf)
                parts[:, column] = gains.max(axis=1)
            highest.append(max(idf, default=0.0))
        return tuple(highest), parts

    def _frequency(self, concept: Concept) -> list[int]:
        """In about how many passages each spelling and sound stands: as its rarest part does."""
        runs = [spelling_terms(s) for s in concept.spellings] + [
            sound_terms(s) for s in concept.sounds
        ]
        known = self._records.frequencies([term for run in runs for term in run if len(term) > 1])
        often = self._records.counts().passages // 3  # a single character stands everywhere
        known |= {term: often for run in runs for term in run if len(term) == 1}
        return [min((known.get(term, 0) for term in run), default=0) for run in runs]

    def _late(self, matches: Sequence[Match], asked: Tokens) -> list[Match]:
        """Adds to each match how well the question's tokens find theirs in the passage."""
        stored = self._records.tokens([match.hit.passage.passage_id for match in matches])
        found = [stored.get(m.hit.passage.passage_id, (0, no_tokens())) for m in matches]
        late = _late_scores(unit(asked), [tokens for _, tokens in found])
        scored = []
        for match, (front, tokens), score in zip(matches, found, late, strict=True):
            hit = replace(match.hit, tokens=score, score=match.hit.score + LATE * score)
            scored.append(replace(match, hit=hit, tokens=tokens, front=front))
        return scored


def _late_scores(query: NDArray[np.float32], passages: Sequence[Tokens]) -> list[float]:
    """For each passage the mean over the question's tokens of the best match; 0 without tokens."""
    scores = [0.0] * len(passages)
    some = [i for i, tokens in enumerate(passages) if len(tokens.starts)]
    if not len(query) or not some:
        return scores
    stacked = np.concatenate([passages[i].vectors for i in some]).astype(np.float32) / TOKEN_SCALE
    begins = np.cumsum([0, *(len(passages[i].starts) for i in some[:-1])])
    best = np.maximum.reduceat(query @ stacked.T, begins, axis=1)
    for i, score in zip(some, best.mean(axis=0), strict=True):
        scores[i] = float(score)
    return scores


def unit(tokens: Tokens) -> NDArray[np.float32]:
    """Token vectors as floats of about length 1."""
    floats: NDArray[np.float32] = tokens.vectors.astype(np.float32) / TOKEN_SCALE
    return floats


def fts_query(
    found: Sequence[Concept], frequencies: Callable[[Sequence[str]], dict[str, int]]
) -> str:
    """An FTS5 query for the rarest of the spellings and sounds; every term is quoted."""
    runs = [("written", tuple(spelling_terms(s))) for c in found for s in c.spellings]
    runs += [("spoken", tuple(sound_terms(s))) for c in found for s in c.sounds]
    known = frequencies(list(dict.fromkeys(term for _, run in runs for term in run)))
    rarity = {
        f'{column} : "{" ".join(run)}"': min(known.get(term, 0) for term in run)
        for column, run in runs
        if run
    }
    there = sorted((often, phrase) for phrase, often in rarity.items() if often)
    return " OR ".join(phrase for _, phrase in there[:PHRASES])


def _counts(concept: Concept, passage: StoredPassage) -> list[int]:
    written = [passage.written.count(spelling) for spelling in concept.spellings]
    return written + [passage.spoken.count(sound) for sound in concept.sounds]


def _fuse(
    passages: Sequence[StoredPassage], vector: Vector, parts: NDArray[np.float64]
) -> list[Match]:
    """Cosine and BM25 on one scale, best first."""
    if not passages:
        return []
    cosines = np.stack([passage.vector for passage in passages]) @ vector
    lexical = (1 - ARTICLE_SHARE) * parts.sum(axis=1) + ARTICLE_SHARE * _of_article(passages, parts)
    scaled = lexical / max(float(lexical.max()), 1e-9)
    scores = cosines + LEXICAL * scaled
    order = sorted(range(len(passages)), key=lambda i: (-scores[i], passages[i].row))
    return [
        Match(
            hit=Hit(
                passage=passages[i].passage,
                score=float(scores[i]),
                cosine=float(cosines[i]),
                lexical=float(lexical[i]),
            ),
            concepts=tuple(float(part) for part in parts[i]),
            written=passages[i].written,
            spoken=passages[i].spoken,
        )
        for i in order
    ]


def _of_article(
    passages: Sequence[StoredPassage], parts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each passage the BM25 of its article: what its candidate passages hold together."""
    ids = np.array([passage.passage.article_id for passage in passages])
    whole = np.zeros(len(passages))
    for article_id in dict.fromkeys(ids.tolist()):
        same = ids == article_id
        whole[same] = parts[same].max(axis=0, initial=0.0).sum()
    return whole
