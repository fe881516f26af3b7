"""Trains the reader on the tokens that the built model gives, and writes `rag/reader.onnx`.

On CPU. The model is run once over all texts; what it gives is kept in LESSONS/. The network and
its loss are here too, for teach.py, which trains a first one together with the model.
"""

import argparse
import math
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from lessons import (
    LATE,
    MADE,
    TAUGHT,
    Encoded,
    Lessons,
    Pair,
    batches,
    hard_negatives,
    late,
    paired,
)
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, scaled_dot_product_attention

from embeddings.embedder import TOKEN_SCALE
from rag.reader import MAX_ASKED, MAX_READ, PATH

ROOT = Path(__file__).resolve().parents[3]
WIDTH, HEADS, INNER, TOKEN_DIM = 128, 4, 384, 128
TOGETHER = 8  # passages a run
NEWS_TIMES, OTHERS, BATCH, RATE, WARMUP = 3, 2, 32, 7e-4, 40
MEASURED = 8  # passages that are read, as in rag/retrieve.py
AXES = {"asked": "nqd", "read": "ntd", "there": "nt", "heading": "nt", "member": "ntc"}
EXAMPLES = (  # the export is traced with the first, and checked with the second
    {"n": 2, "q": 9, "t": 40, "c": 5, "d": TOKEN_DIM},
    {"n": 7, "q": 4, "t": 90, "c": 11, "d": TOKEN_DIM},
)


class Inputs(NamedTuple):
    """n questions with a passage each: q and t tokens, c clauses; masks are 1 where it is so."""

    asked: Tensor  # (n, q, 128)
    read: Tensor  # (n, t, 128)
    there: Tensor  # (n, t)
    heading: Tensor  # (n, t)
    member: Tensor  # (n, t, c)
    is_asked: Tensor | None = None  # (n, q); None: all


class Block(nn.Module):
    """A pre-norm transformer layer; torch's own can't be exported for texts of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.dense = nn.Sequential(nn.Linear(WIDTH, INNER), nn.GELU(), nn.Linear(INNER, WIDTH))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        n, t, _ = x.shape
        heads = self.qkv(self.norm1(x)).view(n, t, 3, HEADS, WIDTH // HEADS)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        found = scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        x = x + self.dropout(self.out(found.transpose(1, 2).reshape(n, t, WIDTH)))
        inner: Tensor = self.dropout(self.dense(self.norm2(x)))
        return x + inner


class Reader(nn.Module):
    """Attends across the tokens of a question and a passage; a logit for each clause."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.entry = nn.Linear(TOKEN_DIM, WIDTH)
        self.kind = nn.Parameter(torch.randn(3, WIDTH) * 0.02)  # asked, heading, read
        self.place = nn.Parameter(torch.randn(512, WIDTH) * 0.02)
        self.match = nn.Linear(2, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(layers))
        self.norm = nn.LayerNorm(WIDTH)
        self.weight = nn.Linear(WIDTH, 1)
        self.judge = nn.Sequential(nn.Linear(3 * WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, 1))

    def forward(
        self,
        asked: Tensor,
        read: Tensor,
        there: Tensor,
        heading: Tensor,
        member: Tensor,
        is_asked: Tensor | None = None,
    ) -> Tensor:
        """Logits, (n, c); those of clauses without a token mean nothing."""
        q, t = asked.shape[1], read.shape[1]
        is_asked = torch.ones_like(asked[..., 0]) if is_asked is None else is_asked
        cosines = asked @ read.transpose(1, 2)
        best_asked = (cosines - 2 * (1 - there)[:, None]).amax(2)
        best_read = (cosines - 2 * (1 - is_asked)[:, :, None]).amax(1)
        kinds = heading[..., None] * self.kind[1] + (1 - heading)[..., None] * self.kind[2]
        front = self.entry(asked) + self.kind[0] + self.place[:q] + self._matched(best_asked)
        body = self.entry(read) + kinds + self.place[64 : 64 + t] + self._matched(best_read)
        x = torch.cat([front, body], 1)
        bias = (torch.cat([is_asked, there], 1) - 1)[:, None, None] * 1e4
        for layer in self.layers:
            x = layer(x, bias)
        x = self.norm(x)
        question = (x[:, :q] * is_asked[..., None]).sum(1)
        question = question / is_asked.sum(1, keepdim=True).clamp(min=1)
        clauses = self._clauses(x[:, q:], there, member)
        wide = question[:, None].expand(-1, member.shape[2], -1)
        logits: Tensor = self.judge(torch.cat([clauses, wide], -1))[..., 0]
        return logits

    def _matched(self, best: Tensor) -> Tensor:
        """What a token's best cosine says; they lie about .8."""
        spread = (best - 0.8) * 5
        found: Tensor = self.match(torch.stack([spread, spread**2], -1).clamp(-20, 50))
        return found

    def _clauses(self, x: Tensor, there: Tensor, member: Tensor) -> Tensor:
        """Each clause as the mean of its tokens, weighted and plain."""
        weights = torch.exp(self.weight(x).clamp(-20, 20)) * there[..., None]
        of_clause = member.transpose(1, 2)
        weighted = (of_clause @ (x * weights)) / (of_clause @ weights + 1e-6)
        plain = (of_clause @ x) / of_clause.sum(2, keepdim=True).clamp(min=1)
        return torch.cat([weighted, plain], -1)


