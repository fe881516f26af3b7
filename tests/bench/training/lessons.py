"""What the training scripts share: texts as tokens, questions over them, what a model made of them.

`python data.py` writes it; teach.py and read.py learn from it.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from rag.reader import MAX_ASKED, MAX_READ

TAUGHT = ("cmrc", "drcd", "news")  # all other groups are only measured
MADE = "-made"  # ends the group of questions made unanswerable by another name
LATE = 1.5  # of the tokens' match beside the cosine, as in rag/retrieve.py
NEAREST = 30  # passages with the likest vectors, which are then matched token by token
HARD = 10  # of them are kept for each question: like it, but no answer
Pair = tuple[int, int]  # question, passage


@dataclass(frozen=True, slots=True)
class Text:
    """`pieces` has the prefix too: `skipped` of them, with `<s>`; the last one is `</s>`."""

    string: str
    pieces: list[int]
    skipped: int

    @property
    def tokens(self) -> int:
        """How many pieces are the text's own."""
        return len(self.pieces) - 1 - self.skipped


@dataclass(frozen=True, slots=True)
class Passage:
    """`texts` are numbers: of the heading, if there is one, and of each sentence.

    `clause_of` names the clause of each token of these texts, -1 for the heading's.
    """

    group: str
    texts: list[int]
    clause_of: list[int]
    clauses: int


@dataclass(frozen=True, slots=True)
class Question:
    """`answers` are the clauses that answer, as [passage, clause]; none: unanswerable.

    `near` are the passages that an unanswerable question is a near miss of.
    """

    group: str
    language: str
    text: int
    answers: list[list[int]]
    near: list[int]

    @property
    def gold(self) -> list[int]:
        """The passages that answer."""
        return sorted({passage for passage, _ in self.answers})


@dataclass(frozen=True, slots=True)
class Lessons:
    """All texts, passages and questions; each is known by its place."""

    texts: list[Text]
    passages: list[Passage]
    questions: list[Question]

    def passages_of(self, *groups: str) -> list[int]:
        """The passages of some groups."""
        return [i for i, passage in enumerate(self.passages) if passage.group in groups]

    def questions_of(self, *groups: str) -> list[int]:
        """The questions of some groups, those made of them too."""
        found = enumerate(self.questions)
        return [i for i, question in found if question.group.removesuffix(MADE) in groups]

    def read(self, passages: Sequence[int]) -> list[list[int]]:
        """The texts of each passage."""
        return [self.passages[i].texts for i in passages]

    def asked(self, questions: Sequence[int]) -> list[list[int]]:
        """The one text of each question."""
        return [[self.questions[i].text] for i in questions]

    def save(self, folder: Path) -> None:
        """Writes it as one file."""
        with gzip.open(folder / "lessons.json.gz", "wt", encoding="utf-8") as file:
            json.dump(asdict(self), file, ensure_ascii=False)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        with gzip.open(folder / "lessons.json.gz", "rt", encoding="utf-8") as file:
            told = json.load(file)
        texts = [Text(**row) for row in told["texts"]]
        passages = [Passage(**row) for row in told["passages"]]
        return cls(texts, passages, [Question(**row) for row in told["questions"]])


