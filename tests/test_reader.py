"""The reader: a logit for each clause, higher where the answer stands."""

import numpy as np
import pytest

from embeddings.embedder import Embedder, Tokens, no_tokens
from rag import chunking, reader
from rag.chunking import Span

TEXT = (
    "座谈会开了整整一个下午，十二位居民发了言，"
    "社区医院院长陆春燕答应延长夜间门诊，散会时天已经黑了。"
)


def read(embedder: Embedder, question: str, text: str = TEXT) -> list[float]:
    """The logits of a text's clauses."""
    asked = embedder.embed_query(question).tokens
    tokens = embedder.read([text])[0].tokens
    (found,) = reader.logits(asked, [tokens], [chunking.clauses(text, 0, len(text))])
    return found


@pytest.mark.parametrize(
    ("question", "clause"),
    [
        ("谁答应延长夜间门诊？", 2),
        ("who agreed to keep the clinic open longer at night?", 2),
        ("有多少居民发言？", 1),
        ("how many residents spoke?", 1),
    ],
)
def test_the_clause_that_answers_is_the_likeliest(
    embedder: Embedder, question: str, clause: int
) -> None:
    assert int(np.argmax(read(embedder, question))) == clause


def test_a_passage_is_read_the_same_beside_a_longer_one(embedder: Embedder) -> None:
    asked = embedder.embed_query("有多少居民发言？").tokens
    texts = [TEXT, TEXT * 3]
    passages = [reading.tokens for reading in embedder.read(texts)]
    clauses = [chunking.clauses(text, 0, len(text)) for text in texts]
    both = reader.logits(asked, passages, clauses)
    (alone,) = reader.logits(asked, passages[:1], clauses[:1])
    np.testing.assert_allclose(both[0], alone, atol=1e-4)
    assert [len(row) for row in both] == [len(row) for row in clauses]


@pytest.mark.parametrize("clauses", [[], [(0, 4)]])
def test_without_tokens_nothing_is_likely(embedder: Embedder, clauses: list[Span]) -> None:
    asked = embedder.embed_query("谁？").tokens
    expected = [[reader.LOWEST] * len(clauses)]
    assert reader.logits(asked, [no_tokens()], [clauses]) == expected
    assert reader.logits(no_tokens(), [asked], [clauses]) == expected


def test_what_stands_behind_the_longest_passage_is_unlikely(embedder: Embedder) -> None:
    asked = embedder.embed_query("谁？").tokens
    one = embedder.read(["天黑了。"])[0].tokens
    many = reader.MAX_READ + 5
    tokens = Tokens(
        np.repeat(one.vectors[:1], many, axis=0),
        np.arange(many, dtype=np.uint16),
        np.arange(1, many + 1, dtype=np.uint16),
    )
    (found,) = reader.logits(asked, [tokens], [[(0, 10), (many - 2, many)]])
    assert len(found) == 2
    assert found[1] == reader.LOWEST