def inputs(lessons: Lessons, encoded: Encoded, pairs: Sequence[Pair]) -> Inputs:
    """What the reader is given for each question and passage."""
    asked, is_asked = encoded.tokens(lessons.asked([question for question, _ in pairs]), MAX_ASKED)
    read, there = encoded.tokens(lessons.read([passage for _, passage in pairs]), MAX_READ)
    passages = [lessons.passages[passage] for _, passage in pairs]
    member = np.zeros((*there.shape, max(p.clauses for p in passages)), np.float32)
    heading = np.zeros(there.shape, np.float32)
    for row, passage in enumerate(passages):
        clause_of = np.array(passage.clause_of[:MAX_READ])
        heading[row, : len(clause_of)] = clause_of < 0
        inside = np.flatnonzero(clause_of >= 0)
        member[row, inside, clause_of[inside]] = 1
    is_heading, is_member = (torch.from_numpy(m).to(there.device) for m in (heading, member))
    return Inputs(asked, read, there, is_heading, is_member, is_asked)


def read_together(
    reader: Reader, lessons: Lessons, encoded: Encoded, pairs: Sequence[Pair]
) -> tuple[Tensor, Tensor]:
    """The logits of all clauses, and 1 where a clause has a token, each (n, c).

    Passages of like length are read together: padding costs more than half of the time otherwise.
    """
    sizes = [len(lessons.passages[passage].clause_of) for _, passage in pairs]
    order = sorted(range(len(pairs)), key=sizes.__getitem__)
    runs = [order[at : at + TOGETHER] for at in range(0, len(order), TOGETHER)]
    found = []
    for run in runs:
        given = inputs(lessons, encoded, [pairs[n] for n in run])
        found.append(torch.stack([reader(*given), given.member.amax(1)]))
    widest = max(own.shape[2] for own in found)
    logits, valid = torch.cat(
        [nn.functional.pad(own, (0, widest - own.shape[2])) for own in found], 1
    )
    back = torch.tensor(order).argsort()
    return logits[back], valid[back]


def reader_losses(
    lessons: Lessons, pairs: Sequence[Pair], logits: Tensor, valid: Tensor
) -> dict[str, Tensor]:
    """Each clause judged for itself; and the clauses shown for a question against each other."""
    device = logits.device
    numbers = {question: n for n, question in enumerate(dict.fromkeys(i for i, _ in pairs))}
    owner = torch.tensor([numbers[i] for i, _ in pairs], device=device)
    answers = [
        (row, clause)
        for row, (i, passage) in enumerate(pairs)
        for home, clause in lessons.questions[i].answers
        if home == passage
    ]
    wanted = torch.zeros(logits.shape)
    wanted[[row for row, _ in answers], [clause for _, clause in answers]] = 1
    wanted = wanted.to(device) * valid  # a clause behind the last token that is read isn't judged
    each = binary_cross_entropy_with_logits(logits.clamp(-20, 20), wanted, reduction="none")
    shown = logits.masked_fill(valid == 0, -30)
    none = torch.zeros(len(numbers), device=device)
    highest = (none - 30).scatter_reduce(0, owner, shown.amax(1).detach(), "amax")
    chances = torch.exp(shown - highest[owner][:, None])
    every, right = (none.index_add(0, owner, (chances * some).sum(1)) for some in (valid, wanted))
    has = none.index_add(0, owner, wanted.sum(1)) > 0
    against = every[has].log() - right[has].clamp(min=1e-9).log()
    return {
        "clause": 0.5 * (each * valid).sum() / len(numbers),
        "list": against.sum() / has.sum().clamp(min=1),
    }


