"""An evaluation on a terminal of 80 columns or more: measures, kinds, risk, what changed, misses.

Does not cover measuring (evaluate.py) nor the page (report_page.py).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rag.evaluate import REJECTED, EvalReport
from rag.measuring.compare import Change, Comparison
from rag.measuring.estimates import Estimate
from rag.measuring.fitting import Fitted
from rag.measuring.measures import GROUPS, MEASURES

LANGUAGES = {"zh": "Chinese", "en": "English"}
_KIND_COLUMNS = {
    "hit@3": "hit@3",
    "answer_recall": "answers",
    "evidence_recall": "evidence",
    "citation_precision": "precision",
}
_COVERAGES = (0.1, 0.25, 0.5, 0.75, 1.0)
_SHOWN = 5  # of the things that are wrong with a file or an answer; report.json has all


def table(report: EvalReport, comparison: Comparison | None = None) -> RenderableType:
    """The report: measures, kinds, the risk curve, what changed, what is wrong."""
    parts: list[RenderableType] = [_heading(report), "", _measures_table(report)]
    if report.by_kind:
        parts += ["", _kinds_table(report)]
    if report.risk_coverage:
        parts += ["", _risk_table(report)]
    if comparison:
        parts += ["", *_changes(comparison)]
    return Group(*parts, *_warnings(report))


def _heading(report: EvalReport) -> Text:
    counts = report.counts
    taken = f", {report.resumed} answers of an earlier run" if report.resumed else ""
    return Text(
        f"{len(report.outcomes)} questions over {counts.articles} articles"
        f" ({counts.passages} passages), {report.model or 'no model'}, {report.seconds:.1f} s on"
        f" {report.cores} cores{taken}. Each cell: value, 95 % interval, number of questions."
    )


def _plain_table(*columns: str) -> Table:
    """A table with a column of names, folded if need be, then columns of figures."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for i, title in enumerate(columns):
        made.add_column(title, justify="right" if i else "left", no_wrap=i > 0, overflow="fold")
    return made


# --- figures -------------------------------------------------------------------------------------


def figure(value: float, digits: int) -> str:
    """A number as it is shown everywhere: 0.912, or 1,204 where decimals would say nothing."""
    return f"{value:,.{0 if abs(value) >= 1000 else digits}f}"


def interval(estimate: Estimate) -> str:
    """Both ends in as few characters as say something: .92–1.0, 1.6–2.1, 43–45."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{_short(estimate.low)}–{_short(estimate.high)}"


def span(difference: Estimate, digits: int) -> str:
    """Both ends of a difference, with their signs: -0.04 to +0.01."""
    if difference.low is None or difference.high is None:
        return ""
    few = min(2, digits)
    return f"{difference.low:+,.{few}f} to {difference.high:+,.{few}f}"


def _short(value: float) -> str:
    if abs(value) >= 9.95:
        return f"{value:.0f}"
    shown = f"{value:.2f}"
    if abs(value) >= 0.995:
        return f"{value:.1f}"
    return "0" if shown in ("0.00", "-0.00") else shown.replace("0.", ".", 1)


def _cell(estimate: Estimate | None, digits: int, width: int = 0, n: int = 0) -> Text:
    """Value, interval and n; a dash where no question has it, blank where there is nothing.

    The interval is `width` wide, the number of questions `n`; 0 leaves it out, and 0 digits make
    the value as short as the interval.
    """
    if estimate is None or estimate.value is None:
        return Text("" if estimate is None else "–", style="dim")
    rest = f" {interval(estimate):>{width}}" + (f" {estimate.n:>{n}}" if n else "")
    value = figure(estimate.value, digits) if digits else _short(estimate.value)
    return Text(value).append(rest, style="dim")


def _width(some: Sequence[Estimate]) -> int:
    return max((len(interval(each)) for each in some), default=0)


# --- tables --------------------------------------------------------------------------------------


def _measures_table(report: EvalReport) -> Table:
    made = _plain_table("", "all", *(LANGUAGES[key] for key in report.by_language))
    columns = [report.metrics, *report.by_language.values()]
    width = _width([each for some in columns for each in some.values()])
    n = len(str(len(report.outcomes)))
    for group, measures in GROUPS:
        made.add_section()
        made.add_row(Text(group, style="bold"))
        for measure in measures:
            if measure.name in report.metrics:
                cells = [
                    _cell(some.get(measure.name), measure.digits, width, n) for some in columns
                ]
                made.add_row(Text(measure.label), *cells)
    return made


def _kinds_table(report: EvalReport) -> Table:
    """Kinds of question by name; those that can't be answered have a line of their own."""
    made = _plain_table("kind", "n", *_KIND_COLUMNS.values(), "refused")
    shown = (*_KIND_COLUMNS, "refused_answerable", "refused_unanswerable")
    width = _width([some[name] for some in report.by_kind.values() for name in shown])
    for kind, some in report.by_kind.items():
        for refused in ("refused_answerable", "refused_unanswerable"):
            if some[refused].n:
                answered = refused == "refused_answerable"
                cells = [
                    _cell(some[name] if answered else None, 0, width) for name in _KIND_COLUMNS
                ]
                n = Text(str(some[refused].n))
                made.add_row(Text(shown_text(kind)), n, *cells, _cell(some[refused], 0, width))
    return made


