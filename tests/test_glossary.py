"""Words of one language for words of the other, and the operator's own."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.settings import Settings
from bot.wiring import open_app
from rag.errors import BadSettings
from rag.terms import concepts, passage_terms
from rag.words.glossary import Glossary, bare, open_glossary, simplified, stem, stem_phrase


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("glossary")


@pytest.fixture(scope="module")
def glossary(folder: Path) -> Glossary:
    return open_glossary(folder)


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("CPPCC", "政协"),
        ("National People's Congress", None),
        ("people's congress", "人大"),
        ("standing committee", "常委会"),
        ("proposals", "提案"),
        ("proposed", "建议"),
        ("business environment", "营商环境"),
        ("elevators", "电梯"),
        ("Inner Mongolia", "内蒙古"),
        ("Tibet", "西藏"),
        ("Hong Kong", "香港"),
        ("Macau", "澳门"),
        ("Macao", "澳门"),
        ("Harbin", "哈尔滨"),
        ("Urumqi", "乌鲁木齐"),
        ("Hohhot", "呼和浩特"),
        ("Lhasa", "拉萨"),
        ("Kashgar", "喀什"),
        ("Canton", "广州"),
        ("Amoy", "厦门"),
        ("Beijing Tianjin Hebei", "京津冀"),
        ("Yangtze", "长江"),
        ("Yangtze River Delta", "长三角"),
        ("Yellow River", "黄河"),
        ("Pearl River Delta", "珠三角"),
        ("Greater Bay Area", "大湾区"),
        ("xi'an", "西安"),
        ("XI’AN", "西安"),
    ],
)
def test_english_gives_chinese(glossary: Glossary, english: str, chinese: str | None) -> None:
    assert chinese is None or chinese in glossary.lookup(english)


@pytest.mark.parametrize(
    ("chinese", "english"),
    [
        ("政协", "CPPCC"),
        ("常委会", "standing committee"),
        ("提案", "proposal"),
        ("营商环境", "business environment"),
        ("电梯", "elevator"),
        ("西藏", "Tibet"),
        ("京津冀", "Beijing Tianjin Hebei"),
    ],
)
def test_chinese_gives_stemmed_english(glossary: Glossary, chinese: str, english: str) -> None:
    assert stem_phrase(english) in glossary.lookup(chinese)


@pytest.mark.parametrize("phrase", ["", "qqqq", "的" * 50, "'", "%", "' OR 1=1 --", "\x00"])
def test_what_nobody_knows_gives_nothing(glossary: Glossary, phrase: str) -> None:
    assert glossary.lookup(phrase) == ()


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("xi'an's", "xian"),
        ("lüliang", "lvliang"),
        ("guǎngzhōu", "guangzhou"),
        ("people's", "people"),
    ],
)
def test_a_word_loses_its_marks(word: str, plain: str) -> None:
    assert bare(word) == plain


def test_traditional_characters_become_simplified_ones() -> None:
    assert simplified("雁塔區政協建議，臺灣") == "雁塔区政协建议，台湾"
    assert simplified("乾隆著名") == "乾隆著名"


def own(folder: Path, text: str) -> Path:
    path = folder / "own.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_operators_words_are_added_and_count(folder: Path, tmp_path: Path) -> None:
    lines = "\ufeff# ours\r\nriver chief\t河长 河长制\r\n\r\nElevators\t升降機\r\n"
    glossary = open_glossary(folder, own(tmp_path, lines))
    assert glossary.lookup("River Chiefs") == ("河长", "河长制")
    assert glossary.lookup("elevator") == ("升降机",)
    assert glossary.lookup("河长") == (stem_phrase("river chief"),)
    assert "政协" in glossary.lookup("CPPCC")


def test_the_operators_phrase_is_one_thing_in_a_question(folder: Path, tmp_path: Path) -> None:
    glossary = open_glossary(folder, own(tmp_path, "double reduction\t双减\n"))
    asked = concepts("What is Double Reduction?", glossary.lookup)
    assert [concept.surface for concept in asked] == ["double reduction"]
    assert any(s in passage_terms("双减政策").written for s in asked[0].spellings)


@pytest.mark.parametrize(
    "text", ["river chief 河长\n", "river chief\t\n", "\t河长\n", "river\triver\n", "###\n!!\t河长"]
)
def test_a_wrong_line_is_named(folder: Path, tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSettings, match=r"^WENBAO_GLOSSARY is wrong: line \d of .+own\.tsv"):
        open_glossary(folder, own(tmp_path, text))


def test_a_file_that_is_no_text_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own.tsv").write_bytes(b"\xff\xfe\x00")
    for name in ("own.tsv", "absent.tsv", ""):
        with pytest.raises(BadSettings, match="can't be read as UTF-8"):
            open_glossary(folder, tmp_path / name)


def test_the_setting_reaches_the_glossary(
    model_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENBAO_GLOSSARY", str(own(tmp_path, "no tab here\n")))
    settings = Settings(home=tmp_path / "home", model_cache=model_cache, _env_file=None)
    with pytest.raises(BadSettings, match="line 1"):
        open_app(settings)


def test_many_threads_stem_at_once() -> None:
    roots = ["propos", "hopp", "district", "meet", "relation", "happi", "generaliz", "commun"]
    words = [f"{chr(97 + n)}{root}ing" for n in range(26) for root in roots]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    stem.cache_clear()
    try:
        with ThreadPoolExecutor(8) as threads:
            together = list(threads.map(stem, words))
    finally:
        sys.setswitchinterval(interval)
    stem.cache_clear()
    assert together == [stem(word) for word in words]
