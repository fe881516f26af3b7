"""Traces: a real receiver of OTLP gets a span for each answer, in the caller's trace; else none."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from conftest import ROOT
from newsroom import newsroom, serving

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
QUESTION = {"question": "What about the library bus?"}


@dataclass
class Collector:
    """What was sent to `/v1/traces`."""

    address: str
    service: dict[str, object] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)

    def take(self, sent: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(sent).resource_spans:
            self.service |= facts(resource.resource.attributes)
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]


def facts(pairs: Iterable[KeyValue]) -> dict[str, object]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}


def took_ms(span: Span) -> float:
    return (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                collected.take(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collected = Collector(f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collected.address)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield collected
        server.shutdown()
        thread.join()


def test_an_answer_is_a_span_of_the_callers_trace_with_its_stages(
    collector: Collector, tmp_path: Path
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-ID": "req-7"}
    with serving(newsroom(tmp_path)) as address:
        httpx.post(f"{address}/v1/ask", json=QUESTION, headers=headers, timeout=30)
    spans = {span.name: span for span in collector.spans}
    whole = spans.pop("wenbao.question")
    assert (whole.trace_id.hex(), whole.parent_span_id.hex()) == (TRACE, CALLER)
    said = facts(whole.attributes)
    assert (said["wenbao.request_id"], said["wenbao.door"]) == ("req-7", "http")
    assert (said["wenbao.citations"], said["wenbao.abstained"]) == (2, False)
    assert not [value for value in said.values() if "library" in str(value)]
    took = {name: took_ms(span) for name, span in spans.items()}
    assert took == {"wenbao.embed": 3, "wenbao.search": 4, "wenbao.answer": 1}
    assert {span.parent_span_id for span in spans.values()} == {whole.span_id}
    assert collector.service["service.name"] == "wenbao"


def test_every_route_that_answers_is_traced_and_a_trace_begins_here_without_a_caller(
    collector: Collector, tmp_path: Path
) -> None:
    chat = {"model": "wenbao", "messages": [{"role": "user", "content": QUESTION["question"]}]}
    with serving(newsroom(tmp_path)) as address, httpx.Client(base_url=address) as client:
        client.post("/v1/ask", json=QUESTION)
        client.post("/v1/ask", json=QUESTION | {"stream": True})
        client.post("/v1/chat/completions", json=chat)
    whole = [span for span in collector.spans if not span.parent_span_id]
    doors = [facts(span.attributes)["wenbao.door"] for span in whole]
    assert doors == ["http", "stream", "openai"]
    assert len({span.trace_id for span in whole}) == 3


def test_a_caller_that_samples_a_trace_out_is_heeded(collector: Collector, tmp_path: Path) -> None:
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
    with serving(newsroom(tmp_path)) as address:
        httpx.post(f"{address}/v1/ask", json=QUESTION, headers=headers, timeout=30)
    assert not collector.spans


def test_a_collector_that_is_away_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with serving(newsroom(tmp_path)) as address:
        answer = httpx.post(f"{address}/v1/ask", json=QUESTION, timeout=30)
        told = time.monotonic()
    assert answer.json()["citations"]
    assert time.monotonic() < told + 10


def test_nothing_of_opentelemetry_is_imported_where_no_endpoint_is_set() -> None:
    asked = (
        "import sys; from bot.traces import Traces; Traces().close();"
        " print([name for name in sys.modules if 'opentelemetry' in name])"
    )
    line = [sys.executable, "-c", asked]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
