"""A question -> hits: dense from Chroma and lexical from FTS5, fused by score, then token by token.

score = cosine
      + LEXICAL x (BM25, a share of it from the whole article / the best of the question)
      + NAMED x (share of the names asked about, the rarer weighing more, that stand there)
      + LATE x (mean over the question's tokens of the best match with a passage token)
      + READ x (the reader's logit of the passage's likeliest clause; for the best READ_PASSAGES)
      + CROSS x (what a cross-encoder says, 0 to 1, where one is set; for the best CROSS_PASSAGES).
The weights are fitted on development data (DECISIONS.md).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from embeddings.cross_encoder import CrossEncoder
from embeddings.embedder import TOKEN_SCALE, Embedder, Tokens, Vector, no_tokens
from rag import chunking, reader
from rag.records import Records, StoredPassage
from rag.store import VectorIndex
from rag.terms import (
    Concept,
    Gloss,
    concepts,
    sound_terms,
    spelling_terms,
)
from rag.types import Hit, Question

CANDIDATES = 60  # from each of the two searches
RERANKED = 24  # how many of the best fused are matched token by token
LEXICAL = 0.25
NAMED = 0.6
LATE = 2.5
READ = 0.03
READ_PASSAGES = 4
CROSS = 1.0  # more than what lies between most passages: who sets one wants to hear it
CROSS_PASSAGES = 20
PHRASES = 64  # of a question that are looked up; a long one has hundreds, the rarest tell most
ARTICLE_SHARE = 0.3  # of a passage's BM25 that comes from its whole article
NAME_SHARE = 0.5  # of a passage's names that may stand elsewhere in its article
_K1, _B = 1.2, 0.75
_POSTINGS = 6_000  # matches that the lexical search may score, the rarest phrases' first
_FEW = 200  # passages kept by a filter that are all candidates
_SCANNED = 5_000  # passages kept by a filter that are searched one by one
_WIDEST = 5_000  # nearest passages among which a filter looks


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause, `article.text[start:end]`, and the reader's logit that it holds the answer."""

    start: int
    end: int
    logit: float


