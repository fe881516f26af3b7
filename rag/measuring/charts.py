"""Small plots as SVG for a page: lines, a reliability diagram, a histogram.

Their colours are the page's (CSS classes), so that they follow light and dark; every point says its
figures where the mouse rests. Four plots need no plotting library: DECISIONS.md says why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from xml.etree import ElementTree as Xml

from rag.metrics import Bin, RiskPoint

Point = tuple[float, float]

_WIDTH, _HEIGHT = 460, 300
_DOTS = 100  # on a curve of many points; the line goes through all
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 46


@dataclass(frozen=True, slots=True)
class Axis:
    """A range, its name, and where its lines are drawn."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    shown: Callable[[float], str] = "{:g}".format


def percent(value: float) -> str:
    """0.25 as 25 %."""
    return f"{value:.0%}"


def share(label: str) -> Axis:
    """An axis from nothing to all."""
    return Axis(label, 0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0), percent)


# --- plots ---------------------------------------------------------------------------------------


def retrieval(curves: Mapping[str, Sequence[float]]) -> str:
    """hit@k against k, a line for each name."""
    depth = max(len(curve) for curve in curves.values())
    x = Axis("passages looked at (k)", 1, depth, tuple(range(1, depth + 1)))
    plot = _Plot("Retrieval curve", x, share("questions with a hit"))
    for i, (name, curve) in enumerate(curves.items()):
        points = [(k, value) for k, value in enumerate(curve, start=1)]
        plot.line(i, name, points)
        for k, value in points:
            plot.dot(i, (k, value), f"{name}: hit@{k:g} {value:.3f}")
    return plot.svg()


