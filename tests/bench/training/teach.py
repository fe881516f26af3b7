"""Teaches the embedding model, with a reader beside it: one run, on a GPU, for some minutes.

Learned are a low-rank change of every linear layer (LoRA), the directions of the tokens, and a
reader of clauses (read.py). The losses are InfoNCE over the passages of a batch by the sum of the
sentences' readings, by the tokens, and by both, and what the reader says.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch
from lessons import (
    LATE,
    TAUGHT,
    Encoded,
    Lessons,
    Pair,
    Text,
    batches,
    hard_negatives,
    late,
    paired,
)
from read import Reader, inputs, measure, reader_losses, train
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from rag.reader import MAX_ASKED, MAX_READ

LORA_SCALE = 2.0
PAD = 1
BATCH_PIECES = 60_000  # padded, a run of the encoder
NEWS_TIMES, OTHERS, BATCH, READER_RATE, WARMUP = 4, 3, 48, 1e-3, 60
DENSE_T, LATE_T, SUM_T = 0.03, 0.02, 0.04  # temperatures of the softmax over the passages


class Adapted(nn.Module):
    """A linear layer that stays, and a low-rank change of it that is learned."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Parameter(torch.randn(rank, layer.in_features) * 0.02)
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        change = linear(linear(x, self.down), self.up)
        return linear(x, self.layer.weight, self.layer.bias) + LORA_SCALE * change


class Encoder(nn.Module):
    """multilingual-e5-small with what is learned on top."""

    def __init__(self, lessons: Path, rank: int) -> None:
        from transformers import BertModel

        super().__init__()
        self.model = BertModel.from_pretrained(
            lessons / "base", add_pooling_layer=False, attention_probs_dropout_prob=0.0
        ).requires_grad_(False)
        self.model.embeddings.dropout.p = 0.0
        for name, layer in list(self.model.named_modules()):
            if isinstance(layer, nn.Linear):
                self.model.set_submodule(name, Adapted(layer, rank))
        self.basis = nn.Parameter(torch.from_numpy(np.load(lessons / "basis.npy")))

    def forward(self, lessons: Lessons, wholes: Sequence[Sequence[int]]) -> Encoded:
        """Reads the texts of wholes, those of about the same length together."""
        texts = {text for parts in wholes for text in parts}
        order = sorted(texts, key=lambda text: len(lessons.texts[text].pieces))
        read = [self._read([lessons.texts[t] for t in some]) for some in _runs(lessons, order)]
        sums, tokens = (torch.cat(some) for some in zip(*read, strict=True))
        return Encoded(lessons, order, sums, tokens)

    def _read(self, texts: Sequence[Text]) -> tuple[Tensor, Tensor]:
        """The sum of each text's states, (texts, dim), and all their tokens, (tokens, k)."""
        device, width = self.basis.device, max(len(text.pieces) for text in texts)
        rest = [width - len(text.pieces) for text in texts]
        rows = [t.pieces + [PAD] * more for t, more in zip(texts, rest, strict=True)]
        pieces = torch.tensor(rows, device=device)
        kept = torch.tensor(
            [
                [False] * text.skipped + [True] * text.tokens + [False] * (1 + more)
                for text, more in zip(texts, rest, strict=True)
            ],
            device=device,
        )
        with _halved(device):
            states = self.model(pieces, attention_mask=pieces != PAD).last_hidden_state
        states = states.float()
        sums = (states * (pieces != PAD)[..., None]).sum(1)
        return sums, normalize(states[kept] @ self.basis, dim=-1)