def train(
    groups: list[dict[str, Any]], steps: Iterable[dict[str, Tensor]], seconds: float, warmup: int
) -> None:
    """Takes steps until the time is over; the rates rise at first, then fall as a cosine."""
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    highest = [group["lr"] for group in optimiser.param_groups]
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    started = time.monotonic()
    for step, losses in enumerate(steps, start=1):
        passed = min(1.0, (time.monotonic() - started) / max(seconds, 1e-9))
        for group, rate in zip(optimiser.param_groups, highest, strict=True):
            group["lr"] = rate * min(1, step / warmup) * (1 + math.cos(math.pi * passed)) / 2
        optimiser.zero_grad()
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        if step % 50 == 0 or passed == 1:
            told = ", ".join(f"{name} {loss.item():.3f}" for name, loss in losses.items())
            print(f"step {step}: {told}", flush=True)
        if passed == 1:
            return


@torch.no_grad()
def measure(reader: Reader, lessons: Lessons, encoded: Encoded) -> None:
    """Prints of what doesn't teach how often the best passage, and the best clause, is right.

    And how well the best clause's logit tells what has an answer (AUROC). For comparing runs: in
    the product words and names count too.
    """
    reader.eval()
    sets: dict[tuple[str, str], list[int]] = {}
    for i, question in enumerate(lessons.questions):
        if question.group.removesuffix(MADE) not in TAUGHT:
            sets.setdefault((question.group, question.language), []).append(i)
    for (group, language), questions in sets.items():
        asked, passages = lessons.asked(questions), lessons.passages_of(group)
        read = lessons.read(passages)
        tokens = encoded.tokens(asked, MAX_ASKED), encoded.tokens(read, MAX_READ)
        scores = encoded.unit(asked) @ encoded.unit(read).T + LATE * late(*tokens)
        right = np.zeros(2)  # passages, clauses
        sure: dict[bool, list[float]] = {True: [], False: []}
        best = scores.topk(min(MEASURED, len(passages))).indices.tolist()
        for i, top in zip(questions, best, strict=True):
            shown = [passages[k] for k in top]
            given = inputs(lessons, encoded, [(i, passage) for passage in shown])
            logits = reader(*given).masked_fill(given.member.amax(1) == 0, -30)
            row, clause = divmod(int(logits.argmax()), logits.shape[1])
            question = lessons.questions[i]
            sure[bool(question.answers)].append(float(logits.max()))
            right += shown[0] in question.gold, [shown[row], clause] in question.answers
        passage_right, clause_right = right / len(sure[True])
        counted = f"{group:14} {language} {len(sure[True]):5}"
        told = f"  AUROC {auroc(sure):.3f}" if sure[False] else ""
        print(
            f"{counted}  passage {passage_right:.3f}  clause {clause_right:.3f}{told}", flush=True
        )
    reader.train()


def auroc(scores: dict[bool, list[float]]) -> float:
    """How often what has an answer scores higher than what has none."""
    high, low = (np.array(scores[answered]) for answered in (True, False))
    return float((high[:, None] > low).mean() + (high[:, None] == low).mean() / 2)


def read_all(lessons: Lessons, folder: Path, models: Path) -> Encoded:
    """All texts as the built model reads them; kept in the folder, only new ones are read."""
    from embeddings.serving import load

    embedder = load("packaged", models, print)
    kept = folder / f"{embedder.name}.npz"
    texts = {"read " + lessons.texts[t].string: t for p in lessons.passages for t in p.texts}
    asked = {"asked " + lessons.texts[q.text].string: q.text for q in lessons.questions}
    known = _Kept.load(kept) if kept.exists() else _Kept([], [], [])
    seen = set(known.keys)
    new = [key for key in [*texts, *asked] if key not in seen]
    if new:
        readings = embedder.read([key.removeprefix("read ") for key in new if key in texts])
        known.keys.extend([key for key in new if key in texts])
        known.sums.extend(found.total for found in readings)
        known.tokens.extend(found.tokens.vectors for found in readings)
        for key in (key for key in new if key in asked):
            found = embedder.embed_query(key.removeprefix("asked "))
            known.keys.append(key)
            known.sums.append(found.vector)
            known.tokens.append(found.tokens.vectors)
        known.save(kept)
    row = {key: n for n, key in enumerate(known.keys)}
    numbers = {**texts, **asked}
    rows = [row[key] for key in numbers]
    tokens = [known.tokens[n] for n in rows]
    if [len(own) for own in tokens] != [lessons.texts[t].tokens for t in numbers.values()]:
        raise SystemExit("the lessons were cut by another tokenizer; run data.py again")
    total = torch.from_numpy(np.stack([known.sums[n] for n in rows]))
    flat = torch.from_numpy(np.concatenate(tokens))
    return Encoded(lessons, list(numbers.values()), total, flat, TOKEN_SCALE)


