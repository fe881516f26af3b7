"""Names, numbers and dates of a statement are found again in either script and any notation."""

import pytest

from rag import prompts
from rag.terms import concepts, written
from rag.words.glossary import Glossary, open_glossary
from rag.written import facts


@pytest.fixture(scope="module")
def glossary(tmp_path_factory: pytest.TempPathFactory) -> Glossary:
    return open_glossary(tmp_path_factory.mktemp("glossary"))


def missing(glossary: Glossary, statement: str, text: str) -> list[str]:
    """What a statement claims that a text hasn't."""
    is_latin = text.isascii() and statement.isascii()
    found = facts.facts(statement, concepts(statement, glossary.lookup), same_script=is_latin)
    return [
        fact.concept.surface if fact.concept else "day or address"
        for fact in found
        if not fact.stands_in(text)
    ]


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("It pays 100,000 yuan for each.", "区财政每部补助10万元"),
        ("It pays 1.2 million yuan in all.", "总投入约120万元"),
        ("Eighteen members went on 5 March.", "3月5日，18名委员走访"),
        ("They went on March 5th, 2024.", "2024年3月5日"),
        ("They went on March 5.", "三月五日他们去了"),
        ("Thirty percent goes to the collective.", "三成归集体"),
        ("Ten percent goes to repairs.", "一成作维修基金"),
        ("占21.1%。", "占百分之二十一点一"),
        ("１８名委员走访了。", "18名委员"),
        ("Rao Jianzhang proposed it.", "委员饶建章提出"),
        ("Members of Yanta District went.", "雁塔区的委员"),
        ("饶建章提出分类施策。", "Rao Jianzhang proposed grades"),
        ("They made three proposals.", "提了三点建议"),
        ("They made three proposals.", "保留窗口；上门核对；备齐轮椅"),
        ("Xi'an has two of them.", "西安有两个"),
        ("Members visited Qingyuan.", "Members visited the Qingyuan estate."),
        ("See www.example.com for it.", "网址是 www.example.com"),
    ],
)
def test_a_fact_may_be_written_in_another_way(
    glossary: Glossary, statement: str, text: str
) -> None:
    assert missing(glossary, statement, text) == []


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("It pays 1.2 billion yuan.", "总投入约120万元"),
        ("It is 21.2%.", "占21.1%"),
        ("They went on April 5.", "3月5日，老年窗口4月开设"),
        ("3月6日走访。", "3月5日，6名委员走访"),
        ("They went in 2023.", "2024年3月"),
        ("Wang Xiuzhen proposed it.", "委员饶建章提出"),
        ("Members of Beilin District went.", "雁塔区的委员"),
        ("贺松林提出分类施策。", "饶建章提出分类施策"),
        ("They made nine proposals.", "提了三点建议"),
        ("Members visited Boston.", "Members visited the Qingyuan estate."),
        ("See https://evil.example for it.", "网址是 www.example.com"),
        ("Write to a@b.example.", "没有地址"),
    ],
)
def test_what_a_text_has_not_is_missing(glossary: Glossary, statement: str, text: str) -> None:
    assert missing(glossary, statement, text)


def test_last_year_is_the_year_before_the_article(glossary: Glossary) -> None:
    heard = facts.dated("龙窑是去年十月重新点火的。", "2024-03-12")
    assert missing(glossary, "龙窑于2023年10月点火。", heard) == []
    assert missing(glossary, "龙窑于2022年10月点火。", heard) != []
    assert facts.dated("去年十月", "") == "去年十月"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("You answer questions about newspaper articles for readers.", True),
        ("I was told: use only the numbered passages below, of course.", True),
        ("Members asked for an answer about the newspaper.", False),
        ("委员建议保留窗口。", False),
        ("", False),
    ],
)
def test_our_own_words_are_known(text: str, expected: bool) -> None:
    assert prompts.is_echo(text) is expected


def test_articles_are_looked_through_and_not_kept_by_the_thousand(glossary: Glossary) -> None:
    front = written.cache_info().currsize
    for n in range(40):
        article = f"第{n}篇。" + "委员走访了小区。" * 200 + "区财政每部补助10万元。"
        assert missing(glossary, "It pays 100,000 yuan for each.", article) == []
    assert facts._made_of_article.cache_info().currsize <= 32
    assert written.cache_info().currsize <= front + 5
