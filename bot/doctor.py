"""What is installed, what is indexed, what is missing, and the command that mends it."""

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table

from bot import __version__, people
from bot.keys import Keys
from bot.settings import PREFIX, Settings
from bot.wiring import open_reranker
from rag import database
from rag.errors import ModelUnavailable, WenbaoError
from rag.records import Records
from rag.store import VectorIndex
from rag.translate import Translator

_PACKAGES = "chromadb langchain sentence-transformers python-telegram-bot fastapi".split()
_LEAST_FREE_MB = 500


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `mend` says what to do where it isn't ok."""

    what: str
    ok: bool
    found: str
    mend: str = ""


def examine(settings: Settings) -> list[Check]:
    """Looks at everything; changes nothing but what opening the index makes."""
    looks: Sequence[Callable[[Settings], Check]] = (
        _packages,
        _home,
        _space,
        _model,
        _records,
        _index,
        _llm,
        _reranker,
        _translator,
        _telegram,
        _keys,
    )
    return [_safely(look, settings) for look in looks]


def to_json(checks: Sequence[Check]) -> dict[str, object]:
    """For machines."""
    return {
        "version": __version__,
        "ok": all(check.ok for check in checks),
        "checks": [asdict(check) for check in checks],
    }


def table(checks: Sequence[Check]) -> RenderableType:
    """For people."""
    shown = Table(title=f"Wenbao {__version__}", show_header=False, box=None, pad_edge=False)
    for check in checks:
        words = check.found if check.ok else f"{check.found}\n→ {check.mend}"
        shown.add_row("[green]✓[/]" if check.ok else "[red]✗[/]", check.what, words)
    return shown


def _safely(look: Callable[[Settings], Check], settings: Settings) -> Check:
    try:
        return look(settings)
    except (WenbaoError, OSError) as exc:
        return Check(look.__name__.strip("_"), False, str(exc), "Mend that and run it again.")


def _packages(settings: Settings) -> Check:
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    mend = f"pip install {' '.join(missing)}"
    return Check("packages", not missing, ", ".join(found), mend)


def _home(settings: Settings) -> Check:
    folder = settings.home
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    return Check("home", writable, str(folder), f"Set {PREFIX}HOME to a folder of yours.")


def _space(settings: Settings) -> Check:
    existing = next(p for p in (settings.home, *settings.home.parents) if p.exists())
    free_mb = shutil.disk_usage(existing).free // 2**20
    mend = "Free some disk space; nothing is lost meanwhile."
    return Check("disk", free_mb >= _LEAST_FREE_MB, f"{free_mb:,} MB free", mend)


def _model(settings: Settings) -> Check:
    built = sorted(path.parent.name for path in settings.models.glob("*/model.json"))
    words = ", ".join(built) or "will be built at first use (half a minute)"
    return Check("embedding model", True, f"{settings.model}: {words}")


def _records(settings: Settings) -> Check:
    if not _has_records(settings.home):
        return Check("articles", True, "none yet: `wenbao ingest PATH` reads page files")
    with contextlib.closing(Records(settings.home)) as records:
        counts = records.counts()
    words = f"{counts.articles:,} articles, {counts.passages:,} passages, {counts.files:,} files"
    return Check("articles", True, words)


def _index(settings: Settings) -> Check:
    if not _has_records(settings.home):
        return Check("vector index", True, "empty")
    with contextlib.closing(Records(settings.home)) as records:
        index = VectorIndex(settings.home, records)
        ok = index.is_fresh() and index.is_sound()
    words = "fresh and sound" if ok else "stale or damaged"
    return Check("vector index", ok, words, "Ask anything: it is rebuilt from the records.")


def _has_records(home: Path) -> bool:
    return (home / database.FILE_NAME).is_file()


def _llm(settings: Settings) -> Check:
    if not settings.llm:
        return Check("language model", True, "none: answers are extracts")
    where = settings.llm_base_url or "the provider's own address"
    return Check("language model", True, f"{settings.llm} at {where}")


def _reranker(settings: Settings) -> Check:
    if not settings.reranker:
        return Check("reranker", True, "none: passages are ranked without a cross-encoder")
    try:
        open_reranker(settings)
    except ModelUnavailable as exc:
        mend = f"Set {PREFIX}RERANKER to a folder or hub name that sentence-transformers can load."
        return Check("reranker", False, str(exc), mend)
    return Check("reranker", True, settings.reranker)


def _translator(settings: Settings) -> Check:
    if not settings.translator:
        return Check("translation model", True, "none: foreign quotes have a gloss")
    try:
        Translator(settings.translator).load()
    except ModelUnavailable as exc:
        mend = f"Set {PREFIX}TRANSLATOR to a folder or hub name that transformers can load."
        return Check("translation model", False, str(exc), mend)
    return Check("translation model", True, settings.translator)


def _telegram(settings: Settings) -> Check:
    has = bool(settings.telegram_token.get_secret_value())
    return Check("telegram", True, "token set" if has else "no token: `wenbao telegram` needs one")


def _keys(settings: Settings) -> Check:
    count, reads = len(settings.keys()), "need one" if settings.keys() else "are open"
    if (settings.home / people.FILE_NAME).is_file():
        with contextlib.closing(people.People(settings.home)) as opened:
            known = Keys(opened, settings.keys())
            count += len(known.listed())
            reads = "need one" if known.close_reading() else reads
    writes = "need one" if count else "are closed"
    return Check("API keys", True, f"{count or 'none'}: HTTP reads {reads}, writes {writes}")