class _Kept(NamedTuple):
    """Texts that were read, each with its sum of states and its tokens."""

    keys: list[str]
    sums: list[Any]  # (dim,)
    tokens: list[Any]  # (tokens, 128)

    @classmethod
    def load(cls, path: Path) -> "_Kept":
        """What `save` wrote."""
        with np.load(path) as arrays:
            ends = np.cumsum(arrays["lengths"])[:-1]
            tokens = np.split(arrays["tokens"], ends)
            return cls(arrays["keys"].tolist(), list(arrays["sums"]), tokens)

    def save(self, path: Path) -> None:
        """Writes it as one file."""
        lengths = [len(own) for own in self.tokens]
        flat, sums = np.concatenate(self.tokens), np.stack(self.sums)
        np.savez(path, keys=np.array(self.keys), sums=sums, tokens=flat, lengths=lengths)


def export(reader: Reader, path: Path) -> None:
    """Writes the reader as ONNX, checks that it gives the same there, and quantises it to int8.

    Raises:
        ValueError: if it doesn't.
    """
    from onnxruntime import InferenceSession
    from onnxruntime.quantization import QuantType, quantize_dynamic

    reader.eval()
    small, large = (
        {name: torch.rand([size[axis] for axis in axes]).round() for name, axes in AXES.items()}
        for size in EXAMPLES
    )
    dynamic = {name: dict(enumerate(axes.strip("d"))) for name, axes in AXES.items()}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # about tracing; what was traced is checked below
        torch.onnx.export(
            reader,
            tuple(small.values()),
            str(path),
            input_names=list(AXES),
            output_names=["logits"],
            dynamic_axes={**dynamic, "logits": {0: "n", 1: "c"}},
            opset_version=17,
            dynamo=False,
        )
        true = reader(**large).numpy()
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {name: array.numpy() for name, array in large.items()})
    if not np.allclose(found, true, atol=1e-3):
        raise ValueError(f"{path} gives other logits than the reader that it was made from")
    quantize_dynamic(path, path, weight_type=QuantType.QInt8, per_channel=True)


def main() -> None:
    """Trains from the reader of a run of teach.py, prints the figures, writes the network."""
    from safetensors.torch import load_file, save_file

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", type=Path)
    parser.add_argument("run", type=Path, help="of teach.py, whose reader is the start")
    parser.add_argument("--seconds", type=float, default=1_020)
    parser.add_argument("--learned", type=Path, required=True, help="a .safetensors to go on from")
    parser.add_argument("--models", type=Path, default=ROOT / ".wenbao" / "models")
    parser.add_argument("--out", type=Path, default=PATH)
    args = parser.parse_args()
    torch.manual_seed(1)
    front = "reader."
    start = {k.removeprefix(front): v for k, v in load_file(args.run).items() if front in k}
    reader = Reader()
    reader.load_state_dict(start)
    lessons, dice = Lessons.load(args.lessons), Random(1)
    encoded = read_all(lessons, args.lessons, args.models)
    hard = hard_negatives(lessons, encoded, by_token=False)
    shown = (
        paired(lessons, batch, hard, OTHERS, dice)
        for batch in batches(lessons, BATCH, NEWS_TIMES, dice)
    )
    losses = (
        reader_losses(lessons, pairs, *read_together(reader, lessons, encoded, pairs))
        for pairs in shown
    )
    train([{"params": reader.parameters(), "lr": RATE}], losses, args.seconds, WARMUP)
    save_file({front + name: weight for name, weight in reader.state_dict().items()}, args.learned)
    measure(reader, lessons, encoded)
    export(reader, args.out)
    print(f"wrote {args.out.name}, {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
