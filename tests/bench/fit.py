"""Fits `rag/weights.json`: which sentence answers, and whether there is an answer at all.

Run by `make fit`. Data: the tuning half of the sample questions, and development data where it is
at hand (`../shared/eval`); `--also CORPUS QUESTIONS` adds more. Never the test half.
Cross-validated by data set, so that the figures it prints are of questions it hasn't seen.
"""

import argparse
import json
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.embedder import Embedder
from embeddings.serving import load
from rag import judge, sentences
from rag.ingest import ingest
from rag.measuring.fitting import newton
from rag.records import Records
from rag.retrieve import Findings, Retriever
from rag.store import VectorIndex
from rag.terms import Gloss, concepts, spoken
from rag.types import Article, Language, Question
from rag.weights import PATH, logistic
from rag.words.glossary import open_glossary
from rag.words.names import places

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests" / "data" / "sample"
TUNING = ROOT / "tests" / "data" / "tuning"
XQUAD = ROOT.parent / "shared" / "eval" / "xquad"
# What the judge makes of questions that nobody asked, and of those that aren't about news.
# Source: DECISIONS.md, telling what has no answer.
MADE = 0.5  # a made near miss, of its page question's weight
MORE, MORE_WEIGHT = "more", 0.15  # many, and a third of them near misses that a person wrote
ALONE = 0.5  # the same question asked of one article, where nothing stands beside what is found
XQUAD_JUDGED = 0.25  # XQuAD, of the weight that its sentences have
REFUSED_ANSWERABLE = 0.04  # the share that the threshold may cost
Span = tuple[str, int, int]
Asked = dict[str, Any]  # a line of a question file


@dataclass(frozen=True, slots=True)
class Example:
    """One question over one corpus, as the two models see it; `good` marks sentences that answer.

    An answerable question whose answer wasn't found among the sentences teaches neither model.
    """

    group: str
    weight: float
    question: Question
    findings: Findings
    pool: list[sentences.Candidate]
    rows: NDArray[np.float64]
    good: NDArray[np.float64]
    answerable: bool


def examples(
    group: str, weight: float, corpus: Path, questions: Path, embedder: Embedder, cache: Path
) -> Iterator[Example]:
    """Asks every question of a file over a temporary index of a corpus."""
    with tempfile.TemporaryDirectory() as home:
        records = Records(Path(home))
        index = VectorIndex(Path(home), records)
        ingest([corpus], records, index, embedder)
        articles = {a.article_id: a for a in records.articles(limit=100_000)}
        gloss = open_glossary(cache).lookup
        retriever = Retriever(records, index, embedder, gloss)
        lines = questions.read_text(encoding="utf-8").splitlines()
        asked = [json.loads(line) for line in lines]
        for each in asked:
            yield _example(group, weight, each, retriever, articles)
        if group != MORE:  # which has near misses that a person wrote
            for each in near_misses(asked, articles, gloss, group):
                yield _example(f"{group}-made", weight * MADE, each, retriever, articles)
        if not group.startswith("xquad"):  # whose paragraphs are one passage each
            for each in asked:
                if only := _home(each, retriever, articles):
                    yield _example(f"{group}-one", weight * ALONE, each, retriever, articles, only)
        records.close()


def _example(
    group: str,
    weight: float,
    asked: Asked,
    retriever: Retriever,
    articles: dict[str, Article],
    *only: str,
) -> Example:
    question = replace(_question(asked), article_ids=only)
    findings = retriever.search(question)
    pool = sentences.candidates(findings, articles)
    spans = _spans(asked, articles)
    ids = set(asked.get("passage_ids", ())) & set(articles)
    answers = asked.get("answers", ())
    good = [
        any(_covers(c, span) for span in spans)
        or (c.match.hit.passage.article_id in ids and any(a in c.text for a in answers))
        for c in pool
    ]
    answerable = bool(asked["answerable"]) and bool(spans or ids)
    rows = sentences.features(question.text, findings, pool)
    return Example(group, weight, question, findings, pool, rows, np.array(good, float), answerable)


def _question(asked: Asked) -> Question:
    language: Language = "en" if str(asked["lang"]).startswith("en") else "zh"
    return Question(str(asked["question"]), language)


def _home(asked: Asked, retriever: Retriever, articles: dict[str, Article]) -> str | None:
    """The one article that answers, or for a question without an answer the likest one."""
    homes = _homes(asked, articles)
    if asked["answerable"]:
        return homes.pop() if len(homes) == 1 else None
    hits = retriever.search(_question(asked)).hits
    return hits[0].passage.article_id if hits else None