def _risk_table(report: EvalReport) -> Table:
    made = _plain_table("answered, most confident first", "wrong", "confidence from")
    points = report.risk_coverage
    nearest = (min(points, key=lambda p: abs(p.coverage - share)) for share in _COVERAGES)
    for point in dict.fromkeys(nearest):
        made.add_row(f"{point.coverage:.0%}", f"{point.risk:.1%}", f"{point.confidence:.3f}")
    return made


def _changes(comparison: Comparison) -> Iterator[RenderableType]:
    """What is another than in the old report, with the questions that it comes from."""
    yield Text(
        f"{comparison.n} questions compared with the report of {shown_text(comparison.created)}"
        f" ({shown_text(comparison.model) or 'no model'}). Certain: the interval leaves out 0."
    )
    made = _plain_table("", "then", "now", "difference", "interval", "")
    for name, change in comparison.changes.items():
        digits = MEASURES[name].digits
        made.add_row(
            Text(MEASURES[name].label),
            figure(change.old, digits),
            figure(change.new, digits),
            f"{change.difference.value:+,.{digits}f}",
            Text(f"{span(change.difference, digits)} {change.difference.n:>4}", style="dim"),
            Text(verdict(name, change)),
        )
    yield made
    for what, ids in (
        ("no longer missed", comparison.mended),
        ("missed now", comparison.broken),
        ("not compared, being in one report only or asking something else", comparison.unmatched),
    ):
        if ids:
            more = f" and {len(ids) - 2 * _SHOWN} more" if len(ids) > 2 * _SHOWN else ""
            yield Text(f"{what}: {', '.join(map(shown_text, ids[: 2 * _SHOWN]))}{more}")


def verdict(name: str, change: Change) -> str:
    """better or worse where that is certain, else nothing."""
    if not change.certain or change.difference.value is None:
        return ""
    return "better" if (change.difference.value > 0) == (MEASURES[name].best == "high") else "worse"


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
            told = f"{shown_text(outcome.question.id)}: {what}: {shown_text(detail)}"
            yield Text(told, style="yellow")
        if len(found) > _SHOWN:
            yield Text(f"and {len(found) - _SHOWN} more: {what}", style="yellow")


# --- what was fitted -----------------------------------------------------------------------------


def fitted(found: Fitted, file: Path) -> RenderableType:
    """What was fitted, where it is kept, and what it does before and after."""
    made = _plain_table("", "before", "now, held out")
    for title, before, after in (
        ("AUROC of confidence", found.before.auroc.value, found.after.auroc.value),
        ("answerable refused", found.before.refused_answerable, found.after.refused_answerable),
        (
            "unanswerable refused",
            found.before.refused_unanswerable,
            found.after.refused_unanswerable,
        ),
        ("wrong, of the answers given", found.before.wrong, found.after.wrong),
    ):
        made.add_row(title, *("–" if x is None else figure(x, 3) for x in (before, after)))
    what = "Weights and threshold" if found.refitted else "The threshold alone"
    kept = f"{what} fitted to {found.n} questions and kept in {shown_text(str(file))};"
    return Group(Text(f"{kept} threshold {found.weights.threshold:.3f}."), made)


# --- text ----------------------------------------------------------------------------------------


def shown_text(text: str) -> str:
    """Text of a file as a terminal may show it: what steers the screen is replaced."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
