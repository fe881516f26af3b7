"""The answer when no language model is set: the few sentences that answer, framed.

Each sentence of the best passages gets a probability that it answers, from how well the question's
concepts and tokens meet it; how many are taken follows from these and from the kind of question.
Does not cover whether to answer at all (judge.py).
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag import chunking, reader
from rag.chunking import Span
from rag.retrieve import Clause, Findings, Match, unit
from rag.terms import Concept, normalise, spoken, stands, written
from rag.types import Article
from rag.weights import logistic
from rag.words import names

Kind = Literal["proposal", "list", "how_many", "when", "who", "where", "why", "other"]

PASSAGES = 8  # whose sentences are considered

_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        "proposal",
        re.compile(
            r"建议|提议|提案|主张|呼吁|对策|支招|\b(?:propos|suggest|recommend|advi[sc]e|advocat|urge)",
            re.I,
        ),
    ),
    (
        "list",
        re.compile(
            r"哪些|哪[几两三四五六七八九十]|分别|列举|(?:什么|啥)(?:主意|办法|意见|措施|变化|好处)"
            r"|\b(?:which|what)\b.*\b(?:\w+s|ideas)\b.*\?*$"
            r"|\b(?:list|measures|steps|ways|two|three|four|five|six|seven)\b",
            re.I,
        ),
    ),
    (
        "how_many",
        re.compile(
            r"多少|几[个家人项条名次]|多[大长高远久]"
            r"|how (?:many|much|long|big|far|tall|large)|number of",
            re.I,
        ),
    ),
    (
        "when",
        re.compile(
            r"何时|什么时候|哪[年天月一]|几[月日号]|\bwhen\b|what (?:date|day|year|month)", re.I
        ),
    ),
    ("who", re.compile(r"谁|哪位|何人|\bwho\b|\bwhose\b", re.I)),
    ("where", re.compile(r"哪里|哪儿|何地|什么地方|在哪|\bwhere\b", re.I)),
    ("why", re.compile(r"为什么|为何|原因|\bwhy\b|reason", re.I)),
)
_COUNTS = re.compile(r"多少|how (?:many|much)|number of", re.I)
_PROPOSES = re.compile(
    r"建议(?![案书表的很。]|已|采纳)|呼吁|提议|主张|应当|应该|要(?:加|推|完|增|建|把|打|围|引)"
    r"|\b(?:propos|suggest|recommend|urge|should)"
)
_HAS: dict[Kind, re.Pattern[str]] = {
    "how_many": re.compile(r"\d|[一二三四五六七八九十百千万亿两]"),
    "when": re.compile(r"\d+ *[年月日]|近年|去年|今年|日前|目前|\b(?:19|20)\d\d\b"),
    "why": re.compile(r"因|为了|由于|旨在|because|since|due to"),
    "proposal": _PROPOSES,
    "list": re.compile(r"建议|要|、|;|；|一是|首先|以及|希望|呼吁"),
    "who": re.compile(r"主席|书记|委员|主任|介绍|表示|记者|说|局长|长"),
    "where": re.compile(r"在|省|市|区|县|镇|村|街|路"),
}


_REFERS = re.compile(r"[“]?(?:这|该|其|他|她|它|此|同时|It |They |He |She |This |These )")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may answer: `article.text[start:end]`, and how it meets the question.

    `late` is the mean best token match, `sharp` the same with telling tokens weighing more;
    `here` says for each concept whether it stands in the sentence or its article's heading, which
    every sentence is about; `around` whether it stands in the passage;
    `row` is the best match of each of the question's tokens, shape (n,); `clauses` are the
    sentence's, empty where the reader hasn't read it.
    """

    match: Match
    start: int
    end: int
    text: str
    late: float
    sharp: float
    here: tuple[bool, ...]
    around: tuple[bool, ...]
    row: NDArray[np.float32] = field(compare=False)
    clauses: tuple[Clause, ...] = ()

    @property
    def read(self) -> float:
        """The reader's logit of the likeliest clause."""
        return max((clause.logit for clause in self.clauses), default=reader.LOWEST)


FEATURES = (
    "bias late late_gap sharp_gap coverage coverage_gap around around_gap names passage_gap"
    " token_gap same_article first kind length heading refers before after"
    " list list_same list_late list_coverage proposal proposes proposes_same proposes_first"
    " read read_gap list_read read_before read_after"
).split()


