"""A question's filter as SQL: which articles may answer it. Does not cover looking (records.py)."""

import json

from rag.database import LISTED
from rag.types import Question


def condition(question: Question) -> tuple[str, list[str]]:
    """The condition in SQL that an article `a` may answer a question, and its values.

    An original also answers for its reprints.
    """
    own, values = _filter_of("a", question)
    if not values:
        return own, values
    reprinted, _ = _filter_of("b", question)
    others = "SELECT r.original FROM reprints r JOIN articles b ON b.id = r.article_id WHERE"
    return f"(({own}) OR a.id IN ({others} {reprinted}))", values + values


def _filter_of(name: str, question: Question) -> tuple[str, list[str]]:
    parts, values = ["1"], []
    if question.article_ids:
        parts.append(f"{name}.id IN {LISTED}")
        values.append(json.dumps(question.article_ids))
    if question.since or question.until:
        parts.append(f"{name}.date BETWEEN ? AND ?")  # no "", which is before every digit
        values += [question.since or "0", question.until or "~"]
    if question.sources:
        parts.append(f"{name}.source IN {LISTED}")
        values.append(json.dumps(question.sources))
    return " AND ".join(parts), values