class Encoded:
    """Texts read by a model: the sum of each one's states, and its tokens as unit vectors."""

    def __init__(
        self, lessons: Lessons, texts: Sequence[int], sums: Tensor, tokens: Tensor, scale: float = 1
    ) -> None:
        """The rows of `tokens`, of length `scale`, are those of the texts one after another."""
        ends = list(accumulate(lessons.texts[text].tokens for text in texts))
        begins = [0, *ends[:-1]]
        self._row = {text: row for row, text in enumerate(texts)}
        self._own = {t: np.arange(a, b) for t, a, b in zip(texts, begins, ends, strict=True)}
        self._sums, self._tokens, self._scale = sums, tokens, scale

    def unit(self, wholes: Sequence[Sequence[int]]) -> Tensor:
        """The unit vectors of wholes, each made of texts, (wholes, dim)."""
        device = self._sums.device
        owner = torch.tensor([n for n, parts in enumerate(wholes) for _ in parts], device=device)
        rows = torch.tensor([self._row[t] for parts in wholes for t in parts], device=device)
        total = torch.zeros(len(wholes), self._sums.shape[1], device=device)
        return normalize(total.index_add(0, owner, self._sums[rows]), dim=1)

    def tokens(self, wholes: Sequence[Sequence[int]], most: int) -> tuple[Tensor, Tensor]:
        """The first tokens of wholes, padded (wholes, tokens, k), and 1 where there is one."""
        rows = [np.concatenate([self._own[t] for t in parts])[:most] for parts in wholes]
        index = np.zeros((len(rows), max(map(len, rows))), np.int64)
        there = np.zeros(index.shape, np.float32)
        for n, row in enumerate(rows):
            index[n, : len(row)] = row
            there[n, : len(row)] = 1
        mask = torch.from_numpy(there).to(self._tokens.device)
        found = self._tokens[torch.from_numpy(index).to(self._tokens.device)]
        return found.float() / self._scale * mask[..., None], mask


def late(asked: tuple[Tensor, Tensor], read: tuple[Tensor, Tensor]) -> Tensor:
    """(questions, passages): mean over a question's tokens of the best match in the passage."""
    found = []
    for questions, mask in zip(*(torch.split(some, 16) for some in asked), strict=True):
        matches = torch.einsum("bqd,ptd->bqpt", questions, read[0])
        best = matches.masked_fill(read[1][None, None] == 0, -1).amax(3)
        found.append((best * mask[..., None]).sum(1) / mask.sum(1).clamp(min=1)[:, None])
    return torch.cat(found)


@torch.no_grad()
def hard_negatives(lessons: Lessons, encoded: Encoded, *, by_token: bool) -> dict[int, list[int]]:
    """For each question that is taught, the passages most like it that don't answer it."""
    passages, questions = lessons.passages_of(*TAUGHT), lessons.questions_of(*TAUGHT)
    vectors = encoded.unit(lessons.read(passages))
    read = encoded.tokens(lessons.read(passages), MAX_READ) if by_token else None
    found = {}
    for at in range(0, len(questions), 512):
        batch = questions[at : at + 512]
        cosines = encoded.unit(lessons.asked(batch)) @ vectors.T
        scores, nearest = cosines.topk(min(NEAREST, len(passages)))
        if read:
            tokens, mask = encoded.tokens(lessons.asked(batch), MAX_ASKED)
            for n, top in enumerate(nearest):
                one = tokens[n : n + 1], mask[n : n + 1]
                scores[n] += LATE * late(one, (read[0][top], read[1][top]))[0]
        ranked = nearest.gather(1, scores.argsort(dim=1, descending=True))
        for i, row in zip(batch, ranked.tolist(), strict=True):
            gold = lessons.questions[i].gold
            found[i] = [passages[k] for k in row if passages[k] not in gold][:HARD]
    return found


def batches(lessons: Lessons, size: int, news: int, dice: Random) -> Iterator[list[int]]:
    """Questions, for ever; in a round ours come `news` times, answerable English ones twice."""
    pool = []
    for i in lessons.questions_of(*TAUGHT):
        question = lessons.questions[i]
        twice = question.language == "en" and question.answers
        pool += [i] * (news if question.group == "news" else 2 if twice else 1)
    while True:
        dice.shuffle(pool)
        for at in range(0, max(1, len(pool) - size + 1), size):
            yield list(dict.fromkeys(pool[at : at + size]))


def paired(
    lessons: Lessons, batch: Sequence[int], hard: dict[int, list[int]], most: int, dice: Random
) -> list[Pair]:
    """Questions, each with a passage that answers, or near misses, and `most` hard ones."""
    pairs = []
    for i in batch:
        question = lessons.questions[i]
        others = dice.sample(hard[i], min(most, len(hard[i])))
        if question.answers:
            is_list = question.group == "news" and len(question.gold) <= most
            shown = (question.gold if is_list else [dice.choice(question.gold)]) + others
        else:
            shown = dice.sample(question.near, min(2, len(question.near))) + others[: most - 1]
        pairs += [(i, passage) for passage in dict.fromkeys(shown)]
    return pairs
