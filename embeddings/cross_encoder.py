"""A cross-encoder of sentence-transformers, which ranks the best passages anew, for whom has one.

It reads question and passage together, so it is slow without a GPU. Does not cover what its scores
weigh beside the others (rag/retrieve.py).
"""

import threading
from collections.abc import Sequence

from embeddings.sentence_transformer import quiet


class CrossEncoder:
    """Any model with one logit that `sentence_transformers.CrossEncoder` loads: folder or hub name.

    Raises:
        OSError, ValueError: if it can't be had or has more than one logit.
    """

    def __init__(self, source: str) -> None:
        with quiet():
            from sentence_transformers import CrossEncoder as Model

            self._model = Model(source)
        self._one_at_a_time = threading.Lock()  # its tokenizer can't be shared between threads
        if self._model.num_labels != 1:
            raise ValueError(f"{source} gives {self._model.num_labels} logits, not one")

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        """How well each passage answers, 0 to 1."""
        from torch.nn import Sigmoid

        with self._one_at_a_time:
            found = self._model.predict(
                [(question, passage) for passage in passages],
                activation_fn=Sigmoid(),
                show_progress_bar=False,
            )
        return [float(score) for score in found]
