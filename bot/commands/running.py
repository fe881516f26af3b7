"""The house at work: serve, telegram, and doctor, which looks after it."""

from typing import Annotated

import typer

from bot.commands import opening
from bot.commands.terminal import AsJson, print_json, say, show


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port.", min=1, max=65_535)] = None,
    workers: Annotated[int, typer.Option(help="Processes that answer.", min=1, max=64)] = 1,
) -> None:
    """Run the HTTP server with the chat page."""
    from bot import api

    changed = {k: v for k, v in (("host", host), ("port", port)) if v is not None}
    settings = opening.settings().model_copy(update=changed)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    with opening.app(settings) as app:
        say(f"Wenbao starts on http://{host}:{settings.port} (Ctrl-C ends it)")
        if workers == 1:
            api.serve(app)
    if workers > 1:  # the house was opened to see that it can be; each process opens its own
        api.serve_many(settings, workers)


def telegram(
    webhook: Annotated[
        str, typer.Option(help="Public https address that Telegram calls; else the bot polls.")
    ] = "",
) -> None:
    """Run the Telegram bot."""
    from bot import telegram as door

    with opening.app() as app:
        door.run(app, webhook)


def doctor(as_json: AsJson = False) -> None:
    """Say what is installed, what is indexed, what is missing and what mends it."""
    from bot import doctor as checks

    found = checks.examine(opening.settings())
    if as_json:
        print_json(checks.to_json(found))
    else:
        show(checks.table(found))
    if not all(check.ok for check in found):
        raise typer.Exit(3)
