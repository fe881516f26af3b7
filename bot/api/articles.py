"""The articles: listed, read, taken in from uploads, taken out."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from bot import problems, schemas
from bot.api import gate, uploads
from bot.api.door import Door
from bot.render import article_json

REMOVE_WAIT_S = 15.0  # for whoever changes the index, in all; then the client is told to come back
_FRESH = "private, no-cache"  # kept by the client, asked for again with what it has


def router(door: Door) -> APIRouter:
    """The routes of articles and of the jobs that take them in."""
    made = APIRouter(prefix="/v1", responses=schemas.problems(401, 422, 429, 500, 503))
    _reading(made, door)
    _writing(made, door)
    return made


def _reading(made: APIRouter, door: Door) -> None:
    records = door.app.records

    @made.get(
        "/articles",
        tags=["articles"],
        summary="List articles",
        response_model=schemas.ArticlesJson,
        dependencies=[Depends(gate.may_read)],
    )
    async def articles(
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[schemas.Cursor, Query(description="A `next_cursor`.")] = "",
        q: Annotated[schemas.Words, Query(description="What the title holds.")] = "",
        since: Annotated[schemas.Day | None, Query(description="Of this day or later.")] = None,
        until: Annotated[schemas.Day | None, Query(description="Of this day or earlier.")] = None,
    ) -> Response:
        """List the articles, a page at a time, the newest first; those without a date come last."""
        date, _, article_id = cursor.partition(" ")
        behind = (date, article_id) if cursor else None
        found = await door.quick(
            records.newest, behind, limit + 1, title=q, since=since or "", until=until or ""
        )
        page = found[:limit]
        more = schemas.encoded_cursor(page[-1]) if len(found) > limit else None
        shown = [_public(article_json(article, with_text=False)) for article in page]
        return JSONResponse({"articles": shown, "next_cursor": more})

    @made.get(
        "/articles/{article_id:path}",
        tags=["articles"],
        summary="Read an article",
        response_model=schemas.WholeArticleJson,
        dependencies=[Depends(gate.may_read)],
        responses={**schemas.problems(404), 304: {"description": "It is as you have it."}},
    )
    async def article(article_id: str, request: Request) -> Response:
        """One article with its text; an `If-None-Match` with its ETag saves sending it again."""
        found = await door.quick(records.article, article_id)
        body = json.dumps(_public(article_json(found, with_text=True)), ensure_ascii=False).encode()
        tag = f'W/"{sha256(body).hexdigest()[:32]}"'  # weak: compressed it is the same article
        headers = {"ETag": tag, "Cache-Control": _FRESH}
        if _has(request.headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")


def _has(sent: str, tag: str) -> bool:
    """Whether an If-None-Match names a tag; strong or weak makes no difference here."""
    tags = {each.strip().removeprefix("W/") for each in sent.split(",")}
    return "*" in tags or tag.removeprefix("W/") in tags


def _writing(made: APIRouter, door: Door) -> None:
    @made.post(
        "/articles",
        tags=["articles"],
        summary="Add pages",
        status_code=202,
        response_model=schemas.TakenJson,
        dependencies=[Depends(gate.may_write)],
        responses=schemas.problems(400, 403, 408, 413, 415),
        openapi_extra={"requestBody": schemas.UPLOAD},
    )
    async def add(request: Request) -> Response:
        """Take in page files or one text; a job reads them, see its `Location`."""
        async with uploads.received(request, door) as (folder, files):
            job_id = await door.quick(door.jobs.add, folder, files)
        return JSONResponse({"job_id": job_id}, 202, {"Location": f"/v1/jobs/{job_id}"})

    @made.get(
        "/jobs/{job_id}",
        tags=["jobs"],
        summary="See how far an upload is",
        response_model=schemas.JobJson,
        dependencies=[Depends(gate.may_write)],
        responses=schemas.problems(403, 404),
    )
    async def job(job_id: schemas.JobId) -> Response:
        """How far a job has come; `report` is there once it is done."""
        found = await door.quick(door.jobs.find, job_id)
        if found is None:
            raise problems.Refused(problems.JOB_NOT_FOUND, "There is no such job (any more).")
        return JSONResponse(asdict(found))

    @made.delete(
        "/articles/{article_id:path}",
        tags=["articles"],
        summary="Remove an article",
        status_code=204,
        dependencies=[Depends(gate.may_write)],
        responses=schemas.problems(403, 404),
    )
    async def remove(article_id: str) -> None:
        """Take an article out of the records and the index."""
        await door.quick(door.app.records.article, article_id)  # none there: no waiting either
        ends = time.monotonic() + REMOVE_WAIT_S
        await door.slow(lambda: door.app.remove([article_id], max(0.0, ends - time.monotonic())))


def _public(article: Mapping[str, object]) -> dict[str, Any]:
    """Without paths, which tell where this server keeps its files.

    Of an article that goes on on another page, the fragments are those of its first.
    """
    own = [part for part in cast("list[Any]", article["fragments"]) if "path" not in part]
    kept = {name: value for name, value in article.items() if name != "path"}
    return kept | {"fragments": own}
