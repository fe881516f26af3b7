"""How well the house answers, and when it is to refuse: evaluate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.commands import opening
from bot.commands.terminal import AsJson, bar, complain, print_json, show

if TYPE_CHECKING:
    from rag.measuring.fitting import Aim


def evaluate(
    questions: Annotated[Path, typer.Argument(help="Question file, JSON lines.")],
    *,
    corpus: Annotated[
        Path | None, typer.Option(help="Measure against a temporary index of these pages.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for report.json and report.html.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="An older report.json: what changed, in pairs.")
    ] = None,
    as_json: AsJson = False,
    fail_under: Annotated[
        list[str] | None, typer.Option(help="METRIC=VALUE, e.g. hit@3.zh=0.95; exit 1 below it.")
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Fit when to refuse to these questions, for this home.")
    ] = False,
    fit_refuse: Annotated[
        float | None, typer.Option(help="--fit: share of answerable refused, .05.", min=0, max=1)
    ] = None,
    fit_wrong: Annotated[
        float | None, typer.Option(help="--fit: instead, share of answers wrong.", min=0, max=1)
    ] = None,
) -> None:
    """Measure a question file: retrieval, citations, refusals, time. Stopped, it goes on."""
    from bot import measuring

    if fit or fit_refuse is not None or fit_wrong is not None:
        if report or compare or fail_under:
            raise typer.BadParameter("--fit measures nothing: leave out the options of a report")
        _fit(questions, corpus, measuring.aim(fit_refuse, fit_wrong), as_json)
    else:
        _measure(questions, corpus, report, compare, fail_under or [], as_json)


def _measure(
    questions: Path,
    corpus: Path | None,
    to: Path | None,
    compare: Path | None,
    fail_under: list[str],
    as_json: bool,
) -> None:
    from bot import measuring
    from rag.measuring import compare as comparing
    from rag.measuring import report as reporting
    from rag.measuring import report_table
    from rag.measuring.questions import read_questions

    bars = [reporting.bar(text) for text in fail_under]
    asked = read_questions(questions)
    reporting.check_groups(bars, asked)
    old = comparing.read_past(compare) if compare else None
    folder = measuring.report_folder(to) if to else None
    settings = opening.settings()
    with (
        opening.app_over(corpus, settings, quiet=as_json) as (app, ingested),
        bar("questions", quiet=as_json) as step,
    ):
        found = measuring.measured(app, settings, questions, asked, step, ingested)
    change = comparing.compare(comparing.past(found), old) if old else None
    if folder:
        measuring.write(folder, found, change)
    if as_json:
        print_json(reporting.to_json(found, change))
    else:
        show(report_table.table(found, change))
    if missed := reporting.missed(found, bars):
        for sentence in missed:
            complain(sentence)
        raise typer.Exit(1)


def _fit(questions: Path, corpus: Path | None, aim: "Aim", as_json: bool) -> None:
    from bot import measuring
    from rag.measuring import report_table
    from rag.measuring.questions import read_questions
    from rag.weights import FILE_NAME

    asked, settings = read_questions(questions), opening.settings()
    with (
        opening.app_over(corpus, settings, quiet=as_json) as (app, _),
        bar("questions", quiet=as_json) as step,
    ):
        found = measuring.fitted(app, settings, asked, aim, step)
    if as_json:
        print_json(found.to_json())
    else:
        show(report_table.fitted(found, settings.home / FILE_NAME))
