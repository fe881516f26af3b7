"""What a home keeps: backup and restore, API keys, what people thought of answers."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.commands import opening
from bot.commands.terminal import STREAM, AsJson, complain, print_json, say
from rag.errors import WrongUse

keys = typer.Typer(no_args_is_help=True, help="API keys: make them, list them, take them away.")
feedback = typer.Typer(no_args_is_help=True, help="What people thought of answers.")


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; - for standard output.")],
    as_json: AsJson = False,
) -> None:
    """Write articles, people's answers and the fitted judge to one file, while all runs."""
    from bot import backup as backups

    is_stream = file == STREAM
    if is_stream and as_json:
        raise typer.BadParameter("--json prints where the backup goes: name a file")
    home = opening.settings().home
    kept = backups.write(home, sys.stdout.buffer) if is_stream else backups.write_file(home, file)
    if as_json:
        print_json({"home": str(home), "file": str(file), "kept": kept})
    else:
        complain(f"{'The stream' if is_stream else file} holds {', '.join(kept)} of {home}.")


def restore(
    file: Annotated[Path, typer.Argument(help="What `backup` wrote; - for standard input.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace what the home holds already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup into the home; stop what runs there first."""
    from bot import backup as backups

    home = opening.settings().home
    with opening.read(file) as source:
        found = backups.restore(home, source, force)
    if as_json:
        print_json({"home": str(home), "file": str(file), "restored": found})
    else:
        complain(f"{home} holds {', '.join(found)}; the next command makes the index again.")


@keys.command("add")
def keys_add(
    name: Annotated[str, typer.Argument(help="Who or what the key is for.")],
    scope: Annotated[str, typer.Option(help="read or write; writing includes reading.")] = "write",
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once."""
    from bot.keys import SCOPES

    wanted = next((each for each in SCOPES if each == scope), None)
    if wanted is None:
        raise typer.BadParameter("--scope is read or write")
    with opening.keys() as known:
        key = known.add(name, wanted)
        closed = known.close_reading()
    print_json({"name": name, "scope": wanted, "key": key}) if as_json else say(key)
    complain("Keep it now: only its hash is stored.")
    if not closed:
        complain("Reading stays open to everybody until there is a key of scope read.")


@keys.command("list")
def keys_list(as_json: AsJson = False) -> None:
    """List the keys, without their words."""
    with opening.keys() as known:
        listed = known.listed()
    for key in listed:
        if as_json:
            print_json({"name": key.name, "scope": key.scope, "made_at": key.made_at})
        else:
            say(f"{key.name}  {key.scope}  {key.made_at}")
    if not listed and not as_json:
        say("No key is made yet: `wenbao keys add NAME` makes one.")


@keys.command("remove")
def keys_remove(
    name: Annotated[str, typer.Argument(help="The key's name.")], as_json: AsJson = False
) -> None:
    """Take a key away, at once."""
    with opening.keys() as known:
        known.remove(name)
    print_json({"removed": name}) if as_json else say(f"removed {name}")


@feedback.command()
def export(
    path: Annotated[Path | None, typer.Argument(help="File to write; default: the screen.")] = None,
) -> None:
    """Write the votes as a question file for `wenbao evaluate`."""
    from bot import feedback as votes

    with opening.people() as people:
        lines = votes.lines(people)
    if path is None or path == STREAM:
        typer.echo("".join(lines), nl=False)
        return
    try:
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as exc:
        raise WrongUse(f"{path} can't be written ({exc.strerror}); name another file.") from exc
    say(f"{len(lines)} questions written to {path}")
