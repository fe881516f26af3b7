"""The sentences of the best passages, and how each meets the question.

Each gets a probability that it answers, from how well the question's concepts and tokens meet it
and what the reader makes of it. Does not cover which are quoted (extract.py).
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag import chunking, reader
from rag.retrieve import Clause, Findings, Match, unit
from rag.terms import Concept, normalise, spoken, stands, written
from rag.types import Article
from rag.weights import logistic

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
PROPOSES = re.compile(
    r"建议(?![案书表的很。]|已|采纳)|呼吁|提议|主张|应当|应该|要(?:加|推|完|增|建|把|打|围|引)"
    r"|\b(?:propos|suggest|recommend|urge|should)"
)
_HAS: dict[Kind, re.Pattern[str]] = {
    "how_many": re.compile(r"\d|[一二三四五六七八九十百千万亿两]"),
    "when": re.compile(r"\d+ *[年月日]|近年|去年|今年|日前|目前|\b(?:19|20)\d\d\b"),
    "why": re.compile(r"因|为了|由于|旨在|because|since|due to"),
    "proposal": PROPOSES,
    "list": re.compile(r"建议|要|、|;|；|一是|首先|以及|希望|呼吁"),
    "who": re.compile(r"主席|书记|委员|主任|介绍|表示|记者|说|局长|长"),
    "where": re.compile(r"在|省|市|区|县|镇|村|街|路"),
}


REFERS = re.compile(r"[“]?(?:这|该|其|他|她|它|此|同时|It |They |He |She |This |These )")


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
    proposes = np.array([float(bool(PROPOSES.search(c.text))) for c in pool])
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
        np.array([float(bool(REFERS.match(c.text))) for c in pool]),
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


def chances(weights: Mapping[str, float], rows: NDArray[np.float64]) -> list[float]:
    """The probability of each row of features that its sentence answers."""
    return logistic(FEATURES, weights, rows)
