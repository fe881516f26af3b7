"""An evaluation as others need it: JSON for a machine, a table for a terminal, bars for a release.

Does not cover measuring (evaluate.py), plots, nor the comparison of two reports.
"""

import math
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rag.evaluate import GROUPS, MEASURES, REJECTED, EvalReport, Measure, Outcome
from rag.metrics import Estimate
from rag.types import Citation

PACKAGES = ("wenbao", "numpy", "onnxruntime", "chromadb", "sentence-transformers", "langchain-core")


# --- JSON ----------------------------------------------------------------------------------------


def to_json(report: EvalReport) -> dict[str, object]:
    """The whole report. A score of a question is [part, whole]; a measure sums both."""
    return {
        "created": report.created.isoformat(timespec="seconds"),
        "seconds": round(report.seconds, 3),
        "model": report.model,
        "embedding_model": report.embedding_model,
        "articles": report.counts.articles,
        "passages": report.counts.passages,
        "machine": {"cores": report.cores, "system": platform.platform(terse=True)},
        "versions": {"python": platform.python_version(), **_versions()},
        "metrics": _metrics_json(report.metrics),
        "by_language": {key: _metrics_json(some) for key, some in report.by_language.items()},
        "by_kind": {key: _metrics_json(some) for key, some in report.by_kind.items()},
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
    """METRIC=VALUE, for example hit@3.zh=0.95; also METRIC of a kind, hit@3.list=0.9.

    Raises:
        ValueError: in one sentence, if there is no such measure or the value is no number.
    """
    name, _, value = text.partition("=")
    _measure(name)
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f'"{text}" has no number behind "="; write METRIC=VALUE.')
    return Bar(name, number)


def metric(report: EvalReport, name: str) -> Estimate:
    """A measure by name: over all questions, or of a language or kind behind a dot (hit@3.zh).

    Raises:
        ValueError: in one sentence, if there is no such measure, language or kind.
    """
    measure, group = _measure(name), name.partition(".")[2]
    if not group:
        return report.metrics.get(measure.name, Estimate(None, 0))
    groups = {**report.by_kind, **report.by_language}
    if group not in groups:
        raise ValueError(f"No question is of {group}; there are {', '.join(groups)}.")
    return groups[group].get(measure.name, Estimate(None, 0))


def missed(report: EvalReport, bars: Iterable[Bar]) -> list[str]:
    """A sentence for each bar that the report misses; a measure of no question misses its bar.

    Raises:
        ValueError: as `metric`.
    """
    return [problem for each in bars if (problem := _miss(report, each))]


def _miss(report: EvalReport, bar: Bar) -> str:
    value = metric(report, bar.metric).value
    if value is None:
        return f"{bar.metric} was measured on no question."
    if _measure(bar.metric).best == "low":
        return f"{bar.metric} is {value:.4g}, over {bar.value:g}." if value > bar.value else ""
    return f"{bar.metric} is {value:.4g}, under {bar.value:g}." if value < bar.value else ""


def _measure(name: str) -> Measure:
    measure = MEASURES.get(name.partition(".")[0])
    if measure is None:
        raise ValueError(f'There is no measure "{name}"; there are {", ".join(MEASURES)}.')
    return measure


# --- the table -----------------------------------------------------------------------------------

_LANGUAGES = {"zh": "Chinese", "en": "English"}
_KIND_COLUMNS = {
    "hit@3": "hit@3",
    "answer_recall": "answers",
    "evidence_recall": "evidence",
    "citation_precision": "precision",
}
_COVERAGES = (0.1, 0.25, 0.5, 0.75, 1.0)
_SHOWN = 5  # of the things that are wrong with a file or an answer; report.json has all


def table(report: EvalReport) -> RenderableType:
    """The report for a terminal of 100 columns: measures, kinds, the risk curve, what is wrong."""
    parts: list[RenderableType] = [_heading(report), _measures_table(report)]
    if report.by_kind:
        parts.append(_kinds_table(report))
    if report.risk_coverage:
        parts.append(_risk_table(report))
    return Group(*parts, *_warnings(report))