def near_misses(
    asked: Sequence[Asked], articles: dict[str, Article], gloss: Gloss, seed: str
) -> Iterator[Asked]:
    """Unanswerable questions made of answerable ones: another name, or another number.

    The other name is one that the same article, or only another article, or none speaks of.
    """
    dice = random.Random(seed)
    known = [
        (q, n, _homes(q, articles)) for q in asked if q["answerable"] for n in _names(q, gloss)
    ]
    for question, name, homes in known:
        person = _shape(name)[1] == "person"
        here = "".join(articles[id_].title + articles[id_].text for id_ in homes)
        others = [
            (other, bool(homes & there))
            for q, other, there in known
            if q["lang"] == question["lang"] and _shape(other) == _shape(name) and there and homes
            if other not in str(question["question"]).lower() and other not in name
        ]
        near = [other for other, shared in others if shared and person]
        far = [other for other, shared in others if not shared and other[:2] not in here]
        for some in (near, far):
            if some:
                yield _swapped(question, name, dice.choice(some))
        if not person:
            yield _swapped(question, name, _elsewhere(name, articles, dice))
    for question in asked:
        numbers = re.findall(r"\d+", str(question["question"]))
        if question["answerable"] and numbers and _homes(question, articles):
            number = dice.choice(numbers)
            other = str(int(number) + dice.choice((-3, -2, -1, 1, 2, 5)))
            if not any(other in articles[id_].text for id_ in _homes(question, articles)):
                yield _swapped(question, number, other)


def _names(question: Asked, gloss: Gloss) -> list[str]:
    found = concepts(str(question["question"]), gloss)
    return [c.surface.split("'")[0] for c in found if c.kind == "name"]


def _homes(question: Asked, articles: dict[str, Article]) -> set[str]:
    """The articles that answer."""
    return {span[0] for span in _spans(question, articles)}


def _shape(name: str) -> tuple[bool, str]:
    if name.isascii():
        return False, "person" if " " in name else "place"
    return True, "place" if name[-1] in "省市区县旗镇乡村" or name in places() else "person"


def _elsewhere(name: str, articles: dict[str, Article], dice: random.Random) -> str:
    """A place that no article speaks of, written like `name`."""
    text = "".join(a.title + a.text for a in articles.values())
    while True:
        place = dice.choice(sorted(places()))
        if place not in text and len(place) < 4:
            break
    if name.isascii():
        return "".join(spoken(place).split()).capitalize()
    return place + (name[-1] if name[-1] in "省市区县旗镇乡村" else "")


def _swapped(question: Asked, old: str, new: str) -> Asked:
    text = re.sub(
        re.escape(old), new.title() if new.isascii() else new, str(question["question"]), flags=re.I
    )
    return {**question, "question": text, "answerable": False, "evidence": [], "passage_ids": []}


def _spans(asked: Asked, articles: dict[str, Article]) -> list[Span]:
    found = []
    for evidence in asked.get("evidence", ()):
        for article in articles.values():
            if (at := article.text.find(evidence)) >= 0:
                found.append((article.article_id, at, at + len(evidence)))
    return found


def _covers(candidate: sentences.Candidate, span: Span) -> bool:
    article_id, start, end = span
    overlap = min(end, candidate.end) - max(start, candidate.start)
    return candidate.match.hit.passage.article_id == article_id and overlap * 2 >= end - start


def fit_sentences(some: Sequence[Example]) -> dict[str, float]:
    """The sentence model, from answerable questions whose answer is among the sentences."""
    used = [e for e in some if e.answerable and e.good.any()]
    weights = np.concatenate([np.full(len(e.good), e.weight) for e in used])
    found = newton(
        np.concatenate([e.rows for e in used]), np.concatenate([e.good for e in used]), weights
    )
    return dict(zip(sentences.FEATURES, (round(float(w), 4) for w in found), strict=True))


def judge_rows(some: Sequence[Example], sentence: dict[str, float]) -> NDArray[np.float64]:
    """What the judge sees of each example."""
    return np.array(
        [
            judge.features(e.question, e.findings, e.pool, sentences.chances(sentence, e.rows))
            for e in some
        ]
    )


def fit_judge(some: Sequence[Example], sentence: dict[str, float]) -> dict[str, float]:
    """The judge, from all questions."""
    labels = np.array([float(e.answerable) for e in some])
    weights = [e.weight * (XQUAD_JUDGED if _set_of(e) == "xquad" else 1) for e in some]
    found = newton(judge_rows(some, sentence), labels, np.array(weights), ridge=2.0)
    return dict(zip(judge.FEATURES, (round(float(w), 4) for w in found), strict=True))


