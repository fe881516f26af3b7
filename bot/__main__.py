"""The command line: its commands by name, and what becomes of an error.

Exit status: 0 done; 1 it ran and the result is bad; 2 wrong use; 3 something it needs is away.
What each command does stands in its room of bot/commands.
"""

import sys
from typing import Annotated

import typer

from bot import __version__
from bot.commands import asking, evaluating, keeping, library, opening, running
from bot.commands.terminal import complain
from rag.errors import (
    ArticleNotFound,
    BadSettings,
    QuestionRejected,
    UnreadableFile,
    WenbaoError,
    WrongUse,
)

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Wenbao (问报): ask newspaper pages, get answers with the exact passages.",
)
for command in (
    library.ingest,
    library.parse,
    library.articles,
    library.remove,
    asking.ask,
    asking.search,
    evaluating.evaluate,
    running.serve,
    running.telegram,
    keeping.backup,
    keeping.restore,
    running.doctor,
):
    cli.command()(command)
cli.add_typer(keeping.keys, name="keys")
cli.add_typer(keeping.feedback, name="feedback")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wenbao {__version__}")
        raise typer.Exit


@cli.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Wenbao (问报): ask newspaper pages, get answers with the exact passages."""
    opening.state["debug"] = debug


def main() -> None:
    """Runs a command; an error is one sentence and an exit status."""
    try:
        cli()
    except Exception as exc:  # whatever it is, a person gets one sentence
        if opening.state["debug"]:
            raise
        sentence, status = _translated(exc)
        complain(sentence)
        sys.exit(status)


def _translated(exc: Exception) -> tuple[str, int]:
    """The one table of this door from an error to words and an exit status."""
    if isinstance(exc, QuestionRejected | ArticleNotFound | BadSettings | WrongUse):
        return str(exc), 2
    if isinstance(exc, UnreadableFile):
        return str(exc), 1
    if isinstance(exc, WenbaoError):
        return str(exc), 3
    if isinstance(exc, OSError) and exc.strerror:
        where = f"{exc.filename}: " if exc.filename else ""
        return f"The system refuses it ({where}{exc.strerror}): mend that and try again.", 3
    return f"Something went wrong ({type(exc).__name__}): run again with --debug to see it.", 3


if __name__ == "__main__":
    main()
