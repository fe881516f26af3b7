"""What commands work on: the settings, the house, or only the part of it that they need."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bot.commands.terminal import STREAM, bar_of_files, complain
from rag.errors import UnreadableFile

if TYPE_CHECKING:
    from bot.keys import Keys
    from bot.people import People
    from bot.settings import Settings
    from bot.wiring import App
    from rag.ingest import Report
    from rag.records import Records

state = {"debug": False}  # whether --debug was given


def settings() -> "Settings":
    """The environment's settings; from here on the log is set up."""
    from bot import logs
    from bot.settings import load

    found = load()
    if state["debug"]:
        found = found.model_copy(update={"log_level": "DEBUG"})
    logs.set_up(found.log_level, found.log_format)
    return found


@contextlib.contextmanager
def app(given: "Settings | None" = None) -> Iterator["App"]:
    """The whole house, closed at the end."""
    from bot.wiring import open_app

    opened = open_app(given or settings(), complain)
    try:
        yield opened
    finally:
        opened.close()


@contextlib.contextmanager
def app_over(
    corpus: Path | None, given: "Settings", *, quiet: bool
) -> Iterator[tuple["App", "Report | None"]]:
    """The house over its own index, or over a temporary one of a corpus, as the home is fitted."""
    if corpus is None:
        with app(given) as opened:
            yield opened, None
        return
    from rag import weights

    with tempfile.TemporaryDirectory(prefix="wenbao-") as home:
        weights.carry(given.home, Path(home))
        changed = {"home": Path(home), "model_cache": given.models}
        with app(given.model_copy(update=changed)) as opened:
            yield opened, _ingested(opened, corpus, quiet)


def _ingested(opened: "App", corpus: Path, quiet: bool) -> "Report":
    from rag.ingest import Watcher

    with bar_of_files(quiet=quiet) as step:
        report = opened.ingest([corpus], watcher=Watcher(step=step))
    if not report.articles:
        errors = [failure["error"] for failure in report.failed]
        raise UnreadableFile(errors[0] if errors else f"{corpus} holds no article.")
    for failure in report.failed:
        complain(failure["error"])
    return report


@contextlib.contextmanager
def records() -> Iterator["Records"]:
    """The articles alone, without a model."""
    from rag.records import Records

    with contextlib.closing(Records(settings().home)) as opened:
        yield opened


@contextlib.contextmanager
def people() -> Iterator["People"]:
    """What is kept about people."""
    from bot.people import People

    with contextlib.closing(People(settings().home)) as opened:
        yield opened


@contextlib.contextmanager
def keys() -> Iterator["Keys"]:
    """The API keys of this home, and those of the environment."""
    from bot.keys import Keys
    from bot.people import People

    given = settings()
    with contextlib.closing(People(given.home)) as opened:
        yield Keys(opened, given.keys())


@contextlib.contextmanager
def read(file: Path) -> Iterator[BinaryIO]:
    """A file to read, or standard input for `-`.

    Raises:
        UnreadableFile: if it can't be opened.
    """
    if file == STREAM:
        yield sys.stdin.buffer
        return
    try:
        opened = file.open("rb")
    except OSError as exc:
        raise UnreadableFile(f"{file} can't be read ({exc.strerror}); check the path.") from exc
    with opened:
        yield opened
