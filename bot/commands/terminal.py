"""What commands print and are told: lines, JSON, tables, a progress bar, and the common options.

Text goes to standard output, what went wrong and how far it has come to the error stream.
"""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

STREAM = Path("-")

Step = Callable[[int, int], None]  # how many are done, of how many
Places = Annotated[list[str], typer.Argument(help="Page files, folders, archives, URLs, feeds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def print_json(value: object) -> None:
    """Prints a value as one line of UTF-8; what isn't UTF-8 in it becomes question marks."""
    typer.echo(json.dumps(value, ensure_ascii=False).encode(errors="replace").decode())


def say(text: str, *, err: bool = False) -> None:
    """Prints text, without what could steer the terminal."""
    from bot.render import harmless

    typer.echo(harmless(text), err=err)


def complain(sentence: str) -> None:
    """Prints a sentence on the error stream."""
    say(sentence, err=True)


def show(renderable: Any) -> None:
    """Prints a table or an answer with its colours, as far as the terminal has them."""
    from rich.console import Console

    Console().print(renderable)


@contextlib.contextmanager
def bar(what: str, *, quiet: bool) -> Iterator[Step]:
    """A progress bar on the error stream, if that is a terminal: done, rate, time left."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    named = Progress.get_default_columns()[:2]
    columns = (*named, MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextlib.contextmanager
def bar_of_files(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar for what an ingest tells, as far as that is about files."""
    with bar("files", quiet=quiet) as step:
        yield lambda what, done, total: step(done, total) if what == "files" else None
