"""Whether the passages answer the question at all: a probability, and why not where they don't.

A cosine threshold can't tell (the cosines of answerable and unanswerable questions overlap almost
wholly). What tells: names and numbers that the question speaks of and the quoted article doesn't,
words that nobody uses, an answer without the unit asked for. Weights: `weights.json`, fitted by
`make fit`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.extract import choose, seen
from rag.retrieve import Findings
from rag.sentences import Candidate, kind_of
from rag.terms import STOP_WORDS, normalise
from rag.types import Question, Reason

_SIGNS = (
    "cross cosine score_margin names numbers words words_known cross_words_met how_many unit"
    " read read_margin chance only_named alone"
).split()
_PAIRS = np.triu_indices(len(_SIGNS))
# The signs, and what any two say together: a missing name weighs less where the reader is sure.
FEATURES = ["bias", *_SIGNS, *(f"{_SIGNS[i]}*{_SIGNS[j]}" for i, j in zip(*_PAIRS, strict=True))]
_PAIR, _PAIR_MOST = 0.2, 3.0  # of a sign's weight in fitting; what a sign counts at most in a pair
UNHEARD = 4.0  # weight of a word that no passage holds: more than any idf in a small library
SURE = 0.9  # the probability at which a question is answered though a name is in no article
# What a question asks for in a certain unit, and how an answer shows it.
_UNITS = tuple(
    (re.compile(asked, re.I), re.compile(shown))
    for asked, shown in (
        (
            r"多少钱|多少元|票价|运费|报名费|how much (?:money|does .* cost|did .* cost)"
            r"|\bfare\b|\bprice",
            r"元|块|角|免费|免票|yuan|dollar|free",
        ),
        (r"多大年纪|多大岁数|几岁|年龄|how old|\bage of\b", r"岁|years? old|\baged?\b"),
        (r"多少吨|几吨|how many (?:tonnes?|tons?)\b", r"吨|\bton"),
        (r"多少斤|how many jin\b", r"斤|\bjin\b"),
        (r"多少亩|how many mu\b", r"亩|\bmu\b"),
        (
            r"百分|占.*多少|比例|率是多少|percent|what share|\brate\b",
            r"[%％成]|分之|percent|\bshare",
        ),
        (
            r"多少人|几个人|多少名|几[名位]|多少位"
            r"|how many (?:people|members|residents|visitors|passengers|workers)",
            r"[人名位]|people|members|residents|visitors|passengers|workers",
        ),
        (
            r"哪[年天]|何时|(?:什么|啥)时候|几[月号]|哪个月|哪一[天年]|\bwhen\b"
            r"|what (?:date|day|year|month)",
            r"\d ?[年月日]|\b(?:19|20)\d\d\b|[今明去前]年|季度|十四五|前后|日前|半年"
            r"|[春夏秋冬初底点]|[A-Z][a-z]+ \d|\d [A-Z]|year|month|week|day",
        ),
        (
            r"谁|哪位|\bwho\b|\bwhose\b",
            r"主席|书记|委员|主任|局长|记者|院长|教授|[县区市会]长|负责人|说|介绍|牵头|表示|联合|合作|[a-z]",
        ),
    )
)
_TWO_SIDES = re.compile(r"和|与|以及|分别|各|[？?].|\b(?:and|both|each|compared?|than)\b", re.I)
_SMALL_TALK = re.compile(
    r"^\W*(?:hi|hello|hey|thanks?|thank you|good (?:morning|evening|night)|bye|who are you|how are"
    r" you|what can you do|你好|您好|谢谢|早上好|晚上好|再见|你是谁|你能做什么|在吗|哈喽)\W*$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How likely the passages answer; `reason` is set where they are taken not to."""

    confidence: float
    reason: Reason | None = None
    missing: tuple[str, ...] = ()


def small_talk(question: Question) -> bool:
    """Whether this is a greeting or the like, which no article can answer."""
    return _SMALL_TALK.match(question.text) is not None


def is_vague(findings: Findings) -> bool:
    """Whether nothing in the question says what it is about."""
    return all(concept.kind == "number" for concept in findings.concepts)


def missing_names(findings: Findings) -> tuple[str, ...]:
    """Names that the question asks about and that no article holds, as the asker wrote them."""
    return tuple(
        concept.surface
        for concept, idf in zip(findings.concepts, findings.idf, strict=True)
        if concept.kind == "name" and idf == 0 and concept.surface not in STOP_WORDS
    )


def verdict(probability: float, findings: Findings, threshold: float) -> Verdict:
    """Puts a probability into words.

    A name that no article holds is a reason of its own: the passages speak of something else, and
    must be all the surer to count.
    """
    missing = missing_names(findings)
    if is_vague(findings):
        return Verdict(min(probability, threshold / 2), "too_vague")
    if probability >= (max(threshold, SURE) if missing else threshold):
        return Verdict(probability, None)
    if missing:
        return Verdict(min(probability, threshold / 2), "entity_not_found", missing)
    met = [idf for idf in findings.idf if idf > 0]
    return Verdict(probability, "not_in_articles" if met else "off_topic")


