"""Whether a statement rests on the passages that were shown, and on which words of them.

Every name, number and date of a statement must stand in what is cited for it, in either script and
any notation, and its tokens must find their like there. A statement that names the wrong passage is
given the right one; one that none supports has no support, nor has one that rests on what has
nothing to do with the question: so orders in an article would be answered. Reads the tokens that
are stored, so only the statement is embedded. Does not cover what isn't a matter of words: a
denial, an irony, two names that have changed places.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from embeddings.embedder import Embedder
from rag import chunking
from rag.chunking import Span
from rag.citations import Support
from rag.retrieve import Match, unit
from rag.terms import Concept
from rag.types import Article
from rag.written import facts, orders
from rag.written.facts import Fact
from rag.written.locate import locate
from rag.written.replies import Statement

Read = Callable[[str], Sequence[Concept]]  # a text -> what it speaks of
Chances = Mapping[tuple[str, int, int], float]  # article, start, end -> that it answers
Floats = NDArray[np.float32]

LEAST = 0.62  # how well one place must bear a statement out. Source: DECISIONS.md
LEAST_OWN = 0.72  # the same where both are in the same script: then more of it meets
WORDS = 0.3  # what all its words are worth there, beside token matches
HELD = 0.4  # what all facts are worth beside token matches, in choosing a sentence
JOINS = 0.15  # token match that a further sentence must add
RELEVANT = 0.008  # chance that a sentence answers, below which nothing is said on its word
KEPT = 0.94  # of a sentence's token match that its clauses must keep to be quoted alone
LOST = 0.25  # token match that no token may lose by that
MOST = 3  # sentences cited for a statement
GAP = 3  # characters between sentences that are quoted as one
_LOOSE = "，,；;：:、 "  # what a quote doesn't end with


@dataclass(frozen=True, slots=True)
class Place:
    """A sentence of a passage, or clauses of one: `article.text[start:end] == text`.

    `heard` is the text with the years that its words stand for; `chance` that it answers.
    """

    passage: int
    start: int
    end: int
    text: str
    heard: str
    chance: float


@dataclass(frozen=True, slots=True)
class _Said:
    """A statement as it is held against places: its tokens, shape (n, k), facts and words."""

    tokens: Floats
    facts: tuple[Fact, ...]
    words: tuple[Fact, ...]
    is_latin: bool


class Shown:
    """The passages that a model was given, ready to be held against what it says."""

    def __init__(
        self,
        matches: Sequence[Match],
        articles: Mapping[str, Article],
        embedder: Embedder,
        read: Read,
        question: str = "",
        chances: Chances = MappingProxyType({}),
    ) -> None:
        self._matches = matches
        self._articles = articles
        self._embedder = embedder
        self._read = read
        self._question = question
        self._tokens = [unit(match.tokens).T for match in matches]
        self._places = [list(_places(n, match, chances)) for n, match in enumerate(matches)]

    def supports(self, statement: Statement) -> tuple[Support, ...]:
        """The spans that a statement rests on; none if there are none."""
        said = self._said(statement.text)
        named = [n - 1 for n in statement.numbers if 1 <= n <= len(self._matches)]
        for which in (named, range(len(self._matches))):
            for places in self._candidates(statement, which):
                if chosen := self._chosen(said, places):
                    return tuple(self._quotes(said, chosen))
        return ()

    def _said(self, text: str) -> _Said:
        tokens = unit(self._embedder.embed_query(text).tokens)
        concepts = self._read(text)
        is_latin = _is_latin(text)
        only_latin = is_latin and all(_is_latin(m.hit.passage.text) for m in self._matches)
        found = facts.facts(text, concepts, same_script=only_latin)
        words = tuple(Fact(concept) for concept in concepts if concept.solid)
        return _Said(tokens, tuple(found), words, is_latin)

    def _candidates(self, statement: Statement, which: Sequence[int]) -> Iterator[list[Place]]:
        """Where a statement may be supported: in what it quotes, else anywhere in its passages."""
        quoted = [p for n in which for quote in statement.quotes for p in self._quoted(n, quote)]
        if quoted:
            yield quoted
        yield [place for n in which for place in self._places[n]]

    def _quoted(self, n: int, quote: str) -> Iterator[Place]:
        """The places of a passage that a quote touches, as far as its clauses are touched."""
        passage = self._matches[n].hit.passage
        if (span := locate(quote, passage.text)) is None:
            return
        begin, end = (passage.start + at for at in span)
        for place in self._places[n]:
            touched = [(a, b) for a, b in _clauses(place) if a < end and b > begin]
            if touched:
                yield self._part(place, touched[0][0], touched[-1][1])

    def _chosen(self, said: _Said, places: Sequence[Place]) -> list[Place]:
        """The few places that hold all facts of a statement and match its tokens; else none."""
        if not places:
            return []
        rows = np.stack([self._row(said, place) for place in places])
        holds = np.array([[f.stands_in(p.heard) for f in said.facts] for p in places], bool)
        share = holds.mean(axis=1) if said.facts else np.zeros(len(places))
        best = int(np.argmax(rows.mean(axis=1) + HELD * share))
        if places[best].chance < RELEVANT:
            return []
        article = self._article(places[best])
        front = f"{article.title} {article.subtitle} {article.date}"
        missing = [
            i for i, fact in enumerate(said.facts) if not (holds[best, i] or fact.stands_in(front))
        ]
        chosen, missing = _with_facts(best, holds, missing)
        if not all(self._is_given(said.facts[i], article) for i in missing):
            return []
        if not self._is_borne_out(said, rows[chosen], [places[i] for i in chosen]):
            return []
        return [places[i] for i in _joined(rows, chosen)]

    def _is_borne_out(self, said: _Said, rows: Floats, chosen: Sequence[Place]) -> bool:
        """Whether enough of a statement meets its like in the chosen places."""
        here = [any(word.stands_in(place.heard) for place in chosen) for word in said.words]
        met = float(rows.max(axis=0).mean()) + WORDS * sum(here) / max(1, len(here))
        is_own = _is_latin(chosen[0].text) == said.is_latin
        return met >= (LEAST_OWN if is_own else LEAST)

    def _is_given(self, fact: Fact, article: Article) -> bool:
        """Whether a fact is the question's own, and the article speaks of it somewhere."""
        return fact.stands_in(self._question) and fact.stands_in(article.text)

    def _quotes(self, said: _Said, chosen: Sequence[Place]) -> Iterator[Support]:
        """The chosen places cut to the clauses that say so, neighbours as one quote."""
        cut = sorted((self._cut(said, p) for p in chosen), key=lambda p: (p.passage, p.start))
        merged: list[Place] = []
        for place in cut:
            last = merged[-1] if merged else None
            if last and last.passage == place.passage and place.start - last.end <= GAP:
                merged[-1] = self._part(last, last.start, max(last.end, place.end))
            else:
                merged.append(place)
        for place in merged:
            score = float(self._row(said, place).mean())
            yield Support(self._article(place).article_id, place.start, place.end, score)

    def _cut(self, said: _Said, place: Place) -> Place:
        """The shortest run of a place's clauses that keeps its facts and most of its match."""
        spans = _clauses(place)
        whole = self._row(said, place)
        least = KEPT * float(whole.sum())
        held = [fact for fact in said.facts if fact.stands_in(place.heard)]
        runs = [(a, b) for i, (a, _) in enumerate(spans) for _, b in spans[i:]]
        for start, end in sorted(runs, key=lambda run: run[1] - run[0]):
            part = self._part(place, start, end)
            row = self._row(said, part)
            if float(row.sum()) < least or float((whole - row).max()) > LOST:
                continue
            if all(fact.stands_in(part.heard) for fact in held):
                return self._part(part, start, _firm(part))
        return place

    def _part(self, place: Place, start: int, end: int) -> Place:
        article = self._article(place)
        text = article.text[start:end]
        heard = facts.dated(text, article.date)
        return Place(place.passage, start, end, text, heard, place.chance)

    def _row(self, said: _Said, place: Place) -> Floats:
        """For each token of a statement its best match in a place, 0 to 1.

        For each of its words whether it stands there, for a model that gives no tokens.
        """
        match = self._matches[place.passage]
        if not len(said.tokens):
            words = [float(word.stands_in(place.heard)) for word in said.words]
            return np.array(words or [0.0], np.float32)
        if not len(match.tokens.starts):
            return np.zeros(len(said.tokens), np.float32)
        skip = match.front - match.hit.passage.start
        starts = match.tokens.starts.astype(np.int64)
        inside = (starts >= place.start + skip) & (starts < place.end + skip)
        best: Floats = (said.tokens @ self._tokens[place.passage][:, inside]).max(axis=1, initial=0)
        return best

    def _article(self, place: Place) -> Article:
        return self._articles[self._matches[place.passage].hit.passage.article_id]


