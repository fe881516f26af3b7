"""The answer when no language model is set: the few sentences that answer, framed.

How many are quoted, and how much of each, follows from how likely each answers (sentences.py) and
from the kind of question. Does not cover whether to answer at all (judge.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rag.chunking import Span
from rag.retrieve import Findings
from rag.sentences import PROPOSES, REFERS, Candidate, Kind, kind_of
from rag.terms import Concept
from rag.words import names

_COUNTS = re.compile(r"多少|how (?:many|much)|number of", re.I)


def parts(question: str) -> list[str]:
    """The questions that are asked at once: "how many A, and when did B?", 「A和B各有多少？」.

    One that leans on another ("and when was it?") isn't a question of its own.
    """
    if match := _EACH.match(question):
        return [f"{side}，{match['rest']}" for side in (match["one"], match["other"])]
    pieces = [piece.strip() for piece in _NEXT_QUESTION.split(question)]
    own = [piece for piece in pieces if _ASKS.search(piece) and not _LEANS.search(piece)]
    return pieces if len(pieces) > 1 and len(own) == len(pieces) else [question]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A candidate as the choice sees it.

    `meets` is, for each concept of the question, its idf if it stands in the passage, else 0.
    `core` is the range of the clauses that seem to answer; `names_asked` says whether a person
    who is asked about stands in the sentence or its heading.
    """

    article_id: str
    start: int
    end: int
    text: str
    probability: float
    meets: tuple[float, ...] = ()
    core: Span | None = None
    names_asked: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """A span to cite, of one or more neighbouring sentences, and the best probability in it."""

    article_id: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True, slots=True)
class Taste:
    """How much is taken. Source: DECISIONS.md, choosing sentences."""

    least: float  # probability of a further sentence
    share: float  # of the best one's probability, at least
    most: int  # sentences before growing
    grow: float  # share of its neighbour's probability that draws a sentence in
    chars: int  # a quote grows no longer than this
    whole: bool = True  # sentences are quoted whole, not only their core


USUAL = Taste(least=0.25, share=0.3, most=3, grow=0.2, chars=240, whole=False)
LISTS = Taste(least=0.2, share=0.3, most=8, grow=0.2, chars=320)
PROPOSALS = Taste(least=0.2, share=0.3, most=8, grow=9.0, chars=320)
_TASTES: dict[Kind, Taste] = {"list": LISTS, "proposal": PROPOSALS}
PROPOSES_SHARE = 0.18  # of the best sentence's probability that a proposing sentence must have
OTHER_SIDE = 0.25  # of the question's idf that a second article must meet and the first doesn't
_NEXT_QUESTION = re.compile(
    r"(?:,\s*|\s+)and\s+(?=(?:how|what|when|who|where|why|which)\b)|[，；;？?](?=.*[㐀-鿿].{3})",
    re.I,
)
_ASKS = re.compile(
    r"多少|什么|哪|谁|何|几|怎|\b(?:how|what|when|who|where|why|which|is|are|did|does|do)\b", re.I
)
_LEANS = re.compile(
    r"^(?:比|又|还|分别|现在|今年|其|它|他|她|这|那)|^.{0,7}$"
    r"|\b(?:s?he|they|it|her|his|their|its|them|one|that|this)\b",
    re.I,
)
_EACH = re.compile(
    r"(?P<one>[^，,。]{2,20}?)[和与跟](?P<other>[^。]{2,30}?)[，,]?\s*(?:各|分别)(?:自|是)?(?P<rest>.+)"
)
_TWO_SIDES = re.compile(
    r"和|与|以及|还有|分别|相比|比较|各|两[个地家]|\b(?:and|both|each|versus|vs|compare|compared|than)\b",
    re.I,
)
_FIRST = re.compile(r"^[“]?(?:其一|一是|第一|首先|头一|[（(]?一[、)）]|1[.、)）])")
_ORDINAL = re.compile(
    r"^[“]?(?:其[一二三四五六]|[一二三四五六]是|第[一二三四五六]|头[一二]|首先|其次|再次|最后|另一[个件支条项种]"
    r"|[（(]?[一二三四五六七八九][、)）]|[1-9][.、)）])"
)
_COUNT = re.compile(
    r"[两二三四五六七八九十几2-9](?:大|个方)?[条个件项点面味类招笔本种步支][^，,。]{0,8}[。：:]?$"
)
ANNOUNCED = 200  # characters that may stand between a count and the first item
NARROW = 4.0  # a clause this much less likely than the best of its sentence isn't quoted
LOOSE = "，,；;：:、"  # what a quote doesn't end with
GAP = 3  # characters that may stand between neighbouring sentences: a newline, spaces


