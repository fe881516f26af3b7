"""Fits rag/layout/seams.json on sentences cut in two. Run with: PYTHONPATH=.:tests python this_file

Two logistic models (L-BFGS, L2). Texts are the repository's own `taught` articles, and the
paragraphs of CMRC 2018 where `../shared` has them: only weights of words and parts of speech
are kept, never text.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from pagemaker import mid_sentence_offsets
from papers import own_articles
from rag.layout import seams

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared/eval/train/cmrc2018_dev/passages.jsonl"
CUTS, DECAY, SEEN = 60, 1.5, 6  # cuts a text; a cue counts when seen that often
_HALF = str.maketrans("，：；（）？！", ",:;()?!")
Vector = NDArray[np.float64]


def texts() -> list[str]:
    """What is cut: every fifth with half-width punctuation."""
    found = [article.text for article in own_articles("taught")]
    if SHARED.is_file():
        rows = map(json.loads, SHARED.read_text(encoding="utf-8").splitlines())
        found += [row["text"] for i, row in enumerate(rows) if i % 2 == 0]
    return [t.translate(_HALF) if i % 5 == 0 else t for i, t in enumerate(found)]


def fitted(examples: Sequence[tuple[Iterable[str], bool]]) -> dict[str, float]:
    """Weights of the cues that are seen often enough."""
    listed = [(sorted(set(cues)), right) for cues, right in examples]
    seen = Counter(cue for cues, _ in listed for cue in cues)
    names = ["bias", *sorted(cue for cue, n in seen.items() if n >= SEEN)]
    column = {name: i for i, name in enumerate(names)}
    cells = [
        (i, column[cue])
        for i, (cues, _) in enumerate(listed)
        for cue in ("bias", *cues)
        if cue in column
    ]
    rows, columns = zip(*cells, strict=True)
    x = csr_matrix((np.ones(len(cells)), (rows, columns)), shape=(len(listed), len(names)))
    y = np.array([1.0 if right else -1.0 for _, right in listed])

    def loss(w: Vector) -> tuple[float, Vector]:
        margin = y * (x @ w)
        p = 1 / (1 + np.exp(np.clip(margin, -30, 30)))
        return float(np.logaddexp(0, -margin).sum() + DECAY * (w @ w) / 2), x.T @ (
            -y * p
        ) + DECAY * w

    found = minimize(
        loss, np.zeros(len(names)), jac=True, method="L-BFGS-B", options={"maxiter": 200}
    )
    right = ((x @ found.x) * y > 0).mean()
    kept = {
        n: round(float(w), 1)
        for n, w in zip(names, found.x, strict=True)
        if abs(w) > 0.1 or n == "bias"
    }
    print(len(listed), "examples,", len(names), "cues,", len(kept), "kept,", f"{right:.3f} right")
    return kept


def main() -> None:
    """Fits and writes the weights."""
    rng = Random(0)
    begins: list[tuple[Iterable[str], bool]] = []
    pairs: list[tuple[seams.Words, seams.Words]] = []
    for text in texts():
        possible = mid_sentence_offsets(text)
        for at in rng.sample(possible, min(CUTS, len(possible))):
            pairs.append((seams.end_of(text[:at]), seams.start_of(text[at:])))
        starts = [0, *(m.end() for m in re.finditer(r"[。！？!?]”?\n?(?=.)|\n", text))]
        begins += [(list(seams.start_cues(seams.start_of(text[at:]))), False) for at in starts]
    inside = rng.sample(pairs, min(len(pairs), len(begins)))
    begins += [(list(seams.start_cues(start)), True) for _, start in inside]
    others = rng.sample(pairs, len(pairs))
    joins: list[tuple[Iterable[str], bool]] = []
    for (end, start), (_, other) in zip(pairs, others, strict=True):
        joins += [
            (list(seams.seam_cues(end, start)), True),
            (list(seams.seam_cues(end, other)), False),
        ]
    rows = {"start": fitted(begins), "seam": fitted(joins)}
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    (ROOT / "rag" / "layout" / "seams.json").write_text(
        text.replace(',"', ',\n"') + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