@dataclass(frozen=True, slots=True)
class Match:
    """How a question's concepts and tokens meet one passage.

    `concepts` says for each concept of the question its BM25 part, 0 where it doesn't stand there.
    `front` is how many characters the model was given in front of the passage, which the offsets
    of `tokens` count too. `clauses` is empty where the reader hasn't read the passage.
    """

    hit: Hit
    concepts: tuple[float, ...]
    written: str
    spoken: str
    tokens: Tokens = field(default_factory=no_tokens)
    front: int = 0
    clauses: tuple[Clause, ...] = ()


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
        self,
        records: Records,
        index: VectorIndex,
        embedder: Embedder,
        gloss: Gloss,
        reranker: CrossEncoder | None = None,
    ) -> None:
        self._records = records
        self._index = index
        self._embedder = embedder
        self._gloss = gloss
        self._reranker = reranker

    def search(self, question: Question) -> Findings:
        """The passages that answer a question best.

        Raises:
            StoreUnavailable: if the index can't be read.
        """
        started = time.perf_counter()
        asked = self._embedder.embed_query(question.text)
        embed_ms = (time.perf_counter() - started) * 1000
        found = self.concepts(question.text)
        passages = self._candidates(question, asked.vector, found)
        idf, parts = self._lexical(found, passages)
        named = _named(passages, found, idf, parts)
        matches = _fuse(passages, asked.vector, parts, named)
        top = self._late(matches[:RERANKED], asked.tokens)
        ranked = sorted(top, key=lambda match: -match.hit.score)
        if self._embedder.taught:
            ranked = _read(ranked, asked.tokens)
        if self._reranker:
            ranked = _reranked(ranked, question.text, self._reranker)
        return Findings(tuple(ranked), found, idf, asked.tokens, embed_ms)

    def names_in(self, text: str) -> tuple[str, ...]:
        """The names in a text, as `concepts` takes them."""
        return tuple(c.surface for c in concepts(text, self._gloss) if c.kind == "name")

    def concepts(self, text: str) -> tuple[Concept, ...]:
        """What a text in either script speaks of."""
        latin = bool(self._records.frequencies(["the"]))
        return concepts(text, self._gloss, latin=latin)

    def _candidates(
        self, question: Question, vector: Vector, found: Sequence[Concept]
    ) -> list[StoredPassage]:
        records = self._records
        query = fts_query(found, records.frequencies)
        if question.filtered:
            rows = self._filtered(question, vector, query)
        else:
            rows = records.rows_of(self._index.search(vector, CANDIDATES))
            rows += records.lexical_rows(query, CANDIDATES) if query else []
        return records.passages_by_row(list(dict.fromkeys(rows)))

    def _filtered(self, question: Question, vector: Vector, query: str) -> list[int]:
        """The candidates' rows among the passages that may answer.

        Few are all candidates, and some are looked at one by one; else the index is asked for
        more until enough of what it gives may answer.
        """
        records = self._records
        kept = records.all_kept(question, _SCANNED + 1)
        if len(kept) <= _FEW:
            return kept
        if len(kept) <= _SCANNED:
            rows = records.nearest(vector, kept, CANDIDATES)
            return rows + (records.lexical_rows(query, CANDIDATES, kept) if query else [])
        limit, rows = 2 * CANDIDATES, list[int]()
        while True:
            near = records.rows_of(self._index.search(vector, limit))
            rows = records.kept(question, near)[:CANDIDATES]
            if len(rows) == CANDIDATES or len(near) < limit or limit == _WIDEST:
                break
            share = max(len(rows), 1) / limit  # here, which may differ from that of the library
            limit = min(_WIDEST, math.ceil(1.5 * CANDIDATES / share))
        return rows + (records.lexical_rows_kept(query, CANDIDATES, question) if query else [])

    def _lexical(
        self, found: Sequence[Concept], passages: Sequence[StoredPassage]
    ) -> tuple[tuple[float, ...], NDArray[np.float64]]:
        """idf of each concept, and the BM25 part of each passage (rows) and concept (columns)."""
        total = max(1, self._records.passage_count())
        mean = self._records.mean_chars()
        lengths = np.array([len(passage.written) for passage in passages], float)
        norms = _K1 * (1 - _B + _B * lengths / mean)
        parts = np.zeros((len(passages), len(found)))
        highest = []
        for column, (concept, frequency) in enumerate(zip(found, self._often(found), strict=True)):
            idf = [math.log(1 + (total - df + 0.5) / (df + 0.5)) if df else 0.0 for df in frequency]
            there = [i for i, df in enumerate(frequency) if df]
            counts = np.array([_counts(concept, there, passage) for passage in passages], float)
            if len(passages) and there:
                gains = counts * (_K1 + 1) / (counts + norms[:, None]) * np.array(idf)[there]
                parts[:, column] = gains.max(axis=1)
            highest.append(max(idf, default=0.0))
        return tuple(highest), parts

    def _often(self, found: Sequence[Concept]) -> list[list[int]]:
        """For each concept in about how many passages each spelling and sound stands.

        As many as its rarest part does.
        """
        runs = [_runs(concept) for concept in found]
        terms = dict.fromkeys(term for own in runs for _, run in own for term in run)
        known = self._records.frequencies([term for term in terms if len(term) > 1])
        often = self._records.passage_count() // 3  # a single character stands everywhere
        known |= {term: often for term in terms if len(term) == 1}
        return [
            [min((known.get(term, 0) for term in run), default=0) for _, run in own] for own in runs
        ]

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


def _read(matches: Sequence[Match], asked: Tokens) -> list[Match]:
    """The best matches with what the reader makes of their clauses, in the order of all scores."""
    some = matches[:READ_PASSAGES]
    spans = [_clauses(match) for match in some]
    placed = [
        [(start + match.front, end + match.front) for start, end in own]
        for match, own in zip(some, spans, strict=True)
    ]
    rows = reader.logits(asked, [match.tokens for match in some], placed)
    read = []
    for match, own, logits in zip(some, spans, rows, strict=True):
        first = match.hit.passage.start
        clauses = tuple(
            Clause(first + start, first + end, logit)
            for (start, end), logit in zip(own, logits, strict=True)
        )
        gain = READ * min(max(logits, default=reader.LOWEST), -reader.LOWEST)
        hit = replace(match.hit, score=match.hit.score + gain)
        read.append(replace(match, hit=hit, clauses=clauses))
    rest = [
        replace(match, hit=replace(match.hit, score=match.hit.score + READ * reader.LOWEST))
        for match in matches[READ_PASSAGES:]
    ]
    return sorted([*read, *rest], key=lambda match: -match.hit.score)


def _reranked(matches: Sequence[Match], question: str, reranker: CrossEncoder) -> list[Match]:
    """The matches in the order of all scores, the cross-encoder's too."""
    some = matches[:CROSS_PASSAGES]
    passages = [f"{match.hit.passage.title}\n{match.hit.passage.text}" for match in some]
    scored = [
        replace(match, hit=replace(match.hit, score=match.hit.score + CROSS * score))
        for match, score in zip(some, reranker.scores(question, passages), strict=True)
    ]
    return sorted([*scored, *matches[CROSS_PASSAGES:]], key=lambda match: -match.hit.score)


