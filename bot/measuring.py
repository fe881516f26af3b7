"""What `wenbao evaluate` does: asks a question file, writes its report, fits the judge to it.

Does not cover showing anything (the command line), nor measuring and fitting themselves (rag).
"""

import json
import os
from pathlib import Path

from bot.settings import Settings
from bot.wiring import App
from rag import evaluate, weights
from rag.errors import WrongUse
from rag.evaluate import EvalReport, Progress
from rag.ingest import Report as IngestReport
from rag.measuring import fitting, report_page, resume
from rag.measuring import report as reporting
from rag.measuring.compare import Comparison
from rag.measuring.fitting import Aim, Fitted
from rag.measuring.questions import EvalQuestion

# Settings on which no answer depends; all others begin a run anew, also those yet to come.
_APART = {"home", "model_cache", "host", "port", "log_level"}


def measured(
    app: App,
    settings: Settings,
    path: Path,
    questions: list[EvalQuestion],
    progress: Progress,
    ingested: IngestReport | None,
) -> EvalReport:
    """The report on a question file; a run that was stopped goes on where it ended.

    `settings` are those of the person, whose home keeps the answers so far, while `app` may work on
    the temporary home of a corpus.
    """
    articles = evaluate.all_articles(app.records)
    name = resume.fingerprint(path, articles, _what_counts(app, settings))
    kept = resume.Kept(settings.home, name)
    try:
        found = evaluate.run(questions, app.answerer, app.records, progress, ingested, kept)
    finally:
        kept.close()
    kept.done()
    return found


def _what_counts(app: App, settings: Settings) -> list[str]:
    """All that answers depend on beside pages, questions and code."""
    chosen = settings.model_dump(mode="json", exclude=_APART)
    files = (settings.glossary, settings.home / weights.FILE_NAME)
    texts = [file.read_text("utf-8", "replace") for file in files if file and file.is_file()]
    return [app.embedder.name, json.dumps(chosen, sort_keys=True), *texts]


def report_folder(folder: Path) -> Path:
    """The folder of a report, made before anything is asked.

    Raises:
        WrongUse: if it can't be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise WrongUse(f"{folder} can't be made ({exc.strerror}); name another folder.") from exc
    return folder


def write(folder: Path, report: EvalReport, comparison: Comparison | None) -> None:
    """Writes report.json and report.html, each whole or not at all.

    Raises:
        WrongUse: if they can't be written.
    """
    found = reporting.to_json(report, comparison)
    texts = {
        "report.json": json.dumps(found, ensure_ascii=False, indent=1) + "\n",
        "report.html": report_page.page(report, comparison),
    }
    try:
        for name, text in texts.items():
            unfinished = folder / f"{name}.new"
            unfinished.write_text(text, encoding="utf-8")
            os.replace(unfinished, folder / name)
    except OSError as exc:
        raise WrongUse(f"{folder} can't be written ({exc.strerror}); name another folder.") from exc


# --- fitting -------------------------------------------------------------------------------------


def aim(refuse: float | None, wrong: float | None) -> Aim:
    """What the options ask of the threshold; 5 % of answerable questions refused where none does.

    Raises:
        WrongUse: if they ask for two things.
    """
    if refuse is not None and wrong is not None:
        raise WrongUse("A threshold follows --fit-refuse or --fit-wrong; name one of them.")
    return Aim("wrong", wrong) if wrong is not None else Aim("refused", refuse or 0.05)


def fitted(
    app: App, settings: Settings, questions: list[EvalQuestion], wanted: Aim, progress: Progress
) -> Fitted:
    """Fits the judge to a question file and keeps it in the person's home."""
    shipped, model = weights.load(), app.embedder.name
    cases = fitting.cases(questions, app.answerer, app.retriever, app.records, shipped, progress)
    found = fitting.fit(cases, shipped, weights.of_home(settings.home, model), wanted, model)
    weights.keep(settings.home, found.weights)
    return found