def parts(question: str) -> list[str]:
    """The questions that are asked at once: "how many A, and when did B?", 「A和B各有多少？」.

    One that leans on another ("and when was it?") isn't a question of its own.
    """
    if match := _EACH.match(question):
        return [f"{side}，{match['rest']}" for side in (match["one"], match["other"])]
    pieces = [piece.strip() for piece in _NEXT_QUESTION.split(question)]
    own = [piece for piece in pieces if _ASKS.search(piece) and not _LEANS.search(piece)]
    return pieces if len(pieces) > 1 and len(own) == len(pieces) else [question]


def kind_of(question: str) -> Kind:
    """What kind of answer a question wants."""
    return next((kind for kind, pattern in _KINDS if pattern.search(question)), "other")


def candidates(findings: Findings, articles: Mapping[str, Article]) -> list[Candidate]:
    """The sentences of the best passages, best passage first, each once."""
    query = unit(findings.tokens)
    places = [
        (match, match.hit.passage.start + start, match.hit.passage.start + end)
        for match in findings.matches[:PASSAGES]
        if match.hit.passage.article_id in articles  # else it was removed meanwhile
        for start, end in chunking.sentences(match.hit.passage.text)
    ]
    matches = np.array([_token_matches(query, *place) for place in places])
    weights = _telling(matches) if places else matches
    headed = {
        article_id: _standing(findings, f"{article.title} {article.subtitle}")
        for article_id, article in articles.items()
        if any(match.hit.passage.article_id == article_id for match, _, _ in places)
    }
    return [
        _candidate(findings, place, articles, headed, row, weights)
        for place, row in zip(places, matches, strict=True)
    ]


