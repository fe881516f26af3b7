"""What checking costs a question: whether it can be answered, and whether what a model wrote holds.

Part of `make bench`. Recorded replies over the sample pages are judged, verified and cited, as they
come in, without the search before and the model's own time. Each sentence is checked while the next
is written, so what is added to a question is what is left to do behind the last word; what all of
it takes is told beside. Processor time of the answering thread; caches of texts are emptied before
each question, and the best of the rounds counts, since other load only ever makes a round slower.
Exits 1 where the bar is missed.
"""

import argparse
import json
import math
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any

import results

from bot.settings import Settings
from bot.wiring import App, open_app
from embeddings.embedder import Embedder, Embedding
from rag import citations, prompts, terms
from rag.citations import Assembly
from rag.llm import Messages, Shaped
from rag.quoting import Look
from rag.types import Hit
from rag.written import facts, locate
from rag.written.writing import Writer

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests" / "data" / "sample" / "pages"
REPLIES = ROOT / "tests" / "data" / "replies.jsonl"
MOST_MS = 15.0  # issue 4: verification and judging, added to a question
ADDED = "added to a question"
PART = 4  # characters of a part of a streamed reply
_CACHES = (facts._plain, terms.written, terms.spoken, locate._letters, prompts._passage)


class Recorded:
    """A model that has written its reply before."""

    name = "recorded"
    limit_s = math.inf

    def __init__(self, reply: str) -> None:
        self._reply = reply
        self.ended = 0.0  # when its last word was taken, on the thread's clock

    def complete(self, messages: Messages, deadline: float = math.inf) -> str:
        return self._reply

    def stream(
        self, messages: Messages, shaped: Shaped | None = None, deadline: float = math.inf
    ) -> Iterator[str]:
        yield from (self._reply[at : at + PART] for at in range(0, len(self._reply), PART))
        self.ended = time.thread_time()


class Clocked:
    """The embedder of a house, with what it took for questions."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.took = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embedder, name)

    def embed_query(self, text: str) -> Embedding:
        """What the embedder gives."""
        began = time.thread_time()
        found = self._embedder.embed_query(text)
        self.took += time.thread_time() - began
        return found


def main() -> int:
    """Measures, prints and writes; 0 when the bar is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=ROOT / ".wenbao" / "models")
    parser.add_argument("--home", type=Path, help="an index of the sample pages that is there")
    parser.add_argument("--no-write", dest="write", action="store_false")
    chosen = parser.parse_args()
    rows = [json.loads(row) for row in REPLIES.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as work:
        home = chosen.home or Path(work)
        app = open_app(Settings(home=home, model_cache=chosen.cache, _env_file=None))
        app.ingest([SAMPLE])
        rounds = [
            [_took(app, row) for row in rows[: chosen.questions]] for _ in range(chosen.rounds)
        ]
        app.close()
    best = [
        {step: min(took[step] for took in each) for step in each[0]}
        for each in zip(*rounds, strict=True)
    ]
    lines, typical = _told(best)
    print("\n".join(lines))
    if chosen.write:
        results.write("checks", lines)
    return int(typical > MOST_MS)


def _told(best: Sequence[Mapping[str, float]]) -> tuple[list[str], float]:
    """What is printed, and the median of the sums."""
    rows = []
    for step in best[0]:
        ms = [took[step] for took in best]
        cuts = quantiles(ms, n=20)
        rows.append([step, *(f"{v:.1f}" for v in (mean(ms), cuts[9], cuts[18], max(ms)))])
    typical = median(took[ADDED] for took in best)
    return [
        "## Cost of checking",
        "",
        f"{len(best)} recorded replies over the sample pages; processor time, ms a question.",
        "",
        *results.table(["step", "mean", "p50", "p95", "most"], rows),
        "",
        f"- {ADDED}: {typical:.1f} ms, p50; the bar is {MOST_MS:.0f} ms.",
    ], typical


def _took(app: App, row: Mapping[str, Any]) -> dict[str, float]:
    """The ms of each step for one question and its reply."""
    for cache in _CACHES:
        cache.cache_clear()
    answerer = app.answerer
    wanted = tuple(row["articles"])
    ids = [a.article_id for a in app.records.articles(limit=1000) if a.title.startswith(wanted)]
    question = answerer.question(row["question"], article_ids=ids)
    look = answerer._look(question, math.inf)
    judged = time.thread_time()
    answerer._judge(question, look)
    judged = time.thread_time() - judged
    reply = _numbered(row["reply"], answerer.search_now(question))
    asked, *_ = _written(app, look, "")
    written, embedding, last, assembly = _written(app, look, reply)
    said = answerer._said(look, assembly.cited(), "recorded")
    checked = time.thread_time()
    citations.faults(said, look.articles)
    checked = time.thread_time() - checked
    found = {
        "judging": judged,
        "verification": written - asked,
        "of that embedding": embedding,
        "of that behind the last word": last,
        "checking the citations": checked,
        ADDED: judged + last + checked,
    }
    return {step: seconds * 1000 for step, seconds in found.items()}


def _written(app: App, look: Look, reply: str) -> tuple[float, float, float, Assembly]:
    """What it takes to ask for a reply and check it; of that embedding, and after its last word."""
    model, embedder = Recorded(reply), Clocked(app.embedder)
    writer = Writer(model, embedder, app.retriever)
    known = look.known()
    began = time.thread_time()
    assembly = Assembly(look.articles)
    for line in writer.lines(look.question, look.findings, look.articles, known, math.inf):
        assembly.add(line)
    ended = time.thread_time()
    last = ended - model.ended if model.ended else 0.0  # else enough was known before
    return ended - began, embedder.took, last, assembly


def _numbered(reply: str, hits: Sequence[Hit]) -> str:
    """A recorded reply with the numbers that its passages have here."""

    def number(match: re.Match[str]) -> str:
        return str(next((n for n, h in enumerate(hits, 1) if match[1] in h.passage.text), 1))

    return re.sub("⟦(.*?)⟧", number, reply)


if __name__ == "__main__":
    sys.exit(main())
