"""What is found for a question: passages whose articles still stand, and what their sentences say.

Does not cover whether that answers it (judge.py), nor how it is told (answer.py).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag import sentences
from rag.records import Records
from rag.retrieve import Findings, Retriever
from rag.types import Article, Question


@dataclass(frozen=True, slots=True)
class Sight:
    """Passages, their articles, and the sentences in them, each with the chance that it answers."""

    findings: Findings
    articles: Mapping[str, Article]
    pool: Sequence[sentences.Candidate]
    chances: Sequence[float]
    search_ms: float

    def best_article(self) -> Article:
        """The article of the sentence that answers most likely; there must be one."""
        best = max(range(len(self.pool)), key=lambda i: self.chances[i])
        return self.articles[self.pool[best].match.hit.passage.article_id]


def look(
    question: Question, retriever: Retriever, records: Records, sentence: Mapping[str, float]
) -> Sight:
    """What is found for a question; `sentence` are the weights of a sentence's features."""
    started = time.perf_counter()
    findings = retriever.search(question)
    search_ms = (time.perf_counter() - started) * 1000 - findings.embed_ms
    ids = dict.fromkeys(hit.passage.article_id for hit in findings.hits)
    articles = {id_: article for id_ in ids if (article := records.find(id_))}
    findings = _current(findings, articles)
    pool = sentences.candidates(findings, articles)
    chances = sentences.chances(sentence, sentences.features(question.text, findings, pool))
    return Sight(findings, articles, pool, chances, search_ms)


def _current(findings: Findings, articles: Mapping[str, Article]) -> Findings:
    """The findings without passages of articles that were removed or changed meanwhile."""
    kept = [
        match
        for match in findings.matches
        if (passage := match.hit.passage).article_id in articles
        and articles[passage.article_id].text[passage.start : passage.end] == passage.text
    ]
    return replace(findings, matches=tuple(kept))
