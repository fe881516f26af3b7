"""Questions: answered as JSON or as server-sent events, searched, voted on, suggested."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from bot import problems, samples, schemas
from bot.api import gate
from bot.api.door import Door
from bot.render import citation_json, hit_json, to_json
from rag.examples import examples as examples_of
from rag.language import is_chinese
from rag.types import Found, Piece, Question

T = TypeVar("T")
PING_S = 15.0
EXAMPLES = 4
STREAM_HEADERS = {"X-Accel-Buffering": "no"}


def router(door: Door) -> APIRouter:
    """The routes of whoever asks."""
    made = APIRouter(
        prefix="/v1",
        tags=["questions"],
        dependencies=[Depends(gate.may_read)],
        responses=schemas.problems(400, 401, 408, 413, 415, 422, 429, 500, 503),
    )
    event_stream = {"text/event-stream": {"itemSchema": samples.EVENT, "example": samples.STREAM}}

    @made.post(
        "/ask",
        summary="Answer a question",
        response_model=schemas.AnswerJson,
        responses={200: {"content": event_stream}, **schemas.problems(404)},
    )
    async def ask(body: schemas.AskBody, request: Request) -> Response:
        """Answer a question from the articles, with citations, or say that they don't hold it."""
        _speak(request, body.question, body.lang)
        who = _who(request, body.conversation_id)
        question = await door.quick(_asked, door, body, who)
        if body.stream:
            events = _events(door, question, who, request)
            return EventSourceResponse(events, headers=STREAM_HEADERS)
        answer = await door.app.answerer.answer(question)
        answer_id = await door.keep("http", who, answer)
        return JSONResponse(to_json(answer) | {"answer_id": answer_id})

    @made.post("/search", summary="Find passages", response_model=schemas.FoundJson)
    async def search(body: schemas.SearchBody, request: Request) -> Response:
        """The passages that a question is about, best first."""
        _speak(request, body.question)
        question = await door.quick(
            door.app.answerer.question,
            body.question,
            top_k=body.k,
            since=body.since,
            until=body.until,
            sources=body.sources,
        )
        hits = await door.app.answerer.search(question)
        return JSONResponse({"passages": [hit_json(hit) for hit in hits]})

    @made.post(
        "/feedback",
        summary="Say what an answer was worth",
        status_code=204,
        responses=schemas.problems(404),
    )
    async def feedback(body: schemas.FeedbackBody) -> None:
        """Keep a vote on an answer; the last one counts."""
        vote = door.app.people.vote
        if not await door.quick(vote, body.answer_id, body.vote, body.comment):
            words = "There is no such answer, or it was given too long ago."
            raise problems.Refused(problems.ANSWER_NOT_FOUND, words)

    @made.get("/examples", summary="Questions to begin with", response_model=schemas.QuestionsJson)
    async def examples(lang: Annotated[Literal["en", "zh"], Query()] = "en") -> Response:
        """Questions that the articles answer."""
        found = await door.quick(examples_of, door.app.records, lang, EXAMPLES)
        return JSONResponse({"questions": found})

    return made


# ── The steps behind the routes ─────────────────────────────────────────────────────────────────


def _speak(request: Request, text: str, lang: str = "auto") -> None:
    """From now on a problem is told in the language of the question."""
    request.state.language = "zh" if lang == "zh" or (lang == "auto" and is_chinese(text)) else "en"


def _who(request: Request, conversation_id: str | None) -> str:
    """The name of a conversation; two keys never share one. "" for a question on its own."""
    if not conversation_id:
        return ""
    return f"http:{gate.visitor(request).name}:{conversation_id}"


def _asked(door: Door, body: schemas.AskBody, who: str) -> Question:
    app = door.app
    return app.answerer.question(
        body.question,
        body.lang,
        body.top_k,
        article_ids=body.article_ids,
        since=body.since,
        until=body.until,
        sources=body.sources,
        turns=app.people.turns(who) if who else (),
    )


async def _events(
    door: Door, question: Question, who: str, request: Request
) -> AsyncIterator[bytes]:
    """passages, tokens, citations, answer; or an error in place of what is still to come."""
    try:
        async with aclosing(pinged(door.app.answerer.stream(question))) as items:
            async for item in items:
                if item is None:
                    yield KEEPALIVE_COMMENT
                elif isinstance(item, Found):
                    yield _event("passages", {"passages": [hit_json(hit) for hit in item.passages]})
                elif isinstance(item, Piece):
                    yield _event("token", {"text": item.text})
                    for citation in item.citations:
                        yield _event("citation", citation_json(citation))
                else:
                    answer_id = await door.keep("stream", who, item)
                    yield _event("answer", to_json(item) | {"answer_id": answer_id})
    except Exception as exc:  # the status line is gone: only an event can still say it
        yield _event("error", problems.explain(exc, request.scope))


def _event(name: str, body: object) -> bytes:
    return format_sse_event(event=name, data_str=json.dumps(body, ensure_ascii=False))


async def pinged(items: AsyncIterator[T]) -> AsyncGenerator[T | None, None]:
    """The items as they come, and None wherever nothing came for `PING_S`.

    Whoever stops listening stops the work behind.
    """
    coming: asyncio.Future[T] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(items))
            while not (await asyncio.wait({coming}, timeout=PING_S))[0]:
                yield None
            try:
                item = coming.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        if isinstance(items, AsyncGenerator):
            await items.aclose()