def features(
    question: Question, findings: Findings, pool: Sequence[Candidate], chances: Sequence[float]
) -> NDArray[np.float64]:
    """What the judge sees; shape (len(FEATURES),)."""
    signs = _signs(question, findings, pool, chances) if pool else np.zeros(len(_SIGNS))
    bounded = np.clip(signs, -_PAIR_MOST, _PAIR_MOST)
    pairs = _PAIR * bounded[_PAIRS[0]] * bounded[_PAIRS[1]]
    return np.concatenate([[1.0], signs, pairs])


def _signs(
    question: Question, findings: Findings, pool: Sequence[Candidate], chances: Sequence[float]
) -> NDArray[np.float64]:
    """What is seen by itself; shape (len(_SIGNS),)."""
    best = max(range(len(pool)), key=lambda i: chances[i])
    asked = _Asked.of(question, findings, pool, chances)
    near = normalise(" ".join(c.text for c in _near(pool, best)))
    cross = float(_is_cross(question, pool[best].text))
    scores = [hit.score for hit in findings.hits]
    own = pool[best].match.hit.passage.article_id
    read = max(c.read for c in pool)
    others = [c.read for c in pool if c.match.hit.passage.article_id != own]
    return np.array(
        [
            cross,
            (max(hit.cosine for hit in findings.hits) - 0.85) * 10,
            (scores[0] - float(np.mean(scores[1:6] or scores))) * 10,
            float(asked.lacks("name", of=asked.article)),
            float(sum(asked.lacks("number", of=met) for met in asked.circles)),
            min(int(asked.words.sum()), 12) / 6,
            asked.share(asked.library),
            cross * asked.share(asked.passage),
            float(kind_of(question.text) == "how_many"),
            float(_lacks_unit(question.text, near)),
            read / 4,
            min(read - max(others), 8) / 4 if others else 0.0,
            math.log(chances[best] / (1 - chances[best])),
            float(asked.is_only_named()),
            float(not others),
        ]
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The question's concepts: what kind, how much each weighs, and how near it stands.

    All arrays have shape (number of concepts,). `near` is the best sentence with its neighbours,
    `passage` its passage, `article` its article (for a question of two sides all that an answer
    would quote), `library` everything.
    """

    kinds: NDArray[np.str_]
    words: NDArray[np.bool_]
    weights: NDArray[np.float64]
    near: NDArray[np.bool_]
    passage: NDArray[np.bool_]
    article: NDArray[np.bool_]
    library: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        question: Question,
        findings: Findings,
        pool: Sequence[Candidate],
        chances: Sequence[float],
    ) -> "_Asked":
        """Where the concepts of a question stand, seen from the best sentence of the pool."""
        found, idf = findings.concepts, np.array(findings.idf)
        best = max(range(len(pool)), key=lambda i: chances[i])
        ids = {pool[best].match.hit.passage.article_id}
        if _TWO_SIDES.search(question.text):
            quotes = choose(question.text, seen(pool, chances, findings))
            ids |= {quote.article_id for quote in quotes}
        whole = [m.concepts for m in findings.matches if m.hit.passage.article_id in ids]
        around = [c.around for c in pool if c.match.hit.passage.article_id in ids]
        return cls(
            np.array([c.kind for c in found], str),
            np.array([c.kind == "word" and c.solid for c in found], bool),
            np.where(idf > 0, np.maximum(idf, 0.3), max(UNHEARD, idf.max(initial=0.0))),
            np.any([c.here for c in _near(pool, best)], axis=0),
            np.any([c.around for c in pool if c.match is pool[best].match], axis=0),
            np.any(np.array(whole) > 0, axis=0) | np.any(around, axis=0),
            idf > 0,
        )

    @property
    def circles(self) -> tuple[NDArray[np.bool_], ...]:
        """Wider and wider."""
        return self.near, self.passage, self.article, self.library

    def lacks(self, kind: str, of: NDArray[np.bool_]) -> bool:
        """Whether some concept of this kind doesn't stand in a circle."""
        return bool(((self.kinds == kind) & ~of).any())

    def is_only_named(self) -> bool:
        """Whether a name is all that is asked about, and stands near: "who is He Wenbo?"."""
        named = self.kinds == "name"
        return not self.words.any() and bool(named.any()) and bool((self.near & named).any())

    def share(self, met: NDArray[np.bool_]) -> float:
        """The share of the question's words that a circle holds, the rarer weighing more."""
        total = float(self.weights @ self.words)
        return float(self.weights @ (self.words & met)) / total if total else 0.75


def _near(pool: Sequence[Candidate], best: int) -> list[Candidate]:
    """A sentence and its neighbours in the passage."""
    around = pool[max(0, best - 1) : best + 2]
    return [c for c in around if c.match is pool[best].match]


def _lacks_unit(question: str, text: str) -> bool:
    """Whether the question wants a sum, an age, a date ..., and the text shows none."""
    shown = next((shown for asked, shown in _UNITS if asked.search(question)), None)
    return shown is not None and not shown.search(text)


def _is_cross(question: Question, text: str) -> bool:
    """Whether question and passage are in different scripts."""
    chinese = sum("一" <= char <= "鿿" for char in text)
    return (question.language == "zh") != (chinese > len(text) / 4)
