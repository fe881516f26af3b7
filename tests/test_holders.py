"""Who holds an office: read from the question, told from the article, or refused."""

from pathlib import Path

import pytest

from bot.wiring import App
from homes import Home, write_articles
from rag import holders
from rag.answer import Answerer
from rag.retrieve import Retriever
from rag.types import Article

HARBOUR = Article(
    article_id="harbour",
    title="云港区政协为渔港清淤支招",
    text=(
        "“淤泥不清，大船进不来。”云港区政协副主席柳成荫说。主席会议研究了两次。"
        "5月6日，区政协主席邓清和带队察看渔港，云港渔业公司董事长彭水根作了介绍。"
        "市长热线上个月接到了30个电话。"
    ),
)


@pytest.mark.parametrize(
    ("question", "of", "only"),
    [
        ("云港区政协主席是谁？", "政协主席", True),
        ("云港区政协副主席叫什么名字？", "副主席", True),
        ("谁是云港市市长？", "市长", True),
        ("谁担任渔业公司董事长？", "董事长", True),
        ("区政协主席是谁，他说了什么？", "主席", False),
        ("Who is the mayor of Xi'an?", "市长", True),
        ("Who is the mayor of Yaoli town?", "镇长", True),
        ("Who is Yungang's district head?", "区长", True),
        ("Who is the head of Yungang district?", "区长", True),
        ("who's the vice chairwoman of the CPPCC", "副主席", True),
        ("What is the name of the party secretary?", "书记", True),
        ("Who is the chairman and what did he say?", "主席", False),
    ],
)
def test_an_office_is_asked_about(question: str, of: str, only: bool) -> None:
    office = holders.office_asked(question)
    assert office is not None
    assert office.stands_in(f"他是{of}。")
    assert office.only is only


@pytest.mark.parametrize(
    "question",
    [
        "主席会议讨论了什么？",
        "谁向市长提了建议？",
        "区长领办了哪件提案？",
        "谁说书记来过？",
        "区长会什么时候开？",
        "主席什么时候到的？",
        "Who is the man that the mayor thanked?",
        "Who met the mayor?",
        "What did the chairman say?",
        "Who is the mayor's teacher?",
        "Who is He Wenbo?",
        "Who presided over the meeting?",
        "Who is the head of the research group?",
    ],
)
def test_other_questions_ask_something_else(question: str) -> None:
    assert holders.office_asked(question) is None


@pytest.mark.parametrize(
    ("question", "lacks"),
    [
        ("云港区政协主席是谁？", False),
        ("云港市市长是谁？", True),  # a hotline is no mayor
        ("谁是云港区委书记？", True),
        ("谁是天津市政协主席？", True),  # another place
        ("Who is the mayor of Yungang?", True),
        ("Who is the head of Yungang District?", True),
        ("Who is the chairman of the Yungang CPPCC?", False),
        ("What did the mayor propose?", False),  # not for this guard to say
    ],
)
def test_an_article_that_cannot_tell(question: str, lacks: bool) -> None:
    assert holders.lacks(question, HARBOUR) is lacks


@pytest.mark.parametrize(
    ("question", "quotes"),
    [
        ("云港区政协主席是谁？", ["5月6日，区政协主席邓清和带队察看渔港"]),
        ("谁是云港区政协副主席？", ["云港区政协副主席柳成荫说。"]),
        ("渔业公司董事长是谁？", ["云港渔业公司董事长彭水根作了介绍。"]),
        ("Who is the mayor?", []),
    ],
)
def test_the_clause_with_the_holder_is_told(question: str, quotes: list[str]) -> None:
    office = holders.office_asked(question)
    assert office is not None
    spans = holders.told(office, (), HARBOUR)
    assert [HARBOUR.text[start:end] for start, end in spans] == quotes


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("黔江区政协主席是谁？", "陶永鑫"),
        ("Who is the chairman of the Aohan Banner CPPCC?", "乌兰托娅"),
        ("瑶里镇镇长是谁？", "吴海帆"),
    ],
)
def test_the_sample_pages_tell_who(sample_app: App, question: str, name: str) -> None:
    answer = sample_app.answerer.answer_now(sample_app.answerer.question(question))
    assert not answer.abstained
    assert name in answer.citations[0].quote
    assert len(answer.citations) == 1


@pytest.mark.parametrize(
    "question",
    [
        "Who is the mayor of Xi'an?",
        "西安市市长是谁？",
        "谁是雁塔区区长？",
        "Who is the governor of Shaanxi?",
    ],
)
def test_who_is_named_nowhere_is_refused(sample_app: App, question: str) -> None:
    answer = sample_app.answerer.answer_now(sample_app.answerer.question(question))
    assert answer.abstained
    assert not answer.citations


def test_what_else_is_asked_is_answered_too(sample_app: App) -> None:
    text = "黔江区政协主席是谁，断头路打通了几条？"
    answer = sample_app.answerer.answer_now(sample_app.answerer.question(text))
    quotes = "".join(citation.quote for citation in answer.citations)
    assert "陶永鑫" in quotes
    assert "打通了5条" in quotes


def test_who_is_named_nowhere_is_refused_with_any_model(home: Home, tmp_path: Path) -> None:
    article = {"id": "harbour", "title": HARBOUR.title, "text": HARBOUR.text}
    home.ingest(write_articles(tmp_path / "articles.jsonl", [article]))
    retriever = Retriever(home.records, home.index, home.embedder, lambda phrase: ())
    answerer = Answerer(home.records, retriever, home.embedder)
    assert not answerer.answer_now(answerer.question("云港区政协主席是谁？")).abstained
    assert answerer.answer_now(answerer.question("云港区区长是谁？")).reason == "not_in_articles"