def seen(
    pool: Sequence[Candidate], probabilities: Sequence[float], findings: Findings
) -> list[Sentence]:
    """The candidates as the choice sees them."""
    return [
        Sentence(
            c.match.hit.passage.article_id,
            c.start,
            c.end,
            c.text,
            probability,
            tuple(idf if a else 0.0 for idf, a in zip(findings.idf, c.around, strict=True)),
            core(c),
            any(h and _is_person(a) for h, a in zip(c.here, findings.concepts, strict=True)),
        )
        for c, probability in zip(pool, probabilities, strict=True)
    ]


def _is_person(concept: Concept) -> bool:
    """Whether a concept is a person's name: two words in English, no place in Chinese."""
    name = concept.surface
    if concept.kind != "name":
        return False
    return " " in name if name.isascii() else not names.is_place(name)


def core(candidate: Candidate) -> Span:
    """The range of a sentence's clauses that seem to answer, without what hangs on at its ends."""
    least = candidate.read - NARROW
    kept = [c for c in candidate.clauses if c.logit >= least]
    if not kept:
        return candidate.start, candidate.end
    start, end = kept[0].start, kept[-1].end
    if end < candidate.end:
        end = candidate.start + len(candidate.text[: end - candidate.start].rstrip(LOOSE))
    return start, end


def choose(question: str, sentences: Sequence[Sentence]) -> list[Quote]:
    """The quotes that answer, best first; `sentences` best passage first, each once."""
    if not sentences:
        return []
    kind = kind_of(question)
    if _COUNTS.search(question):
        kind = "how_many"  # of proposals, say: not the proposals
    taste = _TASTES.get(kind, USUAL)
    ranked = sorted(sentences, key=lambda s: -s.probability)
    best = ranked[0].probability
    taken = [ranked[0]] + [
        s for s in ranked[1 : taste.most] if s.probability >= max(taste.least, taste.share * best)
    ]
    likeliest = taken
    if kind == "proposal":
        taken = _proposals(taken, sentences)
    if _TWO_SIDES.search(question):
        taken += _other_side(taken, sentences)
    ordered = sorted(sentences, key=lambda s: (s.article_id, s.start))
    grown = [_grow(s, ordered, taste) for s in taken]
    if taste is not USUAL:
        items = _siblings([*likeliest, *taken], sentences)
        grown += [Quote(s.article_id, s.start, s.end, 0.0) for s in items]
    return merged(grown, gap=0 if taste is not USUAL else GAP)


def _proposals(taken: Sequence[Sentence], sentences: Sequence[Sentence]) -> list[Sentence]:
    """What the best article proposes, without what stands around it; else what was taken."""
    best = taken[0]
    proposing = [
        s
        for s in sentences
        if s.article_id == best.article_id
        and s.probability >= PROPOSES_SHARE * best.probability
        and PROPOSES.search(s.text)
    ]
    if any(s.names_asked for s in proposing):
        proposing = _of_the_named(proposing)
    return sorted(proposing, key=lambda s: -s.probability) or list(taken)


