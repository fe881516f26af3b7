"""The whole HTTP door, put together over an open App."""

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from bot import __version__, problems, samples
from bot.api import articles, asking, health, openai_api, pages
from bot.api.door import Door
from bot.api.edge import Edge
from bot.api.gate import Gate
from rag import errors

if TYPE_CHECKING:
    from starlette.types import Lifespan

    from bot.wiring import App

_EXPOSED = ["ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"]


def create_app(app: "App", lifespan: "Lifespan[FastAPI] | None" = None) -> FastAPI:
    """The whole HTTP door over an open App, which stays the caller's to close."""
    api = _Api(
        title="Wenbao 问报",
        summary="Ask the newspaper: answers with citations one can check.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    door = api.state.door = Door.of(app)
    for module in (asking, articles, openai_api, health):
        api.include_router(module.router(door))
    pages.add(api)
    api.add_exception_handler(errors.WenbaoError, problems.on_wenbao_error)
    api.add_exception_handler(StarletteHTTPException, problems.on_http_error)
    api.add_exception_handler(RequestValidationError, problems.on_invalid)
    _surround(api, door)
    return api


class _Api(FastAPI):
    """FastAPI, whose OpenAPI document is mended once it is made."""

    def openapi(self) -> dict[str, Any]:
        made = self.openapi_schema is None
        document = super().openapi()
        if made:
            _finish(document)
        return document


def _surround(api: FastAPI, door: Door) -> None:
    """The layers around the routes, the innermost first."""
    given = door.app.settings
    api.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)
    api.add_middleware(Gate, door=door)
    if origins := given.origins():
        api.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "X-Request-ID"],
            expose_headers=_EXPOSED,
        )
    most = given.upload_mb * 1024 * 1024
    api.add_middleware(Edge, metrics=door.metrics, max_upload_bytes=most)


def _finish(document: dict[str, Any]) -> None:
    """Mends what FastAPI can't say: it drops nulls from examples and calls problems plain JSON."""
    document["components"]["schemas"]["AnswerJson"]["example"] = samples.ANSWER
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                kept = path in problems.OPENAI_ROUTES
                if int(status) >= 400 and "application/json" in content and not kept:
                    content["application/problem+json"] = content.pop("application/json")
