"""A small evaluation: two articles, four questions on them, and answers known by heart."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rag import evaluate
from rag.errors import QuestionRejected
from rag.evaluate import EvalReport
from rag.measuring.questions import EvalQuestion
from rag.records import Records
from rag.types import Answer, Article, Citation, Hit, Passage, Question

KILN = Article(
    article_id="kiln",
    title="让老窑火照亮新日子",
    text="清晨六点，瑶河上的雾还没散。全县登记在册的古窑址有127处，其中62处没有围栏。\n"
    "县政协建议给每一处窑址建一份档案。“数不清就管不住。”汪若兰说。",
)
LIFT = Article(
    article_id="lift",
    title="加装电梯，钱从哪里来？",
    text="住在七楼的彭奶奶今年81岁。一部电梯连同管线迁改要花58万元左右。\n"
    "委员建议由低层住户少出、高层住户多出，其余由财政补助。",
)
ARTICLES = {article.article_id: article for article in (KILN, LIFT)}

HOW_MANY = EvalQuestion(
    id="q1",
    text="古窑址有多少处？",
    language="zh",
    answerable=True,
    answers=(("127处", "127"),),
    evidence=("全县登记在册的古窑址有127处",),
    kind="how_many",
)
COST = EvalQuestion(
    id="q2",
    text="What does a lift cost?",
    language="en",
    answerable=True,
    answers=(("58万元", "580,000"),),
    evidence=("要花58万元左右",),
    kind="how_many",
)
LIFTS = EvalQuestion(
    id="q3", text="Which article is about lifts?", language="en", answerable=True,
    passage_ids=("lift",),
)  # fmt: skip
MAYOR = EvalQuestion(
    id="q4", text="市长是谁？", language="zh", answerable=False, kind="unanswerable"
)
QUESTIONS = [HOW_MANY, COST, LIFTS, MAYOR]


def passage(article: Article, start: int, end: int) -> Hit:
    text = article.text[start:end]
    id_ = f"{article.article_id}-{start}"
    return Hit(Passage(id_, article.article_id, article.title, text, start, end), score=0.5)


def cite(n: int, article: Article, quote: str) -> Citation:
    start = article.text.index(quote)
    return Citation(n, article.article_id, article.title, "", "", quote, start, start + len(quote))


def answered(text: str, *citations: Citation, confidence: float = 0.9) -> Answer:
    plain = evaluate.MARKER.sub("", text)
    hits = (passage(LIFT, 0, 15), passage(KILN, 0, 40), passage(LIFT, 15, 60))
    return Answer(
        "?", "zh", text, plain, False, None, confidence, "extractive", "extractive", citations, hits
    )


def refused(confidence: float = 0.1) -> Answer:
    no = answered("报道中没有提到。", confidence=confidence)
    return replace(no, abstained=True, reason="not_in_articles")


SITES = cite(1, KILN, "全县登记在册的古窑址有127处，其中62处没有围栏。")
PRICE = cite(1, LIFT, "一部电梯连同管线迁改要花58万元左右。")
SCRIPT = {
    HOW_MANY.text: answered("共有127处 [1]。", SITES, confidence=0.9),
    COST.text: answered("About this much [1], says she [2].", PRICE, cite(2, LIFT, "彭奶奶")),
    LIFTS.text: refused(0.3),
    MAYOR.text: refused(0.2),
}


class ScriptedAnswerer:
    """Answers by heart, and keeps what it was asked."""

    def __init__(self, script: Mapping[str, Answer]) -> None:
        self.script = script
        self.asked: list[Question] = []

    def question(self, text: str, lang: str = "auto", top_k: int | None = None) -> Question:
        if len(text) > 100:
            raise QuestionRejected("The question is too long; ask a shorter one.")
        assert lang == "auto"
        assert top_k is not None
        return Question(text, "zh", top_k)

    def answer_now(self, question: Question) -> Answer:
        self.asked.append(question)
        return self.script[question.text]


def library(folder: Path) -> Records:
    """The two articles on record."""
    made = Records(folder)
    with made.change():
        for article in ARTICLES.values():
            made.put_article(article)
    return made


def measured(
    folder: Path,
    questions: Sequence[EvalQuestion] = QUESTIONS,
    script: Mapping[str, Answer] = SCRIPT,
) -> EvalReport:
    """The report on some questions over the two articles."""
    with contextlib.closing(library(folder)) as records:
        return evaluate.run(questions, ScriptedAnswerer(script), records)