def _heading(report: EvalReport) -> Text:
    counts = report.counts
    return Text(
        f"{len(report.outcomes)} questions over {counts.articles} articles"
        f" ({counts.passages} passages), {report.model or 'no model'}, {report.seconds:.1f} s on"
        f" {report.cores} cores. Each cell: value, 95 % interval, number of questions."
    )


def _plain_table(*columns: str) -> Table:
    """A table with a column of names, folded if need be, then columns of figures."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for i, title in enumerate(columns):
        made.add_column(title, justify="right" if i else "left", no_wrap=i > 0, overflow="fold")
    return made


def _measures_table(report: EvalReport) -> Table:
    made = _plain_table("", "all", *(_LANGUAGES[key] for key in report.by_language))
    columns = [report.metrics, *report.by_language.values()]
    for group, measures in GROUPS:
        made.add_section()
        made.add_row(Text(group, style="bold"))
        for measure in measures:
            if measure.name in report.metrics:
                cells = [_cell(some.get(measure.name), measure.digits, n=True) for some in columns]
                made.add_row(Text(f"  {measure.label}"), *cells)
    return made


def _kinds_table(report: EvalReport) -> Table:
    """Kinds of question by name; those that can't be answered have a line of their own."""
    made = _plain_table("kind", "n", *_KIND_COLUMNS.values(), "refused")
    for kind, some in report.by_kind.items():
        for refused in ("refused_answerable", "refused_unanswerable"):
            if some[refused].n:
                answered = refused == "refused_answerable"
                cells = [
                    _cell(some[name] if answered else None, digits=2) for name in _KIND_COLUMNS
                ]
                n = Text(str(some[refused].n))
                made.add_row(Text(_shown(kind)), n, *cells, _cell(some[refused], digits=2))
    return made


def _cell(estimate: Estimate | None, digits: int, n: bool = False) -> Text:
    """Value, interval and n; a dash where no question has it, blank where there is nothing."""
    if estimate is None or estimate.value is None:
        return Text("" if estimate is None else "–", style="dim")
    ends = ""
    if estimate.low is not None and estimate.high is not None:
        few = min(2, digits)
        ends = f"{estimate.low:.{few}f}–{estimate.high:.{few}f}"
    rest = f" {ends:>9}" + (f" {estimate.n:>4}" if n else "")
    return Text(f"{estimate.value:.{digits}f}").append(rest, style="dim")


def _risk_table(report: EvalReport) -> Table:
    made = _plain_table("answered, most confident first", "wrong", "confidence from")
    points = report.risk_coverage
    nearest = (min(points, key=lambda p: abs(p.coverage - share)) for share in _COVERAGES)
    for point in dict.fromkeys(nearest):
        made.add_row(f"{point.coverage:.0%}", f"{point.risk:.1%}", f"{point.confidence:.3f}")
    return made


def _warnings(report: EvalReport) -> Iterator[Text]:
    """What is wrong with the question file or the answers, the first few of each."""
    outcomes = report.outcomes
    kinds = (
        ("evidence is in no article", [(o, e) for o in outcomes for e in o.missing_evidence]),
        ("no article has this id", [(o, i) for o in outcomes for i in o.missing_passage_ids]),
        ("promise broken", [(o, p) for o in outcomes for p in o.problems]),
        (
            "question rejected",
            [(o, o.answer.answer) for o in outcomes if o.answer.note == REJECTED],
        ),
    )
    for what, found in kinds:
        for outcome, detail in found[:_SHOWN]:
            yield Text(f"{_shown(outcome.question.id)}: {what}: {_shown(detail)}", style="yellow")
        if len(found) > _SHOWN:
            yield Text(f"and {len(found) - _SHOWN} more: {what}", style="yellow")


def _shown(text: str) -> str:
    """Text of a file as a terminal may show it: what steers the screen is replaced."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
