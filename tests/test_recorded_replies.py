"""Replies as strong and weak models write them, over the sample pages: what stands, and on what.

`data/replies.jsonl`: a question, the articles that may answer, a reply in which ⟦words⟧ stands for
the number of the passage that holds them, and the statements that must be kept with what each of
them must quote. All others must go.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bot.wiring import App
from fakes import ScriptedLlm
from rag import evaluate
from rag.answer import Answerer
from rag.types import Answer, Hit

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "replies.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]


def answered(app: App, row: dict[str, Any]) -> Answer:
    articles = {a.article_id: a for a in app.records.articles(limit=1000)}
    ids = [i for i, a in articles.items() if a.title.startswith(tuple(row["articles"]))]
    assert len(ids) == len(row["articles"])
    model = ScriptedLlm()
    answerer = Answerer(app.records, app.answerer._retriever, app.embedder, model)
    answerer._threshold = 0.0  # what is written counts here, not whether to answer at all
    question = answerer.question(row["question"], article_ids=ids, top_k=24)
    model._replies.append(numbered(row["reply"], answerer.search_now(question)))
    answer = answerer.answer_now(question)
    assert evaluate.kept_promises(answer, articles).problems == ()
    return answer


def numbered(reply: str, hits: list[Hit]) -> str:
    def number(match: re.Match[str]) -> str:
        (n,) = [i for i, hit in enumerate(hits, 1) if match[1] in hit.passage.text][:1]
        return str(n)

    return re.sub("⟦(.*?)⟧", number, reply)


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_what_is_true_stands_on_its_words_and_nothing_else_does(
    sample_app: App, row: dict[str, Any]
) -> None:
    answer = answered(sample_app, row)
    stands = {each["text"]: each["quotes"] for each in row["stands"]}
    if not stands:
        assert answer.mode == "extractive"
        return
    assert answer.mode == "written"
    assert answer.answer_plain.splitlines() == list(stands)
    for line, wanted in zip(answer.answer.splitlines(), stands.values(), strict=True):
        cited = [c for c in answer.citations if f"[{c.n}]" in line]
        assert all(any(words in c.quote for c in cited) for words in wanted)
        assert sum(len(c.quote) for c in cited) <= row.get("most", 200)
