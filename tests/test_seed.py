"""A real page, which the repository doesn't ship: only where `../shared` is beside it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.settings import Settings
from bot.wiring import App, open_app
from conftest import ROOT
from rag import evaluate, readers
from rag.types import Answer, Article

PAGE = ROOT.parent / "shared" / "seed" / "page.txt"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the seed page is not beside this")

YANTA, YUANHUI = "西安市雁塔区政协", "为高质量发展添动能"
HEADS = [
    "汇聚推动县域经济高质量发展的合力",
    YANTA,
    "文化厚蕴",
    "何文波",
    "京津冀银保监局",
    YUANHUI,
]


@pytest.fixture(scope="module")
def articles() -> list[Article]:
    return readers.read_articles(PAGE)


@pytest.fixture(scope="module")
def app(model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    home = tmp_path_factory.mktemp("seed")
    opened = open_app(Settings(home=home, model_cache=model_cache, _env_file=None))
    assert opened.ingest([PAGE]).articles == 6
    yield opened
    opened.close()


def ask(app: App, question: str) -> Answer:
    answer = app.answerer.answer_now(app.answerer.question(question))
    known = {article.article_id: article for article in app.records.articles()}
    assert evaluate.kept_promises(answer, known).problems == ()
    return answer


def quotes(answer: Answer) -> str:
    return "\n".join(citation.quote for citation in answer.citations)


def test_the_page_holds_six_articles(articles: list[Article]) -> None:
    assert len(articles) == 6
    for head, article in zip(HEADS, articles, strict=True):
        assert article.title.startswith(head)


def test_the_displaced_tail_is_behind_its_head(articles: list[Article]) -> None:
    (split,) = [article for article in articles if article.title == YUANHUI]
    assert len(split.fragments) >= 2
    assert "委员们先后提供招商引资线索" in split.text
    assert split.text.index("推荐官") < split.text.index("招商引资线索")
    assert split.text.endswith("表示。")


def test_no_paragraph_is_cut_in_two(articles: list[Article]) -> None:
    for article in articles:
        for paragraph in article.text.split("\n"):
            assert re.search(r"[。！？!?”」…]$", paragraph) or len(paragraph) < 30, paragraph


def test_what_yanta_proposed_is_quoted_from_its_own_article(app: App) -> None:
    answer = ask(app, "what did Yanta district propose?")
    assert not answer.abstained
    (title,) = {citation.title for citation in answer.citations}
    assert title.startswith(YANTA)
    for proposal in ("互联互通", "送政策到企业", "个性化服务"):
        assert proposal in quotes(answer)


@pytest.mark.parametrize(
    ("question", "title", "holds"),
    [
        ("源汇区政协助推了多少家委员企业达到四上标准？", YUANHUI, "助推7家"),
        ("朝阳的县域经济占全市多大比重？", HEADS[0], "68.6%"),
        ("How many suggestions did the Chaoyang report make?", HEADS[0], "23"),
        ("委员卖了多少斤番茄？", YUANHUI, "2万多斤"),
    ],
    ids=["across-the-cut", "decimal", "english", "who"],
)
def test_a_question_is_answered_with_the_right_sentence(
    app: App, question: str, title: str, holds: str
) -> None:
    answer = ask(app, question)
    assert not answer.abstained
    assert answer.citations[0].title.startswith(title)
    assert holds in quotes(answer)


@pytest.mark.parametrize(
    "question",
    [
        "what did Beilin district propose?",
        "碑林区政协提出了哪些建议？",
        "东川路社区的老人怎么领补贴？",
    ],
)
def test_a_place_that_the_page_does_not_name_is_refused(app: App, question: str) -> None:
    answer = ask(app, question)
    assert (answer.abstained, answer.reason) == (True, "entity_not_found")


@pytest.mark.parametrize(
    ("question", "told", "untold"),
    [
        ("源汇区有多少家企业达到四上标准？碑林区政协提了什么建议？", "7家", "碑林区"),
        ("雁塔区政协主席是谁，源汇区政协主席又是谁？", "董晓枫", "雁塔区政协主席是谁"),
        ("谁是源汇区政协主席，源汇区有多少家企业达到四上标准？", "董晓枫", ""),
        (
            "How many firms in Yuanhui reached the standard, and what did Beilin propose?",
            "7家",
            "Beilin",
        ),
    ],
)
def test_of_questions_asked_at_once_those_are_answered_that_can_be(
    app: App, question: str, told: str, untold: str
) -> None:
    answer = ask(app, question)
    assert not answer.abstained
    assert told in quotes(answer)
    assert untold in answer.note
    assert bool(answer.note) is bool(untold)


def test_questions_asked_at_once_are_refused_where_none_is_answered(app: App) -> None:
    answer = ask(app, "雁塔区政协主席是谁，碑林区政协主席又是谁？")
    assert (answer.abstained, answer.note) == (True, "")