def _clauses(match: Match) -> list[chunking.Span]:
    text = match.hit.passage.text
    return [c for s, e in chunking.sentences(text) for c in chunking.clauses(text, s, e)]


def _late_scores(query: NDArray[np.float32], passages: Sequence[Tokens]) -> list[float]:
    """For each passage the mean over the question's tokens of the best match; 0 without tokens."""
    scores = [0.0] * len(passages)
    some = [i for i, tokens in enumerate(passages) if len(tokens.starts)]
    if not len(query) or not some:
        return scores
    stacked = np.concatenate([passages[i].vectors for i in some]).astype(np.float32)
    begins = np.cumsum([0, *(len(passages[i].starts) for i in some[:-1])])
    best = np.maximum.reduceat(stacked @ (query.T / TOKEN_SCALE), begins, axis=0).T
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
    """An FTS5 query for the rarest of the spellings and sounds; every term is quoted.

    Those that stand in many passages are left out where rarer ones stand in `_POSTINGS` already:
    all that match are scored, which would take longer with every passage that is added.
    """
    runs = [run for concept in found for run in _runs(concept)]
    known = frequencies(list(dict.fromkeys(term for _, run in runs for term in run)))
    rarity = {
        f'{column} : "{" ".join(run)}"': min(known.get(term, 0) for term in run)
        for column, run in runs
        if run
    }
    there = sorted((often, phrase) for phrase, often in rarity.items() if often)[:PHRASES]
    before = accumulate((often for often, _ in there), initial=0)
    return " OR ".join(
        phrase
        for (often, phrase), earlier in zip(there, before, strict=False)
        if not earlier or earlier + often <= _POSTINGS
    )


def _runs(concept: Concept) -> list[tuple[str, list[str]]]:
    """For each spelling, then each sound, its FTS column and its terms there."""
    return [
        *(("written", spelling_terms(spelling)) for spelling in concept.spellings),
        *(("spoken", sound_terms(sound)) for sound in concept.sounds),
    ]


def _counts(concept: Concept, which: Sequence[int], passage: StoredPassage) -> list[int]:
    """How often some of the spellings and sounds (numbered in one row) stand in a passage."""
    forms = (*concept.spellings, *concept.sounds)
    written = len(concept.spellings)
    return [
        passage.written.count(forms[i]) if i < written else passage.spoken.count(forms[i])
        for i in which
    ]


def _fuse(
    passages: Sequence[StoredPassage],
    vector: Vector,
    parts: NDArray[np.float64],
    named: NDArray[np.float64],
) -> list[Match]:
    """Cosine, BM25 and names on one scale: the best, best first."""
    if not passages:
        return []
    cosines = np.stack([passage.vector for passage in passages]) @ vector
    whole = _of_article(passages, parts)
    lexical = (1 - ARTICLE_SHARE) * parts.sum(axis=1) + ARTICLE_SHARE * whole.sum(axis=1)
    scaled = lexical / max(float(lexical.max()), 1e-9)
    scores = cosines + LEXICAL * scaled + NAMED * named
    order = sorted(range(len(passages)), key=lambda i: (-scores[i], passages[i].row))
    return [
        Match(
            hit=Hit(
                passage=passages[i].passage,
                score=float(scores[i]),
                cosine=float(cosines[i]),
                lexical=float(lexical[i]),
            ),
            concepts=tuple(parts[i].tolist()),
            written=passages[i].written,
            spoken=passages[i].spoken,
        )
        for i in order[:RERANKED]
    ]


def _of_article(
    passages: Sequence[StoredPassage], parts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The parts of each passage's article: the best that its candidate passages have."""
    numbers: dict[str, int] = {}
    own = [numbers.setdefault(p.passage.article_id, len(numbers)) for p in passages]
    best = np.zeros((len(numbers), parts.shape[1]))
    np.maximum.at(best, own, parts)
    whole: NDArray[np.float64] = best[own]
    return whole


def _named(
    passages: Sequence[StoredPassage],
    found: Sequence[Concept],
    idf: Sequence[float],
    parts: NDArray[np.float64],
) -> NDArray[np.float64]:
    """For each passage the share of the names asked about that it or its article holds, 0 to 1."""
    weights = np.array([idf[i] if c.kind == "name" else 0.0 for i, c in enumerate(found)])
    if not weights.any():
        return np.zeros(len(passages))
    here, whole = parts > 0, _of_article(passages, parts) > 0
    held = (1 - NAME_SHARE) * (here @ weights) + NAME_SHARE * (whole @ weights)
    share: NDArray[np.float64] = held / weights.sum()
    return share
