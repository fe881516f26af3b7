"""An evaluation as others need it: JSON for a machine, bars for a release.

Does not cover measuring (evaluate.py), the table (report_table.py), the page (report_page.py), nor
the comparison of two reports (compare.py).
"""

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from rag.errors import WrongUse
from rag.evaluate import EvalReport, Outcome, calibration, hit_curve, misses
from rag.measuring.compare import Comparison
from rag.measuring.estimates import Estimate
from rag.measuring.measures import MEASURES, Measure
from rag.measuring.questions import EvalQuestion
from rag.types import Citation

PACKAGES = ("wenbao", "numpy", "onnxruntime", "chromadb", "sentence-transformers", "langchain-core")


# --- JSON ----------------------------------------------------------------------------------------


def to_json(report: EvalReport, comparison: Comparison | None = None) -> dict[str, object]:
    """The whole report. A score of a question is [part, whole]; a measure sums both."""
    compared = {"comparison": comparison.to_json()} if comparison else {}
    return {
        "created": report.created.isoformat(timespec="seconds"),
        "seconds": round(report.seconds, 3),
        "resumed": report.resumed,
        "model": report.model,
        "embedding_model": report.embedding_model,
        "articles": report.counts.articles,
        "passages": report.counts.passages,
        "machine": {"cores": report.cores, "system": platform.platform(terse=True)},
        "versions": {"python": platform.python_version(), **_versions()},
        "metrics": _metrics_json(report.metrics),
        "by_language": {key: _metrics_json(some) for key, some in report.by_language.items()},
        "by_kind": {key: _metrics_json(some) for key, some in report.by_kind.items()},
        "hits": [round(share, 6) for share in hit_curve(report.outcomes)],
        "calibration": [asdict(each) for each in calibration(report.outcomes)],
        "risk_coverage": [asdict(point) for point in report.risk_coverage],
        "missing_evidence": [
            {"id": o.question.id, "evidence": list(o.missing_evidence)}
            for o in report.outcomes
            if o.missing_evidence
        ],
        "missing_passage_ids": [
            {"id": o.question.id, "passage_ids": list(o.missing_passage_ids)}
            for o in report.outcomes
            if o.missing_passage_ids
        ],
        **compared,
        "questions": [_outcome_json(outcome) for outcome in report.outcomes],
    }


def _metrics_json(estimates: Mapping[str, Estimate]) -> dict[str, object]:
    return {name: estimate.to_json() for name, estimate in estimates.items()}


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _outcome_json(outcome: Outcome) -> dict[str, object]:
    """The outcome without the passages' text, which the index has."""
    question, answer = outcome.question, outcome.answer
    return {
        "id": question.id,
        "question": question.text,
        "lang": question.language,
        "kind": question.kind,
        "answerable": question.answerable,
        "answer": answer.answer,
        "abstained": answer.abstained,
        "reason": answer.reason,
        "confidence": round(float(answer.confidence), 6),
        "note": answer.note,
        "ms": round(outcome.ms, 3),
        "ranks": list(outcome.ranks),
        "passages": [hit.passage.passage_id for hit in answer.passages],
        "citations": [
            _citation_json(citation, held)
            for citation, held in zip(answer.citations, outcome.covered, strict=True)
        ],
        "scores": {name: [part, whole] for name, (part, whole) in outcome.scores.items()},
        "missing_evidence": list(outcome.missing_evidence),
        "missing_passage_ids": list(outcome.missing_passage_ids),
        "problems": list(outcome.problems),
        "misses": misses(outcome),
    }


def _citation_json(citation: Citation, covered: frozenset[int]) -> dict[str, object]:
    return {
        "n": citation.n,
        "article_id": citation.article_id,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
        "covers": sorted(covered),
    }


# --- bars ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """A value that a metric must reach, or stay under where low is good."""

    metric: str
    value: float


def bar(text: str) -> Bar:
    """METRIC=VALUE; METRIC is a measure, or one of a language or kind behind a dot (hit@3.zh=0.95).

    Raises:
        WrongUse: if there is no such measure, or the value is no number.
    """
    name, _, value = text.partition("=")
    if name.partition(".")[0] not in MEASURES:
        raise WrongUse(f"There is no measure “{name}”; there are {', '.join(MEASURES)}.")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise WrongUse(f"“{text}” has no number behind “=”; write METRIC=VALUE.")
    return Bar(name, number)


def check_groups(bars: Iterable[Bar], questions: Sequence[EvalQuestion]) -> None:
    """Checks that some question is of each language or kind that a bar names.

    Raises:
        WrongUse: if none is.
    """
    groups = dict.fromkeys([q.language for q in questions] + [q.kind for q in questions if q.kind])
    for each in bars:
        group = each.metric.partition(".")[2]
        if group and group not in groups:
            raise WrongUse(f"No question is of “{group}”; there are {', '.join(groups)}.")


def metric(report: EvalReport, name: str) -> Estimate:
    """A measure by the name that a bar has; no value where it was measured on no question."""
    measure, _, group = name.partition(".")
    groups = {"": report.metrics, **report.by_kind, **report.by_language}
    return groups.get(group, {}).get(measure, Estimate(None, 0))


def missed(report: EvalReport, bars: Iterable[Bar]) -> list[str]:
    """A sentence for each bar that the report misses; a measure of no question misses its bar."""
    return [problem for each in bars if (problem := _miss(report, each))]


def _miss(report: EvalReport, bar: Bar) -> str:
    value = metric(report, bar.metric).value
    if value is None:
        return f"{bar.metric} was measured on no question."
    if _measure(bar).best == "low":
        return f"{bar.metric} is {value:.4g}, over {bar.value:g}." if value > bar.value else ""
    return f"{bar.metric} is {value:.4g}, under {bar.value:g}." if value < bar.value else ""


def _measure(bar: Bar) -> Measure:
    return MEASURES[bar.metric.partition(".")[0]]