def _places(n: int, match: Match, chances: Chances) -> Iterator[Place]:
    """The sentences of a passage that speak to a reader."""
    passage = match.hit.passage
    for start, end in chunking.sentences(passage.text):
        text = passage.text[start:end]
        if not orders.is_order(text):
            heard = facts.dated(text, passage.date)
            at = (passage.article_id, passage.start + start, passage.start + end)
            yield Place(n, at[1], at[2], text, heard, chances.get(at, 1.0))


def _clauses(place: Place) -> list[Span]:
    """The clauses of a place as ranges of its article."""
    spans = chunking.clauses(place.text, 0, len(place.text))
    return [(place.start + start, place.start + end) for start, end in spans]


def _firm(place: Place) -> int:
    """Where a place ends without the comma that something followed."""
    return place.start + (len(place.text.rstrip(_LOOSE)) or len(place.text))


def _with_facts(
    best: int, holds: NDArray[np.bool_], missing: list[int]
) -> tuple[list[int], list[int]]:
    """The best place, with others that hold facts it lacks; and the facts that none holds."""
    chosen = [best]
    while missing and len(chosen) < MOST:
        gains = holds[:, missing].sum(axis=1)
        nearness = -np.abs(np.arange(len(holds)) - best)
        further = int(np.lexsort((nearness, gains))[-1])
        if not gains[further]:
            break
        chosen.append(further)
        missing = [i for i in missing if not holds[further, i]]
    return chosen, missing


def _joined(rows: Floats, chosen: list[int]) -> list[int]:
    """The chosen places, with others that meet much of the statement that they don't."""
    while len(chosen) < MOST:
        together = rows[chosen].max(axis=0)
        gains = np.maximum(rows, together).mean(axis=1) - together.mean()
        further = int(gains.argmax())
        if gains[further] < JOINS:
            break
        chosen = [*chosen, further]
    return chosen


def _is_latin(text: str) -> bool:
    return sum(char.isascii() and char.isalpha() for char in text) > len(text) / 2