def _of_the_named(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Those with the person asked about, each with what goes on from it: "he also proposed"."""
    kept: list[Sentence] = []
    for s in sorted(sentences, key=lambda s: s.start):
        goes_on = bool(kept) and _touch(kept[-1], s) and REFERS.match(s.text)
        if s.names_asked or goes_on:
            kept.append(s)
    return kept


def _siblings(taken: Sequence[Sentence], sentences: Sequence[Sentence]) -> list[Sentence]:
    """The other items of an enumeration that a taken sentence belongs to, or announces."""
    found: list[Sentence] = []
    for run in _enumerations(sentences):
        first, last = run[0], run[-1]
        if any(
            s.article_id == first.article_id
            and (
                first.start <= s.start <= last.start
                if _ORDINAL.match(s.text)
                else _announces(s, run)
            )
            for s in taken
        ):
            found += [s for s in run if s not in taken]
    return found


def _enumerations(sentences: Sequence[Sentence]) -> list[list[Sentence]]:
    """The numbered sentences of each article in reading order, from each first item on."""
    runs: list[list[Sentence]] = []
    for s in sorted(sentences, key=lambda s: (s.article_id, s.start)):
        if not _ORDINAL.match(s.text):
            continue
        if not runs or runs[-1][0].article_id != s.article_id or _FIRST.match(s.text):
            runs.append([])
        runs[-1].append(s)
    return runs


def _announces(sentence: Sentence, run: Sequence[Sentence]) -> bool:
    """Whether a sentence says how many items follow: "the group made four proposals"."""
    ahead = run[0].start - sentence.end
    return 0 <= ahead <= ANNOUNCED and bool(_COUNT.search(sentence.text))


def _other_side(taken: Sequence[Sentence], sentences: Sequence[Sentence]) -> list[Sentence]:
    """The best sentence of another article, if that article is about what is left of the question.

    "How many A has X, and how many has Y?" is answered by two articles.
    """
    articles = {s.article_id for s in taken}
    met = np.max([s.meets for s in sentences if s.article_id in articles], axis=0, initial=0.0)
    total = float(np.max([s.meets for s in sentences], axis=0, initial=0.0).sum()) or 1.0
    best: dict[str, Sentence] = {}
    for s in sentences:
        if s.article_id not in articles:
            new = float(np.maximum(np.array(s.meets) - met, 0.0).sum())
            seen = best.get(s.article_id)
            if new >= OTHER_SIDE * total and (not seen or s.probability > seen.probability):
                best[s.article_id] = s
    return sorted(best.values(), key=lambda s: -s.probability)[:1]


def _grow(sentence: Sentence, ordered: Sequence[Sentence], taste: Taste) -> Quote:
    """Draws in neighbours that seem to answer too, and what a leading pronoun refers to."""
    low = high = ordered.index(sentence)
    while True:
        before = ordered[low - 1] if low and _touch(ordered[low - 1], ordered[low]) else None
        after = ordered[high + 1] if high + 1 < len(ordered) else None
        if after and not _touch(ordered[high], after):
            after = None
        options = [
            (s.probability, s is before)
            for s in (before, after)
            if s
            and (
                s.probability >= taste.grow * sentence.probability
                or (s is before and low == high and REFERS.match(sentence.text))
            )
            and max(ordered[high].end, s.end) - min(ordered[low].start, s.start) <= taste.chars
        ]
        if not options:
            start, end = _quoted(ordered[low], taste)[0], _quoted(ordered[high], taste)[1]
            return Quote(sentence.article_id, start, end, sentence.probability)
        if max(options)[1]:
            low -= 1
        else:
            high += 1


def _quoted(sentence: Sentence, taste: Taste) -> Span:
    """What is quoted of a sentence."""
    if taste.whole or sentence.core is None:
        return sentence.start, sentence.end
    return sentence.core


def _touch(first: Sentence, second: Sentence) -> bool:
    return first.article_id == second.article_id and -1 <= second.start - first.end <= GAP


def merged(quotes: Sequence[Quote], gap: int = 0) -> list[Quote]:
    """Quotes that overlap or stand closer than the gap become one; best first."""
    kept: list[Quote] = []
    for quote in sorted(quotes, key=lambda q: (q.article_id, q.start)):
        last = kept[-1] if kept else None
        if last and last.article_id == quote.article_id and quote.start < last.end + gap:
            kept[-1] = Quote(
                last.article_id,
                last.start,
                max(last.end, quote.end),
                max(last.probability, quote.probability),
            )
        else:
            kept.append(quote)
    return sorted(kept, key=lambda q: -q.probability)
