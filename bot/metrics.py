"""What Prometheus may read: questions, refusals, time by stage, failures, the size of the index.

With several worker processes the counts lie in files under PROMETHEUS_MULTIPROC_DIR, which
prometheus-client adds up. Holds no question, no name and no key. Does not cover logs.
"""

import os
from collections.abc import Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rag.types import Answer

# Untyped in the library. When a count began would be one more line for every line of the page.
disable_created_metrics()  # type: ignore[no-untyped-call]
SHARED = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counts of one process, and the page that shows those of all."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self._own = own = CollectorRegistry()
        self._requests = Counter(
            "wenbao_requests", "HTTP requests.", ["route", "status"], registry=own
        )
        self._request_s = Histogram(
            "wenbao_request_seconds",
            "Time of HTTP requests, streams whole.",
            ["route"],
            buckets=_SECONDS,
            registry=own,
        )
        self._questions = Counter(
            "wenbao_questions", "Questions answered or refused.", ["door", "lang"], registry=own
        )
        self._refusals = Counter(
            "wenbao_refusals", "Questions that the articles don't answer.", ["reason"], registry=own
        )
        self._stage_s = Histogram(
            "wenbao_stage_seconds",
            "Time of a question by stage.",
            ["stage"],
            buckets=_SECONDS,
            registry=own,
        )
        self._llm_failures = Counter(
            "wenbao_llm_failures",
            "Questions for which the language model was away.",
            registry=own,
        )

    def requested(self, route: str, status: int, took_s: float) -> None:
        """Counts a request."""
        self._requests.labels(route, str(status)).inc()
        self._request_s.labels(route).observe(took_s)

    def answered(self, door: str, answer: Answer) -> None:
        """Counts a question, and whether the language model was away for it."""
        self._questions.labels(door, answer.language).inc()
        if answer.reason:
            self._refusals.labels(answer.reason).inc()
        if answer.llm_away:
            self._llm_failures.inc()
        for stage, ms in answer.timings_ms.items():
            self._stage_s.labels(stage).observe(ms / 1000)

    def page(self, gauges: Mapping[str, tuple[str, float]]) -> bytes:
        """What Prometheus reads; `gauges` are what is counted now: name -> meaning and value."""
        now = CollectorRegistry()
        now.register(_Now(gauges))
        return generate_latest(self._counted()) + generate_latest(now)

    def _counted(self) -> CollectorRegistry:
        if SHARED not in os.environ:
            return self._own
        added = CollectorRegistry()
        multiprocess.MultiProcessCollector(added)  # type: ignore[no-untyped-call]  # no types there
        return added


class _Now(Collector):
    """Gauges with their values; a Gauge would keep them in a file of its process."""

    def __init__(self, gauges: Mapping[str, tuple[str, float]]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, (meaning, value) in self._gauges.items():
            yield GaugeMetricFamily(name, meaning, value)
