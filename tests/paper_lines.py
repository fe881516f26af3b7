"""Lines that newspaper pages are made of, and English-looking words in place of Chinese ones.

The lines are in data/tuning/lines.tsv by kind: titles, sub-headings, kickers, bylines, captions,
columns, furniture; some with places to fill. Does not cover how a page is set (papers.py).
"""

import re
from functools import lru_cache
from pathlib import Path
from random import Random
from zlib import crc32

from rag.words.names import segmented

DATA = Path(__file__).resolve().parent / "data"
_SURNAMES, _GIVEN = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗", "文明华建国兰英晓雨晨思远若溪一舟"
_PAPERS = ("云港日报", "青石晚报", "西岭时报", "东川政协报", "江北都市报")
PLACES = ("云港", "青石", "西岭", "贵阳", "临沂", "漳州", "张掖", "雅安", "长治", "湘潭")
_DAYS = "一二三四五六日"

_ASCII = str.maketrans("，。：；（）？！、“”", ',.:;()?!,""')


@lru_cache(maxsize=1)
def forms() -> dict[str, list[str]]:
    """Lines of newspaper pages by kind, some with places to fill."""
    found: dict[str, list[str]] = {}
    for row in (DATA / "tuning/lines.tsv").read_text(encoding="utf-8").splitlines():
        kind, _, form = row.partition("\t")
        found.setdefault(kind, []).append(form)
    return found


def drawn(kind: str, rng: Random, text: str = "") -> str:
    """A line of a kind; `text` is that of its article."""
    year, month, date = rng.randint(2019, 2025), rng.randint(1, 12), rng.randint(1, 28)
    form: str = rng.choice(forms()[kind])
    return form.format(
        one=person(rng),
        two=person(rng),
        three=person(rng),
        place=rng.choice(PLACES),
        clause=clause(text, rng),
        other=clause(text, rng),
        paper=rng.choice(_PAPERS),
        day=f"{year}年{month}月{date}日",
        dotted=f"{year}.{month}.{date}",
        month=month,
        date=date,
        star=rng.choice(("星期", "星期", "周")) + rng.choice(_DAYS),
        moon=f"{rng.choice('正二三四')}月{rng.choice('初十')}{rng.choice('一二三四五')}",
        column=rng.choice(forms()["column"]),
        page=rng.randint(1, 24),
        issue=rng.randint(1000, 9999),
        phone=rng.choice(("029-88888888", "（0971）6543210", "12345", "62340000")),
    )


def column(rng: Random) -> str:
    """The name of a column or section."""
    if rng.random() < 0.6:
        return drawn("column", rng)
    words = rng.sample(forms()["column word"], rng.randint(1, 3))
    name = rng.choice(("", "·", " ", "·")).join(words)
    return rng.choice(("{}", "{}", "■ {}", "【{}】", "第7版 {}", "{}·第3版")).format(name)


def person(rng: Random) -> str:
    """A person's name."""
    return rng.choice(_SURNAMES) + "".join(rng.sample(_GIVEN, rng.randint(1, 2)))


def clause(text: str, rng: Random) -> str:
    """A clause of the text, of a title's length."""
    clauses = [c for c in re.split(r"[，。、：；“”（）\n,:;()]", text) if 5 <= len(c) <= 16]
    return rng.choice(clauses or ["活动现场"])


def english(line: str) -> str:
    """English words in place of the line's own, always the same for the same."""
    words = _english_words()
    found = ""
    for _, word, tag in segmented(line):
        if re.fullmatch("[㐀-鿿]+", word):
            other = words[crc32(word.encode()) % len(words)]
            found += " " + (other.capitalize() if tag.startswith("n") and tag != "n" else other)
        else:
            space = " " if word.isalnum() or word in "“（《" else ""
            found += space + word.translate(_ASCII).strip()
    found = re.sub(r'(?<=[“"(]) ', "", found.strip())
    return re.sub(r"(^|[.?!] )([a-z])", lambda m: m[1] + m[2].upper(), found)


@lru_cache(maxsize=1)
def _english_words() -> list[str]:
    rows = (DATA / "tuning/english.tsv").read_text(encoding="utf-8").lower()
    return sorted(set(re.findall(r"\b[a-z]{1,12}\b", rows)))
