"""Votes on answers -> lines of a question file for `wenbao evaluate`.

An answer that was voted up is a question that is answered well: its quotes are the evidence. One
that was voted down says that something is wrong, not what is right: it comes with no evidence and
with `review`, a sentence for the editor, who writes the evidence or takes the line out. A refusal
that was voted up is a question that the articles don't answer. Does not delete what it exports.
"""

import json

from bot.people import Feedback, People

KIND = "feedback"
REVIEW = "voted down: write the right evidence, or answerable false, or take this line out"


def lines(people: People) -> list[str]:
    """One JSON line a vote, the oldest first; the same question comes once, with its last vote."""
    latest = {(each.question, each.language): each for each in people.feedback()}
    return [
        json.dumps(_row(each), ensure_ascii=False, separators=(", ", ": ")) + "\n"
        for each in latest.values()
    ]


def _row(each: Feedback) -> dict[str, object]:
    good = each.vote == "up"
    row: dict[str, object] = {
        "id": f"feedback-{each.answer_id}",
        "question": each.question,
        "lang": each.language,
        "answerable": not (good and each.abstained),
        "answers": [],
        "evidence": list(each.quotes) if good else [],
        "passage_ids": [],
        "kind": KIND,
    }
    if not good:
        row |= {"review": REVIEW, "quoted": list(each.quotes)}
    if each.comment:
        row["comment"] = each.comment
    return row
