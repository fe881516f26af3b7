"""The chat page, and the pages that show the API."""

from pathlib import Path

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles

WEB = Path(__file__).parents[1] / "web"

# Swagger UI writes style elements and uses innerHTML; it still runs no script but its own files.
_DOCS_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_DOCS_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Wenbao 问报 · HTTP API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<div id="docs"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_DOCS_START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#docs", deepLinking: true});\n'


def add(api: FastAPI) -> None:
    """Serves the pages and the files that they load."""
    api.include_router(_router())
    api.mount("/static", StaticFiles(directory=WEB))
    api.mount("/docs/assets", StaticFiles(packages=[("fastapi_offline", "static")]))


def _router() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page() -> Response:
        return FileResponse(WEB / "index.html")

    @router.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(_DOCS_PAGE, headers={"Content-Security-Policy": _DOCS_CSP})

    @router.get("/docs/start.js")
    async def docs_start() -> Response:
        return Response(_DOCS_START, media_type="text/javascript")

    return router