def auroc(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    """Chance that an answerable question scores above an unanswerable one."""
    good, bad = scores[labels > 0], scores[labels == 0]
    if not len(good) or not len(bad):
        return float("nan")
    wins = (good[:, None] > bad).sum() + 0.5 * (good[:, None] == bad).sum()
    return float(wins / (len(good) * len(bad)))


def main() -> None:
    """Fits, prints the cross-validated figures, writes the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--also", nargs=2, action="append", default=[], type=Path)
    parser.add_argument("--models", type=Path, default=ROOT / ".wenbao" / "models")
    args = parser.parse_args()
    embedder = load("packaged", args.models, print)
    sets = [("sample", 2.0, SAMPLE / "pages", SAMPLE / "questions.tune.jsonl")]
    sets += [("news", 1.0, TUNING / "fit.passages.jsonl", TUNING / "fit.questions.jsonl")]
    more = TUNING / "more.passages.jsonl", TUNING / "more.questions.jsonl"
    sets += [(MORE, MORE_WEIGHT, *more), *((q.stem, 2.0, c, q) for c, q in args.also)]
    with tempfile.TemporaryDirectory() as folder:
        sets += list(_xquad(Path(folder)))
        data = [
            example
            for group, weight, corpus, questions in sets
            for example in examples(group, weight, corpus, questions, embedder, args.models)
        ]
    held_out(data)
    sentence = fit_sentences(data)
    weights = fit_judge(data, sentence)
    threshold = _threshold(data, sentence, weights)
    written = {
        "model": embedder.name,
        "sentence": sentence,
        "judge": weights,
        "threshold": round(threshold, 4),
    }
    PATH.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {PATH.name}, threshold {threshold:.3f}")


def held_out(data: Sequence[Example]) -> None:
    """Prints how each data set fares under weights fitted on the others."""
    for name in dict.fromkeys(_set_of(e) for e in data):
        train = [e for e in data if _set_of(e) != name] or list(data)
        sentence = fit_sentences(train)
        weights = fit_judge(train, sentence)
        for group in dict.fromkeys(e.group for e in data if _set_of(e) == name):
            test = [e for e in data if e.group == group]
            good = [e.good[int(np.argmax(sentences.chances(sentence, e.rows)))] for e in test
                    if e.answerable and len(e.good)]  # fmt: skip
            if not good:  # made questions: told from the answerable ones that they were made of
                test += [e for e in data if e.answerable and group.startswith(f"{e.group}-")]
            scores = np.array(logistic(judge.FEATURES, weights, judge_rows(test, sentence)))
            labels = np.array([float(e.answerable) for e in test])
            refused = [_refused(scores, labels, share) for share in (0.05, 0.1)]
            print(
                f"{group:16} n {len(test):4}  best sentence right {np.mean(good or np.nan):.3f}"
                f"  judge AUROC {auroc(scores, labels):.3f}"
                f"  refused at 5 / 10 % lost {refused[0]:.2f} / {refused[1]:.2f}"
            )


def _set_of(example: Example) -> str:
    return example.group.split("-")[0]


def _refused(scores: NDArray[np.float64], labels: NDArray[np.float64], lost: float) -> float:
    """Share of the unanswerable below the score that loses this share of the answerable."""
    return float((scores[labels == 0] < np.quantile(scores[labels > 0], lost)).mean())


def _threshold(
    data: Sequence[Example], sentence: dict[str, float], weights: dict[str, float]
) -> float:
    """The probability that loses at most the stated share of answerable questions on pages."""
    pages = [e for e in data if e.weight > 1 and e.answerable]
    scores = logistic(judge.FEATURES, weights, judge_rows(pages, sentence))
    return float(np.quantile(scores, REFUSED_ANSWERABLE))


def _xquad(folder: Path) -> Iterator[tuple[str, float, Path, Path]]:
    """XQuAD with four paragraphs in ten left out: their questions have no answer any more."""
    if not XQUAD.is_dir():
        return
    for language, directions in (("zh", ("en-zh", "zh-zh")), ("en", ("en-en",))):
        lines = (XQUAD / f"passages.{language}.jsonl").read_text(encoding="utf-8").splitlines()
        kept = [line for i, line in enumerate(lines) if not _is_left_out(json.loads(line), i)]
        corpus = folder / f"{language}.jsonl"
        corpus.write_text("\n".join(kept), encoding="utf-8")
        for direction in directions:
            yield f"xquad-{direction}", 0.2, corpus, XQUAD / f"questions.{direction}.jsonl"


def _is_left_out(passage: dict[str, str], i: int) -> bool:
    """Some whole articles, half of some others, and one paragraph in seven of the rest."""
    article = int(passage["id"].split("-")[1]) % 5
    return article == 0 or (article == 1 and i % 2 == 0) or i % 7 == 3


if __name__ == "__main__":
    main()
