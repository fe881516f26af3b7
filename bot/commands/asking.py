"""Questions to the house: ask, search."""

from typing import Annotated

import typer

from bot.commands import opening
from bot.commands.terminal import AsJson, print_json, say, show

Asked = Annotated[str, typer.Argument(help="The question, in English or Chinese.")]
Since = Annotated[str, typer.Option(help="Only articles of this day or later, YYYY-MM-DD.")]
Until = Annotated[str, typer.Option(help="Only articles of this day or earlier.")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Only these newspapers.")]


def ask(
    question: Asked,
    *,
    as_json: AsJson = False,
    lang: Annotated[str, typer.Option(help="auto, zh or en.")] = "auto",
    top_k: Annotated[int | None, typer.Option(help="Passages to draw on.", min=1, max=50)] = None,
    article: Annotated[list[str] | None, typer.Option(help="Only these articles.")] = None,
    since: Since = "",
    until: Until = "",
    source: Sources = None,
) -> None:
    """Answer a question, with the passages it comes from."""
    from bot import render

    if lang not in ("auto", "zh", "en"):
        raise typer.BadParameter("--lang is auto, zh or en")
    with opening.app() as app:
        asked = app.answerer.question(
            question,
            lang,
            top_k,
            article_ids=article or (),
            since=since,
            until=until,
            sources=source or (),
        )
        answer = app.answerer.answer_now(asked)
    print_json(render.to_json(answer)) if as_json else show(render.terminal(answer))


def search(
    question: Asked,
    k: Annotated[int, typer.Option("-k", help="How many passages.", min=1, max=50)] = 8,
    as_json: AsJson = False,
    since: Since = "",
    until: Until = "",
    source: Sources = None,
) -> None:
    """Show the ranked passages alone."""
    from bot import render

    with opening.app() as app:
        asked = app.answerer.question(
            question, top_k=k, since=since, until=until, sources=source or ()
        )
        hits = app.answerer.search_now(asked)
    if as_json:
        print_json({"passages": [render.hit_json(hit) for hit in hits]})
        return
    for rank, hit in enumerate(hits, 1):
        say(f"{rank}. {hit.score:.3f}  {hit.passage.title}\n   {hit.passage.text}\n")
