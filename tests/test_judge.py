"""Whether there is an answer: what tells, and how it is said."""

import numpy as np
import pytest

from homes import Home, write_articles
from rag import judge, sentences
from rag.retrieve import Findings, Retriever
from rag.types import Language, Question
from rag.weights import load

ARTICLES = (
    {
        "id": "yanta",
        "title": "雁塔区政协献策营商环境",
        "text": (
            "5月31日，雁塔区政协委员杨晨视察营商环境。委员们建议，2023年要打通数据壁垒，让企业少跑腿。"
            "区政协主席李建国介绍，全区有17家企业达标，投入5000万元。"
        ),
    },
    {
        "id": "luohe",
        "title": "漯河市的番茄",
        "text": (
            "漯河市源汇区的番茄熟了。委员何广要说，2022年全区卖出番茄6万斤。马久林说，冷库够用。"
        ),
    },
)


@pytest.fixture(name="home", scope="module")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("judge")
    home = Home.at(folder / "home")
    home.ingest(write_articles(folder / "articles.jsonl", ARTICLES))
    return home


def gloss(phrase: str) -> tuple[str, ...]:
    words = {"tomatoes": ("番茄",), "district": ("区",), "cement": ("水泥",)}
    return words.get(phrase, ())


class Asked:
    """A question as the judge gets it."""

    def __init__(self, home: Home, text: str) -> None:
        language: Language = "en" if text.isascii() else "zh"
        self.question = Question(text, language)
        retriever = Retriever(home.records, home.index, home.embedder, gloss)
        self.findings: Findings = retriever.search(self.question)
        articles = {a.article_id: a for a in home.records.articles(limit=100)}
        self.pool = sentences.candidates(self.findings, articles)
        rows = sentences.features(text, self.findings, self.pool)
        self.chances = sentences.chances(load().sentence, rows)

    @property
    def features(self) -> dict[str, float]:
        row = judge.features(self.question, self.findings, self.pool, self.chances)
        return dict(zip(judge.FEATURES, row.tolist(), strict=True))


def test_the_weights_that_ship_fit_the_features() -> None:
    assert list(load().judge) == list(judge.FEATURES)
    assert list(load().sentence) == list(sentences.FEATURES)
    assert 0 < load().threshold < 1


@pytest.mark.parametrize(
    ("question", "feature", "value"),
    [
        pytest.param("雁塔区政协提了什么建议？", "names", 0, id="a name that the article holds"),
        pytest.param("碑林区政协提了什么建议？", "names", 1, id="a name that no article holds"),
        pytest.param("雁塔区数据壁垒，漯河市番茄？", "names", 1, id="another article's name"),
        pytest.param("What did Yanta district say?", "names", 0, id="a name in pinyin"),
        pytest.param("What did Weiyang district say?", "names", 1, id="an unknown name in pinyin"),
        pytest.param(
            "区政协主席李建国介绍，全区有17家企业达标？",
            "numbers",
            0,
            id="a number that stands near",
        ),
        pytest.param("雁塔区有19家企业达标吗？", "numbers", 4, id="a number that stands nowhere"),
        pytest.param("多少企业达标？", "how_many", 1, id="how many"),
        pytest.param("番茄卖了多少斤？", "unit", 0, id="a unit that stands near"),
        pytest.param("番茄熟了多少吨？", "unit", 1, id="a unit that doesn't"),
        pytest.param("番茄熟了多少钱一斤？", "unit", 1, id="no sum of money"),
        pytest.param("番茄冷库", "words_known", 1, id="words that are known"),
        pytest.param("恐龙化石", "words_known", 0, id="words that nobody uses"),
        pytest.param("Tomatoes in Luohe?", "cross", 1, id="the other script"),
        pytest.param("漯河的番茄？", "cross", 0, id="the same script"),
    ],
)
def test_what_tells(home: Home, question: str, feature: str, value: float) -> None:
    assert Asked(home, question).features[feature] == pytest.approx(value)


def test_a_word_that_is_missing_weighs_more_than_one_that_is_common(home: Home) -> None:
    known = Asked(home, "雁塔区政协委员").features["words_known"]
    partly = Asked(home, "雁塔区政协委员的门票").features["words_known"]
    assert partly < 0.7 < known


def test_pairs_across_two_words_count_for_nothing(home: Home) -> None:
    assert Asked(home, "企业数据番茄").features["words_known"] == pytest.approx(1)


def test_nothing_found_is_a_row_too(home: Home) -> None:
    asked = Asked(home, "雁塔区")
    row = judge.features(asked.question, asked.findings, [], [])
    assert row.shape == (len(judge.FEATURES),)
    assert row.sum() == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("🙂", id="emoji"),
        pytest.param("？", id="a question mark"),
        pytest.param("x" * 2000, id="one long word"),
        pytest.param("雁塔区" * 600, id="many times the same"),
        pytest.param("\x00雁塔\x00", id="NUL"),
    ],
)
def test_odd_questions_give_finite_features(home: Home, text: str) -> None:
    assert np.isfinite(list(Asked(home, text).features.values())).all()


def test_a_name_that_no_article_holds_is_said(home: Home) -> None:
    found = Asked(home, "碑林区政协提了什么建议？").findings
    verdict = judge.verdict(0.7, found, 0.5)
    assert verdict.reason == "entity_not_found"
    assert verdict.missing == ("碑林区",)
    assert verdict.confidence < 0.5


def test_passages_that_are_sure_enough_answer_in_spite_of_a_missing_name(home: Home) -> None:
    found = Asked(home, "碑林区政协提了什么建议？").findings
    assert judge.verdict(0.95, found, 0.5).reason is None


@pytest.mark.parametrize(
    ("question", "probability", "reason"),
    [
        pytest.param("雁塔区政协提了什么建议？", 0.8, None, id="answered"),
        pytest.param("雁塔区政协提了什么建议？", 0.3, "not_in_articles", id="near but not there"),
        pytest.param("恐龙化石", 0.3, "off_topic", id="another topic"),
        pytest.param("是什么？", 0.8, "too_vague", id="about nothing"),
    ],
)
def test_a_probability_is_put_into_words(
    home: Home, question: str, probability: float, reason: str | None
) -> None:
    verdict = judge.verdict(probability, Asked(home, question).findings, 0.5)
    assert verdict.reason == reason
    assert (verdict.confidence >= 0.5) == (reason is None)


@pytest.mark.parametrize(
    ("text", "is_talk"),
    [
        pytest.param("你好！", True, id="a greeting"),
        pytest.param("Hello", True, id="hello"),
        pytest.param("thank you!", True, id="thanks"),
        pytest.param("你好，雁塔区提了什么建议？", False, id="a greeting and a question"),
        pytest.param("Who are you quoting on Yanta?", False, id="a question that begins like talk"),
    ],
)
def test_small_talk_is_told_from_questions(text: str, *, is_talk: bool) -> None:
    assert judge.small_talk(Question(text, "zh")) == is_talk
