"""What is measured: the name of each measure, how it is shown, and which way is good.

Does not cover measuring (evaluate.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Measure:
    """How a measure is called, which way is good, and whether it sums the scores of questions."""

    name: str
    label: str
    digits: int = 3
    best: Literal["high", "low"] = "high"
    pooled: bool = True


GROUPS: tuple[tuple[str, tuple[Measure, ...]], ...] = (
    (
        "Retrieval",
        (
            Measure("hit@1", "hit@1"),
            Measure("hit@3", "hit@3"),
            Measure("hit@5", "hit@5"),
            Measure("recall@10", "recall@10"),
            Measure("mrr@10", "MRR@10"),
            Measure("ndcg@10", "nDCG@10"),
        ),
    ),
    (
        "Answers",
        (Measure("answer_recall", "answer recall"), Measure("character_f1", "character F1")),
    ),
    (
        "Citations",
        (
            Measure("evidence_recall", "evidence recall"),
            Measure("citation_precision", "citation precision"),
            Measure("quote_compression", "quote compression", 2, "low"),
            Measure("verified_share", "verified share"),
        ),
    ),
    (
        "Abstention",
        (
            Measure("auroc", "AUROC of confidence", pooled=False),
            Measure("refused_unanswerable", "unanswerable refused"),
            Measure("refused_answerable", "answerable refused", best="low"),
        ),
    ),
    (
        "Cost",
        (
            Measure("p50_ms", "p50 ms a question", 1, "low", pooled=False),
            Measure("p95_ms", "p95 ms a question", 1, "low", pooled=False),
            Measure("ingest_seconds", "seconds to ingest", 1, "low", pooled=False),
            Measure("ingest_passages_per_s", "passages/s to ingest", 1, pooled=False),
            Measure("peak_memory_mb", "peak memory, MB", 0, "low", pooled=False),
        ),
    ),
)
MEASURES: Mapping[str, Measure] = {m.name: m for _, measures in GROUPS for m in measures}
POOLED = tuple(name for name in MEASURES if MEASURES[name].pooled)