def _halved(device: torch.device) -> torch.autocast:
    """bfloat16 where it is faster."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def _runs(lessons: Lessons, order: Sequence[int]) -> Iterator[list[int]]:
    """Texts in the order of their length, as many at a time as are run together."""
    batch: list[int] = []
    for text in order:
        if (len(batch) + 1) * len(lessons.texts[text].pieces) > BATCH_PIECES:
            yield batch
            batch = []
        batch.append(text)
    yield batch


def losses(
    encoder: Encoder, reader: Reader, lessons: Lessons, pairs: Sequence[Pair]
) -> dict[str, Tensor]:
    """What the questions lose with the passages that they, and the others, are shown with."""
    questions, passages = (list(dict.fromkeys(some)) for some in zip(*pairs, strict=True))
    asked, read = lessons.asked(questions), lessons.read(passages)
    encoded: Encoded = encoder(lessons, asked + read)
    shown = set(pairs)
    gold = [set(lessons.questions[i].gold) for i in questions]
    wanted, barred = (
        torch.tensor(
            [
                [p in own and ((i, p) in shown) == is_shown for p in passages]
                for i, own in zip(questions, gold, strict=True)
            ]
        ).to(encoder.basis.device)
        for is_shown in (True, False)
    )
    dense = encoded.unit(asked) @ encoded.unit(read).T
    match = late(encoded.tokens(asked, MAX_ASKED), encoded.tokens(read, MAX_READ))
    scores = {
        "dense": dense / DENSE_T,
        "late": match / LATE_T,
        "sum": (dense + LATE * match) / SUM_T,
    }
    found = {name: 0.5 * contrast(score, wanted, barred) for name, score in scores.items()}
    given = inputs(lessons, encoded, pairs)
    with _halved(dense.device):
        logits = reader(*given)
    return found | reader_losses(lessons, pairs, logits.float(), given.member.amax(1))


def contrast(scores: Tensor, wanted: Tensor, barred: Tensor) -> Tensor:
    """InfoNCE: how unlikely the passages that are wanted are among all but the barred ones."""
    scores = scores.masked_fill(barred, -1e4)
    answered = wanted.any(1)
    lost = scores.logsumexp(1) - scores.masked_fill(~wanted, -1e4).logsumexp(1)
    return lost[answered].sum() / answered.sum().clamp(min=1)


@torch.no_grad()
def read_all(encoder: Encoder, lessons: Lessons, groups: Sequence[str]) -> Encoded:
    """All texts of some groups."""
    encoder.eval()
    passages, questions = lessons.passages_of(*groups), lessons.questions_of(*groups)
    found: Encoded = encoder(lessons, lessons.read(passages) + lessons.asked(questions))
    encoder.train()
    return found


def save(encoder: Encoder, reader: Reader, path: Path) -> None:
    """Writes what was learned, as embeddings/adapter.py reads it, with the reader; fp16."""
    told = {"token_basis": encoder.basis.detach()}
    for name, layer in encoder.model.named_modules():
        if isinstance(layer, Adapted):
            told[f"{name}.up"] = LORA_SCALE * layer.up.detach()
            told[f"{name}.down"] = layer.down.detach()
    told |= {f"reader.{name}": weight for name, weight in reader.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: array.half().cpu().contiguous() for name, array in told.items()}, path)


def main() -> None:
    """Trains a run until its time is over, writes it and measures it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", type=Path)
    parser.add_argument("run", type=Path, help="what to write, a .safetensors file")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--reader-layers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=420)
    args = parser.parse_args()
    started = time.monotonic()
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    lessons, dice = Lessons.load(args.lessons), Random(0)
    encoder = Encoder(args.lessons, args.rank).to(device)
    reader = Reader(args.reader_layers).to(device)
    hard = hard_negatives(lessons, read_all(encoder, lessons, TAUGHT), by_token=True)
    learned = [weight for weight in encoder.parameters() if weight.requires_grad]
    train(
        [{"params": learned, "lr": args.rate}, {"params": reader.parameters(), "lr": READER_RATE}],
        (
            losses(encoder, reader, lessons, paired(lessons, batch, hard, OTHERS, dice))
            for batch in batches(lessons, BATCH, NEWS_TIMES, dice)
        ),
        seconds=args.seconds - (time.monotonic() - started),
        warmup=WARMUP,
    )
    save(encoder, reader, args.run)
    others = {p.group for p in lessons.passages if p.group not in TAUGHT}
    measure(reader, lessons, read_all(encoder, lessons, sorted(others)))


if __name__ == "__main__":
    main()
