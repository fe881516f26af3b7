"""An evaluation as one HTML file: tables, plots, and every miss with its passages.

Nothing is fetched and no script runs; all text of questions, articles and models is escaped by the
template's engine. Does not cover measuring (evaluate.py) nor drawing (charts.py).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from rag import metrics
from rag.evaluate import EvalReport, Outcome, calibration, hit_curve, misses, risk_coverage
from rag.measuring import charts
from rag.measuring.compare import Comparison
from rag.measuring.estimates import Estimate
from rag.measuring.measures import GROUPS, MEASURES
from rag.measuring.report_table import LANGUAGES, figure, interval, span, verdict

TEMPLATE = "report.html"


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot and what it shows."""

    title: str
    svg: Markup
    note: str


@dataclass(frozen=True, slots=True)
class Miss:
    """A question that went wrong, and the texts of its passages with the evidence marked."""

    outcome: Outcome
    wrong: tuple[str, ...]
    texts: tuple[Markup, ...]


def page(report: EvalReport, comparison: Comparison | None = None) -> str:
    """The whole page."""
    found = ((outcome, misses(outcome)) for outcome in report.outcomes)
    missed = [_missed(outcome, wrong) for outcome, wrong in found if wrong]
    made = _environment().get_template(TEMPLATE)
    return made.render(
        report=report,
        groups=[(LANGUAGES[key], some) for key, some in report.by_language.items()],
        measures=GROUPS,
        by_name=MEASURES,
        plots=list(_plots(report)),
        comparison=comparison,
        missed=missed,
    )


def _environment() -> Environment:
    """An engine that escapes all text, and fails where the template asks for what isn't there."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(figure=figure, interval=interval, span=span, verdict=verdict)
    made.filters["value"] = _value
    return made


def _printable(value: object) -> object:
    """Text without what a page may not hold or what turns its direction."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return re.sub(r"[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "\ufffd", value)
    return value


def _value(estimate: Estimate, digits: int) -> str:
    return "–" if estimate.value is None else figure(estimate.value, digits)


# --- plots ---------------------------------------------------------------------------------------


def _plots(report: EvalReport) -> Iterator[Plot]:
    """Each plot of which there is something to show."""
    parts = _by_language(report)
    hits = {name: curve for name, some in parts.items() if (curve := hit_curve(some))}
    if hits:
        note = "Questions with something wanted among the first k passages."
        yield Plot("Retrieval", Markup(charts.retrieval(hits)), note)
    risks = {name: points for name, some in parts.items() if (points := risk_coverage(some))}
    if risks:
        note = "Wrong is 1 less evidence recall; an answer where there is none is all wrong."
        yield Plot("Risk and coverage", Markup(charts.risk(risks)), note)
    bins = calibration(report.outcomes)
    error = metrics.calibration_error(bins)
    note = f"On the diagonal confidence says what it means. Mean distance {error:.3f}."
    yield Plot("Calibration", Markup(charts.reliability(bins)), note)
    p50, p95 = (figure(report.metrics[name].value or 0, 1) for name in ("p50_ms", "p95_ms"))
    ms = [outcome.ms for outcome in report.outcomes]
    note = f"Half of the questions took up to {p50} ms, 95 of 100 up to {p95} ms."
    yield Plot("Latency", Markup(charts.latency(ms)), note)


def _by_language(report: EvalReport) -> dict[str, list[Outcome]]:
    """The outcomes, all together and by language where there are several."""
    parts = {"all": list(report.outcomes)}
    if len(report.by_language) > 1:
        for key in report.by_language:
            parts[LANGUAGES[key]] = [o for o in report.outcomes if o.question.language == key]
    return parts


# --- misses --------------------------------------------------------------------------------------


def _missed(outcome: Outcome, wrong: Sequence[str]) -> Miss:
    evidence = outcome.question.evidence
    texts = (_marked(hit.passage.text, evidence) for hit in outcome.answer.passages)
    return Miss(outcome, tuple(wrong), tuple(texts))


def _marked(text: str, evidence: Sequence[str]) -> Markup:
    """A passage's text, escaped, with the evidence in it marked."""
    wanted = sorted(filter(None, evidence), key=len, reverse=True)
    if not wanted:
        return escape(_printable(text))
    parts = re.split("(" + "|".join(map(re.escape, wanted)) + ")", text)
    marked = (
        Markup("<mark>{}</mark>").format(_printable(part)) if i % 2 else escape(_printable(part))
        for i, part in enumerate(parts)
    )
    return Markup("").join(marked)