def risk(curves: Mapping[str, Sequence[RiskPoint]]) -> str:
    """The share that is wrong of the answers given, against how many are given."""
    high = max(point.risk for curve in curves.values() for point in curve)
    ticks = _round_ticks(max(high, 0.05))
    y = Axis("wrong, of the answers given", 0, ticks[-1], ticks, percent)
    plot = _Plot("Risk-coverage curve", share("questions answered, most confident first"), y)
    for i, (name, curve) in enumerate(curves.items()):
        plot.line(i, name, [(point.coverage, point.risk) for point in curve])
        for point in curve[:: 1 + len(curve) // _DOTS]:
            told = f"{name}: {point.coverage:.0%} answered, {point.risk:.1%} wrong"
            at = (point.coverage, point.risk)
            plot.dot(i, at, f"{told}, confidence from {point.confidence:.3f}", radius=2)
    return plot.svg()


def reliability(bins: Sequence[Bin]) -> str:
    """The share that has an answer against confidence; the larger a dot, the more questions."""
    plot = _Plot("Calibration", share("confidence"), share("questions that have an answer"))
    plot.line(None, "", [(0, 0), (1, 1)])
    plot.line(0, "", [(each.confidence, each.answerable) for each in bins])
    most = max(each.n for each in bins)
    for each in bins:
        told = f"{each.n} questions: confidence {each.confidence:.2f}, {each.answerable:.0%} have"
        radius = 3 + 7 * (each.n / most) ** 0.5
        plot.dot(0, (each.confidence, each.answerable), f"{told} an answer", radius)
    return plot.svg()


def latency(ms: Sequence[float]) -> str:
    """How many questions took how long, with the few slowest in the last column."""
    ordered = sorted(ms)
    end = ordered[min(len(ordered) - 1, int(len(ordered) * 0.98))]
    ticks = _round_ticks(end or 1.0)
    width = ticks[-1] / 20
    counts = [0] * 20
    for each in ms:
        counts[min(int(each / width), 19)] += 1
    x = Axis("ms a question", 0, ticks[-1], ticks)
    up = _round_ticks(max(counts))
    plot = _Plot("Latency", x, Axis("questions", 0, up[-1], up))
    for i, count in enumerate(counts):
        last = i == len(counts) - 1 and ordered[-1] > ticks[-1]
        span = f"{i * width:g} ms or more" if last else f"{i * width:g} to {(i + 1) * width:g} ms"
        plot.column(i * width, (i + 1) * width, count, f"{count} questions took {span}")
    return plot.svg()


def _round_ticks(high: float) -> tuple[float, ...]:
    """From 0 in two to five equal, round steps up to at least `high`."""
    unit = 10.0 ** floor(log10(high))
    step = next(s * unit for s in (0.2, 0.25, 0.5, 1.0, 2.0) if s * unit * 5 >= high * (1 - 1e-9))
    count = next(n for n in range(1, 6) if step * n >= high * (1 - 1e-9))
    return tuple(round(step * i, 10) for i in range(count + 1))


# --- drawing -------------------------------------------------------------------------------------


class _Plot:
    """A frame with two axes, to draw into."""

    def __init__(self, title: str, x: Axis, y: Axis) -> None:
        self._x, self._y = x, y
        box = f"0 0 {_WIDTH} {_HEIGHT}"
        self._svg = Xml.Element("svg", {"viewBox": box, "role": "img", "class": "plot"})
        Xml.SubElement(self._svg, "title").text = title
        self._names: list[tuple[int, str]] = []
        self._frame()

    def svg(self) -> str:
        """The plot as markup, with its legend."""
        for row, (i, name) in enumerate(self._names if len(self._names) > 1 else ()):
            y = _HEIGHT - _BOTTOM - 12 - 16 * (len(self._names) - 1 - row)
            x = _WIDTH - _RIGHT - 92
            self._add("line", f"line s{i}", x1=x, y1=y - 4, x2=x + 18, y2=y - 4)
            self._text(name, x + 24, y, "start")
        return Xml.tostring(self._svg, encoding="unicode")

    def line(self, series: int | None, name: str, points: Sequence[Point]) -> None:
        """Joins the points; series None is a line to compare with."""
        drawn = " ".join(f"{self._at_x(x):.1f},{self._at_y(y):.1f}" for x, y in points)
        self._add("polyline", "guide" if series is None else f"line s{series}", points=drawn)
        if name and series is not None:
            self._names.append((series, name))

    def dot(self, series: int, at: Point, told: str, radius: float = 3.5) -> None:
        """A point that says its figures."""
        x, y = f"{self._at_x(at[0]):.1f}", f"{self._at_y(at[1]):.1f}"
        dot = self._add("circle", f"dot s{series}", cx=x, cy=y, r=f"{radius:.1f}")
        Xml.SubElement(dot, "title").text = told

    def column(self, left: float, right: float, height: float, told: str) -> None:
        """A column of a histogram that says its figures."""
        x, top = self._at_x(left), self._at_y(height)
        width = self._at_x(right) - x - 1
        bar = self._add(
            "rect",
            "dot s0",
            x=f"{x + 0.5:.1f}",
            y=f"{top:.1f}",
            width=f"{width:.1f}",
            height=f"{self._at_y(0) - top:.1f}",
        )
        Xml.SubElement(bar, "title").text = told

    def _frame(self) -> None:
        bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        for tick in self._y.ticks:
            y = self._at_y(tick)
            self._add("line", "grid", x1=_LEFT, y1=f"{y:.1f}", x2=right, y2=f"{y:.1f}")
            self._text(self._y.shown(tick), _LEFT - 7, y + 4, "end")
        for tick in self._x.ticks:
            x = self._at_x(tick)
            self._add("line", "grid", x1=f"{x:.1f}", y1=_TOP, x2=f"{x:.1f}", y2=bottom)
            self._text(self._x.shown(tick), x, bottom + 17, "middle")
        self._text(self._x.label, (_LEFT + right) / 2, _HEIGHT - 8, "middle")
        name = self._text(self._y.label, 0, 0, "middle")
        name.set("transform", f"translate(13 {(_TOP + bottom) / 2:.0f}) rotate(-90)")

    def _at_x(self, value: float) -> float:
        span = self._x.high - self._x.low or 1
        return _LEFT + (value - self._x.low) / span * (_WIDTH - _LEFT - _RIGHT)

    def _at_y(self, value: float) -> float:
        span = self._y.high - self._y.low or 1
        return _HEIGHT - _BOTTOM - (value - self._y.low) / span * (_HEIGHT - _TOP - _BOTTOM)

    def _text(self, text: str, x: float, y: float, anchor: str) -> Xml.Element:
        attributes = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
        made = Xml.SubElement(self._svg, "text", attributes)
        made.text = text
        return made

    def _add(self, tag: str, classes: str, **attributes: object) -> Xml.Element:
        given = {name: str(value) for name, value in attributes.items()}
        return Xml.SubElement(self._svg, tag, {"class": classes, **given})
