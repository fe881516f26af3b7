"""Whether the server lives, whether it can answer, and what Prometheus reads."""

import asyncio
import logging

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from bot import problems, schemas
from bot.api.door import Door
from bot.metrics import Metrics
from rag import errors

log = logging.getLogger(__name__)
PROBE_TIMEOUT_S = 5.0


def router(door: Door) -> APIRouter:
    """The routes of those who look after the server; they need no key."""
    made = APIRouter(tags=["health"])
    probe: asyncio.Future[tuple[dict[str, str], tuple[int, int] | None]] | None = None

    @made.get("/healthz", summary="Is it alive?")
    async def healthz() -> schemas.AliveJson:
        """The process runs and its event loop turns."""
        return schemas.AliveJson()

    @made.get(
        "/readyz",
        summary="Can it answer?",
        response_model=schemas.ReadyJson,
        responses=schemas.problems(503),
    )
    async def readyz(request: Request) -> Response:
        """A question can be answered; if not, which part is away."""
        nonlocal probe
        if probe is None or probe.done():  # all who ask meanwhile share it: no key is needed here
            probe = asyncio.ensure_future(_probe(door))
        parts, counts = await asyncio.shield(probe)
        if counts is not None and set(parts.values()) == {"ok"}:
            ready = schemas.ReadyJson(parts=parts, articles=counts[0], passages=counts[1])
            return JSONResponse(ready.model_dump())
        away = " and ".join(name for name, state in parts.items() if state == "away")
        words = f"Away: {away}. {problems.OPERATOR}"
        body = problems.say(problems.NOT_READY, words, request.scope)
        return problems.response(body | {"parts": parts}, request.scope)

    @made.get(
        "/metrics",
        summary="What Prometheus reads",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        """Questions, refusals, time by stage, failures, jobs, and the size of the index."""
        counts = await door.quick(door.app.records.counts)
        gauges = {
            "wenbao_articles": ("Articles indexed.", float(counts.articles)),
            "wenbao_passages": ("Passages indexed.", float(counts.passages)),
            "wenbao_jobs_waiting": (
                "Uploads to be read.",
                float(await door.quick(door.jobs.waiting)),
            ),
        }
        return Response(door.metrics.page(gauges), media_type=Metrics.content_type)

    return made


async def _probe(door: Door) -> tuple[dict[str, str], tuple[int, int] | None]:
    """Each part's state (ok, away, unknown), and the numbers of articles and passages."""
    parts = {"articles": "ok", "index": "ok", "model": "ok"}
    counts: tuple[int, int] | None = None
    answerer = door.app.answerer
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            counted = await door.quick(door.app.records.counts)
            counts = (counted.articles, counted.passages)
            await door.quick(lambda: answerer.search_now(answerer.question("新闻", top_k=1)))
    except errors.ModelUnavailable as exc:
        parts["model"] = "away"
        log.warning("not ready: %s", exc)
    except (errors.WenbaoError, TimeoutError) as exc:
        parts |= {"index": "away", "model": "unknown"}
        if counts is None:
            parts |= {"articles": "away", "index": "unknown"}
        log.warning("not ready: %s", str(exc) or "no reply in time")
    return parts, counts
