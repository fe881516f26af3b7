"""A written answer, line by line: what a language model says, as far as the passages say it too.

No line leaves unchecked: it is in the asker's language, rests on passages that were shown
(support.py) and holds no markup. What doesn't is dropped and counted.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from embeddings.embedder import Embedder
from rag import prompts
from rag.citations import Line
from rag.llm import Llm
from rag.retrieve import Findings, Match, Retriever
from rag.types import Article, Language, Question
from rag.written.replies import Statement, statements
from rag.written.support import Chances, Shown

log = logging.getLogger(__name__)

# Words that tell English from what is written with the same letters.
_ENGLISH = frozenset(
    "the of in to and for is was are were by with on at from that be it as per will has have had"
    " its their or each this which not".split()
)
_OTHER = frozenset(
    "le la les du un une est et dans pour sur avec qui que der das und ein eine ist nicht mit für"
    " von zu auf el los las una por con para del es y il lo di che per è são não uma os".split()
)
_ASIDE = re.compile(r"[(（][^()（）]*[)）]|“[^”]*”|《[^》]*》|「[^」]*」|\"[^\"]*\"")


class Writer:
    """Has a language model write answers; `counts` says what became of all that it wrote."""

    def __init__(self, model: Llm, embedder: Embedder, retriever: Retriever) -> None:
        self._model = model
        self._embedder = embedder
        self._retriever = retriever
        self.counts: Counter[str] = Counter(kept=0, repaired=0, dropped=0)

    @property
    def name(self) -> str:
        """The model's name, as answers give it."""
        return self._model.name

    def lines(
        self,
        question: Question,
        findings: Findings,
        articles: Mapping[str, Article],
        chances: Chances,
        deadline: float,
    ) -> Iterator[Line]:
        """The lines of an answer as they are written; none if the model has none.

        `chances` are those of the sentences that may answer; `deadline` is when the model must be
        done, on the monotonic clock.

        Raises:
            LlmUnavailable: while they are read, if the model fails.
        """
        matches = [m for m in findings.matches if m.hit.passage.article_id in articles]
        matches = matches[: question.top_k]
        hits = [match.hit for match in matches]
        reply = self._model.stream(
            prompts.messages(question.text, question.language, hits),
            prompts.shaped(question.text, question.language, hits),
            deadline,
        )
        shown: Shown | None = None
        for statement in statements(reply):
            if shown is None:  # now that there is a reply to hold against it
                read = self._retriever.concepts
                shown = Shown(matches, articles, self._embedder, read, question.text, chances)
            if line := self._line(statement, question.language, shown, matches):
                yield line

    def _line(
        self, statement: Statement, language: Language, shown: Shown, matches: Sequence[Match]
    ) -> Line | None:
        is_ours = is_in(language, statement.text) and not prompts.is_echo(statement.text)
        supports = shown.supports(statement) if is_ours else ()
        if not supports:
            self.counts["dropped"] += 1
            log.info("dropped a sentence that no shown passage supports")
            return None
        named = [matches[n - 1].hit.passage for n in statement.numbers if 1 <= n <= len(matches)]
        is_repaired = not any(
            p.article_id == s.article_id and p.start <= s.start < p.end
            for p in named
            for s in supports
        )
        self.counts["repaired" if is_repaired else "kept"] += 1
        return Line(statement.text, supports)


def is_in(language: Language, text: str) -> bool:
    """Whether a sentence is in a language, whatever it quotes or puts in parentheses."""
    own = _ASIDE.sub("", text)
    chinese = len(re.findall("[㐀-鿿]", own))
    latin = [word.lower() for word in re.findall(r"[^\W\d_㐀-鿿]+", own)]
    if not chinese and not latin:
        return True
    if language == "zh":
        return chinese > len(latin)
    return len(latin) >= chinese and sum(w in _OTHER for w in latin) <= sum(
        w in _ENGLISH for w in latin
    )
