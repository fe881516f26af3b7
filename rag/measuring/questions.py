"""A question file and where its evidence stands: what an evaluation asks, and what it wants.

Does not cover asking (evaluate.py).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import UnreadableFile
from rag.metrics import Span
from rag.types import Article, Language

# --- question files ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EvalQuestion:
    """One line of a question file; each of `answers` is a choice of alternatives."""

    id: str
    text: str
    language: Language
    answerable: bool
    answers: tuple[tuple[str, ...], ...] = ()
    evidence: tuple[str, ...] = ()
    passage_ids: tuple[str, ...] = ()
    kind: str = ""


def read_questions(path: Path) -> list[EvalQuestion]:
    """The questions of a JSONL file, at least one; unknown keys are ignored.

    Raises:
        UnreadableFile: naming the first line that is wrong, and what is wrong with it.
    """
    questions: dict[str, EvalQuestion] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            question = _question(line)
        except ValueError as exc:
            raise UnreadableFile(f"{path} line {number} {exc}.") from exc
        if question.id in questions:
            raise UnreadableFile(
                f'{path} line {number} repeats the id "{question.id}"; give every question its own.'
            )
        questions[question.id] = question
    if not questions:
        raise UnreadableFile(f"{path} holds no question; write one JSON object a line.")
    return list(questions.values())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError as exc:
        raise UnreadableFile(f"{path} does not exist; check the path.") from exc
    except UnicodeDecodeError as exc:
        raise UnreadableFile(f"{path} is not UTF-8 text; save it as UTF-8.") from exc
    except OSError as exc:
        raise UnreadableFile(f"{path} can't be read ({exc.strerror}); check the path.") from exc


def _question(line: str) -> EvalQuestion:
    """One line; ValueError says what is wrong, as the end of a sentence."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise ValueError("is not JSON; write one object a line") from exc
    if not isinstance(row, dict):
        raise ValueError("is no object; write one question a line")
    if not isinstance(row.get("answerable"), bool):
        raise ValueError('has no "answerable"; write true or false')
    return EvalQuestion(
        id=_text(row, "id"),
        text=_text(row, "question"),
        language=_language(_text(row, "lang")),
        answerable=row["answerable"],
        answers=tuple(_alternatives(entry) for entry in _texts(row, "answers")),
        evidence=_texts(row, "evidence"),
        passage_ids=_texts(row, "passage_ids"),
        kind=_text(row, "kind") if row.get("kind") is not None else "",
    )


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'has no text under "{key}"; add it')
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError(f'holds half a character under "{key}"; save it again as UTF-8')
    return value


def _texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of texts; a missing one is empty."""
    values = row.get(key) or []
    if not isinstance(values, list):
        raise ValueError(f'has no list under "{key}"; write ["...", ...]')
    return tuple(_text({key: value}, key) for value in values)


def _alternatives(entry: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in entry.split("|") if part.strip())
    if not found:
        raise ValueError(f'has no answer in "{entry}"; write "one|another"')
    return found


def _language(tag: str) -> Language:
    """zh or en, of which the file may name a variety (zh-Hant)."""
    match tag.lower().replace("_", "-").split("-")[0]:
        case "zh":
            return "zh"
        case "en":
            return "en"
        case _:
            raise ValueError('has another "lang" than zh or en; these two are measured')


# --- evidence ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Located:
    """A question's evidence, each piece with all its places (none: it is in `missing`)."""

    places: tuple[tuple[Span, ...], ...]
    missing: tuple[str, ...]


def locate(question: EvalQuestion, articles: Iterable[Article]) -> Located:
    """Where the evidence stands verbatim; what stands nowhere so, where it does but for whitespace.

    Offsets are true ones either way. The title of an article is not searched: nothing cites it.
    """
    articles = list(articles)
    places = tuple(_places(text, articles) for text in question.evidence)
    pairs = zip(question.evidence, places, strict=True)
    return Located(places, tuple(text for text, found in pairs if not found))


def _places(evidence: str, articles: Sequence[Article]) -> tuple[Span, ...]:
    for find in (_verbatim, _but_for_whitespace):
        found = tuple(
            Span(article.article_id, start, end)
            for article in articles
            for start, end in find(evidence, article.text)
        )
        if found:
            return found
    return ()


def _verbatim(evidence: str, text: str) -> Iterator[tuple[int, int]]:
    start = text.find(evidence)
    while start >= 0:
        yield start, start + len(evidence)
        start = text.find(evidence, start + 1)


def _but_for_whitespace(evidence: str, text: str) -> Iterator[tuple[int, int]]:
    ranges = list(_verbatim("".join(evidence.split()), "".join(text.split())))
    if ranges:
        kept = [i for i, char in enumerate(text) if not char.isspace()]
        yield from ((kept[start], kept[end - 1] + 1) for start, end in ranges)