def _candidate(
    findings: Findings,
    place: tuple[Match, int, int],
    articles: Mapping[str, Article],
    headed: Mapping[str, tuple[bool, ...]],
    row: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> Candidate:
    match, start, end = place
    article_id = match.hit.passage.article_id
    text = articles[article_id].text[start:end]
    there = tuple(part > 0 for part in match.concepts)
    own = _standing(findings, text, there)
    here = tuple(a or b for a, b in zip(headed[article_id], own, strict=True))
    around = tuple(a or b for a, b in zip(there, here, strict=True))
    late = float(row.mean()) if len(row) else 0.0
    sharp = float(row @ weights) if len(row) else 0.0
    clauses = tuple(c for c in match.clauses if start <= c.start and c.end <= end)
    return Candidate(match, start, end, text, late, sharp, here, around, row, clauses)


def _standing(
    findings: Findings, text: str, there: Sequence[bool] | None = None
) -> tuple[bool, ...]:
    """Which concepts stand in a text; `there` says which stand around it, if that is known."""
    plain = normalise(text)
    form = written(plain)
    wanted = [True] * len(findings.concepts) if there is None else there
    is_heard = any(c.sounds and w for c, w in zip(findings.concepts, wanted, strict=True))
    sound = spoken(plain) if is_heard else ""
    return tuple(
        wants and stands(concept, form, sound)
        for concept, wants in zip(findings.concepts, wanted, strict=True)
    )


def _token_matches(
    query: NDArray[np.float32], match: Match, start: int, end: int
) -> NDArray[np.float32]:
    """For each of the question's tokens its best match with a token of the sentence."""
    none = np.zeros(len(query), np.float32)
    if not len(query) or not len(match.tokens.starts):
        return none
    skip = match.front - match.hit.passage.start
    starts = match.tokens.starts.astype(np.int64)
    inside = (starts >= start + skip) & (starts < end + skip)
    best: NDArray[np.float32] = (query @ unit(match.tokens)[inside].T).max(axis=1, initial=0.0)
    return best


def _telling(matches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights of the question's tokens: those that some sentences meet and others don't."""
    spread = matches.std(axis=0) + 1e-6
    weights: NDArray[np.float32] = spread / spread.sum()
    return weights


def features(question: str, findings: Findings, pool: Sequence[Candidate]) -> NDArray[np.float64]:
    """What the model of a sentence sees; shape (n, len(FEATURES))."""
    if not pool:
        return np.zeros((0, len(FEATURES)))
    kind = kind_of(question)
    idf = np.maximum(np.array(findings.idf), 0.1)
    total = max(float(idf.sum()), 1e-9)
    coverage = np.array([c.here for c in pool]) @ idf / total if len(idf) else np.zeros(len(pool))
    around = np.array([c.around for c in pool]) @ idf / total if len(idf) else np.zeros(len(pool))
    late = np.array([c.late for c in pool])
    sharp = np.array([c.sharp for c in pool])
    score = np.array([c.match.hit.score for c in pool])
    tokens = np.array([c.match.hit.tokens for c in pool])
    same = np.array([c.match.hit.passage.article_id for c in pool])
    same_article = (same == same[0]).astype(float)
    first = np.array([float(c.match is pool[0].match) for c in pool])
    late_gap, coverage_gap = (late - late.max()) * 20, coverage - coverage.max()
    read = np.array([c.read for c in pool])
    read_gap = np.maximum((read - read.max()) / 4, -3.0)
    has = _HAS.get(kind)
    is_list, is_proposal = float(kind == "list"), float(kind == "proposal")
    proposes = np.array([float(bool(_PROPOSES.search(c.text))) for c in pool])
    columns = [
        np.ones(len(pool)),
        (late - 0.8) * 10,
        late_gap,
        (sharp - sharp.max()) * 20,
        coverage,
        coverage_gap,
        around,
        around - around.max(),
        np.array([_name_share(findings.concepts, c) for c in pool]),
        (score - score.max()) * 10,
        (tokens - tokens.max()) * 20,
        same_article,
        first,
        np.array([float(bool(has and has.search(c.text))) for c in pool]),
        np.array([min(len(c.text), 200) / 100 for c in pool]),
        np.array([float(len(c.text) < 30 and c.text[-1:] not in "。！？!?”.") for c in pool]),
        np.array([float(bool(_REFERS.match(c.text))) for c in pool]),
        _neighbour(pool, late_gap, -1),
        _neighbour(pool, late_gap, 1),
        np.full(len(pool), is_list),
        is_list * same_article,
        is_list * late_gap,
        is_list * coverage_gap,
        np.full(len(pool), is_proposal),
        is_proposal * proposes,
        is_proposal * proposes * same_article,
        is_proposal * proposes * first,
        read / 4,
        read_gap,
        is_list * read_gap,
        _neighbour(pool, read_gap, -1),
        _neighbour(pool, read_gap, 1),
    ]
    return np.stack(columns, axis=1)


def _name_share(found: Sequence[Concept], candidate: Candidate) -> float:
    """Share of the question's names and numbers that the sentence itself holds."""
    named = [h for h, c in zip(candidate.here, found, strict=True) if c.kind != "word"]
    return sum(named) / len(named) if named else 0.5


def _neighbour(
    pool: Sequence[Candidate], values: NDArray[np.float64], step: int
) -> NDArray[np.float64]:
    """The value of the sentence before or behind, -2 where there is none."""
    at = {(c.match.hit.passage.passage_id, c.start): i for i, c in enumerate(pool)}
    order = [at[key] for key in sorted(at)]
    found = np.full(len(pool), -2.0)
    for i, j in itertools.pairwise(order):
        a, b = (i, j) if step > 0 else (j, i)
        if pool[i].match is pool[j].match:
            found[a] = values[b]
    return found


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
_LOOSE = "，,；;：:、"  # what a quote doesn't end with
GAP = 3  # characters that may stand between neighbouring sentences: a newline, spaces


def chances(weights: Mapping[str, float], rows: NDArray[np.float64]) -> list[float]:
    """The probability of each row of features that its sentence answers."""
    return logistic(FEATURES, weights, rows)


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
        end = candidate.start + len(candidate.text[: end - candidate.start].rstrip(_LOOSE))
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
        and _PROPOSES.search(s.text)
    ]
    if any(s.names_asked for s in proposing):
        proposing = _of_the_named(proposing)
    return sorted(proposing, key=lambda s: -s.probability) or list(taken)


def _of_the_named(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Those with the person asked about, each with what goes on from it: "he also proposed"."""
    kept: list[Sentence] = []
    for s in sorted(sentences, key=lambda s: s.start):
        goes_on = bool(kept) and _touch(kept[-1], s) and _REFERS.match(s.text)
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
                or (s is before and low == high and _REFERS.match(sentence.text))
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
