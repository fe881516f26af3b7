"""Answers to show in tests: real-looking ones, and random ones that break what splits text."""

import random
import re
from dataclasses import replace

from hypothesis import strategies as st

from rag.types import Answer, Article, Citation, Fragment

ARTICLE = Article(
    article_id="a1",
    title="浮梁：让老窑火照亮新日子",
    text="清晨六点，瑶河上的雾还没散。全县登记在册的古窑址有127处，其中62处没有围栏。\n"
    "县政协建议给每一处窑址建一份档案。“数不清就管不住。”汪若兰说。",
    subtitle="古窑址保护利用纪事",
    byline="本报记者 方晓棠",
    date="2024-03-12",
    source="人民政协报",
    path="p01.txt",
    fragments=(Fragment(10, 60), Fragment(90, 120)),
)


def cite(article: Article, n: int, quote: str) -> Citation:
    start = article.text.index(quote)
    return Citation(
        n=n,
        article_id=article.article_id,
        title=article.title,
        date=article.date,
        source=article.source,
        quote=quote,
        start=start,
        end=start + len(quote),
        answer_spans=((0, 12),),
        score=0.75,
    )


def answer(text: str, *citations: Citation, **more: object) -> Answer:
    plain = re.sub(r"\s*\[\d+\]", "", text)
    made = Answer("?", "en", text, plain, False, None, 0.9, "extractive", "extractive", citations)
    return replace(made, **more)  # type: ignore[arg-type]  # fields by name


SITES = cite(ARTICLE, 1, "全县登记在册的古窑址有127处，其中62处没有围栏。")
FILES = cite(ARTICLE, 2, "县政协建议给每一处窑址建一份档案。")
ANSWER = answer("There are 127 kiln sites [1]; each gets a file [2].", SITES, FILES)
REFUSAL = answer("报道中没有提到。", abstained=True, reason="not_in_articles", language="zh")


# Random answers. Texts mix what breaks splitters: scripts, emoji, markup, marks, long runs.
SNIPPETS = [
    *("雁塔区政协。", "“少跑腿”，", "a sentence. ", "<b>", "</blockquote>", "&amp;", "&lt;"),
    *("👨\u200d👩\u200d👧", "🇨🇳", "e\u0301", "\u202e", "\u200b", "[12]", "[1]", "\n", "\n\n"),
    *("x" * 500, "长" * 900, "𠮷" * 700, " " * 40, "？！”", "<a href='tg://x'>", "\x00\x1b"),
]
WORDS = st.one_of(st.text(max_size=30), st.sampled_from(SNIPPETS))


@st.composite
def texts(draw: st.DrawFn, parts: int) -> str:
    return "".join(draw(st.lists(WORDS, max_size=parts))) * draw(st.sampled_from([1, 1, 2, 9]))


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    articles = [
        Article(
            article_id=f"a{i}",
            title=draw(texts(3)),
            text="始" + draw(texts(12)) + "终",
            date=draw(st.sampled_from(["", "2024-03-12"])),
            source=draw(st.sampled_from(["", "page.txt", "<人民>报 & Co"])),
        )
        for i in range(draw(st.integers(0, 3)))
    ]
    citations = []
    for n in range(1, draw(st.integers(0, 6)) + 1 if articles else 1):
        article = draw(st.sampled_from(articles))
        start = draw(st.integers(0, len(article.text) - 1))
        end = draw(st.integers(start + 1, len(article.text)))
        citations.append(replace(cite(article, n, "始"), start=start, end=end))
        citations[-1] = replace(citations[-1], quote=article.text[start:end])
    note = draw(st.sampled_from(["", "", "The model was <away>."]))
    return answer("An answer. " + draw(texts(12)), *citations, note=note)


def random_answer(dice: random.Random) -> Answer:
    """The same kind of answer from plain dice: hypothesis takes a minute for a thousand."""

    def some(parts: int) -> str:
        chosen = [
            dice.choice(SNIPPETS) if dice.random() < 0.6 else _noise(dice)
            for _ in range(dice.randrange(parts + 1))
        ]
        return "".join(chosen) * dice.choice([1, 1, 1, 1, 1, 4])

    articles = [
        replace(
            ARTICLE,
            article_id=f"a{i}",
            title=some(3),
            text="始" + some(9) + "终",
            source=dice.choice(["", "page.txt", "<人民>报 & Co"]),
        )
        for i in range(dice.randrange(4))
    ]
    citations, text = [], "An answer. " + some(9)
    for n in range(1, dice.randrange(7) + 1 if articles else 1):
        article = dice.choice(articles)
        start = dice.randrange(len(article.text))
        end = dice.randrange(start + 1, len(article.text) + 1)
        quote = article.text[start:end]
        made = replace(cite(article, n, "始"), start=start, end=end, quote=quote)
        citations.append(replace(made, gloss=dice.choice(["", "", "A <gloss>."])))
        if dice.random() < 0.3:  # as an extractive answer has it
            text += f"\n“{quote}” [{n}]"
    understood = dice.choice(["", "", "the whole <question>?"])
    return answer(text, *citations, note=dice.choice(["", "Away."]), understood=understood)


def _noise(dice: random.Random) -> str:
    """Letters of any script, emoji, marks and controls."""
    first, last = dice.choice([(0, 0x2FF), (0x300, 0x2FFF), (0x3000, 0xFFFF), (0x10000, 0x1FFFF)])
    return "".join(chr(dice.randint(first, last)) for _ in range(dice.randrange(30)))
