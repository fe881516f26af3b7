"""Traces for OpenTelemetry: a span for every answer, with a child for each of its stages.

Switched on by OpenTelemetry's own OTEL_EXPORTER_OTLP_ENDPOINT (or ..._TRACES_ENDPOINT); its other
variables mean what its documents say. Off, nothing is imported. Spans hold no question, no name and
no key. They are made of what an answer measured, so questions that fail have none: the log has.
"""

import os
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING

from bot import __version__, logs
from rag.types import Answer

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
CARRIED = ("traceparent", "tracestate")  # headers of W3C's trace context
STAGES = ("embed", "search", "answer")  # in this order, one after the other
# Of the request under way: to whose trace its answer belongs.
carried: ContextVar[Mapping[str, str] | None] = ContextVar("carried", default=None)


class Traces:
    """Where spans go: to a collector, or nowhere."""

    def __init__(self) -> None:
        self._provider = _provider() if any(map(os.environ.get, SWITCHES)) else None

    def answered(self, door: str, answer: Answer) -> None:
        """Notes an answer that was given just now."""
        if self._provider is None:
            return
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        tracer = self._provider.get_tracer("wenbao", __version__)
        ends = time.time_ns()
        at = ends - _ns(answer.timings_ms.get("total", 0.0))
        caller = TraceContextTextMapPropagator().extract(carried.get() or {})
        kind, facts = trace.SpanKind.SERVER, _facts(door, answer)
        span = tracer.start_span("wenbao.question", caller, kind, facts, start_time=at)
        within = trace.set_span_in_context(span)
        for stage in STAGES:
            step = tracer.start_span(f"wenbao.{stage}", within, start_time=at)
            at += _ns(answer.timings_ms.get(stage, 0.0))
            step.end(at)
        span.end(ends)

    def close(self) -> None:
        """Sends what is not sent yet."""
        if self._provider is not None:
            self._provider.shutdown()


def _facts(door: str, answer: Answer) -> dict[str, str | int | float | bool]:
    return {
        "wenbao.request_id": logs.request_id.get(),
        "wenbao.door": door,
        "wenbao.language": answer.language,
        "wenbao.mode": answer.mode,
        "wenbao.model": answer.model,
        "wenbao.confidence": answer.confidence,
        "wenbao.citations": len(answer.citations),
        "wenbao.abstained": answer.abstained,
        "wenbao.reason": answer.reason or "",
    }


def _ns(ms: float) -> int:
    return int(ms * 1_000_000)


def _provider() -> "TracerProvider":
    """What makes spans and sends them on, in a thread of its own."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    own = Resource.create({"service.name": "wenbao", "service.version": __version__})
    provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
