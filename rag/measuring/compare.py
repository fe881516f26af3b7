"""Two reports of the same questions -> how each measure changed, in pairs, with its interval.

Questions are matched by id, and only where they still ask the same. Does not cover showing the
comparison (report_table.py, report_page.py).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from rag.errors import UnreadableFile
from rag.evaluate import EvalReport, misses
from rag.measuring import estimates
from rag.measuring.estimates import Estimate, Statistic
from rag.measuring.measures import MEASURES, POOLED

_NOTHING = (0.0, 0.0)  # a part of a whole, where a measure doesn't concern a question
_QUANTILES = {"p50_ms": 0.50, "p95_ms": 0.95}


@dataclass(frozen=True, slots=True)
class Past:
    """One question of a report, as far as it can be compared; `misses` as rag.evaluate has them."""

    id: str
    question: str
    answerable: bool
    confidence: float
    ms: float
    scores: dict[str, tuple[float, float]]
    misses: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PastReport:
    """A report as it was written: when, by which model, and its questions."""

    created: str
    model: str
    questions: tuple[Past, ...]


_PAST = TypeAdapter(PastReport)


@dataclass(frozen=True, slots=True)
class Change:
    """A measure over the questions of both reports: before, now, and the difference."""

    old: float
    new: float
    difference: Estimate

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out that nothing changed."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed since `created`; `changes` by measure, in the order of MEASURES.

    `mended` and `broken` are the ids of questions that were missed and no longer are, and the other
    way; `unmatched` those that only one report has, or that ask something else now.
    """

    created: str
    model: str
    n: int
    changes: dict[str, Change]
    mended: tuple[str, ...]
    broken: tuple[str, ...]
    unmatched: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """The comparison for report.json."""
        changes = {
            name: {"old": round(c.old, 6), "new": round(c.new, 6), **c.difference.to_json()}
            for name, c in self.changes.items()
        }
        return {**asdict(self), "changes": changes}


def read_past(path: Path) -> PastReport:
    """A report.json of an earlier run.

    Raises:
        UnreadableFile: if it isn't there, or is no report.
    """
    try:
        return _PAST.validate_json(path.read_bytes())
    except OSError as exc:
        raise UnreadableFile(f"{path} can't be read ({exc.strerror}); check the path.") from exc
    except ValidationError as exc:
        raise UnreadableFile(
            f"{path} is no report of `wenbao evaluate --report`; name its report.json."
        ) from exc


def past(report: EvalReport) -> PastReport:
    """A report of now as `read_past` would read it."""
    questions = (
        Past(
            id=o.question.id,
            question=o.question.text,
            answerable=o.question.answerable,
            confidence=o.answer.confidence,
            ms=o.ms,
            scores=dict(o.scores),
            misses=tuple(misses(o)),
        )
        for o in report.outcomes
    )
    created = report.created.isoformat(timespec="seconds")
    return PastReport(created, report.model, tuple(questions))


def compare(new: PastReport, old: PastReport) -> Comparison:
    """What changed from the old report to the new one."""
    before = {each.id: each for each in old.questions}
    now = {each.id: each for each in new.questions}
    pairs = [
        (each, before[id_])
        for id_, each in now.items()
        if id_ in before and before[id_].question == each.question
    ]
    matched = {each.id for each, _ in pairs}
    judged = [(n, o) for n, o in pairs if n.misses is not None and o.misses is not None]
    changes = {name: _change(name, pairs) for name in MEASURES}
    return Comparison(
        created=old.created,
        model=old.model,
        n=len(pairs),
        changes={name: change for name, change in changes.items() if change},
        mended=tuple(n.id for n, o in judged if o.misses and not n.misses),
        broken=tuple(n.id for n, o in judged if n.misses and not o.misses),
        unmatched=tuple(id_ for id_ in {**now, **before} if id_ not in matched),
    )


def _change(name: str, pairs: Sequence[tuple[Past, Past]]) -> Change | None:
    """None where the measure is of no question of both, or is not one of questions alone."""
    if name in POOLED:
        pairs = [(n, o) for n, o in pairs if _counts(name, n) or _counts(name, o)]
    if not pairs:
        return None
    new, old = (_statistic(name, [pair[side] for pair in pairs]) for side in (0, 1))
    if new is None or old is None:
        return None
    values = [estimates.value(statistic, len(pairs)) for statistic in (new, old)]
    difference = estimates.difference(new, old, len(pairs))
    if difference.value is None:
        return None
    return Change(old=values[1], new=values[0], difference=difference)


def _counts(name: str, one: Past) -> bool:
    return one.scores.get(name, _NOTHING)[1] > 0


def _statistic(name: str, some: Sequence[Past]) -> Statistic | None:
    if name in POOLED:
        shares = [each.scores.get(name, _NOTHING) for each in some]
        return estimates.ratio_of([part for part, _ in shares], [whole for _, whole in shares])
    if name in _QUANTILES:
        return estimates.quantile_of([each.ms for each in some], _QUANTILES[name])
    if name == "auroc":
        confidences = [each.confidence for each in some]
        return estimates.auroc_of(confidences, [each.answerable for each in some])
    return None
